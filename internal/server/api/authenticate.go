package api

import (
	"context"
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
	tokenPrefix = "token-"
	usedEvery   = time.Minute // a token's last use is written this often, not at each request

	// trustedSetting is a list of addresses and networks from which tokens
	// without a list of their own may be used; empty or unset: from anywhere.
	trustedSetting = "api_token_trusted_ip_address_list"
)

// login returns the user of a name and a password.
func (s *server) login(ctx context.Context, name, password string, addr netip.Addr) (store.User, error) {
	k := from(name, addr)
	if !s.attempts.begin(time.Now(), k) {
		return store.User{}, refusal{http.StatusUnauthorized, fault.New(fault.Stranger,
			"Too many failed logins: wait %v and try again", lockout)}
	}
	u, err := s.store.UserByName(ctx, name)
	known := err == nil
	switch {
	case known:
	case fault.KindOf(err) == fault.NotFound:
		u.Password = nobodys
	default:
		s.attempts.forgive(time.Now(), k)
		return store.User{}, err
	}
	ok, err := s.passwords.match(ctx, password, u.Password)
	if err != nil {
		s.attempts.forgive(time.Now(), k)
		return store.User{}, err
	}
	if !ok || !known {
		return store.User{}, refusal{http.StatusUnauthorized, fault.New(fault.Stranger, "Unauthorized: wrong user name or password")}
	}
	s.attempts.succeed(k)
	if err := s.store.TouchUser(ctx, u.ID, time.Now()); err != nil {
		return store.User{}, err
	}
	u.Password = "" // nobody needs it from here on
	return u, nil
}

// authenticate returns whose session or token string it is.
func (s *server) authenticate(ctx context.Context, str secret, addr netip.Addr) (store.User, error) {
	if str == "" {
		return store.User{}, fault.New(fault.Stranger, `No session: log in at session/login and send the session string, or an API token, in the header "session"`)
	}
	if strings.HasPrefix(string(str), tokenPrefix) {
		return s.useToken(ctx, str, addr)
	}
	if u, ok := s.sessions.use(time.Now(), str); ok {
		return u, nil
	}
	return store.User{}, fault.New(fault.Stranger, "Invalid session")
}

func (s *server) useToken(ctx context.Context, str secret, addr netip.Addr) (store.User, error) {
	bad := func(why string) (store.User, error) {
		return store.User{}, refusal{http.StatusUnauthorized, fault.New(fault.Stranger, "Unauthorized: %s", why)}
	}
	t, err := s.store.TokenByHash(ctx, store.HashOf(string(str)))
	if fault.KindOf(err) == fault.NotFound {
		return bad("unknown API token")
	}
	if err != nil {
		return store.User{}, err
	}
	now := time.Now()
	if !now.Before(t.Expires) {
		return bad("the API token has expired")
	}
	trusted := t.Trusted
	if trusted == "" {
		if trusted, err = s.store.Setting(ctx, trustedSetting); err != nil && fault.KindOf(err) != fault.NotFound {
			return store.User{}, err
		}
	}
	if !trusts(trusted, addr) {
		return bad("the API token may not be used from this address")
	}
	if now.Sub(t.LastUsed) >= usedEvery {
		if err := s.store.TouchToken(ctx, t.ID, now); err != nil {
			return store.User{}, err
		}
	}
	u, err := s.store.UserByID(ctx, t.UserID)
	u.Password = ""
	return u, err
}

// everything is what a user may do. There are no roles yet: everybody may do
// everything.
func everything(store.User) rights.Rights { return rights.Rights{Anything: true} }

// trusts reports whether a list of addresses and networks has addr. An empty
// list has every address, and each list has this very machine.
func trusts(list string, addr netip.Addr) bool {
	nets, err := parseTrusted(list)
	if addr.IsLoopback() || err == nil && len(nets) == 0 {
		return true
	}
	// A setting that cannot be read opens nothing.
	return err == nil && slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// parseTrusted reads addresses and networks with commas or blanks between.
func parseTrusted(list string) (nets []netip.Prefix, err error) {
	for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := netip.ParsePrefix(f)
		if err != nil {
			a, err := netip.ParseAddr(f)
			if err != nil {
				return nil, fault.New(fault.Invalid, "%q is no address and no network", f)
			}
			n = netip.PrefixFrom(a, a.BitLen())
		}
		nets = append(nets, n)
	}
	return nets, nil
}

// remote is the address that a request comes from; the zero address if the
// connection has none.
func remote(r *http.Request) netip.Addr {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return p.Addr().Unmap().WithZone("")
}
