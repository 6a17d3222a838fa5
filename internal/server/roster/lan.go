package roster

import (
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
)

const (
	// A chain is cut so that a question needs no longer than this from its one
	// end to the other (docs/protocol.md §3.4), but is never shorter than the
	// least nor longer than the most: leaders cost the server connections, and
	// every machine more is one that can break the chain.
	traverse = 500 * time.Millisecond
	chainMin = 64
	chainMax = 250

	// Neighbouring segments become one when they hold no more than a fraction of
	// what one may hold: whoever joins then does not cut them again.
	mergeAt = 2

	// The time of a hop is the median of what some clients say, spread over the
	// LAN. It is taken again after so many registrations, and believed if enough
	// clients know it.
	samplesMax  = 255
	sampleEvery = 64
	votesMin    = 5
)

// A lan is the clients of one LAN.
type lan struct {
	key      netip.Prefix
	segments []*segment // in the order of the chain; there is always one
	alone    map[endpoint.ID]entry
	size     int // clients, alone or not
	slots    slots
	reports  int           // since the time of a hop was taken
	trip     time.Duration // from client to neighbour and back; 0: unknown
	most     int           // clients of one chain, if that does not depend on trip; or 0
}

// A segment is the clients of one chain: those from a place on until the next
// segment's. The bound stays when clients come and go.
type segment struct {
	from    endpoint.Place // of the first segment: the zero Place, which is before all
	entries []entry        // in the order of the chain
}

type entry struct {
	place endpoint.Place
	slot  answer.Slot
	seen  time.Time
	trip  time.Duration // to the neighbour in front and back; 0: unknown
}

func newLAN(key netip.Prefix, most int) *lan {
	return &lan{
		key: key, most: most,
		segments: []*segment{{}}, alone: map[endpoint.ID]entry{},
		slots: slots{resting: map[endpoint.ID]rest{}},
	}
}

// find returns in which segment p belongs, and where in it p stands or would.
func (l *lan) find(p endpoint.Place) (s, i int, here bool) {
	s, exact := slices.BinarySearchFunc(l.segments, p, func(s *segment, p endpoint.Place) int { return s.from.Compare(p) })
	if !exact {
		s-- // the first segment's bound is before every place
	}
	i, here = slices.BinarySearchFunc(l.segments[s].entries, p, func(e entry, p endpoint.Place) int { return e.place.Compare(p) })
	return s, i, here
}

// put adds a client.
func (l *lan) put(e entry, alone bool) {
	l.size++
	if alone {
		l.alone[e.place.ID] = e
		return
	}
	s, i, _ := l.find(e.place)
	seg := l.segments[s]
	seg.entries = slices.Insert(seg.entries, i, e)
}

// drop takes a client out.
func (l *lan) drop(at spot) entry {
	l.size--
	if at.alone {
		e := l.alone[at.place.ID]
		delete(l.alone, at.place.ID)
		return e
	}
	s, i, _ := l.find(at.place)
	seg := l.segments[s]
	e := seg.entries[i]
	seg.entries = slices.Delete(seg.entries, i, i+1)
	if len(seg.entries) == 0 && len(l.segments) > 1 {
		l.join(max(s-1, 0))
	}
	return e
}

// move brings a client of the LAN up to date, which may stand elsewhere now,
// and returns the slot that it keeps.
func (l *lan) move(at spot, e entry, alone bool) answer.Slot {
	if !alone && !at.alone && at.place == e.place { // the usual case, and the reason why a large LAN costs no more
		s, i, _ := l.find(e.place)
		old := &l.segments[s].entries[i]
		if e.trip == 0 {
			e.trip = old.trip
		}
		e.slot = old.slot
		*old = e
		return e.slot
	}
	e.slot = l.drop(at).slot
	l.put(e, alone)
	return e.slot
}

// stale returns the clients that were seen before the given time only.
func (l *lan) stale(before time.Time) (ids []endpoint.ID) {
	for _, seg := range l.segments {
		for i := range seg.entries {
			if e := &seg.entries[i]; e.seen.Before(before) {
				ids = append(ids, e.place.ID)
			}
		}
	}
	for id, e := range l.alone {
		if e.seen.Before(before) {
			ids = append(ids, id)
		}
	}
	return ids
}

// around says who stands near the client at p, without those it avoids.
func (l *lan) around(pl *Placement, p endpoint.Place, avoid []shun) {
	s, i, _ := l.find(p)
	if l.balance(s) {
		s, i, _ = l.find(p)
	}
	here := l.segments[s].entries
	pl.From = l.segments[s].from
	if s+1 < len(l.segments) {
		pl.Until = l.segments[s+1].from
	}
	pl.Back = below(nil, here[:i], avoid)
	for j := i + 1; j < len(here) && len(pl.Fore) < Candidates; j++ {
		pl.Fore = named(pl.Fore, &here[j].place, avoid)
	}
	if i > 0 {
		return
	}
	for s--; s >= 0 && len(pl.Across) < Candidates; s-- {
		pl.Across = below(pl.Across, l.segments[s].entries, avoid)
	}
}

// below adds the last of the entries to the list, until it is full.
func below(list []endpoint.Place, entries []entry, avoid []shun) []endpoint.Place {
	for j := len(entries) - 1; j >= 0 && len(list) < Candidates; j-- {
		list = named(list, &entries[j].place, avoid)
	}
	return list
}

func named(list []endpoint.Place, p *endpoint.Place, avoid []shun) []endpoint.Place {
	for i := range avoid {
		if avoid[i].peer == p.ID {
			return list
		}
	}
	if list == nil {
		list = make([]endpoint.Place, 0, Candidates)
	}
	return append(list, *p)
}

// balance cuts the segment if it has become too long, or joins it to a neighbour
// if both have become short, and reports whether it did.
func (l *lan) balance(s int) bool {
	longest := l.longest()
	switch {
	case l.cut(s, longest):
	case s+1 < len(l.segments) && l.length(s)+l.length(s+1) <= longest/mergeAt:
		l.join(s)
	case s > 0 && l.length(s-1)+l.length(s) <= longest/mergeAt:
		l.join(s - 1)
	default:
		return false
	}
	return true
}

func (l *lan) length(s int) int { return len(l.segments[s].entries) }

// cut halves the segment, and its halves, until none is too long.
func (l *lan) cut(s, longest int) bool {
	seg := l.segments[s]
	if len(seg.entries) <= longest {
		return false
	}
	half := len(seg.entries) / 2
	upper := &segment{from: seg.entries[half].place, entries: slices.Clone(seg.entries[half:])}
	seg.entries = slices.Clip(slices.Delete(seg.entries, half, len(seg.entries)))
	l.segments = slices.Insert(l.segments, s+1, upper)
	l.cut(s+1, longest)
	l.cut(s, longest)
	return true
}

// join makes the segment and the next one.
func (l *lan) join(s int) {
	l.segments[s].entries = append(l.segments[s].entries, l.segments[s+1].entries...)
	l.segments = slices.Delete(l.segments, s+1, s+2)
}

// longest is how many clients one chain may have.
func (l *lan) longest() int {
	switch {
	case l.most > 0:
		return l.most
	case l.trip == 0:
		return chainMax
	}
	const ways = 2 // a trip goes there and back
	return min(max(int(ways*traverse/l.trip), chainMin), chainMax)
}

// heard notes a registration, and takes the time of a hop again now and then.
func (l *lan) heard(trip time.Duration) {
	if trip > 0 {
		l.reports++
	}
	if l.reports < sampleEvery {
		return
	}
	l.reports = 0
	all := l.size - len(l.alone)
	stride := (all + samplesMax - 1) / samplesMax
	votes := make([]time.Duration, 0, samplesMax)
	next := 0 // index, within the segment, of the next client to be looked at
	for _, seg := range l.segments {
		for next < len(seg.entries) {
			if t := seg.entries[next].trip; t > 0 {
				votes = append(votes, t)
			}
			// Uneven steps, stride on the average: addresses have patterns, too.
			next += 1 + (next*7+len(votes))%(2*stride-1)
		}
		next -= len(seg.entries)
	}
	if len(votes) >= votesMin {
		slices.Sort(votes)
		l.trip = votes[len(votes)/2]
	}
}
