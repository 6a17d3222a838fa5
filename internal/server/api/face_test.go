package api

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// list reads a list and splits off the cache info, if there is one.
func (d *desk) list(path string, info bool) (objects []map[string]any) {
	d.t.Helper()
	w := d.call("GET", path, "")
	var out struct{ Data []map[string]any }
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != 200 {
		d.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	if !info {
		return out.Data
	}
	last := len(out.Data) - 1
	if last < 0 || out.Data[last]["cache_row_count"] == nil {
		d.t.Fatalf("%s: no cache info: %s", path, w.Body)
	}
	return out.Data[:last]
}

// ok wants a success.
func (d *desk) ok(w *httptest.ResponseRecorder) {
	d.t.Helper()
	if w.Code != 200 || !strings.HasPrefix(w.Body.String(), `{"data":`) {
		d.t.Fatalf("answer is %d %s", w.Code, w.Body)
	}
}

// sets makes content sets, numbered from 1: the first ones are there already,
// and get other names.
func (d *desk) sets(names ...string) {
	d.t.Helper()
	must(d.t, d.api.shelves.Change(d.t.Context(), shelf.Author{}, func(c *shelf.Change) error {
		for i, name := range names {
			o := object.New(object.ShapeOf("content_set"))
			o.Set("name", name)
			if was := c.ByID("content_set", int64(i+1)); was != nil {
				if _, err := c.Update(was, o); err != nil {
					return err
				}
				continue
			}
			if _, err := c.Create("content_set", int64(i+1), o); err != nil {
				return err
			}
		}
		return nil
	}))
}

func TestFace(t *testing.T) {
	d := newDesk(t)
	d.sets("Default Content", "Other")
	d.ok(d.call("POST", "/api/v2/packages", `{"name":"Reboot","command":"reboot","parameters":[],"content_set":{"name":"other"},"whatever":1}`))
	w := d.call("GET", "/api/v2/packages/1", "")
	for _, want := range []string{`"name":"Reboot"`, `"command":"reboot"`, `"content_set":{"id":2,"name":"Other"}`, `"last_modified_by":"`, `"files":[]`} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s lacks %s", w.Body, want)
		}
	}
	for _, path := range []string{"/api/v2/package_specs/1", "/api/v2/packages/by-name/REBOOT", "/api/v2//packages/1/"} {
		if got := d.call("GET", path, ""); got.Body.String() != w.Body.String() {
			t.Errorf("%s: %s", path, got.Body)
		}
	}
	d.ok(d.call("PATCH", "/api/v2/packages/1", `{"command":"shutdown -r"}`))
	d.ok(d.call("PATCH", "/api/v2/packages/by-name/reboot", `{"package_spec":{"name":"Restart"}}`))
	got := d.list("/api/v2/packages", true)
	if len(got) != 1 || got[0]["name"] != "Restart" || got[0]["command"] != "shutdown -r" {
		t.Errorf("packages are %v", got)
	}
	if sets := d.list("/api/v2/content_sets", false); len(sets) != 3 {
		t.Errorf("content sets are %v", sets)
	}
	d.want(d.call("DELETE", "/api/v2/packages/1", ""), 200, `{"data":{"id":1}}`)
	d.want(d.call("GET", "/api/v2/packages/1", ""), 404, `{"text":"REST Object Not Found Exception:  PackageNotFound: The requested package was not found"}`)
}

func TestFaceRefuses(t *testing.T) {
	d := newDesk(t)
	d.sets("Default Content")
	d.ok(d.call("POST", "/api/v2/packages", `{"name":"x","command":"y"}`))
	for _, tt := range []struct {
		method, path, body string
		status             int
		text               string
	}{
		{"POST", "packages", `{"name":"X","command":"y"}`, 400, `PackageNameNotUnique: there is a package "X" already`},
		{"POST", "packages", `{"name":"z"}`, 400, `the field "command": is missing, and a package needs it`},
		{"POST", "packages", `{"name":"z","command":7.5e3,"files":[{"size":"big"}]}`, 400, `the field "files[0].size": a whole number is expected, and it is a text`},
		{"POST", "packages", `{"name":"z","command":"y","content_set":{"id":77}}`, 400, `the field "content_set": there is no content set with number 77`},
		{"POST", "packages", `[`, 400, `the body is not JSON`},
		{"POST", "packages", `[]`, 400, `an object is expected`},
		{"POST", "packages", ``, 400, `the body is empty`},
		{"PATCH", "packages/9", `{}`, 404, `PackageNotFound`},
		{"PATCH", "packages/by-name/no", `{}`, 404, `PackageNotFound`},
		{"DELETE", "packages/9", ``, 404, `PackageNotFound`},
		{"GET", "packages/nine", ``, 400, `"nine" is not the number of a package`},
		{"GET", "packages/-1", ``, 400, `"-1" is not the number of a package`},
		{"POST", "packages", fmt.Sprintf(`{"name":%q,"command":"y"}`, strings.Repeat("x", 2000)), 400, `is too long`},
	} {
		w := d.call(tt.method, "/api/v2/"+tt.path, tt.body)
		var out struct{ Text string }
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil || w.Code != tt.status || !strings.Contains(out.Text, tt.text) {
			t.Errorf("%s %s %.60s: %d %s", tt.method, tt.path, tt.body, w.Code, w.Body)
		}
	}
}

// TestSets: what lies in a content set is seen and changed with a privilege
// there.
func TestSets(t *testing.T) {
	d := newDesk(t)
	d.sets("Default Content", "Other")
	for i := range 4 {
		d.ok(d.call("POST", "/api/v2/packages", fmt.Sprintf(`{"name":"p%d","command":"y","content_set":{"id":%d}}`, i, 1+i%2)))
	}
	limited := rights.Of([]rights.Role{{Grants: []rights.Grant{{Privilege: rights.ReadPackage, Set: 2}, {Privilege: rights.WritePackage, Set: 2}}}}, nil)
	d.api.rightsOf = func(store.User) rights.Rights { return limited }
	if got := d.list("/api/v2/packages", true); len(got) != 2 || got[0]["name"] != "p1" || got[1]["name"] != "p3" {
		t.Errorf("packages are %v", got)
	}
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "packages/1", "", 403}, {"GET", "packages/2", "", 200}, {"GET", "packages/by-name/p0", "", 403},
		{"PATCH", "packages/1", `{"command":"z"}`, 403}, {"PATCH", "packages/2", `{"command":"z"}`, 200},
		{"PATCH", "packages/2", `{"content_set":{"id":1}}`, 403},
		{"POST", "packages", `{"name":"n","command":"z"}`, 403},
		{"POST", "packages", `{"name":"n","command":"z","content_set":{"id":2}}`, 200},
		{"DELETE", "packages/1", "", 403}, {"DELETE", "packages/2", "", 200},
		{"GET", "content_sets", "", 403}, {"GET", "personas", "", 403}, {"GET", "sensors", "", 403},
	} {
		if w := d.call(tt.method, "/api/v2/"+tt.path, tt.body); w.Code != tt.status {
			t.Errorf("%s %s %s: %d %s", tt.method, tt.path, tt.body, w.Code, w.Body)
		}
	}
}
