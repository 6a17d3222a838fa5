package api

import (
	"fmt"
	"strings"
	"testing"

	"catenary/internal/server/rights"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// TestMachines: who sees some machines only sees nothing of others, by no way.
func TestMachines(t *testing.T) {
	d := newDesk(t)
	group := func(name, text string) int64 {
		return data[struct{ ID int64 }](t, d.call("POST", "/api/v2/management_rights_groups", fmt.Sprintf(`{"name":%q,"text":%q}`, name, text))).ID
	}
	linux, other := group("Linux machines", " Is Linux equals True"), group("Others", " Is Linux equals False")
	person := func(name string, groups ...int64) store.User {
		u := d.person(name, "Operator", "Read Only")
		for i, g := range groups {
			d.ok(d.call("POST", "/api/v2/user_groups", fmt.Sprintf(`{"name":"%s %d","group":{"id":%d},"user_list":[{"id":%d}]}`, name, i, g, u.ID)))
		}
		return u
	}
	everywhere, both, some, again := person("everywhere"), person("both", linux, other), person("some", linux), person("again", linux)
	ask := func(u store.User) uint64 {
		d.t.Helper()
		return data[idObject](t, d.as(u, "POST", "/api/v2/questions", `{"query_text":"Get Computer Name from all machines"}`)).ID
	}
	questions := map[string]uint64{"everywhere": ask(everywhere), "both": ask(both), "some": ask(some)}
	for _, a := range d.fleet.asked[1:] {
		if a.Rights == nil || !strings.HasPrefix(a.Scope, "within ") {
			t.Errorf("was asked with the rights %v, scope %q", a.Rights, a.Scope)
		}
	}
	if a := d.fleet.asked[0]; a.Rights != nil || a.Scope != "" {
		t.Errorf("who sees everything asks with the rights %v, scope %q", a.Rights, a.Scope)
	}
	for _, id := range questions {
		d.fleet.say(id, func(r *tally.Result) { r.Rows = rows("a") })
		d.fleet.accounts[id] = store.Account{Counts: store.Counts{Answered: 1}}
	}
	for _, tt := range []struct {
		who  store.User
		sees []string
	}{
		{everywhere, []string{"everywhere", "both", "some"}}, {both, []string{"both", "some"}},
		{some, []string{"some"}}, {again, []string{"some"}},
	} {
		for of, id := range questions {
			want := 403
			for _, s := range tt.sees {
				if s == of {
					want = 200
				}
			}
			for _, path := range []string{"result_data/question/%d", "result_info/question/%d", "merged_result_data/question/%[1]d/question/%[1]d"} {
				w := d.as(tt.who, "GET", "/api/v2/"+fmt.Sprintf(path, id), "")
				if w.Code != want && (want == 403 || !strings.Contains(path, "merged")) {
					t.Errorf("%s: %s of %s: %d %s", tt.who.Name, path, of, w.Code, w.Body)
				}
			}
			if want == 200 {
				continue // a stream of events would not end
			}
			if w := d.as(tt.who, "GET", fmt.Sprintf("/api/v2/questions/%d/events", id), ""); w.Code != want {
				t.Errorf("%s: events of %s: %d", tt.who.Name, of, w.Code)
			}
		}
		want := 403
		if tt.who.ID == everywhere.ID {
			want = 200
		}
		for _, path := range []string{"system_status", "audit_findings", "unregistered_clients", "sensor_quarantines", fmt.Sprintf("questions/%d/account", questions["some"])} {
			if w := d.as(tt.who, "GET", "/api/v2/"+path, ""); w.Code != want || want == 403 && !strings.Contains(w.Body.String(), "management rights") {
				t.Errorf("%s: %s: %d %s", tt.who.Name, path, w.Code, w.Body)
			}
		}
	}
}

func TestHistory(t *testing.T) {
	d := newDesk(t)
	d.role("asks only", false, rights.AskDynamicQuestion, rights.ReadSensor)
	bob := d.person("bob", "asks only")
	theirs := d.ask("Get Computer Name from all machines")
	mine := data[idObject](t, d.as(bob, "POST", "/api/v2/questions", `{"query_text":"Get Operating System from all machines"}`)).ID
	for _, path := range []string{"questions/%d", "result_data/question/%d", "result_info/question/%d", "questions/%d/account"} {
		if w := d.as(bob, "GET", "/api/v2/"+fmt.Sprintf(path, theirs), ""); w.Code != 403 {
			t.Errorf("%s of another: %d %s", path, w.Code, w.Body)
		}
		if w := d.as(bob, "GET", "/api/v2/"+fmt.Sprintf(path, mine), ""); w.Code == 403 {
			t.Errorf("%s of mine: %d %s", path, w.Code, w.Body)
		}
	}
	if w := d.as(bob, "GET", "/api/v2/questions", ""); strings.Contains(w.Body.String(), "Computer Name") || !strings.Contains(w.Body.String(), "Operating System") {
		t.Errorf("the list of questions is %s", w.Body)
	}
}
