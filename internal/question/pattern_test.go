package question

import (
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestContainsFindsThePattern: the pattern of contains matches a whole text if
// and only if the value is found somewhere in it, and so for the two ends.
func TestContainsFindsThePattern(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.StringMatching(`([ab|()]|\\[|()]|\[\^?\]?[ab|]\]|\\Q[|a]\\E|\(\?:|\[\[:alpha:\]\|?\]){1,6}`).Draw(t, "value")
		if _, err := regexp.Compile("(?s)" + value); err != nil {
			t.Skip("no pattern")
		}
		text := rapid.StringMatching(`[ab|()]{0,5}`).Draw(t, "text")
		for op, bounds := range map[Op][2]string{Contains: {"", ""}, StartsWith: {`\A`, ""}, EndsWith: {"", `\z`}} {
			pattern, _ := op.Pattern(value)
			got, err := regexp.Compile(`\A(?s:` + pattern + `)\z`)
			if err != nil {
				t.Fatalf("%v %q is %q: %v", op, value, pattern, err)
			}
			want := regexp.MustCompile(bounds[0] + "(?s:" + value + ")" + bounds[1])
			if got.MatchString(text) != want.MatchString(text) {
				t.Fatalf("%v %q is %q, which is wrong for %q", op, value, pattern, text)
			}
		}
	})
}

func TestUnpattern(t *testing.T) {
	for _, tt := range []struct {
		pattern string
		op      Op
		value   string
	}{
		{".*x.*", Contains, "x"}, {"x.*", StartsWith, "x"}, {".*x", EndsWith, "x"}, {"x", Matches, "x"},
		{".*(?:a|b).*", Contains, "a|b"}, {".*", Matches, ".*"}, {"", Matches, ""}, {`a\.*`, Matches, `a\.*`},
		{".*a|b.*", Matches, ".*a|b.*"}, {".*(?:x).*", Contains, "(?:x)"}, {".*Google (Search|Chrome).*", Contains, "Google (Search|Chrome)"},
		{".*(?:a|b).*|.*(?:c).*", Matches, ".*(?:a|b).*|.*(?:c).*"}, {".*" + strings.Repeat("x", 5000), Matches, ".*" + strings.Repeat("x", 5000)},
	} {
		op, value := Unpattern(tt.pattern)
		if op != tt.op || value != tt.value {
			t.Errorf("%.60s is %v %.60q, want %v %.60q", tt.pattern, op, value, tt.op, tt.value)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		pattern := rapid.StringMatching(`[.*ab|()?:\\]{0,10}`).Draw(t, "pattern")
		op, value := Unpattern(pattern)
		if got, ok := op.Pattern(value); !ok || got != pattern {
			t.Fatalf("%q became %v %q, which is %q", pattern, op, value, got)
		}
	})
}
