package server

import (
	"context"
	"errors"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

const (
	// claimFor is how long it counts that a client could not connect to another.
	// It tries again less and less often, at last about every four minutes.
	claimFor = 5 * time.Minute
	// claimsMax bounds the clients that are remembered of one to which they
	// could not connect.
	claimsMax = 16

	// listFor is how long a list of statuses is good: for 100,000 clients it
	// takes 25 ms of the hub's time, and whoever reads it page by page, or looks
	// at it all the time, need not cost that each time.
	listFor = 500 * time.Millisecond
	// listKept is how long it is kept in case somebody asks for it: the largest
	// have 40 MB.
	listKept = 10 * time.Second
)

// A statusList is what is known of the registered clients at a moment. Nobody
// changes it.
type statusList struct {
	at time.Time
	of []endpoint.Status
}

// watched is what the hub remembers of a machine for its status only.
type watched struct {
	way     string                // how it registered last
	refused string                // why it was refused since; empty: it was not
	unable  bool                  // it could not connect to somebody
	claims  map[endpoint.ID]claim // by those who could not connect to it
	row     int                   // in the last list of statuses
}

// A claim is what another client has said since, and lately again: that it
// cannot connect to the machine.
type claim struct{ since, last time.Time }

// Clients is what is known of every registered machine, LAN by LAN in the order
// of their chains, now or shortly before. Others have the list, too: it must not
// be changed. A server that is stopping knows of none.
func (s *Server) Clients(ctx context.Context) (out []endpoint.Status) {
	if s.do(ctx, func(h *hub) { out = h.list(time.Now()) }) != nil {
		return nil
	}
	return out
}

// CountClients is how many machines are registered.
func (s *Server) CountClients(ctx context.Context) (n int) {
	if s.do(ctx, func(h *hub) { n = h.roster.Len() }) != nil {
		return 0
	}
	return n
}

// meet notes what a registration that is about to be taken in says beside its
// place, and forgets what was said of the machine while it may have been off.
func (h *hub) meet(now time.Time, c *machine, by call, m wire.Register) {
	id := c.status.ID
	delete(h.awaited, id)
	c.way, c.refused, c.unable = by.way, "", len(m.Unreachable) > 0
	if m.Incarnation != c.incarnation || now.Sub(c.status.Registered) > NormalMax || !c.registered {
		c.claims = nil
	}
	for _, other := range m.Unreachable {
		if o := h.clients[other]; o != nil && o.registered && other != id {
			o.claim(now, id)
		}
	}
}

// claim notes that a client could not connect to this one.
func (x *watched) claim(now time.Time, by endpoint.ID) {
	if x.claims == nil {
		x.claims = map[endpoint.ID]claim{}
	}
	c, known := x.claims[by]
	if !known || now.Sub(c.last) >= claimFor {
		c.since = now
	}
	c.last = now
	if x.claims[by] = c; len(x.claims) <= claimsMax {
		return
	}
	oldest := by
	for id, c := range x.claims {
		if c.last.Before(x.claims[oldest].last) {
			oldest = id
		}
	}
	delete(x.claims, oldest)
}

// declined notes why a machine was not registered.
func (h *hub) declined(id endpoint.ID, err error) {
	var no refusal
	if c := h.clients[id]; c != nil && errors.As(err, &no) {
		c.refused = no.Text
	}
}

// list is what is known of the registered clients, or was shortly before.
func (h *hub) list(now time.Time) []endpoint.Status {
	if l := h.lastList; l.of == nil || now.Sub(l.at) >= listFor {
		h.lastList = statusList{now, h.statuses(now)}
	}
	return h.lastList.of
}

// statuses is what is known of the registered clients.
func (h *hub) statuses(now time.Time) []endpoint.Status {
	leads := make(map[endpoint.ID][2]bool, len(h.leaders)) // backward, forward
	for _, l := range h.leaders {
		if l.role == wire.Witness {
			continue
		}
		both := leads[l.id]
		both[l.role-wire.BackwardLeader] = true
		leads[l.id] = both
	}
	out := make([]endpoint.Status, 0, h.roster.Len())
	machines, next := make([]*machine, 0, h.roster.Len()), 0
	for at := range h.roster.All() {
		var c *machine
		if next < len(h.listed) && h.listed[next].status.ID == at.Place.ID {
			c = h.listed[next] // who comes next is as a rule who came next the last time
		} else {
			c = h.clients[at.Place.ID]
		}
		c.row, next = len(out), c.row+1
		machines = append(machines, c)
		out = append(out, c.status)
		s := &out[c.row]
		s.LAN, s.Segment, s.Alone = at.LAN, at.Segment, at.Alone
		s.Way, s.Refused = c.way, c.refused
		if s.Gone = h.desk.Gone(s.ID); s.Gone {
			s.Backward, s.Forward = endpoint.Link{}, endpoint.Link{}
		} else {
			lead := leads[s.ID]
			s.Backward, s.Forward = current(s.Backward, lead[0]), current(s.Forward, lead[1])
		}
	}
	for i := range out {
		h.tellNeighbours(out, i)
	}
	for i, c := range machines {
		out[i].Blocked = h.blocked(now, out, c)
	}
	h.listed = machines
	return out
}

// current corrects what a client has said of a side by whether it leads there
// now.
func current(said endpoint.Link, leads bool) endpoint.Link {
	switch {
	case leads:
		return endpoint.Link{Kind: endpoint.Server}
	case said.Kind == endpoint.Server:
		return endpoint.Link{}
	}
	return said
}

// tellNeighbours notes with the peers of a client that it says to have them.
func (h *hub) tellNeighbours(all []endpoint.Status, i int) {
	s := &all[i]
	if p := h.peer(all, i, i+1, &s.Forward); p != nil {
		p.Backward.Held = true
		if p.Backward.Peer == s.ID {
			p.Backward.Trip = s.Forward.Trip
		}
	}
	if p := h.peer(all, i, i-1, &s.Backward); p != nil {
		p.Forward.Held = true
		if p.Forward.Peer == s.ID {
			p.Forward.Files = s.Backward.Files
		}
	}
}

// peer finds the peer of a client, which as a rule is next to it, and names it.
func (h *hub) peer(all []endpoint.Status, i, guess int, to *endpoint.Link) *endpoint.Status {
	if to.Kind != endpoint.Peer {
		return nil
	}
	p := h.row(all, i, guess, to.Peer)
	if p != nil {
		to.Name = p.Name
	} else if c := h.clients[to.Peer]; c != nil {
		to.Name = c.status.Name
	}
	return p
}

// row finds another client of the same LAN that is there.
func (h *hub) row(all []endpoint.Status, i, guess int, id endpoint.ID) *endpoint.Status {
	if guess < 0 || guess >= len(all) || all[guess].ID != id {
		c := h.clients[id]
		if c == nil || c.row >= len(all) || all[c.row].ID != id { // not registered any more
			return nil
		}
		guess = c.row
	}
	if p := &all[guess]; p.LAN == all[i].LAN && !p.Gone {
		return p
	}
	return nil
}

// blocked reports whether others could not connect to a client that was there,
// or it could not connect to anybody.
func (h *hub) blocked(now time.Time, all []endpoint.Status, c *machine) bool {
	s := &all[c.row]
	if s.Gone || s.Alone {
		return false
	}
	if c.unable && s.Sends() == endpoint.NoSide {
		return true
	}
	for by, said := range c.claims {
		if now.Sub(said.last) >= claimFor || !said.since.Before(s.Registered) {
			continue // its own registrations show that it was there meanwhile
		}
		// Who has no peer at all says it of everybody.
		if o := h.row(all, c.row, c.row, by); o != nil && o.Sends() != endpoint.NoSide {
			return true
		}
	}
	return false
}
