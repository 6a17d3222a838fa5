package catenary

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTrustNamesTests: docs/trust.md says which test holds each of its claims;
// each of them is there.
func TestTrustNamesTests(t *testing.T) {
	text, err := os.ReadFile("docs/trust.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z/]+):\\s((?:Test|Fuzz)[A-Za-z]+(?:,\\s(?:Test|Fuzz)[A-Za-z]+)*)`")
	all := named.FindAllStringSubmatch(string(text), -1)
	if len(all) < 30 {
		t.Errorf("only %d claims name a test", len(all))
	}
	for _, m := range all {
		there := testsOf(t, m[1])
		for _, name := range strings.Fields(strings.ReplaceAll(m[2], ",", " ")) {
			if !there[name] {
				t.Errorf("docs/trust.md names %s in %s, which is not there", name, m[1])
			}
		}
	}
}

// testsOf are the tests of a package that is named as the text does.
func testsOf(t *testing.T, name string) map[string]bool {
	dir := filepath.Join("internal", name)
	for _, in := range []string{"internal/server", "."} {
		if _, err := os.Stat(filepath.Join(in, name)); err == nil {
			dir = filepath.Join(in, name)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Errorf("docs/trust.md names the package %s, which has no tests (%v)", name, err)
	}
	tests := map[string]bool{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`).FindAllSubmatch(src, -1) {
			tests[string(m[1])] = true
		}
	}
	return tests
}
