// Package sweep is one client's part in the questions that pass along its
// chain: forward each question at once, wait for the own answer and for those
// from behind, merge them, and hand them to the neighbour in front.
//
// A [Sweep] is a value that changes only when [Sweep.Step] is called; its owner
// (package node) carries out the effects and calls again by [Sweep.Deadline].
// It knows who stands in front and behind only as far as it must: which life of
// which client it is, so that it can tell the same one from another.
//
// # When an answer moves on
//
// Waiting is counted from a node's own receipt of the question, never from the
// arrival of an answer (docs/protocol.md §5.3): all nodes of a chain then give
// up on the same diagonal, and slow machines delay the rest once and not hop
// by hop.
//
// # Custody
//
// What a node has taken it keeps until it is two hops on (docs/protocol.md
// §5.4): acknowledged by the neighbour in front, and by that one's neighbour.
// The death of any one machine then loses nothing but its own answer.
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
	Mode    answer.Mode
}

// A Front is who stands in front.
type Front uint8

const (
	Nobody Front = iota
	Peer         // takes questions and answers
	Server       // takes answers
)

// A Life is one life of a neighbour: who it is and since which start. The zero
// Life is like no other, not even itself.
type Life struct {
	ID          [16]byte
	Incarnation uint64
}

// A Source is where a question came from.
type Source uint8

const (
	FromBehind Source = iota // or from the server, to a backward leader
	FromFront                // against the usual direction: who stands behind is passed by
	FromServer               // with a registration
)

// An Event is something that has happened.
type Event interface{ event() }

type (
	// Tick: the deadline has come; Late is by how much it was missed.
	Tick struct{ Late time.Duration }
	// Joined: the server has given us a slot, or confirmed it. At first,
	// questions up to Highest may already hold an answer of our former life. If
	// we have Moved to another LAN, nothing from the former one is of use here,
	// where slots mean other machines; and the server has counted our answers
	// there to the questions Counted.
	Joined struct {
		Slot    answer.Slot
		Highest uint64
		Moved   bool
		Counted []uint64
	}
	// Ahead: another link than before leads to who stands in front. A peer has
	// our reports up to Heard and the questions Known (ascending).
	Ahead struct {
		Front Front
		Life  Life
		Heard uint64
		Known []uint64
	}
	// Behind: another link than before leads to the peer behind, if any.
	Behind struct {
		Present bool
		Life    Life
	}
	// Asked: a question came. In a Round above 0 the server asks again, and
	// lacks the answers of Only.
	Asked struct {
		Question Question
		Round    uint64
		Only     answer.Set
		From     Source
	}
	// Left: a question came from behind that is left alone; it has come all the
	// same.
	Left struct{ Question uint64 }
	// Direct: the server wants our own answers to these questions, past the
	// chain.
	Direct struct{ Questions []uint64 }
	// Told: the neighbour behind reports.
	Told struct{ Report answer.Report }
	// Acked: the neighbour in front has every report up to Seq, and those that
	// are not Unsafe (ascending) are beyond it; and it has the Questions.
	Acked struct {
		Seq       uint64
		Unsafe    []uint64
		Questions []uint64
	}
	// Evaluated: the own answer to a question is ready. In other modes than
	// merged it comes with its box.
	Evaluated struct {
		Question uint64
		Rows     answer.Rows
		Counts   answer.Counts
		Box      answer.Box
	}
)

func (Tick) event()      {}
func (Joined) event()    {}
func (Ahead) event()     {}
func (Behind) event()    {}
func (Asked) event()     {}
func (Left) event()      {}
func (Direct) event()    {}
func (Told) event()      {}
func (Acked) event()     {}
func (Evaluated) event() {}

// An Effect is something the host must now do, in order.
type Effect interface{ effect() }

type (
	// Forward the question to the peer in front.
	Forward struct {
		Question Question
		Round    uint64
		Only     answer.Set
	}
	// Reverse passes the question to the peer behind.
	Reverse struct {
		Question Question
		Round    uint64
		Only     answer.Set
	}
	// Evaluate the question; answer with Evaluated.
	Evaluate struct{ Question Question }
	// Send the report to whoever stands in front.
	Send struct{ Report answer.Report }
	// Ack to the neighbour behind, or the server there, what has come: reports
	// up to Seq, of which the Unsafe are only here, and Questions.
	Ack struct {
		Seq       uint64
		Unsafe    []uint64
		Questions []uint64
	}
	// Witness gives the server our own answer, past the chain.
	Witness struct{ Report answer.Report }
	// Suspect: the neighbour in front acknowledges nothing for longer than it
	// usually takes. Trust: it does again.
	Suspect struct{}
	Trust   struct{}
	// Stalled: the neighbour in front acknowledges nothing for so long that it
	// must be given up.
	Stalled struct{}
	// Lost: something was dropped at a limit.
	Lost struct {
		Question uint64
		Why      string
	}
)

func (Forward) effect()  {}
func (Reverse) effect()  {}
func (Evaluate) effect() {}
func (Send) effect()     {}
func (Ack) effect()      {}
func (Witness) effect()  {}
func (Suspect) effect()  {}
func (Trust) effect()    {}
func (Stalled) effect()  {}
func (Lost) effect()     {}

const (
	// stuck is G of docs/protocol.md §5.3: how much longer than Hold a node
	// waits for a neighbour behind that says nothing at all.
	stuck = 250 * time.Millisecond
	// gridSlack lets a supplement from behind, due at the same grid point,
	// arrive first and be merged.
	gridSlack = 2 * time.Millisecond
	// gridStepMax bounds how late an answer may be said that was late itself:
	// grid points lie twice as far from the question each, but no farther apart.
	gridStepMax = 2 * time.Second

	// strangerAfter: a client that has not registered for so long may be unknown
	// to the server, which then counts nothing that its answer is merged into.
	// It comes before roster.StaleAfter, and after a missed registration.
	strangerAfter = 3 * time.Minute

	liveMax = 256  // questions kept with all their state
	goneMax = 1024 // ids of questions remembered after that

	// After reportsMax reports to a question within reportsReset, further ones
	// leave reportsGap apart, after reportsMany manyGap, and what comes meanwhile
	// is merged: a neighbour that says each answer singly costs those in front no
	// more than that. A chain says about ten reports to a question, and more only
	// where machines are overloaded: then all that stand in front wait for a gap
	// each, one after the other, so that the first is short.
	reportsMax   = 32
	reportsMany  = 256
	reportsReset = time.Minute
	reportsGap   = 50 * time.Millisecond
	manyGap      = 500 * time.Millisecond

	// keptMax bounds the own answers that are kept in case the server asks
	// again, in bytes; a dropped one is computed anew.
	keptMax = 8 << 20
	// roomMax bounds what waits to be merged, in bytes of rows; beyond, answers
	// keep fewer rows: a slow link costs resolution, not memory.
	roomMax = 32 << 20
)

// A Sweep is one client's part in its chain's questions.
type Sweep struct {
	lim        answer.Limits
	registered time.Time // last
	highest    uint64    // questions up to here are answered as tainted
	slot       answer.Slot

	front    Front
	behind   bool
	ackDue   bool
	custody  custody
	up       *upstream     // who stands behind, or nil
	ups      []*upstream   // and stood there, newest last
	receipts []uint64      // questions whose receipt has not been said
	queue    []passing     // tainted: to be passed along as they are, oldest first
	queued   int           // bytes in queue
	kept     int           // bytes of own answers that are kept
	room     int           // bytes of rows that wait to be merged
	late     time.Duration // how late this machine has lately been itself

	live []*question // in the order of arrival
	past *past       // nil: no question is over

	out []Effect
}

// past is what is kept of questions that are over.
type past struct {
	elsewhere []uint64 // that we have answered in another LAN
	gone      []uint64 // ring of ids
	next      int      // where the ring is written next
}

// New returns a sweep that takes part in no question. The limits bound each
// merged answer.
func New(lim answer.Limits) *Sweep {
	return &Sweep{lim: lim, custody: custody{outstanding: &nothing}}
}

// Live returns the newest live questions, ascending, at most max.
func (s *Sweep) Live(max int) []uint64 {
	if len(s.live) == 0 {
		return nil
	}
	ids := make([]uint64, len(s.live))
	for i, q := range s.live {
		ids[i] = q.ID
	}
	slices.Sort(ids)
	if len(ids) > max {
		ids = ids[len(ids)-max:]
	}
	return ids
}

// Same returns the live question that was sealed to just these bytes, so that
// its signature need not be looked at again: it may come several times.
func (s *Sweep) Same(sealed []byte) (Question, bool) {
	i := slices.IndexFunc(s.live, func(q *question) bool { return bytes.Equal(q.Sealed, sealed) })
	if i < 0 {
		return Question{}, false
	}
	return s.live[i].Question, true
}

// Step applies one event that happened at now and returns what the host must
// do about it.
func (s *Sweep) Step(now time.Time, ev Event) []Effect {
	s.expire(now) // first of all: a machine that wakes up has slept through the end of questions
	switch ev := ev.(type) {
	case Tick:
		s.late = max(ev.Late, s.late-s.late/4)
	case Joined:
		s.join(now, ev)
	case Ahead:
		s.ahead(now, ev)
	case Behind:
		s.turn(ev)
	case Asked:
		s.ask(now, ev)
	case Left:
		s.receipts = append(s.receipts, ev.Question)
	case Direct:
		s.direct(ev.Questions)
	case Told:
		s.told(ev.Report)
	case Acked:
		s.acked(now, ev)
	case Evaluated:
		s.evaluated(now, ev)
	default:
		panic(fmt.Sprintf("sweep: unknown event %T", ev))
	}
	s.wait(now)
	for _, q := range s.live {
		if s.due(now, q) {
			s.say(now, q)
		}
	}
	s.pass(now)
	s.ack()
	s.custody.settle()
	out := s.out
	s.out = nil
	return out
}

// Deadline reports when Step must be called at the latest, with a [Tick] if
// nothing else happens. The zero time means never.
func (s *Sweep) Deadline() time.Time {
	d := s.patienceEnds()
	at := func(t time.Time) {
		if d.IsZero() || t.Before(d) {
			d = t
		}
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
		case q.said >= reportsMax && q.waits(s.complete(q)):
			at(q.rested())
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
	if ev.Moved {
		s.reset()
	}
	if len(ev.Counted) > 0 {
		s.remember().elsewhere = slices.Clone(ev.Counted)
	}
	s.slot, s.registered = ev.Slot, now
}

// reset forgets everything but which questions are over, and the number of our
// last report, which only grows.
func (s *Sweep) reset() {
	s.custody = custody{seq: s.custody.seq}
	s.custody.outstanding = &nothing
	s.front, s.behind, s.up, s.ups = Nobody, false, nil, nil
	s.live, s.queue, s.receipts, s.ackDue = nil, nil, nil, false
	s.queued, s.kept, s.room = 0, 0, 0
}

// ahead greets who stands in front now: with the live questions that it lacks,
// then with whatever may not have been passed on, then with where we stand.
func (s *Sweep) ahead(now time.Time, ev Ahead) {
	s.front = ev.Front
	if ev.Front == Nobody {
		s.custody.alone()
		return
	}
	resumed := s.custody.turn(now, ev)
	for _, q := range s.live {
		q.first, q.final = false, false
		if _, known := slices.BinarySearch(ev.Known, q.ID); ev.Front == Peer && !known {
			s.forward(now, q)
		}
	}
	if !resumed {
		s.requeue()
		return
	}
	s.release(s.custody.confirm(ev.Heard, nil, false))
	for i := range s.custody.list {
		if x := &s.custody.list[i]; !x.acked {
			x.at = now
			s.emit(Send{x.report})
		}
	}
}

func (s *Sweep) forward(now time.Time, q *question) {
	s.custody.asked(now, q.ID)
	s.emit(Forward{q.Question, q.round, q.only})
}

// passOn carries a question away from where it came.
func (s *Sweep) passOn(now time.Time, q *question, from Source) {
	switch {
	case from != FromFront && s.front == Peer:
		s.forward(now, q)
	case from == FromFront && s.behind:
		s.emit(Reverse{q.Question, q.round, q.only})
	}
}

func (s *Sweep) ask(now time.Time, ev Asked) {
	in := ev.Question
	if ev.From == FromBehind {
		s.receipts = append(s.receipts, in.ID)
	}
	if q := s.find(in.ID); q != nil {
		if ev.Round > q.round {
			q.round, q.only = ev.Round, ev.Only
			s.passOn(now, q, ev.From)
			if q.only.Has(s.slot) {
				s.again(q)
			}
		}
		return
	}
	if s.past != nil && slices.Contains(s.past.gone, in.ID) || !now.Before(in.Expires) {
		return
	}
	if len(s.live) == liveMax {
		s.makeRoom()
	}
	q := &question{Question: in, at: now, grid: in.Hold, round: ev.Round, only: ev.Only}
	s.live = append(s.live, q)
	s.passOn(now, q, ev.From)
	if s.past != nil && slices.Contains(s.past.elsewhere, q.ID) {
		q.own = said
		return
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
	q := s.live[i]
	s.release(q.covers)
	s.room -= q.room
	s.keep(q, mine{}, 0)
	s.live = slices.Delete(s.live, i, i+1)
	p := s.remember()
	if len(p.gone) < goneMax {
		p.gone = append(p.gone, q.ID)
	} else {
		p.gone[p.next] = q.ID
	}
	p.next = (p.next + 1) % goneMax
}

// remember returns what is kept of questions that are over, to add to it.
func (s *Sweep) remember() *past {
	if s.past == nil {
		s.past = new(past)
	}
	return s.past
}

// Question returns a live question.
func (s *Sweep) Question(id uint64) (Question, bool) {
	if q := s.find(id); q != nil {
		return q.Question, true
	}
	return Question{}, false
}

func (s *Sweep) find(id uint64) *question {
	for _, q := range s.live {
		if q.ID == id {
			return q
		}
	}
	return nil
}

func (s *Sweep) expire(now time.Time) {
	for i := 0; i < len(s.live); {
		if now.Before(s.live[i].Expires) {
			i++
		} else {
			s.forget(i)
		}
	}
}

func (s *Sweep) emit(e Effect) { s.out = append(s.out, e) }
