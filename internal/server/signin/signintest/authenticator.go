package signintest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// The flags of what an authenticator says.
const (
	UserPresent  = 1
	UserVerified = 4
	hasKey       = 0x40
)

// An Authenticator is a program that does what a security key does, and what a
// bad one might do.
type Authenticator struct {
	t   testing.TB
	key *ecdsa.PrivateKey
	id  []byte
	// Handle is whose passkey it is, as the site has said.
	Handle []byte

	Origin  string // of the page that the browser shows
	Flags   byte
	Counter uint32
	// Spoil changes what is signed, after it was signed.
	Spoil func(data []byte) []byte
}

// NewAuthenticator makes one whose browser shows a page of that origin.
func NewAuthenticator(t testing.TB, origin string) *Authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := make([]byte, 32)
	_, _ = rand.Read(id) // it crashes the program rather than return an error
	return &Authenticator{t: t, key: key, id: id, Origin: origin, Flags: UserPresent | UserVerified}
}

// options are what a site says, as far as they are of use.
type options struct {
	Challenge string `json:"challenge"`
	RPID      string `json:"rpId"`
	RP        struct {
		ID string `json:"id"`
	} `json:"rp"`
	User struct {
		ID string `json:"id"`
	} `json:"user"`
}

func (a *Authenticator) read(raw any) options {
	a.t.Helper()
	b, err := json.Marshal(raw)
	if err != nil {
		a.t.Fatal(err)
	}
	var o options
	if err := json.Unmarshal(b, &o); err != nil || o.Challenge == "" {
		a.t.Fatalf("the options are %s: %v", b, err)
	}
	return o
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (a *Authenticator) clientData(kind, challenge string) []byte {
	b, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": a.Origin, "crossOrigin": false})
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}

func (a *Authenticator) data(site string, flags byte) []byte {
	sum := sha256.Sum256([]byte(site))
	a.Counter++
	return binary.BigEndian.AppendUint32(append(sum[:], flags), a.Counter)
}

// Make makes a passkey as a site wants it, and returns what the browser sends.
func (a *Authenticator) Make(raw any) json.RawMessage {
	a.t.Helper()
	o := a.read(raw)
	handle, err := base64.RawURLEncoding.DecodeString(o.User.ID)
	if err != nil {
		a.t.Fatal(err)
	}
	a.Handle = handle
	public, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: a.key.X.FillBytes(make([]byte, 32)), -3: a.key.Y.FillBytes(make([]byte, 32))})
	if err != nil {
		a.t.Fatal(err)
	}
	data := append(a.data(o.RP.ID, a.Flags|hasKey), make([]byte, 16)...) // a model that does not say which
	data = binary.BigEndian.AppendUint16(data, uint16(len(a.id)))
	data = append(append(data, a.id...), public...)
	if a.Spoil != nil {
		data = a.Spoil(data)
	}
	object, err := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	if err != nil {
		a.t.Fatal(err)
	}
	return a.answer(map[string]any{"clientDataJSON": b64(a.clientData("webauthn.create", o.Challenge)), "attestationObject": b64(object)})
}

// Show shows a site that it has the passkey, and returns what the browser sends.
func (a *Authenticator) Show(raw any) json.RawMessage {
	a.t.Helper()
	o := a.read(raw)
	data, client := a.data(o.RPID, a.Flags), a.clientData("webauthn.get", o.Challenge)
	hash := sha256.Sum256(client)
	sum := sha256.Sum256(bytes.Join([][]byte{data, hash[:]}, nil))
	signature, err := ecdsa.SignASN1(rand.Reader, a.key, sum[:])
	if err != nil {
		a.t.Fatal(err)
	}
	if a.Spoil != nil {
		data = a.Spoil(data)
	}
	return a.answer(map[string]any{
		"clientDataJSON": b64(client), "authenticatorData": b64(data), "signature": b64(signature), "userHandle": b64(a.Handle),
	})
}

func (a *Authenticator) answer(response map[string]any) json.RawMessage {
	b, err := json.Marshal(map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "response": response})
	if err != nil {
		a.t.Fatal(err)
	}
	return b
}
