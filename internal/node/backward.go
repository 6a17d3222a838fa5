package node

import (
	"time"

	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/sweep"
	"catenary/internal/wire"
)

// Beside the link of the chain, each client dials its neighbour behind once
// more: the backward link (docs/protocol.md §3.6). It is for files, which must
// not stand in the way of questions. Who cannot dial it lives without: the link
// of the chain then carries both.

const (
	// backwardAfter is how long a neighbour must have stood behind before it is
	// dialled for this: chains that still form have better things to do.
	backwardAfter = 10 * time.Second
	// Who cannot be dialled is tried again after backwardMin, and then after
	// three times as long each time, up to backwardMax.
	backwardMin = 15 * time.Second
	backwardMax = 10 * time.Minute
	// asideTimeout is for dials that nothing waits for.
	asideTimeout = 15 * time.Second

	// backwardConns is where the numbers of these connections begin: even, as of
	// all that are dialled, beyond any of chain and below those of a witness.
	backwardConns chain.Conn = 1 << 61
)

// backward is a node's backward links: its own, and that of the neighbour in
// front, which leads to it.
type backward struct {
	conns chain.Conn  // last number given
	peer  endpoint.ID // the neighbour behind
	conn  chain.Conn  // 0: none
	up    bool
	next  time.Time // when it is dialled, or the dial has failed; zero: never
	wait  time.Duration
	// missed: the last dial has not reached the neighbour behind, although it is
	// there: it lets nobody in, say.
	missed bool
	front  endpoint.ID // the neighbour in front
	from   chain.Conn  // its link to us; 0: none
}

// Backward reports whether the node has a backward link, and whether the
// neighbour in front has one to it.
func (n *Node) Backward() (own, theirs bool) { return n.back.up, n.back.from != 0 }

// turnBackward takes leave of a neighbour behind, or in front, that is not one
// any more, and thinks of the next.
func (n *Node) turnBackward(now time.Time, s chain.Side, p chain.Peer) {
	b := &n.back
	if s == chain.Fore {
		if b.from != 0 && b.front != p.Place.ID {
			n.emit(Hangup{b.from})
			b.from = 0
		}
		b.front = p.Place.ID
		return
	}
	if b.peer == p.Place.ID {
		return // the same client, by another link
	}
	if b.conn != 0 {
		n.emit(Hangup{b.conn})
	}
	b.peer, b.conn, b.up, b.next, b.wait, b.missed = endpoint.ID{}, 0, false, time.Time{}, 0, false
	if front(p) == sweep.Peer {
		b.peer, b.next = p.Place.ID, now.Add(n.between(backwardAfter/2, backwardAfter))
	}
}

// dialBackward dials the neighbour behind when it is time, and gives up a dial
// that takes too long.
func (n *Node) dialBackward(now time.Time) {
	b := &n.back
	if b.next.IsZero() || now.Before(b.next) {
		return
	}
	if b.conn != 0 {
		n.emit(Hangup{b.conn})
		n.backwardOver(now, b.conn)
		b.missed = true
		return
	}
	b.conns += 2
	b.conn, b.next = backwardConns+b.conns, now.Add(asideTimeout)
	peer, _ := n.chain.Neighbour(chain.Back)
	n.emit(Dial{b.conn, peer, wire.Hello{
		Version: wire.Version, Role: wire.Backward, Place: n.place(), Incarnation: n.cfg.Incarnation, LAN: n.reg.lan,
	}})
}

// backwardUp, backwardFailed, backwardOver and gotBackward take what happens to
// these connections, and report whether it was one of them.

func (n *Node) backwardUp(c chain.Conn) bool {
	b := &n.back
	if b.conn == 0 || c != b.conn {
		return false
	}
	b.up, b.wait, b.next, b.missed = true, 0, time.Time{}, false
	return true
}

// backwardFailed takes that a dial has led nowhere: whoever refused was reached.
func (n *Node) backwardFailed(now time.Time, ev Failed) bool {
	if !n.backwardOver(now, ev.Conn) {
		return false
	}
	n.back.missed = ev.Refusal.Reason == 0
	return true
}

func (n *Node) backwardOver(now time.Time, c chain.Conn) bool {
	b := &n.back
	switch {
	case b.from != 0 && c == b.from:
		b.from = 0
	case b.conn != 0 && c == b.conn:
		b.conn, b.up = 0, false
		b.wait = min(max(3*b.wait, backwardMin), backwardMax)
		b.next = now.Add(n.between(b.wait/2, b.wait))
	default:
		return false
	}
	return true
}

func (n *Node) gotBackward(now time.Time, c chain.Conn, m wire.Message) bool {
	b := &n.back
	if c == 0 || c != b.conn && c != b.from {
		return false
	}
	if ping, ok := m.(wire.Ping); ok {
		if !ping.Reply {
			n.emit(Send{c, wire.Ping{Number: ping.Number, Reply: true}})
		}
		return true
	}
	n.emit(Note{Text: "backward link closed", Conn: c, Err: outOfPlace(m)})
	n.emit(Hangup{c})
	return n.backwardOver(now, c)
}

// knockBackward admits the backward link of the neighbour in front, and no
// other.
func (n *Node) knockBackward(k Knock) {
	b := &n.back
	if b.front != k.Hello.Place.ID {
		n.emit(Refuse{k.Conn, wire.Refused{Reason: wire.TryLater, Text: "only the neighbour in front has a backward link to here"}})
		return
	}
	if b.from != 0 {
		n.emit(Hangup{b.from})
	}
	b.from = k.Conn
	n.emit(Admit{k.Conn, wire.HelloOK{Incarnation: n.cfg.Incarnation}})
}
