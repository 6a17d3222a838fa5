package probe

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Much of what sensors tell is not there on the machine that runs the tests:
// batteries, firmware, containers. The helpers of this file make the files of
// a machine that has it.

// files are those of a machine, by their paths. A content that begins with an
// arrow makes a link, a path that ends with a slash a folder.
type files map[string]string

// probeOn returns a probe that looks at a machine with these files.
func probeOn(t *testing.T, all files) *Probe {
	t.Helper()
	p, root := newProbe(), t.TempDir()
	p.root = tree(root)
	for path, content := range all {
		at := filepath.Join(root, path)
		if strings.HasSuffix(path, "/") {
			if err := os.MkdirAll(at, 0o755); err != nil {
				t.Fatal(err)
			}
			continue
		}
		target, isLink := strings.CutPrefix(content, "-> ")
		if !isLink {
			write(t, at, content)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, at); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// A saying is what a sensor is to say.
type saying struct {
	sensor string
	params []string
	want   []string
}

// saysAll holds sensors against what they are to say, in any order.
func saysAll(t *testing.T, p *Probe, all []saying) {
	t.Helper()
	for _, s := range all {
		got := says(t, p, s.sensor, s.params...)
		slices.Sort(got)
		if want := slices.Sorted(slices.Values(s.want)); !slices.Equal(got, want) {
			t.Errorf("%s%q says\n%s\nand should say\n%s", s.sensor, s.params, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// A comparison holds columns of a sensor against a program of the system's.
type comparison struct {
	sensor  string
	params  []string
	columns []int    // nil: all
	tool    []string // a program and its arguments
}

// shell and python are scripts, as a comparison takes them.
func shell(script string) []string  { return []string{"sh", "-c", script} }
func python(script string) []string { return []string{"python3", "-c", script} }

// compareAll holds sensors against the system's programs. The lines of each
// program are the rows, with bars between their texts.
func compareAll(t *testing.T, p *Probe, all []comparison) {
	t.Helper()
	for _, c := range all {
		t.Run(c.sensor, func(t *testing.T) {
			sameEventually(t, c.sensor, func() []string {
				rows, err := p.Run(t.Context(), c.sensor, c.params)
				if err != nil {
					t.Fatal(err)
				}
				var lines []string
				for _, row := range rows {
					var texts []string
					for i, text := range row {
						if c.columns == nil || slices.Contains(c.columns, i) {
							texts = append(texts, text)
						}
					}
					lines = append(lines, strings.Join(texts, "|"))
				}
				return lines
			}, func() []string { return tool(t, c.tool[0], c.tool[1:]...) })
		})
	}
}
