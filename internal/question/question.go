// Package question is question text ⇄ syntax tree: a parser with positions in
// its errors and suggestions, and one canonical spelling.
//
// [Parse] reads all dialects of the language against a catalogue of sensors
// (docs/language.md), [Question.String] writes one. What [Parse] returned is
// resolved: names are in the catalogue's spelling and parameters are counted. A
// question that was put together by a program is resolved with [Resolve]. What
// machines compute for a question is the business of package plan.
package question

import "catenary/internal/expr"

const (
	// TextMax bounds a question's text and its canonical spelling, in bytes.
	TextMax = 64 << 10
	// SelectsMax bounds the sensors that one question shows.
	SelectsMax = 64
	// DepthMax and NodesMax bound a condition's And, Or, Not and Test. They are
	// the evaluator's limits, to which a condition is handed as it is.
	DepthMax = expr.DepthMax
	NodesMax = expr.NodesMax
	// nestingMax bounds parentheses and nots within each other in a text, since
	// the parser is recursive. Superfluous ones make no level of the tree, so
	// that more are allowed than levels.
	nestingMax = DepthMax + 36
)

// A Question is what to show of which machines.
type Question struct {
	Selects []Ref     // what to show; none asks for the number of machines
	Where   Condition // which machines; nil means all
	// ComputerID asks for one row per machine that bears its computer ID.
	ComputerID bool
}

// A Ref names a sensor, what it is asked with, and perhaps one of its columns.
type Ref struct {
	Sensor string
	Params []string // in the order of the sensor's parameters; the rest have their defaults
	Column string   // empty: all columns
}

// A Condition is And, Or, Not or Test.
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

func (And) condition()  {}
func (Or) condition()   {}
func (Not) condition()  {}
func (Test) condition() {}

// An Op is how a Test compares.
type Op uint8

// Contains, StartsWith and EndsWith take their value as part of a regular
// expression, as [Op.Pattern] says. Equals and the four after it compare by the
// type of the column.
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
)

var opNames = [...]string{
	Contains: "contains", StartsWith: "starts with", EndsWith: "ends with", Matches: "matches", Equals: "equals",
	Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">=",
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
// that Google (Search|Chrome) means either.
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
