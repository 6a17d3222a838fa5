package catenary

// The protocol's text and the code speak of each other. Neither may name what
// the other does not have.

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const protocol = "docs/protocol.md"

var (
	heading   = regexp.MustCompile(`(?m)^##+ (\d+(?:\.\d+)?)\.? `)
	section   = regexp.MustCompile(`§(\d+(?:\.\d+)?)`)
	citation  = regexp.MustCompile("docs/protocol\\.md`?((?:,? (?:and )?§\\d+(?:\\.\\d+)?)+)")
	newLine   = regexp.MustCompile(`\s*\n\s*(?://\s*)?`)
	testFile  = regexp.MustCompile("`([a-z_/]+_test\\.go)`((?:,? (?:Test|Fuzz)\\w+)+)")
	testNamed = regexp.MustCompile(`(?:Test|Fuzz)\w+`)
)

// TestSections: what is cited of docs/protocol.md is there, and the sections on
// how the protocol works, 1 to 7, are each cited from the code.
func TestSections(t *testing.T) {
	text, headings := readProtocol(t)
	for _, m := range section.FindAllStringSubmatch(text, -1) {
		if !headings[m[1]] {
			t.Errorf("%s speaks of its §%s, which it does not have", protocol, m[1])
		}
	}
	uncited := maps.Clone(headings)
	for file, text := range texts(t) {
		for _, m := range citation.FindAllStringSubmatch(newLine.ReplaceAllString(text, " "), -1) {
			for _, s := range section.FindAllStringSubmatch(m[1], -1) {
				if !headings[s[1]] {
					t.Errorf("%s cites §%s of %s, which it does not have", file, s[1], protocol)
				}
				if strings.HasSuffix(file, ".go") {
					whole, _, _ := strings.Cut(s[1], ".")
					delete(uncited, s[1])
					delete(uncited, whole)
				}
			}
		}
	}
	for _, s := range slices.Sorted(maps.Keys(uncited)) {
		if whole, _, _ := strings.Cut(s, "."); len(whole) == 1 && whole <= "7" {
			t.Errorf("no code cites §%s of %s", s, protocol)
		}
	}
}

// TestInvariantsHaveTests: the tests that docs/protocol.md names are there.
func TestInvariantsHaveTests(t *testing.T) {
	text, _ := readProtocol(t)
	named := testFile.FindAllStringSubmatch(text, -1)
	for _, m := range named {
		src, err := os.ReadFile(m[1])
		if err != nil {
			t.Error(err)
			continue
		}
		for _, name := range testNamed.FindAllString(m[2], -1) {
			if !strings.Contains(string(src), "\nfunc "+name+"(") {
				t.Errorf("%s has no %s", m[1], name)
			}
		}
	}
	if len(named) == 0 {
		t.Errorf("%s names no tests", protocol)
	}
}

func readProtocol(t *testing.T) (text string, headings map[string]bool) {
	data, err := os.ReadFile(protocol)
	if err != nil {
		t.Fatal(err)
	}
	headings = map[string]bool{}
	for _, m := range heading.FindAllStringSubmatch(string(data), -1) {
		headings[m[1]] = true
	}
	return string(data), headings
}

// texts are all Go and Markdown files but the protocol.
func texts(t *testing.T) map[string]string {
	all := map[string]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "tools"):
			return fs.SkipDir
		case d.IsDir() || path == filepath.FromSlash(protocol) || filepath.Ext(path) != ".go" && filepath.Ext(path) != ".md":
			return nil
		}
		data, err := os.ReadFile(path)
		all[filepath.ToSlash(path)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
