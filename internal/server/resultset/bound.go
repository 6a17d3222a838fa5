package resultset

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/plan"
)

// A Bound is how much is kept of what machines say to a sensor. The zero Bound
// is none.
type Bound struct {
	Strings int           // different ones in one answer
	Age     time.Duration // of what a machine said that is off now
}

// Bounds are those of a plan's sensors, in their order; nil: none has any.
type Bounds []Bound

// BoundsOf asks for the bound of each sensor of a plan.
func BoundsOf(p plan.Plan, of func(sensor string) Bound) Bounds {
	var out Bounds
	for i, use := range p.Sensors {
		if b := of(use.Name); b != (Bound{}) {
			if out == nil {
				out = make(Bounds, len(p.Sensors))
			}
			out[i] = b
		}
	}
	return out
}

// Age is the shortest of the sensors that a plan shows; 0: none has one.
func (b Bounds) Age(p plan.Plan) (shortest time.Duration) {
	if b == nil {
		return 0
	}
	for _, use := range p.Selects {
		if age := b[use].Age; age > 0 && (shortest == 0 || age < shortest) {
			shortest = age
		}
	}
	return shortest
}

// A saying is the columns of an answer in which one sensor says its strings.
type saying struct {
	use     int
	columns []int
}

// sayings of a plan, each sensor's once for each way in which its rows are
// chosen.
func sayings(p plan.Plan) (out []saying) {
	type way struct{ use, keep int }
	at := map[way]int{}
	for i, c := range p.Columns {
		if c.Use < 0 {
			continue // the computer ID, which nobody says
		}
		w := way{c.Use, c.Keep}
		n, ok := at[w]
		if !ok {
			n = len(out)
			at[w] = n
			out = append(out, saying{use: c.Use})
		}
		out[n].columns = append(out[n].columns, i)
	}
	return out
}

// strings are what a row says of a sensor: a text for each of its rows, with |
// between the columns.
func (s saying) strings(cells []answer.Cell, to []string) []string {
	rows := 0
	for _, c := range s.columns {
		rows = max(rows, len(cells[c]))
	}
	for i := range rows {
		if len(s.columns) == 1 {
			to = append(to, cells[s.columns[0]][i])
			continue
		}
		parts := make([]string, 0, len(s.columns))
		for _, c := range s.columns {
			if cell := cells[c]; i < len(cell) {
				parts = append(parts, cell[i])
			} else if len(cell) == 1 {
				parts = append(parts, cell[0])
			}
		}
		to = append(to, strings.Join(parts, "|"))
	}
	return to
}

// noAnswer reports whether a text stands in the place of one.
func noAnswer(text string) bool {
	first, _, _ := strings.Cut(text, "|")
	return first == NoResults || first == TooMany || first == Unavailable || strings.HasPrefix(first, errorMark)
}

// A Heard is a string that machines have said of a sensor.
type Heard struct {
	Text  string
	Count uint64 // machines
}

// Strings returns, for each of a plan's sensors, as many different strings as are
// wanted that an answer says of it, the most frequent first, and how many bytes
// machines have sent for it.
func Strings(p plan.Plan, rows answer.Rows, wanted func(sensor plan.Use) int) (heard [][]Heard, bytes []Spread) {
	heard, bytes = make([][]Heard, len(p.Sensors)), make([]Spread, len(p.Sensors))
	for _, s := range sayings(p) {
		var buffer []string
		for _, r := range rows.List {
			sent := 0
			buffer = s.strings(r.Cells, buffer[:0])
			for _, text := range buffer {
				sent += len(text)
			}
			bytes[s.use].add(float64(sent), r.Count)
		}
		if most := wanted(p.Sensors[s.use]); most > 0 {
			heard[s.use] = append(heard[s.use], top(s.count(rows), most)...)
		}
	}
	return heard, bytes
}

// count returns how many machines have said each string.
func (s saying) count(rows answer.Rows) map[string]uint64 {
	counts := map[string]uint64{}
	var buffer []string
	for _, r := range rows.List {
		buffer = s.strings(r.Cells, buffer[:0])
		for _, text := range buffer {
			if !noAnswer(text) {
				counts[text] += r.Count
			}
		}
	}
	return counts
}

// top returns the most frequent strings, equal ones by their texts. It never
// orders more than twice as many as are wanted.
func top(counts map[string]uint64, most int) []Heard {
	order := func(a, b Heard) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Text, b.Text)) }
	var out []Heard
	var worst Heard // of those that are in for now, once there are enough
	for text, n := range counts {
		h := Heard{text, n}
		if worst.Count > 0 && order(h, worst) > 0 {
			continue
		}
		if out = append(out, h); len(out) >= 2*most {
			slices.SortFunc(out, order)
			out = out[:most]
			worst = out[most-1]
		}
	}
	slices.SortFunc(out, order)
	return out[:min(len(out), most)]
}

// A Spread is how often something was measured, with the sum and that of the
// squares.
type Spread struct {
	Count        uint64
	Sum, Squares float64
}

func (s *Spread) add(x float64, times uint64) {
	n := float64(times)
	s.Count, s.Sum, s.Squares = s.Count+times, s.Sum+n*x, s.Squares+n*x*x
}

// Bounded returns rows in which no more strings of a sensor stand than its bound
// allows. The most frequent ones stay; [TooMany] stands in the place of the
// others, so that the machines behind them are still counted. What is bounded
// stays as it is if it is bounded again.
func Bounded(p plan.Plan, rows answer.Rows, b Bounds) answer.Rows {
	if b == nil {
		return rows
	}
	for _, s := range sayings(p) {
		if most := b[s.use].Strings; most > 0 {
			rows = s.bounded(p, rows, most)
		}
	}
	return rows
}

func (s saying) bounded(p plan.Plan, rows answer.Rows, most int) answer.Rows {
	counts := s.count(rows)
	if len(counts) <= most {
		return rows
	}
	stays := make(map[string]bool, most)
	for _, h := range top(counts, most) {
		stays[h.Text] = true
	}
	out := func(text string) bool { return !stays[text] && !noAnswer(text) }
	var buffer []string
	kept, changed := answer.Rows{Cut: rows.Cut}, []answer.Row(nil)
	for _, r := range rows.List {
		buffer = s.strings(r.Cells, buffer[:0])
		if !slices.ContainsFunc(buffer, out) {
			kept.List = append(kept.List, r)
			continue
		}
		cells := s.without(r.Cells, buffer, out)
		hash := hashOf(cells)
		if rows.Cut != 0 {
			hash %= rows.Cut // what is left out is said, also where rows were
		}
		changed = append(changed, answer.Row{Hash: hash, Cells: cells, Count: r.Count})
	}
	return answer.MergeRows(answer.ServerLimits, kept, answer.RowsOf(answer.ServerLimits, changed...))
}

// without returns the cells of a row with one TooMany in the place of all
// strings that are out.
func (s saying) without(cells []answer.Cell, strings []string, out func(string) bool) []answer.Cell {
	cells = slices.Clone(cells)
	for _, c := range s.columns {
		was := cells[c]
		now := make(answer.Cell, 0, len(was))
		marked := false
		for i, text := range strings {
			switch {
			case text == TooMany || out(text):
				if !marked {
					now = append(now, TooMany)
				}
				marked = true
			case i < len(was):
				now = append(now, was[i])
			}
		}
		cells[c] = now
	}
	return cells
}
