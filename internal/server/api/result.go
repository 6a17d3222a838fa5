package api

import (
	"context"
	"fmt"
	"time"

	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/server/resultset"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// nowFormat is how result sets tell the server's time.
const nowFormat = "2006/01/02 15:04:05 GMT-0000"

type resultInfos struct {
	Now             string       `json:"now"`
	MaxAvailableAge string       `json:"max_available_age"`
	ResultInfos     []resultInfo `json:"result_infos"`
}

type resultSets struct {
	Now             string       `json:"now"`
	MaxAvailableAge string       `json:"max_available_age"`
	ResultInfos     []resultInfo `json:"result_infos,omitempty"` // of merged sets
	ResultSets      []resultSet  `json:"result_sets"`
	ExportID        string       `json:"export_id,omitempty"`
}

// resultRoutes are all routes that show answers.
func (s *server) resultRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"GET", v2 + "result_info/question/{id}", withSession, rights.AskDynamicQuestion, get(s.resultInfo)},
		{"GET", v2 + "result_data/question/{id}", withSession, rights.AskDynamicQuestion, get(s.resultData)},
		{"GET", v2 + "result_info/saved_question/{id}", withSession, rights.ReadSavedQuestion, get(s.savedResultInfo)},
		{"GET", v2 + "result_data/saved_question/{id}", withSession, rights.ReadSavedQuestion, get(s.savedResultData)},
		{"GET", v2 + "saved_questions/{id}/history", withSession, rights.ReadSavedQuestion, get(s.savedHistory)},
		{"GET", v2 + "merged_result_data/{objects...}", withSession, rights.None, get(s.mergedResultData)},
		{"POST", v2 + "build_target_group", withSession, rights.AskDynamicQuestion, post(bodyMax, s.buildTargetGroup)},
		{"GET", "/export/{file}", withSession, rights.None, handler(s.exportFile)},
	}
}

// asked returns the record of a question and what it has asked for.
func (s *server) asked(ctx context.Context, id uint64) (store.Question, plan.Plan, error) {
	q, err := s.store.Question(ctx, id)
	if err != nil {
		return store.Question{}, plan.Plan{}, orMissing(err, "Question", "question")
	}
	p, err := plan.Decode(q.Plan)
	if err != nil {
		return store.Question{}, plan.Plan{}, fmt.Errorf("plan of question %d: %w", id, err)
	}
	return q, p, nil
}

// read looks at the answer of the question that the path names.
func (s *server) read(ctx context.Context, c call) (reading, error) {
	id, err := c.number("id", "question")
	if err != nil {
		return reading{}, err
	}
	r, err := s.reading(ctx, c, id)
	if err != nil {
		return reading{}, err
	}
	return r, allowHistory(c, r.record)
}

func (s *server) reading(ctx context.Context, c call, id uint64) (reading, error) {
	q, p, err := s.asked(ctx, id)
	if err != nil {
		return reading{}, err
	}
	if err := s.allowAnswer(c, q); err != nil {
		return reading{}, err
	}
	res, err := s.engine.Result(ctx, id)
	return reading{record: q, plan: p, result: res, bounds: s.boundsOf(p), now: time.Now()}, orMissing(err, "Question", "question")
}

// within refuses an answer that is not about the group which a caller wants to
// see: nothing in the answer says which of its machines are in there.
func (o resultOptions) within(q store.Question) error {
	if o.ContextID != 0 && int64(o.ContextID) != q.ContextGroup {
		return fault.New(fault.Invalid, "context_id: question %d was not asked about group %d: ask it with context_group", q.ID, o.ContextID)
	}
	return nil
}

func (s *server) resultInfo(ctx context.Context, c call) (resultInfos, error) {
	o, err := c.resultOptions()
	if err != nil {
		return resultInfos{}, err
	}
	r, err := s.read(ctx, c)
	if err != nil {
		return resultInfos{}, err
	}
	if err := o.within(r.record); err != nil {
		return resultInfos{}, err
	}
	info, err := s.infoOf(ctx, r)
	return resultInfos{Now: r.now.UTC().Format(nowFormat), ResultInfos: []resultInfo{info}}, err
}

// infoOf makes a result info.
func (s *server) infoOf(ctx context.Context, r reading) (resultInfo, error) {
	rows, ok := r.distinct()
	if !ok {
		set, err := s.setOf(ctx, r)
		if err != nil {
			return resultInfo{}, err
		}
		rows = len(set.Rows)
	}
	return resultInfo{counters: r.counted(rows, rows, uint64(r.machines()))}, nil
}

func (s *server) resultData(ctx context.Context, c call) (resultSets, error) {
	o, err := c.resultOptions()
	if err != nil {
		return resultSets{}, err
	}
	if o.CacheID != 0 {
		id, err := c.number("id", "question")
		if err != nil {
			return resultSets{}, err
		}
		return s.keptPage(ctx, c, o, keptOf{question: id})
	}
	r, err := s.read(ctx, c)
	if err != nil {
		return resultSets{}, err
	}
	if err := o.within(r.record); err != nil {
		return resultSets{}, err
	}
	return s.shown(ctx, c, o, r)
}

// shown makes what a caller wants of a reading.
func (s *server) shown(ctx context.Context, c call, o resultOptions, r reading) (resultSets, error) {
	out := resultSets{Now: r.now.UTC().Format(nowFormat)}
	set, err := s.setOf(ctx, r)
	if err != nil {
		return out, err
	}
	var kept *keptSet
	if o.Expiration > 0 {
		kept = s.results.keep(r.now, c.user.ID, r, set, o.life())
	}
	return s.page(ctx, c, o, r, set, kept)
}

// keptPage is a page of a set that was kept.
func (s *server) keptPage(ctx context.Context, c call, o resultOptions, of keptOf) (resultSets, error) {
	now := time.Now()
	kept, err := s.results.use(now, c.user.ID, of, int64(o.CacheID), o.life())
	if err != nil {
		return resultSets{}, err
	}
	r := kept.reading
	if err := s.allowReading(c, r); err != nil { // the rights may have changed
		return resultSets{}, err
	}
	r.now = now
	return s.page(ctx, c, o, r, kept.set, kept)
}

// allowReading refuses a reading that was kept to who could not make it now.
func (s *server) allowReading(c call, r reading) error {
	if err := s.allowAnswer(c, r.record); err != nil {
		return err
	}
	if r.saved.id == 0 {
		return allowHistory(c, r.record)
	}
	_, err := s.savedQuestion(c, r.saved.id)
	return err
}

// page makes a page of a set, which may be kept.
func (s *server) page(ctx context.Context, c call, o resultOptions, r reading, set *resultset.Set, kept *keptSet) (resultSets, error) {
	out := resultSets{Now: r.now.UTC().Format(nowFormat)}
	q, err := o.query(set)
	if err != nil {
		return out, err
	}
	v, err := s.look(ctx, o, set, q, kept)
	if err != nil {
		return out, err
	}
	p := o.page()
	if o.Export {
		if out.ExportID, err = s.export(ctx, c, o, r, v); err != nil {
			return out, err
		}
		p = page{start: v.Len()} // what is exported is not sent as well
	}
	shown := r.show(v, p, rowForm{hashes: bool(o.Hashes), refs: kept != nil})
	if kept != nil {
		shown.CacheID = kept.number()
	}
	out.ResultSets = []resultSet{shown}
	return out, nil
}

// setOf makes the rows of a reading, waiting while too many others are made, or
// takes those that were made a moment ago.
func (s *server) setOf(ctx context.Context, r reading) (*resultset.Set, error) {
	key := setKey{r.result.Question, r.result.Version, r.record.ComputerID, len(r.saved.recent), fmt.Sprint(r.saved.buckets)}
	if set := s.results.recent(r.now, key); set != nil {
		return set, nil
	}
	var set *resultset.Set
	err := s.rendering(ctx, func() error {
		set = r.set()
		return nil
	})
	if err == nil {
		s.results.remember(r.now, key, set)
	}
	return set, err
}

// look makes a view of a set, or takes the one that was kept with it.
func (s *server) look(ctx context.Context, o resultOptions, set *resultset.Set, q resultset.Query, kept *keptSet) (v *resultset.View, err error) {
	key := fmt.Sprintf("%v %q %v %v %v %v", o.FilterNotFlag, o.FilterString, o.CacheFilters, q.Order, q.HideErrors, q.HideNoResults) + fmt.Sprint(q.Apart)
	if v := s.results.viewOf(kept, key); v != nil {
		return v, nil
	}
	err = s.rendering(ctx, func() (err error) {
		v, err = set.Look(q, ctx.Err)
		return err
	})
	if err == nil {
		s.results.setView(kept, key, v)
	}
	return v, err
}

// rendering does what takes time and memory, a few at a time.
func (s *server) rendering(ctx context.Context, f func() error) error {
	select {
	case s.renders <- struct{}{}:
		defer func() { <-s.renders }()
	case <-ctx.Done():
		return fault.New(fault.Unavailable, "result set: %w", ctx.Err())
	}
	err := f()
	if ctx.Err() != nil {
		return fault.New(fault.Unavailable, "result set: %w", ctx.Err())
	}
	return err
}
