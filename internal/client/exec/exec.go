// Package exec starts programs on an endpoint. It is the only room there that
// may.
//
// [Run] runs a script and gives back what it said; [Sensor] computes a script
// sensor. A program gets a time limit, an output limit, a low priority, an
// environment that does not depend on how the client was started, and a folder
// of its own that is gone afterwards. All that it starts is ended with it:
// its process group on Unix, its job on Windows. A program that leaves its
// group on purpose (setsid) has left for good.
//
// What may run, when, and who signed it is the caller's matter.
package exec

import (
	"context"
	"errors"
	"fmt"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"catenary/internal/fault"
	"catenary/internal/sensor"
)

const (
	LimitDefault  = time.Minute // a script that takes longer delays its chain's answer
	OutputDefault = 1 << 20     // bytes that a script may say: the answer of one machine

	sourceMax    = 1 << 20                // bytes of a script
	stderrMax    = 16 << 10               // bytes kept of what a script says about its troubles
	pipeDelay    = time.Second            // how long the output of a script that has ended may still come
	removeTries  = 20                     // Windows keeps the files of a process for a moment after its end
	removePeriod = 100 * time.Millisecond // between two of these tries
)

// A Command is a script with its limits.
type Command struct {
	Language sensor.Language
	Source   string        // with its parameters filled in, see [Fill]
	Limit    time.Duration // LimitDefault if zero
	Output   int           // bytes that it may say; OutputDefault if zero
}

// A Result is what a script said and how it ended.
type Result struct {
	Stdout []byte // all of it, or the first Command.Output bytes
	Stderr []byte // its beginning
	Exit   int    // exit code; -1 if a signal ended it
	Used   Used
}

// Used is the processor's time that a program has taken, with what it has waited
// for.
type Used struct{ User, System time.Duration }

// A Reason is why a program was killed.
type Reason uint8

const (
	TimeLimit   Reason = iota + 1 // it took too long
	OutputLimit                   // it said too much
	Canceled                      // the caller no longer waits
)

// Killed is the error of a program that was not let go on.
type Killed struct {
	Reason Reason
	After  time.Duration // for TimeLimit: the limit
	Bytes  int           // for OutputLimit: the limit
	Cause  error         // for Canceled: why
}

func (k *Killed) Error() string {
	switch k.Reason {
	case TimeLimit:
		return fmt.Sprintf("stopped after %v", k.After)
	case OutputLimit:
		return fmt.Sprintf("stopped after %d bytes of output", k.Bytes)
	default:
		return fmt.Sprintf("stopped: %v", k.Cause)
	}
}

func (k *Killed) Unwrap() error { return k.Cause }

// kind says whose move it is: too slow may be otherwise another time, too much
// stays too much.
func (k *Killed) kind() fault.Kind {
	if k.Reason == OutputLimit {
		return fault.Invalid
	}
	return fault.Unavailable
}

// Run runs a script to its end. An exit code is no error; an error that wraps
// [Killed] comes with what the script had said until then.
func Run(ctx context.Context, cmd Command) (r Result, err error) {
	if cmd.Limit == 0 {
		cmd.Limit = LimitDefault
	}
	if cmd.Output == 0 {
		cmd.Output = OutputDefault
	}
	program, err := interpreterOf(cmd.Language)
	if err != nil {
		return Result{}, err
	}
	if len(cmd.Source) > sourceMax {
		return Result{}, fault.New(fault.Invalid, "the script has more than %d bytes", sourceMax)
	}
	folder, err := os.MkdirTemp("", "catenary-script-") // only we may look into it
	if err != nil {
		return Result{}, fmt.Errorf("a folder for the script: %w", err)
	}
	defer func() { err = errors.Join(err, remove(folder)) }()
	file := filepath.Join(folder, program.file)
	if err := os.WriteFile(file, program.text(cmd.Source), 0o700); err != nil {
		return Result{}, fmt.Errorf("a file for the script: %w", err)
	}
	return run(ctx, cmd, program, folder, file)
}

func run(ctx context.Context, cmd Command, program interpreter, folder, file string) (Result, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, cmd.Limit, &Killed{Reason: TimeLimit, After: cmd.Limit})
	defer cancel()

	stdout := &head{max: cmd.Output, full: func() { stop(&Killed{Reason: OutputLimit, Bytes: cmd.Output}) }}
	stderr := &head{max: stderrMax, full: func() {}}
	c := osexec.CommandContext(ctx, program.path, append(program.args, file)...)
	c.Dir, c.Env, c.Stdout, c.Stderr, c.WaitDelay = folder, environment(folder), stdout, stderr, pipeDelay

	g, err := newGroup(c)
	if err != nil {
		return Result{}, err
	}
	defer g.close()
	var killed atomic.Bool
	c.Cancel = func() error {
		killed.Store(true)
		return g.kill()
	}
	if err := c.Start(); err != nil {
		if ctx.Err() != nil {
			return Result{}, killedBy(context.Cause(ctx))
		}
		return Result{}, fmt.Errorf("starting the script: %w", err)
	}
	if err := g.begin(); err != nil {
		stop(err)
	}
	g.end()              // returns when the script has ended and with it all that it started
	cut := killed.Load() // before Wait, in which the time limit may still pass
	waitErr := c.Wait()
	r := Result{
		Stdout: stdout.kept, Stderr: stderr.kept, Exit: c.ProcessState.ExitCode(),
		Used: Used{c.ProcessState.UserTime(), c.ProcessState.SystemTime()},
	}
	if cut || stdout.over {
		return r, killedBy(context.Cause(ctx))
	}
	return r, waitError(waitErr)
}

// killedBy makes the error of a program from the cause for which its context
// ended.
func killedBy(cause error) error {
	k, ok := errors.AsType[*Killed](cause)
	if !ok {
		k = &Killed{Reason: Canceled, Cause: cause}
	}
	return fault.New(k.kind(), "the script was %w", k)
}

// waitError leaves out what is no failure of ours: an exit code, and output
// that a program which left the group still keeps open.
func waitError(err error) error {
	if _, ok := errors.AsType[*osexec.ExitError](err); ok || errors.Is(err, osexec.ErrWaitDelay) {
		return nil
	}
	return err
}

// remove removes the script's folder.
func remove(folder string) error {
	err := os.RemoveAll(folder)
	for range removeTries {
		if err == nil {
			return nil
		}
		time.Sleep(removePeriod)
		err = os.RemoveAll(folder)
	}
	return err
}

// A head keeps the first bytes of what is written to it and takes the rest
// without keeping it, so that no program waits for its reader.
type head struct {
	max  int
	full func() // called when more than max bytes were written, each time
	kept []byte
	over bool
}

func (h *head) Write(b []byte) (int, error) {
	room := h.max - len(h.kept)
	h.kept = append(h.kept, b[:min(room, len(b))]...)
	if len(b) > room {
		h.over = true
		h.full()
	}
	return len(b), nil
}

// An interpreter runs scripts of one language.
type interpreter struct {
	path string
	args []string // before the script's file
	file string   // the name that the script's file must have
	bom  bool     // whether it takes a text for UTF-8 only with a byte order mark
}

// text is the script as it is written to its file. Scripts that were typed
// into a form come with the line ends of the Web, which a shell trips over.
func (i interpreter) text(source string) []byte {
	if i.bom {
		return []byte("\ufeff" + source)
	}
	return []byte(strings.ReplaceAll(source, "\r\n", "\n"))
}

// missing is the error for a script whose interpreter this machine lacks.
func missing(l sensor.Language) error {
	return fault.New(fault.NotFound, "there is no interpreter for %s scripts on this machine", l)
}
