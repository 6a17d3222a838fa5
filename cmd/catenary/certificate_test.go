//go:build unix

package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestCertificateInstalled: an authority of openssl's signs the server's request;
// what is installed is shown at once, and after a restart, and the key has never
// left the server.
func TestCertificateInstalled(t *testing.T) {
	dir := t.TempDir()
	s := newLoneServer(t, dir, freePort(t))
	a := s.start()
	token, err := s.session(a).MakeToken(t.Context(), "installer")
	must(t, err)
	for name, value := range map[string]string{"CATENARY_URL": a.API, "CATENARY_TOKEN": token, "CATENARY_CA": a.CA} {
		t.Setenv(name, value)
	}
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.Command("openssl", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	csr, _, err := run(t, nil, "certificate", "request", "--name", "catenary.example.org", "--organization", "Example")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "server.csr"), []byte(csr), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "server.ext"), []byte("subjectAltName=DNS:catenary.example.org\nextendedKeyUsage=serverAuth\n"), 0o600))
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-subj", "/CN=Example Root", "-days", "30", "-out", "ca.pem")
	openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "server.ext", "-days", "30", "-out", "server.pem")

	_, errs, err := run(t, nil, "certificate", "install", filepath.Join(dir, "ca.pem"))
	if err == nil || !strings.Contains(err.Error(), "HTTPSCertificateInvalid: the private key is not the one of the first certificate") {
		t.Errorf("the authority's own: %v %s", err, errs)
	}
	_, errs, err = run(t, nil, "certificate", "install", filepath.Join(dir, "server.pem"))
	must(t, err)
	wants(t, errs, "New connections are shown O=Example, good until ")
	root, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
	must(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(root)
	shown := func() {
		t.Helper()
		c, err := tls.Dial("tcp", s.api, &tls.Config{RootCAs: roots, ServerName: "catenary.example.org"})
		must(t, err)
		must(t, c.Close())
	}
	shown()
	s.kill()
	s.start()
	shown()
	if info, err := os.Stat(filepath.Join(s.dir, "keys", "https.pem")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info, err)
	}
}
