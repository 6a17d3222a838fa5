package sim

import (
	"fmt"
	"net/netip"
	"slices"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// Laws of a question, and of what a machine may pass on; those of each step are
// with checkStep. docs/simulator.md has a table of all.

// delivered is a report that the server took for a question.
type delivered struct {
	lan    netip.Prefix
	report answer.Report
}

// noteDelivered keeps a report, to take it once more in another order.
func (q *asked) noteDelivered(by *leader, r answer.Report) {
	if q.kind == census && q.mode == answer.Merged {
		r.Bundle.Tainted = r.Bundle.Tainted || by.role == wire.Witness // as the desk takes it
		q.delivered = append(q.delivered, delivered{by.lan, r})
	}
}

// checkOrderless: I4, the same reports in another order, and some of them twice,
// give the same answer.
func (w *world) checkOrderless(q *asked) {
	waiting := q.tally.Progress().Expected == 0
	for _, d := range q.delivered {
		waiting = waiting || !d.report.Bundle.Set.Within(q.everybody(d.lan))
	}
	if len(q.delivered) == 0 || waiting {
		return // some wait for machines that have never registered
	}
	expected := map[netip.Prefix]answer.Set{}
	for _, d := range q.delivered {
		expected[d.lan] = q.everybody(d.lan)
	}
	now := epoch.Add(w.now)
	again := tally.New(q.id, epoch.Add(q.at), epoch.Add(q.expires), q.limit(), answer.ServerLimits, expected)
	order := append(w.rng.Perm(len(q.delivered)), w.rng.Perm(len(q.delivered))[:len(q.delivered)/2]...)
	for _, i := range order {
		again.Take(now, q.delivered[i].lan, q.delivered[i].report)
	}
	one, two := q.tally.Result(), again.Result()
	same := one.Answered == two.Answered && one.Passed == two.Passed && one.Errors == two.Errors && one.NoResults == two.NoResults &&
		slices.EqualFunc(one.Rows.List, two.Rows.List, func(x, y answer.Row) bool { return x.Hash == y.Hash && x.Count == y.Count })
	if !same {
		w.fail("I4: question %d: %d reports count %d machines, and in the order %v %d",
			q.id, len(q.delivered), one.Answered, order, two.Answered)
	}
}

// everybody is every machine of a LAN that the question knows of.
func (q *asked) everybody(lan netip.Prefix) answer.Set {
	for _, a := range q.tally.Accounts() {
		if a.LAN == lan {
			return everybody(a)
		}
	}
	return answer.Set{}
}

// parts are the sets of an account.
func parts(a tally.Account) []answer.Set {
	return []answer.Set{a.Answered, a.Failed, a.Stopped, a.Gone, a.Running, a.Missing}
}

// checkAccount: the account of a question has each machine once; it has those as
// counted whose rows are in the result; and a question that is complete lacks
// only who is gone.
func (w *world) checkAccount(q *asked) {
	if err := w.accountOf(q); err != nil {
		w.fail("I2: question %d: %w", q.id, err)
	}
}

func (w *world) accountOf(q *asked) error {
	all := map[netip.Prefix]tally.Account{}
	open := 0
	for _, a := range q.tally.Accounts() {
		all[a.LAN] = a
		open += a.Running.Len() + a.Missing.Len()
		n, sum := 0, everybody(a)
		for _, set := range parts(a) {
			n += set.Len()
		}
		if n != sum.Len() {
			return fmt.Errorf("the account of %v names machines twice: %+v", a.LAN, a)
		}
	}
	if p := q.tally.Progress(); p.Complete() != (open == 0 && p.Expected > 0) {
		return fmt.Errorf("is complete: %v; but %d machines are missing", p.Complete(), open)
	}
	for _, h := range w.hosts {
		seat, known := w.server.roster.Seat(h.place.ID)
		if _, here := w.server.roster.LAN(h.place.ID); !known || !here {
			continue
		}
		a := all[seat.LAN]
		counted := a.Answered.Has(seat.Slot) || a.Failed.Has(seat.Slot)
		switch {
		case !everybody(a).Has(seat.Slot):
			return fmt.Errorf("machine %v is registered, and the account does not name it", h)
		case counted != w.counted(q, h):
			return fmt.Errorf("machine %v is counted: %v; the account says %v", h, !counted, counted)
		case counted && !q.doubted && a.Failed.Has(seat.Slot) != (q.kind == census && countsOf(h.index).Errors > 0):
			return fmt.Errorf("machine %v has failed, says the account: %v", h, a.Failed.Has(seat.Slot))
		}
	}
	return nil
}

// checkExpected: who has just registered is gone from no question any more.
func (w *world) checkExpected(h *host) {
	seat, _ := w.server.roster.Seat(h.place.ID)
	for _, q := range w.server.live {
		for _, a := range q.tally.Accounts() {
			if a.LAN == seat.LAN && (a.Gone.Has(seat.Slot) || !everybody(a).Has(seat.Slot)) {
				w.fail("I2: machine %v has registered, and question %d does not expect it: %+v", h, q.id, a)
			}
		}
	}
}

// checkCut: I3, what was left out of an answer stays out.
func (w *world) checkCut(q *asked) {
	if cut := q.tally.Result().Rows.Cut; q.cut != 0 && (cut == 0 || cut > q.cut) {
		w.fail("I3: question %d was cut at %x, and then at %x", q.id, q.cut, cut)
	} else {
		q.cut = cut
	}
}

// checkPassedOn: I10, what a machine passes on is a question that was asked, and
// is not over.
func (w *world) checkPassedOn(h *host, m wire.Question) {
	q := w.server.sealed(m.Sealed)
	switch {
	case q == nil:
		w.fail("I10: machine %v passes on a question that nobody has asked", h)
	case w.now > q.expires+clockMax:
		w.fail("I10: machine %v passes on question %d at %v; it expired at %v", h, q.id, w.now, q.expires)
	case w.liars == 0 && m.Round > tally.Rounds:
		w.fail("I10: machine %v passes on round %d of question %d, which was never asked", h, m.Round, q.id)
	}
}

// checkWindow: I11, what is under way to a neighbour is bounded.
func (w *world) checkWindow(h *host, b *bill) {
	if open := b.sent - min(b.sent, max(b.acked, b.before)); open > windowMax+1 {
		w.fail("I11: machine %v has %d reports out without a receipt", h, open)
	}
	if len(h.doors) > doorsMax {
		w.fail("I11: machine %v lets %d clients wait at its door", h, len(h.doors))
	}
}

// doorsMax is how many may wait to be admitted: one on each side.
const doorsMax = 2

// checkBackward: I5, the backward link leads to the neighbour behind, and there
// is one at most each way.
func (w *world) checkBackward(h *host) error {
	var own, theirs int
	for _, x := range h.conns {
		if x.conn.role != wire.Backward || x.conn.ends[x.end].state != up {
			continue
		}
		if x.end == 1 {
			theirs++
			continue
		}
		own++
		behind := h.node.Neighbour(chain.Back)
		if peer := w.peerOf(x); peer.Place.ID != behind.Place.ID || peer.Place.Compare(h.place) >= 0 {
			return fmt.Errorf("I5: machine %v has a backward link to %v, and %v stands behind it", h, peer, behind)
		}
	}
	if own > 1 || theirs > 1 {
		return fmt.Errorf("I5: machine %v has %d backward links, and %d lead to it", h, own, theirs)
	}
	if a, b := h.node.Backward(); a != (own > 0) || b != (theirs > 0) {
		return fmt.Errorf("I5: machine %v believes in other backward links than it has: %v, %v", h, a, b)
	}
	return nil
}

func everybody(a tally.Account) (sum answer.Set) {
	for _, set := range parts(a) {
		sum = sum.Union(set)
	}
	return sum
}
