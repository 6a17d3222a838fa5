package server

import (
	"encoding/json"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/resultset"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// setSensor changes what operators say of a sensor.
func (s *site) setSensor(t *testing.T, name, field string, v any) {
	t.Helper()
	if err := s.shelves.Change(t.Context(), shelf.Author{UserName: "ann"}, func(c *shelf.Change) error {
		r := c.ByName(sensors.Kind, name)
		o := r.Object.Clone()
		o.Set(field, v)
		_, err := c.Update(r, o)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestClosedAnswers: of a question that is closed the bytes of its answers are
// counted, the strings of sensors are remembered that may be, and no more of
// them are kept in the database than may.
func TestClosedAnswers(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.setSensor(t, "Operating System", "max_strings", int64(1))
	s.setSensor(t, "Computer Name", "exclude_from_parse_flag", true)
	end := func(text string, passed int, said ...[]answer.Cell) (kept tally.Result) {
		t.Helper()
		q, err := question.Parse(text, s.Catalogue(), nil)
		if err != nil {
			t.Fatal(err)
		}
		id, err := s.Ask(t.Context(), question.Asking{Question: q, Life: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		var rows []answer.Row
		for _, cells := range said {
			rows = append(rows, s.keys.RowKey.Row(cells))
		}
		s.finish(t.Context(), closing{question: id, at: time.Now(), result: tally.Result{
			Progress: tally.Progress{Answered: passed, Passed: passed}, Rows: answer.RowsOf(answer.ServerLimits, rows...),
		}})
		data, err := s.store.QuestionResult(t.Context(), id)
		if err == nil {
			err = json.Unmarshal(data, &kept)
		}
		if err != nil {
			t.Fatal(err)
		}
		return kept
	}
	kept := end("Get Operating System from all machines", 4, []answer.Cell{{"Linux"}}, []answer.Cell{{"Linux"}}, []answer.Cell{{"AIX"}}, []answer.Cell{{"OS/2"}})
	if len(kept.Rows.List) != 2 || kept.Rows.List[0].Count != 2 || kept.Rows.List[1].Count != 2 {
		t.Errorf("the database has %+v", kept.Rows.List)
	}
	end("Get Computer Name from all machines", 1, []answer.Cell{{"pc7"}})
	end("Get Running Processes from all machines", 2, []answer.Cell{{"init"}}, []answer.Cell{{"init"}}, []answer.Cell{{"sh"}})

	stats := map[string]store.SensorStat{}
	for _, x := range s.SensorStats() {
		stats[x.Name] = x
	}
	for name, want := range map[string]store.SensorStat{
		"Operating System":  {Answers: 4, Bytes: store.Spread{Sum: 5 + 5 + 3 + 4, Squares: 25 + 25 + 9 + 16}},
		"Computer Name":     {Answers: 1, Bytes: store.Spread{Sum: 3, Squares: 9}},
		"Running Processes": {Answers: 2, Bytes: store.Spread{Sum: 10, Squares: 50}}, // three rows of two machines
	} {
		want.Name, want.Hash = name, sensor.Hash(name)
		if stats[name] != want {
			t.Errorf("%+v, want %+v", stats[name], want)
		}
	}
	if r := s.Runtimes(); len(r) != 0 {
		t.Errorf("run times of sensors of which only answers are known: %v", r)
	}
	for name, want := range map[string]int{"Operating System": 1, "Computer Name": 0, "Running Processes": 2} {
		if n := s.Strings().Count(time.Now(), name, sensors.KeptIn(s.shelves, name)); n != want {
			t.Errorf("%d strings of %s are remembered, not %d", n, name, want)
		}
	}
}

// TestPerMachine: rows are not machines where a machine has several.
func TestPerMachine(t *testing.T) {
	p := plan.Plan{Sensors: []plan.Use{{}}, Selects: []int{0}}
	three := resultset.Spread{Count: 3, Sum: 30, Squares: 500}
	for passed, want := range map[int]float64{0: 500, 3: 500, 4: 500, 2: 450} {
		if got := perMachine(p, tally.Result{Progress: tally.Progress{Passed: passed}}, three); got.Squares != want || got.Sum != 30 {
			t.Errorf("of %d machines: %+v", passed, got)
		}
	}
	p.ComputerID = true
	if got := perMachine(p, tally.Result{Progress: tally.Progress{Passed: 2}}, three); got != three {
		t.Errorf("machines apart: %+v", got)
	}
}
