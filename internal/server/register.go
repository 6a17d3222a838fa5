package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/seal"
	"catenary/internal/server/store"
	"catenary/internal/wire"
)

// A call is how a registration has come, and who it is from.
type call struct {
	way   string // as the metrics name it
	id    endpoint.ID
	from  netip.Addr  // where the client is seen
	cert  *store.Hash // of the public key that it has shown; nil with a datagram
	nonce wire.Nonce  // of a datagram
}

const (
	byTLS      = "tls"
	byLeader   = "leader"
	byDatagram = "datagram"

	// A datagram that comes again within repeatFor is answered again, up to
	// repeatsMax times: the reply may have been lost. Clients send it twice.
	repeatFor  = 5 * time.Second
	repeatsMax = 3

	// youngFor is how long a server that has started does not judge datagrams
	// that are not new: it may have answered them itself, shortly before it ended.
	youngFor = time.Minute

	// chainFor is how long a question may take along the chain before a reply
	// by datagram brings it: sooner, everyone who registers just then would
	// be told, and would have to come over TLS for it.
	chainFor = 5 * time.Second

	// turnEvery is how far apart clients are asked to come over TLS: at a
	// thousand a second, handshakes take a third of a core.
	turnEvery = time.Millisecond
	turnMax   = 10 * time.Minute
)

// said is what the hub remembers of a client's registrations besides its status.
type said struct {
	state   uint64 // name of what it has said in full
	slot    answer.Slot
	hasSlot bool
	nonce   wire.Nonce // of the last datagram; zero if the last one came otherwise
	repeats int        // how often that has come again
}

// errSilent: nothing is said about a datagram.
var errSilent = errors.New("not worth a reply")

// hear judges a registration before it changes anything, and completes one that
// is brief. early is the reply if nothing is to be registered.
func (h *hub) hear(now time.Time, c *machine, by call, m *wire.Register) (early *wire.Registered, err error) {
	switch {
	case c == nil:
		return nil, refuse(wire.Replayed, "this client is not enrolled here any more")
	case by.cert != nil && c.key != *by.cert:
		return nil, refuse(wire.Forbidden, "the certificate's key is not the one that was enrolled")
	case m.Version != wire.Version, m.IsBrief() && m.State == 0, !m.IsBrief() && m.Place.ID != by.id:
		return nil, refuse(wire.Malformed, "registration of version %d for client %v", m.Version, m.Place.ID)
	case m.Incarnation > c.incarnation, m.Incarnation == c.incarnation && m.Sequence > c.sequence:
		c.repeats = 0
	case by.way == byDatagram && by.nonce == c.nonce:
		last := m.Incarnation == c.incarnation && m.Sequence == c.sequence
		if !last || c.repeats == repeatsMax || now.Sub(c.status.Registered) > repeatFor {
			return nil, errSilent
		}
		c.repeats++
	case by.way == byDatagram && now.Sub(h.began) < youngFor:
		return nil, errSilent
	default:
		return nil, refuse(wire.Replayed, "registration %d.%d is not newer than %d.%d: replayed, or this client runs twice",
			m.Incarnation, m.Sequence, c.incarnation, c.sequence)
	}
	if m.IsBrief() {
		if m.State != c.state {
			return &wire.Registered{Again: true, Now: now}, nil
		}
		*m = m.Whole(c.whole())
	}
	if by.way == byTLS {
		return nil, nil
	}
	if h.Boundaries().Find(by.from, m.Place.Addr.Addr()).LAN != c.seat.LAN {
		// It has to hear that for certain, and its leader's links end.
		return &wire.Registered{Again: true, Come: h.turns.next(now), Now: now}, nil
	}
	if by.way == byDatagram {
		m.Known = h.withYoung(now, m.Known)
	}
	return nil, nil
}

// whole is what the client has said in full, as far as the server uses it.
func (c *machine) whole() wire.Register {
	s := c.status
	return wire.Register{
		Place: endpoint.Place{Addr: netip.AddrPortFrom(s.Reported, s.Place.Addr.Port()), ID: s.ID},
		Name:  s.Name, Program: s.Version, Platform: s.Platform, Slot: c.slot, HasSlot: c.hasSlot,
		Back: wire.Neighbour{Kind: s.Backward.Kind, ID: s.Backward.Peer}, Fore: wire.Neighbour{Kind: s.Forward.Kind, ID: s.Forward.Peer},
		BackwardLink: s.Backward.Files,
	}
}

// remember notes what a registration has said.
func (c *machine) remember(by call, m wire.Register) {
	c.state, c.slot, c.hasSlot, c.nonce = m.State, m.Slot, m.HasSlot, by.nonce
}

// withYoung adds the questions that are still on their way along the chains.
func (h *hub) withYoung(now time.Time, known []uint64) []uint64 {
	for id, q := range h.live {
		if now.Sub(q.issued) < chainFor && !slices.Contains(known, id) {
			known = append(slices.Clip(known), id)
		}
	}
	slices.Sort(known)
	return known
}

// registerTLS answers one registration on a connection of its own, and gives
// the client a new registration key.
func (s *Server) registerTLS(ctx context.Context, l *link.Link, conn *tls.Conn, from netip.Addr) error {
	who, err := s.trust.Peer(conn)
	if err != nil {
		return err
	}
	m, err := link.Expect[wire.Register](l, handshakeTimeout)
	if err != nil {
		return decline(l, malformed(err))
	}
	cert := keyHash(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	key, name, err := s.secrets.issue(time.Now(), who.Client, from)
	if err != nil {
		// Without a key the client comes over TLS again, which works too.
		s.log.Error("no registration key given", "because", err)
	}
	reply, err := s.place(ctx, call{way: byTLS, id: who.Client, from: from, cert: &cert}, m)
	if err == nil && len(m.RenewalKey) > 0 {
		reply.Certificate, err = s.renew(m.RenewalKey, cert, who)
	}
	s.count(byTLS, reply, err)
	if err != nil {
		return decline(l, fmt.Errorf("registration of client %v: %w", who.Client, err))
	}
	if name != (seal.KeyName{}) && !reply.Again {
		reply.Key, reply.KeyName, reply.KeyLife = key, wire.KeyName(name), keyLife
	}
	return l.Write(reply, replyTimeout)
}

// registerLeader answers a registration on a leader's connection, which stays.
func (s *Server) registerLeader(ctx context.Context, l *link.Link, by call, m wire.Register) error {
	reply, err := s.place(ctx, by, m)
	s.count(byLeader, reply, err)
	var no refusal
	switch {
	case errors.As(err, &no):
		s.log.Info("registration refused", "client", by.id, "way", by.way, "because", err)
		return l.Send(no.Refused)
	case err != nil:
		return err
	}
	return l.Send(reply)
}

func (s *Server) count(way string, reply wire.Registered, err error) {
	outcome := "accepted"
	switch {
	case err != nil:
		outcome = "refused"
	case reply.Again:
		outcome = "again"
	}
	s.metrics.registrations.WithLabelValues(way, outcome).Inc()
}

// turns lets clients that have to come over TLS come one after another.
type turns struct {
	mu    sync.Mutex
	taken time.Time // up to then
}

// next is how long the next client is to wait.
func (t *turns) next(now time.Time) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.taken.Before(now) {
		t.taken = now
	}
	if wait := t.taken.Sub(now); wait >= turnMax {
		return turnMax
	}
	t.taken = t.taken.Add(turnEvery)
	return t.taken.Sub(now)
}
