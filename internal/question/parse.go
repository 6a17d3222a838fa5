package question

import (
	"strings"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/sensor"
)

// computerIDOption is the one option that may follow Get.
const computerIDOption = "forceComputerIdFlag"

// Parse reads a question. Its error is of kind fault.Invalid and wraps a
// *[SyntaxError].
//
// A sensor's name that holds a reserved word may stand bare where the text has
// no other reading; so a first pass knows no such names. The canonical text,
// which quotes them, therefore always reads as what it was written from.
func Parse(text string, names *sensor.Catalogue) (Question, error) {
	q, err := parse(text, names, (*parser).question)
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
func ParseCondition(text string, names *sensor.Catalogue) (Condition, error) {
	c, err := parse(text, names, (*parser).onlyCondition)
	if err == nil && len(Text(c)) > TextMax {
		err = &SyntaxError{Column: 1, Message: tooLong}
	}
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	return c, nil
}

const tooLong = "the question's text is longer than 64 KiB"

func parse[T any](text string, names *sensor.Catalogue, read func(*parser) (T, error)) (T, error) {
	p := parser{text: text, names: names}
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
	return read(&parser{text: text, names: names, loose: true})
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
	text  string
	pos   int
	names *sensor.Catalogue
	loose bool // bare names may hold reserved words and special characters

	nodes  int // of the condition so far
	nested int // parentheses and nots around pos
}

func (p *parser) question() (q Question, err error) {
	if !p.keyword("get") {
		return q, p.expected(`"Get"`).orWord(p, "Get")
	}
	if q.ComputerID, err = p.options(); err != nil {
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
			return q, p.expected(`"all machines"`).orWord(p, "all")
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

// options takes what follows Get after a question mark.
func (p *parser) options() (computerID bool, err error) {
	if !p.next('?') {
		return false, nil
	}
	p.pos++
	p.blanks()
	begin := p.pos
	end := p.wordEnd(begin)
	if name := p.text[begin:end]; !strings.EqualFold(name, computerIDOption) {
		return false, p.fail(begin, "the option after Get is %s, not %s", computerIDOption, excerpt(name))
	}
	p.pos = end
	switch {
	case !p.next('='):
	case strings.HasPrefix(p.rest(), "=1"):
		p.pos += 2
		return true, nil
	case strings.HasPrefix(p.rest(), "=0"):
		p.pos += 2
		return false, nil
	}
	return false, p.expected(`"=1" or "=0"`)
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

func (p *parser) selects() ([]Ref, error) {
	var out []Ref
	for {
		p.blanks()
		begin := p.pos
		r, err := p.ref(shown)
		if err != nil {
			return nil, err
		}
		if err := p.laterClause(); err != nil {
			return nil, err
		}
		if out = append(out, r); len(out) > SelectsMax {
			return nil, p.fail(begin, "a question shows at most %d sensors", SelectsMax)
		}
		if !p.keyword("and") {
			return out, nil
		}
	}
}

// laterClause refuses what other speakers of the language put after a shown
// sensor to filter its answers.
func (p *parser) laterClause() error {
	p.blanks()
	begin := p.pos
	if p.keyword("having") {
		return p.fail(begin, `"having" cannot be used: answers are shown whole, and machines are chosen after "from all machines with"`)
	}
	if _, _, ok := p.operator(); ok {
		return p.fail(begin, `a shown sensor has no condition: machines are chosen after "from all machines with"`)
	}
	return nil
}
