package answer

import (
	"fmt"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// boxOf is the answer of one machine in a box of some size.
func boxOf(m Mode, slot Slot, size int, rows ...Row) Bundle {
	x := Box{Bytes: make([]byte, size)}
	x.Bytes[0] = byte(slot)
	if m == Sealed {
		return BundleOf(1, slot, Rows{}, Counts{}).Boxed(m, x)
	}
	b := BundleOf(1, slot, RowsOf(BoxLimits, rows...), Counts{Passed: 1, Errors: uint64(slot % 2)})
	for _, r := range b.Rows.List {
		x.Rows = append(x.Rows, Ref{r.Hash, r.Count})
	}
	return b.Boxed(m, x)
}

func drawBoxed(t *rapid.T, m Mode, slot Slot) Bundle {
	var rows []Row
	for range rapid.IntRange(0, 3).Draw(t, "rows") {
		rows = append(rows, Key{1}.Row([]Cell{{fmt.Sprint(rapid.IntRange(0, 9).Draw(t, "row"))}}))
	}
	return boxOf(m, slot, rapid.IntRange(1, 60).Draw(t, "size"), rows...)
}

// TestBoxesMergeAsALaw: bundles with boxes merge in any order and grouping to
// the same, if they fit; and whether all fit together does not depend on that.
func TestBoxesMergeAsALaw(t *testing.T) {
	lim := Limits{Rows: 6, Bytes: 500}
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.SampledFrom([]Mode{Attested, Sealed}).Draw(t, "mode")
		a, b, c := drawBoxed(t, m, 3), drawBoxed(t, m, 1), drawBoxed(t, m, 2)
		join := func(x, y Bundle, ok bool) (Bundle, bool) {
			if !ok {
				return Bundle{}, false
			}
			return Fit(lim, x, y)
		}
		ab, fits := Fit(lim, a, b)
		if ba, too := Fit(lim, b, a); fits != too || fits && !reflect.DeepEqual(ab, ba) {
			t.Fatalf("a+b = %v %+v, b+a = %v %+v", fits, ab, too, ba)
		}
		left, leftFits := join(ab, c, fits)
		bc, fits := Fit(lim, b, c)
		right, rightFits := join(a, bc, fits)
		if leftFits != rightFits || leftFits && !reflect.DeepEqual(left, right) {
			t.Fatalf("(a+b)+c = %v %+v, a+(b+c) = %v %+v", leftFits, left, rightFits, right)
		}
		if !leftFits {
			return
		}
		if n := left.Size(); n > lim.Bytes || left.Rows.Cut != 0 || left.Mode != m {
			t.Fatalf("%d bytes, cut at %x: %+v", n, left.Rows.Cut, left)
		}
		for i, x := range left.Boxes {
			if x.Slot != Slot(i+1) || x.Bytes[0] != byte(i+1) {
				t.Fatalf("boxes are %+v", left.Boxes)
			}
		}
		if m == Attested {
			rows := MergeRows(BoxLimits, MergeRows(BoxLimits, a.Rows, b.Rows), c.Rows)
			if !same(left.Rows, rows) || left.Counts != a.Counts.Add(b.Counts).Add(c.Counts) {
				t.Fatalf("rows %v, counts %+v", left.Rows, left.Counts)
			}
		}
	})
}

// TestFit: nothing is left out of a bundle with boxes; merged ones are cut.
func TestFit(t *testing.T) {
	row := func(n int) Row { return Key{1}.Row([]Cell{{fmt.Sprint(n)}}) }
	cut := boxOf(Attested, 1, 9, row(1))
	cut.Rows.Cut = 1 << 63
	few := Limits{Rows: 1, Bytes: 1 << 20}
	for name, tt := range map[string]struct {
		lim  Limits
		a, b Bundle
		want bool
	}{
		"two rows of one":       {few, boxOf(Attested, 1, 9, row(1)), boxOf(Attested, 2, 9, row(1)), true},
		"two rows":              {few, boxOf(Attested, 1, 9, row(1)), boxOf(Attested, 2, 9, row(2)), false},
		"one that is cut":       {ChainLimits, cut, boxOf(Attested, 2, 9, row(1)), false},
		"into one that is cut":  {ChainLimits, boxOf(Attested, 2, 9, row(1)), cut, false},
		"just enough bytes":     {Limits{9, 108}, boxOf(Sealed, 1, 50), boxOf(Sealed, 2, 50), true},
		"a byte too many":       {Limits{9, 107}, boxOf(Sealed, 1, 50), boxOf(Sealed, 2, 50), false},
		"merged, cut as always": {few, BundleOf(1, 1, RowsOf(few, row(1)), Counts{}), BundleOf(1, 2, RowsOf(few, row(2)), Counts{}), true},
	} {
		if _, got := Fit(tt.lim, tt.a, tt.b); got != tt.want {
			t.Errorf("%s: fits %v", name, got)
		}
	}
	many := boxOf(Sealed, 0, 1)
	for slot := Slot(1); int(slot) <= BoxesMax; slot++ {
		sum, fits := Fit(ChainLimits, many, boxOf(Sealed, slot, 1))
		if want := int(slot) < BoxesMax; fits != want {
			t.Fatalf("box %d fits: %v", slot+1, fits)
		} else if fits {
			many = sum
		}
	}
}

// TestBoxedBundlesMustFit: Merge never has to leave out a box, and modes do not
// mix.
func TestBoxedBundlesMustFit(t *testing.T) {
	sealed, plain := boxOf(Sealed, 1, 9), BundleOf(1, 2, Rows{}, Counts{})
	for name, wrong := range map[string]func(){
		"sealed bundles":     func() { Merge(ChainLimits, sealed, boxOf(Sealed, 2, 9)) },
		"sealed and plain":   func() { Fit(ChainLimits, sealed, plain) },
		"attested and plain": func() { Fit(ChainLimits, plain, boxOf(Attested, 1, 9)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s are merged", name)
				}
			}()
			wrong()
		}()
	}
}

func TestModes(t *testing.T) {
	for m, name := range map[Mode]string{Merged: "merged", Attested: "attested", Sealed: "sealed"} {
		got, ok := ParseMode(name)
		if !ok || got != m || m.String() != name || !m.Valid() {
			t.Errorf("%d is called %v, %q means %d", m, m, name, got)
		}
	}
	if _, ok := ParseMode("Sealed"); ok || Mode(3).Valid() || Mode(3).String() != "mode 3" {
		t.Error("there is a fourth mode")
	}
}
