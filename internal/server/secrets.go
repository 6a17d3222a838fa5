package server

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/keyfile"
	"catenary/internal/seal"
)

const (
	secretsFile = "registration.secrets"

	// secretEvery is how long one secret makes new registration keys, and keyLife
	// how long each key is good. A secret is forgotten when all its keys are over:
	// what was sealed then nobody can open any more, with whatever is left here.
	secretEvery = time.Hour
	keyLife     = 6 * time.Hour
	// keyOverlap is how much longer the server takes a key than the client uses
	// it: for requests under way and unequal clocks.
	keyOverlap = 10 * time.Minute
)

// secrets is what registration keys are made from. They lie on disk so that a
// server that starts anew knows every client's key, and no table is needed
// (docs/decisions/2026-11-22-registration.md).
type secrets struct {
	path string
	list atomic.Pointer[[]secret] // ascending; never changed, only replaced

	mu sync.Mutex // held while the list is replaced
}

// A secret makes the keys of one hour.
type secret struct {
	hour int64 // since 1970
	key  seal.KeySecret
}

func hourOf(t time.Time) int64 { return t.Unix() / int64(secretEvery.Seconds()) }

// openSecrets reads the file, which need not be there.
func openSecrets(path string, now time.Time) (*secrets, error) {
	s := &secrets{path: path}
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []secret
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var x secret
		var key []byte
		if _, err := fmt.Sscanf(lines.Text(), "%d %x", &x.hour, &key); err != nil || len(key) != len(x.key) {
			return nil, fault.New(fault.Invalid, "%s is damaged: remove it, and clients register over TLS once", path)
		}
		copy(x.key[:], key)
		list = append(list, x)
	}
	list = recent(list, now)
	s.list.Store(&list)
	return s, nil
}

// recent is what of the list can still have keys in use.
func recent(list []secret, now time.Time) []secret {
	oldest := hourOf(now.Add(-keyLife - keyOverlap))
	return slices.DeleteFunc(slices.Clone(list), func(x secret) bool { return x.hour < oldest })
}

// issue makes a key for a client that has proved over TLS who and where it is.
func (s *secrets) issue(now time.Time, client endpoint.ID, at netip.Addr) (seal.RegistrationKey, seal.KeyName, error) {
	secret, ok := s.of(now)
	if !ok {
		var err error
		if secret, err = s.renew(now); err != nil {
			return seal.RegistrationKey{}, seal.KeyName{}, err
		}
	}
	var chance [8]byte
	rand.Read(chance[:]) // never fails: crypto/rand ends the program instead
	name := seal.NewKeyName(secret, client, at.As16(), now, chance)
	return seal.DeriveKey(secret, client, name), name, nil
}

// of is the secret of an hour.
func (s *secrets) of(t time.Time) (seal.KeySecret, bool) {
	list := *s.list.Load()
	i, ok := slices.BinarySearchFunc(list, hourOf(t), func(x secret, hour int64) int { return int(x.hour - hour) })
	if !ok {
		return seal.KeySecret{}, false
	}
	return list[i].key, true
}

// renew makes the secret of this hour, and keeps it before it is used.
func (s *secrets) renew(now time.Time) (seal.KeySecret, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key, ok := s.of(now); ok {
		return key, nil // another was faster
	}
	x := secret{hour: hourOf(now)}
	rand.Read(x.key[:])
	list := append(recent(*s.list.Load(), now), x)
	slices.SortFunc(list, func(a, b secret) int { return int(a.hour - b.hour) })
	var text bytes.Buffer
	for _, x := range list {
		fmt.Fprintf(&text, "%d %s\n", x.hour, hex.EncodeToString(x.key[:]))
	}
	if err := keyfile.Replace(s.path, text.Bytes()); err != nil {
		return seal.KeySecret{}, fmt.Errorf("keep the secret of registration keys: %w", err)
	}
	s.list.Store(&list)
	return x.key, nil
}

var (
	// errKeyUnknown: the client may be honest; this server cannot know its key.
	errKeyUnknown = fault.New(fault.NotFound, "no secret for this registration key, or its life is over")
	// errElsewhere: the key was given to another client, or at another address.
	errElsewhere = fault.New(fault.Denied, "the registration key was not given to this client at this address")
)

// current is the secret of a key that was issued then, if its life is not over.
func (s *secrets) current(now, issued time.Time) (seal.KeySecret, bool) {
	secret, ok := s.of(issued)
	return secret, ok && now.Sub(issued) <= keyLife+keyOverlap
}

// key is the key of that name, if it was given to the client at the address
// and its life is not over.
func (s *secrets) key(now time.Time, client endpoint.ID, name seal.KeyName, at netip.Addr) (seal.RegistrationKey, error) {
	secret, ok := s.current(now, name.Issued())
	switch {
	case !ok:
		return seal.RegistrationKey{}, errKeyUnknown
	case !name.Proves(secret, client, at.As16()):
		return seal.RegistrationKey{}, errElsewhere
	}
	return seal.DeriveKey(secret, client, name), nil
}
