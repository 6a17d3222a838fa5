package api

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/alexedwards/argon2id"

	"catenary/internal/fault"
)

const (
	hashesMax   = 2    // passwords hashed at once: each takes 64 MiB
	hashQueue   = 64   // logins that wait for that; more are told to try again
	passwordMax = 1024 // bytes; more is not a password but work for us

	failuresMax  = 10              // failed logins of one user from one network, then
	lockout      = 5 * time.Minute // no more are looked at for so long
	attemptsKept = 10_000          // pairs of user and network that are remembered

	// knocksMax is how many logins of one network are looked at or wait for that.
	// The others of them are told to try again, and people elsewhere find a place
	// in the queue.
	knocksMax = 16
)

// hashing is RFC 9106's recommendation for machines without much memory.
var hashing = &argon2id.Params{Memory: 64 << 10, Iterations: 3, Parallelism: 4, SaltLength: 16, KeyLength: 32}

// nobodys is compared with the password of a user who does not exist, so that
// the time of a refusal does not tell names. It has the cost of hashing and is
// no password's hash.
const nobodys = "$argon2id$v=19$m=65536,t=3,p=4$Y2F0ZW5hcnktbm9ib2R5cw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

// HashPassword returns what the store keeps of a password.
func HashPassword(password string) (string, error) {
	if password == "" || len(password) > passwordMax {
		return "", fault.New(fault.Invalid, "a password has 1 to %d bytes, not %d", passwordMax, len(password))
	}
	return argon2id.CreateHash(password, hashing)
}

// passwords compares passwords with hashes, a few at a time.
type passwords struct {
	queue chan struct{} // one place per login, working or waiting
	slots chan struct{} // one place per hash being made
}

func newPasswords() passwords {
	return passwords{make(chan struct{}, hashesMax+hashQueue), make(chan struct{}, hashesMax)}
}

// match reports whether password is the one that hash was made of.
func (p passwords) match(ctx context.Context, password, hash string) (bool, error) {
	if len(password) > passwordMax {
		return false, nil
	}
	select {
	case p.queue <- struct{}{}:
		defer func() { <-p.queue }()
	default:
		return false, fault.New(fault.Unavailable, "too many logins at once: try again later")
	}
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return false, fault.New(fault.Unavailable, "login: %w", ctx.Err())
	}
	return argon2id.ComparePasswordAndHash(password, hash)
}

// hash is [HashPassword], a few at a time with those that are compared.
func (p passwords) hash(ctx context.Context, password string) (string, error) {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return "", fault.New(fault.Unavailable, "password: %w", ctx.Err())
	}
	return HashPassword(password)
}

// attempts counts failed logins by user and network.
type attempts struct {
	mu     sync.Mutex // guards the fields below
	failed recent[attempt, int]
	knocks map[netip.Prefix]int // logins that are under way, by network
}

type attempt struct {
	user string
	from netip.Prefix
}

func newAttempts() *attempts {
	return &attempts{failed: newRecent[attempt, int](attemptsKept, lockout), knocks: map[netip.Prefix]int{}}
}

// from returns the key of an attempt: one IPv4 address, or the network that an
// IPv6 user chooses addresses from at will.
func from(user string, addr netip.Addr) attempt {
	addr = addr.Unmap().WithZone("")
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		p = netip.Prefix{} // no address: all such attempts count together
	}
	return attempt{strings.ToLower(user), p}
}

// knock takes a place for a login from a network; the caller gives it back. It
// reports false if the network has too many.
func (a *attempts) knock(network netip.Prefix) (leave func(), ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.knocks[network] >= knocksMax {
		return nil, false
	}
	a.knocks[network]++
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.knocks[network]--; a.knocks[network] == 0 {
			delete(a.knocks, network)
		}
	}, true
}

// begin counts an attempt as failed before it is made, so that many at once
// cannot slip through, and reports whether it may be made at all.
func (a *attempts) begin(now time.Time, k attempt) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, _ := a.failed.get(now, k) // 0 if there was none
	if n >= failuresMax {
		return false
	}
	a.failed.set(now, k, n+1)
	return true
}

// succeed forgets the failures.
func (a *attempts) succeed(k attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failed.drop(k)
}

// forgive takes back an attempt that came to no verdict.
func (a *attempts) forgive(now time.Time, k attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n, ok := a.failed.get(now, k); ok {
		a.failed.set(now, k, n-1)
	}
}
