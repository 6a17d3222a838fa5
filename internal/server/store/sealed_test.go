package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

// testKey is a key for tests: another for each number.
func testKey(t testing.TB, n byte) *Key {
	t.Helper()
	k, err := NewKey(bytes.Repeat([]byte{n}, KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// bySecret takes the member "secret" for one, of connectors.
var bySecret = Splitter{Kinds: []string{"connector"}, Split: func(_ string, body []byte) (rest, secrets []byte, err error) {
	var all map[string]string
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, nil, err
	}
	secret, ok := all["secret"]
	if !ok {
		return body, nil, nil
	}
	delete(all, "secret")
	rest, err = json.Marshal(all)
	secrets, err2 := json.Marshal(map[string]string{"secret": secret})
	return rest, secrets, errors.Join(err, err2)
}}

// unlocked opens a database with keys.
func unlocked(t *testing.T, path string, keys ...*Key) *Store {
	t.Helper()
	s := openAt(t, path)
	must(t, s.Unlock(t.Context(), keys, bySecret))
	return s
}

func (s *Store) column(t *testing.T, query string, args ...any) []byte {
	t.Helper()
	b, err := single[[]byte](t.Context(), s.read.DB, query, args...)
	must(t, err)
	return b
}

func (s *Store) run(t *testing.T, query string, args ...any) {
	t.Helper()
	_, err := s.exec(t.Context(), query, args...)
	must(t, err)
}

func addFactor(t *testing.T, s *Store, user, secret string) int64 {
	t.Helper()
	u, err := s.CreateUser(t.Context(), User{Name: user, Created: noon})
	must(t, err)
	must(t, s.BeginSecondFactor(t.Context(), SecondFactor{UserID: u.ID, Secret: secret, Created: noon}))
	must(t, s.ConfirmSecondFactor(t.Context(), u.ID, 1, []Hash{{1}}))
	return u.ID
}

// TestSealed: what is secret comes back as it was and does not stand in the
// database; nor does it come back from another row, changed, or without its key.
func TestSealed(t *testing.T) { storetest.Each(t, testSealed) }

func testSealed(t *testing.T, e storetest.Engine) {
	const password = `{"password":"open sesame"}`
	path := prepared(t, e)
	s := unlocked(t, path, testKey(t, 1))
	a := create(t, s, Object{Kind: "connector", Name: "a", Body: []byte("{}"), Secrets: []byte(password)})
	b := create(t, s, Object{Kind: "connector", Name: "b", Body: []byte("{}"), Secrets: []byte(`{"password":"b's"}`)})
	ann := addFactor(t, s, "ann", "ANNSBASE32")

	const sealedOf = "SELECT secrets FROM objects WHERE kind = 'connector' AND id = $1"
	first := s.column(t, sealedOf, a.ID)
	factor := s.column(t, "SELECT secret FROM second_factors WHERE user_id = $1", ann)
	if bytes.Contains(first, []byte("sesame")) || bytes.Contains(factor, []byte("BASE32")) {
		t.Errorf("in the database are %q and %q", first, factor)
	}
	must(t, s.Change(t.Context(), func(c *Change) error { return c.Update(t.Context(), a) }))
	if bytes.Equal(first, s.column(t, sealedOf, a.ID)) {
		t.Error("the same secret is encrypted to the same bytes twice")
	}
	got, err := s.Object(t.Context(), "connector", a.ID)
	must(t, err)
	same(t, string(got.Secrets), password)
	f, err := s.SecondFactorOf(t.Context(), ann)
	must(t, err)
	same(t, f.Secret, "ANNSBASE32")

	locked := openAt(t, path)
	_, err = locked.Object(t.Context(), "connector", a.ID)
	wantKind(t, err, fault.Internal, "has not been unlocked")
	err = locked.Change(t.Context(), func(c *Change) error { return c.Update(t.Context(), a) })
	wantKind(t, err, fault.Internal, "has not been unlocked")

	s.run(t, "UPDATE objects SET secrets = $1 WHERE kind = 'connector' AND id = $2", first, b.ID)
	_, err = s.Object(t.Context(), "connector", b.ID)
	wantKind(t, err, fault.Internal, `connector "b": its secret cannot be opened`)
	for _, i := range []int{0, 1, len(first) - 1} {
		bad := slices.Clone(first)
		bad[i] ^= 1
		s.run(t, "UPDATE objects SET secrets = $1 WHERE kind = 'connector' AND id = $2", bad, a.ID)
		_, err = s.Object(t.Context(), "connector", a.ID)
		wantKind(t, err, fault.Internal, `connector "a": its secret`)
	}
	s.run(t, "UPDATE second_factors SET secret = $1", "no base64 !")
	_, err = s.SecondFactorOf(t.Context(), ann)
	wantKind(t, err, fault.Internal, "is not encrypted as this program does it")

	a.Secrets = nil
	must(t, s.Change(t.Context(), func(c *Change) error { return c.Update(t.Context(), a) }))
	if left := s.column(t, sealedOf, a.ID); left != nil {
		t.Errorf("%q is left of a secret that was taken away", left)
	}
}

// plain puts secrets into a database as older versions have: the text of all of
// them begins with "plain".
func plain(t *testing.T, s *Store) {
	t.Helper()
	create(t, s, Object{Kind: "connector", Name: "a", Body: []byte(`{"host":"h","secret":"plain-a"}`)})
	gone := create(t, s, Object{Kind: "connector", Name: "gone", Body: []byte(`{"secret":"plain-gone"}`)})
	create(t, s, Object{Kind: "connector", Name: "none", Body: []byte(`{"host":"h"}`)})
	create(t, s, Object{Kind: "package", Name: "p", Body: []byte(`{"secret":"a field of another kind"}`)})
	must(t, s.Change(t.Context(), func(c *Change) error { return c.Delete(t.Context(), "connector", gone.ID) }))
	u, err := s.CreateUser(t.Context(), User{Name: "ann", Created: noon})
	must(t, err)
	s.run(t, "INSERT INTO second_factors (user_id, secret, confirmed, period, created) VALUES ($1, 'plainBASE32', 1, 7, 0)", u.ID)
}

// TestSealsWhatWasPlain: what an older version has written is encrypted when
// the database is unlocked for the first time, all of it or nothing, and is not
// left in SQLite's files.
func TestSealsWhatWasPlain(t *testing.T) { storetest.Each(t, testSealsWhatWasPlain) }

func testSealsWhatWasPlain(t *testing.T, e storetest.Engine) {
	path := prepared(t, e)
	s := openAt(t, path)
	plain(t, s)
	for range 100 { // what is written elsewhere leaves its old place as it was
		create(t, s, Object{Kind: "connector", Body: []byte(`{"secret":"plain-long` + strings.Repeat("x", 6000) + `"}`)})
	}
	breaks := Splitter{Kinds: bySecret.Kinds, Split: func(kind string, body []byte) ([]byte, []byte, error) {
		if !bytes.Contains(body, []byte("plain-gone")) {
			return bySecret.Split(kind, body)
		}
		return nil, nil, fault.New(fault.Internal, "not understood")
	}}
	wantKind(t, s.Unlock(t.Context(), []*Key{testKey(t, 1)}, breaks), fault.Internal, "connector 2: not understood")
	o, err := s.Object(t.Context(), "connector", 1)
	must(t, err)
	if name, err := s.KeyName(t.Context()); err != nil || name != "" || !bytes.Contains(o.Body, []byte("plain-a")) {
		t.Errorf("half done: %s, key %q, %v", o.Body, name, err)
	}
	must(t, s.Unlock(t.Context(), []*Key{testKey(t, 1)}, bySecret))
	must(t, s.Close())

	s = unlocked(t, path, testKey(t, 1))
	for id, want := range []string{1: `{"secret":"plain-a"}`, 2: `{"secret":"plain-gone"}`, 3: ``} {
		if id == 0 {
			continue
		}
		o, err := s.Object(t.Context(), "connector", int64(id))
		must(t, err)
		if string(o.Secrets) != want || bytes.Contains(o.Body, []byte("plain")) || (id != 2) != bytes.Contains(o.Body, []byte(`"host":"h"`)) {
			t.Errorf("connector %d has become %s with %s", id, o.Body, o.Secrets)
		}
	}
	f, err := s.SecondFactorOf(t.Context(), 1)
	if err != nil || f.Secret != "plainBASE32" || f.Period != 7 || !f.Confirmed {
		t.Errorf("the second factor has become %+v, %v", f, err)
	}
	o, err = s.Object(t.Context(), "package", 1)
	if err != nil || !strings.Contains(string(o.Body), "another kind") {
		t.Errorf("the package has become %s, %v", o.Body, err)
	}
	must(t, s.Close())
	if e != storetest.SQLite {
		return
	}
	files, err := filepath.Glob(path + "*")
	must(t, err)
	for _, file := range files {
		data, err := os.ReadFile(file)
		must(t, err)
		for _, secret := range []string{"plain-a", "plain-gone", "plain-long", "plainBASE32"} {
			if bytes.Contains(data, []byte(secret)) {
				t.Errorf("%s is still in %s", secret, file)
			}
		}
	}
}

// TestUnlock: another key is refused and nothing is lost; a new key before the
// old one takes its place, and who goes on with the old one is told.
func TestUnlock(t *testing.T) { storetest.Each(t, testUnlock) }

func testUnlock(t *testing.T, e storetest.Engine) {
	path, old, fresh := prepared(t, e), testKey(t, 1), testKey(t, 2)
	s := unlocked(t, path, old)
	o := create(t, s, Object{Kind: "connector", Name: "a", Body: []byte("{}"), Secrets: []byte(`{"n":1}`)})
	ann := addFactor(t, s, "ann", "BASE32")

	err := openAt(t, path).Unlock(t.Context(), []*Key{fresh}, bySecret)
	wantKind(t, err, fault.Conflict, "encrypted with key "+old.Name()+", and the key file has "+fresh.Name())
	if _, err := s.Object(t.Context(), "connector", o.ID); err != nil {
		t.Errorf("after an attempt with another key: %v", err)
	}

	now := unlocked(t, path, fresh, old)
	for _, s := range []*Store{now, unlocked(t, path, fresh)} {
		got, err := s.Object(t.Context(), "connector", o.ID)
		must(t, err)
		same(t, string(got.Secrets), `{"n":1}`)
		f, err := s.SecondFactorOf(t.Context(), ann)
		must(t, err)
		same(t, f.Secret, "BASE32")
	}
	err = s.Change(t.Context(), func(c *Change) error { return c.Update(t.Context(), o) })
	wantKind(t, err, fault.Unavailable, "the key of the database has been changed to "+fresh.Name())
	_, err = s.SecondFactorOf(t.Context(), ann)
	wantKind(t, err, fault.Internal, "cannot be opened with key "+old.Name())
	wantKind(t, openAt(t, path).Unlock(t.Context(), []*Key{old}, bySecret), fault.Conflict, "")
}

// TestUnlockAtOnce: of servers that open a new database at once with keys of
// their own, one wins, and the others hear of it.
func TestUnlockAtOnce(t *testing.T) { storetest.Each(t, testUnlockAtOnce) }

func testUnlockAtOnce(t *testing.T, e storetest.Engine) {
	path := prepared(t, e)
	plain(t, openAt(t, path))
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		s := openAt(t, path)
		all.Go(func() { errs[i] = s.Unlock(t.Context(), []*Key{testKey(t, byte(i))}, bySecret) })
	}
	all.Wait()
	winner := slices.Index(errs, nil)
	for i, err := range errs {
		if i != winner {
			wantKind(t, err, fault.Conflict, "are encrypted with key")
		}
	}
	o, err := unlocked(t, path, testKey(t, byte(winner))).Object(t.Context(), "connector", 1)
	if err != nil || string(o.Secrets) != `{"secret":"plain-a"}` {
		t.Errorf("%s, %v", o.Secrets, err)
	}
}

// TestForget: without its key, secrets are named and given up, and nothing else.
func TestForget(t *testing.T) { storetest.Each(t, testForget) }

func testForget(t *testing.T, e storetest.Engine) {
	path := prepared(t, e)
	s := openAt(t, path)
	if lost, err := s.Forget(t.Context(), []*Key{testKey(t, 1)}); err != nil || lost != nil {
		t.Errorf("of a database without a key: %v, %v", lost, err)
	}
	plain(t, s)
	must(t, s.Unlock(t.Context(), []*Key{testKey(t, 1)}, bySecret))
	for _, tt := range []struct {
		keys  []*Key
		opens bool
	}{{[]*Key{testKey(t, 1)}, true}, {[]*Key{testKey(t, 2)}, false}, {nil, false}, {[]*Key{testKey(t, 2), testKey(t, 1)}, true}} {
		list, name, err := s.Sealed(t.Context(), tt.keys)
		must(t, err)
		same(t, name, testKey(t, 1).Name())
		same(t, list, []SealedSecret{{"connector", 1, "a", tt.opens}, {"second_factor", 1, "ann", tt.opens}})
	}
	lost, err := s.Forget(t.Context(), []*Key{testKey(t, 1)})
	must(t, err)
	same(t, lost, nil)
	lost, err = s.Forget(t.Context(), []*Key{testKey(t, 3), testKey(t, 1)}) // a change of keys that was cut off
	must(t, err)
	same(t, lost, nil)
	if o, err := unlocked(t, path, testKey(t, 3)).Object(t.Context(), "connector", 1); err != nil || o.Secrets == nil {
		t.Errorf("%s, %v", o.Secrets, err)
	}
	lost, err = s.Forget(t.Context(), []*Key{testKey(t, 2)})
	must(t, err)
	same(t, lost, []SealedSecret{{"connector", 1, "a", false}, {"second_factor", 1, "ann", false}})

	s = unlocked(t, path, testKey(t, 2))
	list, err := s.Objects(t.Context())
	must(t, err)
	same(t, len(list), 3) // a, none, p
	if list[0].Secrets != nil || !bytes.Contains(list[0].Body, []byte(`"host":"h"`)) {
		t.Errorf("the connector has become %s with %s", list[0].Body, list[0].Secrets)
	}
	_, err = s.SecondFactorOf(t.Context(), 1)
	wantKind(t, err, fault.NotFound, "second factor of user 1")
}

// TestSealedIsCarried: secrets go along with a copy and a backup, from one kind
// of database to the other, and open there with the same key.
func TestSealedIsCarried(t *testing.T) {
	from := filepath.Join(t.TempDir(), "catenary.db")
	s := openAt(t, from)
	plain(t, s)
	var old bytes.Buffer // a backup from before
	quiet := func(TableContents, int64) {}
	if _, err := Backup(t.Context(), from, &old, quiet); err != nil {
		t.Fatal(err)
	}
	must(t, s.Unlock(t.Context(), []*Key{testKey(t, 1)}, bySecret))
	var file bytes.Buffer
	if _, err := Backup(t.Context(), from, &file, quiet); err != nil {
		t.Fatal(err)
	}
	to := map[string]string{}
	for what, carry := range map[string]func(ctx context.Context, to string) (Contents, error){
		"copied":     func(ctx context.Context, to string) (Contents, error) { return Copy(ctx, from, to, quiet) },
		"restored":   func(ctx context.Context, to string) (Contents, error) { return Restore(ctx, &file, to, quiet) },
		"from plain": func(ctx context.Context, to string) (Contents, error) { return Restore(ctx, &old, to, quiet) },
	} {
		to[what] = storetest.PostgreSQL.Empty(t)
		_, err := carry(t.Context(), to[what])
		must(t, err)
		s := unlocked(t, to[what], testKey(t, 1))
		o, err := s.Object(t.Context(), "connector", 1)
		if err != nil || string(o.Secrets) != `{"secret":"plain-a"}` {
			t.Errorf("%s: %s, %v", what, o.Secrets, err)
		}
		f, err := s.SecondFactorOf(t.Context(), 1)
		if err != nil || f.Secret != "plainBASE32" {
			t.Errorf("%s: %+v, %v", what, f, err)
		}
	}
	wantKind(t, openAt(t, to["restored"]).Unlock(t.Context(), []*Key{testKey(t, 2)}, bySecret), fault.Conflict, "are encrypted with key "+testKey(t, 1).Name())
}

func TestNewKey(t *testing.T) {
	for _, n := range []int{0, 16, 31, 33} {
		_, err := NewKey(make([]byte, n))
		wantKind(t, err, fault.Invalid, "has 32 bytes, not")
	}
	if a, b := testKey(t, 1), testKey(t, 2); a.Name() == b.Name() || len(a.Name()) != 16 || strings.Contains(a.Name(), "0101") {
		t.Errorf("keys are called %s and %s", a.Name(), b.Name())
	}
}
