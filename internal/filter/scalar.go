package filter

import (
	"encoding/json"
	"strconv"
	"strings"
)

// A Flag is a boolean that some programs write as 0 or 1, as a number or a
// text.
type Flag bool

func (f *Flag) UnmarshalJSON(b []byte) error {
	switch strings.Trim(string(b), `"`) {
	case "true", "1":
		*f = true
	case "false", "0", "", "null":
		*f = false
	default:
		return &json.UnmarshalTypeError{Value: kindOf(b)}
	}
	return nil
}

// present returns a Flag that is there.
func present(set bool) *Flag {
	f := Flag(set)
	return &f
}

// or returns the flag, or what holds where there is none.
func (f *Flag) or(absent bool) bool {
	if f == nil {
		return absent
	}
	return bool(*f)
}

// A Number is a whole number that some programs write as a text.
type Number int64

func (n *Number) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "null" || text == "" {
		*n = 0
		return nil
	}
	x, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return &json.UnmarshalTypeError{Value: kindOf(b)}
	}
	*n = Number(x)
	return nil
}

// A Text is a text that some programs write as a number or a boolean.
type Text string

func (t *Text) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(t))
	case '{', '[':
		return &json.UnmarshalTypeError{Value: kindOf(b)}
	}
	if string(b) != "null" {
		*t = Text(b)
	}
	return nil
}

// kindOf names the kind of a JSON value as package json does.
func kindOf(b []byte) string {
	switch b[0] {
	case '"':
		return "string"
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "bool"
	}
	return "number"
}
