package value

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A component is one number or word of a version. Components are ordered by
// rank, then number, then word. A version goes on for ever with zeros, so that
// 1.0 and 1.0.0 are equal.
type component struct {
	rank   rank
	digits string // of a number, without leading zeros
	word   string
}

type rank uint8

const (
	tilde   rank = iota // 1.0~1 comes before all else that begins with 1.0
	preword             // alpha, beta, rc …: before the version they lead up to
	zero                // 0, and the end
	word                // any other word comes after: 1.1.1n > 1.1.1
	number
)

// prewords announce a version that is still to come.
var prewords = []string{"alpha", "beta", "dev", "pre", "preview", "rc", "snapshot"}

// readVersion accepts a text that begins with a number, or with v and a
// number. The version is kept as text and taken apart while it is compared.
func readVersion(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) > 1 && (s[0] == 'v' || s[0] == 'V') {
		s = s[1:]
	}
	return s, s != "" && isDigit(s[0])
}

func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y component
		x, a = nextComponent(a)
		y, b = nextComponent(b)
		if c := x.compare(y); c != 0 {
			return c
		}
	}
	return 0
}

func (x component) compare(y component) int {
	return cmp.Or(
		cmp.Compare(x.rank, y.rank),
		cmp.Compare(len(x.digits), len(y.digits)),
		strings.Compare(x.digits, y.digits),
		CompareText(x.word, y.word, true),
	)
}

// nextComponent returns the first component of s. What is neither digit nor
// letter only separates components.
func nextComponent(s string) (c component, rest string) {
	for s != "" {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == '~':
			return component{rank: tilde}, s[n:]
		case r < utf8.RuneSelf && isDigit(byte(r)):
			return nextNumber(s)
		case unicode.IsLetter(r):
			return nextWord(s)
		}
		s = s[n:]
	}
	return component{rank: zero}, ""
}

func nextNumber(s string) (component, string) {
	end := 0
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	digits := strings.TrimLeft(s[:end], "0")
	if digits == "" {
		return component{rank: zero}, s[end:]
	}
	return component{rank: number, digits: digits}, s[end:]
}

func nextWord(s string) (component, string) {
	end := strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	if end < 0 {
		end = len(s)
	}
	c := component{rank: word, word: s[:end]}
	for _, p := range prewords {
		if CompareText(p, c.word, true) == 0 {
			c.rank = preword
		}
	}
	return c, s[end:]
}
