// Package roster is who is registered and who should stand near whom: it keeps
// the clients of each LAN in the order of their chain, hands out slots, and
// names each client its nearest possible neighbours.
//
// A [Roster] is a value with one owner. It keeps no clock and remembers a
// client until it has missed its registrations for [StaleAfter].
package roster

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
)

const (
	// Candidates is how many possible neighbours a client is named on each
	// side: with three or fewer, heavy churn splits chains (docs/protocol.md §3.3).
	Candidates = 10

	// StaleAfter is when a client that no longer registers counts as off. It
	// comes every 90 s at the latest, so it has missed at least two slots.
	StaleAfter = 4 * time.Minute

	// slotRest is how long a freed slot is kept for the machine that had it: as
	// long as a question may live (wire.LifeMax). Until then no bundle speaks of
	// two machines by one slot, or of one machine by two.
	slotRest = time.Hour
)

// Boundaries say how far a LAN reaches, in bits of the network address.
type Boundaries struct{ IPv4, IPv6 int }

// DefaultBoundaries are a /24 and a /64.
var DefaultBoundaries = Boundaries{IPv4: 24, IPv6: 64}

// LAN returns the network of the address within which chains form.
func (b Boundaries) LAN(a netip.Addr) netip.Prefix {
	a = a.Unmap()
	bits := b.IPv6
	if a.Is4() {
		bits = b.IPv4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		panic("roster: " + err.Error()) // the settings were checked when they were read
	}
	return p
}

// LANOf returns the LAN of a client at the address; one that nobody can dial is
// alone in its own.
func (b Boundaries) LANOf(a netip.Addr, alone bool) netip.Prefix {
	if alone {
		return netip.PrefixFrom(a, a.BitLen())
	}
	return b.LAN(a)
}

// A Placement is a client's place as the server assigns it.
type Placement struct {
	LAN        netip.Prefix
	Slot       answer.Slot
	New        bool // was not on the roster before
	Back, Fore []endpoint.Place
	// Digest names the two lists; a client that holds it need not get them
	// again. It is never 0.
	Digest uint64
}

// A Roster is the registered clients.
type Roster struct {
	bounds Boundaries
	lans   map[netip.Prefix]*lan
	where  map[endpoint.ID]seat
}

// A seat is where a client is to be found.
type seat struct {
	lan   netip.Prefix
	place endpoint.Place
}

type lan struct {
	entries []entry // in chain order
	used    answer.Set
	resting map[answer.Slot]time.Time   // freed slots and until when they rest
	left    map[endpoint.ID]answer.Slot // whose they were
	lowest  answer.Slot                 // no free slot lies below
}

type entry struct {
	place endpoint.Place
	slot  answer.Slot
	seen  time.Time
}

// New returns an empty roster.
func New(b Boundaries) *Roster {
	return &Roster{b, map[netip.Prefix]*lan{}, map[endpoint.ID]seat{}}
}

// A Claim is what a client says of itself when it registers.
type Claim struct {
	Place   endpoint.Place
	Slot    answer.Slot // that it has held so far, if HasSlot
	HasSlot bool
	// Alone: nobody can dial the client, for its own address is not the one
	// that the server sees. It is named no neighbours.
	Alone bool
}

// Register notes that the client is there now. It keeps the slot that it had
// here within the last hour, or that it claims if that is free. ok is false if
// the LAN has no slot left.
func (r *Roster) Register(now time.Time, c Claim) (pl Placement, ok bool) {
	p, key := c.Place, r.bounds.LANOf(c.Place.Addr.Addr(), c.Alone)
	old, known := r.where[p.ID]
	if known && old.lan != key {
		r.remove(now, p.ID)
		known = false
	}
	l := r.lans[key]
	if l == nil {
		l = &lan{resting: map[answer.Slot]time.Time{}, left: map[endpoint.ID]answer.Slot{}}
		r.lans[key] = l
	}
	e := entry{place: p, seen: now}
	i, here := l.find(p)
	switch {
	case here: // the usual case, and the reason why a large LAN costs no more
		e.slot = l.entries[i].slot
		l.entries[i] = e
	case known:
		j, _ := l.find(old.place)
		e.slot = l.entries[j].slot
		l.entries = slices.Delete(l.entries, j, j+1)
		i, _ = l.find(p)
		l.entries = slices.Insert(l.entries, i, e)
	default:
		if e.slot, ok = l.take(c); !ok {
			return Placement{}, false
		}
		l.entries = slices.Insert(l.entries, i, e)
	}
	r.where[p.ID] = seat{key, p}

	pl = Placement{LAN: key, Slot: e.slot, New: !known}
	if !c.Alone {
		pl.Back, pl.Fore = l.around(i)
	}
	pl.Digest = digest(pl.Back, pl.Fore)
	return pl, true
}

// find returns where in the order of the chain p stands, or would.
func (l *lan) find(p endpoint.Place) (i int, here bool) {
	return slices.BinarySearchFunc(l.entries, p, func(e entry, p endpoint.Place) int { return e.place.Compare(p) })
}

// around returns the clients next to the one at i, nearest first.
func (l *lan) around(i int) (back, fore []endpoint.Place) {
	first, end := max(0, i-Candidates), min(len(l.entries), i+1+Candidates)
	back, fore = slices.Grow(back, i-first), slices.Grow(fore, end-i-1)
	for j := i - 1; j >= first; j-- {
		back = append(back, l.entries[j].place)
	}
	for j := i + 1; j < end; j++ {
		fore = append(fore, l.entries[j].place)
	}
	return back, fore
}

// take hands out the slot that the client had, or else the one it claims if
// that is free, or else the lowest free one.
func (l *lan) take(c Claim) (answer.Slot, bool) {
	if slot, was := l.left[c.Place.ID]; was {
		l.wake(slot, c.Place.ID)
		l.used.Add(slot)
		return slot, true
	}
	if _, rests := l.resting[c.Slot]; c.HasSlot && !rests && !l.used.Has(c.Slot) {
		l.used.Add(c.Slot)
		return c.Slot, true
	}
	for s := int(l.lowest); s < answer.SlotMax; s++ {
		slot := answer.Slot(s)
		if _, rests := l.resting[slot]; rests {
			continue
		}
		if !l.used.Has(slot) {
			l.used.Add(slot)
			if slot == l.lowest {
				l.lowest++
			}
			return slot, true
		}
		if slot == l.lowest {
			l.lowest++
		}
	}
	return 0, false
}

// wake ends a slot's rest.
func (l *lan) wake(slot answer.Slot, of endpoint.ID) {
	delete(l.resting, slot)
	delete(l.left, of)
}

func (r *Roster) remove(now time.Time, id endpoint.ID) {
	old := r.where[id]
	l := r.lans[old.lan]
	i, _ := l.find(old.place)
	slot := l.entries[i].slot
	l.entries = slices.Delete(l.entries, i, i+1)
	l.used = l.used.Minus(answer.SetOf(slot))
	l.resting[slot], l.left[id] = now.Add(slotRest), slot
	l.lowest = min(l.lowest, slot)
	delete(r.where, id)
}

// Expire takes clients off the roster that have not registered for StaleAfter
// and returns them.
func (r *Roster) Expire(now time.Time) []endpoint.ID {
	var gone []endpoint.ID
	for key, l := range r.lans {
		for i := len(l.entries) - 1; i >= 0; i-- {
			if e := l.entries[i]; now.Sub(e.seen) > StaleAfter {
				gone = append(gone, e.place.ID)
				r.remove(now, e.place.ID)
			}
		}
		for id, slot := range l.left {
			if !now.Before(l.resting[slot]) {
				l.wake(slot, id)
			}
		}
		if len(l.entries) == 0 && len(l.resting) == 0 {
			delete(r.lans, key)
		}
	}
	slices.SortFunc(gone, func(a, b endpoint.ID) int { return slices.Compare(a[:], b[:]) })
	return gone
}

// Boundaries say how far the roster's LANs reach.
func (r *Roster) Boundaries() Boundaries { return r.bounds }

// LAN returns the LAN in which the client is registered.
func (r *Roster) LAN(id endpoint.ID) (netip.Prefix, bool) {
	s, ok := r.where[id]
	return s.lan, ok
}

// Slots returns, for each LAN, the slots of its registered clients.
func (r *Roster) Slots() map[netip.Prefix]answer.Set {
	all := make(map[netip.Prefix]answer.Set, len(r.lans))
	for key, l := range r.lans {
		if !l.used.Empty() {
			// The set is copied: the roster goes on changing its own.
			all[key] = l.used.Union(answer.Set{})
		}
	}
	return all
}

// Len is the number of registered clients.
func (r *Roster) Len() int { return len(r.where) }

// LANs is the number of LANs with a registered client.
func (r *Roster) LANs() int { return len(r.Slots()) }

func digest(lists ...[]endpoint.Place) uint64 {
	h := fnv.New64a()
	b := make([]byte, 0, 1+Candidates*(16+2+len(endpoint.ID{})))
	for _, list := range lists {
		b = append(b[:0], byte(len(list)))
		for _, p := range list {
			a := p.Addr.Addr().As16()
			b = append(b, a[:]...)
			b = binary.BigEndian.AppendUint16(b, p.Addr.Port())
			b = append(b, p.ID[:]...)
		}
		h.Write(b)
	}
	return max(h.Sum64(), 1)
}
