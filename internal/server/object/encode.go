package object

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"
)

// A Header is what a record knows of itself.
type Header struct {
	ID                    int64
	Created, Modified     time.Time
	CreatedBy, ModifiedBy int64 // users
	CreatedAs, ModifiedAs int64 // personas
	Deleted               bool
}

// Names says what the object of a kind with a number is called; "" if nobody
// knows.
type Names func(kind string, id int64) string

// Append writes the object as programs see it: every field but the hidden
// ones, in the order of the shape. What has not been said is written as the
// default of its type; optional fields, nested objects and JSON without a value
// are left out.
func (o *Object) Append(b []byte, h Header, names Names) []byte {
	return o.append(b, h, names, false)
}

// append writes only what has been said of an object that has a record of its
// own elsewhere, when it stands within another.
func (o *Object) append(b []byte, h Header, names Names, within bool) []byte {
	said := within && o.shape.headed
	b = append(b, '{')
	first := true
	for i := range o.shape.Fields {
		f := &o.shape.Fields[i]
		v := o.at(i)
		if f.Hidden || (said || f.Optional) && o.values[i] == nil || v == nil && !f.List && f.Type != Head {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendName(b, f.Name)
		switch {
		case f.Type == Head && v == nil:
			b = appendHead(b, f.Head, h, names)
		case f.List:
			b = f.appendList(b, v, names)
		default:
			b = f.appendOne(b, v, names)
		}
	}
	return append(b, '}')
}

func appendName(b []byte, name string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

func (f *Field) appendList(b []byte, v any, names Names) []byte {
	b = append(b, '[')
	list, _ := v.([]any)
	for j, e := range list {
		if j > 0 {
			b = append(b, ',')
		}
		b = f.appendOne(b, e, names)
	}
	return append(b, ']')
}

func (f *Field) appendOne(b []byte, v any, names Names) []byte {
	switch v := v.(type) {
	case string:
		return AppendText(b, v)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		if f.Type == Flag {
			return appendFlag(b, v)
		}
		return strconv.AppendBool(b, v)
	case time.Time:
		return appendTime(b, v)
	case Ref:
		return AppendRef(b, f.Kind, v.ID, names)
	case json.RawMessage:
		return append(b, v...)
	case *Object:
		return v.append(b, Header{}, names, true)
	}
	return append(b, "null"...)
}

func appendFlag(b []byte, v bool) []byte {
	if v {
		return append(b, '1')
	}
	return append(b, '0')
}

func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, `"`+Never+`"`...)
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, "2006-01-02T15:04:05Z")
	return append(b, '"')
}

// AppendRef writes {"id":…,"name":…}, without a name if there is none.
func AppendRef(b []byte, kind string, id int64, names Names) []byte {
	b = append(b, `{"id":`...)
	b = strconv.AppendInt(b, id, 10)
	if names != nil && id != 0 {
		if name := names(kind, id); name != "" {
			b = append(b, `,"name":`...)
			b = AppendText(b, name)
		}
	}
	return append(b, '}')
}

func appendHead(b []byte, what string, h Header, names Names) []byte {
	switch what {
	case "id":
		return strconv.AppendInt(b, h.ID, 10)
	case "created":
		return appendTime(b, h.Created)
	case "modified":
		return appendTime(b, h.Modified)
	case "creator":
		return AppendRef(b, "user", h.CreatedBy, names)
	case "modifier":
		return AppendRef(b, "user", h.ModifiedBy, names)
	case "creator_persona":
		return AppendRef(b, "persona", h.CreatedAs, names)
	case "modifier_persona":
		return AppendRef(b, "persona", h.ModifiedAs, names)
	case "modifier_name":
		name := ""
		if names != nil {
			name = names("user", h.ModifiedBy)
		}
		return AppendText(b, name)
	case "deleted:flag":
		return appendFlag(b, h.Deleted)
	case "deleted:bool":
		return strconv.AppendBool(b, h.Deleted)
	case "row":
		return append(b, '0')
	}
	return append(b, "null"...)
}

// Store writes what has been said, secrets too, in a form that Load reads: the
// same bytes for the same object.
func (o *Object) Store() []byte { return o.store(nil, func(*Field) bool { return true }) }

// Split is Store in two: what is not secret, and what is, nil if there is
// nothing.
func (o *Object) Split() (open, secret []byte) {
	open = o.store(nil, func(f *Field) bool { return !f.Secret })
	if secret = o.store(nil, func(f *Field) bool { return f.Secret }); string(secret) == "{}" {
		secret = nil
	}
	return open, secret
}

func (o *Object) store(b []byte, wanted func(*Field) bool) []byte {
	b = append(b, '{')
	first := true
	for i, v := range o.values {
		f := &o.shape.Fields[i]
		if v == nil || !wanted(f) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = appendName(b, f.Name)
		list, isList := v.([]any)
		if !isList {
			b = f.storeOne(b, v)
			continue
		}
		b = append(b, '[')
		for j, e := range list {
			if j > 0 {
				b = append(b, ',')
			}
			b = f.storeOne(b, e)
		}
		b = append(b, ']')
	}
	return append(b, '}')
}

func (f *Field) storeOne(b []byte, v any) []byte {
	switch v := v.(type) {
	case *Object:
		return v.store(b, func(*Field) bool { return true })
	case Ref:
		return AppendRef(b, f.Kind, v.ID, nil)
	}
	return f.appendOne(b, v, nil)
}

const hexDigits = "0123456789abcdef"

// AppendText writes a JSON string. It leaves <, > and & as they are, and puts
// U+FFFD in the place of bytes that are not UTF-8.
func AppendText(b []byte, s string) []byte {
	b = append(b, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(append(b, s[from:i]...), "\ufffd"...)
				from = i + 1
			}
			i += n
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		from = i
	}
	return append(append(b, s[from:]...), '"')
}
