package node

import (
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/sweep"
	"catenary/internal/wire"
)

// stepChain lets chain decide, carries its decisions out, and tells sweep if
// another link than before leads in front or behind.
func (n *Node) stepChain(now time.Time, ev chain.Event) {
	for _, ef := range n.chain.Step(now, ev) {
		switch ef := ef.(type) {
		case chain.Dial:
			n.emit(Dial{ef.Conn, ef.Peer, n.hello(ef)})
		case chain.Admit:
			g := n.greeting(ef.Conn)
			n.emit(Admit{ef.Conn, wire.HelloOK{
				Incarnation: n.cfg.Incarnation, Heard: n.heardOf(g.id), Known: n.sweep.Live(wire.KnownMax),
			}})
		case chain.Refuse:
			n.refuse(ef)
		case chain.Check:
			n.pings++
			n.checking[ef.Side] = true
			n.emit(Send{n.held[ef.Side].conn, wire.Ping{Number: uint64(n.pings)}})
		case chain.Hangup:
			n.forget(ef.Conn)
			n.parted(now, ef.Conn)
			n.emit(Hangup{ef.Conn})
		case chain.Dead:
			n.bury([]endpoint.ID{ef.Place.ID})
		case chain.Exhausted:
			n.exhausted(now)
		}
	}
	n.follow(now)
}

// follow tells sweep who stands next to the node, if that has changed.
func (n *Node) follow(now time.Time) {
	for _, s := range []chain.Side{chain.Back, chain.Fore} {
		p, c := n.chain.Neighbour(s)
		if n.held[s] == (held{c, front(p)}) {
			continue
		}
		n.held[s], n.checking[s] = held{c, front(p)}, false
		g := n.greeting(c)
		n.forget(c)
		n.turnBackward(now, s, p)
		life := sweep.Life{ID: p.Place.ID, Incarnation: g.incarnation}
		if s == chain.Back {
			n.stepSweep(now, sweep.Behind{Present: front(p) == sweep.Peer, Life: life})
			continue
		}
		ahead := sweep.Ahead{Front: front(p), Known: g.known}
		if ahead.Front == sweep.Peer {
			ahead.Life = life
		}
		if g.heard.Incarnation == n.cfg.Incarnation {
			ahead.Heard = g.heard.Seq
		}
		n.stepSweep(now, ahead)
	}
}

// greeting is what was said on a connection, until that is a link or is no more.
func (n *Node) greeting(c chain.Conn) greeting {
	for _, g := range n.greeted {
		if g.conn == c {
			return g
		}
	}
	return greeting{}
}

func (n *Node) forget(c chain.Conn) {
	n.greeted = slices.DeleteFunc(n.greeted, func(g greeting) bool { return g.conn == c })
	if len(n.greeted) == 0 {
		n.greeted = nil // links last for hours
	}
}

func front(p chain.Peer) sweep.Front {
	switch p {
	case chain.Nobody:
		return sweep.Nobody
	case chain.Server:
		return sweep.Server
	}
	return sweep.Peer
}

// heardOf is how far we have a client's answers.
func (n *Node) heardOf(id endpoint.ID) wire.Heard {
	incarnation, seq := n.sweep.Heard(id)
	return wire.Heard{Incarnation: incarnation, Seq: seq}
}

func (n *Node) hello(d chain.Dial) wire.Hello {
	h := wire.Hello{
		Version: wire.Version, Place: n.place(), Incarnation: n.cfg.Incarnation,
		Suspects: d.Suspects, Known: n.sweep.Live(wire.KnownMax), LAN: n.reg.lan,
	}
	switch {
	case d.Peer == chain.Server && d.Side == chain.Back:
		h.Role = wire.BackwardLeader
	case d.Peer == chain.Server:
		h.Role = wire.ForwardLeader
	case d.Side == chain.Back:
		h.Role = wire.Ahead // of whom we dial
		h.Heard = n.heardOf(d.Peer.Place.ID)
	default:
		h.Role = wire.Behind
	}
	return h
}

func (n *Node) up(now time.Time, ev Up) {
	if n.witnessUp(ev.Conn) || n.backwardUp(ev.Conn) {
		return
	}
	n.greeted = append(n.greeted, greeting{
		conn: ev.Conn, incarnation: ev.Reply.Incarnation, heard: ev.Reply.Heard, known: ev.Reply.Known,
	})
	n.stepChain(now, chain.Up{Conn: ev.Conn})
}

func (n *Node) failed(now time.Time, ev Failed) {
	if n.witnessOver(ev.Conn) || n.backwardFailed(now, ev) {
		return
	}
	failed := chain.Failed{Conn: ev.Conn, Refused: ev.Refusal.Reason != 0, Later: ev.Refusal.Reason == wire.TryLater}
	if p := ev.Refusal.Peer; ev.Refusal.Reason == wire.Nearer && p != (endpoint.Place{}) && !n.outside(p) {
		failed.Nearer = chain.PeerAt(ev.Refusal.Peer)
	}
	n.stepChain(now, failed)
}

func (n *Node) knock(now time.Time, k Knock) {
	h := k.Hello
	var side chain.Side
	switch {
	case h.LAN != n.reg.lan || n.outside(h.Place):
		// Its slots mean other machines than ours. One of us learns that it has
		// moved when it registers.
		if n.reg.lan == 0 {
			n.postpone(h)
		}
		n.emit(Refuse{k.Conn, wire.Refused{Reason: wire.TryLater, Text: "this client is in another LAN"}})
		return
	case h.Role == wire.Backward:
		n.knockBackward(k)
		return
	case h.Role == wire.Behind:
		side = chain.Back
	case h.Role == wire.Ahead:
		side = chain.Fore
	default:
		n.emit(Refuse{k.Conn, wire.Refused{Reason: wire.Malformed, Text: "a client takes only neighbours"}})
		return
	}
	n.greeted = append(n.greeted, greeting{k.Conn, h.Place.ID, h.Incarnation, h.Heard, h.Known})
	n.stepChain(now, chain.Knock{Conn: k.Conn, Side: side, Peer: h.Place, Suspects: h.Suspects})
}

// postpone remembers who has knocked before this node knew its LAN. Machines that
// start together know of each other one by one: who was told of us may have been
// the later one to register, and nobody else tells us of it.
func (n *Node) postpone(h wire.Hello) {
	if d := n.owe(); len(d.early) < earlyMax {
		d.early = append(d.early, h)
	}
}

// welcome turns to those who knocked too early, now that the LAN is known.
func (n *Node) welcome() {
	d := n.debts
	if d == nil {
		return
	}
	for _, h := range d.early {
		if h.LAN == n.reg.lan && !n.outside(h.Place) {
			n.todo = append(n.todo, chain.Hint{Place: h.Place})
		}
	}
	d.early = nil
}

func (n *Node) refuse(ef chain.Refuse) {
	n.forget(ef.Conn)
	r := wire.Refused{Reason: wire.Nearer, Text: "a nearer neighbour stands here"}
	switch {
	case ef.Later:
		r = wire.Refused{Reason: wire.TryLater, Text: "this client cannot say yet"}
	case front(ef.Nearer) == sweep.Peer:
		r.Peer = ef.Nearer.Place
	}
	n.emit(Refuse{ef.Conn, r})
}

func (n *Node) down(now time.Time, c chain.Conn) {
	if n.witnessOver(c) || n.backwardOver(now, c) {
		return
	}
	n.forget(c)
	n.stepChain(now, chain.Down{Conn: c})
}

// ---- the witness ----

// witnessConns is where the numbers of a witness' connections begin: even, as
// of all that are dialled, and beyond any that chain gives out.
const witnessConns chain.Conn = 1 << 62

// witnessMax bounds the answers that wait to be given to the server directly.
const witnessMax = 64

// A witness gives the server answers past the chain, which have not come
// through it. One connection at a time carries what there is.
type witness struct {
	conns   chain.Conn // last number given
	conn    chain.Conn // 0: none is under way
	until   time.Time  // when that has taken too long
	reports []answer.Report
}

// testify lets the server have a report directly.
func (n *Node) testify(r answer.Report) {
	if n.witness == nil {
		n.witness = &witness{conns: witnessConns}
	}
	w := n.witness
	if w.conn != 0 || len(w.reports) == witnessMax {
		return // it will ask again if it still needs to
	}
	r.Seq = uint64(len(w.reports) + 1)
	w.reports = append(w.reports, r)
}

// callWitness dials the server when there is something to testify.
func (n *Node) callWitness(now time.Time) {
	w := n.witness
	switch {
	case w == nil || len(w.reports) == 0:
		return
	case w.conn != 0 && now.Before(w.until):
		return
	case w.conn != 0:
		n.emit(Hangup{w.conn})
		n.witnessOver(w.conn)
		return
	}
	w.conns += 2
	w.conn, w.until = w.conns, now.Add(asideTimeout)
	n.emit(Dial{w.conn, chain.Server, wire.Hello{
		Version: wire.Version, Role: wire.Witness, Place: n.place(), Incarnation: n.cfg.Incarnation, LAN: n.reg.lan,
	}})
}

func (w *witness) deadline() time.Time {
	if w == nil {
		return time.Time{}
	}
	return w.until
}

func (n *Node) witnessUp(c chain.Conn) bool {
	w := n.witness
	if w == nil || w.conn == 0 || c != w.conn {
		return false
	}
	for _, r := range w.reports {
		n.emit(Send{c, wire.Answer{Report: r}})
	}
	return true
}

// testified takes what the server says to its witness, which is Ack.
func (n *Node) testified(c chain.Conn, m wire.Message) bool {
	w := n.witness
	if w == nil || w.conn == 0 || c != w.conn {
		return false
	}
	if ack, ok := m.(wire.Ack); !ok || ack.Seq >= uint64(len(w.reports)) {
		n.emit(Hangup{c})
		n.witnessOver(c)
	}
	return true
}

func (n *Node) witnessOver(c chain.Conn) bool {
	w := n.witness
	if w == nil || w.conn == 0 || c != w.conn {
		return false
	}
	w.conn, w.until, w.reports = 0, time.Time{}, nil
	return true
}
