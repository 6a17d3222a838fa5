package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
)

const (
	depthMax = 64      // objects within objects; filters of people are 5 deep, and a hundred are an attack
	listMax  = 100_000 // elements of a list in an object: names of a manual group
	textMax  = 8 << 20 // bytes of a text: an image in a dashboard, the script of a sensor
)

// A badField is where in an object something is wrong, and what.
type badField struct {
	path string
	why  string
}

func (b badField) Error() string { return fmt.Sprintf("the field %q: %s", b.path, b.why) }

// within puts the name of the field in front of where an error is.
func within(name string, err error) error {
	b, ok := errors.AsType[badField](err)
	if !ok {
		return err
	}
	if b.path != "" && !strings.HasPrefix(b.path, "[") {
		name += "."
	}
	return badField{name + b.path, b.why}
}

// In says of an error about a field that the field stands in another.
func In(name string, err error) error {
	if b, ok := errors.AsType[badField](within(name, err)); ok {
		return fault.New(fault.Invalid, "%w", b)
	}
	return err
}

func indexed(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }

// Bad returns an error about a field: of kind Invalid once it has left the
// package that found it.
func Bad(path, format string, args ...any) error {
	return fault.New(fault.Invalid, "%w", badField{path, fmt.Sprintf(format, args...)})
}

// How Decode treats members that the shape does not have.
const (
	Lenient = false // programs send back whole objects that they were given, and more
	Strict  = true  // files that people write
)

// Decode reads an object from JSON. What the shape marks as the server's own
// is passed over; so is null. Everything that is wrong is of kind Invalid, and
// says where it stands.
func (s *Shape) Decode(body []byte, strict bool) (*Object, error) {
	o, err := s.decode(body, 0, strict)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	return o, nil
}

// Load reads an object that Store has written, or Split in two, with the
// server's own fields and the secret ones.
func (s *Shape) Load(parts ...[]byte) (*Object, error) {
	var members map[string]json.RawMessage
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		if err := json.Unmarshal(part, &members); err != nil {
			return nil, err
		}
	}
	o := New(s)
	for name, raw := range members {
		i, ok := s.at[name]
		if !ok || s.Fields[i].passed(0) {
			continue // of a field that there is no more
		}
		v, err := s.Fields[i].decode(raw, 0, Lenient, true)
		if err != nil {
			return nil, within(name, err)
		}
		o.values[i] = v
	}
	return o, nil
}

func (s *Shape) decode(raw []byte, depth int, strict bool) (*Object, error) {
	return s.decodeAll(raw, depth, strict, false)
}

func (s *Shape) decodeAll(raw []byte, depth int, strict, all bool) (*Object, error) {
	if depth > depthMax {
		return nil, badField{"", fmt.Sprintf("more than %d objects stand within each other", depthMax)}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, badField{"", wanted("an object", raw)}
	}
	o := New(s)
	var unknown []string
	for name, raw := range members {
		i, ok := s.at[name]
		if !ok {
			unknown = append(unknown, name)
			continue
		}
		f := &s.Fields[i]
		if f.passed(depth) || f.ReadOnly && f.Type != Head && !all || bytes.Equal(raw, []byte("null")) {
			continue
		}
		v, err := f.decode(raw, depth, strict, all)
		if err != nil {
			return nil, within(name, err)
		}
		o.values[i] = v
	}
	if strict && len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, badField{unknown[0], "is not known here"}
	}
	return o, nil
}

// passed reports whether a field is the record's own and not read. Within
// another object it is who is meant: {"sensor":{"id":7}}.
func (f *Field) passed(depth int) bool {
	return f.Type == Head && (depth == 0 || f.Head != "id")
}

func (f *Field) decode(raw json.RawMessage, depth int, strict, all bool) (any, error) {
	if !f.List {
		return f.decodeOne(raw, depth, strict, all)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, badField{"", wanted("a list", raw)}
	}
	if len(elements) > listMax {
		return nil, badField{"", fmt.Sprintf("more than %d elements", listMax)}
	}
	out := make([]any, 0, len(elements))
	for i, e := range elements {
		v, err := f.decodeOne(e, depth, strict, all)
		if err != nil {
			return nil, within(indexed("", i), err)
		}
		out = append(out, v)
	}
	return out, nil
}

func (f *Field) decodeOne(raw json.RawMessage, depth int, strict, all bool) (any, error) {
	switch f.Type {
	case String, Enum:
		text, ok := decodeText(raw)
		if !ok {
			return nil, badField{"", wanted("a text", raw)}
		}
		if len(text) > textMax {
			return nil, badField{"", fmt.Sprintf("longer than %d bytes", textMax)}
		}
		if f.Type == Enum {
			return f.choose(text)
		}
		return text, nil
	case Number, Head:
		n, err := strconv.ParseInt(unquoted(raw), 10, 64)
		if err != nil {
			return nil, badField{"", wanted("a whole number", raw)}
		}
		return n, nil
	case Bool, Flag:
		switch unquoted(raw) {
		case "true", "1":
			return true, nil
		case "false", "0", "":
			return false, nil
		}
		return nil, badField{"", wanted("true or false", raw)}
	case Date:
		text, ok := decodeText(raw)
		t, err := ParseTime(text)
		if !ok || err != nil {
			return nil, badField{"", wanted("a time like 2026-11-22T08:00:00Z", raw)}
		}
		return t, nil
	case Reference:
		return decodeRef(raw)
	case Nested:
		return f.Of.decodeAll(raw, depth+1, strict, all)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, badField{"", "not JSON"}
	}
	return json.RawMessage(b.Bytes()), nil
}

func (f *Field) choose(text string) (any, error) {
	for _, v := range f.Values {
		if strings.EqualFold(v, text) {
			return v, nil
		}
	}
	if text == "" {
		return f.Values[0], nil
	}
	return nil, badField{"", fmt.Sprintf("%q is none of %s", shorten(text), strings.Join(f.Values, ", "))}
}

// decodeRef reads {"id":1}, {"name":"x"}, or a bare number.
func decodeRef(raw json.RawMessage) (any, error) {
	if n, err := strconv.ParseInt(unquoted(raw), 10, 64); err == nil {
		return Ref{ID: n}, nil
	}
	var members struct {
		ID   json.RawMessage `json:"id"`
		Name *string         `json:"name"`
	}
	if err := json.Unmarshal(raw, &members); err != nil || len(raw) == 0 || raw[0] != '{' {
		return nil, badField{"", wanted(`an object with "id" or "name"`, raw)}
	}
	var r Ref
	if len(members.ID) > 0 && !bytes.Equal(members.ID, []byte("null")) {
		id, err := strconv.ParseInt(unquoted(members.ID), 10, 64)
		if err != nil {
			return nil, badField{"id", wanted("a whole number", members.ID)}
		}
		r.ID = id
	}
	if members.Name != nil {
		r.Name = *members.Name
	}
	return r, nil
}

func decodeText(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 {
		return "", false
	}
	if raw[0] == '"' {
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	}
	// Some programs write numbers where a text belongs.
	if c := raw[0]; c == '-' || c >= '0' && c <= '9' {
		return string(raw), true
	}
	return "", false
}

func unquoted(raw json.RawMessage) string { return strings.Trim(string(raw), `"`) }

// Never is how a time that never comes is written.
const Never = "2001-01-01T00:00:00Z"

// ParseTime reads a time as programs write it: with or without a zone, which is
// then UTC; "Never", its date, and nothing are the zero time.
func ParseTime(text string) (time.Time, error) {
	if text == "" || text == "Never" || text == Never {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time", shorten(text))
}

// wanted says what belongs here and what stands here, without the value
// itself: it may be a secret.
func wanted(what string, raw []byte) string {
	is := "nothing"
	if len(raw) > 0 {
		switch raw[0] {
		case '"':
			is = "a text"
		case '{':
			is = "an object"
		case '[':
			is = "a list"
		case 't', 'f':
			is = "true or false"
		case 'n':
			is = "null"
		default:
			is = "a number"
		}
	}
	return what + " is expected, and it is " + is
}

func shorten(text string) string {
	const most = 60
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
