package server

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/box"
	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/seal"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

// rekeyEvery is how often at most a client is asked to come for a new key
// because a box in its name does not open: a peer may have forged that.
const rekeyEvery = time.Hour

// An opening is what it takes to open the boxes of a report, outside the hub.
type opening struct {
	question dispatch.Question
	lan      netip.Prefix
	owners   map[answer.Slot]endpoint.ID
}

// opened is what the machines of a report have said, each for itself.
type opened struct {
	each    []answer.Bundle
	closed  []endpoint.ID // whose boxes do not open
	wrong   Kind          // what no honest machine has done to the report; 0: nothing
	because error         // of the first box that does not open
}

// heard takes a leader's message, or says why the connection must end. Of a
// report that was tampered with, only what is beyond doubt is counted. The
// leader stays: somebody behind it may have done it, and what it can never hand
// over it would bring again and again.
func (s *Server) heard(ctx context.Context, l *leader, m wire.Message) error {
	var wrong error
	a, ok := m.(wire.Answer)
	if !ok {
		err := s.do(ctx, func(h *hub) { wrong = h.heard(time.Now(), l, m) })
		return errors.Join(wrong, err)
	}
	var x *opening
	genuine := s.genuine(a.Bundle.Rows)
	err := s.do(ctx, func(h *hub) {
		switch x = h.opening(l, a.Report); {
		case !genuine:
			x, wrong = nil, h.opened(time.Now(), l, a.Report, opened{wrong: ForgedRow})
		case x == nil:
			wrong = h.heard(time.Now(), l, m)
		}
	})
	if err != nil || wrong != nil || x == nil {
		return errors.Join(wrong, err)
	}
	o := s.openBoxes(time.Now(), x, a.Bundle)
	err = s.do(ctx, func(h *hub) { wrong = h.opened(time.Now(), l, a.Report, o) })
	return errors.Join(wrong, err)
}

// genuine reports whether all rows have their hashes.
func (s *Server) genuine(rows answer.Rows) bool {
	for _, r := range rows.List {
		if s.keys.RowKey.Row(r.Cells).Hash != r.Hash {
			return false
		}
	}
	return true
}

// opening returns what it takes to open a report's boxes; nil if it has none
// and none are wanted, or if nobody waits for it.
func (h *hub) opening(l *leader, r answer.Report) *opening {
	q, live := h.desk.Question(r.Question)
	if !live || r.Bundle.Set.Empty() || q.Mode == answer.Merged && r.Bundle.Mode == answer.Merged {
		return nil
	}
	return &opening{q, l.lan, h.roster.Owners(l.lan, r.Bundle.Set)}
}

// openBoxes opens the boxes of a bundle.
func (s *Server) openBoxes(now time.Time, x *opening, b answer.Bundle) opened {
	if b.Mode != x.question.Mode {
		return opened{wrong: WrongMode}
	}
	var o opened
	digests := box.DigestsOf(b.Rows)
	for _, bx := range b.Boxes {
		one, err := s.openBox(now, x, b, bx, digests)
		if err != nil {
			o.closed = append(o.closed, x.owners[bx.Slot])
			o.because = cmp.Or(o.because, err)
			continue
		}
		o.each = append(o.each, one)
	}
	switch {
	case len(o.closed) > 0:
		o.wrong = ForgedBox
	case b.Mode == answer.Attested && !addsUp(b, o.each):
		o.wrong = AlteredSums
	}
	return o
}

var (
	errNobody = fault.New(fault.NotFound, "nobody holds the slot")
	errNoBox  = fault.New(fault.Invalid, "box without a key's epoch")
)

// openOne returns what one machine has said, from its box.
func (s *Server) openBox(now time.Time, x *opening, b answer.Bundle, bx answer.Box, digests box.Digests) (answer.Bundle, error) {
	owner, known := x.owners[bx.Slot]
	if !known {
		return answer.Bundle{}, errNobody
	}
	epoch, ok := box.EpochOf(bx)
	if !ok {
		return answer.Bundle{}, errNoBox
	}
	key, err := s.secrets.answerKey(now, owner, epoch)
	if err != nil {
		return answer.Bundle{}, err
	}
	about := box.About{Question: b.Question, Plan: x.question.Plan, Client: owner, LAN: roster.Tag(x.lan), Slot: bx.Slot}
	var rows answer.Rows
	var counts answer.Counts
	if b.Mode == answer.Sealed {
		rows, counts, err = box.Open(key, about, bx, s.keys.RowKey)
	} else {
		rows = share(b.Rows, bx.Rows)
		counts, err = digests.Verify(key, about, bx, rows.Cut)
	}
	return answer.BundleOf(b.Question, bx.Slot, rows, counts), err
}

// answerKey is the key that the client had in that epoch, if its life is not
// over. Where the client was given it does not matter: it has proved nothing but
// that it holds it.
func (s *secrets) answerKey(now time.Time, client endpoint.ID, e seal.Epoch) (seal.RegistrationKey, error) {
	secret, ok := s.of(e.Issued())
	if !ok || now.Sub(e.Issued()) > keyLife+keyOverlap {
		return seal.RegistrationKey{}, errKeyUnknown
	}
	return seal.DeriveEpochKey(secret, client, e), nil
}

// share is one machine's part of merged rows.
func share(rows answer.Rows, refs []answer.Ref) answer.Rows {
	out := answer.Rows{Cut: rows.Cut}
	next := 0
	for _, r := range refs {
		i, here := slices.BinarySearchFunc(rows.List[next:], r.Hash, func(row answer.Row, hash uint64) int { return cmp.Compare(row.Hash, hash) })
		next += i
		if here {
			row := rows.List[next]
			row.Count = r.Count
			out.List = append(out.List, row)
		}
	}
	return out
}

// addsUp reports whether the sums of a bundle are those of its machines.
func addsUp(b answer.Bundle, each []answer.Bundle) bool {
	var sum answer.Bundle
	counts := make(map[uint64]uint64, len(b.Rows.List))
	for _, one := range each {
		sum.Counts = sum.Counts.Add(one.Counts)
		sum.Failed, sum.Stopped = sum.Failed.Union(one.Failed), sum.Stopped.Union(one.Stopped)
		for _, r := range one.Rows.List {
			counts[r.Hash] += r.Count
		}
	}
	for _, r := range b.Rows.List {
		if counts[r.Hash] != r.Count {
			return false
		}
	}
	return sum.Counts == b.Counts && sum.Failed.Equal(b.Failed) && sum.Stopped.Equal(b.Stopped)
}

// opened counts a report whose boxes are open, and notes what is wrong with it.
func (h *hub) opened(now time.Time, l *leader, r answer.Report, o opened) error {
	h.metrics.boxes.WithLabelValues("opened").Add(float64(len(o.each)))
	h.metrics.boxes.WithLabelValues("not opened").Add(float64(len(o.closed)))
	effects, err := h.desk.Opened(now, l.line, r, o.each)
	h.carryOut(effects)
	if q := h.live[r.Question]; q != nil && o.wrong != 0 && !q.closed {
		h.found(now, q, sign{kind: o.wrong, lan: l.lan, clients: o.closed, suspects: []endpoint.ID{l.id}, because: o.because})
	}
	for _, id := range o.closed {
		h.rekey(now, id)
	}
	return err
}

// rekey lets a client come for a new key at its next registration: it may have
// one that this server cannot make, as after the loss of its secrets.
func (h *hub) rekey(now time.Time, id endpoint.ID) {
	if c := h.clients[id]; c != nil && now.Sub(c.rekeyed) >= rekeyEvery {
		c.rekeyed, c.wantsKey = now, true
	}
}

// come is when a client is to come for a new key; 0: it need not.
func (h *hub) come(now time.Time, c *machine, way string) time.Duration {
	switch {
	case !c.wantsKey:
		return 0
	case way == byTLS: // it gets one now
		c.wantsKey = false
		return 0
	}
	return h.turns.next(now)
}
