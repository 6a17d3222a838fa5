//go:build unix

package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"catenary/internal/demo"
	"catenary/internal/server/store/storetest"
)

// TestKilledInALoopOfWrites: the server is killed again and again while
// programs write through its API. Whatever it has said yes to is there when it
// is back.
func TestKilledInALoopOfWrites(t *testing.T) { storetest.Each(t, testKilledInALoopOfWrites) }

func testKilledInALoopOfWrites(t *testing.T, e storetest.Engine) {
	const rounds, each = 5, 40
	s := newLoneServer(t, t.TempDir(), freePort(t))
	s.flags = []string{"--database", e.Empty(t)}
	session := s.session(s.start())
	var all []written
	for round := range rounds {
		all = append(all, s.killWhileWriting(session, round, each)...)
		session = s.session(s.start())
		checkWritten(t, session, all)
	}
	t.Logf("%d writes were acknowledged, and are there", len(all))
}

// written is a thing that the server has said is made.
type written struct {
	route string // that of one such thing
	id    int
}

func (s *loneServer) session(a demo.Announcement) *demo.Session {
	s.t.Helper()
	password, err := os.ReadFile(a.PasswordFile)
	if err != nil {
		s.t.Fatal(err)
	}
	session, err := demo.LogIn(s.t.Context(), a, strings.TrimSpace(string(password)))
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// killWhileWriting has several writers write until so much is acknowledged, and
// some of each kind, kills the server while they go on, and returns what was acknowledged.
func (s *loneServer) killWhileWriting(session *demo.Session, round, enough int) (all []written) {
	var writers sync.WaitGroup
	acknowledged := make(chan written)
	kinds := []struct {
		route string
		body  func(n int) any
	}{
		{"api_tokens", func(n int) any { return map[string]any{"name": fmt.Sprintf("token %d", n)} }},
		{"questions", func(int) any {
			return map[string]any{"query_text": "Get Computer Name from all machines", "expire_seconds": 10}
		}},
		{"sensors", func(n int) any {
			return map[string]any{"name": fmt.Sprintf("Sensor %d-%d", round, n), "queries": []any{
				map[string]any{"platform": "Linux", "script_type": "UnixShell", "script": "echo x"},
			}}
		}},
	}
	for _, kind := range kinds {
		writers.Go(func() {
			for n := 0; ; n++ {
				var made struct {
					ID int `json:"id"`
				}
				if err := session.Call(s.t.Context(), "POST", kind.route, kind.body(n), &made); err != nil {
					if n == 0 {
						s.t.Errorf("%s: %v", kind.route, err)
					}
					return // it has been killed
				}
				acknowledged <- written{kind.route, made.ID}
			}
		})
	}
	go func() { writers.Wait(); close(acknowledged) }()
	killed, seen := false, map[string]bool{}
	for w := range acknowledged {
		all, seen[w.route] = append(all, w), true
		if !killed && len(all) >= enough && len(seen) == len(kinds) {
			s.kill()
			killed = true
		}
	}
	if len(all) < enough {
		s.t.Fatalf("only %d writes were acknowledged", len(all))
	}
	return all
}

func checkWritten(t *testing.T, session *demo.Session, all []written) {
	t.Helper()
	there := map[written]bool{}
	for _, route := range []string{"api_tokens", "sensors"} {
		var list []struct {
			ID int `json:"id"`
		}
		if err := session.Call(t.Context(), "GET", route, nil, &list); err != nil {
			t.Fatal(err)
		}
		for _, x := range list {
			there[written{route, x.ID}] = true
		}
	}
	for _, w := range all {
		if w.route == "questions" {
			var q struct {
				ID int `json:"id"`
			}
			if err := session.Call(t.Context(), "GET", fmt.Sprintf("questions/%d", w.id), nil, &q); err != nil || q.ID != w.id {
				t.Errorf("question %d: %v", w.id, err)
			}
		} else if !there[w] {
			t.Errorf("%s %d was acknowledged and is not there", w.route, w.id)
		}
	}
}
