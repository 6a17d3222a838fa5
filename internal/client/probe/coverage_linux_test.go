package probe

import (
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"catenary/internal/sensor"
)

// literals calls visit for the nodes of the package's files that are built for
// a system.
func literals(t *testing.T, system string, tests bool, visit func(file string, n ast.Node)) {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	context := build.Default
	context.GOOS = system
	for _, name := range names {
		if tests != strings.HasSuffix(name, "_test.go") {
			continue
		}
		if fits, err := context.MatchFile(".", name); err != nil || !fits {
			if err != nil {
				t.Fatal(err)
			}
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			visit(name, n)
			return true
		})
	}
}

func textOfLiteral(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.STRING {
		if s, err := strconv.Unquote(l.Value); err == nil {
			return s
		}
	}
	return ""
}

// TestTablesOfOtherPlatforms reads the code of platforms on which no test runs:
// what it has facts for is what the definitions say that it computes.
func TestTablesOfOtherPlatforms(t *testing.T) {
	for system, platform := range map[string]sensor.Platform{"linux": sensor.Linux, "windows": sensor.Windows, "darwin": sensor.Mac} {
		var computed, defined []string
		literals(t, system, false, func(_ string, n ast.Node) {
			pair, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return
			}
			name := textOfLiteral(pair.Key)
			if slices.ContainsFunc(sensor.Builtin(), func(s sensor.Sensor) bool { return s.Name == name }) {
				computed = append(computed, name)
			}
		})
		for _, s := range sensor.Builtin() {
			if _, script := s.Script(platform); slices.Contains(s.Platforms, platform) && !script {
				defined = append(defined, s.Name)
			}
		}
		slices.Sort(computed)
		slices.Sort(defined)
		if !slices.Equal(computed, defined) {
			t.Errorf("%s: computed and not defined are %q, defined and not computed %q", system, without(computed, defined), without(defined, computed))
		}
	}
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// TestEverySensorIsHeldAgainstSomething: a sensor that no test names by itself
// is one that could say anything.
func TestEverySensorIsHeldAgainstSomething(t *testing.T) {
	named := map[string]bool{}
	literals(t, "linux", true, func(file string, n ast.Node) {
		if e, ok := n.(ast.Expr); ok && file != "bench_linux_test.go" {
			named[textOfLiteral(e)] = true
		}
	})
	for _, s := range sensor.Builtin() {
		if slices.Contains(s.Platforms, sensor.Linux) && !named[s.Name] {
			t.Errorf("no test holds %s against anything", s.Name)
		}
	}
}

func TestClientIsWhatPsSays(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	id := strconv.Itoa(os.Getpid())
	compareAll(t, newProbe(), []comparison{
		{"Client Program", nil, []int{0, 1}, shell(`readlink /proc/` + id + `/exe | tr '\n' '|'; sha256sum ` + exe + ` | cut -c1-64`)},
		{"Client Environment", nil, []int{0}, shell(`tr '\0' '\n' < /proc/` + id + `/environ | sed 's/=.*//'`)},
		{"Client Uptime", nil, nil, shell(`s=$(ps -o etimes= -p ` + id + `); m=$((s / 60)); [ $m = 1 ] && echo "1 minute" || echo "$m minutes"`)},
		{"CPU Microcode", nil, nil, shell(`sed -n 's/^microcode[^:]*: *//p' /proc/cpuinfo | sort -u`)},
		{"Free Swap", nil, nil, shell(`free --mebi | awk '/^Swap:/ { print $4 "MB" }'`)},
	})
	within := func(sensor string, tolerance float64, script string) {
		t.Helper()
		ours := number(t, strings.TrimSuffix(says(t, newProbe(), sensor)[0], "MB"))
		theirs := number(t, tool(t, "sh", "-c", script)[0])
		if d := ours - theirs; d > tolerance || d < -tolerance {
			t.Errorf("%s: we say %v, the tool says %v", sensor, ours, theirs)
		}
	}
	within("Client Memory", 32, `echo $(($(ps -o rss= -p `+id+`) / 1024))`)
	// A process that is young when it is asked changes its share quickly: ours must
	// lie between what its work and its age were before and after.
	ages := func() (worked, age float64) {
		t.Helper()
		f := strings.Fields(tool(t, "awk", `NR == FNR { up = $1; next } { sub(".*[)] ", ""); print $12 + $13, 100 * up - $20 }`, "/proc/uptime", "/proc/"+id+"/stat")[0])
		return number(t, f[0]), number(t, f[1])
	}
	worked, age := ages()
	ours := number(t, says(t, newProbe(), "Client CPU Consumption")[0])
	workedThen, ageThen := ages()
	const tick = 2 // of work and age, in hundredths of a second
	if least, most := 100*(worked-tick)/(ageThen+tick), 100*(workedThen+tick)/(age-tick); ours < least || ours > most {
		t.Errorf("Client CPU Consumption: we say %v, the system %v to %v", ours, least, most)
	}
	within("Used Memory Percent", 5, `free --mebi | awk '/^Mem:/ { print int(100 * ($2 - $7) / $2 + 0.5) }'`)
	within("CPU Speed", 1, `for f in /sys/devices/system/cpu/cpu*/cpufreq/cpuinfo_max_freq; do [ -e $f ] && awk '{ print $1 / 1000 }' $f; done | sort -n | tail -1 | grep . || awk -F: '/^cpu MHz/ && $2 > m { m = $2 } END { print m + 0 }' /proc/cpuinfo`)
}

func TestSecretsOfTheEnvironmentAreKept(t *testing.T) {
	t.Setenv("CATENARY_SECRET", "hunter2")
	t.Setenv("LANG", "C.UTF-8")
	got := says(t, newProbe(), "Client Environment")
	if !slices.Contains(got, "CATENARY_SECRET|") || !slices.Contains(got, "LANG|C.UTF-8") || strings.Contains(strings.Join(got, "\n"), "hunter2") {
		t.Errorf("the environment is %q", got)
	}
}

func TestTopProcessesByMemory(t *testing.T) {
	rows, err := newProbe().Run(t.Context(), "Top Processes by Memory", nil)
	if err != nil || len(rows) == 0 {
		t.Fatalf("%q, %v", rows, err)
	}
	theirs := tool(t, "sh", "-c", `ps -eo pid=,rss= --sort=-rss | head -5 | awk '{ print $1 }'`)
	if !slices.Contains(theirs, rows[0][1]) {
		t.Errorf("%q is the greatest for us, for ps those are %q", rows[0], theirs)
	}
	for i := 1; i < len(rows); i++ {
		if number(t, strings.TrimSuffix(rows[i][3], "MB")) > number(t, strings.TrimSuffix(rows[i-1][3], "MB")) {
			t.Errorf("not in order: %q", rows)
		}
	}
}

func TestProcessCapabilities(t *testing.T) {
	stat := " (x) S 1 1 1 0 -1 0 0 0 0 0 300 200 0 0 20 0 3 0 1000 0 256"
	p := probeOn(t, files{
		"proc/stat": "btime 1790000000\n", "etc/passwd": "alice:x:1000:1000::/:/bin/sh\nroot:x:0:0::/:/bin/sh\n",
		"proc/7/stat": "7" + stat, "proc/7/status": "Name:\tx\nCapPrm:\t0\nCapEff:\t0000000000003000\n", "proc/8/stat": "8" + stat, "proc/8/status": "CapEff:\t0000000000000000\n",
		"proc/9/stat": "9" + stat, "proc/9/status": "CapEff:\t000001ffffffffff\n",
	})
	for pid, uid := range map[string]int{"7": 1000, "8": 1000, "9": 0} {
		if err := os.Chown(p.root.at("proc/"+pid), uid, uid); err != nil {
			t.Skipf("only root may give folders away: %v", err)
		}
	}
	saysAll(t, p, []saying{{"Process Capabilities", nil, []string{"x|alice|cap_net_admin,cap_net_raw"}}})
}
