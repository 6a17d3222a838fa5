package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Ways are how sources are reached, and who asks there.
type Ways struct {
	Proxy        *url.URL // an http proxy, with user and password; nil: none
	Direct       []string // hosts that are reached without it: see [Ways.direct]
	Logins       []Login
	Certificates []Certificate
	Trusted      []Trusted
}

// A Login is a user of the sources that a pattern matches and says the host of.
type Login struct{ Pattern, User, Password string }

// A Certificate is shown to the sources that a pattern matches and says the host
// of, if they ask for one.
type Certificate struct {
	Pattern     string
	Certificate tls.Certificate
}

// A Trusted certificate vouches for the sources that a pattern matches, besides
// those that the system trusts.
type Trusted struct {
	Pattern     string // empty: of all
	Certificate *x509.Certificate
}

// NamesHost reports whether a pattern says a whole host, as one must that gives
// secrets away.
func NamesHost(pattern string) bool {
	text := strings.ToLower(strings.ReplaceAll(pattern, `\`, ""))
	_, host, ok := strings.Cut(text, "://")
	if scheme := text[:max(len(text)-len(host)-len("://"), 0)]; !ok || scheme != "http" && scheme != "https" && scheme != "https?" {
		return false
	}
	if strings.HasPrefix(host, "[") {
		host, _, _ = strings.Cut(host[1:], "]")
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	if i := strings.IndexAny(host, ":/?("); i >= 0 {
		host = host[:i]
	}
	return host != "" && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// matches reports whether a pattern matches an address as a whole, and if named,
// says its host.
func matches(pattern string, u *url.URL, named bool) bool {
	r := rulesOf([]string{pattern})
	if named {
		return r.names(u)
	}
	return len(r) == 1 && r.checkURL(u) == nil
}

// direct reports whether a host is reached without the proxy: entries are names,
// addresses, networks (10.0.0.0/8), whole domains (.example.org or
// *.example.org), or * for everything.
func (w Ways) direct(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	addr, _ := netip.ParseAddr(host) // the zero address is in no network
	for _, entry := range w.Direct {
		entry = strings.ToLower(strings.TrimSpace(entry))
		if domain := strings.TrimPrefix(entry, "*"); strings.HasPrefix(domain, ".") && strings.HasSuffix(host, domain) {
			return true
		}
		if network, err := netip.ParsePrefix(entry); err == nil && network.Contains(addr.Unmap()) {
			return true
		}
		if entry == "*" || entry != "" && entry == host {
			return true
		}
	}
	return false
}

// localName reports whether a host is a name of the machine that looks it up, or
// an address that is used only if somebody names it, however it is written. It
// is asked where another machine, the proxy, looks the name up.
func localName(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if addr, err := netip.ParseAddr(host); err == nil {
		return isSpecial(addr)
	}
	last := host[strings.LastIndexByte(host, '.')+1:]
	if last == "localhost" {
		return true
	}
	// Many programs take 127.1, 0x7f000001 and 2130706433 for addresses.
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil || strings.Trim(last, "0123456789") == ""
}

// A hop is how one address is reached.
type hop struct {
	transport *http.Transport
	login     *Login // nil: nobody asks for one
}

// hop makes the way to an address that is allowed.
func (t *try) hop(u *url.URL) (hop, error) {
	named := t.rules.names(u)
	cfg := &tls.Config{RootCAs: t.roots(u), MinVersion: tls.VersionTLS12}
	for i := range t.ways.Certificates {
		if c := &t.ways.Certificates[i]; matches(c.Pattern, u, true) {
			cfg.Certificates = []tls.Certificate{c.Certificate}
			break
		}
	}
	h := hop{transport: &http.Transport{
		TLSClientConfig:    cfg,
		DisableKeepAlives:  true, // the next address is dialled by its own right
		DisableCompression: true, // the hash is that of what is there
	}}
	for i := range t.ways.Logins {
		if l := &t.ways.Logins[i]; matches(l.Pattern, u, true) {
			h.login = l
			break
		}
	}
	guard := watched{named: named}
	if t.ways.Proxy != nil && !t.ways.direct(u.Hostname()) {
		if !named && localName(u.Hostname()) {
			return h, failed(NotAllowed, "the source is at %s, which is used only if an allowed URL says its host", u.Hostname())
		}
		guard.named = true // it is the proxy that is dialled, and an operator has named it
		h.transport.Proxy = http.ProxyURL(t.ways.Proxy)
		h.transport.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, res *http.Response) error {
			return proxyRefuses(res)
		}
	}
	dialer := &net.Dialer{Timeout: t.f.cfg.Limits.Head, ControlContext: guard.control}
	h.transport.DialContext = dialer.DialContext
	return h, nil
}

// proxyRefuses is the failure that a proxy's own answer says; nil: none.
func proxyRefuses(res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	return &failure{status: res.StatusCode, after: retryAfter(res), err: fmt.Errorf("the proxy answers %s", res.Status)}
}

// roots are whose word on the certificate of an address is believed; nil: the
// system's.
func (t *try) roots(u *url.URL) *x509.CertPool {
	pool, own := t.f.cfg.Roots, false
	for _, c := range t.ways.Trusted {
		if c.Pattern != "" && !matches(c.Pattern, u, false) {
			continue
		}
		if !own {
			pool, own = t.systemRoots(), true
		}
		pool.AddCert(c.Certificate)
	}
	return pool
}

// systemRoots is a copy of the roots without those of a pattern.
func (t *try) systemRoots() *x509.CertPool {
	if t.f.cfg.Roots != nil {
		return t.f.cfg.Roots.Clone()
	}
	if pool, err := x509.SystemCertPool(); err == nil {
		return pool
	}
	return x509.NewCertPool() // a system without any trusts nobody else
}
