package sim

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	faultsFlag = flag.Bool("faults", false, "let TestPlantedFaults plant its faults")
	onlyFlag   = flag.String("only", "", "plant only faults whose title contains this")
)

// guards are the packages whose tests should notice a fault.
var guards = []string{"answer", "chain", "sweep", "node", "server/roster", "server/tally", "sim"}

// A fault is a change of one file that makes the program wrong.
type fault struct {
	title, file string
	out, in     string // lines, with their ends
}

// readFaults reads testdata/faults.txt.
func readFaults(t *testing.T) []fault {
	data, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []fault
	for i, part := range strings.Split(string(data), "\n## ")[1:] {
		lines := strings.SplitAfter(strings.TrimRight(part, "\n")+"\n", "\n")
		f := fault{title: strings.TrimSpace(lines[0]), file: strings.TrimSpace(lines[1])}
		for _, line := range lines[2:] {
			switch {
			case strings.HasPrefix(line, "-"):
				f.out += line[1:]
			case strings.HasPrefix(line, "+"):
				f.in += line[1:]
			case strings.TrimSpace(line) != "":
				t.Fatalf("fault %d: %q is neither - nor +", i+1, line)
			}
		}
		all = append(all, f)
	}
	return all
}

// plant returns the file's text with the fault in it. The last line that is
// taken out may be the beginning of a line.
func (f fault) plant() (string, error) {
	src, err := os.ReadFile(filepath.Join("..", f.file))
	if err != nil {
		return "", err
	}
	out, in := strings.TrimSuffix(f.out, "\n"), strings.TrimSuffix(f.in, "\n")
	if n := strings.Count(string(src), out); n != 1 {
		return "", fmt.Errorf("%q: its lines are %d times in %s", f.title, n, f.file)
	}
	return strings.Replace(string(src), out, in, 1), nil
}

// TestFaultsApply: each fault still finds its place in the sources.
func TestFaultsApply(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range readFaults(t) {
		text, err := f.plant()
		if err == nil {
			_, err = parser.ParseFile(token.NewFileSet(), f.file, text, parser.SkipObjectResolution)
		}
		if err != nil {
			t.Error(err)
		}
		if seen[f.title] {
			t.Errorf("two faults are called %q", f.title)
		}
		seen[f.title] = true
	}
	if len(seen) < 24 {
		t.Errorf("only %d faults", len(seen))
	}
}

// TestPlantedFaults plants each fault, runs the tests of all guards and prints
// who noticed. It takes some twenty minutes and runs only when asked for:
//
//	go test ./internal/sim -run TestPlantedFaults -faults -v -timeout 1h
func TestPlantedFaults(t *testing.T) {
	if !*faultsFlag {
		return
	}
	caught, planted := 0, 0
	for _, f := range readFaults(t) {
		if !strings.Contains(f.title, *onlyFlag) {
			continue
		}
		by := f.noticed(t)
		planted++
		if len(by) > 0 {
			caught++
		}
		fmt.Printf("| %d | `%s` | %s | %s |\n", planted, f.file, f.title, strings.Join(by, ", "))
	}
	fmt.Printf("%d of %d faults were noticed\n", caught, planted)
}

// noticed returns the guards whose tests fail with the fault in place, each
// with the first test that failed.
func (f fault) noticed(t *testing.T) []string {
	text, err := f.plant()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(filepath.Join("..", f.file))
	if err != nil {
		t.Fatal(err)
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(changed, []byte(text), 0o666), os.WriteFile(overlay, replace, 0o666)); err != nil {
		t.Fatal(err)
	}
	var by []string
	for _, guard := range guards {
		if verdict := runGuard(t, overlay, guard); verdict != "" {
			by = append(by, verdict)
		}
	}
	return by
}

var failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// runGuard runs the tests of a package with the overlay, and says what failed.
func runGuard(t *testing.T, overlay, guard string) string {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{"test", "-overlay", overlay, "-vet=off", "-timeout=100s", "."}
	switch {
	case guard == "sim":
		args = append(args, "-run=TestStorms", "-runs=200")
	case usesRapid(t, guard):
		args = append(args, "-rapid.nofailfile")
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join("..", guard)
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return ""
	case strings.Contains(string(out), "[build failed]"), strings.Contains(string(out), "flag provided but not defined"):
		t.Fatalf("%s: %s", guard, out)
	}
	tests := failed.FindAllStringSubmatch(string(out), -1)
	if len(tests) == 0 {
		return guard + " (does not end)"
	}
	return guard + " " + tests[len(tests)-1][1]
}

func usesRapid(t *testing.T, guard string) bool {
	files, err := filepath.Glob(filepath.Join("..", guard, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(file string) bool {
		data, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(data), `"pgregory.net/rapid"`)
	})
}
