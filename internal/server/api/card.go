package api

import (
	"context"
	"net/http"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/setting"
	"catenary/internal/server/signin"
	"catenary/internal/server/store"
)

type cardLogin struct {
	AsUserGroup groupWord `json:"as_exclusive_user_group"`
}

func (s *server) cardRoutes() []route {
	return []route{{"POST", "/api/v2/session/certificate", anyone, rights.None, postSpared(openMax, s.logInByCard)}}
}

// logInByCard lets in the owner of the certificate that came with the
// connection. Nothing else looks at certificates: who sends a wrong password is
// refused, whatever card he has.
func (s *server) logInByCard(ctx context.Context, c call, in cardLogin) (sessionObject, error) {
	if s.cards == nil {
		return sessionObject{}, fault.New(fault.Invalid, "client certificates let nobody in here: the server was started without --login-authorities")
	}
	// A browser shows the card unasked, also if it is another site that asks.
	if err := http.NewCrossOriginProtection().Check(c.Request); err != nil {
		return sessionObject{}, fault.New(fault.Denied, "a login by certificate cannot be asked for by another site")
	}
	if c.TLS == nil || len(c.TLS.PeerCertificates) == 0 {
		return sessionObject{}, unauthorized("Unauthorized: no client certificate came with the connection; through a proxy none does")
	}
	addr := s.caller(c.Request)
	leave, ok := s.attempts.knock(from("", addr).from)
	if !ok {
		return sessionObject{}, fault.New(fault.Unavailable, "too many logins at once: try again later")
	}
	defer leave()
	u, err := s.cardOwner(ctx, c)
	if fault.KindOf(err) == fault.Stranger {
		return sessionObject{}, s.turnAway(ctx, c, u, err)
	}
	if err == nil {
		u, err = s.asMember(u, string(in.AsUserGroup))
	}
	if err == nil {
		u, err = s.admitted(ctx, u, addr)
	}
	if err != nil {
		return sessionObject{}, err
	}
	return s.open(ctx, c, u)
}

// cardOwner is the user whom a certificate is of. Beside an error it is what is
// known of him.
func (s *server) cardOwner(ctx context.Context, c call) (store.User, error) {
	shown := c.TLS.PeerCertificates
	name, err := signin.NameOf(shown[0], s.setting(setting.CertificateName))
	if err != nil {
		return store.User{}, err
	}
	if len(name) > nameBytesMax {
		return store.User{}, fault.New(fault.Stranger, "a user name has at most %d bytes", nameBytesMax)
	}
	if err := s.cards.Check(shown, time.Now()); err != nil {
		return store.User{Name: name}, err
	}
	u, err := s.store.UserByName(ctx, name)
	if fault.KindOf(err) == fault.NotFound {
		return store.User{Name: name}, fault.New(fault.Stranger, "there is no user %q here", name)
	}
	if err == nil && !s.mayAct(u) {
		err = fault.New(fault.Stranger, "the account is locked")
	}
	return u, err
}

// turnAway is the refusal of a certificate. It is in the audit, under the name
// that the certificate has, unless one network sends many: everybody can make
// certificates.
func (s *server) turnAway(ctx context.Context, c call, u store.User, why error) error {
	addr := s.caller(c.Request)
	if s.attempts.begin(time.Now(), from("\x00certificate", addr)) { // no user is called so
		if err := s.auditLogin(ctx, deedFailed, store.User{ID: u.ID, Name: u.Name}, addr, shorten("certificate: "+why.Error())); err != nil {
			return err
		}
	}
	return unauthorized("Unauthorized: the client certificate lets nobody in: " + why.Error())
}
