package sim

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/node"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// A host is one machine: a node, the connections it has asked for, and what is
// wrong with the machine.
type host struct {
	index int
	place endpoint.Place
	clock time.Duration // how far its clock is ahead of the server's at the start
	drift int64         // and how much it gains, in millionths
	seed  uint64        // of its nodes

	node   *node.Node    // nil while the machine is down
	life   uint64        // incarnation
	conns  []held        // dials under way and links, in the order of their making
	doors  []held        // who knocks and has not been answered
	knocks chain.Conn    // last number given to an accepted connection
	timer  time.Duration // when it is set to ring; negative: it is not

	inbox []happening   // what the machine has not got round to
	turn  *conn         // whose turn it was last
	free  time.Duration // until then the machine does nothing
	since time.Duration // when it was last started or woken

	asked   uint32   // sequence of its last registration
	timed   int32    // the timer's place in the queue, from 1; 0: none
	working bool     // something is scheduled that looks into inbox
	ticking bool     // a Tick is in inbox
	silent  bool     // it lost its power: nothing tells its neighbours
	asleep  bool     // it is suspended: it hears nothing
	cutOff  bool     // it cannot reach the server
	closed  bool     // nobody can dial it, ever
	slow    bool     // its sensors take long
	nat     uint8    // the router that hides its address, which others may share; 0: none
	leads   [2]uint8 // connections by which the server knows it as a leader
	liar    *liar    // what it does against its neighbours; nil: it is honest
	porter  *porter  // makes its handshakes; nil: they take no time

	dismissed bool // it is never started again

	evaluated []uint64         // questions that this life was asked to evaluate
	alone     [2]time.Duration // since when nobody holds the side

	// Most machines of a large world have two links and one question. These are
	// here, and not in a million places, where conns and evaluated begin.
	pair [2]held
	once [1]uint64
}

// observed is the address that the server sees.
func (h *host) observed() netip.Addr {
	if h.nat > 0 {
		return netip.AddrFrom4([4]byte{192, 0, 2, h.nat})
	}
	return h.place.Addr.Addr()
}

// A held is a connection as one of its ends has it.
type held struct {
	conn *conn
	end  int
}

// A happening is what a host has to say to its node, perhaps about a
// connection.
type happening struct {
	event node.Event
	about held // the zero held if about none
}

// String is the machine's number and that of its life.
func (h *host) String() string {
	if h == nil {
		return "server"
	}
	return fmt.Sprintf("%d.%d", h.index, h.life)
}

// local is the machine's own clock.
func (w *world) local(h *host) time.Time { return epoch.Add(h.shows(w.now)) }

func (w *world) addHost(place endpoint.Place) *host {
	return w.addTo(new(host), place)
}

// addTo makes the machine of a host that is there already.
func (w *world) addTo(h *host, place endpoint.Place) *host {
	h.index, h.place, h.seed = len(w.hosts), place, w.rng.Uint64()
	w.hosts = append(w.hosts, h)
	w.server.machines = append(w.server.machines, machine{})
	return h
}

// start switches a machine on, if it is off.
func (w *world) start(h *host) {
	if h.node != nil || h.dismissed {
		return
	}
	h.life++
	h.node = node.New(node.Config{
		Place: h.place, Incarnation: h.life, Name: w.name(h),
		Program: "sim", Platform: "Linux", Ring: w.ring(h), Seed: h.seed + h.life,
	})
	h.conns, h.doors, h.inbox, h.knocks = h.pair[:0], nil, nil, 1
	h.working, h.ticking, h.silent, h.asleep = false, false, false, false
	h.since = w.now
	h.timer, h.free = -1, w.now
	h.evaluated = h.once[:0]
	h.alone = [2]time.Duration{w.now, w.now}
	w.say(h, "--", "starts")
	w.history.begins(w.now, h)
	w.tell(h, happening{event: node.Tick{}})
}

// name is what a machine says that it is called.
func (w *world) name(h *host) string {
	if w.shared != nil {
		return w.shared.names[h.index*nameSize : (h.index+1)*nameSize]
	}
	return fmt.Sprintf("machine-%d", h.index)
}

// ring is what a machine trusts when it starts.
func (w *world) ring(h *host) node.Ring {
	if w.shared != nil {
		return w.shared.ring
	}
	ring := seal.NewRing(w.keys.root.public)
	if h.life%2 == 0 { // the other lives learn the key when they register
		if err := ring.Add(w.keys.voucher); err != nil {
			panic(err)
		}
	}
	return ring
}

// stop ends a machine's life: its links are reset, or, if it dies silently,
// nothing is heard of it any more.
func (w *world) stop(h *host, silent bool) {
	if h.node == nil {
		return
	}
	w.say(h, "--", fmt.Sprintf("ends, silent %v", silent))
	w.history.ends(w.now, h, silent)
	h.node, h.silent = nil, silent
	for _, x := range h.inbox {
		if _, ok := x.event.(node.Knock); ok && !silent {
			w.decline(x.about.conn)
		}
	}
	for _, x := range h.doors {
		if !silent {
			w.decline(x.conn)
		}
	}
	w.turnAway(h.porter, silent)
	conns := h.conns
	h.conns, h.doors, h.inbox = nil, nil, nil
	for _, x := range conns {
		if silent {
			w.vanish(x.conn, x.end)
		} else {
			w.shut(x.conn, x.end)
		}
	}
}

// tell gives a happening to the machine, which gets round to it when it is not
// busy.
func (w *world) tell(h *host, x happening) {
	if h.node == nil {
		return
	}
	if len(h.inbox) == 0 && !h.working && h.free <= w.now && w.err == nil {
		w.attend(h, x)
		return
	}
	h.inbox = append(h.inbox, x)
	w.work(h)
}

// work takes from the inbox what the machine has time for.
func (w *world) work(h *host) {
	for !h.working && h.node != nil && len(h.inbox) > 0 && w.err == nil {
		if h.free > w.now {
			h.working = true
			life := h.life
			w.at(h.free, func() {
				if h.life == life && h.node != nil {
					h.working = false
					w.work(h)
				}
			})
			return
		}
		i := h.next()
		x := h.inbox[i]
		h.inbox = slices.Delete(h.inbox, i, i+1)
		w.attend(h, x)
	}
}

// next is the place in the inbox of what the machine turns to: what has waited
// longest, but not of one connection twice while something else waits. In package
// client each connection has a reader, who waits for his turn with every message.
func (h *host) next() int {
	for i, x := range h.inbox {
		if x.about.conn == nil || x.about.conn != h.turn {
			return i
		}
	}
	return 0
}

// attend lets the machine see to what has happened, which takes its time.
func (w *world) attend(h *host, x happening) {
	h.turn = x.about.conn
	h.free = w.now + w.weather.cpu(w, h)
	w.take(h, x)
}

// take turns a happening into an event of the node, or drops it if it is about
// a connection that the node has given up.
func (w *world) take(h *host, x happening) {
	var e *end
	if x.about.conn != nil {
		e = &x.about.conn.ends[x.about.end]
	}
	switch ev := x.event.(type) {
	case node.Tick:
		h.ticking = false
		w.step(h, ev)
	case node.Knock:
		h.knocks += 2
		e.num = h.knocks
		ev.Conn = e.num
		h.doors = append(h.doors, x.about)
		w.step(h, ev)
	case node.Reached:
		if e.state == dialling && !w.control.NoReached {
			ev.Conn = e.num
			w.step(h, ev)
		}
	case node.Up:
		if e.state == dialling {
			e.state = up
			ev.Conn = e.num
			w.step(h, ev)
		}
	case node.Failed, node.Down:
		was := e.state
		if was == shut {
			return
		}
		e.state = shut
		h.drop(x.about.conn)
		spared := w.spared(h, x.about.conn)
		if was == dialling {
			failed, _ := ev.(node.Failed)
			w.step(h, node.Failed{Conn: e.num, Refusal: failed.Refusal})
		} else {
			w.step(h, node.Down{Conn: e.num})
		}
		w.checkSpared(h, spared)
	case node.Got:
		if e.state == up {
			ev.Conn = e.num
			w.step(h, ev)
		}
	default:
		w.step(h, ev)
	}
}

// drop forgets a connection.
func (h *host) drop(c *conn) {
	h.conns = slices.DeleteFunc(h.conns, func(x held) bool { return x.conn == c })
	if len(h.conns) <= len(h.pair) && cap(h.conns) > len(h.pair) {
		h.conns = append(h.pair[:0], h.conns...) // what is left may last
	}
}

// door takes who knocks out of those who wait.
func (w *world) door(h *host, n chain.Conn) held {
	i := slices.IndexFunc(h.doors, func(x held) bool { return x.conn.ends[x.end].num == n })
	if i < 0 {
		w.fail("machine %v answers knock %d, which nobody waits for", h, n)
		return held{}
	}
	x := h.doors[i]
	if h.doors = slices.Delete(h.doors, i, i+1); len(h.doors) == 0 {
		h.doors = nil
	}
	return x
}

// step gives one event to a node, carries out the effects in order, and lets
// the checkers look at the result.
func (w *world) step(h *host, ev node.Event) {
	w.events++
	w.note(markEvent, h, uint64(eventCode(ev)), nil)
	w.say(h, "<-", ev)
	w.charge(h, ev)
	for s := range 2 {
		w.before[s] = h.node.Neighbour(chain.Side(s))
	}
	var excused bool // a side may have moved farther away
	for _, ef := range h.node.Step(w.local(h), ev) {
		w.say(h, "->", ef)
		switch ef := ef.(type) {
		case node.Dial:
			w.dial(h, ef)
		case node.Admit:
			if x := w.door(h, ef.Conn); x.conn != nil {
				w.admit(h, x, ef)
			}
		case node.Refuse:
			if x := w.door(h, ef.Conn); x.conn != nil {
				w.refuse(x.conn, ef.Reply)
			}
		case node.Hangup:
			w.hangup(h, ef.Conn)
		case node.Send:
			w.sendFrom(h, ef)
		case node.Evaluate:
			w.evaluate(h, ef)
		case node.Register:
			w.register(h, ef)
		case node.Note:
			excused = excused || ef.Conn != 0
			w.note(markEffect, h, uint64(ef.Conn), []byte(ef.Text))
		default:
			w.fail("unknown effect %T", ef)
		}
	}
	w.checkStep(h, ev, excused)
	w.arm(h)
}

// eventCode tells events apart in the hash.
func eventCode(ev node.Event) int {
	switch ev := ev.(type) {
	case node.Tick:
		return 1
	case node.Up:
		return 2 | int(ev.Conn)<<8
	case node.Failed:
		return 3 | int(ev.Conn)<<8
	case node.Knock:
		return 4 | int(ev.Conn)<<8
	case node.Down:
		return 5 | int(ev.Conn)<<8
	case node.Got:
		return 6 | int(ev.Conn)<<8
	case node.Evaluated:
		return 7 | int(ev.Question)<<8
	case node.Registered:
		return 8
	case node.NotRegistered:
		return 9
	case node.Reached:
		return 10 | int(ev.Conn)<<8
	}
	panic(fmt.Sprintf("sim: unknown event %T", ev))
}

// arm sees to it that the node hears of its deadline.
func (w *world) arm(h *host) {
	at := h.when(h.node.Deadline().Sub(epoch))
	if h.timer >= 0 && h.timer <= at {
		return // that one will look again
	}
	h.timer = at
	w.todo.wind(h, max(at, w.now))
}

// rouse lets a machine look at its deadline.
func (w *world) rouse(h *host) {
	if h.node == nil || h.timer < 0 {
		return // that was set in its former life
	}
	h.timer = -1
	switch {
	case h.ticking:
	case h.node.Deadline().After(w.local(h)):
		w.arm(h)
	default:
		h.ticking = true
		w.tell(h, happening{event: node.Tick{}})
	}
}

// evaluate computes a machine's answer, after some time.
func (w *world) evaluate(h *host, ef node.Evaluate) {
	q := w.server.find(ef.Letter.Question)
	switch {
	case q == nil, !w.same(ef.Letter, q.letter):
		w.fail("I10: machine %v evaluates question %d, which nobody asked so", h, ef.Letter.Question)
		return
	case w.now > q.expires+clockMax:
		w.fail("I10: machine %v evaluates question %d at %v; it expired at %v", h, q.id, w.now, q.expires)
		return
	case slices.Contains(h.evaluated, q.id) && q.mode == answer.Merged: // a box is made anew
		w.fail("I10: machine %v evaluates question %d twice", h, q.id)
		return
	}
	h.evaluated = append(h.evaluated, q.id)
	w.note(markEffect, h, q.id, nil)
	life := h.life
	takes := w.weather.sensor(w, h)
	w.slowest = max(w.slowest, takes)
	w.history.computes(w.now, w.now+takes, h)
	w.after(takes, func() {
		if h.life == life {
			rows, counts := q.answerOf(h)
			w.tell(h, happening{event: node.Evaluated{
				Question: q.id, Rows: rows, Counts: counts,
			}})
		}
	})
}

// same reports whether a letter is just what these bytes say.
func (w *world) same(l wire.Letter, b []byte) bool {
	w.scratch = l.Append(w.scratch[:0])
	return bytes.Equal(w.scratch, b)
}

// clockMax is how far a machine may misjudge the server's clock: by the time
// from a registration's reply until it looks at it, of which no more than 20 s
// are believed, and by what its clock gains until the next.
const clockMax = 21 * time.Second

// A request is a registration under way.
type request struct {
	host   *host
	life   uint64
	number uint32
	conn   chain.Conn    // that it travels on; 0: none of its own
	lost   time.Duration // how much longer the reply takes
	says   wire.Message
}

// register carries a registration to the server and its reply back. A server
// that cannot be reached is noticed after a while, or by the node's own timer.
func (w *world) register(h *host, ef node.Register) {
	m := ef.Request
	if h.liar != nil {
		m = w.registers(h.liar, m)
	}
	h.asked = uint32(m.Sequence)
	r := &request{host: h, life: h.life, number: h.asked}
	if ef.Way == node.ByLeader {
		r.conn = ef.Conn
	}
	frame := w.encode(m)
	w.note(markEffect, h, 0, frame)
	there := w.weather.resent(w, synMin)
	if ef.Way == node.ByTLS {
		there += w.exchanged(h)
	}
	r.lost = w.weather.resent(w, resendMin)
	fails := func() { w.replied(r, node.NotRegistered{}) }
	switch {
	case ef.Way == node.ByDatagram && (w.server.down || !w.reaches(h) || w.swallowed()):
		w.after(datagramTries*datagramWait, fails)
	case ef.Way == node.ByLeader && !w.carries(h, ef.Conn): // the node waits for the reply
	case w.server.down:
		w.after(w.weather.lag(w), fails)
	case ef.Way == node.ByTLS && there > exchangeMax:
		w.after(exchangeMax, fails)
	case w.reaches(h):
		at := w.now + 3*w.weather.lagTo(w, nil) + there
		r.says = w.decode(frame) // here, where many machines are played at a time
		w.atOf(nil, at, func() { w.of(nil).place(r) })
	case w.oneIn(2):
		w.after(3*time.Second, fails)
	}
}

// place lets the server register a machine.
func (w *world) place(r *request) {
	m, ok := r.says.(wire.Register)
	if w.server.down || !w.reaches(r.host) || !ok {
		return
	}
	r.says = w.server.register(r.host, m)
	there := w.of(r.host)
	w.atOf(r.host, w.now+w.weather.lagTo(w, nil)+r.lost, func() { there.placed(r) })
}

// placed takes the server's reply.
func (w *world) placed(r *request) {
	switch m := w.decode(w.encode(r.says)).(type) {
	case wire.Registered:
		w.shared.thin(w, &m)
		w.replied(r, node.Registered{Reply: m})
	case wire.Refused:
		if w.waits(r) && r.host.liar == nil {
			w.fail("machine %v was refused: %s", r.host, m.Text)
		}
	}
}

// replied tells a machine what has become of its registration.
func (w *world) replied(r *request, ev node.Event) {
	if w.waits(r) {
		w.tell(r.host, happening{event: ev})
	}
}

// waits reports whether the machine waits for the reply: nobody does for what comes
// after the next request has left.
func (w *world) waits(r *request) bool {
	h := r.host
	return h.life == r.life && h.node != nil && h.asked == r.number && w.reaches(h) &&
		(r.conn == 0 || w.carries(h, r.conn))
}

const (
	// A datagram that is not answered is sent once more after datagramWait, see
	// package client.
	datagramTries = 2
	datagramWait  = time.Second
)

// swallowed reports whether the network has lost a datagram, or its reply, each
// time that it was sent.
func (w *world) swallowed() bool {
	for range datagramTries {
		lost := false
		for range 2 { // there and back
			lost = lost || w.weather.loss > 0 && w.oneIn(w.weather.loss)
		}
		if !lost {
			return false
		}
	}
	return true
}

// carries reports whether a connection brings something to the other end.
func (w *world) carries(h *host, n chain.Conn) bool {
	for _, x := range h.conns {
		if c := x.conn; c.ends[x.end].num == n {
			f := w.fabric.fogs[c]
			return c.ends[x.end].state == up && c.ends[1-x.end].state == up && (f == nil || !f.stuck())
		}
	}
	return false
}

// A keyPair is a signing key and what others know of it.
type keyPair struct {
	private ed25519.PrivateKey
	public  ed25519.PublicKey
}

func keyFrom(n byte) keyPair {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
	return keyPair{private, private.Public().(ed25519.PublicKey)}
}
