package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func TestFindPlace(t *testing.T) {
	for _, name := range []string{"PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSERVICE"} {
		t.Setenv(name, "")
	}
	here, err := filepath.Abs("x.db")
	must(t, err)
	for _, tt := range []struct{ address, name string }{
		{"x.db", here},
		{"/var/x.db", "/var/x.db"},
		{"sqlite:///var/a%20b.db", "/var/a b.db"},
		{"postgres://ann:secret@db.example.org/cat", "postgres://db.example.org:5432/cat"},
		{"postgresql://ann:secret@[2001:db8::1]:7/cat?sslmode=disable", "postgres://[2001:db8::1]:7/cat"},
		{"postgres://ann:secret@/cat?host=/run/pg", "postgres:///cat at /run/pg"},
	} {
		if name, err := Name(tt.address); err != nil || name != tt.name {
			t.Errorf("%s is shown as %q, %v, want %q", tt.address, name, err, tt.name)
		}
	}
	for address, want := range map[string]string{
		"":                               "not a path",
		"sqlite://relative.db":           "want sqlite:///path",
		"sqlite:///x.db?_pragma=x":       "want sqlite:///path",
		"sqlite:///%zz":                  "want sqlite:///path",
		"mysql://ann:secret@host/x":      "database mysql://…: want a path",
		"postgres://ann:secret@host:x/y": "database: cannot parse",
	} {
		_, err := findPlace(address)
		wantKind(t, err, fault.Invalid, want)
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%v shows the password", err)
		}
	}
}

// TestPasswordOutsideTheAddress: it may come from the environment or a file.
func TestPasswordOutsideTheAddress(t *testing.T) {
	t.Setenv("PGPASSWORD", "from the environment")
	p, err := findPlace("postgres://ann@host/cat")
	must(t, err)
	same(t, p.config.Password, "from the environment")
}

// TestFailed: what the databases say has its kind.
func TestFailed(t *testing.T) {
	code := func(c string) error { return &pgconn.PgError{Code: c, Message: "why"} }
	for _, tt := range []struct {
		err  error
		kind fault.Kind
		text string
	}{
		{sql.ErrNoRows, fault.NotFound, "x: not found"},
		{context.Canceled, fault.Unavailable, "x: context canceled"},
		{context.DeadlineExceeded, fault.Unavailable, "x: context deadline exceeded"},
		{fault.New(fault.Denied, "no"), fault.Denied, "x: no"},
		{errors.New("odd"), fault.Internal, "x: odd"},
		{driver.ErrBadConn, fault.Unavailable, "the database does not answer"},
		{io.ErrUnexpectedEOF, fault.Unavailable, "the database does not answer"},
		{&net.OpError{Op: "dial", Err: errors.New("refused")}, fault.Unavailable, "the database does not answer"},
		{code("23505"), fault.Conflict, "x: already exists"},
		{code("23503"), fault.NotFound, "x: what it belongs to is not there"},
		{code("23514"), fault.Internal, "why"},
		{code("22021"), fault.Invalid, "why"},
		{code("54000"), fault.Invalid, "why"},
		{code("28P01"), fault.Invalid, "does not let us in"},
		{code("3D000"), fault.Invalid, "does not let us in"},
		{code("40P01"), fault.Unavailable, "not ready"},
		{code("53300"), fault.Unavailable, "not ready"},
		{code("53100"), fault.Unavailable, "the disk is full"},
		{code("55P03"), fault.Unavailable, "busy"},
		{code("57P01"), fault.Unavailable, "not ready"},
		{code("58030"), fault.Internal, "the disk refuses"},
		{code("XX001"), fault.Internal, "restore it from a backup"},
		{code(""), fault.Internal, "why"},
	} {
		wantKind(t, failed(fmt.Errorf("wrapped: %w", tt.err), "x"), tt.kind, strings.TrimPrefix(tt.text, "x: "))
	}
}

// TestServersStartTogether: several that find an empty database make its tables
// once.
func TestServersStartTogether(t *testing.T) { storetest.Each(t, testServersStartTogether) }

func testServersStartTogether(t *testing.T, e storetest.Engine) {
	address := e.Empty(t)
	var wait sync.WaitGroup
	for range 3 {
		wait.Go(func() {
			s, err := Open(t.Context(), address)
			if err == nil {
				err = s.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	state, err := Inspect(t.Context(), address)
	must(t, err)
	same(t, state.Version, newest())
}

// TestDerivedMigrations: nothing of SQLite's is left in what PostgreSQL gets.
func TestDerivedMigrations(t *testing.T) {
	names, err := fs.Glob(derived{migrations()}, "*.sql")
	must(t, err)
	original, err := fs.Glob(migrations(), "*.sql")
	must(t, err)
	same(t, names, original)
	for _, name := range names {
		text, err := fs.ReadFile(derived{migrations()}, name)
		must(t, err)
		for _, word := range []string{"INTEGER", "BLOB", "STRICT", "ROWID", "NOCASE"} {
			if strings.Contains(string(text), word) {
				t.Errorf("%s has %s in it", name, word)
			}
		}
	}
}

// TestTouchTwice: of two registrations of a client in one batch the newer one
// stays, in whatever order they come.
func TestTouchTwice(t *testing.T) { storetest.Each(t, testTouchTwice) }

func testTouchTwice(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	fill(t, s)
	id := endpoint.ID{1}
	for i, order := range [][]time.Duration{{time.Second, 2 * time.Second}, {4 * time.Second, 3 * time.Second}} {
		var list []Touch
		for _, d := range order {
			list = append(list, Touch{ID: id, Name: d.String() + "\x00\xff", Registered: noon.Add(d)})
		}
		must(t, s.TouchClients(t.Context(), list))
		c, err := s.ClientByID(t.Context(), id)
		must(t, err)
		same(t, c.Name, fmt.Sprintf("%ds\uFFFD\uFFFD", 2*i+2))
	}
}

// TestHarmfulTexts: a text is a text, whatever is in it, for the query builder
// and for the drivers alike.
func TestHarmfulTexts(t *testing.T) { storetest.Each(t, testHarmfulTexts) }

func testHarmfulTexts(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	for i, text := range []string{`'); DROP TABLE users; --`, `\'; DROP TABLE users; --`, `?0 ?name $1 $$x$$`, "line\nline\r\t", `%_"` + "`", "E'\\x00'", "ß→𝄞"} {
		must(t, s.SetSetting(ctx, text, text))
		got, err := s.Setting(ctx, text)
		must(t, err)
		same(t, got, text)
		u, err := s.CreateUser(ctx, User{Name: text})
		must(t, err)
		found, err := s.UserByName(ctx, text)
		must(t, err)
		same(t, []any{found.ID, found.Name}, []any{u.ID, text})
		_, err = s.CreateToken(ctx, Token{Hash: HashOf(text), UserID: u.ID, Name: text, Notes: "NUL \x00", Trusted: text})
		must(t, err)
		tok := tokensIn(t, s, u.ID)[0]
		same(t, []string{tok.Name, tok.Notes, tok.Trusted}, []string{text, "NUL \uFFFD", text})
		same(t, create(t, s, Object{Kind: "package", Name: text, Body: []byte("{}")}).ID, int64(i+1))
	}
	_, err := s.CreateUser(ctx, User{Name: "a\x00"})
	wantKind(t, err, fault.Invalid, "UTF-8 text without NUL")
}
