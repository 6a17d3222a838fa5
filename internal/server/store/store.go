// Package store is what the server remembers across restarts: rows in one
// SQLite file, one file here per noun.
//
// The server's host and the API read and write through [Store]; nobody else
// speaks SQL. Every error has its kind (package fault). A write that has
// returned survives a crash and a power cut. What is kept in memory only, such
// as live answers and sessions, is not the store's business.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/sqlitedialect"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"catenary/internal/fault"
)

const (
	// readersMax is how many reads run at once; more would only wait for the
	// processor.
	readersMax = 4
	// busyTimeout is how long, in milliseconds, a statement waits for another
	// process (a backup, a shell) that holds the file.
	busyTimeout = "5000"
	// checkMax is the size in bytes up to which Open reads the whole file for
	// damage. It takes about a second per 256 MiB; a larger file is checked as
	// its pages are used.
	checkMax = 256 << 20
)

//go:embed migrations/*.sql
var migrations embed.FS

// A Store is an open database. Its methods may be called from any goroutine.
type Store struct {
	write *bun.DB // exactly one connection: SQLite has one writer at a time
	read  *bun.DB
}

// Open opens the database file at path, creating it if it is not there, and
// brings its tables up to date.
func Open(ctx context.Context, path string) (*Store, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.New(fault.Invalid, "database %s: %w", path, err)
	}
	size, err := claim(path)
	if err != nil {
		return nil, err
	}
	// FULL and not NORMAL: with NORMAL a power cut may forget the newest
	// commits, and a forgotten question number would be given out again.
	w, err := sql.Open("sqlite", dsn(path, "_txlock=immediate", "_pragma=synchronous(FULL)", "_pragma=journal_mode(WAL)"))
	if err != nil {
		return nil, fault.New(fault.Internal, "database %s: %w", path, err)
	}
	w.SetMaxOpenConns(1)
	r, err := sql.Open("sqlite", dsn(path, "_pragma=query_only(1)"))
	if err != nil {
		return nil, errors.Join(fault.New(fault.Internal, "database %s: %w", path, err), w.Close())
	}
	r.SetMaxOpenConns(readersMax)
	r.SetMaxIdleConns(readersMax)
	s := &Store{bun.NewDB(w, sqlitedialect.New()), bun.NewDB(r, sqlitedialect.New())}
	if err := s.prepare(ctx, path, size); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// claim makes sure that the file exists, that only its owner reads it (hashes
// of passwords and tokens are in it), and returns its size.
func claim(path string) (size int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return 0, fault.New(fault.Invalid, "database: %w", err)
	}
	info, err := f.Stat()
	if err := errors.Join(err, f.Close()); err != nil {
		return 0, fault.New(fault.Internal, "database: %w", err)
	}
	return info.Size(), nil
}

// dsn returns the driver's name for path. The parameters are ours alone: a
// _pragma runs as SQL.
func dsn(path string, params ...string) string {
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // a Windows drive
	}
	params = append(params, "_pragma=busy_timeout("+busyTimeout+")", "_pragma=foreign_keys(1)")
	return "file://" + (&url.URL{Path: slashed}).EscapedPath() + "?" + strings.Join(params, "&")
}

func (s *Store) prepare(ctx context.Context, path string, size int64) error {
	if size > 0 && size <= checkMax {
		if err := s.check(ctx); err != nil {
			return failed(err, "database %s", path)
		}
	}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fault.New(fault.Internal, "database %s: %w", path, err)
	}
	if err := migrate(ctx, s.write.DB, sub); err != nil {
		return failed(err, "database %s", path)
	}
	return nil
}

func (s *Store) check(ctx context.Context) error {
	var verdict string
	if err := s.write.NewRaw("PRAGMA quick_check(1)").Scan(ctx, &verdict); err != nil {
		return err
	}
	if verdict != "ok" {
		return damage{errors.New(verdict)}
	}
	return nil
}

// migrate brings the tables from whatever version they are to the newest that
// files has.
func migrate(ctx context.Context, db *sql.DB, files fs.FS) error {
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > want {
		return fault.New(fault.Conflict, "its tables are of version %d and this program knows %d: a newer Catenary has used it", have, want)
	}
	_, err = p.Up(ctx)
	return err
}

// Close ends all use of the file.
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
