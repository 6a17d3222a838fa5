package plan

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"catenary/internal/answer"
	"catenary/internal/expr"
)

// known is what a machine's sensors say, as far as that is known: "?" behind a
// text says that there may be more.
func (s said) known(p Plan) func(int) Known {
	return func(use int) Known {
		text, there := s[p.Sensors[use].Name]
		if !there {
			return Known{}
		}
		text, partial := strings.CutSuffix(text, "?")
		k := Known{Whole: !partial}
		for row := range strings.SplitSeq(text, ";") {
			if text != "" {
				k.Rows = append(k.Rows, strings.Split(row, "/"))
			}
		}
		return k
	}
}

func TestJudge(t *testing.T) {
	machine := said{"Computer Name": "web-01", "Address": "10.0.0.7?", "Last Reboot": "", "Running Processes": "?"}
	for condition, want := range map[string]bool{
		"computer name = web-01": true, "computer name != web-01": false, "computer name starts with db": false,
		"not computer name starts with db": true, "all computer name matches web.*": true,
		// One address is known, and there may be others.
		"address = 10.0.0.7": true, "address = 10.0.0.8": false, "address != 10.0.0.8": false, "address != 10.0.0.7": false,
		"all address matches 10.*": false, "not all address matches 10.*": false, "any address not matches 11.*": true,
		// What says nothing is known to say nothing.
		"last reboot = \"[no results]\"": true, "last reboot not contains 2026": true,
		// Nothing is known of these, whatever would pass.
		"running processes = sshd": false, "running processes != sshd": false, "running processes contains results": false,
		"patch level matches .*": false, "patch level contains TSE": false, "patch level != 1": false, "not patch level = 1": false,
		// Parts that are not known need not matter.
		"computer name = web-01 or patch level = 1": true, "computer name = web-01 and patch level = 1": false,
		"not (computer name = db-01 and patch level = 1)": true, "not (computer name = web-01 and patch level = 1)": false,
		"not (computer name = web-01 or patch level = 1)": false,
	} {
		for _, text := range []string{"get number of machines with " + condition, "get number of machines | rights: " + condition} {
			p := compile(t, text)
			j, err := p.Judge()
			if err != nil {
				t.Fatal(err)
			}
			if got := j.Within(machine.known(p)); got != want {
				t.Errorf("%s is %v", text, got)
			}
		}
	}
	p := compile(t, "get number of machines")
	for _, want := range []bool{true, false} {
		j, err := p.Judge()
		if err != nil || j.Within(machine.known(p)) != want {
			t.Errorf("rights %v: %v", p.Rights, err)
		}
		p.Rights = expr.Or{} // of who may ask no machine
	}
}

// TestJudgeLaw: who knows everything decides as the machine does; who knows less
// never says yes where the machine would say no, nor no where it would say yes.
func TestJudgeLaw(t *testing.T) {
	texts := []string{"a", "b", "ab", "1", "[no results]", "TSE-Error: x", ""}
	names := []string{"0:0", "0:1", "0", "1:0", "2:0"}
	var condition func(t *rapid.T, depth int) expr.Condition
	condition = func(t *rapid.T, depth int) expr.Condition {
		kind := rapid.IntRange(0, 3).Draw(t, "kind")
		if depth == 0 {
			kind = 3
		}
		var parts []expr.Condition
		if kind < 2 {
			for range rapid.IntRange(0, 3).Draw(t, "parts") {
				parts = append(parts, condition(t, depth-1))
			}
		}
		switch kind {
		case 0:
			return expr.And(parts)
		case 1:
			return expr.Or(parts)
		case 2:
			return expr.Not{Of: condition(t, depth-1)}
		}
		return expr.Test{
			Name: rapid.SampledFrom(names).Draw(t, "name"), Op: rapid.SampledFrom([]expr.Op{expr.Equal, expr.Matches}).Draw(t, "op"),
			Value: rapid.SampledFrom([]string{"a", ".*", "a.*", "[ab]+", "x"}).Draw(t, "value"), All: rapid.Bool().Draw(t, "all"),
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		p := Plan{Sensors: []Use{{Name: "A", Width: 2}, {Name: "B", Width: 1}, {Name: "C", Width: 1}}}
		p.Rights, p.Where = condition(t, 3), condition(t, 2)
		var full [3][][]string
		for use, s := range p.Sensors {
			for range rapid.IntRange(0, 3).Draw(t, "rows") {
				full[use] = append(full[use], rapid.SliceOfN(rapid.SampledFrom(texts), s.Width, s.Width).Draw(t, "row"))
			}
		}
		want := p.Matches(func(use int) Values { return Values{Rows: full[use]} })
		j, err := p.Judge()
		if err != nil {
			t.Fatal(err)
		}
		if got := j.Within(func(use int) Known { return Known{full[use], true} }); got != want {
			t.Fatalf("who knows everything says %v, the machine %v", got, want)
		}
		if got := j.Outside(func(use int) Known { return Known{full[use], true} }); got == want {
			t.Fatalf("who knows everything says that it is outside: %v; the machine that it is within: %v", got, want)
		}
		var some [3]Known
		for use, rows := range full {
			switch rapid.IntRange(0, 2).Draw(t, "knows") {
			case 1:
				some[use].Rows = rows[:rapid.IntRange(0, len(rows)).Draw(t, "of them")]
			case 2:
				some[use] = Known{rows, true}
			}
		}
		if j.Within(func(use int) Known { return some[use] }) && !want {
			t.Fatalf("by %v it is within, and it is not", some)
		}
		if j.Outside(func(use int) Known { return some[use] }) && want {
			t.Fatalf("by %v it is outside, and it is not", some)
		}
	})
}

func TestSaid(t *testing.T) {
	cells := func(texts ...string) (out []answer.Cell) {
		for _, text := range texts {
			out = append(out, strings.Split(text, ";"))
		}
		return out
	}
	for _, tt := range []struct {
		question, sensor string
		cells            []answer.Cell
		want             string // rows by semicolons, columns by slashes; ? if there may be more; - if nothing is known
	}{
		{"computer name", "Computer Name", cells("7", "web"), "web"},
		{"computer name and running processes", "Running Processes", cells("7", "web", "a;b"), "a;b"},
		{"computer name", "Running Processes", cells("7", "web"), "-"},
		{"installed applications", "Installed Applications", cells("7", "x;y", "1;2", "3;4"), "x/1/3;y/2/4"},
		{"installed applications:name", "Installed Applications", cells("7", "x;y"), "-"},
		{"installed applications", "Installed Applications", cells("7", "x;y", "1", "3;4"), "-"},
		{"running processes contains a", "Running Processes", cells("7", "a"), "-"},
		{"running processes", "Running Processes", cells("7", "[no results]"), ""},
		{"running processes", "Running Processes", cells("7", "TSE-Error: away"), "-"},
		{"running processes", "Running Processes", cells("7", "a;[too many results]"), "a?"},
		{"running processes", "Running Processes", cells("7", "a;b… [cut]"), "a?"},
		{"running processes", "Running Processes", cells("7"), "-"},
	} {
		p := compile(t, "get ?forceComputerIdFlag=1 "+tt.question+" from all machines")
		k, ok := p.Said(tt.sensor, nil, tt.cells)
		var rows []string
		for _, row := range k.Rows {
			rows = append(rows, strings.Join(row, "/"))
		}
		got := strings.Join(rows, ";")
		if !ok {
			got = "-"
		} else if !k.Whole {
			got += "?"
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s, %v: -want +got\n%s", tt.question, tt.cells, d)
		}
	}
	if _, ok := compile(t, "get ?forceComputerIdFlag=1 computer name").Said("Computer Name", slices.Repeat([]string{"x"}, 1), cells("7", "web")); ok {
		t.Error("other parameters are another sensor")
	}
}
