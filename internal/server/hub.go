package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/link"
	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A hub is the state that changes with every message. One goroutine owns it;
// the others hand it functions (Server.do).
type hub struct {
	*Server
	roster    *roster.Roster
	clients   map[endpoint.ID]*machine // every enrolled machine
	live      map[uint64]*live         // questions that may still be answered
	leaders   map[*leader]struct{}
	highest   uint64 // number of the newest question
	touched   map[endpoint.ID]bool
	nextWrite time.Time
	forgotten time.Time // until when closed questions were removed
}

// A machine is what the hub knows of an enrolled client.
type machine struct {
	status                endpoint.Status
	key                   store.Hash // of its public key
	incarnation, sequence uint64     // newest seen
	registered            bool       // is on the roster
}

// live is a question that may still be answered.
type live struct {
	tally   *tally.Tally
	sealed  []byte
	expires time.Time
	changed chan struct{} // closed, and renewed, when the tally changes
	closed  bool          // handed to the writer; kept until that is surely done
}

// A leader is a connection of a chain's end.
type leader struct {
	id   endpoint.ID
	role wire.Role
	lan  netip.Prefix
	link *link.Link
}

const (
	tidyEvery  = time.Second     // how often what is too old is looked for
	writeEvery = 2 * time.Second // how often registrations are written behind
	historyFor = 7 * 24 * time.Hour
	forgetEach = time.Hour // how often what is older is removed

	// replyMax bounds the questions in one registration's reply, in bytes; the
	// rest comes along the chain or with the next one.
	replyMax = 512 << 10
	// leadMax bounds those that a new backward leader gets at once, in bytes:
	// half of what may wait for it on its link.
	leadMax = 2 << 20
)

func newHub(s *Server, r *roster.Roster, enrolled []store.Client) *hub {
	h := &hub{
		Server: s, roster: r,
		clients: make(map[endpoint.ID]*machine, len(enrolled)),
		live:    map[uint64]*live{},
		leaders: map[*leader]struct{}{},
		touched: map[endpoint.ID]bool{},
	}
	for _, c := range enrolled {
		h.clients[c.ID] = &machine{
			status: endpoint.Status{ID: c.ID, ComputerID: c.ComputerID, Name: c.Name, Registered: c.Registered},
			key:    c.Key, incarnation: c.Incarnation, sequence: c.Sequence,
		}
	}
	return h
}

func (h *hub) run(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-h.calls:
			f(h)
		case now := <-tick.C:
			h.tidy(now)
		}
	}
}

// tidy closes questions whose time is over and forgets clients that no longer
// register.
func (h *hub) tidy(now time.Time) {
	for _, id := range h.roster.Expire(now) {
		h.clients[id].registered = false
	}
	for id, q := range h.live {
		switch {
		case now.Before(q.expires):
		case !q.closed:
			q.closed = h.writeBehind(writing{close: closing{id, now, q.tally.Result()}})
		case now.Sub(q.expires) > 2*writeTimeout:
			delete(h.live, id)
			close(q.changed) // who waits looks again, and finds it in the database
		}
	}
	if !now.Before(h.nextWrite) {
		h.nextWrite = now.Add(writeEvery)
		h.writeTouches()
	}
	if until := now.Add(-historyFor); until.Sub(h.forgotten) >= forgetEach && h.writeBehind(writing{forget: until}) {
		h.forgotten = until
	}
	h.metrics.clients.Set(float64(h.roster.Len()))
	h.metrics.lans.Set(float64(h.roster.LANs()))
	h.metrics.questions.Set(float64(len(h.live)))
}

// register places a client and says what it needs to know.
func (h *hub) register(now time.Time, id endpoint.ID, key store.Hash, from netip.Addr, m wire.Register) (wire.Registered, error) {
	c := h.clients[id]
	switch {
	case c == nil:
		return wire.Registered{}, refuse(wire.Replayed, "this client is not enrolled here any more")
	case c.key != key:
		return wire.Registered{}, refuse(wire.Forbidden, "the certificate's key is not the one that was enrolled")
	case m.Incarnation < c.incarnation || m.Incarnation == c.incarnation && m.Sequence <= c.sequence:
		return wire.Registered{}, refuse(wire.Replayed, "registration %d.%d is not newer than %d.%d: replayed, or this client runs twice",
			m.Incarnation, m.Sequence, c.incarnation, c.sequence)
	}
	place := endpoint.Place{Addr: netip.AddrPortFrom(from, m.Place.Addr.Port()), ID: id}
	pl, ok := h.roster.Register(now, roster.Claim{
		Place: place, Slot: m.Slot, HasSlot: m.HasSlot, Alone: m.Place.Addr.Addr() != from,
	})
	if !ok {
		_, c.registered = h.roster.LAN(id) // it may have left another LAN for this one
		return wire.Registered{}, refuse(wire.TryLater, "the LAN of %v has no free slot", from)
	}
	c.incarnation, c.sequence, c.registered = m.Incarnation, m.Sequence, true
	c.status = endpoint.Status{
		ID: id, ComputerID: c.status.ComputerID, Name: m.Name, Version: m.Program, Platform: m.Platform,
		Place: place, Reported: m.Place.Addr.Addr(), LAN: pl.LAN, Registered: now,
		Backward: m.Back.Kind, Forward: m.Fore.Kind, BackwardPeer: m.Back.ID, ForwardPeer: m.Fore.ID,
	}
	h.touched[id] = true

	reply := wire.Registered{
		ComputerID: c.status.ComputerID, Slot: pl.Slot,
		Peers: pl.Digest, PeersSame: !m.Initial && m.Peers == pl.Digest,
		Highest: h.highest, Now: now, Intervals: h.cfg.Intervals,
		Questions: h.news(pl, m.Known),
	}
	if m.Initial {
		reply.Vouchers = h.keys.Vouchers
	}
	if !reply.PeersSame {
		reply.Back, reply.Fore = pl.Back, pl.Fore
	}
	return reply, nil
}

// news are the live questions that a client does not hold. Whoever is told one
// is also expected to answer it.
func (h *hub) news(pl roster.Placement, known []uint64) [][]byte {
	ids := make([]uint64, 0, len(h.live))
	for id, q := range h.live {
		if q.closed {
			continue
		}
		q.expect(pl.LAN, pl.Slot)
		if !slices.Contains(known, id) {
			ids = append(ids, id)
		}
	}
	return h.upTo(replyMax, ids)
}

func (q *live) expect(lan netip.Prefix, slot answer.Slot) {
	before := q.tally.Progress().Expected
	q.tally.Expect(lan, slot)
	if q.tally.Progress().Expected != before {
		q.wake()
	}
}

// wake lets everyone look who waits for a change.
func (q *live) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// lead takes in a leader's connection. A backward leader gets the live
// questions at once.
func (h *hub) lead(l *leader) {
	h.leaders[l] = struct{}{}
	h.metrics.connections.WithLabelValues(roleName(l.role)).Inc()
	if l.role != wire.BackwardLeader {
		return
	}
	ids := make([]uint64, 0, len(h.live))
	for id, q := range h.live {
		if !q.closed {
			ids = append(ids, id)
		}
	}
	for _, sealed := range h.upTo(leadMax, ids) {
		h.send(l, sealed)
	}
}

// upTo returns the questions in the order of their numbers, as many as fit.
func (h *hub) upTo(bytes int, ids []uint64) [][]byte {
	slices.Sort(ids)
	var out [][]byte
	for _, id := range ids {
		sealed := h.live[id].sealed
		if bytes -= len(sealed); bytes < 0 || len(out) == wire.QuestionsMax {
			break
		}
		out = append(out, sealed)
	}
	return out
}

func (h *hub) leave(l *leader) {
	delete(h.leaders, l)
	h.metrics.connections.WithLabelValues(roleName(l.role)).Dec()
}

func (h *hub) send(l *leader, sealed []byte) {
	if err := l.link.Send(wire.Question{Sealed: sealed}); err != nil {
		h.log.Info("question not sent", "leader", l.id, "because", err)
	}
}

// ask opens a question and sends it into every chain.
func (h *hub) ask(id uint64, now time.Time, life time.Duration, sealed []byte) {
	h.highest = max(h.highest, id)
	h.live[id] = &live{
		tally:  tally.New(id, now, now.Add(life), answer.ServerLimits, h.roster.Slots()),
		sealed: sealed, expires: now.Add(life), changed: make(chan struct{}),
	}
	for l := range h.leaders {
		if l.role == wire.BackwardLeader {
			h.send(l, sealed)
		}
	}
}

// report counts what a forward leader delivers.
func (h *hub) report(l *leader, r answer.Report) {
	if err := l.link.Send(wire.Ack{Seq: r.Seq}); err != nil {
		h.log.Debug("acknowledgement not sent", "leader", l.id, "because", err)
	}
	q := h.live[r.Question]
	if q == nil || q.closed {
		h.metrics.bundles.WithLabelValues("closed").Inc()
		return
	}
	verdict := q.tally.Take(l.lan, r)
	h.metrics.bundles.WithLabelValues(verdict.String()).Inc()
	if verdict == tally.Foreign || verdict == tally.Refused {
		h.log.Warn("bundle not counted", "question", r.Question, "leader", l.id, "lan", l.lan,
			"verdict", verdict, "machines", r.Bundle.Set.Len())
	}
	q.wake()
}

// statuses is what is known of the registered clients, by address.
func (h *hub) statuses() []endpoint.Status {
	leads := map[endpoint.ID][2]bool{}
	for l := range h.leaders {
		both := leads[l.id]
		both[l.role-wire.BackwardLeader] = true
		leads[l.id] = both
	}
	out := make([]endpoint.Status, 0, h.roster.Len())
	for id, c := range h.clients {
		if !c.registered {
			continue
		}
		s := c.status
		s.Backward = current(s.Backward, leads[id][0])
		s.Forward = current(s.Forward, leads[id][1])
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b endpoint.Status) int { return a.Place.Compare(b.Place) })
	return out
}

// current corrects what a client said of a side at its last registration by
// whether it leads there now.
func current(said endpoint.Neighbour, leads bool) endpoint.Neighbour {
	switch {
	case leads:
		return endpoint.Server
	case said == endpoint.Server:
		return endpoint.Nobody
	}
	return said
}

// A refusal is an error that is said to the client.
type refusal struct{ wire.Refused }

func (r refusal) Error() string { return r.Text }

func refuse(why wire.Reason, format string, args ...any) error {
	return refusal{wire.Refused{Reason: why, Text: fmt.Sprintf(format, args...)}}
}

// result is the answer so far of a live question, and what is closed when it
// changes.
func (h *hub) result(id uint64) (tally.Result, <-chan struct{}, error) {
	q := h.live[id]
	if q == nil {
		return tally.Result{}, nil, fault.New(fault.NotFound, "question %d is not live", id)
	}
	return q.tally.Result(), q.changed, nil
}

func keyHash(spki []byte) store.Hash { return sha256.Sum256(spki) }
