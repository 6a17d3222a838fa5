package api

import (
	"context"
	"fmt"
	"time"

	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/question"
	"catenary/internal/server/object"
	"catenary/internal/server/resultset"
	"catenary/internal/server/shelf"
)

// A targetRequest names rows of a result set that is kept.
type targetRequest struct {
	CacheID      number          `json:"cache_id"`
	ReferenceIDs []filter.Number `json:"reference_ids"`
}

// buildTargetGroup makes a group of the machines that have given some rows: a
// question can be asked about it, as its context_group.
func (s *server) buildTargetGroup(ctx context.Context, c call, in targetRequest) (idObject, error) {
	kept, err := s.results.use(time.Now(), c.user.ID, keptOf{}, int64(in.CacheID), 0)
	if err != nil {
		return idObject{}, err
	}
	if err := s.allowReading(c, kept.reading); err != nil { // the rights may have changed
		return idObject{}, err
	}
	where, err := s.targets(kept, in.ReferenceIDs)
	if err != nil {
		return idObject{}, err
	}
	o := object.New(object.ShapeOf("group"))
	if err := s.sayGroup(o, where); err != nil {
		return idObject{}, err
	}
	var made *shelf.Record
	err = s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) (err error) {
		made, err = s.adHocGroup(ch, o)
		return err
	})
	if err != nil {
		return idObject{}, err
	}
	return idObject{uint64(made.ID)}, nil
}

// targets is the condition of the machines that have given some rows of a kept
// set: they match the set's own question, and say what the rows say.
func (s *server) targets(kept *keptSet, refs []filter.Number) (question.Condition, error) {
	var chosen []resultset.Row
	for _, ref := range refs {
		row, ok := kept.set.ByRef(uint64(ref))
		if !ok {
			return nil, fault.New(fault.NotFound, "RowNotFound: the result set has no row with ref_id %d", ref)
		}
		chosen = append(chosen, row)
	}
	where, err := kept.set.Where(chosen)
	if err != nil {
		return nil, err
	}
	q, err := question.Parse(kept.reading.plan.Text, s.engine.Catalogue(), s.groups)
	if err != nil {
		return nil, fmt.Errorf("the question of the result set: %w", err)
	}
	if q.Where != nil {
		where = question.And{q.Where, where}
	}
	return question.ResolveCondition(where, s.engine.Catalogue(), s.groups)
}
