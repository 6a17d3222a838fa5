package question

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"catenary/internal/sensor"
	"catenary/internal/value"
)

// Names of the options, in their canonical spelling.
const (
	optionComputerID  = "forceComputerIdFlag"
	optionMaxAge      = "maxAge"
	optionType        = "type"
	optionIgnoreCase  = "ignoreCase"
	optionDelimiter   = "delimiter"
	optionPiece       = "delimiterIndex"
	optionStart       = "substringStart"
	optionLength      = "substringLength"
	computerIDApplied = "?" + optionComputerID + "=1"
)

// An optionSet is the options that may stand in one place.
type optionSet struct {
	names []string
	// set applies the option of that name and says what is wrong with the value,
	// or nothing.
	set func(name, value string) (problem string)
}

// questionOptions are those after Get.
func questionOptions(q *Question) optionSet {
	return optionSet{[]string{optionComputerID}, func(_, text string) (problem string) {
		q.ComputerID, problem = readFlag(text)
		return problem
	}}
}

// refOptions are those after a sensor. Whether letter case is minded is no part
// of r.
func refOptions(r *Ref, minded *bool) optionSet {
	names := []string{optionMaxAge, optionType, optionIgnoreCase, optionDelimiter, optionPiece, optionStart, optionLength}
	return optionSet{names, func(name, text string) (problem string) {
		switch name {
		case optionMaxAge:
			seconds, problem := readNumber(text, int(ageMax/time.Second))
			r.MaxAge = time.Duration(seconds) * time.Second
			return problem
		case optionType:
			if r.Type, problem = readType(text); problem != "" {
				return problem
			}
		case optionIgnoreCase:
			ignored, problem := readFlag(text)
			*minded = !ignored
			return problem
		case optionDelimiter:
			if r.Part.Delimiter = text; text == "" {
				return "something to cut the text at"
			}
		case optionPiece:
			r.Part.Index, problem = readNumber(text, math.MaxUint16)
		case optionStart:
			r.Part.Start, problem = readNumber(text, math.MaxUint16)
		case optionLength:
			r.Part.Length, problem = readNumber(text, math.MaxUint16)
		}
		return problem
	}}
}

func readFlag(text string) (set bool, problem string) {
	switch strings.ToLower(text) {
	case "1", "true":
		return true, ""
	case "0", "false":
		return false, ""
	}
	return false, "0 or 1"
}

func readNumber(text string, most int) (n int, problem string) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > most || strings.HasPrefix(text, "+") {
		return 0, "a whole number from 0 to " + strconv.Itoa(most)
	}
	return n, ""
}

// readType reads the name of a type in any letter case. Hash compares as String
// does, and String can be said in one way only.
func readType(text string) (value.Type, string) {
	var names []string
	for t := value.String; t.Valid(); t++ {
		names = append(names, t.String())
		if strings.EqualFold(text, t.String()) {
			return t, ""
		}
	}
	if strings.EqualFold(text, value.Hash.String()) {
		return value.String, ""
	}
	return 0, "one of " + strings.Join(names, ", ")
}

// options takes what stands after a question mark, if one does.
func (p *parser) options(known optionSet) error {
	if !p.next('?') {
		return nil
	}
	var given []string
	for p.next('?') || p.next('&') {
		p.pos++
		p.blanks()
		begin := p.pos
		name := p.text[begin:p.optionEnd(begin)]
		at := slices.IndexFunc(known.names, func(n string) bool { return strings.EqualFold(n, name) })
		if at < 0 {
			return p.unknownOption(name, known.names)
		}
		p.pos += len(name)
		name = known.names[at]
		if slices.Contains(given, name) {
			return p.fail(begin, "the option %s is there twice", name)
		}
		given = append(given, name)
		if !p.next('=') {
			return p.expected(`"=" and a value of ` + name)
		}
		p.pos++
		p.blanks()
		begin = p.pos
		text, err := p.optionValue()
		if err != nil {
			return err
		}
		if problem := known.set(name, text); problem != "" {
			return p.fail(begin, "%s is %s, not %s", name, problem, excerpt(text))
		}
	}
	return nil
}

// unknownOption returns the error that the next word is none of the options.
func (p *parser) unknownOption(name string, known []string) error {
	what := "the options here are "
	if len(known) == 1 {
		what = "the option after Get is "
	}
	err := p.fail(p.pos, "%s%s, not %s", what, strings.Join(known, ", "), excerpt(name))
	for _, k := range known {
		if near(name, k) {
			err.Suggestions = append(err.Suggestions, k)
			err.from, err.to, err.words = p.pos, p.pos+len(name), true
		}
	}
	return err
}

func (p *parser) optionValue() (string, error) {
	if p.next('"') {
		return p.quoted()
	}
	end := p.optionEnd(p.pos)
	text := p.text[p.pos:end]
	p.pos = end
	return text, nil
}

// endsOption are the characters that end a bare name or value of an option.
const endsOption = `&?:[]()",<>=!`

func (p *parser) optionEnd(at int) int {
	n := strings.IndexFunc(p.text[at:], func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(endsOption, r) })
	if n < 0 {
		return len(p.text)
	}
	return at + n
}

// options returns r's options as they stand in a question.
func (r Ref) options() string {
	var out []string
	add := func(name, text string) { out = append(out, name+"="+text) }
	number := func(name string, n int) {
		if n != 0 {
			add(name, strconv.Itoa(n))
		}
	}
	number(optionMaxAge, int(r.MaxAge/time.Second))
	if r.Type != 0 {
		add(optionType, r.Type.String())
	}
	if d := r.Part.Delimiter; d != "" {
		strange := func(c rune) bool {
			return unicode.IsSpace(c) || unicode.IsControl(c) || strings.ContainsRune(endsOption, c)
		}
		add(optionDelimiter, bareOrQuoted(d, strings.ContainsFunc(d, strange)))
	}
	number(optionPiece, r.Part.Index)
	number(optionStart, r.Part.Start)
	number(optionLength, r.Part.Length)
	if len(out) == 0 {
		return ""
	}
	return "?" + strings.Join(out, "&")
}

// problem says what is wrong with r's options, or nothing.
func (r Ref) problem(s sensor.Sensor) string {
	if err := r.Part.Check(); err != nil {
		return err.Error()
	}
	switch {
	case r.Part.Delimiter != "" && len(s.Columns) > 1:
		return s.Name + " has columns: one is chosen by a colon and its name, not by a delimiter"
	case !r.Type.Valid():
		return r.Type.String() + " is no type"
	case r.MaxAge < 0 || r.MaxAge > ageMax || r.MaxAge%time.Second != 0:
		return "the age of an answer is a number of whole seconds, at most " + strconv.Itoa(int(ageMax/time.Second))
	}
	return ""
}

// plainType leaves out a type that says nothing: the one that r's texts have
// anyway.
func (r Ref) plainType(s sensor.Sensor) Ref {
	if r.Type == value.Hash {
		return r
	}
	if own := r.ownType(s); own == r.Type || own == value.Hash && r.Type == value.String {
		r.Type = 0
	}
	return r
}

// ownType is the type that r's texts have by the sensor's definition.
func (r Ref) ownType(s sensor.Sensor) value.Type {
	if i, ok := s.Column(r.Column); ok {
		return s.Columns[i].Type
	}
	if len(s.Columns) == 1 {
		return s.Columns[0].Type
	}
	return value.String // a row of several columns
}
