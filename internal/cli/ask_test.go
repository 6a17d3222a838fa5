package cli

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"catenary/internal/fault"
)

func TestAskPrintsTheAnswer(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	out, errs, code := p.run("ask", "Get Free Memory from all machines")
	want := "Free Memory  Count\n" +
		"512MB            3\n" +
		"2GB              1\n"
	if out != want || errs != "" || code != exitOK {
		t.Errorf("got\n%swith %q and code %d, want\n%s", out, errs, code, want)
	}
}

func TestAskJoinsItsArguments(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	out, errs, code := p.run("ask", "Get", "number", "of", "machines", "--format", "json")
	if want := "[\n  {\"Count\": 4}\n]\n"; out != want || code != exitOK {
		t.Errorf("got %q, %q and code %d, want %q", out, errs, code, want)
	}
	if got := f.questions[0].text; got != "Get number of machines" {
		t.Errorf("the server was asked %q", got)
	}
}

func TestAskFormats(t *testing.T) {
	f := newFleet(t)
	f.machines = f.machines[:2]
	f.machines[0].values["Free Memory"] = []string{"1GB", "2GB"}
	f.machines[1].values["Free Memory"] = []string{"512MB"}
	p := newPlace(t).at(f)
	const question = "Get Computer Name and Free Memory from all machines"

	out := p.says(t, "ask", "--format", "json", question)
	var objects []map[string]any
	if err := json.Unmarshal([]byte(out), &objects); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	want := `[
  {"Computer Name": "alpha", "Free Memory": ["1GB", "2GB"], "Count": 1},
  {"Computer Name": "beta", "Free Memory": "512MB", "Count": 1}
]
`
	if out != want {
		t.Errorf("json:\n%swant\n%s", out, want)
	}

	out = p.says(t, "ask", "--format", "csv", question)
	records, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	wantRecords := [][]string{{"Computer Name", "Free Memory", "Count"}, {"alpha", "1GB\n2GB", "1"}, {"beta", "512MB", "1"}}
	if !slices.EqualFunc(records, wantRecords, slices.Equal) || !strings.Contains(out, "Count\r\n") {
		t.Errorf("csv: %q, want the records %q, each ended by CRLF", out, wantRecords)
	}
}

func TestAskSortsNumbersAsNumbers(t *testing.T) {
	f := newFleet(t)
	f.machines[0].values["Uptime Days"] = []string{"[no results]"}
	out, _, _ := newPlace(t).at(f).run("ask", "--format", "csv", "Get Uptime Days from all machines")
	if want := "Uptime Days,Count\r\n3,1\r\n7,1\r\n12,1\r\n[no results],1\r\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestAskGivesUp(t *testing.T) {
	tests := []struct {
		name   string
		asleep []string
		args   []string
		ends   bool // the server closes the question
		says   string
		code   int
	}{
		{"nothing changes", []string{"beta"}, []string{"--quiet", "20ms"}, false,
			"1 of 4 machines have not answered: nothing changed for 20ms (1 not reached)\nto wait on: catenary ask --resume 1\n", exitIncomplete},
		{"time is up", []string{"beta", "delta"}, []string{"--timeout", "20ms", "--quiet", "1m"}, false,
			"2 of 4 machines have not answered: waited 20ms (2 not reached)\nto wait on: catenary ask --resume 1\n", exitIncomplete},
		{"question expires", []string{"beta"}, []string{"--quiet", "1m"}, true,
			"1 of 4 machines have not answered: the question has ended (1 not reached)\n", exitIncomplete},
		{"enough have answered", []string{"beta"}, []string{"--quiet", "1m", "--percent", "75"}, false,
			"1 of 4 machines have not answered (1 not reached)\n", exitOK},
		{"not quite enough", []string{"beta"}, []string{"--quiet", "20ms", "--percent", "75.1"}, false,
			"1 of 4 machines have not answered: nothing changed for 20ms (1 not reached)\nto wait on: catenary ask --resume 1\n", exitIncomplete},
		{"nobody answers", []string{"alpha", "beta", "gamma", "delta"}, []string{"--quiet", "20ms"}, false,
			"4 of 4 machines have not answered: nothing changed for 20ms (4 not reached)\nto wait on: catenary ask --resume 1\n", exitIncomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(t)
			f.sleep(tt.asleep...)
			args := append([]string{"ask", "Get Computer Name from all machines"}, tt.args...)
			if tt.ends {
				f.questions = []fakeQuestion{{sensors: f.sensors[:1], ended: true}}
				args = append([]string{"ask", "--resume", "1"}, tt.args...)
			}
			out, errs, code := newPlace(t).at(f).run(args...)
			errs = strings.TrimPrefix(errs, "catenary: ")
			if errs != tt.says || code != tt.code {
				t.Errorf("says %q with code %d, want %q with %d", errs, code, tt.says, tt.code)
			}
			if lines := strings.Count(out, "\n"); lines != 1+4-len(tt.asleep) {
				t.Errorf("printed\n%s", out)
			}
		})
	}
}

// An answer that was complete stays good if somebody registers before it is
// read.
func TestAskOfAGrowingFleet(t *testing.T) {
	grown := incomplete{progress: progress{Expected: 5, Answered: 4}}
	if err := (&asking{}).judge(io.Discard, complete, grown); err != nil {
		t.Error(err)
	}
	if err := (&asking{}).judge(io.Discard, expired, grown); exitCode(err) != exitIncomplete {
		t.Error(err)
	}
}

func TestAskOfNobody(t *testing.T) {
	f := newFleet(t)
	f.machines = nil
	_, errs, code := newPlace(t).at(f).run("ask", "--quiet", "20ms", "Get number of machines")
	if want := "catenary: no client is registered, so nobody could answer\n"; errs != want || code != exitIncomplete {
		t.Errorf("got %q, code %d", errs, code)
	}
}

func TestAskInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send Ctrl-C to itself alone")
	}
	f := newFleet(t)
	f.sleep("gamma")
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	f.heard = func() { // somebody follows the answer
		if err := self.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
	}
	out, errs, code := newPlace(t).at(f).run("ask", "--quiet", "1m", "Get Computer Name from all machines")
	if code != exitIncomplete || !strings.Contains(errs, "1 of 4 machines have not answered: interrupted (1 not reached)\n") {
		t.Errorf("got %q, code %d", errs, code)
	}
	if want := "Computer Name  Count\nalpha              1\nbeta               1\ndelta              1\n"; out != want {
		t.Errorf("printed\n%s", out)
	}
}

func TestAskWaitsForLateMachines(t *testing.T) {
	f := newFleet(t)
	f.sleep("beta")
	f.questions = []fakeQuestion{{sensors: f.sensors[:1]}}
	p := newPlace(t).at(f)
	c, err := p.desk.connect(&flags{})
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	end, err := p.desk.await(t.Context(), c, 1, patience{percent: 100, settle: 1, quiet: defaultTimeout, timeout: defaultTimeout}, func(p progress) {
		steps = append(steps, p.Answered)
		if p.Answered == 3 {
			f.sleep()
		}
	})
	if end != complete || err != nil || !slices.Equal(steps, []int{3, 4}) {
		t.Errorf("ended as %d after %v, %v", end, steps, err)
	}
}

func TestAskHearsOnAfterABrokenStream(t *testing.T) {
	f := newFleet(t)
	f.drops = 2
	f.sleep("beta")
	f.questions = []fakeQuestion{{sensors: f.sensors[:1], ended: true}}
	_, errs, code := newPlace(t).at(f).run("ask", "--resume", "1", "--quiet", "1m")
	if code != exitIncomplete || !strings.Contains(errs, "the question has ended") {
		t.Errorf("got %q, code %d", errs, code)
	}
	streams := 0
	for _, call := range f.calls {
		if strings.HasSuffix(call, "/events") {
			streams++
		}
	}
	if streams != 3 {
		t.Errorf("opened %d streams, want 3", streams)
	}
}

func TestAskTellsOfAStreamThatStaysBroken(t *testing.T) {
	f := newFleet(t)
	f.drops = 3
	f.sleep("beta")
	out, errs, code := newPlace(t).at(f).run("ask", "--quiet", "1m", "Get Computer Name from all machines")
	want := "catenary: question 1 is running, but its live answer broke off: no connection to " + f.URL + ": unexpected EOF\nhear on with `catenary ask --resume 1`\n"
	if errs != want || code != exitUnreachable || out != "" {
		t.Errorf("got %q and %q with code %d, want %q with code %d", out, errs, code, want, exitUnreachable)
	}
}

func TestAskOfAnUnknownQuestion(t *testing.T) {
	_, errs, code := newPlace(t).at(newFleet(t)).run("ask", "--resume", "7")
	if want := "catenary: question 7: QuestionNotFound\n"; errs != want || code != exitFailed {
		t.Errorf("got %q, code %d, want %q, code %d", errs, code, want, exitFailed)
	}
}

func TestAskLongerThanTheServerWouldWait(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	p.run("ask", "--timeout", "20m", "Get number of machines")
	p.run("ask", "--timeout", "10m", "Get number of machines")
	if got := [2]int{f.questions[0].expire, f.questions[1].expire}; got != [2]int{1200, 0} {
		t.Errorf("asked with expiries of %v s, want 1200 and the server's own", got)
	}
}

func TestAskPointsAtTheError(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	_, errs, code := p.run("ask", "Get Free Memory and Compter Name from all machines")
	want := `catenary: column 21: "Compter Name" is not a sensor; did you mean "Computer Name"?
  Get Free Memory and Compter Name from all machines
                      ^
`
	if errs != want || code != exitUsage {
		t.Errorf("got\n%swith code %d, want\n%swith %d", errs, code, want, exitUsage)
	}
}

func TestPointAt(t *testing.T) {
	invalid := func(text string) error { return fault.New(fault.Invalid, "%s", text) }
	long := "Get " + strings.Repeat("Very ", 20) + "X from all machines" // X is character 105
	tests := []struct {
		name, text string
		err        error
		width      int
		want       string // "" if nothing can be pointed at
	}{
		{"start", "got it", invalid("column 1: no"), 0, "  got it\n  ^"},
		{"behind the end", "Get", invalid("column 4: more"), 0, "  Get\n     ^"},
		{"beyond", "Get", invalid("column 5: more"), 0, ""},
		{"wide characters count once", "日本 x", invalid("column 4: x"), 0, "  日本 x\n       ^"},
		{"hidden characters are shown", "\x1b[2J x", invalid("column 6: x"), 0, `  \x1b[2J x` + "\n          ^"},
		{"no column", "Get", invalid("no"), 0, ""},
		{"another failure", "Get", errors.New("column 1"), 0, ""},
		{"too long", long, invalid("column 105: X"), 40, "  …ry Very Very Ve…"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.TrimPrefix(strings.TrimPrefix(pointAt(tt.text, tt.err, tt.width).Error(), tt.err.Error()), "\n")
			if tt.width == 0 {
				if got != tt.want {
					t.Errorf("got\n%s\nwant\n%s", got, tt.want)
				}
				return
			}
			line, caret, _ := strings.Cut(got, "\n")
			shown := []rune(line)
			if len(shown) > tt.width || len(caret) > len(shown) || shown[len(caret)-1] != 'X' {
				t.Errorf("got\n%s\nwant at most %d characters and ^ below X", got, tt.width)
			}
		})
	}
}

func TestAskShowsAMeterOnATerminal(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	p.width = 60
	out, errs, code := p.run("ask", "Get Computer Name from all machines")
	if code != exitOK || !strings.HasSuffix(errs, "4 of 4 machines answered in 0.0 s, 4 rows\n") {
		t.Errorf("got %q, code %d", errs, code)
	}
	if !strings.HasPrefix(out, "\x1b[1mComputer Name  Count\x1b[0m\n─────────────  ─────\nalpha ") {
		t.Errorf("printed\n%q", out)
	}
	p.vars = append(p.vars, "NO_COLOR=1")
	if out := p.says(t, "ask", "Get Computer Name from all machines"); strings.Contains(out, "\x1b") {
		t.Errorf("in spite of NO_COLOR: %q", out)
	}
}

func TestMeter(t *testing.T) {
	p := newPlace(t)
	p.width = 60
	var screen syncBuffer
	m := p.desk.bar(&screen)
	m.show(progress{Expected: 40, Answered: 10})
	m.clear()
	if got := screen.String(); !strings.Contains(got, "10 of 40 machines answered") {
		t.Errorf("showed %q", got)
	}
	p.vars = []string{"TERM=dumb"}
	var paper syncBuffer
	m = p.desk.bar(&paper)
	m.show(progress{Expected: 40, Answered: 10})
	m.clear()
	if got := paper.String(); got != "" {
		t.Errorf("showed %q on a terminal that cannot go back", got)
	}
}

func TestAskUsage(t *testing.T) {
	tests := map[string][]string{
		"what is the question?":                {"ask"},
		"--resume 3 stands for a question":     {"ask", "--resume", "3", "Get X"},
		"--percent 0 is not between":           {"ask", "--percent", "0", "Get X"},
		"--percent 101 is not between":         {"ask", "--percent", "101", "Get X"},
		"must be longer than nothing":          {"ask", "--quiet", "0s", "Get X"},
		"write table, json or csv":             {"ask", "--format", "yaml", "Get X"},
		"unknown flag: --colour":               {"ask", "--colour", "Get X"},
		"catenary has no command \"aks\"; did": {"aks"},
		"sensor has no command \"sow\"; did":   {"sensor", "sow"},
		"logout takes no arguments, but got 1": {"logout", "now"},
		"login takes at most one URL, but got": {"login", "a", "b"},
	}
	for says, args := range tests {
		_, errs, code := newPlace(t).run(args...)
		if code != exitUsage || !strings.Contains(errs, says) || !strings.Contains(errs, "--help`") {
			t.Errorf("%q: got %q and code %d, want %q, where to read on, and code %d", args, errs, code, says, exitUsage)
		}
	}
}

func TestResultThatContradictsItself(t *testing.T) {
	tests := map[string]string{
		`{"columns":[{"name":"A"},{"name":"Count"}],"rows":[{"data":[[{"text":"x"}]]}]}`: "row 1 of the answer has 1 cells for 2 columns",
		`{"rows":[{"data":[]}]}`: "row 1 of the answer has 0 cells for 0 columns",
	}
	for text, says := range tests {
		var r resultSet
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		if _, err := r.grid(false); err == nil || err.Error() != says {
			t.Errorf("%s: got %v, want %q", text, err, says)
		}
	}
}

// TestComputerIDs: they come with the rows, and are printed as a column.
func TestComputerIDs(t *testing.T) {
	const answer = `{"columns":[{"hash":7,"name":"Computer ID","type":9},{"name":"Count","type":3}],"rows":[` +
		`{"cid":10,"data":[[{"text":"x"}],[{"text":"1"}]]},{"cid":9,"data":[[{"text":"y"}],[{"text":"1"}]]},{"cid":0,"data":[[{"text":"z"}],[{"text":"4"}]]}]}`
	var r resultSet
	if err := json.Unmarshal([]byte(answer), &r); err != nil {
		t.Fatal(err)
	}
	g, err := r.grid(false)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(g.columns[0].name, "/", g.columns[1].name, " ", g.rows)
	if want := "Computer ID/Computer ID (2) [[[] [z] [4]] [[9] [y] [1]] [[10] [x] [1]]]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for asked, want := range map[bool]int{false: 2, true: 3} {
		if g, err := (resultSet{Columns: r.Columns}).grid(asked); err != nil || len(g.columns) != want {
			t.Errorf("without rows, asked for: %v: %v, %v", asked, g.columns, err)
		}
	}
}

func TestColumnsOfOneName(t *testing.T) {
	g := grid{columns: []column{{name: "Name"}, {name: "Count"}, {name: "Name"}, {name: "Name (2)"}, {name: "Count", number: true}}}
	g.distinguish()
	want := []string{"Name", "Count (2)", "Name (2)", "Name (2) (2)", "Count"}
	for i, c := range g.columns {
		if c.name != want[i] {
			t.Errorf("column %d is called %q, want %q", i, c.name, want[i])
		}
	}
}
