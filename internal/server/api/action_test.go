package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// actors makes what actions need: groups, an action group, packages.
func (d *desk) actors() {
	d.firstGroups()
	d.made("action_groups", `{"name":"Default","groups":[{"id":1}],"and_flag":1,"public_flag":1}`)
	d.made("packages", `{"name":"Clean","command":"sh clean.sh","expire_seconds":120}`)
	d.made("packages", `{"name":"Set","command":"set $1 --to $2"}`)
	d.made("groups", `{"name":"Penguins","text":"Is Linux equals true"}`)
}

func TestActions(t *testing.T) {
	d := newDesk(t)
	d.actors()
	id := d.made("actions", `{"name":"Go","package_spec":{"id":1},"action_group":{"name":"Default"},"target_group":{"text":"Is Linux equals true and Computer Name contains x"},"comment":"c"}`)
	a := d.shown(fmt.Sprintf("actions/%d", id))
	for _, name := range []string{"action_group", "history_saved_question", "package_spec", "saved_action", "target_group", "user", "approver"} {
		if o, ok := a[name].(map[string]any); !ok || o["id"] == nil {
			t.Errorf("%s is %v", name, a[name])
		}
	}
	if a["status"] != actionOpen || a["stopped_flag"] != false || a["expire_seconds"] != 120.0 || a["package_spec"].(map[string]any)["command"] != "sh clean.sh" ||
		a["target_group"].(map[string]any)["text"] != " Is Linux equals true and Computer Name contains x" || a["saved_action"].(map[string]any)["id"] != 1.0 {
		t.Errorf("the action is %v", a)
	}
	if saved := d.shown("saved_actions/1"); saved["last_action"].(map[string]any)["id"] != float64(id) || saved["approved_flag"] != true || saved["issue_count"] != 1.0 || saved["next_start_time"] != "Never" {
		t.Errorf("its scheduled action is %v", saved)
	}
	w := d.call("GET", fmt.Sprintf("/api/v2/result_data/action/%d", id), "")
	if !strings.Contains(w.Body.String(), `"columns":[{"hash":3409330187,"name":"Computer Name","type":1},{"hash":1792443391,"name":"Action Statuses","type":1},{"hash":0,"name":"Count","type":3}],"rows":[]`) {
		t.Errorf("its result is %d %s", w.Code, w.Body)
	}
	d.ok(d.call("GET", fmt.Sprintf("/api/v2/result_info/action/%d", id), ""))
	stop := d.made("action_stops", fmt.Sprintf(`{"action":{"id":%d}}`, id))
	d.ok(d.call("GET", fmt.Sprintf("/api/v2/action_stops/%d", stop), ""))
	if a := d.shown(fmt.Sprintf("actions/%d", id)); a["status"] != actionStopped || a["stopped_flag"] != true {
		t.Errorf("stopped: %v", a)
	}
	d.denies("POST", "action_stops", fmt.Sprintf(`{"action":{"id":%d}}`, id), 400, "stopped already")
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/actions/%d", id), `{"comment":"new"}`))
	d.denies("PATCH", fmt.Sprintf("actions/%d", id), `{"expire_seconds":999}`, 400, "is not changed once it is made")
	if list := d.list("/api/v2/actions", true); len(list) != 1 || list[0]["comment"] != "new" {
		t.Errorf("actions are %v", list)
	}
	if list := d.list("/api/v2/actions/by-name/go", false); len(list) != 1 {
		t.Errorf("by name: %v", list)
	}

	param := d.made("actions", `{"package_spec":{"source_id":2,"parameters":[{"key":"$1","value":"a b"},{"key":"$2","value":"c;d"}]},"action_group":{"id":1},"target_group":{"name":"penguins"},"expire_seconds":600}`)
	a = d.shown(fmt.Sprintf("actions/%d", param))
	if p := a["package_spec"].(map[string]any); p["command"] != "set a%20b --to c%3Bd" || a["name"] != "Set" || a["target_group"].(map[string]any)["name"] != "Penguins" {
		t.Errorf("with parameters: %v", a)
	}
	d.denies("DELETE", "groups/by-name/Penguins", "", 405, "")
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	pending := d.made("actions", `{"package_spec":{"name":"clean"},"action_group":{"id":1},"target_group":{"id":1},"start_time":"`+later+`"}`)
	if a := d.shown(fmt.Sprintf("actions/%d", pending)); a["status"] != actionPending || a["start_time"] != later {
		t.Errorf("of later: %v", a)
	}
	old := d.api.shelves.ByID("action", pending).Object
	for _, tt := range []struct {
		at   time.Duration
		want string
	}{{0, actionPending}, {61 * time.Minute, actionOpen}, {2 * time.Hour, actionClosed}} {
		if got := d.api.actionStatus(old, time.Now().Add(tt.at)); got != tt.want {
			t.Errorf("after %v it is %s", tt.at, got)
		}
	}
	d.histories()
}

// histories are what TestActions has asked and done, as files.
func (d *desk) histories() {
	d.t.Helper()
	w := d.call("GET", "/api/v2/export?input=action_history&mode=csv", "")
	if lines := strings.Split(strings.TrimSpace(w.Body.String()), "\n"); len(lines) != 4 || !strings.HasPrefix(lines[0], "id,name,package") || !strings.Contains(lines[3], "Go,Clean") {
		d.t.Errorf("history is %s", w.Body)
	}
	d.ask("Get Computer Name from all machines")
	if h := data[[]map[string]string](d.t, d.call("GET", "/api/v2/export?input=question_history&mode=json", "")); len(h) != 1 || h[0]["query_text"] != "Get Computer Name from all machines" {
		d.t.Errorf("questions were %v", h)
	}
	d.made("actions", `{"name":"=SUM(1)","package_spec":{"name":"clean"},"action_group":{"id":1},"target_group":{"id":1}}`)
	for query, want := range map[string]string{
		"mode=csv&columns=name,%20id&ids=3,%204,99": "name,id\n'=SUM(1),4\nClean,3\n", // no spreadsheet takes it for a formula
		"mode=json&columns=name&ids=4":              `{"data":[{"name":"=SUM(1)"}]}` + "\n",
		"ids=99":                                    `{"data":[]}` + "\n",
	} {
		if w := d.call("GET", "/api/v2/export?input=action_history&"+query, ""); w.Body.String() != want {
			d.t.Errorf("%s: %s, want %s", query, w.Body, want)
		}
	}
	d.denies("GET", "export?input=action_history&columns=id,nope", "", 400, `columns: \"nope\" is none of id, name`)
	d.denies("GET", "export?input=x", "", 400, "neither question_history")
}

func TestSavedActions(t *testing.T) {
	d := newDesk(t)
	d.actors()
	id := d.made("saved_actions", `{"name":"Daily","package_spec":{"source_id":1},"action_group":{"id":1},"expire_seconds":3600,"issue_seconds":86400}`)
	s := d.shown(fmt.Sprintf("saved_actions/%d", id))
	if s["last_action"].(map[string]any)["id"] != 1.0 || s["target_group"].(map[string]any)["name"] != "All Computers" || s["next_start_time"] == "Never" || s["status"] != 0.0 {
		t.Errorf("the scheduled action is %v", s)
	}
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/saved_actions/%d", id), `{"status":1}`))
	if s := d.shown(fmt.Sprintf("saved_actions/%d", id)); s["next_start_time"] != "Never" || s["status"] != 1.0 {
		t.Errorf("disabled: %v", s)
	}
	if list := d.list("/api/v2/saved_actions/by-name/DAILY", false); len(list) != 1 {
		t.Errorf("by name: %v", list)
	}
	d.denies("DELETE", "packages/9", "", 404, "PackageNotFound")
	enabled := d.made("saved_actions", `{"name":"Used","package_spec":{"id":2,"parameters":[{"key":"$1","value":"1"},{"key":"$2","value":"2"}]},"action_group":{"id":1},"target_group":{"name":"Penguins"},"expire_seconds":3600}`)
	d.denies("DELETE", "packages/2", "", 400, `PackageInUse: the package \"Set\" cannot be deleted: it is used by the scheduled action \"Used\"`)
	d.denies("DELETE", "groups/3", "", 400, "GroupInUse")
	d.denies("DELETE", "action_groups/1", "", 400, "ActionGroupInUse")
	d.want(d.call("DELETE", fmt.Sprintf("/api/v2/saved_actions/%d", enabled), ""), 200, fmt.Sprintf(`{"data":{"id":%d}}`, enabled))
	for _, tt := range []struct {
		path, body string
		status     int
		text       string
	}{
		{"actions", `{"action_group":{"id":1},"target_group":{"id":1}}`, 400, "ActionRequiresPackage"},
		{"actions", `{"package_spec":{"id":77},"action_group":{"id":1},"target_group":{"id":1}}`, 404, "PackageNotFound"},
		{"actions", `{"package_spec":{"id":1},"action_group":{"id":1}}`, 400, "target_group"},
		{"actions", `{"package_spec":{"id":1},"action_group":{"id":9},"target_group":{"id":1}}`, 400, "no action group with number 9"},
		{"actions", `{"package_spec":{"id":1},"target_group":{"id":1}}`, 400, "action_group"},
		{"actions", `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":{"name":"Nobody"}}`, 404, "GroupNotFound"},
		{"actions", `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":{"text":"Nothing equals"}}`, 400, "InvalidGroupQueryText"},
		{"actions", `{"package_spec":{"id":2},"action_group":{"id":1},"target_group":{"id":1}}`, 400, "needs a value for the parameter $1"},
		{"actions", `{"package_spec":{"id":1,"parameters":[{"key":"$1","value":"x"}]},"action_group":{"id":1},"target_group":{"id":1}}`, 400, "has no parameter $1"},
		{"actions", `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":1},"expire_seconds":5}`, 400, "expire_seconds"},
		{"actions", `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":1},"expire_seconds":100,"distribute_seconds":101}`, 400, "distribute_seconds"},
		{"saved_actions", `{"package_spec":{"id":1},"action_group":{"id":1},"expire_seconds":100,"status":7}`, 400, "status"},
		{"saved_actions", `{"package_spec":{"id":1},"action_group":{"id":1},"expire_seconds":100,"start_time":"2026-01-02T00:00:00Z","end_time":"2026-01-01T00:00:00Z"}`, 400, "end_time"},
		{"action_stops", `{"action":{"id":99}}`, 404, "ActionNotFound"},
		{"action_groups", `{"groups":[]}`, 400, "ActionGroupNameInvalid"},
	} {
		d.denies("POST", tt.path, tt.body, tt.status, tt.text)
	}
}

// TestApproval: with the setting, an action waits for the word of a second
// person.
func TestApproval(t *testing.T) {
	d := newDesk(t)
	d.actors()
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+approvalSetting, `{"value":"1"}`))
	set := rights.Of([]rights.Role{{Grants: []rights.Grant{
		{Privilege: rights.WriteAction}, {Privilege: rights.ReadAction}, {Privilege: rights.ApproveAction}, {Privilege: rights.ReadPackage},
	}}}, nil)
	d.api.rightsOf = func(store.User) rights.Rights { return set }
	id := d.made("actions", `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":1}}`)
	if a := d.shown(fmt.Sprintf("actions/%d", id)); a["status"] != actionPending {
		t.Errorf("not approved: %v", a)
	}
	if list := d.list("/api/v2/saved_action_approvals", false); len(list) != 1 || list[0]["approved_flag"] != false {
		t.Errorf("waiting are %v", list)
	}
	d.denies("POST", "saved_action_approvals", `{"id":1,"approved_flag":1}`, 403, "RBACInvalidOperation: nobody approves what is his own")
	d.denies("POST", "saved_action_approvals", `{"id":9,"approved_flag":1}`, 404, `{"text":"REST Object Not Found Exception:  SavedActionNotFound: `)
	d.denies("POST", "actions", `{"name":"x","action_group":{"id":1}}`, 400, "ActionRequiresPackage")
	bob, err := d.store.CreateUser(t.Context(), store.User{Name: "bob", Created: time.Now()})
	must(t, err)
	must(t, d.api.shelves.Change(t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		o := object.New(object.ShapeOf("user"))
		o.Set("name", bob.Name)
		_, err := ch.Create("user", bob.ID, o)
		return err
	}))
	first := d.session
	d.session = d.begun(time.Now(), bob)
	d.ok(d.call("POST", "/api/v2/saved_action_approvals", `{"id":1,"approved_flag":1}`))
	a := d.shown(fmt.Sprintf("actions/%d", id))
	if a["status"] != actionOpen || a["approver"].(map[string]any)["name"] != "bob" {
		t.Errorf("approved: %v", a)
	}
	d.denies("POST", "saved_action_approvals", `{"id":1,"approved_flag":1}`, 403, "RBACInvalidOperation: the action needs no approval")
	d.ok(d.call("PATCH", "/api/v2/saved_actions/1", `{"name":"same deed"}`))
	if s := d.shown("saved_actions/1"); s["approved_flag"] != true {
		t.Errorf("renamed: %v", s)
	}
	d.ok(d.call("PATCH", "/api/v2/saved_actions/by-name/SAME%20deed", `{"comment":"by name"}`))
	if s := d.shown("saved_actions/1"); s["comment"] != "by name" {
		t.Errorf("changed by name: %v", s)
	}
	d.denies("PATCH", "saved_actions/by-name/nothing", `{}`, 404, "SavedActionNotFound")
	d.session = first
	d.made("saved_actions", `{"name":"Same Deed","package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":1}}`)
	d.denies("PATCH", "saved_actions/by-name/same%20deed", `{"comment":"x"}`, 400, "UpdateSavedActionFailed: 2 scheduled actions")
	d.ok(d.call("PATCH", "/api/v2/saved_actions/1", `{"target_group":{"id":3}}`))
	if s := d.shown("saved_actions/1"); s["approved_flag"] != false {
		t.Errorf("sent elsewhere, and still approved: %v", s)
	}
}

func TestDashboards(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.made("saved_questions", `{"name":"Q","query_text":"Get Computer Name from all machines"}`)
	d.made("dashboards", `{"name":"Board","saved_question_list":[{"name":"Q"}],"public_flag":true}`)
	d.made("dashboard_groups", `{"name":"Category","dashboard_list":[{"id":1}]}`)
	d.denies("DELETE", "dashboards/1", "", 400, "DashboardInUse")
	d.denies("DELETE", "saved_questions/1", "", 400, "SavedQuestionInUse")
	d.denies("POST", "dashboards", `{}`, 400, "name")
	d.made("white_listed_urls", `{"url_regex":"https://example\\.org/.*","download_seconds":86400}`)
	d.denies("POST", "white_listed_urls", `{"url_regex":"https://example\\.org/.*"}`, 400, "WhiteListedURLAlreadyExists")
	d.denies("POST", "white_listed_urls", `{"url_regex":"("}`, 400, "url_regex")
	d.denies("POST", "white_listed_urls", `{}`, 400, "url_regex")
	d.ok(d.call("PATCH", "/api/v2/white_listed_urls/1", `{"url_regex":"https://example\\.org/.*","expire_seconds":5}`))
	if list := d.list("/api/v2/plugins", true); len(list) != 0 {
		t.Errorf("plugins are %v", list)
	}
	d.denies("POST", "run_plugin", `{"name":"x","bundle":"y"}`, 404, "PluginNotFound")
	d.denies("POST", "plugin_schedules", `{"name":"x","plugin_name":"y","enabled":true}`, 404, "PluginNotFound")
	d.denies("POST", "plugin_schedules", `{"name":"x","run_interval_seconds":5}`, 400, "PluginScheduleInvalid")
	d.made("plugin_schedules", `{"name":"x","plugin_name":"y","run_interval_seconds":3600}`)
}
