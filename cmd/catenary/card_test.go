//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"catenary/internal/server/signin/signintest"
)

// TestLoginByCard: a server that was told whose certificates let people in lets
// them in, until they are revoked; a browser without one notices nothing.
func TestLoginByCard(t *testing.T) {
	dir := t.TempDir()
	office := signintest.NewOffice(t, "Office")
	office.Issue("admin", "/CN=admin", "extendedKeyUsage=clientAuth\n")
	s := newLoneServer(t, dir, freePort(t))
	s.flags = []string{"--login-authorities", office.Authority(), "--login-revocations", office.Revoke()}
	a := s.start()
	token, err := s.session(a).MakeToken(t.Context(), "by password") // without a certificate
	must(t, err)
	for name, value := range map[string]string{"CATENARY_URL": a.API, "CATENARY_TOKEN": token, "CATENARY_CA": a.CA} {
		t.Setenv(name, value)
	}
	_, _, err = run(t, nil, "setting", "change", "login_certificate_name", "--set", "value=cn")
	must(t, err)

	login := func() (string, error) {
		_, errs, err := run(t, nil, "login", "--config", filepath.Join(dir, "own.toml"), "--certificate", office.File("admin.pem"), "--key", office.File("person.key"))
		return errs, err
	}
	said, err := login()
	must(t, err)
	wants(t, said, "Logged in to "+a.API+" as CN=admin for 30 days")

	office.Revoke("admin") // and nobody restarts the server
	if said, err := login(); err == nil || !strings.Contains(err.Error(), "the certificate was revoked by CN=Office") {
		t.Errorf("revoked: %v %s", err, said)
	}
	for _, args := range [][]string{
		{"--login-revocations", office.File("list.pem")},
		{"--login-authorities", office.File("admin.pem")},
	} {
		if _, _, err := run(t, nil, append([]string{"server", "--data-dir", filepath.Join(dir, "other"), "--listen", "127.0.0.1:0", "--api", "127.0.0.1:0"}, args...)...); err == nil {
			t.Errorf("%v: a server has started", args)
		}
	}
}
