package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

func sensors() []sensor.Sensor {
	plain := func(name string, t value.Type) sensor.Sensor {
		return sensor.Sensor{Name: name, Columns: []sensor.Column{{Name: name, Type: t}}, MaxAge: time.Minute, IgnoreCase: true}
	}
	apps := plain("Installed Applications", value.String)
	apps.Columns = []sensor.Column{{Name: "Name", Type: value.String}, {Name: "Version", Type: value.Version}, {Name: "Size", Type: value.DataSize}}
	folder := plain("Folder Contents", value.String)
	folder.Parameters = []sensor.Parameter{{Key: "path", Label: "Path"}, {Key: "depth", Label: "Depth", Default: "1"}}
	folder.Columns = []sensor.Column{{Name: "Name", Type: value.String}, {Name: "Size", Type: value.DataSize}}
	logs := plain("Log Lines", value.String)
	logs.KeepDuplicates, logs.IgnoreCase = true, false
	script := plain("Patch Level", value.NumericInteger)
	script.Scripts = []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: "echo 1"}}
	return []sensor.Sensor{
		plain("Computer Name", value.String), plain("Computer ID", value.NumericInteger), plain("Running Processes", value.String),
		plain("Free Memory", value.DataSize), plain("Uptime", value.TimeDiff), plain("Address", value.IPAddress),
		plain("CPU Consumption", value.Numeric), plain("Last Reboot", value.BESDate), plain("Boot", value.WMIDate), plain("Seen", value.VariousDate),
		apps, folder, logs, script,
	}
}

func catalogue(t testing.TB) *sensor.Catalogue {
	t.Helper()
	c, err := sensor.NewCatalogue(sensors())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func definition(s sensor.Sensor) []byte { return append([]byte("signed "), s.Append(nil)...) }

// knownGroups are groups in memory, whose numbers begin at 1.
type knownGroups []question.Group

func (k knownGroups) GroupByName(name string) (question.Group, bool) {
	i := slices.IndexFunc(k, func(g question.Group) bool { return strings.EqualFold(g.Name, name) })
	return k.GroupByID(int64(i + 1))
}

func (k knownGroups) GroupByID(id int64) (question.Group, bool) {
	if id < 1 || id > int64(len(k)) {
		return question.Group{}, false
	}
	return k[id-1], true
}

// groups are what the tests' conditions may name.
func groups(t testing.TB) knownGroups {
	t.Helper()
	where := func(text string) question.Condition {
		c, err := question.ParseCondition(text, catalogue(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	k := knownGroups{
		{Name: "All Computers"}, {Name: "No Computers", Where: where("any computer name not matches .*")},
		{Name: "Web", Where: where("computer name starts with web")}, {Name: "Short of Memory", Where: where("free memory < 1 GB")},
		{Name: "Web in Need", Where: question.And{question.Member{Name: "web"}, question.Member{ID: 4}}},
		{Name: "Broken", Where: where("patch level != 1")}, {Name: "Itself", Where: question.Not{Of: question.Member{ID: 8}}},
		{Name: "Me Again", Where: question.Or{question.Member{ID: 3}, question.Member{ID: 7}}},
		{Name: "Lost", Where: question.Test{Ref: question.Ref{Sensor: "Gone"}, Op: question.Equals}},
	}
	for i := range k {
		k[i].ID = int64(i + 1)
	}
	return k
}

// compile returns the plan of a question's text. What follows "| rights:" are
// the asker's.
func compile(t testing.TB, text string) Plan {
	t.Helper()
	text, rights, limited := strings.Cut(text, " | rights: ")
	opt := Options{Definition: definition, Groups: groups(t)}
	q, err := question.Parse(text, catalogue(t), opt.Groups)
	if err == nil && limited {
		opt.Rights, err = question.ParseCondition(rights, catalogue(t), opt.Groups)
	}
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(q, catalogue(t), opt)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// show prints a plan in one line for comparing.
func show(p Plan) string {
	var b strings.Builder
	for _, u := range p.Sensors {
		fmt.Fprintf(&b, "%s%q/%d ", u.Name, u.Params, u.Width)
	}
	b.WriteString("|")
	for _, c := range p.Columns {
		fmt.Fprintf(&b, " %s(%v)=%d.%d", c.Name, c.Type, c.Use, c.Field)
		if c.Keep != 0 || c.Part != 0 {
			fmt.Fprintf(&b, "~%d/%d", c.Keep, c.Part)
		}
	}
	fmt.Fprintf(&b, " | shows %v needs %v | %v", p.Selects, p.WhereUses(), p.Where)
	if p.Rights != nil {
		fmt.Fprintf(&b, " of %v", p.Rights)
	}
	if p.Keeps != nil {
		fmt.Fprintf(&b, " keeps %v", p.Keeps)
	}
	if p.Parts != nil {
		fmt.Fprintf(&b, " parts %v", p.Parts)
	}
	return b.String()
}

func TestCompile(t *testing.T) {
	for _, line := range []struct{ text, want string }{
		{"get number of machines", "| | shows [] needs [] | <nil>"},
		{"get computer name", "Computer Name[]/1 | Computer Name(String)=0.0 | shows [0] needs [] | <nil>"},
		{"get ?forceComputerIdFlag=1 uptime", "Uptime[]/1 | Computer ID(NumericInteger)=-1.0 Uptime(TimeDiff)=0.0 | shows [0] needs [] | <nil>"},
		{"get ?forceComputerIdFlag=1 number of machines", "| Computer ID(NumericInteger)=-1.0 | shows [] needs [] | <nil>"},
		{"get installed applications", "Installed Applications[]/3 | Name(String)=0.0 Version(Version)=0.1 Size(DataSize)=0.2 | shows [0] needs [] | <nil>"},
		{"get installed applications:version and uptime and installed applications:name",
			"Installed Applications[]/3 Uptime[]/1 | Version(Version)=0.1 Uptime(TimeDiff)=1.0 Name(String)=0.0 | shows [0 1] needs [] | <nil>"},
		{"get folder contents[/etc] and folder contents[/etc,1]:size and folder contents[/opt,2]:size",
			`Folder Contents["/etc" "1"]/2 Folder Contents["/opt" "2"]/2 | Name(String)=0.0 Size(DataSize)=0.1 Size(DataSize)=0.1 Size(DataSize)=1.1 | shows [0 1] needs [] | <nil>`},
		{"get computer name from all machines with computer name contains x",
			"Computer Name[]/1 | Computer Name(String)=0.0 | shows [0] needs [0] | {0:0 matches .*x.* String true false}"},
		{"get computer name from all machines with uptime > 1 day and (installed applications:version = 1.0 or not installed applications contains x)",
			"Computer Name[]/1 Uptime[]/1 Installed Applications[]/3 | Computer Name(String)=0.0 | shows [0] needs [1 2] | " +
				"[{1:0 > 1 day TimeDiff true false} [{2:1 = 1.0 Version true false} {{2 matches .*x.* String true false}}]]"},
		{"get number of machines with any running processes not starts with x|y matching case",
			"Running Processes[]/1 | | shows [] needs [0] | {{0:0 matches (?:x|y).* String false true}}"},
		{"get number of machines with log lines ends with x", "Log Lines[]/1 | | shows [] needs [0] | {0:0 matches .*x String false false}"},
		{"get number of machines with free memory = none and all free memory <= 1 GB", "Free Memory[]/1 | | shows [] needs [0] | [{0:0 = none DataSize true false} {0:0 <= 1 GB DataSize true true}]"},
		// Conditions on rows.
		{"get computer name contains x", "Computer Name[]/1 | Computer Name(String)=0.0~1/0 | shows [0] needs [] | <nil> keeps [{0:0 matches .*x.* String true false}]"},
		{"get installed applications:version not < 2 matching case and installed applications", "Installed Applications[]/3 | " +
			"Version(Version)=0.1~1/0 Name(String)=0.0 Version(Version)=0.1 Size(DataSize)=0.2 | shows [0 0] needs [] | <nil> keeps [{{0:1 < 2 Version false false}}]"},
		{"get installed applications contains x and installed applications:name having installed applications contains x", "Installed Applications[]/3 | " +
			"Name(String)=0.0~1/0 Version(Version)=0.1~1/0 Size(DataSize)=0.2~1/0 Name(String)=0.0~1/0 | shows [0] needs [] | <nil> keeps [{0 matches .*x.* String true false}]"},
		{"get folder contents[/etc]:name = a having folder contents:size > 1 and folder contents[/etc]:size > 1 having folder contents[/etc]:name = a", `Folder Contents["/etc" "1"]/2 | ` +
			"Name(String)=0.0~1/0 Size(DataSize)=0.1~1/0 | shows [0] needs [] | <nil> keeps [[{0:0 = a String true false} {0:1 > 1 DataSize true false}]]"},
		// Options.
		{"get computer name?type=Version&substringStart=1 > 2 and installed applications?type=Numeric:version", "Computer Name[]/1 Installed Applications[]/3 | " +
			"Computer Name(Version)=0.0~1/1 Version(Numeric)=1.1 | shows [0 1] needs [] | <nil> keeps [{0:0/1 > 2 Version true false}] parts [{ 0 1 0}]"},
		{"get number of machines with boot?delimiter=|&delimiterIndex=1 = 1 and all computer name?type=IPAddress < 10.0.0.1", "Boot[]/1 Computer Name[]/1 | | " +
			"shows [] needs [0 1] | [{0:0/1 = 1 WMIDate true false} {1:0 < 10.0.0.1 IPAddress true true}] parts [{| 1 0 0}]"},
		{"get number of machines with uptime has hash 7", "Uptime[]/1 | | shows [] needs [0] | {0:0 has hash 7 String true false}"},
		// Groups and rights.
		{"get uptime from all machines with all computers", "Uptime[]/1 | Uptime(TimeDiff)=0.0 | shows [0] needs [] | []"},
		{`get uptime from all machines with "web in need" or not web`, "Uptime[]/1 Computer Name[]/1 Free Memory[]/1 | Uptime(TimeDiff)=0.0 | shows [0] needs [1 2] | " +
			"[[{1:0 matches web.* String true false} {2:0 < 1 GB DataSize true false}] {{1:0 matches web.* String true false}}]"},
		{"get uptime | rights: web or short of memory", "Uptime[]/1 Computer Name[]/1 Free Memory[]/1 | Uptime(TimeDiff)=0.0 | shows [0] needs [1 2] | <nil> of " +
			"[{1:0 matches web.* String true false} {2:0 < 1 GB DataSize true false}]"},
	} {
		p := compile(t, line.text)
		if got := show(p); got != line.want {
			t.Errorf("%s\ngot  %s\nwant %s", line.text, got, line.want)
		}
		if q, err := question.Parse(p.Text, catalogue(t), groups(t)); err != nil || q.String() != p.Text {
			t.Errorf("%s: the plan's text is %q: %v", line.text, p.Text, err)
		}
	}
}

func TestCompileHashesAndNames(t *testing.T) {
	p := compile(t, "get ?forceComputerIdFlag=1 computer name and folder contents[/etc] and patch level")
	var got []string
	for _, c := range p.Columns {
		got = append(got, fmt.Sprint(c.Name, " ", c.SensorHash == sensor.Hash("Computer ID"), c.SensorHash == sensor.Hash("Computer Name"),
			c.SensorHash == sensor.Hash("Folder Contents[/etc]"), c.SensorHash == sensor.Hash("Patch Level")))
	}
	want := []string{
		"Computer ID true false false false", "Computer Name false true false false",
		"Name false false true false", "Size false false true false", "Patch Level false false false true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("columns %q, want %q", got, want)
	}
	if u := p.Sensors[2]; !strings.HasPrefix(string(u.Definition), "signed ") || u.MaxAge != time.Minute {
		t.Errorf("the script sensor is %+v", u)
	}
	if u := p.Sensors[0]; u.Definition != nil {
		t.Errorf("the native sensor has the definition %q", u.Definition)
	}
	q := question.Question{Selects: []question.Select{{Ref: question.Ref{Sensor: "log lines"}}}}
	p, err := Compile(q, catalogue(t), Options{ComputerID: true})
	if err != nil || !p.ComputerID || p.Columns[0].Name != "Computer ID" || !p.Sensors[0].KeepDuplicates || p.Text != "Get Log Lines from all machines" {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestAges: an answer that serves two wishes is as young as the stricter wants.
func TestAges(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"get uptime": time.Minute, "get uptime?maxAge=5": 5 * time.Second, "get uptime?maxAge=600": 10 * time.Minute,
		"get uptime?maxAge=600 and uptime?type=String": time.Minute, "get uptime?maxAge=9 and uptime?maxAge=5": 5 * time.Second,
		"get uptime?maxAge=9 from all machines with uptime?maxAge=5 > 1": 5 * time.Second, "get uptime?maxAge=9 having uptime > 1": 9 * time.Second,
		"get uptime?maxAge=9 from all machines with uptime > 1": 9 * time.Second, "get uptime?maxAge=99 | rights: uptime > 1": time.Minute,
	} {
		p := compile(t, text)
		if len(p.Sensors) != 1 || p.Sensors[0].MaxAge != want {
			t.Errorf("%s: %+v, want %v", text, p.Sensors, want)
		}
	}
}

// TestContext: what a question is about stands before its own condition, and not
// in its text.
func TestContext(t *testing.T) {
	q, err := question.Parse("get number of machines with uptime > 1 day", catalogue(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, where := range map[string]question.Condition{
		"[{0:0 matches web.* String true false} {1:0 > 1 day TimeDiff true false}]": q.Where, "{0:0 matches web.* String true false}": nil,
	} {
		p, err := Compile(question.Question{Where: where}, catalogue(t), Options{Groups: groups(t), Context: question.Member{Name: "WEB"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(p.Where); got != want || strings.Contains(p.Text, "Web") {
			t.Errorf("%s: %s, want %s", p.Text, got, want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	c := catalogue(t)
	const with = "get number of machines from all machines with "
	for _, line := range []struct{ text, want string }{
		{with + `computer name contains "("`, `Computer Name contains "(": "(" is no regular expression: error parsing regexp: missing closing ): ` + "`(`; for the text itself, write \\("},
		{with + `computer name not starts with "C++"`, "Computer Name not starts with C++: \"C++\" is no regular expression: error parsing regexp: invalid nested repetition operator: `++`; for the text itself, write C\\+\\+"},
		{with + `installed applications:name matches "a)(b"`, `Installed Applications:Name matches "a)(b": "a)(b" is no regular expression`},
		{with + `computer name contains "a)|(b"`, `unexpected )`},
		{with + `computer name matches "(?=x)"`, "invalid or unsupported Perl syntax"},
		{with + "free memory > lots", `Free Memory > lots: "lots" cannot be read as DataSize, such as 1.5 GB`},
		{with + "uptime < 5 fortnights", `cannot be read as TimeDiff, such as 4.2 hours`}, {with + "address >= localhost", `cannot be read as IPAddress, such as 10.0.0.1`},
		{with + "cpu consumption > much", `cannot be read as Numeric, such as 0.5`}, {with + "last reboot > today", `cannot be read as BESDate, such as Sun, `},
		{with + "boot > today", `cannot be read as WMIDate, such as 2026`}, {with + "seen > today", `cannot be read as VariousDate, such as 2026-11-22 01:30:00`},
		{with + "computer id > 1.5", `cannot be read as NumericInteger, such as 42`}, {with + "installed applications:version > new", `cannot be read as Version, such as 1.10.2`},
	} {
		q, err := question.Parse(line.text, c, nil)
		if err != nil {
			t.Errorf("%s: %v", line.text, err)
			continue
		}
		if _, err := Compile(q, c, Options{}); err == nil || !strings.Contains(err.Error(), line.want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s\ngot  %v\nwant %s", line.text, err, line.want)
		}
	}
}

func TestCompileRefusesTrees(t *testing.T) {
	c := catalogue(t)
	var many question.Question
	inGroup := func(names ...string) func() error {
		var parts question.And
		for _, name := range names {
			parts = append(parts, question.Member{Name: name})
		}
		return func() error {
			_, err := Compile(question.Question{Where: parts}, c, Options{Groups: groups(t)})
			return err
		}
	}
	conditions := question.Or{}
	for i := range SensorsMax + 1 {
		conditions = append(conditions, question.Test{
			Ref: question.Ref{Sensor: "Folder Contents", Params: []string{fmt.Sprint(i)}, Column: "Name"}, Op: question.Equals})
	}
	many.Where = conditions
	var costly question.Or // each is fine, all of them are not
	for range 900 {
		costly = append(costly, question.Test{Ref: question.Ref{Sensor: "Uptime"}, Op: question.Matches, Value: "x{900}"})
	}
	large := func(sensor.Sensor) []byte { return make([]byte, BytesMax) }
	patch := question.Question{Selects: []question.Select{{Ref: question.Ref{Sensor: "Patch Level"}}}}
	for want, try := range map[string]func() error{
		`the computer group "Me Again" is part of itself`:          inGroup("Web", "Me Again"),
		`the computer group "Lost": no sensor is called "Gone"`:    inGroup("Lost"),
		`there is no computer group "Nowhere"`:                     inGroup("Nowhere"),
		`with the computer groups in it, has more than 1000 parts`: inGroup(slices.Repeat([]string{"Web in Need"}, 300)...),
		`the asker's rights: the computer group "Lost": no sensor is ca`: func() error {
			_, err := Compile(question.Question{}, c, Options{Groups: groups(t), Rights: question.Member{ID: 9}})
			return err
		},
		"the context: there is no computer group 99": func() error {
			_, err := Compile(question.Question{}, c, Options{Groups: groups(t), Context: question.Member{ID: 99}})
			return err
		},
		`Uptime matches x{900}: the regular expressions, with "x{900}", are too large together`: func() error {
			_, err := Compile(question.Question{Where: costly}, c, Options{})
			return err
		},
		"needs 257 sensors, more than 256": func() error { _, err := Compile(many, c, Options{}); return err },
		`no sensor is called "x"`: func() error {
			_, err := Compile(question.Question{Selects: []question.Select{{Ref: question.Ref{Sensor: "x"}}}}, c, Options{})
			return err
		},
		`"Patch Level" has no signed definition`:     func() error { _, err := Compile(patch, c, Options{}); return err },
		"the question with its sensors' definitions": func() error { _, err := Compile(patch, c, Options{Definition: large}); return err },
	} {
		if err := try(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for want, change := range map[string]func(*Plan){
		"text is not UTF-8":               func(p *Plan) { p.Text = "\xff" },
		"the columns show other sensors":  func(p *Plan) { p.Selects = []int{1} },
		"the column of the computer ID":   func(p *Plan) { p.ComputerID = true },
		"needs 257 sensors":               func(p *Plan) { p.Sensors = make([]Use, 257) },
		"a name has 1 to 256 bytes":       func(p *Plan) { p.Sensors[1].Name = "" },
		"33 parameters are more than 32":  func(p *Plan) { p.Sensors[1].Params = make([]string, 33) },
		"1 to 64 columns, not 0":          func(p *Plan) { p.Sensors[1].Width = 0 },
		"cannot be -1ns old":              func(p *Plan) { p.Sensors[1].MaxAge = -1 },
		"is there twice":                  func(p *Plan) { p.Sensors[1] = p.Sensors[0] },
		"Type(99) is no type":             func(p *Plan) { p.Columns[0].Type = 99 },
		"there is no field 7 of sensor 0": func(p *Plan) { p.Columns[0].Field = 7 },
		"there is no field 0 of sensor 9": func(p *Plan) { p.Columns[0].Use, p.Selects = 9, []int{9} },
		"4098 columns are more than 4097": func(p *Plan) { p.Columns = slices.Repeat(p.Columns, 4098) },
		`tests "0:1", which is none`:      func(p *Plan) { p.Where = testOf("0:1") },
		`tests "2", which is none`:        func(p *Plan) { p.Where = expr.Not{Of: expr.Or{testOf("0"), testOf("2")}} },
		`tests "00", which is none`:       func(p *Plan) { p.Where = testOf("00") },
		`tests "-1", which is none`:       func(p *Plan) { p.Where = testOf("-1") },
		`tests "0:-2", which is none`:     func(p *Plan) { p.Where = testOf("0:-2") },
		`tests "x:0", which is none`:      func(p *Plan) { p.Where = testOf("x:0") },
		`tests "0:0/1", which is none`:    func(p *Plan) { p.Where = testOf("0:0/1") },
		`tests "0:0/0", which is none`:    func(p *Plan) { p.Where = testOf("0:0/0") },
		`tests "0/x", which is none`:      func(p *Plan) { p.Where, p.Parts = testOf("0/x"), []value.Part{{}} },
		`tests "9", which is none of the`: func(p *Plan) { p.Rights = testOf("9") },
		`tests "8", which is none of the`: func(p *Plan) { p.Keeps = []expr.Condition{testOf("8")} },
		`by "1:0", which is none of its `: func(p *Plan) { p.Keeps, p.Columns[0].Keep = []expr.Condition{expr.Not{Of: testOf("1:0")}}, 1 },
		"a condition on rows is empty":    func(p *Plan) { p.Keeps = []expr.Condition{nil} },
		"no condition 1 on rows":          func(p *Plan) { p.Columns[0].Keep = 1 },
		"there is no condition -1":        func(p *Plan) { p.Columns[0].Keep = -1 },
		"there is no part 2 of a text":    func(p *Plan) { p.Columns[0].Part, p.Parts = 2, []value.Part{{Start: 1}} },
		"a text that is cut at nothing":   func(p *Plan) { p.Parts = []value.Part{{Index: 1}} },
		"1001 conditions on rows":         func(p *Plan) { p.Keeps = slices.Repeat([]expr.Condition{testOf("0")}, 1001) },
		"and 1001 parts of texts":         func(p *Plan) { p.Parts = make([]value.Part, 1001) },
		`tests "0:x", which is none`:      func(p *Plan) { p.Where = testOf("0:x") },
		"a condition lacks an operand":    func(p *Plan) { p.Where = expr.Not{} },
	} {
		p := compile(t, "get computer name from all machines with uptime > 1 day")
		change(&p)
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func testOf(name string) expr.Test { return expr.Test{Name: name, Op: expr.Equal, Value: "x"} }

var errTimeout = errors.New("timed out after 60 seconds")
