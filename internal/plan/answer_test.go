package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"catenary/internal/answer"
	"catenary/internal/question"
)

var key = answer.Key{9}

// said is what a machine's sensors say, by name: rows separated by semicolons,
// columns by slashes; "!" in front is an error.
type said map[string]string

// values returns the machine's values for p, and what was asked for.
func (s said) values(p Plan, asked *[]string) func(int) Values {
	return func(use int) Values {
		name := p.Sensors[use].Name
		*asked = append(*asked, name)
		text := s[name]
		if message, failed := strings.CutPrefix(text, "!"); failed {
			return Values{Rows: [][]string{{"must not be seen"}}, Err: fmt.Errorf("%s", message)}
		}
		var v Values
		for row := range strings.SplitSeq(text, ";") {
			if text != "" {
				v.Rows = append(v.Rows, strings.Split(row, "/"))
			}
		}
		return v
	}
}

// printed is an answer in one line: rows by semicolons, cells by slashes, texts
// by plus signs.
func printed(rows []answer.Row) string {
	var out []string
	for _, r := range rows {
		var cells []string
		for _, c := range r.Cells {
			cells = append(cells, strings.Join(c, "+"))
		}
		out = append(out, strings.Join(cells, "/"))
	}
	return strings.Join(out, "; ")
}

var web = said{
	"Computer Name": "web-01", "Running Processes": "sshd;nginx;sshd;bash", "Free Memory": "1536 MB", "Uptime": "4.2 hours",
	"Installed Applications": "b/1.10/2 MB;a/1.9/1 MB;b/1.10/2 MB", "Log Lines": "x;b;x;a", "Address": "10.0.0.9;fe80::1",
	"Patch Level": "!" + errTimeout.Error(), "Folder Contents": "only a name", "Last Reboot": "",
}

// answers are questions to web, its rows, the sensors that it computes in their
// order, and how often it passed, failed and said nothing.
var answers = []struct{ text, rows, asked, counts string }{
	{"get number of machines", "", "[]", "{1 0 0}"},
	{"get computer name", "web-01", "[Computer Name]", "{1 0 0}"},
	{"get running processes", "bash; nginx; sshd", "[Running Processes]", "{1 0 0}"},
	{"get log lines", "x; b; x; a", "[Log Lines]", "{1 0 0}"},
	{"get installed applications", "a/1.9/1 MB; b/1.10/2 MB", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications:version and installed applications:name", "1.10/b; 1.9/a", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications:size", "1 MB; 2 MB", "[Installed Applications]", "{1 0 0}"},
	{"get computer name and running processes and log lines", "web-01/bash+nginx+sshd/x+b+x+a", "[Computer Name Running Processes Log Lines]", "{1 0 0}"},
	{"get installed applications:name and uptime and installed applications:version", "a+b/4.2 hours/1.9+1.10", "[Installed Applications Uptime]", "{1 0 0}"},
	{"get ?forceComputerIdFlag=1 running processes", "77/bash+nginx+sshd", "[Running Processes]", "{1 0 0}"},
	{"get ?forceComputerIdFlag=1 number of machines", "77", "[]", "{1 0 0}"},
	{"get last reboot", "[no results]", "[Last Reboot]", "{1 0 1}"},
	{"get patch level", "TSE-Error: timed out after 60 seconds", "[Patch Level]", "{1 1 0}"},
	{"get patch level and last reboot and computer name", "TSE-Error: timed out after 60 seconds/[no results]/web-01", "[Patch Level Last Reboot Computer Name]", "{1 1 1}"},
	{"get folder contents[/etc]", "only a name/", "[Folder Contents]", "{1 0 0}"}, // a row that is too short
	// Rows are chosen, and machines without any are left out.
	{"get running processes contains s", "bash; sshd", "[Running Processes]", "{1 0 0}"},
	{"get running processes not contains s", "nginx", "[Running Processes]", "{1 0 0}"},
	{"get running processes contains S matching case", "-", "[Running Processes]", "{0 0 0}"},
	{"get log lines not = a", "x; b; x", "[Log Lines]", "{1 0 0}"},
	{"get installed applications:name = b", "b", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications having installed applications:version > 1.9", "b/1.10/2 MB", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications:name having installed applications:version > 1.9 having installed applications:size < 1 GB", "b", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications:name having installed applications:version > 1.9 having installed applications:size > 1 GB", "-", "[Installed Applications]", "{0 0 0}"},
	{"get installed applications contains b.*2 mb", "b/1.10/2 MB", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications:name = a having installed applications:size = 1 MB and installed applications:size = 1 MB having installed applications:name = a",
		"a/1 MB", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications:name = a and installed applications:size > 1.5 MB", "a/2 MB", "[Installed Applications]", "{1 0 0}"}, // rows torn apart
	{"get installed applications:name = a and installed applications:name", "a/a+b", "[Installed Applications]", "{1 0 0}"},
	{"get uptime and running processes = sshd and computer name", "4.2 hours/sshd/web-01", "[Running Processes Uptime Computer Name]", "{1 0 0}"},
	{"get uptime and running processes = init and computer name", "-", "[Running Processes]", "{0 0 0}"},
	{"get computer name = x and running processes = sshd and uptime", "[no results]/sshd/4.2 hours", "[Computer Name Running Processes Uptime]", "{1 0 1}"},
	{"get computer name = x and running processes = init and uptime", "-", "[Computer Name Running Processes]", "{0 0 0}"},
	{"get ?forceComputerIdFlag=1 running processes starts with s", "77/sshd", "[Running Processes]", "{1 0 0}"},
	{"get ?forceComputerIdFlag=1 running processes starts with q", "-", "[Running Processes]", "{0 0 0}"},
	{"get last reboot contains 2026", "-", "[Last Reboot]", "{0 0 0}"},
	{"get last reboot not contains 2026", "[no results]", "[Last Reboot]", "{1 0 1}"},
	{"get patch level = 1", "-", "[Patch Level]", "{0 1 0}"},
	{"get patch level != 1", "-", "[Patch Level]", "{0 1 0}"}, // nobody has seen that
	{"get patch level contains timed", "TSE-Error: timed out after 60 seconds", "[Patch Level]", "{1 1 0}"},
	{"get patch level != 1 and computer name = web-01", "[no results]/web-01", "[Patch Level Computer Name]", "{1 1 1}"},
	// Parts of texts, and other types.
	{"get running processes?substringLength=2", "ba; ng; ss", "[Running Processes]", "{1 0 0}"},
	{"get running processes?substringStart=1&substringLength=2 = sh", "sh", "[Running Processes]", "{1 0 0}"},
	{"get uptime?delimiter=\" \"&delimiterIndex=1", "hours", "[Uptime]", "{1 0 0}"},
	{"get installed applications?substringStart=1:version from all machines with installed applications?substringStart=2&substringLength=3 = 1.9", ".10; .9", "[Installed Applications]", "{1 0 0}"},
	{"get patch level?substringStart=4 contains TSE", "TSE-Error: timed out after 60 seconds", "[Patch Level]", "{1 1 0}"},
	{"get last reboot?substringStart=4", "[no results]", "[Last Reboot]", "{1 0 1}"},
	{"get installed applications:version?type=Numeric > 1.5", "1.9", "[Installed Applications]", "{1 0 0}"},
	{"get installed applications:version > 1.9", "1.10", "[Installed Applications]", "{1 0 0}"},
	{"get computer name has hash 3884645895", "web-01", "[Computer Name]", "{1 0 0}"},
	{"get installed applications has hash 5", "-", "[Installed Applications]", "{0 0 0}"},
	// The condition comes first, and what it does not need is not computed.
	{"get computer name from all machines with uptime > 1 day", "-", "[Uptime]", "{0 0 0}"},
	{"get computer name from all machines with uptime > 1 hour and computer name contains web", "web-01", "[Uptime Computer Name]", "{1 0 0}"},
	{"get computer name from all machines with uptime > 1 day or web", "web-01", "[Uptime Computer Name]", "{1 0 0}"},
	{"get computer name from all machines with no computers", "-", "[Computer Name]", "{0 0 0}"},
	{"get computer name from all machines with all computers and not no computers", "web-01", "[Computer Name]", "{1 0 0}"},
	{"get computer name from all machines with broken", "-", "[Patch Level]", "{0 1 0}"},
	{"get uptime from all machines with uptime < 300 minutes or patch level = 1", "4.2 hours", "[Uptime]", "{1 0 0}"},
}

func TestAnswer(t *testing.T) {
	for _, line := range answers {
		p := compile(t, line.text)
		var asked []string
		rows, counts := p.Answer(key, 77, web.values(p, &asked))
		got := printed(rows)
		if rows == nil {
			got = "-"
		}
		if got != line.rows || fmt.Sprint(asked) != line.asked || fmt.Sprintf("{%d %d %d}", counts.Passed, counts.Errors, counts.NoResults) != line.counts {
			t.Errorf("%s\ngot  %s %v %v\nwant %s %s %s", line.text, got, asked, counts, line.rows, line.asked, line.counts)
		}
		for _, r := range rows {
			if len(r.Cells) != len(p.Columns) || r.Count != 1 || r.Hash != key.Row(r.Cells).Hash {
				t.Errorf("%s: row %+v", line.text, r)
			}
		}
	}
}

// TestCounting: the machine that is counted has one row without cells.
func TestCounting(t *testing.T) {
	p := compile(t, "get number of machines")
	rows, counts := p.Answer(key, 1, nil)
	if len(rows) != 1 || len(rows[0].Cells) != 0 || rows[0].Hash != key.Row(nil).Hash || counts != (answer.Counts{Passed: 1}) {
		t.Errorf("%+v, %+v", rows, counts)
	}
}

// TestRights: a machine that the asker may not ask says that and nothing else,
// and computes nothing else.
func TestRights(t *testing.T) {
	for _, line := range []struct {
		text, rows, asked string
		counts            answer.Counts
	}{
		{"get uptime | rights: web", "4.2 hours", "[Computer Name Uptime]", answer.Counts{Passed: 1}},
		{"get uptime | rights: all computers", "4.2 hours", "[Uptime]", answer.Counts{Passed: 1}},
		{"get uptime | rights: not web", "-", "[Computer Name]", answer.Counts{Outside: 1}},
		{"get uptime | rights: short of memory or broken", "-", "[Free Memory Patch Level]", answer.Counts{Outside: 1}},
		{"get uptime | rights: broken or web", "4.2 hours", "[Patch Level Computer Name Uptime]", answer.Counts{Passed: 1, Errors: 1}},
		{"get uptime from all machines with uptime > 1 day | rights: web", "-", "[Computer Name Uptime]", answer.Counts{}},
		{"get uptime from all machines with uptime > 1 day | rights: not web", "-", "[Computer Name]", answer.Counts{Outside: 1}},
		{"get number of machines | rights: web in need", "-", "[Computer Name Free Memory]", answer.Counts{Outside: 1}},
		{"get number of machines | rights: no computers", "-", "[Computer Name]", answer.Counts{Outside: 1}},
	} {
		p := compile(t, line.text)
		var asked []string
		rows, counts := p.Answer(key, 77, web.values(p, &asked))
		got := printed(rows)
		if rows == nil {
			got = "-"
		}
		if got != line.rows || fmt.Sprint(asked) != line.asked || counts != line.counts {
			t.Errorf("%s\ngot  %s %v %+v\nwant %s %s %+v", line.text, got, asked, counts, line.rows, line.asked, line.counts)
		}
		if p.Matches(web.values(p, &asked)) != (counts.Passed == 1) {
			t.Errorf("%s: matches, or does not", line.text)
		}
	}
	// Who is in no group may ask nobody.
	p, err := Compile(question.Question{}, catalogue(t), Options{Rights: question.Or{}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(p.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Plan{p, again} {
		if rows, counts := p.Answer(key, 1, nil); rows != nil || counts != (answer.Counts{Outside: 1}) {
			t.Errorf("%+v, %+v", rows, counts)
		}
	}
}

// TestConditions: which of the machine's sensors pass.
func TestConditions(t *testing.T) {
	for condition, want := range map[string]bool{
		"running processes = sshd": true, "all running processes = sshd": false, "running processes != sshd": false, "any running processes != sshd": true,
		"running processes not contains x": false, "running processes not contains chrome": true, "all running processes matches [a-z]+": true,
		"computer name = WEB-01": true, "computer name = WEB-01 matching case": false, "log lines = X": false, "log lines = x": true,
		"computer name contains (db|web)": true, "computer name starts with db|web": true, "computer name matches web": false,
		"free memory > 1.4 GB": true, "free memory = 1.5 GB": true, "free memory >= 1.6GB": false, "uptime = 252 minutes": true,
		"installed applications:version > 1.9": true, "all installed applications:version > 1.9": false, "installed applications:version = 1.10.0": true,
		"installed applications contains b.*1.10": true, "installed applications = a|1.9|1 mb": true, "installed applications:name contains 1.10": false,
		"address = fe80:0::1": true, "address < 10.0.0.10": true,
		// No results.
		"last reboot = \"[no results]\"": true, "last reboot not contains 2026": true, "last reboot contains 2026": false,
		"last reboot > \"Sun, 22 Nov 2026 01:30:00 +0000\"": false, "all last reboot matches \"Sun.*\"": false,
		// A failed sensor passes no negative test, but its error can be looked for.
		"patch level = 1": false, "patch level != 1": false, "any patch level != 1": false, "not patch level > 1": false,
		"patch level contains TSE-Error": true, "patch level not contains TSE-Error": false, "not patch level not contains timed": true,
		"uptime > 1 hour or patch level != 1": true, "uptime > 1 day or patch level != 1": false, "not (uptime > 1 hour and patch level = 1)": false,
		"not (uptime > 1 day and patch level = 1)": true, "not (patch level = 1 or uptime > 1 day)": false, "patch level != 1 and uptime > 1 hour": false,
	} {
		p := compile(t, "get number of machines with "+condition)
		var asked []string
		if got := p.Matches(web.values(p, &asked)); got != want {
			t.Errorf("%s is %v", condition, got)
		}
		rows, counts := p.Answer(key, 1, web.values(p, &asked))
		if (len(rows) == 1) != want || (counts.Passed == 1) != want {
			t.Errorf("%s: %v, %v", condition, rows, counts)
		}
		if strings.HasPrefix(condition, "patch level") && counts.Errors != 1 {
			t.Errorf("%s: no error is counted", condition)
		}
	}
}

// TestSameSetSameRow: machines that have the same in another order are one row.
func TestSameSetSameRow(t *testing.T) {
	p := compile(t, "get running processes and installed applications")
	rapid.Check(t, func(t *rapid.T) {
		processes := rapid.SliceOfN(rapid.StringMatching(`[a-c]`), 1, 6).Draw(t, "processes")
		apps := rapid.SliceOfN(rapid.StringMatching(`[a-c]/[12]/[12] MB`), 1, 6).Draw(t, "apps")
		hash := func(processes, apps []string) uint64 {
			m := said{"Running Processes": strings.Join(processes, ";"), "Installed Applications": strings.Join(apps, ";")}
			var asked []string
			rows, _ := p.Answer(key, 1, m.values(p, &asked))
			return rows[0].Hash
		}
		other := append(rapid.Permutation(processes).Draw(t, "other processes"), processes[0])
		if hash(processes, apps) != hash(other, rapid.Permutation(apps).Draw(t, "other apps")) {
			t.Fatalf("%v and %v give different rows", processes, other)
		}
	})
}

func TestLimits(t *testing.T) {
	many := make([][]string, RowsMax+5)
	for i := range many {
		many[i] = []string{fmt.Sprintf("%06d", i)}
	}
	wide := make([][]string, 100)
	for i := range wide {
		wide[i] = []string{fmt.Sprintf("%03d", i) + strings.Repeat("é", TextMax)}
	}
	answerTo := func(text string, rows [][]string) []answer.Row {
		out, _ := compile(t, text).Answer(key, 1, func(int) Values { return Values{Rows: rows} })
		return out
	}
	rows := answerTo("get computer name", many)
	if len(rows) != RowsMax || printed(rows[:1]) != "000000" || printed(rows[RowsMax-1:]) != tooManyResults {
		t.Errorf("%d rows, from %s to %s", len(rows), printed(rows[:1]), printed(rows[len(rows)-1:]))
	}
	if rows := answerTo("get computer name", many[:RowsMax]); len(rows) != RowsMax || printed(rows[RowsMax-1:]) != "009999" {
		t.Errorf("%d rows, the last %s", len(rows), printed(rows[len(rows)-1:]))
	}
	rows = answerTo("get computer name and uptime", many)
	if c := rows[0].Cells[1]; len(rows) != 1 || len(c) != RowsMax || c[RowsMax-1] != tooManyResults {
		t.Errorf("%d rows, the last of %d texts %s", len(rows), len(c), c[len(c)-1])
	}
	rows = answerTo("get computer name and uptime", wide)
	c := rows[0].Cells[0]
	if c[len(c)-1] != tooManyResults || rows[0].Size() > RowBytesMax+3*TextMax || len(c) < RowBytesMax/TextMax/2 {
		t.Errorf("a row of %d bytes with %d texts", rows[0].Size(), len(c))
	}
	if text := c[0]; len(text) > TextMax || len(text) < TextMax-4 || !strings.HasSuffix(text, cutMark) || !utf8.ValidString(text) {
		t.Errorf("a text of %d bytes is cut to %d: …%q", len(wide[0][0]), len(text), text[len(text)-20:])
	}
	rows = answerTo("get computer name", [][]string{{"a\xffb"}, {strings.Repeat("x", TextMax)}})
	if got := printed(rows); got != "a\ufffdb; "+strings.Repeat("x", TextMax) {
		t.Errorf("got %.40s… of %d bytes", got, len(got))
	}
	// The condition sees what the answer cuts.
	if rows := answerTo("get number of machines with computer name ends with z", [][]string{{strings.Repeat("x", 2*TextMax) + "z"}}); len(rows) != 1 {
		t.Error("the end of a long text was not seen")
	}
}

// TestAnswerIsWithinWhatItSays: for any values, rows have the plan's shape and
// every machine that passes has one.
func TestAnswerIsWithinWhatItSays(t *testing.T) {
	var plans []Plan
	for _, text := range []string{
		"get installed applications and log lines", "get ?forceComputerIdFlag=1 log lines", "get installed applications:size",
		"get computer name from all machines with installed applications:version > 1.9 or log lines not contains a",
		"get log lines not contains a", "get installed applications:name > a having installed applications:version != 1 and installed applications:size and log lines?substringLength=1 = b",
		"get computer name from all machines with not installed applications:version > 1.9 | rights: computer name = a or log lines != b",
	} {
		plans = append(plans, compile(t, text))
	}
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(plans).Draw(t, "plan")
		all := make([]Values, len(p.Sensors))
		for i := range all {
			all[i].Rows = rapid.SliceOfN(rapid.SliceOfN(rapid.StringMatching(`[a-b1.\x{ff}]{0,3}`), 0, 5), 0, 6).Draw(t, "rows")
			if rapid.IntRange(0, 5).Draw(t, "fails") == 0 {
				all[i].Err = errTimeout
			}
		}
		asked := make([]int, len(all))
		values := func(use int) Values { asked[use]++; return all[use] }
		rows, counts := p.Answer(key, 5, values)
		if slices.Max(asked) > 1 {
			t.Fatalf("asked %v times", asked)
		}
		matches := p.Matches(values)
		if (len(rows) > 0) != (counts.Passed == 1) || counts.Passed == 1 && !matches || matches && counts.Passed == 0 && len(p.Keeps) == 0 {
			t.Fatalf("%d rows of a machine that passed %d times, and matches: %v", len(rows), counts.Passed, matches)
		}
		if counts.Outside != 0 && (matches || counts != answer.Counts{Outside: 1}) {
			t.Fatalf("a machine that may not be asked says %+v", counts)
		}
		for _, r := range rows {
			if len(r.Cells) != len(p.Columns) || slices.ContainsFunc(r.Cells, func(c answer.Cell) bool { return len(c) == 0 }) {
				t.Fatalf("row %+v in %d columns", r, len(p.Columns))
			}
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	rows := make([][]string, 500)
	for i := range rows {
		rows[i] = []string{fmt.Sprintf("application %d", i), fmt.Sprintf("%d.%d", i%7, i), "12 MB"}
	}
	p := compile(b, "get installed applications from all machines with installed applications:name contains 499 and installed applications:version > 1.9")
	for b.Loop() {
		if got, _ := p.Answer(key, 1, func(int) Values { return Values{Rows: rows} }); len(got) != 500 {
			b.Fatal(len(got))
		}
	}
}
