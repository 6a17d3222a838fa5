package server

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/seal"
)

var (
	ann  = endpoint.ID{0xa}
	bert = endpoint.ID{0xb}
	home = netip.MustParseAddr("10.1.2.3")
	noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

func newSecrets(t *testing.T, path string, now time.Time) *secrets {
	t.Helper()
	s, err := openSecrets(path, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSecrets: a key is known for its life, also to a server that has started
// since, for its client at its address only; then its secret is gone from disk.
func TestSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), secretsFile)
	s := newSecrets(t, path, noon)
	key, name, err := s.issue(noon.Add(59*time.Minute), ann, home)
	if err != nil {
		t.Fatal(err)
	}
	_, second, err := s.issue(noon.Add(59*time.Minute), ann, home)
	if err != nil || second == name {
		t.Fatalf("two keys have the name %x, %v", second, err)
	}
	given := noon.Add(59 * time.Minute)
	end := given.Add(keyLife + keyOverlap)
	for _, tt := range []struct {
		what string
		now  time.Time
		id   endpoint.ID
		at   netip.Addr
		want error
	}{
		{"at once", given, ann, home, nil},
		{"at its end", end, ann, home, nil},
		{"after its end", end.Add(time.Second), ann, home, errKeyUnknown},
		{"by a clock that was put back", noon.Add(-time.Hour), ann, home, nil},
		{"of another client", given, bert, home, errElsewhere},
		{"from elsewhere", given, ann, netip.MustParseAddr("10.1.2.4"), errElsewhere},
	} {
		again := newSecrets(t, path, given)
		for life, s := range map[string]*secrets{"": s, " after a restart": again} {
			got, err := s.key(tt.now, tt.id, name, tt.at)
			if !errors.Is(err, tt.want) || err == nil && got != key {
				t.Errorf("%s%s: %x, %v; want %x, %v", tt.what, life, got, err, key, tt.want)
			}
		}
	}
	// Hour by hour a new secret comes, and old ones go.
	var newest seal.KeyName
	for h := range 24 {
		if _, newest, err = s.issue(noon.Add(time.Duration(h)*time.Hour), ann, home); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(data), "\n"); n != min(h+1, 8) {
			t.Errorf("after %d hours %d secrets are kept", h, n)
		}
	}
	if _, err := s.key(given, ann, name, home); !errors.Is(err, errKeyUnknown) {
		t.Errorf("the first key can still be made: %v", err)
	}
	later := newSecrets(t, path, noon.Add(48*time.Hour))
	if _, err := later.key(noon.Add(23*time.Hour), ann, newest, home); !errors.Is(err, errKeyUnknown) {
		t.Errorf("a server that was off for a day keeps old secrets: %v", err)
	}
}

func TestDamagedSecrets(t *testing.T) {
	for name, text := range map[string]string{
		"not a number":  "x 00\n",
		"short secret":  "495000 0011\n",
		"half a line":   "495000\n",
		"not a text":    "\x00\x01\x02\n",
		"long secret":   "495000 " + strings.Repeat("00", 33) + "\n",
		"second broken": "495000 " + strings.Repeat("00", 32) + "\nhello\n",
	} {
		path := filepath.Join(t.TempDir(), secretsFile)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openSecrets(path, noon); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s := newSecrets(t, filepath.Join(t.TempDir(), "nowhere", secretsFile), noon)
	if _, _, err := s.issue(noon, ann, home); err == nil {
		t.Error("a key is given that a restart would forget")
	}
}
