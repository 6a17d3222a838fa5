package content

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"catenary/internal/fault"
	"catenary/internal/server/object"
)

const (
	// HeadFile says what a folder is.
	HeadFile = "content.yaml"

	yamlMax    = 1 << 20 // bytes of a YAML file
	scriptMax  = 1 << 20 // bytes of a script beside one
	objectsMax = 20_000  // files of a folder
	depthMax   = 64      // nodes within each other
)

// Read reads a folder. Its error names the file and the line, and is of kind
// Invalid if the folder is wrong.
func Read(fsys fs.FS) (Folder, error) {
	f, err := readHead(fsys)
	if err != nil {
		return Folder{}, err
	}
	seen := map[string]string{}
	for _, t := range Types {
		files, err := yamlFiles(fsys, t.Folder)
		if err != nil {
			return Folder{}, err
		}
		for _, name := range files {
			if len(f.Objects) >= objectsMax {
				return Folder{}, fault.New(fault.Invalid, "the folder has more than %d objects", objectsMax)
			}
			o, err := readObject(fsys, t, name)
			if err != nil {
				return Folder{}, err
			}
			key := t.Plural + "\x00" + strings.ToLower(o.Name)
			if other := seen[key]; other != "" {
				return Folder{}, fault.New(fault.Invalid, "%s: %s has the same name, %q", name, other, o.Name)
			}
			seen[key] = name
			f.Objects = append(f.Objects, o)
		}
	}
	return f, nil
}

// yamlFiles are the YAML files of a folder within, in their order; none if there
// is no such folder.
func yamlFiles(fsys fs.FS, dir string) (out []string, err error) {
	list, err := fs.ReadDir(fsys, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range list {
		if ext := path.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, path.Join(dir, e.Name()))
		}
	}
	return out, nil
}

func readHead(fsys fs.FS) (f Folder, err error) {
	root, err := readYAML(fsys, HeadFile)
	if errors.Is(err, fs.ErrNotExist) {
		return f, fault.New(fault.Invalid, "there is no %s: a folder of content has one, with its name", HeadFile)
	}
	if err != nil {
		return f, err
	}
	r := reader{fsys: fsys, file: HeadFile}
	members, err := r.members(root)
	if err != nil {
		return f, err
	}
	for _, m := range members {
		to := map[string]*string{"name": &f.Name, "version": &f.Version, "description": &f.Description}[m.name]
		if to == nil {
			return f, r.wrong(m.key, "%q is not known here: name, version and description are", m.name)
		}
		if m.value.Kind != yaml.ScalarNode {
			return f, r.wrong(m.value, "%s is a text", m.name)
		}
		*to = m.value.Value
	}
	if strings.TrimSpace(f.Name) == "" {
		return f, r.wrong(root, "the content has no name")
	}
	return f, nil
}

// readFile reads a file of at most so many bytes.
func readFile(fsys fs.FS, name string, most int64) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fault.New(fault.Invalid, "%s is not a file", name)
	}
	if info.Size() > most {
		return nil, fault.New(fault.Invalid, "%s has %d bytes, more than %d", name, info.Size(), most)
	}
	return fs.ReadFile(fsys, name)
}

// readYAML reads a file with one document.
func readYAML(fsys fs.FS, name string) (*yaml.Node, error) {
	text, err := readFile(fsys, name, yamlMax)
	if err != nil {
		return nil, err
	}
	return parseYAML(name, text)
}

func parseYAML(name string, text []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		if e, ok := errors.AsType[*yaml.LoadError](err); ok {
			return nil, fault.New(fault.Invalid, "%s:%d: %s", name, max(e.Mark.Line, 1), e.Message)
		}
		return nil, fault.New(fault.Invalid, "%s: %w", name, err)
	}
	root := &doc
	if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		root = doc.Content[0]
	}
	if root.Kind != yaml.MappingNode {
		return nil, fault.New(fault.Invalid, "%s:%d: a mapping is expected: lines like name: …", name, max(root.Line, 1))
	}
	return root, nil
}

// readObject reads an object's file.
func readObject(fsys fs.FS, t Type, name string) (Object, error) {
	root, err := readYAML(fsys, name)
	if err != nil {
		return Object{}, err
	}
	return objectOf(fsys, t, name, root)
}

func objectOf(fsys fs.FS, t Type, name string, root *yaml.Node) (Object, error) {
	r := reader{fsys: fsys, file: name, top: t}
	body, err := r.object(t.shape(), root, 0)
	if err != nil {
		return Object{}, err
	}
	checked, err := t.shape().Decode(body, object.Strict)
	if err != nil { // what no single line tells
		return Object{}, fault.New(fault.Invalid, "%s: %w", name, err)
	}
	key := strings.TrimSpace(checked.Text(t.Key))
	if key == "" {
		return Object{}, r.wrong(root, "%s is missing", t.Key)
	}
	return Object{Type: t, Name: key, Path: name, Body: body, Files: r.files}, nil
}

// A reader turns YAML into the JSON of one object.
type reader struct {
	fsys  fs.FS
	file  string
	top   Type
	files []File
}

// wrong is an error about a node.
func (r *reader) wrong(n *yaml.Node, format string, args ...any) error {
	return fault.New(fault.Invalid, "%s:%d: %s", r.file, max(n.Line, 1), fmt.Sprintf(format, args...))
}

// A member is a line of a mapping.
type member struct {
	name       string
	key, value *yaml.Node
}

// members are those of a mapping, each once.
func (r *reader) members(n *yaml.Node) ([]member, error) {
	if n.Kind != yaml.MappingNode {
		return nil, r.wrong(n, "a mapping is expected: lines like name: …")
	}
	var out []member
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch {
		case k.Kind != yaml.ScalarNode:
			return nil, r.wrong(k, "the name of a field is a text")
		case v.Kind == yaml.AliasNode || v.Anchor != "" || k.Anchor != "":
			return nil, r.wrong(v, "anchors and aliases are not read: write it out")
		case slices.ContainsFunc(out, func(m member) bool { return m.name == k.Value }):
			return nil, r.wrong(k, "%s is said twice", k.Value)
		}
		out = append(out, member{k.Value, k, v})
	}
	return out, nil
}

// scriptFile and packageFile are members that name a file beside, in the place
// of what the API wants.
const fileMember = "file"

// object turns a mapping into the JSON of a shape.
func (r *reader) object(s *object.Shape, n *yaml.Node, depth int) (json.RawMessage, error) {
	if depth > depthMax {
		return nil, r.wrong(n, "more than %d objects stand within each other", depthMax)
	}
	members, err := r.members(n)
	if err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for _, m := range members {
		if m.name == fileMember && (s.Name == "sensor_query" || s.Name == "package_file") {
			if err := r.beside(s, m, out); err != nil {
				return nil, err
			}
			continue
		}
		f, ok := s.Field(m.name)
		if !ok || f.ReadOnly || f.Type == object.Head {
			return nil, r.wrong(m.key, "%q is not known here%s", m.name, near(m.name, s))
		}
		if out[m.name], err = r.field(f, m.value, depth); err != nil {
			return nil, err
		}
	}
	if s.Name == "package_file" && len(out["name"]) == 0 {
		return nil, r.wrong(n, "a file of a package has a name")
	}
	return json.Marshal(out)
}

// near names a field that may have been meant.
func near(name string, s *object.Shape) string {
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Type != object.Head && !f.ReadOnly && (strings.HasPrefix(f.Name, name) || strings.HasPrefix(name, f.Name) || strings.TrimSuffix(f.Name, "_flag") == name || strings.TrimSuffix(f.Name, "_seconds") == name) {
			return fmt.Sprintf("; is %s meant?", f.Name)
		}
	}
	return ""
}

// beside takes a file that lies in the folder: the text of a script, or the
// file of a package.
func (r *reader) beside(s *object.Shape, m member, out map[string]json.RawMessage) error {
	name := m.value.Value
	if m.value.Kind != yaml.ScalarNode || !fs.ValidPath(name) || name == "." {
		return r.wrong(m.value, "%q is not the path of a file below the folder", shorten(name))
	}
	if s.Name == "package_file" {
		if _, err := fs.Stat(r.fsys, name); err != nil {
			return r.wrong(m.value, "%v", err)
		}
		base, err := json.Marshal(path.Base(name))
		if err != nil {
			return err
		}
		if out["name"] == nil {
			out["name"] = base
		}
		r.files = append(r.files, File{Name: path.Base(name), Path: name})
		return nil
	}
	text, err := readFile(r.fsys, name, scriptMax)
	if err != nil {
		return r.wrong(m.value, "%v", err)
	}
	script, err := json.Marshal(string(text))
	out["script"] = script
	return err
}
