// Package resultset is the answer to a question as those see it who have asked:
// numbered rows, filtered, in an order, page by page, and as text in several
// formats.
//
// A [Set] is made of what machines have said once and does not change, however
// the answer grows; a [View] is a choice of its rows. Both may be read by
// several goroutines.
package resultset

import (
	"cmp"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"catenary/internal/answer"
	"catenary/internal/plan"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// Texts that stand in the place of an answer, and the row numbers that programs
// know two of them by.
const (
	NoResults   = "[no results]"
	TooMany     = "[too many results]"
	Unavailable = "[current results unavailable]"
	// Lacking stands, where answers to several questions are joined, for what a
	// machine has not said to one of them.
	Lacking = "[current result unavailable]"

	errorMark = "TSE-Error:"

	rowNoResults = 0
	rowTooMany   = 1
)

// A Column is one column of a set. That of the counts is not among them.
type Column struct {
	Hash uint32 // the sensor's number in the public API
	Name string
	Type value.Type
}

// A Row is one distinct answer and how many machines gave it.
type Row struct {
	ID    uint32 // its number in the public API
	CID   uint32 // computer ID of the machine that it stands for; 0: it stands for any number
	Cells []answer.Cell
	Count uint64
	kind  kind
	hash  uint64
}

// Ref is a number that no other row of the answer has, whatever is added to it.
// It is below 2^53, which is what some programs can read.
func (r Row) Ref() uint64 {
	if !r.said() {
		return uint64(r.kind)
	}
	return r.hash>>11 | 1<<refLow
}

// refLow keeps the numbers of rows that machines say apart from those of others;
// two rows of a million have the same number once in ten thousand answers.
const refLow = 4

// said reports whether machines have said the row, though perhaps not in these
// words.
func (r Row) said() bool { return r.kind == said || r.kind == rest }

// A kind is who says a row.
type kind uint8

const (
	said    kind = iota
	pending      // machines that have yet to answer
	over         // nobody: there were more rows than are kept
	rest         // machines whose texts are not kept
)

// A Set is the rows of an answer.
type Set struct {
	Columns []Column
	// Rows are in the order in which they are shown unless another is asked for.
	// Their numbers are worked out when they are shown: see Row.
	Rows []Row
	// Estimate is how many rows there were, if not all are here; else 0.
	Estimate uint64
	// Computers: each row stands for one machine.
	Computers bool
	plan      plan.Plan
	aged      int // 1 if the last column is an age
}

// A Source is what a set is made of.
type Source struct {
	Plan    plan.Plan
	Rows    answer.Rows
	Pending int // machines that have yet to answer
	// Computers keeps the machines apart, if the plan does; else they are counted
	// together.
	Computers bool
	Bounds    Bounds
	// Ages, if not nil, is how old a machine's row is, and adds a column.
	Ages func(computer uint32) string
}

// New makes a set.
func New(src Source) *Set {
	s := &Set{plan: src.Plan, Computers: src.Plan.ComputerID && src.Computers}
	for _, c := range src.Plan.Columns {
		s.Columns = append(s.Columns, Column{c.SensorHash, c.Name, c.Type})
	}
	rows := Bounded(src.Plan, src.Rows, src.Bounds)
	if src.Ages != nil && src.Plan.ComputerID {
		s.Columns = append(s.Columns, Column{Name: ageColumn, Type: value.String})
		rows = aged(rows, src.Ages)
		s.aged = 1
	}
	if src.Plan.ComputerID {
		s.Columns = s.Columns[1:] // the number is that of a row, not one of its cells
		if !src.Computers {
			rows = collated(src.Plan, rows)
		}
	}
	s.Rows = make([]Row, 0, len(rows.List)+2)
	for _, r := range rows.List {
		s.Rows = append(s.Rows, s.row(r))
	}
	some := len(s.Columns) > 0
	if some && src.Pending > 0 {
		s.Rows = append(s.Rows, Row{
			ID: sensor.Hash(strings.Join(slices.Repeat([]string{Unavailable}, len(s.Columns)), "|")), Count: uint64(src.Pending),
			Cells: s.cells(Unavailable), kind: pending,
		})
	}
	if rows.Cut != 0 {
		s.Estimate = rows.Distinct()
	}
	if some && rows.Cut != 0 {
		s.Rows = append(s.Rows, Row{ID: rowTooMany, Cells: s.cells(TooMany), kind: over})
	}
	s.sort()
	return s
}

// sort brings the rows into the first order. They are large, so that only their
// places are moved about meanwhile.
func (s *Set) sort() {
	places := make([]int32, len(s.Rows))
	for i := range places {
		places[i] = int32(i)
	}
	slices.SortFunc(places, func(a, b int32) int { return firstOrder(&s.Rows[a], &s.Rows[b]) })
	ordered := make([]Row, len(s.Rows))
	for i, place := range places {
		ordered[i] = s.Rows[place]
	}
	s.Rows = ordered
}

// Row is a row with its number.
func (s *Set) Row(i int) Row {
	r := s.Rows[i]
	if r.said() && len(s.plan.Selects) == 1 && !s.Computers {
		r.ID = rowID(r.Cells[:len(r.Cells)-s.aged])
	}
	return r
}

func (s *Set) cells(text string) []answer.Cell {
	return slices.Repeat([]answer.Cell{{text}}, len(s.Columns))
}

// last tells rows that stand behind all others: those whose texts are not kept,
// and behind these that there were more.
func (r *Row) last() int {
	switch r.kind {
	case rest:
		return 1
	case over:
		return 2
	}
	return 0
}

// firstOrder puts the most frequent rows first, equal ones by their texts and
// their machines.
func firstOrder(a, b *Row) int {
	if c := cmp.Or(cmp.Compare(a.last(), b.last()), cmp.Compare(b.Count, a.Count)); c != 0 {
		return c
	}
	return cmp.Or(compareCells(a.Cells, b.Cells), cmp.Compare(a.CID, b.CID), cmp.Compare(a.hash, b.hash))
}

func compareCells(a, b []answer.Cell) int {
	return slices.CompareFunc(a, b, func(x, y answer.Cell) int { return slices.Compare(x, y) })
}

// row is a row of the set as far as it takes no work.
func (s *Set) row(r answer.Row) Row {
	out := Row{Cells: r.Cells, Count: r.Count, hash: r.Hash, ID: uint32(r.Hash)}
	switch {
	case s.Computers:
		out.CID, out.Cells = computerOf(r.Cells), r.Cells[1:]
	case len(s.plan.Selects) == 1 && only(r.Cells[:len(r.Cells)-s.aged], TooMany):
		out.kind = rest
	}
	return out
}

// rowID is the number of the answer of a single sensor in the public API: the
// hash of its lower-cased texts.
func rowID(cells []answer.Cell) uint32 {
	switch {
	case only(cells, NoResults):
		return rowNoResults
	case only(cells, TooMany):
		return rowTooMany
	}
	return sensor.Hash(strings.ToLower(joined(cells)))
}

func joined(cells []answer.Cell) string {
	var b strings.Builder
	for i, c := range cells {
		for j, text := range c {
			if i+j > 0 {
				b.WriteByte('|')
			}
			b.WriteString(text)
		}
	}
	return b.String()
}

// only reports whether every text is the given one.
func only(cells []answer.Cell, text string) bool {
	for _, c := range cells {
		for _, t := range c {
			if t != text {
				return false
			}
		}
	}
	return true
}

// computerOf reads the machine's number from the first cell, as machines that
// answer apart say it; 0 if something
// else stands there, such as an error.
func computerOf(cells []answer.Cell) uint32 {
	if len(cells) == 0 || len(cells[0]) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(cells[0][0], 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// collateStep is how many rows are counted together at a time: so much is held
// besides what is kept.
const collateStep = 1 << 16

// collated counts the machines of a plan that has them apart together, as if it
// had not.
func collated(p plan.Plan, rows answer.Rows) answer.Rows {
	out := answer.Rows{Cut: 0}
	batch := make([]answer.Row, 0, min(collateStep, len(rows.List)))
	flush := func() {
		out = answer.MergeRows(answer.ServerLimits, out, answer.RowsOf(answer.ServerLimits, batch...))
		batch = batch[:0]
	}
	add := func(cells []answer.Cell, count uint64) {
		if batch = append(batch, answer.Row{Hash: hashOf(cells), Cells: cells, Count: count}); len(batch) == collateStep {
			flush()
		}
	}
	for _, r := range rows.List {
		if len(p.Selects) != 1 || len(r.Cells) < 2 {
			add(r.Cells[min(1, len(r.Cells)):], r.Count)
			continue
		}
		for i := range r.Cells[1] { // as many rows as the sensor had
			cells := make([]answer.Cell, len(r.Cells)-1)
			for j, c := range r.Cells[1:] {
				cells[j] = c[min(i, len(c)):min(i+1, len(c))]
				if len(c) == 1 { // an age is that of all
					cells[j] = c
				}
			}
			add(cells, r.Count)
		}
	}
	flush()
	if out.Cut == 0 && rows.Cut != 0 {
		out.Cut = 1<<64 - 1 // some are missing, nobody knows which
	}
	return out
}

func hashOf(cells []answer.Cell) uint64 {
	h := fnv.New64a()
	h.Write(answer.AppendCells(nil, cells))
	return mixed(h.Sum64())
}

// mixed spreads a hash evenly, as the cut of rows demands.
func mixed(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

const ageColumn = "Age"

// aged adds to the row of each machine how old it is.
func aged(rows answer.Rows, age func(computer uint32) string) answer.Rows {
	out := answer.Rows{List: make([]answer.Row, len(rows.List)), Cut: rows.Cut}
	for i, r := range rows.List {
		r.Cells = append(slices.Clip(r.Cells), answer.Cell{age(computerOf(r.Cells))})
		out.List[i] = r
	}
	return out
}
