package cli

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// printable makes text from elsewhere safe to show on a terminal. Everything
// that could steer one, or hide or reorder what stands beside it (control
// characters, C1 included, line ends, bidirectional overrides, zero-width
// characters), is replaced by its escape in ASCII: \x1b, \n, \u202e.
func printable(s string) string {
	if utf8.ValidString(s) && strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s { // a broken byte becomes U+FFFD
		if hidden(r) {
			b.WriteString(escape(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// printableLines is printable for text of several lines, which stay lines.
func printableLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for j, cell := range cells {
			cells[j] = printable(cell)
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}

// truncate cuts printable text to so many cells, the tail included, if it has
// more. (Of some texts, as of a letter with a variation selector, the library's
// own measure and the one by which it cuts differ.)
func truncate(text string, width int, tail string) string {
	for w := width; w > 0; w-- {
		if cut := ansi.Truncate(text, w, tail); ansi.StringWidth(cut) <= width {
			return cut
		}
	}
	return ""
}

func hidden(r rune) bool { return !unicode.IsGraphic(r) }

// escape spells a rune in printable ASCII as Go would.
func escape(r rune) string {
	quoted := strconv.QuoteRuneToASCII(r)
	return quoted[1 : len(quoted)-1]
}
