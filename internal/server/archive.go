package server

import (
	"context"
	"time"

	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/server/resultset"
	"catenary/internal/server/store"
)

// archiveFor is how long after it was given the last answer of a machine to a
// saved question is kept, and what came of the question in brief.
const archiveFor = 30 * 24 * time.Hour

// archive keeps of the answer to a question that was asked for a saved one what
// is to outlast it: what came of it in brief, and if the saved question wants
// that, the last answer of each machine.
func (s *Server) archive(ctx context.Context, c closing, p plan.Plan) error {
	of, err := s.store.SavedScopeOf(ctx, c.question)
	if fault.KindOf(err) == fault.NotFound {
		return nil // it was asked by itself
	}
	if err != nil {
		return err
	}
	saved := s.shelves.ByID("saved_question", of.SavedQuestion)
	if saved == nil {
		return nil // deleted meanwhile
	}
	top, distinct := resultset.Briefly(p, c.result.Rows)
	point := store.TrendPoint{
		Question: c.question, Closed: c.at, Expected: c.result.Expected, Answered: c.result.Answered,
		Passed: c.result.Passed, Errors: c.result.Errors, Rows: distinct,
	}
	for _, b := range top {
		point.Top = append(point.Top, store.TrendRow(b))
	}
	if err := s.store.AddTrend(ctx, of, point); err != nil || !saved.Object.Is("archive_enabled_flag") {
		return err
	}
	var list []store.RecentAnswer
	for _, said := range resultset.Each(p, c.result.Rows) {
		a := store.RecentAnswer{ComputerID: said.Computer, Question: c.question, Answered: c.at, Cells: make([][]string, len(said.Cells))}
		for i, cell := range said.Cells {
			a.Cells[i] = cell
		}
		list = append(list, a)
	}
	if len(list) == 0 {
		return nil
	}
	return s.store.KeepRecent(ctx, of, resultset.Shape(p), list)
}
