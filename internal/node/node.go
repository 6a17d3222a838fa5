// Package node is one client's whole protocol: it joins chain (who stands next
// to whom) and sweep (what passes along) with registration and the checking of
// signatures. The real client and the simulator are two hosts of the same
// [Node]; they only carry out its effects.
//
// # What a host owes
//
// Give every event to [Node.Step] in the order in which things happened, carry
// out the returned effects in order, and call Step with a [Tick] no later than
// [Node.Deadline]. A [Dial] ends in exactly one of [Up] or [Failed], or is
// forgotten after a [Hangup]; a [Knock] is answered by [Admit] or [Refuse] in
// the same step; of a connection that was hung up, nothing more is reported.
package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/sweep"
	"catenary/internal/wire"
)

// A Config is what a node is born with.
type Config struct {
	Place       endpoint.Place
	Incarnation uint64 // grows with each start
	Name        string // computer name
	Program     string // version of the client program
	Platform    string
	Ring        *seal.Ring
	Seed        uint64 // of all jitter
}

// An Event is something that has happened to a node.
type Event interface{ event() }

type (
	// Tick: the deadline has come.
	Tick struct{}
	// Up: the dial was answered with HelloOK.
	Up struct{ Conn chain.Conn }
	// Failed: the dial could not be made, or was refused.
	Failed struct{ Conn chain.Conn }
	// Knock: a peer has connected, proved that it is Hello.Place.ID, and said
	// Hello. The host numbers the connection with an odd number.
	Knock struct {
		Conn  chain.Conn
		Hello wire.Hello
	}
	// Down: a connection broke, or brought a frame that cannot be read.
	Down struct{ Conn chain.Conn }
	// Got: a message came in.
	Got struct {
		Conn    chain.Conn
		Message wire.Message
	}
	// Evaluated: the machine's own answer is computed.
	Evaluated struct {
		Question uint64
		Rows     answer.Rows
		Counts   answer.Counts
	}
	// Registered: the server answered a Register.
	Registered struct{ Reply wire.Registered }
	// NotRegistered: it did not, or refused.
	NotRegistered struct{}
)

func (Tick) event()          {}
func (Up) event()            {}
func (Failed) event()        {}
func (Knock) event()         {}
func (Down) event()          {}
func (Got) event()           {}
func (Evaluated) event()     {}
func (Registered) event()    {}
func (NotRegistered) event() {}

// An Effect is something the host must now do, in order.
type Effect interface{ effect() }

type (
	// Dial the peer, or the server, and say Hello.
	Dial struct {
		Conn  chain.Conn
		Peer  chain.Peer
		Hello wire.Hello
	}
	// Admit the knock of this step, with HelloOK.
	Admit struct {
		Conn  chain.Conn
		Reply wire.HelloOK
	}
	// Refuse it.
	Refuse struct {
		Conn  chain.Conn
		Reply wire.Refused
	}
	// Hangup closes the connection or abandons the dial.
	Hangup struct{ Conn chain.Conn }
	// Send the message.
	Send struct {
		Conn    chain.Conn
		Message wire.Message
	}
	// Evaluate the question; answer with Evaluated.
	Evaluate struct {
		Letter wire.Letter
		Skew   time.Duration // what to add to the local clock for the server's
	}
	// Register with the server; answer with Registered or NotRegistered.
	Register struct{ Request wire.Register }
	// Note is worth a line in the log.
	Note struct {
		Text     string
		Question uint64     // or 0
		Conn     chain.Conn // or 0
		Err      error      // or nil
	}
)

func (Dial) effect()     {}
func (Admit) effect()    {}
func (Refuse) effect()   {}
func (Hangup) effect()   {}
func (Send) effect()     {}
func (Evaluate) effect() {}
func (Register) effect() {}
func (Note) effect()     {}

// A Node is one client's protocol state.
type Node struct {
	cfg   Config
	rng   *rand.Rand
	chain *chain.Node
	sweep *sweep.Sweep
	held  [2]held // what sweep was last told
	reg   registration
	skew  time.Duration // server's clock minus ours
	out   []Effect
}

type held struct {
	conn chain.Conn
	peer chain.Peer
}

// New returns a node that has done nothing yet: the first Tick registers.
func New(cfg Config) *Node {
	return &Node{
		cfg:   cfg,
		rng:   rand.New(rand.NewPCG(cfg.Seed, 0x6e6f)),
		chain: chain.New(cfg.Place, cfg.Seed),
		sweep: sweep.New(answer.ChainLimits),
		reg:   registration{intervals: defaultIntervals},
	}
}

// Neighbour reports who stands on a side of the node.
func (n *Node) Neighbour(s chain.Side) chain.Peer {
	p, _ := n.chain.Neighbour(s)
	return p
}

// Step applies one event that happened at now and returns what the host must
// do about it. The slice is valid until the next call.
func (n *Node) Step(now time.Time, ev Event) []Effect {
	n.out = n.out[:0]
	switch ev := ev.(type) {
	case Tick:
		n.stepChain(now, chain.Tick{})
		n.stepSweep(now, sweep.Tick{})
	case Up:
		n.stepChain(now, chain.Up{Conn: ev.Conn})
	case Failed:
		n.stepChain(now, chain.Failed{Conn: ev.Conn})
	case Knock:
		n.knock(now, ev)
	case Down:
		n.stepChain(now, chain.Down{Conn: ev.Conn})
	case Got:
		n.got(now, ev.Conn, ev.Message)
	case Evaluated:
		n.stepSweep(now, sweep.Evaluated{Question: ev.Question, Rows: ev.Rows, Counts: ev.Counts})
	case Registered:
		n.registered(now, ev.Reply)
	case NotRegistered:
		n.notRegistered(now)
	default:
		panic(fmt.Sprintf("node: unknown event %T", ev))
	}
	n.register(now)
	return n.out
}

// Deadline reports when Step must be called at the latest, with a [Tick] if
// nothing else happens. The zero time means at once.
func (n *Node) Deadline() time.Time {
	d := n.reg.due()
	for _, t := range []time.Time{n.chain.Deadline(), n.sweep.Deadline()} {
		if !t.IsZero() && (d.IsZero() || t.Before(d)) {
			d = t
		}
	}
	return d
}

// stepChain lets chain decide, carries its decisions out, and tells sweep if
// somebody else stands in front or behind.
func (n *Node) stepChain(now time.Time, ev chain.Event) {
	for _, ef := range n.chain.Step(now, ev) {
		switch ef := ef.(type) {
		case chain.Dial:
			n.emit(Dial{ef.Conn, ef.Peer, n.hello(ef.Side, ef.Peer)})
		case chain.Admit:
			n.emit(Admit{ef.Conn, wire.HelloOK{Incarnation: n.cfg.Incarnation}})
		case chain.Refuse:
			n.emit(Refuse{ef.Conn, wire.Refused{Reason: wire.Nearer, Text: "a nearer neighbour stands here"}})
		case chain.Hangup:
			n.emit(Hangup{ef.Conn})
		}
	}
	for _, s := range []chain.Side{chain.Back, chain.Fore} {
		p, c := n.chain.Neighbour(s)
		if n.held[s] == (held{c, p}) {
			continue
		}
		n.held[s] = held{c, p}
		if s == chain.Back {
			n.stepSweep(now, sweep.Behind{Present: p != chain.Nobody && p != chain.Server})
		} else {
			n.stepSweep(now, sweep.Ahead{Front: front(p)})
		}
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

func (n *Node) hello(s chain.Side, p chain.Peer) wire.Hello {
	h := wire.Hello{Version: wire.Version, Place: n.cfg.Place, Incarnation: n.cfg.Incarnation}
	switch {
	case p == chain.Server && s == chain.Back:
		h.Role = wire.BackwardLeader
	case p == chain.Server:
		h.Role = wire.ForwardLeader
	case s == chain.Back:
		h.Role = wire.Ahead // of whom we dial
	default:
		h.Role = wire.Behind
	}
	return h
}

func (n *Node) knock(now time.Time, k Knock) {
	var side chain.Side
	switch k.Hello.Role {
	case wire.Behind:
		side = chain.Back
	case wire.Ahead:
		side = chain.Fore
	default:
		n.emit(Refuse{k.Conn, wire.Refused{Reason: wire.Malformed, Text: "a client takes only neighbours"}})
		return
	}
	n.stepChain(now, chain.Knock{Conn: k.Conn, Side: side, Peer: k.Hello.Place})
}

func (n *Node) stepSweep(now time.Time, ev sweep.Event) {
	for _, ef := range n.sweep.Step(now, ev) {
		switch ef := ef.(type) {
		case sweep.Forward:
			n.emit(Send{n.held[chain.Fore].conn, wire.Question{Sealed: ef.Question.Sealed}})
		case sweep.Evaluate:
			n.emit(Evaluate{ef.Question.Body.(wire.Letter), n.skew})
		case sweep.Send:
			n.emit(Send{n.held[chain.Fore].conn, wire.Answer{Report: ef.Report}})
		case sweep.Ack:
			n.emit(Send{n.held[chain.Back].conn, wire.Ack{Seq: ef.Seq}})
		case sweep.Lost:
			n.emit(Note{Text: ef.Why, Question: ef.Question})
		case sweep.Stalled:
			n.emit(Note{Text: "the forward neighbour acknowledges nothing", Conn: n.held[chain.Fore].conn})
			defer n.stepChain(now, chain.Stalled{Side: chain.Fore})
		}
	}
}

// got takes a message. Questions come from behind, answers from the peer
// behind, acknowledgements from ahead; anything else is out of place and
// closes its connection.
func (n *Node) got(now time.Time, c chain.Conn, m wire.Message) {
	back, fore := n.held[chain.Back], n.held[chain.Fore]
	isBack := back.peer != chain.Nobody && back.conn == c
	isFore := fore.peer != chain.Nobody && fore.conn == c
	switch m := m.(type) {
	case wire.Question:
		if isBack {
			n.question(now, c, m.Sealed)
			return
		}
	case wire.Answer:
		if isBack && back.peer != chain.Server {
			n.stepSweep(now, sweep.Told{Report: m.Report})
			return
		}
	case wire.Ack:
		if isFore {
			n.stepSweep(now, sweep.Acked{Seq: m.Seq})
			return
		}
	}
	err := fmt.Errorf("a %T from this side is out of place", m)
	switch {
	case isBack:
		n.close(now, chain.Back, err)
	case isFore:
		n.close(now, chain.Fore, err)
	}
}

// close gives up a neighbour that does what no honest one does. It is not
// dialled again before the next round: it would do the same again at once.
func (n *Node) close(now time.Time, s chain.Side, err error) {
	n.emit(Note{Text: "connection closed", Conn: n.held[s].conn, Err: err})
	n.stepChain(now, chain.Stalled{Side: s})
}

// question verifies a sealed question before it goes anywhere: a forged one
// dies here, and so does the link that brought it.
func (n *Node) question(now time.Time, c chain.Conn, sealed []byte) {
	if n.sweep.Holds(sealed) {
		return
	}
	letter, err := n.open(now, sealed)
	switch {
	case errors.Is(err, seal.ErrNoKey):
		// Perhaps a key that our next registration will bring.
		n.emit(Note{Text: "question left alone", Conn: c, Err: err})
	case err != nil && c != 0:
		n.close(now, chain.Back, err)
	case err != nil:
		n.emit(Note{Text: "question left alone", Err: err})
	default:
		n.stepSweep(now, sweep.Asked{Question: sweep.Question{
			ID:      letter.Question,
			Sealed:  sealed,
			Expires: letter.Issued.Add(letter.Life).Add(-n.skew),
			Hold:    letter.Hold,
			Body:    letter,
		}})
	}
}

func (n *Node) open(now time.Time, sealed []byte) (wire.Letter, error) {
	payload, err := n.cfg.Ring.Open(now.Add(n.skew), seal.Question, sealed)
	if err != nil {
		return wire.Letter{}, err
	}
	return wire.DecodeLetter(payload)
}

func (n *Node) emit(e Effect) { n.out = append(n.out, e) }
