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

// compile returns the plan of a question's text.
func compile(t testing.TB, text string) Plan {
	t.Helper()
	q, err := question.Parse(text, catalogue(t))
	if err != nil {
		t.Fatal(err)
	}
	p, err := Compile(q, catalogue(t), Options{Definition: definition})
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
	}
	fmt.Fprintf(&b, " | shows %v needs %v | %v", p.Selects, p.WhereUses(), p.Where)
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
	} {
		p := compile(t, line.text)
		if got := show(p); got != line.want {
			t.Errorf("%s\ngot  %s\nwant %s", line.text, got, line.want)
		}
		if q, err := question.Parse(p.Text, catalogue(t)); err != nil || q.String() != p.Text {
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
	q := question.Question{Selects: []question.Ref{{Sensor: "log lines"}}}
	p, err := Compile(q, catalogue(t), Options{ComputerID: true})
	if err != nil || !p.ComputerID || p.Columns[0].Name != "Computer ID" || !p.Sensors[0].KeepDuplicates || p.Text != "Get Log Lines from all machines" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestCompileRefuses(t *testing.T) {
	c := catalogue(t)
	const with = "get number of machines from all machines with "
	for _, line := range []struct{ text, want string }{
		{with + `computer name contains "("`, `Computer Name contains "(": "(" is no regular expression: error parsing regexp: missing closing ): ` + "`(`; for the text itself, write \\("},
		{with + `computer name not starts with "C++"`, "Computer Name starts with C++: \"C++\" is no regular expression: error parsing regexp: invalid nested repetition operator: `++`; for the text itself, write C\\+\\+"},
		{with + `installed applications:name matches "a)(b"`, `Installed Applications:Name matches "a)(b": "a)(b" is no regular expression`},
		{with + `computer name contains "a)|(b"`, `unexpected )`},
		{with + `computer name matches "(?=x)"`, "invalid or unsupported Perl syntax"},
		{with + "free memory > lots", `Free Memory > lots: "lots" cannot be read as DataSize, such as 1.5 GB`},
		{with + "uptime < 5 fortnights", `cannot be read as TimeDiff, such as 4.2 hours`}, {with + "address >= localhost", `cannot be read as IPAddress, such as 10.0.0.1`},
		{with + "cpu consumption > much", `cannot be read as Numeric, such as 0.5`}, {with + "last reboot > today", `cannot be read as BESDate, such as Sun, `},
		{with + "boot > today", `cannot be read as WMIDate, such as 2026`}, {with + "seen > today", `cannot be read as VariousDate, such as 2026-11-22 01:30:00`},
		{with + "computer id > 1.5", `cannot be read as NumericInteger, such as 42`}, {with + "installed applications:version > new", `cannot be read as Version, such as 1.10.2`},
	} {
		q, err := question.Parse(line.text, c)
		if err != nil {
			t.Errorf("%s: %v", line.text, err)
			continue
		}
		if _, err := Compile(q, c, Options{}); err == nil || !strings.Contains(err.Error(), line.want) || fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s\ngot  %v\nwant %s", line.text, err, line.want)
		}
	}
	var many question.Question
	conditions := question.Or{}
	for i := range SensorsMax + 1 {
		conditions = append(conditions, question.Test{
			Ref: question.Ref{Sensor: "Folder Contents", Params: []string{fmt.Sprint(i)}, Column: "Name"}, Op: question.Equals})
	}
	many.Where = conditions
	large := func(sensor.Sensor) []byte { return make([]byte, BytesMax) }
	patch := question.Question{Selects: []question.Ref{{Sensor: "Patch Level"}}}
	for want, try := range map[string]func() error{
		"needs 257 sensors, more than 256": func() error { _, err := Compile(many, c, Options{}); return err },
		`no sensor is called "x"`: func() error {
			_, err := Compile(question.Question{Selects: []question.Ref{{Sensor: "x"}}}, c, Options{})
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
