package api

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/plan"
	"catenary/internal/sensor"
	"catenary/internal/server/tally"
	"catenary/internal/value"
)

// Texts that stand in the place of an answer, and the row numbers that
// programs know two of them by.
const (
	textNoResults   = "[no results]"
	textTooMany     = "[too many results]"
	textUnavailable = "[current results unavailable]"

	rowNoResults = 0
	rowTooMany   = 1
)

// counters stand in a result info and in a result set. Those that count
// machines say so.
type counters struct {
	ID                 uint64 `json:"id"`
	QuestionID         uint64 `json:"question_id"`
	ArchivedQuestionID uint64 `json:"archived_question_id"`
	SavedQuestionID    uint64 `json:"saved_question_id"`
	CacheID            string `json:"cache_id"`
	Age                int    `json:"age"`

	EstimatedTotal int `json:"estimated_total"` // machines that are expected to answer
	MRTested       int `json:"mr_tested"`       // machines whose answer is counted
	MRPassed       int `json:"mr_passed"`       // of these, machines that the asker may ask
	Tested         int `json:"tested"`          // of these, machines that have decided the question's condition: all
	Passed         int `json:"passed"`          // machines that match the question's condition

	ErrorCount     int `json:"error_count"`
	NoResultsCount int `json:"no_results_count"`
	ReportCount    int `json:"report_count"` // merged answers that chains have delivered
	SelectCount    int `json:"select_count"`

	ItemCount                int `json:"item_count"`
	RowCount                 int `json:"row_count"` // of all pages
	RowCountMachines         int `json:"row_count_machines"`
	FilteredRowCount         int `json:"filtered_row_count"`
	FilteredRowCountMachines int `json:"filtered_row_count_machines"`

	Expiration         int64 `json:"expiration"`     // seconds left
	ExpireSeconds      int64 `json:"expire_seconds"` // seconds from issue to expiry
	IssueSeconds       int64 `json:"issue_seconds"`  // of a saved question: between askings
	SecondsSinceIssued int64 `json:"seconds_since_issued"`

	// Catenary's own.
	StoppedCount int `json:"stopped_count"` // of ErrorCount: a sensor took too long
	RunningCount int `json:"running_count"` // have the question and have not answered
	OfflineCount int `json:"offline_count"` // machines that are off or dead, and not expected to answer
	RoundCount   int `json:"round_count"`   // highest number of times that a LAN was asked again
	RepeatCount  int `json:"repeat_count"`  // how often all of it was, after the server had ended
}

type resultInfo struct {
	counters
	RowCountFlag bool `json:"row_count_flag"`
}

type columnObject struct {
	Hash uint32     `json:"hash"`
	Name string     `json:"name"`
	Type value.Type `json:"type"`
}

type textObject struct {
	Text string `json:"text"`
}

type rowObject struct {
	ID   uint32         `json:"id"`
	CID  uint32         `json:"cid"`
	Data [][]textObject `json:"data"`
}

type resultSet struct {
	counters
	Columns []columnObject `json:"columns"`
	Rows    []rowObject    `json:"rows"`
	// DistinctEstimate is how many rows there were, if not all are here.
	DistinctEstimate uint64 `json:"distinct_estimate,omitempty"`
}

// A reading is one look at a question's answer: what both objects are made of.
type reading struct {
	plan   plan.Plan
	result tally.Result
	now    time.Time
}

// special returns the rows that no machine has said: how many machines have
// yet to answer, and that there were more rows than are kept. A question for
// the number of machines has neither: its one row is its answer.
func (r reading) special() (pending, cut bool) {
	some := len(r.plan.Columns) > 0
	return some && r.result.Pending > 0, some && r.result.Rows.Cut != 0
}

func (r reading) counters() counters {
	p := r.result.Progress
	rows := len(r.result.Rows.List)
	machines := p.Passed
	pending, cut := r.special()
	if pending {
		rows++
		machines += p.Pending
	}
	if cut {
		rows++
	}
	return counters{
		ID: p.Question, QuestionID: p.Question, CacheID: "0",
		EstimatedTotal: p.Expected, MRTested: p.Answered, MRPassed: p.Answered - p.Outside, Tested: p.Answered - p.Outside, Passed: p.Passed,
		StoppedCount: p.Stopped, RunningCount: p.Pending, OfflineCount: p.Gone, RoundCount: p.Rounds, RepeatCount: p.Repeated,
		ErrorCount: p.Errors, NoResultsCount: p.NoResults, ReportCount: p.Reports, SelectCount: len(r.plan.Selects),
		ItemCount: rows, RowCount: rows, RowCountMachines: machines, FilteredRowCount: rows, FilteredRowCountMachines: machines,
		Expiration:         max(0, int64(p.Expires.Sub(r.now)/time.Second)),
		ExpireSeconds:      int64(p.Expires.Sub(p.Issued) / time.Second),
		SecondsSinceIssued: max(0, int64(r.now.Sub(p.Issued)/time.Second)),
	}
}

func (r reading) info() resultInfo { return resultInfo{counters: r.counters()} }

func (r reading) set(p page) resultSet {
	s := resultSet{counters: r.counters(), Columns: r.columns()}
	rows := r.ordered()
	if _, cut := r.special(); cut {
		s.DistinctEstimate = r.result.Rows.Distinct()
	}
	from, to := p.bounds(s.RowCount)
	s.Rows = make([]rowObject, 0, to-from)
	for i := from; i < to; i++ {
		if i < len(rows) {
			s.Rows = append(s.Rows, r.row(rows[i]))
		} else {
			s.Rows = append(s.Rows, r.tooMany())
		}
	}
	return s
}

func (r reading) columns() []columnObject {
	out := make([]columnObject, 0, len(r.plan.Columns)+1)
	for _, c := range r.plan.Columns {
		out = append(out, columnObject{c.SensorHash, c.Name, c.Type})
	}
	return append(out, columnObject{0, "Count", value.Numeric})
}

// ordered returns the rows in the order in which they are shown: the most
// frequent first, equal ones by their texts. The row of the machines that have
// yet to answer stands among them.
func (r reading) ordered() []*answer.Row {
	list := r.result.Rows.List
	out := make([]*answer.Row, 0, len(list)+1)
	for i := range list {
		out = append(out, &list[i])
	}
	if pending, _ := r.special(); pending {
		out = append(out, &answer.Row{
			Hash:  uint64(sensor.Hash(textUnavailable)),
			Cells: slices.Repeat([]answer.Cell{{textUnavailable}}, len(r.plan.Columns)),
			Count: uint64(r.result.Pending),
		})
	}
	slices.SortFunc(out, func(a, b *answer.Row) int {
		if c := cmp.Compare(b.Count, a.Count); c != 0 {
			return c
		}
		return cmp.Or(compareCells(a.Cells, b.Cells), cmp.Compare(a.Hash, b.Hash))
	})
	return out
}

func compareCells(a, b []answer.Cell) int {
	return slices.CompareFunc(a, b, func(x, y answer.Cell) int { return slices.Compare(x, y) })
}

func (r reading) row(row *answer.Row) rowObject {
	o := rowObject{ID: r.rowID(row), Data: make([][]textObject, 0, len(row.Cells)+1)}
	for _, c := range row.Cells {
		cell := make([]textObject, len(c))
		for i, text := range c {
			cell[i] = textObject{text}
		}
		o.Data = append(o.Data, cell)
	}
	if r.plan.ComputerID {
		o.CID = computerID(row)
	}
	o.Data = append(o.Data, countCell(row.Count))
	return o
}

// tooMany is the row behind the last one if there were more.
func (r reading) tooMany() rowObject {
	data := slices.Repeat([][]textObject{{{textTooMany}}}, len(r.plan.Columns))
	return rowObject{ID: rowTooMany, Data: append(data, countCell(0))}
}

func countCell(n uint64) []textObject { return []textObject{{strconv.FormatUint(n, 10)}} }

// rowID is the number of a row in the public API: of the answer of a single
// sensor, the hash of its lower-cased text; of other rows any number that
// stays the same.
func (r reading) rowID(row *answer.Row) uint32 {
	if len(r.plan.Selects) != 1 || r.plan.ComputerID {
		return uint32(row.Hash)
	}
	texts := make([]string, len(row.Cells))
	for i, c := range row.Cells {
		texts[i] = strings.Join(c, "|")
	}
	switch {
	case only(texts, textNoResults):
		return rowNoResults
	case only(texts, textTooMany):
		return rowTooMany
	}
	return sensor.Hash(strings.ToLower(strings.Join(texts, "|")))
}

// only reports whether every text is the given one.
func only(texts []string, text string) bool {
	return !slices.ContainsFunc(texts, func(t string) bool { return t != text })
}

// computerID reads the machine's number from the first column.
func computerID(row *answer.Row) uint32 {
	if len(row.Cells) == 0 || len(row.Cells[0]) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(row.Cells[0][0], 10, 32)
	if err != nil {
		return 0 // a text in its place, such as an error
	}
	return uint32(n)
}
