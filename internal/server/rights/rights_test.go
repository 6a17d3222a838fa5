package rights

import (
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestMay(t *testing.T) {
	allow := func(g ...Grant) Role { return Role{Grants: g} }
	deny := func(g ...Grant) Role { return Role{Deny: true, Grants: g} }
	for _, tt := range []struct {
		name  string
		roles []Role
		p     Privilege
		set   int64
		want  bool
	}{
		{"no role", nil, ReadSensor, 1, false},
		{"nothing needed", nil, None, 0, true},
		{"in this set", []Role{allow(Grant{ReadSensor, 1})}, ReadSensor, 1, true},
		{"in another", []Role{allow(Grant{ReadSensor, 2})}, ReadSensor, 1, false},
		{"everywhere", []Role{allow(Grant{ReadSensor, Everywhere})}, ReadSensor, 1, true},
		{"another privilege", []Role{allow(Grant{WriteSensor, 1})}, ReadSensor, 1, false},
		{"denied here", []Role{allow(Grant{ReadSensor, Everywhere}), deny(Grant{ReadSensor, 1})}, ReadSensor, 1, false},
		{"denied there", []Role{allow(Grant{ReadSensor, Everywhere}), deny(Grant{ReadSensor, 2})}, ReadSensor, 1, true},
		{"denied everywhere", []Role{allow(Grant{ReadSensor, 1}), deny(Grant{ReadSensor, Everywhere})}, ReadSensor, 1, false},
		{"not held within sets", []Role{allow(Grant{ReadUser, 7})}, ReadUser, 3, true},
		{"denied, not held within sets", []Role{allow(Grant{ReadUser, 7}), deny(Grant{ReadUser, 8})}, ReadUser, 3, false},
	} {
		if got := Of(tt.roles, nil).May(tt.p, tt.set); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if !Of([]Role{allow(Grant{ReadSensor, 2})}, nil).MayAnywhere(ReadSensor) {
		t.Error("in one set is not anywhere")
	}
	if Of([]Role{allow(Grant{ReadSensor, 2}), deny(Grant{ReadSensor, 2})}, nil).MayAnywhere(ReadSensor) {
		t.Error("denied in the only set, and allowed anywhere")
	}
}

// TestDeny: no role that is added takes a denial away, and none that denies
// adds a right.
func TestDeny(t *testing.T) {
	role := rapid.Custom(func(t *rapid.T) Role {
		return Role{rapid.Bool().Draw(t, "deny"), rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Grant {
			return Grant{Privilege(rapid.Uint8Range(1, uint8(end)-1).Draw(t, "p")), rapid.Int64Range(0, 3).Draw(t, "set")}
		}), 0, 5).Draw(t, "grants")}
	})
	rapid.Check(t, func(t *rapid.T) {
		roles := rapid.SliceOfN(role, 0, 6).Draw(t, "roles")
		more := role.Draw(t, "one more")
		before, after := Of(roles, nil), Of(append(roles, more), nil)
		for _, p := range All() {
			for set := range int64(4) {
				was, is := before.May(p, set), after.May(p, set)
				if more.Deny && is && !was || !more.Deny && was && !is {
					t.Fatalf("%v in %d: %v before, %v after %+v", p, set, was, is, more)
				}
				if is && !after.MayAnywhere(p) {
					t.Fatalf("%v in %d is allowed and nowhere", p, set)
				}
			}
		}
	})
}

func TestWithin(t *testing.T) {
	of := func(groups []int64, roles ...Role) Rights { return Of(roles, groups) }
	allow := func(g ...Grant) Role { return Role{Grants: g} }
	deny := func(g ...Grant) Role { return Role{Deny: true, Grants: g} }
	everywhere := allow(Grant{ReadSensor, Everywhere})
	for _, tt := range []struct {
		name   string
		r      Rights
		others []Rights
		want   bool
	}{
		{"nothing in nothing", of(nil), nil, true},
		{"something in nothing", of(nil, everywhere), nil, false},
		{"the same", of(nil, everywhere), []Rights{of(nil, everywhere)}, true},
		{"all in an administrator", Rights{Anything: true}, []Rights{{Anything: true}}, true},
		{"an administrator in a lot", Rights{Anything: true}, []Rights{of(nil, everywhere)}, false},
		{"everywhere in one set", of(nil, everywhere), []Rights{of(nil, allow(Grant{ReadSensor, 1}))}, false},
		{"everywhere in all but one set", of(nil, everywhere), []Rights{of(nil, everywhere, deny(Grant{ReadSensor, 1}))}, false},
		{"all but one in all but one", of(nil, everywhere, deny(Grant{ReadSensor, 1})), []Rights{of(nil, everywhere, deny(Grant{ReadSensor, 1}))}, true},
		{"one set in everywhere", of(nil, allow(Grant{ReadSensor, 1})), []Rights{of(nil, everywhere)}, true},
		{"all machines in some", of(nil, everywhere), []Rights{of([]int64{5}, everywhere)}, false},
		{"some machines in all", of([]int64{5}, everywhere), []Rights{of(nil, everywhere)}, true},
		{"other machines", of([]int64{5}, everywhere), []Rights{of([]int64{6}, everywhere)}, false},
		{"machines of both", of([]int64{5, 6}, everywhere), []Rights{of([]int64{6}, everywhere), of([]int64{5}, everywhere)}, true},
		{"machines of who may not", of([]int64{5}, everywhere), []Rights{of([]int64{6}, everywhere), of([]int64{5})}, false},
		{"no machines", of([]int64{}, everywhere), []Rights{of([]int64{5}, everywhere)}, true},
	} {
		if got := tt.r.Within(tt.others...); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestWithinIsMay: what is within allows nothing more, nowhere.
func TestWithinIsMay(t *testing.T) {
	grant := rapid.Custom(func(t *rapid.T) Grant {
		return Grant{Privilege(rapid.Uint8Range(1, 3).Draw(t, "p")), rapid.Int64Range(0, 3).Draw(t, "set")}
	})
	some := rapid.Custom(func(t *rapid.T) Rights {
		role := func(deny bool) Role { return Role{deny, rapid.SliceOfN(grant, 0, 4).Draw(t, "grants")} }
		groups := rapid.SampledFrom([][]int64{nil, {}, {5}, {5, 6}}).Draw(t, "groups")
		return Of([]Role{role(false), role(true)}, groups)
	})
	may := func(r Rights, p Privilege, set, machine int64) bool { // a machine is in the group of its number, or in none
		return r.May(p, set) && (r.Groups == nil || slices.Contains(r.Groups, machine))
	}
	rapid.Check(t, func(t *rapid.T) {
		r, a, b := some.Draw(t, "r"), some.Draw(t, "a"), some.Draw(t, "b")
		want := true
		for p := Privilege(1); p <= 3; p++ {
			for set := int64(1); set <= 4; set++ { // 4: named by nobody
				for machine := int64(4); machine <= 6; machine++ {
					want = want && (!may(r, p, set, machine) || may(a, p, set, machine) || may(b, p, set, machine))
				}
			}
		}
		if got := r.Within(a, b); got && !want || want && !got && r.Groups == nil && a.Groups == nil && b.Groups == nil {
			t.Fatalf("%+v within %+v and %+v: %v", r, a, b, got)
		}
	})
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range All() {
		if got, ok := Parse(p.String()); !ok || got != p || seen[p.String()] {
			t.Errorf("%d is called %q and read as %d", p, p, got)
		}
		seen[p.String()] = true
	}
	if _, ok := Parse("Fly"); ok {
		t.Error("flying is a privilege")
	}
}

// TestDocument: the document has every privilege, and says where it is held.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/rights.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(text), "## Privileges\n")
	if !ok {
		t.Fatal("there is no section Privileges")
	}
	var rows []string
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && !strings.HasPrefix(cells[1], "--") && cells[1] != " privilege " {
			rows = append(rows, strings.TrimSpace(cells[1])+": "+strings.TrimSpace(cells[2]))
		}
	}
	var want []string
	for _, p := range All() {
		held := "everywhere"
		if p.InSet() {
			held = "in sets"
		}
		want = append(want, p.String()+": "+held)
	}
	if !slices.Equal(rows, want) {
		t.Errorf("the document says %q\nwant %q", rows, want)
	}
}
