package question

import (
	"strings"
	"unicode"
)

// reserved are the words that cannot stand bare in a name or a value.
var reserved = map[string]bool{
	"all": true, "and": true, "any": true, "contain": true, "containing": true, "contains": true, "does": true,
	"ending": true, "ends": true, "equals": true, "from": true, "get": true, "having": true, "in": true,
	"matches": true, "matching": true, "not": true, "or": true, "starting": true, "starts": true, "where": true,
	"with": true,
}

// special are the characters that cannot stand bare in a name or a value.
const special = `.,:?$()[]"<>=!`

const machinesCounted = "number of machines"

// String returns the canonical text of a resolved question.
func (q Question) String() string {
	var b strings.Builder
	b.WriteString("Get ")
	if q.ComputerID {
		b.WriteString("?" + computerIDOption + "=1 ")
	}
	for i, r := range q.Selects {
		if i > 0 {
			b.WriteString(" and ")
		}
		b.WriteString(r.String())
	}
	if len(q.Selects) == 0 {
		b.WriteString(machinesCounted)
		if q.Where == nil {
			return b.String()
		}
	}
	b.WriteString(" from all machines")
	if q.Where != nil {
		b.WriteString(" with " + Text(q.Where))
	}
	return b.String()
}

// String returns r as it stands in a question.
func (r Ref) String() string {
	var b strings.Builder
	b.WriteString(bareOrQuoted(r.Sensor, needsQuotes(r.Sensor) || strings.EqualFold(r.Sensor, machinesCounted)))
	if len(r.Params) > 0 {
		b.WriteByte('[')
		for i, p := range r.Params {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(bareOrQuoted(p, strings.ContainsAny(p, `,[]"`) || strings.ContainsFunc(p, unicode.IsControl)))
		}
		b.WriteByte(']')
	}
	if r.Column != "" {
		b.WriteString(":" + bareOrQuoted(r.Column, needsQuotes(r.Column)))
	}
	return b.String()
}

// Text returns the canonical text of a resolved condition.
func Text(c Condition) string {
	switch c := c.(type) {
	case And:
		return join(c, " and ")
	case Or:
		return join(c, " or ")
	case Test:
		return c.text(false)
	case Not:
		// The operators in words are negated before the operator, the signs
		// before the sensor.
		if t, ok := c.Of.(Test); ok && t.Op <= Equals {
			return t.text(true)
		}
		return "not " + part(c.Of)
	}
	return ""
}

func join(parts []Condition, by string) string {
	texts := make([]string, len(parts))
	for i, c := range parts {
		texts[i] = part(c)
	}
	return strings.Join(texts, by)
}

// part is a condition as it stands within another one.
func part(c Condition) string {
	switch c.(type) {
	case And, Or:
		return "(" + Text(c) + ")"
	}
	return Text(c)
}

func (t Test) text(negated bool) string {
	var b strings.Builder
	switch {
	case t.All && negated:
		b.WriteString("any ")
	case t.All:
		b.WriteString("all ")
	}
	b.WriteString(t.Ref.String())
	if negated {
		b.WriteString(" not")
	}
	b.WriteString(" " + t.Op.String() + " " + bareOrQuoted(t.Value, needsQuotes(t.Value)))
	if t.MatchCase {
		b.WriteString(" matching case")
	}
	return b.String()
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
		if isReserved(w) {
			return true
		}
	}
	return false
}

func isReserved(word string) bool { return reserved[strings.ToLower(word)] }
