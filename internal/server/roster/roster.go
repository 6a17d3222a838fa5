// Package roster is who is registered and who should stand near whom: it keeps
// the clients of each LAN in the order of their chain, cuts what is too long
// for one chain into segments, hands out slots, and names each client its
// nearest possible neighbours.
//
// A [Roster] is a value with one owner. It keeps no clock and remembers a
// client until it has missed its registrations for [StaleAfter]. Which LAN a
// client belongs to is decided by package boundary.
package roster

import (
	"encoding/binary"
	"hash/fnv"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/boundary"
	"catenary/internal/endpoint"
)

const (
	// Candidates is how many possible neighbours a client is named on each
	// side: with three or fewer, heavy churn splits chains (docs/protocol.md §3.3).
	Candidates = 10

	// StaleAfter is when a client that no longer registers counts as off. It
	// comes every 90 s at the latest, so it has missed at least two slots.
	StaleAfter = 4 * time.Minute

	// avoidFor is how long a client is not named a peer that it could not dial:
	// longer than until its next registration, which would otherwise name the
	// peer again.
	avoidFor = 2 * time.Minute
	// avoidMax bounds the peers that a client is not named.
	avoidMax = 128
)

// DefaultBoundaries are a /24 and a /64.
var DefaultBoundaries = boundary.Default

// A Placement is a client's place as the server assigns it.
type Placement struct {
	Place endpoint.Place // as others are told it
	LAN   netip.Prefix
	Alone bool // the client has no peers
	Slot  answer.Slot
	New   bool // was not on the roster before
	// Back and Fore are the clients next to it in its segment, nearest first.
	Back, Fore []endpoint.Place
	// Across are the nearest clients below the segment, for the first client of
	// one: files travel through the whole LAN.
	Across []endpoint.Place
	// From and Until bound the places whose clients may stand in one chain with
	// it, the first inclusive. The zero Place is no bound; for who is alone,
	// both are its own place.
	From, Until endpoint.Place
	// Digest names the LAN, all lists and bounds; a client that holds it need not get
	// them again. It is never 0.
	Digest uint64
	// Old is where the client was before, if it has Moved to another LAN while
	// its slot there was still its own.
	Moved bool
	Old   Seat
}

// A Seat is a client's slot in a LAN.
type Seat struct {
	LAN  netip.Prefix
	Slot answer.Slot
}

// Tag names a LAN in messages. It is never 0.
func Tag(lan netip.Prefix) uint64 {
	h := fnv.New64a()
	h.Write(lan.AppendTo(nil))
	return max(h.Sum64(), 1)
}

// A Roster is the registered clients.
type Roster struct {
	bounds boundary.Boundaries
	lans   map[netip.Prefix]*lan
	where  map[endpoint.ID]spot
	left   map[endpoint.ID]Seat // of who is not registered: its last seat, while its slot rests
	avoid  map[endpoint.ID][]shun
	most   int // clients of one chain, if they are to be counted; or 0
}

// A spot is where a registered client is to be found.
type spot struct {
	lan   *lan
	place endpoint.Place
	alone bool
}

// A shun is a peer that a client could not dial.
type shun struct {
	peer  endpoint.ID
	until time.Time
}

// New returns an empty roster.
func New(b boundary.Boundaries) *Roster {
	return &Roster{
		bounds: b, lans: map[netip.Prefix]*lan{}, where: map[endpoint.ID]spot{},
		left: map[endpoint.ID]Seat{}, avoid: map[endpoint.ID][]shun{},
	}
}

// Cut fixes how many clients one chain may have, whatever a hop takes. It is for
// an empty roster.
func (r *Roster) Cut(most int) { r.most = most }

// A Claim is what a client says of itself when it registers, and how it is seen.
type Claim struct {
	Place    endpoint.Place // as the client sees itself
	Observed netip.Addr     // where the server sees it; the zero Addr: there
	Slot     answer.Slot    // that it has held so far, if HasSlot
	HasSlot  bool
	// Unreachable are peers that it was named and cannot dial.
	Unreachable []endpoint.ID
	RoundTrip   time.Duration // to its neighbour in front and back, smoothed; 0: unknown
}

// Register notes that the client is there now. It keeps the slot that it had
// here within the last hour, or that it claims if that is free. ok is false if
// the LAN has no slot left.
func (r *Roster) Register(now time.Time, c Claim) (pl Placement, ok bool) {
	e := entry{place: bare(c.Place), seen: now, trip: c.RoundTrip}
	if !c.Observed.IsValid() {
		c.Observed = e.place.Addr.Addr()
	}
	id, area := e.place.ID, r.bounds.Find(c.Observed, e.place.Addr.Addr())
	at, known := r.where[id]
	if known && at.lan.key != area.LAN {
		r.remove(now, id)
		known = false
	}
	l := r.lans[area.LAN]
	if l == nil {
		l = newLAN(area.LAN, r.most)
		r.lans[area.LAN] = l
	}
	if known {
		e.slot = l.move(at, e, area.Alone)
	} else {
		if e.slot, ok = l.slots.take(c); !ok {
			return Placement{}, false
		}
		l.put(e, area.Alone)
	}
	pl = Placement{Place: e.place, LAN: area.LAN, Alone: area.Alone, Slot: e.slot, New: !known}
	if old, was := r.left[id]; was {
		delete(r.left, id)
		if pl.Moved = old.LAN != area.LAN; pl.Moved {
			pl.Old = old
		}
	}
	r.where[id] = spot{l, e.place, area.Alone}
	if area.Alone {
		pl.From, pl.Until = e.place, e.place
	} else {
		l.heard(c.RoundTrip)
		l.around(&pl, e.place, r.avoided(now, id, c.Unreachable))
	}
	pl.Digest = digest(pl)
	return pl, true
}

// bare is a place with its address in the one form that package boundary uses.
func bare(p endpoint.Place) endpoint.Place {
	p.Addr = netip.AddrPortFrom(p.Addr.Addr().Unmap().WithZone(""), p.Addr.Port())
	return p
}

// avoided returns the peers that the client is not to be named: those that it
// cannot dial now, and those that it could not a while ago.
func (r *Roster) avoided(now time.Time, id endpoint.ID, unreachable []endpoint.ID) []shun {
	list := r.avoid[id]
	if len(list) == 0 && len(unreachable) == 0 {
		return nil
	}
	list = slices.DeleteFunc(list, func(s shun) bool {
		return !now.Before(s.until) || slices.Contains(unreachable, s.peer)
	})
	for _, peer := range unreachable {
		list = append(list, shun{peer, now.Add(avoidFor)})
	}
	if n := len(list) - avoidMax; n > 0 {
		list = slices.Delete(list, 0, n)
	}
	if len(list) == 0 {
		delete(r.avoid, id)
	} else {
		r.avoid[id] = list
	}
	return list
}

func (r *Roster) remove(now time.Time, id endpoint.ID) {
	at := r.where[id]
	l := at.lan
	slot := l.drop(at).slot
	l.slots.rest(id, slot, now.Add(slotRest))
	r.left[id] = Seat{l.key, slot}
	delete(r.where, id)
	delete(r.avoid, id)
}

// Expire takes clients off the roster that have not registered for StaleAfter
// and returns them.
func (r *Roster) Expire(now time.Time) []endpoint.ID {
	var gone []endpoint.ID
	for key, l := range r.lans {
		for _, id := range l.stale(now.Add(-StaleAfter)) {
			gone = append(gone, id)
			r.remove(now, id)
		}
		for _, id := range l.slots.wake(now) {
			if r.left[id].LAN == key {
				delete(r.left, id)
			}
		}
		if l.size == 0 && len(l.slots.resting) == 0 {
			delete(r.lans, key)
		}
	}
	slices.SortFunc(gone, func(a, b endpoint.ID) int { return slices.Compare(a[:], b[:]) })
	return gone
}

// Held is a client's seat as it was written down at its last registration.
type Held struct {
	ID   endpoint.ID
	Seat Seat
	Seen time.Time
}

// Restore tells an empty roster what was known before the server ended: slots
// rest for who held them, as if the server had not been away. Its clients have
// gone on using them meanwhile, and nobody else may be given them.
func (r *Roster) Restore(now time.Time, list []Held) {
	// The last registration of all is about when the server ended. The youngest
	// come first, for a slot may have been handed on.
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Held) int { return b.Seen.Compare(a.Seen) })
	var rests []Held
	taken := map[Seat]bool{}
	for _, h := range list {
		if taken[h.Seat] || list[0].Seen.Sub(h.Seen) >= StaleAfter+slotRest {
			continue
		}
		taken[h.Seat] = true
		rests = append(rests, h)
	}
	for _, h := range slices.Backward(rests) { // what ends first comes first
		l := r.lans[h.Seat.LAN]
		if l == nil {
			l = newLAN(h.Seat.LAN, r.most)
			r.lans[h.Seat.LAN] = l
		}
		l.slots.rest(h.ID, h.Seat.Slot, now.Add(StaleAfter+slotRest-list[0].Seen.Sub(h.Seen)))
		r.left[h.ID] = h.Seat
	}
}

// SetBoundaries makes new rules hold: each client is placed by them at its next
// registration, and stays where it is until then.
func (r *Roster) SetBoundaries(b boundary.Boundaries) { r.bounds = b }

// Boundaries say how far the roster's LANs reach.
func (r *Roster) Boundaries() boundary.Boundaries { return r.bounds }

// LAN returns the LAN in which the client is registered.
func (r *Roster) LAN(id endpoint.ID) (netip.Prefix, bool) {
	at, ok := r.where[id]
	if !ok {
		return netip.Prefix{}, false
	}
	return at.lan.key, true
}

// Speaks returns the LAN whose slots a client means: where it is registered, or
// was last if it has not come since the server started, or else where it would
// be placed.
func (r *Roster) Speaks(place endpoint.Place, observed netip.Addr) netip.Prefix {
	if at, ok := r.where[place.ID]; ok {
		return at.lan.key
	}
	if seat, ok := r.left[place.ID]; ok {
		return seat.LAN
	}
	return r.bounds.Find(observed, place.Addr.Addr()).LAN
}

// Slots returns, for each LAN, the slots of its registered clients.
func (r *Roster) Slots() map[netip.Prefix]answer.Set {
	all := make(map[netip.Prefix]answer.Set, len(r.lans))
	for key, l := range r.lans {
		if l.size > 0 {
			// The set is copied: the roster goes on changing its own.
			all[key] = l.slots.used.Union(answer.Set{})
		}
	}
	return all
}

// Len is the number of registered clients.
func (r *Roster) Len() int { return len(r.where) }

// LANs is the number of LANs with a registered client.
func (r *Roster) LANs() int {
	n := 0
	for _, l := range r.lans {
		if l.size > 0 {
			n++
		}
	}
	return n
}

// Chains is the number of chains that there should be: LANs, with those that
// are cut counted by their segments, and those who are alone each by itself.
func (r *Roster) Chains() int {
	n := 0
	for _, l := range r.lans {
		n += len(l.alone)
		if l.size > len(l.alone) {
			n += len(l.segments)
		}
	}
	return n
}

func digest(pl Placement) uint64 {
	h := fnv.New64a()
	b := make([]byte, 0, 3+(3*Candidates+2)*placeSize+8)
	for _, list := range [][]endpoint.Place{pl.Back, pl.Fore, pl.Across} {
		b = append(b, byte(len(list)))
		for _, p := range list {
			b = appendPlace(b, p)
		}
	}
	b = appendPlace(appendPlace(b, pl.From), pl.Until)
	b = binary.BigEndian.AppendUint64(b, Tag(pl.LAN))
	h.Write(b)
	return max(h.Sum64(), 1)
}

const placeSize = 16 + 2 + len(endpoint.ID{})

func appendPlace(b []byte, p endpoint.Place) []byte {
	a := p.Addr.Addr().As16()
	b = append(b, a[:]...)
	b = binary.BigEndian.AppendUint16(b, p.Addr.Port())
	return append(b, p.ID[:]...)
}

// Seat is where a client is registered, or was last, while its slot rests.
func (r *Roster) Seat(id endpoint.ID) (Seat, bool) {
	at, ok := r.where[id]
	if !ok {
		seat, left := r.left[id]
		return seat, left
	}
	l := at.lan
	if at.alone {
		return Seat{l.key, l.alone[id].slot}, true
	}
	s, i, _ := l.find(at.place)
	return Seat{l.key, l.segments[s].entries[i].slot}, true
}

// hopUsual is the one-way time of a hop where it is not known: that of a wired
// LAN, with processing.
const hopUsual = time.Millisecond

// Crossing is how long a message takes through the longest chain of a LAN.
func (r *Roster) Crossing(key netip.Prefix) time.Duration {
	most := 0
	if l := r.lans[key]; l != nil {
		for s := range l.segments {
			most = max(most, l.length(s))
		}
	}
	return time.Duration(most) * r.Hop(key)
}

// Hop is the one-way time between two neighbours of a LAN.
func (r *Roster) Hop(key netip.Prefix) time.Duration {
	if l := r.lans[key]; l != nil && l.trip > 0 {
		return l.trip / 2
	}
	return hopUsual
}
