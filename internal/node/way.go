package node

import (
	"time"

	"catenary/internal/chain"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// A Way is how a registration travels to the server and its reply back
// (docs/protocol.md §7.1). The node chooses it; the host only carries out.
type Way uint8

const (
	// ByTLS: an exchange over a TLS connection of its own. It is the only way
	// for an initial registration, and the last resort of every other.
	ByTLS Way = iota
	// ByLeader: on the connection by which this client leads its chain. The
	// reply comes in as a message, or as [Registered].
	ByLeader
	// ByDatagram: one datagram each way, sealed with the registration key.
	ByDatagram
)

func (w Way) String() string { return [...]string{"tls", "leader", "datagram"}[w] }

// A Key is the registration key: known to this client and the server only.
type Key struct {
	Key  seal.RegistrationKey
	Name seal.KeyName
}

const (
	// leaderTimeout is for the server to answer on a connection that stands.
	leaderTimeout = 5 * time.Second

	// missesMax datagrams in a row that the network swallows (for the TLS
	// exchange after each of them succeeded) stop this way for a time between
	// half of pauseMin and pauseMin, which doubles up to pauseMax with each
	// further one: each costs the server a handshake and us two seconds.
	missesMax = 3
	pauseMin  = 10 * time.Minute
	pauseMax  = 4 * time.Hour

	// comeMax bounds how long the server may let us wait until we come over TLS.
	comeMax = 10 * time.Minute
)

// ways is what a node knows of the ways.
type ways struct {
	way    Way        // of the request under way
	brief  bool       // it names our state instead of saying it
	tls    bool       // the next one goes by TLS
	missed bool       // the last datagram was not answered
	conn   chain.Conn // that the request travels on, if ByLeader
	said   uint64     // name of the state that it names or says
	state  uint64     // name of the state that the server keeps; 0: none
	mute   chain.Conn // a leader's connection that has failed to register us
	*datagrams
}

// datagrams are what it takes to register by them.
type datagrams struct {
	key    Key
	expiry time.Time // of the key; zero: there is none
	pause  time.Time // no datagrams until then
	misses int32     // that were not answered in a row, while the server was there
}

// keyless are the datagrams of who was never given a key. They are not changed.
var keyless datagrams

// Key returns the registration key, if there is one.
func (n *Node) Key(now time.Time) (Key, bool) {
	return n.reg.key, now.Before(n.reg.expiry)
}

// send sends a registration by the best way, and says no more than it must.
func (n *Node) send(now time.Time, m wire.Register) {
	r := &n.reg
	m = m.Named()
	ef := Register{Request: m}
	ef.Way, ef.Conn = n.choose(now)
	if r.brief = ef.Way != ByTLS && m.State == r.state; r.brief {
		ef.Request = m.Brief()
	}
	if ef.Way == ByDatagram && !wire.FitsDatagram(ef.Request) {
		ef.Way, ef.Request, r.brief = ByTLS, m, false
	}
	r.way, r.conn, r.said = ef.Way, ef.Conn, m.State
	r.waiting = true
	switch ef.Way {
	case ByTLS:
		r.tls = false
	case ByDatagram:
		ef.Key = r.key
	}
	n.emit(ef)
}

func (n *Node) choose(now time.Time) (Way, chain.Conn) {
	r := &n.reg
	if r.whole || r.tls || n.wantsKey() {
		return ByTLS, 0
	}
	for _, s := range []chain.Side{chain.Back, chain.Fore} {
		if p, c := n.chain.Neighbour(s); p == chain.Server && c != r.mute {
			return ByLeader, c
		}
	}
	if now.Before(r.expiry) && !now.Before(r.pause) {
		return ByDatagram, 0
	}
	return ByTLS, 0
}

// leads reports whether the connection leads the chain.
func (n *Node) leads(c chain.Conn) bool {
	for _, s := range []chain.Side{chain.Back, chain.Fore} {
		if p, conn := n.chain.Neighbour(s); p == chain.Server && conn == c {
			return true
		}
	}
	return false
}

// replied takes what the server says on a leader's connection to a
// registration.
func (n *Node) replied(now time.Time, c chain.Conn, m wire.Message) {
	if n.reg.way != ByLeader || n.reg.conn != c {
		return // its time was over
	}
	if reply, ok := m.(wire.Registered); ok {
		n.registered(now, reply)
		return
	}
	n.notRegistered(now, NotRegistered{Refused: true})
}

// again says everything, because the server does not know the state that was
// named, or comes over TLS, if it is told when. A server that asks so although
// everything was said gets nothing.
func (n *Node) again(now time.Time, come time.Duration) {
	r := &n.reg
	switch r.state = 0; {
	case come > 0 && r.way != ByTLS:
		r.waiting, r.tls, r.normal = false, true, now.Add(min(come, comeMax))
	case r.brief:
		r.waiting, r.normal = false, now
	default:
		n.notRegistered(now, NotRegistered{Refused: true})
	}
}

// took notes that the server has answered, and which way works.
func (n *Node) took(now time.Time, m wire.Registered) {
	r := &n.reg
	if !r.brief {
		r.state = r.said
	}
	if m.KeyLife > 0 {
		if r.datagrams == &keyless {
			r.datagrams = new(datagrams)
		}
		r.key, r.expiry = Key{m.Key, seal.KeyName(m.KeyName)}, now.Add(m.KeyLife)
	}
	switch {
	case r.way == ByDatagram:
		r.misses = 0
	case r.way == ByTLS && r.missed:
		// The server is there: it was the network that swallowed the datagram.
		if r.misses++; r.misses >= missesMax {
			pause := min(pauseMin<<min(r.misses-missesMax, 10), pauseMax)
			r.pause = now.Add(n.between(pause/2, pause))
		}
	}
	r.missed = false
}

// come is what the server says to a datagram for which it has no key, or
// somebody in its name.
func (n *Node) come(now time.Time, after time.Duration) {
	r := &n.reg
	if !r.waiting || r.way != ByDatagram {
		return
	}
	r.waiting, r.expiry, r.tls = false, time.Time{}, true
	r.normal = now.Add(min(after, comeMax))
}
