package answer

import "fmt"

// A Mode is how the answer to a question travels along the chain
// (docs/trust.md). The server signs it with the question.
type Mode uint8

const (
	// Merged: peers read the rows and count equal ones together; nothing says
	// who has given which.
	Merged Mode = iota
	// Attested: likewise, and each machine vouches for its own rows to the
	// server. Peers can leave a machine out, but not alter what it says.
	Attested
	// Sealed: only the server can read what a machine says. Peers see who
	// answers, and about how much.
	Sealed
)

var modeNames = [...]string{"merged", "attested", "sealed"}

func (m Mode) String() string {
	if m.Valid() {
		return modeNames[m]
	}
	return fmt.Sprintf("mode %d", uint8(m))
}

// Valid reports whether m is one of the modes above.
func (m Mode) Valid() bool { return int(m) < len(modeNames) }

// ParseMode is the reverse of [Mode.String].
func ParseMode(name string) (Mode, bool) {
	for i, n := range modeNames {
		if n == name {
			return Mode(i), true
		}
	}
	return 0, false
}

// A Box is what one machine adds to a bundle for the server alone: package box
// makes and opens it. Peers carry it as it is.
type Box struct {
	Slot  Slot
	Rows  []Ref  // attested: which of the bundle's rows the machine has given
	Bytes []byte // never changed
}

// A Ref is one machine's share of a row.
type Ref struct {
	Hash  uint64 // of the row; ascending in a box
	Count uint64 // how often the machine has given it, at least once
}

// BoxLimits hold for the rows of one machine with a box. Boxes do not merge, and
// those of 250 machines with as much as this fill 32 MiB on the last link.
var BoxLimits = Limits{Rows: 5000, Bytes: 128 << 10}

const (
	// BoxesMax bounds the boxes of one bundle: four of the longest chains.
	BoxesMax = 1024

	boxSize      = 4  // what a box takes beside its bytes and refs: tag and length
	refSize      = 3  // most bytes of the place of a row among 5,000
	refCountSize = 10 // … and of how often it was given, if not once
)

// Size is the box's share of [Limits].Bytes.
func (x Box) Size() int {
	n := boxSize + len(x.Bytes) + refSize*len(x.Rows)
	for _, r := range x.Rows {
		if r.Count > 1 {
			n += refCountSize
		}
	}
	return n
}

// Boxed returns the bundle of one machine in another mode than merged, with its
// box.
func (b Bundle) Boxed(m Mode, x Box) Bundle {
	for x.Slot = range b.Set.All() {
		break
	}
	b.Mode, b.Boxes = m, []Box{x}
	return b
}

// Size is the share of [Limits].Bytes of all that the bundle carries.
func (b Bundle) Size() int {
	n := b.Rows.Size()
	for _, x := range b.Boxes {
		n += x.Size()
	}
	return n
}

// Fit merges two bundles as [Merge] does, if the limits allow. Of bundles with
// boxes nothing can be left out: a row that is gone could not be vouched for,
// and a box that is gone would be missed. Two such bundles that do not fit
// together travel apart.
func Fit(lim Limits, a, b Bundle) (Bundle, bool) {
	mustMerge(a, b)
	sum := merge(lim, a, b)
	if sum.Mode == Merged {
		return sum, true
	}
	fits := sum.Rows.Cut == 0 && len(a.Boxes)+len(b.Boxes) <= BoxesMax
	if fits {
		sum.Boxes = mergeBoxes(a.Boxes, b.Boxes)
		fits = sum.Size() <= lim.Bytes
	}
	return sum, fits
}

// mergeBoxes merges two lists in the order of their slots.
func mergeBoxes(a, b []Box) []Box {
	out := make([]Box, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if a[0].Slot < b[0].Slot {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}
