package api

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

const (
	rootKeys = "pki_root_key"
	keySorts = "pki_key_configuration"

	// rootKeysMax bounds the keys that wait for a later version; each is kept.
	rootKeysMax = 100
)

type rootKeyLists struct {
	Active  []json.RawMessage `json:"active_keys"`
	Revoked []json.RawMessage `json:"revoked_keys"`
	Server  string            `json:"server"`
}

// inUse is the root key that vouches for what the installation signs.
func (s *server) rootInUse() *object.Object {
	text := s.engine.PublicKey()
	o := object.New(object.ShapeOf(rootKeys))
	block, _ := pem.Decode(text)
	if block == nil {
		panic("api: the engine's public key is not in PEM form") // it writes it itself
	}
	o.Set("fingerprint", keyPrint(block.Bytes))
	o.Set("public_key", string(text))
	o.Set("in_use_flag", true)
	return o
}

func keyPrint(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

func (s *server) listRootKeys(context.Context, call) (rootKeyLists, error) {
	out := rootKeyLists{Server: s.hostname, Revoked: []json.RawMessage{}}
	out.Active = append(out.Active, s.rootInUse().Append(nil, object.Header{}, s.shelves.NameOf))
	for _, r := range s.shelves.All(rootKeys) {
		if r.Object.Has("revoked_time") {
			out.Revoked = append(out.Revoked, s.shelves.JSON(r))
		} else {
			out.Active = append(out.Active, s.shelves.JSON(r))
		}
	}
	return out, nil
}

func (s *server) createRootKey(w http.ResponseWriter, c call) error {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	o := object.New(object.ShapeOf(rootKeys))
	o.Set("fingerprint", keyPrint(der))
	o.Set("public_key", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	o.Set("private_key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	var made *shelf.Record
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) (err error) {
		if n := len(ch.All(rootKeys)); n >= rootKeysMax {
			return fault.New(fault.Conflict, "there are %d root keys already", n)
		}
		made, err = ch.Create(rootKeys, 0, o)
		return err
	})
	if err != nil {
		return err
	}
	return s.sendText(w, s.shelves.JSON(made))
}

// rootKey is the key of a fingerprint, in whatever case; nil if it is the one in
// use.
func (s *server) rootKey(c call) (*shelf.Record, error) {
	wanted := strings.ToLower(strings.ReplaceAll(c.PathValue("fingerprint"), ":", ""))
	if wanted == s.rootInUse().Text("fingerprint") {
		return nil, nil
	}
	for _, r := range s.shelves.All(rootKeys) {
		if r.Object.Text("fingerprint") == wanted {
			return r, nil
		}
	}
	return nil, s.shelves.Kind(rootKeys).Missing()
}

func (s *server) showRootKey(w http.ResponseWriter, c call) error {
	r, err := s.rootKey(c)
	if err != nil {
		return err
	}
	if r == nil {
		return s.sendText(w, s.rootInUse().Append(nil, object.Header{}, s.shelves.NameOf))
	}
	return s.sendText(w, s.shelves.JSON(r))
}

// revokeRootKey forgets the private part of a key; that it was there is kept.
func (s *server) revokeRootKey(w http.ResponseWriter, c call) error {
	was, err := s.rootKey(c)
	if err != nil {
		return err
	}
	if was == nil {
		return fault.New(fault.Conflict, "this root key is in use: it cannot be revoked before a later version has changed over to another")
	}
	var is *shelf.Record
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) (err error) {
		if was = ch.ByID(rootKeys, was.ID); was.Object.Has("revoked_time") {
			return fault.New(fault.Conflict, "this root key has been revoked already")
		}
		o := was.Object.Clone()
		o.Set("private_key", nil)
		o.Set("revoked_time", ch.Now())
		is, err = ch.Update(was, o)
		return err
	})
	if err != nil {
		return err
	}
	return s.sendText(w, s.shelves.JSON(is))
}

// madeNow are the sorts of keys as they are made now, whatever is said of
// them; their numbers are those of the rows, from 1. The server's host makes
// them (internal/server/keys.go).
var madeNow = []struct {
	role, algorithm string
	days            int64 // 0: for ever
	least, most     int64 // days that may be said
}{
	{"root", "Ed25519", 0, 0, 36500},
	{"signing", "Ed25519", 5 * 365, 30, 7300},
	{"authority", "ECDSA P-256", 20 * 365, 365, 36500},
	{"server", "ECDSA P-256", 365, 1, 825},
	{"client", "ECDSA P-256", 30, 1, 825},
}

// keySort is what can be said of a sort of keys.
type keySort struct {
	ID        number `json:"id"`
	Role      string `json:"role"`
	Algorithm string `json:"algorithm"`
	Days      int64  `json:"days"`
}

// keySortAt is a sort of keys as programs see it.
func (s *server) keySortAt(i int) []byte {
	now := madeNow[i]
	o, h := object.New(object.ShapeOf(keySorts)), object.Header{ID: int64(i) + 1}
	o.Set("algorithm", now.algorithm)
	o.Set("days", now.days)
	if r := s.shelves.ByID(keySorts, int64(i)+1); r != nil {
		o, h = r.Object.Clone(), r.Header
	}
	o.Set("role", now.role)
	o.Set("algorithm_in_use", now.algorithm)
	o.Set("days_in_use", now.days)
	return o.Append(nil, h, s.shelves.NameOf)
}

func (s *server) listKeySorts(w http.ResponseWriter, _ call) error {
	out := []byte{'['}
	for i := range madeNow {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, s.keySortAt(i)...)
	}
	return s.sendText(w, append(out, ']'))
}

// checkKeySort refuses what no version could do.
func checkKeySort(i int, o *object.Object) error {
	sort := madeNow[i]
	if sort.algorithm == "Ed25519" && o.Has("algorithm") && o.Text("algorithm") != "Ed25519" {
		return object.Bad("algorithm", "%s signs with Ed25519, which every client checks", sort.role)
	}
	if sort.algorithm != "Ed25519" && o.Text("algorithm") == "Ed25519" && o.Has("algorithm") {
		return object.Bad("algorithm", "%s is a certificate, which not every browser takes with Ed25519", sort.role)
	}
	if n := o.Int("days"); o.Has("days") && (n < sort.least || n > sort.most) {
		return object.Bad("days", "is %d, not %d to %d", n, sort.least, sort.most)
	}
	return nil
}

func (s *server) validateKeySort(_ context.Context, _ call, in keySort) (string, error) {
	i := -1
	for j, sort := range madeNow {
		if in.Role == sort.role || in.Role == "" && int64(in.ID) == int64(j)+1 {
			i = j
		}
	}
	if i < 0 {
		return "", fault.New(fault.Invalid, "InvalidPKIKeyRole: there is no role %q", shorten(in.Role))
	}
	body, err := json.Marshal(map[string]any{"algorithm": in.Algorithm, "days": in.Days})
	if err != nil {
		return "", err
	}
	o, err := object.ShapeOf(keySorts).Decode(body, object.Lenient)
	if err != nil {
		return "", err
	}
	return "valid", checkKeySort(i, o)
}

func (s *server) changeKeySort(w http.ResponseWriter, c call) error {
	id, err := c.number("id", "sort of keys")
	if err != nil {
		return err
	}
	if id < 1 || id > uint64(len(madeNow)) {
		return fault.New(fault.Invalid, "InvalidPKIKeyRole: there is no sort of keys with number %d", id)
	}
	i := int(id) - 1
	body, err := readBody(w, c, bodyMax)
	if err != nil {
		return err
	}
	in, err := object.ShapeOf(keySorts).Decode(body, object.Lenient)
	if err == nil {
		err = checkKeySort(i, in)
	}
	if err != nil {
		return err
	}
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		if was := ch.ByID(keySorts, int64(id)); was != nil {
			_, err := ch.Update(was, was.Object.With(in))
			return err
		}
		o := object.New(object.ShapeOf(keySorts))
		o.Set("algorithm", madeNow[i].algorithm)
		o.Set("days", madeNow[i].days)
		_, err := ch.Create(keySorts, int64(id), o.With(in))
		return err
	})
	if err != nil {
		return err
	}
	return s.sendText(w, s.keySortAt(i))
}
