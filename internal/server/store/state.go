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
	version, size := "SELECT sqlite_version()", "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if s.engine == postgres {
		version, size = "SHOW server_version", "SELECT pg_database_size(current_database())"
	}
	if state.Engine, err = single[string](ctx, src.tx, version); err == nil {
		state.Size, err = single[int64](ctx, src.tx, size)
	}
	if err != nil {
		return State{}, failed(err, "database %s", s.name)
	}
	state.Engine = s.engine.String() + " " + state.Engine
	return state, nil
}
