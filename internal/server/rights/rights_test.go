package rights

import (
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
