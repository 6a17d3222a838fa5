package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A table is one of a version's tables, as far as whoever carries its rows
// elsewhere has to know.
type table struct {
	name     string
	columns  []column
	key      []string // the columns of its primary key
	numbered bool     // its key is given out by the database
	needs    []string // tables that its rows refer to
	seeds    int64    // rows that the migrations have put into it
}

type column struct {
	name string
	kind string // INTEGER, TEXT or BLOB
}

// columnNames are the names of the table's columns.
func (t table) columnNames() []string {
	return each(t.columns, func(c column) string { return c.name })
}

// selection reads all rows of the table, in the order of its key.
func (t table) selection() string {
	return "SELECT " + strings.Join(t.columnNames(), ", ") + " FROM " + t.name + " ORDER BY " + strings.Join(t.key, ", ")
}

// schemaAt returns the tables of a version, each after those that it refers to.
// It asks a database in memory that is made for it, so that nobody can forget
// to list a new table.
func schemaAt(ctx context.Context, version int64) (tables []table, err error) {
	db, err := sql.Open("sqlite", ":memory:")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1) // each connection has a memory of its own
	if err := migrateTo(ctx, sqlite, db, version); err != nil {
		return nil, err
	}
	names, err := collect(ctx, db, scanPair, `SELECT name, sql FROM sqlite_schema
		WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose_%' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	for _, n := range names {
		t, err := describe(ctx, db, n[0])
		if err != nil {
			return nil, fmt.Errorf("table %s: %w", n[0], err)
		}
		t.numbered = strings.Contains(n[1], "AUTOINCREMENT")
		tables = append(tables, t)
	}
	return inOrder(tables), nil
}

func scanPair(rows *sql.Rows) (p [2]string, err error) { return p, rows.Scan(&p[0], &p[1]) }

func describe(ctx context.Context, db queryer, name string) (table, error) {
	t := table{name: name}
	type info struct {
		column
		key int // its place in the primary key, from 1; 0: not in it
	}
	columns, err := collect(ctx, db, func(rows *sql.Rows) (c info, err error) { return c, rows.Scan(&c.name, &c.kind, &c.key) },
		"SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid", name)
	if err != nil {
		return t, err
	}
	t.key = make([]string, 0, len(columns))
	for place := 1; ; place++ {
		i := slices.IndexFunc(columns, func(c info) bool { return c.key == place })
		if i < 0 {
			break
		}
		t.key = append(t.key, columns[i].name)
	}
	t.columns = each(columns, func(c info) column { return c.column })
	if t.needs, err = collect(ctx, db, func(rows *sql.Rows) (s string, err error) { return s, rows.Scan(&s) },
		`SELECT DISTINCT "table" FROM pragma_foreign_key_list($1)`, name); err != nil {
		return t, err
	}
	t.seeds, err = single[int64](ctx, db, "SELECT count(*) FROM "+name)
	return t, err
}

// inOrder puts each table after those that it needs.
func inOrder(tables []table) []table {
	out := make([]table, 0, len(tables))
	for len(out) < len(tables) {
		before := len(out)
		for _, t := range tables {
			has := func(name string) bool {
				return name == t.name || slices.ContainsFunc(out, func(o table) bool { return o.name == name })
			}
			if !slices.ContainsFunc(out, func(o table) bool { return o.name == t.name }) &&
				!slices.ContainsFunc(t.needs, func(name string) bool { return !has(name) }) {
				out = append(out, t)
			}
		}
		if len(out) == before {
			panic("store: tables refer to each other in a circle") // a migration's author sees it at once
		}
	}
	return out
}
