package probe

import (
	"context"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// newProbe returns a probe that looks at the machine each time it is asked.
func newProbe() *Probe {
	p := New(Self{
		Version: "1.2.3", ComputerID: func() uint32 { return 4294967295 },
		Status: func() Status {
			return Status{Address: netip.MustParseAddrPort("192.0.2.7:17472"), Server: netip.MustParseAddrPort("192.0.2.1:17472")}
		},
	})
	p.keep = 0
	return p
}

// parametersFor gives a sensor parameters that it can say something about.
func parametersFor(t *testing.T, s sensor.Sensor) []string {
	t.Helper()
	folder := t.TempDir()
	file, link := filepath.Join(folder, "file"), filepath.Join(folder, "link")
	if err := os.WriteFile(file, []byte("[one]\ntwo=three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "json"), []byte(`{"a":[1,"b"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	values := map[string]string{
		"path": file, "folder": folder, "pattern": filepath.Join(folder, "*"), "name": "*", "expression": "t.o", "text": "two", "section": "one",
		"key": "two", "place": "/a", "size": "15", "hash": strings.Repeat("0", 64), "process": "*", "variable": "PATH", "group": "root",
		"user": "root", "service": "*", "package": "dpkg", "tag": "a*", "setting": "Port",
	}
	switch s.Name {
	case "Folder Contents", "SUID Files", "World Writable Files", "Unowned Files", "File Capabilities", "Immutable Files":
		values["path"] = folder
	case "Link Target":
		values["path"] = link
	case "JSON Value":
		values["path"] = filepath.Join(folder, "json")
	case "Kernel Parameter":
		values["name"] = "kernel.ostype"
	case "Package of File":
		values["path"] = "/usr/bin/dpkg"
	}
	var params []string
	for _, p := range s.Parameters {
		v, ok := values[p.Key]
		if !ok {
			v = p.Default
		}
		params = append(params, v)
	}
	return params
}

// computedHere reports whether this client's own code computes a sensor.
func computedHere(s sensor.Sensor) bool {
	_, script := s.Script(platform)
	return slices.Contains(s.Platforms, platform) && !script
}

// TestEverySensorHasItsProbe holds the definitions against what is computed:
// the same names, and for each row as many texts as there are columns, each of
// its column's type. A fact that this machine lacks must say so.
func TestEverySensorHasItsProbe(t *testing.T) {
	p := newProbe()
	var defined []string
	for _, s := range sensor.Builtin() {
		if !computedHere(s) {
			if rows, err := p.Run(t.Context(), s.Name, nil); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "cannot be determined on") {
				t.Errorf("%s: %q, %v", s.Name, rows, err)
			}
			continue
		}
		defined = append(defined, s.Name)
		rows, err := p.Run(t.Context(), s.Name, parametersFor(t, s))
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.NotFound && kind != fault.Denied || rows != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			continue
		}
		for _, row := range rows {
			checkRow(t, s, row)
		}
	}
	computed := slices.Sorted(maps.Keys(p.facts))
	slices.Sort(defined)
	if !slices.Equal(computed, defined) {
		t.Errorf("computed are\n%q, defined\n%q", computed, defined)
	}
}

func checkRow(t *testing.T, s sensor.Sensor, row []string) {
	t.Helper()
	if len(row) != len(s.Columns) {
		t.Errorf("%s has a row of %d texts for %d columns: %q", s.Name, len(row), len(s.Columns), row)
		return
	}
	for i, cell := range row {
		if order, ok := value.Compare(s.Columns[i].Type, cell, cell); cell != "" && (!ok || order != 0) {
			t.Errorf("%s: %s cannot be read as %v: %q", s.Name, s.Columns[i].Name, s.Columns[i].Type, cell)
		}
	}
}

func TestWhatTheClientKnowsBetter(t *testing.T) {
	var id uint32
	p := New(Self{
		ComputerName: "mill-17", Version: "7.8", ComputerID: func() uint32 { return id },
		Addresses: []netip.Addr{netip.MustParseAddr("127.10.2.3"), netip.MustParseAddr("fd00::1")},
	})
	if _, err := p.Run(t.Context(), "Computer ID", nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("before registration: %v", err)
	}
	id = 3409330187
	for name, want := range map[string]string{
		"Computer Name": "mill-17", "Computer ID": "3409330187", "Client Version": "7.8", "IP Address": "127.10.2.3 fd00::1",
	} {
		if got := column(t, p, name, 0); strings.Join(got, " ") != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if _, err := New(Self{}).Run(t.Context(), "Client Version", nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("a client without a version: %v", err)
	}
	if _, err := New(Self{}).Run(t.Context(), "Computer ID", nil); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("a client without an ID: %v", err)
	}
}

// column runs a sensor and returns one of its columns.
func column(t *testing.T, p *Probe, name string, i int, params ...string) []string {
	t.Helper()
	rows, err := p.Run(t.Context(), name, params)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var texts []string
	for _, row := range rows {
		texts = append(texts, row[i])
	}
	return texts
}

func TestRunRefuses(t *testing.T) {
	p := newProbe()
	for _, c := range []struct {
		name   string
		params []string
		kind   fault.Kind
	}{
		{"No Such Sensor", nil, fault.NotFound},
		{"computer name", nil, fault.NotFound}, // names come in the catalogue's own spelling
		{"Computer Name", []string{"x"}, fault.Invalid},
		{"Running Processes", []string{"x"}, fault.Invalid},
		{"File Exists", nil, fault.Invalid},
		{"File Exists", []string{"/a", "/b"}, fault.Invalid},
		{"File Exists", []string{""}, fault.Invalid},
		{"File Exists", []string{"relative/path"}, fault.Invalid},
		{"File Hash", []string{"/etc\x00/passwd"}, fault.Invalid},
	} {
		if rows, err := p.Run(t.Context(), c.name, c.params); fault.KindOf(err) != c.kind || err == nil || rows != nil {
			t.Errorf("%s%q: %q, %v", c.name, c.params, rows, err)
		}
	}
}

func TestRunLimitsAndCleans(t *testing.T) {
	p := newProbe()
	p.facts["many"] = table(func(context.Context) ([][]string, error) { return make([][]string, rowsMax+1), nil })
	p.facts["most"] = table(func(context.Context) ([][]string, error) { return make([][]string, rowsMax), nil })
	p.facts["dirt"] = list(func(context.Context) ([]string, error) { return []string{"b\xff", "a\x00", "b\xff"}, nil })
	if _, err := p.Run(t.Context(), "many", nil); fault.KindOf(err) != fault.Invalid {
		t.Errorf("too many rows: %v", err)
	}
	if rows, err := p.Run(t.Context(), "most", nil); err != nil || len(rows) != rowsMax {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if got := column(t, p, "dirt", 0); !slices.Equal(got, []string{"a\uFFFD", "b\uFFFD"}) {
		t.Errorf("dirt became %q", got)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("")
	f.Add("a\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if !utf8.ValidString(got) || strings.ContainsRune(got, 0) || clean(got) != got {
			t.Fatalf("%q became %q", s, got)
		}
	})
}

func TestSpan(t *testing.T) {
	const day = 24 * time.Hour
	for d, want := range map[time.Duration]string{
		0:                                       "0 minutes",
		59 * time.Second:                        "0 minutes",
		time.Minute:                             "1 minute",
		59*time.Minute + 59*time.Second:         "59 minutes",
		time.Hour:                               "1 hour, 0 minutes",
		25*time.Hour + time.Minute:              "1 day, 1 hour",
		400*day + 23*time.Hour + 59*time.Minute: "400 days, 23 hours",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
	if order, ok := value.Compare(value.TimeDiff, span(25*time.Hour), span(day+2*time.Hour)); order != -1 || !ok {
		t.Errorf("25 hours against 26: %d, %t", order, ok)
	}
}

func TestSizeAndDate(t *testing.T) {
	for bytes, want := range map[uint64]string{0: "0MB", 1<<20 - 1: "0MB", 1 << 20: "1MB", 1<<64 - 1: "17592186044415MB"} {
		if got := size(bytes); got != want {
			t.Errorf("size(%d) = %q, want %q", bytes, got, want)
		}
	}
	if order, ok := value.Compare(value.DataSize, size(3<<30), "3GB"); order != 0 || !ok {
		t.Errorf("3 GB against itself: %d, %t", order, ok)
	}
	moment := time.Date(2026, 11, 22, 1, 30, 0, 0, time.FixedZone("", 3600))
	if got := date(moment); got != "Sun, 22 Nov 2026 01:30:00 +0100" {
		t.Errorf("date = %q", got)
	}
}

// says are the rows of a sensor, their texts with bars between.
func says(t *testing.T, p *Probe, sensor string, params ...string) []string {
	t.Helper()
	rows, err := p.Run(t.Context(), sensor, params)
	if err != nil {
		t.Fatalf("%s: %v", sensor, err)
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, strings.Join(row, "|"))
	}
	return lines
}
