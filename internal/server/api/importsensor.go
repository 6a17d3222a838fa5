package api

import (
	"sync"

	"catenary/internal/sensor"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
)

// pending is the catalogue as it will be when a change has happened.
type pending struct {
	mu        sync.Mutex // guards the fields below
	change    *shelf.Change
	deeds     int // sensors that it has changed so far
	catalogue *sensor.Catalogue
}

// sensorsIn is the catalogue as a change sees it, with the sensors that it has
// made itself: an import makes sensors and questions for them together.
func (s *server) sensorsIn(ch *shelf.Change) *sensor.Catalogue {
	now := s.engine.Catalogue()
	changed := ch.Changed(sensors.Kind)
	if len(changed) == 0 {
		return now
	}
	p := &s.pending
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.change == ch && p.deeds == len(changed) {
		return p.catalogue
	}
	var without []string
	var with []sensor.Sensor
	for _, id := range changed {
		for _, r := range []*shelf.Record{ch.ByID(sensors.Kind, id), ch.Before(sensors.Kind, id)} {
			if r != nil {
				without = append(without, r.Name)
			}
		}
		r := ch.ByID(sensors.Kind, id)
		if r == nil {
			continue
		}
		if d, ok := s.native(r); ok {
			with = append(with, d)
		} else if d, err := sensors.Definition(r.Object); err == nil { // it was checked when it was changed
			with = append(with, d)
		}
	}
	catalogue, err := now.Changed(without, with)
	if err != nil {
		return now // two have one hash: the database refuses them
	}
	p.change, p.deeds, p.catalogue = ch, len(changed), catalogue
	return catalogue
}
