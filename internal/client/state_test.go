package client

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"catenary/internal/endpoint"
)

// TestState: the key and the identity survive a restart, and each start counts.
func TestState(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	first, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	first.who.ID, first.who.ComputerID, first.who.Certificate = endpoint.ID{7}, 42, []byte{1, 2, 3}
	if err := first.save(); err != nil {
		t.Fatal(err)
	}
	second, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !second.key.Equal(first.key) || second.who.ID != first.who.ID || second.who.ComputerID != 42 || len(second.who.Certificate) != 3 {
		t.Errorf("after a restart: %+v, want %+v", second.who, first.who)
	}
	if second.who.Incarnation != first.who.Incarnation+1 {
		t.Errorf("incarnation %d after %d", second.who.Incarnation, first.who.Incarnation)
	}
	for _, name := range []string{keyFile, whoFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if err := second.reset(); err != nil {
		t.Fatal(err)
	}
	third, err := openState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if third.key.Equal(first.key) || !third.who.ID.Zero() || len(third.who.Certificate) != 0 {
		t.Errorf("after a reset: %+v with the old key %v", third.who, third.key.Equal(first.key))
	}
}

func TestDamagedState(t *testing.T) {
	for name, want := range map[string]string{
		keyFile: "client key",
		whoFile: "remove the file to enrol this machine anew",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("not what it was"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openState(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestServers: the server that has failed least comes first.
func TestServers(t *testing.T) {
	s := newServers([]string{"a:1", "b:1", "c:1"})
	first := s.order()[0]
	s.failed(first)
	s.failed(first)
	second := s.order()[0]
	s.failed(second)
	order := s.order()
	if order[2] != first || order[1] != second || !slices.Contains([]string{"a:1", "b:1", "c:1"}, order[0]) {
		t.Errorf("order is %v after two failures of %s and one of %s", order, first, second)
	}
}
