package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A RegistrationKey is known to one client and the server, for a few hours at
// most: the server gives it with a registration over TLS. Nothing is sealed
// with the key itself, but with what [RegistrationKey.Box] or
// [RegistrationKey.Derive] makes of it for one use.
type RegistrationKey [32]byte

// A KeySecret is what the server makes registration keys from.
type KeySecret [32]byte

// A KeyName names a registration key, and is all that the server needs besides
// its secret to know the key again: the time of issue in seconds (4 bytes),
// chance (8), and a proof of the address at which the client was then (8).
type KeyName [20]byte

// The uses of registration keys. Each use in each direction has a box of its
// own.
const (
	RegistrationRequest = "registration request"
	RegistrationReply   = "registration reply"
)

const (
	keyChance = 8
	keyProof  = 8

	keyUse   = "catenary registration key v1\x00"
	proofUse = "catenary proved address v1\x00"
	boxUse   = "catenary box v1\x00"
)

// NewKeyName names a new key for the client at the address (in 16 bytes). Two
// keys have never the same name, because chance is never the same.
func NewKeyName(secret KeySecret, client, addr [16]byte, issued time.Time, chance [keyChance]byte) KeyName {
	var n KeyName
	binary.BigEndian.PutUint32(n[:], uint32(issued.Unix()))
	copy(n[4:], chance[:])
	copy(n[4+keyChance:], n.proof(secret, client, addr))
	return n
}

// Issued is when the key was given, to the second.
func (n KeyName) Issued() time.Time { return time.Unix(int64(binary.BigEndian.Uint32(n[:])), 0) }

// Proves reports whether the key was given, over a connection, to the client
// at this very address: who comes from elsewhere may only pretend to be there.
func (n KeyName) Proves(secret KeySecret, client, addr [16]byte) bool {
	return subtle.ConstantTimeCompare(n[4+keyChance:], n.proof(secret, client, addr)) == 1
}

func (n KeyName) proof(secret KeySecret, client, addr [16]byte) []byte {
	info := append(append([]byte(proofUse), client[:]...), n[:4+keyChance]...)
	return expand(secret[:], append(info, addr[:]...), keyProof)
}

// DeriveKey makes the key of that name.
func DeriveKey(secret KeySecret, client [16]byte, n KeyName) RegistrationKey {
	return DeriveEpochKey(secret, client, n.Epoch())
}

// Derive makes a key of so many bytes, at most 8160, for one use. Different uses
// have keys that say nothing of each other.
func (k RegistrationKey) Derive(use string, size int) []byte {
	return expand(k[:], append([]byte(boxUse), use...), size)
}

// expand is the second half of HKDF with SHA-256, which is enough for a uniform
// secret (RFC 5869 §2.3, §3.3).
func expand(secret, info []byte, size int) []byte {
	out := make([]byte, 0, (size+sha256.Size-1)/sha256.Size*sha256.Size)
	var last []byte
	for i := byte(1); len(out) < size; i++ {
		sum := mac([32]byte(secret), append(append(append(make([]byte, 0, 128), last...), info...), i))
		out = append(out, sum[:]...)
		last = out[len(out)-sha256.Size:]
	}
	return out[:size]
}

// mac is HMAC with SHA-256 (RFC 2104). The server makes seven for each datagram;
// here they cost a third of what crypto/hmac does, which is made for streams.
func mac(key [32]byte, text []byte) [sha256.Size]byte {
	inner, outer := make([]byte, sha256.BlockSize, sha256.BlockSize+128), make([]byte, sha256.BlockSize, sha256.BlockSize+sha256.Size)
	for i := range inner {
		inner[i], outer[i] = 0x36, 0x5c
	}
	subtle.XORBytes(inner, inner[:len(key)], key[:])
	subtle.XORBytes(outer, outer[:len(key)], key[:])
	sum := sha256.Sum256(append(inner, text...))
	return sha256.Sum256(append(outer, sum[:]...))
}

const (
	boxKey    = 16 // bytes: AES-128
	nonceSize = 12
	tagSize   = 16
	// BoxOverhead is what a box adds to what is sealed in it, in bytes.
	BoxOverhead = nonceSize + tagSize
)

// A Box seals and opens what goes one way: nonce, ciphertext and tag of
// AES-128-GCM. The two directions of an exchange use two boxes.
type Box struct {
	aead  cipher.AEAD
	nonce [32]byte // key of the nonces
}

// Box returns the box for one use.
func (k RegistrationKey) Box(use string) Box {
	keys := k.Derive(use, boxKey+len(Box{}.nonce))
	block, err := aes.NewCipher(keys[:boxKey])
	if err != nil {
		panic("seal: " + err.Error()) // 16 bytes are a key
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic("seal: " + err.Error()) // AES has blocks of 16 bytes
	}
	return Box{aead, [32]byte(keys[boxKey:])}
}

// Seal appends the sealed bytes to b. What is associated is not sealed with
// them, but must be the same when they are opened.
//
// The nonce is a keyed hash of the chance and of all that is sealed: if the
// chance is the same for two machines, as it may be for copies of a virtual
// machine that are woken up, the nonce still is only if all else is too, and
// then nothing is learned.
func (x Box) Seal(b []byte, chance [16]byte, plain, associated []byte) []byte {
	about, text := sha256.Sum256(associated), sha256.Sum256(plain)
	sum := mac(x.nonce, append(append(append(make([]byte, 0, 80), chance[:]...), about[:]...), text[:]...))
	nonce := sum[:nonceSize]
	return x.aead.Seal(append(b, nonce...), nonce, plain, associated)
}

var errBox = errors.New("sealed with another key, for something else, or changed on the way")

// Open returns what was sealed, in memory of its own.
func (x Box) Open(sealed, associated []byte) ([]byte, error) {
	if len(sealed) < BoxOverhead {
		return nil, fmt.Errorf("%d bytes are too few to be sealed", len(sealed))
	}
	plain, err := x.aead.Open(nil, sealed[:nonceSize], sealed[nonceSize:], associated)
	if err != nil {
		return nil, errBox
	}
	return plain, nil
}
