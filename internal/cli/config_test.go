package cli

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"catenary/internal/fault"
)

func TestConfigPrecedence(t *testing.T) {
	const (
		fileText = "url = 'https://file'\ntoken = 'file-token'\nfingerprint = 'file-print'\ntoken_id = 7\n"
		demoText = "url = 'https://demo:8443'\ntoken = 'demo-token'\nca = 'demo-ca.pem'\n"
	)
	fromFile := Config{URL: "https://file", Token: "file-token", TokenID: 7, Fingerprint: "file-print"}
	tests := []struct {
		name       string
		file, demo string
		vars       map[string]string
		flags      Config
		want       Config
		isDemo     bool
	}{
		{name: "nothing"},
		{name: "file", file: fileText, demo: demoText, want: fromFile},
		{name: "demo alone", demo: demoText, isDemo: true,
			want: Config{URL: "https://demo:8443", Token: "demo-token", CA: "demo-ca.pem"}},
		{name: "environment over file", file: fileText,
			vars: map[string]string{"CATENARY_TOKEN": "var-token", "CATENARY_CA": "var-ca"},
			want: Config{URL: "https://file", Token: "var-token", CA: "var-ca"}},
		{name: "flag over environment", file: fileText,
			vars:  map[string]string{"CATENARY_TOKEN": "var-token"},
			flags: Config{Token: "flag-token"},
			want:  Config{URL: "https://file", Token: "flag-token", Fingerprint: "file-print"}},
		{name: "another server gets no token of the file", file: fileText, flags: Config{URL: "other"},
			want: Config{URL: "https://other"}},
		{name: "nor of the environment's server",
			vars:  map[string]string{"CATENARY_URL": "https://var", "CATENARY_TOKEN": "var-token"},
			flags: Config{URL: "other"}, want: Config{URL: "https://other"}},
		{name: "but one that names no server", file: fileText,
			vars:  map[string]string{"CATENARY_TOKEN": "var-token"},
			flags: Config{URL: "other"}, want: Config{URL: "https://other", Token: "var-token"}},
		{name: "the same server in another spelling", file: fileText, flags: Config{URL: "FILE:443/"}, want: fromFile},
		{name: "demo under other tokens", demo: demoText, flags: Config{Token: "flag-token"}, isDemo: true,
			want: Config{URL: "https://demo:8443", Token: "flag-token", CA: "demo-ca.pem"}},
		{name: "file without a server", file: "token = 'file-token'", demo: demoText, isDemo: true,
			want: Config{URL: "https://demo:8443", Token: "file-token", CA: "demo-ca.pem"}},
		{name: "other variables are not ours", file: fileText, want: fromFile,
			vars: map[string]string{"CATENARY_TOKEN_ID": "9", "CATENARY_COLOUR": "red", "CATENARY_CA": ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			if tt.file != "" {
				p.write(p.configFile(), tt.file)
			}
			if tt.demo != "" {
				p.write(demoConfigPath(p.home), tt.demo)
			}
			for name, value := range tt.vars {
				p.set(name, value)
			}
			if tt.want.CA == "demo-ca.pem" { // a path in a file is meant from there
				tt.want.CA = filepath.Join(p.home, "catenary", "demo-ca.pem")
			}
			got, demo, err := p.desk.config(&flags{Config: tt.flags})
			if got != tt.want || demo != tt.isDemo || err != nil {
				t.Errorf("got %+v, %v, %v, want %+v, %v", got, demo, err, tt.want, tt.isDemo)
			}
		})
	}
}

func TestConfigPath(t *testing.T) {
	p := newPlace(t)
	named := filepath.Join(t.TempDir(), "named.toml")
	p.write(named, "url = 'https://named'")
	p.write(p.configFile(), "url = 'https://usual'")
	url := func(f flags) string {
		t.Helper()
		c, _, err := p.desk.config(&f)
		if err != nil {
			t.Fatal(err)
		}
		return c.URL
	}
	if got := url(flags{}); got != "https://usual" {
		t.Errorf("without a name: %s", got)
	}
	p.set("CATENARY_CONFIG", named)
	if got := url(flags{}); got != "https://named" {
		t.Errorf("named by the environment: %s", got)
	}
	if got := url(flags{path: p.configFile()}); got != "https://usual" {
		t.Errorf("named by a flag: %s", got)
	}
}

// Without a home, the environment may say everything; else the lack of a home
// is the error.
func TestConfigWithoutHome(t *testing.T) {
	p := newPlace(t)
	p.desk.configDir = func() (string, error) { return "", os.ErrNotExist }
	if _, _, err := p.desk.config(&flags{}); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "--config") {
		t.Errorf("got %v", err)
	}
	if c, _, err := p.desk.config(&flags{Config: Config{URL: "host"}}); c.URL != "https://host" || err != nil {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, _, err := p.desk.config(&flags{path: "nowhere.toml"}); c != (Config{}) || err != nil {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestConfigErrors(t *testing.T) {
	tests := []struct{ name, text, says string }{
		{"unknown key", "url = 'https://a'\n\ncolour = 'red'\n", `line 3: unknown key "colour" (known: url, token, token_id, ca, fingerprint)`},
		{"unknown table", "[server]\nurl = 'x'\n", `line 1: unknown key "server"`},
		{"syntax", "url = 'https://a'\ntoken = \n", "line 2: toml: "},
		{"type", "token = 7\n", "line 1: toml: "},
		{"no URL", "url = 'https://'\n", `"https://" is not the address of a server`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			p.write(p.configFile(), tt.text)
			_, errs, code := p.run("sensor", "list")
			if code != exitUsage || !strings.Contains(errs, p.configFile()+": "+tt.says) {
				t.Errorf("got %q, code %d, want %q", errs, code, tt.says)
			}
		})
	}
}

func TestServerURL(t *testing.T) {
	tests := []struct{ in, want string }{ // want "": refused
		{"https://example.com", "https://example.com"},
		{"https://Example.COM:443/", "https://example.com"},
		{"example.com:8443", "https://example.com:8443"},
		{"127.0.0.1", "https://127.0.0.1"},
		{"[::1]:8443", "https://[::1]:8443"},
		{"[FE80::1%25eth0]", "https://[fe80::1%25eth0]"},
		{"example.com:", "https://example.com"},
		{"a:443:443", ""},
		{"a;rm", ""},
		{"http://example.com", ""},
		{"https://user:pass@example.com", ""},
		{"https://example.com/api", ""},
		{"https://example.com?x=1", ""},
		{"https://example.com#x", ""},
		{"https://:8443", ""},
		{"https://exa mple", ""},
		{"ftp://example.com", ""},
	}
	for _, tt := range tests {
		got, err := serverURL(tt.in, "--url")
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: got %q, %v, want %q", tt.in, got, err, tt.want)
		}
		if err != nil && (fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(err.Error(), "--url: ")) {
			t.Errorf("%q: %v", tt.in, err)
		}
		if again, err := serverURL(got, ""); again != got || err != nil {
			t.Errorf("%q is spelled %q, and then %q, %v", tt.in, got, again, err)
		}
	}
}

func TestSaveConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "config.toml")
	want := Config{URL: "https://example.com", Token: "token-\"odd\"\n", TokenID: 42, CA: "/etc/ca.pem", Fingerprint: "AB"}
	for range 2 { // once more over the old file
		if err := SaveConfig(path, want); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := readConfig(path); got != want || err != nil {
		t.Errorf("wrote %+v, read %+v, %v", want, got, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("others can read it: %v", info.Mode())
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if len(files) != 1 || err != nil {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestSaveConfigThatFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml") // a folder, which no file can replace
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := SaveConfig(path, Config{Token: "secret"}); err == nil {
		t.Error("a folder was replaced by a file")
	}
	files, err := os.ReadDir(dir)
	if len(files) != 1 || err != nil {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestDemoConfigPath(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	dir, err := os.UserConfigDir()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := DemoConfigPath(); got != filepath.Join(dir, "catenary", "demo.toml") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

// A demo that has ended may leave its file behind.
func TestDemoThatHasEnded(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t)
	if err := SaveConfig(demoConfigPath(p.home), Config{URL: f.URL, Token: "token-00ff", CA: f.caFile(t)}); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := p.run("ask", "Get number of machines"); out != "Count\n    4\n" || code != exitOK {
		t.Errorf("got %q, %q, code %d", out, errs, code)
	}
	f.Close()
	if _, errs, code := p.run("sensor", "list"); code != exitUnreachable || !strings.HasSuffix(errs, "; is `catenary demo` still running?\n") {
		t.Errorf("got %q, code %d", errs, code)
	}
}

// An address that is accepted has one spelling, and is spoken to by TLS.
func FuzzServerURL(f *testing.F) {
	for _, text := range []string{"https://example.com", "EXAMPLE.com:443/", "[::1]:8443", "[fe80::1%25eth0]", "http://a", "a@b", "https://a:443:443"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := serverURL(text, "fuzz")
		if err != nil || text == "" {
			return
		}
		if twice, err := serverURL(once, "fuzz"); twice != once || err != nil || !strings.HasPrefix(once, "https://") {
			t.Fatalf("%q is spelled %q, and then %q, %v", text, once, twice, err)
		}
	})
}
