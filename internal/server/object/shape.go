// Package object is what the objects of the public API look like: which fields
// they have, how they are read from JSON and written to it, and how one is
// compared with another. The shapes are a text, shapes.txt; everything that
// depends on a field's name or type (routes, descriptions, filters, imports)
// reads it from there.
//
// It knows nothing of where objects are kept, nor of who may see them.
package object

import (
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Type is what a field holds.
type Type uint8

// The types. How each stands in JSON is said in shapes.txt.
const (
	String    Type = iota // a Go string
	Number                // int64
	Bool                  // bool
	Flag                  // bool, printed as 0 or 1
	Date                  // time.Time
	Enum                  // a Go string, one of Field.Values
	Any                   // json.RawMessage, compact
	Reference             // Ref
	Nested                // *Object of the shape Field.Of
	Head                  // what the record knows of itself, named by Field.Head
)

// A Field is one member of an object.
type Field struct {
	Name     string
	Type     Type
	List     bool     // a list of Type: []any with elements as Type says
	Of       *Shape   // of a Nested one
	Kind     string   // of a Reference: what it points to
	Values   []string // of an Enum; the first is the default
	Head     string   // of a Head: id, created, creator, …
	ReadOnly bool     // said by the server only
	Required bool     // must be there when an object is made
	Hidden   bool     // never said
	Secret   bool     // hidden, and kept apart from the rest: it is encrypted
	Default  any      // as Type says; nil: its zero value
	Optional bool     // left out when it was not said: its zero value would say something else
}

// A Shape is the fields of one sort of object, in the order in which they are
// written.
type Shape struct {
	Name   string
	Fields []Field

	at     map[string]int
	headed bool // its objects are records of their own
}

// Field returns the field of that name.
func (s *Shape) Field(name string) (*Field, bool) {
	i, ok := s.at[name]
	if !ok {
		return nil, false
	}
	return &s.Fields[i], true
}

//go:embed shapes.txt
var shapesText string

var shapes = mustParse(shapesText)

// ShapeOf returns a shape by name. It panics if there is none: names of shapes
// come from our own tables.
func ShapeOf(name string) *Shape {
	s, ok := shapes[name]
	if !ok {
		panic("object: no shape is called " + name)
	}
	return s
}

// Shapes returns all shapes by name.
func Shapes() map[string]*Shape { return shapes }

func mustParse(text string) map[string]*Shape {
	all, err := parse(text)
	if err != nil {
		panic("object: " + err.Error())
	}
	return all
}

// parse reads the text of shapes. Shapes may refer to each other and to
// themselves.
func parse(text string) (map[string]*Shape, error) {
	all := map[string]*Shape{}
	shape := func(name string) *Shape {
		if all[name] == nil {
			all[name] = &Shape{Name: name, at: map[string]int{}}
		}
		return all[name]
	}
	var s *Shape
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.TrimSpace(line) == "", strings.HasPrefix(line, "#"):
		case !strings.HasPrefix(line, "\t"):
			if s = shape(line); len(s.Fields) > 0 {
				return nil, fmt.Errorf("line %d: a second shape %s", i+1, line)
			}
		default:
			f, err := parseField(strings.Fields(line), shape)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", i+1, err)
			}
			if _, twice := s.at[f.Name]; twice {
				return nil, fmt.Errorf("line %d: a second field %s", i+1, f.Name)
			}
			s.at[f.Name] = len(s.Fields)
			s.headed = s.headed || f.Type == Head
			s.Fields = append(s.Fields, f)
		}
	}
	for _, s := range all {
		if len(s.Fields) == 0 {
			return nil, fmt.Errorf("the shape %s is named and nowhere described", s.Name)
		}
		for _, f := range s.Fields {
			if f.Of != nil && slices.ContainsFunc(f.Of.Fields, func(f Field) bool { return f.Secret }) {
				return nil, fmt.Errorf("%s of %s: Split does not look for secrets within objects", f.Name, s.Name)
			}
		}
	}
	return all, nil
}

var plainTypes = map[string]Type{"string": String, "number": Number, "bool": Bool, "flag": Flag, "date": Date, "any": Any}

func parseField(words []string, shape func(string) *Shape) (Field, error) {
	if len(words) < 2 {
		return Field{}, fmt.Errorf("a field has a name and a type")
	}
	f := Field{Name: words[0]}
	typ := words[1]
	if inner, ok := strings.CutPrefix(typ, "["); ok {
		f.List, typ = true, strings.TrimSuffix(inner, "]")
	}
	prefix, rest, _ := strings.Cut(typ, ":")
	plain, isPlain := plainTypes[typ]
	switch {
	case isPlain:
		f.Type = plain
	case prefix == "enum":
		f.Type, f.Values = Enum, strings.Split(strings.ReplaceAll(rest, "_", " "), "|")
	case prefix == "ref":
		f.Type, f.Kind = Reference, rest
	case strings.HasPrefix(typ, "@"):
		f.Type, f.Head, f.ReadOnly = Head, typ[1:], true
	default:
		f.Type, f.Of = Nested, shape(typ)
	}
	for _, w := range words[2:] {
		switch {
		case w == "opt":
			f.Optional = true
		case w == "ro":
			f.ReadOnly = true
		case w == "req":
			f.Required = true
		case w == "hidden":
			f.Hidden = true
		case w == "secret":
			f.Hidden, f.Secret = true, true
		case strings.HasPrefix(w, "="):
			if err := f.setDefault(w[1:]); err != nil {
				return Field{}, err
			}
		default:
			return Field{}, fmt.Errorf("%s: %q is not known", f.Name, w)
		}
	}
	return f, nil
}

func (f *Field) setDefault(text string) error {
	switch f.Type {
	case String:
		f.Default = text
	case Number:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return fmt.Errorf("%s: the default %q is not a number", f.Name, text)
		}
		f.Default = n
	case Bool, Flag:
		f.Default = text == "true" || text == "1"
	default:
		return fmt.Errorf("%s: its type has no default", f.Name)
	}
	return nil
}
