package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A story is a transcript of what an operator sees, with a fleet of four
// machines of its own. Lines with a $ are run: catenary and, for the plot,
//
//	$ export NAME=VALUE     sets a variable of the environment
//	$ asleep NAME…          makes these machines silent, and wakes the others
//	$ pipe TEXT             is the standard input from then on
//	$ file NAME             shows a file of the configuration folder
//
// What follows them is what they print: standard output behind |, standard
// error behind >, and an exit code that is not 0. Addresses and the like stand
// as $NAME.
type story struct {
	fleet *fleet
	place *place
	names map[string]string // $NAME → text
}

func TestStories(t *testing.T) {
	paths, err := filepath.Glob("testdata/story/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no stories", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f := newFleet(t)
			chainOfThree(f)
			p := newPlace(t)
			s := story{f, p, map[string]string{
				"$SERVER": f.URL, "$CA": f.caFile(t), "$FINGERPRINT": f.fingerprint(), "$CONFIG": filepath.Join(p.home, "catenary"),
			}}
			got := s.play(t, string(script))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(script) {
				t.Errorf("it went otherwise:\n%s", got)
			}
		})
	}
}

// play runs a story and tells it as it happened.
func (s story) play(t *testing.T, script string) string {
	var told strings.Builder
	for _, line := range strings.SplitAfter(script, "\n") {
		command, runs := strings.CutPrefix(line, "$ ")
		if !runs {
			if line == "\n" || strings.HasPrefix(line, "#") { // else what was printed the last time
				told.WriteString(line)
			}
			continue
		}
		told.WriteString(line)
		told.WriteString(s.run(t, strings.TrimSuffix(command, "\n")))
	}
	return told.String()
}

func (s story) run(t *testing.T, command string) string {
	for name, text := range s.names {
		command = strings.ReplaceAll(command, name, text)
	}
	words := splitWords(command)
	switch words[0] {
	case "catenary":
		return s.tell(s.place.run(words[1:]...))
	case "export":
		name, value, _ := strings.Cut(words[1], "=")
		s.place.set(name, value)
	case "asleep":
		s.fleet.sleep(words[1:]...)
	case "pipe":
		s.place.piped = strings.Join(words[1:], " ") + "\n"
	case "file":
		text, err := os.ReadFile(filepath.Join(s.place.home, "catenary", words[1]))
		if err != nil {
			t.Fatal(err)
		}
		return s.tell(string(text), "", exitOK)
	default:
		t.Fatalf("what is %q?", command)
	}
	return ""
}

func (s story) tell(stdout, stderr string, code int) string {
	text := behind("|", stdout) + behind(">", stderr)
	if code != exitOK {
		text += fmt.Sprintf("exit %d\n", code)
	}
	for name, value := range s.names {
		text = strings.ReplaceAll(text, value, name)
	}
	return text
}

// behind writes a mark before each line.
func behind(mark, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimSpace(mark+" "+strings.TrimRight(line, "\r\n")) + "\n")
	}
	return b.String()
}

// splitWords parts a command line at blanks that do not stand in '…'.
func splitWords(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}
