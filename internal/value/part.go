package value

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// partMax bounds the numbers of a part: no text of an answer is longer.
	partMax = 1 << 16
	// delimiterMax bounds what a text is cut at, in bytes.
	delimiterMax = 16
)

// A Part is the piece of a text that a question is about. The zero Part is the
// whole text.
type Part struct {
	// Delimiter cuts the text into pieces, of which Index, from 0, is meant;
	// empty: it is not cut.
	Delimiter string
	Index     int
	// Start and Length choose characters of that piece; Length 0: up to its end.
	Start, Length int
}

// Check reports why p is no part of any text.
func (p Part) Check() error {
	switch {
	case p.Index < 0 || p.Index > partMax || p.Start < 0 || p.Start > partMax || p.Length < 0 || p.Length > partMax:
		return fmt.Errorf("a part of a text is chosen by numbers from 0 to %d", partMax)
	case len(p.Delimiter) > delimiterMax || !utf8.ValidString(p.Delimiter):
		return fmt.Errorf("a delimiter has at most %d bytes of UTF-8", delimiterMax)
	case p.Index > 0 && p.Delimiter == "":
		return fmt.Errorf("piece %d of a text that is cut at nothing", p.Index)
	}
	return nil
}

// Of returns the part of text. One that the text does not have is empty.
func (p Part) Of(text string) string {
	if p.Delimiter != "" {
		for range p.Index {
			_, rest, more := strings.Cut(text, p.Delimiter)
			if !more {
				return ""
			}
			text = rest
		}
		text, _, _ = strings.Cut(text, p.Delimiter)
	}
	text = text[after(text, p.Start):]
	if p.Length > 0 {
		text = text[:after(text, p.Length)]
	}
	return text
}

// after returns where the first n characters of text end, in bytes.
func after(text string, n int) int {
	at := 0
	for ; n > 0 && at < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}
