package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/link"
	"catenary/internal/server/dispatch"
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
	desk      *dispatch.Desk
	clients   map[endpoint.ID]*machine    // every enrolled machine
	awaited   map[endpoint.ID]roster.Seat // of those that have not come since the server started
	live      map[uint64]*live            // questions on the desk
	numbers   map[uint64]uint64           // their numbers there, by those that users know
	listed    []*machine                  // the registered ones in order, as of the last list
	lastList  statusList
	leaders   map[dispatch.Line]*leader
	lines     dispatch.Line // last number given to a leader
	began     time.Time
	touched   map[endpoint.ID]bool
	nextWrite time.Time
	forgotten time.Time // until when closed questions were removed
	unwritten map[*store.Finding]bool
}

// A machine is what the hub knows of an enrolled client.
type machine struct {
	status                endpoint.Status
	key                   store.Hash  // of its public key
	incarnation, sequence uint64      // newest seen
	registered            bool        // is on the roster
	seat, kept            roster.Seat // as of the last registration, and as it is written down
	said
	watched
	quarantined []uint32 // hashes of sensors that it does not run any more
	rules       uint64   // number of the rules for that which it holds

	wantsKey bool      // it is to come over TLS for a new registration key
	rekeyed  time.Time // when that was wanted last
}

// live is a question that may still be answered.
type live struct {
	asked
	issued  time.Time // under its present number
	expires time.Time
	changed chan struct{} // closed, and renewed, when the tally changes
	closed  bool          // handed to the writer
	written bool          // the database has the answer
	audit   *audit        // nil unless the answer is merged

	findings []*store.Finding
}

// A leader is a connection of a chain's end.
type leader struct {
	id    endpoint.ID
	role  wire.Role
	lan   netip.Prefix
	link  *link.Link
	place endpoint.Place
	known []uint64 // live questions that it said it has
	line  dispatch.Line
}

const (
	tidyEvery  = time.Second     // how often what is too old is looked for
	writeEvery = 2 * time.Second // how often registrations are written behind
	lingers    = time.Minute     // how long a closed question stays on the desk: late answers find it
	historyFor = 7 * 24 * time.Hour
	forgetEach = time.Hour // how often what is older is removed
)

func newHub(s *Server, r *roster.Roster, highest uint64, enrolled []store.Client) *hub {
	h := &hub{
		Server: s, roster: r, desk: dispatch.New(r, highest), began: time.Now(),
		clients: make(map[endpoint.ID]*machine, len(enrolled)),
		awaited: awaited(enrolled),
		live:    map[uint64]*live{},
		numbers: map[uint64]uint64{},
		leaders: map[dispatch.Line]*leader{},
		touched: map[endpoint.ID]bool{},

		unwritten: map[*store.Finding]bool{},
	}
	for _, c := range enrolled {
		h.clients[c.ID] = &machine{
			status: endpoint.Status{ID: c.ID, ComputerID: c.ComputerID, Name: c.Name, Registered: c.Registered},
			key:    c.Key, incarnation: c.Incarnation, sequence: c.Sequence,
			seat: roster.Seat{LAN: c.LAN, Slot: c.Slot}, kept: roster.Seat{LAN: c.LAN, Slot: c.Slot},
		}
	}
	return h
}

func (h *hub) run(ctx context.Context) {
	tidy, tick := time.NewTicker(tidyEvery), time.NewTicker(dispatch.TickEvery)
	defer tidy.Stop()
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-h.calls:
			f(h)
		case now := <-tick.C:
			h.carryOut(h.desk.Tick(now))
		case now := <-tidy.C:
			h.tidy(now)
		}
	}
}

// tidy closes questions whose time is over and forgets clients that no longer
// register.
func (h *hub) tidy(now time.Time) {
	gone := h.roster.Expire(now)
	for _, id := range gone {
		h.clients[id].registered = false
	}
	h.carryOut(h.desk.Off(gone))
	h.waitNoMore(now)
	for id, q := range h.live {
		switch {
		case now.Before(q.expires):
		case !q.closed:
			h.end(now, id, q)
		case q.written && now.Sub(q.expires) > lingers:
			delete(h.live, id)
			delete(h.numbers, q.id)
			h.desk.Forget(id)
			close(q.changed) // who waits looks again, and finds it in the database
		}
	}
	if !now.Before(h.nextWrite) {
		h.nextWrite = now.Add(writeEvery)
		h.writeTouches()
	}
	h.writeFindings()
	h.writeStats(now)
	if until := now.Add(-historyFor); until.Sub(h.forgotten) >= forgetEach && h.writeBehind(func() writing { return writing{forget: until} }) {
		h.forgotten = until
	}
	if now.Sub(h.lastList.at) >= listKept {
		h.lastList = statusList{}
	}
	h.metrics.clients.Set(float64(h.roster.Len()))
	h.metrics.lans.Set(float64(h.roster.LANs()))
	h.metrics.chains.Set(float64(h.roster.Chains()))
	h.metrics.questions.Set(float64(len(h.live)))
	h.metrics.waiting.Set(float64(len(h.written)))
}

// register places a client and says what it needs to know.
func (h *hub) register(now time.Time, by call, m wire.Register) (wire.Registered, error) {
	id, from := by.id, by.from
	c := h.clients[id]
	if early, err := h.hear(now, c, by, &m); err != nil {
		return wire.Registered{}, err
	} else if early != nil {
		return *early, nil
	}
	place := endpoint.Place{Addr: netip.AddrPortFrom(from, m.Place.Addr.Port()), ID: id}
	pl, ok := h.roster.Register(now, roster.Claim{
		Place: m.Place, Observed: from, Slot: m.Slot, HasSlot: m.HasSlot,
		Unreachable: m.Unreachable, RoundTrip: m.RoundTrip,
	})
	if !ok {
		_, c.registered = h.roster.LAN(id) // it may have left another LAN for this one
		return wire.Registered{}, refuse(wire.TryLater, "the LAN of %v has no free slot", from)
	}
	if c.seat.LAN != pl.LAN {
		h.hangUp(id, pl.LAN)
	}
	h.meet(now, c, by, m)
	c.incarnation, c.sequence, c.registered = m.Incarnation, m.Sequence, true
	c.remember(by, m)
	c.quarantined, c.rules = m.Quarantined, m.Rules
	h.sensed(m.Runs)
	c.seat = roster.Seat{LAN: pl.LAN, Slot: pl.Slot}
	c.status = endpoint.Status{
		ID: id, ComputerID: c.status.ComputerID, Name: m.Name, Version: m.Program, Platform: m.Platform,
		Place: place, Reported: m.Place.Addr.Addr(), LAN: pl.LAN, Registered: now,
		Backward: endpoint.Link{Kind: m.Back.Kind, Peer: m.Back.ID, Files: m.BackwardLink && m.Back.Kind == endpoint.Peer},
		Forward:  endpoint.Link{Kind: m.Fore.Kind, Peer: m.Fore.ID, Trip: m.RoundTrip},
	}
	h.touched[id] = true

	news, effects := h.desk.Register(now, pl.Place, pl, m.Known)
	h.carryOut(effects)
	reply := wire.Registered{
		ComputerID: c.status.ComputerID, Slot: pl.Slot,
		Back: pl.Back, Fore: pl.Fore, Across: pl.Across,
		LAN: roster.Tag(pl.LAN), From: pl.From, Until: pl.Until,
		Highest: h.desk.Highest(), Now: now, Intervals: h.cfg.Intervals, Spread: h.desk.Spread(),
		Questions: news.Questions, Direct: news.Direct, Counted: news.Counted,
		Audits: h.audits(now, c, m.Evidence), Come: h.come(now, c, by.way), Rules: h.rulesFor(m.Rules),
	}
	if m.Initial {
		reply.Vouchers, m.Peers = h.keys.Vouchers, 0
	}
	return reply.Thin(pl.Digest, m.Peers), nil
}

// carryOut does what the desk says, in order.
func (h *hub) carryOut(effects []dispatch.Effect) {
	for _, ef := range effects {
		switch ef := ef.(type) {
		case dispatch.Send:
			h.send(ef.Line, ef.Message)
		case dispatch.Taken:
			h.taken(ef)
		case dispatch.Changed:
			h.live[ef.Question].wake()
		case dispatch.Again:
			h.metrics.again.Inc()
			h.log.Info("question asked again", "question", ef.Question, "lan", ef.LAN, "round", ef.Round, "machines", ef.Only.Len())
		}
	}
}

func (h *hub) send(n dispatch.Line, m wire.Message) {
	l := h.leaders[n]
	if err := l.link.Send(m); err != nil {
		h.log.Info("message not sent", "leader", l.id, "because", err)
	}
}

func (h *hub) taken(ef dispatch.Taken) {
	h.metrics.bundles.WithLabelValues(ef.Verdict.String()).Inc()
	if ef.Verdict == tally.Foreign || ef.Verdict == tally.Refused {
		l := h.leaders[ef.Line]
		h.log.Warn("bundle not counted", "question", ef.Question, "leader", l.id, "lan", l.lan, "verdict", ef.Verdict)
	}
}

// wake lets everyone look who waits for a change.
func (q *live) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// lead takes in a leader's connection.
func (h *hub) lead(now time.Time, l *leader) {
	h.lines++
	l.line = h.lines
	h.leaders[l.line] = l
	h.metrics.connections.WithLabelValues(roleName(l.role)).Inc()
	h.carryOut(h.desk.Lead(now, l.line, l.id, l.role, l.lan, l.known))
}

func (h *hub) leave(l *leader) {
	h.desk.Leave(l.line)
	delete(h.leaders, l.line)
	h.metrics.connections.WithLabelValues(roleName(l.role)).Dec()
}

// ask opens a question and sends it into every chain.
func (h *hub) ask(now time.Time, q dispatch.Question, of asked) {
	h.live[q.ID] = &live{asked: of, issued: now, expires: q.Expires, changed: make(chan struct{})}
	if q.Mode == answer.Merged {
		h.live[q.ID].audit = newAudit(h.roster.Slots())
	}
	h.numbers[of.id] = q.ID
	q.Awaited = slices.Collect(maps.Values(h.awaited))
	h.carryOut(h.desk.Ask(now, q))
}

// heard takes a leader's message, or says why the connection must end.
func (h *hub) heard(now time.Time, l *leader, m wire.Message) error {
	effects, err := h.desk.Got(now, l.line, m)
	h.carryOut(effects)
	return err
}

// count is the answer so far of a question on the desk, as those know it who
// asked it.
func (h *hub) count(number uint64, q *live) tally.Result {
	t, _ := h.desk.Tally(number)
	r := t.Result()
	r.Question, r.Issued, r.Repeated = q.asked.id, q.asked.issued, q.repeated
	return r
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
	q := h.live[h.numbers[id]]
	if q == nil {
		return tally.Result{}, nil, fault.New(fault.NotFound, "question %d is not live", id)
	}
	return h.count(h.numbers[id], q), q.changed, nil
}

func keyHash(spki []byte) store.Hash { return sha256.Sum256(spki) }
