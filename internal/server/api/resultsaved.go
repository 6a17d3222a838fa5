package api

import (
	"context"
	"slices"
	"strconv"
	"time"

	"catenary/internal/answer"
	"catenary/internal/server/resultset"
	"catenary/internal/server/store"
)

// readSavedResult looks at the newest answer of the saved question that the path
// names.
func (s *server) readSavedResult(ctx context.Context, c call, o resultOptions) (reading, error) {
	id, err := c.number("id", "saved question")
	if err != nil {
		return reading{}, err
	}
	return s.savedReading(ctx, c, o, int64(id))
}

func (s *server) savedReading(ctx context.Context, c call, o resultOptions, id int64) (reading, error) {
	question, err := s.questionOf(ctx, c, id, int64(o.ContextID))
	if err != nil {
		return reading{}, err
	}
	r, err := s.reading(ctx, c, question)
	if err != nil {
		return reading{}, err
	}
	saved, err := s.savedQuestion(c, id)
	if err != nil {
		return reading{}, err
	}
	r.saved = savedReading{id: id, issueSeconds: saved.Object.Int("issue_seconds")}
	if o.MostRecent {
		of := store.SavedScope{SavedQuestion: saved.asked(), Scope: string(s.scope(c.rights, int64(o.ContextID)))}
		err = s.addRecent(ctx, &r, of, o)
	}
	return r, err
}

// addRecent adds to an answer what machines have said earlier that have not
// given one.
func (s *server) addRecent(ctx context.Context, r *reading, of store.SavedScope, o resultOptions) (err error) {
	if r.saved.buckets, err = o.buckets(); err != nil {
		return err
	}
	r.saved.recent = map[uint32]time.Time{}
	if !r.plan.ComputerID {
		return nil // nobody knows who has said what
	}
	list, err := s.store.RecentAnswers(ctx, of, resultset.Shape(r.plan))
	if err != nil {
		return err
	}
	if age := r.bounds.Age(r.plan); age > 0 {
		list = slices.DeleteFunc(list, func(a store.RecentAnswer) bool { return r.now.Sub(a.Answered) > age })
	}
	earlier := make([]resultset.Said, len(list))
	last := make(map[uint32]store.RecentAnswer, len(list))
	for i, a := range list {
		cells := make([]answer.Cell, len(a.Cells))
		for j, c := range a.Cells {
			cells[j] = c
		}
		earlier[i] = resultset.Said{Computer: a.ComputerID, Cells: cells}
		last[a.ComputerID] = a
	}
	var added []uint32
	r.result.Rows, added = resultset.Add(r.plan, r.result.Rows, earlier)
	for _, id := range added {
		r.saved.recent[id] = last[id].Answered
		r.saved.archived = max(r.saved.archived, last[id].Question)
	}
	return nil
}

// ageOf says how old what a machine says is, in words that group machines: the
// first of the ages asked for that it does not exceed.
func (r reading) ageOf(computer uint32) string {
	answered, ok := r.saved.recent[computer]
	if !ok {
		return "now"
	}
	age := r.now.Sub(answered)
	i, _ := slices.BinarySearch(r.saved.buckets, age)
	if i == len(r.saved.buckets) {
		return "more than " + spanText(r.saved.buckets[i-1])
	}
	return "up to " + spanText(r.saved.buckets[i])
}

// spanText is a span of time in the largest unit that it is a multiple of.
func spanText(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		size time.Duration
		name string
	}{{7 * day, "week"}, {day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= u.size && d%u.size == 0 {
			return plural(int64(d/u.size), u.name)
		}
	}
	return plural(int64(d/time.Second), "second")
}

func plural(n int64, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.FormatInt(n, 10) + " " + unit + "s"
}

func (s *server) savedResultInfo(ctx context.Context, c call) (resultInfos, error) {
	o, err := c.resultOptions()
	if err != nil {
		return resultInfos{}, err
	}
	r, err := s.readSavedResult(ctx, c, o)
	if err != nil {
		return resultInfos{}, err
	}
	info, err := s.infoOf(ctx, r)
	return resultInfos{Now: r.now.UTC().Format(nowFormat), ResultInfos: []resultInfo{info}}, err
}

func (s *server) savedResultData(ctx context.Context, c call) (resultSets, error) {
	o, err := c.resultOptions()
	if err != nil {
		return resultSets{}, err
	}
	if o.CacheID != 0 { // what is kept stays, also when the question is asked again meanwhile
		return s.keptData(ctx, c, o)
	}
	r, err := s.readSavedResult(ctx, c, o)
	if err != nil {
		return resultSets{}, err
	}
	return s.shown(ctx, c, o, r)
}

// keptData is a page of a set that was kept of the saved question that the path
// names.
func (s *server) keptData(ctx context.Context, c call, o resultOptions) (resultSets, error) {
	id, err := c.number("id", "saved question")
	if err != nil {
		return resultSets{}, err
	}
	if _, err := s.savedQuestion(c, int64(id)); err != nil {
		return resultSets{}, err
	}
	return s.keptPage(ctx, c, o, keptOf{saved: int64(id)})
}

// A trendObject is what came of a saved question once. It is Catenary's own.
type trendObject struct {
	QuestionID     uint64     `json:"question_id"`
	ClosedTime     isoTime    `json:"closed_time"`
	EstimatedTotal int        `json:"estimated_total"`
	MRTested       int        `json:"mr_tested"`
	Passed         int        `json:"passed"`
	ErrorCount     int        `json:"error_count"`
	RowCount       int        `json:"row_count"`
	Rows           []trendRow `json:"rows"` // the most frequent
}

type trendRow struct {
	ID    uint32   `json:"id"`
	Texts []string `json:"texts"`
	Count uint64   `json:"count"`
}

// savedHistory is what came of a saved question each time, newest first.
func (s *server) savedHistory(ctx context.Context, c call) ([]any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	if p, err = p.limited(); err != nil {
		return nil, err
	}
	o, err := c.resultOptions()
	if err != nil {
		return nil, err
	}
	id, err := c.number("id", "saved question")
	if err != nil {
		return nil, err
	}
	saved, err := s.savedQuestion(c, int64(id))
	if err != nil {
		return nil, err
	}
	list, total, err := s.store.Trend(ctx, store.SavedScope{SavedQuestion: saved.asked(), Scope: string(s.scope(c.rights, int64(o.ContextID)))}, p.start, p.count)
	if err != nil {
		return nil, err
	}
	out := make([]trendObject, 0, len(list))
	for _, t := range list {
		rows := make([]trendRow, 0, len(t.Top))
		for _, row := range t.Top {
			rows = append(rows, trendRow(row))
		}
		out = append(out, trendObject{
			QuestionID: t.Question, ClosedTime: isoTime(t.Closed), EstimatedTotal: t.Expected, MRTested: t.Answered,
			Passed: t.Passed, ErrorCount: t.Errors, RowCount: t.Rows, Rows: rows,
		})
	}
	return listed(out, total), nil
}
