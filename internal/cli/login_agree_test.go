package cli

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Nobody logs in before he has agreed with the text of the server.
func TestLoginAgrees(t *testing.T) {
	const banner = "You are \x1b[31mwatched.\r\nGo away.\n"
	const shown = "You are \\x1b[31mwatched.\nGo away.\n"
	for _, tt := range []struct {
		name, banner string
		typed        string // by a person
		args         []string
		says         string
		not          string
		code         int
	}{
		{"no text", "", "", nil, "Logged in to ", "agree", exitOK},
		{"blank text", " \n", "", nil, "Logged in to ", "agree", exitOK},
		{"an old server", "?", "", nil, "Logged in to ", "agree", exitOK},
		{"a person agrees", banner, "y\n" + fakePassword + "\n", nil, shown + "Do you agree? [y/N] Logged in to ", "", exitOK},
		{"a person does not", banner, "\n" + fakePassword + "\n", nil, "you have not agreed", "Logged in", exitDenied},
		{"a script", banner, "", nil, shown + "catenary: whoever logs in to ", "Logged in", exitUsage},
		{"a script agrees", banner, "", []string{"--yes"}, shown + "Logged in to ", "Do you agree", exitOK},
		{"--yes for nothing", "", "", []string{"--yes"}, "Logged in to ", "agree", exitOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t)
			f.banner = tt.banner
			p := newPlace(t)
			p.typed, p.piped = tt.typed, fakePassword
			_, errs, code := p.run(append([]string{"login", f.URL, "--user", fakeUser, "--password-stdin", "--ca", f.caFile(t)}, tt.args...)...)
			if code != tt.code || !strings.Contains(errs, tt.says) || tt.not != "" && strings.Contains(errs, tt.not) {
				t.Errorf("got %q, code %d", errs, code)
			}
			if sent := slices.Contains(f.calls, "POST /api/v2/session/login"); sent != (code == exitOK) {
				t.Errorf("code %d, and a password was sent: %v", code, sent)
			}
		})
	}
}

// personal writes a certificate of a person and its key, as openssl does.
func personal(t *testing.T, name string) (certificate, key string) {
	t.Helper()
	dir := t.TempDir()
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
		"-subj", "/CN="+name, "-keyout", key, "-out", certificate).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return certificate, key
}

func TestLoginByCertificate(t *testing.T) {
	f := newFleet(t)
	ada, adaKey := personal(t, "Ada")
	bob, bobKey := personal(t, "Bob")
	for _, tt := range []struct {
		name string
		args []string
		says string
		code int
	}{
		{"Ada's", []string{"--certificate", ada, "--key", adaKey}, "Logged in to " + f.URL + " as CN=Ada for 30 days", exitOK},
		{"another's", []string{"--certificate", bob, "--key", bobKey}, "no certificate of Ada's", exitDenied},
		{"another's key", []string{"--certificate", ada, "--key", bobKey}, "--certificate: tls: private key does not match", exitUsage},
		{"no key", []string{"--certificate", ada}, "--certificate: tls: ", exitUsage},
		{"a key alone", []string{"--key", adaKey}, "give either --certificate", exitUsage},
		{"with a user", []string{"--certificate", ada, "--key", adaKey, "--user", "ada"}, "give either --certificate", exitUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			_, errs, code := p.run(append([]string{"login", f.URL, "--ca", f.caFile(t)}, tt.args...)...)
			if code != tt.code || !strings.Contains(errs, tt.says) {
				t.Errorf("got %q, code %d", errs, code)
			}
			if sessions, _ := f.left(); sessions != 0 {
				t.Errorf("%d sessions are left open", sessions)
			}
		})
	}
}
