// Package value is one cell of an answer: a text with a type, and how two such
// texts compare.
//
// Cells travel as text. The type belongs to the column and says how the text
// is read when it is compared or sorted; a text that cannot be read as its
// type is not comparable, which is an answer and not an error.
package value

import "fmt"

// A Type says how the texts of a column are read.
type Type uint8

// The types a column may have. Their names are those of the public API
// (value_type of a sensor) and their numbers those of a result set's column.
const (
	Hash           Type = 0  // an opaque hash; compares as text
	String         Type = 1  // any text; compares without regard to case
	Version        Type = 2  // dotted numbers and words: 1.10 > 1.9
	Numeric        Type = 3  // a decimal number
	BESDate        Type = 4  // Sun, 22 Nov 2026 01:30:00 +0000
	IPAddress      Type = 5  // IPv4 or IPv6, with or without a prefix length
	WMIDate        Type = 6  // 20261122013000.000000+000
	TimeDiff       Type = 7  // 2 years, 3 months; 4.2 hours
	DataSize       Type = 8  // 125MB
	NumericInteger Type = 9  // a whole number
	VariousDate    Type = 10 // any of the date forms
	RegexMatch     Type = 11 // a pattern; compares as text
)

var typeNames = [...]string{
	Hash: "Hash", String: "String", Version: "Version", Numeric: "Numeric", BESDate: "BESDate",
	IPAddress: "IPAddress", WMIDate: "WMIDate", TimeDiff: "TimeDiff", DataSize: "DataSize",
	NumericInteger: "NumericInteger", VariousDate: "VariousDate", RegexMatch: "RegexMatch",
}

// ParseType returns the type of the given name in the public API.
func ParseType(name string) (Type, bool) {
	for t, n := range typeNames {
		if n == name {
			return Type(t), true
		}
	}
	return 0, false
}

// Valid reports whether t is one of the types.
func (t Type) Valid() bool { return int(t) < len(typeNames) }

// String returns t's name in the public API.
func (t Type) String() string {
	if !t.Valid() {
		return fmt.Sprintf("Type(%d)", uint8(t))
	}
	return typeNames[t]
}

// Text reports whether texts of type t compare as they stand, without being
// read as anything: for these alone letter case is a matter of choice.
func (t Type) Text() bool { return t == Hash || t == String || t == RegexMatch }

// Digest is the low 32 bits of FNV-1a-64 over the text. Programs that speak the
// public API know sensors by that of their names, and rows by that of their
// texts in lower case.
func Digest(text string) uint32 {
	h := uint32(0x84222325)
	for i := range len(text) {
		h = (h ^ uint32(text[i])) * 435
	}
	return h
}
