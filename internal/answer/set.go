package answer

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
)

// SlotMax is the number of slots in one LAN: the server hands out dense 16-bit
// ordinals (docs/protocol.md §5.1).
const SlotMax = 1 << 16

// A Slot is an endpoint's ordinal inside its LAN.
type Slot uint16

// A Set is the slots of the machines that contributed to a bundle. The zero
// Set is empty. Sets are values: no method changes one, except Add on a set
// that its caller made.
type Set struct {
	words []uint64 // bit s%64 of word s/64; no trailing zero words
}

// SetOf returns the set of the given slots.
func SetOf(slots ...Slot) Set {
	var s Set
	for _, x := range slots {
		s.Add(x)
	}
	return s
}

// Add puts x into s.
func (s *Set) Add(x Slot) {
	w := int(x) / 64
	if w >= len(s.words) {
		s.words = append(s.words, make([]uint64, w+1-len(s.words))...)
	}
	s.words[w] |= 1 << (x % 64)
}

// Has reports whether x is in s.
func (s Set) Has(x Slot) bool {
	w := int(x) / 64
	return w < len(s.words) && s.words[w]&(1<<(x%64)) != 0
}

// Len is the number of slots in s.
func (s Set) Len() int {
	n := 0
	for _, w := range s.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// Empty reports whether s has no slot.
func (s Set) Empty() bool { return len(s.words) == 0 }

// Equal reports whether s and t have the same slots.
func (s Set) Equal(t Set) bool { return slices.Equal(s.words, t.words) }

// Overlaps reports whether s and t have a slot in common.
func (s Set) Overlaps(t Set) bool {
	for i := range min(len(s.words), len(t.words)) {
		if s.words[i]&t.words[i] != 0 {
			return true
		}
	}
	return false
}

// Within reports whether every slot of s is in t.
func (s Set) Within(t Set) bool {
	if len(s.words) > len(t.words) {
		return false
	}
	for i, w := range s.words {
		if w&^t.words[i] != 0 {
			return false
		}
	}
	return true
}

// Union returns the slots that are in s or in t.
func (s Set) Union(t Set) Set {
	if len(s.words) < len(t.words) {
		s, t = t, s
	}
	words := slices.Clone(s.words)
	for i, w := range t.words {
		words[i] |= w
	}
	return Set{words}
}

// Minus returns the slots that are in s and not in t.
func (s Set) Minus(t Set) Set {
	words := slices.Clone(s.words)
	for i := range min(len(words), len(t.words)) {
		words[i] &^= t.words[i]
	}
	return trimmed(words)
}

// All yields the slots of s in ascending order.
func (s Set) All() iter.Seq[Slot] {
	return func(yield func(Slot) bool) {
		for i, w := range s.words {
			for ; w != 0; w &= w - 1 {
				if !yield(Slot(i*64 + bits.TrailingZeros64(w))) {
					return
				}
			}
		}
	}
}

func (s Set) String() string { return fmt.Sprint(slices.Collect(s.All())) }

func trimmed(words []uint64) Set {
	for len(words) > 0 && words[len(words)-1] == 0 {
		words = words[:len(words)-1]
	}
	return Set{words}
}
