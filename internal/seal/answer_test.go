package seal

import (
	"bytes"
	"testing"
	"time"
)

// TestEpoch: the epoch is what of a name makes the key; what proves an address
// does not.
func TestEpoch(t *testing.T) {
	n := NewKeyName(secret, ann, home, noon.Add(999*time.Millisecond), [8]byte{5})
	e, k := n.Epoch(), DeriveKey(secret, ann, n)
	if !e.Issued().Equal(noon) || !bytes.HasPrefix(n[:], e[:]) || DeriveEpochKey(secret, ann, e) != k {
		t.Errorf("epoch %x of name %x, issued %v", e, n, e.Issued())
	}
	if elsewhere := NewKeyName(secret, ann, away, noon, [8]byte{5}); elsewhere == n || elsewhere.Epoch() != e {
		t.Error("the address is in the epoch")
	}
	for i := range e {
		other := e
		other[i] ^= 1
		if DeriveEpochKey(secret, ann, other) == k {
			t.Errorf("with byte %d changed the epoch makes the same key", i)
		}
	}
	if DeriveEpochKey(secret, bert, e) == k || DeriveEpochKey(KeySecret{9}, ann, e) == k {
		t.Error("another client, or another server, has the same key")
	}
}

// TestAttest: only who has the key can attest, and only what was said.
func TestAttest(t *testing.T) {
	mine, theirs := RegistrationKey{1}, RegistrationKey{2}
	a := mine.Attest([]byte("said"))
	if !mine.Attests(a, []byte("said")) || mine.Attest([]byte("said")) != a {
		t.Error("what was said is not attested")
	}
	if mine.Attests(a, []byte("sain")) || mine.Attests(a, nil) || theirs.Attests(a, []byte("said")) {
		t.Error("something else is attested")
	}
	for i := range a {
		wrong := a
		wrong[i] ^= 0x80
		if mine.Attests(wrong, []byte("said")) {
			t.Errorf("with byte %d changed it still attests", i)
		}
	}
	if key := mine.Derive(SealedAnswer, 32); bytes.Equal(key, mine.Derive(AttestedAnswer, 32)) || bytes.Equal(key, mine.Derive(RegistrationRequest, 32)) {
		t.Error("two uses have one key")
	}
}
