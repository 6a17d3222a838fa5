package object

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"catenary/internal/fault"
)

// A Ref points to another object.
type Ref struct {
	ID   int64  `json:"id"`
	Name string `json:"name,omitempty"` // on input: an alternative to ID
}

// An Object is values for the fields of a shape. A field without a value has
// not been said. Objects that others can see are not changed any more: Clone
// first.
type Object struct {
	shape  *Shape
	values []any // by field; nil: not said
}

// New returns an object without values.
func New(s *Shape) *Object { return &Object{s, make([]any, len(s.Fields))} }

// Shape is the shape that the object has.
func (o *Object) Shape() *Shape { return o.shape }

// Clone returns a copy that may be changed.
func (o *Object) Clone() *Object { return &Object{o.shape, slices.Clone(o.values)} }

// Has reports whether a field has been said.
func (o *Object) Has(field string) bool {
	i, ok := o.shape.at[field]
	return ok && o.values[i] != nil
}

// Value returns what a field holds: what was said, or its default, as
// documented at its type; nil for a list, a nested object or JSON that was not
// said.
func (o *Object) Value(field string) any {
	i, ok := o.shape.at[field]
	if !ok {
		return nil
	}
	return o.at(i)
}

func (o *Object) at(i int) any {
	if v := o.values[i]; v != nil {
		return v
	}
	f := &o.shape.Fields[i]
	if f.List {
		return nil
	}
	return f.zero()
}

func (f *Field) zero() any {
	if f.Default != nil {
		return f.Default
	}
	switch f.Type {
	case String:
		return ""
	case Number:
		return int64(0)
	case Bool, Flag:
		return false
	case Date:
		return time.Time{}
	case Enum:
		return f.Values[0]
	case Reference:
		return Ref{}
	}
	return nil
}

// Text returns what a String or Enum holds, and "" for anything else.
func (o *Object) Text(field string) string { return as[string](o.Value(field)) }

// Int returns what a Number holds, and 0 for anything else.
func (o *Object) Int(field string) int64 { return as[int64](o.Value(field)) }

// Is returns what a Bool or Flag holds.
func (o *Object) Is(field string) bool { return as[bool](o.Value(field)) }

// Time returns what a Date holds.
func (o *Object) Time(field string) time.Time { return as[time.Time](o.Value(field)) }

// Ref returns what a Reference holds.
func (o *Object) Ref(field string) Ref { return as[Ref](o.Value(field)) }

// Raw returns what an Any holds.
func (o *Object) Raw(field string) json.RawMessage { return as[json.RawMessage](o.Value(field)) }

// Object returns what a Nested holds; nil if nothing.
func (o *Object) Object(field string) *Object { return as[*Object](o.Value(field)) }

// Objects returns what a list of Nested holds.
func (o *Object) Objects(field string) []*Object { return listOf[*Object](o.Value(field)) }

// Refs returns what a list of References holds.
func (o *Object) Refs(field string) []Ref { return listOf[Ref](o.Value(field)) }

// Texts returns what a list of Strings holds.
func (o *Object) Texts(field string) []string { return listOf[string](o.Value(field)) }

func as[T any](v any) T {
	t, _ := v.(T)
	return t
}

func listOf[T any](v any) []T {
	list, _ := v.([]any)
	out := make([]T, 0, len(list))
	for _, e := range list {
		out = append(out, as[T](e))
	}
	return out
}

// ListOf makes of a slice what a list field holds.
func ListOf[T any](list []T) []any {
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = e
	}
	return out
}

// Set says a field, with a value as its type wants it; nil unsays it. It
// panics if there is no such field: the names are our own.
func (o *Object) Set(field string, v any) {
	i, ok := o.shape.at[field]
	if !ok {
		panic("object: " + o.shape.Name + " has no field " + field)
	}
	o.values[i] = v
}

// With returns a copy in which everything that patch says is as patch says.
func (o *Object) With(patch *Object) *Object {
	out := o.Clone()
	for i, v := range patch.values {
		if v == nil {
			continue
		}
		if j, ok := o.shape.at[patch.shape.Fields[i].Name]; ok {
			out.values[j] = v
		}
	}
	return out
}

// Each calls f for each reference in the object, at any depth, and puts what f
// returns in its place. The object must be nobody else's.
func (o *Object) Each(f func(kind string, r Ref) (Ref, error)) error {
	err := o.each(f)
	if b, ok := errors.AsType[badField](err); ok {
		return fault.New(fault.Invalid, "%w", b)
	}
	return err
}

func (o *Object) each(f func(kind string, r Ref) (Ref, error)) error {
	for i, v := range o.values {
		if v == nil {
			continue
		}
		field := &o.shape.Fields[i]
		list, isList := v.([]any)
		if !isList {
			w, err := eachIn(field, v, f)
			if err != nil {
				return within(field.Name, err)
			}
			o.values[i] = w
			continue
		}
		if field.Type != Reference && field.Type != Nested {
			continue
		}
		list = slices.Clone(list)
		for j, e := range list {
			w, err := eachIn(field, e, f)
			if err != nil {
				return within(indexed(field.Name, j), err)
			}
			list[j] = w
		}
		o.values[i] = list
	}
	return nil
}

func eachIn(field *Field, v any, f func(string, Ref) (Ref, error)) (any, error) {
	switch v := v.(type) {
	case Ref:
		return f(field.Kind, v)
	case *Object:
		c := v.Clone()
		return c, c.each(f)
	}
	return v, nil
}
