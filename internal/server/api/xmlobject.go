package api

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"regexp"
	"strings"
)

// Objects in the form of the older API: an element for each member, by its name.
// A list has an element for each of its own, by the name of one of them.

// An xmlWriter writes JSON as XML.
type xmlWriter struct{ bytes.Buffer }

var xmlName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

// member writes the next value of dec as an element. A name that no element can
// have stands beside it.
func (w *xmlWriter) member(name string, dec *json.Decoder) error {
	begin, end := name, name
	if !xmlName.MatchString(name) {
		begin, end = `item name="`+escaped(name)+`"`, "item"
	}
	w.WriteString("<" + begin + ">")
	if err := w.value(singular(name), dec); err != nil {
		return err
	}
	w.WriteString("</" + end + ">")
	return nil
}

// value writes the next value of dec; elements of a list have the name of one.
func (w *xmlWriter) value(one string, dec *json.Decoder) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	switch t := t.(type) {
	case json.Delim:
		for dec.More() {
			name := one
			if t == '{' {
				key, err := dec.Token()
				if err != nil {
					return err
				}
				name, _ = key.(string) // in an object it is one
			}
			if err := w.member(name, dec); err != nil {
				return err
			}
		}
		_, err = dec.Token() // its end
	case string:
		w.WriteString(escaped(t))
	case json.Number:
		w.WriteString(t.String())
	case bool:
		w.WriteByte('0')
		if t {
			w.Bytes()[w.Len()-1] = '1'
		}
	}
	return err
}

// escaped is a text as it stands in XML, which has no control characters.
func escaped(text string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(text)); err != nil {
		panic("api: " + err.Error()) // a builder takes everything
	}
	return b.String()
}

// singular is what one element of a list is called: a query of queries, a user of
// a user_list, and else an item.
func singular(list string) string {
	for _, ending := range [][2]string{{"ies", "y"}, {"_list", ""}, {"s", ""}} {
		if one, ok := strings.CutSuffix(list, ending[0]); ok && one != "" {
			return one + ending[1]
		}
	}
	return "item"
}
