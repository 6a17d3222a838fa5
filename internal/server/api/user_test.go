package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/setting"
)

// logIn is the session string of who logs in with a password, or "".
func (d *desk) logIn(name, password string) string {
	d.t.Helper()
	w := d.send("POST", "/api/v2/session/login", fmt.Sprintf(`{"username":%q,"password":%q}`, name, password))
	if w.Code != 200 {
		return ""
	}
	return data[sessionObject](d.t, w).Session
}

// object is the data of an answer.
func (d *desk) object(w *httptest.ResponseRecorder) map[string]any {
	d.t.Helper()
	var out struct{ Data map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
		d.t.Fatalf("answer is %d %s", w.Code, w.Body)
	}
	return out.Data
}

// refuses wants a refusal with a text in it.
func (d *desk) refuses(w *httptest.ResponseRecorder, status int, text string) {
	d.t.Helper()
	var out struct{ Text string }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != status || !strings.Contains(out.Text, text) {
		d.t.Errorf("answer is %d %s, want %d with %s", w.Code, w.Body, status, text)
	}
}

func TestUsers(t *testing.T) {
	d := newDesk(t)
	made := d.object(d.call("POST", "/api/v2/users", `{"name":" Bob ","display_name":"Robert","password":"first password","content_set_roles":[{"name":"Operator"}],"metadata":[{"name":"site","value":"Bonn"}]}`))
	if made["name"] != "Bob" || made["id"] != 2.0 || made["password"] != nil || made["last_login"] != "2001-01-01T00:00:00Z" {
		t.Fatalf("made is %v", made)
	}
	session := d.logIn("bob", "first password")
	if session == "" || d.logIn("bob", "other") != "" {
		t.Fatal("logging in")
	}
	shown := d.object(d.call("GET", "/api/v2/users/by-name/BOB", ""))
	if shown["active_session_count"] != 1.0 || shown["last_login"] == "2001-01-01T00:00:00Z" || len(shown["effective_content_set_privileges"].([]any)) != 4 {
		t.Errorf("shown is %v", shown)
	}
	current := d.object(d.send("GET", "/api/v2/session/current", "", "session", session))["user"].(map[string]any)
	if current["name"] != "Bob" || current["display_name"] != "Robert" {
		t.Errorf("current is %v", current)
	}
	use := func(s string) int { return d.send("GET", "/api/v2/client_count", "", "session", s).Code }
	token := data[tokenObject](t, d.send("POST", "/api/v2/api_tokens", `{"name":"n"}`, "session", session)).TokenString
	same(t, []int{use(session), use(token)}, []int{200, 200})

	d.ok(d.call("PATCH", "/api/v2/users/2", `{"locked_out":1}`))
	same(t, []int{use(session), use(token)}, []int{403, 401})
	if d.logIn("bob", "first password") != "" {
		t.Error("who is locked out logs in")
	}
	d.ok(d.call("PATCH", "/api/v2/users/2", `{"locked_out":0,"name":"Robert"}`))
	same(t, use(token), 200)
	if session = d.logIn("robert", "first password"); session == "" {
		t.Fatal("the new name does not log in")
	}
	d.ok(d.call("PATCH", "/api/v2/users/2", `{"password":"second password"}`))
	same(t, use(session), 403)
	if session = d.logIn("robert", "second password"); session == "" || d.logIn("robert", "first password") != "" {
		t.Fatal("the new password")
	}
	gone := d.object(d.call("DELETE", "/api/v2/users/2", ""))
	if gone["deleted_flag"] != true {
		t.Errorf("gone is %v", gone)
	}
	same(t, []int{use(session), use(token)}, []int{403, 401})
	d.refuses(d.call("GET", "/api/v2/users/2", ""), 404, "UserNotFound")
	if d.logIn("robert", "second password") != "" {
		t.Error("who is deleted logs in")
	}
	again := d.object(d.call("POST", "/api/v2/users", `{"name":"robert"}`))
	if again["id"] != 3.0 {
		t.Errorf("the number was given again: %v", again)
	}
	if d.logIn("robert", "") != "" {
		t.Error("who has no password logs in")
	}
	if strings.Contains(d.logs.String(), "password\":") || strings.Contains(d.logs.String(), "second password") {
		t.Error("a password is in the log")
	}
	list, err := d.store.Audits(t.Context(), "user", 2, time.Time{}, time.Time{}, 100, 0)
	must(t, err)
	var deeds []string
	for _, e := range list {
		deeds = append(deeds, e.Type)
		if strings.Contains(e.Details, "argon2") || strings.Contains(e.Details, "first") {
			t.Errorf("a password is in the audit: %s", e.Details)
		}
	}
	same(t, deeds, []string{"delete", "password", "update", "update", "update", "create"})
}

func TestUsersRefuse(t *testing.T) {
	d := newDesk(t)
	d.person("bob")
	session := d.session
	for _, tt := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "users", `{"name":"BOB"}`, 400, "UserAlreadyExists"},
		{"PATCH", "users/1", `{"name":"bob"}`, 400, "UserAlreadyExists"},
		{"POST", "users", `{}`, 400, "UserNameRequired"},
		{"POST", "users", `{"name":"a\u0007"}`, 400, "InvalidUserName"},
		{"POST", "users", `{"name":"a:b"}`, 400, "InvalidUserName: a user's name has no \":\""},
		{"PATCH", "users/1", `{"name":"ann:"}`, 400, "InvalidUserName: a user's name has no \":\""},
		{"POST", "users", `{"name":"x","password":""}`, 400, "PasswordTooShort: a password has at least 12 characters, not 0"},
		{"POST", "users", `{"name":"x","password":"elevenchars"}`, 400, "PasswordTooShort: a password has at least 12 characters, not 11"},
		{"POST", "users", `{"name":"x","password":"äöüäöüäöüäö"}`, 400, "PasswordTooShort: a password has at least 12 characters, not 11"},
		{"PATCH", "users/2", `{"password":"elevenchars"}`, 400, "PasswordTooShort"},
		{"POST", "users", `{"name":"x","password":"` + strings.Repeat("x", passwordMax+1) + `"}`, 400, "a password has 1 to 1024 bytes, not 1025"},
		{"POST", "users", `{"name":"x","locked_out":7}`, 400, "locked_out"},
		{"POST", "users", `{"name":"x","group_id":77}`, 400, "there is no group with number 77"},
		{"POST", "users", `{"name":"x","content_set_roles":[{"name":"no such"}]}`, 400, `there is no role with the name "no such"`},
		{"DELETE", "users/1", ``, 400, "the last user who may do everything"},
		{"PATCH", "users/1", `{"locked_out":1}`, 400, "the last user who may do everything"},
		{"PATCH", "users/1", `{"content_set_roles":[]}`, 400, "the last user who may do everything"},
		{"PATCH", "users/1", `{"password":"new"}`, 403, "old_password"},
		{"PATCH", "content_set_roles/1", `{"name":"x"}`, 400, "CouldNotAddUpdateDeleteReservedContentSetRole"},
		{"DELETE", "content_set_roles/1", ``, 400, "CouldNotAddUpdateDeleteReservedContentSetRole"},
		{"DELETE", "content_sets/1", ``, 400, "cannot be changed"},
		{"PATCH", "content_sets/1", `{"name":"x"}`, 400, "cannot be changed"},
		{"DELETE", "content_set_privileges/1", ``, 400, "cannot be changed"},
		{"POST", "content_set_roles", `{"name":"x","content_set_role_privileges":[{"content_set_privilege":{"name":"Read Sensor"}}]}`, 400, "is held within a content set"},
		{"POST", "content_set_roles", `{"name":"x","content_set_role_privileges":[{"content_set_privilege":{"name":"Fly"}}]}`, 400, "Fly"},
		{"POST", "user_groups", `{}`, 400, "UserGroupNameRequired"},
	} {
		d.refuses(d.call(tt.method, "/api/v2/"+tt.path, tt.body), tt.status, tt.text)
	}
	same(t, d.send("GET", "/api/v2/client_count", "", "session", session).Code, 200) // nothing has happened
	w := d.call("POST", "/api/v2/content_set_roles", `{"name":"fake","reserved_name":"Administrator","category":"reserved"}`)
	if o := d.object(w); o["reserved_name"] != "" || o["category"] != "advanced" {
		t.Errorf("somebody has made a reserved role: %v", o)
	}
}

func TestOwnPassword(t *testing.T) {
	d := newDesk(t)
	bob := d.person("bob", "Operator")
	one, two := d.logIn("bob", testPassword), d.logIn("bob", testPassword)
	change := func(body string) *httptest.ResponseRecorder {
		return d.send("POST", "/api/v2/session/password", body, "session", one)
	}
	d.refuses(change(`{"password":"a new password","old_password":"wrong"}`), 403, "old_password is not")
	d.refuses(change(`{"password":"","old_password":"`+testPassword+`"}`), 400, "PasswordTooShort")
	d.refuses(change(`{"password":"short","old_password":"`+testPassword+`"}`), 400, "PasswordTooShort: a password has at least 12 characters, not 5")
	d.refuses(d.send("PATCH", fmt.Sprintf("/api/v2/users/%d", bob.ID), `{"password":"x"}`, "session", one), 403, "Write User")
	d.ok(change(`{"password":"a new password","old_password":"` + testPassword + `"}`))
	use := func(s string) int { return d.send("GET", "/api/v2/client_count", "", "session", s).Code }
	same(t, []int{use(one), use(two)}, []int{200, 403})
	if d.logIn("bob", "a new password") == "" {
		t.Error("the new password does not log in")
	}
	for range failuresMax {
		change(`{"password":"x","old_password":"guess"}`)
	}
	d.refuses(change(`{"password":"x","old_password":"a new password"}`), 403, "too many failed attempts")
}

// How long passwords are is set; names and passwords from before stay good.
func TestPasswordLength(t *testing.T) {
	d := newDesk(t)
	configure(d, setting.PasswordLength, 8)
	d.ok(d.call("POST", "/api/v2/users", `{"name":"zoe","password":"eight ch"}`))
	configure(d, setting.PasswordLength, 20)
	d.refuses(d.call("POST", "/api/v2/users", `{"name":"x","password":"nineteen characters"}`), 400, "at least 20 characters, not 19")
	if d.logIn("zoe", "eight ch") == "" {
		t.Error("a password from before the rule is refused")
	}
	alter(d, "user", "zoe", func(o *object.Object) { o.Set("name", "urn:zoe") })
	d.ok(d.call("PATCH", "/api/v2/users/by-name/urn:zoe", `{"name":"urn:zoe","display_name":"Zoe"}`))
}

func TestMetadata(t *testing.T) {
	d := newDesk(t)
	const base = "/api/v2/users/1/metadata"
	d.want(d.call("GET", base, ""), 200, `{"data":[]}`)
	d.want(d.call("POST", base, `{"name":"a/b","value":"1","admin_flag":true}`), 200, `{"data":{"name":"a/b","admin_flag":true,"value":"1"}}`)
	d.refuses(d.call("POST", base, `{"name":"a/b"}`), 400, "already")
	d.want(d.call("PATCH", base+"/by-name/a%2Fb", `{"value":"2"}`), 200, `{"data":"a/b"}`)
	d.want(d.call("GET", base+"/by-name/a%2Fb", ""), 200, `{"data":[{"name":"a/b","admin_flag":true,"value":"2"}]}`)
	d.refuses(d.call("GET", base+"/by-name/no", ""), 404, "MetadataItemNotFound")
	d.want(d.call("DELETE", base+"/by-name/a%2Fb", ""), 200, `{"data":"a/b"}`)
	d.refuses(d.call("DELETE", base+"/by-name/a%2Fb", ""), 404, "MetadataItemNotFound")
	d.refuses(d.call("GET", "/api/v2/users/99/metadata", ""), 404, "UserNotFound")
	d.refuses(d.call("GET", "/api/v2/users/1/nonsense", ""), 400, "Invalid object route: users")
}

func TestPersonas(t *testing.T) {
	d := newDesk(t)
	bob := d.person("bob", "Read Only")
	session := d.logIn("bob", testPassword)
	d.ok(d.call("POST", "/api/v2/personas", fmt.Sprintf(`{"name":"hunter","content_set_role_list":[{"name":"Security"}],"user_list":[{"id":%d}],"require_reauthentication_flag":true}`, bob.ID)))
	d.ok(d.call("POST", "/api/v2/personas", `{"name":"not his","content_set_role_list":[{"name":"Administrator"}]}`))
	with := func(s, method, path, body string) *httptest.ResponseRecorder {
		return d.send(method, "/api/v2/"+path, body, "session", s)
	}
	d.refuses(with(session, "POST", "session/as_persona/2", `{}`), 400, "InvalidPersona")
	d.refuses(with(session, "POST", "session/as_persona/7", `{}`), 400, "InvalidPersona")
	d.refuses(with(session, "POST", "session/as_persona/1", `{}`), 403, "old_password")
	hunter := data[sessionObject](t, with(session, "POST", "session/as_persona/1", `{"password":"`+testPassword+`"}`)).Session
	const asking = `{"query_text":"Get Computer Name from all machines"}`
	d.refuses(with(session, "POST", "questions", asking), 403, "Ask Dynamic Question")
	d.ok(with(hunter, "POST", "questions", asking))
	d.refuses(with(hunter, "GET", "users", ""), 403, "Read User")
	himself := data[sessionObject](t, with(hunter, "POST", "session/as_persona/0", "")).Session // programs send no body
	d.ok(with(himself, "GET", "users", ""))
	d.want(with(himself, "POST", "session/validate", ""), 200, `{"data":{"session":"`+himself+`"}}`)
	d.want(with(himself, "POST", "session/logout", ""), 200, `{"data":{"session":"`+himself+`"}}`)
	d.refuses(with(himself, "POST", "session/validate", ""), 403, "Invalid session")
	d.ok(with(session, "GET", "users", ""))
	if p := d.object(with(hunter, "GET", "session/current", ""))["persona"].(map[string]any); p["name"] != "hunter" {
		t.Errorf("the persona is %v", p)
	}
	roles := fmt.Sprint(d.object(with(hunter, "GET", "session/current/effective-roles", "")))
	if !strings.Contains(roles, "Security") || strings.Contains(roles, "Read Only") {
		t.Errorf("the persona's roles are %s", roles)
	}
	d.ok(d.call("PATCH", "/api/v2/personas/1", `{"user_list":[]}`))
	d.refuses(with(hunter, "POST", "questions", asking), 403, "Invalid session")
}

func TestMemberships(t *testing.T) {
	d := newDesk(t)
	bob := d.person("bob")
	session := d.logIn("bob", testPassword)
	ask := func() int {
		return d.send("GET", "/api/v2/questions", "", "session", session).Code
	}
	same(t, ask(), 403)
	m := d.object(d.call("POST", "/api/v2/content_set_role_memberships", fmt.Sprintf(`{"user":{"id":%d},"content_set_role":{"name":"Operator"}}`, bob.ID)))
	same(t, ask(), 200)
	path := fmt.Sprintf("/api/v2/content_set_role_memberships/%.0f", m["id"])
	if got := d.object(d.call("GET", path, "")); got["user"].(map[string]any)["name"] != "bob" || got["content_set_role"].(map[string]any)["name"] != "Operator" {
		t.Errorf("the membership is %v", got)
	}
	if list := d.list("/api/v2/content_set_role_memberships", false); len(list) != 2 {
		t.Errorf("memberships are %v", list)
	}
	moved := d.object(d.call("PATCH", path, `{"content_set_role":{"name":"Read Only"}}`))
	d.refuses(d.call("GET", path, ""), 404, "ContentSetRoleMembershipNotFound")
	d.ok(d.call("DELETE", fmt.Sprintf("/api/v2/content_set_role_memberships/%.0f", moved["id"]), ""))
	same(t, ask(), 403)
	d.refuses(d.call("POST", "/api/v2/content_set_role_memberships", `{"user":{"id":77},"content_set_role":{"id":1}}`), 404, "UserNotFound")

	d.ok(d.call("POST", "/api/v2/user_groups", `{"name":"team","user_list":[{"name":"bob"}]}`))
	g := d.object(d.call("POST", "/api/v2/content_set_user_group_role_memberships", `{"user_group":{"name":"team"},"content_set_role":{"name":"Operator"}}`))
	same(t, ask(), 200)
	d.ok(d.call("DELETE", fmt.Sprintf("/api/v2/content_set_user_group_role_memberships/%.0f", g["id"]), ""))
	same(t, ask(), 403)

	d.ok(d.call("POST", "/api/v2/content_set_roles", `{"name":"own"}`))
	p := d.object(d.call("POST", "/api/v2/content_set_role_privileges", `{"content_set_role":{"name":"own"},"content_set":{"id":2},"content_set_privilege":{"name":"Read Package"}}`))
	if p["content_set"].(map[string]any)["name"] != "Base" {
		t.Errorf("the privilege is %v", p)
	}
	d.refuses(d.call("POST", "/api/v2/content_set_role_privileges", `{"content_set_role":{"name":"Administrator"},"content_set_privilege":{"name":"Read Audit"}}`), 400, "Reserved")
	d.ok(d.call("DELETE", fmt.Sprintf("/api/v2/content_set_role_privileges/%.0f", p["id"]), ""))
	if o := d.object(d.call("GET", "/api/v2/content_set_roles/by-name/own", "")); len(o["content_set_role_privileges"].([]any)) != 0 {
		t.Errorf("the role is %v", o)
	}
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", bob.ID), `{"content_set_roles":[{"name":"own"}]}`))
	if got := fmt.Sprint(d.object(d.call("GET", "/api/v2/content_set_roles/6/memberships", ""))); !strings.Contains(got, "bob") {
		t.Errorf("members are %s", got)
	}
	d.ok(d.call("DELETE", "/api/v2/content_set_roles/6", ""))
}

func TestPreview(t *testing.T) {
	d := newDesk(t)
	d.role("deny", true, rights.ReadSensor)
	w := d.call("POST", "/api/v2/preview_content_set_role", `{"content_set_roles":[{"content_set_role_privileges":[{"content_set":{"id":2},"content_set_privilege":{"name":"Read Package"}}]}]}`)
	d.want(w, 200, fmt.Sprintf(`{"data":[{"content_set":{"id":2,"name":"Base"},"content_set_privilege_list":[{"id":%d,"name":"Read Package"}]}]}`, d.api.shelves.ByName("content_set_privilege", "Read Package").ID))
	d.refuses(d.call("POST", "/api/v2/preview_content_set_role", `{"content_set_roles":[{"name":"deny"}]}`), 404, "RoleNotFoundOrRoleIsADenyRole")
	d.refuses(d.call("POST", "/api/v2/preview_content_set_role", `{"content_set_roles":[{"content_set_role_privileges":[{"content_set_privilege":{"name":"Fly"}}]}]}`), 404, "PrivilegeNotFound")
	w = d.call("POST", "/api/v2/preview_content_set_role_detailed", `{"content_set_roles":[{"name":"Operator"},{"name":"Security"}]}`)
	if !strings.Contains(w.Body.String(), `"name":"Read Audit"},"content_set_roles":[{"id":5,"name":"Security"}]`) {
		t.Errorf("the preview is %s", w.Body)
	}
}
