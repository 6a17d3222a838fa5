package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// bodies are what an object of a path needs beside its name.
var bodies = map[string]string{
	"packages": `"command":"x"`, "package_specs": `"command":"x"`,
	"sensors":                      `"queries":[{"platform":"Linux","script":"true","script_type":"UnixShell"}]`,
	"saved_questions":              `"query_text":"Get Computer Name from all machines"`,
	"groups":                       `"text":" Is Linux equals True"`,
	"filter_groups":                `"text":" Is Linux equals True"`,
	"management_rights_groups":     `"text":" Is Linux equals True"`,
	"computer_groups":              `"computer_specs":[{"computer_name":"a"}]`,
	"content_set_role_memberships": `"user":{"id":1},"content_set_role":{"name":"Read Only"}`,
	"content_set_user_group_role_memberships": `"user_group":{"id":1},"content_set_role":{"name":"Read Only"}`,
	"content_set_role_privileges":             `"content_set":{"id":1},"content_set_privilege":{"name":"Read Sensor"},"content_set_role":{"name":"Own"}`,
	"white_listed_urls":                       `"url_regex":"https://a/.*"`,
	"system_settings":                         `"value":"x"`,
	"ldap_sync_connectors":                    `"host":"ldap.example.org","users_base":"dc=example","secure":true`,
	"oidc_providers":                          `"issuer":"https://id.example.org","client_id":"x","client_secret":"y"`,
	"users":                                   `"password":"a good password"`,
	"downloader_auth_users":                   `"url_regex":"https://a/.*","user":"u","password":"p"`,
	"plugin_schedules":                        `"plugin_name":"x","plugin_bundle":"y","run_interval_seconds":60`,
}

// oddName wants to be escaped in a path, and finds what is sloppy about it.
const oddName = `Tëst /%2F 100% a+b`

// nameIn is a name that objects of a path can have.
func nameIn(path string) string {
	switch path {
	case "system_settings":
		return "some.setting"
	case "users":
		return "carla"
	}
	return oddName
}

// TestObjectsLive: the objects of every face are made, listed, shown, changed
// and deleted, by number and by name, and each answer is as described.
func TestObjectsLive(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.ok(d.call("POST", "/api/v2/user_groups", `{"name":"Staff"}`))
	d.ok(d.call("POST", "/api/v2/content_set_roles", `{"name":"Own"}`))
	cert, key := selfSigned(t)
	bodies["downloader_auth_certs"] = `"url_regex":"https://a/.*","certificate":` + quoted(t, cert) + `,"key":` + quoted(t, key)
	bodies["downloader_trusted_certs"] = `"certificate":` + quoted(t, cert)
	lived := 0
	for _, f := range d.api.faces() {
		if f.verbs&canCreate == 0 || f.path == "saml_providers" { // which wants real metadata: see the tests of signing in
			continue
		}
		for _, path := range append([]string{f.path}, f.aliases...) {
			t.Run(path, func(t *testing.T) { (&desk{t, d.api, d.store, d.fleet, d.logs, d.session, d.from}).live(f, path) })
			lived++
		}
	}
	t.Logf("%d faces", lived)
}

func (d *desk) live(f *face, path string) {
	name := nameIn(path)
	members := []string{}
	if _, named := f.objectShape().Field("name"); named {
		quoted, err := json.Marshal(name)
		must(d.t, err)
		members = append(members, `"name":`+string(quoted))
	}
	if body := bodies[path]; body != "" {
		members = append(members, body)
	}
	body := "{" + strings.Join(members, ",") + "}"
	base := "/api/v2/" + path
	made := d.success(d.call("POST", base, body))
	id, _ := made["id"].(float64)
	one := fmt.Sprintf("%s/%.0f", base, id)
	byName := base + "/by-name/" + url.PathEscape(name)
	d.ok(d.call("GET", base+"/", "")) // a list, with a slash behind
	if f.verbs&canShow != 0 && id != 0 {
		shown := d.success(d.call("GET", one, ""))
		if got := d.success(d.call("GET", strings.Replace(one, "/v2/", "/v2//", 1)+"/", "")); fmt.Sprint(got) != fmt.Sprint(shown) {
			d.t.Errorf("with doubled slashes it is %v, not %v", got, shown)
		}
		if f.verbs&canName != 0 {
			if got := d.success(d.call("GET", byName, "")); fmt.Sprint(got["id"]) != fmt.Sprint(shown["id"]) {
				d.t.Errorf("by name it is %v, not %v", got, shown)
			}
		}
		d.back(f, one, byName, shown)
	}
	switch {
	case f.verbs&canRemoveByName != 0:
		d.ok(d.call("GET", byName, ""))
		d.ok(d.call("DELETE", byName, ""))
	case f.verbs&canRemove != 0:
		d.ok(d.call("DELETE", one, ""))
		if w := d.call("GET", one, ""); f.verbs&canShow != 0 && w.Code != 404 {
			d.t.Errorf("after it was deleted: %d %s", w.Code, w.Body)
		}
	}
}

// back sends an object as it was shown, as programs do, and flags in their other
// spelling.
func (d *desk) back(f *face, one, byName string, shown map[string]any) {
	if f.verbs&canChange == 0 {
		return
	}
	whole, err := json.Marshal(shown)
	must(d.t, err)
	again := d.success(d.call("PATCH", one, string(whole)))
	for _, field := range f.objectShape().Fields {
		if before, after := fmt.Sprint(shown[field.Name]), fmt.Sprint(again[field.Name]); !field.ReadOnly && before != after {
			d.t.Errorf("%s was %s and, sent back, has become %s", field.Name, before, after)
		}
	}
	for name, v := range shown {
		switch v {
		case true:
			shown[name] = 1
		case false:
			shown[name] = 0
		}
	}
	whole, err = json.Marshal(map[string]any{"data": shown})
	must(d.t, err)
	d.ok(d.call("PATCH", one, string(whole)))
	if f.verbs&canName != 0 {
		d.ok(d.call("PATCH", byName, `{}`))
	}
}

// success reads an object from an answer.
func (d *desk) success(w *httptest.ResponseRecorder) map[string]any {
	d.t.Helper()
	var out struct{ Data map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
		d.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return out.Data
}

// TestConventions: what is wrong is answered by every route in the same form,
// whatever the Content-Type. (That answers are as described is seen to by all
// tests: see contract.)
func TestConventions(t *testing.T) {
	d := newDesk(t)
	d.api.rightsOf = func(store.User) rights.Rights { return rights.Rights{Anything: true} }
	checked := 0
	for _, rt := range d.api.routes() {
		if strings.HasPrefix(rt.path, "/scim/") || strings.HasPrefix(rt.path, "/auth") || rt.method == "GET" && rt.path == "/api/v2/session/login" {
			continue
		}
		name := rt.method + " " + rt.path
		path := strings.NewReplacer("{id}", "4000000000", "{name}", "nobody", "{hash}", "1", "{type}", "package", "{file}", "7.status", "{address}", "10.0.0.1", "{objects...}", "question/1").Replace(rt.path)
		refused := func(method, path, body string, statuses ...int) {
			t.Helper()
			w := d.send(method, path, body, "session", d.session, "Content-Type", "text/nonsense")
			var out map[string]string
			ok := false
			for _, s := range statuses {
				ok = ok || w.Code == s
			}
			if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || !ok || len(out) != 1 || out["text"] == "" || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s: %s %s %.40s: %d %.300s", name, method, path, body, w.Code, w.Body)
			}
		}
		refused("BREW", path, "", 405)
		if strings.Contains(rt.path, "{id}") {
			refused(rt.method, strings.Replace(rt.path, "{id}", "x", 1), `{}`, 400, 404)
		}
		if rt.method != "GET" && rt.method != "DELETE" {
			for _, body := range []string{"", "{", `{"a":`, `nonsense`, strings.Repeat(`[`, 10_001), strings.Repeat(`{"a":`, 10_001)} {
				w := d.send(rt.method, path, body, "session", d.session)
				if w.Code >= 500 {
					t.Errorf("%s %.30q: %d %s", name, body, w.Code, w.Body)
				}
			}
		}
		if strings.HasSuffix(rt.path, "/logout") { // without a body it has ended the session of the header
			u, err := d.store.UserByID(t.Context(), 1)
			must(t, err)
			d.session = d.begun(time.Now(), u)
		}
		checked++
	}
	t.Logf("%d routes", checked)
}

// TestSubnetsLive: subnets of each kind are made, shown, changed and deleted.
func TestSubnetsLive(t *testing.T) {
	d := newDesk(t)
	for i, path := range []string{"separated_subnets", "isolated_subnets", "intentional_subnets"} {
		made := d.success(d.call("POST", "/api/v2/"+path, fmt.Sprintf(`{"cidr_string":"10.%d.0.0/16","name":"x"}`, i)))
		one := fmt.Sprintf("/api/v2/%s/%v", path, made["id"])
		d.ok(d.call("PATCH", one, `{"name":"y"}`))
		if got := d.success(d.call("GET", one, "")); got["name"] != "y" {
			t.Errorf("%s: %v", path, got)
		}
		d.ok(d.call("DELETE", one, ""))
	}
	d.ok(d.call("POST", "/api/v2/personas", `{"name":"Night Shift"}`))
	d.ok(d.call("GET", "/api/v2/persona/1/effective-roles", ""))
}
