package probe

import (
	"context"
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

func newProbe() *Probe {
	return New(Self{Version: "1.2.3", ComputerID: func() uint32 { return 4294967295 }})
}

// parametersFor gives a sensor a path that it can say something about.
func parametersFor(t *testing.T, s sensor.Sensor) []string {
	t.Helper()
	if len(s.Parameters) == 0 {
		return nil
	}
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s.Name == "Folder Contents" {
		return []string{folder}
	}
	return []string{file}
}

// TestEverySensorHasItsProbe holds the definitions against what is computed:
// the same names, and for each row as many texts as there are columns, each of
// its column's type. A fact that this machine lacks must say so.
func TestEverySensorHasItsProbe(t *testing.T) {
	p := newProbe()
	var defined []string
	for _, s := range sensor.Builtin() {
		defined = append(defined, s.Name)
		rows, err := p.Run(t.Context(), s.Name, parametersFor(t, s))
		if err != nil {
			if kind := fault.KindOf(err); kind != fault.NotFound && kind != fault.Denied || rows != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
			continue
		}
		if !slices.Contains(s.Platforms, platform) {
			t.Errorf("%s is computed on %s, which its definition does not tell", s.Name, platform)
		}
		for _, row := range rows {
			checkRow(t, s, row)
		}
	}
	var computed []string
	for name := range p.facts {
		computed = append(computed, name)
	}
	slices.Sort(computed)
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
