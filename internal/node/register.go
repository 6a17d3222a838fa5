package node

import (
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
	waiting   bool      // a request is under way
	whole     bool      // and asks for everything
	until     time.Time // when it has failed
	normal    time.Time // when the next one is due
	initial   time.Time // when the next one asks for everything
	failures  int       // in a row, before the first success
	joined    bool
	slot      answer.Slot
	peers     uint64 // digest of the lists we hold
}

func (r *registration) due() time.Time {
	if r.waiting {
		return r.until
	}
	return r.normal
}

// register starts a registration when one is due.
func (n *Node) register(now time.Time) {
	r := &n.reg
	if r.waiting && !now.Before(r.until) {
		n.notRegistered(now)
	}
	if r.waiting || now.Before(r.normal) {
		return
	}
	r.sequence++
	r.waiting, r.whole, r.until = true, !now.Before(r.initial), now.Add(replyTimeout)
	n.emit(Register{wire.Register{
		Version:     wire.Version,
		Initial:     r.whole,
		Incarnation: n.cfg.Incarnation,
		Sequence:    r.sequence,
		Place:       n.cfg.Place,
		Name:        n.cfg.Name,
		Program:     n.cfg.Program,
		Platform:    n.cfg.Platform,
		Slot:        r.slot,
		HasSlot:     r.joined,
		Peers:       r.peers,
		Known:       n.sweep.Known(knownMax),
		Back:        neighbour(n.Neighbour(chain.Back)),
		Fore:        neighbour(n.Neighbour(chain.Fore)),
	}})
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
	r.waiting, r.failures = false, 0
	r.joined, r.slot = true, m.Slot
	r.intervals = bounded(m.Intervals)
	n.skew = m.Now.Sub(now)
	r.normal = now.Add(n.between(r.intervals.NormalMin, r.intervals.NormalMax))
	if r.whole {
		r.initial = now.Add(n.between(r.intervals.InitialMin, r.intervals.InitialMax))
		if settle := now.Add(n.between(settleMin, settleMax)); settle.Before(r.normal) {
			r.normal = settle
		}
	}
	for _, v := range m.Vouchers {
		if err := n.cfg.Ring.Add(v); err != nil {
			n.emit(Note{Text: "signing key left alone", Err: err})
		}
	}
	n.stepSweep(now, sweep.Joined{Slot: m.Slot, Highest: m.Highest})
	if !m.PeersSame {
		r.peers = m.Peers
		n.stepChain(now, chain.Peers{Places: append(append([]endpoint.Place{}, m.Back...), m.Fore...)})
	}
	for _, q := range m.Questions {
		n.question(now, 0, q)
	}
}

// notRegistered waits for the next slot; only a client that was never
// registered comes again sooner, with full jitter.
func (n *Node) notRegistered(now time.Time) {
	r := &n.reg
	if !r.waiting {
		return
	}
	r.waiting = false
	if r.joined {
		r.normal = now.Add(n.between(r.intervals.NormalMin, r.intervals.NormalMax))
		return
	}
	most := min(retryMax, retryMin<<min(r.failures, 10))
	r.failures++
	r.normal = now.Add(n.between(intervalMin, most))
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
