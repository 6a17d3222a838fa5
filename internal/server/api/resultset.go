package api

import (
	"strconv"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/plan"
	"catenary/internal/sensor"
	"catenary/internal/server/resultset"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
	"catenary/internal/value"
)

// counters stand in a result info and in a result set. Those that count
// machines say so.
type counters struct {
	ID                 uint64 `json:"id"`
	QuestionID         uint64 `json:"question_id"`
	ArchivedQuestionID uint64 `json:"archived_question_id"`
	SavedQuestionID    uint64 `json:"saved_question_id"`
	CacheID            string `json:"cache_id"`
	Age                int64  `json:"age"` // seconds since the question was closed

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
	RowCount                 int `json:"row_count"` // before filters, of all pages
	RowCountMachines         int `json:"row_count_machines"`
	FilteredRowCount         int `json:"filtered_row_count"`
	FilteredRowCountMachines int `json:"filtered_row_count_machines"`

	Expiration         int64 `json:"expiration"`     // seconds left
	ExpireSeconds      int64 `json:"expire_seconds"` // seconds from issue to expiry
	IssueSeconds       int64 `json:"issue_seconds"`  // of a saved question: between askings
	SecondsSinceIssued int64 `json:"seconds_since_issued"`

	// Catenary's own.
	StoppedCount int `json:"stopped_count"`          // of ErrorCount: a sensor took too long
	RunningCount int `json:"running_count"`          // have the question and have not answered
	OfflineCount int `json:"offline_count"`          // machines that are off or dead, and not expected to answer
	RoundCount   int `json:"round_count"`            // highest number of times that a LAN was asked again
	RepeatCount  int `json:"repeat_count"`           // how often all of it was, after the server had ended
	RecentCount  int `json:"recent_count,omitempty"` // machines whose last answer to a saved question stands in for this one
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
	Text string  `json:"text"`
	Hash *uint32 `json:"hash,omitempty"`
}

type rowObject struct {
	ID    uint32         `json:"id"`
	CID   uint32         `json:"cid"`
	RefID uint64         `json:"ref_id,omitempty"` // with a cache, or in events
	Data  [][]textObject `json:"data"`
}

type resultSet struct {
	counters
	Columns []columnObject `json:"columns"`
	Rows    []rowObject    `json:"rows"`
	// DistinctEstimate is how many rows there were, if not all are here.
	DistinctEstimate uint64 `json:"distinct_estimate,omitempty"`
}

// A reading is one look at a question's answer: what all objects are made of.
type reading struct {
	record store.Question
	plan   plan.Plan
	result tally.Result
	saved  savedReading
	bounds resultset.Bounds
	now    time.Time
}

// A savedReading is what a reading has of the saved question that it is of.
type savedReading struct {
	id           int64 // 0: of none
	issueSeconds int64
	recent       map[uint32]time.Time // when machines that are off have last answered
	archived     uint64               // the newest question to which they have; 0: none has
	buckets      []time.Duration
}

// set makes the rows of a reading.
func (r reading) set() *resultset.Set {
	src := resultset.Source{Plan: r.plan, Rows: r.result.Rows, Pending: r.result.Pending, Computers: r.record.ComputerID, Bounds: r.bounds}
	if len(r.saved.buckets) > 0 {
		src.Ages = r.ageOf
	}
	return resultset.New(src)
}

// distinct is how many rows the answer has, if nobody has to look at them for
// that; ok is false if somebody has.
func (r reading) distinct() (rows int, ok bool) {
	rows = len(r.result.Rows.List)
	ok = (r.record.ComputerID || !r.plan.ComputerID) && r.bounds == nil
	if len(r.plan.Selects) == 0 { // nothing stands for those who have yet to answer
		return rows, ok
	}
	if r.result.Pending > 0 {
		rows++
	}
	if r.result.Rows.Cut != 0 {
		rows++
	}
	return rows, ok
}

func (r reading) counters() counters {
	p := r.result.Progress
	c := counters{
		ID: p.Question, QuestionID: p.Question, CacheID: "0", SavedQuestionID: uint64(r.saved.id), ArchivedQuestionID: r.saved.archived,
		EstimatedTotal: p.Expected, MRTested: p.Answered, MRPassed: p.Answered - p.Outside, Tested: p.Answered - p.Outside, Passed: p.Passed,
		StoppedCount: p.Stopped, RunningCount: p.Pending, OfflineCount: p.Gone, RoundCount: p.Rounds, RepeatCount: p.Repeated,
		ErrorCount: p.Errors, NoResultsCount: p.NoResults, ReportCount: p.Reports, SelectCount: len(r.plan.Selects),
		Expiration:         max(0, int64(p.Expires.Sub(r.now)/time.Second)),
		ExpireSeconds:      int64(p.Expires.Sub(p.Issued) / time.Second),
		SecondsSinceIssued: max(0, int64(r.now.Sub(p.Issued)/time.Second)),
		IssueSeconds:       r.saved.issueSeconds,
		RecentCount:        len(r.saved.recent),
	}
	if c.Age = int64(r.now.Sub(p.Expires) / time.Second); c.Age < 0 {
		c.Age = 0
	}
	return c
}

// machines is how many are behind all rows.
func (r reading) machines() int {
	n := r.result.Passed + len(r.saved.recent)
	if len(r.plan.Selects) > 0 {
		n += r.result.Pending
	}
	return n
}

// counted are the counters with those of rows.
func (r reading) counted(rows, filtered int, machines uint64) counters {
	c := r.counters()
	c.ItemCount, c.RowCount, c.RowCountMachines = filtered, rows, r.machines()
	c.FilteredRowCount, c.FilteredRowCountMachines = filtered, c.RowCountMachines
	if machines < uint64(c.RowCountMachines) { // a machine may have given several rows, and not more than it is counted
		c.FilteredRowCountMachines = int(machines)
	}
	return c
}

// show makes a page of a view.
func (r reading) show(v *resultset.View, p page, form rowForm) resultSet {
	s := resultSet{counters: r.counted(len(v.Set.Rows), v.Len(), v.Machines()), Columns: columnObjects(v.Set), DistinctEstimate: v.Set.Estimate}
	from, to := p.bounds(v.Len())
	s.Rows = make([]rowObject, 0, to-from)
	for i := from; i < to; i++ {
		s.Rows = append(s.Rows, form.row(v.Row(i)))
	}
	return s
}

func columnObjects(s *resultset.Set) []columnObject {
	out := make([]columnObject, 0, len(s.Columns)+1)
	for _, c := range s.Columns {
		out = append(out, columnObject(c))
	}
	return append(out, columnObject{0, "Count", value.Numeric})
}

// A rowForm is how rows are written.
type rowForm struct {
	hashes bool // of each text
	refs   bool
}

func (f rowForm) row(r resultset.Row) rowObject {
	o := rowObject{ID: r.ID, CID: r.CID, Data: make([][]textObject, 0, len(r.Cells)+1)}
	if f.refs {
		o.RefID = r.Ref()
	}
	for _, c := range r.Cells {
		o.Data = append(o.Data, f.cell(c))
	}
	o.Data = append(o.Data, f.cell(answer.Cell{strconv.FormatUint(r.Count, 10)}))
	return o
}

func (f rowForm) cell(c answer.Cell) []textObject {
	out := make([]textObject, len(c))
	for i, text := range c {
		out[i].Text = text
		if f.hashes {
			hash := sensor.Hash(strings.ToLower(text))
			out[i].Hash = &hash
		}
	}
	return out
}
