package api

import (
	"fmt"
	"net/http"
	"testing"

	"catenary/internal/server/signin/signintest"
)

// TestLeftOutside: who is taken by a directory's or an identity provider's word
// out of the user group that says which machines he sees, sees none, and not all,
// until somebody says so.
func TestLeftOutside(t *testing.T) {
	d, p := newDesk(t), signintest.NewProvider(t)
	d.firstGroups()
	d.fleet.clients = three()
	linux := d.machineGroup("Linux machines", " Is Linux equals True")
	limit := func(group int64) {
		t.Helper()
		d.ok(d.call("PATCH", fmt.Sprint("/api/v2/user_groups/", group), fmt.Sprintf(`{"group":{"id":%d},"content_set_roles":[]}`, linux)))
	}
	sees := func(name, want string) {
		t.Helper()
		r := d.api.shelves.ByName("user", name)
		u, err := d.store.UserByID(t.Context(), r.ID)
		must(t, err)
		names, _ := d.seen(u, "system_status")
		same(t, names, want)
	}
	change := func(name, body string) {
		t.Helper()
		d.ok(d.call("PATCH", "/api/v2/users/by-name/"+name, body))
	}
	const operator, free = `{"content_set_roles":[{"name":"Operator"}]}`, `{"group_id":0}`

	i, u := newIDP(d, "okta"), scimUser{}
	i.want(http.StatusCreated, &u, "POST", "/Users", `{"userName":"bob"}`)
	change("bob", operator)
	member := fmt.Sprintf(`{"displayName":"lab","members":[{"value":%q}]}`, u.ID)
	for _, leave := range []struct{ method, body string }{
		{"PATCH", fmt.Sprintf(`{"Operations":[{"op":"remove","path":"members[value eq \"%s\"]"}]}`, u.ID)},
		{"PUT", `{"displayName":"lab"}`},
		{"DELETE", ""},
	} {
		var g scimGroup
		i.want(http.StatusCreated, &g, "POST", "/Groups", member)
		var id int64
		_, err := fmt.Sscan(g.ID, &id)
		must(t, err)
		limit(id)
		sees("bob", "web-01 db-01")
		if leave.method == "DELETE" {
			i.want(http.StatusNoContent, nil, leave.method, "/Groups/"+g.ID, "")
		} else {
			i.want(http.StatusOK, nil, leave.method, "/Groups/"+g.ID, leave.body)
			i.want(http.StatusNoContent, nil, "DELETE", "/Groups/"+g.ID, "")
		}
		sees("bob", "")
		i.want(http.StatusOK, nil, "PATCH", "/Users/"+u.ID, `{"Operations":[{"op":"replace","path":"displayName","value":"Bob"}]}`)
		sees("bob", "") // whatever is said of him there
		change("bob", free)
		sees("bob", "web-01 db-01 mac-01")
	}

	ops, others := newUserGroup(d, "operators"), newUserGroup(d, "others")
	trust(d, p, map[string]any{"group_mappings": []any{
		map[string]any{"value": "ops", "user_group": map[string]any{"id": ops}},
		map[string]any{"value": "staff", "user_group": map[string]any{"id": others}},
	}})
	limit(ops)
	b := &browser{d: d}
	p.Says(zoe("ops"))
	same(t, works(d, b.signIn(p)), "zoe")
	change("zoe", operator)
	sees("zoe", "web-01 db-01")
	p.Says(zoe("staff"))
	same(t, works(d, b.signIn(p)), "zoe")
	sees("zoe", "")
	p.Says(zoe("staff", "ops"))
	same(t, works(d, b.signIn(p)), "zoe")
	sees("zoe", "web-01 db-01") // by the group that she is in again
}
