// Package question is question text ⇄ syntax tree: a parser with positions in
// its errors and suggestions, and one canonical spelling.
//
// [Parse] reads all dialects of the language against a catalogue of sensors and
// the computer groups that there are (docs/language.md), [Question.String]
// writes one. What [Parse] returned is resolved: names are in the catalogue's
// spelling and parameters are counted. A question that was put together by a
// program is resolved with [Resolve]. What machines compute for a question is
// the business of package plan, and how programs write one as objects that of
// package filter.
package question

import (
	"time"

	"catenary/internal/expr"
	"catenary/internal/value"
)

const (
	// TextMax bounds a question's text and its canonical spelling, in bytes.
	TextMax = 64 << 10
	// SelectsMax bounds the sensors that one question shows.
	SelectsMax = 64
	// havingMax bounds the conditions after one shown sensor: a row has no more
	// columns that anyone asks about.
	havingMax = 16
	// DepthMax and NodesMax bound a condition's And, Or, Not, Test and Member.
	// They are the evaluator's limits, to which a condition is handed as it is.
	DepthMax = expr.DepthMax
	NodesMax = expr.NodesMax
	// nestingMax bounds parentheses and nots within each other in a text, since
	// the parser is recursive. Superfluous ones make no level of the tree, so
	// that more are allowed than levels.
	nestingMax = DepthMax + 36
	// ageMax bounds how old an answer may be asked for: as old as any sensor
	// lets its answers become.
	ageMax = 10 * 365 * 24 * time.Hour
)

// A Question is what to show of which machines.
type Question struct {
	Selects []Select  // what to show; none asks for the number of machines
	Where   Condition // which machines; nil means all
	// ComputerID asks for one row per machine that bears its computer ID.
	ComputerID bool
}

// A Select is a sensor to show: all of its rows on each machine, or those that
// pass Filter and every one of Having. A machine on which nothing is left of
// all that a question filters so has no part in the answer.
type Select struct {
	Ref
	Filter *Predicate // of what is shown; nil: everything passes
	Having []Having   // of other columns of the same row
}

// A Having is a condition on a row of the sensor that is shown.
type Having struct {
	Ref Ref // the sensor, without parameters and age, and one of its columns
	Predicate
}

// A Predicate is what a text has to be.
type Predicate struct {
	Op        Op
	Value     string
	Not       bool // what the text must not be
	MatchCase bool
}

// A Ref names a sensor, what it is asked with, and how its texts are read.
type Ref struct {
	Sensor string
	Params []string   // in the order of the sensor's parameters; the rest have their defaults
	Column string     // empty: all columns
	Part   value.Part // of each text
	Type   value.Type // how a text compares, other than its column says; 0: as that says
	// MaxAge is how old an answer may be, in whole seconds; 0: as old as the
	// sensor says.
	MaxAge time.Duration
}

// A Condition is And, Or, Not, Test or Member.
type Condition interface{ condition() }

type (
	And []Condition // two or more
	Or  []Condition // two or more
	Not struct{ Of Condition }

	// A Test compares a sensor's values on one machine with Value. It holds if
	// any value passes, or with All if every value does.
	//
	// The negative forms of the language are a Not around the Test:
	//
	//	X contains v            Test             some value has v in it
	//	all X contains v        Test All         every value has
	//	X not contains v        Not Test         no value has
	//	any X not contains v    Not Test All     some value has not
	//
	// In the API's filters the first Not is not_flag with all_values_flag, the
	// second not_flag without: there the negation belongs to the single value.
	Test struct {
		Ref       Ref
		Op        Op
		Value     string
		All       bool
		MatchCase bool
	}
)

func (And) condition()    {}
func (Or) condition()     {}
func (Not) condition()    {}
func (Test) condition()   {}
func (Member) condition() {}

// An Op is how a Test compares.
type Op uint8

// Contains, StartsWith and EndsWith take their value as part of a regular
// expression, as [Op.Pattern] says. Equals and the four after it compare by the
// type of the column. HasHash compares the number that programs know a row by:
// its value is one, in decimal.
const (
	Contains Op = iota + 1
	StartsWith
	EndsWith
	Matches
	Equals
	Less
	LessEqual
	Greater
	GreaterEqual
	HasHash
)

var opNames = [...]string{
	Contains: "contains", StartsWith: "starts with", EndsWith: "ends with", Matches: "matches", Equals: "equals",
	Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">=", HasHash: "has hash",
}

// Valid reports whether op is one of the operators.
func (op Op) Valid() bool { return op != 0 && int(op) < len(opNames) }

// String returns op's canonical spelling.
func (op Op) String() string {
	if !op.Valid() {
		return "?"
	}
	return opNames[op]
}

// Pattern returns the regular expression that the whole text must match for a
// text operator, and ok = false for the others. The value is not escaped, so
// that Google (Search|Chrome) means either; one that offers alternatives as a
// whole is put in brackets.
func (op Op) Pattern(value string) (pattern string, ok bool) {
	before, after := "", ""
	switch op {
	case Matches:
		return value, true
	case Contains:
		before, after = ".*", ".*"
	case StartsWith:
		after = ".*"
	case EndsWith:
		before = ".*"
	default:
		return "", false
	}
	return before + enclosed(value) + after, true
}
