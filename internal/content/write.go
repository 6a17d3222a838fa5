package content

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"catenary/internal/server/object"
)

// scriptLines is how many lines of a script stand in the YAML file at most; a
// longer one has a file of its own, where editors know what it is.
const scriptLines = 10

// Write returns the files of a folder by their paths. The files of packages are
// not among them: each object's Files says where they belong.
func Write(f *Folder) (map[string][]byte, error) {
	w := writer{files: map[string][]byte{}, used: map[string]bool{}}
	head := mapping()
	for _, m := range [][2]string{{"name", f.Name}, {"version", f.Version}, {"description", f.Description}} {
		if m[1] != "" {
			add(head, m[0], text(m[1]))
		}
	}
	if err := w.keep(HeadFile, head); err != nil {
		return nil, err
	}
	for i := range f.Objects {
		if err := w.object(&f.Objects[i]); err != nil {
			return nil, fmt.Errorf("%s %q: %w", f.Objects[i].Type.Plural, f.Objects[i].Name, err)
		}
	}
	return w.files, nil
}

// A writer turns objects into YAML.
type writer struct {
	files map[string][]byte
	used  map[string]bool // names of files, whatever the case
	at    *Object
	slug  string
}

func (w *writer) object(o *Object) error {
	shape := o.Type.shape()
	w.at = o
	w.slug = w.free(o.Type.Folder, slug(o.Name), ".yaml")
	o.Path = path.Join(o.Type.Folder, w.slug+".yaml")
	o.Files = nil
	n, err := w.mapping(shape, o.Body, 0)
	if err != nil {
		return err
	}
	return w.keep(o.Path, n)
}

func (w *writer) keep(name string, n *yaml.Node) error {
	b, err := yaml.Dump(n, yaml.WithV4Defaults(), yaml.WithLineWidth(-1))
	w.files[name] = b
	return err
}

// free finds a name that no other file has.
func (w *writer) free(dir, name, ext string) string {
	for i := 1; ; i++ {
		try := name
		if i > 1 {
			try += "-" + strconv.Itoa(i)
		}
		if key := strings.ToLower(path.Join(dir, try+ext)); !w.used[key] {
			w.used[key] = true
			return try
		}
	}
}

// slug makes a file's name of any name.
func slug(name string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(name) {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
		if b.Len() > 80 { // bytes; what most systems show in one line
			break
		}
	}
	if s := strings.Trim(b.String(), "-"); s != "" {
		return s
	}
	return "object"
}

// mapping writes an object, the fields in the order of the shape.
func (w *writer) mapping(s *object.Shape, body json.RawMessage, depth int) (*yaml.Node, error) {
	if depth > depthMax {
		return nil, fmt.Errorf("more than %d objects stand within each other", depthMax)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(body, &members); err != nil {
		return nil, err
	}
	n := mapping()
	for i := range s.Fields {
		f := &s.Fields[i]
		raw, ok := members[f.Name]
		if !ok || f.ReadOnly || f.Secret || f.Type == object.Head || bytes.Equal(raw, []byte("null")) {
			continue
		}
		if s.Name == "sensor_query" && f.Name == "script" {
			if w.script(n, members, raw) {
				continue
			}
		}
		value, err := w.field(f, raw, depth)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		if value != nil {
			add(n, f.Name, value)
		}
	}
	if s.Name == "package_file" {
		w.packageFile(n, members)
	}
	return n, nil
}

// script gives a long script a file beside.
func (w *writer) script(n *yaml.Node, members map[string]json.RawMessage, raw json.RawMessage) bool {
	var script, language string
	if json.Unmarshal(raw, &script) != nil || strings.Count(script, "\n") < scriptLines {
		return false
	}
	if json.Unmarshal(members["script_type"], &language) != nil {
		return false
	}
	ext := map[string]string{"UnixShell": ".sh", "Python": ".py", "Powershell": ".ps1", "VBScript": ".vbs", "JScript": ".js"}[language]
	if ext == "" {
		ext = ".txt"
	}
	name := path.Join("scripts", w.free("scripts", w.slug, ext)+ext)
	w.files[name] = []byte(script)
	add(n, fileMember, text(name))
	return true
}

// packageFile says where a package's file lies, if it was uploaded.
func (w *writer) packageFile(n *yaml.Node, members map[string]json.RawMessage) {
	var name, hash string
	if json.Unmarshal(members["name"], &name) != nil || json.Unmarshal(members["hash"], &hash) != nil || hash == "" {
		return
	}
	where := path.Join("files", w.slug, name)
	w.at.Files = append(w.at.Files, File{Name: name, Path: where})
	kept := mapping()
	add(kept, fileMember, text(where))
	for i := 0; i+1 < len(n.Content); i += 2 {
		if field := n.Content[i].Value; field != "name" && field != "hash" && field != "size" {
			kept.Content = append(kept.Content, n.Content[i], n.Content[i+1])
		}
	}
	*n = *kept
}

func (w *writer) field(f *object.Field, raw json.RawMessage, depth int) (*yaml.Node, error) {
	if !f.List {
		return w.one(f, raw, depth)
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, nil
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, e := range list {
		one, err := w.one(f, e, depth)
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, one)
	}
	return n, nil
}

func (w *writer) one(f *object.Field, raw json.RawMessage, depth int) (*yaml.Node, error) {
	switch f.Type {
	case object.Nested:
		return w.mapping(f.Of, raw, depth+1)
	case object.Reference:
		var ref object.Ref
		if err := json.Unmarshal(raw, &ref); err != nil || ref.Name == "" {
			return nil, err
		}
		return text(ref.Name), nil
	case object.Any:
		return freely(raw, depth)
	case object.String, object.Enum, object.Date:
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return nil, err
		}
		if trimmed := strings.TrimSpace(s); strings.HasPrefix(f.Name, "parameter_definition") && strings.HasPrefix(trimmed, "{") && json.Valid([]byte(trimmed)) {
			return freely(json.RawMessage(trimmed), depth)
		}
		return text(s), nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: string(raw)}, nil
}

// freely writes JSON of no known shape.
func freely(raw json.RawMessage, depth int) (*yaml.Node, error) {
	if depth > depthMax {
		return nil, fmt.Errorf("more than %d lists and mappings stand within each other", depthMax)
	}
	switch raw[0] {
	case '{':
		n := mapping()
		dec := json.NewDecoder(bytes.NewReader(raw))
		if _, err := dec.Token(); err != nil {
			return nil, err
		}
		for dec.More() { // in the order in which it stands there
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			var inner json.RawMessage
			if err := dec.Decode(&inner); err != nil {
				return nil, err
			}
			value, err := freely(bytes.TrimSpace(inner), depth+1)
			if err != nil {
				return nil, err
			}
			add(n, fmt.Sprint(key), value)
		}
		return n, nil
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, err
		}
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for _, e := range list {
			one, err := freely(bytes.TrimSpace(e), depth+1)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, one)
		}
		return n, nil
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return text(s), err
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: string(raw)}, nil
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func add(n *yaml.Node, name string, value *yaml.Node) {
	n.Content = append(n.Content, text(name), value)
}

// text is a string, in a block of lines if it has several.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if strings.Contains(s, "\n") && !strings.ContainsAny(s, "\r\t") && !strings.HasPrefix(s, " ") && !strings.HasPrefix(s, "\n") && !strings.Contains(s, " \n") {
		n.Style = yaml.LiteralStyle
	} else if n.Style == yaml.LiteralStyle {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}
