package filter

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"catenary/internal/question"
	"catenary/internal/sensor"
)

var update = flag.Bool("update", false, "write testdata/language.txt anew")

// readableMin is how many readable texts the table has at least.
const readableMin = 200

// TestTable holds every text of testdata/language.txt against the parser and
// both directions of this package.
func TestTable(t *testing.T) {
	const file = "testdata/language.txt"
	table, err := os.ReadFile(file)
	must(t, err)
	c := catalogue(t)
	var out []string
	readable, want := 0, []string(nil)
	check := func() {
		if len(out) == 0 || !strings.HasPrefix(out[len(out)-1], "> ") {
			return
		}
		text := strings.TrimPrefix(out[len(out)-1], "> ")
		got, ok := lines(t, text, c)
		if ok {
			readable++
		}
		if !*update && !reflect.DeepEqual(got, want) {
			t.Errorf("> %s\ngot  %s\nwant %s", text, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		out, want = append(out, got...), nil
	}
	for line := range strings.SplitSeq(strings.TrimSpace(string(table)), "\n") {
		if line != "" && !strings.HasPrefix(line, "> ") && !strings.HasPrefix(line, "#") {
			want = append(want, line)
			continue
		}
		check()
		out = append(out, line)
	}
	check()
	if readable < readableMin {
		t.Errorf("only %d readable texts", readable)
	}
	if *update {
		must(t, os.WriteFile(file, []byte(strings.Join(out, "\n")+"\n"), 0o644))
	}
}

// lines returns what the table has below a text, after checking the laws that
// hold for every text.
func lines(t *testing.T, text string, c *sensor.Catalogue) (out []string, ok bool) {
	q, err := question.Parse(text, c, known)
	if err != nil {
		e, ok := errors.AsType[*question.SyntaxError](err)
		if !ok {
			t.Errorf("> %s: %v is no SyntaxError", text, err)
		}
		return []string{strings.Repeat(" ", 1+max(e.Column, 1)) + "^ " + err.Error()}, false
	}
	again, err := question.Parse(q.String(), c, known)
	if err != nil || !reflect.DeepEqual(again, q) {
		t.Errorf("> %s: %s is read as %+v, %v", text, q, again, err)
	}
	objects := Writer{Sensors: c, Finished: true}.Question(q)
	if g := objects.Group; g != nil && g.Text != " "+question.Text(q.Where) {
		t.Errorf("> %s: the group's text is %q", text, g.Text)
	}
	checkBack(t, q, objects, c)
	candidate := Writer{Sensors: c}.Candidate(question.Candidate{Question: q, Canonical: true}, noAverage)
	checkBack(t, q, candidate, c)
	return []string{q.String(), reduced(t, objects)}, true
}

// checkBack: sent back, objects mean the question that they were written from.
// Groups keep their filters apart from the groups within, so that the order of
// a condition's parts may change once, and then no more.
func checkBack(t interface{ Fatalf(string, ...any) }, q question.Question, objects any, c *sensor.Catalogue) {
	b, err := json.Marshal(objects)
	if err != nil {
		t.Fatalf("%s: %v", q, err)
	}
	var in Question
	if err := json.Unmarshal(b, &in); err != nil {
		t.Fatalf("%s: %v\n%s", q, err, b)
	}
	got, err := Read(in, c, known)
	if err != nil {
		t.Fatalf("%s: %v\n%s", q, err, b)
	}
	if !reflect.DeepEqual(got.Selects, q.Selects) || got.ComputerID != q.ComputerID {
		t.Fatalf("%s\nbecame %s\nby %s", q, got, b)
	}
	if got, want := ordered(got.Where), ordered(q.Where); !reflect.DeepEqual(got, want) {
		t.Fatalf("%s\nbecame %+v\nby %s", q, got, b)
	}
}

// ordered returns c as its objects can tell it: tests before other conditions,
// and each test by its pattern.
func ordered(c question.Condition) question.Condition {
	parts := func(in []question.Condition) (out []question.Condition) {
		for _, single := range []bool{true, false} {
			for _, part := range in {
				if isTest(part) == single {
					out = append(out, ordered(part))
				}
			}
		}
		return out
	}
	switch c := c.(type) {
	case question.And:
		return question.And(parts(c))
	case question.Or:
		return question.Or(parts(c))
	case question.Not:
		return question.Not{Of: ordered(c.Of)}
	case question.Test:
		if pattern, ok := c.Op.Pattern(c.Value); ok {
			c.Op, c.Value = question.Matches, pattern
		}
		return c
	}
	return c
}

// reduced returns the objects as the table has them.
func reduced(t *testing.T, q Question) string {
	b, err := json.Marshal(q)
	must(t, err)
	var tree any
	must(t, json.Unmarshal(b, &tree))
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	must(t, enc.Encode(reduce(t, tree)))
	return strings.TrimSpace(out.String())
}

var defaults = map[string]any{"ignore_case_flag": true, "and_flag": true, "value_type": "String"}

func reduce(t *testing.T, tree any) any {
	switch tree := tree.(type) {
	case []any:
		for i := range tree {
			tree[i] = reduce(t, tree[i])
		}
		return tree
	case map[string]any:
		for name, v := range tree {
			tree[name] = reduce(t, v)
		}
		if name, ok := tree["name"].(string); ok && tree["hash"] != nil {
			return reducedSensor(t, name, tree)
		}
		if tree["operator"] == "Less" && tree["value"] == "" && tree["delimiter"] != "" {
			delete(tree, "operator") // chooses a column only
		}
		for name, v := range tree {
			list, isList := v.([]any)
			if v == defaults[name] || v == "" || v == 0. || v == false && defaults[name] == nil || isList && len(list) == 0 {
				delete(tree, name)
			}
		}
		// Texts are what the canonical text has already.
		if text, ok := tree["text"].(string); ok && strings.HasPrefix(text, " ") {
			delete(tree, "text")
		}
		if f, ok := tree["filter"].(map[string]any); ok && len(f) == 1 && f["operator"] == "Less" {
			delete(tree, "filter")
		}
		return tree
	}
	return tree
}

func reducedSensor(t *testing.T, name string, tree map[string]any) any {
	if hash := float64(sensor.Hash(name)); tree["hash"] != hash {
		t.Errorf("%s has the hash %v, want %v", name, tree["hash"], hash)
	}
	params, _ := tree["parameters"].([]any)
	template, _, _ := strings.Cut(name, "[")
	if len(params) == 0 {
		if tree["source_hash"] != nil {
			t.Errorf("%s has no parameters, and a source", name)
		}
		return name
	}
	if tree["source_hash"] != float64(sensor.Hash(template)) {
		t.Errorf("%s has the source hash %v", name, tree["source_hash"])
	}
	out := map[string]any{"name": name}
	for _, p := range params {
		p := p.(map[string]any)
		value := p["value"]
		if value == nil {
			value = ""
		}
		out[p["key"].(string)] = value
	}
	return out
}
