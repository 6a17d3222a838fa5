package question

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// reserved are the words that cannot stand bare in a name or a value.
var reserved = map[string]bool{
	"all": true, "and": true, "any": true, "contain": true, "containing": true, "contains": true, "does": true,
	"ending": true, "ends": true, "equals": true, "from": true, "get": true, "having": true, "in": true,
	"matches": true, "matching": true, "not": true, "or": true, "starting": true, "starts": true, "where": true,
	"with": true,
}

// careful are words that stand bare where no operator can: in front of one they
// would be read as part of it.
var careful = map[string]bool{"has": true, "have": true}

// special are the characters that cannot stand bare in a name or a value.
const special = `.,:?$()[]"<>=!`

const machinesCounted = "number of machines"

// A Reference is where a question's text names a sensor.
type Reference struct {
	Ref   Ref
	Start int // in characters, the first is 0
}

// A printer writes canonical text and notes where it names sensors.
type printer struct {
	strings.Builder
	refs []Reference // Start in bytes
}

// String returns the canonical text of a resolved question.
func (q Question) String() string {
	var p printer
	p.question(q)
	return p.Builder.String()
}

// References returns where [Question.String] names sensors, in that order.
func (q Question) References() []Reference {
	var p printer
	p.question(q)
	text := p.Builder.String()
	at, characters := 0, 0
	for i, r := range p.refs {
		characters += utf8.RuneCountInString(text[at:r.Start])
		at = r.Start
		p.refs[i].Start = characters
	}
	return p.refs
}

// String returns r as it stands in a question.
func (r Ref) String() string {
	var p printer
	p.ref(r)
	return p.Builder.String()
}

// Text returns the canonical text of a resolved condition.
func Text(c Condition) string {
	var p printer
	p.condition(c)
	return p.Builder.String()
}

func (p *printer) question(q Question) {
	p.WriteString("Get ")
	if q.ComputerID {
		p.WriteString(computerIDApplied + " ")
	}
	for i, s := range q.Selects {
		if i > 0 {
			p.WriteString(" and ")
		}
		p.ref(s.Ref)
		if s.Filter != nil {
			p.predicate(*s.Filter)
		}
		for _, h := range s.Having {
			p.WriteString(" having ")
			p.ref(h.Ref)
			p.predicate(h.Predicate)
		}
	}
	if len(q.Selects) == 0 {
		p.WriteString(machinesCounted)
		if q.Where == nil {
			return
		}
	}
	p.WriteString(" from all machines")
	if q.Where != nil {
		p.WriteString(" with ")
		p.condition(q.Where)
	}
}

func (p *printer) ref(r Ref) {
	p.refs = append(p.refs, Reference{r, p.Len()})
	p.WriteString(bareOrQuoted(r.Sensor, needsQuotes(r.Sensor) || strings.EqualFold(r.Sensor, machinesCounted)))
	if len(r.Params) > 0 {
		p.WriteString(bracketed(r.Params))
	}
	p.WriteString(r.options())
	if r.Column != "" {
		p.WriteString(":" + bareOrQuoted(r.Column, needsQuotes(r.Column)))
	}
}

func bracketed(params []string) string {
	texts := make([]string, len(params))
	for i, param := range params {
		texts[i] = bareOrQuoted(param, strings.ContainsAny(param, `,[]"`) || strings.ContainsFunc(param, unicode.IsControl))
	}
	return "[" + strings.Join(texts, ",") + "]"
}

func (p *printer) predicate(is Predicate) {
	if is.Not {
		p.WriteString(" not")
	}
	p.WriteString(" " + is.Op.String() + " " + bareOrQuoted(is.Value, needsQuotes(is.Value)))
	if is.MatchCase {
		p.WriteString(" matching case")
	}
}

func (p *printer) condition(c Condition) {
	switch c := c.(type) {
	case And:
		p.joined(c, " and ")
	case Or:
		p.joined(c, " or ")
	case Test:
		p.test(c, false)
	case Member:
		p.WriteString(bareOrQuoted(c.Name, groupNeedsQuotes(c.Name)))
	case Not:
		// The operators in words are negated before the operator, the signs
		// before the sensor.
		if t, ok := c.Of.(Test); ok && (t.Op <= Equals || t.Op == HasHash) {
			p.test(t, true)
			return
		}
		p.WriteString("not ")
		p.part(c.Of)
	}
}

func (p *printer) joined(parts []Condition, by string) {
	for i, c := range parts {
		if i > 0 {
			p.WriteString(by)
		}
		p.part(c)
	}
}

// part is a condition as it stands within another one.
func (p *printer) part(c Condition) {
	switch c.(type) {
	case And, Or:
		p.WriteByte('(')
		p.condition(c)
		p.WriteByte(')')
	default:
		p.condition(c)
	}
}

func (p *printer) test(t Test, negated bool) {
	switch {
	case t.All && negated:
		p.WriteString("any ")
	case t.All:
		p.WriteString("all ")
	}
	p.ref(t.Ref)
	p.predicate(Predicate{t.Op, t.Value, negated, t.MatchCase})
}

func bareOrQuoted(s string, quotes bool) string {
	if quotes {
		return quote(s)
	}
	return s
}

func quote(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// needsQuotes reports whether a name or a value could be misread when bare.
func needsQuotes(s string) bool {
	if strings.ContainsAny(s, special) || strings.ContainsFunc(s, unicode.IsControl) {
		return true
	}
	words := strings.Fields(s)
	if strings.Join(words, " ") != s || s == "" {
		return true
	}
	for _, w := range words {
		if isReserved(w) || careful[strings.ToLower(w)] {
			return true
		}
	}
	return false
}

func isReserved(word string) bool { return reserved[strings.ToLower(word)] }
