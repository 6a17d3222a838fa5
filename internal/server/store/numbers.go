package store

import (
	"context"
	"database/sql"
	"errors"
)

// lastNumber is the highest number that a table's key has ever given out, or 0.
func lastNumber(ctx context.Context, e engine, db queryer, table string) (int64, error) {
	query := "SELECT seq FROM sqlite_sequence WHERE name = $1"
	if e == postgres {
		query = "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence($1, 'id')::regclass), 0)"
	}
	n, err := single[int64](ctx, db, query, table)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil // SQLite has no row before the first number
	}
	return n, err
}
