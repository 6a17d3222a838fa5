package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/sensor"
	"catenary/internal/server/store"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const (
	resultBytes = 20 << 10 // of a question's result in the installation
	largeBytes  = 1 << 20
	together    = 1000 // machines that enrol, and registrations, in one transaction
)

func clientID(n int) (id endpoint.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15) // spread over the table
	return id
}

// build makes an installation.
func build(ctx context.Context, address string, n size) (store.Contents, error) {
	s, err := store.Open(ctx, address)
	if err != nil {
		return store.Contents{}, err
	}
	defer s.Close()
	for _, part := range []func(context.Context, *store.Store, size) error{enrol, makeObjects, askQuestions, audit} {
		if err := part(ctx, s, n); err != nil {
			return store.Contents{}, err
		}
	}
	state, err := store.Inspect(ctx, address)
	return state.Contents, err
}

func enrol(ctx context.Context, s *store.Store, n size) error {
	secret := store.HashOf("secret")
	if err := s.CreateSecret(ctx, store.Secret{Hash: secret, Created: noon, Expires: noon.Add(time.Hour), Uses: n.clients}); err != nil {
		return err
	}
	for i := 0; i < n.clients; i += together {
		var list []*store.Enrolment
		for k := i; k < min(i+together, n.clients); k++ {
			id := clientID(k)
			list = append(list, &store.Enrolment{Secret: secret, Client: store.Client{
				ID: id, ComputerID: uint32(k + 1), Name: fmt.Sprintf("computer-%d.example.org", k), Key: store.HashOf(id.String()), Enrolled: noon,
			}})
		}
		if err := s.Enrol(ctx, noon, list); err != nil {
			return err
		}
	}
	return nil
}

func makeObjects(ctx context.Context, s *store.Store, n size) error {
	list := make([]sensor.Sensor, n.objects)
	for i := range list {
		list[i].Name = fmt.Sprintf("Sensor %d", i)
	}
	if err := s.SyncBuiltin(ctx, list, noon); err != nil {
		return err
	}
	return s.Change(ctx, func(c *store.Change) error {
		for i := range n.objects {
			if _, err := c.Create(ctx, savedQuestion(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func savedQuestion(i int) store.Object {
	return store.Object{
		Kind: "saved_question", Name: fmt.Sprintf("Saved question %d", i), Created: noon, Modified: noon, CreatedBy: 1, ModifiedBy: 1,
		Body: fmt.Appendf(nil, `{"query_text":"Get Sensor %d from all machines","issue_seconds":120,"archive":true,"padding":"%0600d"}`, i, i),
	}
}

func askQuestions(ctx context.Context, s *store.Store, n size) error {
	a := store.Answer{Result: make([]byte, resultBytes), Account: store.Account{Counts: store.Counts{Answered: n.clients}}}
	for i := range n.questions {
		id, err := s.CreateQuestion(ctx, aQuestion(i))
		if err != nil {
			return err
		}
		if err := s.CloseQuestion(ctx, id, noon.Add(time.Minute), a); err != nil {
			return err
		}
	}
	return nil
}

func aQuestion(i int) store.Question {
	return store.Question{Text: fmt.Sprintf("Get Folder Contents[%d] from all machines", i), UserID: 1, Plan: make([]byte, 300), Issued: noon, Expires: noon.Add(time.Hour)}
}

func audit(ctx context.Context, s *store.Store, n size) error {
	for done := 0; done < n.audits; done += n.objects {
		if err := s.Change(ctx, func(c *store.Change) error {
			for i := range min(n.objects, n.audits-done) {
				if err := c.Audit(ctx, auditEntry(i)); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func auditEntry(i int) store.AuditEntry {
	return store.AuditEntry{At: noon, UserID: 1, UserName: "admin", Address: "10.0.0.1", Type: "update", Kind: "saved_question", ObjectID: int64(i), Details: "issue_seconds: 120 → 60"}
}

// A deed is done so many times.
type deed struct {
	what  string
	times int
	do    func(ctx context.Context, i int) error
}

// measure does what a server does, on an installation that there is.
func measure(ctx context.Context, address string, n size) (out []timing, err error) {
	s, err := store.Open(ctx, address)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for _, d := range append(writes(s, n), reads(s, n)...) {
		t := timing{what: d.what}
		for i := range d.times {
			began := time.Now()
			if err := d.do(ctx, i); err != nil {
				return nil, fmt.Errorf("%s: %w", d.what, err)
			}
			t.took = append(t.took, time.Since(began))
		}
		out = append(out, t)
	}
	return out, nil
}

func writes(s *store.Store, n size) []deed {
	lan := netip.MustParsePrefix("10.0.0.0/24")
	large := store.Answer{Result: make([]byte, largeBytes)}
	var open []uint64
	return []deed{
		{"write 1,000 registrations", 30, func(ctx context.Context, round int) error {
			touches := make([]store.Touch, together)
			for i := range touches {
				touches[i] = store.Touch{
					ID: clientID((i*97 + round) % n.clients), Name: "computer.example.org", Registered: noon.Add(time.Duration(round) * time.Second),
					Incarnation: 1, Sequence: uint64(round), LAN: lan, Slot: answer.Slot(i),
				}
			}
			return s.TouchClients(ctx, touches)
		}},
		{"ask a question", 200, func(ctx context.Context, i int) error {
			id, err := s.CreateQuestion(ctx, aQuestion(i))
			open = append(open, id)
			return err
		}},
		{"close a question with a result of 1 MiB", 50, func(ctx context.Context, i int) error {
			return s.CloseQuestion(ctx, open[i], noon.Add(time.Minute), large)
		}},
		{"change one object, with its audit", 200, func(ctx context.Context, i int) error {
			return s.Change(ctx, func(c *store.Change) error {
				o := savedQuestion(i)
				o.ID = int64(i + 1)
				if err := c.Update(ctx, o); err != nil {
					return err
				}
				return c.Audit(ctx, auditEntry(i))
			})
		}},
		{"create 1,000 objects together", 5, func(ctx context.Context, round int) error {
			return s.Change(ctx, func(c *store.Change) error {
				for i := range 1000 {
					o := savedQuestion(i)
					o.Kind = fmt.Sprintf("imported_%d", round)
					if _, err := c.Create(ctx, o); err != nil {
						return err
					}
				}
				return nil
			})
		}},
	}
}

func reads(s *store.Store, n size) []deed {
	var never time.Time
	return []deed{
		{"a question by its number", 2000, func(ctx context.Context, i int) error {
			_, err := s.Question(ctx, uint64(i%n.questions+1))
			return err
		}},
		{fmt.Sprintf("a question's result of %d KiB", resultBytes>>10), 1000, func(ctx context.Context, i int) error {
			_, err := s.QuestionResult(ctx, uint64(i%n.questions+1))
			return err
		}},
		{fmt.Sprintf("a page of 100 of %d questions", n.questions), 200, func(ctx context.Context, i int) error {
			_, _, err := s.Questions(ctx, i, 100)
			return err
		}},
		{fmt.Sprintf("a page of 100 of %d audit entries", n.audits), 200, func(ctx context.Context, i int) error {
			_, err := s.Audits(ctx, "", 0, never, never, 100, int64(n.audits-i))
			return err
		}},
		{"the audit of one object", 200, func(ctx context.Context, i int) error {
			_, err := s.Audits(ctx, "saved_question", int64(i), never, never, 100, 0)
			return err
		}},
		{fmt.Sprintf("all %d sensors", n.objects), 10, func(ctx context.Context, _ int) error {
			_, err := s.Sensors(ctx)
			return err
		}},
		{fmt.Sprintf("all %d saved questions", n.objects), 10, func(ctx context.Context, _ int) error {
			_, err := s.ObjectsOf(ctx, "saved_question")
			return err
		}},
		{fmt.Sprintf("all %d clients", n.clients), 3, func(ctx context.Context, _ int) error {
			_, err := s.Clients(ctx)
			return err
		}},
	}
}
