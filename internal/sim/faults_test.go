package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	faultsFlag = flag.Bool("faults", false, "let TestPlantedFaults plant its faults")
	onlyFlag   = flag.String("only", "", "plant only faults whose file or title contains this")
	fromFlag   = flag.Int("from", 1, "begin with this one of them")
	quickFlag  = flag.Bool("quick", false, "be content with the first guard that notices a fault")
	sampleFlag = flag.Uint64("sample", 0, "let TestSample play this many storms, five times as many trials, and a fifth as many herds")
)

// guards are the packages whose tests should notice a fault, the quick ones first.
var guards = []string{
	"answer", "chain", "sweep", "node", "server/tally", "server/dispatch", "wire", "server/roster", "sim",
}

const (
	// sample is how many storms the simulator plays with each fault: some three
	// seconds, for a fault that it does not notice.
	sample = 25
	// guardSeconds and guardMemory are when a guard has run into an endless loop,
	// in seconds of a processor and in KiB of addresses. The slowest takes five.
	guardSeconds = 40
	guardMemory  = 6 << 20
)

// A fault is a change of one file that makes the program wrong.
type fault struct {
	title, file string
	out, in     string // lines, with their ends
	harmless    string // why no test can notice it, or empty
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
			case strings.HasPrefix(line, "="):
				f.harmless += line[1:]
			case strings.TrimSpace(line) != "":
				t.Fatalf("fault %d: %q is none of - + =", i+1, line)
			}
		}
		f.harmless = strings.TrimSpace(f.harmless)
		all = append(all, f)
	}
	return all
}

// plant returns the file's text with the fault in it. What is taken out may be
// less than a line at its beginning and its end.
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
	rooms := map[string]int{}
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
		rooms[path.Dir(f.file)]++
	}
	for room, want := range map[string]int{
		"chain": 80, "server/tally": 40, "sweep": 70, "node": 40, "server/dispatch": 25,
		"server/roster": 15, "answer": 8, "wire": 10,
	} {
		if rooms[room] < want {
			t.Errorf("%d faults in %s, want %d at least", rooms[room], room, want)
		}
	}
}

// TestPlantedFaults plants each fault, runs the tests of all guards that it
// concerns and prints who noticed. It takes an hour or more and runs only when
// asked for (bench/faults.md):
//
//	go test ./internal/sim -run TestPlantedFaults -faults -v -timeout 4h
func TestPlantedFaults(t *testing.T) {
	if !*faultsFlag {
		return
	}
	concerned := uses(t)
	var all []fault
	for _, f := range readFaults(t) {
		if strings.Contains(f.file+": "+f.title, *onlyFlag) {
			all = append(all, f)
		}
	}
	planted, caught, harmless := 0, 0, 0
	for i, f := range all {
		if i+1 < *fromFlag {
			continue
		}
		begun := time.Now()
		planted++
		by, err := f.noticed(t.Context(), t.TempDir(), concerned[path.Dir(f.file)])
		switch {
		case err != nil:
			t.Errorf("%q: %v", f.title, err)
			continue
		case len(by) > 0 && f.harmless != "":
			t.Errorf("%q is said to do no harm, but was noticed", f.title)
		case len(by) > 0:
			caught++
		case f.harmless != "":
			harmless++
			by = append(by, "nobody: "+f.harmless)
		default:
			t.Errorf("nobody has noticed %q", f.title)
		}
		fmt.Printf("| %d | `%s` | %s | %s |\n", i+1, f.file, f.title, strings.Join(by, ", "))
		t.Logf("%d of %d after %v: %q", i+1, len(all), time.Since(begun).Round(time.Second), f.title)
	}
	fmt.Printf("%d of %d faults were noticed, %d do no harm\n", caught, planted, harmless)
}

// uses returns, for each room, the guards whose tests contain it.
func uses(t *testing.T) map[string][]string {
	all := map[string][]string{}
	for _, guard := range guards {
		cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-test", ".")
		cmd.Dir = filepath.Join("..", guard)
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " ")
			if room, ours := strings.CutPrefix(line, "catenary/internal/"); ours && !slices.Contains(all[room], guard) {
				all[room] = append(all[room], guard)
			}
		}
	}
	return all
}

// noticed returns the guards whose tests fail with the fault in place, each
// with the last test that failed.
func (f fault) noticed(ctx context.Context, dir string, concerned []string) (by []string, err error) {
	text, err := f.plant()
	if err != nil {
		return nil, err
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(filepath.Join("..", f.file))
	if err != nil {
		return nil, err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.WriteFile(changed, []byte(text), 0o666), os.WriteFile(overlay, replace, 0o666)); err != nil {
		return nil, err
	}
	if !*quickFlag {
		return ask(ctx, dir, overlay, concerned)
	}
	nearest := slices.Clone(concerned) // the tests of the changed package first
	slices.SortStableFunc(nearest, func(a, b string) int {
		return cmp.Compare(strings.Index(path.Dir(f.file), b), strings.Index(path.Dir(f.file), a))
	})
	for i := range nearest {
		if by, err = ask(ctx, dir, overlay, nearest[i:i+1]); err != nil || len(by) > 0 {
			break
		}
	}
	return by, err
}

// ask builds the guards' tests with the overlay and returns those that fail.
func ask(ctx context.Context, dir, overlay string, guards []string) (by []string, err error) {
	build := exec.CommandContext(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", dir+"/")
	for _, guard := range guards {
		build.Args = append(build.Args, "./"+guard)
	}
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, out)
	}
	for _, guard := range guards {
		verdict, err := runGuard(ctx, dir, guard)
		if err != nil {
			return by, err
		}
		if verdict != "" {
			by = append(by, verdict)
		}
	}
	return by, nil
}

var (
	failed = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	seeded = regexp.MustCompile(`(?m)^\s+faults_test.go:\d+: (\w+ \d+): `)
)

// runGuard runs the tests of a package that lie in dir, and says what failed.
// All chance has a fixed seed, so that the same is noticed each time.
func runGuard(ctx context.Context, dir, guard string) (verdict string, err error) {
	limits := fmt.Sprintf(`ulimit -t %d && ulimit -v %d && exec "$0" "$@"`, guardSeconds, guardMemory)
	cmd := exec.CommandContext(ctx, "sh", "-c", limits, filepath.Join(dir, path.Base(guard)+".test"))
	cmd.Dir = filepath.Join("..", guard)
	if guard == "sim" {
		cmd.Args = append(cmd.Args, "-test.run=^TestSample$", fmt.Sprintf("-sample=%d", sample))
	} else if uses, err := usesRapid(guard); err != nil {
		return "", err
	} else if uses {
		cmd.Args = append(cmd.Args, "-rapid.nofailfile", "-rapid.seed=1")
	}
	out, err := cmd.CombinedOutput()
	if err == nil {
		return "", nil
	}
	if seed := seeded.FindSubmatch(out); seed != nil {
		return guard + " " + string(seed[1]), nil
	}
	tests := failed.FindAllSubmatch(out, -1)
	if len(tests) == 0 {
		return guard + " (does not end)", nil
	}
	return guard + " " + string(tests[len(tests)-1][1]), nil
}

func usesRapid(guard string) (bool, error) {
	files, err := filepath.Glob(filepath.Join("..", guard, "*_test.go"))
	if err != nil {
		return false, err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || strings.Contains(string(data), `"pgregory.net/rapid"`) {
			return true, err
		}
	}
	return false, nil
}

// TestSample is what the simulator says of a planted fault: it plays storms,
// trials and herds until one breaks a law.
func TestSample(t *testing.T) {
	for seed := range *sampleFlag {
		if _, err := Run(seed+1, Options{}); err != nil {
			t.Fatalf("storm %d: %v", seed+1, err)
		}
		for trial := 5 * seed; trial < 5*seed+5; trial++ {
			if _, err := RunTrial(trial+1, Control{}, Options{}); err != nil {
				t.Fatalf("trial %d: %v", trial+1, err)
			}
		}
		if seed%5 == 0 {
			if _, err := RunHerd(seed+1, Control{}, Options{}); err != nil {
				t.Fatalf("herd %d: %v", seed+1, err)
			}
		}
	}
}
