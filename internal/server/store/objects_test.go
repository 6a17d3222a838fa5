package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func aPackage(name string) Object {
	return Object{
		Kind: "package", Name: name, Body: []byte(`{"a":[1,"'\\?$1"]}`), Created: noon, CreatedBy: 1, CreatedAs: 2,
		Modified: noon.Add(time.Second), ModifiedBy: 3, ModifiedAs: 4,
	}
}

// change runs f as a change of its own.
func change(t *testing.T, s *Store, f func(c *Change) error) {
	t.Helper()
	must(t, s.Change(t.Context(), f))
}

func create(t *testing.T, s *Store, o Object) (made Object) {
	t.Helper()
	change(t, s, func(c *Change) (err error) { made, err = c.Create(t.Context(), o); return err })
	return made
}

func TestObjects(t *testing.T) { storetest.Each(t, testObjects) }

func testObjects(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	a := create(t, s, aPackage("Ärger"))
	want := aPackage("Ärger")
	want.ID = 1
	same(t, a, want)
	saved := create(t, s, Object{Kind: "saved_question", Name: "ÄRGER", Body: []byte("{}")}) // another kind: other names and numbers
	same(t, saved.ID, 1)
	nameless := []Object{create(t, s, Object{Kind: "group", Body: []byte("{}")}), create(t, s, Object{Kind: "group", Body: []byte("{}")})}

	a.Name, a.Body, a.Modified, a.ModifiedBy = "ärger", []byte(`{"b":2}`), noon.Add(time.Hour), 9
	change(t, s, func(c *Change) error { return c.Update(ctx, a) }) // its own name in another case
	all, err := s.Objects(ctx)
	must(t, err)
	same(t, all, []Object{nameless[0], nameless[1], a, saved})
	packages, err := s.ObjectsOf(ctx, "package")
	must(t, err)
	same(t, packages, []Object{a})

	change(t, s, func(c *Change) error { return c.Delete(ctx, "package", 1) })
	packages, err = s.ObjectsOf(ctx, "package")
	must(t, err)
	same(t, len(packages), 0)
	gone, err := s.Object(ctx, "package", 1)
	must(t, err)
	a.Deleted = true
	same(t, gone, a)
	same(t, create(t, s, aPackage("ÄRGER")).ID, 2) // the name is free, the number is not
}

// TestChangeThatIsRefused: each of these is an error of its kind, and the
// change goes on after it.
func TestChangeThatIsRefused(t *testing.T) { storetest.Each(t, testChangeThatIsRefused) }

func testChangeThatIsRefused(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	create(t, s, aPackage("one"))
	second := create(t, s, aPackage("two"))
	gone := create(t, s, aPackage("three"))
	long := aPackage(strings.Repeat("n", nameMax+1))
	big := aPackage("big")
	big.Body = append(append([]byte(`{"a":"`), bytes.Repeat([]byte("x"), bodyMax)...), `"}`...)
	renamed, numbered, nobody := second, aPackage("four"), aPackage("nobody")
	renamed.Name, numbered.ID, nobody.ID = "ONE", 1, 77
	with := func(body string) Object { o := aPackage("x"); o.Body = []byte(body); return o }
	add := func(o Object) func(*Change) error {
		return func(c *Change) error { _, err := c.Create(ctx, o); return err }
	}
	set := func(o Object) func(*Change) error { return func(c *Change) error { return c.Update(ctx, o) } }
	remove := func(id int64) func(*Change) error {
		return func(c *Change) error { return c.Delete(ctx, "package", id) }
	}
	change(t, s, func(c *Change) error {
		must(t, remove(gone.ID)(c))
		for _, tt := range []struct {
			do   func(*Change) error
			kind fault.Kind
			text string
		}{
			{add(aPackage("ONE")), fault.Conflict, `package "ONE": number 1 has this name`},
			{add(numbered), fault.Conflict, `package "four": number 1 is or was another's`},
			{set(renamed), fault.Conflict, `package "ONE": number 1 has this name`},
			{set(nobody), fault.NotFound, `package "nobody": not found`},
			{set(gone), fault.NotFound, `package "three": not found`},
			{remove(77), fault.NotFound, "package 77: not found"},
			{remove(gone.ID), fault.NotFound, "package 3: not found"},
			{add(long), fault.Invalid, "a name of 1025 bytes is too long: at most 1024"},
			{add(big), fault.Invalid, "16777224 bytes are too many: at most 16777216"},
			{add(aPackage("a\x00b")), fault.Invalid, "a name is UTF-8 text without NUL"},
			{add(aPackage("a\xff")), fault.Invalid, "a name is UTF-8 text without NUL"},
			{add(with("")), fault.Invalid, "its body is no JSON object"},
			{add(with("[1]")), fault.Invalid, "its body is no JSON object"},
			{add(with(`{"a":}`)), fault.Invalid, "its body is no JSON object"},
			{add(Object{Body: []byte("{}")}), fault.Invalid, "an object has a kind"},
		} {
			wantKind(t, tt.do(c), tt.kind, tt.text)
		}
		_, err := c.Create(ctx, aPackage("at last"))
		return err
	})
	names := []string{}
	list, err := s.Objects(ctx)
	must(t, err)
	for _, o := range list {
		names = append(names, fmt.Sprintf("%d %s", o.ID, o.Name))
	}
	same(t, names, []string{"1 one", "2 two", "4 at last"})
}

func TestChangeIsWhole(t *testing.T) { storetest.Each(t, testChangeIsWhole) }

func testChangeIsWhole(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	before := create(t, s, aPackage("before"))
	no := errors.New("no")
	err := s.Change(ctx, func(c *Change) error {
		if _, err := c.Create(ctx, aPackage("x")); err != nil {
			return err
		}
		must(t, c.Delete(ctx, "package", before.ID))
		must(t, c.Audit(ctx, AuditEntry{Type: "create"}))
		return no
	})
	if err != no {
		t.Fatalf("the error is %v, want the function's own", err)
	}
	list, err := s.Objects(ctx)
	must(t, err)
	same(t, list, []Object{before})
	audits, err := s.Audits(ctx, "", 0, time.Time{}, time.Time{}, 10, 0)
	must(t, err)
	same(t, len(audits), 0)

	stopped, cancel := context.WithCancel(ctx)
	cancel()
	wantKind(t, s.Change(stopped, func(*Change) error { return nil }), fault.Unavailable, "change: context canceled")
}

// TestChangesTakeTurns: what is found in a change stays true until it ends.
// TestChangeOfAnEndedContext: a change whose caller has gone is Unavailable at
// whatever statement, and has not happened.
func TestChangeOfAnEndedContext(t *testing.T) { storetest.Each(t, testChangeOfAnEndedContext) }

func testChangeOfAnEndedContext(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Change(ctx, func(c *Change) error {
		cancel()
		for { // until database/sql has ended the transaction beside us
			if _, err := c.Create(t.Context(), Object{Kind: "package", Body: []byte("{}")}); err != nil {
				return err
			}
		}
	})
	wantKind(t, err, fault.Unavailable, "context canceled")
	wantKind(t, s.Change(ctx, func(*Change) error { return nil }), fault.Unavailable, "context canceled")
	all, err := s.Objects(t.Context())
	must(t, err)
	same(t, len(all), 0)
}

func TestChangesTakeTurns(t *testing.T) { storetest.Each(t, testChangesTakeTurns) }

func testChangesTakeTurns(t *testing.T, e storetest.Engine) {
	const changes = 8
	s := open(t, e)
	o := create(t, s, Object{Kind: "counter", Body: []byte(`{"n":0}`)})
	var wait sync.WaitGroup
	for range changes {
		wait.Go(func() {
			err := s.Change(t.Context(), func(c *Change) error {
				var body []byte
				if err := c.tx.QueryRow("SELECT body FROM objects").Scan(&body); err != nil {
					return err
				}
				var n int
				fmt.Sscanf(string(body), `{"n":%d}`, &n)
				o := o
				o.Body = fmt.Appendf(nil, `{"n":%d}`, n+1)
				return c.Update(t.Context(), o)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	got, err := s.Object(t.Context(), "counter", o.ID)
	must(t, err)
	same(t, string(got.Body), fmt.Sprintf(`{"n":%d}`, changes))
}

// TestNumbersNeverComeBack: whatever is created and deleted in whatever order,
// a number is given once.
func TestNumbersNeverComeBack(t *testing.T) { storetest.Each(t, testNumbersNeverComeBack) }

func testNumbersNeverComeBack(t *testing.T, e storetest.Engine) {
	round := 0
	inOneChange(t, e, func(rt *rapid.T, c *Change) {
		round++
		kind := fmt.Sprintf("kind_%d", round)
		given := map[int64]bool{} // true: is still there
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			for _, id := range slices.Sorted(maps.Keys(given)) {
				if given[id] && rapid.Bool().Draw(rt, "delete") {
					given[id] = false
					must(t, c.Delete(t.Context(), kind, id))
				}
			}
			wanted := rapid.SampledFrom([]int64{0, 0, 1, 3, 7}).Draw(rt, "wanted")
			o, err := c.Create(t.Context(), Object{Kind: kind, ID: wanted, Body: []byte("{}")})
			if _, was := given[wanted]; was {
				wantKind(t, err, fault.Conflict, "is or was another's")
				continue
			}
			must(t, err)
			if _, was := given[o.ID]; was {
				rt.Fatalf("number %d was given twice", o.ID)
			}
			given[o.ID] = true
		}
	})
}

// inOneChange checks a law within one change, which spares the disk.
func inOneChange(t *testing.T, e storetest.Engine, law func(rt *rapid.T, c *Change)) {
	t.Helper()
	change(t, open(t, e), func(c *Change) error {
		rapid.Check(t, func(rt *rapid.T) { law(rt, c) })
		return nil
	})
}

// TestNamesWhateverTheCase: two names are one for the store exactly if they
// are for the rest of the program.
func TestNamesWhateverTheCase(t *testing.T) { storetest.Each(t, testNamesWhateverTheCase) }

func testNamesWhateverTheCase(t *testing.T, e storetest.Engine) {
	round := 0
	letters := rapid.StringOfN(rapid.SampledFrom([]rune("aAäÄßẞſsSiIıİkK\u212a'\\?$1% ")), 1, 3, -1)
	inOneChange(t, e, func(rt *rapid.T, c *Change) {
		round++
		kind := fmt.Sprintf("kind_%d", round)
		a, b := letters.Draw(rt, "a"), letters.Draw(rt, "b")
		_, err := c.Create(t.Context(), Object{Kind: kind, Name: a, Body: []byte("{}")})
		must(t, err)
		_, err = c.Create(t.Context(), Object{Kind: kind, Name: b, Body: []byte("{}")})
		if want := strings.EqualFold(a, b); (fault.KindOf(err) == fault.Conflict) != want || err != nil && !want {
			rt.Fatalf("%q after %q: %v", b, a, err)
		}
	})
}

func TestAudit(t *testing.T) { storetest.Each(t, testAudit) }

func testAudit(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	entries := []AuditEntry{
		{At: noon, UserID: 1, PersonaID: 2, UserName: "ann", Address: "10.0.0.1", Type: "create", Kind: "package", ObjectID: 7, ObjectName: "p", Details: "d"},
		{At: noon.Add(time.Second), Type: "update", Kind: "package", ObjectID: 8},
		{At: noon.Add(2 * time.Second), Type: "delete", Kind: "package", ObjectID: 7},
		{At: noon.Add(3 * time.Second), Type: "login", UserName: "ann"},
	}
	for i := range entries {
		entries[i].ID = int64(i + 1)
		if i%2 == 0 {
			must(t, s.Audit(ctx, entries[i]))
		} else {
			change(t, s, func(c *Change) error { return c.Audit(ctx, entries[i]) })
		}
	}
	var never time.Time
	for _, tt := range []struct {
		name     string
		kind     string
		object   int64
		from, to time.Time
		limit    int
		before   int64
		want     []int64
	}{
		{"all", "", 0, never, never, 10, 0, []int64{4, 3, 2, 1}},
		{"a page", "", 0, never, never, 2, 0, []int64{4, 3}},
		{"the next page", "", 0, never, never, 2, 3, []int64{2, 1}},
		{"a kind", "package", 0, never, never, 10, 0, []int64{3, 2, 1}},
		{"an object", "package", 7, never, never, 10, 0, []int64{3, 1}},
		{"from", "", 0, noon.Add(time.Second), never, 10, 0, []int64{4, 3, 2}},
		{"to", "", 0, never, noon.Add(2 * time.Second), 10, 0, []int64{2, 1}},
		{"everything at once", "package", 7, noon, noon.Add(time.Hour), 1, 3, []int64{1}},
		{"none", "", 0, never, never, 0, 0, []int64{}},
		{"less than none", "", 0, never, never, -1, 0, []int64{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Audits(ctx, tt.kind, tt.object, tt.from, tt.to, tt.limit, tt.before)
			must(t, err)
			ids := []int64{}
			for _, e := range got {
				ids = append(ids, e.ID)
				same(t, e, entries[e.ID-1])
			}
			same(t, ids, tt.want)
		})
	}
}

// TestAuditOfAnything: no text keeps an entry out.
func TestAuditOfAnything(t *testing.T) { storetest.Each(t, testAuditOfAnything) }

func testAuditOfAnything(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	attack := strings.Repeat("ä\x00\xff'", 1<<20)
	must(t, s.Audit(t.Context(), AuditEntry{Type: "login_failed", UserName: attack, Address: attack, Details: attack}))
	got, err := s.Audits(t.Context(), "", 0, time.Time{}, time.Time{}, 1, 0)
	must(t, err)
	mark := "ä\uFFFD\uFFFD'"
	if e := got[0]; len(e.UserName) > nameMax || len(e.Details) > detailsMax || !strings.HasPrefix(e.UserName, mark+mark) || legible(e.Details) != e.Details {
		t.Errorf("%d and %d bytes are kept, beginning %q", len(e.UserName), len(e.Details), e.UserName[:20])
	}
}
