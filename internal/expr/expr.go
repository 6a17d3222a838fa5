// Package expr is conditions over named values: one evaluator for question
// filters, computer groups, rules and intel.
//
// A condition is a tree of [And], [Or], [Not] and [Test]. It does not know what
// its names stand for: whoever evaluates it hands in a function from a name to
// the texts that one machine, file or event has under it. Who evaluates a
// condition often compiles it once to a [Matcher].
package expr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"catenary/internal/value"
)

const (
	// DepthMax bounds how deep conditions nest: deeper ones are made by
	// programs that lost their way, and every walk over a tree is recursive.
	DepthMax = 64
	// NodesMax bounds the And, Or, Not and Test nodes of a condition.
	NodesMax = 1000
	// ValueMax bounds a test's value in bytes: long alternations fit, files not.
	ValueMax = 4 << 10
	// NameMax bounds a test's name in bytes.
	NameMax = 1 << 10
	// TextMax bounds all names and values of a condition together, in bytes, so
	// that a question fits in one frame on a link.
	TextMax = 192 << 10
	// StatesMax bounds all patterns of a condition together, in states of
	// their automata: about 1 MiB of memory, and what bounds the time per byte.
	StatesMax = 20_000
)

// A Condition is And, Or, Not or Test; nil holds always.
type Condition interface{ condition() }

type (
	And []Condition // all hold; holds if empty
	Or  []Condition // one holds; does not hold if empty
	Not struct{ Of Condition }

	// A Test holds if any value under Name passes it, or with All if every
	// value does. Where there is no value at all, any fails and All holds, so
	// that Not turns the one into the other.
	Test struct {
		Name  string
		Op    Op
		Value string
		Type  value.Type // how the texts are read; matters for all but Matches
		// IgnoreCase makes the texts of the types that compare as they stand,
		// and patterns, match without regard to letter case.
		IgnoreCase bool
		All        bool
	}
)

func (And) condition()  {}
func (Or) condition()   {}
func (Not) condition()  {}
func (Test) condition() {}

// An Op is how a test compares a text with its value.
type Op uint8

const (
	// Equal holds for texts that are equal as Type, and if one of the two
	// cannot be read as Type, for equal texts.
	Equal Op = iota + 1
	// Less and its kin hold only for texts that can be read as Type.
	Less
	LessEqual
	Greater
	GreaterEqual
	// Matches takes Value as a regular expression in RE2's syntax that must
	// match the whole text; its dot matches line ends too.
	Matches
	// Hashed holds for texts that have Value for their number in the public API
	// ([value.Digest] of the text in lower case), or the same number as Value.
	Hashed
)

var opNames = [...]string{Equal: "=", Less: "<", LessEqual: "<=", Greater: ">", GreaterEqual: ">=", Matches: "matches", Hashed: "has hash"}

func (op Op) String() string {
	if op == 0 || int(op) >= len(opNames) {
		return fmt.Sprintf("Op(%d)", uint8(op))
	}
	return opNames[op]
}

// Check reports why the conditions of one question cannot be evaluated: one has
// too many parts or is too deep, a test has a pattern that is none, or their
// texts or patterns are too large together.
func Check(conditions ...Condition) error {
	var b builder
	for _, c := range conditions {
		if c == nil {
			continue
		}
		b.nodes = 0
		if _, err := b.build(c, 1); err != nil {
			return err
		}
	}
	return nil
}

// A Gauge measures tests one after another without building their automata. It
// says as soon as it is so what [Check] would say of all of them in the end.
type Gauge struct{ b builder }

// Test adds t.
func (g *Gauge) Test(t Test) error {
	err := g.b.admit(t)
	if err == nil && t.Op == Matches {
		_, err = g.b.tree(t.Value, t.IgnoreCase)
	}
	return err
}

// Eval reports whether c holds. Each pattern is compiled once however many
// values it is held against. A condition that [Check] refuses holds never.
func Eval(c Condition, values func(name string) []string) bool {
	m, err := Compile(c)
	return err == nil && m.Match(values)
}

// A Matcher is a condition ready to be evaluated many times. It may be used by
// several goroutines at once. The zero Matcher holds always.
type Matcher struct{ holds holds }

type holds func(values func(name string) []string) bool

// Match reports whether the condition holds. It asks for the values of a name
// only when they can still change the result, and then once per test.
func (m Matcher) Match(values func(name string) []string) bool {
	return m.holds == nil || m.holds(values)
}

// Compile readies c for evaluation; the error is that of [Check].
func Compile(c Condition) (Matcher, error) {
	if c == nil {
		return Matcher{}, nil
	}
	var b builder
	h, err := b.build(c, 1)
	return Matcher{h}, err
}

// A builder counts what the limits are about.
type builder struct{ nodes, states, text int }

var errEmpty = errors.New("a condition lacks an operand")

func (b *builder) build(c Condition, depth int) (holds, error) {
	b.nodes++
	switch {
	case depth > DepthMax:
		return nil, fmt.Errorf("the condition is nested more than %d deep", DepthMax)
	case b.nodes > NodesMax:
		return nil, fmt.Errorf("the condition has more than %d parts", NodesMax)
	}
	switch c := c.(type) {
	case And:
		return b.group(c, depth, false)
	case Or:
		return b.group(c, depth, true)
	case Not:
		of, err := b.build(c.Of, depth+1)
		if err != nil {
			return nil, err
		}
		return func(values func(string) []string) bool { return !of(values) }, nil
	case Test:
		return b.test(c)
	}
	return nil, errEmpty
}

// group returns the condition that is decided by the first part that is
// decisive, and is otherwise not so.
func (b *builder) group(parts []Condition, depth int, decisive bool) (holds, error) {
	of := make([]holds, 0, len(parts))
	for _, part := range parts {
		h, err := b.build(part, depth+1)
		if err != nil {
			return nil, err
		}
		of = append(of, h)
	}
	return func(values func(string) []string) bool {
		for _, h := range of {
			if h(values) == decisive {
				return decisive
			}
		}
		return !decisive
	}, nil
}

// admit checks a test by itself, and that there is room for its texts.
func (b *builder) admit(t Test) error {
	if err := t.check(); err != nil {
		return err
	}
	if b.text += len(t.Name) + len(t.Value); b.text > TextMax {
		return fmt.Errorf("the condition's texts together are longer than %d bytes", TextMax)
	}
	return nil
}

func (b *builder) test(t Test) (holds, error) {
	if err := b.admit(t); err != nil {
		return nil, err
	}
	passes, err := b.passes(t)
	if err != nil {
		return nil, err
	}
	return func(values func(string) []string) bool {
		for _, text := range values(t.Name) {
			if passes(text) != t.All {
				return !t.All
			}
		}
		return t.All
	}, nil
}

func (t Test) check() error {
	switch {
	case t.Name == "" || len(t.Name) > NameMax || !utf8.ValidString(t.Name):
		return fmt.Errorf("a test's name has 1 to %d bytes of UTF-8, not %.40q", NameMax, t.Name)
	case len(t.Value) > ValueMax:
		return fmt.Errorf("the value %.40q… is longer than %d bytes", t.Value, ValueMax)
	case !utf8.ValidString(t.Value):
		return fmt.Errorf("the value %.40q is not UTF-8", t.Value)
	case t.Op < Equal || t.Op > Hashed:
		return fmt.Errorf("%v is no operator", t.Op)
	case !t.Type.Valid():
		return fmt.Errorf("%v is no type", t.Type)
	}
	return nil
}

// hashed returns whether a text has the number that is, or belongs to, want.
// Programs send either, and no two texts of one machine share a number but by
// chance.
func hashed(want string) func(text string) bool {
	of := func(text string) uint32 { return value.Digest(strings.ToLower(text)) }
	same := of(want)
	number, err := strconv.ParseUint(want, 10, 32)
	return func(text string) bool {
		d := of(text)
		return d == same || err == nil && d == uint32(number)
	}
}

// passes returns how a single text is tested.
func (b *builder) passes(t Test) (func(text string) bool, error) {
	switch t.Op {
	case Matches:
		return b.pattern(t.Value, t.IgnoreCase)
	case Hashed:
		return hashed(t.Value), nil
	}
	compare := value.Against(t.Type, t.Value)
	if t.Type.Text() {
		compare = func(text string) (int, bool) { return value.CompareText(text, t.Value, t.IgnoreCase), true }
	}
	return func(text string) bool {
		order, ok := compare(text)
		if !ok {
			return t.Op == Equal && value.CompareText(text, t.Value, t.IgnoreCase) == 0
		}
		switch t.Op {
		case Less:
			return order < 0
		case LessEqual:
			return order <= 0
		case Greater:
			return order > 0
		case GreaterEqual:
			return order >= 0
		}
		return order == 0
	}, nil
}
