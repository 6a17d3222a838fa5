package store

import (
	"strings"
	"unicode/utf8"

	"catenary/internal/fault"
)

// checkName refuses a name that one of the databases could not keep or find.
func checkName(name string) error {
	if len(name) > nameMax {
		return fault.New(fault.Invalid, "a name of %d bytes is too long: at most %d", len(name), nameMax)
	}
	if name != legible(name) {
		return fault.New(fault.Invalid, "a name is UTF-8 text without NUL")
	}
	return nil
}

// legible is s with a mark in the place of what PostgreSQL takes for no text:
// broken UTF-8, and NUL.
func legible(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	if strings.IndexByte(s, 0) < 0 {
		return s
	}
	return strings.ReplaceAll(s, "\x00", string(utf8.RuneError))
}

// cut is s shortened to so many bytes, at the beginning of a rune.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}
