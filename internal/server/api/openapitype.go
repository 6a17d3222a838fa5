package api

import (
	"encoding/json"
	"reflect"
	"strings"
)

// What the description of the API says of the Go types of special routes.

var (
	flagType    = typeOf[flag]()
	numberType  = typeOf[number]()
	wordType    = typeOf[groupWord]()
	timeType    = typeOf[isoTime]()
	rawType     = typeOf[json.RawMessage]()
	bareType    = typeOf[bare]()
	plainType   = typeOf[plain]()
	marshals    = typeOf[json.Marshaler]()
	unmarshals  = typeOf[json.Unmarshaler]()
	textWriters = typeOf[interface{ MarshalText() ([]byte, error) }]()
)

// ofType is the schema of values of a type as they are answered.
func (d *description) ofType(t reflect.Type) schema { return d.typed(t, false) }

// inputType is the schema of values of a type as they are to be sent.
func (d *description) inputType(t reflect.Type) schema { return d.typed(t, true) }

func (d *description) typed(t reflect.Type, input bool) schema {
	switch t {
	case flagType:
		if input {
			return schema{"enum": []any{true, false, 0, 1, "true", "false", "0", "1"}}
		}
		return schema{"type": "boolean"}
	case numberType:
		return schema{"type": "integer"}
	case wordType:
		return schema{"type": []any{"string", "integer", "null"}, "description": "The name or the number of one of the user's groups: the session has its rights only."}
	case timeType:
		return schema{"type": "string", "format": "date-time"}
	case rawType, bareType:
		return schema{}
	case plainType:
		return schema{"type": "string"}
	}
	switch {
	case !input && (t.Implements(marshals) || t.Implements(textWriters)), input && reflect.PointerTo(t).Implements(unmarshals):
		return schema{} // written and read by hand
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.typed(t.Elem(), input)
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Slice, reflect.Array:
		return schema{"type": "array", "items": d.typed(t.Elem(), input)}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": d.typed(t.Elem(), input)}
	case reflect.Struct:
		return d.structure(t, input)
	case reflect.Interface:
		return schema{}
	}
	return schema{"type": "integer"}
}

// structure is the schema of a struct: by its name in the document, if it has
// one.
func (d *description) structure(t reflect.Type, input bool) schema {
	name := t.Name()
	if pkg := t.PkgPath(); name != "" && !strings.HasSuffix(pkg, "server/api") {
		name = pkg[strings.LastIndexByte(pkg, '/')+1:] + name
	}
	name = strings.NewReplacer("[", "_", "]", "", "/", "_", "*", "", ".", "_").Replace(name)
	if input {
		name += "_in"
	}
	ref := schema{"$ref": "#/components/schemas/" + name}
	if t.Name() != "" && d.schemas[name] != nil {
		return ref
	}
	properties := schema{}
	s := schema{"type": "object", "properties": properties}
	if t.Name() != "" {
		d.schemas[name] = s
	}
	var required []string
	d.members(t, input, properties, &required)
	if !input {
		s["additionalProperties"] = false
		if len(required) > 0 {
			s["required"] = required
		}
	}
	if t.Name() == "" {
		return s
	}
	return ref
}

func (d *description) members(t reflect.Type, input bool, properties schema, required *[]string) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, rest, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			d.members(inner, input, properties, required)
			continue
		case name == "":
			name = f.Name
		}
		s := d.typed(f.Type, input)
		optional := strings.Contains(rest, "omitempty") || strings.Contains(rest, "omitzero")
		if f.Type.Kind() == reflect.Pointer && !optional && !input {
			s = schema{"anyOf": []any{s, schema{"type": "null"}}}
		}
		if !optional {
			*required = append(*required, name)
		}
		properties[name] = s
	}
}
