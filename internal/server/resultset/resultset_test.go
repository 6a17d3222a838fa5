package resultset

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"catenary/internal/answer"
	"catenary/internal/expr"
	"catenary/internal/plan"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

func same[T any](t interface {
	Helper()
	Fatalf(string, ...any)
}, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("-want +got\n%s", d)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func goOn() error { return nil }

var testKey = answer.Key{7}

// planOf shows one sensor for each width.
func planOf(computers bool, widths ...int) plan.Plan {
	p := plan.Plan{ComputerID: computers}
	if computers {
		p.Columns = append(p.Columns, plan.Column{Name: "Computer ID", Type: value.NumericInteger, Use: -1})
	}
	for use, width := range widths {
		p.Sensors = append(p.Sensors, plan.Use{Name: fmt.Sprint("Sensor ", use), Width: width})
		p.Selects = append(p.Selects, use)
		for i := range width {
			p.Columns = append(p.Columns, plan.Column{Name: fmt.Sprintf("S%d C%d", use, i), Type: value.String, Use: use, Field: i})
		}
	}
	return p
}

// rowsOf makes rows from texts: cells are cut at "|", the texts of a cell at ",".
func rowsOf(texts ...string) answer.Rows {
	var list []answer.Row
	for _, text := range texts {
		var cells []answer.Cell
		for cell := range strings.SplitSeq(text, "|") {
			cells = append(cells, strings.Split(cell, ","))
		}
		list = append(list, testKey.Row(cells))
	}
	return answer.RowsOf(answer.ServerLimits, list...)
}

// written writes the rows of a view as cells ×count, behind the machine's number
// if they stand for one.
func written(v *View) (out []string) {
	for i := range v.Len() {
		r := v.Row(i)
		var cells []string
		if r.CID != 0 {
			cells = append(cells, fmt.Sprint(r.CID))
		}
		for _, c := range r.Cells {
			cells = append(cells, strings.Join(c, ","))
		}
		out = append(out, fmt.Sprintf("%s ×%d", strings.Join(cells, "|"), r.Count))
	}
	return out
}

func looked(t testing.TB, s *Set, q Query) *View {
	t.Helper()
	v, err := s.Look(q, goOn)
	must(t, err)
	return v
}

func test(name string, op expr.Op, text string, typ value.Type) expr.Test {
	return expr.Test{Name: name, Op: op, Value: text, Type: typ, IgnoreCase: true}
}

func TestViews(t *testing.T) {
	s := New(Source{Plan: planOf(false, 2), Pending: 3, Rows: rowsOf(
		"Firefox|10.2", "Firefox|10.2", "Firefox|9.0", "chrome|1.10", "[no results]|[no results]", "TSE-Error: no|TSE-Error: no", "Vim|TSE-Error: x",
	)})
	s.Columns[1].Type = value.Version
	for _, tt := range []struct {
		name string
		q    Query
		want []string
	}{
		{"as they are", Query{}, []string{
			"[current results unavailable]|[current results unavailable] ×3", "Firefox|10.2 ×2", "Firefox|9.0 ×1", "TSE-Error: no|TSE-Error: no ×1",
			"Vim|TSE-Error: x ×1", "[no results]|[no results] ×1", "chrome|1.10 ×1",
		}},
		{"by a column, downwards", Query{Order: []int{-2}, Filter: test("0", expr.Matches, "firefox|chrome", value.String)}, []string{"Firefox|10.2 ×2", "Firefox|9.0 ×1", "chrome|1.10 ×1"}},
		{"by count and another", Query{Order: []int{3, -1}, Filter: test("0", expr.Matches, "firefox|chrome", value.String)}, []string{"Firefox|9.0 ×1", "chrome|1.10 ×1", "Firefox|10.2 ×2"}},
		{"typed", Query{Filter: test("1", expr.GreaterEqual, "9.0", value.Version)}, []string{"Firefox|10.2 ×2", "Firefox|9.0 ×1"}},
		{"count", Query{Filter: test("2", expr.Equal, "2", value.NumericInteger)}, []string{"Firefox|10.2 ×2"}},
		{"any column", Query{Filter: test(AnyColumn, expr.Matches, ".*10.*", value.String)}, []string{"Firefox|10.2 ×2", "chrome|1.10 ×1"}},
		{"no errors", Query{HideErrors: true, Filter: expr.Not{Of: test("0", expr.Matches, `.*(fox|unavail|rom).*`, value.String)}}, []string{"Vim|TSE-Error: x ×1", "[no results]|[no results] ×1"}},
		{"nothing hidden that says something", Query{HideErrors: true, HideNoResults: true, Filter: expr.Not{Of: test("0", expr.Matches, `.*(fox|unavail|rom).*`, value.String)}}, []string{"Vim|TSE-Error: x ×1"}},
		{"apart", Query{Apart: true, Filter: test("0", expr.Equal, "Firefox", value.String)}, []string{"Firefox|10.2 ×1", "Firefox|10.2 ×1", "Firefox|9.0 ×1"}},
	} {
		t.Run(tt.name, func(t *testing.T) { same(t, written(looked(t, s, tt.q)), tt.want) })
	}
	for _, q := range []Query{{Order: []int{4}}, {Order: []int{0}}, {Filter: test("0", expr.Matches, "a)(b", 1)}} {
		if v, err := s.Look(q, goOn); err == nil {
			t.Errorf("%+v: %v", q, written(v))
		}
	}
	if _, err := s.Look(Query{}, func() error { return context.Canceled }); err == nil {
		t.Error("goes on")
	}
}

// TestCutStandsLast: whatever the order.
func TestCutStandsLast(t *testing.T) {
	rows := rowsOf("a", "b")
	rows.Cut = math.MaxUint64
	s := New(Source{Plan: planOf(false, 1), Rows: rows})
	for _, order := range [][]int{nil, {1}, {-1}, {2}, {-2}} {
		v := looked(t, s, Query{Order: order})
		if r := v.Row(v.Len() - 1); r.Cells[0][0] != TooMany || r.ID != 1 || r.Ref() != uint64(over) {
			t.Errorf("%v: last is %+v", order, r)
		}
	}
}

func TestTooManyApart(t *testing.T) {
	rows := rowsOf("a", "b")
	rows.List[0].Count = apartMax
	if _, err := New(Source{Plan: planOf(false, 1), Rows: rows}).Look(Query{Apart: true}, goOn); err == nil {
		t.Error("more than a million rows are shown")
	}
}

// TestCollated: what each machine has said apart is counted together as if it had
// never been apart.
func TestCollated(t *testing.T) {
	said := rowsOf("1|a,b", "2|b,c", "3|b", "4|[no results]")
	same(t, written(looked(t, New(Source{Plan: planOf(true, 1), Rows: said}), Query{})), []string{"b ×3", "[no results] ×1", "a ×1", "c ×1"})
	same(t, written(looked(t, New(Source{Plan: planOf(true, 1), Rows: said, Computers: true}), Query{})), []string{"4|[no results] ×1", "1|a,b ×1", "3|b ×1", "2|b,c ×1"})
	same(t, written(looked(t, New(Source{Plan: planOf(true), Rows: rowsOf("2", "1"), Computers: true, Pending: 3}), Query{})), []string{"1 ×1", "2 ×1"})
	wide := rowsOf("1|a,b|x,y", "2|b|y")
	same(t, written(looked(t, New(Source{Plan: planOf(true, 2), Rows: wide}), Query{})), []string{"b|y ×2", "a|x ×1"})
	two := rowsOf("1|a,b|x", "2|a,b|x", "3|a|x")
	same(t, written(looked(t, New(Source{Plan: planOf(true, 1, 1), Rows: two}), Query{})), []string{"a,b|x ×2", "a|x ×1"})

	apart, together := New(Source{Plan: planOf(true, 1), Rows: said}), New(Source{Plan: planOf(false, 1), Rows: rowsOf("a", "b", "b", "b", "c", "[no results]")})
	for i := range together.Rows {
		same(t, apart.Row(i).ID, together.Row(i).ID)
	}
}

func TestCollatedIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var texts []string
		want := map[string]uint64{}
		for machine := range rapid.IntRange(1, 30).Draw(t, "machines") {
			said := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}), 1, 5, rapid.ID).Draw(t, "said")
			for _, text := range said {
				want[text]++
			}
			texts = append(texts, fmt.Sprintf("%d|%s", machine+1, strings.Join(said, ",")))
		}
		got := map[string]uint64{}
		for _, r := range New(Source{Plan: planOf(true, 1), Rows: rowsOf(texts...)}).Rows {
			got[r.Cells[0][0]] += r.Count
		}
		same(t, got, want)
	})
}

func TestAges(t *testing.T) {
	s := New(Source{Plan: planOf(true, 1), Rows: rowsOf("1|a,b", "2|a"), Ages: func(id uint32) string { return fmt.Sprint("age ", id) }})
	same(t, written(looked(t, s, Query{})), []string{"a|age 1 ×1", "a|age 2 ×1", "b|age 1 ×1"})
	same(t, s.Columns[1].Name, "Age")
	same(t, s.Row(0).ID, sensor.Hash("a"))
}

func TestAdd(t *testing.T) {
	p := planOf(true, 1)
	cells := func(id, text string) []answer.Cell { return []answer.Cell{{id}, {text}} }
	rows, added := Add(p, rowsOf("1|new", "2|new"), []Said{{2, cells("2", "old")}, {3, cells("3", "old")}, {4, []answer.Cell{{"4"}}}, {3, cells("3", "older")}})
	same(t, added, []uint32{3})
	same(t, written(looked(t, New(Source{Plan: p, Rows: rows}), Query{})), []string{"new ×2", "old ×1"})
}

// TestShape: only what was said to the same question stands in for an answer.
func TestShape(t *testing.T) {
	p, q := planOf(true, 1), planOf(true, 1)
	same(t, Shape(p), Shape(q))
	q.Text = "Get Sensor 0 from all machines with Sensor 0 equals 1"
	wider := planOf(true, 2)
	if Shape(p) == Shape(q) || Shape(p) == Shape(wider) {
		t.Error("other questions have the same shape")
	}
}

func TestBriefly(t *testing.T) {
	long := strings.Repeat("ü", 200)
	top, n := Briefly(planOf(false, 2), rowsOf("a|b", "a|b", long+"|c"))
	same(t, n, 2)
	same(t, top[0], Brief{ID: sensor.Hash("a|b"), Texts: []string{"a", "b"}, Count: 2})
	if text := top[1].Texts[0]; len(text) > briefBytes+3 || !strings.HasPrefix(long, strings.TrimSuffix(text, "…")) {
		t.Errorf("shortened to %q", text)
	}
}

func TestJoin(t *testing.T) {
	a := New(Source{Plan: planOf(true, 1), Rows: rowsOf("1|x", "2|y"), Computers: true, Pending: 4})
	twice := rowsOf("2|p|q", "3|r|s")
	twice.List = append(twice.List, answer.Row{Hash: 1, Cells: []answer.Cell{{"3"}, {"x"}, {"y"}}, Count: 1}) // it has registered twice
	b := New(Source{Plan: planOf(true, 2), Rows: twice, Computers: true})
	s, err := Join([]*Set{a, b})
	must(t, err)
	same(t, written(looked(t, s, Query{})), []string{
		"3|" + Lacking + "|r|s ×1", "1|x|" + Lacking + "|" + Lacking + " ×1", "2|y|p|q ×1",
	})
	var names []string
	for _, c := range s.Columns {
		names = append(names, c.Name)
	}
	same(t, strings.Join(names, " "), "S0 C0 S0 C0 S0 C1")
	if _, err := Join([]*Set{a, New(Source{Plan: planOf(true, 1), Rows: rowsOf("1|x")})}); err == nil {
		t.Error("rows that stand for no machine are joined")
	}
}

// TestWhere: of each row, the machines that have given it.
func TestWhere(t *testing.T) {
	some := func(s *Set, cells string) Row {
		for _, r := range s.Rows {
			var texts []string
			for _, c := range r.Cells {
				texts = append(texts, strings.Join(c, ","))
			}
			if strings.Join(texts, "|") == cells {
				return r
			}
		}
		t.Fatalf("no row %s", cells)
		return Row{}
	}
	one := New(Source{Plan: planOf(false, 1), Rows: rowsOf("Linux", "[no results]", "TSE-Error: x", "Win … [cut]"), Pending: 1})
	wide := New(Source{Plan: planOf(false, 2), Rows: rowsOf("Vim|9.0", "[no results]|[no results]", "[too many results]|[too many results]")})
	two := New(Source{Plan: planOf(false, 1, 1), Rows: rowsOf("a,b|x", "a,[too many results]|x")})
	apart := New(Source{Plan: planOf(true, 1), Rows: rowsOf("17|x"), Computers: true})
	for _, tt := range []struct {
		set       *Set
		row, want string
	}{
		{one, "Linux", `Sensor 0 equals Linux`},
		{one, "[no results]", `Sensor 0 equals "[no results]"`},
		{one, "TSE-Error: x", `Sensor 0 equals "TSE-Error: x"`},
		{one, "Win … [cut]", ""},
		{one, Unavailable, ""},
		{wide, "Vim|9.0", fmt.Sprintf(`Sensor 0 has hash %d`, sensor.Hash("vim|9.0"))},
		{wide, "[no results]|[no results]", `Sensor 0 equals "[no results]"`},
		{wide, "[too many results]|[too many results]", ""},
		{two, "a,b|x", `Sensor 0 equals a and Sensor 0 equals b and Sensor 1 equals x`},
		{two, "a,[too many results]|x", `Sensor 0 equals a and Sensor 1 equals x`},
		{apart, "x", `Computer ID equals 17`},
	} {
		c, err := tt.set.Where([]Row{some(tt.set, tt.row)})
		if (err == nil) != (tt.want != "") || err == nil && question.Text(c) != tt.want {
			t.Errorf("%s: %v, %v; want %s", tt.row, c, err, tt.want)
		}
	}
	part := planOf(false, 2)
	part.Columns = part.Columns[:1]
	narrow := New(Source{Plan: part, Rows: rowsOf("Vim")})
	c, err := narrow.Where([]Row{some(narrow, "Vim")})
	must(t, err)
	same(t, question.Text(c), `Sensor 0:S0 C0 equals Vim`)
	c, err = one.Where([]Row{some(one, "Linux"), some(one, "[no results]")})
	must(t, err)
	same(t, question.Text(c), `Sensor 0 equals Linux or Sensor 0 equals "[no results]"`)
	if _, err := one.Where(nil); err == nil {
		t.Error("no rows are some")
	}
}
