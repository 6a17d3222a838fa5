// Package seal is signed bytes: signing, opening, and which keys are trusted
// for what.
//
// An installation has one root key, which may be kept offline, and signing
// keys that the root has vouched for. Whoever holds a [Ring] with the root's
// public half can open what any vouched key has sealed. What is signed is
// forwarded byte for byte and never encoded again (docs/protocol.md §4).
package seal

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"time"
)

// A Purpose says what a sealed message is for. A message sealed for one
// purpose never opens for another.
type Purpose uint8

const (
	Voucher  Purpose = 1 // the root's word for a signing key
	Question Purpose = 2
	Sensor   Purpose = 3
	Content  Purpose = 4 // packages, saved questions, groups … as one installation hands them to another
	Rules    Purpose = 5 // of when sensors are not run
)

func (p Purpose) String() string {
	switch p {
	case Voucher:
		return "voucher"
	case Question:
		return "question"
	case Sensor:
		return "sensor"
	case Content:
		return "content"
	case Rules:
		return "rules"
	}
	return fmt.Sprintf("purpose %d", uint8(p))
}

// A KeyID names a public key: the first 8 bytes of its SHA-256.
type KeyID [8]byte

// IDOf returns the name of a public key.
func IDOf(pub ed25519.PublicKey) KeyID {
	sum := sha256.Sum256(pub)
	return KeyID(sum[:8])
}

const (
	version  = 1
	headSize = 1 + 1 + len(KeyID{})
	// Overhead is what sealing adds to a payload, in bytes.
	Overhead = headSize + ed25519.SignatureSize
	domain   = "catenary sealed v1\x00" // separates our signatures from all others made with a key
)

// ErrNoKey is wrapped by the error of [Ring.Open] when the message may be
// genuine, but the ring has no key for it at this time.
var ErrNoKey = errors.New("no trusted key")

var (
	errShort   = errors.New("sealed message is too short")
	errVersion = errors.New("sealed message has an unknown version")
)

// Sign seals the payload: version, purpose, key, payload, signature.
func Sign(key ed25519.PrivateKey, p Purpose, payload []byte) []byte {
	id := IDOf(key.Public().(ed25519.PublicKey))
	b := make([]byte, 0, Overhead+len(payload))
	b = append(b, version, byte(p))
	b = append(b, id[:]...)
	b = append(b, payload...)
	return append(b, ed25519.Sign(key, toSign(b))...)
}

func toSign(head []byte) []byte { return append([]byte(domain), head...) }

// A Ring is the keys that one installation trusts. The zero Ring trusts
// nobody.
type Ring struct {
	root ed25519.PublicKey
	keys map[KeyID]vouched
}

type vouched struct {
	pub              ed25519.PublicKey
	notBefore, until time.Time
}

// NewRing returns a ring that trusts the root, and so far no signing key.
func NewRing(root ed25519.PublicKey) *Ring {
	return &Ring{root: root, keys: map[KeyID]vouched{}}
}

// Clone returns a ring that trusts the same keys and changes on its own.
func (r *Ring) Clone() *Ring { return &Ring{r.root, maps.Clone(r.keys)} }

// Vouch is the root's word that a signing key is good between two times, to
// the second.
func Vouch(root ed25519.PrivateKey, pub ed25519.PublicKey, notBefore, until time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(notBefore.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(until.Unix()))
	return Sign(root, Voucher, append(b, pub...))
}

const voucherSize = 16 + ed25519.PublicKeySize

// vouchersMax bounds the signing keys of one ring: an installation rolls its
// key over about once a year and needs two at a time.
const vouchersMax = 16

// Add trusts the signing key that the root vouches for.
func (r *Ring) Add(voucher []byte) error {
	payload, err := open(r.root, Voucher, voucher)
	if err != nil {
		return fmt.Errorf("voucher: %w", err)
	}
	if len(payload) != voucherSize {
		return fmt.Errorf("voucher has %d bytes, want %d", len(payload), voucherSize)
	}
	pub := ed25519.PublicKey(payload[16:])
	if _, renewed := r.keys[IDOf(pub)]; !renewed && len(r.keys) >= vouchersMax {
		return fmt.Errorf("ring holds %d signing keys already", vouchersMax)
	}
	r.keys[IDOf(pub)] = vouched{
		pub:       pub,
		notBefore: time.Unix(int64(binary.BigEndian.Uint64(payload)), 0),
		until:     time.Unix(int64(binary.BigEndian.Uint64(payload[8:])), 0),
	}
	return nil
}

// Open returns the payload of a message that a trusted key has sealed for the
// purpose. The payload shares the message's memory.
func (r *Ring) Open(now time.Time, p Purpose, sealed []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, errShort
	}
	id := KeyID(sealed[2:headSize])
	k, ok := r.keys[id]
	switch {
	case !ok:
		return nil, fmt.Errorf("%v sealed by unknown key %x: %w", p, id, ErrNoKey)
	case now.Before(k.notBefore) || !now.Before(k.until):
		return nil, fmt.Errorf("%v sealed by key %x, which is good only from %s to %s: %w",
			p, id, k.notBefore.UTC().Format(time.RFC3339), k.until.UTC().Format(time.RFC3339), ErrNoKey)
	}
	return open(k.pub, p, sealed)
}

// Payload is what a sealed message says. It does not look at the signature: that
// is for messages that were opened before.
func Payload(sealed []byte) []byte { return sealed[headSize : len(sealed)-ed25519.SignatureSize] }

func open(pub ed25519.PublicKey, p Purpose, sealed []byte) ([]byte, error) {
	switch {
	case len(sealed) < Overhead:
		return nil, errShort
	case sealed[0] != version:
		return nil, errVersion
	case Purpose(sealed[1]) != p:
		return nil, fmt.Errorf("message was sealed as a %v, not as a %v", Purpose(sealed[1]), p)
	}
	body := sealed[:len(sealed)-ed25519.SignatureSize]
	if !ed25519.Verify(pub, toSign(body), sealed[len(body):]) {
		return nil, fmt.Errorf("signature of the %v is wrong", p)
	}
	return body[headSize:], nil
}
