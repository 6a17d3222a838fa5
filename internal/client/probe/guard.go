package probe

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
)

const (
	stuckMax   = 32                     // computations that hang; each holds a thread of the system
	stuckGrace = 500 * time.Millisecond // in which a computation is to notice that nobody waits for it any more
	callersMax = 64                     // frames of a stack in which the cause of a panic is looked for
)

// A guard keeps a sensor that panics or hangs from taking the client with it.
//
// A look at a file whose server or disk no longer answers cannot be called
// back: nothing but the system can end it. It is left alone, and until it ends
// the same sensor is not tried again.
type guard struct {
	mu    sync.Mutex // guards the fields below
	stuck map[string]time.Time
}

// A run is one computation under a guard.
type run struct {
	rows      [][]string
	err       error
	done      chan struct{} // closed when rows and err are set
	over      bool          // done is closed; guarded by the guard
	abandoned bool          // nobody waits for it; guarded by the guard
}

// compute runs f, but for no longer than ctx allows. The key is the same for
// two computations that would hang for the same reason.
func (g *guard) compute(ctx context.Context, key string, f func() ([][]string, error)) ([][]string, error) {
	if err := g.enter(key); err != nil {
		return nil, err
	}
	r := &run{done: make(chan struct{})}
	go func() { // nobody waits for it if it hangs: see leave
		r.rows, r.err = shielded(f)
		g.finish(key, r)
	}()
	select {
	case <-r.done:
		return r.rows, r.err
	case <-ctx.Done():
	}
	late := time.NewTimer(stuckGrace)
	defer late.Stop()
	select {
	case <-r.done:
		return r.rows, r.err
	case <-late.C:
	}
	g.leave(key, r)
	return nil, fmt.Errorf("the sensor hangs and was left alone: %w", context.Cause(ctx))
}

func (g *guard) enter(key string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if since, ok := g.stuck[key]; ok {
		return fault.New(fault.Unavailable, "the sensor hangs since %s", since.UTC().Format(time.RFC3339))
	}
	if len(g.stuck) >= stuckMax {
		return fault.New(fault.Unavailable, "%d other sensors hang on this machine", len(g.stuck))
	}
	return nil
}

// finish is called when a computation has ended, in time or not.
func (g *guard) finish(key string, r *run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r.over = true
	close(r.done)
	if r.abandoned {
		delete(g.stuck, key)
	}
}

// leave gives up a computation that does not end.
func (g *guard) leave(key string, r *run) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r.over {
		return
	}
	r.abandoned = true
	if g.stuck == nil {
		g.stuck = map[string]time.Time{}
	}
	if _, ok := g.stuck[key]; !ok {
		g.stuck[key] = time.Now()
	}
}

// shielded runs f and makes an error of its panic.
func shielded(f func() ([][]string, error)) (rows [][]string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			rows, err = nil, fmt.Errorf("the sensor has a mistake: %v at %s", cause, panicked())
		}
	}()
	return f()
}

// panicked says where the panic came from that a deferred function handles.
func panicked() string {
	callers := make([]uintptr, callersMax)
	frames := runtime.CallersFrames(callers[:runtime.Callers(0, callers)])
	for raised := false; ; {
		frame, more := frames.Next()
		inside := strings.HasPrefix(frame.Function, "runtime.")
		if raised && !inside {
			return fmt.Sprintf("%s:%d", filepath.Base(frame.File), frame.Line)
		}
		raised = raised || frame.Function == "runtime.gopanic"
		if !more {
			return "an unknown place"
		}
	}
}

// stoppedIf is the error of what was read in vain because ctx ended.
func stoppedIf(ctx context.Context, what string) error {
	if ctx.Err() == nil {
		return nil
	}
	return fmt.Errorf("%s stopped: %w", what, context.Cause(ctx))
}

// errEnough ends a walk that has found as much as it may.
var errEnough = errors.New("enough")
