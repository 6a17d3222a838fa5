// Package sweep is one client's part in the questions that pass along its
// chain: forward each question at once, wait for the own answer and for those
// from behind, merge them, and hand them to the neighbour in front.
//
// A [Sweep] is a value that changes only when [Sweep.Step] is called; its owner
// (package node) carries out the effects and calls again by [Sweep.Deadline].
// It knows who stands in front and behind only as far as it must: whether there
// is a neighbour, and when it is another one than before.
//
// # When an answer moves on
//
// Waiting is counted from a node's own receipt of the question, never from the
// arrival of an answer (docs/protocol.md §5.3): all nodes of a chain then give
// up on the same diagonal, and slow machines delay the rest once and not hop
// by hop.
package sweep

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"catenary/internal/answer"
)

// A Question is a verified question as the client received it.
type Question struct {
	ID      uint64
	Sealed  []byte        // forwarded as it is
	Expires time.Time     // by the local clock
	Hold    time.Duration // D0: how long machines may compute before the first answer leaves
	Body    any           // what the host needs to compute the answer; not looked at here
}

// A Front is who stands in front.
type Front uint8

const (
	Nobody Front = iota
	Peer         // takes questions and answers
	Server       // takes answers
)

// An Event is something that has happened.
type Event interface{ event() }

type (
	// Tick: the deadline has come.
	Tick struct{}
	// Joined: the server has given us a slot, or confirmed it. At first,
	// questions up to Highest may already hold an answer of our former life.
	Joined struct {
		Slot    answer.Slot
		Highest uint64
	}
	// Ahead: another neighbour than before stands in front.
	Ahead struct{ Front Front }
	// Behind: another neighbour than before stands behind, if any.
	Behind struct{ Present bool }
	// Asked: a question came, from behind or with a registration.
	Asked struct{ Question Question }
	// Told: the neighbour behind reports.
	Told struct{ Report answer.Report }
	// Acked: the neighbour in front has every report up to Seq.
	Acked struct{ Seq uint64 }
	// Evaluated: the own answer to a question is ready.
	Evaluated struct {
		Question uint64
		Rows     answer.Rows
		Counts   answer.Counts
	}
)

func (Tick) event()      {}
func (Joined) event()    {}
func (Ahead) event()     {}
func (Behind) event()    {}
func (Asked) event()     {}
func (Told) event()      {}
func (Acked) event()     {}
func (Evaluated) event() {}

// An Effect is something the host must now do, in order.
type Effect interface{ effect() }

type (
	// Forward the question to the peer in front.
	Forward struct{ Question Question }
	// Evaluate the question; answer with Evaluated.
	Evaluate struct{ Question Question }
	// Send the report to whoever stands in front.
	Send struct{ Report answer.Report }
	// Ack the report to the neighbour behind.
	Ack struct{ Seq uint64 }
	// Stalled: the neighbour in front acknowledges nothing.
	Stalled struct{}
	// Lost: something was dropped at a limit.
	Lost struct {
		Question uint64
		Why      string
	}
)

func (Forward) effect()  {}
func (Evaluate) effect() {}
func (Send) effect()     {}
func (Ack) effect()      {}
func (Stalled) effect()  {}
func (Lost) effect()     {}

const (
	// stuck is G of docs/protocol.md §5.3: how much longer than Hold a node
	// waits for a neighbour behind that says nothing at all.
	stuck = 250 * time.Millisecond
	// gridSlack lets a supplement from behind, due at the same grid point,
	// arrive first and be merged.
	gridSlack = 2 * time.Millisecond
	// ackTimeout: a neighbour that acknowledges nothing for so long is given
	// up. A loaded machine may be seconds late; a dead process resets its link
	// at once and needs no timeout.
	ackTimeout = 4 * time.Second

	// strangerAfter: a client that has not registered for so long may be unknown
	// to the server, which then counts nothing that its answer is merged into.
	// It comes before roster.StaleAfter, and after a missed registration.
	strangerAfter = 3 * time.Minute

	liveMax   = 256  // questions kept with all their state
	goneMax   = 1024 // ids of questions remembered after that
	windowMax = 32   // reports sent and not yet acknowledged; beyond, answers merge and wait
	queueMax  = 1024 // bundles waiting to be passed along unmerged
)

// A Sweep is one client's part in its chain's questions.
type Sweep struct {
	lim        answer.Limits
	slot       answer.Slot
	registered time.Time // last
	highest    uint64    // questions up to here are answered as tainted

	front  Front
	behind bool

	seq     uint64
	unacked []sent          // oldest first
	queue   []answer.Bundle // tainted: to be passed along as they are, oldest first

	live []*question // in the order of arrival
	gone []uint64    // ring of ids
	next int         // where the ring is written next

	out []Effect
}

type sent struct {
	report answer.Report
	at     time.Time
}

// own is how far the machine's own answer is.
type own uint8

const (
	running own = iota
	ready
	said
)

type question struct {
	Question
	at   time.Time // of our receipt
	own  own
	mine answer.Bundle // while own is ready

	buf     answer.Bundle // from behind, merged, not yet passed on
	seen    answer.Set    // everything that was ever in buf
	pending answer.Set    // machines behind that compute, not yet told
	upFirst bool          // the neighbour behind has said its first
	upFinal bool          // … and its last

	first bool // we have said our first on this link in front
	final bool // … and our last
	grid  int  // next grid point is Hold·2^grid
}

// New returns a sweep that takes part in no question. The limits bound each
// merged answer.
func New(lim answer.Limits) *Sweep { return &Sweep{lim: lim} }

// Known returns the ids of the questions that need not be sent to this client
// any more, newest last, at most max.
func (s *Sweep) Known(max int) []uint64 {
	ids := make([]uint64, 0, len(s.gone)+len(s.live))
	for i := range s.gone {
		ids = append(ids, s.gone[(s.next+i)%len(s.gone)])
	}
	for _, q := range s.live {
		ids = append(ids, q.ID)
	}
	if len(ids) > max {
		ids = ids[len(ids)-max:]
	}
	return ids
}

// Holds reports whether just this sealed question is here, so that its
// signature need not be looked at again: each new neighbour sends all it has.
func (s *Sweep) Holds(sealed []byte) bool {
	return slices.ContainsFunc(s.live, func(q *question) bool { return bytes.Equal(q.Sealed, sealed) })
}

// knows reports whether the question is or was here.
func (s *Sweep) knows(id uint64) bool { return s.find(id) != nil || slices.Contains(s.gone, id) }

// Step applies one event that happened at now and returns what the host must
// do about it. The slice is valid until the next call.
func (s *Sweep) Step(now time.Time, ev Event) []Effect {
	s.out = s.out[:0]
	switch ev := ev.(type) {
	case Tick:
		// The deadlines below are all that a Tick is for.
	case Joined:
		s.join(now, ev)
	case Ahead:
		s.ahead(now, ev.Front)
	case Behind:
		s.turn(ev.Present)
	case Asked:
		s.ask(now, ev.Question)
	case Told:
		s.told(ev.Report)
	case Acked:
		s.acked(ev.Seq)
	case Evaluated:
		s.evaluated(now, ev)
	default:
		panic(fmt.Sprintf("sweep: unknown event %T", ev))
	}
	s.expire(now)
	for _, q := range s.live {
		if s.due(now, q) {
			s.say(now, q)
		}
	}
	s.pass(now)
	return s.out
}

// Deadline reports when Step must be called at the latest, with a [Tick] if
// nothing else happens. The zero time means never.
func (s *Sweep) Deadline() time.Time {
	var d time.Time
	at := func(t time.Time) {
		if d.IsZero() || t.Before(d) {
			d = t
		}
	}
	if s.front != Nobody && len(s.unacked) > 0 {
		at(s.unacked[0].at.Add(ackTimeout))
	}
	for _, q := range s.live {
		at(q.Expires)
		if s.front == Nobody || s.full() {
			continue
		}
		switch {
		case !q.first && (!s.behind || q.upFinal):
			at(q.at.Add(q.Hold))
		case !q.first:
			at(q.at.Add(q.Hold + stuck))
		case q.own == ready:
			at(q.gridPoint())
		}
	}
	return d
}

func (s *Sweep) join(now time.Time, ev Joined) {
	if s.registered.IsZero() {
		s.highest = ev.Highest
	}
	s.slot, s.registered = ev.Slot, now
}

// ahead greets a new neighbour in front: with the live questions, then with
// whatever the old one may not have passed on, then with where we stand.
func (s *Sweep) ahead(now time.Time, f Front) {
	s.front = f
	resend := s.unacked
	s.unacked = nil
	for _, u := range resend {
		if b := u.report.Bundle; !b.Set.Empty() {
			s.enqueue(b)
		}
	}
	for _, q := range s.live {
		q.first, q.final = false, false
		if f == Peer {
			s.emit(Forward{q.Question})
		}
	}
}

func (s *Sweep) turn(present bool) {
	s.behind = present
	for _, q := range s.live {
		q.upFirst, q.upFinal = false, false
	}
}

func (s *Sweep) ask(now time.Time, in Question) {
	if s.knows(in.ID) || !now.Before(in.Expires) {
		return
	}
	if len(s.live) == liveMax {
		s.makeRoom()
	}
	s.live = append(s.live, &question{Question: in, at: now})
	if s.front == Peer {
		s.emit(Forward{in})
	}
	s.emit(Evaluate{in})
}

// makeRoom forgets the oldest question that is done, or else the oldest.
func (s *Sweep) makeRoom() {
	i := slices.IndexFunc(s.live, func(q *question) bool { return q.final })
	if i < 0 {
		i = 0
		s.emit(Lost{s.live[0].ID, "too many questions at once"})
	}
	s.forget(i)
}

func (s *Sweep) forget(i int) {
	id := s.live[i].ID
	s.live = slices.Delete(s.live, i, i+1)
	if len(s.gone) < goneMax {
		s.gone = append(s.gone, id)
		s.next = len(s.gone) % goneMax
		return
	}
	s.gone[s.next] = id
	s.next = (s.next + 1) % goneMax
}

func (s *Sweep) find(id uint64) *question {
	for _, q := range s.live {
		if q.ID == id {
			return q
		}
	}
	return nil
}

// told takes what the neighbour behind reports. It is acknowledged at once:
// from here on it is ours to deliver.
func (s *Sweep) told(r answer.Report) {
	s.emit(Ack{r.Seq})
	q := s.find(r.Question)
	b := r.Bundle
	switch {
	case b.Set.Empty():
	case q == nil || b.Tainted || b.Set.Overlaps(q.seen):
		s.enqueue(b)
	default:
		if q.buf.Set.Empty() {
			q.buf = b
		} else {
			q.buf = answer.Merge(s.lim, q.buf, b)
		}
		q.seen = q.seen.Union(b.Set)
	}
	if q == nil {
		return
	}
	q.pending = q.pending.Union(r.Pending.Minus(q.seen))
	q.upFirst = q.upFirst || r.First
	q.upFinal = q.upFinal || r.Final
}

// enqueue lets a bundle pass as it is. It is tainted from here on: it may
// arrive twice, and merged it could not be told apart.
func (s *Sweep) enqueue(b answer.Bundle) {
	if len(s.queue) == queueMax {
		s.emit(Lost{s.queue[0].Question, "too many bundles wait for a neighbour in front"})
		s.queue = slices.Delete(s.queue, 0, 1)
	}
	b.Tainted = true
	s.queue = append(s.queue, b)
}

func (s *Sweep) acked(seq uint64) {
	i := 0
	for i < len(s.unacked) && s.unacked[i].report.Seq <= seq {
		i++
	}
	s.unacked = slices.Delete(s.unacked, 0, i)
}

func (s *Sweep) evaluated(now time.Time, ev Evaluated) {
	q := s.find(ev.Question)
	if q == nil || q.own != running {
		return
	}
	b := answer.Bundle{Question: q.ID, Set: answer.SetOf(s.slot), Rows: ev.Rows, Counts: ev.Counts}
	if q.ID <= s.highest || q.seen.Has(s.slot) || now.Sub(s.registered) > strangerAfter {
		// Our former life, or who shares our slot, may have answered already.
		q.own = said
		s.enqueue(b)
		return
	}
	q.own, q.mine = ready, b
	q.skipGrid(now)
}

// pass sends the bundles that wait to be passed along.
func (s *Sweep) pass(now time.Time) {
	n := 0
	for n < len(s.queue) && s.front != Nobody && !s.full() {
		b := s.queue[n]
		s.send(now, answer.Report{Question: b.Question, Bundle: b})
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

func (s *Sweep) full() bool { return len(s.unacked) >= windowMax }

// complete reports whether nothing more is to be expected for q from here.
func (s *Sweep) complete(q *question) bool {
	return q.own != running && (!s.behind || q.upFinal)
}

// due reports whether a report about q should leave now (docs/protocol.md §5.3).
func (s *Sweep) due(now time.Time, q *question) bool {
	if s.front == Nobody || s.full() {
		return false
	}
	age := now.Sub(q.at)
	if !q.first {
		return s.complete(q) ||
			s.behind && q.upFirst && !q.upFinal ||
			age >= q.Hold && (!s.behind || q.upFinal) ||
			age >= q.Hold+stuck
	}
	return !q.buf.Set.Empty() || !q.pending.Empty() ||
		q.own == ready && !now.Before(q.gridPoint()) ||
		s.complete(q) && !q.final
}

func (q *question) gridPoint() time.Time { return q.at.Add(q.Hold<<q.grid + gridSlack) }

// skipGrid leaves the grid points behind that have passed.
func (q *question) skipGrid(now time.Time) {
	for !now.Before(q.gridPoint()) {
		q.grid++
	}
}

// say makes one report of all there is to say about q, and sends it.
func (s *Sweep) say(now time.Time, q *question) {
	r := answer.Report{Question: q.ID, First: !q.first, Final: s.complete(q), Bundle: q.buf}
	switch {
	case q.own == running && !q.first:
		q.pending.Add(s.slot)
	case q.own == ready && q.buf.Set.Empty():
		r.Bundle = q.mine
	case q.own == ready && q.buf.Set.Overlaps(q.mine.Set):
		s.enqueue(q.mine) // somebody behind claims our slot
	case q.own == ready:
		r.Bundle = answer.Merge(s.lim, q.buf, q.mine)
	}
	if q.own == ready {
		q.seen = q.seen.Union(q.mine.Set)
		q.own, q.mine = said, answer.Bundle{}
	}
	r.Pending = q.pending
	q.buf, q.pending = answer.Bundle{}, answer.Set{}
	q.first, q.final = true, q.final || r.Final
	q.skipGrid(now)
	s.send(now, r)
}

func (s *Sweep) send(now time.Time, r answer.Report) {
	s.seq++
	r.Seq = s.seq
	s.unacked = append(s.unacked, sent{r, now})
	s.emit(Send{r})
}

func (s *Sweep) expire(now time.Time) {
	for i := 0; i < len(s.live); {
		if now.Before(s.live[i].Expires) {
			i++
		} else {
			s.forget(i)
		}
	}
	if s.front != Nobody && len(s.unacked) > 0 && !now.Before(s.unacked[0].at.Add(ackTimeout)) {
		s.unacked[0].at = now // once; the link will be given up
		s.emit(Stalled{})
	}
}

func (s *Sweep) emit(e Effect) { s.out = append(s.out, e) }
