package server

import "context"

// together keeps things in the database, all that have come meanwhile in one
// transaction: a disk that takes ten milliseconds to be sure would otherwise
// take in only a hundred a second.
type together[T any] struct {
	keep  func(context.Context, []T) error
	queue chan waiting[T]
}

type waiting[T any] struct {
	thing T
	done  chan<- error // buffered; receives exactly one value
}

// togetherMax bounds the things of one transaction.
const togetherMax = 256

func keptTogether[T any](keep func(context.Context, []T) error) together[T] {
	return together[T]{keep, make(chan waiting[T], togetherMax)}
}

// add returns when the thing is kept.
func (t together[T]) add(ctx context.Context, thing T) error {
	done := make(chan error, 1)
	select {
	case t.queue <- waiting[T]{thing, done}:
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

func (t together[T]) run(ctx context.Context) {
	for {
		var batch []waiting[T]
		select {
		case first := <-t.queue:
			batch = append(batch, first)
		case <-ctx.Done():
			return
		}
		for len(batch) < togetherMax && len(t.queue) > 0 {
			batch = append(batch, <-t.queue)
		}
		things := make([]T, len(batch))
		for i, w := range batch {
			things[i] = w.thing
		}
		err := t.keep(ctx, things)
		for _, w := range batch {
			w.done <- err
		}
	}
}
