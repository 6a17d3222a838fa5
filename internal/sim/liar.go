package sim

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/wire"
)

// A liar is an enrolled machine that turns on its neighbours and on the server.
// Its own node runs as everybody's does, so that it stands in its chain; what
// leaves the machine is changed on the way, and now and then something leaves
// that its node knows nothing of.
type liar struct {
	host  *host
	vices vice
	seq   uint64         // of the last answer that left
	seen  []wire.Message // questions and answers that have come or gone, to be said again
	own   []*conn        // links that its node knows nothing of
	said  int            // lies
}

// A vice is a set of what a liar does.
type vice uint32

const (
	drops    vice = 1 << iota // leaves out what others have answered
	swallows                  // passes nothing on, and acknowledges it
	pretends                  // acknowledges what has not come, or has gone nowhere
	replays                   // says old questions and answers again
	forges                    // makes up questions, and rounds of genuine ones
	floods                    // says thousands of things at once
	poisons                   // sends bytes that are no message
	misplace                  // says what is not its part
	buries                    // says that others are dead
	slanders                  // suspects others, and sends who knocks astray
	boasts                    // says at the door what it does not have
	intrudes                  // knocks where it does not belong
	pends                     // says that others compute
	alters                    // changes rows, sums and boxes of others
	claims                    // answers in the name of others
	cuts                      // says that rows were left out
	viceEnd
)

const (
	// distorting are the vices by which peers can change the answer to a merged
	// question unnoticed (docs/trust.md), as far as it comes from their LAN; by
	// all others they can only delay it. Poison may happen to be well spelled.
	distorting = alters | claims | poisons
	// cutting are those that leave out rows of all.
	cutting = cuts | poisons
)

var viceNames = []string{"drops", "swallows", "pretends", "replays", "forges", "floods", "poisons", "misplace", "buries", "slanders",
	"boasts", "intrudes", "pends", "alters", "claims", "cuts"}

func (v vice) String() string {
	var names []string
	for i, name := range viceNames {
		if v&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

const (
	viceMost = 4  // of one liar, as a rule
	seenMax  = 64 // messages that a liar remembers
	// lieEvery is the longest pause between two lies that nobody asked for.
	lieEvery  = 5 * time.Second
	floodMax  = 400 // small messages at once
	floodText = 200 // bytes in a row of a large one
	// drownMax messages with drownRows rows are more than memoryMax.
	drownMax, drownRows = 150, 4000
)

// drawLiars makes some machines liars: one as a rule, sometimes two.
func (w *world) drawLiars() {
	for range 1 + w.rng.IntN(3)/2 {
		h := w.hosts[w.rng.IntN(len(w.hosts))]
		if h.liar != nil || w.liars+1 == len(w.hosts) {
			continue
		}
		h.liar = &liar{host: h}
		w.liars++
		for range 1 + w.rng.IntN(viceMost) {
			h.liar.vices |= 1 << w.rng.IntN(len(viceNames))
		}
		if w.oneIn(20) {
			h.liar.vices = viceEnd - 1
		}
	}
}

// may reports whether a liar does something that is one of its vices, which it
// does not do always.
func (w *world) may(l *liar, v vice) bool { return w.lying && l.vices&v != 0 && w.oneIn(2) }

// remember keeps a message to be said again.
func (l *liar) remember(m wire.Message) {
	switch m := m.(type) {
	case wire.Question:
	case wire.Answer:
		if m.Bundle.Set.Empty() {
			return
		}
	default:
		return
	}
	if len(l.seen) == seenMax {
		l.seen = slices.Delete(l.seen, 0, 1)
	}
	l.seen = append(l.seen, m)
}

// says is what a liar sends in place of what its node wants to say.
func (w *world) says(l *liar, m wire.Message) wire.Message {
	switch m := m.(type) {
	case wire.Question:
		l.remember(m)
		if w.may(l, drops|swallows) {
			return nil
		}
	case wire.Answer:
		l.remember(m)
		l.seq = max(l.seq, m.Seq)
		return w.twist(l, m)
	case wire.Ack:
		if w.may(l, pretends) {
			m.Seq += uint64(w.rng.IntN(1000))
			m.Unsafe = nil
			return m
		}
	case wire.Gone:
		if w.may(l, swallows) {
			return nil
		}
	}
	return m
}

// twist changes an answer. What the liar's node has in custody stays as it is.
func (w *world) twist(l *liar, m wire.Answer) wire.Message {
	b := m.Bundle
	b.Rows.List, b.Boxes = slices.Clone(b.Rows.List), slices.Clone(b.Boxes)
	if w.may(l, drops) {
		b = answer.Bundle{}
	}
	if w.may(l, pends) {
		m.Pending = m.Pending.Union(w.someSlots())
	}
	if !b.Set.Empty() && w.may(l, alters) {
		w.alter(&b)
	}
	if !b.Set.Empty() && w.may(l, claims) {
		w.claim(&b)
	}
	if !b.Set.Empty() && w.may(l, cuts) && len(b.Rows.List) > 0 {
		b.Rows = answer.Rows{List: b.Rows.List[:1], Cut: b.Rows.List[0].Hash + 1}
		w.unref(&b)
	}
	m.Bundle = b
	if w.may(l, swallows) {
		return nil
	}
	return m
}

// someSlots are a few machines, of which some exist.
func (w *world) someSlots() (set answer.Set) {
	for range 1 + w.rng.IntN(4) {
		set.Add(answer.Slot(w.rng.IntN(len(w.hosts) + 2)))
	}
	return set
}

// alter changes what others have answered.
func (w *world) alter(b *answer.Bundle) {
	rows := b.Rows.List
	switch w.rng.IntN(6) {
	case 0:
		if len(rows) > 0 {
			rows[w.rng.IntN(len(rows))].Count += uint64(1 + w.rng.IntN(100))
		}
	case 1:
		if len(rows) > 0 {
			i := w.rng.IntN(len(rows))
			b.Rows.List = slices.Delete(rows, i, i+1)
			w.unref(b)
		}
	case 2: // a row that nobody gave
		if b.Mode != answer.Sealed {
			list := append(rows, rowKey.Row([]answer.Cell{{"machine"}, {"1000"}}))
			b.Rows = answer.RowsOf(answer.ChainLimits, list...)
		}
	case 3: // a row under another's hash
		if len(rows) > 0 {
			rows[w.rng.IntN(len(rows))].Cells = []answer.Cell{{"machine"}, {"1001"}}
		}
	case 4:
		if b.Mode != answer.Sealed {
			b.Counts.Passed = uint64(w.rng.IntN(b.Set.Len() + 1))
			b.Failed, b.Stopped = answer.Set{}, answer.Set{}
		}
	default: // boxes
		if len(b.Boxes) == 0 {
			return
		}
		i, j := w.rng.IntN(len(b.Boxes)), w.rng.IntN(len(b.Boxes))
		b.Boxes[i].Bytes, b.Boxes[j].Bytes = slices.Clone(b.Boxes[j].Bytes), slices.Clone(b.Boxes[i].Bytes)
		b.Boxes[i].Bytes[w.rng.IntN(len(b.Boxes[i].Bytes))] ^= 1 << w.rng.IntN(8)
	}
}

// unref lets no box vouch for a row that is not there: it could not be written
// down.
func (w *world) unref(b *answer.Bundle) {
	for i := range b.Boxes {
		b.Boxes[i].Rows = slices.DeleteFunc(slices.Clone(b.Boxes[i].Rows), func(r answer.Ref) bool {
			return !slices.ContainsFunc(b.Rows.List, func(row answer.Row) bool { return row.Hash == r.Hash })
		})
	}
}

// claim answers in the name of others: with a box that is none of theirs, if it
// takes one.
func (w *world) claim(b *answer.Bundle) {
	more := w.someSlots().Minus(b.Set)
	if len(b.Boxes) > 0 {
		for slot := range more.All() {
			x := b.Boxes[w.rng.IntN(len(b.Boxes))]
			x.Slot = slot
			b.Boxes = append(b.Boxes, x)
		}
		slices.SortFunc(b.Boxes, func(x, y answer.Box) int { return int(x.Slot) - int(y.Slot) })
	}
	b.Set = b.Set.Union(more)
}

// greets is the Hello that a liar says in place of its node's.
func (w *world) greets(l *liar, m wire.Hello) wire.Hello {
	if w.may(l, slanders) {
		m.Suspects = nil
		for range 1 + w.rng.IntN(wire.SuspectsMax) {
			m.Suspects = append(m.Suspects, w.anybody().place.ID)
		}
	}
	if w.may(l, boasts) {
		m.Known, m.Heard = w.allKnown(), w.boast()
	}
	return m
}

// admits is how a liar answers a Hello.
func (w *world) admits(l *liar, m wire.HelloOK) wire.HelloOK {
	if w.may(l, boasts) {
		m.Known, m.Heard = w.allKnown(), w.boast()
	}
	return m
}

// refuses is how it refuses one.
func (w *world) refuses(l *liar, m wire.Refused) wire.Refused {
	if w.may(l, slanders) {
		m = wire.Refused{Reason: wire.Nearer, Peer: w.anybody().place}
		if w.oneIn(3) { // where nobody is
			m.Peer.ID[0] = byte(1 + w.rng.IntN(9))
		}
	}
	return m
}

// registers is what it says to the server.
func (w *world) registers(l *liar, m wire.Register) wire.Register {
	if w.may(l, slanders) {
		for range wire.UnreachableMax / 4 {
			m.Unreachable = append(m.Unreachable, w.anybody().place.ID)
		}
		m.Unreachable = m.Unreachable[:min(len(m.Unreachable), wire.UnreachableMax)]
	}
	if w.may(l, boasts) && !m.IsBrief() {
		m.HasSlot, m.Slot = true, answer.Slot(w.rng.IntN(len(w.hosts)))
		m.RoundTrip = w.upto(time.Minute)
	}
	return m
}

func (w *world) anybody() *host { return w.hosts[w.rng.IntN(len(w.hosts))] }

// allKnown are all questions that may be under way.
func (w *world) allKnown() (ids []uint64) {
	for _, q := range w.server.live {
		ids = append(ids, q.id)
	}
	return ids
}

func (w *world) boast() wire.Heard {
	return wire.Heard{Incarnation: uint64(1 + w.rng.IntN(4)), Seq: uint64(w.rng.IntN(1 << 16))}
}

// tempt lets a liar lie now and then, of its own accord, as long as it lives.
func (w *world) tempt(l *liar) {
	w.after(w.upto(lieEvery), func() {
		if !w.lying {
			return
		}
		if l.host.node != nil && !l.host.asleep {
			w.act(l)
		}
		w.tempt(l)
	})
}

// act is one lie.
func (w *world) act(l *liar) {
	if l.vices&intrudes != 0 && w.oneIn(3) {
		w.intrude(l)
		return
	}
	var links []held
	for _, x := range l.host.conns {
		if x.conn.ends[0].state == up && x.conn.ends[1].state == up {
			links = append(links, x)
		}
	}
	for _, c := range l.own {
		if c.ends[0].state == up {
			links = append(links, held{c, 0})
		}
	}
	if len(links) == 0 {
		return
	}
	x := links[w.rng.IntN(len(links))]
	able := l.vices & (replays | forges | floods | poisons | misplace | buries | pretends)
	if able == 0 {
		return
	}
	v := vice(1) << w.rng.IntN(len(viceNames))
	for able&v == 0 {
		v = vice(1) << w.rng.IntN(len(viceNames))
	}
	l.said++
	w.mark(l.host, v.String()+" to "+x.conn.ends[1-x.end].host.String())
	switch v {
	case poisons:
		w.send(x.conn, x.end, nil, w.poison(l))
	case floods:
		w.flood(l, x)
	default:
		if m := w.lieOf(l, v); m != nil {
			w.sayTo(x, m)
		}
	}
}

// sayTo sends a message that the liar's node knows nothing of.
func (w *world) sayTo(x held, m wire.Message) {
	w.send(x.conn, x.end, m, w.encodeThrough(w.said(x.conn, x.end), m))
}

// lieOf is one message of a kind.
func (w *world) lieOf(l *liar, v vice) wire.Message {
	switch v {
	case replays:
		return w.replay(l)
	case forges:
		return w.forgery()
	case buries:
		var g wire.Gone
		for range 1 + w.rng.IntN(8) {
			g.Clients = append(g.Clients, w.anybody().place.ID)
		}
		return g
	case pretends:
		ack := wire.Ack{Seq: w.rng.Uint64() >> w.rng.IntN(64), Questions: w.allKnown()}
		if ack.Seq > 1 && w.oneIn(2) {
			ack.Unsafe = []uint64{ack.Seq/2 + 1}
		}
		return ack
	}
	switch w.rng.IntN(5) { // misplace
	case 0:
		return wire.Hint{Place: w.anybody().place}
	case 1:
		return wire.HelloOK{Incarnation: w.rng.Uint64()}
	case 2:
		return wire.Refused{Reason: wire.Replayed, Text: "forget who you are"}
	case 3:
		return wire.Registered{Highest: math.MaxUint64, Now: epoch, Direct: w.allKnown()}
	}
	return wire.Enrol{Version: wire.Version}
}

// replay is something that was said before: as it was, or as new.
func (w *world) replay(l *liar) wire.Message {
	if len(l.seen) == 0 {
		return nil
	}
	m := l.seen[w.rng.IntN(len(l.seen))]
	if a, ok := m.(wire.Answer); ok {
		if w.oneIn(2) {
			l.seq++
			a.Seq = l.seq
		}
		a.First, a.Final = a.First != w.oneIn(4), a.Final != w.oneIn(4)
		a.Bundle.Tainted = a.Bundle.Tainted && w.oneIn(2)
		return a
	}
	return m
}

// forgery is a question that nobody has asked, or not so.
func (w *world) forgery() wire.Message {
	if n := len(w.server.asked); n > 0 && w.oneIn(2) {
		return wire.Question{Sealed: w.server.asked[w.rng.IntN(n)].sealed, Round: uint64(1 + w.rng.IntN(20)), Only: w.someSlots()}
	}
	return w.lie()
}

// flood is many messages at once: small ones, or large ones that go on to the
// server because nobody can say what they belong to; once, as many as may be
// while the neighbour has nobody to pass them on to.
func (w *world) flood(l *liar, x held) {
	if w.oneIn(2) {
		for range w.rng.IntN(floodMax) {
			w.sayTo(x, wire.Ping{Number: w.rng.Uint64()})
		}
		return
	}
	w.flooded = true
	large, rows := w.rng.IntN(floodMax/20), 300
	if victim := x.conn.ends[1-x.end].host; !w.drowned && victim != nil && w.oneIn(20) {
		w.drowned, large, rows = true, drownMax, drownRows
		for _, h := range w.hosts {
			if victim.node != nil && victim.node.Neighbour(chain.Fore).Place == h.place {
				w.halt(h, 10*time.Second)
			}
		}
	}
	list := make([]answer.Row, rows)
	for i := range list {
		list[i] = rowKey.Row([]answer.Cell{{"flood"}, {strconv.Itoa(i), strings.Repeat("x", floodText)}})
	}
	b := answer.Bundle{Question: 1 << 50, Set: w.someSlots(), Rows: answer.RowsOf(answer.ChainLimits, list...)}
	for range large {
		l.seq++
		w.sayTo(x, wire.Answer{Report: answer.Report{Seq: l.seq, Question: b.Question, Bundle: b}})
	}
}

// poison is bytes that are no message, or a message that says something else
// than it did, or one that nobody knows.
func (w *world) poison(l *liar) []byte {
	var m wire.Message = wire.Ack{Seq: 3, Unsafe: []uint64{1, 2}}
	if len(l.seen) > 0 {
		m = l.seen[w.rng.IntN(len(l.seen))]
	}
	frame := w.encode(m)
	switch w.rng.IntN(6) {
	case 0: // a length that cannot be
		copy(frame, [][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0, 0x20, 0, 0}}[w.rng.IntN(3)])
	case 1: // one that is too small, or too great
		frame[3] += byte(1 + w.rng.IntN(250))
	case 2: // noise
		for i := range frame[4:] {
			frame[4+i] = byte(w.rng.Uint32())
		}
	case 3: // a kind that nobody knows
		frame[4] = 200
	default:
		for range 1 + w.rng.IntN(8) {
			frame[4+w.rng.IntN(len(frame)-4)] ^= 1 << w.rng.IntN(8)
		}
	}
	return frame
}
