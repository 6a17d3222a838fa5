package storetest

import (
	"context"
	"fmt"
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

// template is the database that others are copies of, for it takes long to make
// one. A program has only one kind of them.
var template struct {
	sync.Once
	err error
}

const templateName = "template_catenary"

// Prepared returns the address of a database that prepare has prepared, given
// its address, and that goes with the test. All of a program's tests must give
// the same prepare: only the first one is used where that saves time.
func (e Engine) Prepared(t testing.TB, prepare func(address string) error) string {
	t.Helper()
	if e == SQLite {
		address := e.Empty(t)
		if err := prepare(address); err != nil {
			t.Fatal(err)
		}
		return address
	}
	template.Do(func() { template.err = makeTemplate(prepare) })
	if template.err != nil {
		t.Fatal(template.err)
	}
	return fresh(t, templateName)
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
