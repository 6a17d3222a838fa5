package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// serveObjects keeps objects, as the server's generic routes do.
func (f *fleet) serveObjects(mux *http.ServeMux) {
	f.objects = map[string][]map[string]any{}
	for _, kind := range []string{"things", "gadgets"} {
		f.serveKind(mux, kind)
	}
	mux.HandleFunc("GET /api/v2/users", func(w http.ResponseWriter, _ *http.Request) {
		if f.objects["users"] == nil {
			refuse(w, http.StatusForbidden, "RBACInsufficientPrivilege")
			return
		}
		reply(w, f.objects["users"])
	})
}

func (f *fleet) serveKind(mux *http.ServeMux, kind string) {
	at := func(w http.ResponseWriter, r *http.Request) int {
		i := slices.IndexFunc(f.objects[kind], func(o map[string]any) bool {
			return fmt.Sprint(o["id"]) == r.PathValue("id") || r.PathValue("name") != "" && o["name"] == r.PathValue("name")
		})
		if i < 0 {
			refuse(w, http.StatusNotFound, "REST Object Not Found Exception:  ThingNotFound: The requested thing was not found")
		}
		return i
	}
	show := func(w http.ResponseWriter, r *http.Request) {
		if i := at(w, r); i >= 0 {
			reply(w, f.objects[kind][i])
		}
	}
	base := "/api/v2/" + kind
	mux.HandleFunc("GET "+base+"/{id}", show)
	mux.HandleFunc("GET "+base+"/by-name/{name}", show)
	mux.HandleFunc("GET "+base, func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		for _, o := range f.objects[kind] {
			if o["hidden_flag"] != true || r.Header.Get("tanium-options") == `{"include_hidden_flag":1}` {
				list = append(list, o)
			}
		}
		reply(w, append(list, map[string]any{"cache_id": 0, "page_row_count": len(list)}))
	})
	mux.HandleFunc("POST "+base, func(w http.ResponseWriter, r *http.Request) {
		if in, ok := read[map[string]any](w, r); ok {
			in["id"] = len(f.objects[kind]) + 1
			f.objects[kind] = append(f.objects[kind], in)
			reply(w, map[string]any{"id": in["id"]})
		}
	})
	mux.HandleFunc("PATCH "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		in, ok := read[map[string]any](w, r)
		if i := at(w, r); i >= 0 && ok {
			for name, value := range in {
				f.objects[kind][i][name] = value
			}
			reply(w, in)
		}
	})
	mux.HandleFunc("DELETE "+base+"/{id}", func(w http.ResponseWriter, r *http.Request) {
		if i := at(w, r); i >= 0 {
			f.objects[kind] = slices.Delete(f.objects[kind], i, i+1)
			id, err := strconv.Atoi(r.PathValue("id"))
			if err != nil {
				panic(err)
			}
			reply(w, map[string]int{"id": id})
		}
	})
}

// things is a noun with nothing of its own; gadgets has no route by name.
var (
	things = noun{
		name: "thing", what: "thing", path: "things", short: "Look after things", sample: "Big One", set: "--set name='Big One'", verbs: canAll,
		columns: [][2]string{{"Name", "name"}, {"Owner", "owner"}, {"Set", "set.name"}, {"Tags", "tags"}},
	}
	gadgets = noun{name: "gadget", what: "gadget", path: "gadgets", short: "Look after gadgets", sample: "x", verbs: canList | canShow | canDelete, unnamed: true}
)

func withNouns(t *testing.T) {
	before := nouns
	nouns = append(slices.Clone(nouns), things, gadgets)
	t.Cleanup(func() { nouns = before })
}

func TestNoun(t *testing.T) {
	withNouns(t)
	f := newFleet(t)
	p := newPlace(t).at(f)
	path := filepath.Join(t.TempDir(), "thing.json")
	p.write(path, `{"name":"Second","tags":["a","b"],"size":12345678901234567890}`)
	for _, tt := range []struct {
		args     []string
		out, err string
		code     int
	}{
		{[]string{"create", "--set", "name=Big One", "--set", "owner.name=ann", "--set", "set.name=Base", "--set", "size=7"}, "", "Made the thing Big One (1).\n", exitOK},
		{[]string{"create", "--file", path, "--set", "owner:={\"id\":3,\"name\":\"bob\"}"}, "", "Made the thing Second (2).\n", exitOK},
		{[]string{"create"}, "", "catenary: what is to be said? give --set or --file\nsee `catenary thing create --help`\n", exitUsage},
		{[]string{"create", "--set", "name"}, "", "catenary: --set \"name\": write field=text or field:=JSON\nsee `catenary thing create --help`\n", exitUsage},
		{[]string{"create", "--set", "a..b=1"}, "", "catenary: --set \"a..b=1\": write field=text or field:=JSON\nsee `catenary thing create --help`\n", exitUsage},
		{[]string{"create", "--set", "a:={"}, "", "catenary: --set \"a:={\": what follows := is not JSON\nsee `catenary thing create --help`\n", exitUsage},
		{[]string{"list"}, "ID  Name     Owner  Set   Tags\n 1  Big One  ann    Base\n 2  Second   bob          a\n                          b\n", "", exitOK},
		{[]string{"list", "--filter", "SECOND", "--format", "csv"}, "ID,Name,Owner,Set,Tags\r\n2,Second,bob,,\"a\r\nb\"\r\n", "", exitOK},
		{[]string{"list", "--filter", "nobody", "--format", "json"}, "[]\n", "", exitOK},
		{[]string{"list", "--filter", "big", "--format", "json"}, `[
  {
    "id": 1,
    "name": "Big One",
    "owner": {
      "name": "ann"
    },
    "set": {
      "name": "Base"
    },
    "size": "7"
  }
]
`, "", exitOK},
		{[]string{"show", "Second"}, "id     2\nname   Second\nowner  bob\nsize   12345678901234567000\ntags   a\n       b\n", "", exitOK},
		{[]string{"show", "--json", "1"}, "{\n  \"id\": 1,\n  \"name\": \"Big One\",\n  \"owner\": {\n    \"name\": \"ann\"\n  },\n  \"set\": {\n    \"name\": \"Base\"\n  },\n  \"size\": \"7\"\n}\n", "", exitOK},
		{[]string{"show", "nobody"}, "", "catenary: thing \"nobody\": REST Object Not Found Exception:  ThingNotFound: The requested thing was not found\n", exitFailed},
		{[]string{"show", "two", "words"}, "", "catenary: show takes one name or number, but got 2\nsee `catenary thing show --help`\n", exitUsage},
		{[]string{"change", "Second", "--set", "name=Third"}, "", "Changed the thing Second (2).\n", exitOK},
		{[]string{"delete", "Third"}, "", "Deleted the thing Third (2).\n", exitOK},
		{[]string{"delete", "2"}, "", "catenary: thing \"2\": REST Object Not Found Exception:  ThingNotFound: The requested thing was not found\n", exitFailed},
	} {
		out, errs, code := p.run(append([]string{"thing"}, tt.args...)...)
		if out != tt.out || errs != tt.err || code != tt.code {
			t.Errorf("%v: code %d\n%q\n%q\nwant code %d\n%q\n%q", tt.args, code, out, errs, tt.code, tt.out, tt.err)
		}
	}
}

func TestNounWithoutNames(t *testing.T) {
	withNouns(t)
	f := newFleet(t)
	p := newPlace(t).at(f)
	f.objects["gadgets"] = []map[string]any{{"id": 1, "name": "x"}, {"id": 2, "name": "y"}, {"id": 3, "name": "Y"}, {"id": 4, "name": "z", "hidden_flag": true}}
	if out, errs, code := p.run("gadget", "show", "X"); code != exitOK || out != "id    1\nname  x\n" {
		t.Errorf("show: %q %q, code %d", out, errs, code)
	}
	for name, want := range map[string]string{
		"nobody": "catenary: no gadget is called \"nobody\"; `catenary gadget list` names them\n",
		"y":      "catenary: 2 are called \"y\": say which by its number, 2 or 3\n",
	} {
		if _, errs, code := p.run("gadget", "delete", name); errs != want || code == exitOK {
			t.Errorf("%s: %q, code %d", name, errs, code)
		}
	}
	if out := p.says(t, "gadget", "list"); strings.Contains(out, "4") {
		t.Errorf("a hidden one is listed: %q", out)
	}
	if out := p.says(t, "gadget", "list", "--hidden"); !strings.Contains(out, "4") {
		t.Errorf("the hidden one is not listed: %q", out)
	}
}

func TestNounIsHarmless(t *testing.T) {
	withNouns(t)
	f := newFleet(t)
	f.objects["things"] = []map[string]any{{"id": 1, "name": "evil\x1b[2J", "owner": "a\u202eb"}}
	p := newPlace(t).at(f)
	for _, args := range [][]string{{"list"}, {"list", "--format", "json"}, {"list", "--format", "csv"}, {"show", "1"}, {"show", "--json", "1"}, {"delete", "1"}} {
		out, errs, code := p.run(append([]string{"thing"}, args...)...)
		if strings.ContainsAny(out+errs, "\x1b\u202e") || code != exitOK {
			t.Errorf("%v: %q %q, code %d", args, out, errs, code)
		}
	}
}

// TestNouns: each row of the table is complete.
func TestNouns(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range slices.Concat(nouns, people) {
		if strings.Contains(strings.ReplaceAll(n.set, ":=[", ""), "=[") {
			t.Errorf("%s: the example says a list as a text: %s", n.name, n.set)
		}
		if n.name == "" || n.what == "" || n.path == "" || n.sample == "" || n.verbs == 0 || len(n.columns) == 0 || n.verbs&canCreate != 0 && n.set == "" {
			t.Errorf("%s: the row lacks something", n.name)
		}
		if seen[n.name] {
			t.Errorf("%s stands there twice", n.name)
		}
		seen[n.name] = true
	}
}

func TestAPICommand(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	f.objects["things"] = []map[string]any{{"id": 1, "name": "x"}}
	path := filepath.Join(t.TempDir(), "body.json")
	p.write(path, `{"name":"y"}`)
	for _, tt := range []struct {
		args     []string
		out, err string
		code     int
	}{
		{[]string{"things/1"}, "{\n  \"data\": {\n    \"id\": 1,\n    \"name\": \"x\"\n  }\n}\n", "", exitOK},
		{[]string{"GET", "/api/v2/things/1", "--raw"}, "{\"data\":{\"id\":1,\"name\":\"x\"}}\n", "", exitOK},
		{[]string{"post", "things", "--data", "@" + path, "--raw"}, "{\"data\":{\"id\":2}}\n", "", exitOK},
		{[]string{"PATCH", "things/2", "--data", `{"name":"z"}`, "--raw"}, "{\"data\":{\"name\":\"z\"}}\n", "", exitOK},
		{[]string{"GET", "things/9"}, "", "catenary: REST Object Not Found Exception:  ThingNotFound: The requested thing was not found\n", exitFailed},
		{[]string{"GRAB", "things"}, "", "catenary: \"GRAB\" is no method: write GET, POST, PATCH, PUT or DELETE\nsee `catenary api --help`\n", exitUsage},
		{[]string{"things", "--options", "{"}, "", "catenary: --options is not JSON\nsee `catenary api --help`\n", exitUsage},
		{[]string{"things", "--data", "@/nonexistent/x"}, "", "catenary: open /nonexistent/x: no such file or directory\n", exitUsage},
	} {
		out, errs, code := p.run(append([]string{"api"}, tt.args...)...)
		if out != tt.out || errs != tt.err || code != tt.code {
			t.Errorf("%v: code %d\n%q\n%q\nwant code %d\n%q\n%q", tt.args, code, out, errs, tt.code, tt.out, tt.err)
		}
	}
	f.objects["things"] = append(f.objects["things"], map[string]any{"id": 3, "hidden_flag": true})
	out := p.says(t, "api", "things", "--options", `{"include_hidden_flag":1}`, "--raw")
	var list struct{ Data []any }
	if err := json.Unmarshal([]byte(out), &list); err != nil || len(list.Data) != 4 {
		t.Errorf("with options: %s", out)
	}
}
