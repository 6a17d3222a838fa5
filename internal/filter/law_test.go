package filter

import (
	"encoding/json"
	"reflect"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

func drawRef(t *rapid.T, c *sensor.Catalogue) question.Ref {
	s := rapid.SampledFrom(c.All()).Draw(t, "sensor")
	r := question.Ref{Sensor: s.Name, MaxAge: time.Duration(rapid.SampledFrom([]int{0, 0, 0, 60}).Draw(t, "age")) * time.Second}
	for i, p := range s.Parameters {
		if p.Default != "" && rapid.Bool().Draw(t, "left out") {
			break
		}
		if r.Params = append(r.Params, rapid.StringMatching(`[a, "\]]{0,3}`).Draw(t, "param")); r.Params[i] == p.Default {
			t.Skip("what is dealt out does not end in defaults")
		}
	}
	return drawReading(t, r, s)
}

func drawReading(t *rapid.T, r question.Ref, s sensor.Sensor) question.Ref {
	if len(s.Columns) > 1 && rapid.Bool().Draw(t, "column") {
		r.Column = rapid.SampledFrom(s.Columns).Draw(t, "column").Name
	}
	if rapid.IntRange(0, 3).Draw(t, "options") == 0 {
		r.Type = value.Type(rapid.IntRange(0, int(value.RegexMatch)).Draw(t, "type"))
		r.Part.Start, r.Part.Length = rapid.IntRange(0, 2).Draw(t, "start"), rapid.IntRange(0, 2).Draw(t, "length")
		if len(s.Columns) == 1 && rapid.Bool().Draw(t, "cut") {
			r.Part.Delimiter, r.Part.Index = rapid.SampledFrom([]string{"|", ", "}).Draw(t, "delimiter"), rapid.IntRange(0, 2).Draw(t, "piece")
		}
	}
	return r
}

func drawPredicate(t *rapid.T) question.Predicate {
	is := question.Predicate{
		Op:    question.Op(rapid.IntRange(int(question.Contains), int(question.HasHash)).Draw(t, "op")),
		Value: rapid.SampledFrom([]string{"x", "a|b", ".*", "(?:x)", "a.*", ".*b", "1.5", "Google (Search|Chrome)", "", "(a|b", `\Q|`, "12"}).Draw(t, "value"),
		Not:   rapid.Bool().Draw(t, "not"), MatchCase: rapid.Bool().Draw(t, "case"),
	}
	if is.Op == question.HasHash {
		is.Value = strconv.Itoa(rapid.IntRange(0, 1<<32-1).Draw(t, "hash"))
	}
	return is
}

func drawCondition(t *rapid.T, c *sensor.Catalogue, depth int) question.Condition {
	kind := rapid.IntRange(0, 5).Draw(t, "kind")
	switch {
	case kind == 0:
		id := rapid.SampledFrom([]int64{1, 2, 7, 8, 9, 10}).Draw(t, "group")
		return question.Member{ID: id, Name: known[id]}
	case depth == 0 || kind == 1:
		is := drawPredicate(t)
		return question.Test{Ref: drawRef(t, c), Op: is.Op, Value: is.Value, All: is.Not, MatchCase: is.MatchCase}
	case kind == 2:
		return question.Not{Of: drawCondition(t, c, depth-1)}
	}
	var parts []question.Condition
	for range rapid.IntRange(2, 3).Draw(t, "parts") {
		parts = append(parts, drawCondition(t, c, depth-1))
	}
	if kind == 3 {
		return question.Or(parts)
	}
	return question.And(parts)
}

func drawQuestion(t *rapid.T, c *sensor.Catalogue) question.Question {
	q := question.Question{ComputerID: rapid.Bool().Draw(t, "computer ID")}
	for range rapid.IntRange(0, 3).Draw(t, "selects") {
		s := question.Select{Ref: drawRef(t, c)}
		if rapid.Bool().Draw(t, "filter") {
			is := drawPredicate(t)
			s.Filter = &is
		}
		def, _ := c.ByName(s.Sensor)
		for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "having") {
			s.Having = append(s.Having, question.Having{Ref: drawReading(t, question.Ref{Sensor: s.Sensor}, def), Predicate: drawPredicate(t)})
		}
		q.Selects = append(q.Selects, s)
	}
	if rapid.Bool().Draw(t, "where") {
		q.Where = drawCondition(t, c, 3)
	}
	q, err := question.Resolve(q, c, known)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// patterned returns q with each text operator as its pattern, which is all that
// objects can tell.
func patterned(q question.Question) question.Question {
	plain := func(is question.Predicate) question.Predicate {
		if pattern, ok := is.Op.Pattern(is.Value); ok {
			is.Op, is.Value = question.Matches, pattern
		}
		return is
	}
	out := question.Question{ComputerID: q.ComputerID, Where: ordered(q.Where)}
	for _, s := range q.Selects {
		if s.Filter != nil {
			f := plain(*s.Filter)
			s.Filter = &f
		}
		for i, h := range s.Having {
			s.Having[i].Predicate = plain(h.Predicate)
		}
		out.Selects = append(out.Selects, s)
	}
	return out
}

// TestObjectsReadBack: a candidate that is sent back whole asks what it stands
// for, and so does a question that is shown.
func TestObjectsReadBack(t *testing.T) {
	c := catalogue(t)
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuestion(t, c)
		for _, objects := range []any{
			Writer{Sensors: c, Finished: true}.Question(q),
			Writer{Sensors: c}.Candidate(question.Candidate{Question: q}, noAverage),
		} {
			b, err := json.Marshal(objects)
			if err != nil {
				t.Fatal(err)
			}
			var in Question
			if err := json.Unmarshal(b, &in); err != nil {
				t.Fatalf("%v\n%s", err, b)
			}
			got, err := Read(in, c, known)
			if err != nil {
				t.Fatalf("%s: %v\n%s", q, err, b)
			}
			if text := got.String(); !reflect.DeepEqual(patterned(got), patterned(q)) {
				t.Fatalf("%s\nbecame %s\nby %s", q, text, b)
			}
		}
	})
}

// FuzzRead: whatever objects a program sends, what is read of them can be
// printed, parsed, written and read again.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		`{"selects":[{"sensor":{"name":"Folder Contents[/etc]"},"filter":{"operator":"RegexMatch","value":".*x.*","delimiter":";","delimiter_index":1}}]}`,
		`{"selects":[{"sensor":{"source_hash":3881863289,"parameters":[{"key":"||path||","value":1}]}}],"group":{"and_flag":0,"filters":[{"sensor":{"hash":45421433},"value":"7"}],"sub_groups":[{"id":7,"not_flag":1},{"text":"sales or online = x"}]}}`,
		`{"selects":[{"sensor":{"name":"Installed Applications"},"having":[{"operator":"Less","delimiter":"|","delimiter_index":1,"value":"2","value_type":"Version"}]}],"parameter_values":[1,null,true]}`,
		`{"selects":[{"sensor":{"name":"online"},"filter":{"substring_flag":1,"substring_start":"2","max_age_seconds":60,"ignore_case_flag":null}}],"question_text":"x"}`,
		`{"group":{"sub_groups":[{"sub_groups":[{}]}]}}`, `[]`, `null`, `{"selects":[null]}`, `{"group":{"filters":[null]}}`,
	} {
		f.Add([]byte(seed))
	}
	c := catalogue(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		var in Question
		if json.Unmarshal(body, &in) != nil {
			return
		}
		q, err := Read(in, c, known)
		if err != nil {
			return
		}
		if again, err := question.Parse(q.String(), c, known); err != nil || !reflect.DeepEqual(again, q) {
			t.Fatalf("%s\nis read as %+v\nprinted %s\nand read as %+v, %v", body, q, q, again, err)
		}
		b, err := json.Marshal(Writer{Sensors: c, Finished: true}.Question(q))
		must(t, err)
		must(t, json.Unmarshal(b, &in))
		in.ParameterValues, in.QuestionText = nil, ""
		if again, err := Read(in, c, known); err != nil || !reflect.DeepEqual(patterned(again), patterned(q)) {
			t.Fatalf("%s\nis read as %s\nwritten %s\nand read as %s, %v", body, q, b, again, err)
		}
	})
}
