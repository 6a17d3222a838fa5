package api

import (
	"context"
	"encoding/json"
	"net/netip"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/signin"
	"catenary/internal/server/store"
)

const passkeysMax = 20 // of one user

// ceremonies are what people are doing with their passkeys just now, by the
// string that they bring with the authenticator's answer.
type ceremonies struct{ open *room[ceremony] }

type ceremony struct {
	user    int64 // who makes a passkey; 0: somebody logs in
	pending []byte
}

func newCeremonies() *ceremonies {
	return &ceremonies{open: newRoom[ceremony](signin.CeremonyLife)}
}

func (c *ceremonies) begin(addr netip.Addr, of ceremony) string {
	str := randomHex()
	c.open.enter(time.Now(), addr, str, of)
	return str
}

// take returns what was begun, and forgets it: each challenge is good for once.
func (c *ceremonies) take(str string, user int64) ([]byte, error) {
	of, ok := c.open.leave(time.Now(), str)
	if !ok || of.user != user {
		return nil, unauthorized("Unauthorized: this was not begun here, or too long ago, or is over: begin again")
	}
	return of.pending, nil
}

func (s *server) passkeyRoutes() []route {
	const path = "/api/v2/session/passkey"
	return []route{
		{method: "GET", path: path, access: withSession, right: rights.None, serve: get(s.listPasskeys)},
		{method: "DELETE", path: path + "/{id}", access: withSession, right: rights.None, serve: get(s.deletePasskey)},
		{method: "POST", path: path + "/register/begin", access: withSession, right: rights.None, serve: post(bodyMax, s.beginPasskey)},
		{method: "POST", path: path + "/register/finish", access: withSession, right: rights.None, serve: post(bodyMax, s.finishPasskey)},
		{method: "POST", path: path + "/login/begin", access: anyone, right: rights.None, serve: get(s.beginPasskeyLogin)},
		{method: "POST", path: path + "/login/finish", access: anyone, right: rights.None, serve: post(openMax, s.finishPasskeyLogin)},
	}
}

type passkeyObject struct {
	ID       int64   `json:"id"`
	Name     string  `json:"name"`
	Created  isoTime `json:"created_time"`
	LastUsed isoTime `json:"last_used_on"`
}

func toPasskey(k store.Passkey) passkeyObject {
	return passkeyObject{k.ID, k.Name, isoTime(k.Created), isoTime(k.LastUsed)}
}

func (s *server) passkeys() (*signin.Passkeys, error) {
	site, err := s.site()
	if err != nil {
		return nil, err
	}
	return signin.NewPasskeys(site)
}

// holder is a user with his passkeys.
func (s *server) holder(ctx context.Context, id int64) (signin.Holder, error) {
	r := s.shelves.ByID("user", id)
	if r == nil {
		return signin.Holder{}, fault.New(fault.NotFound, "user %d", id)
	}
	list, err := s.store.Passkeys(ctx, id)
	h := signin.Holder{ID: id, Name: r.Name, DisplayName: r.Object.Text("display_name")}
	for _, k := range list {
		h.Keys = append(h.Keys, k.Body)
	}
	return h, err
}

func (s *server) listPasskeys(ctx context.Context, c call) ([]passkeyObject, error) {
	list, err := s.store.Passkeys(ctx, c.user.ID)
	out := make([]passkeyObject, len(list))
	for i, k := range list {
		out[i] = toPasskey(k)
	}
	return out, err
}

func (s *server) deletePasskey(ctx context.Context, c call) (idObject, error) {
	id, err := c.number("id", "passkey")
	if err != nil {
		return idObject{}, err
	}
	if err := s.store.DeletePasskey(ctx, c.user.ID, int64(id)); err != nil {
		return idObject{}, orMissing(err, "Passkey", "passkey")
	}
	return idObject{id}, s.noteFactor(ctx, c, c.user, "passkey_removed")
}

// A ceremonyObject is what a browser's navigator.credentials wants, and what to
// send back with what comes of it.
type ceremonyObject struct {
	Ceremony  string `json:"ceremony"`
	PublicKey any    `json:"publicKey"`
}

// beginPasskey begins to make a passkey for the caller, who says his password if
// he has one: who finds an open session must not leave a door of his own.
func (s *server) beginPasskey(ctx context.Context, c call, in factorRequest) (ceremonyObject, error) {
	if byToken(c) {
		return ceremonyObject{}, notByToken()
	}
	if _, err := s.owner(ctx, c, in); err != nil {
		return ceremonyObject{}, err
	}
	p, err := s.passkeys()
	if err != nil {
		return ceremonyObject{}, err
	}
	h, err := s.holder(ctx, c.user.ID)
	if err != nil {
		return ceremonyObject{}, err
	}
	if len(h.Keys) >= passkeysMax {
		return ceremonyObject{}, fault.New(fault.Conflict, "there are %d passkeys already: delete some first", len(h.Keys))
	}
	options, pending, err := p.BeginNew(h)
	if err != nil {
		return ceremonyObject{}, err
	}
	return ceremonyObject{s.ceremonies.begin(s.caller(c.Request), ceremony{c.user.ID, pending}), options}, nil
}

// A ceremonyEnd is what has come of a ceremony: a PublicKeyCredential as JSON.
type ceremonyEnd struct {
	Ceremony   string          `json:"ceremony"`
	Name       string          `json:"name"` // of a new passkey
	Credential json.RawMessage `json:"credential"`
}

func (s *server) finishPasskey(ctx context.Context, c call, in ceremonyEnd) (passkeyObject, error) {
	if len(in.Name) > nameMax {
		return passkeyObject{}, fault.New(fault.Invalid, "name has at most %d bytes", nameMax)
	}
	pending, err := s.ceremonies.take(in.Ceremony, c.user.ID)
	if err != nil {
		return passkeyObject{}, err
	}
	p, err := s.passkeys()
	if err != nil {
		return passkeyObject{}, err
	}
	h, err := s.holder(ctx, c.user.ID)
	if err != nil {
		return passkeyObject{}, err
	}
	body, name, err := p.FinishNew(h, pending, in.Credential)
	if err != nil {
		return passkeyObject{}, err
	}
	k, err := s.store.CreatePasskey(ctx, store.Passkey{UserID: c.user.ID, Hash: name, Name: in.Name, Body: body, Created: time.Now()})
	if err != nil {
		return passkeyObject{}, err
	}
	return toPasskey(k), s.noteFactor(ctx, c, c.user, "passkey_added")
}

// beginPasskeyLogin asks for any passkey of this site: it says nothing of who
// has one.
func (s *server) beginPasskeyLogin(_ context.Context, c call) (ceremonyObject, error) {
	p, err := s.passkeys()
	if err != nil {
		return ceremonyObject{}, err
	}
	options, pending, err := p.BeginLogin()
	if err != nil {
		return ceremonyObject{}, err
	}
	return ceremonyObject{s.ceremonies.begin(s.caller(c.Request), ceremony{0, pending}), options}, nil
}

// finishPasskeyLogin lets in who has shown his passkey. It is two factors in
// itself: a thing, and a finger or a PIN.
func (s *server) finishPasskeyLogin(ctx context.Context, c call, in ceremonyEnd) (sessionObject, error) {
	pending, err := s.ceremonies.take(in.Ceremony, 0)
	if err != nil {
		return sessionObject{}, err
	}
	p, err := s.passkeys()
	if err != nil {
		return sessionObject{}, err
	}
	id, body, name, err := p.FinishLogin(pending, in.Credential, func(user int64) (signin.Holder, error) { return s.holder(ctx, user) })
	if err != nil {
		return sessionObject{}, notVouchedFor(err)
	}
	u, err := s.store.UserByID(ctx, id)
	if err != nil {
		return sessionObject{}, err
	}
	if !s.mayAct(u) {
		return sessionObject{}, errLocked
	}
	if err := s.store.UsePasskey(ctx, id, name, body, time.Now()); err != nil {
		return sessionObject{}, err
	}
	if u, err = s.admitted(ctx, u, s.caller(c.Request)); err != nil {
		return sessionObject{}, err
	}
	return s.open(ctx, c, u)
}
