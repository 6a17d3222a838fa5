package roster

import (
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
)

// slotRest is how long a freed slot is kept for the machine that had it: as
// long as a question may live (wire.LifeMax). Until then no bundle speaks of
// two machines by one slot, or of one machine by two.
const slotRest = time.Hour

// slots are the ordinals of one LAN.
type slots struct {
	used    answer.Set // of registered clients
	taken   answer.Set // these, and those that rest
	resting map[endpoint.ID]rest
	queue   []rest // what rests, what wakes first in front; some have been ended since
	lowest  int    // no free slot lies below
}

// A rest is a freed slot that is kept for who had it.
type rest struct {
	of    endpoint.ID
	slot  answer.Slot
	until time.Time
}

// take hands out the slot that the client had, or else the one it claims if
// that is free, or else the lowest free one.
func (s *slots) take(c Claim) (answer.Slot, bool) {
	if r, was := s.resting[c.Place.ID]; was {
		delete(s.resting, r.of)
		s.used.Add(r.slot)
		return r.slot, true
	}
	if c.HasSlot && !s.taken.Has(c.Slot) {
		s.use(c.Slot)
		return c.Slot, true
	}
	for s.lowest < answer.SlotMax && s.taken.Has(answer.Slot(s.lowest)) {
		s.lowest++
	}
	if s.lowest == answer.SlotMax {
		return 0, false
	}
	slot := answer.Slot(s.lowest)
	s.use(slot)
	return slot, true
}

func (s *slots) use(slot answer.Slot) {
	s.used.Add(slot)
	s.taken.Add(slot)
}

// rest keeps a slot for who has it.
func (s *slots) rest(id endpoint.ID, slot answer.Slot, until time.Time) {
	s.used = s.used.Minus(answer.SetOf(slot))
	s.taken.Add(slot)
	r := rest{id, slot, until}
	s.resting[id] = r
	at := len(s.queue) // where it belongs, unless something restored rests longer
	for at > 0 && s.queue[at-1].until.After(until) {
		at--
	}
	s.queue = slices.Insert(s.queue, at, r)
}

// wake frees the slots whose rest is over, and returns whose they were.
func (s *slots) wake(now time.Time) (of []endpoint.ID) {
	for len(s.queue) > 0 && !now.Before(s.queue[0].until) {
		r := s.queue[0]
		s.queue = s.queue[1:]
		if s.resting[r.of] != r {
			continue // its owner has come back, and perhaps gone again
		}
		delete(s.resting, r.of)
		s.taken = s.taken.Minus(answer.SetOf(r.slot))
		s.lowest = min(s.lowest, int(r.slot))
		of = append(of, r.of)
	}
	return of
}
