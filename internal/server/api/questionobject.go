package api

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// keyBars enclose a parameter's key on the wire.
const keyBars = "||"

type parameterValue struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Type  int    `json:"type"`
}

// A sensorRef is a sensor as it stands in a question.
type sensorRef struct {
	Hash       uint32           `json:"hash"`
	Name       string           `json:"name"`
	SourceHash uint32           `json:"source_hash,omitempty"`
	Parameters []parameterValue `json:"parameters,omitempty"`
}

type filterObject struct {
	Sensor         *sensorRef `json:"sensor,omitempty"` // of a select: the select's own
	Operator       string     `json:"operator"`
	Value          string     `json:"value"`
	ValueType      string     `json:"value_type"`
	NotFlag        bool       `json:"not_flag"`
	AllValuesFlag  bool       `json:"all_values_flag"`
	IgnoreCaseFlag bool       `json:"ignore_case_flag"`
	MaxAgeSeconds  int64      `json:"max_age_seconds"`
	// Delimiter and DelimiterIndex choose a column, the first by 0; without a
	// delimiter all columns are meant.
	Delimiter      string `json:"delimiter"`
	DelimiterIndex int    `json:"delimiter_index"`
}

type groupObject struct {
	ID        int64          `json:"id"`
	Name      string         `json:"name"`
	Type      int            `json:"type"`
	Text      string         `json:"text"` // begins with a blank, as programs know it
	AndFlag   bool           `json:"and_flag"`
	NotFlag   bool           `json:"not_flag"`
	Filters   []filterObject `json:"filters"`
	SubGroups []groupObject  `json:"sub_groups"`
}

type selectObject struct {
	Sensor sensorRef     `json:"sensor"`
	Filter *filterObject `json:"filter,omitempty"`
}

// The operators of filters. Those of the question language that look into
// texts are all patterns here.
const (
	operatorPattern = "RegexMatch"
	operatorLess    = "Less"
)

var operators = map[question.Op]string{
	question.Equals: "Equal", question.Less: operatorLess, question.LessEqual: "LessEqual",
	question.Greater: "Greater", question.GreaterEqual: "GreaterEqual",
}

// A speller writes questions as the public API's objects.
type speller struct {
	catalogue *sensor.Catalogue
	// whole sensors have their parameters, and a name with them, as in a
	// finished question; otherwise they are the bare templates of a candidate,
	// whose parameters stand in a list of their own.
	whole bool
}

func (p speller) sensor(r question.Ref) sensorRef {
	out := sensorRef{Hash: sensor.Hash(r.Sensor), Name: r.Sensor}
	if len(r.Params) == 0 || !p.whole {
		return out
	}
	s, _ := p.catalogue.ByName(r.Sensor) // a resolved question names no other
	out.SourceHash = out.Hash
	// As the result's columns are called and numbered.
	out.Name += "[" + strings.Join(r.Params, ",") + "]"
	out.Hash = sensor.Hash(out.Name)
	for i, text := range r.Params {
		out.Parameters = append(out.Parameters, parameterValue{Key: keyBars + s.Parameters[i].Key + keyBars, Value: text})
	}
	return out
}

// unfiltered is the filter of a select that shows every value.
func (p speller) unfiltered(r question.Ref) filterObject {
	f := filterObject{Operator: operatorLess, ValueType: value.String.String(), IgnoreCaseFlag: true}
	s, _ := p.catalogue.ByName(r.Sensor)
	f.column(s, r.Column)
	return f
}

// column makes the filter speak of the named column of s.
func (f *filterObject) column(s sensor.Sensor, name string) {
	i, ok := s.Column(name)
	switch {
	case ok && len(s.Columns) > 1:
		f.Delimiter, f.DelimiterIndex = s.Delimiter, i
		if f.Delimiter == "" {
			f.Delimiter = "|" // of a native sensor, which has no need of one
		}
		f.ValueType = s.Columns[i].Type.String()
	case len(s.Columns) == 1:
		f.ValueType = s.Columns[0].Type.String()
	}
}

func (p speller) selects(refs []question.Ref) []selectObject {
	out := make([]selectObject, len(refs))
	for i, r := range refs {
		out[i].Sensor = p.sensor(r)
		if p.whole || r.Column != "" {
			f := p.unfiltered(r)
			out[i].Filter = &f
		}
	}
	return out
}

// filter writes a test, or the negation of one. In the API the negation
// belongs to the single value: see question.Test.
func (p speller) filter(c question.Condition) (filterObject, bool) {
	not, negated := c.(question.Not)
	if negated {
		c = not.Of
	}
	t, ok := c.(question.Test)
	if !ok {
		return filterObject{}, false
	}
	ref := p.sensor(t.Ref)
	f := filterObject{
		Sensor: &ref, Operator: operators[t.Op], Value: t.Value, ValueType: value.String.String(),
		NotFlag: negated, AllValuesFlag: t.All != negated, IgnoreCaseFlag: !t.MatchCase,
	}
	if pattern, ok := t.Op.Pattern(t.Value); ok {
		f.Operator, f.Value = operatorPattern, pattern
	}
	s, _ := p.catalogue.ByName(t.Ref.Sensor)
	f.column(s, t.Ref.Column)
	return f, true
}

func (p speller) group(c question.Condition) groupObject {
	g := groupObject{AndFlag: true, Text: " " + question.Text(c), Filters: []filterObject{}, SubGroups: []groupObject{}}
	if f, ok := p.filter(c); ok {
		g.Filters = append(g.Filters, f)
		return g
	}
	var parts []question.Condition
	switch c := c.(type) {
	case question.And:
		parts = c
	case question.Or:
		parts, g.AndFlag = c, false
	case question.Not:
		inner := p.group(c.Of)
		if !inner.NotFlag {
			inner.NotFlag, inner.Text = true, g.Text
			return inner
		}
		g.NotFlag, g.SubGroups = true, append(g.SubGroups, inner)
	}
	for _, part := range parts {
		if f, ok := p.filter(part); ok {
			g.Filters = append(g.Filters, f)
		} else {
			g.SubGroups = append(g.SubGroups, p.group(part))
		}
	}
	return g
}

// refs returns every sensor of q in the order in which its objects have them:
// the selects, then of each group the filters before the groups within.
func refs(q question.Question) []question.Ref {
	return append(q.Selects[:len(q.Selects):len(q.Selects)], testRefs(q.Where)...)
}

func testRefs(c question.Condition) (out []question.Ref) {
	var parts []question.Condition
	switch c := c.(type) {
	case question.Test:
		return []question.Ref{c.Ref}
	case question.Not:
		return testRefs(c.Of)
	case question.And:
		parts = c
	case question.Or:
		parts = c
	}
	for _, single := range []bool{true, false} {
		for _, part := range parts {
			if isTest(part) == single {
				out = append(out, testRefs(part)...)
			}
		}
	}
	return out
}

func isTest(c question.Condition) bool {
	if not, ok := c.(question.Not); ok {
		c = not.Of
	}
	_, ok := c.(question.Test)
	return ok
}

// A reference is where a candidate's text names a sensor.
type reference struct {
	Name      string `json:"name"`
	StartChar string `json:"start_char"` // in characters, the first is 0; a text by tradition
	RealMsAvg int    `json:"real_ms_avg"`
}

type candidateObject struct {
	QuestionText      string         `json:"question_text"`
	FromCanonicalText int            `json:"from_canonical_text"`
	Selects           []selectObject `json:"selects"`
	Group             *groupObject   `json:"group,omitempty"`
	ParameterValues   []string       `json:"parameter_values,omitempty"`
	SensorReferences  []reference    `json:"sensor_references"`
	// ForceComputerIDFlag makes a candidate that is sent back the question
	// that its text is.
	ForceComputerIDFlag bool `json:"force_computer_id_flag,omitempty"`
}

func toCandidate(q question.Question, canonical bool, catalogue *sensor.Catalogue) candidateObject {
	p := speller{catalogue: catalogue}
	o := candidateObject{
		QuestionText: q.String(), Selects: p.selects(q.Selects), ForceComputerIDFlag: q.ComputerID, SensorReferences: []reference{},
	}
	if canonical {
		o.FromCanonicalText = 1
	}
	if q.Where != nil {
		g := p.group(q.Where)
		o.Group = &g
	}
	used := map[string]int{} // where the search for the next of the same spelling begins
	for _, r := range refs(q) {
		o.ParameterValues = append(o.ParameterValues, r.Params...)
		spelled := r.String()
		if at := strings.Index(o.QuestionText[used[spelled]:], spelled); at >= 0 {
			at += used[spelled]
			used[spelled] = at + len(spelled)
			o.SensorReferences = append(o.SensorReferences, reference{Name: r.Sensor, StartChar: strconv.Itoa(utf8.RuneCountInString(o.QuestionText[:at]))})
		}
	}
	return o
}
