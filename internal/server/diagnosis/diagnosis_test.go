package diagnosis

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 123_456_789, time.UTC)

func opened(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() }) // some tests have closed it
	return f
}

func kept(t *testing.T, f *Folder, at time.Time, most int) Report {
	t.Helper()
	r, err := f.Keep(at, []byte(at.String()), most)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func names(t *testing.T, f *Folder) string {
	t.Helper()
	list, err := f.List()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range list {
		out = append(out, r.Made.Format("15:04"))
	}
	return strings.Join(out, " ")
}

// TestKeep: the newest stay, each with what is in it, for its owner only; files of
// others stay as they are.
func TestKeep(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "diagnostics")
	f := opened(t, dir)
	foreign := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(foreign, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		r := kept(t, f, noon.Add(time.Duration(i)*time.Hour), 3)
		if want := fmt.Sprintf("diagnostics-20261122T%d0000.123Z.json", 12+i); r.Name != want {
			t.Errorf("it is called %s, want %s", r.Name, want)
		}
	}
	if got := names(t, f); got != "16:00 15:00 14:00" {
		t.Errorf("kept are %s", got)
	}
	r := kept(t, f, noon.Add(-time.Hour), 3) // the clock was set back
	if got := names(t, f); got != "16:00 15:00 11:00" {
		t.Errorf("kept are %s", got)
	}
	content, err := f.Read(r.Name)
	if err != nil || string(content) != noon.Add(-time.Hour).String() {
		t.Errorf("in it is %q, %v", content, err)
	}
	info, err := os.Stat(filepath.Join(dir, r.Name))
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != r.Size {
		t.Errorf("the file: %v %v", info, err)
	}
	kept(t, f, noon.Add(9*time.Hour), 1)
	if got := names(t, f); got != "21:00" {
		t.Errorf("kept are %s", got)
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
	if _, err := f.Keep(noon, make([]byte, reportMax+1), 3); fault.KindOf(err) != fault.Internal {
		t.Errorf("too large: %v", err)
	}
}

// TestNamesOfReports: nothing else can be read.
func TestNamesOfReports(t *testing.T) {
	dir := t.TempDir()
	f := opened(t, filepath.Join(dir, "d"))
	if err := os.WriteFile(filepath.Join(dir, "secret.json"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := kept(t, f, noon, 3).Name
	for _, name := range []string{"", ".", "../secret.json", "diagnostics-20261122T120000.123Z.json.part", "diagnostics-20261122T120001.123Z.json", "../d/" + good, good + "\n"} {
		if content, err := f.Read(name); fault.KindOf(err) != fault.NotFound {
			t.Errorf("%q is read: %q, %v", name, content, err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "d", "diagnostics-20261122T130000.123Z.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "d", "diagnostics-20260231T130000.123Z.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := names(t, f); got != "12:00" {
		t.Errorf("reports are %s", got)
	}
}

// TestCutOff: what was being written when the server ended is gone when it is
// back, and what is there is there as a whole.
func TestCutOff(t *testing.T) {
	dir := t.TempDir()
	f := opened(t, dir)
	whole := kept(t, f, noon, 3)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(dir, whole.Name+partly)
	if err := os.WriteFile(part, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	f = opened(t, dir)
	if _, err := os.Stat(part); !os.IsNotExist(err) {
		t.Errorf("the part is there: %v", err)
	}
	if got := names(t, f); got != "12:00" {
		t.Errorf("reports are %s", got)
	}
}

// TestNothingHalfWritten: a report that cannot be written leaves nothing, and the
// others as they are.
func TestNothingHalfWritten(t *testing.T) {
	dir := t.TempDir()
	f := opened(t, dir)
	kept(t, f, noon, 3)
	at := noon.Add(time.Hour)
	// What its name stands for is a folder that is not empty.
	if err := os.MkdirAll(filepath.Join(dir, begins+at.Format(stamp)+ends, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if r, err := f.Keep(at, []byte("{}"), 1); err == nil {
		t.Errorf("%+v is kept", r)
	}
	if got := names(t, f); got != "12:00" {
		t.Errorf("reports are %s", got)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*"+partly)); err != nil || len(left) > 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}
