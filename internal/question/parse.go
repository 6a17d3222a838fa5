package question

import (
	"slices"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/sensor"
)

// Parse reads a question. Its error is of kind fault.Invalid and wraps a
// *[SyntaxError].
//
// A sensor's name that holds a reserved word may stand bare where the text has
// no other reading; so a first pass knows no such names. The canonical text,
// which quotes them, therefore always reads as what it was written from.
func Parse(text string, names *sensor.Catalogue, groups Groups) (Question, error) {
	q, err := parse(text, names, groups, (*parser).question)
	if err == nil && len(q.String()) > TextMax {
		err = &SyntaxError{Column: 1, Message: tooLong}
	}
	if err != nil {
		return Question{}, fault.New(fault.Invalid, "%w", err)
	}
	return q, nil
}

// ParseCondition reads what may stand after "with": the text of a computer
// group. Its error is like that of [Parse].
func ParseCondition(text string, names *sensor.Catalogue, groups Groups) (Condition, error) {
	c, err := parse(text, names, groups, (*parser).onlyCondition)
	if err == nil && len(Text(c)) > TextMax {
		err = &SyntaxError{Column: 1, Message: tooLong}
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	return c, nil
}

// ParseRef reads a sensor as it stands in a question: with its parameters,
// options and column. Its error is like that of [Parse], without suggestions.
func ParseRef(text string, names *sensor.Catalogue) (Ref, error) {
	read := func(p *parser) (Ref, error) {
		p.quiet = true
		r, _, err := p.ref(shown)
		if err == nil && !p.done() {
			return r, p.expected("the end")
		}
		return r, err
	}
	r, err := parse(text, names, nil, read)
	if err != nil {
		return Ref{}, fault.New(fault.Invalid, "%w", err)
	}
	return r, nil
}

const tooLong = "the question's text is longer than 64 KiB"

func parse[T any](text string, names *sensor.Catalogue, groups Groups, read func(*parser) (T, error)) (T, error) {
	p := parser{text: text, names: names, groups: groups, quiet: true}
	var none T
	if len(text) > TextMax {
		return none, p.fail(0, tooLong)
	}
	if at := invalidAt(text); at < len(text) {
		return none, p.fail(at, "the text is not UTF-8")
	}
	if v, err := read(&p); err == nil {
		return v, nil
	}
	return read(&parser{text: text, names: names, groups: groups, loose: true})
}

// invalidAt returns where text ceases to be UTF-8.
func invalidAt(text string) int {
	at := 0
	for at < len(text) {
		r, n := utf8.DecodeRuneInString(text[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return at
}

// A parser reads text from byte pos on.
type parser struct {
	text   string
	pos    int
	names  *sensor.Catalogue
	groups Groups
	loose  bool // bare names may hold reserved words and special characters
	quiet  bool // nobody reads the error, so that it need not suggest anything

	nodes  int // of the conditions so far
	nested int // parentheses and nots around pos
}

func (p *parser) question() (q Question, err error) {
	if !p.keyword("get") {
		return q, p.expected(`"Get"`).orWord(p, "Get")
	}
	if err := p.options(questionOptions(&q)); err != nil {
		return q, err
	}
	counting := p.counting()
	if !counting {
		if q.Selects, err = p.selects(); err != nil {
			return q, err
		}
	}
	from, with := counting, false
	if p.keyword("from") {
		if !p.keyword("all") {
			return q, p.afterFrom(q.Selects)
		}
		if !p.keyword("machines") {
			return q, p.expected(`"machines"`).orWord(p, "machines")
		}
		from, with = true, p.keyword("with") || p.keyword("where")
	} else {
		with = counting && (p.keyword("with") || p.keyword("where"))
	}
	if with {
		if q.Where, err = p.where(); err != nil {
			return q, err
		}
	}
	switch {
	case p.done():
		return q, nil
	case with:
		return q, p.afterTest("the end")
	case from:
		return q, p.expected(`"with" or the end`).orWord(p, "with")
	}
	return q, p.afterSelect()
}

// afterSelect returns the error that a shown sensor is followed by something
// else than what may follow it.
func (p *parser) afterSelect() *SyntaxError {
	err := p.expected(`"and", "from all machines" or the end`).orWord(p, "from")
	if begin := p.pos; p.keyword("with") || p.keyword("where") {
		err.Suggestions, err.words = []string{"from all machines with"}, true
		err.from, err.to = begin, p.pos
	}
	return err
}

// afterFrom returns the error that something else than all machines follows. The
// word from may have been meant to be one of a value.
func (p *parser) afterFrom(selects []Select) *SyntaxError {
	err := p.expected(`"all machines"`).orWord(p, "all")
	if n := len(selects); n > 0 && (selects[n-1].Filter != nil || selects[n-1].Having != nil) {
		err.Message += quoteHint
	}
	return err
}

// counting takes "number of machines", unless a sensor's name begins so.
func (p *parser) counting() bool {
	begin := p.pos
	if p.keyword("number", "of", "machines") {
		end := p.pos
		if p.done() || p.keyword("from") || p.keyword("with") || p.keyword("where") {
			p.pos = end
			return true
		}
	}
	p.pos = begin
	return false
}

func (p *parser) selects() ([]Select, error) {
	var out []Select
	for {
		p.blanks()
		begin := p.pos
		s, err := p.oneSelect()
		if err != nil {
			return nil, err
		}
		if out = append(out, s); len(out) > SelectsMax {
			return nil, p.fail(begin, "a question shows at most %d sensors", SelectsMax)
		}
		if !p.keyword("and") {
			return out, nil
		}
	}
}

// oneSelect takes a sensor to show and what its rows have to be.
func (p *parser) oneSelect() (s Select, err error) {
	var minded bool
	if s.Ref, minded, err = p.ref(shown); err != nil {
		return s, err
	}
	if op, not, ok := p.operator(); ok {
		f, err := p.predicate(op, not)
		if err != nil {
			return s, err
		}
		f.MatchCase = f.MatchCase || minded && op != HasHash
		s.Filter = &f
	}
	for {
		p.blanks()
		begin := p.pos
		if !p.keyword("having") {
			break
		}
		h, err := p.having(s.Ref)
		if err != nil {
			return s, err
		}
		if s.Having = append(s.Having, h); len(s.Having) > havingMax {
			return s, p.fail(begin, `a shown sensor has at most %d conditions after "having"`, havingMax)
		}
	}
	return s.plain(p.names), nil
}

// having takes the condition on a row of the sensor that r shows. The sensor's
// parameters may be left out: they are those of r.
func (p *parser) having(r Ref) (h Having, err error) {
	p.blanks()
	begin := p.pos
	s, err := p.sensor(kept)
	if err != nil {
		return h, err
	}
	params := r.Params
	if p.next('[') {
		if params, err = p.params(s); err != nil {
			return h, err
		}
	}
	if s.Name != r.Sensor || !slices.Equal(params, r.Params) {
		return h, p.fail(begin, "%s", otherSensor(r))
	}
	h.Ref.Sensor = s.Name
	minded, err := p.details(&h.Ref, s, kept)
	if err != nil {
		return h, err
	}
	if h.Ref.MaxAge != 0 {
		return h, p.fail(begin, "%s", ageInHaving)
	}
	op, not, ok := p.operator()
	if !ok {
		return h, p.expectedOperator()
	}
	h.Predicate, err = p.predicate(op, not)
	h.MatchCase = h.MatchCase || minded && op != HasHash
	return h.plain(), err
}

const ageInHaving = `how old an answer may be stands with the sensor that is shown, not after "having"`

// otherSensor says that the sensor after having is not the one that is shown.
func otherSensor(shown Ref) string {
	return `"having" is about the rows of ` + Ref{Sensor: shown.Sensor, Params: shown.Params}.String()
}

// predicate takes the value after an operator.
func (p *parser) predicate(op Op, not bool) (Predicate, error) {
	p.blanks()
	begin := p.pos
	value, err := p.value()
	if err != nil {
		return Predicate{}, err
	}
	out := Predicate{Op: op, Value: value, Not: not}
	if problem := wrongValue(op, value); problem != "" {
		return out, p.fail(begin, "%s", problem)
	}
	out.MatchCase = p.keyword("matching", "case") && op != HasHash
	return out, p.node()
}
