// Package chain is how the clients of one LAN stand in a line: who is whose
// neighbour on each side, whom to dial and whom to admit.
//
// A [Node] is one client's place in that line. It is a value that changes only
// when [Node.Step] is called: it opens no socket, starts no goroutine and reads
// no clock. Its owner hands it events, carries out the effects it returns, and
// calls again no later than [Node.Deadline]. It knows nothing of what travels
// along the chain.
//
// # The line
//
// Clients are ordered by [endpoint.Place]. A node has two sides, [Back] towards
// lower places and [Fore] towards higher ones, and each side wants the nearest
// neighbour it can reach. The server counts as the farthest neighbour on either
// side, so a node that can reach no peer on a side ends up holding the server
// there: it then leads the chain in that direction. Reflection and leadership
// are nothing else; there is no election. Because Fore only ever points to a
// higher place, a chain cannot close into a ring.
package chain

import (
	"fmt"
	"math/rand/v2"
	"time"

	"catenary/internal/endpoint"
)

// A Peer is who may stand on a side: nobody, another client, or the server.
type Peer struct {
	Place  endpoint.Place
	server bool
}

var (
	Nobody = Peer{}
	Server = Peer{server: true}
)

// PeerAt returns the peer that is the client at p.
func PeerAt(p endpoint.Place) Peer { return Peer{Place: p} }

func (p Peer) String() string {
	switch p {
	case Nobody:
		return "nobody"
	case Server:
		return "server"
	}
	return p.Place.String()
}

// A Side is one of the two directions a node looks in.
type Side uint8

const (
	Back Side = iota // towards lower places; questions come from here
	Fore             // towards higher places; answers leave here
)

func (s Side) Opposite() Side { return s ^ 1 }

func (s Side) String() string { return [...]string{"back", "fore"}[s] }

// A Conn names one connection of a node. The node numbers those it dials with
// even numbers, its host those it accepts with odd ones.
type Conn uint64

// An Event is something that has happened to a node.
type Event interface{ event() }

type (
	// Tick: the deadline has come.
	Tick struct{}
	// Peers: the server's list of possible neighbours, on both sides.
	Peers struct{ Places []endpoint.Place }
	// Up: a dial succeeded and the other side has admitted us.
	Up struct{ Conn Conn }
	// Failed: a dial failed or was refused.
	Failed struct{ Conn Conn }
	// Knock: a client has connected and wants to stand on our side Side.
	Knock struct {
		Conn Conn
		Side Side
		Peer endpoint.Place
	}
	// Down: a held connection broke.
	Down struct{ Conn Conn }
	// Stalled: the neighbour on a side no longer does its part.
	Stalled struct{ Side Side }
)

func (Tick) event()    {}
func (Peers) event()   {}
func (Up) event()      {}
func (Failed) event()  {}
func (Knock) event()   {}
func (Down) event()    {}
func (Stalled) event() {}

// An Effect is something the host must now do. Effects are carried out in order.
type Effect interface{ effect() }

type (
	// Dial: connect; answer with Up or Failed.
	Dial struct {
		Conn Conn
		Side Side
		Peer Peer
	}
	// Admit accepts the Knock of this step.
	Admit struct{ Conn Conn }
	// Refuse declines it.
	Refuse struct{ Conn Conn }
	// Hangup: close the connection or abandon the dial; the node wants to hear
	// nothing of it again.
	Hangup struct{ Conn Conn }
)

func (Dial) effect()   {}
func (Admit) effect()  {}
func (Refuse) effect() {}
func (Hangup) effect() {}

const (
	dialTimeout = 3 * time.Second  // a dial that takes longer has failed; a LAN needs milliseconds
	seekEvery   = 60 * time.Second // how often a side looks for a nearer neighbour
	aloneMin    = 1 * time.Second  // first wait of a side that reached nobody, not even the server
	aloneMax    = 60 * time.Second // and its longest
)

// A Node is one client's place in a chain.
type Node struct {
	self  endpoint.Place
	rng   *rand.Rand
	peers []endpoint.Place // the last list, without self
	met   bool             // a list has come: before it, a node dials nobody
	edges [2]edge
	conns Conn // last number given to a dial
	out   []Effect
}

// An edge is one side's search for its nearest reachable neighbour.
type edge struct {
	held   Peer // the neighbour now, or Nobody
	conn   Conn // to held
	dial   Peer // the neighbour being dialled, or Nobody
	dialed Conn
	wake   time.Time // when the dial has failed, or the next round starts
	alone  int       // rounds in a row that reached nobody
}

// New returns a node that has not met anyone. The seed decides its jitter.
func New(self endpoint.Place, seed uint64) *Node {
	return &Node{self: self, rng: rand.New(rand.NewPCG(seed, 0x6361))}
}

// Neighbour reports who stands on the given side, and over which connection.
func (n *Node) Neighbour(s Side) (Peer, Conn) { return n.edges[s].held, n.edges[s].conn }

// Leads reports whether the node is the end of its chain on the given side.
func (n *Node) Leads(s Side) bool { return n.edges[s].held == Server }

// Step applies one event that happened at now and returns what the host must
// do about it. The slice is valid until the next call.
func (n *Node) Step(now time.Time, ev Event) []Effect {
	n.out = n.out[:0]
	switch ev := ev.(type) {
	case Tick:
		// The deadlines below are all that a Tick is for.
	case Peers:
		n.meet(now, ev.Places)
	case Up:
		n.up(now, ev.Conn)
	case Failed:
		n.failed(now, ev.Conn)
	case Knock:
		n.knock(now, ev)
	case Down:
		n.down(now, ev.Conn)
	case Stalled:
		n.stalled(now, ev.Side)
	default:
		panic(fmt.Sprintf("chain: unknown event %T", ev))
	}
	n.expire(now)
	return n.out
}

// Deadline reports when Step must be called at the latest, with a [Tick] if
// nothing else happens. The zero time means never.
func (n *Node) Deadline() time.Time {
	a, b := n.edges[Back].wake, n.edges[Fore].wake
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}

func (n *Node) meet(now time.Time, places []endpoint.Place) {
	n.peers, n.met = n.peers[:0], true
	for _, p := range places {
		if p != n.self {
			n.peers = append(n.peers, p)
		}
	}
	for s := range n.edges {
		if n.edges[s].dial == Nobody {
			n.seek(now, Side(s))
		}
	}
}

// seek starts a round: every candidate nearer than the present neighbour is
// dialled in turn, nearest first.
func (n *Node) seek(now time.Time, s Side) { n.next(now, s, PeerAt(n.self)) }

// next dials the nearest candidate beyond the given one, or ends the round.
func (n *Node) next(now time.Time, s Side, beyond Peer) {
	e := &n.edges[s]
	e.dial = n.candidate(s, beyond)
	if e.dial != Nobody {
		n.conns += 2
		e.dialed = n.conns
		e.wake = now.Add(dialTimeout)
		n.emit(Dial{e.dialed, s, e.dial})
		return
	}
	if e.held != Nobody {
		e.alone = 0
		e.wake = now.Add(n.jitter(seekEvery))
		return
	}
	// Full jitter, so that the clients of a server that comes back do not all
	// come at once.
	most := min(aloneMax, aloneMin<<min(e.alone, 10))
	e.alone++
	e.wake = now.Add(time.Duration(n.rng.Int64N(int64(most))) + time.Millisecond)
}

// candidate returns the nearest known neighbour on side s that is farther than
// beyond and nearer than the present one, or Nobody.
func (n *Node) candidate(s Side, beyond Peer) Peer {
	held := n.edges[s].held
	best := held
	if n.nearer(s, beyond, Server) && n.nearer(s, Server, best) {
		best = Server
	}
	for _, p := range n.peers {
		if c := PeerAt(p); n.isOn(s, p) && n.nearer(s, beyond, c) && n.nearer(s, c, best) {
			best = c
		}
	}
	if best == held {
		return Nobody
	}
	return best
}

func (n *Node) up(now time.Time, c Conn) {
	s := n.mustDial(c)
	e := &n.edges[s]
	p := e.dial
	e.dial = Nobody
	n.hold(now, s, p, c)
}

func (n *Node) failed(now time.Time, c Conn) {
	s := n.mustDial(c)
	n.next(now, s, n.edges[s].dial)
}

// mustDial asserts the host's side of the contract: a dial ends in exactly one
// of Up, Failed or Hangup. No peer can break it, only a bug in the host can.
func (n *Node) mustDial(c Conn) Side {
	for s := range n.edges {
		if e := n.edges[s]; e.dial != Nobody && e.dialed == c {
			return Side(s)
		}
	}
	panic(fmt.Sprintf("chain: %v heard of a dial %d that it did not make", n.self, c))
}

// knock answers a client that wants to stand next to us.
func (n *Node) knock(now time.Time, k Knock) {
	s, p := k.Side, PeerAt(k.Peer)
	e := &n.edges[s]
	switch {
	// Before the first list a node does not yet know the network it is in. The
	// neighbour itself may knock again: it knows that its old link is gone.
	case !n.met, !n.isOn(s, k.Peer), p != e.held && !n.nearer(s, p, e.held):
		n.emit(Refuse{k.Conn})
	case e.dial == p && s == Fore:
		n.emit(Refuse{k.Conn}) // both dialled; the dial towards the higher place wins
	default:
		// A dial to someone nearer goes on: if that peer has knocked meanwhile,
		// it was told that this dial wins.
		if e.dial != Nobody && !n.nearer(s, e.dial, p) {
			n.emit(Hangup{e.dialed})
			e.dial = Nobody
		}
		n.emit(Admit{k.Conn})
		n.hold(now, s, p, k.Conn)
	}
}

func (n *Node) down(now time.Time, c Conn) {
	for s := range n.edges {
		e := &n.edges[s]
		if e.held == Nobody || e.conn != c {
			continue
		}
		e.held, e.conn = Nobody, 0
		if e.dial == Nobody {
			n.seek(now, Side(s))
		}
	}
}

// stalled gives up the neighbour on a side and looks beyond it; the next round
// tries it again.
func (n *Node) stalled(now time.Time, s Side) {
	e := &n.edges[s]
	if e.held == Nobody {
		return
	}
	p := e.held
	n.emit(Hangup{e.conn})
	e.held, e.conn = Nobody, 0
	if e.dial == Nobody {
		n.next(now, s, p)
	}
}

// hold makes p the neighbour on side s, in place of whoever was.
func (n *Node) hold(now time.Time, s Side, p Peer, c Conn) {
	if p != Server && !n.isOn(s, p.Place) {
		panic(fmt.Sprintf("chain: %v would hold %v on its %v side", n.self, p, s))
	}
	e := &n.edges[s]
	if e.held != Nobody {
		n.emit(Hangup{e.conn})
	}
	e.held, e.conn, e.alone = p, c, 0
	if e.dial == Nobody {
		e.wake = now.Add(n.jitter(seekEvery))
	}
}

// isOn reports whether p lies on side s of this node.
func (n *Node) isOn(s Side, p endpoint.Place) bool {
	c := p.Compare(n.self)
	return c > 0 && s == Fore || c < 0 && s == Back
}

// nearer reports whether p is a better neighbour on side s than q. The node
// itself, as a starting point, is nearer than anybody.
func (n *Node) nearer(s Side, p, q Peer) bool {
	if rp, rq := rank(p), rank(q); rp != 0 || rq != 0 {
		return rp < rq
	}
	c := p.Place.Compare(q.Place)
	return c < 0 && s == Fore || c > 0 && s == Back
}

// rank orders the kinds of neighbour: peers, then the server, then nobody.
func rank(p Peer) int {
	switch p {
	case Nobody:
		return 2
	case Server:
		return 1
	}
	return 0
}

func (n *Node) expire(now time.Time) {
	for s := range n.edges {
		e := &n.edges[s]
		if e.wake.IsZero() || now.Before(e.wake) {
			continue
		}
		if e.dial != Nobody {
			n.emit(Hangup{e.dialed})
			n.next(now, Side(s), e.dial)
		} else {
			n.seek(now, Side(s))
		}
	}
}

// jitter spreads d over [d/2, 3d/2), so that clients that start together do
// not act together.
func (n *Node) jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(n.rng.Int64N(int64(d)))
}

func (n *Node) emit(e Effect) { n.out = append(n.out, e) }
