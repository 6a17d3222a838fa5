package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

func (f *fleet) fingerprint() string {
	return fingerprint(sha256.Sum256(f.Certificate().Raw)).String()
}

// left are the rights that remain on the server.
func (f *fleet) left() (sessions, tokens int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.sessions), len(f.tokens)
}

func TestLoginOnFirstUse(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t)
	p.typed, p.hidden = "yes\n"+fakeUser+"\n", fakePassword
	_, errs, code := p.run("login", f.URL)
	if code != exitOK {
		t.Fatalf("%s", errs)
	}
	for _, part := range []string{f.fingerprint(), "for          example.com", "Trust it from now on? [y/N] ", "User: ", "Password: ", "for 30 days (" + p.configFile() + ")"} {
		if !strings.Contains(errs, part) {
			t.Errorf("did not say %q in\n%s", part, errs)
		}
	}
	got, err := readConfig(p.configFile())
	if err != nil {
		t.Fatal(err)
	}
	if got.URL != f.URL || got.Token != f.tokens[got.TokenID] || got.Fingerprint != f.fingerprint() || got.CA != "" {
		t.Errorf("remembered %+v", got)
	}
	if sessions, tokens := f.left(); sessions != 0 || tokens != 2 {
		t.Errorf("%d sessions and %d tokens are left on the server, want 0 and 2", sessions, tokens)
	}
	p.typed = ""
	if out, errs, code := p.run("ask", "Get number of machines"); out != "Count\n    4\n" || code != exitOK {
		t.Errorf("then: %q, %q, code %d", out, errs, code)
	}
}

func TestLoginIsOfferedADoubtfulCertificate(t *testing.T) {
	f := newFleet(t)
	for _, answer := range []string{"n\n", "\n", "yesterday\n"} {
		p := newPlace(t)
		p.typed, p.hidden = answer, fakePassword
		_, errs, code := p.run("login", f.URL)
		if code != exitDenied || !strings.HasSuffix(errs, "is not trusted; nothing was sent to it\n") {
			t.Errorf("%q: got %q, code %d", answer, errs, code)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("sent %v to a server that is not trusted", f.calls)
	}
	p := newPlace(t)
	p.piped = fakePassword
	_, errs, code := p.run("login", f.URL, "--user", fakeUser, "--password-stdin")
	if code != exitDenied || !strings.Contains(errs, "its fingerprint is "+f.fingerprint()) || len(f.calls) > 0 {
		t.Errorf("without a person: %q, code %d, and sent %v", errs, code, f.calls)
	}
}

func TestLoginByScript(t *testing.T) {
	f := newFleet(t)
	ca := f.caFile(t)
	tests := []struct {
		name  string
		args  []string
		piped string
		says  string
		code  int
	}{
		{"fingerprint", []string{"--fingerprint", f.fingerprint()}, fakePassword + "\n", "Logged in to ", exitOK},
		{"fingerprint in another spelling", []string{"--fingerprint", "sha256:" + strings.ToLower(strings.ReplaceAll(f.fingerprint(), ":", ""))}, fakePassword, "", exitOK},
		{"CA", []string{"--ca", ca, "--days", "3"}, fakePassword + "\r\n", "for 3 days", exitOK},
		{"wrong fingerprint", []string{"--fingerprint", strings.Repeat("00", 32)}, fakePassword, "is not the trusted one", exitDenied},
		{"wrong password", []string{"--ca", ca}, "guess", "login: Wrong user name or password", exitDenied},
		{"no password", []string{"--ca", ca}, "", "no password on standard input", exitUsage},
		{"no days", []string{"--ca", ca, "--days", "0"}, fakePassword, "--days 0", exitUsage},
		{"two URLs", []string{"--url", "a", "--ca", ca}, fakePassword, "give the URL once", exitUsage},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			p.piped = tt.piped
			_, errs, code := p.run(append([]string{"login", f.URL, "--user", fakeUser, "--password-stdin"}, tt.args...)...)
			if code != tt.code || !strings.Contains(errs, tt.says) {
				t.Errorf("got %q, code %d, want %q, code %d", errs, code, tt.says, tt.code)
			}
			_, err := os.Stat(p.configFile())
			if (err == nil) != (tt.code == exitOK) {
				t.Errorf("configuration file: %v", err)
			}
			if sessions, _ := f.left(); sessions != 0 {
				t.Errorf("%d sessions are left open", sessions)
			}
		})
	}
}

func TestLoginAsksForWhatItNeeds(t *testing.T) {
	tests := []struct {
		args []string
		says string
	}{
		{[]string{"login"}, "which server?"},
		{[]string{"login", "host", "--password-stdin"}, "--password-stdin needs --user"},
		{[]string{"login", "host", "--ca", "../cli/testdata/none.pem"}, "the server's CA"},
		{[]string{"login", "host", "--fingerprint", strings.Repeat("00", 32)}, "give --user, and the password with --password-stdin"},
	}
	for _, tt := range tests {
		_, errs, code := newPlace(t).run(tt.args...)
		if code != exitUsage || !strings.Contains(errs, tt.says) {
			t.Errorf("%q: got %q, code %d", tt.args, errs, code)
		}
	}
}

func TestLoginAgain(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t)
	p.piped = fakePassword
	login := []string{"login", "--user", fakeUser, "--password-stdin"}
	if _, errs, code := p.run(append(login, f.URL, "--fingerprint", f.fingerprint())...); code != exitOK {
		t.Fatal(errs)
	}
	// The address and what is trusted are known now.
	if _, errs, code := p.run(login...); code != exitOK {
		t.Error(errs)
	}
}

func TestLoginInterrupted(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t)
	ctx, interrupt := context.WithCancel(t.Context())
	p.ctx, p.typed = ctx, fakeUser+"\n"
	p.desk.secret = func(ctx context.Context, _ any) (string, error) {
		never := make(chan struct{})
		defer close(never)
		return abandon(ctx, func() (string, error) {
			interrupt()
			<-never
			return "", io.EOF
		})
	}
	_, errs, code := p.run("login", f.URL, "--ca", f.caFile(t))
	if code != exitFailed || !strings.HasSuffix(errs, "Password: \ncatenary: interrupted\n") {
		t.Errorf("got %q, code %d", errs, code)
	}
}

func TestLogout(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t)
	p.piped = fakePassword
	logIn := func() Config {
		t.Helper()
		if _, errs, code := p.run("login", f.URL, "--user", fakeUser, "--password-stdin", "--ca", f.caFile(t)); code != exitOK {
			t.Fatal(errs)
		}
		c, err := readConfig(p.configFile())
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	loggedIn := logIn()
	_, errs, code := p.run("logout")
	if want := "Logged out of " + f.URL + ".\n"; errs != want || code != exitOK {
		t.Errorf("got %q, code %d", errs, code)
	}
	if _, alive := f.tokens[loggedIn.TokenID]; alive {
		t.Error("the token is still good")
	}
	if c, err := readConfig(p.configFile()); c != (Config{URL: f.URL, CA: loggedIn.CA}) || err != nil {
		t.Errorf("the file holds %+v, %v", c, err)
	}
	if _, errs, code := p.run("logout"); code != exitDenied || !strings.Contains(errs, "not logged in") {
		t.Errorf("a second time: %q, code %d", errs, code)
	}

	loggedIn = logIn()
	f.change(func() { delete(f.tokens, loggedIn.TokenID) })
	if _, errs, code = p.run("logout"); code != exitOK || !strings.Contains(errs, "The server knew the token no longer.") {
		t.Errorf("of a dead token: %q, code %d", errs, code)
	}

	logIn()
	f.Close()
	if _, errs, code = p.run("logout"); code != exitUnreachable || !strings.Contains(errs, "catenary logout --local") {
		t.Errorf("of a dead server: %q, code %d", errs, code)
	}
	if _, errs, code = p.run("logout", "--local"); code != exitOK {
		t.Errorf("--local: %q, code %d", errs, code)
	}
}

func TestLogoutOfATokenWithoutNumber(t *testing.T) {
	p := newPlace(t)
	p.write(p.configFile(), "url = 'https://host'\ntoken = 'by hand'\n")
	if _, errs, code := p.run("logout"); code != exitUsage || !strings.Contains(errs, "does not say which token") {
		t.Errorf("got %q, code %d", errs, code)
	}
}

// A computer without a name can log in, too.
func TestTokenName(t *testing.T) {
	p := newPlace(t)
	names := map[string]func() (string, error){
		"catenary login on bench": p.desk.hostname,
		"catenary login":          func() (string, error) { return "", errors.New("no name") },
	}
	for _, want := range slices.Sorted(maps.Keys(names)) {
		p.desk.hostname = names[want]
		if got := p.desk.tokenName(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
