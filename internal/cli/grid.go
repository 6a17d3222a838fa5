package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"catenary/internal/sensor"
	"catenary/internal/value"
)

// A grid is what a command prints: named columns and rows of cells. The
// formats are different ways of writing the same grid.
type grid struct {
	columns []column
	rows    [][]cell
}

type column struct {
	name   string
	right  bool // numbers stand better at the right edge
	number bool // of whole numbers: JSON writes them as such
}

// A cell holds the values that one machine gave, usually one.
type cell []string

// add appends a row of single values.
func (g *grid) add(values ...string) {
	row := make([]cell, len(values))
	for i, v := range values {
		row[i] = cell{v}
	}
	g.rows = append(g.rows, row)
}

// A resultSet is the answer of a question as the API says it.
type resultSet struct {
	progress
	Columns []resultColumn `json:"columns"`
	Rows    []resultRow    `json:"rows"`
}

type resultColumn struct {
	Hash uint32     `json:"hash"`
	Name string     `json:"name"`
	Type value.Type `json:"type"`
}

type resultRow struct {
	CID  uint32         `json:"cid"` // computer ID of the machine that it stands for; 0: for any number
	Data [][]resultText `json:"data"`
}

type resultText struct {
	Text string `json:"text"`
}

// grid returns the answer with the most frequent rows first. The last column
// is how many machines said the row; the first is their computer ID if computers
// says so, or if rows stand for one machine each.
func (r resultSet) grid(computers bool) (grid, error) {
	if computers || slices.ContainsFunc(r.Rows, func(row resultRow) bool { return row.CID != 0 }) {
		r = r.numbered()
	}
	var g grid
	for i, c := range r.Columns {
		count := c.Hash == 0 && i == len(r.Columns)-1
		right := c.Type == value.Numeric || c.Type == value.NumericInteger
		g.columns = append(g.columns, column{name: c.Name, right: right, number: count})
	}
	g.distinguish()
	for i, row := range r.Rows {
		if len(row.Data) != len(r.Columns) || len(row.Data) == 0 {
			return grid{}, fmt.Errorf("row %d of the answer has %d cells for %d columns", i+1, len(row.Data), len(r.Columns))
		}
		cells := make([]cell, len(row.Data))
		for j, texts := range row.Data {
			for _, t := range texts {
				cells[j] = append(cells[j], t.Text)
			}
		}
		g.rows = append(g.rows, cells)
	}
	r.sort(g.rows)
	return g, nil
}

// numbered is the answer with the computer IDs in a column of their own.
func (r resultSet) numbered() resultSet {
	r.Columns = append([]resultColumn{{Hash: sensor.Hash("Computer ID"), Name: "Computer ID", Type: value.NumericInteger}}, r.Columns...)
	rows := make([]resultRow, len(r.Rows))
	for i, row := range r.Rows {
		var texts []resultText // none, if it stands for several machines
		if row.CID != 0 {
			texts = []resultText{{strconv.FormatUint(uint64(row.CID), 10)}}
		}
		rows[i].Data = append([][]resultText{texts}, row.Data...)
	}
	r.Rows = rows
	return r
}

// distinguish numbers columns that bear the same name, as the columns of two
// sensors may. The count, which programs look for, keeps its name.
func (g *grid) distinguish() {
	used := make(map[string]bool)
	for _, c := range g.columns {
		if c.number {
			used[c.name] = true
		}
	}
	for i, c := range g.columns {
		if c.number {
			continue
		}
		name := c.name
		for n := 2; used[name]; n++ {
			name = fmt.Sprintf("%s (%d)", c.name, n)
		}
		g.columns[i].name, used[name] = name, true
	}
}

func (r resultSet) sort(rows [][]cell) {
	last := len(r.Columns) - 1
	slices.SortStableFunc(rows, func(a, b []cell) int {
		if c := -compareCells(value.NumericInteger, a[last], b[last]); c != 0 {
			return c
		}
		for i := range last {
			if c := compareCells(r.Columns[i].Type, a[i], b[i]); c != 0 {
				return c
			}
		}
		return 0
	})
}

func compareCells(t value.Type, a, b cell) int {
	return slices.CompareFunc(a, b, func(a, b string) int { return compareTexts(t, a, b) })
}

// compareTexts orders texts as their column's type says; those that cannot be
// read as such ([no results]) come last.
func compareTexts(t value.Type, a, b string) int {
	if c, ok := value.Compare(t, a, b); ok {
		return cmp.Or(c, cmp.Compare(a, b))
	}
	_, readableA := value.Compare(t, a, a)
	_, readableB := value.Compare(t, b, b)
	switch {
	case readableA && !readableB:
		return -1
	case readableB && !readableA:
		return 1
	default:
		return cmp.Compare(a, b)
	}
}
