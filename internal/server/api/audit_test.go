package api

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/setting"
	"catenary/internal/server/store"
)

// auditOf are the deeds of an audit log, newest first.
func (d *desk) auditOf(path string) (deeds []string) {
	d.t.Helper()
	log := d.list("/api/v2/audit_logs/"+path, true)
	for _, e := range log[0]["entries"].([]any) {
		deeds = append(deeds, fmt.Sprint(e.(map[string]any)["type_name"]))
	}
	return deeds
}

func TestAuditOfPeople(t *testing.T) {
	d := newDesk(t)
	d.person("bob", "Operator")
	bob := d.logIn("bob", testPassword)
	d.logIn("bob", "wrong")
	d.logIn("nobody", "wrong")
	token := data[tokenObject](t, d.send("POST", "/api/v2/api_tokens", `{"name":"n"}`, "session", bob))
	turned := data[tokenObject](t, d.send("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, token.TokenString), "session", bob))
	d.ok(d.send("DELETE", fmt.Sprintf("/api/v2/api_tokens/%d", turned.ID), "", "session", bob))
	d.ok(d.send("POST", "/api/v2/session/logout", fmt.Sprintf(`{"session":%q}`, bob)))
	same(t, d.auditOf("authentication/2"), []string{"logout", "login_failed", "login"})
	same(t, d.auditOf("authentication/0"), []string{"logout", "login_failed", "login_failed", "login"})
	same(t, d.auditOf(fmt.Sprintf("api_tokens/%d", turned.ID)), []string{"delete", "rotate"})
	same(t, d.auditOf(fmt.Sprintf("api_tokens/%d", token.ID)), []string{"create"})

	entries := d.list("/api/v2/audit_logs/authentication/0", true)[0]["entries"].([]any)
	stranger := entries[1].(map[string]any)
	if stranger["object_name"] != "nobody" || stranger["ip_address"] != "192.0.2.1" || stranger["object_id"] != 0.0 || stranger["type"] != 3.0 {
		t.Errorf("a stranger's attempt is %v", stranger)
	}
	for _, secret := range []string{testPassword, token.TokenString, turned.TokenString, bob, "wrong\""} {
		all, err := d.store.Audits(t.Context(), "", 0, time.Time{}, time.Time{}, 1000, 0)
		must(t, err)
		if strings.Contains(fmt.Sprint(all), secret) {
			t.Errorf("%q is in the audit", secret)
		}
	}
}

func TestAuditOfChanges(t *testing.T) {
	d := newDesk(t)
	d.ok(d.call("POST", "/api/v2/user_groups", `{"name":"team"}`))
	d.ok(d.call("PATCH", "/api/v2/user_groups/1", `{"name":"crew","user_list":[{"id":1}]}`))
	d.ok(d.call("DELETE", "/api/v2/user_groups/1", ""))
	same(t, d.auditOf("user_groups/1"), []string{"delete", "update", "create"})
	log := d.list("/api/v2/audit_logs/user_groups/1", true)[0]
	change := log["entries"].([]any)[1].(map[string]any)
	if change["details"] != `name: team → crew; user_list: [{"id":1,"name":"ann"}]` || change["last_modified_by"] != "ann" || change["type"] != 1.0 {
		t.Errorf("the change is %v", change)
	}
	options := func(path, options string) *httptest.ResponseRecorder {
		return d.send("GET", "/api/v2/audit_logs/"+path, "", "session", d.session, "tanium-options", options)
	}
	if w := options("user_groups/1", `{"audit_history_size":1}`); strings.Count(w.Body.String(), "audit_row_id") != 1 || !strings.Contains(w.Body.String(), `"type_name":"delete"`) {
		t.Errorf("the newest is %s", w.Body)
	}
	if w := options("user_groups/1", fmt.Sprintf(`{"min_audit_row_id":%v}`, change["audit_row_id"])); strings.Count(w.Body.String(), "audit_row_id") != 2 {
		t.Errorf("from a row on: %s", w.Body)
	}
	d.refuses(options("user_groups/1", `{"audit_history_size":0}`), 400, "audit_history_size is 0")
	same(t, d.auditOf("user_groups/1?start_time=2100-01-01T00:00:00Z"), nil)
	same(t, d.auditOf("user_groups/1?end_time=2100-01-01"), []string{"delete", "update", "create"})
	d.refuses(d.call("GET", "/api/v2/audit_logs/user_groups/1?start_time=now", ""), 400, "start_time")
	d.refuses(d.call("GET", "/api/v2/audit_logs/spoons/1", ""), 400, "InvalidAuditType")
	d.refuses(d.call("GET", "/api/v2/audit_logs/users/x", ""), 400, "is not the number of a user")
	types := d.list("/api/v2/audit_types", false)
	if len(types) < 20 || !strings.Contains(fmt.Sprint(types), "authentication") {
		t.Errorf("the types are %v", types)
	}
	for _, kind := range types {
		d.auditOf(fmt.Sprintf("%s/0", kind["name"]))
	}
}

func TestAuditIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for days := range 10 {
			must(t, d.store.Audit(t.Context(), store.AuditEntry{Type: "x", Kind: "y", At: time.Now().AddDate(0, 0, -days).Add(-time.Minute)}))
		}
		count := func() int {
			list, err := d.store.Audits(t.Context(), "y", 0, time.Time{}, time.Time{}, 100, 0)
			must(t, err)
			return len(list)
		}
		must(t, d.api.forgetAudits(t.Context(), time.Now()))
		same(t, count(), 10)
		d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+setting.AuditDays, `{"value":3}`))
		must(t, d.api.forgetAudits(t.Context(), time.Now()))
		same(t, count(), 3)
	})
}
