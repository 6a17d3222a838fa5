package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/sensor"
	"catenary/internal/value"
)

// A Sensor is the server's record of a sensor. What it computes is in its
// definition, or in the program for a builtin one.
type Sensor struct {
	ID         int64  // stable for as long as the name exists
	Name       string // unique, whatever the case
	Builtin    bool
	Definition []byte // canonical form of a script sensor; nil for a builtin
	Signed     []byte // the same with the server's signature
	Created    time.Time
	Modified   time.Time
	ModifiedBy string // a user's name; empty for a builtin
}

type sensorRow struct {
	bun.BaseModel `bun:"table:sensors"`

	ID         int64 `bun:",pk,autoincrement"`
	Name       string
	NameKey    string
	Hash       uint32
	Builtin    flag
	Definition []byte
	Signed     []byte
	Created    int64
	Modified   int64
	ModifiedBy string
}

func (r sensorRow) sensor() Sensor {
	s := Sensor{
		ID: r.ID, Name: r.Name, Builtin: r.Builtin != 0,
		Created: when(r.Created), Modified: when(r.Modified), ModifiedBy: r.ModifiedBy,
	}
	if r.Builtin == 0 { // it may have the definition of the script that it replaced
		s.Definition, s.Signed = r.Definition, r.Signed
	}
	return s
}

// CreateSensor adds a script sensor and returns it with its ID. A name in use,
// or one with the hash of another, is a Conflict.
func (s *Store) CreateSensor(ctx context.Context, n Sensor) (Sensor, error) {
	if err := checkName(n.Name); err != nil {
		return Sensor{}, failed(err, "sensor %.100q", n.Name)
	}
	r := sensorRow{
		Name: n.Name, NameKey: value.Fold(n.Name), Hash: sensor.Hash(n.Name), Definition: solid(n.Definition), Signed: solid(n.Signed),
		Created: micros(n.Created), Modified: micros(n.Modified), ModifiedBy: n.ModifiedBy,
	}
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		// The record of a builtin that the program has lost may be taken over.
		err := tx.NewUpdate().Model(&r).Column("name", "name_key", "hash", "definition", "signed", "created", "modified", "modified_by").
			Where("name_key = ? AND builtin = 0 AND length(definition) = 0", r.NameKey).Returning("id").Scan(ctx)
		if errors.Is(err, sql.ErrNoRows) {
			_, err = tx.NewInsert().Model(&r).Returning("id").Exec(ctx)
		}
		return err
	})
	if err != nil {
		return Sensor{}, failed(err, "sensor %q", n.Name)
	}
	return r.sensor(), nil
}

// solid returns b, and never nil: a nil slice would be written as NULL.
func solid(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// SyncBuiltin gives every sensor of the program an ID, the same as before if
// it had one. A builtin that the program no longer has stays as a record
// without use, so that its ID is not given to another. A script sensor whose
// name has become a builtin's keeps its ID and its definition, but is a
// builtin from now on.
func (s *Store) SyncBuiltin(ctx context.Context, builtin []sensor.Sensor, now time.Time) error {
	what := "builtin sensors"
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.NewUpdate().Model((*sensorRow)(nil)).Set("builtin = 0").Where("builtin = 1").Exec(ctx); err != nil {
			return err
		}
		for _, b := range builtin {
			if err := syncOne(ctx, tx, b.Name, now); err != nil {
				what = fmt.Sprintf("builtin sensor %q", b.Name)
				return err
			}
		}
		return nil
	})
	if err != nil {
		return failed(err, "%s", what)
	}
	return nil
}

// syncOne updates or inserts. ON CONFLICT would do it in one statement, but
// use up a number each time.
func syncOne(ctx context.Context, tx bun.Tx, name string, now time.Time) error {
	h := sensor.Hash(name)
	err := one(tx.NewUpdate().Model((*sensorRow)(nil)).
		Set("name = ?", name).Set("hash = ?", h).Set("builtin = 1").Where("name_key = ?", value.Fold(name)).Exec(ctx))
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	r := sensorRow{
		Name: name, NameKey: value.Fold(name), Hash: h, Builtin: 1, Definition: []byte{}, Signed: []byte{},
		Created: micros(now), Modified: micros(now),
	}
	_, err = tx.NewInsert().Model(&r).Exec(ctx)
	return err
}

// Sensors returns the sensors of some numbers that can be computed, and without
// numbers all of them, by name.
func (s *Store) Sensors(ctx context.Context, ids ...int64) ([]Sensor, error) {
	var out []Sensor
	for more := true; more; more = len(ids) > 0 {
		var rows []sensorRow
		query := s.read.NewSelect().Model(&rows).Where("builtin = 1 OR length(definition) > 0").Order("name_key")
		if some := ids[:min(len(ids), sensorsAtOnce)]; len(some) > 0 {
			query.Where("id IN (?)", bun.List(some))
			ids = ids[len(some):]
		}
		if err := query.Scan(ctx); err != nil {
			return nil, failed(err, "sensors")
		}
		out = append(out, each(rows, sensorRow.sensor)...)
	}
	return out, nil
}

// sensorsAtOnce is how many numbers stand in one query.
const sensorsAtOnce = 500
