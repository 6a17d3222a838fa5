package resultset

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/answer"
	"catenary/internal/plan"
)

// boundedBy bounds the strings of each sensor of a plan.
func boundedBy(most ...int) (b Bounds) {
	for _, n := range most {
		b = append(b, Bound{Strings: n})
	}
	return b
}

// TestBounded: the most frequent strings stay, and the machines behind the others
// are counted in one row that stands last and has the number that programs know.
func TestBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		plan   plan.Plan
		bounds Bounds
		rows   answer.Rows
		shown  bool // machines apart
		want   []string
	}{
		"one sensor":  {planOf(false, 1), boundedBy(2), rowsOf("a", "b", "b", "c", "c", "d", "e"), false, []string{"b ×2", "c ×2", "[too many results] ×3"}},
		"enough":      {planOf(false, 1), boundedBy(5), rowsOf("a", "b", "c", "d", "e"), false, []string{"a ×1", "b ×1", "c ×1", "d ×1", "e ×1"}},
		"no bound":    {planOf(false, 1), boundedBy(0), rowsOf("a", "b"), false, []string{"a ×1", "b ×1"}},
		"no answers":  {planOf(false, 1), boundedBy(1), rowsOf("[no results]", "TSE-Error: x", "a", "b", "b"), false, []string{"b ×2", "TSE-Error: x ×1", "[no results] ×1", "[too many results] ×1"}},
		"columns":     {planOf(false, 2), boundedBy(1), rowsOf("a|x", "a|y", "a|y"), false, []string{"a|y ×2", "[too many results]|[too many results] ×1"}},
		"two sensors": {planOf(false, 1, 1), boundedBy(1, 0), rowsOf("a|1", "a|2", "b|1", "c|1"), false, []string{"[too many results]|1 ×2", "a|1 ×1", "a|2 ×1"}},
		"lists":       {planOf(true, 1), boundedBy(2), rowsOf("7|a,b,c,d", "8|a,b", "9|c"), true, []string{"9|[too many results] ×1", "8|a,b ×1", "7|a,b,[too many results] ×1"}},
		"collated":    {planOf(true, 1), boundedBy(1), rowsOf("7|a,b,c", "8|a", "9|c"), false, []string{"a ×2", "[too many results] ×2"}},
		"of rows":     {planOf(true, 2), boundedBy(1), rowsOf("7|a,b|x,y", "8|a|x"), true, []string{"8|a|x ×1", "7|a,[too many results]|x,[too many results] ×1"}},
	} {
		s := New(Source{Plan: tt.plan, Rows: tt.rows, Bounds: tt.bounds, Computers: tt.shown})
		v, err := s.Look(Query{}, goOn)
		must(t, err)
		if got := written(v); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
		if last := v.Row(v.Len() - 1); !tt.shown && len(tt.plan.Selects) == 1 && last.Cells[0][0] == TooMany {
			if last.ID != rowTooMany {
				t.Errorf("%s: the last row has the number %d", name, last.ID)
			}
			if _, ok := s.ByRef(last.Ref()); !ok {
				t.Errorf("%s: the last row is not found by its number", name)
			}
			if _, err := s.Where([]Row{last}); err == nil || !strings.Contains(err.Error(), "more different answers than are kept") {
				t.Errorf("%s: machines by the last row: %v", name, err)
			}
			down, err := s.Look(Query{Order: []int{2}}, goOn)
			must(t, err)
			if down.Row(down.Len()-1).ID != rowTooMany {
				t.Errorf("%s: in another order it is not last: %q", name, written(down))
			}
		}
	}
}

// TestBoundedCut: of an answer of which rows were left out the rest is counted
// too, and both are said.
func TestBoundedCut(t *testing.T) {
	rows := rowsOf("a", "b", "b", "c")
	rows.Cut = rows.List[len(rows.List)-1].Hash + 1
	s := New(Source{Plan: planOf(false, 1), Rows: rows, Bounds: boundedBy(1)})
	v, err := s.Look(Query{}, goOn)
	must(t, err)
	same(t, written(v), []string{"b ×2", "[too many results] ×2", "[too many results] ×0"})
}

// TestBoundedLaw: no machine is lost, no more strings stay than may, those that
// go are not more frequent than those that stay, and bounding again changes
// nothing.
func TestBoundedLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 2).Draw(t, "width")
		p, most := planOf(false, width), rapid.IntRange(1, 5).Draw(t, "most")
		var texts []string
		for range rapid.IntRange(0, 40).Draw(t, "rows") {
			cells := rapid.SliceOfN(rapid.StringMatching(`[abc]`), width, width).Draw(t, "cells")
			texts = append(texts, strings.Join(cells, "|"))
		}
		before := rowsOf(texts...)
		after := Bounded(p, before, boundedBy(most))
		count := func(rows answer.Rows) (n uint64) {
			for _, r := range rows.List {
				n += r.Count
			}
			return n
		}
		if count(before) != count(after) {
			t.Fatalf("%d machines of %d", count(after), count(before))
		}
		every := func(plan.Use) int { return 100 }
		were, _ := Strings(p, before, every)
		are, _ := Strings(p, after, every)
		if len(are[0]) > most || len(are[0]) < min(most, len(were[0])) {
			t.Fatalf("%d strings of %d with a bound of %d", len(are[0]), len(were[0]), most)
		}
		if !slices.Equal(are[0], were[0][:len(are[0])]) {
			t.Fatalf("%v stay of %v", are[0], were[0])
		}
		if again := Bounded(p, after, boundedBy(most)); fmt.Sprint(again) != fmt.Sprint(after) {
			t.Fatalf("again: %v, before %v", again, after)
		}
	})
}

func TestStrings(t *testing.T) {
	rows := rowsOf("7|a,b|x|yy", "8|a|x|yy", "9|[no results]|xxx|")
	heard, bytes := Strings(planOf(true, 1, 2), rows, func(plan.Use) int { return 9 })
	same(t, heard, [][]Heard{{{"a", 2}, {"b", 1}}, {{"x|yy", 2}, {"xxx|", 1}}})
	same(t, bytes, []Spread{{3, 2 + 1 + 12, 4 + 1 + 144}, {3, 4 + 4 + 4, 16 * 3}})
	heard, again := Strings(planOf(true, 1, 2), rows, func(u plan.Use) int { return u.Width - 1 })
	same(t, heard, [][]Heard{nil, {{"x|yy", 2}}})
	same(t, again, bytes)
}

func TestBoundsOf(t *testing.T) {
	p := planOf(false, 1, 1, 1)
	p.Selects = []int{0, 1}
	of := map[string]Bound{"Sensor 0": {Age: time.Hour}, "Sensor 1": {Age: time.Minute, Strings: 5}, "Sensor 2": {Age: time.Second}}
	b := BoundsOf(p, func(name string) Bound { return of[name] })
	same(t, b[1], of["Sensor 1"])
	same(t, b.Age(p), time.Minute) // the third is in the condition only
	none := BoundsOf(p, func(string) Bound { return Bound{} })
	same(t, []any{none == nil, none.Age(p)}, []any{true, time.Duration(0)})
}
