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

// defaultIntervals hold until the server's first reply says otherwise.
var defaultIntervals = wire.Intervals{
	NormalMin: 30 * time.Second, NormalMax: 90 * time.Second,
	InitialMin: 2 * time.Hour, InitialMax: 6 * time.Hour,
}

const (
	// settleMin and settleMax bracket the first normal registration after an
	// initial one: by then the client stands in its chain and can say so.
	settleMin = 1 * time.Second
	settleMax = 4 * time.Second

	// unreachableGap is the least time between two registrations by which a
	// client names those it cannot reach: dead machines come by the dozen.
	unreachableGap = 2 * time.Second

	namedMax = 4 * wire.UnreachableMax // of those that are remembered to have been named

	replyTimeout = 20 * time.Second // a registration that takes longer has failed
	retryMin     = 2 * time.Second  // first wait of a client that has never registered
	retryMax     = 60 * time.Second // and its longest
	knownMax     = 256              // question ids named in a registration

	// intervalMin keeps a wrong setting from turning every client into a flood.
	intervalMin = 100 * time.Millisecond
)

// A registration is when to register next, and what the server gave us.
type registration struct {
	intervals wire.Intervals
	sequence  uint64
	waiting   bool // a request is under way
	whole     bool // and asks for everything
	joined    bool
	network   uint8 // of the LAN, if it is named after one: its bits, plus 1
	slot      answer.Slot
	failures  int32     // in a row, before the first success
	asked     time.Time // when the last request left
	normal    time.Time // when the next one is due
	initial   time.Time // when the next one asks for everything
	lan       uint64    // name of the LAN that the slot belongs to
	peers     uint64    // digest of the lists we hold

	ways
}

func (r *registration) due() time.Time {
	if r.waiting {
		return r.until()
	}
	return r.normal
}

// until is when the request under way has failed.
func (r *registration) until() time.Time {
	if r.way == ByLeader {
		return r.asked.Add(leaderTimeout)
	}
	return r.asked.Add(replyTimeout)
}

// register starts a registration when one is due.
func (n *Node) register(now time.Time) {
	r := &n.reg
	if r.waiting && (!now.Before(r.until()) || r.way == ByLeader && !n.leads(r.conn)) {
		n.notRegistered(now, NotRegistered{})
	}
	if r.waiting || now.Before(r.normal) {
		return
	}
	r.sequence++
	unreachable := n.unreachable(now)
	r.asked = now
	n.name(unreachable)
	r.whole = !now.Before(r.initial)
	n.send(now, wire.Register{
		Version:     wire.Version,
		Initial:     r.whole,
		Incarnation: n.cfg.Incarnation,
		Sequence:    r.sequence,
		Place:       n.place(),
		Name:        n.cfg.Name,
		Program:     n.cfg.Program,
		Platform:    n.cfg.Platform,
		Slot:        r.slot,
		HasSlot:     r.joined,
		Peers:       r.peers,
		Known:       n.sweep.Live(knownMax),
		Back:        neighbour(n.Neighbour(chain.Back)),
		Fore:        neighbour(n.Neighbour(chain.Fore)),
		Unreachable: unreachable,

		BackwardLink: n.back.up,
		RoundTrip:    n.roundTrip(),
		Evidence:     n.evidence(),
	})
}

// unreachable are those who cannot be dialled. Who has dialled us itself, and
// stands behind, can be among them: the server is to know whom nobody reaches.
func (n *Node) unreachable(now time.Time) []endpoint.ID {
	ids := n.chain.Unreachable(now, wire.UnreachableMax)
	if b := n.back; b.missed && len(ids) < wire.UnreachableMax && !slices.Contains(ids, b.peer) {
		ids = append(ids, b.peer)
	}
	return ids
}

// name notes who is said to be unreachable.
func (n *Node) name(unreachable []endpoint.ID) {
	if len(unreachable) == 0 {
		return
	}
	d := n.owe()
	for _, id := range unreachable {
		if !slices.Contains(d.named, id) {
			d.named = append(d.named, id)
		}
	}
	d.named = d.named[max(0, len(d.named)-namedMax):]
}

func neighbour(p chain.Peer) wire.Neighbour {
	switch p {
	case chain.Nobody:
		return wire.Neighbour{Kind: endpoint.Nobody}
	case chain.Server:
		return wire.Neighbour{Kind: endpoint.Server}
	}
	return wire.Neighbour{Kind: endpoint.Peer, ID: p.Place.ID}
}

func (n *Node) registered(now time.Time, m wire.Registered) {
	r := &n.reg
	if !r.waiting {
		return // came after its time was over; the next one is under way soon
	}
	n.skew = m.Now.Sub(now)
	took := time.Duration(0)
	if r.way == ByTLS {
		took = now.Sub(r.asked)
	}
	if m.Again {
		n.again(now, m.Come)
		return
	}
	r.waiting, r.failures, r.joined = false, 0, true
	n.took(now, m)
	if !m.Same {
		r.slot, r.intervals = m.Slot, bounded(m.Intervals)
	}
	r.normal = now.Add(n.between(r.intervals.NormalMin, r.intervals.NormalMax))
	if r.whole {
		r.initial = now.Add(n.between(r.intervals.InitialMin, r.intervals.InitialMax))
		if settle := now.Add(n.between(settleMin, settleMax)); settle.Before(r.normal) {
			r.normal = settle
		}
	}
	if m.Come > 0 {
		r.tls, r.normal = true, now.Add(min(m.Come, comeMax))
	}
	for _, v := range m.Vouchers {
		if err := n.cfg.Ring.Add(v); err != nil {
			n.emit(Note{Text: "signing key left alone", Err: err})
		}
	}
	moved := !m.Same && r.lan != 0 && r.lan != m.LAN
	if !m.Same {
		n.bound(m)
	}
	n.stepSweep(now, sweep.Joined{Slot: r.slot, Highest: m.Highest, Moved: moved, Counted: m.Counted})
	if len(m.Audits) > 0 || n.debts != nil {
		n.owe().audits = m.Audits
	}
	n.keyed(now)
	if !m.Same && m.Come == 0 {
		r.peers = m.Peers
		if d := n.debts; d != nil {
			d.named = slices.DeleteFunc(d.named, func(id endpoint.ID) bool {
				is := func(p endpoint.Place) bool { return p.ID == id }
				return slices.ContainsFunc(m.Back, is) || slices.ContainsFunc(m.Fore, is)
			})
		}
		n.stepChain(now, chain.Peers{
			Back: m.Back, Fore: m.Fore, From: m.From, Until: m.Until, Spread: m.Spread, Moved: moved, Took: took,
		})
		n.welcome()
	}
	for _, q := range m.Questions {
		if err := n.question(now, 0, wire.Question{Sealed: q}, sweep.FromServer); err != nil {
			n.emit(Note{Text: "question left alone", Err: err})
		}
	}
	if len(m.Direct) > 0 {
		n.stepSweep(now, sweep.Direct{Questions: m.Direct})
	}
}

// roundTrip is the time to the neighbour in front and back, if that is a peer.
func (n *Node) roundTrip() time.Duration {
	if n.held[chain.Fore].front != sweep.Peer {
		return 0
	}
	return n.sweep.Pace()
}

// exhausted registers soon, if the server can name others than those who could
// not be reached: it does not know of them yet.
func (n *Node) exhausted(now time.Time) {
	r := &n.reg
	news := slices.ContainsFunc(n.chain.Unreachable(now, wire.UnreachableMax), func(id endpoint.ID) bool {
		return n.debts == nil || !slices.Contains(n.debts.named, id)
	})
	if !r.joined || !news {
		return
	}
	soon := later(now, r.asked.Add(unreachableGap)).Add(n.between(0, unreachableGap/10))
	if soon.Before(r.normal) {
		r.normal = soon
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// notRegistered waits for the next slot; only a client that was never
// registered comes again sooner, with full jitter. A datagram that was not
// answered is at once followed by an exchange over TLS, which counts as the
// same try.
func (n *Node) notRegistered(now time.Time, ev NotRegistered) {
	r := &n.reg
	if !r.waiting {
		return
	}
	r.waiting, r.missed = false, false
	switch {
	case r.way == ByDatagram && !ev.Refused:
		r.missed, r.tls, r.normal = true, true, now
		return
	case r.way == ByLeader:
		r.mute = r.conn
	}
	if r.joined {
		r.normal = now.Add(n.between(r.intervals.NormalMin, r.intervals.NormalMax))
		return
	}
	most := min(retryMax, retryMin<<min(r.failures, 10))
	r.failures++
	r.normal = now.Add(n.between(intervalMin, most))
}

// parted gives up a registration that is under way on a connection which this
// node itself ends, as when somebody stands there now who is nearer than the
// server. That says nothing of the server: the next one comes soon, for the reply
// that is lost may have named a neighbour who can only be dialled from here.
func (n *Node) parted(now time.Time, c chain.Conn) {
	r := &n.reg
	if !r.waiting || r.way != ByLeader || r.conn != c {
		return
	}
	n.notRegistered(now, NotRegistered{})
	if soon := now.Add(n.between(settleMin, settleMax)); soon.Before(r.normal) {
		r.normal = soon
	}
}

// between draws a time evenly.
func (n *Node) between(a, b time.Duration) time.Duration {
	if b <= a {
		return a
	}
	return a + time.Duration(n.rng.Int64N(int64(b-a)))
}

func bounded(i wire.Intervals) wire.Intervals {
	i.NormalMin = max(i.NormalMin, intervalMin)
	i.NormalMax = max(i.NormalMax, i.NormalMin)
	i.InitialMin = max(i.InitialMin, intervalMin)
	i.InitialMax = max(i.InitialMax, i.InitialMin)
	return i
}
