package api

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"catenary/internal/server/store"
)

const (
	sessionLife = 5 * time.Minute // without a request; programs log in again when they see 403
	sessionsMax = 10_000          // at once; the longest unused makes room
	secretBytes = 32              // random bytes of a session or token string: nobody guesses them
)

// A secret is a session or token string. It does not show itself in logs.
type secret string

func (secret) String() string       { return "(secret)" }
func (secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

func randomHex() string {
	b := make([]byte, secretBytes)
	_, _ = rand.Read(b) // it crashes the program rather than return an error
	return hex.EncodeToString(b)
}

// sessions are who is logged in. Only hashes of the strings are kept, so that
// a memory dump opens no door.
type sessions struct {
	mu   sync.Mutex // guards live
	live recent[store.Hash, store.User]
}

func newSessions() *sessions {
	return &sessions{live: newRecent[store.Hash, store.User](sessionsMax, sessionLife)}
}

// start returns a new session of u.
func (s *sessions) start(now time.Time, u store.User) secret {
	str := secret(fmt.Sprintf("1-%d-%s", u.ID, randomHex()))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.set(now, store.HashOf(string(str)), u)
	return str
}

// use returns whose session it is and lets it live on.
func (s *sessions) use(now time.Time, str secret) (store.User, bool) {
	h := store.HashOf(string(str))
	s.mu.Lock()
	defer s.mu.Unlock()
	u, ok := s.live.get(now, h)
	if ok {
		s.live.set(now, h, u)
	}
	return u, ok
}

// end makes the string worthless.
func (s *sessions) end(str secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.drop(store.HashOf(string(str)))
}

// endAll ends every session of a user.
func (s *sessions) endAll(user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.dropIf(func(u store.User) bool { return u.ID == user })
}

// count is how many sessions live.
func (s *sessions) count(now time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.expire(now)
	return len(s.live.entries)
}
