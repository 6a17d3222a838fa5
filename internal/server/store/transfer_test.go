package store

import (
	"bytes"
	"compress/gzip"
	"context"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func silent(TableContents, int64) {}

// odd fills in what fill leaves out: other tables, and values at the edges.
func odd(t *testing.T, s *Store) {
	t.Helper()
	ctx := t.Context()
	for _, name := range []string{"", "Ärger", "a'b\\c$1?\n\t\u2028", strings.Repeat("n", nameMax)} {
		create(t, s, Object{Kind: "package", Name: name, Body: []byte(`{"x":"\u0000"}`), Created: noon})
	}
	gone := create(t, s, Object{Kind: "package", Name: "gone", Body: []byte("{}")})
	change(t, s, func(c *Change) error { return c.Delete(ctx, "package", gone.ID) })
	must(t, s.Audit(ctx, AuditEntry{At: noon, Type: "login", UserName: "ann"}))
	must(t, s.KeepFindings(ctx, []Finding{someFinding(1, "forged_box")}))
	for n := range 2 * progressEvery {
		must(t, s.Audit(ctx, AuditEntry{At: noon.Add(time.Duration(n)), Type: "update", ObjectID: int64(n)}))
	}
	must(t, s.SetSetting(ctx, "\uFFFD", "")) // no text is NULL
	// The newest question's number is not to come back.
	id, err := s.CreateQuestion(ctx, Question{Text: "last", Issued: noon, Expires: noon})
	must(t, err)
	must(t, s.CloseQuestion(ctx, id, noon.Add(-time.Hour), Answer{}))
	_, err = s.DeleteQuestions(ctx, noon.Add(-time.Minute))
	must(t, err)
}

// unpacked is a backup of the database at an address, as it is before gzip.
func unpacked(t *testing.T, address string) string {
	t.Helper()
	var packed bytes.Buffer
	_, err := Backup(t.Context(), address, &packed, silent)
	must(t, err)
	rest, ok := bytes.CutPrefix(packed.Bytes(), []byte(backupMark))
	if !ok {
		t.Fatalf("a backup begins with %q", packed.Bytes()[:20])
	}
	r, err := gzip.NewReader(bytes.NewReader(rest))
	must(t, err)
	all, err := io.ReadAll(r)
	must(t, err)
	return string(all)
}

// TestTransfer: an installation moves from each engine to each, directly and
// through a backup, and nothing of it is lost.
func TestTransfer(t *testing.T) {
	for _, from := range storetest.Engines {
		source := prepared(t, from)
		s := openAt(t, source)
		fill(t, s)
		odd(t, s)
		want, dump := readAll(t, s), unpacked(t, source)
		for _, to := range storetest.Engines {
			t.Run(fmt.Sprintf("%s to %s", from, to), func(t *testing.T) {
				target := to.Empty(t)
				var heard []string
				c, err := Copy(t.Context(), source, target, func(n TableContents, done int64) {
					if n.Name == "audit" {
						heard = append(heard, fmt.Sprintf("%d of %d", done, n.Rows))
					}
				})
				must(t, err)
				same(t, heard, []string{"1000 of 2001", "2000 of 2001", "2001 of 2001"})
				same(t, c.Mended, 0)
				checkTransferred(t, target, want, dump)
			})
			t.Run(fmt.Sprintf("%s to %s by backup", from, to), func(t *testing.T) {
				target := to.Empty(t)
				var file bytes.Buffer
				_, err := Backup(t.Context(), source, &file, silent)
				must(t, err)
				_, err = Restore(t.Context(), &file, target, silent)
				must(t, err)
				checkTransferred(t, target, want, dump)
			})
		}
	}
}

func checkTransferred(t *testing.T, target string, want everything, dump string) {
	t.Helper()
	if got := unpacked(t, target); got != dump {
		t.Fatalf("the copy's backup differs from the original's:\n%.3000q\n%.3000q", got, dump)
	}
	s := openAt(t, target)
	same(t, readAll(t, s), want)
	id, err := s.CreateQuestion(t.Context(), Question{Text: "next", Issued: noon, Expires: noon})
	must(t, err)
	same(t, id, 4) // after one that was deleted
	same(t, create(t, s, Object{Kind: "package", Body: []byte("{}")}).ID, 6)
	_, err = Copy(t.Context(), target, target, silent)
	wantKind(t, err, fault.Conflict, "table audit has 2001 rows: give an empty database")
}

// TestTransferFromAnOlderVersion: the copy is of the version of the original,
// which stays as it is, and is brought up to date when it is opened.
func TestTransferFromAnOlderVersion(t *testing.T) { storetest.Each(t, testTransferFromAnOlderVersion) }

func testTransferFromAnOlderVersion(t *testing.T, e storetest.Engine) {
	ctx := t.Context()
	source := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", dsn(source))
	must(t, err)
	must(t, migrateTo(ctx, sqlite, db, 3))
	_, err = db.ExecContext(ctx, `INSERT INTO users (id, name, password, created, last_login) VALUES
		(7, 'Ärger', '', 1, 0), (8, 'ärger', '', 1, 0), (9, 'a' || char(0) || 'b' || x'ff', '', 1, 0)`)
	must(t, err)
	must(t, db.Close())

	target := e.Empty(t)
	c, err := Copy(ctx, source, target, silent)
	must(t, err)
	same(t, []int64{c.Version, c.Mended, c.Rows()}, []int64{3, 1, 3})
	for address, version := range map[string]int64{source: 3, target: 3} {
		state, err := Inspect(ctx, address)
		must(t, err)
		same(t, []int64{state.Version, state.Newest}, []int64{version, newest()})
	}
	s := openAt(t, target)
	for name, id := range map[string]int64{"Ärger": 7, "ärger": 8, "ÄRGER": 7, "A\uFFFDB\uFFFD": 9} {
		u, err := s.UserByName(ctx, name)
		must(t, err)
		same(t, u.ID, id)
	}
	_, err = s.CreateUser(ctx, User{Name: "äRGER"})
	wantKind(t, err, fault.Conflict, "already exists")
	state, err := Inspect(ctx, target)
	must(t, err)
	same(t, state.Version, newest())
	if state.Size < 4096 || !strings.HasPrefix(state.Engine, s.engine.String()+" ") || state.Name != s.Name() {
		t.Errorf("the state is %+v", state)
	}
}

// TestBackupIsOfOneMoment: while a server goes on writing, a backup has all or
// nothing of a change.
func TestBackupIsOfOneMoment(t *testing.T) { storetest.Each(t, testBackupIsOfOneMoment) }

func testBackupIsOfOneMoment(t *testing.T, e storetest.Engine) {
	address := prepared(t, e)
	s := openAt(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	write := func() error {
		return s.Change(ctx, func(c *Change) error {
			if err := c.Audit(ctx, AuditEntry{Type: "create"}); err != nil {
				return err
			}
			_, err := c.Create(ctx, Object{Kind: "package", Body: []byte("{}")})
			return err
		})
	}
	must(t, write())
	ended := make(chan error)
	go func() {
		var err error
		for err == nil {
			err = write()
		}
		ended <- err
	}()
	for range 5 {
		c, err := Backup(ctx, address, io.Discard, silent)
		must(t, err)
		rows := map[string]int64{}
		for _, n := range c.Tables {
			rows[n.Name] = n.Rows
		}
		if rows["audit"] != rows["objects"] || rows["audit"] == 0 {
			t.Errorf("the backup has %v rows", rows)
		}
	}
	cancel()
	wantKind(t, <-ended, fault.Unavailable, "context canceled")
}

// TestDamagedBackup: whatever is cut off or changed is noticed, and the
// database stays empty.
func TestDamagedBackup(t *testing.T) { storetest.Each(t, testDamagedBackup) }

func testDamagedBackup(t *testing.T, e storetest.Engine) {
	stride := map[storetest.Engine]int{storetest.SQLite: 101, storetest.PostgreSQL: 401}[e]
	address := prepared(t, storetest.SQLite)
	fill(t, openAt(t, address))
	var file bytes.Buffer
	_, err := Backup(t.Context(), address, &file, silent)
	must(t, err)
	whole := file.Bytes()
	target := e.Empty(t)
	try := func(what string, data []byte) {
		t.Helper()
		_, err := Restore(t.Context(), bytes.NewReader(data), target, silent)
		wantKind(t, err, fault.Invalid, "backup")
		if s, err := Inspect(t.Context(), target); err == nil && s.Rows() > 2 { // the migrations' turns
			t.Fatalf("after %s the database has %d rows", what, s.Rows())
		}
	}
	for _, n := range []int{0, 1, len(backupMark), len(backupMark) + 5, len(whole) / 2, len(whole) - 9, len(whole) - 1} {
		try(fmt.Sprintf("%d of %d bytes", n, len(whole)), whole[:n])
	}
	for i := 0; i < len(whole); i += stride {
		if i == len(backupMark)+9 || i > len(backupMark)+3 && i < len(backupMark)+9 {
			continue // gzip's time and system
		}
		bad := slices.Clone(whole)
		bad[i] ^= 0x10
		try(fmt.Sprintf("a change at %d", i), bad)
	}
	_, err = Restore(t.Context(), bytes.NewReader(whole), target, silent)
	must(t, err)
}

func TestTransferRefuses(t *testing.T) {
	dir := t.TempDir()
	newer, err := sql.Open("sqlite", dsn(filepath.Join(dir, "newer.db")))
	must(t, err)
	files, next := withNext(t, "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT;\n")
	must(t, migrate(t.Context(), sqlite, newer, files))
	must(t, newer.Close())
	foreign, err := sql.Open("sqlite", dsn(filepath.Join(dir, "foreign.db")))
	must(t, err)
	_, err = foreign.ExecContext(t.Context(), "CREATE TABLE users (id INTEGER PRIMARY KEY)")
	must(t, err)
	must(t, foreign.Close())
	for _, tt := range []struct {
		from string
		kind fault.Kind
		text string
	}{
		{"nowhere.db", fault.NotFound, "no such file"},
		{"foreign.db", fault.NotFound, "foreign.db: nothing of Catenary's is there"},
		{"newer.db", fault.Conflict, fmt.Sprintf("its tables are of version %d and this program knows %d", next, next-1)},
	} {
		_, err := Copy(t.Context(), filepath.Join(dir, tt.from), filepath.Join(dir, "to.db"), silent)
		wantKind(t, err, tt.kind, tt.text)
	}
	if found, err := fs.Glob(os.DirFS(dir), "*w*.db"); err != nil || !slices.Equal(found, []string{"newer.db"}) {
		t.Errorf("%v, %v: a file was made where none was", found, err)
	}
}

// FuzzBackup: nobody can make a reader of backups fail otherwise than with an
// error, or take more memory than the file has.
func FuzzBackup(f *testing.F) {
	header := `{"version":1,"tables":[{"name":"settings","rows":1}]}` + "\n"
	f.Add([]byte(header + "\x01\x02\x01k\x02\x01v\x00" + backupEnd))
	f.Add([]byte(header + "\x01\x00\x01\x05\x03\xff\xff\xff\xff\x03x\x00" + backupEnd))
	f.Fuzz(func(t *testing.T, data []byte) {
		var packed bytes.Buffer
		packed.WriteString(backupMark)
		w := gzip.NewWriter(&packed)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		src, err := openFile(&packed)
		if err != nil {
			return
		}
		settings := table{name: "settings", columns: []column{{"key", "TEXT"}, {"value", "TEXT"}}}
		again := &fileSink{w: new(bytes.Buffer)}
		if again.load(t.Context(), settings, src.rows(t.Context(), settings)) != nil {
			return
		}
		// What is understood is one way of writing these rows, up to the
		// length of numbers.
		if n := again.w.(*bytes.Buffer).Len(); n > len(data) {
			t.Errorf("%d bytes from %d", n, len(data))
		}
	})
}

// TestSchema: what a transfer knows of the tables.
func TestSchema(t *testing.T) {
	tables, err := schemaAt(t.Context(), newest())
	must(t, err)
	for i, n := range tables {
		if len(n.key) == 0 || n.numbered && !slices.Equal(n.key, []string{"id"}) {
			t.Errorf("table %s has the key %v", n.name, n.key)
		}
		for _, c := range n.columns {
			if !slices.Contains([]string{"INTEGER", "TEXT", "BLOB"}, c.kind) {
				t.Errorf("column %s.%s is of kind %q: teach the transfer and forPostgres of it", n.name, c.name, c.kind)
			}
		}
		for _, need := range n.needs {
			if !slices.ContainsFunc(tables[:i], func(o table) bool { return o.name == need }) {
				t.Errorf("table %s comes before %s, which it refers to", n.name, need)
			}
		}
	}
	names, err := fs.Glob(migrations(), "*.sql")
	must(t, err)
	for _, name := range names {
		if !regexp.MustCompile(`^[0-9]{5}_[a-z_]+\.sql$`).MatchString(name) {
			t.Errorf("%s has no number of five digits", name)
		}
	}
}

func TestCircleOfTables(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("tables that need each other are in order")
		}
	}()
	inOrder([]table{{name: "a", needs: []string{"b"}}, {name: "b", needs: []string{"a"}}})
}
