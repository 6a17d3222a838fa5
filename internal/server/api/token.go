package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"catenary/internal/fault"
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
	DeletedFlag        int        `json:"deleted_flag"`
	// TokenString is shown once, when it has just been made.
	TokenString string `json:"token_string,omitempty"`
}

func toToken(t store.Token, u store.User) tokenObject {
	return tokenObject{
		ID: t.ID, Name: t.Name, Notes: t.Notes, CreatedTime: isoTime(t.Created), Expiration: isoTime(t.Expires),
		ExpireInDays: t.Days, LastUsedOn: isoTime(t.LastUsed), TrustedIPAddresses: t.Trusted, User: toUser(u),
	}
}

func newTokenString() string { return tokenPrefix + randomHex() }

func (s *server) listTokens(ctx context.Context, c call) ([]tokenObject, error) {
	list, err := s.store.Tokens(ctx, c.user.ID)
	if err != nil {
		return nil, err
	}
	out := make([]tokenObject, len(list))
	for i, t := range list {
		out[i] = toToken(t, c.user)
	}
	return out, nil
}

func (s *server) showToken(ctx context.Context, c call) (tokenObject, error) {
	id, err := c.number("id", "token")
	if err != nil {
		return tokenObject{}, err
	}
	t, err := s.store.TokenByID(ctx, c.user.ID, int64(id))
	return toToken(t, c.user), orMissing(err, "APIToken", "API token")
}

func (s *server) deleteToken(ctx context.Context, c call) (tokenObject, error) {
	id, err := c.number("id", "token")
	if err != nil {
		return tokenObject{}, err
	}
	t, err := s.store.DeleteToken(ctx, c.user.ID, int64(id))
	out := toToken(t, c.user)
	out.DeletedFlag = 1
	return out, orMissing(err, "APIToken", "API token")
}

type tokenRequest struct {
	Name               string  `json:"name"`
	Notes              string  `json:"notes"`
	ExpireInDays       *number `json:"expire_in_days"`
	TrustedIPAddresses string  `json:"trusted_ip_addresses"`
}

func (s *server) createToken(ctx context.Context, c call, in tokenRequest) (tokenObject, error) {
	days := tokenDays
	if in.ExpireInDays != nil {
		days = int(*in.ExpireInDays)
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
	have, err := s.store.Tokens(ctx, c.user.ID)
	if err != nil {
		return tokenObject{}, err
	}
	if len(have) >= tokensMax {
		return tokenObject{}, fault.New(fault.Conflict, "there are %d API tokens already: delete some first", len(have))
	}
	str, now := newTokenString(), time.Now()
	t, err := s.store.CreateToken(ctx, store.Token{
		Hash: store.HashOf(str), UserID: c.user.ID, Name: in.Name, Notes: in.Notes, Trusted: in.TrustedIPAddresses,
		Days: days, Created: now, Expires: now.AddDate(0, 0, days),
	})
	out := toToken(t, c.user)
	out.TokenString = str
	return out, err
}

type rotation struct {
	TokenString string `json:"token_string"`
}

// rotateToken gives a token a new string. An expired one is beyond that.
func (s *server) rotateToken(ctx context.Context, c call, in rotation) (tokenObject, error) {
	if !strings.HasPrefix(in.TokenString, tokenPrefix) {
		return tokenObject{}, fault.New(fault.Invalid, "token_string is needed: the string of the token to rotate")
	}
	old := store.HashOf(in.TokenString)
	t, err := s.store.TokenByHash(ctx, old)
	if err != nil {
		return tokenObject{}, orMissing(err, "APIToken", "API token")
	}
	now := time.Now()
	if !now.Before(t.Expires) {
		return tokenObject{}, refusal{http.StatusUnauthorized, fault.New(fault.Stranger, "Unauthorized: the API token has expired")}
	}
	str := newTokenString()
	t, err = s.store.RotateToken(ctx, c.user.ID, old, store.HashOf(str), now)
	out := toToken(t, c.user)
	out.TokenString = str
	return out, orMissing(err, "APIToken", "API token")
}
