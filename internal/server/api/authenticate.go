package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/setting"
	"catenary/internal/server/store"
)

const tokenPrefix = "token-"

// authenticate returns whose session or token string it is.
func (s *server) authenticate(ctx context.Context, str secret, addr netip.Addr) (store.User, error) {
	if str == "" {
		return store.User{}, fault.New(fault.Stranger, `No session: log in at session/login and send the session string, or an API token, in the header "session"`)
	}
	if strings.HasPrefix(string(str), tokenPrefix) {
		return s.useToken(ctx, str, addr)
	}
	if u, ok := s.sessions.use(time.Now(), str); ok && s.mayAct(u) {
		return u, nil
	}
	return store.User{}, fault.New(fault.Stranger, "Invalid session")
}

func (s *server) useToken(ctx context.Context, str secret, addr netip.Addr) (store.User, error) {
	bad := func(why string) (store.User, error) {
		return store.User{}, refusal{http.StatusUnauthorized, fault.New(fault.Stranger, "Unauthorized: %s", why)}
	}
	if err := s.tokens.load(ctx, s.store); err != nil {
		return store.User{}, err
	}
	h := store.HashOf(string(str))
	t, ok := s.tokens.find(h)
	if !ok {
		return bad("unknown API token")
	}
	now := time.Now()
	if !now.Before(t.Expires) {
		return bad("the API token has expired")
	}
	trusted := t.Trusted
	if trusted == "" {
		trusted = s.setting(trustedSetting)
	}
	if !trusts(trusted, addr) {
		return bad("the API token may not be used from this address")
	}
	u := s.userOf(t)
	if !s.mayAct(u) {
		return bad("the user of the API token may not act any more")
	}
	s.tokens.use(now, h)
	return u, nil
}

// trusts reports whether a list of addresses and networks has addr. An empty
// list has every address, and each list has this very machine.
func trusts(list string, addr netip.Addr) bool {
	nets, err := parseTrusted(list)
	if addr.IsLoopback() || err == nil && len(nets) == 0 {
		return true
	}
	// A setting that cannot be read opens nothing.
	return err == nil && holds(nets, addr)
}

func holds(nets []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// parseTrusted reads addresses and networks with commas or blanks between.
func parseTrusted(list string) ([]netip.Prefix, error) { return setting.Addresses(list) }

// remote is the address that a request comes from; the zero address if the
// connection has none.
func remote(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
