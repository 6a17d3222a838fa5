package sim

import (
	"net/netip"
	"time"

	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A History is what happens in a story, as far as a picture shows it. Make one
// with new, give it to the run, and then let it draw itself. The nil History
// keeps nothing.
type History struct {
	world   *world
	lines   [][]*host // machines of each LAN, in the order of their places
	lives   []life
	joints  []*joint
	flights []*flight
	works   []span
	strokes []stroke
	askings []asking
	verdict []verdict
	counted []point
}

// A span is a time of one machine, or of the server, which is nil. One that has
// not ended ends never.
type span struct {
	host     *host
	from, to time.Duration
}

const never time.Duration = 1<<63 - 1

// A life is a span in which a machine runs or sleeps.
type life struct {
	span
	asleep bool
	silent bool // it ended without a word
	cut    bool // the story ended before it
}

// A joint is a link between two machines, or of a leader.
type joint struct {
	conn     *conn
	from, to time.Duration
}

// A flight is a message on its way.
type flight struct {
	kind     wire.Kind
	from, to *host
	at, till time.Duration
	role     wire.Role // of the link
	tainted  bool
	again    bool
	lost     bool
}

// A stroke is something that happens to a machine, or to all, from outside.
type stroke struct {
	point
	text string
}

// A point is a moment of one machine.
type point struct {
	at   time.Duration
	host *host
}

// An asking is when the server asks a question: in all LANs, or in one again.
type asking struct {
	at   time.Duration
	lan  netip.Prefix
	name string
}

// A verdict is what became of a report.
type verdict struct {
	at   time.Duration
	from *host
	is   tally.Verdict
}

func (y *History) begins(now time.Duration, h *host) {
	if y == nil {
		return
	}
	y.close(now, h)
	y.lives = append(y.lives, life{span: span{h, now, never}})
}

func (y *History) ends(now time.Duration, h *host, silent bool) {
	if y == nil {
		return
	}
	if x := y.close(now, h); x != nil {
		x.silent = silent
	}
	for i := range y.works {
		if x := &y.works[i]; x.host == h {
			x.to = min(x.to, now)
		}
	}
}

func (y *History) sleeps(now time.Duration, h *host) {
	if y == nil {
		return
	}
	y.close(now, h)
	y.lives = append(y.lives, life{span: span{h, now, never}, asleep: true})
}

// close ends what a machine has been doing.
func (y *History) close(now time.Duration, h *host) *life {
	for i := range y.lives {
		if x := &y.lives[i]; x.host == h && x.to == never {
			x.to = now
			return x
		}
	}
	return nil
}

func (y *History) links(now time.Duration, c *conn) {
	if y != nil && c.role != wire.Witness && c.role != wire.Backward {
		y.joints = append(y.joints, &joint{c, now, never})
	}
}

func (y *History) breaks(now time.Duration, c *conn) {
	if y == nil {
		return
	}
	for _, x := range y.joints {
		if x.conn == c && x.to == never {
			x.to = now
		}
	}
}

// flies notes that a message is on its way. Who says little more than that
// something has come is left out.
func (y *History) flies(now, till time.Duration, c *conn, from int, p parcel) {
	if y == nil {
		return
	}
	x := &flight{from: c.ends[from].host, to: c.ends[1-from].host, at: now, till: till, role: c.role}
	switch m := p.says.(type) {
	case wire.Question:
		x.kind, x.again = wire.KindQuestion, m.Round > 0
	case wire.Answer:
		if m.Bundle.Set.Empty() {
			return
		}
		x.kind, x.tainted = wire.KindAnswer, m.Bundle.Tainted
	default:
		return
	}
	y.flights = append(y.flights, x)
}

// misses notes that a message of an end has not arrived.
func (y *History) misses(now time.Duration, from, to *host) {
	if y == nil {
		return
	}
	for i := len(y.flights) - 1; i >= 0; i-- {
		if x := y.flights[i]; x.till == now && x.from == from && x.to == to {
			x.lost = true
		}
	}
}

func (y *History) computes(from, to time.Duration, h *host) {
	if y != nil {
		y.works = append(y.works, span{h, from, to})
	}
}

func (y *History) mark(now time.Duration, h *host, text string) {
	if y != nil {
		y.strokes = append(y.strokes, stroke{point{now, h}, text})
	}
}

func (y *History) asks(now time.Duration, lan netip.Prefix, name string) {
	if y != nil {
		y.askings = append(y.askings, asking{now, lan, name})
	}
}

func (y *History) takes(now time.Duration, from *leader, v tally.Verdict) {
	if y != nil {
		y.verdict = append(y.verdict, verdict{now, from.host, v})
	}
}

func (y *History) counts(now time.Duration, h *host) {
	if y != nil {
		y.counted = append(y.counted, point{now, h})
	}
}

// end closes the history when its story is over.
func (y *History) end(w *world) {
	if y == nil {
		return
	}
	y.world = w
	for i := range y.lives {
		if x := &y.lives[i]; x.to == never {
			x.to, x.cut = w.now, true
		}
	}
	for _, x := range y.joints {
		x.to = min(x.to, w.now)
	}
	lines := map[netip.Prefix]int{}
	for _, h := range w.hosts {
		lan := w.lanOf(h.place.Addr.Addr())
		i, known := lines[lan]
		if !known {
			i = len(y.lines)
			lines[lan] = i
			y.lines = append(y.lines, nil)
		}
		y.lines[i] = append(y.lines[i], h)
	}
}

// span is the part of the story that is worth a picture: what came before it
// broke a law, or else the question that took longest; among liars, while they lie.
func (y *History) span() (from, until time.Duration) {
	const before, most, rest = 10 * time.Second, 20 * time.Second, 300 * time.Millisecond
	w := y.world
	if w.err != nil {
		return max(0, w.now-before), w.now
	}
	from, until = 0, min(w.now, most)
	longest := time.Duration(0)
	for _, q := range w.server.asked {
		last := time.Duration(0)
		for _, at := range q.counted {
			last = max(last, at)
		}
		if took := last - q.at; took > longest && took < most && q.doubted == (w.liars > 0) {
			longest, from, until = took, max(0, q.at-rest), min(last+rest, w.now)
		}
	}
	return from, until
}
