package sim

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

// A server is the real roster and the real desk behind a connection for each
// leader. It registers and counts exactly as the host of package server does,
// but does not lose a moment over it.
type server struct {
	w        *world
	fresh    func() *roster.Roster // makes an empty roster, also after a restart
	roster   *roster.Roster
	desk     *dispatch.Desk
	machines []machine // by the index of their host
	asked    []*asked  // every question, in the order of asking
	live     []*asked  // those that may still be answered
	leaders  map[dispatch.Line]*leader
	lines    dispatch.Line
	down     bool                        // it does not run
	porter   *porter                     // makes its handshakes; nil: they take no time
	began    time.Duration               // when it last started
	awaited  map[endpoint.ID]roster.Seat // who has not come since
}

// A machine is the newest registration of one client, and what it has said in
// full.
type machine struct {
	incarnation, sequence uint64
	state                 uint64
	seen                  time.Duration
	slot                  answer.Slot
	hasSlot               bool
}

// A leader is a connection of a chain's end.
type leader struct {
	conn *conn
	host *host
	role wire.Role
	lan  netip.Prefix
	line dispatch.Line

	brought int // machines of its last report
}

// count notes that there is a connection more, or less.
func (l *leader) count(more int) {
	if l.role != wire.Witness {
		l.host.leads[serverSide(l.role)] += uint8(more)
	}
}

// rowKey hashes the rows of all questions.
var rowKey = answer.Key{'s', 'i', 'm'}

// tidyEvery is how often the server looks for what is too old.
const tidyEvery = time.Second

func newServer(w *world) *server {
	fresh := func() *roster.Roster { return roster.New(roster.DefaultBoundaries) }
	r := fresh()
	return &server{w: w, fresh: fresh, roster: r, desk: dispatch.New(r, 0), leaders: map[dispatch.Line]*leader{}}
}

func (s *server) now() time.Time { return epoch.Add(s.w.now) }

func (s *server) find(id uint64) *asked {
	if id == 0 || id > uint64(len(s.asked)) {
		return nil
	}
	return s.asked[id-1]
}

// tidy closes what is over, for ever.
func (s *server) tidy() {
	s.carryOut(s.desk.Off(s.roster.Expire(s.now())))
	s.waitNoMore()
	s.live = slices.DeleteFunc(s.live, func(q *asked) bool {
		over := s.w.now >= q.expires
		if over {
			if !s.w.unwatched {
				s.w.checkAccount(q)
			}
			s.desk.Close(q.id)
			s.desk.Forget(q.id)
		}
		return over
	})
	s.w.after(tidyEvery, s.tidy)
}

// tick lets the desk look after what takes too long, for ever.
func (s *server) tick() {
	if s.live != nil {
		s.carryOut(s.desk.Tick(s.now()))
	}
	s.w.after(dispatch.TickEvery, s.tick)
}

// carryOut does what the desk says, in order.
func (s *server) carryOut(effects []dispatch.Effect) {
	for _, ef := range effects {
		switch ef := ef.(type) {
		case dispatch.Send:
			if l := s.leaders[ef.Line]; l != nil && !s.w.control.withholds(ef.Message) {
				s.w.sendTo(l.conn, ef.Message)
			}
		case dispatch.Taken:
			l := s.leaders[ef.Line]
			s.w.note(markServer, l.host, uint64(ef.Verdict), nil)
			s.w.checkTaken(s.find(ef.Question), l, ef.Verdict)
		case dispatch.Again:
			s.w.sum.again++
			s.w.note(markServer, nil, ef.Question, nil)
			s.w.say(nil, "??", fmt.Sprintf("question %d again in %v, round %d: %v", ef.Question, ef.LAN, ef.Round, ef.Only))
			s.w.history.asks(s.w.now, ef.LAN, fmt.Sprintf("%d, round %d", ef.Question, ef.Round))
		}
	}
}

// register places a client and says what it needs to know.
func (s *server) register(h *host, m wire.Register) wire.Message {
	c := &s.machines[h.index]
	if m.Incarnation < c.incarnation || m.Incarnation == c.incarnation && m.Sequence <= c.sequence {
		return wire.Refused{Reason: wire.Replayed, Text: "registration is not newer than the last"}
	}
	whole := !m.IsBrief()
	if !whole {
		if m.State != c.state {
			return wire.Registered{Again: true, Now: s.now()}
		}
		m = m.Whole(wire.Register{Place: h.place, Slot: c.slot, HasSlot: c.hasSlot})
	}
	c.state, c.slot, c.hasSlot = m.State, m.Slot, m.HasSlot
	place := endpoint.Place{Addr: netip.AddrPortFrom(h.observed(), m.Place.Addr.Port()), ID: m.Place.ID}
	pl, ok := s.roster.Register(s.now(), roster.Claim{
		Place: m.Place, Observed: h.observed(), Slot: m.Slot, HasSlot: m.HasSlot,
		Unreachable: m.Unreachable, RoundTrip: m.RoundTrip,
	})
	if !ok {
		return wire.Refused{Reason: wire.TryLater, Text: "the LAN has no free slot"}
	}
	c.incarnation, c.sequence, c.seen = m.Incarnation, m.Sequence, s.w.now
	delete(s.awaited, h.place.ID)
	news, effects := s.desk.Register(s.now(), place, pl, m.Known)
	s.carryOut(effects)
	if !s.w.unwatched {
		for _, q := range s.live {
			s.w.noteCounted(q) // what was waiting for its registration
			if s.w.control == (Control{}) {
				s.w.checkCount(q)
			}
		}
		s.w.checkExpected(h)
	}
	if s.w.control.NoAgain {
		news.Direct = nil
	}
	s.w.sum.direct += len(news.Direct)
	reply := wire.Registered{
		ComputerID: uint32(h.index + 1), Slot: pl.Slot,
		Back: pl.Back, Fore: pl.Fore, Across: pl.Across, LAN: roster.Tag(pl.LAN), From: pl.From, Until: pl.Until,
		Highest: s.desk.Highest(), Now: s.now(), Intervals: s.w.weather.intervals, Spread: s.desk.Spread(),
		Questions: news.Questions, Direct: news.Direct, Counted: news.Counted,
	}
	s.w.takeEvidence(h, m.Evidence)
	reply.Audits = s.audits(h)
	if s.w.mode != answer.Merged && whole {
		reply.Key, reply.KeyName, reply.KeyLife = s.w.giveKey(h)
	}
	if m.Initial {
		reply.Vouchers, m.Peers = [][]byte{s.w.keys.voucher}, 0
	}
	return reply.Thin(pl.Digest, m.Peers)
}

// greet takes in a leader's connection.
func (s *server) greet(c *conn, hello wire.Hello) {
	h := c.ends[0].host
	if hello.Version != wire.Version || hello.Place != h.place ||
		hello.Role != wire.BackwardLeader && hello.Role != wire.ForwardLeader && hello.Role != wire.Witness {
		s.w.fail("machine %v says Hello to the server with %+v", h, hello)
		return
	}
	lan := s.roster.Speaks(hello.Place, h.observed())
	if hello.LAN != roster.Tag(lan) {
		s.w.refuse(c, wire.Refused{Reason: wire.TryLater, Text: "this client is to register first"})
		return
	}
	s.lines++
	c.ends[1].state = up
	c.lead = &leader{conn: c, host: h, role: hello.Role, lan: lan, line: s.lines}
	s.leaders[c.lead.line] = c.lead
	c.lead.count(1)
	s.w.history.links(s.w.now, c)
	s.w.sendTo(c, wire.HelloOK{Incarnation: 1})
	s.carryOut(s.desk.Lead(s.now(), c.lead.line, h.place.ID, hello.Role, c.lead.lan, hello.Known))
}

func (s *server) leave(c *conn) {
	delete(s.leaders, c.lead.line)
	c.lead.count(-1)
	s.desk.Leave(c.lead.line)
}

// got takes what a leader says.
func (s *server) got(c *conn, m wire.Message) {
	if a, ok := m.(wire.Answer); ok {
		c.lead.brought = a.Bundle.Set.Len()
		if q := s.find(a.Question); q != nil && !s.w.unwatched {
			if _, live := s.desk.Question(q.id); live {
				q.noteDelivered(c.lead, a.Report)
			}
			if s.w.control.NoSetRule {
				q.add(a.Bundle.Rows)
			}
		}
		if c.lead.role == wire.Witness {
			s.w.sum.witnessed++
		}
	}
	s.endure(c, m)
}

// ask opens a question and sends it into every chain.
func (s *server) ask(kind kind, life time.Duration) *asked {
	now := s.now().Truncate(time.Millisecond)
	id := uint64(len(s.asked) + 1)
	letter := wire.Letter{
		Question: id, Issued: now, Life: life, Hold: s.w.weather.hold, Limit: min(life, time.Minute),
		Key: rowKey, Plan: []byte{byte(kind) + 1}, Mode: s.w.mode,
	}.Append(nil)
	q := &asked{
		id: id, kind: kind, mode: s.w.mode, at: s.w.now, expires: now.Add(life).Sub(epoch), letter: letter,
		sealed: seal.Sign(s.w.keys.signing.private, seal.Question, letter), counted: map[*host]time.Duration{},
		doubted: s.w.lying,
	}
	s.asked = append(s.asked, q)
	s.live = append(s.live, q)
	s.w.note(markServer, nil, id, nil)
	s.w.say(nil, "??", "question "+kind.String())
	s.w.history.asks(s.w.now, netip.Prefix{}, fmt.Sprint(id))
	effects := s.desk.Ask(s.now(), dispatch.Question{
		ID: id, Sealed: q.sealed, Issued: now, Expires: now.Add(life), Limit: min(life, time.Minute),
		Awaited: slices.Collect(maps.Values(s.awaited)),
	})
	q.tally, _ = s.desk.Tally(id)
	s.carryOut(effects)
	return q
}
