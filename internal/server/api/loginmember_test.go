package api

import (
	"fmt"
	"strings"
	"testing"

	"catenary/internal/server/rights"
)

// TestLoginAsMember: a session may have the rights of one of its user's groups
// only, and nobody gets from it to the others.
func TestLoginAsMember(t *testing.T) {
	d := newDesk(t)
	admin := d.session
	d.role("reads packages", false, rights.ReadPackage)
	d.role("reads users", false, rights.ReadUser, rights.ReadUserGroup)
	d.firstGroups()
	bob := d.person("bob", "reads packages")
	linux := d.machineGroup("Linux machines", " Is Linux equals True")
	group := func(name string, machines, user int64) int64 {
		return d.made("user_groups", fmt.Sprintf(`{"name":%q,"content_set_roles":[{"name":"reads users"}],"group":{"id":%d},"user_list":[{"id":%d}]}`, name, machines, user))
	}
	night, others := group("Night shift", linux, bob.ID), group("Others", linux, 1)
	d.made("personas", fmt.Sprintf(`{"name":"p","user_list":[{"id":%d}]}`, bob.ID))
	login := func(word string) (session, refused string) {
		t.Helper()
		w := d.send("POST", "/api/v2/session/login", fmt.Sprintf(`{"username":"bob","password":%q,"as_exclusive_user_group":%s}`, testPassword, word))
		if w.Code != 200 {
			return "", fmt.Sprint(w.Code, w.Body)
		}
		return data[sessionObject](t, w).Session, ""
	}
	for _, word := range []string{`"night SHIFT"`, fmt.Sprint(night), fmt.Sprintf(`"%d"`, night)} {
		session, refused := login(word)
		if refused != "" {
			t.Fatalf("%s: %s", word, refused)
		}
		d.actsAsMember(session, night)
	}
	for word, want := range map[string]string{
		`"nobody's"`: `400 {"text":"InvalidUserGroup: as_exclusive_user_group: the user is in no user group \"nobody's\""}`,
		`"Others"`:   `400 {"text":"InvalidUserGroup: as_exclusive_user_group: the user is in no user group \"Others\""}`,
		`99`:         `400 {"text":"InvalidUserGroup: as_exclusive_user_group: the user is in no user group \"99\""}`,
		`[]`:         `as_exclusive_user_group`, `1.5`: `as_exclusive_user_group`, `{"id":1}`: `as_exclusive_user_group`,
	} {
		if _, refused := login(word); strings.TrimSpace(refused) != want && (want[0] == '4' || !strings.HasPrefix(refused, "400") || !strings.Contains(refused, want)) {
			t.Errorf("%s: %s", word, refused)
		}
	}
	for _, word := range []string{`null`, `""`, `0`, `"0"`} {
		session, refused := login(word)
		if w := d.send("GET", "/api/v2/packages", "", "session", session); w.Code != 200 {
			t.Errorf("%s: %s %d", word, refused, w.Code)
		}
	}
	w := d.send("POST", "/api/v2/session/login", `{"username":"bob","password":"wrong","as_exclusive_user_group":"Others"}`)
	same(t, []any{w.Code, strings.Contains(w.Body.String(), "wrong user name or password")}, []any{401, true})

	// Who has left the group is out at once; who comes to another is not in it.
	session, _ := login(fmt.Sprint(night))
	d.session = admin
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/user_groups/%d", others), fmt.Sprintf(`{"user_list":[{"id":%d}]}`, bob.ID)))
	same(t, d.send("GET", "/api/v2/users", "", "session", session).Code, 200)
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/user_groups/%d", night), `{"user_list":[]}`))
	same(t, d.send("GET", "/api/v2/users", "", "session", session).Code, 403)
	if w := d.call("GET", "/api/v2/audit_logs/authentication/0", ""); !strings.Contains(w.Body.String(), "with the rights of the user group Night shift only") {
		t.Errorf("the audit says %s", w.Body)
	}
}

// actsAsMember looks at what a session can do that is of the night shift only.
func (d *desk) actsAsMember(session string, night int64) {
	t := d.t
	t.Helper()
	get := func(path string) (int, string) {
		w := d.send("GET", "/api/v2/"+path, "", "session", session)
		return w.Code, w.Body.String()
	}
	if code, body := get("packages"); code != 403 {
		t.Errorf("what is his as himself only: %d %s", code, body)
	}
	if code, body := get("users"); code != 200 {
		t.Errorf("what is the group's: %d %s", code, body)
	}
	if _, body := get("session/current"); !strings.Contains(body, fmt.Sprintf(`"user_group":{"id":%d,"name":"Night shift"}`, night)) {
		t.Errorf("he is %s", body)
	}
	if _, body := get("session/current/effective-roles"); strings.Contains(body, "reads packages") || !strings.Contains(body, `"source_types":["user_group"]`) {
		t.Errorf("his roles are %s", body)
	}
	if _, body := get("session/management_rights"); !strings.Contains(body, "Linux machines") {
		t.Errorf("his machines are %s", body)
	}
	for path, body := range map[string]string{"session/as_persona/1": "{}", "session/as_persona/0": "{}", "api_tokens": "{}"} {
		w := d.send("POST", "/api/v2/"+path, body, "session", session)
		if w.Code != 403 || !strings.Contains(w.Body.String(), "one user group only") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
