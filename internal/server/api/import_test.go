package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// A testSealer signs without a key.
type testSealer struct{}

func (testSealer) SignContent(content []byte) []byte {
	sum := sha256.Sum256(append([]byte("key"), content...))
	return sum[:]
}

func (s testSealer) VerifyContent(content, signature []byte) error {
	if !bytes.Equal(s.SignContent(content), signature) {
		return errors.New("the content is not what was signed")
	}
	return nil
}

const testContent = `{
	"content_sets":[{"name":"Desks"}],
	"saved_questions":[{"name":"Modules","query_text":"Get Kernel Modules from all machines with Penguin Desks","issue_seconds":3600,"content_set":{"name":"Desks"},"packages":[{"name":"Clean"}],"public_flag":true}],
	"groups":[{"name":"Penguin Desks","text":"Penguins and Computer Name starts with desk"},{"name":"Penguins","text":"Is Linux equals true","filter_flag":true}],
	"packages":[{"name":"Clean","command":"sh clean.sh $1","content_set":{"id":77,"name":"Desks"},"verify_group":{"name":"Penguins"}}],
	"sensors":[{"name":"Kernel Modules","queries":[{"platform":"Linux","script_type":"UnixShell","script":"lsmod"}],"content_set":{"name":"Desks"}}],
	"dashboards":[{"name":"Board","saved_question_list":[{"name":"Modules"}]}],
	"white_listed_urls":[{"url_regex":"https://example\\.org/.*"}]
}`

// imports imports content.
func (d *desk) imports(body, options string) importAnswer {
	d.t.Helper()
	w := d.send("POST", "/api/v2/import", body, "session", d.session, "tanium-options", options)
	if w.Code != 200 {
		d.t.Fatalf("import: %d %s", w.Code, w.Body)
	}
	return data[importAnswer](d.t, w)
}

// happened is what an import has done, shortly.
func happened(a importAnswer) string {
	var out []string
	for _, x := range a.Deeds {
		out = append(out, x.Deed+" "+x.Name)
	}
	return strings.Join(out, ", ")
}

func TestImportExport(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	body := `{"version":2,"object_list":` + testContent + `}`
	got := d.imports(body, `{"import_analyze_conflicts_only":1}`)
	if len(d.api.shelves.All("package_spec")) != 0 || got.Applied || len(got.ObjectList.Conflicts) != 8 {
		t.Errorf("only looked: %+v", got)
	}
	got = d.imports(body, "")
	const all = "create Desks, create Kernel Modules, create Penguins, create Penguin Desks, create Clean, create Modules, create Board, create https://example\\.org/.*"
	if happened(got) != all || !got.Applied || len(got.ObjectList.Conflicts) != 0 {
		t.Fatalf("first: %s", happened(got))
	}
	if q := d.shown("saved_questions/by-name/modules"); q["query_text"] != "Get Kernel Modules from all machines with Penguin Desks" || q["content_set"].(map[string]any)["name"] != "Desks" {
		t.Errorf("the saved question is %v", q)
	}
	if _, ok := d.fleet.Catalogue().ByName("Kernel Modules"); !ok {
		t.Error("the catalogue does not know the sensor")
	}
	got = d.imports(body, "")
	if strings.Contains(happened(got), "create") || strings.Contains(happened(got), "conflict") || !got.Applied {
		t.Errorf("again: %s", happened(got))
	}

	w := d.call("POST", "/api/v2/export", `{"sensors":{"include_all":true},"groups":{"include_all":true},"packages":{"include":["clean"]},"saved_questions":{"include_by_id":[1]},"content_sets":{"include_all":true},"dashboards":{"include_all":1},"white_listed_urls":{"include_all":true}}`)
	d.ok(w)
	out := data[exportAnswer](t, w)
	list, err := json.Marshal(out.ObjectList)
	must(t, err)
	if strings.Contains(string(list), `"id"`) || strings.Contains(string(list), "All Computers") || strings.Contains(string(list), "_time") {
		t.Errorf("exported %s", list)
	}
	other := newDesk(t)
	other.firstGroups()
	exported, err := json.Marshal(map[string]any{"version": out.Version, "object_list": out.ObjectList})
	must(t, err)
	if got := other.imports(string(exported), ""); happened(got) != all {
		t.Errorf("elsewhere: %s", happened(got))
	}
	w = other.call("POST", "/api/v2/export", `{"saved_questions":{"include_all":true},"groups":{"include_all":true}}`)
	again := data[exportAnswer](t, w)
	for _, plural := range []string{"saved_questions", "groups"} {
		if a, b := fmt.Sprintf("%s", sorted(out.ObjectList[plural])), fmt.Sprintf("%s", sorted(again.ObjectList[plural])); a != b {
			t.Errorf("%s: exported %s, and from there %s", plural, a, b)
		}
	}
}

func sorted(list []json.RawMessage) []string {
	var out []string
	for _, e := range list {
		out = append(out, string(e))
	}
	if len(out) == 2 && out[0] > out[1] {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

func TestImportConflicts(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.made("packages", `{"name":"Clean","command":"old","display_name":"mine"}`)
	body := func(command string) string {
		return `{"object_list":{"package_specs":[{"name":"clean","command":"` + command + `"},{"name":"New","command":"x"}]}}`
	}
	got := d.imports(body("new"), "")
	if happened(got) != "conflict clean, create New" || got.Applied || len(d.api.shelves.All("package_spec")) != 1 {
		t.Fatalf("without an option: %s", happened(got))
	}
	if c := got.ObjectList.Conflicts; len(c) != 1 || c[0].Type != "package_specs" || c[0].IsNew || fmt.Sprint(c[0].Diff) != "[{name Clean clean} {command old new} {display_name mine }]" {
		t.Errorf("the conflict is %+v", got.ObjectList.Conflicts)
	}
	for _, tt := range []struct{ options, deeds, command, display string }{
		{`{"import_conflict_options":{"package_specs":3}}`, "ignore clean, create New", "old", "mine"},
		{`{"default_import_conflict_option":4}`, "change clean, same New", "new", "mine"},
		{`{"default_import_conflict_option":0,"import_conflict_options_by_type_and_name":{"package_specs":{"clean":1}}}`, "change clean, same New", "new", ""},
	} {
		got := d.imports(body("new"), tt.options)
		p := d.shown("packages/1")
		if happened(got) != tt.deeds || p["command"] != tt.command || p["display_name"] != tt.display {
			t.Errorf("%s: %s, %v", tt.options, happened(got), p)
		}
	}
	got = d.imports(body("other"), `{"default_import_conflict_option":"2"}`)
	if happened(got) != "create clean (2), same New" || d.shown("packages/by-name/clean%20(2)")["command"] != "other" {
		t.Errorf("a copy: %s", happened(got))
	}
	d.made("saved_questions", `{"name":"Q","query_text":"Get Computer Name from all machines"}`)
	d.imports(`{"object_list":{"saved_questions":[{"name":"Q","query_text":"Get Is Linux from all machines"}]}}`, `{"default_import_conflict_option":5}`)
	if q := d.shown("saved_questions/1"); q["disabled_flag"] != true || q["query_text"] != "Get Is Linux from all machines" {
		t.Errorf("overwritten and disabled: %v", q)
	}
}

func TestImportRefuses(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	for _, tt := range []struct {
		body   string
		status int
		text   string
	}{
		{`{}`, 400, "object_list is missing"},
		{`{"object_list":[]}`, 400, "object_list"},
		{`{"version":3,"object_list":{}}`, 400, "reads version 2"},
		{`{"object_list":{"users":[{"name":"x"}]}}`, 400, `\"users\" is no type of content`},
		{`{"object_list":{"packages":[{"command":"x"}]}}`, 400, "packages[0]: name is missing"},
		{`{"object_list":{"packages":[{"name":"x","files":[{"size":"y"}]}]}}`, 400, `packages[0]: the field \"files[0].size\"`},
		{`{"object_list":{"packages":[{"name":"x"}]}}`, 400, `packages \"x\": PackageCommandRequired`},
		{`{"object_list":{"packages":[{"name":"ok","command":"x"}],"saved_questions":[{"name":"x","query_text":"Get Nothing from all machines"}]}}`, 400, `saved_questions \"x\"`},
		{`{"object_list":{"groups":[{"name":"a","text":"b or Is Linux equals x"},{"name":"b","text":"a and Is Linux equals x"}]}}`, 400, "InvalidGroupQueryText"},
		{`{"object_list":{"groups":[{"name":"All Computers","text":"Is Linux equals x"}]}}`, 400, "CannotUpdateOrDeleteReservedGroup"},
		{`{"object_list":{},"signature":"AAAA"}`, 403, "SignatureValidationFailed"},
		{`{"object_list":{},"content":{}}`, 400, "content.name is missing"},
	} {
		d.denies("POST", "import", tt.body, tt.status, tt.text)
	}
	if w := d.send("POST", "/api/v2/import", `{"object_list":{}}`, "session", d.session, "tanium-options", `{"default_import_conflict_option":6}`); w.Code != 400 {
		t.Errorf("an option that there is not: %d %s", w.Code, w.Body)
	}
	d.denies("POST", "export", `{"users":{"include_all":true}}`, 400, "no type of content")
	d.denies("POST", "export", `{"packages":{"include":["x"]}}`, 404, "PackageNotFound")
	d.denies("POST", "export", `{"packages":7}`, 400, "is expected")
	if n := len(d.api.shelves.All("package_spec")) + len(d.api.shelves.All("group")); n != 2 {
		t.Errorf("something was made: %d", n)
	}
	may := rights.Of([]rights.Role{{Grants: []rights.Grant{{Privilege: rights.ImportContent}, {Privilege: rights.WritePackage}}}}, nil)
	d.api.rightsOf = func(store.User) rights.Rights { return may }
	d.denies("POST", "import", `{"object_list":{"packages":[{"name":"x","command":"x"}],"saved_questions":[{"name":"x","query_text":"Get Is Linux from all machines"}]}}`, 403, "RBACInsufficientPrivilege")
	if n := len(d.api.shelves.All("package_spec")); n != 0 {
		t.Errorf("half of it was made: %d", n)
	}
}

// TestContentSource: a folder of content is known again: what it holds no more
// can be pruned, and what was changed here can stay.
func TestContentSource(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	const overwrite = `{"default_import_conflict_option":1}`
	apply := func(how, list string) importAnswer {
		t.Helper()
		return d.imports(`{"content":{"name":"Desk","version":"1"`+how+`},"object_list":{"packages":[`+list+`]}}`, overwrite)
	}
	const a1, a2, b1, c1 = `{"name":"A","command":"1"}`, `{"name":"A","command":"2"}`, `{"name":"B","command":"1"}`, `{"name":"C","command":"1"}`
	for _, tt := range []struct{ how, list, want string }{
		{"", a1 + "," + b1 + "," + c1, "create A, create B, create C"},
		{"", a1 + "," + b1 + "," + c1, "same A, same B, same C"},
		{"", a2 + "," + b1, "change A, same B"},
		{`,"keep_edits":true`, a1 + "," + b1, "change A, same B"},
		{"", b1, "same B"},
		{`,"prune":true`, b1, "same B, delete C, delete A"},
		{`,"prune":true`, b1, "same B"},
	} {
		if got := happened(apply(tt.how, tt.list)); got != tt.want && got != strings.Replace(tt.want, "delete C, delete A", "delete A, delete C", 1) {
			t.Errorf("%s: %s, want %s", tt.list, got, tt.want)
		}
	}
	d.ok(d.call("PATCH", "/api/v2/packages/by-name/B", `{"command":"mine"}`))
	d.made("packages", `{"name":"D","command":"mine"}`)
	const b2, d1 = `{"name":"B","command":"2"}`, `{"name":"D","command":"1"}`
	if got := happened(apply(`,"keep_edits":true`, b2+","+d1)); got != "keep B, keep D" || d.shown("packages/by-name/B")["command"] != "mine" {
		t.Errorf("what was changed here: %s", got)
	}
	if got := happened(apply(`,"keep_edits":true,"prune":true`, c1)); got != "create C, keep B" {
		t.Errorf("what was changed here and the folder holds no more: %s", got)
	}
	if got := happened(apply("", b2)); got != "change B" || d.shown("packages/by-name/B")["command"] != "2" {
		t.Errorf("the folder is right: %s", got)
	}
	source := d.shown("content_sources/by-name/desk")
	if source["version"] != "1" || len(source["objects"].([]any)) == 0 {
		t.Errorf("the source is %v", source)
	}
	d.ok(d.call("GET", "/api/v2/content_sources/1", ""))
	if got := d.list("/api/v2/solutions", false); len(got) != 1 || got[0]["name"] != "Desk" || got[0]["imported_version"] != "1" || got[0]["imported_by"] != testUser {
		t.Errorf("solutions are %v", got)
	}
	d.ok(d.call("GET", "/api/v2/solutions/1", ""))
	d.ok(d.call("DELETE", "/api/v2/content_sources/1", ""))
	if got := happened(apply(`,"keep_edits":true,"prune":true`, b2)); got != "same B" {
		t.Errorf("after the source was forgotten: %s", got)
	}
}

func TestSignatures(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	const list = `{"packages":[ {"name":"x","command":"y"} ]}`
	signature := base64.StdEncoding.EncodeToString(testSealer{}.SignContent([]byte(list)))
	good := `{"object_list":` + list + `,"signature":"` + signature + `"}`
	bad := strings.Replace(good, `"y"`, `"z"`, 1)
	w := d.call("POST", "/api/v2/verify_signatures", fmt.Sprintf(`{"data":[{"id":1,"type":"content","bytes":%q},{"id":2,"type":"content","bytes":%q},{"id":3,"type":"content","bytes":"AAAA"}]}`,
		base64.StdEncoding.EncodeToString([]byte(good)), base64.StdEncoding.EncodeToString([]byte(bad))))
	d.want(w, 200, `{"verify_signatures":[{"bytes":"","id":1,"type":"content","verified":"true"},{"bytes":"","id":2,"type":"content","verified":"false"},{"bytes":"","id":3,"type":"content","verified":"false"}]}`)
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+unsignedSetting, `{"value":"0"}`))
	d.denies("POST", "import", `{"object_list":`+list+`}`, 403, "SignatureValidationFailed")
	d.denies("POST", "import", bad, 403, "SignatureValidationFailed")
	if got := happened(d.imports(good, "")); got != "create x" {
		t.Errorf("signed content: %s", got)
	}
}

func TestImportJob(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	id := func(body string) uint64 {
		w := d.send("POST", "/api/v2/import", body, "session", d.session, "Prefer", "respond-async")
		d.ok(w)
		return data[idObject](t, w).ID
	}
	good := id(`{"object_list":{"packages":[{"name":"x","command":"y"}]}}`)
	bad := id(`{"object_list":{"packages":[{"name":"x"}]}}`)
	if job := d.shown(fmt.Sprintf("import/%d", good)); job["status_text"] != "Waiting" || job["success"] != false {
		t.Errorf("before: %v", job)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.api.runImports(ctx) }()
	for end := time.Now().Add(20 * time.Second); d.shown(fmt.Sprintf("import/%d", bad))["status_text"] != "Failed" && time.Now().Before(end); {
	}
	cancel()
	must(t, <-done)
	if job := d.shown(fmt.Sprintf("import/%d", good)); job["status_text"] != "Completed" || job["success"] != true || job["result"] == nil {
		t.Errorf("good: %v", job)
	}
	if job := d.shown(fmt.Sprintf("import/%d", bad)); job["success"] != false || !strings.Contains(fmt.Sprint(job["exception"]), "PackageCommandRequired") {
		t.Errorf("bad: %v", job)
	}
	d.denies("GET", "import/99", "", 404, "ImportJobNotFound")
}

// TestShipped: what comes with Catenary is there after the first start, and a
// second start changes nothing.
func TestShipped(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	d.fleet.sensors = sensor.Builtin()
	must(t, d.fleet.renew())
	must(t, d.api.runShipped(t.Context()))
	if strings.Contains(d.logs.String(), "shipped content not applied") || len(d.api.shelves.All("saved_question")) < 10 {
		t.Fatalf("%s", d.logs)
	}
	if who := d.api.shelves.All("saved_question")[0].Object.Ref("user"); who.ID != 0 {
		t.Errorf("it belongs to %v", who)
	}
	v := d.api.shelves.Version("group", "saved_question", "content_source")
	must(t, d.api.runShipped(t.Context()))
	if d.api.shelves.Version("group", "saved_question", "content_source") != v {
		t.Error("applied again")
	}
}

// FuzzImport: whatever is imported is refused with a reason, or what comes of it
// can be exported and imported again, and is the same then.
func FuzzImport(f *testing.F) {
	f.Add([]byte(testContent))
	f.Add([]byte(`{"groups":[{"name":"a","filters":[{"sensor":{"name":"Is Linux"},"value":"x"}],"sub_groups":[{"text":"Is Linux equals y"}]},{"name":"m","computer_specs":[{"computer_name":"x"}]}]}`))
	f.Add([]byte(`{"saved_questions":[{"name":"a","question":{"selects":[{"sensor":{"name":"Folder Contents","parameters":[{"key":"||path||","value":"/"}]}}]},"metadata":[{}]}]}`))
	f.Add([]byte(`{"packages":[{"name":"a","command":"$1","files":[{"name":"x","source":"http://x/y"}],"exit_code_criteria":{"exit_code":3}}]}`))
	d := newDesk(f)
	d.firstGroups()
	request, err := http.NewRequestWithContext(f.Context(), http.MethodPost, "/", nil)
	must(f, err)
	c := call{Request: request, rights: rights.Rights{Anything: true}}
	overwrite := number(conflictOverwrite)
	f.Fuzz(func(t *testing.T, list []byte) {
		in := importRequest{}
		if json.Unmarshal(list, &in.ObjectList) != nil {
			return
		}
		if _, err := d.api.runImport(t.Context(), c, in, importOptions{Default: &overwrite, AnalyzeAll: true}); err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatalf("%s: %v", list, err)
			}
			return
		}
		for _, again := range []bool{false, true} {
			got, err := d.api.runImport(t.Context(), c, in, importOptions{Default: &overwrite})
			if err != nil {
				t.Fatalf("%s, which could be imported when it was looked at: %v", list, err)
			}
			for _, x := range got.Deeds {
				if again && x.Deed != deedSame && !repeated(in.ObjectList) {
					t.Fatalf("%s: again: %+v", list, x)
				}
			}
		}
	})
}

// repeated reports whether content may speak of one object twice.
func repeated(list map[string][]json.RawMessage) bool {
	n := 0
	for _, objects := range list {
		n = max(n, len(objects))
	}
	return n > 1
}
