package sim

import (
	"bytes"
	"slices"

	"catenary/internal/chain"
	"catenary/internal/node"
	"catenary/internal/wire"
)

// A bill is what one life of a machine has sent and what it had reason to
// (invariant I12): on a link that stands, each question goes once for each
// round; an answer leaves once at first, once at last, once with the machine's
// own, and once for each that comes from behind; and a receipt is for something
// that came.
type bill struct {
	life      uint64
	front     chain.Conn // the link in front
	questions map[uint64]*entry
	causes    int // of receipts: answers and questions from behind, receipts from in front, links
	receipts  int

	// Numbers of its last answer, of the last that was received, and of the last
	// before the link in front stood.
	sent, acked, before uint64
}

// windowMax is how many answers of a machine may be under way, less one: the
// others wait.
const windowMax = 31

// crowded reports whether answers may wait because of their size.
func (w *world) crowded() bool {
	return w.flooded || slices.ContainsFunc(w.server.live, func(q *asked) bool { return q.kind == crowd })
}

// An entry is one question on the link in front.
type entry struct {
	moved   bool // the link is another than when the question came
	rounds  int  // how often it came again
	causes  int  // answers from behind, and the machine's own
	asked   int  // times that it was sent in front
	answers int  // … and answers to it
	final   bool // the last word was said …
	// … in this step, in which tainted bundles may come after it.
	lastWord int
	owed     int // what has come since, and must be passed on
}

// billed reports whether anybody looks at what a machine sends.
func (w *world) billed(h *host) bool {
	return !w.unwatched && w.control == (Control{}) && h.liar == nil
}

func (w *world) bill(h *host) *bill {
	b := w.bills[h.index]
	if b == nil || b.life != h.life {
		b = &bill{life: h.life, questions: map[uint64]*entry{}}
		w.bills[h.index] = b
	}
	return b
}

func (b *bill) entry(id uint64) *entry {
	e := b.questions[id]
	if e == nil {
		e = &entry{}
		b.questions[id] = e
		b.causes++ // when it is over, what it covered is let go
	}
	return e
}

// charge notes what a machine is told, which is all that it may have reason to
// send something for.
func (w *world) charge(h *host, ev node.Event) {
	if !w.billed(h) {
		return
	}
	b := w.bill(h)
	switch ev := ev.(type) {
	case node.Got:
		switch m := ev.Message.(type) {
		case wire.Question:
			b.causes++
			if q := w.server.sealed(m.Sealed); q != nil && m.Round > 0 {
				e := b.entry(q.id)
				e.rounds++
				e.owed++
			}
		case wire.Answer:
			b.causes++
			e := b.entry(m.Question)
			n := 1
			if w.liars > 0 && !m.Bundle.Set.Empty() && !m.Pending.Empty() {
				n = 2 // an honest bundle that goes on by itself has nobody pending
			}
			e.causes += n
			e.owed += n
		case wire.Ack:
			b.causes++
			b.acked = max(b.acked, min(m.Seq, b.sent)) // who lies may have had more
		}
	case node.Evaluated:
		// A tainted one travels alone, and may be said after the last word.
		e := b.entry(ev.Question)
		e.causes++
		e.owed++
	case node.Up, node.Down, node.Knock, node.Failed, node.Registered:
		b.causes++
	}
}

// settleBill looks at a machine when its node has taken a step.
func (w *world) settleBill(h *host) {
	if !w.billed(h) {
		return
	}
	b := w.bill(h)
	front := chain.Conn(0)
	for _, x := range h.conns {
		if x.conn.ends[x.end].state == up && w.stands(x.conn.role) && w.sideOf(x) == chain.Fore {
			front = x.conn.ends[x.end].num
		}
	}
	if front == b.front {
		return
	}
	b.front, b.before = front, b.sent
	for _, e := range b.questions {
		e.moved = true
	}
}

// stands reports whether a connection in this role leads to a neighbour.
func (w *world) stands(r wire.Role) bool { return r != wire.Witness && r != wire.Backward }

// billSent looks at what a machine sends.
func (w *world) billSent(h *host, n chain.Conn, m wire.Message) {
	if !w.billed(h) {
		return
	}
	b := w.bill(h)
	switch m := m.(type) {
	case wire.Ack:
		if b.receipts++; b.receipts > b.causes {
			w.fail("I12: machine %v has sent %d receipts and had %d reasons", h, b.receipts, b.causes)
		}
	case wire.Question:
		w.checkPassedOn(h, m)
		if q := w.server.sealed(m.Sealed); q != nil && n == b.front {
			e := b.entry(q.id)
			if e.asked++; !e.moved && e.asked > 1+e.rounds {
				w.fail("I12: machine %v has sent question %d %d times on one link; it was asked again %d times", h, q.id, e.asked, e.rounds)
			}
		}
	case wire.Answer:
		late := b.sent-min(b.acked, b.sent) >= windowMax // it had to wait
		b.sent = max(b.sent, m.Seq)
		if n == b.front {
			b.answer(w, h, m, late)
			w.checkWindow(h, b)
		}
	}
}

func (b *bill) answer(w *world, h *host, m wire.Answer, late bool) {
	e := b.entry(m.Question)
	if e.answers++; e.moved {
		return
	}
	if e.answers > 2+e.causes+e.rounds {
		w.fail("I12: machine %v has sent %d answers to question %d on one link; %d came from behind, and it was asked again %d times",
			h, e.answers, m.Question, e.causes, e.rounds)
	}
	if e.final && e.owed == 0 && e.lastWord != w.events && !late && !w.crowded() {
		w.fail("I12: machine %v says more to question %d after its last word, although nothing new has come", h, m.Question)
	}
	if e.final && e.owed > 0 {
		e.owed--
	}
	if m.Final {
		e.final, e.owed, e.lastWord = true, 0, w.events
	}
}

// sealed is the question that was sealed to these bytes.
func (s *server) sealed(b []byte) *asked {
	for _, q := range slices.Backward(s.asked) {
		if bytes.Equal(q.sealed, b) {
			return q
		}
	}
	return nil
}
