package api

import (
	"catenary/internal/question"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
)

// allowSensors refuses a question, or a condition as that of one, that names a
// sensor which the caller may not read: its answer would tell what the sensor
// does. What a saved question or a group asks was looked at when it was written.
func (s *server) allowSensors(c call, q question.Question) error {
	for _, ref := range q.References() {
		r := s.shelves.ByName(sensors.Kind, ref.Ref.Sensor)
		if r == nil {
			continue // the change in progress makes it
		}
		set := r.Object.Ref("content_set").ID
		if !c.rights.May(rights.ReadSensor, set) && !c.rights.May(rights.WriteSensor, set) {
			return insufficient(rights.ReadSensor)
		}
	}
	return nil
}

// allowCondition refuses a group that has come to name such a sensor: who asks
// about its machines learns which they are.
func (s *server) allowCondition(c call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	text := o.Text("text")
	if text == "" || was != nil && text == was.Object.Text("text") {
		return nil
	}
	where, err := groupCondition(o, s.sensorsIn(ch), groupNames{ch})
	if err != nil {
		return err
	}
	return s.allowSensors(c, question.Question{Where: where})
}
