package answer

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var tight = Limits{Rows: 6, Bytes: 260}

func drawRows(t *rapid.T, label string) Rows {
	n := rapid.IntRange(0, 12).Draw(t, label)
	var rows []Row
	for range n {
		text := fmt.Sprintf("%0*d", rapid.IntRange(1, 40).Draw(t, "width"), rapid.IntRange(0, 14).Draw(t, "row"))
		rows = append(rows, Key{1}.Row([]Cell{{text}}))
	}
	return RowsOf(tight, rows...)
}

// TestMergeIsALaw: the order and the grouping of merging do not matter, also
// when the limits leave rows out (docs/protocol.md §6.2).
func TestMergeIsALaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawRows(t, "a"), drawRows(t, "b"), drawRows(t, "c")
		ab, ba := MergeRows(tight, a, b), MergeRows(tight, b, a)
		if !same(ab, ba) {
			t.Fatalf("a+b = %v, b+a = %v", ab, ba)
		}
		left, right := MergeRows(tight, ab, c), MergeRows(tight, a, MergeRows(tight, b, c))
		if !same(left, right) {
			t.Fatalf("(a+b)+c = %v, a+(b+c) = %v", left, right)
		}
		if zero := MergeRows(tight, a, Rows{}); !same(zero, a) {
			t.Fatalf("a+0 = %v, a = %v", zero, a)
		}
	})
}

// TestKeptRowsAreExact: whatever the limits left out, a kept row counts every
// machine that gave it, and a row below the cut is kept.
func TestKeptRowsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth := map[uint64]uint64{}
		var sum Rows
		for range rapid.IntRange(1, 20).Draw(t, "machines") {
			row := Key{1}.Row([]Cell{{fmt.Sprint(rapid.IntRange(0, 25).Draw(t, "row"))}})
			truth[row.Hash]++
			sum = MergeRows(tight, sum, RowsOf(tight, row))
		}
		for _, r := range sum.List {
			if truth[r.Hash] != r.Count {
				t.Fatalf("row %x counts %d, want %d", r.Hash, r.Count, truth[r.Hash])
			}
			delete(truth, r.Hash)
		}
		for h := range truth {
			if sum.Cut == 0 || h < sum.Cut {
				t.Fatalf("row %x is missing below the cut %x", h, sum.Cut)
			}
		}
	})
}

func same(a, b Rows) bool {
	return a.Cut == b.Cut && slices.EqualFunc(a.List, b.List, func(x, y Row) bool {
		return x.Hash == y.Hash && x.Count == y.Count && reflect.DeepEqual(x.Cells, y.Cells)
	})
}

// TestMergeKeepsWho: a merged bundle says of whom it is, whose sensor failed and
// whose was stopped.
func TestMergeKeepsWho(t *testing.T) {
	counts := []Counts{{Passed: 1}, {Errors: 1}, {Errors: 1, Stopped: 1}, {NoResults: 1}, {Errors: 1, Stopped: 1}}
	sum := BundleOf(7, 0, Rows{}, counts[0])
	for slot, c := range counts[1:] {
		sum = Merge(tight, sum, BundleOf(7, Slot(slot+1), Rows{}, c))
	}
	want := Bundle{
		Question: 7, Set: SetOf(0, 1, 2, 3, 4), Failed: SetOf(1, 2, 4), Stopped: SetOf(2, 4),
		Counts: Counts{Passed: 1, Errors: 3, Stopped: 2, NoResults: 1}, Rows: sum.Rows,
	}
	if !reflect.DeepEqual(sum, want) {
		t.Errorf("merged is %+v, want %+v", sum, want)
	}
}

// TestDistinct: the estimate is near the truth for rows of random hashes.
func TestDistinct(t *testing.T) {
	const truth = 20_000
	var rows []Row
	for i := range truth {
		rows = append(rows, Key{7}.Row([]Cell{{fmt.Sprint(i)}}))
	}
	got := RowsOf(Limits{Rows: 2000, Bytes: 1 << 20}, rows...).Distinct()
	if got < truth*9/10 || got > truth*11/10 {
		t.Errorf("estimated %d distinct rows, want about %d", got, truth)
	}
}

// TestCellsDoNotRunTogether: rows that differ only in where their texts are
// cut are different rows.
func TestCellsDoNotRunTogether(t *testing.T) {
	k := Key{3}
	seen := map[uint64]int{}
	for i, cells := range [][]Cell{
		{{"a", "b"}}, {{"a"}, {"b"}}, {{"ab"}}, {{"ab"}, {}}, {{}, {"ab"}}, {{"a", "b"}, {}},
		{{"a\x1fb"}}, {{"a\x1eb"}}, {{"a\x01b"}}, {{""}}, {{"", ""}}, {{""}, {""}},
	} {
		h := k.Row(cells).Hash
		if j, ok := seen[h]; ok {
			t.Errorf("rows %d and %d have one hash", i, j)
		}
		seen[h] = i
	}
}

func TestSetAgainstMap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		a, b := map[Slot]bool{}, map[Slot]bool{}
		var x, y Set
		for range r.IntN(40) {
			s, u := Slot(r.IntN(200)), Slot(r.IntN(200))
			a[s], b[u] = true, true
			x.Add(s)
			y.Add(u)
		}
		overlap, within := false, true
		for s := range a {
			overlap = overlap || b[s]
			within = within && b[s]
		}
		if x.Overlaps(y) != overlap || x.Within(y) != within || x.Len() != len(a) {
			t.Fatalf("%v %v: overlaps %v, within %v, len %d", x, y, x.Overlaps(y), x.Within(y), x.Len())
		}
		for s := range Slot(200) {
			if x.Union(y).Has(s) != (a[s] || b[s]) || x.Minus(y).Has(s) != (a[s] && !b[s]) {
				t.Fatalf("slot %d of %v and %v", s, x, y)
			}
		}
		if !SetOf(slices.Collect(x.All())...).Equal(x) || x.Minus(x).Len() != 0 || !x.Minus(x).Empty() {
			t.Fatalf("%v does not survive a copy", x)
		}
	}
}

func TestMergeRefusesOverlap(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("two bundles of one machine were merged")
		}
	}()
	b := Bundle{Question: 1, Set: SetOf(3)}
	Merge(ChainLimits, b, b)
}
