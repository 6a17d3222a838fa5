package question

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// words are what names and values are drawn from: half of them mean something
// in the language.
var words = []string{
	"a", "B", "c1", "Größe", "50%", "-", "x/y", `\d+`, "and", "OR", "not", "all", "any", "with", "from", "all machines", "in", "contains",
	"starts with", "matching case", "does", "get", "number of machines", "having", "=", "<", "!=", ":", "?", ",", ".", "(", ")", "[", "]", `"`, `""`, "$",
}

func drawName() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(words), 1, 4).Draw(t, "words"), rapid.SampledFrom([]string{" ", " ", ""}).Draw(t, "between"))
	})
}

// drawCatalogue draws catalogues whose names are made to be misread.
func drawCatalogue(t *rapid.T) *sensor.Catalogue {
	fold := func(s string) string { return strings.ToLower(s) }
	var all []sensor.Sensor
	for _, name := range rapid.SliceOfNDistinct(drawName(), 1, 8, fold).Draw(t, "names") {
		s := sensor.Sensor{Name: name}
		for _, c := range rapid.SliceOfNDistinct(drawName(), 1, 4, fold).Draw(t, "columns") {
			s.Columns = append(s.Columns, sensor.Column{Name: c, Type: value.String})
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "parameters") {
			p := sensor.Parameter{Key: string(rune('a' + i))}
			if rapid.Bool().Draw(t, "default") {
				p.Default = "x"
			}
			s.Parameters = append(s.Parameters, p)
		}
		all = append(all, s)
	}
	c, err := sensor.NewCatalogue(all)
	if err != nil {
		t.Skip(err)
	}
	return c
}

func drawRef(t *rapid.T, c *sensor.Catalogue) Ref {
	s := rapid.SampledFrom(c.All()).Draw(t, "sensor")
	least := len(s.Parameters)
	for least > 0 && s.Parameters[least-1].Default != "" {
		least--
	}
	r := Ref{Sensor: s.Name}
	for range rapid.IntRange(least, len(s.Parameters)).Draw(t, "given") {
		r.Params = append(r.Params, rapid.OneOf(drawName(), rapid.StringMatching(`[ a,\]\["\n]{0,4}`)).Draw(t, "param"))
	}
	if len(s.Columns) > 1 && rapid.Bool().Draw(t, "column") {
		r.Column = rapid.SampledFrom(s.Columns).Draw(t, "column").Name
	}
	return r
}

func drawCondition(t *rapid.T, c *sensor.Catalogue, depth int) Condition {
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth == 0 || kind > 2 {
		return Test{
			Ref: drawRef(t, c), Op: Op(rapid.IntRange(int(Contains), int(GreaterEqual)).Draw(t, "op")),
			Value: rapid.OneOf(drawName(), rapid.StringMatching(`[ a."\n()]{0,4}`)).Draw(t, "value"),
			All:   rapid.Bool().Draw(t, "all"), MatchCase: rapid.Bool().Draw(t, "case"),
		}
	}
	if kind == 2 {
		return Not{drawCondition(t, c, depth-1)}
	}
	var parts []Condition
	for range rapid.IntRange(2, 3).Draw(t, "parts") {
		parts = append(parts, drawCondition(t, c, depth-1))
	}
	if kind == 1 {
		return Or(parts)
	}
	return And(parts)
}

func drawQuestion(t *rapid.T, c *sensor.Catalogue) Question {
	q := Question{ComputerID: rapid.Bool().Draw(t, "computer ID")}
	for range rapid.IntRange(0, 3).Draw(t, "selects") {
		q.Selects = append(q.Selects, drawRef(t, c))
	}
	if rapid.Bool().Draw(t, "with") {
		q.Where = drawCondition(t, c, 3)
	}
	return q
}

// TestCanonicalTextComesBack: whatever names the catalogue has, a question
// reads as what it was printed from.
func TestCanonicalTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCatalogue(t)
		q := drawQuestion(t, c)
		if same, err := Resolve(q, c); err != nil || !reflect.DeepEqual(same, q) {
			t.Fatalf("%s is resolved to %+v, %v", q, same, err)
		}
		again, err := Parse(q.String(), c)
		if err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%+v\nis printed   %s\nis read again as %+v, %v", q, q, again, err)
		}
		if q.Where == nil {
			return
		}
		if again, err := ParseCondition(" "+Text(q.Where), c); err != nil || !reflect.DeepEqual(again, q.Where) {
			t.Fatalf("%+v\nis printed   %s\nis read again as %+v, %v", q.Where, Text(q.Where), again, err)
		}
	})
}

// checkFixedPoint holds a text against the laws of the parser.
func checkFixedPoint(t interface{ Fatalf(string, ...any) }, text string, c *sensor.Catalogue) {
	q, err := Parse(text, c)
	if err != nil {
		e, ok := errors.AsType[*SyntaxError](err)
		if !ok || fault.KindOf(err) != fault.Invalid || e.Message == "" {
			t.Fatalf("%q: %v is no SyntaxError", text, err)
		}
		if n := utf8.RuneCountInString(text); e.Column < 1 || e.Column > n+1 {
			t.Fatalf("%q: column %d of %d", text, e.Column, n)
		}
		return
	}
	again, err := Parse(q.String(), c)
	if err != nil || !reflect.DeepEqual(again, q) || again.String() != q.String() {
		t.Fatalf("%q\nis read as %+v\nis printed %s\nis read as %+v, %v", text, q, q, again, err)
	}
	if same, err := Resolve(q, c); err != nil || !reflect.DeepEqual(same, q) {
		t.Fatalf("%q\nis resolved to %+v, %v", text, same, err)
	}
}

// TestAnyTextIsReadOrRefused: texts of the language's own words, in any order.
func TestAnyTextIsReadOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCatalogue(t)
		pieces := append([]string{"from all machines with", "equals", "x", "not", "(a)", `"a"`, "[a]", "[a,b]"}, words...)
		for _, s := range c.All() {
			pieces = append(pieces, s.Name, quote(s.Name), s.Name+" = x", ":"+s.Columns[0].Name)
		}
		text := "get " + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 14).Draw(t, "text"), rapid.SampledFrom([]string{" ", " ", ""}).Draw(t, "between"))
		checkFixedPoint(t, text, c)
		Candidates(text, c)
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"Get Computer Name from all machines",
		`Get "Running Processes with Hash":Name and Folder Contents[C:\x, "a,""b"] from all machines`,
		"get number of machines where (online = x or all ready does not match .*) and not free memory >= 1.5 GB matching case",
		"Get ?forceComputerIdFlag=1 Online and Ready from all machines with any Installed Applications:Install Date not contains Google (Search|Chrome)",
		"get online and ready from all machines with not before starting with x", "get search[No, Program Files, No, , x.*]", "get größe:", "get [x", "get a < b",
	} {
		f.Add(text)
	}
	c := catalogue(f)
	f.Fuzz(func(t *testing.T, text string) {
		checkFixedPoint(t, text, c)
		if cond, err := ParseCondition(text, c); err == nil {
			if again, err := ParseCondition(Text(cond), c); err != nil || !reflect.DeepEqual(again, cond) {
				t.Fatalf("%q\nis read as %+v\nis printed %s\nis read as %+v, %v", text, cond, Text(cond), again, err)
			}
		}
	})
}

func FuzzCandidates(f *testing.F) {
	for _, text := range []string{"operatng system", "show me all computr names", "get onlin with is linx = true", "", "( [ \""} {
		f.Add(text)
	}
	c := catalogue(f)
	f.Fuzz(func(t *testing.T, text string) {
		found := Candidates(text, c)
		if _, err := Parse(text, c); err == nil && len(found) != 1 {
			t.Fatalf("%q is a question with %d candidates", text, len(found))
		}
		for _, q := range found {
			if _, err := Parse(q.String(), c); err != nil {
				t.Fatalf("%q has the candidate %s: %v", text, q, err)
			}
		}
	})
}
