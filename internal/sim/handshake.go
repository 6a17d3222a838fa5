package sim

import (
	"slices"
	"time"

	"catenary/internal/node"
)

// Handshakes: what passes from the moment at which the system of who is dialled has
// answered until the dialler may say Hello. Each end has its part to do, and may be
// slow at it, or never do it. In a large world they take no time, and nobody hears
// that he has reached anybody.

// A porter does a machine's part of handshakes, or the server's.
type porter struct {
	takes   time.Duration // for one, up to half as much less or more
	usually time.Duration // … when it is not overloaded
	busy    time.Duration // until then it does what it began when it was overloaded
	shared  *processor    // nil: as many as there are get on beside each other
	mute    bool          // it takes connections, and then does nothing
	always  bool          // … and never will
	proving []*handshake  // of who has connected and has not proved who it is
}

// A processor does one thing after the other, for all machines that share it, as
// virtual desktops do.
type processor struct{ free time.Duration }

// A handshake is a connection on its way from the first packets to the Hello.
type handshake struct {
	conn  *conn
	hello []byte
	life  uint64 // of the acceptor when it began
}

const (
	// A machine takes so long for its part of a handshake, one that is overloaded
	// seconds or a minute, and one of many that share a processor something between.
	handshakeMin, handshakeMax = time.Millisecond, 20 * time.Millisecond
	overloadMin, overloadMax   = time.Second, time.Minute
	crowdedMin, crowdedMax     = 20 * time.Millisecond, 200 * time.Millisecond
	// serverTakes is what the server takes, and serverBusy when it is overloaded.
	serverTakes = 2 * time.Millisecond
	serverBusy  = 5 * time.Second
	// stampedeSlow is how much slower a LAN is all of whose machines make links anew.
	stampedeSlow = 20
	// promptMax is how much a processor may have to do already that does more at once.
	promptMax = 5 * time.Second
	// exchangeMax is how long a machine waits to come to words with the server that
	// it registers with, see package client.
	exchangeMax = 15 * time.Second
)

// hire gives each machine a porter, and the server.
func (w *world) hire() {
	w.server.porter = newPorter(serverTakes)
	for _, h := range w.hosts {
		h.porter = newPorter(w.between(handshakeMin, handshakeMax))
	}
}

func (p *porter) overloaded() bool { return p.takes != p.usually }

// prompt reports whether a machine and the server could shake hands at once.
func (w *world) prompt(h *host) bool {
	p, s := h.porter, w.server.porter
	return p == nil || !p.overloaded() && !s.overloaded() && max(p.busy, s.busy) < w.now && (p.shared == nil || p.shared.free < w.now+promptMax)
}

func newPorter(takes time.Duration) *porter { return &porter{takes: takes, usually: takes} }

// crowd lets all machines share one processor.
func (w *world) crowd(takes time.Duration) {
	shared := new(processor)
	for _, h := range w.hosts {
		h.porter.takes, h.porter.usually, h.porter.shared = takes, takes, shared
	}
}

// porterOf is who does the part of a machine, or of the server, which is nil.
func (w *world) porterOf(h *host) *porter {
	if h == nil {
		return w.server.porter
	}
	return h.porter
}

// done is when a part of a handshake that comes now is done. Who stands still does
// nothing meanwhile.
func (w *world) done(h *host) time.Duration {
	p, from := w.porterOf(h), w.now
	takes := w.between(p.takes/2, p.takes+p.takes/2)
	if p.shared != nil && !p.overloaded() { // who is overloaded is so by himself
		from = max(from, p.shared.free)
		p.shared.free = from + takes
	}
	if h != nil && h.free > w.now {
		from = max(from, h.free)
	}
	if p.overloaded() {
		p.busy = max(p.busy, from+takes)
	}
	return from + takes
}

// shake lets the ends of a connection that stands prove to each other who they are.
func (w *world) shake(c *conn, hello []byte) {
	x := &handshake{c, hello, w.lifeOf(c.ends[1].host)}
	w.tell(c.ends[0].host, happening{node.Reached{}, held{c, 0}})
	w.bring(x, 0, func() {
		p := w.porterOf(c.ends[1].host)
		if p.proving = append(p.proving, x); !p.mute {
			w.prove(x)
		}
	})
}

// prove does the acceptor's part, also for who has given up meanwhile, and then the
// dialler's.
func (w *world) prove(x *handshake) {
	from, to := x.conn.ends[0].host, x.conn.ends[1].host
	w.at(w.done(to), func() {
		p := w.porterOf(to)
		i := slices.Index(p.proving, x)
		if i < 0 {
			return // the acceptor has ended
		}
		p.proving = slices.Delete(p.proving, i, i+1)
		w.bring(x, 1, func() {
			if x.conn.ends[0].state != dialling {
				return
			}
			w.at(w.done(from), func() {
				if x.conn.ends[0].state == dialling {
					w.bring(x, 0, func() { w.greet(x.conn, x.hello) })
				}
			})
		})
	})
}

// bring carries a part of a handshake to the other end. What does not get through
// is sent again, until the sender's system gives up and closes the connection.
func (w *world) bring(x *handshake, from int, then func()) {
	patience := w.now + w.between(silentMin, silentMax)
	var try func(wait time.Duration)
	try = func(wait time.Duration) {
		switch {
		case x.conn.reset:
		case !w.through(x.conn):
			if w.now > patience {
				w.lost(x.conn, 0)
				return
			}
			w.after(wait, func() { try(2 * wait) })
		case from == 0 && w.lifeOf(x.conn.ends[1].host) != x.life:
			w.decline(x.conn) // whose system knows nothing of it
		case from == 0 && w.isSilent(x.conn.ends[1].host):
			w.vanish(x.conn, 1)
		default:
			then()
		}
	}
	w.after(w.weather.flight(w, x.conn), func() { try(resendMin) })
}

// through reports whether packets of a connection get to its other end, and back.
func (w *world) through(c *conn) bool {
	a, b := c.ends[0].host, c.ends[1].host
	if f := w.fabric.fogs[c]; f != nil && f.stuck() {
		return false
	}
	if b == nil {
		return w.reaches(a)
	}
	return !a.asleep && !b.asleep && w.fabric.passes(a, b)
}

// lifeOf tells the lives of a machine, or of the server, apart; 0: its system
// knows of no connection.
func (w *world) lifeOf(h *host) uint64 {
	switch {
	case h == nil && w.server.down, h != nil && h.node == nil && !h.silent:
		return 0
	case h == nil:
		return 1 + uint64(w.server.began)
	}
	return h.life
}

func (w *world) isSilent(h *host) bool { return h != nil && h.node == nil && h.silent }

// turnAway ends the handshakes of an acceptor that ends itself, perhaps silently.
func (w *world) turnAway(p *porter, silent bool) {
	if p == nil {
		return
	}
	all := p.proving
	p.proving = nil
	for _, x := range all {
		if silent {
			w.vanish(x.conn, 1)
		} else {
			w.decline(x.conn)
		}
	}
}

// speak lets a machine that was mute go on with what it has left lying, or with
// new connections only.
func (w *world) speak(p *porter) {
	if !p.mute || p.always {
		return
	}
	p.mute = false
	all := slices.Clone(p.proving)
	if w.oneIn(2) {
		w.turnAway(p, false)
		return
	}
	for _, x := range all {
		w.prove(x)
	}
}

// exchanged is how much longer it takes to register over a connection of its own.
func (w *world) exchanged(h *host) time.Duration {
	if h.porter == nil {
		return 0
	}
	return 2*w.weather.lagTo(w, nil) + w.done(nil) - w.now + w.done(h) - w.now
}

// ---- bad luck ----

// drawPorters says how quick the machines of a seed are at handshakes.
func (w *world) drawPorters() {
	w.hire()
	if w.oneIn(6) {
		w.crowd(w.between(crowdedMin, crowdedMax))
	}
	for _, h := range w.hosts {
		if h.closed && w.oneIn(2) {
			h.closed, h.porter.mute, h.porter.always = false, true, true
		}
	}
}

// overload lets the handshakes of a machine, or of the server, take long for a
// while.
func (w *world) overload(h *host, d time.Duration) {
	p := w.porterOf(h)
	if h == nil {
		p.takes = serverBusy
	} else {
		p.takes = w.between(overloadMin, overloadMax)
	}
	w.mark(h, "takes "+p.takes.Round(time.Millisecond).String()+" for a handshake")
	w.relieveAfter(p, d)
}

// silence lets a machine take connections, and say nothing, for a while.
func (w *world) silence(h *host, d time.Duration) {
	w.mark(h, "takes connections and says nothing")
	h.porter.mute = true
	w.relieveAfter(h.porter, d)
}

// hush does so to all machines of a LAN, as a device in between does that answers
// in the name of everybody.
func (w *world) hush(of *host, d time.Duration) {
	lan := w.lanOf(of.observed())
	for _, h := range w.hosts {
		if w.lanOf(h.observed()) == lan {
			w.silence(h, d)
		}
	}
}

// relieve ends that.
func (w *world) relieve(p *porter) {
	p.takes = p.usually
	w.speak(p)
}

func (w *world) relieveAfter(p *porter, d time.Duration) {
	w.slowUntil = max(w.slowUntil, w.now+d)
	w.after(d, func() { w.relieve(p) })
}

// stampede breaks all links of a LAN at once, and lets its machines be slow at
// making new ones.
func (w *world) stampede(of *host, d time.Duration) {
	lan := w.lanOf(of.observed())
	w.mark(nil, "all links break of "+lan.String())
	for _, h := range w.hosts {
		if w.lanOf(h.observed()) != lan {
			continue
		}
		if h.porter.shared == nil && !h.porter.overloaded() {
			h.porter.takes *= stampedeSlow
		}
		w.relieveAfter(h.porter, d)
		for _, x := range slices.Clone(h.conns) {
			if x.conn.ends[x.end].state == up && x.end == 0 {
				w.cut(x.conn)
			}
		}
	}
}

// disperse lets each machine have its own processor again.
func (w *world) disperse() {
	for _, h := range w.hosts {
		if h.porter.shared != nil {
			h.porter.shared, h.porter.takes, h.porter.usually = nil, handshakeMax, handshakeMax
		}
	}
}

// knockers are the handshakes that a machine has before it.
func (p *porter) knockers() (all []held) {
	if p != nil {
		for _, x := range p.proving {
			all = append(all, held{x.conn, 1})
		}
	}
	return all
}
