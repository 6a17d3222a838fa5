package question

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"catenary/internal/expr"
)

func (p *parser) onlyCondition() (Condition, error) {
	c, err := p.where()
	if err == nil && !p.done() {
		return nil, p.afterTest("the end")
	}
	return c, err
}

// where takes the whole condition.
func (p *parser) where() (Condition, error) {
	p.blanks()
	begin := p.pos
	c, err := p.condition()
	if err == nil && depth(c) > DepthMax {
		return nil, p.fail(begin, "the condition is nested more than %d deep", DepthMax)
	}
	return c, err
}

// depth is the number of levels of a condition.
func depth(c Condition) int {
	var parts []Condition
	switch c := c.(type) {
	case And:
		parts = c
	case Or:
		parts = c
	case Not:
		return 1 + depth(c.Of)
	}
	below := 0
	for _, part := range parts {
		below = max(below, depth(part))
	}
	return 1 + below
}

// condition takes terms joined by and, or by or.
func (p *parser) condition() (Condition, error) {
	var parts []Condition
	joined := ""
	for {
		c, err := p.term()
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
		p.blanks()
		begin, by := p.pos, ""
		switch {
		case p.keyword("and"):
			by = "and"
		case p.keyword("or"):
			by = "or"
		}
		if by == "" {
			return p.group(parts, joined)
		}
		if joined != "" && by != joined {
			return nil, p.fail(begin, `"and" and "or" stand side by side: add parentheses, as in (a and b) or c`)
		}
		joined = by
	}
}

func (p *parser) group(parts []Condition, joined string) (Condition, error) {
	if joined == "" {
		return parts[0], nil
	}
	if err := p.node(); err != nil {
		return nil, err
	}
	if joined == "or" {
		return Or(parts), nil
	}
	return And(parts), nil
}

// node counts one part of the condition.
func (p *parser) node() error {
	if p.nodes++; p.nodes > NodesMax {
		return p.fail(p.pos, "the condition has more than %d parts", NodesMax)
	}
	return nil
}

// nest counts what opens at byte begin; whoever calls it counts down.
func (p *parser) nest(begin int) error {
	if p.nested++; p.nested > nestingMax {
		return p.fail(begin, "parentheses and nots are nested more than %d deep", nestingMax)
	}
	return nil
}

func (p *parser) term() (Condition, error) {
	p.blanks()
	begin := p.pos
	if p.loose {
		// A sensor may be called Not Before or All Users.
		if _, ok := p.bareSensor(tested); ok {
			return p.test(false, false)
		}
	}
	if m, ok := p.member(); ok {
		return m, p.node()
	}
	switch m, negative, ok, err := p.membership(); {
	case err != nil:
		return nil, err
	case ok && negative:
		p.nodes++
		return Not{m}, p.node()
	case ok:
		return m, p.node()
	}
	switch {
	case p.next('('):
		return p.parenthesis(begin)
	case p.keyword("not"):
		if err := p.nest(begin); err != nil {
			return nil, err
		}
		c, err := p.term()
		p.nested--
		if err != nil {
			return nil, err
		}
		return Not{c}, p.node()
	case p.keyword("all"):
		return p.test(true, false)
	case p.keyword("any"):
		return p.test(false, true)
	}
	return p.test(false, false)
}

func (p *parser) parenthesis(begin int) (Condition, error) {
	p.pos++
	if err := p.nest(begin); err != nil {
		return nil, err
	}
	c, err := p.condition()
	p.nested--
	if err != nil {
		return nil, err
	}
	if !p.next(')') {
		return nil, p.afterTest(`")"`)
	}
	p.pos++
	return c, nil
}

// afterTest returns the error that a finished condition is followed by
// something else than what may follow it.
func (p *parser) afterTest(closing string) error {
	return p.reservedHint(p.expected(`"and", "or" or ` + closing))
}

// reservedHint adds to err that the word found there could be part of a value.
func (p *parser) reservedHint(err *SyntaxError) *SyntaxError {
	if word := p.text[p.pos:p.wordEnd(p.pos)]; isReserved(word) {
		err.Message += quoteHint
	}
	return err
}

const quoteHint = "; a value with a reserved word in it stands in quotes"

// test takes a sensor, an operator and a value; all and any say which word
// stood before.
func (p *parser) test(all, any bool) (Condition, error) {
	r, minded, err := p.ref(tested)
	if err != nil {
		return nil, err
	}
	op, negative, ok := p.operator()
	if !ok {
		return nil, p.expectedOperator()
	}
	is, err := p.predicate(op, negative)
	if err != nil {
		return nil, err
	}
	t := Test{Ref: r, Op: op, Value: is.Value, All: all, MatchCase: is.MatchCase || minded && op != HasHash}.plain()
	if !negative {
		return t, nil
	}
	// Negatives without "any" say that no value passes.
	t.All = any
	return Not{t}, p.node()
}

// An operator's spelling, and what it means.
type spelling struct {
	words []string
	op    Op
}

var (
	finite = []spelling{
		{[]string{"contains"}, Contains}, {[]string{"containing"}, Contains},
		{[]string{"starts", "with"}, StartsWith}, {[]string{"starting", "with"}, StartsWith},
		{[]string{"ends", "with"}, EndsWith}, {[]string{"ending", "with"}, EndsWith},
		{[]string{"equals"}, Equals}, {[]string{"matches"}, Matches}, {[]string{"matching"}, Matches},
		{[]string{"has", "hash"}, HasHash},
	}
	// infinitive are those after "does" and "does not".
	infinitive = []spelling{
		{[]string{"contain"}, Contains}, {[]string{"start", "with"}, StartsWith}, {[]string{"end", "with"}, EndsWith},
		{[]string{"equal"}, Equals}, {[]string{"match"}, Matches}, {[]string{"have", "hash"}, HasHash},
	}
	// signs are ordered so that none hides a longer one.
	signs = []struct {
		text     string
		op       Op
		negative bool
	}{
		{"<=", LessEqual, false}, {">=", GreaterEqual, false}, {"!=", Equals, true},
		{"<", Less, false}, {">", Greater, false}, {"=", Equals, false},
	}
)

// operator takes an operator in any dialect. Some write it in quotes.
func (p *parser) operator() (op Op, negative, ok bool) {
	begin := p.pos
	if p.next('"') {
		text, err := p.quoted()
		inner := parser{text: text}
		if op, negative, ok = inner.bareOperator(); err == nil && ok && inner.done() {
			return op, negative, true
		}
		p.pos = begin
		return 0, false, false
	}
	return p.bareOperator()
}

func (p *parser) bareOperator() (op Op, negative, ok bool) {
	begin := p.pos
	spellings := finite
	if p.keyword("does") {
		spellings = infinitive
	}
	negative = p.keyword("not")
	for _, s := range spellings {
		if p.keyword(s.words...) {
			return s.op, negative, true
		}
	}
	p.blanks()
	for _, s := range signs {
		if strings.HasPrefix(p.rest(), s.text) {
			p.pos += len(s.text)
			return s.op, negative != s.negative, true
		}
	}
	p.pos = begin
	return 0, false, false
}

func (p *parser) expectedOperator() error {
	err := p.expected("an operator such as contains, equals or <")
	err.Suggestions, err.words = p.nearOperators(), true
	err.from, err.to = p.pos, p.wordEnd(p.pos)
	if word := p.text[err.from:err.to]; len(err.Suggestions) == 0 && word != "" && !isReserved(word) {
		err.insert = Contains.String()
	}
	return err
}

// nearOperators returns the operators whose first word the next word may have
// been meant to be.
func (p *parser) nearOperators() []string {
	p.blanks()
	word := p.text[p.pos:p.wordEnd(p.pos)]
	var out []string
	for op := Contains; op <= Equals; op++ {
		if first, _, _ := strings.Cut(op.String(), " "); misspelt(word, first) {
			out = append(out, first)
		}
	}
	return out
}

// wrongValue says why op cannot compare with a value, or nothing.
func wrongValue(op Op, value string) string {
	if len(value) > expr.ValueMax {
		return fmt.Sprintf("the value is longer than %d bytes", expr.ValueMax)
	}
	if n, err := strconv.ParseUint(value, 10, 32); op == HasHash && (err != nil || strconv.FormatUint(n, 10) != value) {
		return "a hash is a whole number from 0 to 4294967295, not " + excerpt(value)
	}
	return ""
}

// value takes a quoted text, or bare words up to a reserved one.
func (p *parser) value() (string, error) {
	if p.next('"') {
		return p.quoted()
	}
	begin, end := p.pos, p.pos
	depth, opened := 0, 0
	for at := begin; at < len(p.text); {
		r, n := utf8.DecodeRuneInString(p.text[at:])
		switch {
		case r == '"':
			return "", p.fail(at, `a value with a " in it stands in quotes, and the " is written ""`)
		case r == '(':
			if depth++; depth == 1 {
				opened = at
			}
		case r == ')':
			depth--
		case unicode.IsSpace(r):
			at += n
			continue
		}
		wordBegins := at == begin || unicode.IsSpace(lastRune(p.text[:at]))
		if depth < 0 || wordBegins && isReserved(p.bareWord(at)) {
			break
		}
		at += n
		end = at
	}
	if depth > 0 {
		return "", p.fail(opened, `the "(" in the value is not closed; a value with parentheses is best put in quotes`)
	}
	if end == begin {
		return "", p.reservedHint(p.expected("a value"))
	}
	p.pos = end
	return p.text[begin:end], nil
}

// bareWord returns the blank-delimited word at byte at, without parentheses
// that close after it.
func (p *parser) bareWord(at int) string {
	word := p.text[at:]
	if n := strings.IndexFunc(word, unicode.IsSpace); n >= 0 {
		word = word[:n]
	}
	return strings.TrimRight(word, ")")
}

func lastRune(s string) rune {
	r, _ := utf8.DecodeLastRuneInString(s)
	return r
}
