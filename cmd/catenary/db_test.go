//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catenary/internal/demo"
	"catenary/internal/fault"
	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
)

// run runs the command line in this process and returns both streams.
func run(t *testing.T, in []byte, args ...string) (out, errs string, err error) {
	t.Helper()
	root := command()
	var o, e bytes.Buffer
	root.SetArgs(args)
	root.SetIn(bytes.NewReader(in))
	root.SetOut(&o)
	root.SetErr(&e)
	err = root.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in\n%s", p, text)
		}
	}
}

// withPassword is the address of a PostgreSQL, which asks for none, with one.
func withPassword(t *testing.T, address, password string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), password)
	return u.String()
}

// TestDatabaseCommands moves an installation from its SQLite to PostgreSQL, and
// back through a backup. The server has the same users on each, and nobody gets
// to see the password.
func TestDatabaseCommands(t *testing.T) {
	const password = "correct-horse"
	dir := t.TempDir()
	s := newLoneServer(t, dir, freePort(t))
	session := s.session(s.start())
	if _, err := session.MakeToken(t.Context(), "survivor"); err != nil {
		t.Fatal(err)
	}
	live := filepath.Join(dir, "live.backup")
	_, errs, err := run(t, nil, "db", "backup", live, "--data-dir", s.dir) // while the server runs
	if err != nil {
		t.Fatal(err)
	}
	wants(t, errs, "users: 1 rows", "tokens: 1 rows", "backed up ")
	s.kill()

	var said strings.Builder
	db := func(in string, args ...string) string {
		t.Helper()
		out, errs, err := run(t, []byte(in), append([]string{"db"}, args...)...)
		if err != nil {
			t.Fatalf("%q: %v", args, err)
		}
		said.WriteString(errs)
		return out
	}
	postgres, again := withPassword(t, storetest.PostgreSQL.Empty(t), password), filepath.Join(dir, "again.db")
	db("", "copy", "--from", filepath.Join(s.dir, "catenary.db"), "--to", postgres)
	text := db("", "status", "--database", postgres) + db("", "migrate", "--database", postgres)
	wants(t, text, "PostgreSQL ", "up to date", "users", "postgres:///test_", "tables of version")
	s.serves(session, postgres)
	db(db("", "backup", "-", "--database", postgres), "restore", "-", "--database", again)
	s.serves(session, again)
	var state struct {
		Engine  string `json:"engine"`
		Version int    `json:"version"`
		Newest  int    `json:"newest_version"`
		Tables  []store.TableContents
	}
	if err := json.Unmarshal([]byte(db("", "status", "--json", "--database", "sqlite://"+again)), &state); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(state.Engine, "SQLite ") || state.Version != state.Newest || len(state.Tables) < 10 {
		t.Errorf("the state is %+v", state)
	}

	log, err := os.ReadFile(s.log.Name())
	if err != nil {
		t.Fatal(err)
	}
	if all := said.String() + text + string(log); strings.Contains(all, password) {
		t.Errorf("the password is shown:\n%s", all)
	}
}

// serves starts the server on another database, which knows the session's
// token, and kills it.
func (s *loneServer) serves(session *demo.Session, database string) {
	s.t.Helper()
	s.t.Setenv(databaseVariable, database)
	s.start()
	if _, err := session.ClientCount(s.t.Context()); err != nil {
		s.t.Errorf("on %s: %v", database, err)
	}
	s.kill()
	s.t.Setenv(databaseVariable, "")
}

func TestDatabaseCommandsRefuse(t *testing.T) {
	dir := t.TempDir()
	full, file := filepath.Join(dir, "full.db"), filepath.Join(dir, "file.backup")
	db, err := store.Open(t.Context(), full)
	if err == nil {
		_, err = db.CreateUser(t.Context(), store.User{Name: "ann"})
	}
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := run(t, nil, "db", "backup", file, "--database", full); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		kind fault.Kind
		text string
	}{
		{[]string{"backup", file, "--database", full}, fault.Conflict, "file.backup is there already"},
		{[]string{"backup", filepath.Join(dir, "no", "x"), "--database", full}, fault.Invalid, "no such file or directory"},
		{[]string{"backup", filepath.Join(dir, "x"), "--database", filepath.Join(dir, "none.db")}, fault.NotFound, "none.db: no such file"},
		{[]string{"backup"}, fault.Invalid, "backup takes one word, the file, but got 0"},
		{[]string{"restore", file, "--database", full}, fault.Conflict, "table users has 1 rows: give an empty database"},
		{[]string{"restore", full, "--database", filepath.Join(dir, "new.db")}, fault.Invalid, "this is no backup"},
		{[]string{"restore", filepath.Join(dir, "none"), "--database", full}, fault.Invalid, "no such file"},
		{[]string{"copy", "--from", full}, fault.Invalid, "give --from and --to"},
		{[]string{"copy", "--from", full, "--to", full}, fault.Conflict, "give an empty database"},
		{[]string{"status", "--database", "mysql://x/y"}, fault.Invalid, "mysql://…: want a path"},
		{[]string{"status", "--database", "postgres://u:secret@127.0.0.1:1/x"}, fault.Unavailable, "postgres://127.0.0.1:1/x: the database does not answer"},
		{[]string{"status", "extra"}, fault.Invalid, `status takes no words besides its flags, but got "extra"`},
		{[]string{"frob"}, fault.Invalid, `db has no command "frob"`},
	} {
		_, _, err := run(t, nil, append([]string{"db"}, tt.args...)...)
		if err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want kind %d with %q", tt.args, err, tt.kind, tt.text)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part"))
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v: pieces are left", left, err)
	}
}
