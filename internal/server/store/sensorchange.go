package store

import (
	"context"
	"database/sql"
	"errors"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// CreateSensor adds a script sensor within the change and returns it with its
// ID. A name in use, or one with the hash of another, is a Conflict.
func (c *Change) CreateSensor(ctx context.Context, n Sensor) (Sensor, error) {
	// The record of a builtin that the program has lost makes room. (Of empty names
	// there is no index: a query says that it has none.)
	if _, err := c.tx.ExecContext(ctx, "DELETE FROM sensors WHERE name_key = $1 AND name_key <> '' AND builtin = 0 AND length(definition) = 0", value.Fold(n.Name)); err != nil {
		return Sensor{}, failed(err, "sensor %q", n.Name)
	}
	if err := c.freeSensor(ctx, n); err != nil {
		return Sensor{}, err
	}
	err := c.tx.QueryRowContext(ctx, `INSERT INTO sensors (name, name_key, hash, builtin, definition, signed, created, modified, modified_by)
		VALUES ($1, $2, $3, 0, $4, $5, $6, $7, $8) RETURNING id`,
		n.Name, value.Fold(n.Name), int64(sensor.Hash(n.Name)), solid(n.Definition), solid(n.Signed), micros(n.Created), micros(n.Modified), n.ModifiedBy).Scan(&n.ID)
	if err != nil {
		return Sensor{}, failed(err, "sensor %q", n.Name)
	}
	return n, nil
}

// freeSensor makes sure that no other sensor has the name or its hash: a
// violation of the index would end the transaction on PostgreSQL.
func (c *Change) freeSensor(ctx context.Context, n Sensor) error {
	if err := checkName(n.Name); err != nil {
		return failed(err, "sensor %.100q", n.Name)
	}
	var other string
	err := c.tx.QueryRowContext(ctx, "SELECT name FROM sensors WHERE (name_key = $1 AND name_key <> '' OR hash = $2) AND id <> $3",
		value.Fold(n.Name), int64(sensor.Hash(n.Name)), n.ID).Scan(&other)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return failed(err, "sensor %q", n.Name)
	case value.Fold(other) == value.Fold(n.Name):
		return fault.New(fault.Conflict, "SensorNameNotUnique: there is a sensor %q already", other)
	}
	return fault.New(fault.Conflict, "SensorNameInvalid: the hash of %q is that of the sensor %q", n.Name, other)
}

// UpdateSensor gives a script sensor another name, definition and signature
// within the change.
func (c *Change) UpdateSensor(ctx context.Context, n Sensor) error {
	if err := c.freeSensor(ctx, n); err != nil {
		return err
	}
	err := one(c.tx.ExecContext(ctx, `UPDATE sensors SET name = $1, name_key = $2, hash = $3, definition = $4, signed = $5, modified = $6, modified_by = $7
		WHERE id = $8 AND builtin = 0`,
		n.Name, value.Fold(n.Name), int64(sensor.Hash(n.Name)), solid(n.Definition), solid(n.Signed), micros(n.Modified), n.ModifiedBy, n.ID))
	if err != nil {
		return failed(err, "sensor %q", n.Name)
	}
	return nil
}

// RemoveSensor takes a script sensor away within the change. Its number is not
// given again.
func (c *Change) RemoveSensor(ctx context.Context, id int64) error {
	if err := one(c.tx.ExecContext(ctx, "DELETE FROM sensors WHERE id = $1 AND builtin = 0", id)); err != nil {
		return failed(err, "sensor %d", id)
	}
	return nil
}
