package resultset

import (
	"cmp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"catenary/internal/answer"
	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/value"
)

const (
	// apartMax bounds the rows of a view that has each machine's answer apart:
	// as many as a large installation has machines, or five times as many rows as
	// an answer.
	apartMax = 1_000_000
	// lookEvery is after how many rows it is looked whether anybody still wants
	// them.
	lookEvery = 1 << 12
	// ordersMax bounds the columns by which a view is ordered.
	ordersMax = 64
)

// A Query chooses rows of a set, and their order. The zero Query is all of them
// in the first order.
type Query struct {
	// Filter is a condition on rows. Its names are those of Name, or AnyColumn.
	Filter expr.Condition
	// HideErrors and HideNoResults leave out rows that say nothing but that a
	// sensor failed, or had nothing to say.
	HideErrors, HideNoResults bool
	// Order are columns, counted from 1 with that of the counts behind the last;
	// negative: downwards.
	Order []int
	// Apart shows a row for each machine that gave it.
	Apart bool
}

// AnyColumn is the name of all texts of a row in a filter.
const AnyColumn = "*"

// Name is what a column is called in a filter: its number, from 0, that of the
// counts being behind the last.
func Name(column int) string { return strconv.Itoa(column) }

// Find returns the number of a column that is called so, or has this number from
// 1; one with the count of machines stands behind the last.
func (s *Set) Find(name string) (column int, ok bool) {
	for i, c := range s.Columns {
		if strings.EqualFold(c.Name, name) {
			return i, true
		}
	}
	if strings.EqualFold(name, "Count") {
		return len(s.Columns), true
	}
	n, err := strconv.Atoi(name)
	return n - 1, err == nil && n >= 1 && n <= len(s.Columns)+1
}

// Type is how the texts of a column compare.
func (s *Set) Type(column int) value.Type {
	if column == len(s.Columns) {
		return value.NumericInteger
	}
	return s.Columns[column].Type
}

// A View is a choice of the rows of a set.
type View struct {
	Set   *Set
	Query Query
	rows  []int32 // of the set
	ends  []int   // if the machines are apart: how many there are up to each row
	// machines behind the rows, each as often as it has given one
	machines uint64
}

// Look makes a view. From time to time it asks whether to go on.
func (s *Set) Look(q Query, goOn func() error) (*View, error) {
	v := &View{Set: s, Query: q}
	matcher, err := expr.Compile(q.Filter)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the filter of rows: %w", err)
	}
	var now *Row
	var buffer []string
	texts := func(name string) []string {
		buffer = now.texts(name, buffer[:0])
		return buffer
	}
	for i := range s.Rows {
		if i%lookEvery == 0 {
			if err := goOn(); err != nil {
				return nil, err
			}
		}
		now = &s.Rows[i]
		if q.hides(now) || q.Filter != nil && !matcher.Match(texts) {
			continue
		}
		v.rows = append(v.rows, int32(i))
		v.machines += now.Count
	}
	if err := v.sort(q.Order, goOn); err != nil {
		return nil, err
	}
	return v, v.spread()
}

func (r *Row) texts(name string, to []string) []string {
	if name == AnyColumn {
		for _, c := range r.Cells {
			to = append(to, c...)
		}
		return to
	}
	n, err := strconv.Atoi(name)
	switch {
	case err != nil || n < 0:
		return nil
	case n < len(r.Cells):
		return append(to, r.Cells[n]...)
	}
	return append(to, strconv.FormatUint(r.Count, 10))
}

// hides reports whether a row says nothing but what is not wanted.
func (q Query) hides(r *Row) bool {
	if !q.HideErrors && !q.HideNoResults || r.kind != said {
		return false
	}
	seen := false
	for _, c := range r.Cells {
		for _, text := range c {
			switch {
			case q.HideNoResults && text == NoResults, q.HideErrors && strings.HasPrefix(text, errorMark):
				seen = true
			default:
				return false
			}
		}
	}
	return seen
}

// sort orders the rows by columns; those that are equal in all of them stay in
// the first order.
func (v *View) sort(by []int, goOn func() error) error {
	if len(by) == 0 {
		return nil
	}
	if len(by) > ordersMax {
		return fault.New(fault.Invalid, "sort_order names %d columns; the limit is %d", len(by), ordersMax)
	}
	type level struct {
		compare func(i, j int) int
		down    bool
	}
	var levels []level
	for _, column := range by {
		if err := goOn(); err != nil {
			return err
		}
		at := max(column, -column) - 1
		if at < 0 || at > len(v.Set.Columns) {
			return fault.New(fault.Invalid, "sort_order names column %d; there are 1 to %d", column, len(v.Set.Columns)+1)
		}
		levels = append(levels, level{v.order(at), column < 0})
	}
	places := make([]int32, len(v.rows)) // of v.rows as it is now
	for i := range places {
		places[i] = int32(i)
	}
	looks := 0
	var stopped error
	slices.SortStableFunc(places, func(a, b int32) int {
		if looks++; looks%(lookEvery<<4) == 0 && stopped == nil {
			stopped = goOn()
		}
		if stopped != nil {
			return 0
		}
		if c := cmp.Compare(v.at(a).last(), v.at(b).last()); c != 0 {
			return c
		}
		for _, l := range levels {
			if c := l.compare(int(a), int(b)); c != 0 {
				if l.down {
					return -c
				}
				return c
			}
		}
		return 0
	})
	ordered := make([]int32, len(places))
	for i, place := range places {
		ordered[i] = v.rows[place]
	}
	v.rows = ordered
	return stopped
}

func (v *View) at(place int32) *Row { return &v.Set.Rows[v.rows[place]] }

// order returns how rows of the view, as they stand now, compare in a column.
func (v *View) order(column int) func(i, j int) int {
	if column == len(v.Set.Columns) {
		return func(i, j int) int { return cmp.Compare(v.at(int32(i)).Count, v.at(int32(j)).Count) }
	}
	texts := make([]string, len(v.rows))
	for i := range texts {
		if c := v.at(int32(i)).Cells[column]; len(c) > 0 {
			texts[i] = c[0]
		}
	}
	return value.Order(v.Set.Columns[column].Type, texts)
}

// spread counts the rows of a view that has machines apart.
func (v *View) spread() error {
	if !v.Query.Apart {
		return nil
	}
	total := uint64(0)
	v.ends = make([]int, len(v.rows))
	for i := range v.rows {
		if total += max(v.at(int32(i)).Count, 1); total > apartMax {
			return fault.New(fault.Invalid, "no_result_row_collation_flag: that would be more than %d rows", apartMax)
		}
		v.ends[i] = int(total)
	}
	return nil
}

// Len is how many rows the view has.
func (v *View) Len() int {
	if n := len(v.ends); v.Query.Apart && n > 0 {
		return v.ends[n-1]
	}
	return len(v.rows)
}

// Machines is how many machines are behind the rows, each as often as it has
// given one of them.
func (v *View) Machines() uint64 { return v.machines }

// Row returns the row at a place of the view.
func (v *View) Row(i int) Row {
	if !v.Query.Apart {
		return v.Set.Row(int(v.rows[i]))
	}
	at := sort.SearchInts(v.ends, i+1)
	r := v.Set.Row(int(v.rows[at]))
	r.Count = min(r.Count, 1)
	return r
}

// Size is about how many bytes the set takes.
func (s *Set) Size() int {
	n := 0
	for i := range s.Rows {
		n += answer.Row{Cells: s.Rows[i].Cells}.Size() + 40
	}
	return n
}

// ByRef returns the row of the set with a number.
func (s *Set) ByRef(ref uint64) (Row, bool) {
	i := slices.IndexFunc(s.Rows, func(r Row) bool { return r.said() && r.Ref() == ref })
	if i < 0 {
		return Row{}, false
	}
	return s.Row(i), true
}
