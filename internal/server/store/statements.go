package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"
)

const (
	// waitMax is how long one statement waits for a database that does not
	// answer: the one who asked has given up by then, and there may be many.
	waitMax = 30 * time.Second
	// changeMax is how long a transaction may take. An import of 10,000 objects
	// over a slow network takes less.
	changeMax = 2 * time.Minute
)

// The statements of this package that are written out have their arguments as
// $1, $2 …, which both databases understand. No statement is made of a caller's
// text.

// An execer is a database or a transaction that changes something.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// A queryer is a database or a transaction that is read from.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect reads all rows that a statement gives.
func collect[T any](ctx context.Context, db queryer, scan func(*sql.Rows) (T, error), query string, args ...any) (out []T, err error) {
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// single reads the only row that a statement gives, of one column;
// sql.ErrNoRows if there is none.
func single[T any](ctx context.Context, db queryer, query string, args ...any) (t T, err error) {
	rows, err := collect(ctx, db, func(rows *sql.Rows) (t T, err error) { return t, rows.Scan(&t) }, query, args...)
	if err != nil {
		return t, err
	}
	if len(rows) == 0 {
		return t, sql.ErrNoRows
	}
	return rows[0], nil
}

// exec runs one statement in the place of a transaction.
func (s *Store) exec(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	return s.write.DB.ExecContext(ctx, query, args...)
}

// inTx runs f in a transaction: all that it does takes effect together, or
// nothing does if f or the database fails.
func (s *Store) inTx(ctx context.Context, f func(ctx context.Context, tx bun.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, changeMax)
	defer cancel()
	return s.write.RunInTx(ctx, nil, f)
}

// takeTurn makes everybody else who takes the same turn wait until the
// transaction ends.
func takeTurn(ctx context.Context, tx execer, name string) error {
	return one(tx.ExecContext(ctx, "UPDATE turns SET taken = taken + 1 WHERE name = $1", name))
}

// patience ends the query builder's statements after waitMax.
type patience struct{}

type cancelKey struct{}

func (patience) BeforeQuery(ctx context.Context, e *bun.QueryEvent) context.Context {
	switch e.Query {
	case "BEGIN", "COMMIT", "ROLLBACK": // the transaction's own context bounds them, and lives on
		return ctx
	}
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	e.Stash = map[any]any{cancelKey{}: cancel}
	return ctx
}

func (patience) AfterQuery(_ context.Context, e *bun.QueryEvent) {
	if cancel, ok := e.Stash[cancelKey{}].(context.CancelFunc); ok {
		cancel()
	}
}
