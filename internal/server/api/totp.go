package api

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/signin"
	"catenary/internal/server/store"
)

// issuer is under which name programs that make one-time codes list us.
const issuer = "Catenary"

// factorRoutes are about a user's second factor. Those who have none yet, and
// are not let in without, use them with name and password; others with a
// session and the password.
func (s *server) factorRoutes() []route {
	const path = "/api/v2/session/second_factor"
	return []route{
		{method: "GET", path: path, access: withSession, right: rights.None, serve: get(s.showFactor)},
		{method: "POST", path: path, access: anyone, right: rights.None, serve: post(openMax, s.beginFactor)},
		{method: "POST", path: path + "/confirm", access: anyone, right: rights.None, serve: post(openMax, s.confirmFactor)},
		{method: "POST", path: path + "/recovery_codes", access: anyone, right: rights.None, serve: post(openMax, s.renewCodes)},
		{method: "DELETE", path: path, access: anyone, right: rights.None, serve: post(openMax, s.removeFactor)},
		{method: "DELETE", path: "/api/v2/users/{id}/second_factor", access: withSession, right: rights.WriteUser, serve: get(s.removeFactorOf)},
	}
}

type factorObject struct {
	Enabled  bool    `json:"enabled"`
	Required bool    `json:"required"` // of everybody who logs in with a password
	Since    isoTime `json:"since"`
	// RecoveryCodes is how many are left.
	RecoveryCodes int `json:"recovery_codes"`
}

func (s *server) showFactor(ctx context.Context, c call) (factorObject, error) {
	return s.factorOf(ctx, c.user.ID)
}

func (s *server) factorOf(ctx context.Context, user int64) (out factorObject, err error) {
	out.Required = s.settingIsOn(secondFactorSetting)
	f, err := s.store.SecondFactorOf(ctx, user)
	if fault.KindOf(err) == fault.NotFound || err == nil && !f.Confirmed {
		return out, nil
	}
	if err != nil {
		return out, err
	}
	out.Enabled, out.Since = true, isoTime(f.Created)
	out.RecoveryCodes, err = s.store.CountRecoveryCodes(ctx, user)
	return out, err
}

// A factorRequest is one about somebody's own second factor.
type factorRequest struct {
	credentials
	Code string `json:"code"` // what the program shows now
}

// owner returns whose second factor a request is about. Who has a password has
// to say it: a session that somebody has left open must not be enough to lock
// him out.
func (s *server) owner(ctx context.Context, c call, in factorRequest) (store.User, error) {
	say := in.signingIn(s.caller(c.Request))
	if str := secret(c.Header.Get("session")); str != "" {
		u, err := s.authenticate(ctx, str, s.tokenAddress(c.Request))
		if err != nil {
			return store.User{}, err
		}
		if byToken(c) {
			return store.User{}, notByToken()
		}
		if r := s.shelves.ByID("user", u.ID); s.directoryOf(r) == nil {
			full, err := s.store.UserByID(ctx, u.ID)
			if err != nil || full.Password == "" { // he signs in elsewhere, and has no password to say
				return u, err
			}
		}
		say.name, say.domain = u.Name, ""
	}
	if say.name == "" || say.password == "" {
		return store.User{}, fault.New(fault.Invalid, "the password is needed, and without a session the user name, too")
	}
	return s.prove(ctx, say, func(context.Context, store.User, string) error { return nil })
}

type sourceObject struct {
	Secret string `json:"secret"`
	URI    string `json:"uri"`
	QR     string `json:"qr"` // a picture of the URI, as a data: URL
}

// beginFactor gives a user a secret for his program. It is shown once, and
// nothing has changed until he confirms that the program has it.
func (s *server) beginFactor(ctx context.Context, c call, in factorRequest) (sourceObject, error) {
	u, err := s.owner(ctx, c, in)
	if err != nil {
		return sourceObject{}, err
	}
	src, err := signin.NewCodeSource(issuer, u.Name)
	if err != nil {
		return sourceObject{}, err
	}
	return sourceObject{src.Secret, src.URI, src.Picture},
		s.store.BeginSecondFactor(ctx, store.SecondFactor{UserID: u.ID, Secret: src.Secret, Created: time.Now()})
}

type codesObject struct {
	RecoveryCodes []string `json:"recovery_codes"` // shown once
}

func newCodes() (codesObject, []store.Hash) {
	codes := signin.NewRecoveryCodes()
	hashes := make([]store.Hash, len(codes))
	for i, code := range codes {
		hashes[i] = store.HashOf(signin.PlainRecoveryCode(code))
	}
	return codesObject{codes}, hashes
}

func (s *server) confirmFactor(ctx context.Context, c call, in factorRequest) (codesObject, error) {
	u, err := s.owner(ctx, c, in)
	if err != nil {
		return codesObject{}, err
	}
	f, err := s.store.SecondFactorOf(ctx, u.ID)
	if fault.KindOf(err) == fault.NotFound || err == nil && f.Confirmed {
		return codesObject{}, fault.New(fault.Conflict, "no second factor waits to be confirmed")
	}
	if err != nil {
		return codesObject{}, err
	}
	var codes codesObject
	err = s.countCodes(u.ID, func() (bool, error) {
		period, ok := signin.MatchCode(f.Secret, in.Code, time.Now())
		if !ok {
			return false, nil
		}
		var hashes []store.Hash
		codes, hashes = newCodes()
		return true, s.store.ConfirmSecondFactor(ctx, u.ID, period, hashes)
	})
	if err != nil {
		return codesObject{}, err
	}
	return codes, s.noteFactor(ctx, c, u, "second_factor_on")
}

// renewCodes puts new recovery codes in the place of the old ones.
func (s *server) renewCodes(ctx context.Context, c call, in factorRequest) (codesObject, error) {
	u, err := s.owner(ctx, c, in)
	if err == nil {
		err = s.confirmed(ctx, u, in.Code)
	}
	if err != nil {
		return codesObject{}, err
	}
	codes, hashes := newCodes()
	if err := s.store.SetRecoveryCodes(ctx, u.ID, hashes); err != nil {
		return codesObject{}, err
	}
	return codes, s.noteFactor(ctx, c, u, "recovery_codes")
}

// confirmed makes sure that a user has a second factor, and that the code is
// from it.
func (s *server) confirmed(ctx context.Context, u store.User, code string) error {
	f, err := s.store.SecondFactorOf(ctx, u.ID)
	if fault.KindOf(err) == fault.NotFound || err == nil && !f.Confirmed {
		return fault.New(fault.NotFound, "there is no second factor")
	}
	if err != nil {
		return err
	}
	return s.checkSecond(ctx, u, code)
}

// removeFactor takes one's own second factor away, with a code from it.
func (s *server) removeFactor(ctx context.Context, c call, in factorRequest) (factorObject, error) {
	u, err := s.owner(ctx, c, in)
	if err == nil {
		err = s.confirmed(ctx, u, in.Code)
	}
	if err == nil {
		err = s.store.DeleteSecondFactor(ctx, u.ID)
	}
	if err == nil {
		err = s.noteFactor(ctx, c, u, "second_factor_off")
	}
	if err != nil {
		return factorObject{}, err
	}
	return s.factorOf(ctx, u.ID)
}

// removeFactorOf takes the second factor of somebody away who has lost it, and
// the recovery codes, too.
func (s *server) removeFactorOf(ctx context.Context, c call) (factorObject, error) {
	id, err := c.number("id", "user")
	if err != nil {
		return factorObject{}, err
	}
	u, err := s.store.UserByID(ctx, int64(id))
	if err != nil {
		return factorObject{}, orMissing(err, "User", "user")
	}
	if err := s.mayManage(c, u.ID); err != nil {
		return factorObject{}, err
	}
	err = s.store.DeleteSecondFactor(ctx, u.ID)
	if fault.KindOf(err) == fault.NotFound {
		return factorObject{}, fault.New(fault.NotFound, "there is no second factor")
	}
	if err != nil {
		return factorObject{}, err
	}
	if err := s.noteFactor(ctx, c, u, "second_factor_off"); err != nil {
		return factorObject{}, err
	}
	return s.factorOf(ctx, u.ID)
}

// mayManage reports whether the caller may take away what protects a user's
// account: who has fewer rights than the user must not, or he could become him.
func (s *server) mayManage(c call, user int64) error {
	if c.user.ID == user || c.rights.Anything {
		return nil
	}
	return s.people.State().Manage(c.rights, user)
}

// noteFactor writes into the audit what has been done to somebody's account.
func (s *server) noteFactor(ctx context.Context, c call, u store.User, deed string) error {
	by := c.user
	if by.ID == 0 {
		by = u
	}
	return s.store.Audit(ctx, store.AuditEntry{
		At: time.Now(), UserID: by.ID, UserName: by.Name, Address: s.caller(c.Request).String(),
		Type: deed, Kind: "user", ObjectID: u.ID, ObjectName: u.Name,
	})
}

// checkSecond refuses a user who has, or ought to have, a second factor and does
// not prove that he has it.
func (s *server) checkSecond(ctx context.Context, u store.User, code string) error {
	f, err := s.store.SecondFactorOf(ctx, u.ID)
	if fault.KindOf(err) == fault.NotFound || err == nil && !f.Confirmed {
		if s.settingIsOn(secondFactorSetting) {
			return errEnrolNeeded
		}
		return nil
	}
	if err != nil {
		return err
	}
	if code == "" {
		return errCodeNeeded
	}
	return s.countCodes(u.ID, func() (bool, error) {
		if period, ok := signin.MatchCode(f.Secret, code, time.Now()); ok {
			return s.store.UsePeriod(ctx, u.ID, period)
		}
		return s.store.UseRecoveryCode(ctx, u.ID, store.HashOf(signin.PlainRecoveryCode(code)))
	})
}

// countCodes lets only so many wrong codes of a user through, from wherever they
// come: there are but a million codes, and who is here knows the password.
func (s *server) countCodes(user int64, try func() (bool, error)) error {
	k := attempt{fmt.Sprintf("\x00%d", user), netip.Prefix{}} // no user's name has a NUL
	if !s.attempts.begin(time.Now(), k) {
		return unauthorized(fmt.Sprintf("Too many wrong codes: wait %v and try again", lockout))
	}
	ok, err := try()
	switch {
	case err != nil:
		s.attempts.forgive(time.Now(), k)
		return err
	case !ok:
		return errWrongCode
	}
	s.attempts.succeed(k)
	return nil
}
