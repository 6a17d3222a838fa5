package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"net/netip"
	"time"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/server/store"
)

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Domain   string `json:"domain"`
	// Secondary is the code of a second factor, or a recovery code.
	Secondary string `json:"secondary"`
	// AsUserGroup is the name or the number of one of the user's groups: the
	// session has its rights only.
	AsUserGroup groupWord `json:"as_exclusive_user_group"`
}

// signingIn is who says so in a request.
func (in credentials) signingIn(addr netip.Addr) signingIn {
	return signingIn{name: in.Username, domain: in.Domain, password: in.Password, second: in.Secondary, addr: addr}
}

type sessionObject struct {
	Session string `json:"session"`
}

// sessionBody is a session string, with or without the envelope around it.
type sessionBody struct {
	sessionObject
	Data sessionObject `json:"data"`
}

// meant is the session that a program speaks of: in the body, or as it always
// does, in the header.
func (b sessionBody) meant(c call) secret {
	return secret(cmp.Or(b.Session, b.Data.Session, c.Header.Get("session")))
}

func (s *server) sessionLogin(ctx context.Context, c call, in credentials) (sessionObject, error) {
	if in.Username == "" || in.Password == "" {
		return sessionObject{}, fault.New(fault.Invalid, "username and password are needed")
	}
	who := in.signingIn(s.caller(c.Request))
	u, err := s.prove(ctx, who, s.checkSecond)
	if err != nil {
		return sessionObject{}, err
	}
	if u, err = s.asMember(u, string(in.AsUserGroup)); err != nil {
		return sessionObject{}, err
	}
	if u, err = s.admitted(ctx, u, who.addr); err != nil {
		return sessionObject{}, err
	}
	return s.open(ctx, c, u)
}

// open begins a session of somebody who was let in.
func (s *server) open(ctx context.Context, c call, u store.User) (sessionObject, error) {
	str, ended := s.sessions.start(time.Now(), u)
	return sessionObject{string(str)}, s.auditEnded(ctx, c, u, ended)
}

func (s *server) sessionValidate(ctx context.Context, c call, in sessionBody) (sessionObject, error) {
	str := in.meant(c)
	if _, err := s.authenticate(ctx, str, s.tokenAddress(c.Request)); err != nil {
		return sessionObject{}, invalidSession(err)
	}
	return sessionObject{string(str)}, nil
}

// sessionLogout ends a session. A token lives on: it is deleted, not logged
// out.
func (s *server) sessionLogout(ctx context.Context, c call, in sessionBody) (sessionObject, error) {
	str := in.meant(c)
	u, err := s.authenticate(ctx, str, s.tokenAddress(c.Request))
	if err != nil {
		return sessionObject{}, invalidSession(err)
	}
	s.sessions.end(str)
	return sessionObject{string(str)}, s.auditLogin(ctx, deedLogout, u, s.caller(c.Request), "")
}

// invalidSession is what these two routes say of any string that opens
// nothing.
func invalidSession(err error) error {
	if fault.KindOf(err) == fault.Stranger {
		return fault.New(fault.Stranger, "Invalid session")
	}
	return err
}

type userObject struct {
	ID           int64   `json:"id"`
	Name         string  `json:"name"`
	DisplayName  string  `json:"display_name"`
	Domain       string  `json:"domain"`
	CreationTime isoTime `json:"creation_time"`
	LastLogin    isoTime `json:"last_login"`
	DeletedFlag  bool    `json:"deleted_flag"`
}

func (s *server) toUser(u store.User) userObject {
	o := userObject{ID: u.ID, Name: u.Name, CreationTime: isoTime(u.Created), LastLogin: isoTime(u.LastLogin)}
	if r := s.shelves.ByID("user", u.ID); r != nil { // else he is gone
		o.DisplayName, o.Domain = r.Object.Text("display_name"), r.Object.Text("domain")
	}
	return o
}

// auth is the old login: everything in headers, and a session string as the
// whole answer.
func (s *server) auth(ctx context.Context, c call) (plain, error) {
	if str := secret(c.Header.Get("session")); str != "" {
		return s.authSession(ctx, c, str)
	}
	in := signingIn{
		name: clearText(c.Header.Get("username")), password: clearText(c.Header.Get("password")),
		domain: clearText(c.Header.Get("domain")), second: clearText(c.Header.Get("secondary")), addr: s.caller(c.Request),
	}
	if name, password, ok := c.BasicAuth(); ok {
		in.name, in.password = name, password
	}
	if in.name == "" || in.password == "" {
		return "", unauthorized("Unauthorized: user name and password are needed")
	}
	u, err := s.login(ctx, in)
	if err != nil {
		return "", err
	}
	begin := s.sessions.start
	if c.Header.Get("persistent") == "1" {
		begin = s.sessions.startLong
	}
	str, ended := begin(time.Now(), u)
	return plain(str), s.auditEnded(ctx, c, u, ended)
}

// authSession renews a session, or ends it (logout: 0) or all of its user's
// (logout: 1).
func (s *server) authSession(ctx context.Context, c call, str secret) (plain, error) {
	u, err := s.authenticate(ctx, str, s.tokenAddress(c.Request))
	if err != nil {
		return "", err
	}
	switch c.Header.Get("logout") {
	case "":
		return plain(str), nil
	case "0":
		s.sessions.end(str)
	case "1":
		s.sessions.endAll(u.ID)
	default:
		return "", fault.New(fault.Invalid, "the header logout is 0 (this session) or 1 (all of the user)")
	}
	return plain(str), s.auditLogin(ctx, deedLogout, u, s.caller(c.Request), "")
}

// clearText returns what a header means that old programs write in base64 and
// others as it is. A text that happens to be base64 of a text is taken for
// such; Basic has no doubt.
func clearText(header string) string {
	b, err := base64.StdEncoding.DecodeString(header)
	if err != nil || !printable(b) {
		return header
	}
	return string(b)
}

func printable(b []byte) bool {
	for _, r := range string(b) {
		if r < ' ' || r == utf8.RuneError {
			return false
		}
	}
	return len(b) > 0
}

// isoTime is a time in the form of the public API; the zero time is its
// “never”.
type isoTime time.Time

const never = `"2001-01-01T00:00:00Z"`

func (t isoTime) MarshalJSON() ([]byte, error) { return t.append(nil), nil }

type userKey struct{}

// withUser notes in ctx who asks.
func withUser(ctx context.Context, u store.User) context.Context {
	return context.WithValue(ctx, userKey{}, u)
}

// UserOf returns who has asked for what an [Engine] does under ctx; the zero
// user if nobody has.
func UserOf(ctx context.Context) store.User {
	u, _ := ctx.Value(userKey{}).(store.User)
	return u
}
