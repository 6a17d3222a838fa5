package sim

import (
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/server/roster"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// A server is the real roster and the real tallies behind a connection for
// each leader. It registers and counts exactly as the host of package server
// does, but does not lose a moment over it.
type server struct {
	w        *world
	roster   *roster.Roster
	machines []machine // by the index of their host
	asked    []*asked  // every question, in the order of asking
	live     []*asked  // those that may still be answered
	leaders  []*leader // in the order of their coming
	highest  uint64    // number of the newest question since the server's start
}

// A machine is the newest registration of one client.
type machine struct{ incarnation, sequence uint64 }

// A leader is a connection of a chain's end.
type leader struct {
	conn *conn
	host *host
	role wire.Role
	lan  netip.Prefix
}

// rowKey hashes the rows of all questions.
var rowKey = answer.Key{'s', 'i', 'm'}

// tidyEvery is how often the server looks for what is too old.
const tidyEvery = time.Second

func newServer(w *world) *server {
	return &server{w: w, roster: roster.New(roster.DefaultBoundaries)}
}

func (s *server) now() time.Time { return epoch.Add(s.w.now) }

func (s *server) find(id uint64) *asked {
	if id == 0 || id > uint64(len(s.asked)) {
		return nil
	}
	return s.asked[id-1]
}

func (s *server) alive(id uint64) *asked {
	for _, q := range s.live {
		if q.id == id {
			return q
		}
	}
	return nil
}

// tidy closes what is over, for ever.
func (s *server) tidy() {
	s.roster.Expire(s.now())
	s.live = slices.DeleteFunc(s.live, func(q *asked) bool { return s.w.now >= q.expires })
	s.w.after(tidyEvery, s.tidy)
}

// register places a client and says what it needs to know.
func (s *server) register(h *host, m wire.Register) wire.Message {
	c := &s.machines[h.index]
	if m.Incarnation < c.incarnation || m.Incarnation == c.incarnation && m.Sequence <= c.sequence {
		return wire.Refused{Reason: wire.Replayed, Text: "registration is not newer than the last"}
	}
	place := endpoint.Place{Addr: netip.AddrPortFrom(h.observed, m.Place.Addr.Port()), ID: m.Place.ID}
	pl, ok := s.roster.Register(s.now(), roster.Claim{
		Place: place, Slot: m.Slot, HasSlot: m.HasSlot, Alone: m.Place.Addr.Addr() != h.observed,
	})
	if !ok {
		return wire.Refused{Reason: wire.TryLater, Text: "the LAN has no free slot"}
	}
	c.incarnation, c.sequence = m.Incarnation, m.Sequence
	reply := wire.Registered{
		ComputerID: uint32(h.index + 1), Slot: pl.Slot,
		Peers: pl.Digest, PeersSame: !m.Initial && m.Peers == pl.Digest,
		Highest: s.highest, Now: s.now(), Intervals: s.w.weather.intervals,
		Questions: s.news(pl, m.Known),
	}
	if m.Initial {
		reply.Vouchers = [][]byte{s.w.keys.voucher}
	}
	if !reply.PeersSame {
		reply.Back, reply.Fore = pl.Back, pl.Fore
	}
	return reply
}

// news are the live questions that a client does not hold, and is now expected
// to answer.
func (s *server) news(pl roster.Placement, known []uint64) [][]byte {
	var out [][]byte
	for _, q := range s.live {
		q.tally.Expect(pl.LAN, pl.Slot)
		if !slices.Contains(known, q.id) {
			out = append(out, q.sealed)
		}
	}
	return out
}

// greet takes in a leader's connection. A backward leader gets the live
// questions at once.
func (s *server) greet(c *conn, hello wire.Hello) {
	h := c.ends[0].host
	if hello.Version != wire.Version || hello.Place != h.place ||
		hello.Role != wire.BackwardLeader && hello.Role != wire.ForwardLeader {
		s.w.fail("machine %v says Hello to the server with %+v", h, hello)
		return
	}
	c.ends[1].state = up
	c.lead = &leader{c, h, hello.Role, s.lanOf(h, hello)}
	s.leaders = append(s.leaders, c.lead)
	s.w.send(c, 1, s.w.encode(wire.HelloOK{Incarnation: 1}))
	if hello.Role == wire.BackwardLeader {
		for _, q := range s.live {
			s.w.send(c, 1, s.w.encode(wire.Question{Sealed: q.sealed}))
		}
	}
}

// lanOf is the LAN of a client, also of one that has not registered since the
// server started.
func (s *server) lanOf(h *host, hello wire.Hello) netip.Prefix {
	if lan, ok := s.roster.LAN(hello.Place.ID); ok {
		return lan
	}
	if hello.Place.Addr.Addr() != h.observed { // stands alone
		return netip.PrefixFrom(h.observed, h.observed.BitLen())
	}
	return s.roster.Boundaries().LAN(h.observed)
}

func (s *server) leave(c *conn) {
	s.leaders = slices.DeleteFunc(s.leaders, func(l *leader) bool { return l.conn == c })
}

// got counts what a forward leader delivers.
func (s *server) got(c *conn, m wire.Message) {
	a, ok := m.(wire.Answer)
	if !ok || c.lead.role != wire.ForwardLeader {
		s.w.fail("machine %v sends the server a %T that is out of place", c.ends[0].host, m)
		return
	}
	for _, r := range a.Bundle.Rows.List {
		if rowKey.Row(r.Cells).Hash != r.Hash {
			s.w.fail("machine %v sends a row %q with the wrong hash", c.ends[0].host, r.Cells)
		}
	}
	s.w.send(c, 1, s.w.encode(wire.Ack{Seq: a.Seq}))
	q := s.alive(a.Question)
	if q == nil {
		return
	}
	verdict := q.tally.Take(c.lead.lan, a.Report)
	s.w.note(markServer, c.ends[0].host, uint64(verdict), nil)
	s.w.checkTaken(q, c.lead, a.Report, verdict)
}

// ask opens a question and sends it into every chain.
func (s *server) ask(kind kind, life time.Duration) *asked {
	now := s.now().Truncate(time.Millisecond)
	id := uint64(len(s.asked) + 1)
	letter := wire.Letter{
		Question: id, Issued: now, Life: life, Hold: s.w.weather.hold, Limit: min(life, time.Minute),
		Key: rowKey, Plan: []byte{byte(kind) + 1},
	}.Append(nil)
	q := &asked{
		id: id, kind: kind, at: s.w.now, expires: now.Add(life).Sub(epoch), letter: letter,
		sealed: seal.Sign(s.w.keys.signing.private, seal.Question, letter),
		tally:  tally.New(id, now, now.Add(life), answer.ServerLimits, s.roster.Slots()),
	}
	s.asked = append(s.asked, q)
	s.highest = id
	s.live = append(s.live, q)
	s.w.note(markServer, nil, id, nil)
	s.w.say(nil, "??", "question "+kind.String())
	for _, l := range s.leaders {
		if l.role == wire.BackwardLeader {
			s.w.send(l.conn, 1, s.w.encode(wire.Question{Sealed: q.sealed}))
		}
	}
	return q
}

// restart ends the server and starts it again: links break, live questions are
// closed, and the roster is empty until the machines come.
func (s *server) restart() {
	s.w.say(nil, "--", "the server starts anew")
	s.w.faults++
	s.roster = roster.New(roster.DefaultBoundaries)
	s.live, s.highest = nil, 0
	leaders := s.leaders
	s.leaders = nil
	for _, l := range leaders {
		s.w.shut(l.conn, 1)
	}
}
