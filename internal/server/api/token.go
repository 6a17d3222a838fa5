package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

const (
	tokenDays    = 7        // life time when none is asked for
	tokenDaysMax = 365 * 10 // life time that may be asked for
	tokensMax    = 1000     // of one user
	nameMax      = 255      // characters of a name
	notesMax     = 4096     // bytes of a note or a list of addresses
)

type tokenObject struct {
	ID                 int64      `json:"id"`
	Name               string     `json:"name"`
	Notes              string     `json:"notes"`
	CreatedTime        isoTime    `json:"created_time"`
	Expiration         isoTime    `json:"expiration"`
	ExpireInDays       int        `json:"expire_in_days"`
	LastUsedOn         isoTime    `json:"last_used_on"`
	TrustedIPAddresses string     `json:"trusted_ip_addresses"`
	User               userObject `json:"user"`
	Persona            nameRef    `json:"persona"` // 0: the user himself
	DeletedFlag        int        `json:"deleted_flag"`
	// TokenString is shown once, when it has just been made.
	TokenString string `json:"token_string,omitempty"`
}

func (s *server) toToken(t store.Token, u store.User) tokenObject {
	return tokenObject{
		Persona: nameRef{t.Persona, s.shelves.NameOf("persona", t.Persona)},
		ID:      t.ID, Name: t.Name, Notes: t.Notes, CreatedTime: isoTime(t.Created), Expiration: isoTime(t.Expires),
		ExpireInDays: t.Days, LastUsedOn: isoTime(t.LastUsed), TrustedIPAddresses: t.Trusted, User: s.toUser(u),
	}
}

// byToken reports whether a request comes with an API token, and not a session.
func byToken(c call) bool { return strings.HasPrefix(c.Header.Get("session"), tokenPrefix) }

// notByToken is the refusal of what only somebody may do who has logged in: a
// token is a program's, may be used from some addresses only, acts as one
// persona, and ends.
func notByToken() error { return fault.New(fault.Denied, "an API token is not its user: log in") }

func newTokenString() string { return tokenPrefix + randomHex() }

// tokensOf are the tokens that the caller may deal with, oldest first: his own,
// or with the privilege everybody's.
func (s *server) tokensOf(ctx context.Context, c call, p rights.Privilege) ([]store.Token, error) {
	if err := s.tokens.load(ctx, s.store); err != nil {
		return nil, err
	}
	user := c.user.ID
	if c.rights.May(p, rights.Everywhere) {
		user = 0
	}
	return slices.DeleteFunc(s.tokens.of(user), func(t store.Token) bool { return s.shelves.ByID("user", t.UserID) == nil }), nil
}

// token is the one of these that the path names.
func (s *server) token(ctx context.Context, c call, p rights.Privilege) (store.Token, error) {
	id, err := c.number("id", "token")
	if err != nil {
		return store.Token{}, err
	}
	list, err := s.tokensOf(ctx, c, p)
	if err != nil {
		return store.Token{}, err
	}
	i := slices.IndexFunc(list, func(t store.Token) bool { return t.ID == int64(id) })
	if i < 0 {
		return store.Token{}, missingToken()
	}
	return list[i], nil
}

func missingToken() error { return missing("APIToken", "API token") }

func (s *server) listTokens(ctx context.Context, c call) ([]tokenObject, error) {
	list, err := s.tokensOf(ctx, c, rights.ReadToken)
	if err != nil {
		return nil, err
	}
	out := make([]tokenObject, len(list))
	for i, t := range list {
		out[i] = s.toToken(t, s.ownerOf(c, t))
	}
	return out, nil
}

func (s *server) showToken(ctx context.Context, c call) (tokenObject, error) {
	t, err := s.token(ctx, c, rights.ReadToken)
	return s.toToken(t, s.ownerOf(c, t)), err
}

func (s *server) deleteToken(ctx context.Context, c call) (tokenObject, error) {
	t, err := s.token(ctx, c, rights.WriteToken)
	if err != nil {
		return tokenObject{}, err
	}
	err = s.tokens.change(ctx, s.store, func() (gone, _ store.Token, err error) {
		if _, err = s.store.DeleteToken(ctx, t.UserID, t.ID); err == nil || fault.KindOf(err) == fault.NotFound {
			gone = t
		}
		return gone, store.Token{}, err
	})
	out := s.toToken(t, s.ownerOf(c, t))
	out.DeletedFlag = 1
	if err != nil {
		return out, orMissing(err, "APIToken", "API token")
	}
	return out, s.auditToken(ctx, c, "delete", t)
}

type tokenRequest struct {
	Name               string  `json:"name"`
	Notes              string  `json:"notes"`
	ExpireInDays       *number `json:"expire_in_days"`
	TrustedIPAddresses string  `json:"trusted_ip_addresses"`
	// AsPersona is the number of a persona, or {"id":…}; nothing: as the session.
	AsPersona json.RawMessage `json:"as_persona"`
}

// persona is as whom a token is to act.
func (in tokenRequest) persona() (id int64, said bool, err error) {
	if len(in.AsPersona) == 0 || string(in.AsPersona) == "null" {
		return 0, false, nil
	}
	var n number
	if json.Unmarshal(in.AsPersona, &n) == nil {
		return int64(n), true, nil
	}
	var ref struct {
		ID number `json:"id"`
	}
	if json.Unmarshal(in.AsPersona, &ref) != nil {
		return 0, false, fault.New(fault.Invalid, "as_persona is the number of a persona")
	}
	return int64(ref.ID), true, nil
}

// tokenUser is as whom a new token acts. Who acts as a persona himself gives
// away no more than that.
func (s *server) tokenUser(c call, in tokenRequest) (store.User, error) {
	u := c.user
	id, said, err := in.persona()
	if err != nil || !said {
		return u, err
	}
	if u.Persona != 0 && id != u.Persona {
		return u, fault.New(fault.Invalid, "InvalidPersonaForUser: this session acts as a persona, and so does every API token that it makes")
	}
	if byToken(c) && id != u.Persona {
		return u, fault.New(fault.Invalid, "InvalidPersonaForUser: an API token makes no others than such as act as it does")
	}
	if u.Persona = id; !s.mayAct(u) {
		return u, fault.New(fault.Invalid, "InvalidPersonaForUser: there is no persona %d for this user", id)
	}
	if p := s.shelves.ByID("persona", id); p != nil && id != c.user.Persona && p.Object.Is("require_reauthentication_flag") {
		return u, fault.New(fault.Denied, "InvalidPersonaForUser: the persona %q wants the password again: take it on first (session/as_persona/%d)", p.Name, id)
	}
	return u, nil
}

// heir refuses an API token that may do more than the one which makes it: live
// longer, or be used from elsewhere. Turning gives no more either.
func (in tokenRequest) heir(maker store.Token, trusted string, days int) error {
	if days > maker.Days {
		return fault.New(fault.Denied, "expire_in_days is %d: an API token of %d days makes none that lives longer", days, maker.Days)
	}
	may, err := parseTrusted(trusted)
	if err != nil || len(may) == 0 {
		return err
	}
	wanted, err := parseTrusted(in.TrustedIPAddresses)
	if err != nil {
		return nil // refused below, with what is wrong
	}
	for _, w := range wanted {
		if !slices.ContainsFunc(may, func(m netip.Prefix) bool { return m.Bits() <= w.Bits() && m.Contains(w.Addr()) }) {
			return fault.New(fault.Denied, "trusted_ip_addresses: an API token makes none that is used from where it may not be used itself: %s", w)
		}
	}
	return nil
}

func (s *server) createToken(ctx context.Context, c call, in tokenRequest) (tokenObject, error) {
	if c.user.UserGroup != 0 {
		return tokenObject{}, notAsMember()
	}
	days := tokenDays
	if in.ExpireInDays != nil {
		days = int(*in.ExpireInDays)
	}
	if maker, ok := s.tokens.find(store.HashOf(c.Header.Get("session"))); ok {
		if in.ExpireInDays == nil {
			days = min(days, maker.Days)
		}
		if err := in.heir(maker, cmp.Or(maker.Trusted, s.setting(trustedSetting)), days); err != nil {
			return tokenObject{}, err
		}
		in.TrustedIPAddresses = cmp.Or(in.TrustedIPAddresses, maker.Trusted)
	}
	if days < 1 || days > tokenDaysMax {
		return tokenObject{}, fault.New(fault.Invalid, "expire_in_days is %d, not 1 to %d", days, tokenDaysMax)
	}
	if len(in.Name) > nameMax || len(in.Notes) > notesMax || len(in.TrustedIPAddresses) > notesMax {
		return tokenObject{}, fault.New(fault.Invalid, "name has at most %d bytes, notes and trusted_ip_addresses %d", nameMax, notesMax)
	}
	if _, err := parseTrusted(in.TrustedIPAddresses); err != nil {
		return tokenObject{}, fault.New(fault.Invalid, "trusted_ip_addresses: %w", err)
	}
	as, err := s.tokenUser(c, in)
	if err != nil {
		return tokenObject{}, err
	}
	str, now := newTokenString(), time.Now()
	var t store.Token
	err = s.tokens.change(ctx, s.store, func() (_, _ store.Token, err error) {
		if n := len(s.tokens.of(c.user.ID)); n >= tokensMax {
			return t, t, fault.New(fault.Conflict, "there are %d API tokens already: delete some first", n)
		}
		t, err = s.store.CreateToken(ctx, store.Token{
			Hash: store.HashOf(str), UserID: c.user.ID, Name: in.Name, Notes: in.Notes, Trusted: in.TrustedIPAddresses,
			Persona: as.Persona, Days: days, Created: now, Expires: now.AddDate(0, 0, days),
		})
		return store.Token{}, t, err
	})
	out := s.toToken(t, c.user)
	out.TokenString = str
	if err != nil {
		return out, err
	}
	return out, s.auditToken(ctx, c, "create", t)
}

type rotation struct {
	TokenString string `json:"token_string"`
}

// rotateToken gives a token a new string. An expired one is beyond that.
func (s *server) rotateToken(ctx context.Context, c call, in rotation) (tokenObject, error) {
	if !strings.HasPrefix(in.TokenString, tokenPrefix) {
		return tokenObject{}, fault.New(fault.Invalid, "token_string is needed: the string of the token to rotate")
	}
	if err := s.tokens.load(ctx, s.store); err != nil {
		return tokenObject{}, err
	}
	old := store.HashOf(in.TokenString)
	was, ok := s.tokens.find(old)
	if !ok || was.UserID != c.user.ID {
		return tokenObject{}, missingToken()
	}
	now := time.Now()
	if !now.Before(was.Expires) {
		return tokenObject{}, refusal{http.StatusUnauthorized, fault.New(fault.Stranger, "Unauthorized: the API token has expired")}
	}
	str := newTokenString()
	var t store.Token
	err := s.tokens.change(ctx, s.store, func() (gone, _ store.Token, err error) {
		t, err = s.store.RotateToken(ctx, c.user.ID, old, store.HashOf(str), now)
		if err == nil || fault.KindOf(err) == fault.NotFound {
			gone = was
		}
		return gone, t, err
	})
	out := s.toToken(t, c.user)
	out.TokenString = str
	if err != nil {
		return out, orMissing(err, "APIToken", "API token")
	}
	return out, s.auditToken(ctx, c, "rotate", t)
}
