package api

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"catenary/internal/server/setting"
)

// The settings that sign-in looks at. All of them are system settings, and what
// is set counts from the next request on.
const (
	// trustedSetting is a list of addresses and networks from which tokens
	// without a list of their own may be used; empty or unset: from anywhere.
	trustedSetting = "api_token_trusted_ip_address_list"
	// forwardedSetting is 1 if of a request that comes by way of a proxy the
	// address counts that the proxy names, when a token says from where it may be
	// used.
	forwardedSetting = "authenticate_api_token_with_x_forwarded_for_ip"
	// proxySetting lists the proxies that are believed.
	proxySetting = "trusted_proxy_address_list"
	// secondFactorSetting is 1 if nobody logs in with a password alone.
	secondFactorSetting = "second_factor_required"
	// siteSetting is the URL at which people and identity providers reach this
	// server: https://host[:port].
	siteSetting = "public_url"
)

func (s *server) settingIsOn(name string) bool {
	v := s.setting(name)
	return v == "1" || v == "true"
}

// boundedSetting is what holds of a setting that is a number. A value out of
// bounds is as good as none: nobody locks everybody out by a slip.
func (s *server) boundedSetting(name string) int64 {
	known, _ := setting.Find(name)
	if n := s.settingNumber(name); n >= known.Min && n <= known.Max {
		return n
	}
	n, _ := strconv.ParseInt(known.Default, 10, 64) // a test of the table reads it
	return n
}

// sessionRules are what is set of sessions.
func (s *server) sessionRules() sessionRules {
	return sessionRules{
		idle:    time.Duration(s.boundedSetting(setting.SessionIdle)) * time.Second,
		longest: time.Duration(s.boundedSetting(setting.SessionLongest)) * time.Second,
		perUser: int(s.boundedSetting(setting.SessionsPerUser)),
	}
}

// caller is the address from which a request really comes: that of its
// connection or, if that is a proxy's that is believed, what the proxy says. Of
// a chain of proxies the last one that is not believed counts.
func (s *server) caller(r *http.Request) netip.Addr {
	addr := remote(r)
	proxies, err := parseTrusted(s.setting(proxySetting))
	if err != nil || len(proxies) == 0 {
		return addr
	}
	said := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(said) - 1; i >= 0 && holds(proxies, addr); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(said[i]))
		if err != nil {
			break // the proxy's own address is the best that is known
		}
		addr = next.Unmap().WithZone("")
	}
	return addr
}

// tokenAddress is the address that counts when a token says from where it may be
// used; the zero address, which is in no list, if the request comes by way of a
// proxy on this machine of whose word nothing is said: it is not from here.
func (s *server) tokenAddress(r *http.Request) netip.Addr {
	addr := remote(r)
	if s.settingIsOn(forwardedSetting) {
		addr = s.caller(r)
	}
	if addr.IsLoopback() && !isLocal(r) {
		return netip.Addr{}
	}
	return addr
}

// signinFaces are the objects that say where else people may sign in.
func (s *server) signinFaces() []*face {
	return []*face{s.connectorFace(), s.oidcFace(), s.samlFace(), s.scimFace()}
}
