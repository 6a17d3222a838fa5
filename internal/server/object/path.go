package object

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// HasPath reports whether objects of the shape can have something at a path.
func (s *Shape) HasPath(path string) bool {
	name, rest, deeper := strings.Cut(strings.ReplaceAll(path, ".", "/"), "/")
	i, ok := s.at[name]
	if !ok || s.Fields[i].Hidden {
		return false
	}
	f := &s.Fields[i]
	if f.Type == Nested && deeper {
		return f.Of.HasPath(rest)
	}
	refers := f.Type == Reference
	if f.Type == Head {
		refers = slices.Contains([]string{"creator", "modifier", "creator_persona", "modifier_persona"}, f.Head)
	}
	return !deeper || refers && (rest == "id" || rest == "name")
}

// Cell returns what stands at a path like "user/name" or "user.name" as a
// text, as Append writes it. A list gives the texts of its elements with
// commas between. It reports false if the shape has no such path.
func (o *Object) Cell(path string, h Header, names Names) (string, bool) {
	name, rest, deeper := strings.Cut(strings.ReplaceAll(path, ".", "/"), "/")
	i, ok := o.shape.at[name]
	if !ok {
		return "", false
	}
	f := &o.shape.Fields[i]
	if f.Hidden {
		return "", false
	}
	if f.Optional && o.values[i] == nil {
		return "", !deeper
	}
	v := o.at(i)
	if f.Type == Head && v == nil {
		return headCell(f.Head, rest, h, names)
	}
	list, isList := v.([]any)
	if !isList {
		return f.cell(v, rest, deeper, names)
	}
	var texts []string
	for _, e := range list {
		text, ok := f.cell(e, rest, deeper, names)
		if !ok {
			return "", false
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, ","), true
}

func (f *Field) cell(v any, rest string, deeper bool, names Names) (string, bool) {
	switch v := v.(type) {
	case *Object:
		if deeper {
			return v.Cell(rest, Header{}, names)
		}
		return string(v.append(nil, Header{}, names, true)), true
	case Ref:
		return refCell(f.Kind, v.ID, rest, names)
	case string:
		return v, !deeper
	}
	return strings.Trim(string(f.appendOne(nil, v, names)), `"`), !deeper
}

func refCell(kind string, id int64, rest string, names Names) (string, bool) {
	switch rest {
	case "", "id":
		return strconv.FormatInt(id, 10), true
	case "name":
		if names == nil {
			return "", true
		}
		return names(kind, id), true
	}
	return "", false
}

func headCell(what, rest string, h Header, names Names) (string, bool) {
	switch what {
	case "creator":
		return refCell("user", h.CreatedBy, rest, names)
	case "modifier":
		return refCell("user", h.ModifiedBy, rest, names)
	case "creator_persona":
		return refCell("persona", h.CreatedAs, rest, names)
	case "modifier_persona":
		return refCell("persona", h.ModifiedAs, rest, names)
	}
	return strings.Trim(string(appendHead(nil, what, h, names)), `"`), rest == ""
}

// A Difference is a field that two objects do not have in common, as texts.
type Difference struct {
	Field    string
	Was, Now string
}

// Diff compares two objects of one shape, field by field. Hidden fields are
// only said to differ.
func Diff(was, now *Object, names Names) (out []Difference) {
	for i := range now.shape.Fields {
		f := &now.shape.Fields[i]
		if f.Type == Head {
			continue
		}
		a, b := was.text(i, names), now.text(i, names)
		switch {
		case a == b:
		case f.Hidden:
			out = append(out, Difference{f.Name, "(secret)", "(secret)"})
		default:
			out = append(out, Difference{f.Name, a, b})
		}
	}
	return out
}

func (o *Object) text(i int, names Names) string {
	f := &o.shape.Fields[i]
	v := o.at(i)
	switch {
	case v == nil, f.Optional && o.values[i] == nil:
		return ""
	case f.List:
		if list, _ := v.([]any); len(list) == 0 {
			return ""
		}
		return string(f.appendList(nil, v, names))
	}
	if t, ok := v.(time.Time); ok && t.IsZero() {
		return ""
	}
	switch v := v.(type) {
	case string:
		return v
	case Ref:
		if v.ID == 0 {
			return ""
		}
	}
	return string(f.appendOne(nil, v, names))
}
