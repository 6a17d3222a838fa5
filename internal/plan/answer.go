package plan

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"catenary/internal/answer"
	"catenary/internal/expr"
)

const (
	// TextMax bounds one text of an answer, in bytes; what is longer is cut.
	TextMax = 4 << 10
	// RowsMax bounds the rows that one machine says of one sensor.
	RowsMax = 10_000
	// RowBytesMax bounds the texts of a row that stands for a whole machine, in
	// bytes: a row that no link's limit could hold would be lost.
	RowBytesMax = 256 << 10
)

// What stands in a cell instead of a value. Programs that speak the public API
// know these texts, except cutMark.
const (
	noResults      = "[no results]"
	tooManyResults = "[too many results]"
	errorMark      = "TSE-Error: "
	cutMark        = "… [cut]"
)

// Values are what a sensor said on one machine.
type Values struct {
	Rows [][]string // one text per column of the sensor
	Err  error      // it failed, and Rows mean nothing
	// Stopped: it failed because it took longer than it may.
	Stopped bool
}

// Answer returns one machine's rows and its share of the counts. It asks for
// the values of a use at most once, first those that decide the condition, and
// the others only if the machine takes part.
//
// If one sensor is shown, each of its rows is a row. If several are, or the
// computer ID, there is one row, whose cells hold all texts of the machine.
//
// A sensor that failed has the text of its error, and passes no negative test:
// a machine is not chosen because of something that nobody could see on it.
// Such a machine counts as an error even if it takes no part.
func (p Plan) Answer(key answer.Key, computerID uint32, values func(use int) Values) ([]answer.Row, answer.Counts) {
	m := p.on(values)
	if !m.matches() {
		return nil, m.counts
	}
	m.counts.Passed = 1
	if len(p.Selects) == 1 && !p.ComputerID {
		return m.stack(key), m.counts
	}
	return []answer.Row{m.row(key, computerID)}, m.counts
}

// Matches reports whether a machine takes part. It asks only for values of
// [Plan.WhereUses].
func (p Plan) Matches(values func(use int) Values) bool {
	m := p.on(values)
	return m.matches()
}

func (p Plan) on(values func(use int) Values) machine {
	return machine{plan: p, ask: values, known: make([]*Values, len(p.Sensors)), texts: map[string][]string{}}
}

// A machine is one evaluation of a plan.
type machine struct {
	plan   Plan
	ask    func(use int) Values
	known  []*Values           // by use; nil: not asked
	texts  map[string][]string // by the name of a test
	failed []int               // uses
	counts answer.Counts
}

func (m *machine) values(use int) Values {
	if m.known[use] == nil {
		v := m.ask(use)
		m.known[use] = &v
		if v.Err != nil {
			m.failed = append(m.failed, use)
			m.counts.Errors = 1
			if v.Stopped {
				m.counts.Stopped = 1
			}
		}
	}
	return *m.known[use]
}

// matches decides the condition. A sensor that turns out to have failed changes
// the condition, so it is decided again; each time fewer can hold.
func (m *machine) matches() bool {
	for {
		before := len(m.failed)
		if !expr.Eval(m.certain(m.plan.Where, false), m.testedTexts) {
			return false
		}
		if len(m.failed) == before {
			return true
		}
	}
}

// certain returns c with the negated tests of failed sensors taken as passed,
// so that their negation fails.
func (m *machine) certain(c expr.Condition, negated bool) expr.Condition {
	switch c := c.(type) {
	case expr.And:
		return expr.And(m.certainAll(c, negated))
	case expr.Or:
		return expr.Or(m.certainAll(c, negated))
	case expr.Not:
		return expr.Not{Of: m.certain(c.Of, !negated)}
	case expr.Test:
		if use, _, ok := m.plan.tested(c.Name); ok && negated && slices.Contains(m.failed, use) {
			return expr.And{}
		}
	}
	return c
}

func (m *machine) certainAll(parts []expr.Condition, negated bool) []expr.Condition {
	out := make([]expr.Condition, len(parts))
	for i, c := range parts {
		out[i] = m.certain(c, negated)
	}
	return out
}

// testedTexts returns the texts that a test is about, uncut.
func (m *machine) testedTexts(name string) []string {
	if texts, ok := m.texts[name]; ok {
		return texts
	}
	use, field, _ := m.plan.tested(name) // Check holds each name to be one
	v := m.values(use)
	var texts []string
	switch {
	case v.Err != nil:
		texts = []string{errorMark + v.Err.Error()}
	case len(v.Rows) == 0:
		texts = []string{noResults}
	default:
		for _, row := range v.Rows {
			row = fitted(row, m.plan.Sensors[use].Width)
			if field == wholeRow {
				texts = append(texts, strings.Join(row, rowJoint))
			} else {
				texts = append(texts, row[field])
			}
		}
	}
	m.texts[name] = texts
	return texts
}

// fitted returns row with as many texts as the sensor has columns.
func fitted(row []string, width int) []string {
	if len(row) == width {
		return row
	}
	out := make([]string, width)
	copy(out, row)
	return out
}

// stack returns the rows of the only sensor that is shown.
func (m *machine) stack(key answer.Key) []answer.Row {
	var out []answer.Row
	for _, row := range m.shownRows(m.plan.Selects[0], RowsMax*TextMax) {
		cells := make([]answer.Cell, len(row))
		for i, text := range row {
			cells[i] = answer.Cell{text}
		}
		out = append(out, key.Row(cells))
	}
	return out
}

// row returns the one row that stands for the machine.
func (m *machine) row(key answer.Key, computerID uint32) answer.Row {
	cells := make([]answer.Cell, len(m.plan.Columns))
	if m.plan.ComputerID {
		cells[0] = answer.Cell{strconv.FormatUint(uint64(computerID), 10)}
	}
	for _, use := range m.plan.Selects {
		columns := m.columns(use)
		for _, row := range m.shownRows(use, RowBytesMax/len(m.plan.Selects)) {
			for i, text := range row {
				cells[columns[i]] = append(cells[columns[i]], text)
			}
		}
	}
	return key.Row(cells)
}

// columns returns which columns of the answer show a use.
func (m *machine) columns(use int) []int {
	var out []int
	for i, c := range m.plan.Columns {
		if c.Use == use {
			out = append(out, i)
		}
	}
	return out
}

// shownRows returns what a use has to say in its columns, at least one row and
// about so many bytes at most. The rows of a set are sorted, so that machines
// with the same set say the same.
func (m *machine) shownRows(use, bytes int) [][]string {
	columns := m.columns(use)
	v := m.values(use)
	switch {
	case v.Err != nil:
		return [][]string{repeated(cut(errorMark+v.Err.Error()), len(columns))}
	case len(v.Rows) == 0:
		m.counts.NoResults = 1
		return [][]string{repeated(noResults, len(columns))}
	}
	rows := make([][]string, len(v.Rows))
	for i, row := range v.Rows {
		row = fitted(row, m.plan.Sensors[use].Width)
		rows[i] = make([]string, len(columns))
		for j, c := range columns {
			rows[i][j] = cut(row[m.plan.Columns[c].Field])
		}
	}
	if !m.plan.Sensors[use].KeepDuplicates {
		slices.SortFunc(rows, slices.Compare)
		rows = slices.CompactFunc(rows, slices.Equal)
	}
	return limited(rows, bytes)
}

// limited returns rows, or as many as the limits allow and one that says so.
func limited(rows [][]string, bytes int) [][]string {
	for i, row := range rows {
		for _, text := range row {
			bytes -= len(text)
		}
		if i+1 == RowsMax && len(rows) > RowsMax || bytes < 0 && i > 0 {
			return append(rows[:i:i], repeated(tooManyResults, len(row)))
		}
	}
	return rows
}

func repeated(text string, n int) []string {
	return slices.Repeat([]string{text}, n)
}

// cut returns text as it may stand in an answer: UTF-8 and not too long.
func cut(text string) string {
	if len(text) <= TextMax && utf8.ValidString(text) {
		return text
	}
	text = strings.ToValidUTF8(text, string(utf8.RuneError))
	if len(text) <= TextMax {
		return text
	}
	end := TextMax - len(cutMark)
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cutMark
}
