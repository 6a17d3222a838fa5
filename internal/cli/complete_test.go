package cli

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

func TestCompleteName(t *testing.T) {
	names := []string{"Computer ID", "Computer Name", "Installed and Running", "IP Address", "Running Processes"}
	tests := []struct {
		name     string
		args     []string
		typed    string
		question bool
		want     []string
	}{
		{"one argument", nil, "Get Comp", true, []string{"Get Computer ID", "Get Computer Name"}},
		{"any case", nil, "get COMPUTER n", true, []string{"get Computer Name"}},
		{"after and", nil, "Get IP Address and run", true, []string{"Get IP Address and Running Processes"}},
		{"all names after a word that wants one", nil, "Get IP Address with ", true,
			[]string{"Get IP Address with Computer ID", "Get IP Address with Computer Name", "Get IP Address with Installed and Running", "Get IP Address with IP Address", "Get IP Address with Running Processes"}},
		{"none after another word", nil, "Get IP Address from ", true, nil},
		{"the longest match wins", nil, "Get Installed and R", true, []string{"Get Installed and Running"}},
		{"several arguments", []string{"Get", "Computer"}, "Na", true, []string{"Name"}},
		{"a name begun in earlier arguments", []string{"Get", "IP", "Address", "and", "Computer"}, "", true, []string{"ID", "Name"}},
		{"nothing fits", nil, "Get Foo", true, nil},
		{"sensor show", nil, "ru", false, []string{"Running Processes"}},
		{"sensor show, several arguments", []string{"installed", "and"}, "", false, []string{"Running"}},
		{"sensor show, from the beginning", nil, "", false, names},
		{"sensor show, not in the middle", nil, "Name", false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := completeName(names, tt.args, tt.typed, tt.question); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The shells call the hidden command __complete, whose last line says how to
// go on.
func TestCompletion(t *testing.T) {
	f := newFleet(t)
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	gone.Close()
	tests := []struct {
		name string
		url  string
		args []string
		want string
	}{
		{"sensor show", f.URL, []string{"sensor", "show", "f"}, "Free Memory\n:4\n"},
		{"ask begins", f.URL, []string{"ask", ""}, "Get\n:4\n"},
		{"ask", f.URL, []string{"ask", "Get Uptime"}, "Get Uptime Days\n:6\n"},
		{"format", f.URL, []string{"ask", "--format", ""}, "table\njson\ncsv\n:4\n"},
		{"format of a list", f.URL, []string{"client", "list", "--format", ""}, "table\njson\ncsv\n:4\n"},
		{"server is gone", gone.URL, []string{"ask", "Get Uptime"}, ":6\n"},
		{"nothing is configured", "", []string{"sensor", "show", "f"}, ":4\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t).at(f)
			p.set("CATENARY_URL", tt.url)
			out, _, code := p.run(append([]string{"__complete"}, tt.args...)...)
			if out != tt.want || code != exitOK {
				t.Errorf("got %q, code %d, want %q", out, code, tt.want)
			}
		})
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out, errs, code := newPlace(t).run("completion", shell); code != exitOK || !strings.Contains(out, "__complete") {
			t.Errorf("%s: %d bytes, %q, code %d", shell, len(out), errs, code)
		}
	}
}
