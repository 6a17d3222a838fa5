package resultset

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"unicode/utf8"

	"catenary/internal/answer"
	"catenary/internal/plan"
)

// Shape is a number that is the same for plans whose rows fit together: they ask
// the same, and their columns are the same.
func Shape(p plan.Plan) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q\n", p.Text) // a hash takes everything
	for _, c := range p.Columns {
		fmt.Fprintf(h, "%d %q %d %d\n", c.SensorHash, c.Name, c.Type, c.Field)
	}
	return h.Sum64()
}

// A Said is what one machine has said.
type Said struct {
	Computer uint32
	Cells    []answer.Cell
}

// Each returns what each machine has said, if the plan has them apart.
func Each(p plan.Plan, rows answer.Rows) (out []Said) {
	if !p.ComputerID {
		return nil
	}
	for _, r := range rows.List {
		if id := computerOf(r.Cells); id != 0 {
			out = append(out, Said{id, r.Cells})
		}
	}
	return out
}

// Add returns rows with what machines have said earlier that are not in them,
// and those machines.
func Add(p plan.Plan, rows answer.Rows, earlier []Said) (answer.Rows, []uint32) {
	here := map[uint32]bool{}
	for _, said := range Each(p, rows) {
		here[said.Computer] = true
	}
	var more []answer.Row
	var added []uint32
	for _, e := range earlier {
		if here[e.Computer] || len(e.Cells) != len(p.Columns) {
			continue
		}
		here[e.Computer] = true
		added = append(added, e.Computer)
		more = append(more, answer.Row{Hash: hashOf(e.Cells), Cells: e.Cells, Count: 1})
	}
	return answer.MergeRows(answer.ServerLimits, rows, answer.RowsOf(answer.ServerLimits, more...)), added
}

// A Brief is a row in short.
type Brief struct {
	ID    uint32
	Texts []string // one for each column
	Count uint64
}

const (
	briefRows  = 20  // rows of an answer in short
	briefBytes = 200 // of each of their texts
)

// Briefly is an answer in short: its most frequent rows, and how many different
// ones there are.
func Briefly(p plan.Plan, rows answer.Rows) (top []Brief, distinct int) {
	set := New(Source{Plan: p, Rows: rows})
	for i := range min(briefRows, len(set.Rows)) {
		r := set.Row(i)
		b := Brief{ID: r.ID, Count: r.Count}
		for _, c := range r.Cells {
			b.Texts = append(b.Texts, shortened(strings.Join(slices.Clip(c[:min(len(c), briefBytes)]), ", ")))
		}
		top = append(top, b)
	}
	return top, len(set.Rows)
}

func shortened(text string) string {
	if len(text) <= briefBytes {
		return text
	}
	end := briefBytes
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
