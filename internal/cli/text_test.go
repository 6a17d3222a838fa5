package cli

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Debian GNU/Linux 12", "Debian GNU/Linux 12"},
		{"größe 日本 🙂 \u00a0", "größe 日本 🙂 \u00a0"},
		{"\x1b[31mred\x1b[0m", `\x1b[31mred\x1b[0m`},
		{"\x1b]52;c;cm0gLXJm\x07", `\x1b]52;c;cm0gLXJm\a`},
		{"\u009b2J", `\u009b2J`}, // C1: one character that starts a sequence, too
		{"two\nlines\r\tand more", `two\nlines\r\tand more`},
		{"invoice\u202efdp.exe", `invoice\u202efdp.exe`},
		{"zero\u200bwidth", `zero\u200bwidth`},
		{"tag \U000e0041", `tag \U000e0041`},
		{"broken \xff byte", "broken \ufffd byte"},
		{"\x00\x7f", `\x00\x7f`},
	}
	for _, tt := range tests {
		if got := printable(tt.in); got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestPrintableHasNothingHidden(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text")
		out := printable(in)
		if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Fatalf("%q became %q", in, out)
		}
		if again := printable(out); again != out {
			t.Fatalf("%q became %q, and then %q", in, out, again)
		}
	})
}

func TestPrintableLines(t *testing.T) {
	if got, want := printableLines("a\r\n\tb\x1b\n"), "a\n\tb\\x1b\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestTruncate: nothing is wider than it may be, whatever a machine says.
func TestTruncate(t *testing.T) {
	const odd = "A\ufe0fbcdefgh" // the library cuts it as if it had nine cells, and finds it to have ten
	for _, tt := range []struct {
		text  string
		width int
		want  string
	}{
		{"abcdef", 6, "abcdef"}, {"abcdef", 5, "abcd…"}, {"abcdef", 1, "…"}, {"abcdef", 0, ""}, {"", 3, ""}, {"日本語", 4, "日…"},
		{odd, 4, "A\ufe0fb…"}, {odd, 2, "…"},
	} {
		if got := truncate(tt.text, tt.width, "…"); got != tt.want || ansi.StringWidth(got) > tt.width {
			t.Errorf("%q in %d cells: %q", tt.text, tt.width, got)
		}
	}
	var out strings.Builder
	g := grid{columns: []column{{name: odd + "ijklmnop"}, {name: "x"}}}
	g.add(odd+"ijklmnop", strings.Repeat("x", 50))
	if err := writeTable(&out, g, look{width: 24}); err != nil { // crashed once
		t.Error(err)
	}
}
