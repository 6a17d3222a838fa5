package server

import (
	"context"
	"time"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/server/resultset"
	"catenary/internal/server/sensors"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// planOf reads what a question has asked for. What this program does not
// understand is [fault.Invalid].
func (s *Server) planOf(ctx context.Context, question uint64) (plan.Plan, error) {
	q, err := s.store.Question(ctx, question)
	if err != nil {
		return plan.Plan{}, err
	}
	p, err := plan.Decode(q.Plan)
	if err != nil {
		return plan.Plan{}, fault.New(fault.Invalid, "question %d: %w", question, err)
	}
	return p, nil
}

// keptRows are rows as they are kept: with no more strings than sensors may have.
func (s *Server) keptRows(p plan.Plan, rows answer.Rows) answer.Rows {
	return resultset.Bounded(p, rows, resultset.BoundsOf(p, func(name string) resultset.Bound {
		return resultset.Bound{Strings: sensors.KeptIn(s.shelves, name).Strings}
	}))
}

// learn takes in what an answer says of its sensors: how many bytes, and the
// strings that help to read questions. It is called once for each question, off
// the way of answers.
func (s *Server) learn(now time.Time, p plan.Plan, r tally.Result) {
	kept := func(use plan.Use) sensors.Kept {
		k := sensors.KeptIn(s.shelves, use.Name)
		k.Unhinted = k.Unhinted || len(use.Params) > 0
		return k
	}
	said, bytes := resultset.Strings(p, r.Rows, func(use plan.Use) int { return kept(use).Most() })
	catalogue := s.Catalogue()
	for i, use := range p.Sensors {
		d, known := catalogue.ByName(use.Name)
		if !known || bytes[i].Count == 0 {
			continue
		}
		s.sensing.count(d.Hash(), d.Name, perMachine(p, r, bytes[i]))
		if len(use.Params) > 0 {
			continue // what it says depends on what it was asked
		}
		texts := make([]string, len(said[i]))
		for j, h := range said[i] {
			texts[j] = h.Text
		}
		s.strings.Hear(now, d.Name, kept(use), texts)
	}
}

// perMachine is a spread of rows as one of machines. Of a sensor whose rows were
// counted one by one nobody knows which machine has said which: all are taken to
// have said the same.
func perMachine(p plan.Plan, r tally.Result, of resultset.Spread) resultset.Spread {
	machines := uint64(max(r.Passed, 0))
	if p.ComputerID || len(p.Selects) != 1 || of.Count <= machines || machines == 0 {
		return of
	}
	return resultset.Spread{Count: machines, Sum: of.Sum, Squares: of.Sum * of.Sum / float64(machines)}
}

// count adds to the bytes of a sensor's answers.
func (s *sensing) count(hash uint32, name string, bytes resultset.Spread) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, had := s.stats[hash]
	if !had && len(s.stats) >= statsMax {
		return
	}
	if x.Name != name {
		x = store.SensorStat{Hash: hash, Name: name}
	}
	x.Answers += bytes.Count
	x.Bytes.Sum, x.Bytes.Squares = x.Bytes.Sum+bytes.Sum, x.Bytes.Squares+bytes.Squares
	s.stats[hash], s.dirty[hash] = x, true
}

// Strings are what machines have said lately.
func (s *Server) Strings() *sensors.Strings { return s.strings }
