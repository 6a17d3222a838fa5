package sweep

import (
	"time"

	"catenary/internal/answer"
)

// own is how far the machine's own answer is.
type own uint8

const (
	running own = iota
	ready
	said
)

type question struct {
	Question
	at    time.Time  // of our receipt
	round uint64     // how often the server has asked again
	only  answer.Set // whom, the last time

	mine mine // once own is ready, unless dropped to make room
	size int  // of mine, in bytes

	buf     *answer.Bundle // from behind, merged, not yet passed on; nil: nothing
	room    int            // of its rows, in bytes
	covers  []cover        // the reports that are in buf
	seen    answer.Set     // everything that was ever in buf
	pending answer.Set     // machines behind that compute, not yet told

	minute time.Duration // after at: when said was last 0
	last   time.Duration // … and our last report
	said   int32         // reports since minute
	grid   time.Duration // the next grid point, after at

	own     own
	again   bool // computed anew: it may have been said before
	direct  bool // the server waits for it, past the chain
	upFirst bool // the neighbour behind has said its first
	upFinal bool // … and its last
	first   bool // we have said our first on this link in front
	final   bool // … and our last
}

// mine is the machine's own answer: what makes a bundle of it, for it is kept as
// long as the question lives. The zero mine is none.
type mine struct {
	rows   answer.Rows
	counts answer.Counts
	boxes  []answer.Box
	slot   answer.Slot
	there  bool
}

// bundle is the own answer as it travels.
func (q *question) bundle() answer.Bundle {
	b := answer.BundleOf(q.ID, q.mine.slot, q.mine.rows, q.mine.counts)
	b.Mode, b.Boxes = q.Mode, q.mine.boxes
	return b
}

func (s *Sweep) evaluated(now time.Time, ev Evaluated) {
	q := s.find(ev.Question)
	if q == nil || q.own != running {
		return
	}
	b := answer.BundleOf(q.ID, s.slot, ev.Rows, ev.Counts)
	if q.Mode != answer.Merged {
		b = b.Boxed(q.Mode, ev.Box)
	}
	s.keep(q, mine{b.Rows, b.Counts, b.Boxes, s.slot, true}, b.Size())
	if q.direct {
		s.witness(q, b)
	}
	if q.again || q.ID <= s.highest || q.seen.Has(s.slot) || now.Sub(s.registered) > strangerAfter {
		// Our former life, or who shares our slot, may have answered already.
		s.saidOwn(q)
		s.enqueue(b)
		return
	}
	q.own = ready
	q.skipGrid(now)
}

// saidOwn notes that the own answer has left. In a box it is not kept: if it is
// asked for again the server may have been unable to open it, and it takes a
// new one.
func (s *Sweep) saidOwn(q *question) {
	if q.own = said; q.Mode != answer.Merged {
		s.keep(q, mine{}, 0)
	}
}

// keep holds the own answer in case the server asks again. Older ones make
// room for it, unless they have still to be said.
func (s *Sweep) keep(q *question, m mine, size int) {
	s.kept -= q.size
	q.mine, q.size = m, size
	s.kept += q.size
	for _, old := range s.live {
		if s.kept <= keptMax {
			return
		}
		if old.own == said && old != q {
			s.kept -= old.size
			old.mine, old.size = mine{}, 0
		}
	}
}

// again says the own answer once more, which the server lacks: from what is
// kept, or else computed anew. What is still to be said it will get.
func (s *Sweep) again(q *question) {
	switch {
	case q.own != said:
	case !q.mine.there:
		s.compute(q)
	default:
		s.enqueue(q.bundle())
	}
}

func (s *Sweep) compute(q *question) {
	q.own, q.again = running, true
	s.emit(Evaluate{q.Question})
}

// Said returns what this machine has said to a live question. It is not ok if
// the machine does not know that any more, or if it, or its former life, may
// have said two things.
func (s *Sweep) Said(id uint64) (rows answer.Rows, ok bool) {
	q := s.find(id)
	if q == nil || q.own != said || q.again || q.ID <= s.highest || !q.mine.there {
		return answer.Rows{}, false
	}
	return q.mine.rows, true
}

// direct gives the server what it could not get along the chain.
func (s *Sweep) direct(ids []uint64) {
	for _, id := range ids {
		q := s.find(id)
		switch {
		case q == nil:
		case q.own == running:
			q.direct = true
		case !q.mine.there:
			q.direct = true
			s.compute(q)
		default:
			s.witness(q, q.bundle())
		}
	}
}

func (s *Sweep) witness(q *question, b answer.Bundle) {
	q.direct = false
	b.Tainted = true
	s.emit(Witness{answer.Report{Question: q.ID, Bundle: b}})
}

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
	if now.Before(q.rested()) {
		return false
	}
	return q.waits(s.complete(q)) && (q.own != ready || q.buf != nil || !q.pending.Empty() ||
		s.complete(q) && !q.final || !now.Before(q.gridPoint()))
}

// waits reports whether there is something to say after the first report.
func (q *question) waits(complete bool) bool {
	return q.buf != nil || !q.pending.Empty() || q.own == ready || complete && !q.final
}

func (q *question) gridPoint() time.Time { return q.at.Add(q.grid + gridSlack) }

// rested is when who has said much may say more.
func (q *question) rested() time.Time {
	switch {
	case q.said < reportsMax:
		return q.at
	case q.said < reportsMany:
		return q.at.Add(q.last + reportsGap)
	}
	return q.at.Add(q.last + manyGap)
}

// skipGrid leaves the grid points behind that have passed.
func (q *question) skipGrid(now time.Time) {
	for !now.Before(q.gridPoint()) {
		q.grid += min(q.grid, gridStepMax)
	}
}

// say makes one report of all there is to say about q, and sends it.
func (s *Sweep) say(now time.Time, q *question) {
	r := answer.Report{Question: q.ID, First: !q.first, Final: s.complete(q)}
	if q.buf != nil {
		r.Bundle = *q.buf
	}
	switch {
	case q.own == running && !q.first && !q.again:
		q.pending.Add(s.slot)
	case q.own == ready && q.buf == nil:
		r.Bundle = q.bundle()
	case q.own == ready && q.buf.Set.Has(q.mine.slot):
		s.enqueue(q.bundle()) // somebody behind claims our slot
	case q.own == ready:
		if sum, fits := answer.Fit(s.lim, *q.buf, q.bundle()); fits {
			r.Bundle = sum
		} else {
			s.line(q.bundle())
		}
	}
	if q.own == ready {
		q.seen = q.seen.Union(answer.SetOf(q.mine.slot))
		s.saidOwn(q)
	}
	r.Pending = q.pending
	covers := q.covers
	s.room -= q.room
	q.buf, q.room, q.covers, q.pending = nil, 0, nil, answer.Set{}
	q.first, q.final = true, q.final || r.Final
	age := now.Sub(q.at)
	if age >= q.minute+reportsReset {
		q.minute, q.said = age, 0
	}
	q.said++
	q.last = age
	q.skipGrid(now)
	s.send(now, r, covers)
}

// merge takes a bundle from behind into what waits for q. If it does not fit,
// what waits goes on by itself: only boxes do that.
func (s *Sweep) merge(q *question, b answer.Bundle, c []cover) {
	if q.buf == nil {
		q.buf = &b
	} else if sum, fits := answer.Fit(s.limits(), *q.buf, b); fits {
		q.buf = &sum
	} else {
		s.line(*q.buf, q.covers...)
		q.buf, q.covers = &b, nil
	}
	size := q.buf.Size()
	s.room += size - q.room
	q.room = size
	q.covers = append(q.covers, c...)
	q.seen = q.seen.Union(b.Set)
}

// limits are those of a merged answer. They are tighter while much waits.
func (s *Sweep) limits() answer.Limits {
	if s.room <= roomMax {
		return s.lim
	}
	return answer.Limits{Rows: s.lim.Rows / 8, Bytes: s.lim.Bytes / 8}
}
