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
	clearEvery  = time.Second        // it is looked at most for sessions that have ended by time, where many are counted
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

// A session is somebody who is logged in, and since when.
type session struct {
	user  store.User
	begun time.Time
}

// sessionRules are what is set of sessions.
type sessionRules struct {
	idle    time.Duration // how long one lives without a request
	longest time.Duration // how long one lives at all
	perUser int           // how many a user has at once
}

// sessions are who is logged in. Only hashes of the strings are kept, so that
// a memory dump opens no door.
type sessions struct {
	rules func() sessionRules // as they are set now
	gone  func(user int64)    // called when sessions of a user have ended otherwise than by time

	mu      sync.Mutex // guards the fields below
	live    recent[store.Hash, session]
	long    recent[store.Hash, session]
	longest time.Duration
	perUser int
	of      map[int64]int // how many a user has
	cleared time.Time
}

func newSessions() *sessions {
	s := &sessions{
		rules: func() sessionRules { return sessionRules{sessionLife, longLife, sessionsMax} },
		gone:  func(int64) {},
		live:  newRecent[store.Hash, session](sessionsMax, sessionLife),
		long:  newRecent[store.Hash, session](longMax, longLife),
		of:    map[int64]int{},
	}
	one := func(one session) {
		if s.of[one.user.ID]--; s.of[one.user.ID] == 0 {
			delete(s.of, one.user.ID)
		}
	}
	s.live.gone, s.long.gone = one, one
	return s
}

// both are the sessions, and those that were asked to be persistent.
func (s *sessions) both() []*recent[store.Hash, session] {
	return []*recent[store.Hash, session]{&s.live, &s.long}
}

// lock guards the fields; the rules are what is set now, and not in the middle
// of a deed.
func (s *sessions) lock() {
	now := s.rules()
	s.mu.Lock()
	s.live.life, s.longest, s.perUser = now.idle, now.longest, now.perUser
}

// start returns a new session of u. If he had as many as one may have, ended
// is how many of them made room.
func (s *sessions) start(now time.Time, u store.User) (str secret, ended int) {
	return s.begin(now, session{u, now}, &s.live)
}

// startLong returns a new session of u that lives for a week without a request.
func (s *sessions) startLong(now time.Time, u store.User) (str secret, ended int) {
	return s.begin(now, session{u, now}, &s.long)
}

// goOn returns a new session of u that is as old as the session was: nobody gets
// older than he may by turning into another.
func (s *sessions) goOn(now time.Time, was secret, u store.User) (str secret, ended int) {
	begun := now
	h := store.HashOf(string(was))
	s.lock()
	for _, among := range s.both() {
		if old, ok := among.get(now, h); ok {
			begun = old.begun
		}
	}
	s.mu.Unlock()
	return s.begin(now, session{u, begun}, &s.live)
}

func (s *sessions) begin(now time.Time, one session, among *recent[store.Hash, session]) (str secret, ended int) {
	str = secret(fmt.Sprintf("1-%d-%s", one.user.ID, randomHex()))
	defer func() {
		if ended > 0 {
			s.gone(one.user.ID)
		}
	}()
	s.lock()
	defer s.mu.Unlock()
	s.clear(now)
	for s.of[one.user.ID] >= s.perUser {
		s.endOldest(one.user.ID)
		ended++
	}
	s.add(now, among, store.HashOf(string(str)), one)
	return str, ended
}

func (s *sessions) add(now time.Time, among *recent[store.Hash, session], h store.Hash, one session) {
	among.set(now, h, one)
	s.of[one.user.ID]++
}

// clear takes away what has lived long enough.
func (s *sessions) clear(now time.Time) {
	for _, among := range s.both() {
		among.expire(now)
		among.dropIf(func(one session) bool { return now.Sub(one.begun) >= s.longest })
	}
	s.cleared = now
}

// endOldest ends that session of a user that was not used for longest.
func (s *sessions) endOldest(user int64) {
	var oldest *entry[store.Hash, session]
	for _, among := range s.both() {
		for el := among.order.Front(); el != nil; el = el.Next() {
			e := el.Value.(*entry[store.Hash, session])
			if e.value.user.ID != user {
				continue
			}
			if oldest == nil || e.touched.Before(oldest.touched) {
				oldest = e
			}
			break // the others of this list were used later
		}
	}
	if oldest != nil {
		s.live.drop(oldest.key)
		s.long.drop(oldest.key)
	}
}

// use returns whose session it is and lets it live on.
func (s *sessions) use(now time.Time, str secret) (store.User, bool) {
	h := store.HashOf(string(str))
	s.lock()
	defer s.mu.Unlock()
	for _, among := range s.both() {
		one, ok := among.get(now, h)
		switch {
		case !ok:
		case now.Sub(one.begun) >= s.longest:
			among.drop(h)
		default:
			among.set(now, h, one)
			return one.user, true
		}
	}
	return store.User{}, false
}

// end makes the string worthless.
func (s *sessions) end(str secret) {
	h := store.HashOf(string(str))
	s.lock()
	defer s.unlockGone(s.userOf(time.Now(), h))
	s.live.drop(h)
	s.long.drop(h)
}

// userOf is whose session it is; 0: nobody's.
func (s *sessions) userOf(now time.Time, h store.Hash) int64 {
	for _, among := range s.both() {
		if one, ok := among.get(now, h); ok {
			return one.user.ID
		}
	}
	return 0
}

// unlockGone says, outside the lock, that sessions of a user have ended.
func (s *sessions) unlockGone(user int64) {
	s.mu.Unlock()
	if user != 0 {
		s.gone(user)
	}
}

// endAll ends every session of a user.
func (s *sessions) endAll(user int64) {
	s.lock()
	defer s.unlockGone(user)
	for _, among := range s.both() {
		among.dropIf(func(one session) bool { return one.user.ID == user })
	}
}

// endOthers ends every session of a user but one.
func (s *sessions) endOthers(user int64, but secret) {
	h := store.HashOf(string(but))
	s.lock()
	defer s.unlockGone(user)
	now := time.Now()
	for _, among := range s.both() {
		one, ok := among.get(now, h)
		among.dropIf(func(other session) bool { return other.user.ID == user })
		if ok && one.user.ID == user {
			s.add(now, among, h, one)
		}
	}
}

// countOf is how many sessions a user has. What has ended by time may count for
// a moment longer: a list asks it of each of its users.
func (s *sessions) countOf(now time.Time, user int64) int {
	s.lock()
	defer s.mu.Unlock()
	if since := now.Sub(s.cleared); since < 0 || since >= clearEvery {
		s.clear(now)
	}
	return s.of[user]
}

// users is how many users have sessions.
func (s *sessions) users(now time.Time) int {
	s.lock()
	defer s.mu.Unlock()
	s.clear(now)
	return len(s.of)
}

// count is how many sessions live.
func (s *sessions) count(now time.Time) int {
	s.lock()
	defer s.mu.Unlock()
	s.clear(now)
	return len(s.live.entries) + len(s.long.entries)
}
