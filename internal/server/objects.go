package server

import (
	"context"
	"strings"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// sensorNames says what sensors are called, for objects that refer to them.
type sensorNames map[int64]string

func (n sensorNames) NameOf(id int64) (string, bool) { name, ok := n[id]; return name, ok }

func (n sensorNames) IDOf(name string) (int64, bool) {
	for id, s := range n {
		if strings.EqualFold(s, name) {
			return id, true
		}
	}
	return 0, false
}

// currentSensors is the directory of the sensors as they are now.
type currentSensors struct{ s *Server }

func (c currentSensors) names() sensorNames {
	list, err := c.s.store.Sensors(context.Background())
	if err != nil {
		return nil // nothing is found then, and what refers to it is refused
	}
	out := make(sensorNames, len(list))
	for _, s := range list {
		out[s.ID] = s.Name
	}
	return out
}

func (c currentSensors) NameOf(id int64) (string, bool) { return c.names().NameOf(id) }
func (c currentSensors) IDOf(name string) (int64, bool) { return c.names().IDOf(name) }

// openShelves reads the objects that operators make, and makes those that each
// installation has.
func (s *Server) openShelves(ctx context.Context) (err error) {
	s.shelves, err = shelf.Open(ctx, s.store, shelf.Kinds, map[string]shelf.Directory{"sensor": currentSensors{s}})
	if err != nil {
		return err
	}
	users, err := s.store.Users(ctx)
	if err != nil {
		return err
	}
	return s.shelves.Change(ctx, shelf.Author{UserName: "Catenary"}, func(c *shelf.Change) error {
		return seed(c, users)
	})
}

// firstSets are the content sets that each installation has; the first is that
// of everything that has been given no other.
var firstSets = []string{"Default Content", "Base", "Reserved"}

// seed makes what is missing: on the first start everything, later nothing.
func seed(c *shelf.Change, users []store.User) error {
	for i, name := range firstSets {
		if c.ByID("content_set", int64(i+1)) != nil {
			continue
		}
		o := object.New(object.ShapeOf("content_set"))
		o.Set("name", name)
		o.Set("reserved_name", name)
		if _, err := c.Create("content_set", int64(i+1), o); err != nil {
			return err
		}
	}
	for _, u := range users {
		if c.ByID("user", u.ID) != nil {
			continue
		}
		o := object.New(object.ShapeOf("user"))
		o.Set("name", u.Name)
		if _, err := c.Create("user", u.ID, o); err != nil {
			return err
		}
	}
	return nil
}

// Shelves are the objects that operators make.
func (s *Server) Shelves() *shelf.Shelves { return s.shelves }
