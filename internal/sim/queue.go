package sim

import "time"

// A queue is what is still to happen: first what comes first, and of the same
// moment what was asked for first. The machines' timers are kept apart, one for
// each at most: a million of them wait for minutes, and are moved often.
type queue struct {
	order  int // of what was last asked for
	things []thing
	timers []timer
}

// A moment is a place in the queue.
type moment struct {
	at    time.Duration
	order int
}

func (m moment) before(n moment) bool { return m.at < n.at || m.at == n.at && m.order < n.order }

// A thing happens once.
type thing struct {
	moment
	do func()
}

func (x thing) when() moment { return x.moment }
func (x thing) stands(int)   {}

// A timer wakes its machine.
type timer struct {
	moment
	host *host
}

func (x timer) when() moment { return x.moment }
func (x timer) stands(i int) { x.host.timed = int32(i + 1) }

// next is when something is to happen next, if anything is.
func (q *queue) next() (time.Duration, bool) {
	switch {
	case len(q.things) == 0 && len(q.timers) == 0:
		return 0, false
	case q.ringsNext():
		return q.timers[0].at, true
	}
	return q.things[0].at, true
}

// ringsNext reports whether a timer is next.
func (q *queue) ringsNext() bool {
	return len(q.timers) > 0 && (len(q.things) == 0 || q.timers[0].before(q.things[0].moment))
}

// add lets something happen.
func (q *queue) add(at time.Duration, do func()) {
	q.order++
	q.things = append(q.things, thing{})
	sift(q.things, len(q.things)-1, thing{moment{at, q.order}, do})
}

// take takes out the thing that is next.
func (q *queue) take() func() {
	do := q.things[0].do
	q.things = pop(q.things)
	return do
}

// wind sets a machine's timer, in place of what it was set to.
func (q *queue) wind(h *host, at time.Duration) {
	q.order++
	if h.timed == 0 {
		q.timers = append(q.timers, timer{})
		h.timed = int32(len(q.timers))
	}
	sift(q.timers, int(h.timed)-1, timer{moment{at, q.order}, h})
}

// ring takes out the timer that is next.
func (q *queue) ring() *host {
	h := q.timers[0].host
	h.timed = 0
	q.timers = pop(q.timers)
	return h
}

// ways is how many children a place of a heap has: with four, a heap of a
// million is ten levels deep.
const ways = 4

// A waiting thing or timer wants to know its place.
type waiting interface {
	when() moment
	stands(i int)
}

// sift puts x into the free place i of a heap, or above or below it.
func sift[T waiting](list []T, i int, x T) {
	m := x.when()
	for i > 0 && m.before(list[(i-1)/ways].when()) {
		list[i] = list[(i-1)/ways]
		list[i].stands(i)
		i = (i - 1) / ways
	}
	for {
		least := i
		first := m
		for j := i*ways + 1; j < min(i*ways+1+ways, len(list)); j++ {
			if n := list[j].when(); n.before(first) {
				least, first = j, n
			}
		}
		if least == i {
			break
		}
		list[i] = list[least]
		list[i].stands(i)
		i = least
	}
	list[i] = x
	x.stands(i)
}

// pop takes the first out of a heap.
func pop[T waiting](list []T) []T {
	var none T
	last := len(list) - 1
	x := list[last]
	list[last] = none
	if list = list[:last]; last > 0 {
		sift(list, 0, x)
	}
	return list
}
