package store

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"catenary/internal/endpoint"
)

func benchStore(b *testing.B) *Store {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return s
}

func clientID(n int) (id endpoint.ID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15) // spread over the table
	return id
}

// One batch of registrations, as the server writes them behind.
func BenchmarkTouch1000Clients(b *testing.B) {
	const all, batch = 20_000, 1000
	s := benchStore(b)
	if err := s.CreateSecret(b.Context(), Secret{Hash: HashOf("a"), Expires: noon.Add(time.Hour), Uses: all}); err != nil {
		b.Fatal(err)
	}
	list := make([]*Enrolment, all)
	for n := range list {
		id := clientID(n)
		list[n] = &Enrolment{Secret: HashOf("a"), Client: Client{ID: id, ComputerID: uint32(n), Key: HashOf(id.String()), Enrolled: noon}}
	}
	if err := s.Enrol(b.Context(), noon, list); err != nil {
		b.Fatal(err)
	}
	touches := make([]Touch, batch)
	round := 0
	for b.Loop() {
		round++
		for i := range touches {
			touches[i] = Touch{ID: clientID((i*17 + round) % all), Name: "a computer", Registered: noon.Add(time.Duration(round) * time.Second), Incarnation: 1, Sequence: uint64(round)}
		}
		if err := s.TouchClients(b.Context(), touches); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreateQuestion(b *testing.B) {
	s := benchStore(b)
	for n := 0; b.Loop(); n++ {
		q := Question{Text: fmt.Sprintf("Get Folder Contents[%d] from all machines", n), Plan: make([]byte, 300), Issued: noon, Expires: noon}
		if _, err := s.CreateQuestion(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}
