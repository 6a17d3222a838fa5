package api

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/sensor"
)

const (
	expireDefault = 600 * time.Second // how long a question is open when it does not say
	expireMin     = 10 * time.Second  // a shorter life than a question needs to travel
	expireMax     = time.Hour         // who was off for longer does not want it any more
)

// A questionRequest is a question as a program sends it: a text, or selects
// and a group, or a whole candidate of parse_question.
type questionRequest struct {
	QueryText           string          `json:"query_text"`
	Selects             []selectRequest `json:"selects"` // nil if the member is not there
	Group               *groupRequest   `json:"group"`
	ContextGroup        *groupRequest   `json:"context_group"`
	ParameterValues     []anyText       `json:"parameter_values"`
	ExpireSeconds       number          `json:"expire_seconds"` // 0: the default
	ForceComputerIDFlag flag            `json:"force_computer_id_flag"`
}

type selectRequest struct {
	Sensor sensorRequestRef `json:"sensor"`
	Filter *filterRequest   `json:"filter"`
}

type sensorRequestRef struct {
	Hash       number `json:"hash"`
	SourceHash number `json:"source_hash"`
	Name       string `json:"name"`
	Parameters []struct {
		Key   string  `json:"key"`
		Value anyText `json:"value"`
	} `json:"parameters"`
}

type filterRequest struct {
	Sensor         sensorRequestRef `json:"sensor"`
	Operator       string           `json:"operator"`
	Value          anyText          `json:"value"`
	NotFlag        flag             `json:"not_flag"`
	AllValuesFlag  flag             `json:"all_values_flag"`
	IgnoreCaseFlag *flag            `json:"ignore_case_flag"`
	SubstringFlag  flag             `json:"substring_flag"`
	MaxAgeSeconds  number           `json:"max_age_seconds"`
	Delimiter      string           `json:"delimiter"`
	DelimiterIndex number           `json:"delimiter_index"`
}

type groupRequest struct {
	ID        number          `json:"id"`
	Name      string          `json:"name"`
	Text      string          `json:"text"`
	AndFlag   *flag           `json:"and_flag"`
	NotFlag   flag            `json:"not_flag"`
	Filters   []filterRequest `json:"filters"`
	SubGroups []groupRequest  `json:"sub_groups"`
}

// anyText is a text that some programs write as a number or a boolean.
type anyText string

func (t *anyText) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(t))
	case '{', '[':
		return &json.UnmarshalTypeError{Value: nameOfJSON(b)}
	}
	if string(b) != "null" {
		*t = anyText(b)
	}
	return nil
}

// question returns what the request asks.
func (q questionRequest) question(catalogue *sensor.Catalogue) (question.Question, error) {
	if q.ContextGroup != nil && q.ContextGroup.ID != 0 {
		return question.Question{}, fmt.Errorf("%w (context_group)", missing("Group", "group"))
	}
	var out question.Question
	var err error
	switch {
	case q.Selects != nil: // the text is not looked at then
		out, err = q.structured(catalogue)
	case strings.TrimSpace(q.QueryText) != "":
		out, err = question.Parse(q.QueryText, catalogue)
	default:
		err = fault.New(fault.Invalid, "query_text or selects is needed")
	}
	out.ComputerID = out.ComputerID || bool(q.ForceComputerIDFlag)
	return out, err
}

// expire returns for how long the question is open.
func (q questionRequest) expire() (time.Duration, error) {
	if q.ExpireSeconds == 0 {
		return expireDefault, nil
	}
	if q.ExpireSeconds < number(expireMin/time.Second) || q.ExpireSeconds > number(expireMax/time.Second) {
		return 0, fault.New(fault.Invalid, "expire_seconds is %d, not %d to %d", q.ExpireSeconds, expireMin/time.Second, expireMax/time.Second)
	}
	return time.Duration(q.ExpireSeconds) * time.Second, nil
}

func (q questionRequest) structured(catalogue *sensor.Catalogue) (question.Question, error) {
	r := reader{catalogue: catalogue, deal: len(q.ParameterValues) > 0, values: q.ParameterValues}
	var out question.Question
	for i, s := range q.Selects {
		where := fmt.Sprintf("selects[%d]", i)
		ref, err := r.ref(where+".sensor", s.Sensor)
		if err != nil {
			return out, err
		}
		if s.Filter != nil {
			if ref.Column, err = r.unfiltered(where+".filter", *s.Filter, ref); err != nil {
				return out, err
			}
		}
		out.Selects = append(out.Selects, ref)
	}
	if q.Group != nil {
		var err error
		if out.Where, err = r.group("group", *q.Group, 1); err != nil {
			return out, err
		}
	}
	if len(r.values) > 0 {
		return out, fault.New(fault.Invalid, "parameter_values: %d more than the sensors have parameters", len(r.values))
	}
	return question.Resolve(out, catalogue)
}

// A reader reads the objects of a question in their order.
type reader struct {
	catalogue *sensor.Catalogue
	deal      bool      // sensors without parameters of their own take the next of values
	values    []anyText // not yet taken
}

// ref finds the sensor that an object names by the hash of its template, its
// own hash or its name, the surest first.
func (r *reader) ref(where string, o sensorRequestRef) (question.Ref, error) {
	var s sensor.Sensor
	ok := false
	for _, h := range []number{o.SourceHash, o.Hash} {
		if !ok && h > 0 && h < 1<<32 {
			s, ok = r.catalogue.ByHash(uint32(h))
		}
	}
	if !ok && o.Name != "" {
		s, ok = r.catalogue.ByName(o.Name)
	}
	if ok {
		params, err := r.params(where, s, o)
		return question.Ref{Sensor: s.Name, Params: params}, err
	}
	// The name may be that of a finished sensor, with parameters in brackets.
	if q, err := question.Parse("Get "+o.Name, r.catalogue); err == nil && len(q.Selects) == 1 && q.Where == nil {
		return q.Selects[0], nil
	}
	what := fmt.Sprintf("%q", shorten(o.Name))
	if o.Name == "" {
		what = fmt.Sprintf("hash %d", max(o.SourceHash, o.Hash))
	}
	return question.Ref{}, fmt.Errorf("%w (%s: %s)", missing("Sensor", "sensor"), where, what)
}

func (r *reader) params(where string, s sensor.Sensor, o sensorRequestRef) ([]string, error) {
	if len(o.Parameters) > 0 {
		return given(where, s, o)
	}
	// A finished sensor's name has its parameters.
	if q, err := question.Parse("Get "+o.Name, r.catalogue); err == nil && len(q.Selects) == 1 && len(q.Selects[0].Params) > 0 && q.Selects[0].Sensor == s.Name {
		return q.Selects[0].Params, nil
	}
	if !r.deal {
		return nil, nil
	}
	if len(r.values) < len(s.Parameters) {
		return nil, fault.New(fault.Invalid, "parameter_values: too few: %s takes %d, %d are left", s.Name, len(s.Parameters), len(r.values))
	}
	var out []string
	for _, v := range r.values[:len(s.Parameters)] {
		out = append(out, string(v))
	}
	r.values = r.values[len(s.Parameters):]
	return out, nil
}

// given returns the parameters that stand with their keys in an object. One
// that is left out has its default.
func given(where string, s sensor.Sensor, o sensorRequestRef) ([]string, error) {
	out := make([]string, len(s.Parameters))
	set := make([]bool, len(s.Parameters))
	for i, p := range s.Parameters {
		out[i], set[i] = p.Default, p.Default != ""
	}
	for _, p := range o.Parameters {
		i := slices.IndexFunc(s.Parameters, func(sp sensor.Parameter) bool { return sp.Key == bareKey(p.Key) })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "%s.parameters: %s has no parameter %q", where, s.Name, shorten(p.Key))
		}
		out[i], set[i] = string(p.Value), true
	}
	if i := slices.Index(set, false); i >= 0 {
		return nil, fault.New(fault.Invalid, "%s.parameters: %s needs a value for %q", where, s.Name, s.Parameters[i].Key)
	}
	return out, nil
}

// unfiltered makes sure that the filter of a select filters nothing, and
// returns the column that it chooses.
func (r *reader) unfiltered(where string, f filterRequest, ref question.Ref) (string, error) {
	if f.Value != "" || f.Operator != "" && f.Operator != operatorLess || bool(f.NotFlag) {
		return "", fault.New(fault.Invalid, "%s: a shown sensor has no condition: machines are chosen by group", where)
	}
	if err := f.plain(where); err != nil {
		return "", err
	}
	return r.column(where, f, ref)
}

// plain refuses members that would change the meaning and that no question can
// carry.
func (f filterRequest) plain(where string) error {
	if f.MaxAgeSeconds != 0 {
		return fault.New(fault.Invalid, "%s.max_age_seconds: how old an answer may be is the sensor's own affair", where)
	}
	if f.SubstringFlag {
		return fault.New(fault.Invalid, "%s.substring_flag: parts of a text are chosen by a pattern", where)
	}
	return nil
}

func (r *reader) column(where string, f filterRequest, ref question.Ref) (string, error) {
	if f.Delimiter == "" {
		return "", nil
	}
	s, _ := r.catalogue.ByName(ref.Sensor) // was found already
	if f.DelimiterIndex < 0 || int(f.DelimiterIndex) >= len(s.Columns) {
		return "", fault.New(fault.Invalid, "%s.delimiter_index: %s has %d columns, and the first is 0", where, s.Name, len(s.Columns))
	}
	if len(s.Columns) == 1 {
		return "", nil
	}
	return s.Columns[f.DelimiterIndex].Name, nil
}

func (r *reader) group(where string, g groupRequest, depth int) (question.Condition, error) {
	if depth > question.DepthMax {
		return nil, fault.New(fault.Invalid, "groups are nested more than %d deep", question.DepthMax)
	}
	var parts []question.Condition
	for i, f := range g.Filters {
		c, err := r.filter(fmt.Sprintf("%s.filters[%d]", where, i), f)
		if err != nil {
			return nil, err
		}
		parts = append(parts, c)
	}
	for i, sub := range g.SubGroups {
		c, err := r.group(fmt.Sprintf("%s.sub_groups[%d]", where, i), sub, depth+1)
		if err != nil {
			return nil, err
		}
		if c != nil {
			parts = append(parts, c)
		}
	}
	var c question.Condition
	switch {
	case len(parts) == 1:
		c = parts[0]
	case len(parts) == 0:
		return r.named(where, g)
	case g.AndFlag == nil || bool(*g.AndFlag):
		c = question.And(parts)
	default:
		c = question.Or(parts)
	}
	if g.NotFlag {
		c = question.Not{Of: c}
	}
	return c, nil
}

// named reads a group that has no filters of its own: by its text. An empty
// one is all machines.
func (r *reader) named(where string, g groupRequest) (question.Condition, error) {
	if strings.TrimSpace(g.Text) == "" {
		if g.ID != 0 || g.Name != "" {
			return nil, fmt.Errorf("%w (%s)", missing("Group", "group"), where)
		}
		return nil, nil
	}
	c, err := question.ParseCondition(g.Text, r.catalogue)
	if err != nil {
		return nil, fmt.Errorf("%s.text: %w", where, err)
	}
	if g.NotFlag {
		c = question.Not{Of: c}
	}
	return c, nil
}

func (r *reader) filter(where string, f filterRequest) (question.Condition, error) {
	ref, err := r.ref(where+".sensor", f.Sensor)
	if err != nil {
		return nil, err
	}
	if err := f.plain(where); err != nil {
		return nil, err
	}
	column, err := r.column(where, f, ref)
	if err != nil {
		return nil, err
	}
	if column != "" {
		ref.Column = column
	}
	t := question.Test{
		Ref: ref, Value: string(f.Value), MatchCase: f.IgnoreCaseFlag != nil && !bool(*f.IgnoreCaseFlag),
		All: bool(f.AllValuesFlag) != bool(f.NotFlag),
	}
	if f.Operator == operatorPattern {
		t.Op, t.Value = textOperator(t.Value)
	}
	for op, name := range operators {
		if name == f.Operator {
			t.Op = op
		}
	}
	if t.Op == 0 {
		return nil, fault.New(fault.Invalid, "%s.operator: %q is not RegexMatch, Equal, Less, LessEqual, Greater or GreaterEqual", where, shorten(f.Operator))
	}
	if f.NotFlag {
		return question.Not{Of: t}, nil
	}
	return t, nil
}

// textOperator finds the plainest operator for a pattern: .*X.* is contains X.
// What it returns has the same pattern.
func textOperator(pattern string) (question.Op, string) {
	for _, op := range []question.Op{question.Contains, question.StartsWith, question.EndsWith} {
		inner := pattern
		if op != question.StartsWith {
			inner = strings.TrimPrefix(inner, ".*")
		}
		if op != question.EndsWith {
			inner = strings.TrimSuffix(inner, ".*")
		}
		bare := strings.TrimSuffix(strings.TrimPrefix(inner, "(?:"), ")")
		for _, text := range []string{inner, bare} {
			if _, err := regexp.Compile(text); err != nil || text == "" {
				continue
			}
			if p, _ := op.Pattern(text); p == pattern {
				return op, text
			}
		}
	}
	return question.Matches, pattern
}
