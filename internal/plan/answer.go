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
// the values of a use at most once, first those that decide the conditions, and
// the others only if the machine takes part. A machine that the asker may not
// ask says that and nothing else.
//
// If one sensor is shown, each of its rows is a row. If several are, or the
// computer ID, there is one row, whose cells hold all texts of the machine. Of
// a sensor whose rows are chosen only those are shown that pass; a machine that
// has none, of any sensor whose rows are chosen, takes no part.
//
// A sensor that failed has the text of its error, and passes no negative test:
// a machine is not chosen because of something that nobody could see on it.
// Such a machine counts as an error even if it takes no part.
func (p Plan) Answer(key answer.Key, computerID uint32, values func(use int) Values) ([]answer.Row, answer.Counts) {
	m := p.on(values)
	if !m.holds(p.Rights) {
		return nil, answer.Counts{Outside: 1}
	}
	if !m.holds(p.Where) {
		return nil, m.counts
	}
	shows := m.shows()
	if shows == nil {
		return nil, m.counts
	}
	m.counts.Passed = 1
	if len(p.Selects) == 1 && !p.ComputerID {
		return stack(key, shows[0]), m.counts
	}
	return []answer.Row{m.row(key, computerID, shows)}, m.counts
}

// Matches reports whether the conditions let a machine take part. It asks only
// for values of [Plan.WhereUses].
func (p Plan) Matches(values func(use int) Values) bool {
	m := p.on(values)
	return m.holds(p.Rights) && m.holds(p.Where)
}

func (p Plan) on(values func(use int) Values) machine {
	return machine{plan: p, views: views(p.Columns), ask: values, known: make([]*Values, len(p.Sensors)), texts: map[string][]string{}}
}

// A machine is one evaluation of a plan.
type machine struct {
	plan   Plan
	views  []view
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

// holds decides a condition. A sensor that turns out to have failed changes the
// condition, so it is decided again; each time fewer can hold.
func (m *machine) holds(c expr.Condition) bool {
	if c == nil {
		return true
	}
	for {
		before := len(m.failed)
		if !expr.Eval(m.certain(c, false), m.testedTexts) {
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
		if use, _, _, ok := m.plan.tested(c.Name); ok && negated && slices.Contains(m.failed, use) {
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
	use, field, part, _ := m.plan.tested(name) // Check holds each name to be one
	v := m.values(use)
	var texts []string
	switch {
	case v.Err != nil:
		texts = []string{errorMark + v.Err.Error()}
	case len(v.Rows) == 0:
		texts = []string{noResults}
	default:
		for _, row := range v.Rows {
			texts = append(texts, m.plan.tests(row, use, field, part))
		}
	}
	m.texts[name] = texts
	return texts
}

// tests returns the text of a row that a test is about.
func (p Plan) tests(row []string, use, field, part int) string {
	row = fitted(row, p.Sensors[use].Width)
	if field == wholeRow {
		return p.part(part, strings.Join(row, rowJoint))
	}
	return p.part(part, row[field])
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

// shows returns what each view has to show, and nil if the machine takes no
// part after all. Sensors whose rows are chosen come first, since they decide
// that.
func (m *machine) shows() [][][]string {
	out := make([][][]string, len(m.views))
	limit := RowsMax * TextMax
	if len(m.views) != 1 || m.plan.ComputerID {
		limit = RowBytesMax / max(len(m.views), 1)
	}
	chosen, left := false, false
	for i, v := range m.views {
		if v.keep > 0 {
			out[i] = m.shownRows(v, limit)
			chosen, left = true, left || out[i] != nil
		}
	}
	if chosen && !left {
		m.counts.NoResults = 0
		return nil
	}
	for i, v := range m.views {
		switch {
		case v.keep == 0:
			out[i] = m.shownRows(v, limit)
		case out[i] == nil:
			m.counts.NoResults = 1
			out[i] = [][]string{repeated(noResults, len(v.columns))}
		}
	}
	return out
}

// stack returns the rows of the only sensor that is shown.
func stack(key answer.Key, rows [][]string) []answer.Row {
	out := make([]answer.Row, 0, len(rows))
	for _, row := range rows {
		cells := make([]answer.Cell, len(row))
		for i, text := range row {
			cells[i] = answer.Cell{text}
		}
		out = append(out, key.Row(cells))
	}
	return out
}

// row returns the one row that stands for the machine.
func (m *machine) row(key answer.Key, computerID uint32, shows [][][]string) answer.Row {
	cells := make([]answer.Cell, len(m.plan.Columns))
	if m.plan.ComputerID {
		cells[0] = answer.Cell{strconv.FormatUint(uint64(computerID), 10)}
	}
	for i, v := range m.views {
		for _, row := range shows[i] {
			for j, text := range row {
				cells[v.columns[j]] = append(cells[v.columns[j]], text)
			}
		}
	}
	return key.Row(cells)
}

// shownRows returns what a view has to show, at least one row and about so many
// bytes at most; nil if its condition lets none pass. The rows of a set are
// sorted, so that machines with the same set say the same.
func (m *machine) shownRows(v view, bytes int) [][]string {
	said := m.values(v.use)
	switch {
	case said.Err != nil:
		text := errorMark + said.Err.Error()
		if !m.passesAs(v, text) {
			return nil
		}
		return [][]string{repeated(cut(text), len(v.columns))}
	case len(said.Rows) == 0:
		if !m.passesAs(v, noResults) {
			return nil
		}
		m.counts.NoResults = 1
		return [][]string{repeated(noResults, len(v.columns))}
	}
	var rows [][]string
	passes := m.keeps(v)
	for _, row := range said.Rows {
		if !passes(row) {
			continue
		}
		row = fitted(row, m.plan.Sensors[v.use].Width)
		texts := make([]string, len(v.columns))
		for j, at := range v.columns {
			c := m.plan.Columns[at]
			texts[j] = cut(m.plan.part(c.Part, row[c.Field]))
		}
		rows = append(rows, texts)
	}
	if !m.plan.Sensors[v.use].KeepDuplicates {
		slices.SortFunc(rows, slices.Compare)
		rows = slices.CompactFunc(rows, slices.Equal)
	}
	return limited(rows, bytes)
}

// keeps returns whether the condition of a view lets a row pass.
func (m *machine) keeps(v view) func(row []string) bool {
	if v.keep == 0 {
		return func([]string) bool { return true }
	}
	var now []string
	text := func(name string) []string {
		use, field, part, _ := m.plan.tested(name)
		return []string{m.plan.tests(now, use, field, part)}
	}
	matcher, err := expr.Compile(m.plan.Keeps[v.keep-1])
	return func(row []string) bool {
		now = row
		return err == nil && matcher.Match(text)
	}
}

// passesAs reports whether the condition of a view lets pass the one text that
// stands in the place of all rows. If that is an error, no negative test does.
func (m *machine) passesAs(v view, instead string) bool {
	if v.keep == 0 {
		return true
	}
	return expr.Eval(m.certain(m.plan.Keeps[v.keep-1], false), func(string) []string { return []string{instead} })
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
