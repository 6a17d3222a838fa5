package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/fault"
)

// TestInsist: a writing that fails is tried again at growing intervals, for as
// long as that may help.
func TestInsist(t *testing.T) {
	away, broken := fault.New(fault.Unavailable, "away"), errors.New("broken")
	for _, tt := range []struct {
		name  string
		errs  []error // one for each attempt; the last one for all that follow
		end   time.Duration
		tries int
		after time.Duration
		log   string
	}{
		{"at once", []error{nil}, time.Hour, 1, 0, ""},
		{"the second time", []error{away, nil}, time.Hour, 2, 100 * time.Millisecond, "written at last"},
		{"after a minute", append(repeat(away, 18), nil), time.Hour, 19, 66300 * time.Millisecond, "tries=19"},
		{"done, but word of that was lost", []error{away, fault.New(fault.Conflict, "already closed")}, time.Hour, 2, 100 * time.Millisecond, "written at last"},
		{"never possible", []error{fault.New(fault.Conflict, "already closed")}, time.Hour, 1, 0, "not written"},
		{"no longer possible", []error{away, fault.New(fault.NotFound, "gone")}, time.Hour, 2, 100 * time.Millisecond, "not written"},
		{"broken", []error{broken}, time.Hour, failuresMax, 41300 * time.Millisecond, "not written"},
		{"away for good", []error{away}, time.Hour, 726, time.Hour, "not written"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.end)
				defer cancel()
				var log bytes.Buffer
				s := &Server{metrics: newMetrics(), log: slog.New(slog.NewTextHandler(&log, nil))}
				tries, began := 0, time.Now()
				s.insist(ctx, "it", func(context.Context) error {
					tries++
					return tt.errs[min(tries, len(tt.errs))-1]
				})
				if took := time.Since(began); tries != tt.tries || took != tt.after || !strings.Contains(log.String(), tt.log) {
					t.Errorf("%d tries in %v, want %d in %v, the log says\n%s", tries, took, tt.tries, tt.after, &log)
				}
			})
		})
	}
}

func repeat(err error, n int) (out []error) {
	for range n {
		out = append(out, err)
	}
	return out
}

// TestWritingsAreBounded: while nobody writes, what changes is kept in its
// newest state only, and questions wait on the desk when the writer has enough.
func TestWritingsAreBounded(t *testing.T) {
	r := newRoom(t, 2)
	r.Server.written = make(chan writing, 3)
	now := r.now
	for n := uint64(1); n <= 5; n++ {
		r.asked(n, n)
	}
	for range 10 {
		r.touched[machineID(0)] = true
		r.writeTouches()
	}
	if len(r.written) != 1 || len(r.touched) != 1 {
		t.Errorf("%d writings, %d machines wait", len(r.written), len(r.touched))
	}
	now = now.Add(time.Hour)
	for range 3 {
		r.tidy(now)
	}
	ended := func() (handed, waiting int) {
		for _, q := range r.live {
			if q.closed {
				handed++
			} else {
				waiting++
			}
		}
		return handed, waiting
	}
	if handed, waiting := ended(); len(r.written) != 3 || handed != 2 || waiting != 3 {
		t.Errorf("%d writings, %d questions with the writer, %d wait", len(r.written), handed, waiting)
	}
	// The writer is back: everything goes, each question once.
	seen := map[uint64]int{}
	for range 5 {
		for len(r.written) > 0 {
			if w := <-r.written; w.close.question != 0 {
				seen[w.close.question]++
				r.isWritten(w.close.number)
			}
		}
		now = now.Add(time.Minute)
		r.tidy(now)
	}
	if fmt.Sprint(seen) != "map[1:1 2:1 3:1 4:1 5:1]" || len(r.live) != 0 || len(r.touched) != 0 {
		t.Errorf("written %v, %d questions and %d machines are left", seen, len(r.live), len(r.touched))
	}
}

// TestServerThatStopsWithoutDatabase: when its patience is over, whatever is
// left goes into the log, and nobody waits.
func TestServerThatStopsWithoutDatabase(t *testing.T) {
	r := newRoom(t, 1)
	var log bytes.Buffer
	r.log = slog.New(slog.NewTextHandler(&log, nil))
	r.Server.written, r.stopped = make(chan writing, writingsMax), make(chan struct{})
	close(r.stopped)
	for n := uint64(1); n <= 2*writingsMax; n++ {
		r.asked(n, n)
	}
	r.touched[machineID(0)] = true
	ctx, giveUp := context.WithCancelCause(t.Context())
	giveUp(errLate)
	var writer sync.WaitGroup
	writer.Go(func() { r.write(ctx) })
	r.lastWritings(r.hub, giveUp, &writer)
	if n := strings.Count(log.String(), "not written"); n != 2*writingsMax+1 || !strings.Contains(log.String(), errLate.Error()) {
		t.Errorf("the log names %d writings, the last one\n%.500s", n, log.String())
	}
}
