package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/jackc/pgx/v5"

	"catenary/internal/fault"
)

// A databaseSink is a database that takes in an installation.
type databaseSink interface {
	sink
	close() error
}

// openSink opens an empty database, making the file if there is none, and makes
// the tables of a version in it.
func openSink(ctx context.Context, address string, version int64) (databaseSink, error) {
	p, err := findPlace(address)
	if err != nil {
		return nil, err
	}
	if p.engine == sqlite {
		if err := claim(p.path); err != nil {
			return nil, err
		}
	}
	s, err := openAsIs(p)
	if err != nil {
		return nil, err
	}
	if err := s.makeReady(ctx, p, version); err != nil {
		return nil, errors.Join(failed(err, "database %s", s.name), s.Close())
	}
	to, err := s.sink(ctx, p)
	if err != nil {
		return nil, errors.Join(failed(err, "database %s", s.name), s.Close())
	}
	return to, nil
}

// makeReady makes the tables of a version, and makes sure that nothing is in
// them.
func (s *Store) makeReady(ctx context.Context, p place, wanted int64) error {
	if err := s.check(ctx, p); err != nil {
		return err
	}
	have, err := version(ctx, s.engine, s.read.DB)
	if err != nil {
		return err
	}
	if have > wanted {
		return fault.New(fault.Conflict, "its tables are of version %d already, newer than %d: give an empty database", have, wanted)
	}
	if have > 0 {
		c, err := look(ctx, s.engine, s.read.DB)
		if err != nil {
			return err
		}
		tables, err := schemaAt(ctx, have)
		if err != nil {
			return err
		}
		for i, t := range tables {
			if n := c.Tables[i].Rows; n > t.seeds {
				return fault.New(fault.Conflict, "table %s has %d rows: give an empty database", t.name, n)
			}
		}
	}
	return migrateTo(ctx, s.engine, s.write.DB, wanted)
}

func (s *Store) sink(ctx context.Context, p place) (databaseSink, error) {
	if s.engine == sqlite {
		tx, err := s.write.DB.BeginTx(ctx, nil)
		return &sqliteSink{s, tx}, err
	}
	conn, err := pgx.ConnectConfig(ctx, p.config)
	if err != nil {
		return nil, err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return nil, errors.Join(err, conn.Close(ctx))
	}
	return &postgresSink{s, conn, tx}, nil
}

type sqliteSink struct {
	store *Store
	tx    *sql.Tx
}

func (s *sqliteSink) load(ctx context.Context, t table, rows iter.Seq2[[]any, error]) error {
	if _, err := s.tx.ExecContext(ctx, "DELETE FROM "+t.name); err != nil { // what the migrations have put there
		return err
	}
	names := t.columnNames()
	insert, err := s.tx.PrepareContext(ctx, "INSERT INTO "+t.name+" ("+strings.Join(names, ", ")+") VALUES ("+strings.TrimSuffix(strings.Repeat("?, ", len(names)), ", ")+")")
	if err != nil {
		return err
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if _, err := insert.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return insert.Close()
}

func (s *sqliteSink) finish(ctx context.Context, c Contents) error {
	for _, t := range c.Tables {
		n, err := single[int64](ctx, s.tx, "SELECT count(*) FROM "+t.Name)
		if err := t.arrived(n, err); err != nil {
			return err
		}
		if t.Last == 0 {
			continue
		}
		for _, query := range []string{
			"DELETE FROM sqlite_sequence WHERE name = $1",
			"INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)",
		} {
			if _, err := s.tx.ExecContext(ctx, query, []any{t.Name, t.Last}[:strings.Count(query, "$")]...); err != nil {
				return err
			}
		}
	}
	return s.tx.Commit()
}

func (s *sqliteSink) close() error {
	_ = s.tx.Rollback() // says only that it is too late, once committed
	return s.store.Close()
}

// arrived compares what was announced with what is there.
func (t TableContents) arrived(n int64, err error) error {
	if err == nil && n != t.Rows {
		err = fault.New(fault.Internal, "%d rows were announced and %d have arrived", t.Rows, n)
	}
	if err != nil {
		return fmt.Errorf("table %s: %w", t.Name, err)
	}
	return nil
}

type postgresSink struct {
	store *Store
	conn  *pgx.Conn
	tx    pgx.Tx
}

func (s *postgresSink) load(ctx context.Context, t table, rows iter.Seq2[[]any, error]) error {
	if _, err := s.tx.Exec(ctx, "DELETE FROM "+t.name); err != nil { // what the migrations have put there
		return err
	}
	next, stop := iter.Pull2(rows)
	defer stop()
	var broken error // the source's own: PostgreSQL would only say that the copy has failed
	_, err := s.tx.CopyFrom(ctx, pgx.Identifier{t.name}, t.columnNames(), pgx.CopyFromFunc(func() ([]any, error) {
		row, err, more := next()
		if !more {
			return nil, nil
		}
		broken = err
		return row, err
	}))
	if broken != nil {
		return broken
	}
	return err
}

func (s *postgresSink) finish(ctx context.Context, c Contents) error {
	for _, t := range c.Tables {
		var n int64
		err := s.tx.QueryRow(ctx, "SELECT count(*) FROM "+t.Name).Scan(&n)
		if err := t.arrived(n, err); err != nil {
			return err
		}
		if t.Last == 0 {
			continue
		}
		if _, err := s.tx.Exec(ctx, "SELECT setval(pg_get_serial_sequence($1, 'id'), $2, true)", t.Name, t.Last); err != nil {
			return err
		}
	}
	return s.tx.Commit(ctx)
}

func (s *postgresSink) close() error {
	// Not the caller's context: it may be why we close. What is not committed
	// ends with the connection.
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return errors.Join(s.conn.Close(ctx), s.store.Close())
}
