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
// are nothing else; there is no election (docs/protocol.md §3.2). Because Fore
// only ever points to a higher place, a chain cannot close into a ring.
package chain

import (
	"fmt"
	"math/rand/v2"
	"slices"
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
	// Tick: the deadline has come; Late is by how much it was missed.
	Tick struct{ Late time.Duration }
	// Peers: the server's lists of possible neighbours on both sides. They are
	// not changed from then on.
	Peers struct {
		Back, Fore []endpoint.Place
		// From and Until bound the places of neighbours, the first inclusive;
		// the zero Place is no bound.
		From, Until endpoint.Place
		// Spread is over how long the leaders come back when they have lost the
		// server; 0 leaves it as it was.
		Spread time.Duration
		// Moved: the client is in another LAN than before. It stays nobody's
		// neighbour.
		Moved bool
		// Took is how long the server took to answer, connecting included: as
		// long as a dial may take on this machine now; 0: not known.
		Took time.Duration
	}
	// Hint: the server says that a client has just come.
	Hint struct{ Place endpoint.Place }
	// Reached: who is dialled lives, and may need time to answer. A host that
	// cannot tell says nothing, or says it of a dial that is over.
	Reached struct{ Conn Conn }
	// Up: a dial succeeded and the other side has admitted us.
	Up struct{ Conn Conn }
	// Failed: a dial failed. If it was Refused, who was dialled lives, and
	// Nearer, unless it is nobody, stands nearer to it than we do. It may admit
	// us Later.
	Failed struct {
		Conn    Conn
		Refused bool
		Nearer  Peer
		Later   bool
	}
	// Knock: a client has connected and wants to stand on our side Side. It
	// believes the Suspects dead.
	Knock struct {
		Conn     Conn
		Side     Side
		Peer     endpoint.Place
		Suspects []endpoint.ID
	}
	// Down: a held connection broke, or one that waits to be admitted.
	Down struct{ Conn Conn }
	// Alive: something has come from the neighbour on a side.
	Alive struct{ Side Side }
	// Suspect: the neighbour on a side is slower than it should be. Trust: it
	// is not any more.
	Suspect struct{ Side Side }
	Trust   struct{ Side Side }
	// Stalled: the neighbour on a side no longer does its part.
	Stalled struct{ Side Side }
)

func (Tick) event()    {}
func (Peers) event()   {}
func (Hint) event()    {}
func (Reached) event() {}
func (Up) event()      {}
func (Failed) event()  {}
func (Knock) event()   {}
func (Down) event()    {}
func (Alive) event()   {}
func (Suspect) event() {}
func (Trust) event()   {}
func (Stalled) event() {}

// An Effect is something the host must now do. Effects are carried out in order.
type Effect interface{ effect() }

type (
	// Dial: connect; answer with Up or Failed. The Suspects stand between and
	// could not be reached.
	Dial struct {
		Conn     Conn
		Side     Side
		Peer     Peer
		Suspects []endpoint.ID
	}
	// Admit accepts a Knock, of this step or of one before.
	Admit struct{ Conn Conn }
	// Refuse declines it; Nearer stands there, if it is a peer. Later it may be
	// otherwise.
	Refuse struct {
		Conn   Conn
		Nearer Peer
		Later  bool
	}
	// Check: let the neighbour on a side show that it is there. If it does,
	// answer with Alive.
	Check struct{ Side Side }
	// Hangup: close the connection or abandon the dial; the node wants to hear
	// nothing of it again.
	Hangup struct{ Conn Conn }
	// Dead: a former neighbour can be reached no more.
	Dead struct{ Place endpoint.Place }
	// Exhausted: nobody on the list of a side can be reached.
	Exhausted struct{ Side Side }
)

func (Dial) effect()      {}
func (Admit) effect()     {}
func (Refuse) effect()    {}
func (Check) effect()     {}
func (Hangup) effect()    {}
func (Dead) effect()      {}
func (Exhausted) effect() {}

const (
	dialTimeout = 3 * time.Second  // a dial that takes longer has failed; a LAN needs milliseconds
	dialMost    = 15 * time.Second // … on a machine or a network on which all dials take long
	// Who has been reached lives, and needs time: until reachedTimeout the dial
	// may succeed, and slowAfter passes before another is dialled beside it, twice
	// as long with each that has been reached. Where many clients share a processor,
	// handshakes that nobody waits for any more would leave no time for the others.
	reachedTimeout = 60 * time.Second
	slowAfter      = 1 * time.Second
	dialsMax       = 12               // dials of a side under way: all candidates and the server
	seekEvery      = 60 * time.Second // how often a side looks for a nearer neighbour
	aloneMin       = 1 * time.Second  // first wait of a side that reached nobody, not even the server
	aloneMax       = 60 * time.Second // and its longest
	laterMin       = 4 * time.Second  // when to come again to who has refused us for now: its own dial has ended
	laterMax       = 30 * time.Second // … who goes on refusing

	// A side dials its candidates staggerMin apart, or as far apart as dials
	// have lately taken: on a loaded machine more at once would only be slower.
	staggerMin = 100 * time.Millisecond
	staggerMax = 2 * time.Second
	// serverAfter is how long the dials to peers may take before the server is
	// dialled beside them, in staggers: leading is cheap, but not free.
	serverAfter = 5
	// raceFor is how long a dial to who dials us may still succeed, in staggers.
	raceFor = 5
	// sourceAfter is how long a side may be without anybody before it dials the
	// server in any case, in staggers.
	sourceAfter = 30
	// sourceAgain is when the server is dialled again that was not reached, while
	// dials to peers are under way.
	sourceAgain = 5 * time.Second

	checkTimeout = 500 * time.Millisecond // within which a neighbour shows that it is there
	redirectsMax = 8                      // peers that a side learns of in one round by being refused
	refusedMax   = 32                     // peers on record that have refused in one round
	suspectsMax  = 16                     // wire.SuspectsMax
	extrasMax    = 16                     // peers known from hints and refusals, not from the list
	spreadFirst  = 100 * time.Millisecond // of leaders that come back, until the server has said
)

// bounds are places between which neighbours stand, the first inclusive; the zero
// Place is no bound.
type bounds struct{ from, until endpoint.Place }

func (b *bounds) around(p endpoint.Place) bool {
	none := endpoint.Place{}
	return (b.from == none || p.Compare(b.from) >= 0) && (b.until == none || p.Compare(b.until) < 0)
}

// A Node is one client's place in a chain.
type Node struct {
	self   endpoint.Place
	rng    dice
	peers  [2][]endpoint.Place // the last lists
	extras []endpoint.Place    // learnt since, oldest first
	bounds *bounds             // of who may be a neighbour; nil: there are none
	spread time.Duration
	pace   time.Duration // smoothed time of a dial
	late   time.Duration // how late this machine has lately been itself
	avoid  []avoided
	edges  [2]edge
	met    bool   // a list has come: before it, a node dials nobody
	conns  uint32 // last number given to a dial
	out    []Effect
}

// dice are a source of jitter in 16 bytes: a simulator has a million nodes.
type dice struct{ rand.PCG }

func (d *dice) Int64N(n int64) int64 { return rand.New(&d.PCG).Int64N(n) }

// New returns a node that has not met anyone. The seed decides its jitter.
func New(self endpoint.Place, seed uint64) *Node {
	return &Node{
		self: self, rng: dice{*rand.NewPCG(seed, 0x6361)}, spread: spreadFirst,
		edges: [2]edge{{search: &over}, {search: &over}},
	}
}

// Self is the place of the node.
func (n *Node) Self() endpoint.Place { return n.self }

// Neighbour reports who stands on the given side, and over which connection.
func (n *Node) Neighbour(s Side) (Peer, Conn) { return n.edges[s].held, n.edges[s].conn }

// Leads reports whether the node is the end of its chain on the given side.
func (n *Node) Leads(s Side) bool { return n.edges[s].held == Server }

// Step applies one event that happened at now and returns what the host must
// do about it.
func (n *Node) Step(now time.Time, ev Event) []Effect {
	switch ev := ev.(type) {
	case Tick:
		n.late = max(ev.Late, n.late-n.late/4)
	case Peers:
		n.meet(now, ev)
	case Hint:
		n.hint(now, ev.Place)
	case Reached:
		n.reached(now, ev.Conn)
	case Up:
		n.up(now, ev.Conn)
	case Failed:
		n.failed(now, ev)
	case Knock:
		n.knock(now, ev)
	case Down:
		n.down(now, ev.Conn)
	case Alive:
		n.alive(ev.Side)
	case Suspect:
		n.suspect(now, ev.Side)
	case Trust:
		n.trust(now, ev.Side)
	case Stalled:
		n.stalled(now, ev.Side)
	default:
		panic(fmt.Sprintf("chain: unknown event %T", ev))
	}
	n.expire(now)
	n.settle(now)
	out := n.out
	n.out = nil
	return out
}

// Deadline reports when Step must be called at the latest, with a [Tick] if
// nothing else happens. The zero time means never.
func (n *Node) Deadline() time.Time {
	var d time.Time
	at := func(t time.Time) {
		if !t.IsZero() && (d.IsZero() || t.Before(d)) {
			d = t
		}
	}
	for s := range n.edges {
		e := &n.edges[s]
		at(e.wake)
		at(e.waiting.until)
		for _, x := range e.dials {
			at(x.until)
		}
		if e.round && len(e.dials) < dialsMax {
			at(e.next)
		}
		at(n.sourceDue(e))
	}
	return d
}

func (n *Node) meet(now time.Time, ev Peers) {
	n.peers, n.met = [2][]endpoint.Place{ev.Back, ev.Fore}, true
	n.bounds = nil
	if b := (bounds{ev.From, ev.Until}); b != (bounds{}) {
		n.bounds = &b
	}
	// Who could not be reached is not on the list any more, because we have told
	// the server; it is tried again all the same.
	n.extras = nil
	for _, a := range n.avoid {
		n.learn(a.place)
	}
	n.leave(now, ev.Moved)
	if ev.Spread > 0 {
		n.spread = ev.Spread
	}
	n.pace = max(n.pace, ev.Took)
	for s := range n.edges {
		if e := &n.edges[s]; e.held == Nobody && e.since.IsZero() {
			n.own(Side(s)).since = now
		}
		n.seek(now, Side(s))
	}
}

// hint takes up a peer that the server or another peer has named.
func (n *Node) hint(now time.Time, p endpoint.Place) {
	if p == n.self || !n.met {
		return
	}
	n.forgive(p)
	n.learn(p)
	for s := range n.edges {
		if n.isOn(Side(s), p) && n.nearer(Side(s), PeerAt(p), n.edges[s].held) {
			n.seek(now, Side(s))
		}
	}
}

// learn remembers a peer that is not on the list.
func (n *Node) learn(p endpoint.Place) {
	if n.knows(p) {
		return
	}
	if len(n.extras) == extrasMax {
		n.extras = slices.Delete(n.extras, 0, 1)
	}
	n.extras = append(n.extras, p)
}

// isOn reports whether p lies on side s of this node, and within the bounds.
func (n *Node) isOn(s Side, p endpoint.Place) bool {
	if n.bounds != nil && !n.bounds.around(p) {
		return false
	}
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
	switch {
	case p.server:
		return 1
	case p.Place == Nobody.Place:
		return 2
	}
	return 0
}

// jitter spreads d over [d/2, 3d/2), so that clients that start together do
// not act together.
func (n *Node) jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(n.rng.Int64N(int64(d)))
}

func (n *Node) emit(e Effect) { n.out = append(n.out, e) }
