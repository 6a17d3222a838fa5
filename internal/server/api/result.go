package api

import (
	"context"
	"fmt"
	"time"

	"catenary/internal/fault"
	"catenary/internal/plan"
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
	Now             string      `json:"now"`
	MaxAvailableAge string      `json:"max_available_age"`
	ResultSets      []resultSet `json:"result_sets"`
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
	_, p, err := s.asked(ctx, id)
	if err != nil {
		return reading{}, err
	}
	res, err := s.engine.Result(ctx, id)
	return reading{p, res, time.Now()}, orMissing(err, "Question", "question")
}

func (s *server) resultInfo(ctx context.Context, c call) (resultInfos, error) {
	r, err := s.read(ctx, c)
	return resultInfos{
		Now: r.now.UTC().Format(nowFormat), ResultInfos: []resultInfo{r.info()},
	}, err
}

func (s *server) resultData(ctx context.Context, c call) (resultSets, error) {
	p, err := c.page()
	if err != nil {
		return resultSets{}, err
	}
	r, err := s.read(ctx, c)
	if err != nil {
		return resultSets{}, err
	}
	set, err := s.render(ctx, r, p)
	return resultSets{Now: r.now.UTC().Format(nowFormat), ResultSets: []resultSet{set}}, err
}

// render makes a result set, waiting while too many others are being made.
func (s *server) render(ctx context.Context, r reading, p page) (resultSet, error) {
	select {
	case s.renders <- struct{}{}:
		defer func() { <-s.renders }()
		return r.set(p), nil
	case <-ctx.Done():
		return resultSet{}, fault.New(fault.Unavailable, "result set: %w", ctx.Err())
	}
}
