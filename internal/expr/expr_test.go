package expr

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catenary/internal/value"
)

// machine is what the tests' conditions are about.
var machine = map[string][]string{
	"name":    {"web-01.example.org"},
	"os":      {"Ubuntu 24.04.1 LTS"},
	"apps":    {"Firefox", "Google Chrome", "Google Search Bar", "chromium\nbrowser"},
	"version": {"1.9", "1.10", "unknown"},
	"size":    {"900 MB", "1.5 GB"},
	"load":    {"80%"},
	"ip":      {"10.0.0.9", "fe80::1"},
	"seen":    {"2026-11-22 01:30:00"},
	"up":      {"4.2 hours"},
	"big":     {"18446744073709551616"},
	"error":   {"TSE-Error: timed out"},
	"nothing": {"[no results]"},
	"none":    nil,
}

func values(name string) []string { return machine[name] }

func text(name string, op Op, v string) Test {
	return Test{Name: name, Op: op, Value: v, Type: value.String, IgnoreCase: true}
}

func typed(name string, op Op, v string, t value.Type) Test {
	return Test{Name: name, Op: op, Value: v, Type: t}
}

func (t Test) all() Test          { t.All = true; return t }
func (t Test) minding() Test      { t.IgnoreCase = false; return t }
func contains(x string) Test      { return text("apps", Matches, ".*"+x+".*") }
func matches(r string) Test       { return text("os", Matches, r) }
func version(o Op, v string) Test { return typed("version", o, v, value.Version) }

func TestEval(t *testing.T) {
	yes, no := matches(".*"), matches("x")
	for i, c := range []struct {
		condition Condition
		want      bool
	}{
		{nil, true},
		{And{}, true}, {Or{}, false},
		{And{yes, yes}, true}, {And{yes, no}, false}, {Or{no, yes}, true}, {Or{no, no}, false},
		{Not{yes}, false}, {Not{Not{yes}}, true}, {Not{And{yes, Or{no, no}}}, true},

		{text("name", Equal, "WEB-01.example.ORG"), true},
		{text("name", Equal, "WEB-01.example.ORG").minding(), false},
		{text("name", Equal, "web-01"), false},
		{text("name", Less, "web-02"), true}, {text("name", Less, "WEB-01.example.ORG").minding(), false},
		{text("name", LessEqual, "web-01.EXAMPLE.org"), true}, {text("name", GreaterEqual, "web-01.EXAMPLE.org"), true},
		{text("name", Greater, "web"), true}, {text("name", Greater, "x"), false},

		{matches("Ubuntu.*"), true}, {matches("ubuntu.*"), true}, {matches("ubuntu.*").minding(), false},
		{matches("Ubuntu"), false}, {matches(".*LTS"), true}, {matches(".*lts").minding(), false}, {matches(".*24"), false},
		{matches(`Ubuntu \d+\.\d+\.\d+ LTS`), true}, {matches(`\d+\.\d+`), false}, {matches("^Ubuntu.*LTS$"), true},
		{matches("Ubuntu|Ubuntu 24.04.1 LTS"), true}, {matches("(?-i)ubuntu.*"), false},
		{matches(`Ubuntu\Q 24.04.1 LTS`), true}, {matches(`Ubuntu\Q 24.04.1 LTS)`), false},
		{contains("chrome"), true}, {contains("CHROME").minding(), false}, {contains("Google (Search|Chrome)"), true},
		{contains("edge"), false}, {contains("chrome").all(), false}, {contains("o").all(), true}, {contains(""), true},
		{text("apps", Matches, "chromium.browser"), true}, {text("apps", Matches, "chromium.*"), true},
		{text("apps", Matches, "google.*bar"), true}, {text("apps", Matches, ".*bar.+"), false},

		{text("apps", Hashed, fmt.Sprint(value.Digest("firefox"))), true}, {text("apps", Hashed, fmt.Sprint(value.Digest("Firefox"))), false},
		{text("apps", Hashed, "GOOGLE chrome"), true}, {text("apps", Hashed, "chrome"), false}, {text("apps", Hashed, "firefox").all(), false},
		{typed("size", Hashed, "900 mb", value.DataSize), true}, {typed("size", Hashed, "921600 KB", value.DataSize), false},

		{version(Equal, "1.10.0"), true}, {version(Equal, "1.1"), false}, {version(Greater, "1.9"), true},
		{version(Greater, "1.10"), false}, {version(GreaterEqual, "1.9").all(), false}, // "unknown" is no version
		{version(Equal, "UNKNOWN"), false}, {version(Equal, "unknown"), true},
		{version(Equal, "1.9").all(), false}, {Not{version(Equal, "2.0")}, true},
		{typed("size", Greater, "1GB", value.DataSize), true}, {typed("size", Greater, "1GB", value.DataSize).all(), false},
		{typed("size", Less, "2 TB", value.DataSize).all(), true},
		{typed("load", Greater, "79.5", value.Numeric), true}, {typed("load", Greater, "80", value.Numeric), false},
		{typed("load", Greater, "lots", value.Numeric), false}, {typed("load", Greater, "9", value.String), false},
		{typed("ip", Less, "10.0.0.10", value.IPAddress), true}, {typed("ip", Equal, "FE80:0::1", value.IPAddress), true},
		{typed("seen", Greater, "2026-11-22T02:00:00+01:00", value.VariousDate), true},
		{typed("up", Less, "1 day", value.TimeDiff), true},
		{typed("big", Greater, "18446744073709551615", value.NumericInteger), true},

		{typed("error", Greater, "0", value.Numeric), false}, {typed("error", LessEqual, "0", value.Numeric), false},
		{typed("nothing", Equal, "[no results]", value.Numeric), true},
		{text("none", Equal, ""), false}, {text("none", Equal, "x").all(), true},
		{Not{text("none", Equal, "x")}, true}, {Not{text("none", Equal, "x").all()}, false},

		{matches("("), false}, {Not{matches("(")}, false}, {And{nil}, false}, {Or{yes, Not{}}, false},
	} {
		if got := Eval(c.condition, values); got != c.want {
			t.Errorf("%d: Eval(%v) = %v, want %v", i, c.condition, got, c.want)
		}
	}
}

func deep(n int) Condition {
	var c Condition = matches("x")
	for range n {
		c = Not{c}
	}
	return c
}

func wide(n int, t Test) Condition {
	c := make(Or, n)
	for i := range c {
		c[i] = t
	}
	return c
}

func TestCheck(t *testing.T) {
	long := strings.Repeat("x", ValueMax)
	for _, c := range []struct {
		condition Condition
		want      string // part of the error, "" for none
	}{
		{nil, ""},
		{deep(DepthMax - 1), ""}, {deep(DepthMax), "nested more than 64 deep"},
		{wide(NodesMax-1, matches("x")), ""}, {wide(NodesMax, matches("x")), "more than 1000 parts"},
		{text("a", Equal, long), ""}, {text("a", Equal, long+"x"), "longer than 4096 bytes"},
		{wide(47, text("a", Equal, long)), ""}, {wide(48, text("a", Equal, long)), "together are longer"},
		{And{nil}, "lacks an operand"}, {Not{}, "lacks an operand"},
		{text("", Equal, "x"), "a test's name"}, {text(long, Equal, "x"), "a test's name"}, {text("\xff", Equal, "x"), "a test's name"},
		{text("a", Equal, "\xff"), "not UTF-8"},
		{text("a", 0, "x"), "Op(0) is no operator"}, {text("a", Hashed+1, "x"), "Op(8) is no operator"},
		{Test{Name: "a", Op: Equal, Type: 99}, "Type(99) is no type"},
		{matches("(a"), `"(a" is no regular expression: error parsing regexp: missing closing ): `},
		{matches("a)(b"), "unexpected )"}, {matches(".*C++.*"), "invalid nested repetition operator: `++`"},
		{matches(`(?!x).*`), "invalid or unsupported Perl syntax"}, {matches(`(a)\1`), "invalid escape sequence"},
		{matches("(x{100}){10}"), ""}, {matches("(x{100}){11}"), "invalid repeat count"},
		{matches(strings.Repeat("x{1000}", 11)), "too large together"},
		{wide(11, matches("x{900}")), ""}, {wide(12, matches("x{900}")), "too large together"},
	} {
		err := Check(c.condition)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("Check(%.60v) = %v, want %q", c.condition, err, c.want)
		}
	}
}

// TestCheckTogether: what two conditions may be one by one, they may not be
// together, except for the number of their parts.
func TestCheckTogether(t *testing.T) {
	half, parts := wide(7, matches("x{900}")), wide(NodesMax-1, matches("x"))
	texts := wide(30, text("a", Equal, strings.Repeat("x", ValueMax)))
	for want, both := range map[string][]Condition{
		"too large together": {half, nil, half}, "together are longer": {texts, texts}, "more than 1000 parts": {nil, wide(NodesMax, matches("x"))}, "": {parts, parts},
	} {
		if err := Check(both...); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestGauge: it refuses what Check refuses of the same tests, in the same words.
func TestGauge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{"x", "x{900}", "(a|b){500}", "(", "a++", ".*y.*", strings.Repeat("z", ValueMax)})
		var g Gauge
		var all And
		for range rapid.IntRange(1, 60).Draw(t, "tests") {
			one := text("os", rapid.SampledFrom([]Op{Equal, Matches, 0}).Draw(t, "op"), value.Draw(t, "value"))
			all = append(all, one)
			err, want := g.Test(one), Check(all)
			if fmt.Sprint(err) != fmt.Sprint(want) {
				t.Fatalf("%v, want %v", err, want)
			}
			if err != nil {
				return
			}
		}
	})
}

// TestPatternsAgreeWithRegexp: the shortcuts for .* and plain text change
// nothing.
func TestPatternsAgreeWithRegexp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		source := rapid.StringMatching(`(\.\*|\.\*\?|\^)?([abkK.]|\.\*|a\|b|\(a\|b\)|\[ab\]|\\\.|é|\(\?-i\)a|a\+|b\?|\$){0,4}(\.\*)?(\\Q[ab.*]{1,2})?`).Draw(t, "pattern")
		ignoreCase := rapid.Bool().Draw(t, "ignore case")
		flags := "(?s)"
		if ignoreCase {
			flags = "(?si)"
		}
		want, err := regexp.Compile(flags + source)
		if err != nil {
			t.Skip("no pattern")
		}
		want.Longest()
		got, err := new(builder).pattern(source, ignoreCase)
		if err != nil {
			t.Fatalf("%q: %v", source, err)
		}
		for range 10 {
			text := rapid.StringMatching(`[aAbBkK.é\n\x{212a}]{0,5}`).Draw(t, "text")
			// The longest of the leftmost matches is the whole text if any is.
			at := want.FindStringIndex(text)
			if whole := at != nil && at[0] == 0 && at[1] == len(text); got(text) != whole {
				t.Fatalf("%q matches %q: %v, want %v", source, text, got(text), whole)
			}
		}
	})
}

// drawCondition draws conditions of all shapes, some of them refused.
func drawCondition(depth int) *rapid.Generator[Condition] {
	return rapid.Custom(func(t *rapid.T) Condition {
		kind := rapid.IntRange(0, 5).Draw(t, "kind")
		if depth == 0 || kind > 2 {
			return Test{
				Name:       rapid.SampledFrom([]string{"os", "apps", "version", "none"}).Draw(t, "name"),
				Op:         Op(rapid.IntRange(1, int(Hashed)).Draw(t, "op")),
				Value:      rapid.StringMatching(`[a-cA-C1-3.]{0,4}(\.\*)?`).Draw(t, "value"),
				Type:       value.Type(rapid.IntRange(0, int(value.RegexMatch)).Draw(t, "type")),
				IgnoreCase: rapid.Bool().Draw(t, "ignore case"),
				All:        rapid.Bool().Draw(t, "all"),
			}
		}
		if kind == 2 {
			return Not{drawCondition(depth-1).Draw(t, "of")}
		}
		parts := rapid.SliceOfN(drawCondition(depth-1), 0, 3).Draw(t, "parts")
		if len(parts) == 0 {
			parts = nil
		}
		if kind == 1 {
			return Or(parts)
		}
		return And(parts)
	})
}

// negate pushes a negation to the tests: Not of a test for any value is the
// test that all values fail.
func negate(c Condition) Condition {
	switch c := c.(type) {
	case And:
		out := Or{}
		for _, part := range c {
			out = append(out, negate(part))
		}
		return out
	case Or:
		out := And{}
		for _, part := range c {
			out = append(out, negate(part))
		}
		return out
	case Not:
		return c.Of
	}
	return Not{c}
}

func TestDeMorgan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCondition(4).Draw(t, "condition")
		if Check(c) != nil {
			t.Skip("refused")
		}
		if yes, no := Eval(c, values), Eval(negate(c), values); yes == no {
			t.Fatalf("%v and its negation are both %v", c, yes)
		}
		test, ok := c.(Test)
		if !ok {
			return
		}
		failing := false // by the definition of any and all
		for _, v := range machine[test.Name] {
			if !Eval(test, func(string) []string { return []string{v} }) {
				failing = true
			}
		}
		if all := test.all(); Eval(all, values) == failing {
			t.Fatalf("%v is %v, but a value fails: %v", all, !failing, failing)
		}
	})
}

// TestAsksNoMoreThanNeeded: a decided condition asks for no further values,
// since values can be costly to get.
func TestAsksNoMoreThanNeeded(t *testing.T) {
	var asked []string
	count := func(name string) []string {
		asked = append(asked, name)
		return machine[name]
	}
	m, err := Compile(And{Or{text("os", Matches, "ubuntu.*"), contains("x")}, text("name", Equal, "x"), version(Equal, "1")})
	if err != nil {
		t.Fatal(err)
	}
	if m.Match(count) || fmt.Sprint(asked) != "[os name]" {
		t.Errorf("asked for %v", asked)
	}
}

func BenchmarkEval(b *testing.B) {
	lines := make([]string, 10_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("/usr/lib/Firefox-%d/plugin-container --child %d", i, i)
	}
	for _, t := range []Test{
		text("", Matches, ".*chrome.*"), text("", Matches, ".*(chrome|edge).*"), text("", Matches, `/opt/.*\d+`),
		text("", Equal, "chrome"), typed("", Greater, "1.10", value.Version),
	} {
		t.Name = "lines"
		b.Run(fmt.Sprint(t.Op, t.Value), func(b *testing.B) {
			for b.Loop() {
				if Eval(t, func(string) []string { return lines }) {
					b.Fatal("found")
				}
			}
		})
	}
}
