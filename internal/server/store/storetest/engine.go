package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// An Engine is a kind of database.
type Engine string

// The engines.
const (
	SQLite     Engine = "sqlite"
	PostgreSQL Engine = "postgres"
)

// Engines are all of them.
var Engines = []Engine{SQLite, PostgreSQL}

// Each runs a test with each engine.
func Each(t *testing.T, f func(t *testing.T, e Engine)) {
	t.Helper()
	for _, e := range Engines {
		t.Run(string(e), func(t *testing.T) { f(t, e) })
	}
}

// Empty returns the address of an empty database that goes with the test.
func (e Engine) Empty(t testing.TB) string {
	t.Helper()
	if e == SQLite {
		return filepath.Join(t.TempDir(), "catenary.db")
	}
	return fresh(t, "template0")
}

// template is the database that others of an engine are copies of, for it takes
// long to make one. A program has only one kind of them.
type template struct {
	sync.Once
	file []byte // of SQLite, the whole database
	err  error
}

var templates = map[Engine]*template{SQLite: {}, PostgreSQL: {}}

const templateName = "template_catenary"

// Opened is what prepares a database by opening it once.
func Opened[S io.Closer](open func(ctx context.Context, address string) (S, error)) (prepare func(address string) error) {
	return func(address string) error {
		s, err := open(context.Background(), address) // the database outlives the test that is the first
		if err != nil {
			return err
		}
		return s.Close()
	}
}

// Prepared returns the address of a database that prepare has prepared, given
// its address, and that goes with the test. All of a program's tests must give
// the same prepare, for it is called once.
func (e Engine) Prepared(t testing.TB, prepare func(address string) error) string {
	t.Helper()
	one := templates[e]
	one.Do(func() {
		if e == SQLite {
			one.file, one.err = makeFile(prepare)
		} else {
			one.err = makeTemplate(prepare)
		}
	})
	if one.err != nil {
		t.Fatal(one.err)
	}
	if e == PostgreSQL {
		return fresh(t, templateName)
	}
	address := e.Empty(t)
	if err := os.WriteFile(address, one.file, 0o600); err != nil {
		t.Fatal(err)
	}
	return address
}

func makeFile(prepare func(address string) error) (file []byte, err error) {
	dir, err := os.MkdirTemp("", "catenary-template-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "catenary.db")
	if err := prepare(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

func makeTemplate(prepare func(address string) error) error {
	p, err := shared()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), doTimeout) // outlives the test that is the first
	defer cancel()
	if err := p.Do(ctx, "CREATE DATABASE "+templateName); err != nil {
		return err
	}
	return prepare(p.Address(templateName))
}

var count atomic.Int64

// fresh makes a copy of a database.
func fresh(t testing.TB, from string) string {
	t.Helper()
	p, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("test_%d", count.Add(1))
	do := func(statement string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), doTimeout) // the test's context has ended at cleanup
		defer cancel()
		if err := p.Do(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	do("CREATE DATABASE " + name + " TEMPLATE " + from + " ENCODING 'UTF8'")
	t.Cleanup(func() { do("DROP DATABASE " + name + " WITH (FORCE)") })
	return p.Address(name)
}
