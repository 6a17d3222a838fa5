package api

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

const nameBytesMax = 4 * nameMax // of the longest name that a user can have

// A signingIn is somebody who says who he is, and how he proves it.
type signingIn struct {
	name, domain, password string
	second                 string // code of a second factor
	addr                   netip.Addr
}

// unauthorized is the refusal of somebody who has not proved who he is.
func unauthorized(text string) error {
	return refusal{http.StatusUnauthorized, fault.New(fault.Stranger, "%s", text)}
}

// What is said to those who are not let in. The first two count as failed
// attempts, the others come after a right password.
var (
	errWrongPassword = unauthorized("Unauthorized: wrong user name or password")
	errWrongCode     = unauthorized("Unauthorized: the second factor is wrong, or was used before")

	errCodeNeeded  = unauthorized(`Unauthorized: a second factor is needed: send the code that your program shows, or a recovery code, as "secondary"`)
	errEnrolNeeded = unauthorized("Unauthorized: a second factor is needed, and you have none yet: set one up at session/second_factor with your user name and password")
	errLocked      = unauthorized("Unauthorized: the account is locked")
)

// login returns the user of a name, a password and, if he has one, a second
// factor.
func (s *server) login(ctx context.Context, in signingIn) (store.User, error) {
	u, err := s.prove(ctx, in, s.checkSecond)
	if err != nil {
		return store.User{}, err
	}
	return s.admitted(ctx, u, in.addr)
}

// admitted notes that somebody has come in, by whatever way.
func (s *server) admitted(ctx context.Context, u store.User, addr netip.Addr) (store.User, error) {
	u.Password = "" // nobody needs it from here on
	s.logins.note(u.ID, time.Now())
	if err := s.store.TouchUser(ctx, u.ID, time.Now()); err != nil {
		return store.User{}, err
	}
	how := ""
	if u.UserGroup != 0 {
		how = "with the rights of the user group " + s.shelves.NameOf("user_group", u.UserGroup) + " only"
	}
	return u, s.auditLogin(ctx, deedLogin, u, addr, how)
}

// prove returns the user if he is the one he says he is, and second, which looks
// at what he has sent beside the password, has nothing against it. Failures are
// counted, and after some of them nobody looks any more.
func (s *server) prove(ctx context.Context, in signingIn, second func(context.Context, store.User, string) error) (store.User, error) {
	if len(in.name) > nameBytesMax || len(in.domain) > nameBytesMax { // they would be remembered
		return store.User{}, fault.New(fault.Invalid, "a user name has at most %d bytes", nameBytesMax)
	}
	if len(in.password) > passwordMax { // nobody's: it costs no hash, and must not push out what is remembered of those that do
		return store.User{}, errWrongPassword
	}
	leave, ok := s.attempts.knock(from("", in.addr).from) // before anything costs anything
	if !ok {
		return store.User{}, fault.New(fault.Unavailable, "too many logins at once: try again later")
	}
	defer leave()
	u, err := s.account(ctx, in.name, in.domain)
	known := err == nil
	if !known && fault.KindOf(err) != fault.NotFound {
		return store.User{}, err
	}
	k := from(cmp.Or(u.Name, in.name), in.addr) // of a user, however he is spelled
	if !s.attempts.begin(time.Now(), k) {
		return store.User{}, refusal{http.StatusUnauthorized, fault.New(fault.Stranger,
			"Too many failed logins: wait %v and try again", lockout)}
	}
	err = s.judge(ctx, u, known, in.password)
	if err == nil {
		err = second(ctx, u, in.second)
	}
	switch err {
	case nil:
		s.attempts.succeed(k)
	case errWrongPassword, errWrongCode:
		if lost := s.auditLogin(ctx, deedFailed, store.User{ID: u.ID, Name: in.name}, in.addr, err.Error()); lost != nil {
			return store.User{}, lost
		}
	default: // no verdict, or a right password that is not enough
		s.attempts.forgive(time.Now(), k)
	}
	if err != nil {
		return store.User{}, err
	}
	return u, nil
}

// judge compares a password with what is known of a user, or with nothing, for
// as long, if nothing is.
func (s *server) judge(ctx context.Context, u store.User, known bool, password string) (err error) {
	r := s.shelves.ByID("user", u.ID)
	ok := false
	if d := s.directoryOf(r); known && d != nil {
		ok, err = s.checkInDirectory(ctx, d, r, password)
	} else {
		ok, err = s.passwords.match(ctx, password, cmp.Or(u.Password, nobodys))
		ok = ok && known && u.Password != ""
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return errWrongPassword
	case !s.mayAct(u):
		return errLocked
	}
	return nil
}

// account finds a user by name and, if one is said, domain: it may stand before
// the name, or be an attribute of the user.
func (s *server) account(ctx context.Context, name, domain string) (store.User, error) {
	if domain == "" {
		u, err := s.store.UserByName(ctx, name)
		before, rest, split := strings.Cut(name, `\`)
		if fault.KindOf(err) != fault.NotFound || !split || before == "" { // KindOf(nil) is not NotFound
			return u, err
		}
		name, domain = rest, before
	}
	if u, err := s.store.UserByName(ctx, domain+`\`+name); fault.KindOf(err) != fault.NotFound {
		return u, err
	}
	u, err := s.store.UserByName(ctx, name)
	if r := s.shelves.ByID("user", u.ID); err == nil && (r == nil || value.Fold(r.Object.Text("domain")) != value.Fold(domain)) {
		return store.User{}, fault.New(fault.NotFound, "user %q in the domain %q", name, domain)
	}
	return u, err
}
