package filter

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// A Writer writes resolved questions as objects.
type Writer struct {
	Sensors *sensor.Catalogue
	// Finished: sensors have their parameters, and a name with them, as in a
	// question that was asked; otherwise they are the bare templates of a
	// candidate, whose parameters stand in a list of their own.
	Finished bool
}

// Question writes q, without a text and parameter values.
func (w Writer) Question(q question.Question) Question {
	out := Question{Selects: make([]Select, len(q.Selects)), ForceComputerIDFlag: Flag(q.ComputerID)}
	for i, s := range q.Selects {
		out.Selects[i] = w.selected(s)
	}
	if q.Where != nil {
		g := w.Group(q.Where)
		out.Group = &g
	}
	return out
}

// Candidate writes a question that a text may stand for. Average is how long a
// sensor runs.
func (w Writer) Candidate(c question.Candidate, average func(name string) time.Duration) Candidate {
	q := w.Question(c.Question)
	out := Candidate{
		QuestionText: c.Question.String(), Selects: q.Selects, Group: q.Group, SensorReferences: []Reference{}, ForceComputerIDFlag: q.ForceComputerIDFlag,
	}
	if c.Canonical {
		out.FromCanonicalText = 1
	}
	for _, text := range append(w.Parameters(c.Question), c.Extra...) {
		out.ParameterValues = append(out.ParameterValues, Text(text))
	}
	for _, r := range c.Question.References() {
		out.SensorReferences = append(out.SensorReferences, Reference{
			Name: r.Ref.Sensor, StartChar: strconv.Itoa(r.Start), RealMsAvg: average(r.Ref.Sensor).Milliseconds(),
		})
	}
	return out
}

func (w Writer) selected(s question.Select) Select {
	out := Select{Sensor: w.sensor(s.Ref)}
	if bare := s.Column == "" && s.Part == (value.Part{}) && s.Type == 0 && s.MaxAge == 0 && s.Filter == nil; w.Finished || !bare {
		f := w.predicate(s.Ref, question.Predicate{Op: question.Less})
		if s.Filter != nil {
			f = w.predicate(s.Ref, *s.Filter)
		}
		out.Filter = &f
	}
	for _, h := range s.Having {
		f := w.predicate(h.Ref, h.Predicate)
		bare := w.sensor(h.Ref)
		f.Sensor = &bare
		out.Having = append(out.Having, f)
	}
	return out
}

func (w Writer) sensor(r question.Ref) Sensor {
	out := Sensor{Hash: Number(sensor.Hash(r.Sensor)), Name: r.Sensor}
	if len(r.Params) == 0 || !w.Finished {
		return out
	}
	s, _ := w.Sensors.ByName(r.Sensor) // a resolved question names no other
	out.SourceHash = out.Hash
	// As the result's columns are called and numbered.
	out.Name += "[" + strings.Join(r.Params, ",") + "]"
	out.Hash = Number(sensor.Hash(out.Name))
	for i, text := range r.Params {
		out.Parameters = append(out.Parameters, Parameter{Key: keyBars + s.Parameters[i].Key + keyBars, Value: Text(text)})
	}
	return out
}

// predicate writes what the texts of r have to be, without r's sensor.
func (w Writer) predicate(r question.Ref, is question.Predicate) Filter {
	f := Filter{
		Operator: operators[is.Op], Value: Text(is.Value), ValueType: value.String.String(),
		NotFlag: Flag(is.Not), IgnoreCaseFlag: present(!is.MatchCase), MaxAgeSeconds: Number(r.MaxAge / time.Second),
		Delimiter: r.Part.Delimiter, DelimiterIndex: Number(r.Part.Index),
		SubstringFlag: r.Part.Start != 0 || r.Part.Length != 0, SubstringStart: Number(r.Part.Start), SubstringLength: Number(r.Part.Length),
	}
	if pattern, ok := is.Op.Pattern(is.Value); ok {
		f.Operator, f.Value = operatorPattern, Text(pattern)
	}
	s, _ := w.Sensors.ByName(r.Sensor)
	i, ok := s.Column(r.Column)
	switch {
	case ok && len(s.Columns) > 1:
		f.Delimiter, f.DelimiterIndex = s.Delimiter, Number(i)
		if f.Delimiter == "" {
			f.Delimiter = "|" // of a native sensor, which has no need of one
		}
		f.ValueType = s.Columns[i].Type.String()
	case len(s.Columns) == 1:
		f.ValueType = s.Columns[0].Type.String()
	}
	if r.Type != 0 {
		f.ValueType = r.Type.String()
	}
	return f
}

// test writes a test, or the negation of one. In the API the negation belongs
// to the single value: see question.Test.
func (w Writer) test(c question.Condition) (Filter, bool) {
	not, negated := c.(question.Not)
	if negated {
		c = not.Of
	}
	t, ok := c.(question.Test)
	if !ok {
		return Filter{}, false
	}
	f := w.predicate(t.Ref, question.Predicate{Op: t.Op, Value: t.Value, Not: negated, MatchCase: t.MatchCase})
	ref := w.sensor(t.Ref)
	f.Sensor, f.AllValuesFlag = &ref, t.All != negated
	return f, true
}

// Group writes a condition.
func (w Writer) Group(c question.Condition) Group {
	g := Group{AndFlag: present(true), Text: " " + question.Text(c), Filters: []Filter{}, SubGroups: []Group{}}
	if f, ok := w.test(c); ok {
		g.Filters = append(g.Filters, f)
		return g
	}
	var parts []question.Condition
	switch c := c.(type) {
	case question.Member:
		g.ID, g.Name = Number(c.ID), c.Name
	case question.And:
		parts = c
	case question.Or:
		parts, g.AndFlag = c, present(false)
	case question.Not:
		inner := w.Group(c.Of)
		if !inner.NotFlag {
			inner.NotFlag, inner.Text = true, g.Text
			return inner
		}
		g.NotFlag, g.SubGroups = true, append(g.SubGroups, inner)
	}
	for _, part := range parts {
		if f, ok := w.test(part); ok {
			g.Filters = append(g.Filters, f)
		} else {
			g.SubGroups = append(g.SubGroups, w.Group(part))
		}
	}
	return g
}

// Parameters returns the parameters of all sensors of q, if it has any, in the
// order in which its objects have the sensors: the selects, then of each group
// the filters before the groups within. Those that are left out stand there with
// their defaults, so that whoever deals them out comes out even.
func (w Writer) Parameters(q question.Question) []string {
	var refs []question.Ref
	for _, s := range q.Selects {
		refs = append(refs, s.Ref)
	}
	refs = append(refs, tested(q.Where)...)
	if !slices.ContainsFunc(refs, func(r question.Ref) bool { return len(r.Params) > 0 }) {
		return nil
	}
	var out []string
	for _, r := range refs {
		out = append(out, r.Params...)
		s, _ := w.Sensors.ByName(r.Sensor)
		for _, p := range s.Parameters[len(r.Params):] {
			out = append(out, p.Default)
		}
	}
	return out
}

// tested returns the sensors of a condition in the order of its objects.
func tested(c question.Condition) (out []question.Ref) {
	var parts []question.Condition
	switch c := c.(type) {
	case question.Test:
		return []question.Ref{c.Ref}
	case question.Not:
		return tested(c.Of)
	case question.And:
		parts = c
	case question.Or:
		parts = c
	}
	for _, single := range []bool{true, false} {
		for _, part := range parts {
			if isTest(part) == single {
				out = append(out, tested(part)...)
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
