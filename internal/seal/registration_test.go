package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	secret = KeySecret{1, 2, 3}
	ann    = [16]byte{0xa}
	bert   = [16]byte{0xb}
	home   = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: 7}
	away   = [16]byte{10: 0xff, 11: 0xff, 12: 10, 15: 8}
	noon   = time.Unix(1_800_000_000, 0)
)

// TestKeyName: a name proves one client at one address to one server, and
// nothing else.
func TestKeyName(t *testing.T) {
	n := NewKeyName(secret, ann, home, noon.Add(999*time.Millisecond), [8]byte{5})
	if !n.Issued().Equal(noon) {
		t.Errorf("issued at %v, want %v", n.Issued(), noon)
	}
	if !n.Proves(secret, ann, home) {
		t.Error("the name does not prove its own address")
	}
	for name, got := range map[string]bool{
		"another address": n.Proves(secret, ann, away),
		"another client":  n.Proves(secret, bert, home),
		"another server":  n.Proves(KeySecret{9}, ann, home),
	} {
		if got {
			t.Errorf("the name proves %s", name)
		}
	}
	for i := range n {
		wrong := n
		wrong[i] ^= 0x10
		if wrong.Proves(secret, ann, home) {
			t.Errorf("with byte %d changed it still proves the address", i)
		}
	}
}

// TestDeriveKey: each client, name and secret has a key of its own, and each
// use another one.
func TestDeriveKey(t *testing.T) {
	n := NewKeyName(secret, ann, home, noon, [8]byte{5})
	k := DeriveKey(secret, ann, n)
	if k != DeriveKey(secret, ann, n) {
		t.Fatal("the same name gives two keys")
	}
	other := n
	other[5]++
	seen := map[RegistrationKey]bool{k: true}
	for _, x := range []RegistrationKey{DeriveKey(secret, bert, n), DeriveKey(KeySecret{9}, ann, n), DeriveKey(secret, ann, other), RegistrationKey(k.Derive("a", 32)), RegistrationKey(k.Derive("b", 32))} {
		if seen[x] {
			t.Errorf("key %x is there twice", x)
		}
		seen[x] = true
	}
}

// TestBox: only the box that sealed opens, with the same associated bytes and
// nothing changed.
func TestBox(t *testing.T) {
	k := DeriveKey(secret, ann, KeyName{})
	request, reply, foreign := k.Box("request"), k.Box("reply"), DeriveKey(secret, bert, KeyName{}).Box("request")
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "plain")
		about := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "associated")
		sealed := request.Seal([]byte("head"), [16]byte{7}, plain, about)[4:]
		if len(sealed) != len(plain)+BoxOverhead {
			t.Fatalf("%d bytes are sealed in %d", len(plain), len(sealed))
		}
		if got, err := request.Open(sealed, about); err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("opens as %x, %v", got, err)
		}
		if _, err := reply.Open(sealed, about); err == nil {
			t.Fatal("what was sealed for one way opens for the other")
		}
		if _, err := foreign.Open(sealed, about); err == nil {
			t.Fatal("another client's key opens it")
		}
		if _, err := request.Open(sealed, append([]byte{1}, about...)); err == nil {
			t.Fatal("opens with other associated bytes")
		}
		i := rapid.IntRange(0, len(sealed)-1).Draw(t, "at")
		sealed[i] ^= 1
		if _, err := request.Open(sealed, about); err == nil {
			t.Fatalf("opens with byte %d changed", i)
		}
		if _, err := request.Open(sealed[:i], about); err == nil {
			t.Fatalf("opens with only %d bytes", i)
		}
	})
}

// TestNonce: also with the same chance, as copies of a machine may draw it, no
// nonce is used for two different things.
func TestNonce(t *testing.T) {
	x := DeriveKey(secret, ann, KeyName{}).Box("request")
	seen := map[string]string{}
	for name, sealed := range map[string][]byte{
		"one":                   x.Seal(nil, [16]byte{7}, []byte("plain"), []byte("about")),
		"other text":            x.Seal(nil, [16]byte{7}, []byte("plaim"), []byte("about")),
		"other chance":          x.Seal(nil, [16]byte{8}, []byte("plain"), []byte("about")),
		"other associated":      x.Seal(nil, [16]byte{7}, []byte("plain"), []byte("abouT")),
		"boundary moved":        x.Seal(nil, [16]byte{7}, []byte("tplain"), []byte("abou")),
		"the other way's nonce": DeriveKey(secret, ann, KeyName{}).Box("reply").Seal(nil, [16]byte{7}, []byte("plain"), []byte("about")),
	} {
		nonce := string(sealed[:nonceSize])
		if other, is := seen[nonce]; is {
			t.Errorf("%s and %s use the same nonce", name, other)
		}
		seen[nonce] = name
	}
	again := x.Seal(nil, [16]byte{7}, []byte("plain"), []byte("about"))
	if _, is := seen[string(again[:nonceSize])]; !is {
		t.Error("the nonce depends on more than its arguments")
	}
}

// TestExpand: keys are derived as RFC 5869 and RFC 2104 say, by the hand of the
// standard library.
func TestExpand(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "key")
		info := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "info")
		size := rapid.IntRange(1, 200).Draw(t, "size")
		want, err := hkdf.Expand(sha256.New, key, string(info), size)
		if err != nil {
			t.Fatal(err)
		}
		if got := expand(key, info, size); !bytes.Equal(got, want) {
			t.Fatalf("expands to %x, want %x", got, want)
		}
		h := hmac.New(sha256.New, key)
		h.Write(info)
		if got := mac([32]byte(key), info); !bytes.Equal(got[:], h.Sum(nil)) {
			t.Fatalf("mac %x", got)
		}
	})
}

func BenchmarkBox(b *testing.B) {
	name := NewKeyName(secret, ann, home, noon, [8]byte{5})
	about, plain := make([]byte, 38), make([]byte, 30)
	sealed := DeriveKey(secret, ann, name).Box("request").Seal(nil, [16]byte{}, plain, about)
	for b.Loop() { // what one registration costs the server
		if !name.Proves(secret, ann, home) {
			b.Fatal("not proved")
		}
		k := DeriveKey(secret, ann, name)
		if _, err := k.Box("request").Open(sealed, about); err != nil {
			b.Fatal(err)
		}
		k.Box("reply").Seal(nil, [16]byte{}, plain, about)
	}
}
