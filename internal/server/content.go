package server

import (
	"context"

	"catenary/internal/sensor"
	"catenary/internal/server/store"
)

// ReloadSensors brings the catalogue in line with what the database has of the
// sensors of some numbers, and without numbers of all. It reads no others: a
// change costs the same however many sensors there are.
func (s *Server) ReloadSensors(ctx context.Context, ids ...int64) error {
	if len(ids) == 0 {
		_, err := s.loadContent(ctx)
		return err
	}
	s.loading.Lock() // what is read last is what holds
	defer s.loading.Unlock()
	records, err := s.store.Sensors(ctx, ids...)
	if err != nil {
		return err
	}
	var without []string
	for _, id := range ids {
		if name, ok := s.scripts[id]; ok {
			without = append(without, name)
		}
	}
	with, err := definitions(records)
	if err != nil {
		return err
	}
	next, err := s.Catalogue().Changed(without, with)
	if err != nil {
		return err
	}
	s.content.Store(next)
	for _, id := range ids {
		delete(s.scripts, id)
	}
	s.nameScripts(records)
	return nil
}

// loadContent reads the whole catalogue from the database, and returns the
// records that it is made of.
func (s *Server) loadContent(ctx context.Context) ([]store.Sensor, error) {
	s.loading.Lock()
	defer s.loading.Unlock()
	records, err := s.store.Sensors(ctx)
	if err != nil {
		return nil, err
	}
	scripts, err := definitions(records)
	if err != nil {
		return nil, err
	}
	catalogue, err := sensor.NewCatalogue(append(sensor.Builtin(), scripts...))
	if err != nil {
		return nil, err
	}
	s.content.Store(catalogue)
	s.scripts = map[int64]string{}
	s.nameScripts(records)
	return records, nil
}

// definitions are the sensors of those records that have a script.
func definitions(records []store.Sensor) ([]sensor.Sensor, error) {
	var out []sensor.Sensor
	for _, r := range records {
		if len(r.Definition) == 0 {
			continue
		}
		d, err := sensor.Decode(r.Definition)
		if err != nil {
			return nil, err
		}
		d.Signed = r.Signed
		out = append(out, d)
	}
	return out, nil
}

func (s *Server) nameScripts(records []store.Sensor) {
	for _, r := range records {
		if len(r.Definition) > 0 {
			s.scripts[r.ID] = r.Name
		}
	}
}
