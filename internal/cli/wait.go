package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
)

// Progress is how far a question has come, in machines.
type progress struct {
	Expected  int `json:"estimated_total"`
	Answered  int `json:"mr_tested"`
	Passed    int `json:"passed"`
	Errors    int `json:"error_count"`
	NoResults int `json:"no_results_count"`
	Reports   int `json:"report_count"`
	Running   int `json:"running_count"` // of those that have not answered: have the question
	Offline   int `json:"offline_count"` // besides Expected
	Repeated  int `json:"repeat_count"`  // how often the question was asked again because the server had ended
	Rows      int `json:"row_count"`
}

func (p progress) complete() bool { return p.Expected > 0 && p.Answered >= p.Expected }

// reached reports whether so many of a hundred machines have answered.
func (p progress) reached(percent float64) bool {
	return p.Expected > 0 && float64(p.Answered)*100 >= percent*float64(p.Expected)
}

// Patience is how long to wait for an answer, and for how much of it.
type patience struct {
	percent float64       // an answer of so many of a hundred machines is good enough
	settle  time.Duration // once it no longer changes for so long
	quiet   time.Duration // without a change for so long, an answer is not waited for
	timeout time.Duration // nor for longer than this altogether
	// comeback takes the place of quiet when the server had ended meanwhile: its
	// clients come back one after another.
	comeback time.Duration
}

// lacking says what became of the machines that have not answered.
func (p progress) lacking() string {
	missing := max(p.Expected-p.Answered, 0)
	running := min(p.Running, missing)
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{running, "still running"}, {missing - running, "not reached"}, {p.Offline, "offline and not counted here"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(parts, ", ")
}

// An ending is why waiting for an answer ended.
type ending uint8

const (
	complete    ending = iota // every machine has answered
	settled                   // enough have, and nothing changed any more
	stalled                   // too few have, and nothing changed any more
	late                      // the time was up
	expired                   // the server closed the question
	interrupted               // the operator had seen enough
)

// News is what is heard of a question: progress, away, closed or broken.
type news interface{ news() }

type (
	// Away says that the connection is lost, and that it is made anew.
	away struct{}
	// Closed says that the server counts no more answers.
	closed struct{ expired bool }
	// Broken says that nothing more can be heard, and why.
	broken struct{ err error }
)

func (progress) news() {}
func (away) news()     {}
func (closed) news()   {}
func (broken) news()   {}

// await waits for the answer of a question, as long as p says, and calls show
// with every step.
func (d *desk) await(ctx context.Context, c *client, question uint64, p patience, show func(progress)) (ending, error) {
	ctx, cancel := context.WithCancel(ctx)
	var listener sync.WaitGroup
	defer listener.Wait()
	defer cancel()
	heard := make(chan news)
	listener.Go(func() { c.listen(ctx, question, d.backoff, heard) })

	over := time.NewTimer(p.timeout)
	defer over.Stop()
	still := time.NewTimer(p.quiet)
	defer still.Stop()
	w := watch{patience: p}
	for {
		select {
		case <-ctx.Done():
			return interrupted, nil
		case <-over.C:
			return late, nil
		case <-still.C:
			if w.last.reached(p.percent) {
				return settled, nil
			}
			return stalled, nil
		case n := <-heard:
			switch n := n.(type) {
			case broken:
				return 0, n.err
			case closed:
				if n.expired {
					return expired, nil
				}
				return complete, nil
			case away:
				// What cannot be heard may change all the same.
				still.Stop()
				w.lost = true
			case progress:
				show(n)
				if n.complete() {
					return complete, nil
				}
				if wait, news := w.took(n); news {
					still.Reset(wait)
				}
			}
		}
	}
}

// A watch is what is known while an answer is waited for.
type watch struct {
	patience
	last     progress
	lost     bool // the connection
	repeated bool // the server has ended while it was
}

// took takes in progress, and says how long nothing may change from now on if
// it is news.
func (w *watch) took(n progress) (wait time.Duration, news bool) {
	if n == w.last && !w.lost {
		return 0, false
	}
	w.repeated = w.repeated || w.lost && n.Repeated > 0
	w.last, w.lost = n, false
	wait = w.quiet
	if w.repeated {
		wait = max(w.quiet, w.comeback)
	}
	if n.reached(w.percent) {
		wait = min(w.settle, wait)
	}
	return wait, true
}

// triesAtFirst is how often the stream is asked for again that has never come:
// the server may be another one.
const triesAtFirst = 2

// listen reports what the stream of a question's events says, until it has
// ended, or is broken more often without any news than backoff has pauses, or
// ctx is done.
func (c *client) listen(ctx context.Context, question uint64, backoff []time.Duration, heard chan<- news) {
	tell := func(n news) {
		select {
		case heard <- n:
		case <-ctx.Done():
		}
	}
	var last progress
	tries, attempt := min(triesAtFirst, len(backoff)), 0
	for ; ; attempt++ {
		end, err := c.listenOnce(ctx, question, func(p progress) {
			tries = len(backoff)
			if p != last {
				last, attempt = p, 0
			}
			tell(p)
		})
		if err == nil {
			tell(end)
			return
		}
		if ctx.Err() != nil { // the stream broke off because nobody listens any more
			return
		}
		if fault.KindOf(err) != fault.Unavailable {
			tell(broken{fmt.Errorf("question %d: %w", question, err)})
			return
		}
		if attempt == tries {
			tell(broken{fmt.Errorf("question %d is running, but its live answer broke off: %w\nhear on with `catenary ask --resume %[1]d`", question, err)})
			return
		}
		tell(away{})
		pause := time.NewTimer(backoff[attempt])
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return
		}
	}
}

// listenOnce follows the stream over one connection.
func (c *client) listenOnce(ctx context.Context, question uint64, tell func(progress)) (closed, error) {
	stream, err := c.stream(ctx, question)
	if err != nil {
		return closed{}, err
	}
	defer stream.Close()
	for events := newEventReader(stream); ; {
		e, err := events.next()
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF // a stream ends with an event that says so
		}
		if err != nil {
			return closed{}, c.unreachable(err)
		}
		switch e.name {
		case "progress":
			var p progress
			if err := e.decode(&p); err != nil {
				return closed{}, err
			}
			tell(p)
		case "end":
			var end struct {
				Reason string `json:"reason"`
				Status int    `json:"status"`
				Text   string `json:"text"`
			}
			err := e.decode(&end)
			if err == nil && end.Reason == "refused" { // from now on
				err = c.refusal(end.Status, printable(end.Text))
			}
			return closed{expired: end.Reason != "complete"}, err
		}
	}
}

// decode reads an event's data.
func (e event) decode(out any) error {
	if e.cut {
		return fmt.Errorf("an event %q of more than %d KiB", e.name, eventMax>>10)
	}
	if err := json.Unmarshal([]byte(e.data), out); err != nil {
		return fmt.Errorf("an event %q that cannot be read: %w", e.name, err)
	}
	return nil
}
