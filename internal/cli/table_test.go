package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

func processes() grid {
	g := grid{columns: []column{
		{name: "Computer Name"}, {name: "Operating System"}, {name: "Running Processes"}, {name: "Free Memory", right: true}, {name: "Count", right: true, number: true},
	}}
	g.rows = [][]cell{
		{{"web-01.dmz.example.com"}, {"Debian GNU/Linux 12 (bookworm)"}, {"nginx", "sshd", "systemd"}, {"1024"}, {"1"}},
		{{"größter-rechner"}, {"日本語版オペレーティングシステム第十二版"}, {"evil\x1b[2J\x1b]0;owned\a", "multi\nline"}, {"17"}, {"1"}},
		{{"db-17"}, {"SUSE Linux Enterprise Server 15 SP6 for SAP Applications with an exceedingly long product name that nobody would ever want to type and that does not end"}, {}, {"[no results]"}, {"12345"}},
	}
	return g
}

func wide() grid {
	var g grid
	row := []cell{}
	for i := range 12 {
		g.columns = append(g.columns, column{name: fmt.Sprintf("Column Number %d", i), right: i == 11})
		row = append(row, cell{strings.Repeat(fmt.Sprintf("value %d ", i), i+1)})
	}
	g.rows = [][]cell{row, row}
	return g
}

func TestTableLayout(t *testing.T) {
	grids := map[string]grid{
		"processes": processes(),
		"wide":      wide(),
		"count":     {columns: []column{{name: "Count", number: true, right: true}}, rows: [][]cell{{{"100000"}}}},
		"empty":     {columns: []column{{name: "Computer Name"}, {name: "Count", number: true, right: true}}},
	}
	for name, g := range grids {
		for _, width := range []int{0, 60, 100, 160} {
			t.Run(fmt.Sprintf("%s %d", name, width), func(t *testing.T) {
				var out bytes.Buffer
				if err := writeTable(&out, g, look{width: width}); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join("testdata", "table", fmt.Sprintf("%s-%d.txt", name, width))
				if *update {
					if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				want, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if out.String() != string(want) {
					t.Errorf("got\n%s\nwant\n%s", out.String(), want)
				}
			})
		}
	}
}

func anyGrid(t *rapid.T) grid {
	columns := rapid.IntRange(1, 9).Draw(t, "columns")
	var g grid
	for range columns {
		g.columns = append(g.columns, column{name: rapid.StringN(1, 30, 60).Draw(t, "name"), right: rapid.Bool().Draw(t, "right")})
	}
	for range rapid.IntRange(0, 4).Draw(t, "rows") {
		row := make([]cell, columns)
		for j := range row {
			row[j] = rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z -]{0,90}`), rapid.Just("日本語の長い値です日本語の長い値です")), 0, 3).Draw(t, "values")
		}
		g.rows = append(g.rows, row)
	}
	return g
}

// Whatever machines say, no line runs over the edge or holds anything but
// characters that are seen.
func TestTableFitsItsTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anyGrid(t)
		width := rapid.IntRange(20, 200).Draw(t, "width")
		var out bytes.Buffer
		if err := writeTable(&out, g, look{width: width}); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if w := ansi.StringWidth(line); w > width {
				t.Fatalf("%q is %d cells wide on a terminal of %d", line, w, width)
			}
			if strings.ContainsFunc(line, hidden) {
				t.Fatalf("%q holds a hidden character", line)
			}
		}
	})
}

func TestShare(t *testing.T) {
	tests := []struct {
		wants []int
		room  int
		want  []int
	}{
		{[]int{5, 10}, 20, []int{5, 10}},
		{[]int{5, 50, 50}, 60, []int{5, 27, 28}},
		{[]int{100, 3, 100}, 43, []int{20, 3, 20}},
		{[]int{4, 4}, -1, []int{0, 0}},
		{nil, 10, nil},
	}
	for _, tt := range tests {
		if got := share(tt.wants, tt.room); !slices.Equal(got, tt.want) {
			t.Errorf("%v in %d: got %v, want %v", tt.wants, tt.room, got, tt.want)
		}
	}
}

// JSON loses nothing, and holds nothing that a terminal would obey.
func TestJSONSaysWhatMachinesSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := anyGrid(t)
		g.distinguish()
		var out bytes.Buffer
		if err := writeJSON(&out, g); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(out.String(), func(r rune) bool { return r != '\n' && hidden(r) }) {
			t.Fatalf("hidden characters in %q", out.String())
		}
		var rows []map[string]any
		if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
			t.Fatalf("%v in %s", err, out.String())
		}
		if len(rows) != len(g.rows) {
			t.Fatalf("%d rows became %d", len(g.rows), len(rows))
		}
		for i, row := range g.rows {
			for j, c := range row {
				if got := texts(rows[i][g.columns[j].name]); !slices.Equal(got, []string(c)) {
					t.Fatalf("%q became %q", c, got)
				}
			}
		}
	})
}

// texts is the cell that a JSON value stands for.
func texts(v any) []string {
	list, ok := v.([]any)
	if !ok {
		return []string{v.(string)}
	}
	var all []string
	for _, e := range list {
		all = append(all, e.(string))
	}
	return all
}

func TestCSVOfHostileValues(t *testing.T) {
	g := grid{columns: []column{{name: "A\x1b"}, {name: "B"}}}
	g.add("=cmd|' /C calc'!A0", "say \"hi\",\r\n\x1b[2J")
	g.rows = append(g.rows, []cell{{}, {"one", "two"}})
	var out bytes.Buffer
	if err := writeCSV(&out, g); err != nil {
		t.Fatal(err)
	}
	want := "A\\x1b,B\r\n=cmd|' /C calc'!A0,\"say \"\"hi\"\",\\r\\n\\x1b[2J\"\r\n,\"one\r\ntwo\"\r\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if _, err := csv.NewReader(&out).ReadAll(); err != nil {
		t.Error(err)
	}
}

func TestPrintObjectIsHarmless(t *testing.T) {
	var out bytes.Buffer
	if err := printObject(&out, json.RawMessage("{\"name\":\"a\u009b\U000e0041\",\"n\":1}")); err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"name\": \"a\\u009b\\udb40\\udc41\",\n  \"n\": 1\n}\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
