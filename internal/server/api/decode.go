package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/filter"
)

// decode reads exactly one JSON value. Members that In does not know are
// passed over: programs send back whole objects that they were given.
func decode(body []byte, in any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return fault.New(fault.Invalid, "the body is empty: JSON is expected")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	err := dec.Decode(in)
	if err == nil {
		if rest := dec.InputOffset(); len(bytes.TrimSpace(body[rest:])) > 0 {
			return fault.New(fault.Invalid, "the body is not JSON: %s: something follows the first value", position(body, rest))
		}
		return nil
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		// The offset is behind the byte that is wrong.
		return fault.New(fault.Invalid, "the body is not JSON: %s: %s", position(body, e.Offset-1), e)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.New(fault.Invalid, "the body is not JSON: %s: it ends too early", position(body, int64(len(body))))
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		where := e.Field
		if where == "" {
			where = "the body"
		}
		if e.Offset > 0 {
			where = position(body, e.Offset-1) + ": " + where
		}
		return fault.New(fault.Invalid, "%s: unexpected %s", where, kindOfJSON(e.Value))
	}
	return fault.New(fault.Invalid, "the body: %w", err)
}

// kindOfJSON shortens what the decoder says of a value: "number 1.5" to
// "number", and never more of the value itself.
func kindOfJSON(value string) string {
	kind, _, _ := strings.Cut(value, " ")
	return kind
}

// position says in which line and column, in characters from 1, an offset is.
func position(body []byte, offset int64) string {
	before := body[:max(0, min(offset, int64(len(body))))]
	line := bytes.Count(before, []byte("\n")) + 1
	last := before[bytes.LastIndexByte(before, '\n')+1:]
	return fmt.Sprintf("line %d, column %d", line, utf8.RuneCount(last)+1)
}

// How some programs write booleans and whole numbers is known where questions
// are read.
type (
	flag   = filter.Flag
	number = filter.Number
)

// shorten keeps what is enough to recognise a text in a message.
func shorten(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
