package store

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/store/storetest"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123_456_000, time.UTC)

// open opens a fresh store that ends with the test.
func open(t *testing.T, e storetest.Engine) *Store {
	t.Helper()
	return openAt(t, prepared(t, e))
}

// prepared returns the address of a fresh database that has its tables.
func prepared(t testing.TB, e storetest.Engine) string {
	t.Helper()
	return e.Prepared(t, storetest.Opened(Open))
}

func openAt(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { must(t, s.Close()) }) // closing twice is fine
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantKind(t *testing.T, err error, k fault.Kind, text string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != k || !strings.Contains(err.Error(), text) {
		t.Fatalf("error is %v of kind %d, want kind %d with %q", err, fault.KindOf(err), k, text)
	}
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Prefix{})); d != "" {
		t.Fatalf("-want +got\n%s", d)
	}
}

// everything is one of each noun, as a store gives it back.
type everything struct {
	Users    []User
	Tokens   []Token
	Sensors  []Sensor
	Question Question
	Result   []byte
	Account  Account
	Open     []Question
	Clients  []Client
	Secrets  []Secret
	Settings map[string]string
	Subnets  []Subnet
}

func fill(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	u, err := s.CreateUser(ctx, User{Name: "ann", Password: "$argon2id$x", Created: noon})
	must(t, err)
	_, err = s.CreateToken(ctx, Token{Hash: HashOf("token-1"), UserID: u.ID, Name: "script", Notes: "n", Trusted: "10.0.0.0/8", Days: 7, Created: noon, Expires: noon.AddDate(0, 0, 7)})
	must(t, err)
	must(t, s.SyncBuiltin(ctx, []sensor.Sensor{{Name: "Computer Name"}}, noon))
	_, err = s.CreateSensor(ctx, Sensor{Name: "Who", Definition: []byte{1, 0, 2}, Signed: []byte{9}, Created: noon, Modified: noon, ModifiedBy: "ann"})
	must(t, err)
	for range 2 {
		_, err = s.CreateQuestion(ctx, Question{Text: "Get Who from all machines", UserID: u.ID, Plan: []byte{7}, ComputerID: true, Issued: noon, Expires: noon.Add(time.Minute), Priority: -1, Name: "who\x00", Index: -4, Persona: 3, InWords: true})
		must(t, err)
	}
	must(t, s.CloseQuestion(ctx, 1, noon.Add(time.Second), Answer{Result: []byte("rows"), Account: someAccount}))
	must(t, s.CreateSecret(ctx, Secret{Hash: HashOf("s"), Name: "bundle", Created: noon, Expires: noon.Add(time.Hour), Uses: 5}))
	e := &Enrolment{Secret: HashOf("s"), Client: Client{ID: endpoint.ID{1}, ComputerID: 1<<32 - 1, Name: "pc", Key: HashOf("key"), Enrolled: noon, Incarnation: 1<<64 - 1, Sequence: 3}}
	must(t, s.Enrol(ctx, noon, []*Enrolment{e}))
	must(t, e.Err)
	must(t, s.SetSetting(ctx, "k", "v"))
	_, err = s.EditSubnets(ctx, func(list []Subnet) ([]Subnet, error) { return append(list, london()), nil })
	must(t, err)
}

func readAll(t *testing.T, s *Store) everything {
	t.Helper()
	ctx := t.Context()
	var e everything
	var err error
	e.Users, err = s.Users(ctx)
	must(t, err)
	e.Tokens, err = s.Tokens(ctx, e.Users[0].ID)
	must(t, err)
	e.Sensors, err = s.Sensors(ctx)
	must(t, err)
	e.Question, err = s.Question(ctx, 1)
	must(t, err)
	e.Result, err = s.QuestionResult(ctx, 1)
	must(t, err)
	e.Account, err = s.QuestionAccount(ctx, 1)
	must(t, err)
	e.Open, err = s.OpenQuestions(ctx)
	must(t, err)
	e.Clients, err = s.Clients(ctx)
	must(t, err)
	e.Secrets, err = s.Secrets(ctx)
	must(t, err)
	e.Settings, err = s.Settings(ctx)
	must(t, err)
	e.Subnets, err = s.Subnets(ctx)
	must(t, err)
	return e
}

func TestRestartKeepsEverything(t *testing.T) { storetest.Each(t, testRestartKeepsEverything) }

func testRestartKeepsEverything(t *testing.T, e storetest.Engine) {
	path := prepared(t, e)
	if e == storetest.SQLite {
		path = filepath.Join(t.TempDir(), "a dir", "100% #1?.db")
		must(t, os.Mkdir(filepath.Dir(path), 0o700))
	}
	s := openAt(t, path)
	fill(t, s)
	want := everything{
		Users:   []User{{ID: 1, Name: "ann", Password: "$argon2id$x", Created: noon}},
		Tokens:  []Token{{ID: 1, Hash: HashOf("token-1"), UserID: 1, Name: "script", Notes: "n", Trusted: "10.0.0.0/8", Days: 7, Created: noon, Expires: noon.AddDate(0, 0, 7)}},
		Sensors: []Sensor{{ID: 1, Name: "Computer Name", Builtin: true, Created: noon, Modified: noon}, {ID: 2, Name: "Who", Definition: []byte{1, 0, 2}, Signed: []byte{9}, Created: noon, Modified: noon, ModifiedBy: "ann"}},
		Question: Question{
			ID: 1, Text: "Get Who from all machines", UserID: 1, Plan: []byte{7}, ComputerID: true, Issued: noon, Expires: noon.Add(time.Second), Closed: noon.Add(time.Second), Priority: -1, Name: "who\ufffd", Index: -4, Persona: 3, InWords: true,
		},
		Result:   []byte("rows"),
		Account:  someAccount,
		Open:     []Question{{ID: 2, Text: "Get Who from all machines", UserID: 1, Plan: []byte{7}, ComputerID: true, Issued: noon, Expires: noon.Add(time.Minute), Priority: -1, Name: "who\ufffd", Index: -4, Persona: 3, InWords: true}},
		Clients:  []Client{{ID: endpoint.ID{1}, ComputerID: 1<<32 - 1, Name: "pc", Key: HashOf("key"), Enrolled: noon, Incarnation: 1<<64 - 1, Sequence: 3}},
		Secrets:  []Secret{{Hash: HashOf("s"), Name: "bundle", Created: noon, Expires: noon.Add(time.Hour), Uses: 4}},
		Settings: map[string]string{"k": "v"},
		Subnets:  []Subnet{numbered(london(), 1)},
	}
	same(t, readAll(t, s), want)
	must(t, s.Close())

	again := openAt(t, path)
	same(t, readAll(t, again), want)
	if e == storetest.SQLite {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("the file has mode %v, want only its owner to read it", info.Mode())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	s := openAt(t, "sqlite://"+good)
	fill(t, s)
	must(t, s.Close())
	whole, err := os.ReadFile(good)
	must(t, err)

	overwritten := append([]byte{}, whole...)
	for i := 5 * 4096; i < 8*4096; i++ {
		overwritten[i] = 0xa5
	}
	for _, tt := range []struct {
		name, path string
		content    []byte
		kind       fault.Kind
		want       string
	}{
		{"text", "text.db", []byte(strings.Repeat("not a database\n", 100)), fault.Internal, "text.db: is damaged or is no database"},
		{"half", "half.db", whole[:len(whole)/2], fault.Internal, "half.db: is damaged or is no database"},
		{"overwritten", "over.db", overwritten, fault.Internal, "over.db: is damaged or is no database"},
		{"no such directory", "nowhere/x.db", nil, fault.Invalid, "no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(dir, tt.path)
			if tt.content != nil {
				must(t, os.WriteFile(path, tt.content, 0o600))
			}
			s, err := Open(t.Context(), path)
			if err == nil {
				must(t, s.Close())
			}
			wantKind(t, err, tt.kind, tt.want)
		})
	}
}

// withNext returns this program's migrations and one more, and its version.
func withNext(t *testing.T, next string) (files fstest.MapFS, version int) {
	t.Helper()
	names, err := fs.Glob(migrations(), "*.sql")
	must(t, err)
	files = fstest.MapFS{}
	for _, name := range names {
		data, err := fs.ReadFile(migrations(), name)
		must(t, err)
		files[name] = &fstest.MapFile{Data: data}
	}
	version = int(newest()) + 1
	files[fmt.Sprintf("%05d_next.sql", version)] = &fstest.MapFile{Data: []byte("-- +goose Up\n" + next)}
	return files, version
}

func TestMigrateExistingFile(t *testing.T) { storetest.Each(t, testMigrateExistingFile) }

func testMigrateExistingFile(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	fill(t, s)
	files, next := withNext(t, "ALTER TABLE users ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm';\n")
	for range 2 { // the second finds nothing to do
		must(t, migrate(t.Context(), s.engine, s.write.DB, files))
	}
	var mood string
	must(t, s.write.NewRaw("SELECT mood FROM users WHERE name = 'ann'").Scan(t.Context(), &mood))
	same(t, mood, "calm")

	// This program does not know that version.
	err := s.prepare(t.Context(), place{engine: s.engine, path: s.name})
	wantKind(t, err, fault.Conflict, fmt.Sprintf("its tables are of version %d and this program knows %d", next, next-1))
}

func TestMigrationThatFailsChangesNothing(t *testing.T) {
	storetest.Each(t, testMigrationThatFailsChangesNothing)
}

func testMigrationThatFailsChangesNothing(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	files, _ := withNext(t, "ALTER TABLE users ADD COLUMN mood TEXT;\nALTER TABLE nothing ADD COLUMN mood TEXT;\n")
	if migrate(t.Context(), s.engine, s.write.DB, files) == nil {
		t.Fatal("a wrong migration was applied")
	}
	must(t, s.prepare(t.Context(), place{engine: s.engine, path: s.name})) // still at its own version
}

func TestStoppedContext(t *testing.T) { storetest.Each(t, testStoppedContext) }

func testStoppedContext(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Users(ctx)
	wantKind(t, err, fault.Unavailable, "users: context canceled")
}

// modernc.org/sqlite is generated against one version of libc and may crash
// with another, without any message from the compiler.
func TestLibcIsWhatSQLiteNames(t *testing.T) {
	type module struct {
		Version string
		GoMod   string
		Replace *module
	}
	list := func(path string) (m module) {
		out, err := exec.Command("go", "list", "-m", "-json", path).Output()
		must(t, err)
		must(t, json.Unmarshal(out, &m))
		if m.Replace != nil {
			return *m.Replace
		}
		return m
	}
	mod, err := os.ReadFile(list("modernc.org/sqlite").GoMod)
	must(t, err)
	for line := range strings.Lines(string(mod)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "modernc.org/libc" {
			if got := list("modernc.org/libc").Version; got != f[1] {
				t.Errorf("modernc.org/libc is %s, but modernc.org/sqlite names %s: correct the replace line of go.mod", got, f[1])
			}
			return
		}
	}
	t.Error("modernc.org/sqlite names no modernc.org/libc any more: this test and the replace line of go.mod may go")
}
