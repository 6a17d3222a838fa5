package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"os"

	"catenary/internal/fault"
)

// Carrying an installation's rows from one place to another: from a database
// or a backup's file (a source) to a database or a file (a sink). A source is
// read in the state of one moment, while a server goes on using it; a sink gets
// everything or nothing.

// Contents are what is kept somewhere.
type Contents struct {
	Version int64           `json:"version"` // of the tables
	Tables  []TableContents `json:"tables"`
	// Mended is how many texts were no UTF-8, or had a NUL, which PostgreSQL
	// does not keep: a mark (U+FFFD) is in their place.
	Mended int64 `json:"-"`
}

// TableContents are what is kept in one table.
type TableContents struct {
	Name string `json:"name"`
	Rows int64  `json:"rows"`
	Last int64  `json:"last,omitempty"` // the highest number that was ever given to a row; 0: it gives none
}

// Rows are how many there are in all.
func (c Contents) Rows() (n int64) {
	for _, t := range c.Tables {
		n += t.Rows
	}
	return n
}

// A Progress hears how many rows of a table have been carried, after each
// thousand of them and at the table's end.
type Progress func(t TableContents, done int64)

const progressEvery = 1000 // rows

// A source gives rows away: the tables in the order of its contents.
type source interface {
	contents() Contents
	// rows are those of the table, each with a value for every column:
	// an int64, a string, a []byte or nil.
	rows(ctx context.Context, t table) iter.Seq2[[]any, error]
}

// A sink takes rows in.
type sink interface {
	load(ctx context.Context, t table, rows iter.Seq2[[]any, error]) error
	// finish makes sure that everything is there, and keeps it.
	finish(ctx context.Context, c Contents) error
}

// transfer carries everything from a source to a sink.
func transfer(ctx context.Context, from source, to sink, progress Progress) (Contents, error) {
	c := from.contents()
	tables, err := schemaAt(ctx, c.Version)
	if err != nil {
		return c, err
	}
	if err := c.fit(tables); err != nil {
		return c, err
	}
	for i, t := range tables {
		var done int64
		counted := func(yield func([]any, error) bool) {
			for row, err := range from.rows(ctx, t) {
				if err == nil {
					c.Mended += mend(row)
					if done++; done%progressEvery == 0 {
						progress(c.Tables[i], done)
					}
				}
				if !yield(row, err) {
					return
				}
			}
		}
		if err := to.load(ctx, t, counted); err != nil {
			return c, fmt.Errorf("table %s: %w", t.name, err)
		}
		if done != c.Tables[i].Rows {
			return c, fault.New(fault.Internal, "table %s: %d rows were announced and %d came", t.name, c.Tables[i].Rows, done)
		}
		progress(c.Tables[i], done)
	}
	return c, to.finish(ctx, c)
}

// fit makes sure that the contents are of these tables, in their order.
func (c Contents) fit(tables []table) error {
	ok := len(c.Tables) == len(tables)
	for i := 0; ok && i < len(tables); i++ {
		t := c.Tables[i]
		ok = t.Name == tables[i].name && t.Rows >= 0 && t.Last >= 0 && (tables[i].numbered || t.Last == 0)
	}
	if !ok {
		return fault.New(fault.Invalid, "these are not the tables of version %d", c.Version)
	}
	return nil
}

// mend replaces what is no text, and returns how many values it has changed.
func mend(row []any) (mended int64) {
	for i, v := range row {
		if s, ok := v.(string); ok {
			if m := legible(s); m != s {
				row[i] = m
				mended++
			}
		}
	}
	return mended
}

// Copy carries everything from one database to another, which must be empty. It
// may be of another kind. The tables come to be of the same version; opening
// the database brings them up to date. Nobody should be using the first one: what
// is written there later stays there.
func Copy(ctx context.Context, from, to string, progress Progress) (Contents, error) {
	src, err := openSource(ctx, from)
	if err != nil {
		return Contents{}, err
	}
	defer src.close()
	c, err := into(ctx, src, to, progress)
	if err != nil {
		return c, failed(err, "copy of %s", src.store.name)
	}
	return c, nil
}

// into carries everything from a source to the database at an address.
func into(ctx context.Context, from source, address string, progress Progress) (c Contents, err error) {
	switch v := from.contents().Version; {
	case v < 1:
		return c, fault.New(fault.Invalid, "there is no version %d of the tables", v)
	case v > newest():
		return c, tooNew(v, newest())
	}
	to, err := openSink(ctx, address, from.contents().Version)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, to.close()) }()
	return transfer(ctx, from, to, progress)
}

// A snapshot is a database as of the moment when it was opened.
type snapshot struct {
	store *Store
	tx    *sql.Tx
	had   Contents
}

func openSource(ctx context.Context, address string) (*snapshot, error) {
	s, err := openExisting(address)
	if err != nil {
		return nil, err
	}
	src := &snapshot{store: s}
	if err := src.begin(ctx); err != nil {
		return nil, errors.Join(failed(err, "database %s", s.name), s.Close())
	}
	return src, nil
}

// openExisting opens a database without making one where there is none.
func openExisting(address string) (*Store, error) {
	p, err := findPlace(address)
	if err != nil {
		return nil, err
	}
	if p.engine == sqlite {
		if _, err := os.Stat(p.path); err != nil {
			return nil, fault.New(fault.NotFound, "database: %w", err)
		}
	}
	return openAsIs(p)
}

func (s *snapshot) begin(ctx context.Context) (err error) {
	// On SQLite a transaction that reads sees one state anyway, and the level
	// has no other meaning.
	options := &sql.TxOptions{ReadOnly: true}
	if s.store.engine == postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	if s.tx, err = s.store.read.DB.BeginTx(ctx, options); err != nil {
		return err
	}
	s.had, err = look(ctx, s.store.engine, s.tx)
	return err
}

// look counts what is in a database.
func look(ctx context.Context, e engine, db queryer) (c Contents, err error) {
	if c.Version, err = version(ctx, e, db); err != nil {
		return c, err
	}
	if c.Version == 0 {
		return c, fault.New(fault.NotFound, "nothing of Catenary's is there")
	}
	if c.Version > newest() {
		return c, tooNew(c.Version, newest())
	}
	tables, err := schemaAt(ctx, c.Version)
	if err != nil {
		return c, err
	}
	for _, t := range tables {
		n := TableContents{Name: t.name}
		if n.Rows, err = single[int64](ctx, db, "SELECT count(*) FROM "+t.name); err != nil {
			return c, err
		}
		if t.numbered {
			if n.Last, err = lastNumber(ctx, e, db, t.name); err != nil {
				return c, err
			}
		}
		c.Tables = append(c.Tables, n)
	}
	return c, nil
}

func (s *snapshot) contents() Contents { return s.had }

func (s *snapshot) rows(ctx context.Context, t table) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		rows, err := s.tx.QueryContext(ctx, t.selection())
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close() // what matters is in rows.Err
		row, into := make([]any, len(t.columns)), make([]any, len(t.columns))
		for i := range row {
			into[i] = &row[i]
		}
		for rows.Next() {
			err := rows.Scan(into...)
			if err == nil {
				err = t.conform(row)
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
		}
	}
}

// conform makes the values those of the columns' kinds, whichever way a driver
// gives them.
func (t table) conform(row []any) error {
	for i, c := range t.columns {
		switch v := row[i].(type) {
		case nil:
		case int64:
			if c.kind != "INTEGER" {
				return t.odd(c, v)
			}
		case string:
			if c.kind == "BLOB" {
				row[i] = []byte(v)
			} else if c.kind != "TEXT" {
				return t.odd(c, v)
			}
		case []byte:
			if c.kind == "TEXT" {
				row[i] = string(v)
			} else if c.kind != "BLOB" {
				return t.odd(c, v)
			} else if v == nil {
				row[i] = []byte{} // of no length, and not NULL
			}
		default:
			return t.odd(c, v)
		}
	}
	return nil
}

func (t table) odd(c column, v any) error {
	return fault.New(fault.Internal, "column %s.%s has a %T in it, want %s", t.name, c.name, v, c.kind)
}

func (s *snapshot) close() {
	_ = s.tx.Rollback() // it has only read
	_ = s.store.Close() // likewise
}
