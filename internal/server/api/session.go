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
	sessionLife = 5 * time.Minute    // without a request, unless set otherwise; programs log in again when they see 403
	longLife    = 7 * 24 * time.Hour // of a session that was asked to be persistent
	sessionsMax = 10_000             // at once; the longest unused makes room
	longMax     = 1_000              // of them, persistent
	secretBytes = 32                 // random bytes of a session or token string: nobody guesses them
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
	life func() time.Duration // without a request, as it is set now

	mu   sync.Mutex // guards the fields below
	live recent[store.Hash, store.User]
	long recent[store.Hash, store.User]
}

func newSessions() *sessions {
	return &sessions{
		life: func() time.Duration { return sessionLife },
		live: newRecent[store.Hash, store.User](sessionsMax, sessionLife),
		long: newRecent[store.Hash, store.User](longMax, longLife),
	}
}

// lock guards the fields; the life is what is set now, and not in the middle of
// a deed.
func (s *sessions) lock() {
	life := s.life()
	s.mu.Lock()
	s.live.life = life
}

// start returns a new session of u.
func (s *sessions) start(now time.Time, u store.User) secret { return s.begin(now, u, &s.live) }

// startLong returns a new session of u that lives for a week without a request.
func (s *sessions) startLong(now time.Time, u store.User) secret { return s.begin(now, u, &s.long) }

func (s *sessions) begin(now time.Time, u store.User, among *recent[store.Hash, store.User]) secret {
	str := secret(fmt.Sprintf("1-%d-%s", u.ID, randomHex()))
	s.lock()
	defer s.mu.Unlock()
	among.set(now, store.HashOf(string(str)), u)
	return str
}

// use returns whose session it is and lets it live on.
func (s *sessions) use(now time.Time, str secret) (store.User, bool) {
	h := store.HashOf(string(str))
	s.lock()
	defer s.mu.Unlock()
	for _, among := range []*recent[store.Hash, store.User]{&s.live, &s.long} {
		if u, ok := among.get(now, h); ok {
			among.set(now, h, u)
			return u, true
		}
	}
	return store.User{}, false
}

// end makes the string worthless.
func (s *sessions) end(str secret) {
	s.lock()
	defer s.mu.Unlock()
	s.live.drop(store.HashOf(string(str)))
	s.long.drop(store.HashOf(string(str)))
}

// endAll ends every session of a user.
func (s *sessions) endAll(user int64) {
	s.lock()
	defer s.mu.Unlock()
	s.live.dropIf(func(u store.User) bool { return u.ID == user })
	s.long.dropIf(func(u store.User) bool { return u.ID == user })
}

// count is how many sessions live.
func (s *sessions) count(now time.Time) int {
	s.lock()
	defer s.mu.Unlock()
	s.live.expire(now)
	s.long.expire(now)
	return len(s.live.entries) + len(s.long.entries)
}
