package value

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestOrderIsThatOfCompare: whatever the texts, reading them once makes no
// difference.
func TestOrderIsThatOfCompare(t *testing.T) {
	texts := rapid.SliceOfN(rapid.OneOf(
		rapid.SampledFrom([]string{"1.10", "1.9", "10.0.0.1", "10.0.0.0/8", "::1", "2MB", "1 GB", "4.2 hours", "2 years, 3 months", "-3", "007", "7", "Ä", "ä", "", "2026-11-22 01:30:00", "Sun, 22 Nov 2026 01:30:00 +0000"}),
		rapid.StringN(0, 4, -1),
	), 2, 8)
	rapid.Check(t, func(t *rapid.T) {
		list := texts.Draw(t, "texts")
		typ := Type(rapid.IntRange(int(Hash), int(RegexMatch)).Draw(t, "type"))
		order := Order(typ, list)
		readable := func(i int) bool { _, ok := Compare(typ, list[i], list[i]); return ok }
		for i := range list {
			for j := range list {
				got, want := order(i, j), 0
				switch {
				case readable(i) && readable(j):
					want, _ = Compare(typ, list[i], list[j])
				case readable(i):
					want = -1
				case readable(j):
					want = 1
				default:
					want = strings.Compare(list[i], list[j])
				}
				if sign(got) != sign(want) {
					t.Fatalf("%v: %q and %q are %d apart, want %d", typ, list[i], list[j], got, want)
				}
			}
		}
		places := []int{}
		for i := range list {
			places = append(places, i)
		}
		slices.SortFunc(places, order)
		for i := 1; i < len(places); i++ {
			if order(places[i-1], places[i]) > 0 {
				t.Fatalf("not in order: %q", list)
			}
		}
	})
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
