// Package store is what the server remembers across restarts: rows in one
// SQLite file or one PostgreSQL database, one file here per noun.
//
// The server's host and the API read and write through [Store]; nobody else
// speaks SQL, and what is written here reads the same for both databases. Every
// error has its kind (package fault). A write that has returned survives a
// crash and a power cut. What is kept in memory only, such as live answers and
// sessions, is not the store's business.
package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"time"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	"github.com/uptrace/bun/schema"
	lite "modernc.org/sqlite" // and the driver "sqlite"

	"catenary/internal/fault"
)

const (
	// readersMax is how many reads of a file run at once; more would only wait
	// for the processor.
	readersMax = 4
	// busyTimeout is how long, in milliseconds, a statement waits for another
	// process (a backup, a shell) that holds the file.
	busyTimeout = "5000"
	// enterMax is how long the first connection to a file waits for another
	// process that opens it too, and enterPause how long between two attempts:
	// SQLite does not apply busyTimeout to the change of a new file's journal.
	enterMax   = 5 * time.Second
	enterPause = 10 * time.Millisecond
	// checkMax is the size in bytes up to which Open reads the whole file for
	// damage. It takes about a second per 256 MiB; a larger file is checked as
	// its pages are used.
	checkMax = 256 << 20
)

// A Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	engine engine
	name   string
	write  *bun.DB // of SQLite exactly one connection: it has one writer at a time
	read   *bun.DB
	key    *Key // set by Unlock, before anybody else uses the store
}

// Open opens the database at an address, and brings its tables up to date. The
// address is a file's path or sqlite:///path, which is created if it is not
// there, or postgres://user@host/name.
func Open(ctx context.Context, address string) (*Store, error) {
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
	if err := s.prepare(ctx, p); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// openAsIs opens a database that is there, whatever is in it.
func openAsIs(p place) (*Store, error) {
	write, read, err := p.connect()
	if err != nil {
		return nil, fault.New(fault.Internal, "database %s: %w", p.name, err)
	}
	builder := func(db *sql.DB) *bun.DB {
		var d schema.Dialect = sqlitedialect.New()
		if p.engine == postgres {
			d = pgdialect.New()
		}
		return bun.NewDB(db, d).WithQueryHook(patience{})
	}
	return &Store{engine: p.engine, name: p.name, write: builder(write), read: builder(read)}, nil
}

// claim makes sure that the file exists, and that only its owner reads it:
// hashes of passwords and tokens are in it.
func claim(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return fault.New(fault.Invalid, "database: %w", err)
	}
	if err := f.Close(); err != nil {
		return fault.New(fault.Internal, "database: %w", err)
	}
	return nil
}

// prepare checks the database and brings its tables up to date.
func (s *Store) prepare(ctx context.Context, p place) error {
	err := s.check(ctx, p)
	if err == nil {
		err = migrate(ctx, s.engine, s.write.DB, migrations())
	}
	for _, table := range []string{"users", "sensors"} {
		if err == nil {
			err = fillKeys(ctx, s.write.DB, table)
		}
	}
	if err != nil {
		return failed(err, "database %s", s.name)
	}
	return nil
}

func (s *Store) check(ctx context.Context, p place) error {
	if p.engine == postgres {
		return suitable(ctx, s.write.DB)
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	info, err := os.Stat(p.path)
	if err != nil {
		return err
	}
	if info.Size() == 0 || info.Size() > checkMax {
		return nil
	}
	verdict, err := single[string](ctx, s.write.DB, "PRAGMA quick_check(1)")
	if err != nil {
		return err
	}
	if verdict != "ok" {
		return damage{errors.New(verdict)}
	}
	return nil
}

// enter makes the first connection to a file.
func (s *Store) enter(ctx context.Context) error {
	for end := time.Now().Add(enterMax); ; {
		err := s.write.PingContext(ctx)
		e, isSQLite := errors.AsType[*lite.Error](err)
		if !isSQLite || e.Code()&codeMask != codeBusy || !time.Now().Before(end) {
			return err
		}
		select {
		case <-time.After(enterPause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Name is how the database is shown to people.
func (s *Store) Name() string { return s.name }

// Close ends all use of the database.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// micros is how a time lies in the database; when reads it back.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func when(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// A flag is a truth value as it lies in the database.
type flag int64

func flagged(b bool) flag {
	if b {
		return 1
	}
	return 0
}
