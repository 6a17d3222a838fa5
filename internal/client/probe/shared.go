package probe

import (
	"sync"
	"time"
)

// A shared keeps what several sensors of one question look at, so that the
// machine is asked once. What it keeps it also forgets: a client that is not
// asked holds no list of processes.
type shared[T any] struct {
	mu    sync.Mutex // guards the fields below; held while the machine is asked
	at    time.Time  // zero: there is nothing
	value T
}

// get returns what was found less than keep ago, or finds it.
func (s *shared[T]) get(keep time.Duration, find func() (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.at.IsZero() && time.Since(s.at) < keep {
		return s.value, nil
	}
	value, err := find()
	if err != nil || keep <= 0 {
		return value, err
	}
	at := time.Now()
	s.at, s.value = at, value
	time.AfterFunc(keep, func() { s.forget(at) })
	return value, nil
}

// forget drops what was found at a time.
func (s *shared[T]) forget(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.Equal(at) {
		var nothing T
		s.at, s.value = time.Time{}, nothing
	}
}
