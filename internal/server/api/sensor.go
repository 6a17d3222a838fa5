package api

import (
	"bytes"
	"context"
	"net/http"
	"strconv"

	"catenary/internal/answer"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// sensorFace shows sensors. A change of one is kept with its definition, which
// is signed, and the engine hears of it.
func (s *server) sensorFace() *face {
	return &face{
		path: "sensors", kind: sensors.Kind, verbs: canAll | listHasInfo | saysIDOnly, read: rights.ReadSensor, write: rights.WriteSensor, set: "content_set",
		ready:  readySensor,
		detail: s.detailSensor,
		says: "max_strings bounds the different strings of one answer, the most frequent; [too many results] stands for the others. " +
			"max_string_age_minutes bounds how long answers of machines that are off are shown and kept, and strings that help to read questions. " +
			"With exclude_from_parse_flag what machines say does not help to read questions. string_count, where one sensor is shown, is how many strings help now.",
		kept: keeping{create: s.createSensor, update: s.updateSensor, remove: s.removeSensor},
	}
}

func (s *server) sensorRoutes() []route {
	return []route{
		{"GET", "/api/v2/sensors/by-hash/{hash}", withSession, rights.ReadSensor, handler(s.sensorByHash)},
		{"POST", "/api/v2/preview_sensor", withSession, rights.WriteSensor, post(bodyMax, s.previewSensor)},
	}
}

func (s *server) sensorByHash(w http.ResponseWriter, c call) error {
	h, err := strconv.ParseUint(c.PathValue("hash"), 10, 32)
	if err != nil {
		return fault.New(fault.Invalid, "%q is not the hash of a sensor", c.PathValue("hash"))
	}
	f := s.sensorFace()
	d, _ := s.engine.Catalogue().ByHash(uint32(h))
	r := s.shelves.ByName(sensors.Kind, d.Name)
	if r == nil {
		return missing("Sensor", "sensor")
	}
	if err := f.allow(c, f.read, r.Object); err != nil {
		return err
	}
	return s.sendText(w, s.text(f, r))
}

// readySensor lets sensitive data and sealed answers mean each other, whichever
// of them is said.
func readySensor(_ context.Context, _ call, was *shelf.Record, in *object.Object) error {
	sealed := answer.Sealed.String()
	switch {
	case in.Is("sensitive_data_flag"):
		in.Set("answer_mode", sealed)
	case in.Has("answer_mode"):
		in.Set("sensitive_data_flag", in.Text("answer_mode") == sealed)
	case in.Has("sensitive_data_flag") && was != nil && was.Object.Text("answer_mode") == sealed:
		in.Set("answer_mode", answer.Merged.String())
	}
	return nil
}

// signed checks an object that is to be a sensor, and returns what the database
// keeps of it.
func (s *server) signed(c call, ch *shelf.Change, o *object.Object) (store.Sensor, error) {
	if o.Is("sensitive_data_flag") {
		o.Set("answer_mode", answer.Sealed.String())
	}
	d, err := sensors.Definition(o)
	if err == nil {
		_, err = sensors.KeptOf(o)
	}
	if err != nil {
		return store.Sensor{}, err
	}
	o.Set("hash", int64(d.Hash()))
	definition, signature := s.engine.SignSensor(d)
	return store.Sensor{
		Name: d.Name, Definition: definition, Signed: signature, Created: ch.Now(), Modified: ch.Now(), ModifiedBy: c.user.Name,
	}, nil
}

func (s *server) createSensor(ctx context.Context, c call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	n, err := s.signed(c, ch, o)
	if err != nil {
		return nil, err
	}
	if n, err = ch.Tx().CreateSensor(ctx, n); err != nil {
		return nil, err
	}
	s.followSensors(ctx, ch)
	return ch.Create(sensors.Kind, n.ID, o)
}

func (s *server) updateSensor(ctx context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error) {
	if d, ok := s.native(was); ok {
		if !bytes.Equal(o.With(sensors.Object(d)).Store(), o.Store()) {
			return nil, fault.New(fault.Conflict, "the sensor %q is part of the client: what it computes and how it is called cannot be changed", was.Name)
		}
		if _, err := sensors.KeptOf(o); err != nil {
			return nil, err
		}
		return ch.Update(was, o)
	}
	n, err := s.signed(c, ch, o)
	if err != nil {
		return nil, err
	}
	n.ID = was.ID
	if err := ch.Tx().UpdateSensor(ctx, n); err != nil {
		return nil, err
	}
	s.followSensors(ctx, ch)
	return ch.Update(was, o)
}

func (s *server) removeSensor(ctx context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	if _, ok := s.native(r); ok {
		return fault.New(fault.Conflict, "the sensor %q is part of the client and cannot be deleted; hidden_flag takes it out of lists", r.Name)
	}
	if err := ch.Tx().RemoveSensor(ctx, r.ID); err != nil {
		return err
	}
	s.followSensors(ctx, ch)
	return ch.Delete(r)
}

// native is the sensor of a record if clients have it in themselves.
func (s *server) native(r *shelf.Record) (sensor.Sensor, bool) {
	d, ok := s.engine.Catalogue().ByName(r.Name)
	return d, ok && d.Native()
}

// A reload is what the engine has yet to hear of. Changes of shelves come one by
// one, so that it needs no lock.
type reload struct {
	change *shelf.Change // the last that it hears of
	missed []int64       // numbers of sensors of which it could not hear
}

// followSensors lets the engine read those sensors that a change touches, all of
// them together, when it has happened.
func (s *server) followSensors(ctx context.Context, ch *shelf.Change) {
	r := &s.reload
	if r.change == ch {
		return
	}
	r.change = ch
	ch.After(func() {
		ids := append(r.missed, ch.Changed(sensors.Kind)...)
		r.missed = nil
		if err := s.engine.ReloadSensors(context.WithoutCancel(ctx), ids...); err != nil {
			// The change has happened. The next one tries again.
			s.log.ErrorContext(ctx, "sensors not read again", "err", err)
			r.missed = ids
		}
	})
}

type idObject struct {
	ID uint64 `json:"id"`
}
