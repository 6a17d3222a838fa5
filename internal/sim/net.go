package sim

import (
	"bytes"
	"slices"
	"time"

	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/node"
	"catenary/internal/wire"
)

// A conn is a connection, from the dial on. The dialler has end 0.
type conn struct {
	ends  [2]end
	role  wire.Role
	reset bool // what is still under way will not arrive
	// breached: one end has sent what no honest machine sends.
	breached bool
	lead     *leader  // as the server knows it
	lie      *lie     // of a dialler that is a liar; nil: of an honest one
	rows     *[2]rows // of each end; nil until needed
}

// rows are the dictionaries of one end: of what has gone from it, and come to it.
// Of a liar's frame, what has come so far is partial.
type rows struct {
	said, heard wire.Dictionary
	partial     []byte
}

// An end is a connection as one of its two machines, or the server, has it.
type end struct {
	host   *host // nil for the server
	life   uint64
	num    chain.Conn
	state  state
	arrive time.Duration // when what was last sent from here is at the other end
}

// A state is how far an end is.
type state uint8

const (
	outside  state = iota // the acceptor has not admitted the dialler
	dialling              // the dialler waits
	up
	shut
)

// silentTime is how long keep-alive takes to notice that the other machine is
// gone without a word.
const silentTime = 8 * time.Second

// encode makes a frame of a message.
func (w *world) encode(m wire.Message) []byte { return w.encodeThrough(nil, m) }

func (w *world) encodeThrough(rows *wire.Dictionary, m wire.Message) []byte {
	w.scratch = rows.Append(w.scratch[:0], m)
	frame := slices.Clone(w.scratch)
	w.traffic[m.Kind()].add(frame)
	return frame
}

// respellEvery: one frame in so many is encoded again, which takes as long as
// all the rest.
const respellEvery = 8

// decode reads a frame, and now and then checks that it is the only spelling
// of what it says.
func (w *world) decode(frame []byte) wire.Message { return w.decodeThrough(nil, frame) }

func (w *world) decodeThrough(rows *wire.Dictionary, frame []byte) wire.Message {
	n, err := wire.FrameSize([4]byte(frame))
	if err != nil || n != len(frame)-4 {
		w.fail("frame of %d bytes says it has %d: %v", len(frame), n, err)
		return nil
	}
	w.decoded++
	respell := w.decoded%respellEvery == 0
	var before *wire.Dictionary
	if respell {
		before = rows.Clone()
	}
	m, err := rows.Decode(frame[4:])
	if err != nil || m == nil {
		w.fail("frame % .40x cannot be read: %v", frame, err)
		return nil
	}
	if !respell {
		return w.shared.the(w, m)
	}
	if w.scratch = before.Append(w.scratch[:0], m); !bytes.Equal(w.scratch, frame) {
		w.fail("a %T is encoded as % .80x, and again as % .80x", m, frame, w.scratch)
	}
	return w.shared.the(w, m)
}

// said is the dictionary of what an end says, heard of what it hears. A large
// world, which is asked only once, does without.
func (w *world) said(c *conn, end int) *wire.Dictionary {
	if w.unwatched {
		return nil
	}
	return &c.dictionaries()[end].said
}

func (w *world) heard(c *conn, end int) *wire.Dictionary {
	if w.unwatched {
		return nil
	}
	return &c.dictionaries()[end].heard
}

func (c *conn) dictionaries() *[2]rows {
	if c.rows == nil {
		c.rows = new([2]rows)
	}
	return c.rows
}

// open reports whether packets from one machine reach another; nil is the
// server.
func (w *world) open(from, to *host) bool {
	switch {
	case from.asleep || !w.fabric.passes(from, to):
		return false
	case to == nil:
		return !from.cutOff
	case to.silent || to.asleep:
		return false
	}
	return !to.closed && !w.walls[[2]*host{from, to}]
}

// dial makes a connection. If packets vanish, only the node's own deadline ends
// the attempt.
func (w *world) dial(h *host, ef node.Dial) {
	c := &conn{role: ef.Hello.Role}
	if w.stands(c.role) {
		w.dialled++
	}
	c.ends[0] = end{host: h, life: h.life, num: ef.Conn, state: dialling}
	if ef.Peer != chain.Server {
		c.ends[1].host = w.hostAt(ef.Peer.Place)
	}
	h.conns = append(h.conns, held{c, 0})
	if h.liar != nil {
		ef.Hello = w.greets(h.liar, ef.Hello)
	}
	hello := w.encode(ef.Hello)
	w.note(markEffect, h, uint64(ef.Conn), hello)
	w.after(w.weather.lagTo(w, c.ends[1].host)+w.weather.resent(w, synMin), func() { w.connect(c, hello) })
}

// connect brings the first packet of a connection to who is dialled, and then,
// if that is there, the Hello, if need be after a handshake.
func (w *world) connect(c *conn, hello []byte) {
	to := c.ends[1].host
	switch {
	case !w.open(c.ends[0].host, to):
	case to == nil && w.server.down, to != nil && to.node == nil:
		w.decline(c)
	default:
		w.after(w.weather.lagTo(w, to)+w.weather.resent(w, synMin), func() {
			switch {
			case c.ends[0].state != dialling:
			case c.ends[0].host.porter != nil:
				w.shake(c, hello)
			default:
				there := w.of(to)
				w.atOf(to, w.now+w.weather.flight(w, c), func() { there.greet(c, hello) })
			}
		})
	}
}

// hostAt finds who stands at a place that a node was given.
func (w *world) hostAt(p endpoint.Place) *host {
	order := func(h *host, p endpoint.Place) int { return h.place.Compare(p) }
	if i, found := slices.BinarySearchFunc(w.near, p, order); found {
		return w.near[i]
	}
	i, found := slices.BinarySearchFunc(w.hosts, p, order)
	if !found && w.nowhere != nil {
		return w.nowhere
	}
	if !found {
		w.fail("a node knows of %v, where nobody is", p)
		return w.hosts[0]
	}
	return w.hosts[i]
}

// greet brings a Hello to who was dialled. If the dialler has given up
// meanwhile, the Hello may still be read.
func (w *world) greet(c *conn, frame []byte) {
	late := c.ends[0].state != dialling
	to := c.ends[1].host
	switch {
	case c.reset, late && w.oneIn(2), !w.fabric.passes(c.ends[0].host, to):
		return
	case to == nil && w.server.down:
		w.decline(c)
		return
	case to != nil && to.node == nil:
		if !to.silent {
			w.decline(c)
		}
		return
	}
	var hello wire.Hello
	var ok bool
	if c.ends[0].host.liar != nil {
		hello, ok = w.knocks(c, frame)
	} else {
		hello, ok = w.decode(frame).(wire.Hello)
	}
	if !ok {
		return
	}
	if to == nil {
		w.server.greet(c, hello)
	} else {
		c.ends[1].life = to.life
		w.tell(to, happening{node.Knock{Hello: hello}, held{c, 1}})
	}
	if late {
		w.after(w.weather.lag(w), func() { w.lost(c, 1) })
	}
}

// admit accepts the knock.
func (w *world) admit(h *host, x held, ef node.Admit) {
	e := &x.conn.ends[1]
	e.state = up
	w.history.links(w.now, x.conn)
	if h.liar != nil {
		ef.Reply = w.admits(h.liar, ef.Reply)
	}
	h.conns = append(h.conns, x)
	w.send(x.conn, 1, ef.Reply, w.encode(ef.Reply))
	if x.conn.ends[0].state == shut {
		w.after(w.weather.lag(w), func() { w.lost(x.conn, 1) })
	}
}

// refuse declines a Hello and says why.
func (w *world) refuse(c *conn, why wire.Refused) {
	c.ends[1].state = shut
	if h := c.ends[1].host; h != nil && h.liar != nil {
		why = w.refuses(h.liar, why)
	}
	w.send(c, 1, why, w.encode(why))
}

// decline lets a dial fail without a word.
func (w *world) decline(c *conn) {
	c.ends[1].state = shut
	there := w.of(c.ends[0].host)
	w.atOf(c.ends[0].host, w.now+w.weather.lagTo(w, c.ends[1].host), func() { there.lost(c, 0) })
}

// sendFrom carries out a node's Send.
func (w *world) sendFrom(h *host, ef node.Send) {
	for _, x := range h.conns {
		if e := &x.conn.ends[x.end]; e.num == ef.Conn {
			if e.state != up {
				w.fail("machine %v sends a %T on connection %d, which is not up", h, ef.Message, ef.Conn)
			}
			w.billSent(h, ef.Conn, ef.Message)
			m := w.control.twisted(ef.Message)
			if h.liar != nil {
				m = w.says(h.liar, m)
			}
			if m != nil {
				w.send(x.conn, x.end, m, w.encodeThrough(w.said(x.conn, x.end), m))
			}
			return
		}
	}
	w.fail("machine %v sends a %T on connection %d, which it does not have", h, ef.Message, ef.Conn)
}

// sendTo lets the server send a message to a leader.
func (w *world) sendTo(c *conn, m wire.Message) {
	w.send(c, 1, m, w.encodeThrough(w.said(c, 1), m))
}

// send carries the frame of a message to the other end. What one end sends
// arrives in order.
func (w *world) send(c *conn, from int, m wire.Message, frame []byte) {
	e := &c.ends[from]
	w.note(markFrame, e.host, uint64(e.num), frame)
	if m != nil && c.ends[1].host == nil { // poison is of no kind
		w.wan[frame[frameKind]].add(frame)
	}
	if p := (parcel{frame, m}); !w.holdBack(c, from, p) {
		w.carry(c, from, p)
	}
}

func (w *world) deliver(c *conn, to int, frame []byte) {
	e := &c.ends[to]
	if c.reset || e.state == shut {
		w.history.misses(w.now, c.ends[1-to].host, e.host)
		return
	}
	if from := c.ends[1-to].host; from != nil && from.liar != nil {
		w.deliverLies(c, to, frame)
		return
	}
	w.hand(c, to, w.decodeThrough(w.heard(c, to), frame))
}

// hand gives a message to who it is for.
func (w *world) hand(c *conn, to int, m wire.Message) {
	e := &c.ends[to]
	if e.host != nil && e.host.liar != nil {
		if e.host.liar.remember(m); c.lie != nil && c.lie.by != nil && to == 0 {
			w.answered(c, m)
			return
		}
	}
	if e.host == nil {
		w.server.got(c, m)
		return
	}
	x := happening{about: held{c, to}}
	switch m := m.(type) {
	case wire.HelloOK:
		x.event = node.Up{Reply: m}
	case wire.Refused:
		x.event = node.Failed{Refusal: m}
	default:
		x.event = node.Got{Message: m}
	}
	w.tell(e.host, x)
}

// hangup carries out a node's Hangup.
func (w *world) hangup(h *host, num chain.Conn) {
	for _, x := range h.conns {
		if x.conn.ends[x.end].num == num {
			w.note(markEffect, h, uint64(num), nil)
			h.drop(x.conn)
			w.shut(x.conn, x.end)
			return
		}
	}
	w.fail("machine %v hangs up connection %d, which it does not have", h, num)
}

// shut closes one end. The other hears of it after what was sent before, unless
// the connection is reset: then that is lost.
func (w *world) shut(c *conn, by int) {
	e := &c.ends[by]
	e.state = shut
	w.history.breaks(w.now, c)
	if other := c.ends[1-by].state; other == shut || other == outside {
		return
	}
	c.reset = c.reset || w.oneIn(2)
	if !w.holdBack(c, by, parcel{}) {
		w.carry(c, by, parcel{})
	}
}

// vanish takes one end away without a word. The other notices after a while.
func (w *world) vanish(c *conn, by int) {
	c.ends[by].state = shut
	c.reset = true
	w.history.breaks(w.now, c)
	w.after(w.between(silentTime/2, silentTime), func() { w.lost(c, 1-by) })
}

// cut breaks a connection in the middle: both ends hear of it, each at its time.
func (w *world) cut(c *conn) {
	w.faults++
	w.history.breaks(w.now, c)
	c.reset = w.oneIn(2) || c.reset
	for i := range c.ends {
		w.after(w.weather.lag(w), func() { c.reset = true; w.lost(c, i) })
	}
}

// lost tells an end that its connection is gone.
func (w *world) lost(c *conn, to int) {
	e := &c.ends[to]
	if e.state == up {
		w.history.breaks(w.now, c)
	}
	switch {
	case e.state == shut || e.state == outside:
	case to == 0 && c.lie != nil && c.lie.by != nil:
		w.forgets(c)
	case e.host == nil:
		e.state = shut
		w.server.leave(c)
	case e.host.life == e.life:
		w.tell(e.host, happening{node.Down{}, held{c, to}})
	}
}
