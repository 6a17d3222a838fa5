// Package cli is the operator's commands: ask, question, login, logout, sensor,
// subnet, client, api, content, and one for each of the nouns.
//
// It is one more program that speaks the server's public API over HTTPS, with
// no way in that others lack. Commands write what was asked for to standard
// output and everything else to standard error; whatever came over the network
// is made harmless for a terminal before it is shown. The main program adds
// [Commands] to its root command and ends with [Exit].
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"catenary/internal/fault"
)

// The exit codes of every command, as docs/cli.md promises them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitIncomplete  = 3
	exitDenied      = 4
	exitUnreachable = 5
)

// A desk is where the operator sits: all that the commands take from their
// surroundings besides the streams, which are those of the cobra command.
type desk struct {
	environ   func() []string
	configDir func() (string, error) // the user's, without our own part
	hostname  func() (string, error)
	now       func() time.Time
	// terminal reports whether a person sits at the stream, and the number of
	// cells in a line.
	terminal func(stream any) (width int, ok bool)
	// secret reads one line from a terminal without echo.
	secret func(ctx context.Context, stream any) (string, error)
	// settle is how long an answer that is good enough must stay unchanged.
	settle time.Duration
	// comeback is how long an answer may stay unchanged after the server has
	// started again.
	comeback time.Duration
	// backoff holds the pauses before each new attempt at a broken stream.
	backoff []time.Duration
}

// settleTime is short because most of what is still missing then belongs to
// machines that will not answer at all.
const settleTime = time.Second

// comebackTime is how long the clients of a server that has started again may
// take to come back: none waits longer before it dials it again.
const comebackTime = time.Minute

// streamBackoff gives a restarting server half a minute to come back. The last
// attempt that fails ends the command.
var streamBackoff = append([]time.Duration{200 * time.Millisecond, 800 * time.Millisecond}, slices.Repeat([]time.Duration{2 * time.Second}, 15)...)

// Commands returns the operator's commands, ready to be added to a root
// command.
func Commands() []*cobra.Command { return newDesk().commands() }

func newDesk() *desk {
	return &desk{
		environ:   os.Environ,
		configDir: os.UserConfigDir,
		hostname:  os.Hostname,
		now:       time.Now,
		terminal:  terminal,
		secret:    secret,
		settle:    settleTime,
		comeback:  comebackTime,
		backoff:   streamBackoff,
	}
}

func (d *desk) commands() []*cobra.Command {
	cmds := []*cobra.Command{d.ask(), d.login(), d.logout(), d.sensor(), d.subnet(), d.client(), d.question(), d.api(), d.content(), d.audit(), d.certificate()}
	for _, n := range append(slices.Clone(nouns), people...) {
		cmds = append(cmds, n.command(d))
	}
	for _, cmd := range cmds {
		cmd.SetFlagErrorFunc(UsageError)
	}
	return cmds
}

// UsageError gives an error about a command line its kind and says where to
// read on. It fits cobra's SetFlagErrorFunc.
func UsageError(cmd *cobra.Command, err error) error {
	return fault.New(fault.Invalid, "%w\nsee `%s --help`", err, cmd.CommandPath())
}

// Exit shows the error that a command returned, if any, and returns the
// program's exit code.
func Exit(stderr io.Writer, err error) int {
	if err == nil {
		return exitOK
	}
	text := err.Error()
	if errors.Is(err, context.Canceled) {
		text = "interrupted"
	}
	fmt.Fprintf(stderr, "catenary: %s\n", printableLines(text))
	return exitCode(err)
}

func exitCode(err error) int {
	if _, ok := errors.AsType[incomplete](err); ok {
		return exitIncomplete
	}
	switch fault.KindOf(err) {
	case fault.Invalid:
		return exitUsage
	case fault.Stranger, fault.Denied:
		return exitDenied
	case fault.Unavailable:
		return exitUnreachable
	default:
		return exitFailed
	}
}

// Group makes cmd a command that only holds others. Unlike one that cobra
// leaves alone, it refuses a word that is none of them.
func Group(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = 2 // letters that may be wrong in a word
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		text := fmt.Sprintf("%s has no command %q", cmd.Name(), args[0])
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			text += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return UsageError(cmd, errors.New(text))
	}
}

// words limits how many arguments a command takes; names says what they are.
func words(least, most int, names string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most {
			return nil
		}
		return UsageError(cmd, fmt.Errorf("%s takes %s, but got %d", cmd.Name(), names, len(args)))
	}
}

func terminal(stream any) (width int, ok bool) {
	f, isFile := stream.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return defaultWidth, true
	}
	return width, true
}

// defaultWidth is assumed of a terminal that does not tell its width.
const defaultWidth = 80

func secret(ctx context.Context, stream any) (string, error) {
	f, ok := stream.(*os.File)
	if !ok {
		return "", errors.New("standard input is not a terminal")
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", err
	}
	text, err := abandon(ctx, func() (string, error) {
		b, err := term.ReadPassword(int(f.Fd()))
		return string(b), err
	})
	if ctx.Err() != nil { // the terminal still hides what is typed
		err = errors.Join(err, term.Restore(int(f.Fd()), before))
	}
	return text, err
}

// abandon returns what read returns, or stops waiting for it when ctx is done.
// Nothing can interrupt the reading of a terminal, so read may then outlive
// the call; the program ends soon after.
func abandon(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}
