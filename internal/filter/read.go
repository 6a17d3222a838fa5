package filter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// A Missing is the error that an object names something which is not there. It
// has the kind fault.NotFound.
type Missing struct {
	Noun  string // Sensor or Group
	Where string // in the object
	What  string
}

func (m Missing) Error() string {
	return fmt.Sprintf("%s: there is no %s %s", m.Where, strings.ToLower(m.Noun), m.What)
}

// Read returns what q asks, resolved. Its errors name the member that is wrong;
// they have the kind fault.Invalid or are a [Missing].
func Read(q Question, sensors *sensor.Catalogue, groups question.Groups) (question.Question, error) {
	r := reader{sensors: sensors, groups: groups, deal: len(q.ParameterValues) > 0, values: q.ParameterValues}
	out := question.Question{ComputerID: bool(q.ForceComputerIDFlag)}
	if len(q.Selects) > question.SelectsMax {
		return out, fault.New(fault.Invalid, "selects: %d are more than %d", len(q.Selects), question.SelectsMax)
	}
	for i, s := range q.Selects {
		s, err := r.selected(fmt.Sprintf("selects[%d]", i), s)
		if err != nil {
			return out, err
		}
		out.Selects = append(out.Selects, s)
	}
	if q.Group != nil {
		var err error
		if out.Where, err = r.group("group", *q.Group, 1); err != nil {
			return out, err
		}
	}
	if len(r.values) > 0 && q.QuestionText == "" {
		return out, fault.New(fault.Invalid, "parameter_values: %d more than the sensors have parameters", len(r.values))
	}
	return question.Resolve(out, sensors, groups)
}

// ReadGroup returns the condition that g is, resolved; nil is all machines. The
// definition of a computer group is read without its own number and name, which
// would mean itself.
func ReadGroup(g Group, sensors *sensor.Catalogue, groups question.Groups) (question.Condition, error) {
	r := reader{sensors: sensors, groups: groups}
	c, err := r.group("group", g, 1)
	if err != nil {
		return nil, err
	}
	return question.ResolveCondition(c, sensors, groups)
}

// A reader reads the objects of a question in their order.
type reader struct {
	sensors *sensor.Catalogue
	groups  question.Groups
	deal    bool   // sensors without parameters of their own take the next of values
	values  []Text // not yet taken
	nodes   int    // filters and groups so far
}

// node counts one filter or group, so that what is too large is refused early.
func (r *reader) node(where string) error {
	if r.nodes++; r.nodes > question.NodesMax {
		return fault.New(fault.Invalid, "%s: there are more than %d filters and groups", where, question.NodesMax)
	}
	return nil
}

// ref finds the sensor that an object names by the hash of its template, its
// own hash or its name, the surest first.
func (r *reader) ref(where string, o Sensor) (question.Ref, error) {
	finished, named := question.Ref{}, false
	if strings.HasSuffix(strings.TrimSpace(o.Name), "]") {
		// The name may be that of a finished sensor, with parameters in brackets.
		ref, err := question.ParseRef(o.Name, r.sensors)
		finished, named = ref, err == nil && len(ref.Params) > 0
	}
	s, ok := r.template(o)
	switch {
	case !ok && named:
		return finished, nil
	case !ok:
		what := strconv.Quote(shorten(o.Name))
		switch hash := max(o.SourceHash, o.Hash); {
		case o.Name == "" && hash == 0 && o.ID != 0:
			what = fmt.Sprintf("number %d", o.ID)
		case o.Name == "":
			what = fmt.Sprintf("hash %d", hash)
		}
		return question.Ref{}, fault.New(fault.NotFound, "%w", Missing{"Sensor", where, what})
	case len(o.Parameters) > 0:
		params, err := given(where, s, o)
		return question.Ref{Sensor: s.Name, Params: params}, err
	case named && finished.Sensor == s.Name:
		return finished, nil
	}
	params, err := r.dealt(s)
	return question.Ref{Sensor: s.Name, Params: params}, err
}

func (r *reader) template(o Sensor) (s sensor.Sensor, ok bool) {
	for _, h := range []Number{o.SourceHash, o.Hash} {
		if !ok && h > 0 && h < 1<<32 {
			s, ok = r.sensors.ByHash(uint32(h))
		}
	}
	if !ok && o.Name != "" {
		s, ok = r.sensors.ByName(o.Name)
	}
	return s, ok
}

// dealt takes the parameters of s from the values. Those at the end that are
// what s would have without them are left out.
func (r *reader) dealt(s sensor.Sensor) ([]string, error) {
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
	for n := len(out); n > 0 && out[n-1] == s.Parameters[n-1].Default && out[n-1] != ""; n-- {
		out = out[:n-1]
	}
	return out, nil
}

// given returns the parameters that stand with their keys in an object, up to
// the last of them. One that is left out has its default.
func given(where string, s sensor.Sensor, o Sensor) ([]string, error) {
	out := make([]string, len(s.Parameters))
	set := make([]bool, len(s.Parameters))
	for i, p := range s.Parameters {
		out[i], set[i] = p.Default, p.Default != ""
	}
	last := -1
	for _, p := range o.Parameters {
		key := strings.TrimSuffix(strings.TrimPrefix(p.Key, keyBars), keyBars)
		i := slices.IndexFunc(s.Parameters, func(sp sensor.Parameter) bool { return sp.Key == key })
		if i < 0 {
			return nil, fault.New(fault.Invalid, "%s.parameters: %s has no parameter %q", where, s.Name, shorten(p.Key))
		}
		out[i], set[i] = string(p.Value), true
		last = max(last, i)
	}
	if i := slices.Index(set, false); i >= 0 {
		return nil, fault.New(fault.Invalid, "%s.parameters: %s needs a value for %q", where, s.Name, s.Parameters[i].Key)
	}
	return out[:last+1], nil
}

func (r *reader) selected(where string, s Select) (out question.Select, err error) {
	if out.Ref, err = r.ref(where+".sensor", s.Sensor); err != nil {
		return out, err
	}
	if f := s.Filter; f != nil {
		if err := r.node(where + ".filter"); err != nil {
			return out, err
		}
		if err := r.sameSensor(where+".filter", *f, out.Ref); err != nil {
			return out, err
		}
		if out.Ref, err = r.reading(where+".filter", *f, out.Ref); err != nil {
			return out, err
		}
		// Without operator and value nothing is filtered.
		if f.Operator != "" || f.Value != "" || bool(f.NotFlag) {
			is, err := f.predicate(where + ".filter")
			if err != nil {
				return out, err
			}
			out.Filter = &is
		}
	}
	for i, f := range s.Having {
		where := fmt.Sprintf("%s.having[%d]", where, i)
		if err := r.node(where); err != nil {
			return out, err
		}
		if err := r.sameSensor(where, f, out.Ref); err != nil {
			return out, err
		}
		var h question.Having
		if h.Ref, err = r.reading(where, f, question.Ref{Sensor: out.Sensor}); err != nil {
			return out, err
		}
		if h.Predicate, err = f.predicate(where); err != nil {
			return out, err
		}
		out.Having = append(out.Having, h)
	}
	return out, nil
}

// sameSensor makes sure that the filter of a select is about what that shows.
func (r *reader) sameSensor(where string, f Filter, ref question.Ref) error {
	if f.Sensor == nil || f.Sensor.Name == "" && f.Sensor.Hash == 0 && f.Sensor.SourceHash == 0 && f.Sensor.ID == 0 {
		return nil
	}
	named := reader{sensors: r.sensors} // deals no parameters
	other, err := named.ref(where+".sensor", *f.Sensor)
	if err == nil && other.Sensor != ref.Sensor {
		err = fault.New(fault.Invalid, "%s.sensor: the rows of %s are filtered by themselves, not by %s", where, ref.Sensor, other.Sensor)
	}
	return err
}

// reading returns ref with the column, part, type and age that f chooses.
func (r *reader) reading(where string, f Filter, ref question.Ref) (question.Ref, error) {
	s, _ := r.sensors.ByName(ref.Sensor) // was found already
	if f.Delimiter != "" && len(s.Columns) > 1 {
		if f.DelimiterIndex < 0 || int(f.DelimiterIndex) >= len(s.Columns) {
			return ref, fault.New(fault.Invalid, "%s.delimiter_index: %s has %d columns, and the first is 0", where, s.Name, len(s.Columns))
		}
		ref.Column = s.Columns[f.DelimiterIndex].Name
	} else if f.Delimiter != "" {
		ref.Part.Delimiter, ref.Part.Index = f.Delimiter, small(f.DelimiterIndex)
	}
	if f.SubstringFlag {
		ref.Part.Start, ref.Part.Length = small(f.SubstringStart), small(f.SubstringLength)
	}
	if err := ref.Part.Check(); err != nil {
		return ref, fault.New(fault.Invalid, "%s: %w", where, err)
	}
	if f.MaxAgeSeconds != 0 {
		ref.MaxAge = time.Duration(small(f.MaxAgeSeconds)) * time.Second
	}
	if f.ValueType != "" {
		t, ok := value.ParseType(f.ValueType)
		if !ok {
			return ref, fault.New(fault.Invalid, "%s.value_type: %q is no type, such as String, Version or Numeric", where, shorten(f.ValueType))
		}
		if ref.Type = t; t == value.Hash {
			ref.Type = value.String // compares in the same way
		}
	}
	if a := f.Aggregation; a != "" && !strings.EqualFold(a, "none") {
		return ref, fault.New(fault.Invalid, "%s.aggregation: %q cannot be done: every value stands for itself", where, shorten(a))
	}
	return ref, nil
}

// small returns n within the numbers that every limit is below.
func small(n Number) int { return int(min(max(n, -1), 1<<31-1)) }

func (r *reader) filter(where string, f Filter) (question.Condition, error) {
	if err := r.node(where); err != nil {
		return nil, err
	}
	if f.Sensor == nil {
		f.Sensor = new(Sensor)
	}
	if c, ok := r.membership(f); ok {
		return c, nil
	}
	ref, err := r.ref(where+".sensor", *f.Sensor)
	if err != nil {
		return nil, err
	}
	if ref, err = r.reading(where, f, ref); err != nil {
		return nil, err
	}
	is, err := f.predicate(where)
	if err != nil {
		return nil, err
	}
	t := question.Test{Ref: ref, Op: is.Op, Value: is.Value, MatchCase: is.MatchCase, All: bool(f.AllValuesFlag) != is.Not}
	if is.Not {
		return question.Not{Of: t}, nil
	}
	return t, nil
}

// membership reads a filter on the sensor that programs put for a group which
// lists its machines, if no sensor bears its name.
func (r *reader) membership(f Filter) (question.Condition, bool) {
	if !strings.EqualFold(f.Sensor.Name, question.ManualMembership) || f.Operator != operators[question.Equals] {
		return nil, false
	}
	id, err := strconv.ParseInt(string(f.Value), 10, 64)
	if _, taken := r.template(*f.Sensor); taken || err != nil {
		return nil, false
	}
	if f.NotFlag {
		return question.Not{Of: question.Member{ID: id}}, true
	}
	return question.Member{ID: id}, true
}

// predicate returns what the filter wants texts to be. A hash that is none is
// the text itself: programs leave the operator out and mean that.
func (f Filter) predicate(where string) (question.Predicate, error) {
	out := question.Predicate{Value: string(f.Value), Not: bool(f.NotFlag), MatchCase: !f.IgnoreCaseFlag.or(true)}
	switch f.Operator {
	case operatorPattern:
		out.Op, out.Value = question.Unpattern(out.Value)
	case operatorHash, "HasMatch", "": // the second is how the description spells it
		out.Op = question.HasHash
		if n, err := strconv.ParseUint(out.Value, 10, 32); err != nil || strconv.FormatUint(n, 10) != out.Value {
			out.Op = question.Equals
		}
	}
	for op, name := range operators {
		if name == f.Operator && out.Op == 0 {
			out.Op = op
		}
	}
	if out.Op == 0 {
		return out, fault.New(fault.Invalid, "%s.operator: %q is not RegexMatch, Equal, Less, LessEqual, Greater, GreaterEqual or HashMatch", where, shorten(f.Operator))
	}
	return out, nil
}

func (r *reader) group(where string, g Group, depth int) (question.Condition, error) {
	if depth > question.DepthMax {
		return nil, fault.New(fault.Invalid, "groups are nested more than %d deep", question.DepthMax)
	}
	if err := r.node(where); err != nil {
		return nil, err
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
		named, err := r.named(where, g)
		if c = named; c == nil {
			return nil, err
		}
	case g.AndFlag.or(true):
		c = question.And(parts)
	default:
		c = question.Or(parts)
	}
	if g.NotFlag {
		c = question.Not{Of: c}
	}
	return c, nil
}

// named reads a group that has no filters of its own: by its number, its text
// or its name, the surest first. An empty one is all machines.
func (r *reader) named(where string, g Group) (question.Condition, error) {
	known := func(m question.Member) bool {
		_, err := question.ResolveCondition(m, r.sensors, r.groups)
		return err == nil
	}
	byID, byName := question.Member{ID: int64(g.ID)}, question.Member{Name: g.Name}
	switch {
	case g.ID != 0 && known(byID):
		return byID, nil
	case strings.TrimSpace(g.Text) != "":
		c, err := question.ParseCondition(g.Text, r.sensors, r.groups)
		if err != nil {
			return nil, fmt.Errorf("%s.text: %w", where, err)
		}
		return c, nil
	case g.ID == 0 && g.Name == "":
		return nil, nil
	case g.ID == 0 && known(byName):
		return byName, nil
	}
	what := strconv.Quote(shorten(g.Name))
	if g.ID != 0 {
		what = strconv.FormatInt(int64(g.ID), 10)
	}
	return nil, fault.New(fault.NotFound, "%w", Missing{"Group", where, what})
}

// shorten returns the beginning of what a program sent, enough to find it.
func shorten(s string) string {
	const most = 60 // characters: longer than the names that people use
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
