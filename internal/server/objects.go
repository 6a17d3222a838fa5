package server

import (
	"context"

	"catenary/internal/server/people"
	"catenary/internal/server/sensors"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// openShelves reads the objects that operators make, and makes those that each
// installation has. records are those of the sensors in the catalogue.
func (s *Server) openShelves(ctx context.Context, records []store.Sensor) (err error) {
	s.shelves, err = shelf.Open(ctx, s.store, shelf.Kinds, nil)
	if err != nil {
		return err
	}
	users, err := s.store.Users(ctx)
	if err != nil {
		return err
	}
	return s.shelves.Change(ctx, shelf.Author{UserName: "Catenary"}, func(c *shelf.Change) error {
		if err := people.Seed(c, users); err != nil {
			return err
		}
		if err := sensors.Seed(c, records, s.Catalogue()); err != nil {
			return err
		}
		if err := setting.Seed(c); err != nil {
			return err
		}
		return seedGroups(c)
	})
}

// Shelves are the objects that operators make.
func (s *Server) Shelves() *shelf.Shelves { return s.shelves }
