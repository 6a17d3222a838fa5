package api

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/resultset"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
)

// boundsOf are how much is kept of what machines say to a plan's sensors.
func (s *server) boundsOf(p plan.Plan) resultset.Bounds {
	return resultset.BoundsOf(p, func(name string) resultset.Bound {
		k := sensors.KeptIn(s.shelves, name)
		return resultset.Bound{Strings: k.Strings, Age: k.Age}
	})
}

// detailSensor says how many strings of a sensor are remembered.
func (s *server) detailSensor(r *shelf.Record, o *object.Object) {
	o.Set("string_count", int64(s.engine.Strings().Count(time.Now(), r.Name, sensors.KeptIn(s.shelves, r.Name))))
}

// forgetStrings forgets what machines have said that are off when it is older than
// their sensors allow.
func (s *server) forgetStrings(ctx context.Context, now time.Time) (err error) {
	for _, r := range s.shelves.All("saved_question") {
		q, parseErr := question.Parse(r.Object.Text("query_text"), s.engine.Catalogue(), s.groups)
		if parseErr != nil {
			continue // it names what is not there any more, and is not asked
		}
		var shortest time.Duration
		for _, shown := range q.Selects {
			if age := sensors.KeptIn(s.shelves, shown.Sensor).Age; age > 0 && (shortest == 0 || age < shortest) {
				shortest = age
			}
		}
		if shortest > 0 {
			err = errors.Join(err, s.store.ForgetRecentOf(ctx, r.ID, now.Add(-shortest)))
		}
	}
	return err
}

// hintsMax bounds the questions that are made of what machines have said: more
// are guesses.
const hintsMax = 2

// valueWords stand in a sentence in front of a value.
var valueWords = []string{"with", "where", "has", "have", "having", "running", "on"}

// hinted are questions about the machines that have said lately what a loose
// text says. Who may not see all machines is told nothing, since nobody knows
// which of them have said it.
func (s *server) hinted(c call, text string, catalogue *sensor.Catalogue) (out []question.Candidate) {
	if within(c.rights) != nil {
		return nil
	}
	whole := strings.Fields(text)
	last := len(whole)
	for last > 0 && !slices.Contains(valueWords, strings.ToLower(whole[last-1])) {
		last--
	}
	kept := func(name string) (sensors.Kept, bool) {
		return sensors.KeptIn(s.shelves, name), s.seesSensor(c, name)
	}
	for _, part := range []string{text, strings.Join(whole[last:], " ")} {
		for _, h := range s.engine.Strings().Who(time.Now(), question.Telling(part), hintsMax, kept) {
			q := question.Question{
				Selects: []question.Select{{Ref: question.Ref{Sensor: "Computer Name"}}},
				Where:   question.Test{Ref: question.Ref{Sensor: h.Sensor}, Op: question.Contains, Value: h.Text},
			}
			if q, err := question.Parse(q.String(), catalogue, s.groups); err == nil {
				out = append(out, question.Candidate{Question: q})
			}
		}
		if len(out) > 0 {
			break
		}
	}
	return out
}
