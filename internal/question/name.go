package question

import (
	"fmt"
	"slices"
	"strings"

	"catenary/internal/sensor"
)

// A place is where in a question a sensor stands.
type place uint8

const (
	shown  place = iota // shown
	tested              // in a condition
	kept                // in a condition on the rows of one that is shown
)

// follows reports whether what comes next may follow a sensor's name.
func (at place) follows(p *parser) bool {
	if p.done() {
		return at == shown
	}
	if strings.IndexByte("[:?", p.text[p.pos]) >= 0 {
		return true
	}
	if at == shown && (p.keyword("and") || p.keyword("from") || p.keyword("having")) {
		return true
	}
	_, _, ok := p.operator()
	return ok
}

// ends reports whether a name that is in no catalogue ends here, so that all
// of it can be shown and guessed at.
func (at place) ends(p *parser) bool {
	if p.done() || strings.IndexByte(`[]:?()",`, p.text[p.pos]) >= 0 || p.keyword("and") || p.keyword("having") {
		return true
	}
	if at == shown {
		if misspelt(p.text[p.pos:p.wordEnd(p.pos)], "from") {
			return true
		}
	} else if p.keyword("or") || len(p.nearOperators()) > 0 {
		return true
	}
	_, _, ok := p.operator()
	return ok
}

// look returns a parser that stands at byte at, for looking ahead.
func (p *parser) look(at int) *parser {
	ahead := *p
	ahead.pos = at
	return &ahead
}

// ref takes a sensor with its parameters, options and column. minded says that
// its options want letter case to matter.
func (p *parser) ref(at place) (r Ref, minded bool, err error) {
	s, err := p.sensor(at)
	if err != nil {
		return Ref{}, false, err
	}
	r.Sensor = s.Name
	begin := p.pos
	if p.next('[') {
		begin = p.pos
		if r.Params, err = p.params(s); err != nil {
			return Ref{}, false, err
		}
	}
	if problem := wrongCount(s, len(r.Params)); problem != "" {
		err := p.fail(begin, "%s", problem)
		m := fit(s, r.Params)
		err.miscount, err.from, err.to = &m, begin, p.pos
		return Ref{}, false, err
	}
	minded, err = p.details(&r, s, at)
	return r, minded, err
}

// details takes what says how a sensor's texts are read: options and a column,
// in any order.
func (p *parser) details(r *Ref, s sensor.Sensor, at place) (minded bool, err error) {
	optioned, columned := false, false
	for {
		switch {
		case p.next('?') && !optioned:
			optioned = true
			begin := p.pos
			if err := p.options(refOptions(r, &minded)); err != nil {
				return false, err
			}
			if problem := r.problem(s); problem != "" {
				return false, p.fail(begin, "%s", problem)
			}
		case p.next(':') && !columned:
			columned = true
			p.pos++
			if r.Column, err = p.column(s, at); err != nil {
				return false, err
			}
		default:
			*r = r.plainType(s)
			return minded, nil
		}
	}
}

func (p *parser) sensor(at place) (sensor.Sensor, error) {
	p.blanks()
	begin := p.pos
	if p.next('"') {
		name, err := p.quoted()
		if err != nil {
			return sensor.Sensor{}, err
		}
		s, ok := p.names.ByName(name)
		if !ok {
			return s, p.unknown(at, begin, p.pos, name)
		}
		return s, nil
	}
	if found, ok := p.bareSensor(at); ok {
		p.pos += found.Len
		return found.Sensor, nil
	}
	return sensor.Sensor{}, p.noSensor(at)
}

// bareSensor returns the longest name at the parser's position that is followed
// by what may follow it.
func (p *parser) bareSensor(at place) (sensor.Prefix, bool) {
	p.blanks()
	for _, found := range p.names.Prefixes(p.rest()) {
		if !p.loose && needsQuotes(found.Sensor.Name) {
			continue
		}
		if at.follows(p.look(p.pos + found.Len)) {
			return found, true
		}
	}
	return sensor.Prefix{}, false
}

// noSensor returns the error that no name fits at the parser's position.
func (p *parser) noSensor(at place) error {
	begin, end := p.pos, p.pos
	for end < len(p.text) && !at.ends(p.look(end)) {
		ahead := p.look(end)
		ahead.blanks()
		end = max(p.wordEnd(ahead.pos), ahead.pos+1)
	}
	if begin == end {
		if at == shown {
			return p.expected(`a sensor or "number of machines"`)
		}
		return p.reservedHint(p.expected("a sensor"))
	}
	name := p.text[begin:end]
	known := p.names.Prefixes(name)
	if len(known) == 0 {
		return p.unknown(at, begin, end, name)
	}
	after := p.look(begin + known[0].Len)
	if at != shown {
		return after.expectedOperator()
	}
	// The name goes on: perhaps another sensor is meant.
	err := after.afterSelect()
	if err.words {
		return err
	}
	for _, s := range p.suggest(name) {
		if s != known[0].Sensor.Name {
			err.Suggestions = append(err.Suggestions, s)
		}
	}
	err.from, err.to = begin, end
	return err
}

// suggestionsMax is how many names an error offers: more are not read.
const suggestionsMax = 3

func (p *parser) unknown(at place, begin, end int, name string) error {
	what := unknownSensor(name)
	if at == tested && p.groups != nil {
		what = "no sensor or computer group is called " + excerpt(name)
	}
	err := p.fail(begin, "%s", what)
	err.Suggestions = p.suggest(name)
	err.from, err.to = begin, end
	return err
}

// suggest is Suggest for errors that somebody reads.
func (p *parser) suggest(name string) []string {
	if p.quiet {
		return nil
	}
	return Suggest(name, p.names, suggestionsMax)
}

func unknownSensor(name string) string { return "no sensor is called " + excerpt(name) }

// params takes the bracketed parameters of s.
func (p *parser) params(s sensor.Sensor) ([]string, error) {
	open := p.pos
	p.pos++
	var out []string
	for {
		param, err := p.param(open)
		if err != nil {
			return nil, err
		}
		if out = append(out, param); len(out) > sensor.ParametersMax {
			return nil, p.fail(open, "%s", wrongCount(s, len(out)))
		}
		p.pos++
		switch p.text[p.pos-1] {
		case ',':
			continue
		case ']':
			if len(s.Parameters) == 0 && len(out) == 1 && param == "" {
				return nil, nil // Online[] is Online
			}
			return out, nil
		}
	}
}

// param takes one parameter and leaves the parser at the comma or the bracket
// after it. A bare parameter keeps its blanks, for they may matter to the
// sensor; around a quoted one they do not.
func (p *parser) param(open int) (string, error) {
	const unclosed = `the "[" is not closed`
	bare := p.pos
	if p.next('"') {
		text, err := p.quoted()
		if err != nil {
			return "", err
		}
		if p.done() {
			return "", p.fail(open, unclosed)
		}
		if c := p.text[p.pos]; c != ',' && c != ']' {
			return "", p.expected(`"," or "]"`)
		}
		return text, nil
	}
	n := strings.IndexAny(p.text[bare:], ",]")
	if n < 0 {
		return "", p.fail(open, unclosed)
	}
	p.pos = bare + n
	return p.text[bare:p.pos], nil
}

// wrongCount says how the number of parameters given to s is wrong, or nothing.
// The last ones may be left out if they have defaults.
func wrongCount(s sensor.Sensor, given int) string {
	least := leastParams(s)
	if given >= least && given <= len(s.Parameters) {
		return ""
	}
	var labels []string
	for i, param := range s.Parameters {
		label := param.Label
		if label == "" {
			label = param.Key
		}
		if i >= least {
			label += " = " + quote(param.Default)
		}
		labels = append(labels, label)
	}
	switch len(labels) {
	case 0:
		return fmt.Sprintf("%s takes no parameters, but %d are given", s.Name, given)
	case 1:
		return fmt.Sprintf("%s takes 1 parameter in brackets (%s), but %d are given", s.Name, labels[0], given)
	}
	return fmt.Sprintf("%s takes %d parameters in brackets (%s), but %d are given", s.Name, len(labels), strings.Join(labels, ", "), given)
}

// leastParams is how many parameters s cannot do without.
func leastParams(s sensor.Sensor) int {
	least := len(s.Parameters)
	for least > 0 && s.Parameters[least-1].Default != "" {
		least--
	}
	return least
}

// column takes the name of one of s's columns. A sensor's only column is the
// sensor, and needs no name.
func (p *parser) column(s sensor.Sensor, at place) (string, error) {
	p.blanks()
	begin := p.pos
	name, ok := "", false
	if p.next('"') {
		text, err := p.quoted()
		if err != nil {
			return "", err
		}
		name, ok = columnNamed(s, text)
	} else if name, ok = p.bareColumn(s, at); !ok {
		for p.pos < len(p.text) && !at.ends(p.look(p.pos)) {
			p.pos = max(p.wordEnd(p.pos), p.pos+1)
			p.blanks()
		}
	}
	if !ok {
		given := strings.TrimSpace(p.text[begin:p.pos])
		err := p.fail(begin, "%s", unknownColumn(s, strings.Trim(given, `"`)))
		for _, c := range s.Columns {
			if near(given, c.Name) {
				err.Suggestions = append(err.Suggestions, c.Name)
				err.from, err.to = begin, begin+len(given)
			}
		}
		return "", err
	}
	return name, nil
}

// bareColumn takes the longest column name that is followed by what may follow.
func (p *parser) bareColumn(s sensor.Sensor, at place) (string, bool) {
	columns := slices.Clone(s.Columns)
	slices.SortStableFunc(columns, func(a, b sensor.Column) int { return len(b.Name) - len(a.Name) })
	for _, c := range columns {
		if !p.loose && needsQuotes(c.Name) {
			continue
		}
		n, ok := sensor.BeginsWith(p.rest(), c.Name)
		if ok && at.follows(p.look(p.pos+n)) {
			p.pos += n
			return columnNamed(s, c.Name)
		}
	}
	return "", false
}

// columnNamed returns how a column of s is named in a Ref.
func columnNamed(s sensor.Sensor, name string) (string, bool) {
	i, ok := s.Column(name)
	if !ok || len(s.Columns) == 1 {
		return "", ok
	}
	return s.Columns[i].Name, true
}

func unknownColumn(s sensor.Sensor, name string) string {
	names := make([]string, len(s.Columns))
	for i, c := range s.Columns {
		names[i] = c.Name
	}
	if len(names) == 1 {
		return fmt.Sprintf("%s has no column %s: its only column is %s", s.Name, excerpt(name), names[0])
	}
	return fmt.Sprintf("%s has no column %s: its columns are %s", s.Name, excerpt(name), strings.Join(names, ", "))
}
