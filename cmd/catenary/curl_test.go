//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// placeholders stand in docs/api.md for what is another each time: how they
// begin, and what they stand for.
var placeholders = []struct{ text, form string }{
	{"1-1-5f0c…", `1-\d+-[0-9a-f]{64}`},
	{"token-9e1b…", `token-[0-9a-f]{64}`},
	{"token-77d0…", `token-[0-9a-f]{64}`},
	{"QUESTION", `\d+`},
	{"TOKEN", `\d+`},
}

// TestCurlSession runs the session that docs/api.md shows, word for word, and
// holds what curl prints against what stands there.
func TestCurlSession(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Fatal("there is no curl: scripts/setup installs it")
	}
	in := startDemo(t, 2, 0)
	password, err := os.ReadFile(filepath.Join(in.dir, "server", "initial-password"))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "api.md"))
	if err != nil {
		t.Fatal(err)
	}
	steps := curlSteps(string(doc))
	if len(steps) < 10 {
		t.Fatalf("only %d steps are in the docs", len(steps))
	}
	known := map[string]string{}
	for _, s := range steps {
		command := strings.NewReplacer("PASSWORD", strings.TrimSpace(string(password))).Replace(s.command)
		for text, is := range known {
			command = strings.ReplaceAll(command, text, is)
		}
		if strings.HasPrefix(command, "S=") { // where the server is
			known["$S"], known["$CA"] = in.ready.API, "--cacert "+in.ready.CA
			continue
		}
		in.step(command, s.answer, known)
	}
}

// step runs a command until it prints what is expected: answers take a moment.
func (in *installation) step(command, want string, known map[string]string) {
	in.t.Helper()
	pattern, found := patternOf(want, known)
	var out []byte
	for end := time.Now().Add(patience); time.Now().Before(end); {
		var err error
		if out, err = exec.Command("sh", "-c", command).Output(); err != nil {
			in.t.Fatalf("%s: %v", command, err)
		}
		if m := pattern.FindSubmatch(out); m != nil {
			for i, text := range found {
				known[text] = string(m[i+1])
			}
			return
		}
	}
	in.t.Fatalf("%s\nprints\n%s\nwant\n%s", command, out, want)
}

type curlStep struct{ command, answer string }

// curlSteps are the commands of the first section, with what they print.
func curlSteps(doc string) (out []curlStep) {
	_, doc, _ = strings.Cut(doc, "## A session with curl")
	doc, _, _ = strings.Cut(doc, "\n## ")
	inside := false
	for line := range strings.Lines(doc) {
		line = strings.TrimRight(line, "\n")
		switch command, is := strings.CutPrefix(line, "$ "); {
		case strings.HasPrefix(line, "```"):
			inside = !inside
		case !inside || line == "":
		case is:
			out = append(out, curlStep{command: command})
		case strings.HasSuffix(out[len(out)-1].command, `\`):
			last := &out[len(out)-1]
			last.command = strings.TrimSuffix(last.command, `\`) + strings.TrimSpace(line)
		default:
			out[len(out)-1].answer += strings.TrimSpace(line)
		}
	}
	return out
}

var digits = regexp.MustCompile(`\d+`)

// patternOf is what an answer has to be like: as it stands there, but that
// numbers are others, and … is anything. found are the placeholders in it, in
// the order of the groups.
func patternOf(want string, known map[string]string) (pattern *regexp.Regexp, found []string) {
	var b strings.Builder
	for want != "" {
		at, which := len(want), -1
		for i, p := range placeholders {
			if j := strings.Index(want, p.text); j >= 0 && j < at {
				at, which = j, i
			}
		}
		plain := digits.ReplaceAllString(regexp.QuoteMeta(want[:at]), `\d+`)
		b.WriteString(strings.ReplaceAll(plain, "…", ".*"))
		if want = want[at:]; which < 0 {
			continue
		}
		p := placeholders[which]
		want = want[len(p.text):]
		if is, ok := known[p.text]; ok {
			b.WriteString(regexp.QuoteMeta(is))
			continue
		}
		b.WriteString("(" + p.form + ")")
		found = append(found, p.text)
	}
	return regexp.MustCompile(`(?s)\A\s*` + b.String() + `\s*\z`), found
}
