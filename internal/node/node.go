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
// forgotten after a [Hangup]; a [Knock] is answered by [Admit] or [Refuse], at
// once or a little later, and if the client goes away before that, by [Down]; of
// a connection that was hung up or refused, nothing more is reported.
package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
	Ring        Ring
	Seed        uint64 // of all jitter
}

// A Ring opens what the installation has sealed. It is a [seal.Ring], or stands
// before one that many nodes share.
type Ring interface {
	Open(now time.Time, p seal.Purpose, sealed []byte) ([]byte, error)
	Add(voucher []byte) error
}

// An Event is something that has happened to a node.
type Event interface{ event() }

type (
	// Tick: the deadline has come.
	Tick struct{}
	// Up: the dial was answered with HelloOK.
	Up struct {
		Conn  chain.Conn
		Reply wire.HelloOK
	}
	// Reached: the system of who is dialled has answered.
	Reached struct{ Conn chain.Conn }
	// Failed: the dial could not be made, or was refused. Refusal is zero if
	// nobody said no.
	Failed struct {
		Conn    chain.Conn
		Refusal wire.Refused
	}
	// Knock: a peer has connected, proved that it is Hello.Place.ID, and said
	// Hello. The host numbers the connection with an odd number.
	Knock struct {
		Conn  chain.Conn
		Hello wire.Hello
	}
	// Down: a connection broke, or brought a frame that cannot be read; or who
	// knocked went away.
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
	NotRegistered struct{ Refused bool }
	// Come: it, or somebody in its name, asks in answer to a datagram to come
	// over TLS after a while.
	Come struct{ After time.Duration }
)

func (Tick) event()          {}
func (Reached) event()       {}
func (Up) event()            {}
func (Failed) event()        {}
func (Knock) event()         {}
func (Down) event()          {}
func (Got) event()           {}
func (Evaluated) event()     {}
func (Registered) event()    {}
func (NotRegistered) event() {}
func (Come) event()          {}

// An Effect is something the host must now do, in order.
type Effect interface{ effect() }

type (
	// Dial the peer, or the server, and say Hello.
	Dial struct {
		Conn  chain.Conn
		Peer  chain.Peer
		Hello wire.Hello
	}
	// Admit the knock, with HelloOK.
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
	// Register with the server; answer with Registered, NotRegistered or Come.
	Register struct {
		Request wire.Register
		Way     Way
		Conn    chain.Conn // on which to send the request, if ByLeader
		Key     Key        // if ByDatagram
	}
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

const (
	// roundMax bounds how often a question is asked again: the server tries 4
	// times, and a peer that says more is lying.
	roundMax = 16
	goneMax  = 32 // dead clients that wait to be named to the server
	earlyMax = 8  // clients that knocked too early and are remembered
)

// A Node is one client's protocol state.
type Node struct {
	cfg      config
	rng      dice
	chain    chain.Node
	sweep    sweep.Sweep
	held     [2]held       // what sweep was last told
	greeted  []greeting    // by who knocks or has just been dialled
	todo     []chain.Event // what sweep has found out about neighbours
	back     backward
	checking [2]bool  // something is to be heard from the side's neighbour
	fades    uint8    // how often chain and sweep are still to forget of a delay
	faded    uint32   // when they last were, as Unix time
	pings    uint32   // number of the last Ping
	witness  *witness // nil until there is something to testify
	debts    *debts   // nil if there are none
	reg      registration
	skew     time.Duration // server's clock minus ours
	out      []Effect
}

// A config is what stays of a [Config]: the place is with chain, the seed in the
// dice.
type config struct {
	Incarnation             uint64
	Name, Program, Platform string
	Ring                    Ring
}

// place is where the node can be dialled.
func (n *Node) place() endpoint.Place { return n.chain.Self() }

// dice are a source of jitter in 16 bytes: a simulator has a million nodes.
type dice struct{ rand.PCG }

func (d *dice) Int64N(n int64) int64 { return rand.New(&d.PCG).Int64N(n) }

// debts are what a node owes to the server, or to others, which is rarely anything.
type debts struct {
	gone    []endpoint.ID // dead clients to be named when somebody is in front
	keyless []uint64      // questions that wait for a registration key
	audits  []wire.Audit  // to be answered with the next registration
	named   []endpoint.ID // who was said to be unreachable, and is not listed again
	early   []wire.Hello  // of who knocked before this node knew its LAN
}

// owe returns the debts, to add to them.
func (n *Node) owe() *debts {
	if n.debts == nil {
		n.debts = new(debts)
	}
	return n.debts
}

// pay lets go of debts that are paid.
func (n *Node) pay() {
	if d := n.debts; d != nil && len(d.gone)+len(d.keyless)+len(d.audits)+len(d.named)+len(d.early) == 0 {
		n.debts = nil
	}
}

type held struct {
	conn  chain.Conn
	front sweep.Front
}

// A greeting is what the other side said of itself when a link was made.
type greeting struct {
	conn        chain.Conn
	id          endpoint.ID // of who knocked
	incarnation uint64
	heard       wire.Heard
	known       []uint64
}

// New returns a node that has done nothing yet: the first Tick registers.
func New(cfg Config) *Node {
	return &Node{
		cfg:   config{cfg.Incarnation, cfg.Name, cfg.Program, cfg.Platform, cfg.Ring},
		rng:   dice{*rand.NewPCG(cfg.Seed, 0x6e6f)},
		chain: *chain.New(cfg.Place, cfg.Seed),
		sweep: *sweep.New(answer.ChainLimits),
		reg:   registration{intervals: defaultIntervals, ways: ways{datagrams: &keyless}},
	}
}

// Neighbour reports who stands on a side of the node.
func (n *Node) Neighbour(s chain.Side) chain.Peer {
	p, _ := n.chain.Neighbour(s)
	return p
}

// Step applies one event that happened at now and returns what the host must
// do about it.
func (n *Node) Step(now time.Time, ev Event) []Effect {
	switch ev := ev.(type) {
	case Tick:
		late := n.lateness(now)
		n.stepChain(now, chain.Tick{Late: late})
		n.stepSweep(now, sweep.Tick{Late: late})
	case Up:
		n.up(now, ev)
	case Reached:
		n.stepChain(now, chain.Reached{Conn: ev.Conn})
	case Failed:
		n.failed(now, ev)
	case Knock:
		n.knock(now, ev)
	case Down:
		n.down(now, ev.Conn)
	case Got:
		n.got(now, ev.Conn, ev.Message)
	case Evaluated:
		n.evaluated(now, ev)
	case Registered:
		n.registered(now, ev.Reply)
	case NotRegistered:
		n.notRegistered(now, ev)
	case Come:
		n.come(now, ev.After)
	default:
		panic(fmt.Sprintf("node: unknown event %T", ev))
	}
	n.fade(now)
	for len(n.todo) > 0 {
		ev := n.todo[0]
		n.todo = slices.Delete(n.todo, 0, 1)
		n.stepChain(now, ev)
	}
	n.nameGone()
	n.callWitness(now)
	n.dialBackward(now)
	n.register(now)
	n.pay()
	out := n.out
	n.out = nil
	return out
}

const (
	// lateMax bounds what one pause of the machine says about the next: a laptop
	// that wakes up has been late by hours.
	lateMax = time.Second
	// lateMin is a delay that is worth forgetting; what is less changes nothing.
	lateMin = 10 * time.Millisecond
	// fadesMax is after how many seconds a delay of lateMax is below that.
	fadesMax = 16
)

// lateness is by how much the deadline was missed: a machine that is itself
// late must not blame its neighbours.
func (n *Node) lateness(now time.Time) time.Duration {
	d := n.Deadline()
	if d.IsZero() {
		return 0
	}
	late := min(max(now.Sub(d), 0), lateMax)
	if late >= lateMin {
		n.fades, n.faded = fadesMax, uint32(now.Unix())
	}
	return late
}

// fade lets chain and sweep forget, second by second, how late this machine was,
// as if a timer had rung in time. A client that has nothing to do has two timers
// in a minute, and would wait too long for its neighbours when it has.
func (n *Node) fade(now time.Time) {
	for at := uint32(now.Unix()); n.fades > 0 && n.faded != at; n.fades-- {
		n.faded++
		n.stepChain(now, chain.Tick{})
		n.stepSweep(now, sweep.Tick{})
	}
}

// Deadline reports when Step must be called at the latest, with a [Tick] if
// nothing else happens. The zero time means at once.
func (n *Node) Deadline() time.Time {
	d := n.reg.due()
	for _, t := range []time.Time{n.chain.Deadline(), n.sweep.Deadline(), n.back.next, n.witness.deadline()} {
		if !t.IsZero() && (d.IsZero() || t.Before(d)) {
			d = t
		}
	}
	return d
}

func (n *Node) stepSweep(now time.Time, ev sweep.Event) {
	for _, ef := range n.sweep.Step(now, ev) {
		back, fore := n.held[chain.Back].conn, n.held[chain.Fore].conn
		switch ef := ef.(type) {
		case sweep.Forward:
			n.emit(Send{fore, wire.Question{Sealed: ef.Question.Sealed, Round: ef.Round, Only: ef.Only}})
		case sweep.Reverse:
			n.emit(Send{back, wire.Question{Sealed: ef.Question.Sealed, Round: ef.Round, Only: ef.Only}})
		case sweep.Evaluate:
			n.evaluate(now, ef.Question)
		case sweep.Send:
			n.emit(Send{fore, wire.Answer{Report: ef.Report}})
		case sweep.Ack:
			if n.held[chain.Back].front != sweep.Nobody {
				n.emit(Send{back, wire.Ack{Seq: ef.Seq, Unsafe: ef.Unsafe, Questions: ef.Questions}})
			}
		case sweep.Witness:
			n.testify(ef.Report)
		case sweep.Lost:
			n.emit(Note{Text: ef.Why, Question: ef.Question})
		case sweep.Suspect:
			n.todo = append(n.todo, chain.Suspect{Side: chain.Fore})
		case sweep.Trust:
			n.todo = append(n.todo, chain.Trust{Side: chain.Fore})
		case sweep.Stalled:
			n.emit(Note{Text: "the forward neighbour acknowledges nothing", Conn: fore})
			n.todo = append(n.todo, chain.Stalled{Side: chain.Fore})
		}
	}
}

// got takes a message. Questions come from behind, and rarely from in front;
// answers from the peer behind, acknowledgements from in front. Anything else is
// out of place and closes its connection.
func (n *Node) got(now time.Time, c chain.Conn, m wire.Message) {
	if n.testified(c, m) || n.gotBackward(now, c, m) {
		return
	}
	for _, s := range []chain.Side{chain.Back, chain.Fore} {
		if h := n.held[s]; h.front != sweep.Nobody && h.conn == c {
			n.heard(s)
			if err := n.take(now, s, m); err != nil {
				n.close(now, s, err)
			}
			return
		}
	}
}

// heard notes that the neighbour on a side lives.
func (n *Node) heard(s chain.Side) {
	if n.checking[s] {
		n.checking[s] = false
		n.todo = append(n.todo, chain.Alive{Side: s})
	}
}

// take carries out what a neighbour says, or says why it is out of place.
func (n *Node) take(now time.Time, s chain.Side, m wire.Message) error {
	h := n.held[s]
	peer := h.front == sweep.Peer
	switch m := m.(type) {
	case wire.Question:
		from := sweep.FromBehind
		if s == chain.Fore {
			from = sweep.FromFront
		}
		return n.question(now, h.conn, m, from)
	case wire.Answer:
		if s == chain.Back && peer {
			n.stepSweep(now, sweep.Told{Report: m.Report})
			return nil
		}
	case wire.Ack:
		if s == chain.Fore {
			n.stepSweep(now, sweep.Acked{Seq: m.Seq, Unsafe: m.Unsafe, Questions: m.Questions})
			return nil
		}
	case wire.Ping:
		if !m.Reply {
			n.emit(Send{h.conn, wire.Ping{Number: m.Number, Reply: true}})
		}
		return nil
	case wire.Gone:
		if s == chain.Back && peer {
			n.bury(m.Clients)
			return nil
		}
	case wire.Registered, wire.Refused:
		if !peer {
			n.replied(now, h.conn, m)
			return nil
		}
	case wire.Hint:
		if !peer {
			n.named(m.Place)
			n.todo = append(n.todo, chain.Hint{Place: m.Place})
			return nil
		}
	}
	return outOfPlace(m)
}

func outOfPlace(m wire.Message) error { return fmt.Errorf("a %T from this side is out of place", m) }

// close gives up a neighbour that does what no honest one does. It is not
// dialled again for a while: it would do the same again at once.
func (n *Node) close(now time.Time, s chain.Side, err error) {
	n.emit(Note{Text: "connection closed", Conn: n.held[s].conn, Err: err})
	n.stepChain(now, chain.Stalled{Side: s})
}

// question verifies a sealed question before it goes anywhere: a forged one
// dies here, and so does the link that brought it. One from the server's own
// reply has no link.
func (n *Node) question(now time.Time, c chain.Conn, m wire.Question, from sweep.Source) error {
	if m.Round > roundMax {
		return fmt.Errorf("question is asked again for the %dth time", m.Round)
	}
	q, same := n.sweep.Same(m.Sealed)
	if !same {
		letter, err := n.open(now, m.Sealed)
		if err != nil && (errors.Is(err, seal.ErrNoKey) || from == sweep.FromServer) {
			n.leaveAlone(now, c, m.Sealed, from, err)
			return nil
		}
		if err != nil {
			return err
		}
		q = sweep.Question{
			ID:      letter.Question,
			Sealed:  m.Sealed,
			Expires: letter.Issued.Add(letter.Life).Add(-n.skew),
			Hold:    letter.Hold,
			Mode:    letter.Mode,
		}
	}
	n.stepSweep(now, sweep.Asked{Question: q, Round: m.Round, Only: m.Only, From: from})
	return nil
}

// leaveAlone does nothing about a question that nobody can verify here, perhaps
// for lack of a key: the next registration asks for those. Who sent it has done
// no wrong, and hears that it has come.
func (n *Node) leaveAlone(now time.Time, c chain.Conn, sealed []byte, from sweep.Source, err error) {
	n.emit(Note{Text: "question left alone", Conn: c, Err: err})
	if !errors.Is(err, seal.ErrNoKey) {
		return
	}
	n.reg.initial = time.Time{}
	if letter, err := wire.DecodeLetter(seal.Payload(sealed)); err == nil && from == sweep.FromBehind {
		n.stepSweep(now, sweep.Left{Question: letter.Question})
	}
}

func (n *Node) open(now time.Time, sealed []byte) (wire.Letter, error) {
	payload, err := n.cfg.Ring.Open(now.Add(n.skew), seal.Question, sealed)
	if err != nil {
		return wire.Letter{}, err
	}
	return wire.DecodeLetter(payload)
}

// letterOf reads a question that was opened when it came, instead of keeping what
// was read then: it is live for long, and looked at once or twice.
func letterOf(q sweep.Question) wire.Letter {
	letter, err := wire.DecodeLetter(seal.Payload(q.Sealed))
	if err != nil {
		panic("node: a question that was read cannot be read again: " + err.Error())
	}
	return letter
}

// bury remembers dead clients until they can be named to the server, by way of
// who stands in front.
func (n *Node) bury(ids []endpoint.ID) {
	d := n.owe()
	d.gone = append(d.gone, ids...)
	d.gone = d.gone[max(0, len(d.gone)-goneMax):]
}

func (n *Node) nameGone() {
	if h, d := n.held[chain.Fore], n.debts; d != nil && h.front != sweep.Nobody && len(d.gone) > 0 {
		n.emit(Send{h.conn, wire.Gone{Clients: d.gone}})
		d.gone = nil
	}
}

func (n *Node) emit(e Effect) { n.out = append(n.out, e) }
