package plan

import (
	"os"
	"strings"
	"testing"

	"catenary/internal/question"
	"catenary/internal/sensor"
)

// TestLanguageBook holds every example of docs/language.md against the parser
// and the native sensors: after > stands a text, below it what comes of it.
func TestLanguageBook(t *testing.T) {
	book, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sensor.NewCatalogue(sensor.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for i, block := range strings.Split(string(book), "```question\n") {
		if i == 0 {
			continue
		}
		block, _, _ = strings.Cut(block, "```")
		for example := range strings.SplitSeq(strings.TrimPrefix(block, "> "), "\n> ") {
			text, want, _ := strings.Cut(strings.TrimSpace(example), "\n")
			if got := outcome(text, c); got != want {
				t.Errorf("> %s\ngot  %s\nwant %s", text, got, want)
			}
			examples++
		}
	}
	if examples < 15 {
		t.Errorf("only %d examples were found", examples)
	}
}

func outcome(text string, c *sensor.Catalogue) string {
	q, err := question.Parse(text, c, nil)
	if err != nil {
		return err.Error()
	}
	p, err := Compile(q, c, Options{})
	if err != nil {
		return err.Error()
	}
	return p.Text
}
