package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestSensorList(t *testing.T) {
	f := newFleet(t)
	f.sensors = append(f.sensors,
		sensorObject{Name: "secret", Hidden: true},
		sensorObject{Name: "File Size", ValueType: "NumericInteger", MaxAgeSeconds: 90,
			Queries:    []sensorProgram{{Platform: "Linux", ScriptType: "UnixShell"}, {Platform: "Windows", ScriptType: "Powershell"}},
			Parameters: `{"parameterType":"x","parameters":[{"key":"path"},{"key":"unit"}]}`},
	)
	p := newPlace(t).at(f)
	out, errs, code := p.run("sensor", "list")
	want := `Name           Category  Parameters  Columns         Computed By                          Max Age
Computer Name  Reserved              String          the client                                1h
File Size                path, unit  NumericInteger  Linux UnixShell, Windows Powershell    1m30s
Free Memory    Hardware              DataSize        the client                                1m
Uptime Days    Hardware              NumericInteger  the client                               10m
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	out = p.says(t, "sensor", "list", "--filter", "HARDware", "--format", "csv")
	if want := "Name,Category,Parameters,Columns,Computed By,Max Age\r\nFree Memory,Hardware,,DataSize,the client,1m\r\nUptime Days,Hardware,,NumericInteger,the client,10m\r\n"; out != want {
		t.Errorf("got %q, want %q", out, want)
	}
}

func TestSensorShow(t *testing.T) {
	f := newFleet(t)
	f.sensors = append(f.sensors, sensorObject{
		Name: "Open / Files", Description: "Files that are\x1b[1m open", Delimiter: "|", MaxAgeSeconds: 7200,
		Subcolumns: []sensorColumn{{0, "Path", "String"}, {1, "Size", "DataSize"}},
		Queries:    []sensorProgram{{"Linux", "ls \x1b[2J\n\techo\n", "UnixShell"}},
		Parameters: `{"parameters":[{"key":"dir","label":"Folder","helpString":"below it","defaultValue":"/"}]}`,
	})
	p := newPlace(t).at(f)
	out, errs, code := p.run("sensor", "show", "open", "/", "files")
	want := `Name         Open / Files
Description  Files that are\x1b[1m open
Category
Columns      Path:String
             Size:DataSize
Delimiter    |
Max age      2h
Computed by  Linux UnixShell
Parameter    dir  Folder: below it (default "/")

# Linux UnixShell
ls \x1b[2J
	echo
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	out = p.says(t, "sensor", "show", "--json", "Open / Files")
	if !strings.HasPrefix(out, "{\n  \"name\": \"Open / Files\",\n  \"description\": \"Files that are\\u001b[1m open\",") {
		t.Errorf("got %s", out)
	}
	_, errs, code = p.run("sensor", "show", "Nothing")
	if want := "catenary: sensor \"Nothing\": REST Object Not Found Exception:  SensorNotFound: The requested sensor was not found\n"; errs != want || code != exitFailed {
		t.Errorf("got %q, code %d", errs, code)
	}
}

func TestSensorCreate(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	script := filepath.Join(t.TempDir(), "mounts.sh")
	p.write(script, "mount\n")
	base := []string{"sensor", "create", "--name", "Mounts", "--platform", "Linux,Mac", "--language", "UnixShell", "--file", script}
	_, errs, code := p.run(append(base, "--column", "Mount: Point:String", "--column", "Size:DataSize", "--max-age", "1h",
		"--parameter", "dir=Folder = place", "--parameter", "unit=Unit", "--category", "Disk", "--description", "What is mounted")...)
	if want := "Made the sensor Mounts. Try: catenary ask 'Get Mounts[dir,unit] from all machines'\n"; errs != want || code != exitOK {
		t.Fatalf("got %q, code %d", errs, code)
	}
	got := f.sensors[len(f.sensors)-1]
	params, err := got.parameters()
	if err != nil {
		t.Fatal(err)
	}
	if got.Description != "What is mounted" || got.Category != "Disk" || got.Delimiter != "|" || got.MaxAgeSeconds != 3600 ||
		got.columns() != "Mount: Point:String, Size:DataSize" || got.computed() != "Linux UnixShell, Mac UnixShell" || got.Queries[1].Script != "mount\n" {
		t.Errorf("the server got %+v", got)
	}
	want := []sensorParameter{{Key: "dir", Label: "Folder = place", Type: textParameterType}, {Key: "unit", Label: "Unit", Type: textParameterType}}
	if len(params) != 2 || params[0] != want[0] || params[1] != want[1] {
		t.Errorf("the server got the parameters %+v", params)
	}
	if _, errs, code := p.run(base...); code != exitUsage || errs != "catenary: sensor \"Mounts\": SensorNameAlreadyExists\n" {
		t.Errorf("a second time: %q, code %d", errs, code)
	}
	base[3] = "Mount Count"
	if _, errs, code := p.run(append(base, "--type", "NumericInteger")...); code != exitOK {
		t.Fatal(errs)
	}
	if got := f.sensors[len(f.sensors)-1]; got.ValueType != "NumericInteger" || got.Delimiter != "" || got.Subcolumns != nil || got.Parameters != "" || got.MaxAgeSeconds != 900 {
		t.Errorf("the server got %+v", got)
	}
}

func TestSensorCreateErrors(t *testing.T) {
	dir := t.TempDir()
	p := newPlace(t)
	script, empty, huge := filepath.Join(dir, "s.sh"), filepath.Join(dir, "empty.sh"), filepath.Join(dir, "huge.sh")
	p.write(script, "true")
	p.write(empty, "")
	p.write(huge, strings.Repeat("#", scriptMax+1))
	tests := []struct {
		says string
		args []string
	}{
		{"needs --name, --platform, --language and --file", []string{"--name", ""}},
		{"needs --name, --platform, --language and --file", []string{"--language", ""}},
		{`--platform "linux": write Linux, Windows or Mac`, []string{"--platform", "linux"}},
		{`--language "Perl": write UnixShell, Python or Powershell`, []string{"--language", "Perl"}},
		{"the script: open " + filepath.Join(dir, "none.sh"), []string{"--file", filepath.Join(dir, "none.sh")}},
		{"the script: " + empty + " is empty", []string{"--file", empty}},
		{"is larger than 262144 bytes", []string{"--file", huge}},
		{`--type "Text" is not a type`, []string{"--type", "Text"}},
		{"a single column bears the sensor's name", []string{"--column", "A:String"}},
		{`--column "A": write NAME:TYPE`, []string{"--column", "A", "--column", "B:String"}},
		{`--column ":String": write NAME:TYPE`, []string{"--column", ":String", "--column", "B:String"}},
		{`--column "A:Text": "Text" is not a type`, []string{"--column", "A:Text", "--column", "B:String"}},
		{"several columns need a --delimiter", []string{"--column", "A:String", "--column", "B:String", "--delimiter", ""}},
		{`--parameter "path": write KEY=LABEL`, []string{"--parameter", "path"}},
		{"--max-age 500ms: at least a second", []string{"--max-age", "500ms"}},
		{`--mode "Sealed": write merged, attested or sealed`, []string{"--mode", "Sealed"}},
	}
	for _, tt := range tests {
		args := append([]string{"sensor", "create", "--name", "N", "--language", "UnixShell", "--file", script}, tt.args...)
		if tt.args[0] != "--platform" {
			args = append(args, "--platform", "Linux")
		}
		if _, errs, code := p.run(args...); code != exitUsage || !strings.Contains(errs, tt.says) {
			t.Errorf("%q: got %q, code %d, want %q", tt.args, errs, code, tt.says)
		}
	}
}

// TestSensorFromInput: a script may come from another program.
func TestSensorFromInput(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	p.piped = "echo piped\n"
	if _, errs, code := p.run("sensor", "create", "--name", "Piped", "--platform", "Linux", "--language", "UnixShell", "--file", "-"); code != exitOK {
		t.Fatal(errs)
	}
	if got := f.sensors[len(f.sensors)-1]; len(got.Queries) != 1 || got.Queries[0].Script != p.piped {
		t.Errorf("the server got %+v", got)
	}
}

// TestSensorMode: how answers travel is said to the server, and shown, if it is
// not the usual way.
func TestSensorMode(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	script := filepath.Join(t.TempDir(), "s.sh")
	p.write(script, "true")
	for mode, want := range map[string]string{"merged": "", "attested": "attested", "sealed": "sealed"} {
		if _, errs, code := p.run("sensor", "create", "--name", "My "+mode, "--platform", "Linux", "--language", "UnixShell", "--file", script, "--mode", mode); code != exitOK {
			t.Fatal(errs)
		}
		if got := f.sensors[len(f.sensors)-1]; got.Mode != want {
			t.Errorf("%s: the server got %+v", mode, got)
		}
		out := p.says(t, "sensor", "show", "My "+mode)
		if shown := strings.Contains(out, "Answers travel  "+mode+"\n"); shown != (want != "") {
			t.Errorf("%s: shows\n%s", mode, out)
		}
	}
}
