package question

import (
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"
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

// drawGroups draws computer groups, whose names are no better, and now and then
// those of sensors.
func drawGroups(t *rapid.T, c *sensor.Catalogue) Groups {
	sensors := make([]string, 0, c.Len())
	for _, s := range c.All() {
		sensors = append(sensors, s.Name)
	}
	names := rapid.OneOf(drawName(), rapid.SampledFrom(sensors), rapid.SampledFrom([]string{"All Computers", "any A", "Sales", "Not Patched"}))
	return groupsCalled(rapid.SliceOfNDistinct(names, 0, 4, strings.ToLower).Draw(t, "groups")...)
}

func drawRef(t *rapid.T, c *sensor.Catalogue) Ref {
	s := rapid.SampledFrom(c.All()).Draw(t, "sensor")
	r := Ref{Sensor: s.Name}
	for range rapid.IntRange(leastParams(s), len(s.Parameters)).Draw(t, "given") {
		r.Params = append(r.Params, rapid.OneOf(drawName(), rapid.StringMatching(`[ a,\]\["\n]{0,4}`)).Draw(t, "param"))
	}
	if rapid.IntRange(0, 3).Draw(t, "options") == 0 {
		r.MaxAge = time.Duration(rapid.IntRange(0, 90).Draw(t, "age")) * time.Second
	}
	return drawReading(t, r, s)
}

// drawReading draws how the texts of r are read.
func drawReading(t *rapid.T, r Ref, s sensor.Sensor) Ref {
	if len(s.Columns) > 1 && rapid.Bool().Draw(t, "column") {
		r.Column = rapid.SampledFrom(s.Columns).Draw(t, "column").Name
	}
	if rapid.IntRange(0, 3).Draw(t, "options") == 0 {
		r.Type = value.Type(rapid.IntRange(0, int(value.RegexMatch)).Draw(t, "type"))
		r.Part.Start, r.Part.Length = rapid.IntRange(0, 3).Draw(t, "start"), rapid.IntRange(0, 3).Draw(t, "length")
		if len(s.Columns) > 1 {
			return r.plainType(s)
		}
		if r.Part.Delimiter = rapid.SampledFrom([]string{"", "|", " ", "a&b", `"`, "]=", "and"}).Draw(t, "delimiter"); r.Part.Delimiter != "" {
			r.Part.Index = rapid.IntRange(0, 3).Draw(t, "piece")
		}
	}
	return r.plainType(s)
}

func drawPredicate(t *rapid.T) Predicate {
	is := Predicate{
		Op:        Op(rapid.IntRange(int(Contains), int(HasHash)).Draw(t, "op")),
		Value:     rapid.OneOf(drawName(), rapid.StringMatching(`[ a."\n()]{0,4}`)).Draw(t, "value"),
		Not:       rapid.Bool().Draw(t, "not"),
		MatchCase: rapid.Bool().Draw(t, "case"),
	}
	if is.Op == HasHash {
		is.Value, is.MatchCase = strconv.Itoa(rapid.IntRange(0, math.MaxUint32).Draw(t, "hash")), false
	}
	return is
}

func drawSelect(t *rapid.T, c *sensor.Catalogue) Select {
	s := Select{Ref: drawRef(t, c)}
	if rapid.IntRange(0, 2).Draw(t, "filter") == 0 {
		is := drawPredicate(t)
		s.Filter = &is
	}
	def, _ := c.ByName(s.Sensor)
	for range rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "having") {
		s.Having = append(s.Having, Having{drawReading(t, Ref{Sensor: s.Sensor}, def), drawPredicate(t)}.plain())
	}
	return s.plain(c)
}

func drawCondition(t *rapid.T, c *sensor.Catalogue, groups Groups, depth int) Condition {
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if all := groups.(knownGroups); kind == 6 && len(all) > 0 {
		g := rapid.SampledFrom(all).Draw(t, "group")
		return Member{g.ID, g.Name}
	}
	if depth == 0 || kind > 2 {
		is := drawPredicate(t)
		return Test{Ref: drawRef(t, c), Op: is.Op, Value: is.Value, All: is.Not, MatchCase: is.MatchCase}.plain()
	}
	if kind == 2 {
		return Not{drawCondition(t, c, groups, depth-1)}
	}
	var parts []Condition
	for range rapid.IntRange(2, 3).Draw(t, "parts") {
		parts = append(parts, drawCondition(t, c, groups, depth-1))
	}
	if kind == 1 {
		return Or(parts)
	}
	return And(parts)
}

func drawQuestion(t *rapid.T, c *sensor.Catalogue, groups Groups) Question {
	q := Question{ComputerID: rapid.Bool().Draw(t, "computer ID")}
	for range rapid.IntRange(0, 3).Draw(t, "selects") {
		q.Selects = append(q.Selects, drawSelect(t, c))
	}
	if rapid.Bool().Draw(t, "with") {
		q.Where = drawCondition(t, c, groups, 3)
	}
	return q
}

// TestCanonicalTextComesBack: whatever names the catalogue has, a question
// reads as what it was printed from.
func TestCanonicalTextComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCatalogue(t)
		groups := drawGroups(t, c)
		q := drawQuestion(t, c, groups)
		if same, err := Resolve(q, c, groups); err != nil || !reflect.DeepEqual(same, q) {
			t.Fatalf("%s is resolved to %+v, %v", q, same, err)
		}
		again, err := Parse(q.String(), c, groups)
		if err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%+v\nis printed   %s\nis read again as %+v, %v", q, q, again, err)
		}
		checkReferences(t, q)
		if q.Where == nil {
			return
		}
		if again, err := ParseCondition(" "+Text(q.Where), c, groups); err != nil || !reflect.DeepEqual(again, q.Where) {
			t.Fatalf("%+v\nis printed   %s\nis read again as %+v, %v", q.Where, Text(q.Where), again, err)
		}
	})
}

// checkReferences: where a question is said to name a sensor, it does.
func checkReferences(t interface{ Fatalf(string, ...any) }, q Question) {
	text := []rune(q.String())
	last := -1
	for _, r := range q.References() {
		if r.Start <= last || !strings.HasPrefix(string(text[r.Start:]), r.Ref.String()) {
			t.Fatalf("%s does not name %s at %d", q, r.Ref, r.Start)
		}
		last = r.Start
	}
}

// checkFixedPoint holds a text against the laws of the parser.
func checkFixedPoint(t interface{ Fatalf(string, ...any) }, text string, c *sensor.Catalogue, groups Groups) {
	q, err := Parse(text, c, groups)
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
	again, err := Parse(q.String(), c, groups)
	if err != nil || !reflect.DeepEqual(again, q) || again.String() != q.String() {
		t.Fatalf("%q\nis read as %+v\nis printed %s\nis read as %+v, %v", text, q, q, again, err)
	}
	if same, err := Resolve(q, c, groups); err != nil || !reflect.DeepEqual(same, q) {
		t.Fatalf("%q\nis resolved to %+v, %v", text, same, err)
	}
	checkReferences(t, q)
}

// TestAnyTextIsReadOrRefused: texts of the language's own words, in any order.
func TestAnyTextIsReadOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawCatalogue(t)
		pieces := append([]string{"from all machines with", "equals", "x", "not", "(a)", `"a"`, "[a]", "[a,b]", "?maxAge=5", "?type=Version&ignoreCase=0", "?substringStart=1", "has hash 5"}, words...)
		groups := drawGroups(t, c)
		for _, g := range groups.(knownGroups) {
			pieces = append(pieces, g.Name, quote(g.Name), "not "+g.Name)
		}
		for _, s := range c.All() {
			pieces = append(pieces, s.Name, quote(s.Name), s.Name+" = x", ":"+s.Columns[0].Name)
		}
		text := "get " + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 14).Draw(t, "text"), rapid.SampledFrom([]string{" ", " ", ""}).Draw(t, "between"))
		checkFixedPoint(t, text, c, groups)
		Candidates(text, c, groups)
	})
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"Get Computer Name from all machines",
		`Get "Running Processes with Hash":Name and Folder Contents[C:\x, "a,""b"] from all machines`,
		"get number of machines where (online = x or all ready does not match .*) and not free memory >= 1.5 GB matching case",
		"Get ?forceComputerIdFlag=1 Online and Ready from all machines with any Installed Applications:Install Date not contains Google (Search|Chrome)",
		"get online and ready from all machines with not before starting with x", "get search[No, Program Files, No, , x.*]", "get größe:",
		"Get Online?maxAge=60 contains x matching case and Installed Applications?type=Version:Version >= 2 having Installed Applications:Name not has hash 5",
		"get online where all computers and not (Sales and Marketing or \"Online\")", "get number of machines with online?delimiter=\",\"&delimiterIndex=1 \"does not match\" \"x\"",
		"get [x", "get a < b",
	} {
		f.Add(text)
	}
	c, groups := catalogue(f), everydayGroups
	f.Fuzz(func(t *testing.T, text string) {
		checkFixedPoint(t, text, c, groups)
		if cond, err := ParseCondition(text, c, groups); err == nil {
			if again, err := ParseCondition(Text(cond), c, groups); err != nil || !reflect.DeepEqual(again, cond) {
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
		found := Candidates(text, c, everydayGroups)
		if _, err := Parse(text, c, everydayGroups); err == nil && (len(found) != 1 || !found[0].Canonical) {
			t.Fatalf("%q is a question with %d candidates", text, len(found))
		}
		for _, f := range found {
			if _, err := Parse(f.Question.String(), c, everydayGroups); err != nil {
				t.Fatalf("%q has the candidate %s: %v", text, f.Question, err)
			}
		}
	})
}
