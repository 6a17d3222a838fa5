// Package answer is what machines have said to a question, and how two such
// sayings merge to one.
//
// Rows merge in any order and any grouping to the same whole. A [Bundle]
// carries the set of machines whose rows it holds, so that counting stays
// exact whatever way bundles travel: two bundles may be merged only if their
// sets are disjoint, and the server counts a machine only once.
package answer

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/dchest/siphash"
)

// A Cell is one column of a row: a single text, or all that one machine had to
// say in that column when the row stands for the machine.
type Cell []string

// A Row is one distinct answer and how many machines gave it.
type Row struct {
	Hash  uint64 // of Cells under the question's key: [Key.Row]
	Cells []Cell
	Count uint64
}

// A Key makes row hashes. It is secret to the installation, so that nobody
// outside can prepare rows that collide.
type Key [16]byte

// Row returns the row of the given cells, said by one machine. Hashed is each
// cell as the number of its texts and then each text with its length before
// it, all lengths as varints: no two rows have the same bytes
// (docs/protocol.md §6.1).
func (k Key) Row(cells []Cell) Row {
	b := AppendCells(nil, cells)
	k0, k1 := binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
	return Row{Hash: siphash.Hash(k0, k1, b), Cells: cells, Count: 1}
}

// AppendCells appends to b what is hashed of a row.
func AppendCells(b []byte, cells []Cell) []byte {
	for _, c := range cells {
		b = binary.AppendUvarint(b, uint64(len(c)))
		for _, text := range c {
			b = binary.AppendUvarint(b, uint64(len(text)))
			b = append(b, text...)
		}
	}
	return b
}

// Limits bound what one merged answer may hold.
type Limits struct {
	Rows  int // distinct rows
	Bytes int // sum of Row.Size
}

var (
	// ChainLimits hold on every link: an answer fits in one frame of 1 MiB
	// with room for its head and set.
	ChainLimits = Limits{Rows: 5000, Bytes: 896 << 10}
	// ServerLimits hold for the merged answer of all chains.
	ServerLimits = Limits{Rows: 200_000, Bytes: 128 << 20}
)

// Size is the row's share of [Limits].Bytes: its texts and a fixed cost for
// hash, count and framing.
func (r Row) Size() int {
	n := 24
	for _, c := range r.Cells {
		n += 4
		for _, text := range c {
			n += len(text) + 3
		}
	}
	return n
}

// Rows are the distinct rows of a set of machines, ordered by hash. The zero
// Rows are nobody's.
//
// When rows exceed the limits, those with the smallest hashes stay and Cut is
// the smallest hash that was left out: every row below Cut is present with its
// exact count, and none at or above it. This rule, unlike dropping the rarest
// rows, gives the same result in whatever order parts are merged
// (docs/protocol.md §6.2).
type Rows struct {
	List []Row  // ascending by Hash
	Cut  uint64 // 0: nothing was left out
}

// Size is the share of [Limits].Bytes of all rows together.
func (r Rows) Size() int {
	n := 0
	for _, row := range r.List {
		n += row.Size()
	}
	return n
}

// RowsOf returns the rows that one machine or many have said, merging equal
// ones.
func RowsOf(lim Limits, rows ...Row) Rows {
	list := slices.Clone(rows)
	slices.SortFunc(list, compareRows)
	out := list[:0]
	for _, r := range list {
		if n := len(out); n > 0 && out[n-1].Hash == r.Hash {
			out[n-1].Count += r.Count
			continue
		}
		out = append(out, r)
	}
	return Rows{List: out}.cut(lim)
}

// MergeRows returns the rows of both sets of machines together.
func MergeRows(lim Limits, a, b Rows) Rows {
	out := make([]Row, 0, len(a.List)+len(b.List))
	i, j := 0, 0
	for i < len(a.List) && j < len(b.List) {
		switch x, y := a.List[i], b.List[j]; {
		case x.Hash < y.Hash:
			out = append(out, x)
			i++
		case x.Hash > y.Hash:
			out = append(out, y)
			j++
		default:
			// Two texts under one 64-bit hash are counted as one; under a secret
			// key that happens by chance once in 2^64 pairs.
			if compareRows(y, x) < 0 {
				x.Cells = y.Cells
			}
			x.Count += y.Count
			out = append(out, x)
			i, j = i+1, j+1
		}
	}
	out = append(append(out, a.List[i:]...), b.List[j:]...)
	return Rows{out, lower(a.Cut, b.Cut)}.cut(lim)
}

// lower returns the lower of two cuts, where 0 means none.
func lower(a, b uint64) uint64 {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// cut drops what lies at or above r.Cut or exceeds the limits.
func (r Rows) cut(lim Limits) Rows {
	bytes := 0
	for i, row := range r.List {
		if r.Cut != 0 && row.Hash >= r.Cut {
			r.List = r.List[:i]
			break
		}
		bytes += row.Size()
		if i >= lim.Rows || bytes > lim.Bytes {
			// A hash of 0 would read as "nothing left out"; as the smallest of
			// all it can only be the first row, which alone is over the limit.
			r.List, r.Cut = r.List[:i], max(row.Hash, 1)
			break
		}
	}
	return r
}

// Distinct estimates how many distinct rows there were before the cut.
func (r Rows) Distinct() uint64 {
	if r.Cut == 0 {
		return uint64(len(r.List))
	}
	return uint64(float64(len(r.List)+1) / (float64(r.Cut) / (1 << 63) / 2))
}

func compareRows(x, y Row) int {
	switch {
	case x.Hash < y.Hash:
		return -1
	case x.Hash > y.Hash:
		return 1
	}
	return slices.CompareFunc(x.Cells, y.Cells, func(a, b Cell) int {
		return slices.CompareFunc(a, b, strings.Compare)
	})
}

// A Bundle is what a set of machines has said to one question. It is immutable
// once sent.
type Bundle struct {
	Question uint64
	Set      Set // the machines whose rows are in it; never empty
	Rows     Rows
	Counts   Counts
	// Failed are the machines that Counts has under Errors, and Stopped those
	// under Stopped: the server accounts for each.
	Failed, Stopped Set
	// Tainted bundles may have travelled twice: they are passed along as they
	// are, never merged, and the server decides by their sets.
	Tainted bool
	// Boxes are one for each machine of the Set, ascending by slot, in any other
	// Mode than merged. A sealed bundle has neither rows nor counts beside them.
	Mode  Mode
	Boxes []Box
}

// A Report is what a client tells its forward neighbour about one question.
type Report struct {
	Seq      uint64 // of this sender and incarnation, from 1
	Question uint64
	First    bool   // the sender's first for this question on this link
	Final    bool   // nothing more is expected from the sender's side
	Pending  Set    // machines that have the question and still compute
	Bundle   Bundle // its Set is empty if the report brings no rows
}

// Counts are the sums that travel beside the rows, in machines.
type Counts struct {
	Passed    uint64 // matched the question's condition
	Errors    uint64 // had at least one sensor fail
	Stopped   uint64 // of Errors: had one stopped at its time limit
	NoResults uint64 // had at least one sensor say nothing
	Outside   uint64 // may not be asked by who asks, and say nothing else
}

// Add returns the sum of both.
func (c Counts) Add(d Counts) Counts {
	return Counts{c.Passed + d.Passed, c.Errors + d.Errors, c.Stopped + d.Stopped, c.NoResults + d.NoResults, c.Outside + d.Outside}
}

// Merge joins two merged bundles of one question, leaving out what exceeds the
// limits. It panics if they share a machine, differ in question or are tainted:
// its callers check that, and a wrong merge could never be undone.
func Merge(lim Limits, a, b Bundle) Bundle {
	if mustMerge(a, b); a.Mode != Merged {
		panic("answer: bundles with boxes may not fit together")
	}
	return merge(lim, a, b)
}

func mustMerge(a, b Bundle) {
	if a.Question != b.Question || a.Mode != b.Mode || a.Tainted || b.Tainted || a.Set.Overlaps(b.Set) {
		panic("answer: merge of bundles that must stay apart")
	}
}

func merge(lim Limits, a, b Bundle) Bundle {
	return Bundle{
		Question: a.Question,
		Mode:     a.Mode,
		Set:      a.Set.Union(b.Set),
		Rows:     MergeRows(lim, a.Rows, b.Rows),
		Counts:   a.Counts.Add(b.Counts),
		Failed:   a.Failed.Union(b.Failed),
		Stopped:  a.Stopped.Union(b.Stopped),
	}
}

// BundleOf returns what one machine has said.
func BundleOf(question uint64, slot Slot, rows Rows, counts Counts) Bundle {
	b := Bundle{Question: question, Set: SetOf(slot), Rows: rows, Counts: counts}
	if counts.Errors > 0 {
		b.Failed = b.Set
	}
	if counts.Stopped > 0 {
		b.Stopped = b.Set
	}
	return b
}
