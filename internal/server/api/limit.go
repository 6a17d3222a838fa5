package api

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/setting"
)

const (
	// runningMax is how many requests of one user are under way at once in a
	// lane: a program that asks for more waits for what it has asked.
	runningMax = 64
	// peopleMax and programsMax are how many requests are under way at once
	// altogether. Programs have the smaller lane, so that they never keep people
	// waiting.
	peopleMax   = 256
	programsMax = 128
	// waitMax is how long a request waits for its lane.
	waitMax = 5 * time.Second

	peopleBurst   = 10 // seconds' worth of requests that people may make at once: a page of a console asks for much
	programsBurst = 2  // likewise of programs

	usersKnown = 20_000          // users in a lane that are known to have asked lately
	usersLife  = 5 * time.Minute // longer than any bucket takes to be full again
)

// A lane is of people, who have sessions, or of programs, who have tokens.
type lane struct {
	user    int64
	program bool
}

// A bucket holds what a user may still ask for.
type bucket struct {
	left    float64
	at      time.Time
	running int
}

// limits keep users from asking for more than their share.
type limits struct {
	mu      sync.Mutex // guards buckets
	buckets recent[lane, *bucket]

	people, programs chan struct{} // a place for each request under way
}

func newLimits() *limits {
	return &limits{
		buckets: newRecent[lane, *bucket](usersKnown, usersLife),
		people:  make(chan struct{}, peopleMax), programs: make(chan struct{}, programsMax),
	}
}

// take counts a request that is made at a time when so many are allowed in a
// second. If it may not be made, it returns how long to wait.
func (l *limits) take(now time.Time, who lane, rate, burst float64) (wait time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, ok := l.buckets.get(now, who)
	if !ok {
		b = &bucket{left: rate * burst, at: now}
	}
	b.left = min(rate*burst, b.left+rate*now.Sub(b.at).Seconds())
	b.at = now
	l.buckets.set(now, who, b)
	switch {
	case b.running >= runningMax:
		return time.Second, fault.New(fault.Unavailable, "Too many requests: %d of yours are being answered just now", b.running)
	case b.left < 1:
		wait = time.Duration((1 - b.left) / rate * float64(time.Second))
		return wait, fault.New(fault.Unavailable, "Too many requests: more than %.0f in a second", rate)
	}
	b.left--
	b.running++
	return 0, nil
}

// done says that a request has been answered.
func (l *limits) done(now time.Time, who lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b, ok := l.buckets.get(now, who); ok && b.running > 0 {
		b.running--
		l.buckets.set(now, who, b)
	}
}

// enter waits for a place in the lane, and returns what gives it back.
func (l *limits) enter(ctx context.Context, who lane) (leave func(), err error) {
	places := l.people
	if who.program {
		places = l.programs
	}
	leave = func() { <-places }
	select {
	case places <- struct{}{}:
		return leave, nil
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	select {
	case places <- struct{}{}:
		return leave, nil
	case <-ctx.Done():
		return nil, fault.New(fault.Unavailable, "Too much at once: try again later")
	}
}

// admit lets a known caller in, or refuses what is more than its share. Event
// streams have a bound of their own, and are let go on for as long as they last.
func (s *server) admit(w http.ResponseWriter, r *http.Request, rt route, who lane) (leave func(), err error) {
	now := time.Now()
	rate, burst := float64(s.settingNumber(setting.People)), float64(peopleBurst)
	if who.program {
		rate, burst = float64(s.settingNumber(setting.Programs)), programsBurst
	}
	wait, err := s.limits.take(now, who, rate, burst)
	if err != nil {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return nil, refusal{http.StatusTooManyRequests, err}
	}
	if strings.HasSuffix(rt.path, "/events") {
		s.limits.done(now, who)
		return func() {}, nil
	}
	out, err := s.limits.enter(r.Context(), who)
	if err != nil {
		s.limits.done(time.Now(), who)
		return nil, err
	}
	return func() { out(); s.limits.done(time.Now(), who) }, nil
}
