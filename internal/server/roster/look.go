package roster

import (
	"iter"
	"maps"
	"net/netip"
	"slices"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
)

// A Stand is where a registered client stands.
type Stand struct {
	Place   endpoint.Place // as others are told it
	LAN     netip.Prefix
	Segment int  // of its LAN, from 0
	Alone   bool // in none: it has no peers
}

// All yields the registered clients LAN by LAN, those of each in the order of
// its chains and then those who are alone.
func (r *Roster) All() iter.Seq[Stand] {
	return func(yield func(Stand) bool) {
		for _, key := range slices.SortedFunc(maps.Keys(r.lans), netip.Prefix.Compare) {
			if !r.lans[key].all(key, yield) {
				return
			}
		}
	}
}

func (l *lan) all(key netip.Prefix, yield func(Stand) bool) bool {
	for s, seg := range l.segments {
		for i := range seg.entries {
			if !yield(Stand{Place: seg.entries[i].place, LAN: key, Segment: s}) {
				return false
			}
		}
	}
	alone := make([]endpoint.Place, 0, len(l.alone))
	for _, e := range l.alone {
		alone = append(alone, e.place)
	}
	slices.SortFunc(alone, endpoint.Place.Compare)
	for _, p := range alone {
		if !yield(Stand{Place: p, LAN: key, Alone: true}) {
			return false
		}
	}
	return true
}

// Owners says whose the slots of a LAN are: registered clients', and those
// whose slots rest.
func (r *Roster) Owners(key netip.Prefix, of answer.Set) map[answer.Slot]endpoint.ID {
	l := r.lans[key]
	if l == nil || of.Empty() {
		return nil
	}
	owners := make(map[answer.Slot]endpoint.ID, of.Len())
	own := func(slot answer.Slot, id endpoint.ID) {
		if of.Has(slot) {
			owners[slot] = id
		}
	}
	for _, seg := range l.segments {
		for i := range seg.entries {
			own(seg.entries[i].slot, seg.entries[i].place.ID)
		}
	}
	for id, e := range l.alone {
		own(e.slot, id)
	}
	for id, rest := range l.slots.resting {
		own(rest.slot, id)
	}
	return owners
}
