package fetch

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A proxy passes requests on, and everything on connections that are made through
// it, to one source whatever it is called.
type proxy struct {
	*httptest.Server
	to string // address of the source

	mu     sync.Mutex // guards the fields below
	asked  []string   // what was asked for, and by whom
	refuse int        // with this status; 0: it does not
}

func newProxy(t *testing.T, to string) *proxy {
	p := &proxy{to: to}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	user := r.Header.Get("Proxy-Authorization")
	p.asked = append(p.asked, strings.TrimSpace(r.Method+" "+r.RequestURI+" "+user))
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != 0 {
		w.WriteHeader(refuse)
		return
	}
	if r.Method == http.MethodConnect {
		p.tunnel(w)
		return
	}
	r.URL.Host, r.RequestURI = p.to, ""
	r.Header.Del("Proxy-Authorization")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer res.Body.Close()
	w.WriteHeader(res.StatusCode)
	io.Copy(w, res.Body)
}

func (p *proxy) tunnel(w http.ResponseWriter) {
	out, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	w.WriteHeader(http.StatusOK)
	in, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		out.Close()
		return
	}
	go func() {
		io.Copy(out, in)
		out.Close()
	}()
	io.Copy(in, out)
	in.Close()
}

func (p *proxy) heard() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// through lets a bench use ways, before it wants anything.
func (b *bench) through(w Ways, allowed ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ways, b.allowed = w, allowed
}

func asURL(t *testing.T, text, user, password string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u
}

// TestProxy: sources are reached by the proxy, which looks their names up and
// knows who asks; those of the list are not.
func TestProxy(t *testing.T) {
	const basic = " Basic dXNlcjpwYXNz" // user:pass
	for _, secure := range []bool{false, true} {
		b := newBench(t, roomy(), secure)
		p := newProxy(t, b.source.Listener.Addr().String())
		_, port, err := net.SplitHostPort(b.source.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		b.through(Ways{Proxy: asURL(t, p.URL, "user", "pass"), Direct: []string{"127.0.0.0/8"}}, `https?://(example\.com|files\.example\.com)/.*`, `https?://127\.0\.0\.1:\d+/.*`)
		scheme, want := "http", []string{"GET http://example.com/a" + basic}
		if secure { // the certificate of httptest is that of example.com, too
			scheme, want = "https", []string{"CONNECT example.com:443" + basic}
		}
		b.want(says("hello"), File{ID: 1, Source: scheme + "://example.com/a"}, File{ID: 2, Source: scheme + "://127.0.0.1:" + port + "/b"})
		b.until(1, "fetched", done)
		b.until(2, "fetched directly", done)
		if got := p.heard(); !slices.Equal(got, want) {
			t.Errorf("the proxy was asked for %q, want %q", got, want)
		}
	}
}

// TestProxyRefuses: what the proxy says is told, and never its password.
func TestProxyRefuses(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		b := newBench(t, quick, false)
		p := newProxy(t, "127.0.0.1:1")
		p.refuse = http.StatusProxyAuthRequired
		b.through(Ways{Proxy: asURL(t, p.URL, "user", "pass-word")}, scheme+`://example\.com/.*`)
		b.want(says("x"), File{ID: 1, Source: scheme + "://example.com/a"})
		if s := b.until(1, "refused", failedWith(407)); !strings.HasPrefix(lastOf(s.Failure), "the proxy answers 407") || strings.Contains(s.Failure, "pass-word") {
			t.Errorf("it says %q", s.Failure)
		}
		b.through(Ways{Proxy: asURL(t, "http://127.0.0.1:1", "user", "pass-word")}, scheme+`://example\.com/.*`)
		b.Anew()
		if s := b.until(1, "without a proxy", failedWith(Unreachable)); strings.Contains(s.Failure, "pass-word") {
			t.Errorf("it says %q", s.Failure)
		}
	}
}

// lastOf is what the innermost error of a failure says.
func lastOf(text string) string {
	if i := strings.Index(text, "the proxy"); i >= 0 {
		return text[i:]
	}
	return text
}

// TestProxyReachesNothingSpecial: what would be the proxy's own machine, or what
// only an allowed URL may name, is not asked of it, however it is written.
func TestProxyReachesNothingSpecial(t *testing.T) {
	for host, special := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1.": true, "[::1]": true, "[::ffff:127.0.0.1]": true, "localhost": true, "a.LOCALHOST.": true, "169.254.169.254": true,
		"127.1": true, "2130706433": true, "0x7f000001": true, "0x7f.1": true, "0177.0.0.1": true, "1.2.3.08": true,
		"example.org": false, "10.0.0.1": false, "a1": false, "1.example.org": false, "localhost.example.org": false,
	} {
		u := asURL(t, "http://"+host+"/", "", "")
		if got := localName(u.Hostname()); got != special {
			t.Errorf("%s: %v", host, got)
		}
	}
	b := newBench(t, quick, false)
	p := newProxy(t, b.source.Listener.Addr().String())
	b.through(Ways{Proxy: asURL(t, p.URL, "", "")})
	b.want(says("x"), File{ID: 1, Source: "http://2130706433/a"})
	b.until(1, "refused", failedWith(NotAllowed))
	b.through(Ways{Proxy: asURL(t, p.URL, "", "")}, `http://localhost/.*`)
	b.want(says("x"), File{ID: 2, Source: "http://localhost/a"})
	b.until(2, "fetched, as it is named", done)
	if got := p.heard(); !slices.Equal(got, []string{"GET http://localhost/a"}) {
		t.Errorf("the proxy was asked for %q", got)
	}
}

func TestDirect(t *testing.T) {
	w := Ways{Direct: []string{" Files.example.org", "*.lab.example.org", ".home", "10.0.0.0/8", "2001:db8::/32", "192.0.2.7", ""}}
	for host, want := range map[string]bool{
		"files.example.org": true, "FILES.example.org.": true, "a.lab.example.org": true, "x.home": true, "10.1.2.3": true, "::ffff:10.1.2.3": true,
		"2001:db8::1": true, "192.0.2.7": true,
		"lab.example.org": false, "example.org": false, "xfiles.example.org": false, "11.0.0.1": false, "192.0.2.70": false, "": false,
	} {
		if got := w.direct(host); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
	if !(Ways{Direct: []string{"*"}}).direct("x") || (Ways{}).direct("x") {
		t.Error("everything, or nothing")
	}
}

func TestNamesHost(t *testing.T) {
	for pattern, want := range map[string]bool{
		`https://example\.org/.*`: true, `https?://example.org(:\d+)?/x`: true, `http://[::1]:80/x`: true, `http://10\.0\.0\.1`: true,
		`https://.*`: false, `.*`: false, `https://[a-z]+\.org/`: false, `https://*.example.org/`: false, `ftp://example.org/`: false,
		`https://example.org|https://b/`: false, `https:///x`: false, `https?`: false, "": false,
	} {
		if got := NamesHost(pattern); got != want {
			t.Errorf("%s: %v", pattern, got)
		}
	}
}

// TestLogin: a user and password go to the sources that they are for, and not to
// where one of them sends on.
func TestLogin(t *testing.T) {
	b := newBench(t, roomy(), false)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("another source hears who asks")
		}
		io.WriteString(w, "other")
	}))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	b.through(Ways{Logins: []Login{
		{`.*`, "all", "all"}, // says no host
		{`http://127\.0\.0\.1:\d+/(a|c)`, "user", "pass"},
	}}, `http://127\.0\.0\.1:\d+/.*`, `http://localhost(:\d+)?/.*`)
	b.want(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case r.URL.Path == "/c" && user == "user":
			http.Redirect(w, r, elsewhere+"/", http.StatusFound)
		case r.URL.Path == "/b" && user == "" || user == "user" && password == "pass" || user == "own":
			io.WriteString(w, "for "+user)
		default:
			w.WriteHeader(http.StatusUnauthorized)
		}
	}, File{ID: 1, Source: "/a"}, File{ID: 2, Source: "/b"}, File{ID: 3, Source: "/c"},
		File{ID: 4, Source: strings.Replace(b.source.URL, "127", "own:pass@127", 1) + "/a"})
	for id, text := range map[int64]string{1: "for user", 2: "for ", 3: "other", 4: "for own"} {
		b.until(id, "fetched", done)
		b.holds(text)
	}
}

// TestCertificates: a source that asks for a certificate gets the one that is for
// it, and one that only an operator trusts is trusted for what he says.
func TestCertificates(t *testing.T) {
	b := newBench(t, roomy(), true)
	own, pool := testCertificate(t)
	b.source.TLS.ClientAuth, b.source.TLS.ClientCAs = tls.VerifyClientCertIfGiven, pool
	b.Fetcher.cfg.Roots = x509.NewCertPool() // nobody is trusted
	authority := b.source.Certificate()
	serve := func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		io.WriteString(w, "hello")
	}
	const here = `https://127\.0\.0\.1:\d+/`
	for name, tt := range map[string]struct {
		ways Ways
		ok   func(State) bool
	}{
		"nobody is trusted":  {Ways{}, failedWith(Unreachable)},
		"trusted for others": {Ways{Trusted: []Trusted{{`https://example\.org/.*`, authority}}}, failedWith(Unreachable)},
		"no certificate":     {Ways{Trusted: []Trusted{{here + ".*", authority}}}, failedWith(403)},
		"one for others":     {Ways{Trusted: []Trusted{{"", authority}}, Certificates: []Certificate{{here + "b", own}}}, failedWith(403)},
		"one for all":        {Ways{Trusted: []Trusted{{"", authority}}, Certificates: []Certificate{{".*", own}}}, failedWith(403)},
		"both":               {Ways{Trusted: []Trusted{{here + ".*", authority}}, Certificates: []Certificate{{here + "a", own}}}, done},
	} {
		b.want(serve)
		b.until(1, "forgotten", func(s State) bool { return s == State{} })
		b.through(tt.ways, here+".*")
		b.want(serve, File{ID: 1, Source: "/a"})
		b.until(1, name, tt.ok)
	}
}

// testCertificate makes a certificate of its own authority.
func testCertificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "downloads"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	leaf, err3 := x509.ParseCertificate(der)
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
