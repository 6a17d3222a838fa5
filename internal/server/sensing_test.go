package server

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/resultset"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

// tells registers with what a change adds.
func (x *speaker) tells(change func(*wire.Register)) wire.Registered {
	x.t.Helper()
	m := x.registration()
	change(&m)
	r, err := x.register(m)
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

// TestSensorStatistics: what machines say of run times is added up, and outlives
// a restart; what nobody can believe is left out.
func TestSensorStatistics(t *testing.T) {
	dir := t.TempDir()
	hash := sensor.Hash("Computer Name")
	ms := time.Millisecond
	t.Run("before", func(t *testing.T) {
		s := startSite(t, dir)
		x := s.speaker(t)
		x.tells(func(m *wire.Register) {
			m.Runs = []wire.Run{
				{Sensor: hash, Count: 2, Real: wire.Spent{Sum: 30 * ms, Squares: 500}, Min: 10 * ms, Max: 20 * ms},
				{Sensor: 12345, Count: 1, Real: wire.Spent{Sum: ms}, Max: ms},
				{Sensor: sensor.Hash("Is Linux"), Count: runsBelieved + 1, Real: wire.Spent{Sum: ms}, Max: ms},
			}
		})
		x.tells(func(m *wire.Register) {
			m.Runs = []wire.Run{{Sensor: hash, Count: 1, Real: wire.Spent{Sum: 6 * ms, Squares: 36}, Min: 6 * ms, Max: 6 * ms, Measured: 1, User: wire.Spent{Sum: ms, Squares: 1}}}
		})
		if r := s.Runtimes()["Computer Name"]; r != (plan.Runtime{Average: 12 * ms, Max: 20 * ms}) {
			t.Errorf("%+v", r)
		}
	})
	s := startSite(t, dir)
	want := store.SensorStat{
		Hash: hash, Name: "Computer Name", Count: 3, Real: store.Spread{Sum: 36, Squares: 536}, Min: 6, Max: 20, Measured: 1, User: store.Spread{Sum: 1, Squares: 1},
	}
	if list := s.SensorStats(); len(list) != 1 || list[0] != want {
		t.Errorf("after a restart: %+v", list)
	}
}

// rulesIn opens the rules that a reply brings.
func (s *site) rulesIn(t *testing.T, r wire.Registered) sensor.Rules {
	t.Helper()
	ring := seal.NewRing(s.keys.Root)
	for _, v := range s.keys.Vouchers {
		if err := ring.Add(v); err != nil {
			t.Fatal(err)
		}
	}
	payload, err := ring.Open(time.Now(), seal.Rules, r.Rules)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := sensor.DecodeRules(payload)
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// TestQuarantineOnTheServer: machines name the sensors that they do not run; who
// releases one is heard by each with its next registration, once, and after a
// restart, too.
func TestQuarantineOnTheServer(t *testing.T) {
	dir := t.TempDir()
	hash := sensor.Hash("Is Linux")
	var rules sensor.Rules
	t.Run("before", func(t *testing.T) {
		s := startSite(t, dir)
		x, y := s.speaker(t), s.speaker(t)
		held := func(m *wire.Register) { m.Quarantined = []uint32{7, hash} }
		if r := x.tells(held); len(r.Rules) != 0 {
			t.Error("rules that nobody has made are sent")
		}
		y.tells(func(m *wire.Register) { m.Quarantined = []uint32{hash} })
		list, err := s.Quarantine(t.Context(), nil)
		if err != nil || len(list) != 2 || list[0].Name != "Is Linux" || list[0].Machines != 2 || len(list[0].Some) != 2 || list[1].Name != "" || list[0].Releasing {
			t.Fatalf("%+v, %v", list, err)
		}
		if err := s.ReleaseSensor(t.Context(), hash); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Quarantine(t.Context(), nil); err != nil || !list[0].Releasing || list[1].Releasing {
			t.Errorf("%+v, %v", list, err)
		}
		only := func(id endpoint.ID) bool { return id == y.id }
		if list, err := s.Quarantine(t.Context(), only); err != nil || len(list) != 1 || list[0].Machines != 1 || list[0].Some[0].Client != y.id {
			t.Errorf("of one machine: %+v, %v", list, err)
		}
		rules = s.rulesIn(t, x.tells(held))
		if !rules.Frees(hash, 0) || rules.Frees(7, 0) || rules.Overruns != sensor.DefaultRules.Overruns {
			t.Errorf("%+v", rules)
		}
		if r := x.tells(func(m *wire.Register) { m.Rules = rules.Number }); len(r.Rules) != 0 {
			t.Error("the same rules are sent again")
		}
		if list, err := s.Quarantine(t.Context(), nil); err != nil || len(list) != 1 || list[0].Machines != 1 {
			t.Errorf("%+v, %v", list, err)
		}
	})
	s := startSite(t, dir)
	x := s.speaker(t)
	if again := s.rulesIn(t, x.tells(func(*wire.Register) {})); again.Number != rules.Number || !again.Frees(hash, 0) {
		t.Errorf("after a restart: %+v", again)
	}
}

// TestQuarantineFollowsItsSettings: what operators say holds a moment later.
func TestQuarantineFollowsItsSettings(t *testing.T) {
	s := startSite(t, t.TempDir())
	x := s.speaker(t)
	err := s.shelves.Change(t.Context(), shelf.Author{UserName: "test"}, func(c *shelf.Change) error {
		for name, value := range map[string]string{setting.QuarantineOverruns: "7", setting.QuarantineSeconds: "20", setting.Quarantine: "0"} {
			rec := c.ByName(setting.Kind, name)
			o := object.New(object.ShapeOf(setting.Kind))
			o.Set("name", name)
			if rec != nil {
				o = rec.Object.Clone()
			}
			o.Set("value", json.RawMessage(value))
			if err := setting.Settle(nil, o); err != nil {
				return err
			}
			var err error
			if rec != nil {
				_, err = c.Update(rec, o)
			} else {
				_, err = c.Create(setting.Kind, 0, o)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for s.sensing.current().Number == 0 {
		if ctx.Err() != nil {
			t.Fatal("the settings are not followed")
		}
		x.tells(func(*wire.Register) {})
	}
	rules := s.rulesIn(t, x.tells(func(*wire.Register) {}))
	if !rules.Off || rules.Overruns != 7 || rules.After != 20*time.Second {
		t.Errorf("%+v", rules)
	}
}

// TestArchive: of the answer to a saved question stay what came of it in brief,
// and what each machine has said last.
func TestArchive(t *testing.T) {
	s := startSite(t, t.TempDir())
	q, err := question.Parse("Get Operating System from all machines", s.Catalogue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var saved int64
	err = s.shelves.Change(t.Context(), shelf.Author{UserName: "test"}, func(c *shelf.Change) error {
		o := object.New(object.ShapeOf("saved_question"))
		o.Set("name", "Systems")
		o.Set("archive_enabled_flag", true)
		r, err := c.Create("saved_question", 0, o)
		if err == nil {
			saved = r.ID
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() (uint64, plan.Plan) {
		t.Helper()
		id, err := s.Ask(t.Context(), question.Asking{Question: q, Life: time.Minute, Archive: true})
		if err != nil {
			t.Fatal(err)
		}
		rec, err := s.store.Question(t.Context(), id)
		if err != nil || rec.ComputerID {
			t.Fatalf("%+v, %v", rec, err)
		}
		p, err := plan.Decode(rec.Plan)
		if err != nil || !p.ComputerID {
			t.Fatalf("machines are not asked apart: %v", err)
		}
		return id, p
	}
	close := func(id uint64, p plan.Plan, at time.Time, said ...answer.Row) {
		t.Helper()
		c := closing{question: id, at: at, result: tally.Result{Progress: tally.Progress{Expected: 9, Answered: len(said), Passed: len(said)}, Rows: answer.RowsOf(answer.ServerLimits, said...)}}
		if err := s.archive(t.Context(), c, p); err != nil {
			t.Fatal(err)
		}
	}
	said := func(id, system string) answer.Row { return s.keys.RowKey.Row([]answer.Cell{{id}, {system}}) }
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	of := store.SavedScope{SavedQuestion: saved}
	for i, rows := range [][]answer.Row{{said("7", "Linux"), said("8", "AIX")}, {said("8", "Linux")}} {
		id, p := ask()
		if err := s.store.KeepReissue(t.Context(), store.Reissue{Question: int64(id), SavedQuestion: saved, Asked: noon}); err != nil {
			t.Fatal(err)
		}
		close(id, p, noon.Add(time.Duration(i)*time.Minute), rows...)
	}
	alone, p := ask()
	close(alone, p, noon, said("9", "by itself"))

	points, n, err := s.store.Trend(t.Context(), of, 0, 10)
	if err != nil || n != 2 || points[0].Rows != 1 || points[1].Rows != 2 || points[0].Top[0].Texts[0] != "Linux" || points[0].Expected != 9 {
		t.Errorf("%+v, %v", points, err)
	}
	recent, err := s.store.RecentAnswers(t.Context(), of, resultset.Shape(p))
	if err != nil || len(recent) != 2 || recent[0].ComputerID != 8 || recent[0].Cells[1][0] != "Linux" || recent[1].ComputerID != 7 || recent[0].Question <= recent[1].Question || recent[1].Question == 0 || !recent[1].Answered.Equal(noon) {
		t.Errorf("%+v, %v", recent, err)
	}
}
