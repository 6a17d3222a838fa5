package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// A place is a desk for tests: a home of its own and streams that are
// terminals if the test says so.
type place struct {
	t      *testing.T
	home   string
	vars   []string
	width  int    // of the terminal that stdout and stderr are; 0: they are none
	typed  string // what the operator types; empty: standard input is no terminal
	hidden string // what is typed without echo
	piped  string // standard input if it is no terminal
	ctx    context.Context
	desk   *desk
}

func newPlace(t *testing.T) *place {
	p := &place{t: t, home: t.TempDir(), ctx: t.Context()}
	p.desk = &desk{
		environ:   func() []string { return p.vars },
		configDir: func() (string, error) { return p.home, nil },
		hostname:  func() (string, error) { return "bench", nil },
		now:       func() time.Time { return noon },
		terminal: func(stream any) (int, bool) {
			if _, input := stream.(io.Reader); input {
				return defaultWidth, p.typed != ""
			}
			return p.width, p.width > 0
		},
		secret: func(context.Context, any) (string, error) { return p.hidden, nil },
		settle: time.Millisecond, comeback: time.Minute,
		backoff: []time.Duration{time.Millisecond, time.Millisecond},
	}
	return p
}

// at makes f the configured server.
func (p *place) at(f *fleet) *place {
	p.set("CATENARY_URL", f.URL)
	p.set("CATENARY_TOKEN", "token-00ff")
	p.set("CATENARY_CA", f.caFile(p.t))
	return p
}

// set puts a variable into the environment.
func (p *place) set(name, value string) {
	p.vars = slices.DeleteFunc(p.vars, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	p.vars = append(p.vars, name+"="+value)
}

func (p *place) configFile() string { return filepath.Join(p.home, "catenary", "config.toml") }

// run runs one command line as the main program would.
func (p *place) run(args ...string) (stdout, stderr string, code int) {
	root := newRoot(append(p.desk.commands(), besides(p.desk.diagnostics())))
	var out, errs syncBuffer
	in := p.piped
	if p.typed != "" {
		in = p.typed
	}
	root.SetIn(strings.NewReader(in))
	root.SetOut(&out)
	root.SetErr(&errs)
	root.SetArgs(args)
	err := root.ExecuteContext(p.ctx)
	code = Exit(&errs, err)
	return out.String(), errs.String(), code
}

// says runs a command line that must succeed, and returns what it printed.
func (p *place) says(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, code := p.run(args...)
	if code != exitOK {
		t.Fatalf("catenary %s: exit code %d: %s", strings.Join(args, " "), code, errs)
	}
	return out
}

// newRoot is the part of the main program that the commands rely on.
// besides is the command that runs a server, with what stands below it.
func besides(cmds ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: "server", Short: "Run a server", Example: "  catenary server"}
	cmd.AddCommand(cmds...)
	Group(cmd)
	return cmd
}

func newRoot(cmds []*cobra.Command) *cobra.Command {
	root := &cobra.Command{Use: "catenary", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(cmds...)
	Group(root)
	return root
}

// A syncBuffer may be written by the progress bar's goroutine while a command
// writes, too. It is an output only.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (p *place) write(path, text string) {
	p.t.Helper()
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600))
	if err != nil {
		p.t.Fatal(err)
	}
}
