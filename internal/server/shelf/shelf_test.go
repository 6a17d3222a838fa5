package shelf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
)

// people are a Directory.
type people map[int64]string

func (p people) NameOf(id int64) (string, bool) { n, ok := p[id]; return n, ok }
func (p people) IDOf(name string) (int64, bool) {
	for id, n := range p {
		if n == name {
			return id, true
		}
	}
	return 0, false
}

var ann = Author{UserID: 3, UserName: "ann", Address: "10.0.0.1"}

// kinds are those that there are, but sensors, which are in a Directory here.
var kinds = slices.DeleteFunc(slices.Clone(Kinds), func(k Kind) bool { return k.Name == "sensor" })

type rig struct {
	*testing.T
	path string
	st   *store.Store
	*Shelves
}

func newRig(t *testing.T) *rig {
	r := &rig{T: t, path: storetest.SQLite.Prepared(t, storetest.Opened(store.Open))}
	r.open()
	return r
}

func (r *rig) open() {
	r.Helper()
	st, err := store.Open(r.Context(), r.path)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = st.Close() }) // again closes may have closed it
	r.st = st
	if r.Shelves, err = Open(r.Context(), st, kinds, map[string]Directory{"sensor": people{7: "OS"}}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) change(f func(c *Change) error) {
	r.Helper()
	if err := r.Change(r.Context(), ann, f); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) decode(kind, body string) *object.Object {
	r.Helper()
	o, err := object.ShapeOf(kind).Decode([]byte(body), object.Strict)
	if err != nil {
		r.Fatal(err)
	}
	return o
}

func (r *rig) create(kind, body string) (rec *Record) {
	r.Helper()
	r.change(func(c *Change) (err error) { rec, err = c.Create(kind, 0, r.decode(kind, body)); return err })
	return rec
}

func TestLife(t *testing.T) {
	r := newRig(t)
	set := r.create("content_set", `{"name":"Base"}`)
	p := r.create("package_spec", `{"name":" Reboot ","command":"reboot","content_set":{"name":"BASE"}}`)
	if p.ID != 1 || p.Name != "Reboot" || p.CreatedBy != 3 || p.Created.IsZero() {
		t.Errorf("created %+v", p.Header)
	}
	if got := r.ByName("package_spec", "reBOOT"); got != p {
		t.Errorf("by name: %v", got)
	}
	text := string(r.JSON(p))
	for _, want := range []string{`"name":"Reboot"`, `"command":"reboot"`, `"content_set":{"id":1,"name":"Base"}`, `"last_modified_by":""`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s lacks %s", text, want)
		}
	}
	before := r.All("package_spec")
	r.change(func(c *Change) error {
		o := p.Object.Clone()
		o.Set("name", "Restart")
		_, err := c.Update(p, o)
		return err
	})
	r.change(func(c *Change) error {
		o := set.Object.Clone()
		o.Set("name", "Basics")
		_, err := c.Update(set, o)
		return err
	})
	if len(before) != 1 || before[0] != p || p.Name != "Reboot" {
		t.Error("a list that was read has changed")
	}
	if r.ByName("package_spec", "Reboot") != nil || r.ByName("package_spec", "Restart") == nil {
		t.Error("the old name is known, or the new one is not")
	}
	if text := string(r.JSON(r.ByID("package_spec", 1))); !strings.Contains(text, `"content_set":{"id":1,"name":"Basics"}`) {
		t.Errorf("shows an old name of another: %s", text)
	}
	r.open()
	again := r.ByName("package_spec", "restart")
	if again == nil || again.Object.Text("command") != "reboot" || again.ModifiedBy != 3 || !again.Created.Equal(p.Created) {
		t.Fatalf("after a restart: %+v", again)
	}
	r.change(func(c *Change) error { return c.Delete(again) })
	if r.ByID("package_spec", 1) != nil || len(r.All("package_spec")) != 0 {
		t.Error("deleted, and still there")
	}
	if p := r.create("package_spec", `{"name":"Restart","command":"x"}`); p.ID != 2 {
		t.Errorf("the number %d was given again", p.ID)
	}
	audit, err := r.st.Audits(r.Context(), "package_spec", 1, time.Time{}, time.Time{}, 100, 0)
	if err != nil {
		t.Fatal(err)
	}
	var deeds []string
	for _, e := range audit {
		deeds = append(deeds, fmt.Sprintf("%s by %s: %s", e.Type, e.UserName, e.Details))
	}
	want := "delete by ann: |update by ann: name: Reboot → Restart|create by ann: name: Reboot; command: reboot; content_set: {\"id\":1,\"name\":\"Base\"}"
	if got := strings.Join(deeds, "|"); got != want {
		t.Errorf("audit is %s", got)
	}
}

func TestRefused(t *testing.T) {
	r := newRig(t)
	r.create("content_set", `{"name":"Base"}`)
	for _, tt := range []struct {
		kind, body, want string
		is               fault.Kind
	}{
		{"content_set", `{"name":"bASE"}`, "ContentSetAlreadyExists", fault.Conflict},
		{"content_set", `{}`, `ContentSetNameRequired: the field "name": is missing, and a content set needs it`, fault.Invalid},
		{"package_spec", `{"name":"x"}`, `"command": is missing, and a package needs it`, fault.Invalid},
		{"package_spec", `{"name":"x","command":"y","content_set":{"id":5}}`, `"content_set": there is no content set with number 5`, fault.Invalid},
		{"package_spec", `{"name":"x","command":"y","sensors":[{"id":7},{"id":8}]}`, `"sensors[1]": there is no sensor with number 8`, fault.Invalid},
		{"package_spec", `{"name":"x","command":"y","sensors":[{"name":"no"}]}`, `"sensors[0]": there is no sensor with the name "no"`, fault.Invalid},
	} {
		err := r.Change(t.Context(), ann, func(c *Change) error {
			_, err := c.Create(tt.kind, 0, r.decode(tt.kind, tt.body))
			return err
		})
		if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != tt.is {
			t.Errorf("%s: %v of kind %v", tt.body, err, fault.KindOf(err))
		}
	}
	if n := len(r.All("package_spec")) + len(r.All("content_set")); n != 1 {
		t.Errorf("%d objects are there", n)
	}
}

// TestTakenNames: the errors that a name is taken or missing are called as
// programs know them.
func TestTakenNames(t *testing.T) {
	r := newRig(t)
	for kind, want := range map[string]string{
		"action_group":          `GroupNameNotUnique: there is an action group "x" already`,
		"user_group":            `UserGroupAlreadyExists: there is a user group "x" already`,
		"persona":               `PersonaAlreadyExists: there is a persona "x" already`,
		"content_set_role":      `ContentSetRoleAlreadyExists: there is a role "x" already`,
		"content_set_privilege": `ContentSetPrivilegeAlreadyExists: there is a privilege "x" already`,
		"saved_question":        `SavedQuestionNameNotUnique: there is a saved question "x" already`,
	} {
		r.create(kind, `{"name":"x"}`)
		err := r.Change(t.Context(), ann, func(c *Change) error {
			_, err := c.Create(kind, 0, r.decode(kind, `{"name":"X"}`))
			return err
		})
		if err == nil || !strings.EqualFold(err.Error(), want) {
			t.Errorf("%s: %v, want %s", kind, err, want)
		}
	}
	if err := (&Kind{Noun: "LdapSyncConnector", What: "LDAP connector"}).needs("host"); err.Error() != `the field "host": is missing, and an LDAP connector needs it` {
		t.Error(err)
	}
}

// TestTogether: a change happens as a whole, sees itself, and nobody else sees
// half of it.
func TestTogether(t *testing.T) {
	r := newRig(t)
	stop := fmt.Errorf("stop")
	err := r.Change(t.Context(), ann, func(c *Change) error {
		set, err := c.Create("content_set", 0, r.decode("content_set", `{"name":"Base"}`))
		if err != nil {
			return err
		}
		p, err := c.Create("package_spec", 0, r.decode("package_spec", `{"name":"x","command":"y","content_set":{"name":"base"}}`))
		if err != nil || p.Object.Ref("content_set").ID != set.ID {
			t.Errorf("within the change: %v, %v", p, err)
		}
		if c.ByName("content_set", "BASE") != set || r.ByName("content_set", "Base") != nil {
			t.Error("the change does not see itself, or others see it")
		}
		if err := c.Delete(set); err != nil {
			return err
		}
		if c.ByID("content_set", set.ID) != nil || c.ByName("content_set", "Base") != nil {
			t.Error("deleted within the change, and still there")
		}
		return stop
	})
	if err != stop || len(r.All("package_spec")) != 0 {
		t.Errorf("error %v, packages %d", err, len(r.All("package_spec")))
	}
	if audit, err := r.st.Audits(t.Context(), "", 0, time.Time{}, time.Time{}, 10, 0); err != nil || len(audit) != 0 {
		t.Errorf("audit of what has not happened: %v, %v", audit, err)
	}
}

// TestReaders: lists stay as they were read while others write.
func TestReaders(t *testing.T) {
	r := newRig(t)
	r.create("content_set", `{"name":"n"}`)
	var all sync.WaitGroup
	ctx, end := context.WithCancel(t.Context())
	for range 4 {
		all.Go(func() {
			for ctx.Err() == nil {
				last := int64(0)
				for _, rec := range r.All("content_set") {
					if rec.ID <= last {
						t.Errorf("number %d after %d", rec.ID, last)
						return
					}
					last = rec.ID
					r.JSON(rec)
				}
			}
		})
	}
	for i := range 40 {
		r.create("content_set", fmt.Sprintf(`{"name":"n%d"}`, i))
		if i%3 == 0 {
			r.change(func(c *Change) error { return c.Delete(c.ByName("content_set", fmt.Sprintf("n%d", i))) })
		}
	}
	end()
	all.Wait()
	if n := len(r.All("content_set")); n != 1+40-14 {
		t.Errorf("%d are left", n)
	}
}

// TestGuard: a guard sees all of a change, and nothing has happened if it
// refuses.
func TestGuard(t *testing.T) {
	r := newRig(t)
	r.create("content_set", `{"name":"Base"}`)
	before := r.Version("content_set")
	r.Guard(func(c *Change) error {
		var names []string
		for _, rec := range c.All("content_set") {
			names = append(names, rec.Name)
		}
		if got := fmt.Sprintf("%v %v %d %s %s", names, c.Changed("content_set"), len(c.AllBefore("content_set")), c.Before("content_set", 1).Name, c.Author().UserName); got != "[Core Other] [1 2] 1 Base ann" {
			t.Errorf("the guard sees %s", got)
		}
		return fault.New(fault.Denied, "no")
	})
	after := false
	err := r.Change(t.Context(), ann, func(c *Change) error {
		c.After(func() { after = true })
		base := c.ByID("content_set", 1)
		if _, err := c.Update(base, r.decode("content_set", `{"name":"Core"}`)); err != nil {
			return err
		}
		_, err := c.Create("content_set", 0, r.decode("content_set", `{"name":"Other"}`))
		return err
	})
	if fault.KindOf(err) != fault.Denied || after || r.Version("content_set") != before || len(r.All("content_set")) != 1 || r.ByID("content_set", 1).Name != "Base" {
		t.Errorf("refused: %v; done: %v", err, after)
	}
	r.Guard(nil)
	r.change(func(c *Change) error {
		c.After(func() { after = true })
		_, err := c.Create("content_set", 0, r.decode("content_set", `{"name":"Other"}`))
		return err
	})
	if !after || r.Version("content_set") == before {
		t.Error("a change has happened, and nobody hears of it")
	}
}

// TestStale: what an object refers to may go, and the object can still be
// changed.
func TestStale(t *testing.T) {
	r := newRig(t)
	r.create("content_set", `{"name":"Base"}`)
	r.create("package_spec", `{"name":"x","command":"y","content_set":{"id":1}}`)
	r.change(func(c *Change) error { return c.Delete(c.ByID("content_set", 1)) })
	r.change(func(c *Change) error {
		x := c.ByID("package_spec", 1)
		_, err := c.Update(x, x.Object.With(r.decode("package_spec", `{"command":"z"}`)))
		return err
	})
	err := r.Change(t.Context(), ann, func(c *Change) error {
		x := c.ByID("package_spec", 1)
		_, err := c.Update(x, x.Object.With(r.decode("package_spec", `{"content_set":{"id":2}}`)))
		return err
	})
	if fault.KindOf(err) != fault.Invalid {
		t.Errorf("a reference to nothing: %v", err)
	}
}

// TestWatch: who watches hears of changes of his kinds that have happened, once
// each.
func TestWatch(t *testing.T) {
	s := newRig(t)
	var heard []string
	for _, kinds := range [][]string{{"persona"}, {"group", "dashboard"}} {
		s.Watch(func() { heard = append(heard, kinds[0]) }, kinds...)
	}
	do := func(fail error, kinds ...string) {
		err := s.Change(t.Context(), Author{}, func(c *Change) error {
			for _, kind := range kinds {
				o := object.New(object.ShapeOf(kind))
				o.Set("name", kind)
				if _, err := c.Create(kind, 0, o); err != nil {
					return err
				}
			}
			return fail
		})
		if !errors.Is(err, fail) {
			t.Fatal(err)
		}
	}
	do(errors.New("no"), "group")
	do(nil, "group", "dashboard")
	do(nil, "saved_question")
	if !slices.Equal(heard, []string{"group"}) {
		t.Errorf("heard of %v", heard)
	}
}
