package question

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A SyntaxError says where a text is no question, and what was expected there.
type SyntaxError struct {
	Column      int      // in characters; the first is 1
	Message     string   // without the suggestions
	Suggestions []string // what may have been meant, the nearest first

	from, to int  // the bytes of the text that a suggestion would replace
	words    bool // the suggestions are words of the language and not names
	// insert is a word of the language that may have been left out at from.
	insert string
	// miscount: the parameters between these bytes are too many or too few.
	miscount *miscount
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.text()) }

// text is the error without its column.
func (e *SyntaxError) text() string {
	if len(e.Suggestions) == 0 {
		return e.Message
	}
	quoted := make([]string, len(e.Suggestions))
	for i, s := range e.Suggestions {
		quoted[i] = quote(s)
	}
	return e.Message + "; did you mean " + strings.Join(quoted, " or ") + "?"
}

// fail returns the error at byte position at.
func (p *parser) fail(at int, format string, args ...any) *SyntaxError {
	return &SyntaxError{Column: utf8.RuneCountInString(p.text[:at]) + 1, Message: fmt.Sprintf(format, args...)}
}

// expected returns the error that something else stands at the next word.
func (p *parser) expected(what string) *SyntaxError {
	p.blanks()
	return p.fail(p.pos, "expected %s, found %s", what, p.found())
}

// orWord suggests word if that at p's position looks like it.
func (e *SyntaxError) orWord(p *parser, word string) *SyntaxError {
	if end := p.wordEnd(p.pos); misspelt(p.text[p.pos:end], word) {
		e.Suggestions, e.from, e.to, e.words = []string{word}, p.pos, end, true
	}
	return e
}

// found names what stands at the parser's position.
func (p *parser) found() string {
	if p.done() {
		return "the end"
	}
	word := p.rest()[:p.wordEnd(p.pos)-p.pos]
	if word == "" {
		_, n := utf8.DecodeRuneInString(p.rest())
		word = p.rest()[:n]
	}
	return excerpt(word)
}

// excerpt quotes the beginning of what was typed, enough to find the place.
func excerpt(s string) string {
	const most = 60 // characters: longer than the names that people use
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return quote(s)
}

func (p *parser) rest() string { return p.text[p.pos:] }

func (p *parser) blanks() {
	p.pos = len(p.text) - len(strings.TrimLeftFunc(p.rest(), unicode.IsSpace))
}

// done reports whether only blanks are left.
func (p *parser) done() bool {
	p.blanks()
	return p.pos == len(p.text)
}

// next reports whether the next character is c, skipping blanks.
func (p *parser) next(c byte) bool {
	return !p.done() && p.text[p.pos] == c
}

// wordEnd returns where the word that begins at byte at ends.
func (p *parser) wordEnd(at int) int {
	n := strings.IndexFunc(p.text[at:], func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune(`()[]",:?<>=!`, r)
	})
	if n < 0 {
		return len(p.text)
	}
	return at + n
}

// keyword takes the given words if they come next, in any letter case.
func (p *parser) keyword(words ...string) bool {
	begin := p.pos
	for _, w := range words {
		p.blanks()
		end := p.wordEnd(p.pos)
		if !strings.EqualFold(p.text[p.pos:end], w) {
			p.pos = begin
			return false
		}
		p.pos = end
	}
	return true
}

// quoted takes a text in quotes; "" stands for one quote.
func (p *parser) quoted() (string, error) {
	begin := p.pos
	var b strings.Builder
	for at := begin + 1; ; {
		n := strings.IndexByte(p.text[at:], '"')
		if n < 0 {
			return "", p.fail(begin, `the quotation mark is not closed; a " within quotes is written ""`)
		}
		b.WriteString(p.text[at : at+n])
		at += n + 1
		if !strings.HasPrefix(p.text[at:], `"`) {
			p.pos = at
			return b.String(), nil
		}
		b.WriteByte('"')
		at++
	}
}
