package api

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/sensors"
	"catenary/internal/server/store"
)

const (
	// previewMachines bounds the machines on which a sensor is tried: what runs
	// there has been looked at by nobody else.
	previewMachines = 20
	// previewPrefix begins the name under which a sensor is tried, so that nothing
	// is learnt of the one that it may be going to replace.
	previewPrefix = "Preview of "
	// previewAge lets machines run a sensor that is tried again with the same
	// words: what they said before is too old.
	previewAge = time.Second
)

// A sensorPreview is a sensor that is not kept, and where to try it.
type sensorPreview struct {
	Sensor        json.RawMessage `json:"sensor"` // as POST sensors takes it
	Parameters    []string        `json:"parameters"`
	ComputerNames []string        `json:"computer_names"`
	ComputerIDs   []number        `json:"computer_ids"`
}

// previewSensor asks a few machines for a sensor that is in no catalogue: its
// definition travels with the question. The answer is that of any question.
func (s *server) previewSensor(ctx context.Context, c call, in sensorPreview) (idObject, error) {
	where, err := in.machines()
	if err != nil {
		return idObject{}, err
	}
	d, err := s.tried(ctx, c, in)
	if err != nil {
		return idObject{}, err
	}
	if p := rights.AskDynamicQuestion; !c.rights.MayAnywhere(p) {
		return idObject{}, insufficient(p)
	}
	// Before it runs: what runs on machines is to be found in the audit.
	if err := s.store.Audit(ctx, s.entry(c, store.AuditEntry{
		Type: "preview", Kind: sensors.Kind, ObjectName: strings.TrimPrefix(d.Name, previewPrefix), Details: string(in.Sensor),
	})); err != nil {
		return idObject{}, err
	}
	id, err := s.engine.Ask(withUser(ctx, c.user), question.Asking{
		Question: question.Question{
			ComputerID: true, Selects: []question.Select{{Ref: question.Ref{Sensor: d.Name, Params: in.Parameters}}}, Where: where,
		},
		Preview: &d, Life: expireDefault, ComputerID: true, UserID: c.user.ID,
		Groups: s.groups, Rights: within(c.rights), Scope: string(s.scope(c.rights, 0)), Priority: 1, Persona: c.user.Persona,
	})
	return idObject{id}, err
}

// machines is the condition that a machine is one of those that were chosen.
func (p sensorPreview) machines() (question.Condition, error) {
	n := len(p.ComputerNames) + len(p.ComputerIDs)
	if n < 1 || n > previewMachines {
		return nil, fault.New(fault.Invalid, "computer_names and computer_ids name %d machines, not 1 to %d", n, previewMachines)
	}
	any := question.Or{}
	is := func(sensor, text string) {
		any = append(any, question.Test{Ref: question.Ref{Sensor: sensor}, Op: question.Equals, Value: text})
	}
	for _, name := range p.ComputerNames {
		is("Computer Name", name)
	}
	for _, id := range p.ComputerIDs {
		is("Computer ID", strconv.FormatInt(int64(id), 10))
	}
	if n == 1 {
		return any[0], nil
	}
	return any, nil
}

// tried is the sensor that is to be tried, under another name.
func (s *server) tried(ctx context.Context, c call, in sensorPreview) (sensor.Sensor, error) {
	f := s.sensorFace()
	o, err := f.objectShape().Decode(in.Sensor, object.Lenient)
	if err != nil {
		return sensor.Sensor{}, object.In("sensor", err)
	}
	set, err := s.shelves.Find("content_set", o.Ref(f.set))
	if err != nil {
		return sensor.Sensor{}, object.In("sensor.content_set", err)
	}
	if set.ID == 0 {
		set.ID = defaultSet
	}
	o.Set(f.set, set)
	if err := f.allow(c, f.write, o); err != nil {
		return sensor.Sensor{}, err
	}
	if err := readySensor(ctx, c, nil, o); err != nil {
		return sensor.Sensor{}, err
	}
	d, err := sensors.Definition(o)
	if err != nil {
		return sensor.Sensor{}, object.In("sensor", err)
	}
	if len(d.Columns) == 1 && d.Columns[0].Name == d.Name {
		d.Columns[0].Name = previewPrefix + d.Name
	}
	d.Name = previewPrefix + d.Name
	d.MaxAge = previewAge
	return d, object.In("sensor", d.Check())
}
