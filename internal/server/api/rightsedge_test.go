package api

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/signin/signintest"
)

// TestRightsOfSensorsElsewhere: nobody learns what a sensor says who may not read
// it, be it by what a question is about, by what it costs, by an assistant, or by
// the machines of an action, about which a question can be asked afterwards.
func TestRightsOfSensorsElsewhere(t *testing.T) {
	d := newDesk(t)
	d.actors()
	asks := []rights.Privilege{rights.AskDynamicQuestion, rights.WriteAction, rights.ReadAction, rights.ReadPackage, rights.WriteSavedQuestion}
	d.role("asks", false, asks...)
	d.role("reads all", false, rights.ReadSensor)
	secret := d.made("content_sets", `{"name":"Secret"}`)
	d.ok(d.call("PATCH", "/api/v2/sensors/by-name/Is%20Linux", fmt.Sprintf(`{"content_set":{"id":%d}}`, secret)))
	some := d.made("content_sets", `{"name":"Open"}`)
	d.ok(d.call("PATCH", "/api/v2/sensors/by-name/Computer%20Name", fmt.Sprintf(`{"content_set":{"id":%d}}`, some)))
	d.made("content_set_roles", `{"name":"reads some","content_set_role_privileges":[{"content_set":{"name":"Open"},"content_set_privilege":{"name":"Read Sensor"}}]}`)
	blind, reader := d.person("blind", "asks", "reads some"), d.person("reader", "asks", "reads all")
	const text, parts = `{"text":"Is Linux equals True"}`, `{"filters":[{"sensor":{"name":"Is Linux"},"operator":"Equal","value":"True"}]}`
	question := func(about string) string {
		return `{"query_text":"Get Computer Name from all machines","context_group":` + about + `}`
	}
	action := func(target string) string {
		return `{"package_spec":{"id":1},"action_group":{"id":1},"target_group":` + target + `}`
	}
	for _, tt := range []struct{ path, body string }{
		{"questions", question(text)}, {"questions", question(parts)},
		{"questions/estimate", question(text)}, {"questions/estimate", `{"query_text":"Get Is Linux from all machines"}`},
		{"actions", action(text)}, {"actions", action(parts)}, {"saved_actions", action(text)},
	} {
		path := "/api/v2/" + tt.path
		if w := d.as(blind, "POST", path, tt.body); w.Code != 403 || !strings.Contains(w.Body.String(), "Read Sensor") {
			t.Errorf("POST %s %s without the right: %d %s", path, tt.body, w.Code, w.Body)
		}
		if w := d.as(reader, "POST", path, tt.body); w.Code != 200 {
			t.Errorf("POST %s %s: %d %s", path, tt.body, w.Code, w.Body)
		}
	}
	for body, code := range map[string]int{question(`{"name":"Penguins"}`): 200, action(`{"name":"Penguins"}`): 200} { // who made the group may read it
		path := "/api/v2/questions"
		if strings.Contains(body, "package_spec") {
			path = "/api/v2/actions"
		}
		if w := d.as(blind, "POST", path, body); w.Code != code {
			t.Errorf("POST %s %s: %d %s", path, body, w.Code, w.Body)
		}
	}
	for _, asked := range []string{"Get Is Linux from all machines", "is linx"} {
		body := fmt.Sprintf(`{"text":%q}`, asked)
		if w := d.as(reader, "POST", "/api/v2/parse_question", body); !strings.Contains(w.Body.String(), "Is Linux") {
			t.Errorf("%s is read as %s", asked, w.Body)
		}
		if w := d.as(blind, "POST", "/api/v2/parse_question", body); w.Code != 200 || strings.Contains(w.Body.String(), "Is Linux") {
			t.Errorf("%s is read as %d %s for who may not read the sensor", asked, w.Code, w.Body)
		}
	}
}

// TestSavedFromHistory: nobody reads a question of somebody else by keeping it.
func TestSavedFromHistory(t *testing.T) {
	d := newDesk(t)
	d.role("keeps", false, rights.AskDynamicQuestion, rights.ReadSensor, rights.WriteSavedQuestion)
	keeper := d.person("keeper", "keeps")
	id := d.ask("Get Computer Name from all machines")
	body := fmt.Sprintf(`{"name":"kept","question":{"id":%d}}`, id)
	d.refuses(d.as(keeper, "POST", "/api/v2/saved_questions", body), 403, "Read Question History")
	d.ok(d.call("POST", "/api/v2/saved_questions", body))
}

// TestImportOfWhatIsHidden: an import shows and changes nothing that its author
// cannot see, or sees by other privileges only.
func TestImportOfWhatIsHidden(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.role("imports", false, rights.ImportContent, rights.ReadSensor, rights.WriteSavedQuestion, rights.WriteFilterGroup, rights.WriteDashboard)
	importer := d.person("importer", "imports")
	saved := d.made("saved_questions", `{"name":"private","query_text":"Get Computer Name from all machines"}`)
	d.made("dashboards", `{"name":"mine","text":"private"}`)
	group := d.made("groups", `{"name":"Penguins","text":"Is Linux equals true"}`)
	for _, body := range []string{
		`{"object_list":{"saved_questions":[{"name":"Private","query_text":"Get Is Linux from all machines"}]}}`,
		`{"object_list":{"dashboards":[{"name":"mine","text":"public"}]}}`,
		`{"object_list":{"filter_groups":[{"name":"penguins","text":"Is Linux equals false"}]}}`,
	} {
		for _, options := range []string{`{"import_analyze_conflicts_only":1}`, `{"default_import_conflict_option":1}`, ``} {
			w := d.send("POST", "/api/v2/import", body, "session", d.begun(time.Now(), importer), "tanium-options", options)
			if w.Code != 400 || !strings.Contains(w.Body.String(), "already") || strings.Contains(w.Body.String(), "Get Computer Name") {
				t.Errorf("%s with %s: %d %s", body, options, w.Code, w.Body)
			}
		}
	}
	if text := d.shown(fmt.Sprintf("saved_questions/%d", saved))["query_text"]; text != "Get Computer Name from all machines" {
		t.Errorf("the saved question is now %v", text)
	}
	if text := d.shown(fmt.Sprintf("groups/%d", group))["text"]; text != " Is Linux equals true" {
		t.Errorf("the group is now %v", text)
	}
}

// TestImportLater: an import that waits happens with the rights of when it
// happens.
func TestImportLater(t *testing.T) {
	d := newDesk(t)
	importer := d.person("importer", "Content Administrator")
	session := d.begun(time.Now(), importer)
	const body = `{"object_list":{"content_sets":[{"name":"late"}]}}`
	job := data[idObject](t, d.send("POST", "/api/v2/import", body, "session", session, "Prefer", "respond-async"))
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", importer.ID), `{"content_set_roles":[{"name":"Read Only"}]}`))
	work := (<-d.api.imports.queue).work
	work.c.Request = work.c.Clone(t.Context())
	if _, err := d.api.runLater(t.Context(), work); fault.KindOf(err) != fault.Denied {
		t.Errorf("import %d by who has lost the right: %v", job.ID, err)
	}
	if d.api.shelves.ByName("content_set", "late") != nil {
		t.Error("the import has happened")
	}
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", importer.ID), `{"content_set_roles":[{"name":"Content Administrator"}]}`))
	if out, err := d.api.runLater(t.Context(), work); err != nil || !out.Applied {
		t.Errorf("%+v, %v", out, err)
	}
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", importer.ID), `{"locked_out":1}`))
	if _, err := d.api.runLater(t.Context(), work); fault.KindOf(err) != fault.Denied {
		t.Errorf("by who is locked out: %v", err)
	}
}

// TestActionsOfOthersMachines: who sees some machines only neither changes nor
// stops nor deletes what is to be done on others.
func TestActionsOfOthersMachines(t *testing.T) {
	d := newDesk(t)
	d.actors()
	mine := d.made("management_rights_groups", `{"name":"Mine","text":"Is Linux equals True"}`)
	bob := d.within("bob", mine)
	all := d.made("saved_actions", `{"name":"All","package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":1},"expire_seconds":3600}`)
	his := d.made("saved_actions", fmt.Sprintf(`{"name":"His","package_spec":{"id":1},"action_group":{"id":1},"target_group":{"id":%d},"expire_seconds":3600}`, mine))
	const outside = "outside your management rights"
	path := func(id int64) string { return fmt.Sprintf("/api/v2/saved_actions/%d", id) }
	narrow := fmt.Sprintf(`{"target_group":{"id":%d}}`, mine)
	d.refuses(d.as(bob, "PATCH", path(all), narrow), 403, outside)
	d.refuses(d.as(bob, "PATCH", path(all), `{"status":1}`), 403, outside)
	d.refuses(d.as(bob, "DELETE", path(all), ""), 403, outside)
	d.refuses(d.as(bob, "POST", "/api/v2/action_stops", `{"action":{"id":1}}`), 403, outside)
	d.ok(d.as(bob, "PATCH", path(his), `{"status":1}`))
	d.ok(d.as(bob, "POST", "/api/v2/action_stops", `{"action":{"id":2}}`))
	d.ok(d.as(bob, "DELETE", path(his), ""))
}

// TestMetricsNeedARight: who may not read how the server fares does not read it
// in lines either.
func TestMetricsNeedARight(t *testing.T) {
	d := newDesk(t)
	d.refuses(d.as(d.person("bob"), "GET", "/metrics", ""), 403, "Read Server Status")
	if w := d.call("GET", "/metrics", ""); w.Code != 200 {
		t.Errorf("with the right: %d %s", w.Code, w.Body)
	}
	d.from = "127.0.0.1:4711"
	if w := d.send("GET", "/metrics", ""); w.Code != 200 {
		t.Errorf("from this machine: %d %s", w.Code, w.Body)
	}
}

// TestTokenOfToken: what a token makes lives no longer, is used from nowhere else
// and acts as nobody else than it may itself.
func TestTokenOfToken(t *testing.T) {
	d := newDesk(t)
	persona := d.made("personas", `{"name":"p","user_list":[{"id":1}]}`)
	strict := d.made("personas", `{"name":"strict","require_reauthentication_flag":true,"user_list":[{"id":1}]}`)
	token := d.token(`{"expire_in_days":3,"trusted_ip_addresses":"192.0.2.0/25,10.0.0.1"}`).TokenString
	for _, tt := range []struct {
		body   string
		status int
		text   string
	}{
		{fmt.Sprintf(`{"as_persona":%d}`, persona), 400, "InvalidPersonaForUser: an API token"},
		{fmt.Sprintf(`{"as_persona":%d}`, strict), 400, "InvalidPersonaForUser: an API token"},
		{`{"expire_in_days":4}`, 403, "of 3 days makes none that lives longer"},
		{`{"trusted_ip_addresses":"0.0.0.0/0"}`, 403, "where it may not be used itself: 0.0.0.0/0"},
		{`{"trusted_ip_addresses":"10.0.0.1,192.0.2.0/24"}`, 403, "where it may not be used itself: 192.0.2.0/24"},
		{`{"trusted_ip_addresses":"x"}`, 400, "trusted_ip_addresses"},
	} {
		d.refuses(d.send("POST", "/api/v2/api_tokens", tt.body, "session", token), tt.status, tt.text)
	}
	for body, trusted := range map[string]string{`{}`: "192.0.2.0/25,10.0.0.1", `{"as_persona":0,"trusted_ip_addresses":"192.0.2.64/26"}`: "192.0.2.64/26"} {
		made := data[tokenObject](t, d.send("POST", "/api/v2/api_tokens", body, "session", token))
		if made.ExpireInDays != 3 || made.TrustedIPAddresses != trusted || made.Persona.ID != 0 {
			t.Errorf("%s makes %+v", body, made)
		}
	}
	d.ok(d.call("POST", "/api/v2/api_tokens", fmt.Sprintf(`{"as_persona":%d}`, persona)))
	// The password that a persona wants is asked for where one takes it on.
	d.refuses(d.call("POST", "/api/v2/api_tokens", fmt.Sprintf(`{"as_persona":%d}`, strict)), 403, "session/as_persona")
	as := data[sessionObject](t, d.call("POST", fmt.Sprintf("/api/v2/session/as_persona/%d", strict), fmt.Sprintf(`{"password":%q}`, testPassword)))
	for _, body := range []string{`{}`, fmt.Sprintf(`{"as_persona":%d}`, strict)} {
		if made := data[tokenObject](t, d.send("POST", "/api/v2/api_tokens", body, "session", as.Session)); made.Persona.ID != strict {
			t.Errorf("%s makes a token of persona %d", body, made.Persona.ID)
		}
	}
}

// TestLongPasswordsCostNothing: who sends passwords that nobody can have fills
// neither the audit nor the memory of failed logins, in which his other attempts
// stand.
func TestLongPasswordsCostNothing(t *testing.T) {
	d := newDesk(t)
	long := strings.Repeat("x", passwordMax+1)
	for i := range 3 {
		d.refuses(d.send("POST", "/api/v2/session/login", fmt.Sprintf(`{"username":"u%d","password":%q}`, i, long)), 401, "wrong user name or password")
	}
	if n := len(d.api.attempts.failed.entries); n != 0 {
		t.Errorf("%d attempts are remembered", n)
	}
	if deeds := d.auditOf("authentication/0"); len(deeds) != 0 {
		t.Errorf("the audit has %v", deeds)
	}
}

// TestAuditOfRealAddress: what is changed by way of a proxy that is believed was
// changed from where the proxy says.
func TestAuditOfRealAddress(t *testing.T) {
	d := newDesk(t)
	d.setting("trusted_proxy_address_list", "192.0.2.0/24")
	d.ok(d.send("POST", "/api/v2/user_groups", `{"name":"team"}`, "session", d.session, "X-Forwarded-For", "203.0.113.9"))
	entry := d.list("/api/v2/audit_logs/user_groups/1", true)[0]["entries"].([]any)[0].(map[string]any)
	if entry["ip_address"] != "203.0.113.9" {
		t.Errorf("the change came from %v", entry["ip_address"])
	}
}

// TestAuditOfWhatIsOnNoShelf: what changes where chains reach and what machines run
// is in the audit, though it is kept elsewhere.
func TestAuditOfWhatIsOnNoShelf(t *testing.T) {
	d := newDesk(t)
	id := d.made("isolated_subnets", `{"cidr_string":"10.8.0.0/16","name":"VPN"}`)
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/isolated_subnets/%d", id), `{"comment":"c"}`))
	d.ok(d.call("DELETE", fmt.Sprintf("/api/v2/isolated_subnets/%d", id), ""))
	d.ok(d.call("POST", "/api/v2/isolated_subnets/file", "10.9.0.0/16\n"))
	d.ok(d.call("POST", "/api/v2/isolated_subnets/file?check=1", "10.7.0.0/16\n"))
	d.ok(d.call("PATCH", "/api/v2/boundaries", `{"address_prefix_ipv4":23}`))
	same(t, d.auditOf(fmt.Sprintf("isolated_subnets/%d", id)), []string{"delete", "update", "create"})
	same(t, d.auditOf("isolated_subnets/0"), []string{"update", "delete", "update", "create"})
	same(t, d.auditOf("boundaries/0"), []string{"update"})
	d.ok(d.call("DELETE", "/api/v2/sensor_quarantines/Computer%20Name", ""))
	if deeds := d.auditOf("sensors/0"); len(deeds) == 0 || deeds[0] != "release" {
		t.Errorf("of sensors the audit has %v", deeds)
	}
}

// TestReauthenticationByDirectory: who has his password in a directory says that
// one where a persona wants it again.
func TestReauthenticationByDirectory(t *testing.T) {
	d, s := newDesk(t), signintest.Start(t)
	s.Person("eve", "eve's password")
	same(t, syncNow(d, connect(d, s, nil), false), "ok: 1 users and 0 user groups changed")
	eve := d.api.shelves.ByName("user", "eve")
	strict := d.made("personas", fmt.Sprintf(`{"name":"strict","require_reauthentication_flag":true,"user_list":[{"id":%d}]}`, eve.ID))
	session := data[sessionObject](t, d.send("POST", "/api/v2/session/login", `{"username":"eve","password":"eve's password"}`)).Session
	as := func(password string) *httptest.ResponseRecorder {
		return d.send("POST", fmt.Sprintf("/api/v2/session/as_persona/%d", strict), fmt.Sprintf(`{"password":%q}`, password), "session", session)
	}
	d.refuses(as("another"), 403, "is not the present password")
	d.refuses(as(""), 403, "is not the present password")
	d.ok(as("eve's password"))
}

// TestExportOfWhatMayBeRead: who may export does not export what he may not read.
func TestExportOfWhatMayBeRead(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.made("groups", `{"name":"Penguins","text":"Is Linux equals true"}`)
	d.made("white_listed_urls", `{"url_regex":"https://inside\\.example\\.org/.*"}`)
	d.made("content_sets", `{"name":"Secret"}`)
	d.role("exports", false, rights.ExportContent)
	d.role("reads", false, rights.ReadComputerGroup, rights.ReadAllowedURLs, rights.ReadContentSet)
	blind, reader := d.person("blind", "exports"), d.person("reader", "exports", "reads")
	for plural, name := range map[string]string{"groups": "Penguins", "white_listed_urls": "inside", "content_sets": "Secret"} {
		body := fmt.Sprintf(`{%q:{"include_all":true}}`, plural)
		if w := d.as(reader, "POST", "/api/v2/export", body); w.Code != 200 || !strings.Contains(w.Body.String(), name) {
			t.Errorf("%s of who may read them: %d %s", plural, w.Code, w.Body)
		}
		if w := d.as(blind, "POST", "/api/v2/export", body); strings.Contains(w.Body.String(), name) {
			t.Errorf("%s of who may not read them: %d %s", plural, w.Code, w.Body)
		}
	}
	d.refuses(d.as(blind, "POST", "/api/v2/export", `{"groups":{"include":["Penguins"]}}`), 404, "GroupNotFound")
}

// TestReferencesToWhatIsHidden: nobody learns the name of something that he may
// not see by referring to it, nor whether it is there.
func TestReferencesToWhatIsHidden(t *testing.T) {
	d := newDesk(t)
	d.role("writes", false, rights.WriteDashboard, rights.WritePackage, rights.WriteSavedQuestion, rights.ReadSensor)
	writer := d.person("writer", "writes")
	secret := d.made("content_sets", `{"name":"Secret"}`)
	d.made("saved_questions", `{"name":"hidden one","query_text":"Get Computer Name from all machines"}`)
	seen := d.made("saved_questions", `{"name":"seen","public_flag":true,"query_text":"Get Computer Name from all machines"}`)
	d.made("packages", fmt.Sprintf(`{"name":"hidden two","command":"x","content_set":{"id":%d}}`, secret))
	d.made("content_set_roles", fmt.Sprintf(`{"name":"not there","deny_flag":1,"content_set_role_privileges":[{"content_set":{"id":%d},"content_set_privilege":{"name":"Write Package"}}]}`, secret))
	d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/users/%d", writer.ID), `{"content_set_roles":[{"name":"writes"},{"name":"not there"}]}`))
	for _, tt := range []struct{ path, body string }{
		{"dashboards", `{"name":"a","saved_question_list":[{"id":1}]}`},
		{"dashboards", `{"name":"a","saved_question_list":[{"name":"hidden one"}]}`},
		{"saved_questions", `{"name":"a","query_text":"Get Computer Name from all machines","packages":[{"id":1}]}`},
	} {
		w := d.as(writer, "POST", "/api/v2/"+tt.path, tt.body)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "there is no") {
			t.Errorf("%s %s: %d %s", tt.path, tt.body, w.Code, w.Body)
		}
	}
	w := d.as(writer, "POST", "/api/v2/dashboards", fmt.Sprintf(`{"name":"b","saved_question_list":[{"id":%d}]}`, seen))
	d.ok(w)
	path := fmt.Sprintf("/api/v2/dashboards/%v", d.object(w)["id"])
	d.refuses(d.as(writer, "PATCH", path, `{"saved_question_list":[{"id":1}]}`), 400, "there is no saved question with number 1")
	// What was there before may stay.
	d.ok(d.call("PATCH", path, `{"saved_question_list":[{"id":1}]}`))
	d.ok(d.as(writer, "PATCH", path, `{"text":"t","saved_question_list":[{"id":1}]}`))
}
