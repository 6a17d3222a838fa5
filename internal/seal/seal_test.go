package seal

import (
	"bytes"
	"crypto/ed25519"
	"strings"
	"testing"
	"time"
)

var (
	rootKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	signKey  = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32))
	otherKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	start    = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
)

func pub(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func ring(t *testing.T) *Ring {
	r := NewRing(pub(rootKey))
	if err := r.Add(Vouch(rootKey, pub(signKey), start, start.AddDate(1, 0, 0))); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOpen(t *testing.T) {
	good := Sign(signKey, Question, []byte("what time is it"))
	flipped := bytes.Clone(good)
	flipped[headSize] ^= 1
	now := start.AddDate(0, 1, 0)
	for _, tt := range []struct {
		name    string
		now     time.Time
		purpose Purpose
		sealed  []byte
		want    string
	}{
		{"good", now, Question, good, ""},
		{"changed payload", now, Question, flipped, "signature of the question is wrong"},
		{"other purpose", now, Sensor, good, "sealed as a question, not as a sensor"},
		{"unknown key", now, Question, Sign(otherKey, Question, nil), "unknown key"},
		{"the root itself", now, Question, Sign(rootKey, Question, nil), "unknown key"},
		{"too early", start.Add(-time.Second), Question, good, "good only from 2026-11-22T00:00:00Z"},
		{"too late", start.AddDate(1, 0, 0), Question, good, "good only from"},
		{"short", now, Question, good[:Overhead-1], "too short"},
		{"empty", now, Question, nil, "too short"},
	} {
		payload, err := ring(t).Open(tt.now, tt.purpose, tt.sealed)
		switch {
		case tt.want == "" && (err != nil || string(payload) != "what time is it" || string(Payload(tt.sealed)) != string(payload)):
			t.Errorf("%s: %q, %v", tt.name, payload, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestAddRefusesForeignVouchers(t *testing.T) {
	r := NewRing(pub(rootKey))
	if r.Add(Vouch(otherKey, pub(signKey), start, start.AddDate(1, 0, 0))) == nil {
		t.Error("a voucher by a stranger was accepted")
	}
	if r.Add(Sign(rootKey, Voucher, []byte("short"))) == nil {
		t.Error("a voucher of the wrong size was accepted")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(Sign(signKey, Question, []byte("q")))
	r := NewRing(pub(rootKey))
	if err := r.Add(Vouch(rootKey, pub(signKey), start, start.AddDate(1, 0, 0))); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		payload, err := r.Open(start, Question, b)
		if err == nil && !bytes.Equal(Sign(signKey, Question, payload), b) {
			t.Fatalf("%x opens, but seals again to something else", b)
		}
	})
}
