package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/plan"
)

const (
	// writeTimeout bounds one attempt at a writing. A database that takes
	// longer is in trouble, which the log then says.
	writeTimeout = 30 * time.Second
	// A writing that fails is tried again after retryFirst, and after twice as
	// long each time, but never after more than retryMax: a database that has
	// come back is noticed soon, and one that is away is not pestered.
	retryFirst = 100 * time.Millisecond
	retryMax   = 5 * time.Second
	// failuresMax is how often a writing may fail for a reason that is not the
	// database's absence. That takes 40 seconds; then it is given up, lest
	// nothing else is ever written.
	failuresMax = 14
	// lastPatience is how long the server waits, when it stops, for a database
	// that is away.
	lastPatience = 30 * time.Second
	// writingsMax bounds the ends of questions that wait for the database. More
	// wait on the desk; registrations and findings wait there anyway, each in
	// its newest state only.
	writingsMax = 64
)

// write is the goroutine that writes behind, until the channel is closed. It
// insists on each writing until ctx ends, so that a database that goes away and
// comes back has missed nothing.
func (s *Server) write(ctx context.Context) {
	for w := range s.written {
		if len(w.touches) > 0 {
			s.insist(ctx, "registrations", func(ctx context.Context) error { return s.store.TouchClients(ctx, w.touches) }, "count", len(w.touches))
		}
		if len(w.findings) > 0 {
			s.insist(ctx, "findings", func(ctx context.Context) error { return s.store.KeepFindings(ctx, w.findings) }, "count", len(w.findings))
		}
		if len(w.stats) > 0 {
			s.insist(ctx, "statistics of sensors", func(ctx context.Context) error { return s.store.KeepSensorStats(ctx, w.stats) }, "count", len(w.stats))
		}
		if w.close.question != 0 {
			s.finish(ctx, w.close)
		}
		if !w.forget.IsZero() {
			s.insist(ctx, "removal of old questions", func(ctx context.Context) error {
				_, err := s.store.DeleteQuestions(ctx, w.forget)
				return err
			})
			s.insist(ctx, "removal of old answers", func(ctx context.Context) error {
				return s.store.ForgetRecent(ctx, w.forget.Add(historyFor-archiveFor))
			})
		}
	}
}

// finish keeps what came of a question, and learns from it.
func (s *Server) finish(ctx context.Context, c closing) {
	var p plan.Plan
	kept := c
	s.insist(ctx, "question's result", func(ctx context.Context) (err error) {
		p, err = s.planOf(ctx, c.question)
		if err != nil && fault.KindOf(err) != fault.Invalid { // what cannot be understood has no limits
			return err
		}
		kept.result.Rows = s.keptRows(p, c.result.Rows)
		return s.closeQuestion(ctx, kept)
	}, "question", c.question)
	if !c.open {
		s.learn(c.at, p, c.result)
		s.insist(ctx, "what came of a saved question", func(ctx context.Context) error { return s.archive(ctx, kept, p) }, "question", c.question)
		if c.counted != nil {
			s.insist(ctx, "members of a group", func(ctx context.Context) error { return s.keepMembers(ctx, c) }, "question", c.question)
		}
	}
	_ = s.do(ctx, func(h *hub) { h.isWritten(c.number) }) // a server that stops has no desk any more
}

// insist tries until it is done, or hopeless, or ctx ends.
func (s *Server) insist(ctx context.Context, what string, attempt func(context.Context) error, about ...any) {
	failures, pause, began := 0, retryFirst, time.Now()
	log := s.log.With("what", what).With(about...)
	for tries := 1; ; tries++ {
		bounded, cancel := context.WithTimeout(ctx, writeTimeout)
		err := attempt(bounded)
		cancel()
		kind := fault.KindOf(err)
		if kind == fault.Internal {
			failures++
		}
		switch {
		case err == nil, kind == fault.Conflict && tries > 1: // it was done, but word of that was lost
			if tries > 1 {
				log.Info("written at last", "tries", tries, "after", time.Since(began).Round(time.Millisecond))
			}
			return
		case ctx.Err() != nil:
			log.Error("not written", "tries", tries, "because", err, "and", context.Cause(ctx))
			return
		case kind != fault.Unavailable && kind != fault.Internal, failures == failuresMax:
			log.Error("not written", "tries", tries, "because", err)
			return
		case tries == 1:
			log.Warn("the database does not take it; trying again", "because", err)
		}
		s.metrics.retries.Inc()
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done(): // one last attempt fails at once
			wait.Stop()
		}
		pause = min(2*pause, retryMax)
	}
}

// lastWritings gives the writer, after the hub has ended, what is left, and
// waits until that is written or lastPatience is over.
func (s *Server) lastWritings(h *hub, giveUp context.CancelCauseFunc, writer *sync.WaitGroup) {
	late := time.AfterFunc(lastPatience, func() { giveUp(errLate) })
	defer late.Stop()
	h.flush()
	close(s.written)
	writer.Wait()
}

var errLate = errors.New("the server stops and the database has not come back")
