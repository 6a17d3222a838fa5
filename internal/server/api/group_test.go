package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/plan"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/value"
)

// firstGroups makes the groups that each installation has.
func (d *desk) firstGroups() {
	d.t.Helper()
	must(d.t, d.api.shelves.Change(d.t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		for i, text := range []string{"", " any Computer Name not matches .*"} {
			o := object.New(object.ShapeOf("group"))
			o.Set("name", []string{"All Computers", "No Computers"}[i])
			o.Set("text", text)
			if _, err := ch.Create("group", int64(i+1), o); err != nil {
				return err
			}
		}
		return nil
	}))
}

// made makes an object and returns its number.
func (d *desk) made(path, body string) int64 {
	d.t.Helper()
	w := d.call("POST", "/api/v2/"+path, body)
	d.ok(w)
	return int64(data[map[string]any](d.t, w)["id"].(float64))
}

// shown is an object as programs see it.
func (d *desk) shown(path string) map[string]any {
	d.t.Helper()
	w := d.call("GET", "/api/v2/"+path, "")
	d.ok(w)
	return data[map[string]any](d.t, w)
}

// denies wants an error with a text in it.
func (d *desk) denies(method, path, body string, status int, text string) {
	d.t.Helper()
	w := d.call(method, "/api/v2/"+path, body)
	if w.Code != status || !strings.Contains(w.Body.String(), text) {
		d.t.Errorf("%s %s %.100s: %d %s\nwant %d with %s", method, path, body, w.Code, w.Body, status, text)
	}
}

func TestGroups(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	linux := d.made("groups", `{"name":"Linux","text":"Is Linux equals true"}`)
	d.made("filter_groups", `{"name":"Desks","filters":[{"sensor":{"name":"Computer Name"},"operator":"RegexMatch","value":"desk.*"}],"sub_groups":[{"name":"linux","not_flag":true}]}`)
	g := d.shown("groups/by-name/DESKS")
	if g["text"] != " Computer Name starts with desk and not Linux" || g["filter_flag"] != true || g["type"] != 0.0 || g["and_flag"] != true {
		t.Errorf("the group is %v", g)
	}
	filters := g["filters"].([]any)
	if name := filters[0].(map[string]any)["sensor"].(map[string]any)["name"]; name != "Computer Name" {
		t.Errorf("its filter is %v", filters)
	}
	if _, there := g["computer_specs"]; there {
		t.Errorf("says more than programs know: %v", g)
	}
	if got := d.list("/api/v2/filter_groups", true); len(got) != 1 {
		t.Errorf("filter groups are %v", got)
	}

	// In questions, by name; renamed, everywhere.
	d.ask("Get Computer Name from all machines with Desks")
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/groups/%d", linux), `{"name":"Penguins and more"}`))
	if got := d.shown("groups/by-name/Desks")["text"]; got != ` Computer Name starts with desk and not "Penguins and more"` {
		t.Errorf("after renaming: %v", got)
	}
	id := d.ask(`Get Computer Name from all machines with "penguins AND more"`)
	if got := d.shown(fmt.Sprintf("questions/%d", id))["query_text"]; got != `Get Computer Name from all machines with "Penguins and more"` {
		t.Errorf("the question is %s", got)
	}

	// A changed text, and changed objects.
	d.ok(d.call("PATCH", "/api/v2/groups/by-name/Desks", `{"text":"Computer Name contains x or Operating System contains y"}`))
	if g := d.shown("groups/by-name/Desks"); g["and_flag"] != false || len(g["filters"].([]any)) != 2 {
		t.Errorf("after a new text: %v", g)
	}
	d.ok(d.call("PATCH", "/api/v2/groups/by-name/Desks", `{"filters":[{"sensor":{"name":"Operating System"},"operator":"Equal","value":"z"}]}`))
	if g := d.shown("groups/by-name/Desks"); g["text"] != " Operating System equals z" {
		t.Errorf("after new filters: %v", g)
	}
	adHoc := d.made("groups", `{"text":"Operating System contains Debian"}`)
	if g := d.shown(fmt.Sprintf("groups/%d", adHoc)); g["type"] != 3.0 || g["name"] != "" {
		t.Errorf("without a name: %v", g)
	}
}

func TestManualGroup(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.fleet.sensors = append(d.fleet.sensors, sensor.Sensor{
		Name: sensorIPAddress, MaxAge: time.Minute, IgnoreCase: true, Columns: []sensor.Column{{Name: sensorIPAddress, Type: value.IPAddress}},
	})
	must(t, d.fleet.renew())
	id := d.made("computer_groups", `{"name":"Mine","computer_specs":[{"computer_name":"a.b"},{"ip_address":"10.0.0.1"},{"computer_name":"c"}]}`)
	g := d.shown("computer_groups/by-name/mine")
	if specs := g["computer_specs"].([]any); len(specs) != 3 || g["text"] != nil {
		t.Errorf("the group is %v", g)
	}
	if text := d.shown("groups/by-name/mine")["text"]; text != fmt.Sprintf(" Manual Group Membership equals %d", id) {
		t.Errorf("its text is %v", text)
	}
	empty := d.made("computer_groups", `{"name":"Nobody"}`)
	none, err := d.store.Question(t.Context(), d.ask("Get Computer Name from all machines with Nobody"))
	must(t, err)
	same(t, d.shown(fmt.Sprintf("groups/%d", empty))["type"], any(4.0))
	if p, err := plan.Decode(none.Plan); err != nil || p.Matches(func(int) plan.Values { return plan.Values{Rows: [][]string{{"a"}}} }) {
		t.Errorf("a machine is in a group that lists none: %v", err)
	}
	d.ok(d.call("DELETE", fmt.Sprintf("/api/v2/computer_groups/%d", empty), ""))
	// What we say of the group can be said to us.
	again, err := d.store.Question(t.Context(), d.ask(fmt.Sprintf("Get Computer Name from all machines with Manual Group Membership equals %d", id)))
	must(t, err)
	same(t, again.Text, "Get Computer Name from all machines with Mine")
	d.made("groups", fmt.Sprintf(`{"name":"Around it","text":" Manual Group Membership equals %d"}`, id))
	asked := d.ask("Get Computer Name from all machines with Mine")
	same(t, d.shown(fmt.Sprintf("questions/%d", asked))["group"].(map[string]any)["type"], any(4.0))
	within := d.shown(fmt.Sprintf("questions/%d", d.ask("Get Computer Name from all machines with (Mine or Is Linux equals True)")))["group"].(map[string]any)
	same(t, []any{within["type"], within["sub_groups"].([]any)[0].(map[string]any)["type"]}, []any{0.0, 4.0})
	q, err := d.store.Question(t.Context(), asked)
	must(t, err)
	p, err := plan.Decode(q.Plan)
	must(t, err)
	for _, tt := range []struct {
		name, addr string
		in         bool
	}{{"a.b", "", true}, {"A.B", "", true}, {"axb", "", false}, {"cc", "", false}, {"x", "10.0.0.1", true}, {"x", "10.0.0.11", false}} {
		said := map[string]string{sensorComputerName: tt.name, sensorIPAddress: tt.addr}
		if got := p.Matches(func(use int) plan.Values { return plan.Values{Rows: [][]string{{said[p.Sensors[use].Name]}}} }); got != tt.in {
			t.Errorf("%+v: %v", tt, got)
		}
	}
	if list := d.list("/api/v2/computer_groups", false); len(list) != 1 || list[0]["name"] != "Mine" {
		t.Errorf("manual groups are %v", list)
	}
}

func TestGroupsRefused(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.made("groups", `{"name":"A","text":"Is Linux equals true"}`)
	d.made("groups", `{"name":"B","text":"A and Operating System contains x"}`)
	d.made("saved_questions", `{"name":"Of B","query_text":"Get Computer Name from all machines with B"}`)
	for _, tt := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "groups", `{"name":"a","text":"Is Linux equals true"}`, 400, `GroupNameNotUnique: there is a group \"a\" already`},
		{"POST", "groups", `{"name":"C","text":"Is Linux equals"}`, 400, `InvalidGroupQueryText: column 16: expected a value`},
		{"POST", "groups", `{"name":"C","text":"Nothing equals x"}`, 400, `InvalidGroupQueryText`},
		{"POST", "groups", `{"name":"C"}`, 400, `InvalidGroupQueryText: a group needs a text`},
		{"POST", "groups", `{"name":"C","filters":[{"sensor":{"name":"Nothing"}}]}`, 404, `SensorNotFound`},
		{"POST", "groups", `{"name":"C","sub_groups":[{"name":"Nobody"}]}`, 404, `GroupNotFound`},
		{"POST", "computer_groups", `{"computer_specs":[{"computer_name":"x"}]}`, 400, `ComputerGroupNameRequired`},
		{"POST", "computer_groups", `{"name":"M","computer_specs":[{}]}`, 400, `computer_specs[0]`},
		{"POST", "computer_groups", `{"name":"M","computer_specs":[{"ip_address":"10.0.0.256"}]}`, 400, `computer_specs[0].ip_address\": \"10.0.0.256\" is no address`},
		{"POST", "computer_groups", `{}`, 400, `ComputerGroupNameRequired`},
		{"POST", "computer_groups", `{"name":"a"}`, 400, `ComputerGroupAlreadyExists`},
		{"POST", "filter_groups", `{"text":"Is Linux equals true"}`, 400, `ComputerGroupNameRequired`},
		{"PATCH", "groups/1", `{"name":"x"}`, 400, `CannotUpdateOrDeleteReservedGroup`},
		{"DELETE", "filter_groups/by-name/No%20Computers", ``, 405, ``},
		{"DELETE", "groups/2", ``, 400, `CannotUpdateOrDeleteReservedGroup`},
		{"PATCH", "groups/by-name/A", `{"text":"B or Is Linux equals x"}`, 400, `the group is part of itself`},
		{"PATCH", "groups/by-name/A", `{"sub_groups":[{"name":"A"}]}`, 400, `the group is part of itself`},
		{"DELETE", "groups/3", ``, 400, `GroupInUse: the group \"A\" cannot be deleted: it is used by the group \"B\"`},
		{"DELETE", "groups/4", ``, 400, `used by the saved question \"Of B\"`},
		{"GET", "groups/99", ``, 404, `GroupNotFound`},
	} {
		d.denies(tt.method, tt.path, tt.body, tt.status, tt.text)
	}
	d.ok(d.call("DELETE", "/api/v2/saved_questions/1", ""))
	d.want(d.call("DELETE", "/api/v2/groups/4", ""), 200, `{"data":{"id":4}}`)
	d.want(d.call("DELETE", "/api/v2/groups/3", ""), 200, `{"data":{"id":3}}`)
	d.denies("POST", "questions", `{"query_text":"Get Computer Name from all machines with A"}`, 400, "")
}

func TestTexts(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.want(d.call("POST", "/api/v2/build_group_text", `{"filters":[{"sensor":{"name":"Is Linux"},"operator":"Equal","value":"true"}],"sub_groups":[{"id":1,"not_flag":true}]}`),
		200, `{"text":"Is Linux equals true and not All Computers"}`)
	w := d.call("POST", "/api/v2/build_question_text", `{"selects":[{"sensor":{"hash":3409330187}}],"group":{"text":"Is Linux equals true"}}`)
	if w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"text":"Get Computer Name from all machines with Is Linux equals true","group":{`) {
		t.Errorf("the question is %d %s", w.Code, w.Body)
	}
	d.denies("POST", "build_group_text", `{"filters":[{"sensor":{"name":"Nothing"}}]}`, 404, "SensorNotFound")
	d.denies("POST", "build_question_text", `{"selects":[{"sensor":{"name":"Nothing"}}]}`, 404, "SensorNotFound")
}
