package cli

import (
	"net/http"
	"strings"
	"testing"
)

// servePeople answers about one user, bob, and about what was done to him.
func servePeople(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v2/audit_logs/{type}/{id}", func(w http.ResponseWriter, r *http.Request) {
		reply(w, []any{map[string]any{"entries": []any{map[string]any{
			"audit_row_id": 7, "creation_time": "2026-11-22T08:00:00Z", "last_modified_by": "ann", "ip_address": "10.0.0.1",
			"type_name": "update", "object_type_name": "user", "object_id": 5, "object_name": "bob",
			"details": r.PathValue("type") + " " + r.PathValue("id") + " " + r.URL.RawQuery,
		}}}, map[string]any{"cache_id": 0}})
	})
	mux.HandleFunc("GET /api/v2/audit_types", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, []any{map[string]any{"id": 1, "name": "users", "object_type_name": "user"}})
	})
	bob := map[string]any{"id": 5, "name": "bob"}
	mux.HandleFunc("GET /api/v2/users/by-name/bob", func(w http.ResponseWriter, _ *http.Request) { reply(w, bob) })
	mux.HandleFunc("PATCH /api/v2/users/5", func(w http.ResponseWriter, r *http.Request) {
		if in, ok := read[map[string]string](w, r); ok {
			if in["password"] != "new secret" {
				refuse(w, http.StatusBadRequest, "not that password")
				return
			}
			reply(w, bob)
		}
	})
}

func TestAudit(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	out, errs, code := p.run("audit", "users", "5", "--since", "2026-11-01", "--limit", "9")
	want := `Time                  Who  From      Did     To   Number  Details
2026-11-22T08:00:00Z  ann  10.0.0.1  update  bob       5  users 5 audit_history_size=9&start_time=2026-11-01
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	if out := p.says(t, "audit", "types"); !strings.Contains(out, "users") {
		t.Errorf("types are %s", out)
	}
	for _, args := range [][]string{{"audit"}, {"audit", "users", "bob"}, {"audit", "users", "--limit", "0"}} {
		if _, errs, code := p.run(args...); code != exitUsage {
			t.Errorf("%v: code %d, %s", args, code, errs)
		}
	}
}

func TestUserPassword(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	if _, errs, code := p.run("user", "password", "bob"); code == exitOK || !strings.Contains(errs, "--password-stdin") {
		t.Errorf("without a terminal: code %d, %s", code, errs)
	}
	p.piped = "new secret\n"
	if _, errs, code := p.run("user", "password", "bob", "--password-stdin"); code != exitOK || !strings.Contains(errs, "Changed the password of the user bob (5).") {
		t.Errorf("piped: code %d, %s", code, errs)
	}
	p.piped, p.typed, p.hidden = "", "x", "new secret"
	if _, errs, code := p.run("user", "password", "bob"); code != exitOK {
		t.Errorf("typed: code %d, %s", code, errs)
	}
}
