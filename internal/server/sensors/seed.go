package sensors

import (
	"bytes"
	"fmt"

	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// baseSet is the content set of the sensors that come with Catenary.
const baseSet = "Base"

// Seed brings the shelf in line with what the database has: of each record an
// object, and of the sensors that come with Catenary what this version says of
// them. What operators may say of those stays as it is.
func Seed(c *shelf.Change, records []store.Sensor, known *sensor.Catalogue) error {
	there := make(map[int64]bool, len(records))
	for _, rec := range records {
		s, ok := known.ByName(rec.Name)
		if !ok {
			return fmt.Errorf("sensor %q is on record and not in the catalogue", rec.Name)
		}
		there[rec.ID] = true
		if err := settle(c, rec, s); err != nil {
			return err
		}
	}
	for _, r := range c.All(Kind) {
		if there[r.ID] {
			continue
		}
		// It came with an earlier version, and this one does not have it.
		if err := c.Delete(r); err != nil {
			return err
		}
	}
	return nil
}

// settle makes the object of one record, or brings it up to date.
func settle(c *shelf.Change, rec store.Sensor, s sensor.Sensor) error {
	o := Object(s)
	was := c.ByID(Kind, rec.ID)
	if was == nil {
		if r := c.ByName("content_set", baseSet); r != nil && rec.Builtin {
			o.Set("content_set", object.Ref{ID: r.ID})
		}
		_, err := c.Create(Kind, rec.ID, o)
		return err
	}
	if !rec.Builtin {
		return nil // what the operator has said is on the shelf
	}
	now := was.Object.With(o)
	if bytes.Equal(now.Store(), was.Object.Store()) {
		return nil
	}
	_, err := c.Update(was, now)
	return err
}
