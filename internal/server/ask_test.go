package server

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
	"catenary/internal/wire"
)

// TestQuestionTooLarge: a question that does not fit in a message is refused
// and leaves nothing behind that would be open for ever.
func TestQuestionTooLarge(t *testing.T) {
	s := startSite(t, t.TempDir())
	var names []string
	for i := range 3 {
		names = append(names, fmt.Sprintf("Large %d", i))
		if _, err := s.CreateSensor(t.Context(), sensor.Sensor{
			Name: names[i], Columns: []sensor.Column{{Name: names[i], Type: value.String}}, MaxAge: time.Minute,
			Platforms: []sensor.Platform{sensor.Linux},
			Scripts:   []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "#" + strings.Repeat("x", 100<<10)}},
		}, "test"); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(names []string) error {
		q, err := question.Parse("Get "+strings.Join(names, " and ")+" from all machines", s.Catalogue(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Ask(t.Context(), question.Asking{Question: q, Life: time.Minute, UserID: 1})
		return err
	}
	if err := ask(names); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "the question and its scripts have 3") {
		t.Errorf("three large scripts: %v", err)
	}
	if open, err := s.store.OpenQuestions(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("%d questions stay open, %v", len(open), err)
	}
	if err := ask(names[:2]); err != nil {
		t.Errorf("two large scripts: %v", err)
	}
}

// TestLargestQuestion: a plan that is sendable fits in a message, whatever else
// the letter says.
func TestLargestQuestion(t *testing.T) {
	s := startSite(t, t.TempDir())
	encoded := make([]byte, planMax)
	q := s.Server.letter(math.MaxUint64, time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), wire.LifeMax, plan.Plan{}, encoded, s.Server.Catalogue())
	if n := len(q.Sealed); sendable(encoded) != nil || n > wire.SealedMax || n < wire.SealedMax-256 {
		t.Errorf("sealed, the largest plan has %d bytes; the limit is %d", n, wire.SealedMax)
	}
	if sendable(make([]byte, planMax+1)) == nil {
		t.Error("there is no limit")
	}
}

// TestAskerHangsUp: a question that is on record is asked, also if nobody waits
// for its number any more.
// TestAskPreview: a script that is in no catalogue is asked, signed, and leaves no
// trace there.
func TestAskPreview(t *testing.T) {
	s := startSite(t, t.TempDir())
	d := sensor.Sensor{
		Name: "Preview of Who", MaxAge: time.Second, Mode: answer.Sealed, Columns: []sensor.Column{{Name: "Who", Type: value.String}},
		Platforms: []sensor.Platform{sensor.Linux}, Scripts: []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "who"}},
	}
	a := question.Asking{Question: question.Question{Selects: []question.Select{{Ref: question.Ref{Sensor: d.Name}}}}, Life: time.Minute, Preview: &d}
	id, err := s.Ask(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := s.store.Question(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	p, err := plan.Decode(rec.Plan)
	if err != nil {
		t.Fatal(err)
	}
	if _, signed := s.SignSensor(d); len(p.Sensors) != 1 || !bytes.Equal(p.Sensors[0].Definition, signed) {
		t.Errorf("asked %+v", p)
	}
	if _, known := s.Catalogue().ByName(d.Name); known {
		t.Error("the sensor is in the catalogue")
	}
	d.Scripts = nil
	if _, err := s.Ask(t.Context(), a); fault.KindOf(err) != fault.Invalid {
		t.Errorf("without a script: %v", err)
	}
}

func TestAskerHangsUp(t *testing.T) {
	s := startSite(t, t.TempDir())
	q, err := question.Parse("Get Computer Name from all machines", s.Catalogue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	hangUp()
	id, err := s.Ask(ctx, question.Asking{Question: q, Life: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := s.Result(t.Context(), id); err != nil || r.Question != id {
		t.Errorf("%+v, %v", r, err)
	}
}
