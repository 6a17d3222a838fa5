package people

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
)

// A town is an installation with its first user, root, and objects that tests
// make.
type town struct {
	t       testing.TB
	shelves *shelf.Shelves
	store   *store.Store
	book    *Book
}

func newTown(t testing.TB) *town {
	t.Helper()
	st, err := store.Open(t.Context(), storetest.SQLite.Prepared(t, storetest.Opened(store.Open)))
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	shelves, err := shelf.Open(t.Context(), st, shelf.Kinds, nil)
	must(t, err)
	w := &town{t: t, shelves: shelves, store: st, book: Open(shelves)}
	w.seed()
	must(t, First(t.Context(), shelves, "root", "$argon2id$x"))
	return w
}

func (w *town) seed() {
	w.t.Helper()
	users, err := w.store.Users(w.t.Context())
	must(w.t, err)
	must(w.t, w.shelves.Change(w.t.Context(), shelf.Author{}, func(c *shelf.Change) error { return Seed(c, users) }))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// try makes, changes (with its number in front: "5 {…}") or deletes ("5 gone")
// an object, as somebody.
func (w *town) try(by Identity, kind, text string) (int64, error) {
	w.t.Helper()
	var id int64
	err := w.shelves.Change(w.t.Context(), shelf.Author{UserID: by.User, PersonaID: by.Persona}, func(c *shelf.Change) error {
		var r *shelf.Record
		if n, _ := fmt.Sscanf(text, "%d", &id); n == 1 {
			r = c.ByID(kind, id)
			_, text, _ = strings.Cut(text, " ")
			if r == nil {
				w.t.Fatalf("there is no %s %d", kind, id)
			}
			if text == "gone" {
				if kind == "user" {
					return DeleteUser(context.Background(), c, r)
				}
				must(w.t, Strip(c, kind, id))
				return c.Delete(r)
			}
		}
		o, err := object.ShapeOf(kind).Decode([]byte(text), object.Strict)
		must(w.t, err)
		switch {
		case r != nil:
			r, err = c.Update(r, r.Object.With(o))
		case kind == "user":
			r, err = CreateUser(context.Background(), c, o, "")
		default:
			r, err = c.Create(kind, 0, o)
		}
		if err == nil {
			id = r.ID
		}
		return err
	})
	return id, err
}

// do is try by Catenary itself, of what must succeed.
func (w *town) do(kind, text string) int64 {
	w.t.Helper()
	id, err := w.try(Identity{}, kind, text)
	must(w.t, err)
	return id
}

// may wants somebody to have a right, or not.
func (w *town) may(id Identity, p rights.Privilege, set int64, want bool) {
	w.t.Helper()
	r, _ := w.book.Rights(id)
	if got := r.May(p, set); got != want {
		w.t.Errorf("%v may %v in %d: %v", id, p, set, got)
	}
}

func TestSeed(t *testing.T) {
	w := newTown(t)
	roles := w.shelves.All("content_set_role")
	if len(roles) != len(Roles) || len(w.shelves.All("content_set_privilege")) != len(rights.All()) || len(w.shelves.All("content_set")) != 3 {
		t.Fatalf("%d roles, %d privileges", len(roles), len(w.shelves.All("content_set_privilege")))
	}
	r, ok := w.book.Rights(Identity{User: 1})
	if !ok || !r.Anything {
		t.Errorf("the first user may %+v", r)
	}
	before := w.shelves.Version(kinds...)
	w.seed()
	w.seed()
	if w.shelves.Version(kinds...) != before {
		t.Error("seeding again has changed something")
	}
	for _, role := range Roles[1:] {
		if slices.Contains(Privileges(role.Name), rights.WriteUser) {
			t.Errorf("%s writes users", role.Name)
		}
	}
	for _, p := range Privileges(ReadOnly) {
		if !strings.HasPrefix(p.String(), "Read ") && p != rights.ExportContent || p == rights.ReadKeys {
			t.Errorf("who only reads may %v", p)
		}
	}
}

// TestFirstOfAll: users of a database that is older than roles.
func TestFirstOfAll(t *testing.T) {
	st, err := store.Open(t.Context(), storetest.SQLite.Prepared(t, storetest.Opened(store.Open)))
	must(t, err)
	t.Cleanup(func() { must(t, st.Close()) })
	for _, name := range []string{"zoe", "ann"} {
		_, err := st.CreateUser(t.Context(), store.User{Name: name, Password: "x"})
		must(t, err)
	}
	shelves, err := shelf.Open(t.Context(), st, shelf.Kinds, nil)
	must(t, err)
	w := &town{t: t, shelves: shelves, store: st, book: Open(shelves)}
	w.seed()
	w.may(Identity{User: 1}, rights.WriteTrust, 0, true)
	w.may(Identity{User: 2}, rights.ReadSensor, 1, false)
}

func TestRights(t *testing.T) {
	w := newTown(t)
	reader := w.do("content_set_role", `{"name":"r","content_set_role_privileges":[{"content_set":{"id":2},"content_set_privilege":{"name":"Read Package"}},{"content_set_privilege":{"name":"Read User"}}]}`)
	denier := w.do("content_set_role", `{"name":"d","deny_flag":1,"all_content_sets_flag":1,"content_set_role_privileges":[{"content_set_privilege":{"name":"Read Package"}}]}`)
	empty := w.do("content_set_role", `{"name":"e","content_set_role_privileges":[{"content_set_privilege":{"name":"Read Sensor"}}]}`)
	ann := w.do("user", fmt.Sprintf(`{"name":"ann","content_set_roles":[{"id":%d},{"id":%d}]}`, reader, empty))
	me := Identity{User: ann}
	w.may(me, rights.ReadPackage, 2, true)
	w.may(me, rights.ReadPackage, 1, false)
	w.may(me, rights.ReadUser, 0, true)
	w.may(me, rights.ReadSensor, 1, false) // in no content set

	group := w.do("user_group", fmt.Sprintf(`{"name":"g","content_set_roles":[{"name":"operator"},{"id":%d}],"user_list":[{"id":%d}]}`, denier, ann))
	w.may(me, rights.AskDynamicQuestion, 0, true)
	w.may(me, rights.ReadSensor, 7, true)
	w.may(me, rights.ReadPackage, 2, false)

	persona := w.do("persona", fmt.Sprintf(`{"name":"p","content_set_role_list":[{"name":"Administrator"}],"user_group_list":[{"id":%d}]}`, group))
	as := Identity{User: ann, Persona: persona}
	w.may(as, rights.WriteUser, 0, true)
	if _, ok := w.book.Rights(Identity{User: 1, Persona: persona}); ok {
		t.Error("root acts as a persona that is not his")
	}
	w.do("user_group", fmt.Sprintf(`%d {"user_list":[]}`, group))
	if _, ok := w.book.Rights(as); ok {
		t.Error("who has left the group still acts as its persona")
	}
	w.may(me, rights.AskDynamicQuestion, 0, false)
	w.do("user", fmt.Sprintf(`%d {"locked_out":1}`, ann))
	if _, ok := w.book.Rights(me); ok {
		t.Error("who is locked out may something")
	}
	w.do("user", fmt.Sprintf("%d gone", ann))
	if _, ok := w.book.Rights(me); ok {
		t.Error("who is deleted may something")
	}
}

func TestMachines(t *testing.T) {
	w := newTown(t)
	a, b := w.do("group", `{"name":"a","management_rights_flag":true}`), w.do("group", `{"name":"b","management_rights_flag":true}`)
	free := w.do("user", `{"name":"free"}`)
	held := w.do("user", fmt.Sprintf(`{"name":"held","group_id":%d}`, a))
	w.do("user_group", fmt.Sprintf(`{"name":"g","group":{"id":%d},"user_list":[{"id":%d}]}`, b, held))
	w.do("user_group", fmt.Sprintf(`{"name":"says nothing","user_list":[{"id":%d},{"id":%d}]}`, held, free))
	persona := w.do("persona", fmt.Sprintf(`{"name":"p","group":{"id":%d},"user_list":[{"id":%d}]}`, b, free))
	state := w.book.State()
	for id, want := range map[Identity][]int64{{User: free}: nil, {User: held}: {a, b}, {User: free, Persona: persona}: {b}} {
		if got := state.Machines(id); !slices.Equal(got, want) || (got == nil) != (want == nil) {
			t.Errorf("%v sees %v, want %v", id, got, want)
		}
	}
}

// TestGiving: what somebody who may do some things can do about what others may.
func TestGiving(t *testing.T) {
	w := newTown(t)
	manage := `{"content_set_privilege":{"name":"Write User"}},{"content_set_privilege":{"name":"Write Role"}},{"content_set":{"id":1},"content_set_privilege":{"name":"Read Package"}}`
	mine := w.do("content_set_role", `{"name":"mine","content_set_role_privileges":[`+manage+`]}`)
	more := w.do("content_set_role", `{"name":"more","content_set_role_privileges":[{"content_set":{"id":2},"content_set_privilege":{"name":"Read Package"}}]}`)
	deny := w.do("content_set_role", `{"name":"deny","deny_flag":1,"content_set_role_privileges":[{"content_set":{"id":2},"content_set_privilege":{"name":"Read Package"}}]}`)
	ann := w.do("user", fmt.Sprintf(`{"name":"ann","content_set_roles":[{"id":%d}]}`, mine))
	bob := w.do("user", fmt.Sprintf(`{"name":"bob","content_set_roles":[{"id":%d},{"id":%d}]}`, deny, more))
	eve := w.do("user", `{"name":"eve"}`)
	w.do("user", `{"name":"another","content_set_roles":[{"name":"Administrator"}]}`)
	team := w.do("user_group", fmt.Sprintf(`{"name":"team","content_set_roles":[{"id":%d}]}`, more))
	persona := w.do("persona", fmt.Sprintf(`{"name":"p","content_set_role_list":[{"id":%d}]}`, more))
	by := Identity{User: ann}
	for _, tt := range []struct {
		kind, text string
		ok         bool
	}{
		{"user", `{"name":"new"}`, true},
		{"user", fmt.Sprintf(`{"name":"new2","content_set_roles":[{"id":%d}]}`, mine), true},
		{"user", fmt.Sprintf(`{"name":"new3","content_set_roles":[{"id":%d}]}`, more), false},
		{"user", `{"name":"new4","content_set_roles":[{"name":"Administrator"}]}`, false},
		{"user", fmt.Sprintf(`%d {"content_set_roles":[{"id":%d},{"id":%d}]}`, ann, mine, more), false}, // himself
		{"user", fmt.Sprintf(`%d {"display_name":"x"}`, ann), true},
		{"user", `1 {"display_name":"x"}`, false}, // the administrator
		{"user", `1 gone`, false},
		{"user", `1 {"locked_out":1}`, false},
		{"user", fmt.Sprintf(`%d {"content_set_roles":[{"id":%d}]}`, bob, more), false}, // takes a denial away
		{"user", fmt.Sprintf(`%d {"content_set_roles":[{"id":%d}]}`, eve, deny), true},
		{"content_set_role", fmt.Sprintf(`%d gone`, deny), false},
		{"content_set_role", fmt.Sprintf(`%d {"deny_flag":0}`, deny), false},
		{"content_set_role", fmt.Sprintf(`%d {"all_content_sets_flag":1}`, mine), false},
		{"content_set_role", `{"name":"nobody's","content_set_role_privileges":[{"content_set_privilege":{"name":"Write Trust"}}]}`, false},
		{"content_set_role", `{"name":"less","content_set_role_privileges":[{"content_set":{"id":1},"content_set_privilege":{"name":"Read Package"}}]}`, true},
		{"user_group", fmt.Sprintf(`%d {"user_list":[{"id":%d}]}`, team, ann), false},
		{"user_group", `{"name":"sync","content_set_roles":[{"name":"Administrator"}]}`, false}, // nobody is in it yet
		{"user_group", fmt.Sprintf(`%d {"name":"team 2"}`, team), true},
		{"persona", fmt.Sprintf(`%d {"user_list":[{"id":%d}]}`, persona, ann), false},
		{"persona", fmt.Sprintf(`{"name":"q","content_set_role_list":[{"id":%d}],"user_list":[{"id":%d}]}`, mine, eve), true},
		{"persona", `{"name":"r","content_set_role_list":[{"name":"Operator"}]}`, false},
	} {
		_, err := w.try(by, tt.kind, tt.text)
		if (err == nil) != tt.ok || !tt.ok && fault.KindOf(err) != fault.Denied {
			t.Errorf("%s %s: %v", tt.kind, tt.text, err)
		}
	}
}

func TestGivingMachines(t *testing.T) {
	w := newTown(t)
	a, b := w.do("group", `{"name":"a","management_rights_flag":true}`), w.do("group", `{"name":"b","management_rights_flag":true}`)
	plain := w.do("group", `{"name":"plain"}`)
	role := w.do("content_set_role", `{"name":"mine","content_set_role_privileges":[{"content_set_privilege":{"name":"Write User"}},{"content_set_privilege":{"name":"Ask Dynamic Question"}}]}`)
	ann := w.do("user", fmt.Sprintf(`{"name":"ann","group_id":%d,"content_set_roles":[{"id":%d}]}`, a, role))
	eve := w.do("user", `{"name":"eve"}`)
	held := w.do("user", fmt.Sprintf(`{"name":"held","group_id":%d,"content_set_roles":[{"id":%d}]}`, a, role))
	for _, tt := range []struct {
		kind, text string
		ok         bool
	}{
		{"user", fmt.Sprintf(`%d {"content_set_roles":[{"id":%d}]}`, eve, role), false}, // would ask all machines
		{"user", fmt.Sprintf(`%d {"content_set_roles":[{"id":%d}],"group_id":%d}`, eve, role, b), false},
		{"user", fmt.Sprintf(`%d {"content_set_roles":[{"id":%d}],"group_id":%d}`, eve, role, a), true},
		{"user", fmt.Sprintf(`%d {"group_id":0}`, held), false},
		{"user", fmt.Sprintf(`%d {"group_id":0}`, ann), false},
		{"user_group", fmt.Sprintf(`{"name":"g","group":{"id":%d},"user_list":[{"id":%d}]}`, b, ann), false},
		{"group", fmt.Sprintf(`%d {"text":" Online equals True"}`, a), false},
		{"group", `{"name":"c","management_rights_flag":true}`, false},
		{"group", fmt.Sprintf(`%d {"name":"plain 2"}`, plain), true},
	} {
		_, err := w.try(Identity{User: ann}, tt.kind, tt.text)
		if (err == nil) != tt.ok {
			t.Errorf("%s %s: %v", tt.kind, tt.text, err)
		}
	}
}

// TestGroupsOfRights: who changes what a group means, changes the rights of all
// who see its machines, and the same of a group that is a part of another.
func TestGroupsOfRights(t *testing.T) {
	w := newTown(t)
	group := func(name, more string) int64 { return w.do("group", fmt.Sprintf(`{"name":%q,%s}`, name, more)) }
	text := func(sensor string) string {
		return fmt.Sprintf(`"filters":[{"sensor":{"name":%q},"value":"x"}]`, sensor)
	}
	of := func(id int64, negated bool) string {
		return fmt.Sprintf(`"management_rights_flag":true,"text":" whatever %d","sub_groups":[{"filters":[{"value":"y"}]},{"sub_groups":[{"id":%d,"name":"as it was called","not_flag":%v}]}]`, id, id, negated)
	}
	idle, lone := group("idle", text("idle")), group("lone", `"management_rights_flag":true,`+text("lone"))
	inner := map[string]int64{}
	for _, kind := range []string{"user", "user_group", "persona"} {
		inner[kind] = group("inner of "+kind, text(kind))
	}
	outer, middle := group("outer", of(inner["user"], false)), group("middle", of(inner["user_group"], true)+`,"type":0`)
	nested := group("nested", of(middle, false))
	manual := group("manual", `"management_rights_flag":true,"type":4,"computer_specs":[{"computer_name":"a"}]`)
	role := func(name string, privileges ...rights.Privilege) int64 {
		var list []string
		for _, p := range privileges {
			list = append(list, fmt.Sprintf(`{"content_set_privilege":{"name":%q}}`, p))
		}
		return w.do("content_set_role", fmt.Sprintf(`{"name":%q,"content_set_role_privileges":[%s]}`, name, strings.Join(list, ",")))
	}
	asks, trusts := role("asks", rights.AskDynamicQuestion), role("trusts", rights.WriteTrust)
	held := w.do("user", fmt.Sprintf(`{"name":"held","group_id":%d,"content_set_roles":[{"id":%d}]}`, outer, asks))
	w.do("user_group", fmt.Sprintf(`{"name":"team","group":{"id":%d}}`, nested))
	w.do("persona", fmt.Sprintf(`{"name":"p","group":{"id":%d}}`, inner["persona"]))
	w.do("user_group", fmt.Sprintf(`{"name":"few","group":{"id":%d},"content_set_roles":[{"id":%d}]}`, manual, trusts))
	limit := group("limit", `"management_rights_flag":true,"text":" Online equals True"`)
	person := func(name string, more string, privileges ...rights.Privilege) Identity {
		r := role("of "+name, append(privileges, rights.WriteComputerGroup, rights.AskDynamicQuestion)...)
		return Identity{User: w.do("user", fmt.Sprintf(`{"name":%q,"content_set_roles":[{"id":%d}]%s}`, name, r, more))}
	}
	users, groups, personas := person("users", "", rights.WriteUser), person("groups", "", rights.WriteUserGroup), person("personas", "", rights.WritePersona)
	none, all := person("none", ""), person("all", "", rights.WriteUser, rights.WriteUserGroup, rights.WritePersona)
	limited := person("limited", fmt.Sprintf(`,"group_id":%d`, limit), rights.WriteUser, rights.WriteUserGroup, rights.WritePersona)
	asksNot := Identity{User: w.do("user", fmt.Sprintf(`{"name":"asks not","content_set_roles":[{"id":%d}]}`, role("writes users", rights.WriteUser)))}
	turn := 0
	for _, tt := range []struct {
		what  string
		group int64
		ok    []Identity
		no    []Identity
	}{
		{"of nobody", idle, []Identity{none, all, limited}, nil},
		{"with management rights of nobody", lone, []Identity{none, all}, []Identity{limited}},
		{"of a user", outer, []Identity{users, all}, []Identity{none, groups, personas, limited, asksNot}},
		{"part of that of a user", inner["user"], []Identity{users, all}, []Identity{none, groups, personas, limited, asksNot}},
		{"part of a part of that of a user group", inner["user_group"], []Identity{groups, all}, []Identity{none, users, personas, limited}},
		{"of a persona", inner["persona"], []Identity{personas, all}, []Identity{none, users, groups, limited}},
		{"of who may do what nobody of these may", manual, nil, []Identity{none, users, groups, personas, limited, all}},
	} {
		for _, by := range append(slices.Clone(tt.no), tt.ok...) {
			turn++
			change := fmt.Sprintf(`%d {%s}`, tt.group, text(fmt.Sprint("turn ", turn)))
			if tt.group == manual {
				change = fmt.Sprintf(`%d {"computer_specs":[{"computer_name":"a"},{"ip_address":"10.0.0.%d"}]}`, tt.group, turn)
			}
			_, err := w.try(by, "group", change)
			if ok := slices.Contains(tt.ok, by); (err == nil) != ok || !ok && fault.KindOf(err) != fault.Denied {
				t.Errorf("a group %s changed by %v: %v", tt.what, by, err)
			}
			if _, err := w.try(by, "group", fmt.Sprintf(`%d {"name":"turn %d"}`, tt.group, turn)); err != nil && by != limited {
				t.Errorf("a group %s named by %v: %v", tt.what, by, err)
			}
		}
	}
	w.meanings(none, middle, inner["user_group"], held, inner["user"])
}

// meanings says what is another meaning of a group, and what only another way to
// say the same, by somebody who may change no rights; and that what is a user's no
// more binds nobody.
func (w *town) meanings(none Identity, middle, part, held, free int64) {
	t := w.t
	t.Helper()
	if _, err := w.try(none, "group", fmt.Sprintf(`%d {"text":" other words","sub_groups":[{"filters":[{"value":"y"}]},{"sub_groups":[{"id":%d,"name":"as it is called now","not_flag":true}]}]}`, middle, part)); err != nil {
		t.Errorf("another name within: %v", err)
	}
	for what, change := range map[string]string{
		"negation": `"sub_groups":[{"filters":[{"value":"y"}]},{"sub_groups":[{"id":%d}]}]`, "another group": `"sub_groups":[{"filters":[{"value":"y"}]},{"sub_groups":[{"id":1%d,"not_flag":true}]}]`,
		"and": `"and_flag":true,"source_id":%d`, "type": `"type":3,"source_id":%d`,
	} {
		if _, err := w.try(none, "group", fmt.Sprintf(`%d {`+change+`}`, middle, part)); fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: %v", what, err)
		}
	}
	// What was the user's no more binds nobody.
	w.do("user", fmt.Sprintf(`%d {"group_id":0}`, held))
	if _, err := w.try(none, "group", fmt.Sprintf(`%d {%s}`, free, `"filters":[{"sensor":{"name":"free"},"value":"x"}]`)); err != nil {
		t.Error(err)
	}
}

func TestLastAdministrator(t *testing.T) {
	w := newTown(t)
	root := Identity{User: 1}
	for _, text := range []string{`1 gone`, `1 {"locked_out":1}`, `1 {"content_set_roles":[]}`} {
		for _, by := range []Identity{root, {}} {
			if _, err := w.try(by, "user", text); fault.KindOf(err) != fault.Conflict {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
	group := w.do("user_group", `{"name":"g","content_set_roles":[{"name":"Administrator"}]}`)
	ann := w.do("user", `{"name":"ann"}`)
	w.do("user_group", fmt.Sprintf(`%d {"user_list":[{"id":%d}]}`, group, ann))
	_, err := w.try(root, "user", `1 gone`)
	must(t, err)
	for _, text := range []string{"gone", `{"user_list":[]}`} {
		if _, err := w.try(Identity{}, "user_group", fmt.Sprintf("%d %s", group, text)); fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A draw makes people at random.
type draw struct {
	*town
	rt *rapid.T
	n  int // of the draw: names differ between draws
}

var drawn = []rights.Privilege{rights.ReadPackage, rights.ReadSensor, rights.WriteUser, rights.ReadUser}

// grants are what a role says of itself.
func (d *draw) grants() string {
	var list []string
	for range rapid.IntRange(0, 3).Draw(d.rt, "grants") {
		list = append(list, fmt.Sprintf(`{"content_set":{"id":%d},"content_set_privilege":{"name":%q}}`,
			rapid.IntRange(1, 2).Draw(d.rt, "set"), rapid.SampledFrom(drawn).Draw(d.rt, "p")))
	}
	return fmt.Sprintf(`"deny_flag":%d,"all_content_sets_flag":%d,"content_set_role_privileges":[%s]`,
		rapid.IntRange(0, 1).Draw(d.rt, "deny"), rapid.IntRange(0, 1).Draw(d.rt, "all"), strings.Join(list, ","))
}

// some are references to some of the objects.
func (d *draw) some(field string, from []int64) string {
	var list []string
	for _, id := range from {
		if rapid.Bool().Draw(d.rt, "has") {
			list = append(list, fmt.Sprintf(`{"id":%d}`, id))
		}
	}
	return fmt.Sprintf("%q:[%s]", field, strings.Join(list, ","))
}

// deed is a change of the people there are.
func (d *draw) deed(groups, roles, users []int64, group, persona int64) (kind, text string) {
	machines := rapid.SampledFrom(groups).Draw(d.rt, "machines")
	switch rapid.IntRange(0, 5).Draw(d.rt, "deed") {
	case 0:
		return "content_set_role", fmt.Sprintf(`%d {%s}`, roles[0], d.grants())
	case 1:
		return "content_set_role", fmt.Sprintf(`%d gone`, roles[0])
	case 2:
		return "user", fmt.Sprintf(`%d {"group_id":%d,%s}`, rapid.SampledFrom(users).Draw(d.rt, "user"), machines, d.some("content_set_roles", roles))
	case 3:
		return "user_group", fmt.Sprintf(`%d {"group":{"id":%d},%s,%s}`, group, machines, d.some("content_set_roles", roles), d.some("user_list", users))
	case 4:
		return "user_group", fmt.Sprintf(`%d gone`, group)
	}
	return "persona", fmt.Sprintf(`%d {"group":{"id":%d},%s,%s}`, persona, machines, d.some("content_set_role_list", roles), d.some("user_list", users))
}

// TestNobodyGains: whatever somebody changes who may not do everything, nobody
// can do afterwards what neither he nor the one who changes it could before.
func TestNobodyGains(t *testing.T) {
	w := newTown(t)
	groups := []int64{0, w.do("group", `{"name":"a","management_rights_flag":true}`), w.do("group", `{"name":"b","management_rights_flag":true}`)}
	draws, done := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		draws++
		d := &draw{w, rt, draws}
		machines := func() int64 { return rapid.SampledFrom(groups).Draw(rt, "machines") }
		var roles, users []int64
		for i := range 3 {
			roles = append(roles, w.do("content_set_role", fmt.Sprintf(`{"name":"r%d of %d",%s}`, i, d.n, d.grants())))
		}
		for i := range 3 {
			users = append(users, w.do("user", fmt.Sprintf(`{"name":"u%d of %d","group_id":%d,%s}`, i, d.n, machines(), d.some("content_set_roles", roles))))
		}
		group := w.do("user_group", fmt.Sprintf(`{"name":"g of %d","group":{"id":%d},%s,%s}`, d.n, machines(), d.some("content_set_roles", roles), d.some("user_list", users)))
		persona := w.do("persona", fmt.Sprintf(`{"name":"p of %d","group":{"id":%d},%s,%s}`, d.n, machines(), d.some("content_set_role_list", roles), d.some("user_list", users)))
		by := Identity{User: users[0]}
		mine, _ := w.book.Rights(by)
		before := w.book.State()
		for _, u := range users {
			self, _ := before.Rights(Identity{User: u})
			member, _ := before.Rights(Identity{User: u, Group: group})
			if what := gained(member, groups, self); what != "" {
				rt.Fatalf("user %d may, as a member of a group and nothing else, %s", u, what)
			}
		}
		kind, text := d.deed(groups, roles, users, group, persona)
		if _, err := w.try(by, kind, text); err != nil {
			return
		}
		done++
		after := w.book.State()
		for _, u := range users {
			for _, id := range []Identity{{User: u}, {User: u, Persona: persona}} {
				then, _ := before.Rights(id)
				now, _ := after.Rights(id)
				if what := gained(now, groups, then, mine); what != "" {
					rt.Fatalf("%s %s: %v may now %s", kind, text, id, what)
				}
			}
		}
	})
	if done == 0 {
		t.Error("everything was refused")
	}
}

// gained is something that now allows and none of the others does.
func gained(now rights.Rights, groups []int64, others ...rights.Rights) string {
	may := func(r rights.Rights, p rights.Privilege, set, machine int64) bool {
		return r.May(p, set) && (r.Groups == nil || slices.Contains(r.Groups, machine))
	}
	for _, p := range drawn {
		for set := range int64(4) {
			for _, machine := range groups { // one in each group, and one in none
				if may(now, p, set, machine) && !slices.ContainsFunc(others, func(r rights.Rights) bool { return may(r, p, set, machine) }) {
					return fmt.Sprintf("%v in %d on machines of %d", p, set, machine)
				}
			}
		}
	}
	return ""
}

func BenchmarkRights(b *testing.B) {
	w := newTown(b)
	for b.Loop() {
		if _, ok := w.book.Rights(Identity{User: 1}); !ok {
			b.Fatal("root is a stranger")
		}
	}
}

// TestManage: who is locked out, or has personas, is no less than he is.
func TestManage(t *testing.T) {
	w := newTown(t)
	w.do("user", `{"name":"another","content_set_roles":[{"name":"Administrator"}]}`)
	ann := w.do("user", `{"name":"ann","content_set_roles":[{"name":"Operator"}]}`)
	bob := w.do("user", `{"name":"bob"}`)
	locked := w.do("user", `{"name":"locked","locked_out":1,"content_set_roles":[{"name":"Administrator"}]}`)
	masked := w.do("user", `{"name":"masked"}`)
	w.do("persona", fmt.Sprintf(`{"name":"p","content_set_role_list":[{"name":"Administrator"}],"user_list":[{"id":%d}]}`, masked))
	mine, _ := w.book.Rights(Identity{User: ann})
	for id, want := range map[int64]bool{1: false, bob: true, ann: true, locked: false, masked: false} {
		if err := w.book.State().Manage(mine, id); (err == nil) != want {
			t.Errorf("%d: %v", id, err)
		}
	}
}
