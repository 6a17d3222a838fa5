package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/certificate"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A shop makes certificates with openssl, as an authority of an organisation
// does.
type shop struct {
	t   *testing.T
	dir string
}

func newShop(t *testing.T) *shop {
	s := &shop{t, t.TempDir()}
	for name, text := range map[string]string{
		"server.ext": "subjectAltName=DNS:catenary.example.org,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n",
		"client.ext": "subjectAltName=DNS:catenary.example.org\nextendedKeyUsage=clientAuth\n",
		"bare.ext":   "basicConstraints=CA:FALSE\n",
		"ca.ext":     "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n",
	} {
		must(t, os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600))
	}
	s.key("root", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	s.run("req", "-x509", "-new", "-key", "root.key", "-subj", "/CN=Example Root", "-days", "3650", "-out", "root.pem")
	s.key("mid", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	s.request("mid", "/CN=Example Issuing")
	s.sign("mid", "root", "ca.ext")
	return s
}

func (s *shop) run(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = s.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func (s *shop) key(name string, args ...string) {
	s.t.Helper()
	s.run(append([]string{"genpkey", "-out", name + ".key"}, args...)...)
}

func (s *shop) request(name, subject string) {
	s.t.Helper()
	s.run("req", "-new", "-key", name+".key", "-subj", subject, "-out", name+".csr")
}

func (s *shop) sign(name, by, extensions string, more ...string) {
	s.t.Helper()
	s.run(append([]string{"x509", "-req", "-in", name + ".csr", "-CA", by + ".pem", "-CAkey", by + ".key", "-CAcreateserial", "-extfile", extensions, "-days", "365", "-out", name + ".pem"}, more...)...)
}

// leaf makes a server's certificate, issued by the middle one.
func (s *shop) leaf(name, extensions string, more ...string) {
	s.t.Helper()
	s.key(name, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
	s.request(name, "/CN="+name)
	s.sign(name, "mid", extensions, more...)
}

func (s *shop) read(names ...string) []byte {
	s.t.Helper()
	var out []byte
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		must(s.t, err)
		out = append(out, data...)
	}
	return out
}

// ownCertificate is one such as the installation makes itself.
func ownCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "own"}, DNSNames: []string{"localhost"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	must(t, err)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func open(t *testing.T, dir string, own *tls.Certificate) *certificate.Folder {
	t.Helper()
	f, err := certificate.Open(dir, own)
	must(t, err)
	return f
}

// serve serves TLS with the folder's certificate until the test ends.
func serve(t *testing.T, f *certificate.Folder) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: f.ForConnection, MinVersion: tls.VersionTLS13})
	must(t, err)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return // closed: the test is over
			}
			go func() {
				defer c.Close()
				var one [1]byte
				for {
					if _, err := c.Read(one[:]); err != nil {
						return
					}
					if _, err := c.Write(one[:]); err != nil {
						return
					}
				}
			}()
		}
	}()
	t.Cleanup(func() { must(t, ln.Close()) })
	return ln.Addr().String()
}

// TestInstall: a chain that openssl has made is shown to who connects from then
// on, connections that are open go on, openssl verifies what it sees, and a
// restart changes nothing; once removed, the server's own is shown again.
func TestInstall(t *testing.T) {
	s, dir, own := newShop(t), t.TempDir(), ownCertificate(t)
	s.leaf("server", "server.ext")
	f := open(t, dir, own)
	addr := serve(t, f)
	before, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	defer before.Close()
	if _, err := f.Remove(); fault.KindOf(err) != fault.NotFound {
		t.Errorf("nothing is removed: %v", err)
	}
	shown, err := f.Install(s.read("server.key", "server.pem", "mid.pem"), "catenary.example.org", time.Now())
	must(t, err)
	if !shown.Installed || len(shown.Chain) != 2 || !slices.Equal(certificate.Names(shown.Chain[0]), []string{"catenary.example.org", "127.0.0.1"}) {
		t.Errorf("shown is %+v", shown)
	}
	verify := func(addr string) string {
		return s.run("s_client", "-connect", addr, "-CAfile", "root.pem", "-verify_return_error", "-verify_hostname", "catenary.example.org", "-brief")
	}
	if said := verify(addr); !strings.Contains(said, "Verification: OK") || !strings.Contains(said, "CN = server") {
		t.Errorf("openssl says %s", said)
	}
	_, err = before.Write([]byte("x"))
	must(t, err)
	if _, err := before.Read(make([]byte, 1)); err != nil || before.ConnectionState().PeerCertificates[0].Subject.CommonName != "own" {
		t.Errorf("the connection from before: %v", err)
	}
	if said := verify(serve(t, open(t, dir, own))); !strings.Contains(said, "Verification: OK") {
		t.Errorf("after a restart openssl says %s", said)
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
	_, err = f.Remove()
	must(t, err)
	after, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	must(t, err)
	defer after.Close()
	if name := after.ConnectionState().PeerCertificates[0].Subject.CommonName; name != "own" || f.Shown().Installed {
		t.Errorf("after its removal %q is shown", name)
	}
	if open(t, dir, own).Shown().Installed {
		t.Error("after its removal and a restart it is back")
	}
}

// TestRequest: openssl finds the request in order, and signs it; the chain comes
// without a key and is shown with the one that has never left the folder.
func TestRequest(t *testing.T) {
	s, dir, own := newShop(t), t.TempDir(), ownCertificate(t)
	f := open(t, dir, own)
	for what, err := range map[string]error{
		"a request": second(f.Requested()), "a withdrawal": f.Withdraw(), "a chain": second(f.Install(s.read("mid.pem"), "", time.Now())),
	} {
		if err == nil {
			t.Errorf("without a request there is %s", what)
		}
	}
	names := []string{"catenary.example.org", "127.0.0.1"}
	_, err := f.Request(pkix.Name{CommonName: "abandoned"}, names)
	must(t, err)
	csr, err := f.Request(pkix.Name{CommonName: "catenary", Organization: []string{"Example"}}, names)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.dir, "asked.csr"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr.Raw}), 0o600))
	said := s.run("req", "-in", "asked.csr", "-verify", "-noout", "-text")
	for _, want := range []string{"verify OK", "O = Example, CN = catenary", "DNS:catenary.example.org, IP Address:127.0.0.1"} {
		if !strings.Contains(said, want) {
			t.Errorf("openssl does not say %q but %s", want, said)
		}
	}
	s.sign("asked", "mid", "server.ext")
	f = open(t, dir, own) // the request outlives a restart
	again, err := f.Requested()
	if err != nil || !bytes.Equal(again.Raw, csr.Raw) {
		t.Errorf("the request has become %v, %v", again, err)
	}
	if _, err := f.Install(s.read("mid.pem"), "", time.Now()); err == nil || !strings.Contains(err.Error(), "the private key is not the one of the first certificate") {
		t.Errorf("another certificate than was requested: %v", err)
	}
	_, err = f.Install(s.read("asked.pem", "mid.pem"), "catenary.example.org", time.Now())
	must(t, err)
	if said := s.run("s_client", "-connect", serve(t, f), "-CAfile", "root.pem", "-verify_return_error", "-brief"); !strings.Contains(said, "CN = catenary") {
		t.Errorf("openssl says %s", said)
	}
	if _, err := f.Requested(); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the request is left: %v", err)
	}
	_, err = f.Request(pkix.Name{}, names)
	must(t, err)
	must(t, f.Withdraw())
	if _, err := f.Requested(); fault.KindOf(err) != fault.NotFound {
		t.Errorf("the request is left: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestRefuses: what browsers would not accept is refused, with the reason, and
// what was shown is shown.
func TestRefuses(t *testing.T) {
	s, dir, own := newShop(t), t.TempDir(), ownCertificate(t)
	s.leaf("server", "server.ext")
	s.leaf("other", "server.ext")
	s.leaf("client", "client.ext")
	s.leaf("bare", "bare.ext")
	s.leaf("sha1", "server.ext", "-sha1")
	s.key("weak", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024")
	s.request("weak", "/CN=weak")
	s.sign("weak", "mid", "server.ext")
	s.run("pkcs8", "-topk8", "-in", "server.key", "-passout", "pass:x", "-out", "locked.key")
	f := open(t, dir, own)
	now := time.Now()
	for _, tt := range []struct {
		what string
		text []byte
		host string
		now  time.Time
		want string
	}{
		{"nothing", nil, "", now, "it has no certificate in PEM"},
		{"no PEM", []byte("certificate"), "", now, "it has no certificate in PEM"},
		{"a damaged block", slices.Concat(s.read("server.pem"), []byte("-----BEGIN CERTIFICATE-----\nxx")), "", now, "a block of PEM is damaged"},
		{"only a key", s.read("server.key"), "", now, "it has no certificate in PEM"},
		{"no key", s.read("server.pem"), "", now, "its private key is missing, and no certificate is requested here"},
		{"another's key", s.read("other.key", "server.pem"), "", now, "the private key is not the one of the first certificate (CN=server)"},
		{"two keys", s.read("other.key", "server.key", "server.pem"), "", now, "more than one private key"},
		{"an encrypted key", s.read("locked.key", "server.pem"), "", now, "its private key is encrypted: decrypt it first"},
		{"a request", s.read("server.csr"), "", now, `a block "CERTIFICATE REQUEST"`},
		{"expired", s.read("server.key", "server.pem"), "", now.AddDate(2, 0, 0), "certificate 1 (CN=server) has expired on "},
		{"not yet", s.read("server.key", "server.pem"), "", now.AddDate(-1, 0, 0), "certificate 1 (CN=server) is not good before "},
		{"an expired issuer", s.read("server.key", "server.pem", "mid.pem"), "", now.AddDate(0, 0, 365).Add(time.Minute), "has expired on "},
		{"for another host", s.read("server.key", "server.pem"), "www.example.org", now, "is not for www.example.org, which the setting public_url names, but for catenary.example.org, 127.0.0.1"},
		{"for clients", s.read("client.key", "client.pem"), "", now, "is not for servers"},
		{"no names", s.read("bare.key", "bare.pem"), "", now, "says no name or address"},
		{"a weak key", s.read("weak.key", "weak.pem"), "", now, "its RSA key has 1024 bits"},
		{"SHA-1", s.read("sha1.key", "sha1.pem"), "", now, "signed with ECDSA-SHA1, which is broken"},
		{"the wrong order", s.read("server.key", "server.pem", "root.pem", "mid.pem"), "", now, "certificate 1 (CN=server) has not been issued by certificate 2 (CN=Example Root)"},
		{"too many", slices.Concat(s.read("server.key"), bytes.Repeat(s.read("server.pem"), 11)), "", now, "more than 10 certificates"},
	} {
		_, err := f.Install(tt.text, tt.host, tt.now)
		if fault.KindOf(err) != fault.Invalid || err == nil || !strings.HasPrefix(err.Error(), "HTTPSCertificateInvalid: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.want)
		}
		if f.Shown().Installed {
			t.Fatalf("%s: is shown", tt.what)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	must(t, os.WriteFile(filepath.Join(dir, "https.pem"), s.read("other.key", "server.pem"), 0o600))
	if _, err := certificate.Open(dir, own); err == nil || !strings.Contains(err.Error(), "https.pem: HTTPSCertificateInvalid: its key is missing, or another's; without the file") {
		t.Errorf("a damaged file: %v", err)
	}
}

// TestKeyForms: keys come in several forms, and of several kinds.
func TestKeyForms(t *testing.T) {
	s, own := newShop(t), ownCertificate(t)
	s.leaf("server", "server.ext")
	s.run("ec", "-in", "server.key", "-out", "sec1.key")
	s.run("ecparam", "-name", "prime256v1", "-out", "params.pem")
	for name, args := range map[string][]string{"rsa": {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}, "ed": {"-algorithm", "ED25519"}} {
		s.key(name, args...)
		s.request(name, "/CN="+name)
		s.sign(name, "mid", "server.ext")
	}
	s.run("rsa", "-in", "rsa.key", "-traditional", "-out", "pkcs1.key")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.read("root.pem"))
	for _, files := range [][]string{
		{"server.pem", "mid.pem", "sec1.key"}, {"params.pem", "sec1.key", "server.pem", "mid.pem"}, {"pkcs1.key", "rsa.pem", "mid.pem"}, {"rsa.key", "rsa.pem", "mid.pem", "root.pem"}, {"ed.key", "ed.pem", "mid.pem"},
	} {
		f := open(t, t.TempDir(), own)
		_, err := f.Install(s.read(files...), "127.0.0.1", time.Now())
		if err != nil {
			t.Errorf("%v: %v", files, err)
			continue
		}
		c, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", serve(t, f), &tls.Config{RootCAs: roots})
		if err != nil {
			t.Errorf("%v: %v", files, err)
			continue
		}
		must(t, c.Close())
	}
}

func FuzzInstall(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		folder := open(t, t.TempDir(), ownCertificate(t))
		if _, err := folder.Install(text, "", time.Now()); err != nil && fault.KindOf(err) != fault.Invalid {
			t.Errorf("error is %v", err)
		}
	})
}
