package sim

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"catenary/internal/server/tally"
)

// Trials plays trials. It ends with the first that breaks a law; under a
// control, laws are only counted.
func (s Seeds) Trials(ctx context.Context, c Control) (TrialsReport, error) {
	var mu sync.Mutex // guards sum
	sum := TrialsReport{Control: c}
	began := time.Now()
	err := s.each(ctx, func(seed uint64) error {
		rep, err := RunTrial(seed, c, Options{})
		mu.Lock()
		defer mu.Unlock()
		sum.add(rep)
		return seen(err, Trial, seed, c)
	})
	sum.Wall = time.Since(began)
	slices.Sort(sum.Sum.Took)
	return sum, err
}

// A TrialsReport is what happened in many trials.
type TrialsReport struct {
	Control  Control
	Trials   int
	Wall     time.Duration
	Sum      TrialReport // of the counts; Took is in order
	Replaced int
	Refused  int
}

func (r *TrialsReport) add(t TrialReport) {
	r.Trials++
	s := &r.Sum
	s.Machines += t.Machines
	s.Faults += t.Faults
	s.Events += t.Events
	s.Questions += t.Questions
	s.Doubled += t.Doubled
	s.Missing += t.Missing
	s.Asked += t.Asked
	s.Direct += t.Direct
	s.Witnesses += t.Witnesses
	s.Took = append(s.Took, t.Took...)
	for i, n := range t.Verdicts {
		s.Verdicts[i] += n
	}
	r.Replaced, r.Refused = s.Verdicts[tally.Replaced], s.Verdicts[tally.Refused]
}

// Within is how long all but so many of a thousand questions took.
func (r TrialsReport) Within(perMille int) time.Duration {
	if len(r.Sum.Took) == 0 {
		return 0
	}
	return r.Sum.Took[(len(r.Sum.Took)-1)*perMille/1000].Round(time.Millisecond)
}

func (r TrialsReport) String() string {
	s := r.Sum
	text := fmt.Sprintf(`%d trials with %d machines, %d faults and %d questions (%v)
double counts        %d
machines missing     %d
time to completion   %v half of the questions, %v 99 %%, %v 99.9 %%, %v all
asked again          %d questions
asked directly       %d machines, %d answered as witnesses
reports              %d: %d counted, %d duplicates, %d replaced tainted ones, %d refused, %d before their machines`,
		r.Trials, s.Machines, s.Faults, s.Questions, r.Wall.Round(time.Second),
		s.Doubled, s.Missing, r.Within(500), r.Within(990), r.Within(999), r.Within(1000),
		s.Asked, s.Direct, s.Witnesses,
		s.Verdicts[0]+s.Verdicts[1]+s.Verdicts[2]+s.Verdicts[3]+s.Verdicts[4],
		s.Verdicts[tally.Counted], s.Verdicts[tally.Duplicate], r.Replaced, r.Refused, s.Verdicts[tally.Foreign])
	if r.Control != (Control{}) {
		text = fmt.Sprintf("control: %v\n%s", r.Control, text)
	}
	return text
}
