package content

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"catenary/internal/server/object"
)

// field turns what stands behind a field's name into JSON.
func (r *reader) field(f *object.Field, n *yaml.Node, depth int) (json.RawMessage, error) {
	if !f.List {
		return r.one(f, n, depth)
	}
	if n.Kind != yaml.SequenceNode {
		return nil, r.wrong(n, "%s is a list: lines that begin with -", f.Name)
	}
	out := make([]json.RawMessage, 0, len(n.Content))
	for _, e := range n.Content {
		if e.Kind == yaml.AliasNode || e.Anchor != "" {
			return nil, r.wrong(e, "anchors and aliases are not read: write it out")
		}
		one, err := r.one(f, e, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return json.Marshal(out)
}

func (r *reader) one(f *object.Field, n *yaml.Node, depth int) (json.RawMessage, error) {
	switch f.Type {
	case object.Nested:
		return r.nested(f, n, depth)
	case object.Reference:
		if n.Kind == yaml.MappingNode {
			return r.reference(f, n)
		}
		name, err := r.text(f, n)
		if err != nil {
			return nil, err
		}
		return json.Marshal(map[string]string{"name": name})
	case object.Any:
		return r.free(n, depth)
	case object.Number:
		return r.number(f, n)
	case object.Bool, object.Flag:
		if n.Kind == yaml.ScalarNode {
			switch n.Value {
			case "true", "1":
				return json.RawMessage("true"), nil
			case "false", "0":
				return json.RawMessage("false"), nil
			}
		}
		return nil, r.wrong(n, "%s is true or false", f.Name)
	case object.String:
		if n.Kind == yaml.MappingNode || n.Kind == yaml.SequenceNode { // JSON in a text, as the API has it
			free, err := r.free(n, depth)
			if err != nil {
				return nil, err
			}
			return json.Marshal(string(free))
		}
	}
	text, err := r.text(f, n)
	if err != nil {
		return nil, err
	}
	return r.checked(f, n, text)
}

// nested is an object within another. A sensor, and other things that are known
// by a name, may be said by it alone.
func (r *reader) nested(f *object.Field, n *yaml.Node, depth int) (json.RawMessage, error) {
	if n.Kind != yaml.ScalarNode {
		return r.object(f.Of, n, depth+1)
	}
	if _, named := f.Of.Field("name"); !named {
		return nil, r.wrong(n, "%s is a mapping: lines like name: …", f.Name)
	}
	name, err := r.text(f, n)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"name": name})
}

// reference is {name: …}: a number means nothing in another installation.
func (r *reader) reference(f *object.Field, n *yaml.Node) (json.RawMessage, error) {
	members, err := r.members(n)
	if err != nil {
		return nil, err
	}
	if len(members) != 1 || members[0].name != "name" {
		return nil, r.wrong(n, "%s is a name, or a mapping with one", f.Name)
	}
	name, err := r.text(f, members[0].value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]string{"name": name})
}

// text is what a scalar says.
func (r *reader) text(f *object.Field, n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", r.wrong(n, "%s is a text", f.Name)
	case n.ShortTag() == "!!null":
		return "", nil
	case !utf8.ValidString(n.Value):
		return "", r.wrong(n, "%s is not UTF-8", f.Name)
	}
	return n.Value, nil
}

// checked lets the shape look at a text, so that what is wrong is said with its
// line.
func (r *reader) checked(f *object.Field, n *yaml.Node, text string) (json.RawMessage, error) {
	if f.Type == object.Date {
		if _, err := object.ParseTime(text); err != nil {
			return nil, r.wrong(n, "%s: %v", f.Name, err)
		}
	}
	if f.Type == object.Enum && text != "" {
		ok := false
		for _, v := range f.Values {
			ok = ok || strings.EqualFold(v, text)
		}
		if !ok {
			return nil, r.wrong(n, "%s: %q is none of %s", f.Name, shorten(text), strings.Join(f.Values, ", "))
		}
	}
	return json.Marshal(text)
}

// number is a whole number; of seconds it may be a duration like 15m.
func (r *reader) number(f *object.Field, n *yaml.Node) (json.RawMessage, error) {
	text, err := r.text(f, n)
	if err != nil {
		return nil, err
	}
	if x, err := strconv.ParseInt(text, 10, 64); err == nil {
		return json.RawMessage(strconv.FormatInt(x, 10)), nil
	}
	if seconds(f.Name) {
		if d, err := time.ParseDuration(text); err == nil && d%time.Second == 0 {
			return json.RawMessage(strconv.FormatInt(int64(d/time.Second), 10)), nil
		}
		return nil, r.wrong(n, "%s: %q is neither a number of seconds nor a time like 15m or 24h", f.Name, shorten(text))
	}
	return nil, r.wrong(n, "%s: %q is not a whole number", f.Name, shorten(text))
}

// seconds reports whether a field counts seconds.
func seconds(name string) bool {
	return strings.HasSuffix(name, "_seconds") || name == "command_timeout"
}

// free turns YAML of no known shape into JSON.
func (r *reader) free(n *yaml.Node, depth int) (json.RawMessage, error) {
	if depth > depthMax {
		return nil, r.wrong(n, "more than %d lists and mappings stand within each other", depthMax)
	}
	switch n.Kind {
	case yaml.MappingNode:
		members, err := r.members(n)
		if err != nil {
			return nil, err
		}
		out := map[string]json.RawMessage{}
		for _, m := range members {
			if out[m.name], err = r.free(m.value, depth+1); err != nil {
				return nil, err
			}
		}
		return json.Marshal(out)
	case yaml.SequenceNode:
		out := []json.RawMessage{}
		for _, e := range n.Content {
			one, err := r.free(e, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, one)
		}
		return json.Marshal(out)
	case yaml.ScalarNode:
		return r.scalar(n)
	}
	return nil, r.wrong(n, "anchors and aliases are not read: write it out")
}

func (r *reader) scalar(n *yaml.Node) (json.RawMessage, error) {
	switch n.ShortTag() {
	case "!!null":
		return json.RawMessage("null"), nil
	case "!!bool":
		return json.RawMessage(strconv.FormatBool(strings.EqualFold(n.Value, "true"))), nil
	case "!!int", "!!float":
		if json.Valid([]byte(n.Value)) {
			return json.RawMessage(n.Value), nil
		}
	}
	return json.Marshal(n.Value)
}

func shorten(text string) string {
	const most = 60 // characters: enough to find it
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
