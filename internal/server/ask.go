package server

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"

	"catenary/internal/fault"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

const (
	// holdNative and holdScript are D0 of docs/protocol.md §5.3: what native
	// sensors almost always, and scripts usually need.
	holdNative = 100 * time.Millisecond
	holdScript = 500 * time.Millisecond

	sensorLimit = 60 * time.Second // a sensor that takes longer is stopped
	lifeMin     = 10 * time.Second // a shorter life than a question needs to travel

	// planMax bounds a plan, in bytes: its letter and the seal add less than the
	// difference.
	planMax = wire.SealedMax - 256
)

// Catalogue holds the sensors as of now.
func (s *Server) Catalogue() *sensor.Catalogue { return s.content.Load() }

// Ask compiles a question, records it, signs it and sends it into every chain.
func (s *Server) Ask(ctx context.Context, a question.Asking) (uint64, error) {
	if a.Life < lifeMin || a.Life > wire.LifeMax {
		return 0, fault.New(fault.Invalid, "a question lives between %v and %v, not %v", lifeMin, wire.LifeMax, a.Life)
	}
	catalogue, err := s.catalogueWith(a.Preview)
	if err != nil {
		return 0, err
	}
	p, err := plan.Compile(a.Question, catalogue, plan.Options{
		ComputerID: a.ComputerID || a.Archive,
		Definition: func(d sensor.Sensor) []byte { return d.Signed },
		Groups:     a.Groups, Rights: a.Rights, Context: a.Context,
	})
	if err != nil {
		return 0, err
	}
	encoded := p.Append(nil)
	if err := sendable(encoded); err != nil {
		return 0, err
	}
	// What is on record is asked, also if who asks hangs up just now.
	ctx = context.WithoutCancel(ctx)
	now := time.Now().Truncate(time.Millisecond)
	id, err := s.store.CreateQuestion(ctx, store.Question{
		Text: p.Text, UserID: a.UserID, Plan: encoded, ComputerID: a.ComputerID,
		Issued: now, Expires: now.Add(a.Life), ContextGroup: a.ContextGroup, Scope: a.Scope, Priority: a.Priority,
		Name: a.Name, Index: a.Index, Persona: a.Persona, InWords: a.InWords,
		Tracks: a.Tracks,
	})
	if err != nil {
		return 0, err
	}
	q := s.letter(id, now, a.Life, p, encoded, catalogue)
	q.Priority = a.Priority
	s.metrics.asked.Inc()
	return id, s.do(ctx, func(h *hub) { h.ask(time.Now(), q, asked{id: id, issued: now, tracks: a.Tracks}) })
}

// catalogueWith is the catalogue with a script sensor that is in it for one
// question only; nil: with none.
func (s *Server) catalogueWith(preview *sensor.Sensor) (*sensor.Catalogue, error) {
	catalogue := s.Catalogue()
	if preview == nil {
		return catalogue, nil
	}
	d := *preview
	if d.Native() {
		return nil, fault.New(fault.Invalid, "sensor %q has no script", d.Name)
	}
	_, d.Signed = s.SignSensor(d)
	catalogue, err := catalogue.Changed(nil, []sensor.Sensor{d})
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	return catalogue, nil
}

// sendable reports whether a plan fits in a message. It is asked before the
// question is on record: what is on record and never asked would stay open.
func sendable(encoded []byte) error {
	if len(encoded) > planMax {
		return fault.New(fault.Invalid, "the question and its scripts have %d bytes; the limit is %d", len(encoded), planMax)
	}
	return nil
}

// letter signs a question for the clients under a number of its own. Its plan is
// sendable.
func (s *Server) letter(number uint64, now time.Time, life time.Duration, p plan.Plan, encoded []byte, catalogue *sensor.Catalogue) dispatch.Question {
	letter := wire.Letter{
		Question: number, Issued: now, Life: life, Hold: holdNative, Limit: min(sensorLimit, life),
		Key: s.keys.RowKey, Plan: encoded, Mode: p.Mode(catalogue),
	}
	if slices.ContainsFunc(p.Sensors, func(u plan.Use) bool { return len(u.Definition) > 0 }) {
		letter.Hold = holdScript
	}
	return dispatch.Question{
		ID: number, Sealed: s.keys.Sign(seal.Question, letter.Append(nil)),
		Issued: now, Expires: now.Add(life), Limit: letter.Limit,
		Mode: letter.Mode, Plan: sha256.Sum256(encoded),
	}
}

// Result is the answer so far of a live question, or the last one of a closed
// question.
func (s *Server) Result(ctx context.Context, id uint64) (tally.Result, error) {
	r, _, err := s.result(ctx, id)
	return r, err
}

// Await returns the result as soon as its version exceeds the given one.
func (s *Server) Await(ctx context.Context, id, version uint64) (tally.Result, error) {
	for {
		r, changed, err := s.result(ctx, id)
		if err != nil || r.Version > version {
			return r, err
		}
		select {
		case <-changed: // never, if the question is closed
		case <-ctx.Done():
			return r, ctx.Err()
		case <-s.stopped:
			return r, errStopping
		}
	}
}

func (s *Server) result(ctx context.Context, id uint64) (r tally.Result, changed <-chan struct{}, err error) {
	if doErr := s.do(ctx, func(h *hub) { r, changed, err = h.result(id) }); doErr != nil {
		return r, nil, doErr
	}
	if fault.KindOf(err) != fault.NotFound {
		return r, changed, err
	}
	data, err := s.store.QuestionResult(ctx, id)
	if err != nil {
		return r, nil, err
	}
	return r, nil, json.Unmarshal(data, &r)
}

// SignSensor returns a script sensor's definition, as it is and signed for the
// clients.
func (s *Server) SignSensor(d sensor.Sensor) (definition, signed []byte) {
	definition = d.Append(nil)
	return definition, s.keys.Sign(seal.Sensor, definition)
}

// CreateSensor keeps a script sensor and puts it in the catalogue. It is how
// Catenary itself makes one; operators' come by the API.
func (s *Server) CreateSensor(ctx context.Context, d sensor.Sensor, by string) (store.Sensor, error) {
	if d.Native() {
		return store.Sensor{}, fault.New(fault.Invalid, "sensor %q has no script", d.Name)
	}
	definition, signed := s.SignSensor(d)
	var rec store.Sensor
	err := s.shelves.Change(ctx, shelf.Author{UserName: by}, func(c *shelf.Change) (err error) {
		rec, err = c.Tx().CreateSensor(ctx, store.Sensor{
			Name: d.Name, Definition: definition, Signed: signed, Created: c.Now(), Modified: c.Now(), ModifiedBy: by,
		})
		if err != nil {
			return err
		}
		_, err = c.Create(sensors.Kind, rec.ID, sensors.Object(d))
		return err
	})
	if err != nil {
		return store.Sensor{}, err
	}
	return rec, s.ReloadSensors(ctx, rec.ID)
}
