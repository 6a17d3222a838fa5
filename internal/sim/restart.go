package sim

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
)

// repeatMin is what must be left of a question's life for it to be asked again
// when the server has been started: lifeMin of package server.
const repeatMin = 10 * time.Second

// restart ends the server and starts it again after a while. Links break, and
// the roster is empty until the machines come; what it had written down are
// their seats, and the questions, which it asks again under new numbers.
func (s *server) restart(takes time.Duration) {
	if s.down {
		return
	}
	s.w.mark(nil, "the server ends")
	s.w.faults++
	s.down = true
	s.w.history.ends(s.w.now, nil, false)
	var held []roster.Held
	for i, h := range s.w.hosts {
		if seat, ok := s.roster.Seat(h.place.ID); ok {
			held = append(held, roster.Held{ID: h.place.ID, Seat: seat, Seen: epoch.Add(s.machines[i].seen)})
		}
		s.machines[i].state = 0
	}
	open := s.live
	leaders := slices.SortedFunc(maps.Values(s.leaders), func(a, b *leader) int { return cmp.Compare(a.line, b.line) })
	s.live, s.leaders = nil, map[dispatch.Line]*leader{}
	s.w.turnAway(s.porter, false)
	for _, l := range leaders {
		l.count(-1)
		s.w.shut(l.conn, 1)
	}
	s.w.after(takes, func() {
		s.w.mark(nil, "the server starts")
		s.w.history.begins(s.w.now, nil)
		s.down, s.began, s.w.restored, s.awaited = false, s.w.now, s.w.now, awaited(held)
		s.roster = s.fresh()
		s.roster.Restore(s.now(), held)
		s.desk = dispatch.New(s.roster, s.desk.Highest())
		for _, q := range open {
			if left := q.expires - s.w.now; left >= repeatMin {
				q.next = s.ask(q.kind, left.Truncate(time.Millisecond))
			}
		}
	})
}

// awaited are the machines that were there when the server ended.
func awaited(held []roster.Held) map[endpoint.ID]roster.Seat {
	var last time.Time // about when that was
	for _, h := range held {
		if h.Seen.After(last) {
			last = h.Seen
		}
	}
	seats := map[endpoint.ID]roster.Seat{}
	for _, h := range held {
		if last.Sub(h.Seen) < roster.StaleAfter {
			seats[h.ID] = h.Seat
		}
	}
	return seats
}

// waitNoMore counts those as off that have not come in time after the start.
func (s *server) waitNoMore() {
	if len(s.awaited) == 0 || s.w.now-s.began < roster.StaleAfter {
		return
	}
	ids := slices.SortedFunc(maps.Keys(s.awaited), func(a, b endpoint.ID) int { return slices.Compare(a[:], b[:]) })
	clear(s.awaited)
	s.carryOut(s.desk.Off(ids))
}

// last is the question as it is asked now, after so many ends of the server.
func (q *asked) last() *asked {
	for q.next != nil {
		q = q.next
	}
	return q
}
