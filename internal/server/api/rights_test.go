package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// person makes a user with the test's password and roles by name.
func (d *desk) person(name string, roles ...string) store.User {
	d.t.Helper()
	o := object.New(object.ShapeOf("user"))
	o.Set("name", name)
	var list []object.Ref
	for _, role := range roles {
		list = append(list, object.Ref{Name: role})
	}
	o.Set("content_set_roles", object.ListOf(list))
	var id int64
	must(d.t, d.api.shelves.Change(d.t.Context(), shelf.Author{}, func(c *shelf.Change) error {
		r, err := people.CreateUser(d.t.Context(), c, o, testHash())
		if err == nil {
			id = r.ID
		}
		return err
	}))
	u, err := d.store.UserByID(d.t.Context(), id)
	must(d.t, err)
	return u
}

// as calls with a session of somebody else.
func (d *desk) as(u store.User, method, path, body string) *httptest.ResponseRecorder {
	return d.send(method, path, body, "session", d.begun(time.Now(), u))
}

// role makes a role of privileges that count everywhere.
func (d *desk) role(name string, deny bool, of ...rights.Privilege) {
	d.t.Helper()
	var list []string
	for _, p := range of {
		list = append(list, fmt.Sprintf(`{"content_set_privilege":{"name":%q}}`, p))
	}
	d.ok(d.call("POST", "/api/v2/content_set_roles", fmt.Sprintf(`{"name":%q,"deny_flag":%v,"all_content_sets_flag":1,"content_set_role_privileges":[%s]}`, name, deny, strings.Join(list, ","))))
}

// everybody's are the routes that need a session and no right. Whoever adds one
// here has thought about it: they are about the caller himself, or find out
// themselves what he may see.
var everybodys = []string{
	"GET /api/v2/session/current", "GET /api/v2/session/current/effective-roles", "GET /api/v2/session/management_rights",
	"POST /api/v2/session/as_persona/{id}", "POST /api/v2/session/password", "GET /api/v2/effective_content_set_privileges",
	"GET /api/v2/api_tokens", "POST /api/v2/api_tokens", "PATCH /api/v2/api_tokens", "GET /api/v2/api_tokens/{id}", "DELETE /api/v2/api_tokens/{id}",
	"GET /api/v2/client_count", "GET /api/v2/session/second_factor",
	"GET /api/v2/session/passkey", "DELETE /api/v2/session/passkey/{id}", "POST /api/v2/session/passkey/register/begin", "POST /api/v2/session/passkey/register/finish",
	"GET /api/v2/merged_result_data/{objects...}", "GET /export/{file}", "POST /api/v2/move", "POST /api/v2/transfer", // what is meant says what is needed
}

// asked are the privileges that no route needs, and for which routes ask once
// they know what it is about.
var asked = []rights.Privilege{rights.BypassActionApproval, rights.ReadToken, rights.WriteToken}

// TestRights walks every route as nobody, as a user who may do everything but
// what the route needs, as one who may do that only, and as an administrator.
func TestRights(t *testing.T) {
	d := newDesk(t)
	d.from = "198.51.100.7:9" // nothing is open to this machine only
	with, without := map[rights.Privilege]store.User{}, map[rights.Privilege]store.User{}
	d.role("nothing", false)
	with[rights.None] = d.person("nobody special", "nothing")
	d.role("everything", false, rights.All()...)
	for _, p := range rights.All() {
		d.role("with "+p.String(), false, p)
		d.role("without "+p.String(), true, p)
		with[p] = d.person("with "+p.String(), "with "+p.String())
		without[p] = d.person("without "+p.String(), "everything", "without "+p.String())
	}
	admin, err := d.store.UserByName(t.Context(), testUser)
	must(t, err)
	path := strings.NewReplacer("{id}", "999999", "{name}", "nothing", "{hash}", "1", "{type}", "users", "{objects...}", "question/1", "{file}", "1.gz")
	var checked, open, free int
	needed := map[rights.Privilege]bool{}
	for _, rt := range d.api.routes() {
		name := rt.method + " " + rt.path
		needed[rt.right] = true
		where := path.Replace(rt.path)
		if rt.access == anyone {
			open++
			continue // TestStrangersAreRefused has the list
		}
		if w := d.send(rt.method, where, "{}"); w.Code != 403 && w.Code != 401 {
			t.Errorf("%s: nobody gets %d %s", name, w.Code, w.Body)
		}
		if rt.right == rights.None {
			free++
			if !slices.Contains(everybodys, name) {
				t.Errorf("%s needs no right and is not on the list of those that need none", name)
			}
		} else {
			w := d.as(without[rt.right], rt.method, where, "{}")
			if want := fmt.Sprintf("RBACInsufficientPrivilege: the privilege %q is needed", rt.right); w.Code != 403 || !strings.Contains(w.Body.String(), strings.Trim(string(object.AppendText(nil, want)), `"`)) {
				t.Errorf("%s: who may do all but %v gets %d %s", name, rt.right, w.Code, w.Body)
			}
		}
		for who, u := range map[string]store.User{"with that right only": with[rt.right], "an administrator": admin} {
			if w := d.as(u, rt.method, where, "{}"); strings.Contains(w.Body.String(), "RBACInsufficientPrivilege") || strings.Contains(w.Body.String(), "nvalid session") {
				t.Errorf("%s: %s gets %d %s", name, who, w.Code, w.Body)
			}
		}
		checked++
	}
	for _, p := range rights.All() {
		if !needed[p] && !slices.Contains(asked, p) {
			t.Errorf("no route needs the privilege %q: it is a promise that nobody keeps", p)
		}
	}
	t.Logf("%d routes × 4 callers (%d of them need no right), and %d open routes", checked, free, open)
}

// TestRightsInSets: what lies in content sets is listed, shown, made, changed
// and moved where the caller may, whatever its kind.
func TestRightsInSets(t *testing.T) {
	d := newDesk(t)
	admin := d.session
	bodies := map[string]string{"package_spec": `"command":"x"`, "sensor": `"queries":[{"platform":"Linux","script":"true","script_type":"UnixShell"}]`, "saved_question": `"query_text":"Get Computer Name from all machines"`}
	kinds := 0
	for _, f := range d.api.faces() {
		if f.set == "" || f.verbs&(canCreate|canChange|canRemove) != canCreate|canChange|canRemove {
			continue
		}
		kinds++
		d.session = admin
		base := "/api/v2/" + f.path
		create := func(name string, set int) *httptest.ResponseRecorder {
			more := bodies[f.kind]
			if more != "" {
				more = "," + more
			}
			return d.call("POST", base, fmt.Sprintf(`{"name":%q,"text":" Is Linux equals True","public_flag":true,"content_set":{"id":%d}%s}`, name, set, more))
		}
		idOf := func(w *httptest.ResponseRecorder) int64 {
			var out struct{ Data struct{ ID int64 } }
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
				t.Fatalf("%s: %d %s", f.path, w.Code, w.Body)
			}
			return out.Data.ID
		}
		theirs, mine := idOf(create("theirs "+f.path, 1)), idOf(create("mine "+f.path, 2))
		in := func(p rights.Privilege) string {
			return fmt.Sprintf(`{"content_set":{"id":2},"content_set_privilege":{"name":%q}}`, p)
		}
		d.ok(d.call("POST", "/api/v2/content_set_roles", fmt.Sprintf(`{"name":"in 2: %s","content_set_role_privileges":[%s,%s]}`, f.path, in(f.read), in(f.write))))
		if f.kind == sensors.Kind { // they are what is looked at
			d.role("reads sensors for "+f.path, false)
		} else {
			d.role("reads sensors for "+f.path, false, rights.ReadSensor)
		}
		u := d.person("of "+f.path, "in 2: "+f.path, "reads sensors for "+f.path)
		d.session = d.begun(time.Now(), u)
		list := d.call("GET", base, "").Body.String()
		if strings.Contains(list, "theirs "+f.path) || !strings.Contains(list, "mine "+f.path) {
			t.Errorf("%s: the list is %.300s", f.path, list)
		}
		for _, tt := range []struct {
			method string
			id     int64
			body   string
			ok     bool
		}{
			{"GET", theirs, "", false},
			{"PATCH", theirs, `{"text":""}`, false},
			{"PATCH", mine, `{"content_set":{"id":1}}`, false},
			{"DELETE", theirs, "", false},
		} {
			w := d.call(tt.method, fmt.Sprintf("%s/%d", base, tt.id), tt.body)
			if w.Code != 403 && w.Code != 404 {
				t.Errorf("%s %s/%d %s: %d %s", tt.method, base, tt.id, tt.body, w.Code, w.Body)
			}
		}
		if w := create("new "+f.path, 1); w.Code != 403 {
			t.Errorf("%s: making one elsewhere: %d %s", f.path, w.Code, w.Body)
		}
		if w := create("new "+f.path, 2); w.Code != 200 {
			t.Errorf("%s: making one: %d %s", f.path, w.Code, w.Body)
		}
	}
	if kinds < 3 {
		t.Errorf("only %d kinds lie in content sets", kinds)
	}
}
