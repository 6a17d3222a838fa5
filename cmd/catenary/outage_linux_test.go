package main

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/store/storetest"
	"catenary/internal/value"
)

// An outage is a way in which a database goes away and comes back.
type outage struct {
	address    string
	begin, end func() error
}

func lockedSQLite(t *testing.T) outage {
	path := filepath.Join(t.TempDir(), "catenary.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	do := func(statement string) func() error {
		return func() error {
			_, err := db.ExecContext(context.Background(), statement) // also when the test ends
			return err
		}
	}
	return outage{path, do("PRAGMA busy_timeout = 10000; BEGIN EXCLUSIVE"), do("ROLLBACK")}
}

func frozenPostgres(t *testing.T) outage {
	p := storetest.Start(t)
	return outage{p.Address("postgres"), p.Freeze, p.Thaw}
}

func crashedPostgres(t *testing.T) outage {
	p := storetest.Start(t)
	return outage{p.Address("postgres"), p.Crash, p.Run}
}

// TestDatabaseGoesAway: while the database is away, questions are answered and
// clients register; when it is back, it has everything.
func TestDatabaseGoesAway(t *testing.T) {
	for name, of := range map[string]func(*testing.T) outage{
		"SQLite is locked": lockedSQLite, "PostgreSQL is frozen": frozenPostgres, "PostgreSQL crashes": crashedPostgres,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testDatabaseGoesAway(t, of(t))
		})
	}
}

func testDatabaseGoesAway(t *testing.T, db outage) {
	const clients, life = 3, 10 * time.Second
	r, log := startRelay(t), &quietLog{}
	r.open.Store(true)
	s := r.startServerOn(t.TempDir(), db.address, slog.New(slog.NewTextHandler(log, nil)))
	r.startClients(s.Server, clients)
	waitUntil(t, "every client has come", func() bool { return s.CountClients(t.Context()) == clients })
	s.until(t, "datagram accepted", clients)
	if _, err := s.CreateSensor(t.Context(), sensor.Sensor{
		Name: "Slow", Columns: []sensor.Column{{Name: "Slow", Type: value.String}}, MaxAge: time.Minute,
		Platforms: []sensor.Platform{sensor.Linux}, Scripts: []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "sleep 2; echo done"}},
	}, "test"); err != nil {
		t.Fatal(err)
	}
	q, err := question.Parse("Get Slow from all machines", s.Catalogue(), nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Ask(t.Context(), question.Asking{Question: q, Life: life})
	if err != nil {
		t.Fatal(err)
	}

	if err := db.begin(); err != nil {
		t.Fatal(err)
	}
	away := time.Now()
	back := sync.OnceFunc(func() {
		if err := db.end(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(back) // or the server would not end
	waitUntil(t, "every machine has answered", func() bool {
		res, err := s.Result(t.Context(), id)
		return err == nil && res.Answered == clients
	})
	s.until(t, "datagram accepted", 5*clients)
	waitUntil(t, "the question's time is over", func() bool { return time.Since(away) > life+time.Second })
	back()

	waitUntil(t, "the answer is in the database", func() bool {
		a, err := s.Store().QuestionAccount(t.Context(), id)
		return err == nil && a.Answered == clients
	})
	waitUntil(t, "the last registrations are in the database", func() bool {
		list, err := s.Store().Clients(t.Context())
		late := 0
		for _, c := range list {
			if c.Registered.Sub(away) > life {
				late++
			}
		}
		return err == nil && late == clients
	})
	if text := log.String(); strings.Contains(text, "not written") {
		t.Errorf("the log says\n%s", text)
	}
}

// waitUntil looks again and again until it is so.
func waitUntil(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

// A quietLog keeps what is logged, from any goroutine.
type quietLog struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *quietLog) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *quietLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
