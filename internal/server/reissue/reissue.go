// Package reissue says when saved questions, and those for the members of groups,
// are asked again.
//
// A [Planner] is told which questions there are and how often each is wanted,
// and names, one after the other, those whose time has come. It asks nothing
// itself, has no clock, and what it has of chance follows from a question's
// number: two planners that are told the same say the same.
package reissue

import (
	"cmp"
	"container/heap"
	"time"
)

const (
	// gap is the time between two askings at least, unless a planner has another: a
	// server that was off for an hour must not ask a thousand questions at once.
	gap = 100 * time.Millisecond
	// jitterPart is the part of its interval by which a question comes late at
	// most, so that those of the same interval drift apart.
	jitterPart = 20
	jitterMax  = 30 * time.Second
	// startSpread is the time within which a question is asked that never was.
	startSpread = 5 * time.Second
	// retryMax is when a question is tried again that could not be asked.
	retryMax = 5 * time.Minute
)

// An Entry is a question that is asked again and again.
type Entry struct {
	ID    int64
	Every time.Duration // between two askings; positive
	Last  time.Time     // when it was asked last; zero: never
}

// A Planner keeps the order in which questions fall due. The zero Planner is
// empty and ready.
type Planner struct {
	// Gap is the time between two askings at least; 0: a tenth of a second.
	Gap time.Duration

	queue queue
	at    map[int64]*planned
	free  time.Time // nothing is asked before
}

type planned struct {
	Entry
	due   time.Time
	place int // in the queue
}

// Set adds a question, or puts it in the place of the one with its number.
func (p *Planner) Set(now time.Time, e Entry) {
	if p.at == nil {
		p.at = map[int64]*planned{}
	}
	due := now.Add(spread(e.ID, min(e.Every, startSpread)))
	if !e.Last.IsZero() {
		due = e.Last.Add(e.Every + jitter(e))
	}
	if old := p.at[e.ID]; old != nil {
		old.Entry, old.due = e, due
		heap.Fix(&p.queue, old.place)
		return
	}
	n := &planned{Entry: e, due: due}
	p.at[e.ID] = n
	heap.Push(&p.queue, n)
}

// Remove forgets a question.
func (p *Planner) Remove(id int64) {
	if n := p.at[id]; n != nil {
		heap.Remove(&p.queue, n.place)
		delete(p.at, id)
	}
}

// Len is how many questions there are.
func (p *Planner) Len() int { return len(p.queue) }

// Next is when the next question falls due; false if none ever does.
func (p *Planner) Next() (time.Time, bool) {
	if len(p.queue) == 0 {
		return time.Time{}, false
	}
	due := p.queue[0].due
	if due.Before(p.free) {
		due = p.free
	}
	return due, true
}

// Due returns the question that is to be asked now, and false if there is none.
// It counts as asked; Failed says that it was not.
func (p *Planner) Due(now time.Time) (id int64, ok bool) {
	if due, ok := p.Next(); !ok || due.After(now) {
		return 0, false
	}
	n := p.queue[0]
	p.free = now.Add(cmp.Or(p.Gap, gap))
	n.Last, n.due = now, now.Add(n.Every+jitter(n.Entry))
	heap.Fix(&p.queue, n.place)
	return n.ID, true
}

// Failed says that a question could not be asked: it is tried again sooner than
// its interval says.
func (p *Planner) Failed(now time.Time, id int64) {
	if n := p.at[id]; n != nil {
		n.due = now.Add(min(n.Every, retryMax))
		heap.Fix(&p.queue, n.place)
	}
}

// jitter is by how much a question comes late.
func jitter(e Entry) time.Duration { return spread(e.ID, min(e.Every/jitterPart, jitterMax)) }

// spread is a time below most that follows from a number, and looks like chance
// over neighbouring numbers.
func spread(id int64, most time.Duration) time.Duration {
	const odd = 0x9E3779B97F4A7C15 // multiplied by it, neighbours fall far apart
	return time.Duration(float64(most) * float64(uint64(id)*odd>>11) / (1 << 53))
}

// queue is a heap by due time, and by number where that is equal.
type queue []*planned

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].ID < q[j].ID
	}
	return q[i].due.Before(q[j].due)
}
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *queue) Push(x any) {
	n := x.(*planned)
	n.place = len(*q)
	*q = append(*q, n)
}
func (q *queue) Pop() any {
	old := *q
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return n
}
