package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
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

// TestDeedsAreCheckedAgain: an action comes of a scheduled one, and is approved,
// only while its author may have it done, and by who may have it done himself.
func TestDeedsAreCheckedAgain(t *testing.T) {
	d := newDesk(t)
	d.actors()
	admin := d.session
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+approvalSetting, `{"value":"1"}`))
	d.role("acts", false, rights.WriteAction, rights.ReadAction, rights.ReadPackage, rights.ApproveAction)
	linux, macs := d.machineGroup("Linux machines", " Is Linux equals True"), d.machineGroup("Macs", " Is Linux equals False")
	ann, bob := d.person("author", "acts"), d.person("approver", "acts")
	group := func(name string, of int64, u store.User) int64 {
		return d.made("user_groups", fmt.Sprintf(`{"name":%q,"group":{"id":%d},"user_list":[{"id":%d}]}`, name, of, u.ID))
	}
	theirs, approvers := group("authors", linux, ann), group("approvers", linux, bob)
	deploy := func() (saved int64) {
		t.Helper()
		d.ok(d.as(ann, "POST", "/api/v2/saved_actions", fmt.Sprintf(`{"name":"update","package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":%d}}`, linux)))
		all := d.list("/api/v2/saved_actions", true)
		return int64(all[len(all)-1]["id"].(float64))
	}
	approve := func(saved int64) (int, string) {
		w := d.as(bob, "POST", "/api/v2/saved_action_approvals", fmt.Sprintf(`{"id":%d,"approved_flag":1}`, saved))
		return w.Code, w.Body.String()
	}
	refused := func(why, text string, change, undo func()) {
		t.Helper()
		saved := deploy()
		d.session = admin
		change()
		if code, body := approve(saved); code != 403 || !strings.Contains(body, text) {
			t.Errorf("%s: approved with %d %s", why, code, body)
		}
		issue := func() error {
			return d.api.shelves.Change(t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
				_, err := d.api.issue(call{}, ch, ch.ByID("saved_action", saved))
				return err
			})
		}
		if err := issue(); !strings.HasPrefix(why, "the approver") && (fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), text)) {
			t.Errorf("%s: issued with %v", why, err)
		}
		undo()
		must(t, issue())
		if code, body := approve(saved); code != 200 {
			t.Errorf("%s, and not any more: %d %s", why, code, body)
		}
	}
	patch := func(path string, id int64, body string) func() {
		return func() { t.Helper(); d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/%s/%d", path, id), body)) }
	}
	within := func(groups, of int64) func() {
		return patch("user_groups", groups, fmt.Sprintf(`{"group":{"id":%d}}`, of))
	}
	refused("the author sees other machines now", "outside your management rights", within(theirs, macs), within(theirs, linux))
	refused("the author is locked out", "may not act any more", patch("users", ann.ID, `{"locked_out":1}`), patch("users", ann.ID, `{"locked_out":0}`))
	refused("the author deploys nothing any more", rights.WriteAction.String(), patch("users", ann.ID, `{"content_set_roles":[]}`), patch("users", ann.ID, `{"content_set_roles":[{"name":"acts"}]}`))
	refused("the approver sees other machines", "outside your management rights", within(approvers, macs), within(approvers, linux))
}

// TestGroupsOfRights: who may change groups only does not widen anybody's rights
// by any route, nor by a plain group that is a part of another.
func TestGroupsOfRights(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	admin := d.session
	d.role("groups", false, rights.ReadComputerGroup, rights.WriteComputerGroup, rights.ReadFilterGroup, rights.WriteFilterGroup, rights.ReadSensor, rights.ImportContent)
	d.role("and users", false, rights.WriteUser, rights.WriteUserGroup, rights.WritePersona)
	editor, chief := d.person("editor", "groups"), d.person("chief", "groups", "and users")
	plain := d.made("groups", `{"name":"Web","text":" Computer Name starts with web"}`)
	filtered := d.made("filter_groups", `{"name":"Databases","text":" Computer Name starts with db"}`)
	manual := d.made("computer_groups", `{"name":"By hand","computer_specs":[{"computer_name":"a"}]}`)
	free := d.made("groups", `{"name":"Nobody's","text":" Computer Name starts with x"}`)
	all := d.machineGroup("Servers", " (Web or Databases or By hand)")
	within := d.person("within")
	d.ok(d.call("PATCH", fmt.Sprint("/api/v2/users/", within.ID), fmt.Sprintf(`{"group_id":%d}`, all)))
	changes := map[string]string{
		fmt.Sprint("groups/", plain):                 `{"text":" Computer Name matches .*"}`,
		fmt.Sprint("filter_groups/", filtered):       `{"text":" Computer Name matches .*"}`,
		"filter_groups/by-name/Databases":            `{"filters":[{"sensor":{"name":"Computer Name"},"operator":"RegexMatch","value":".*"}],"text":""}`,
		fmt.Sprint("groups/", filtered):              `{"text":" Computer Name matches d.*"}`,
		fmt.Sprint("computer_groups/", manual):       `{"computer_specs":[{"computer_name":"a"},{"computer_name":"b"}]}`,
		fmt.Sprint("management_rights_groups/", all): `{"text":" (Web or Databases or By hand or Computer Name equals x)"}`,
		fmt.Sprint("groups/", all):                   `{"text":" (Web or Databases)"}`,
		"management_rights_groups/by-name/Servers":   `{"text":" Web"}`,
	}
	for path, body := range changes {
		if w := d.as(editor, "PATCH", "/api/v2/"+path, body); w.Code != 403 || !strings.Contains(w.Body.String(), rights.WriteUser.String()) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	content := `{"object_list":{"groups":[{"name":"Web","text":" Computer Name matches .*"}]}}`
	if w := d.send("POST", "/api/v2/import", content, "session", d.sessionOf(editor), optionsHeader, `{"default_import_conflict_option":1}`); w.Code != 403 {
		t.Errorf("import: %d %s", w.Code, w.Body)
	}
	d.ok(d.as(editor, "PATCH", fmt.Sprint("/api/v2/groups/", free), `{"text":" Computer Name matches .*"}`))
	d.ok(d.as(editor, "PATCH", fmt.Sprint("/api/v2/groups/", plain), `{"name":"Websites"}`)) // and the texts of others with it
	for _, path := range []string{fmt.Sprint("groups/", plain), fmt.Sprint("computer_groups/", manual)} {
		d.ok(d.as(chief, "PATCH", "/api/v2/"+path, changes[path]))
	}
	d.session = admin
	d.ok(d.call("PATCH", fmt.Sprint("/api/v2/users/", within.ID), `{"group_id":0}`))
	d.ok(d.as(editor, "PATCH", fmt.Sprint("/api/v2/groups/", plain), `{"text":" Computer Name starts with web"}`))
}

func (d *desk) sessionOf(u store.User) string { return d.begun(time.Now(), u) }
