package sim

import (
	"fmt"
	"slices"
	"time"

	"catenary/internal/wire"
)

// The fabric is what carries packets, and what goes wrong with that beyond
// delay: packets that vanish on their way although both machines live. Whoever
// dials hears nothing; on a link, nothing arrives any more, and each end finds
// out by itself.
type fabric struct {
	drops map[way]int    // for how many reasons packets vanish on a way
	fogs  map[*conn]*fog // links that have been in trouble
}

// A way is from one machine to another; nil is the server.
type way struct{ from, to *host }

// A fog is a link some of whose packets vanish. TCP sends them again until they
// get through, or until an end gives up.
type fog struct {
	drops  [2]int // for how many reasons what this end sends vanishes
	since  time.Duration
	held   [2][]parcel // what this end has sent meanwhile, in order
	gaveUp [2]bool     // this end takes the link for broken
}

// A parcel is a frame and what it says, or, if it is empty, the end of the
// connection.
type parcel struct {
	frame []byte
	says  wire.Message
}

const (
	// An end that hears nothing probes and gives up within these times, see
	// package link: probes run from 0 to 5 s after the trouble begins; they, and
	// what is sent and not received, end a link 10 s after its last sign of life,
	// on some systems after three of them.
	silentMin = 3 * time.Second
	silentMax = 10 * time.Second
	// resendMin is how long TCP waits before it sends again what was lost: each
	// time twice as long.
	resendMin = 200 * time.Millisecond
	resendMax = 10 // times that the wait doubles
	// pileMax is what may wait for a slow neighbour, in bytes, see package link.
	pileMax = 4 << 20
	// synMin is the same for the first packet of a connection.
	synMin = time.Second
)

func newFabric() fabric { return fabric{drops: map[way]int{}, fogs: map[*conn]*fog{}} }

// passes reports whether packets go through in both directions, as a dial
// needs.
func (f *fabric) passes(a, b *host) bool {
	return len(f.drops) == 0 || f.drops[way{a, b}] == 0 && f.drops[way{b, a}] == 0
}

// reaches reports whether a machine can register and lead.
func (w *world) reaches(h *host) bool {
	return !h.cutOff && !h.asleep && w.fabric.passes(h, nil)
}

// block lets packets on a way vanish, for a while.
func (w *world) block(from, to *host, d time.Duration) {
	if from == to {
		return
	}
	w.turnWay(way{from, to}, 1)
	w.after(d, func() { w.turnWay(way{from, to}, -1) })
}

func (w *world) turnWay(y way, by int) {
	f := &w.fabric
	if f.drops[y] == 0 && by < 0 {
		return // has been cleared
	}
	if f.drops[y] += by; f.drops[y] == 0 {
		delete(f.drops, y)
		w.restored = w.now
	}
	for _, h := range []*host{y.from, y.to} {
		if h == nil {
			continue
		}
		for _, x := range slices.Clone(h.conns) {
			// A link between two peers is with both: each turns its own end.
			if w.isFrom(x.conn.ends[x.end].host, x, y) {
				w.turnFog(x.conn, x.end, by)
			}
			if other := x.conn.ends[1-x.end].host; other == nil && y.from == nil {
				w.turnFog(x.conn, 1-x.end, by)
			}
		}
	}
}

// isFrom reports whether what a machine sends on a connection takes the way.
func (w *world) isFrom(h *host, x held, y way) bool {
	return h == y.from && x.conn.ends[1-x.end].host == y.to
}

// clearWays lets all packets through that no broken link holds back.
func (w *world) clearWays() {
	for _, a := range append([]*host{nil}, w.hosts...) {
		for _, b := range append([]*host{nil}, w.hosts...) {
			for w.fabric.drops[way{a, b}] > 0 {
				w.turnWay(way{a, b}, -1)
			}
		}
	}
}

// turnFog lets what one end of a link sends vanish, or arrive again.
func (w *world) turnFog(c *conn, end, by int) {
	f := w.fabric.fogs[c]
	if f == nil {
		if by < 0 {
			return // the link was made when the reason was there already
		}
		f = &fog{}
		w.fabric.fogs[c] = f
	}
	was := f.stuck()
	f.drops[end] = max(0, f.drops[end]+by)
	if f.drops[end] == 0 {
		w.release(c, f, end)
	}
	switch {
	case f.stuck() && !was:
		w.stick(c, f)
	case was && !f.stuck():
		w.unstick(c, f)
	}
}

func (f *fog) stuck() bool { return f.drops[0]+f.drops[1] > 0 }

// stick lets each end give up in its own time, if the trouble lasts: even who
// only listens gets no answer to its probes.
func (w *world) stick(c *conn, f *fog) {
	f.since = w.now
	for i := range c.ends {
		w.after(w.between(silentMin, silentMax), func() {
			if w.fabric.fogs[c] == f {
				f.gaveUp[i] = true
				w.lost(c, i)
			}
		})
	}
}

// release lets what an end was held back with arrive, when TCP sends it again.
func (w *world) release(c *conn, f *fog, end int) {
	held := f.held[end]
	f.held[end] = nil
	if f.gaveUp[end] {
		return
	}
	e := &c.ends[end]
	e.arrive = max(e.arrive, w.now+w.upto(max(resendMin, w.now-f.since)))
	for _, p := range held {
		w.carry(c, end, p)
	}
}

// unstick ends the trouble. Who has given up has told nobody: the other's next
// probe is answered by a reset.
func (w *world) unstick(c *conn, f *fog) {
	for i := range c.ends {
		if f.gaveUp[i] {
			w.after(w.upto(silentMax), func() { w.lost(c, 1-i) })
		}
	}
	delete(w.fabric.fogs, c)
}

// carry brings a parcel to the other end, after all that was sent before.
func (w *world) carry(c *conn, from int, p parcel) {
	e := &c.ends[from]
	e.arrive = max(w.now+w.weather.flight(w, c), e.arrive)
	to := c.ends[1-from].host
	there := w.of(to)
	if p.frame == nil {
		w.atOf(to, e.arrive, func() { there.lost(c, 1-from) })
		return
	}
	w.history.flies(w.now, e.arrive, c, from, p)
	frame := p.frame // what it says need not be kept meanwhile
	w.atOf(to, e.arrive, func() { there.deliver(c, 1-from, frame) })
}

// holdBack keeps what an end sends if it would vanish, and says so.
func (w *world) holdBack(c *conn, from int, p parcel) bool {
	f := w.fabric.fogs[c]
	if f == nil || f.drops[from] == 0 {
		return false
	}
	f.held[from] = append(f.held[from], p)
	n := 0
	for _, p := range f.held[from] {
		n += len(p.frame)
	}
	if h := c.ends[from].host; n > pileMax && (h == nil || h.liar == nil) {
		w.fail("I11: %v lets %d bytes pile up for a neighbour that does not read", h, n)
	}
	return true
}

// flight is how long a frame travels: lost ones are sent again.
func (x *weather) flight(w *world, c *conn) time.Duration {
	return x.lagTo(w, c.ends[1].host) + x.resent(w, resendMin)
}

// resent is how much later something arrives because it was lost and sent again:
// after that wait, and then after twice as long each time.
func (x *weather) resent(w *world, wait time.Duration) (d time.Duration) {
	for k := 0; x.loss > 0 && k < resendMax && w.oneIn(x.loss); k++ {
		d += wait
		wait *= 2
	}
	return d
}

// halfOpen lets the packets of one direction of a link vanish, or of both, for
// as long as it stands.
func (w *world) halfOpen(c *conn) {
	w.faults++
	which := w.rng.IntN(3)
	ends := [][]int{{0}, {1}, {0, 1}}[which]
	how := [...]string{"from %v to %v", "to %v from %v", "between %v and %v"}[which]
	w.mark(c.ends[0].host, fmt.Sprintf("a link is half-open: nothing gets "+how, c.ends[0].host, c.ends[1].host))
	for _, i := range ends {
		w.turnFog(c, i, 1)
	}
}

// part separates some machines from the others, and from the server or not.
func (w *world) part(d time.Duration) {
	w.faults++
	inside := map[*host]bool{}
	for _, h := range w.hosts {
		inside[h] = w.oneIn(2)
	}
	inside[nil] = w.oneIn(2)
	w.mark(nil, "the network is parted")
	all := append([]*host{nil}, w.hosts...)
	for _, a := range all {
		for _, b := range all {
			if inside[a] != inside[b] {
				w.block(a, b, d)
			}
		}
	}
}

// suspend puts a machine to sleep: it does nothing, its clock goes on, and
// nobody hears of it. What its links had to say is lost.
func (w *world) suspend(h *host, d time.Duration) {
	if h.node == nil || h.asleep {
		return
	}
	w.faults++
	w.mark(h, "sleeps")
	w.history.sleeps(w.now, h)
	life := h.life
	h.asleep = true
	h.free = max(h.free, w.now+d)
	for _, x := range slices.Concat(h.conns, h.doors, h.porter.knockers()) {
		x.conn.reset = true
		other := 1 - x.end
		w.after(w.between(silentMin, silentMax), func() { w.lost(x.conn, other) })
		w.after(d+w.upto(time.Second), func() { w.lost(x.conn, x.end) })
	}
	w.after(d, func() {
		if h.life == life && h.node != nil {
			w.wake(h)
		}
	})
}

func (w *world) wake(h *host) {
	w.mark(h, "wakes")
	w.history.begins(w.now, h)
	h.asleep, h.since, w.restored = false, w.now, w.now
	h.alone = [2]time.Duration{w.now, w.now}
}
