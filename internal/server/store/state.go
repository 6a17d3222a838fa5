package store

import (
	"context"
)

// A State is what can be said of a database without changing it.
type State struct {
	Name   string // without user and password
	Engine string // SQLite or PostgreSQL, with its version
	Size   int64  // bytes on disk
	Newest int64  // the version of this program's tables
	Contents
}

// Inspect looks at a database. Tables of an older version stay as they are.
func Inspect(ctx context.Context, address string) (State, error) {
	src, err := openSource(ctx, address)
	if err != nil {
		return State{}, err
	}
	defer src.close()
	s := src.store
	state := State{Name: s.name, Newest: newest(), Contents: src.contents()}
	if state.Engine, state.Size, err = engineOf(ctx, s.engine, src.tx); err != nil {
		return State{}, failed(err, "database %s", s.name)
	}
	return state, nil
}

// engineOf is what a database says it is, and how large.
func engineOf(ctx context.Context, e engine, db queryer) (name string, size int64, err error) {
	version, bytes := "SELECT sqlite_version()", "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if e == postgres {
		version, bytes = "SHOW server_version", "SELECT pg_database_size(current_database())"
	}
	if name, err = single[string](ctx, db, version); err == nil {
		size, err = single[int64](ctx, db, bytes)
	}
	return e.String() + " " + name, size, err
}

// A Health is how a database that is in use is.
type Health struct {
	Engine  string // SQLite or PostgreSQL, with its version
	Size    int64  // bytes on disk
	Version int64  // of its tables
}

// Health looks at the database, which answers that only if it is there.
func (s *Store) Health(ctx context.Context) (h Health, err error) {
	if h.Engine, h.Size, err = engineOf(ctx, s.engine, s.read.DB); err == nil {
		h.Version, err = version(ctx, s.engine, s.read.DB)
	}
	if err != nil {
		return Health{}, failed(err, "database %s", s.name)
	}
	return h, nil
}
