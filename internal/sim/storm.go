package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

// A weather is the ordinary conditions of a seed: each has its own, not only
// its own dice.
type weather struct {
	lagMin, lagMax time.Duration // one-way delay of the network
	wanMin, wanMax time.Duration // … to the server and back; 0: the same
	loss           int           // one frame in so many is lost and sent again; 0: none
	cpuMin, cpuMax time.Duration // that a slow machine takes for each event
	slowCPU        int           // one machine in so many has a slow processor; 0: none
	work           time.Duration // that a sensor usually takes, at most
	heavy          time.Duration // and one in twenty of a slow machine
	hold           time.Duration
	together       bool // all machines start at once
	faults         int
	intervals      wire.Intervals
}

func fairWeather() weather {
	return weather{
		lagMin: 500 * time.Microsecond, lagMax: time.Millisecond,
		work: 5 * time.Millisecond, heavy: 5 * time.Millisecond, hold: 100 * time.Millisecond,
		intervals: wire.Intervals{
			NormalMin: 30 * time.Second, NormalMax: 90 * time.Second,
			InitialMin: 2 * time.Hour, InitialMax: 6 * time.Hour,
		},
	}
}

// calm takes the slowness out of the machines and the loss out of the network.
func (x *weather) calm() { x.slowCPU, x.loss = 0, 0 }

func (x *weather) lag(w *world) time.Duration { return w.between(x.lagMin, x.lagMax) }

// lagTo is the delay between a machine and another, or the server, which is nil.
func (x *weather) lagTo(w *world, to *host) time.Duration {
	if to == nil && x.wanMax > 0 {
		return w.between(x.wanMin, x.wanMax)
	}
	return x.lag(w)
}

func (x *weather) cpu(w *world, h *host) time.Duration {
	if x.slowCPU == 0 || h.index%x.slowCPU != 0 {
		return 0
	}
	return w.between(x.cpuMin, x.cpuMax)
}

func (x *weather) sensor(w *world, h *host) time.Duration {
	if h.slow && w.oneIn(3) {
		return w.between(x.work, x.heavy)
	}
	return w.between(x.work/10, x.work)
}

// drawWeather makes the seed's world: its LANs, its machines and its weather.
func (w *world) drawWeather() {
	x := &w.weather
	switch w.rng.IntN(3) {
	case 0: // every delay is the same, so that things happen at the same moment
		x.lagMin, x.lagMax = 20*time.Millisecond, 20*time.Millisecond
	case 1:
		x.lagMin, x.lagMax = time.Millisecond, 50*time.Millisecond
	}
	if w.oneIn(2) {
		x.slowCPU = 2 + w.rng.IntN(6)
		x.cpuMax = w.upto(80 * time.Millisecond)
	}
	if w.oneIn(2) {
		x.work, x.heavy = 200*time.Millisecond, 20*time.Second
	}
	if w.oneIn(3) {
		x.loss = []int{20, 100, 1000}[w.rng.IntN(3)]
	}
	if w.oneIn(3) {
		x.hold = w.between(20*time.Millisecond, time.Second).Truncate(time.Millisecond)
	}
	x.together = w.oneIn(3)
	x.faults = w.rng.IntN(80)
	if w.oneIn(2) {
		x.intervals.NormalMin, x.intervals.NormalMax = 10*time.Second, 20*time.Second
	}
	if w.oneIn(3) {
		x.intervals.InitialMin, x.intervals.InitialMax = time.Minute, 5*time.Minute
	}
	w.drawMachines()
	w.drawPorters()
}

// driftMax is how much a machine's clock gains or loses at the most, in
// millionths: five times what quartz does.
const driftMax = 500

// join makes one LAN of the first two networks.
func (w *world) join() {
	b, err := boundary.New(boundary.DefaultMask, []boundary.Subnet{{
		Kind: boundary.Intentional, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.1.0/24")},
	}})
	if err != nil {
		panic("sim: " + err.Error()) // it is always the same
	}
	s := w.server
	s.fresh = func() *roster.Roster { return roster.New(b) }
	s.roster = s.fresh()
	s.desk = dispatch.New(s.roster, 0)
}

func (w *world) drawMachines() {
	w.lans = 1 + w.rng.IntN(3)
	if w.lans > 1 && w.oneIn(4) && w.nowhere == nil { // among liars, who belongs there could not be told
		w.join()
	}
	skewed := w.oneIn(2)
	shut := w.oneIn(3) // one machine of each LAN cannot be dialled by anyone
	total := 2 + w.rng.IntN(16)
	six := byte(w.rng.IntN(3 * w.lans)) // the LAN that has IPv6, if there is one
	var places []endpoint.Place
	for i := range total {
		lan := byte(w.rng.IntN(w.lans))
		port := uint16(17472)
		if w.oneIn(4) {
			port += uint16(w.rng.IntN(3)) // several clients on one machine
		}
		addr := netip.AddrFrom4([4]byte{10, 0, lan, byte(1 + w.rng.IntN(254))})
		if lan == six {
			addr = netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 7: lan, 8: byte(w.rng.IntN(256)), 15: byte(1 + w.rng.IntN(254))})
		}
		places = append(places, endpoint.Place{Addr: netip.AddrPortFrom(addr, port), ID: endpoint.ID{15: byte(i + 1)}})
	}
	slices.SortFunc(places, endpoint.Place.Compare)
	closed := map[netip.Prefix]bool{}
	for _, p := range places {
		h := w.addHost(p)
		h.slow = w.oneIn(3)
		if skewed {
			h.clock = w.between(-10*time.Hour, 10*time.Hour)
			h.drift = int64(w.rng.IntN(2*driftMax+1) - driftMax)
		}
		if w.oneIn(15) {
			h.nat = uint8(1 + w.rng.IntN(3))
		}
		if lan := w.lanOf(h.observed()); shut && !closed[lan] && w.oneIn(3) {
			h.closed, closed[lan] = true, true // or lets nobody in, see drawPorters
		}
	}
}

// boot starts all machines but a few late ones.
func (w *world) boot(within time.Duration) {
	w.server.tidy()
	w.server.tick()
	for _, h := range w.hosts {
		switch {
		case w.oneIn(10):
		case w.weather.together:
			w.at(time.Second, func() { w.start(h) })
		default:
			w.at(w.upto(within), func() { w.start(h) })
		}
	}
}

// storm lets everything happen that may happen.
func (w *world) storm(d time.Duration) {
	for range w.weather.faults {
		at := w.upto(d)
		w.at(w.now+at, func() { w.fault(d - at) })
	}
	for range 2 + w.rng.IntN(5) {
		w.at(w.now+w.upto(d), func() { w.askSome() })
	}
	w.run(d)
}

// fault is one stroke of bad luck. What it starts ends within the given time.
func (w *world) fault(left time.Duration) {
	h := w.hosts[w.rng.IntN(len(w.hosts))]
	switch w.rng.IntN(8) {
	case 0, 1:
		w.faults++
		w.stop(h, w.oneIn(3))
		if !w.oneIn(4) {
			w.after(w.between(time.Millisecond, 30*time.Second), func() { w.start(h) })
		}
	case 2:
		w.start(h)
	default:
		w.mishap(h, left)
	}
}

// mishap is bad luck that ends nobody, and by which no answer may be lost.
func (w *world) mishap(h *host, left time.Duration) {
	w.faults++
	switch w.rng.IntN(14) {
	case 0, 1:
		wall := w.wall(h)
		w.after(w.upto(left)+1, func() { delete(w.walls, wall) })
	case 2:
		w.mark(h, "cannot reach the server")
		h.cutOff = true
		for _, x := range slices.Clone(h.conns) {
			if x.conn.ends[1-x.end].host == nil {
				w.after(w.upto(silentTime), func() { w.cut(x.conn) })
			}
		}
		w.after(w.upto(left)+1, func() { h.cutOff, w.restored = false, w.now })
	case 3:
		w.halt(h, w.upto(10*time.Second))
	case 4:
		w.forge(h)
	case 5, 6:
		if len(h.conns) > 0 {
			w.halfOpen(h.conns[w.rng.IntN(len(h.conns))].conn)
		}
	case 7:
		w.blockOneWay(h, w.upto(left)+1)
	case 8:
		w.suspend(h, w.upto(left)+1)
	case 9:
		w.disrupt(w.upto(left) + 1)
	case 10:
		w.overload(h, w.upto(left)+1)
	case 11:
		w.silence(h, w.upto(left)+1)
	default:
		if len(h.conns) > 0 {
			w.mark(h, "a connection breaks")
			w.cut(h.conns[w.rng.IntN(len(h.conns))].conn)
		}
	}
}

// wall lets what a machine dials another with vanish.
func (w *world) wall(h *host) [2]*host {
	wall := [2]*host{h, w.hosts[w.rng.IntN(len(w.hosts))]}
	w.mark(h, fmt.Sprintf("cannot dial %v", wall[1]))
	w.walls[wall] = true
	return wall
}

// halt lets a machine stand still, with its links.
func (w *world) halt(h *host, d time.Duration) {
	w.mark(h, fmt.Sprintf("is halted for %v", d.Round(time.Millisecond)))
	h.free = max(h.free, w.now+d)
}

// blockOneWay lets what a machine sends to another vanish, also on links that
// stand.
func (w *world) blockOneWay(h *host, d time.Duration) {
	to := w.hosts[w.rng.IntN(len(w.hosts))]
	if w.oneIn(4) {
		to = nil
	}
	w.mark(h, fmt.Sprintf("is not heard by %v", to))
	w.block(h, to, d)
}

// disrupt is bad luck for many at once.
func (w *world) disrupt(d time.Duration) {
	switch w.rng.IntN(6) {
	case 0:
		w.server.restart(min(d, restartMax))
	case 1:
		w.part(d)
	case 2:
		w.overload(nil, d)
	case 3:
		w.stampede(w.anybody(), d)
	case 4:
		w.hush(w.anybody(), d)
	}
}

// restartMax is how long a server takes to start again.
const restartMax = 20 * time.Second

// askSome asks a question, rarely many at once.
func (w *world) askSome() *asked {
	switch {
	case w.server.down:
		return nil
	case w.oneIn(100):
		for range 40 { // more than may be under way on a link
			w.server.ask(census, time.Minute)
		}
	case w.oneIn(100):
		return w.server.ask(crowd, 5*time.Minute)
	}
	return w.server.ask(census, []time.Duration{10 * time.Second, time.Minute, 10 * time.Minute, time.Hour}[w.rng.IntN(4)])
}

// forge lets a neighbour behave as no node does.
func (w *world) forge(h *host) {
	if len(h.conns) == 0 {
		return
	}
	x := h.conns[w.rng.IntN(len(h.conns))]
	from := 1 - x.end
	if x.conn.ends[0].state != up || x.conn.ends[1].state != up || x.conn.ends[from].host == nil {
		return
	}
	w.mark(h, "is lied to")
	m := w.lie()
	w.send(x.conn, from, m, w.encode(m))
}

// lie is a message that must lead to nothing.
func (w *world) lie() wire.Message {
	letter := wire.Letter{
		Question: 1 << 40, Issued: epoch.Add(w.now), Life: time.Minute, Hold: time.Second, Limit: time.Second,
		Key: rowKey, Plan: []byte{1},
	}.Append(nil)
	k := w.keys
	switch w.rng.IntN(6) {
	case 0: // a key that nobody vouches for
		return wire.Question{Sealed: seal.Sign(k.stranger.private, seal.Question, letter)}
	case 1: // the right key's name on another's signature
		sealed := seal.Sign(k.signing.private, seal.Question, letter)
		sealed[len(sealed)-1] ^= 1
		return wire.Question{Sealed: sealed}
	case 2: // sealed for something else
		return wire.Question{Sealed: seal.Sign(k.signing.private, seal.Sensor, letter)}
	case 3: // genuine, but perhaps of long ago
		if n := len(w.server.asked); n > 0 {
			return wire.Question{Sealed: w.server.asked[w.rng.IntN(n)].sealed}
		}
		return wire.Ack{Seq: 1}
	case 4: // at most one side may say this
		return wire.Ack{}
	}
	return wire.Enrol{Version: wire.Version}
}

// rough lets happen what loses no answer, and asks all the while.
func (w *world) rough(d time.Duration) {
	start := w.now
	for range w.rng.IntN(30) {
		at := w.upto(d)
		w.at(start+at, func() { w.mishap(w.hosts[w.rng.IntN(len(w.hosts))], d-at) })
	}
	for range 1 + w.rng.IntN(3) {
		w.at(start+w.upto(d), func() {
			if !w.server.down {
				w.roughly = append(w.roughly, w.server.ask(census, time.Hour))
			}
		})
	}
	for _, h := range w.hosts {
		if h.node == nil && w.oneIn(4) {
			w.at(start+w.upto(d), func() { w.start(h) })
		}
	}
	w.run(d)
}

// ensureOne starts a machine if none has survived.
func (w *world) ensureOne() {
	for _, h := range w.hosts {
		if h.node != nil {
			return
		}
	}
	for w.err == nil {
		if h := w.anybody(); !h.dismissed {
			w.start(h)
			return
		}
	}
}

// clear ends what bad luck has begun, except that machines that are down stay
// down.
func (w *world) clear() {
	clear(w.walls)
	w.clearWays()
	w.cleared, w.restored = w.now, w.now
	w.relieve(w.server.porter)
	for _, h := range w.hosts {
		h.cutOff = false
		w.relieve(h.porter)
	}
}
