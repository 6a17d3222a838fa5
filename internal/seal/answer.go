package seal

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

// The uses of registration keys for answers that peers must not read
// ([RegistrationKey.Box]), or not change ([RegistrationKey.Attest]).
const (
	SealedAnswer   = "sealed answer"
	AttestedAnswer = "attested answer"
)

// An Epoch is what of a key's name makes the key: the time of issue and chance.
// It travels with what is for the server alone and comes by way of peers, so
// that the server can make the key from it and its secret.
type Epoch [4 + keyChance]byte

// Epoch is the key's epoch.
func (n KeyName) Epoch() Epoch { return Epoch(n[:]) }

// Issued is when the key was given, to the second.
func (e Epoch) Issued() time.Time { return time.Unix(int64(binary.BigEndian.Uint32(e[:])), 0) }

// DeriveEpochKey makes the key of that epoch. An epoch that was never given
// makes a key that nobody has.
func DeriveEpochKey(secret KeySecret, client [16]byte, e Epoch) RegistrationKey {
	info := append(append([]byte(keyUse), client[:]...), e[:]...)
	return RegistrationKey(expand(secret[:], info, len(RegistrationKey{})))
}

// AttestationSize is the size of an attestation in bytes: to guess one takes
// 2^128 tries, each of which the server would have to see.
const AttestationSize = 16

// An Attestation proves to the server that the holder of a registration key
// has said something. Nobody else can make or check it.
type Attestation [AttestationSize]byte

// Attest vouches for what is said.
func (k RegistrationKey) Attest(said []byte) Attestation {
	h := hmac.New(sha256.New, k.Derive(AttestedAnswer, sha256.Size))
	h.Write(said)
	return Attestation(h.Sum(nil))
}

// Attests reports whether the holder of the key has said this.
func (k RegistrationKey) Attests(a Attestation, said []byte) bool {
	want := k.Attest(said)
	return hmac.Equal(a[:], want[:])
}
