package content

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"catenary/internal/fault"
	"catenary/internal/server/object"
)

func folder(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

const head = "name: Desk\nversion: 1.10\n"

func TestRead(t *testing.T) {
	f, err := Read(folder(map[string]string{
		"content.yaml": head,
		"sensors/kernel.yaml": `
name: Kernel Modules
description: |
  What is loaded.
  And more.
max_age_seconds: 1h
delimiter: "|"
content_set: Base
subcolumns:
  - {name: Module, value_type: String, index: 0}
  - {name: Size, value_type: DataSize, index: 1}
queries:
  - platform: Linux
    script_type: UnixShell
    file: scripts/lsmod.sh
parameter_definition:
  parameters: [{key: x, label: "1"}]
`,
		"scripts/lsmod.sh":  "#!/bin/sh\nlsmod\n",
		"groups/linux.yaml": "name: Linux\ntext: Is Linux equals True\nfilter_flag: 1\n",
		"packages/clean.yml": `
name: Clean
command: sh clean.sh
command_timeout: 10m
files:
  - file: files/clean.sh
verify_group: Linux
`,
		"files/clean.sh":             "rm -rf /tmp/x\n",
		"saved-questions/names.yaml": "name: Names\nquery_text: Get Computer Name from all machines\nissue_seconds: 90\npackages: [Clean]\n",
		"saved-questions/README.md":  "not YAML: [",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if f.Name != "Desk" || f.Version != "1.10" || len(f.Objects) != 4 {
		t.Fatalf("read %+v", f)
	}
	for i, want := range []string{
		`{"content_set":{"name":"Base"},"delimiter":"|","description":"What is loaded.\nAnd more.\n","max_age_seconds":3600,"name":"Kernel Modules",` +
			`"parameter_definition":"{\"parameters\":[{\"key\":\"x\",\"label\":\"1\"}]}","queries":[{"platform":"Linux","script":"#!/bin/sh\nlsmod\n","script_type":"UnixShell"}],` +
			`"subcolumns":[{"index":0,"name":"Module","value_type":"String"},{"index":1,"name":"Size","value_type":"DataSize"}]}`,
		`{"filter_flag":true,"name":"Linux","text":"Is Linux equals True"}`,
		`{"command":"sh clean.sh","command_timeout":600,"files":[{"name":"clean.sh"}],"name":"Clean","verify_group":{"name":"Linux"}}`,
		`{"issue_seconds":90,"name":"Names","packages":[{"name":"Clean"}],"query_text":"Get Computer Name from all machines"}`,
	} {
		if got := string(f.Objects[i].Body); got != want {
			t.Errorf("object %d is %s\nwant %s", i, got, want)
		}
	}
	if got := f.Objects[2].Files; !reflect.DeepEqual(got, []File{{"clean.sh", "files/clean.sh"}}) {
		t.Errorf("files are %v", got)
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tt := range []struct{ file, text, want string }{
		{"content.yaml", "version: 1\n", "content.yaml:1: the content has no name"},
		{"content.yaml", "name: x\nauthor: y\n", `content.yaml:2: "author" is not known here`},
		{"content.yaml", "- x\n", "content.yaml:1: a mapping is expected"},
		{"groups/a.yaml", "name: x\ntext: [\n", "groups/a.yaml:"},
		{"groups/a.yaml", "name: x\nteext: y\n", `groups/a.yaml:2: "teext" is not known here`},
		{"groups/a.yaml", "name: x\nfilter: true\n", `groups/a.yaml:2: "filter" is not known here; is filter_flag meant?`},
		{"groups/a.yaml", "name: x\nid: 5\n", `groups/a.yaml:2: "id" is not known here`},
		{"groups/a.yaml", "name: x\nname: y\n", "groups/a.yaml:"},
		{"groups/a.yaml", "name: x\nfilter_flag: perhaps\n", "groups/a.yaml:2: filter_flag is true or false"},
		{"groups/a.yaml", "name: x\ntype: many\n", `groups/a.yaml:2: type: "many" is not a whole number`},
		{"groups/a.yaml", "text: y\n", "groups/a.yaml:1: name is missing"},
		{"groups/a.yaml", "name: &x y\ntext: *x\n", "anchors and aliases are not read"},
		{"groups/a.yaml", "", "groups/a.yaml"},
		{"groups/a.yaml", "name: x\ncontent_set: {id: 5}\n", "groups/a.yaml:2: content_set is a name"},
		{"groups/a.yaml", "name: x\n\n\nfilters:\n  - sensor: Online\n    operator: Like\n", `groups/a.yaml:6: operator: "Like" is none of RegexMatch`},
		{"groups/a.yaml", "name: x\nfilters: y\n", "groups/a.yaml:2: filters is a list"},
		{"packages/a.yaml", "name: x\ncommand_timeout: 1.5s\n", `packages/a.yaml:2: command_timeout: "1.5s" is neither a number of seconds nor a time`},
		{"packages/a.yaml", "name: x\nfiles:\n  - file: files/none\n", "packages/a.yaml:3:"},
		{"packages/a.yaml", "name: x\nfiles:\n  - file: ../../etc/passwd\n", `packages/a.yaml:3: "../../etc/passwd" is not the path of a file below the folder`},
		{"packages/a.yaml", "name: x\nfiles:\n  - file: /etc/passwd\n", "is not the path of a file below the folder"},
		{"packages/a.yaml", "name: x\nfiles:\n  - source: https://x\n", "packages/a.yaml:3: a file of a package has a name"},
		{"packages/b.yaml", "name: NAMES\ncommand: x\n", "packages/b.yaml: packages/a.yml has the same name"},
		{"groups/a.yaml", "name: x\nsub_groups: " + strings.Repeat("[{sub_groups: ", 100) + strings.Repeat("}]", 100), "groups/a.yaml"},
		{"groups/a.yaml", "name: " + strings.Repeat("x", yamlMax), "bytes, more than"},
	} {
		files := map[string]string{"content.yaml": head, "packages/a.yml": "name: Names\ncommand: x\n"}
		files[tt.file] = tt.text
		_, err := Read(folder(files))
		if err == nil || !strings.Contains(err.Error(), tt.want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%.60s: %v\nwant %s", tt.text, err, tt.want)
		}
	}
	if _, err := Read(folder(nil)); err == nil || !strings.Contains(err.Error(), "there is no content.yaml") {
		t.Errorf("an empty folder: %v", err)
	}
}

// TestShipped: the content that comes with Catenary can be read.
func TestShipped(t *testing.T) {
	f, err := Read(Shipped())
	if err != nil || f.Name != "Catenary" || f.Version == "" || len(f.Objects) == 0 {
		t.Errorf("%+v, %v", f, err)
	}
}

func drawText(t *rapid.T) string {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"x", "true", "null", "1.0", "- a", "a: b", "#c", " lead", "trail ", "two\nlines\n", "two\nlines", "tab\there", "\n", "'", `"`, "*x", "&y", "!t", "2001-01-01", "~", "é"}),
		rapid.StringN(0, 12, 40),
	).Draw(t, "text")
}

// drawObject draws what an export may hold of a shape.
func drawObject(t *rapid.T, s *object.Shape, depth int) map[string]any {
	out := map[string]any{}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Type == object.Head || f.ReadOnly || f.Secret || s.Name == "package_file" && f.Name == "hash" || rapid.IntRange(0, 2).Draw(t, "said") > 0 && f.Name != "name" && f.Name != "url_regex" {
			continue
		}
		one := func() any {
			switch f.Type {
			case object.Number:
				return rapid.Int64Range(-5, 1<<40).Draw(t, "number")
			case object.Bool, object.Flag:
				return rapid.Bool().Draw(t, "flag")
			case object.Enum:
				return rapid.SampledFrom(f.Values).Draw(t, "one of")
			case object.Date:
				return "2026-11-22T08:00:00Z"
			case object.Reference:
				return map[string]any{"name": "n" + drawText(t)}
			case object.Nested:
				return drawObject(t, f.Of, depth+1)
			case object.Any:
				return []any{drawText(t), true, map[string]any{"a": drawText(t)}}
			}
			return drawText(t)
		}
		switch {
		case f.Name == "name" || f.Name == "url_regex":
			out[f.Name] = "n" + rapid.StringMatching(`[a-zA-Z /:-]{0,8}[a-z]`).Draw(t, "name")
		case f.Type == object.Nested && depth > 2:
		case f.List:
			list := []any{one()}
			out[f.Name] = list
		default:
			out[f.Name] = one()
		}
	}
	return out
}

// TestWritten: what is written is read as what it was.
func TestWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Folder{Name: "n" + drawText(t), Version: "1.0", Description: drawText(t)}
		names := map[string]bool{}
		for range rapid.IntRange(0, 4).Draw(t, "objects") {
			typ := rapid.SampledFrom(Types).Draw(t, "type")
			o := drawObject(t, typ.shape(), 0)
			body, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			name := o[typ.Key].(string)
			if names[typ.Plural+strings.ToLower(name)] {
				continue
			}
			names[typ.Plural+strings.ToLower(name)] = true
			f.Objects = append(f.Objects, Object{Type: typ, Name: strings.TrimSpace(name), Body: body})
		}
		files, err := Write(&f)
		if err != nil {
			t.Fatal(err)
		}
		fsys := fstest.MapFS{}
		for name, text := range files {
			fsys[name] = &fstest.MapFile{Data: text}
		}
		got, err := Read(fsys)
		if err != nil {
			t.Fatalf("%v\n%s", err, files)
		}
		if got.Name != f.Name || len(got.Objects) != len(f.Objects) {
			t.Fatalf("%+v became %+v", f, got)
		}
		for _, o := range f.Objects {
			for _, g := range got.Objects {
				if g.Path == o.Path && !same(t, o, g) {
					t.Fatalf("%s\nbecame %s\nby %s", o.Body, g.Body, files[o.Path])
				}
			}
		}
	})
}

// same compares objects as the server would read them.
func same(t *rapid.T, a, b Object) bool {
	x, err := a.Type.shape().Decode(a.Body, object.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Type.shape().Decode(b.Body, object.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return len(object.Diff(x, y, nil)) == 0
}

// FuzzRead: whatever a file holds, it is read or refused with its name, and what
// is read can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add("name: x\ntext: y\nfilter_flag: true\n")
	f.Add("name: x\nfilters:\n  - sensor: Online\n    value: y\n    max_age_seconds: 5m\nsub_groups: [{text: z}, {name: w}]\n")
	f.Add("name: |\n  x\nparameters: [{key: a, value: 'b'}]\n")
	f.Add("{name: x, computer_specs: [{computer_name: y}]}")
	f.Add("name: !!binary aGVsbG8=\ntext: !!str 5\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Read(folder(map[string]string{"content.yaml": head, "groups/x.yaml": text}))
		if err != nil {
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "groups/x.yaml") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		files, err := Write(&got)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		fsys := fstest.MapFS{}
		for name, text := range files {
			fsys[name] = &fstest.MapFile{Data: text}
		}
		again, err := Read(fsys)
		if err != nil || len(again.Objects) != 1 {
			t.Fatalf("%q: %v\n%s", text, err, files)
		}
		x, err := object.ShapeOf("group").Decode(got.Objects[0].Body, object.Lenient)
		if err != nil {
			t.Fatal(err)
		}
		y, err := object.ShapeOf("group").Decode(again.Objects[0].Body, object.Lenient)
		if err != nil {
			t.Fatal(err)
		}
		if d := object.Diff(x, y, nil); len(d) > 0 {
			t.Fatalf("%q\nbecame %s\nby %s", text, d, files)
		}
	})
}

// TestExample: the folder in the documentation is one.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("../../docs/content.md")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"scripts/spool.sh": "#!/bin/sh\nlpstat -o | wc -l\n", "files/clean.sh": "cancel -a\n"}
	named := regexp.MustCompile("(?s)\n`([a-z/.-]+\\.yaml)`[^\n]*\n\n```yaml\n(.*?)```")
	for _, m := range named.FindAllStringSubmatch(string(text), -1) {
		files[m[1]] = m[2]
	}
	f, err := Read(folder(files))
	if err != nil || f.Name != "Desk" || len(f.Objects) != 4 || len(f.Objects[2].Files) != 1 {
		t.Errorf("%+v, %v", f, err)
	}
}
