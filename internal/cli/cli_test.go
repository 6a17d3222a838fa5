package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"catenary/internal/fault"
)

func TestExit(t *testing.T) {
	tests := []struct {
		err  error
		code int
		says string
	}{
		{nil, 0, ""},
		{errors.New("disk full"), 1, "catenary: disk full\n"},
		{fault.New(fault.NotFound, "no such sensor"), 1, "catenary: no such sensor\n"},
		{fault.New(fault.Conflict, "exists"), 1, "catenary: exists\n"},
		{fault.New(fault.Invalid, "bad"), 2, "catenary: bad\n"},
		{fmt.Errorf("ask: %w", incomplete{progress: progress{Expected: 3, Answered: 1}, why: "tired", closed: true}), 3,
			"catenary: ask: 2 of 3 machines have not answered: tired (2 not reached)\n"},
		{fault.New(fault.Stranger, "who?"), 4, "catenary: who?\n"},
		{errors.Join(errors.New("first"), fault.New(fault.Denied, "no")), 4, "catenary: first\nno\n"},
		{fault.New(fault.Unavailable, "gone"), 5, "catenary: gone\n"},
		{fmt.Errorf("login: %w", context.Canceled), 1, "catenary: interrupted\n"},
		{errors.New("evil \x1b]0;title\x07"), 1, `catenary: evil \x1b]0;title\a` + "\n"},
	}
	for _, tt := range tests {
		var errs strings.Builder
		if code := Exit(&errs, tt.err); code != tt.code || errs.String() != tt.says {
			t.Errorf("%v: code %d, %q; want %d, %q", tt.err, code, errs.String(), tt.code, tt.says)
		}
	}
}

// Whoever looks for help finds a sentence, examples and a description of every
// flag, for every command.
func TestHelp(t *testing.T) {
	var visit func(cmd *cobra.Command)
	visit = func(cmd *cobra.Command) {
		t.Run(cmd.CommandPath(), func(t *testing.T) {
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") || len(cmd.Short) > 60 {
				t.Errorf("Short is %q", cmd.Short)
			}
			if !strings.Contains(cmd.Example, "catenary "+cmd.Name()) && !strings.Contains(cmd.Example, cmd.CommandPath()) {
				t.Errorf("no example of itself in %q", cmd.Example)
			}
			out, errs, code := newPlace(t).run(append(strings.Fields(cmd.CommandPath())[1:], "--help")...)
			if code != exitOK || errs != "" || !strings.Contains(out, cmd.Example) {
				t.Errorf("--help: code %d, %q, %q", code, errs, out)
			}
		})
		for _, child := range cmd.Commands() {
			visit(child)
		}
	}
	for _, cmd := range newRoot(append(Commands(), besides(ServerCommands()...))).Commands() {
		visit(cmd)
	}
}

func TestNothingConfigured(t *testing.T) {
	for _, args := range [][]string{{"ask", "Get X"}, {"sensor", "list"}, {"sensor", "show", "X"}, {"client", "list"}} {
		_, errs, code := newPlace(t).run(args...)
		if code != exitDenied || errs != "catenary: no server is configured: run `catenary demo` or `catenary login URL`\n" {
			t.Errorf("%q: got %q, code %d", args, errs, code)
		}
	}
}

func TestConnectionFailures(t *testing.T) {
	f := newFleet(t)
	gone := httptest.NewTLSServer(nil)
	gone.Close()
	tests := []struct {
		name string
		vars map[string]string
		says string
		code int
	}{
		{"no token", map[string]string{"CATENARY_TOKEN": ""}, "not logged in to " + f.URL + ": run `catenary login " + f.URL + "`", exitDenied},
		{"wrong token", map[string]string{"CATENARY_TOKEN": "token-dead"}, "Invalid session", exitDenied},
		{"nobody there", map[string]string{"CATENARY_URL": gone.URL}, "no connection to " + gone.URL, exitUnreachable},
		{"unknown certificate", map[string]string{"CATENARY_CA": ""}, "cannot be trusted", exitDenied},
		{"other certificate", map[string]string{"CATENARY_CA": "", "CATENARY_FINGERPRINT": strings.Repeat("ab", 32)}, "is not the trusted one: its fingerprint is ", exitDenied},
		{"no fingerprint", map[string]string{"CATENARY_FINGERPRINT": "abc"}, `"abc" is not a SHA-256 fingerprint`, exitUsage},
		{"no CA file", map[string]string{"CATENARY_CA": "nowhere.pem"}, "the server's CA: open nowhere.pem", exitUsage},
		{"CA file without a certificate", map[string]string{"CATENARY_CA": "cli_test.go"}, "no certificate in cli_test.go", exitUsage},
		{"another server with the same certificate", map[string]string{"CATENARY_URL": newFleet(t).URL}, "", exitOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t).at(f)
			for name, value := range tt.vars {
				p.set(name, value)
			}
			_, errs, code := p.run("sensor", "list")
			if code != tt.code || !strings.Contains(errs, tt.says) {
				t.Errorf("got %q, code %d; want %q, code %d", errs, code, tt.says, tt.code)
			}
		})
	}
}
