package server

import (
	"context"
	"time"

	"catenary/internal/server/store"
)

// enrolments lets machines in, all that have come meanwhile in one
// transaction: a disk that takes ten milliseconds to be sure would otherwise
// let in only a hundred machines a second.
type enrolments struct {
	store *store.Store
	queue chan enrolling
}

type enrolling struct {
	enrolment *store.Enrolment
	done      chan<- error // buffered; receives exactly one value
}

// enrolTogether bounds the machines of one transaction.
const enrolTogether = 256

func newEnrolments(db *store.Store) enrolments {
	return enrolments{db, make(chan enrolling, enrolTogether)}
}

// join enrols one machine.
func (e enrolments) join(ctx context.Context, m *store.Enrolment) error {
	done := make(chan error, 1)
	select {
	case e.queue <- enrolling{m, done}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (e enrolments) run(ctx context.Context) {
	for {
		var batch []enrolling
		select {
		case first := <-e.queue:
			batch = append(batch, first)
		case <-ctx.Done():
			return
		}
		for len(batch) < enrolTogether && len(e.queue) > 0 {
			batch = append(batch, <-e.queue)
		}
		list := make([]*store.Enrolment, len(batch))
		for i, b := range batch {
			list[i] = b.enrolment
		}
		err := e.store.Enrol(ctx, time.Now(), list)
		for _, b := range batch {
			if err != nil {
				b.done <- err
			} else {
				b.done <- b.enrolment.Err
			}
		}
	}
}
