package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// serveContent imports, exports and keeps files, as a server does: it knows an
// object again by type and name, and says what differs as a whole.
func (f *fleet) serveContent(mux *http.ServeMux) {
	kept := map[string]string{}
	var order []string
	mux.HandleFunc("POST /api/v2/import", func(w http.ResponseWriter, r *http.Request) {
		in, ok := read[importBody](w, r)
		if !ok {
			return
		}
		var opt struct {
			Default int `json:"default_import_conflict_option"`
			Only    int `json:"import_analyze_conflicts_only"`
		}
		if err := json.Unmarshal([]byte(r.Header.Get("tanium-options")), &opt); err != nil {
			panic(err)
		}
		done := importDone{Applied: opt.Only == 0}
		for plural, list := range in.ObjectList {
			for _, raw := range list {
				o := apiObject{raw: raw}
				key := plural + "/" + o.text("name")
				d := importDeed{Type: plural, Name: o.text("name"), Deed: "change", Diff: []importDiff{{"all", kept[key], string(raw)}}}
				switch {
				case kept[key] == "":
					d.Deed, d.Diff = "create", nil
					if done.Applied {
						order = append(order, key)
					}
				case kept[key] == string(raw):
					d.Deed, d.Diff = "same", nil
				case opt.Default == 0:
					d.Deed, done.Applied = "conflict", false
				}
				done.Deeds = append(done.Deeds, d)
				if done.Applied {
					kept[key] = string(raw)
				}
			}
		}
		reply(w, done)
	})
	mux.HandleFunc("POST /api/v2/export", func(w http.ResponseWriter, r *http.Request) {
		out := importBody{Version: importVersion, ObjectList: map[string][]json.RawMessage{}}
		for _, key := range order {
			plural, _, _ := strings.Cut(key, "/")
			out.ObjectList[plural] = append(out.ObjectList[plural], json.RawMessage(kept[key]))
		}
		reply(w, out)
	})
	mux.HandleFunc("GET /api/v2/content_sources", func(w http.ResponseWriter, r *http.Request) {
		reply(w, []any{map[string]any{"name": "Desk", "version": "1", "objects": []any{map[string]any{"name": "x"}}, "applied_by": map[string]any{"id": 1, "name": "ann"}}})
	})
	f.serveFiles(mux)
}

// serveFiles keeps the files of packages.
func (f *fleet) serveFiles(mux *http.ServeMux) {
	files := map[string][]byte{}
	mux.HandleFunc("POST /api/v2/upload_file", func(w http.ResponseWriter, r *http.Request) {
		in, ok := read[map[string]any](w, r)
		if ok {
			_, there := files[in["hash"].(string)]
			reply(w, map[string]any{"upload_file": map[string]any{"file_cached": there}})
		}
	})
	mux.HandleFunc("POST /api/v2/upload_file_stream", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil || r.ContentLength != int64(len(b)) || r.Header.Get("Content-Type") != "application/octet-stream" {
			panic(fmt.Sprint(err, r.ContentLength, r.Header))
		}
		sum := sha256.Sum256(b)
		files[hex.EncodeToString(sum[:])] = b
		reply(w, map[string]any{"file_size": len(b)})
	})
	mux.HandleFunc("GET /api/v2/package_files", func(w http.ResponseWriter, r *http.Request) {
		list := []any{}
		for hash := range files {
			list = append(list, map[string]any{"id": 7, "name": "clean.sh", "hash": hash, "cache_status": "Cached"})
		}
		reply(w, list)
	})
	mux.HandleFunc("GET /api/v2/package_files/7/content", func(w http.ResponseWriter, r *http.Request) {
		for _, b := range files {
			if _, err := w.Write(b); err != nil {
				panic(err)
			}
		}
	})
}

// writeFiles makes a folder of files.
func writeFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestDiffLines(t *testing.T) {
	for _, tt := range []struct{ was, now, want string }{
		{"a", "a", " …"},
		{"a b c", "a x c", " a|-b|+x| c"},
		{"", "a", "-|+a"},
		{"a b c d e f g h", "a b c d e f g x", " …| f| g|-h|+x"},
		{"a b", "a b c", " a| b|+c"},
	} {
		got := strings.Join(diffLines(strings.Split(tt.was, " "), strings.Split(tt.now, " ")), "|")
		if got != tt.want {
			t.Errorf("%q to %q: %s, want %s", tt.was, tt.now, got, tt.want)
		}
	}
}

func TestContent(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	dir := writeFiles(t, map[string]string{
		"content.yaml":               "name: Desk\n",
		"packages/clean.yaml":        "name: Clean\ncommand: sh clean.sh\ncommand_timeout: 10m\nfiles:\n  - file: files/clean.sh\n",
		"files/clean.sh":             "rm x\n",
		"groups/linux.yaml":          "name: Linux\ntext: Is Linux equals True\n",
		"saved-questions/names.yaml": "name: Names\nquery_text: Get Computer Name from all machines\n",
	})
	bad := writeFiles(t, map[string]string{"content.yaml": "name: Desk\n", "groups/x.yaml": "name: x\ntekst: y\n"})
	out := filepath.Join(t.TempDir(), "out")
	exported := filepath.Join(t.TempDir(), "content.json")
	const new3 = "+ group Linux\n+ package Clean\n+ saved question Names\n"
	sorted := func(text string) string {
		lines := strings.SplitAfter(text, "\n")
		slices.Sort(lines)
		return strings.Join(lines, "")
	}
	for _, tt := range []struct {
		args     []string
		out, err string
		code     int
	}{
		{[]string{"check", dir}, "", "Desk : 3 objects can be read.\n", exitOK},
		{[]string{"check", bad}, "", "catenary: groups/x.yaml:2: \"tekst\" is not known here\n", exitUsage},
		{[]string{"apply", bad}, "", "catenary: groups/x.yaml:2: \"tekst\" is not known here\n", exitUsage},
		{[]string{"apply", filepath.Join(dir, "none")}, "", "catenary: " + filepath.Join(dir, "none") + " is not a folder\n", exitUsage},
		{[]string{"diff", dir}, new3, "Not applied: 3 new, 0 changed, 0 deleted, 0 kept as changed here, 0 the same.\n", exitOK},
		{[]string{"apply", dir, "--dry-run"}, new3, "Not applied: 3 new, 0 changed, 0 deleted, 0 kept as changed here, 0 the same.\n", exitOK},
	} {
		got, errs, code := p.run(append([]string{"content"}, tt.args...)...)
		if sorted(got) != sorted(tt.out) || errs != tt.err || code != tt.code {
			t.Errorf("%v: code %d\n%q\n%q\nwant code %d\n%q\n%q", tt.args, code, got, errs, tt.code, tt.out, tt.err)
		}
	}
	got, errs, code := p.run("content", "apply", dir)
	if code != exitOK || sorted(got) != sorted(new3) {
		t.Fatalf("apply: %q %q, code %d", got, errs, code)
	}
	if got, errs, code := p.run("content", "apply", dir); code != exitOK || got != "" || errs != "Applied: 0 new, 0 changed, 0 deleted, 0 kept as changed here, 3 the same.\n" {
		t.Errorf("again: %q %q", got, errs)
	}
	if got, errs, code := p.run("content", "export", out); code != exitOK || got != "" || errs != "Wrote 3 objects to "+out+".\n" {
		t.Fatalf("export: %q %q, code %d", got, errs, code)
	}
	if b, err := os.ReadFile(filepath.Join(out, "files/clean/clean.sh")); err != nil || string(b) != "rm x\n" {
		t.Errorf("the package's file is %q, %v", b, err)
	}
	if got, errs, code := p.run("content", "diff", out); got != "" || code != exitOK {
		t.Errorf("what was exported differs: %q %q", got, errs)
	}
	got, _, code = p.run("content", "export", "--json")
	if code != exitOK || !strings.Contains(got, `"name": "Linux"`) {
		t.Errorf("as JSON: %q, code %d", got, code)
	}
	p.write(exported, strings.Replace(got, "Is Linux equals True", "Is Linux equals False", 1))
	if got, errs, code := p.run("content", "import", exported); code != exitFailed || !strings.HasPrefix(got, "! group Linux  (is there, and different)\n    all: {") || !strings.Contains(errs, "--conflicts") {
		t.Errorf("import with a conflict: %q %q, code %d", got, errs, code)
	}
	if got, errs, code := p.run("content", "import", exported, "--conflicts", "overwrite"); code != exitOK || !strings.HasPrefix(got, "~ group Linux\n") {
		t.Errorf("import: %q %q, code %d", got, errs, code)
	}
	if _, errs, code := p.run("content", "import", exported, "--conflicts", "fight"); code != exitUsage || !strings.Contains(errs, "write one of error, overwrite") {
		t.Errorf("an option that there is not: %q, code %d", errs, code)
	}
	if got := p.says(t, "content", "list"); !strings.Contains(got, "Desk") || !strings.Contains(got, "ann") {
		t.Errorf("list: %q", got)
	}
}

// TestDeedsAreHarmless: what a server says cannot write to the terminal.
func TestDeedsAreHarmless(t *testing.T) {
	var b strings.Builder
	for deed := range deedSigns {
		writeDeed(&b, importDeed{Type: "t\x1b[2J", Name: "n\x1b[2J", Deed: deed, Diff: []importDiff{{"f\x1b[2J", "a\x1b[2J", "b\nc\x1b[2J"}, {"g", "\u202e", "x"}}}, false)
	}
	writeDeed(&b, importDeed{Deed: "unknown"}, false)
	if strings.ContainsAny(b.String(), "\x1b\u202e") {
		t.Errorf("%q", b.String())
	}
}
