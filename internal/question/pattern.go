package question

import (
	"regexp/syntax"
	"strings"

	"catenary/internal/expr"
)

// enclosed puts a pattern in brackets if it offers alternatives on its highest
// level, so that what is put before and after it belongs to each.
func enclosed(pattern string) string {
	if alternates(pattern) {
		return "(?:" + pattern + ")"
	}
	return pattern
}

// alternates reports whether a pattern offers alternatives on its highest level.
// One with a quotation (\Q) may be taken for one that does: brackets do no harm.
func alternates(pattern string) bool {
	if strings.Contains(pattern, `\Q`) {
		return strings.Contains(pattern, "|")
	}
	depth := 0
	for at := 0; at < len(pattern); at++ {
		switch pattern[at] {
		case '\\':
			at++
		case '[':
			at += class(pattern[at:])
		case '(':
			depth++
		case ')':
			depth--
		case '|':
			if depth <= 0 {
				return true
			}
		}
	}
	return false
}

// class returns where the character class ends that a pattern begins with.
func class(pattern string) int {
	at := 1
	if strings.HasPrefix(pattern[at:], "^") {
		at++
	}
	// A bracket that comes first is one of the class.
	for first := true; at < len(pattern) && (first || pattern[at] != ']'); first = false {
		switch {
		case pattern[at] == '\\':
			at++
		case strings.HasPrefix(pattern[at:], "[:"):
			if n := strings.Index(pattern[at:], ":]"); n > 0 {
				at += n + 1
			}
		}
		at++
	}
	return min(at, len(pattern)-1)
}

// Unpattern returns the plainest operator whose pattern is the given one, with
// its value: .*X.* is contains X.
func Unpattern(pattern string) (Op, string) {
	if len(pattern) > expr.ValueMax {
		return Matches, pattern // is refused anyway
	}
	for _, op := range []Op{Contains, StartsWith, EndsWith} {
		inner := pattern
		if op != StartsWith {
			inner = strings.TrimPrefix(inner, ".*")
		}
		if op != EndsWith {
			inner = strings.TrimSuffix(inner, ".*")
		}
		bare := strings.TrimSuffix(strings.TrimPrefix(inner, "(?:"), ")")
		for _, value := range []string{bare, inner} {
			if _, err := syntax.Parse(value, syntax.Perl); err != nil || value == "" {
				continue
			}
			if p, _ := op.Pattern(value); p == pattern {
				return op, value
			}
		}
	}
	return Matches, pattern
}
