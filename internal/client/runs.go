package client

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"sync"
	"time"

	"catenary/internal/client/exec"
	"catenary/internal/sensor"
	"catenary/internal/wire"
)

const (
	// runsEvery is the least time between two registrations that tell of run
	// times: what changes in a minute tells nobody anything.
	runsEvery = time.Minute
	// runsKept bounds the sensors whose run times wait to be told; of more
	// nothing is noted.
	runsKept = 1024
)

// runs is how long sensors have run since the server has heard of it.
type runs struct {
	mu     sync.Mutex // guards the fields below
	since  map[string]run
	saying map[string]run // in a registration that is under way
	said   time.Time
}

// A run is one sensor's sums, in milliseconds.
type run struct {
	count, measured    uint64
	real, user, system spread
	least, most        time.Duration
}

type spread struct {
	sum     time.Duration
	squares float64
}

func (s *spread) add(took time.Duration) {
	ms := float64(took) / float64(time.Millisecond)
	s.sum, s.squares = s.sum+took, s.squares+ms*ms
}

func (s *spread) join(other spread) { s.sum, s.squares = s.sum+other.sum, s.squares+other.squares }

// add notes a run. What the client computes itself has no use of the processor
// of its own.
func (r *runs) add(name string, took time.Duration, used exec.Used) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x, known := r.since[name]
	if !known && len(r.since) == runsKept {
		return
	}
	if r.since == nil {
		r.since = map[string]run{}
	}
	x.real.add(took)
	x.most = max(x.most, took)
	if x.least == 0 || took < x.least {
		x.least = took
	}
	if x.count++; used != (exec.Used{}) {
		x.measured++
		x.user.add(used.User)
		x.system.add(used.System)
	}
	r.since[name] = x
}

// report is what the next registration tells: of the sensors that have run most
// often. It is to be followed by heard, or else is told once more.
func (r *runs) report(now time.Time) (list []wire.Run) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takeBack()
	if len(r.since) == 0 || now.Sub(r.said) < runsEvery {
		return nil
	}
	names := slices.SortedFunc(maps.Keys(r.since), func(a, b string) int {
		return cmp.Or(cmp.Compare(r.since[b].count, r.since[a].count), cmp.Compare(a, b))
	})
	r.saying = map[string]run{}
	for _, name := range names[:min(len(names), wire.RunsMax)] {
		x := r.since[name]
		r.saying[name] = x
		delete(r.since, name)
		list = append(list, x.wire(name))
	}
	return list
}

// takeBack lets what was perhaps not heard be told again.
func (r *runs) takeBack() {
	for name, x := range r.saying {
		if later, more := r.since[name]; more {
			x.count, x.measured = x.count+later.count, x.measured+later.measured
			x.real.join(later.real)
			x.user.join(later.user)
			x.system.join(later.system)
			x.least, x.most = min(x.least, later.least), max(x.most, later.most)
		}
		r.since[name] = x
	}
	r.saying = nil
}

// heard says that the server has taken a registration.
func (r *runs) heard(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.saying) > 0 {
		r.saying, r.said = nil, now
	}
}

func (x run) wire(name string) wire.Run {
	return wire.Run{
		Sensor: sensor.Hash(name), Count: x.count, Real: x.real.wire(), Min: x.least, Max: x.most,
		Measured: x.measured, User: x.user.wire(), System: x.system.wire(),
	}
}

func (s spread) wire() wire.Spent {
	return wire.Spent{Sum: s.sum, Squares: uint64(math.Round(s.squares))}
}
