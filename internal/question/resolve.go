package question

import (
	"slices"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// Resolve checks a question that a program has put together and returns it as
// [Parse] would have: names in the catalogue's spelling, no list of conditions
// with a single part, nothing that says nothing. Its error is of kind
// fault.Invalid.
func Resolve(q Question, names *sensor.Catalogue, groups Groups) (Question, error) {
	out := Question{ComputerID: q.ComputerID}
	if len(q.Selects) > SelectsMax {
		return Question{}, fault.New(fault.Invalid, "a question shows at most %d sensors, not %d", SelectsMax, len(q.Selects))
	}
	r := resolver{names: names, groups: groups}
	for _, s := range q.Selects {
		s, err := r.choice(s)
		if err != nil {
			return Question{}, err
		}
		out.Selects = append(out.Selects, s)
	}
	if q.Where != nil {
		where, err := r.condition(q.Where, 1)
		if err != nil {
			return Question{}, err
		}
		out.Where = where
	}
	if len(out.String()) > TextMax {
		return Question{}, fault.New(fault.Invalid, "%s", tooLong)
	}
	return out, nil
}

// ResolveCondition is [Resolve] for a condition by itself; nil stays nil.
func ResolveCondition(c Condition, names *sensor.Catalogue, groups Groups) (Condition, error) {
	q, err := Resolve(Question{Where: c}, names, groups)
	return q.Where, err
}

func (r Ref) resolve(names *sensor.Catalogue) (Ref, error) {
	s, ok := names.ByName(r.Sensor)
	if !ok {
		e := SyntaxError{Message: unknownSensor(r.Sensor), Suggestions: Suggest(r.Sensor, names, suggestionsMax)}
		return Ref{}, fault.New(fault.Invalid, "%s", e.text())
	}
	if problem := wrongCount(s, len(r.Params)); problem != "" {
		return Ref{}, fault.New(fault.Invalid, "%s", problem)
	}
	for _, p := range r.Params {
		if !utf8.ValidString(p) {
			return Ref{}, fault.New(fault.Invalid, "a parameter of %s is not UTF-8", s.Name)
		}
	}
	return r.read(s)
}

// read resolves what r says of how the texts of s are read.
func (r Ref) read(s sensor.Sensor) (Ref, error) {
	if problem := r.problem(s); problem != "" {
		return Ref{}, fault.New(fault.Invalid, "%s: %s", s.Name, problem)
	}
	r.Sensor = s.Name
	if r.Column != "" {
		name, ok := columnNamed(s, r.Column)
		if !ok {
			return Ref{}, fault.New(fault.Invalid, "%s", unknownColumn(s, r.Column))
		}
		r.Column = name
	}
	return r.plainType(s), nil
}

// typed reports whether op compares by the type of its texts.
func (op Op) typed() bool { return op >= Equals && op <= GreaterEqual }

// plain leaves out what says nothing: a filter that everything passes, as
// programs write it, and a type that nothing is compared by.
func (s Select) plain(names *sensor.Catalogue) Select {
	if f := s.Filter; f != nil && f.Op == Less && f.Value == "" && !f.Not {
		s.Filter = nil
	}
	if s.Filter == nil || !s.Filter.Op.typed() {
		def, _ := names.ByName(s.Sensor) // a resolved sensor is one of them
		if s.Type == value.String || s.Column == "" && len(def.Columns) > 1 {
			s.Type = 0
		}
	}
	return s
}

func (h Having) plain() Having {
	if !h.Op.typed() {
		h.Ref.Type = 0
	}
	return h
}

func (t Test) plain() Test {
	if !t.Op.typed() {
		t.Ref.Type = 0
	}
	return t
}

// choice resolves a sensor to show.
func (r *resolver) choice(s Select) (out Select, err error) {
	if out.Ref, err = s.Ref.resolve(r.names); err != nil {
		return out, err
	}
	if s.Filter != nil {
		f, err := r.predicate(out.Ref, *s.Filter)
		if err != nil {
			return out, err
		}
		out.Filter = &f
	}
	if len(s.Having) > havingMax {
		return out, fault.New(fault.Invalid, `%s has %d conditions after "having", more than %d`, out.Ref, len(s.Having), havingMax)
	}
	for _, h := range s.Having {
		h, err := r.having(out.Ref, h)
		if err != nil {
			return out, err
		}
		out.Having = append(out.Having, h)
	}
	return out.plain(r.names), nil
}

func (r *resolver) having(shown Ref, h Having) (out Having, err error) {
	s, ok := r.names.ByName(h.Ref.Sensor)
	if !ok || s.Name != shown.Sensor || len(h.Ref.Params) > 0 && !slices.Equal(h.Ref.Params, shown.Params) {
		return out, fault.New(fault.Invalid, "%s", otherSensor(shown))
	}
	if h.Ref.MaxAge != 0 {
		return out, fault.New(fault.Invalid, "%s", ageInHaving)
	}
	h.Ref.Params = nil
	if out.Ref, err = h.Ref.read(s); err != nil {
		return out, err
	}
	out.Predicate, err = r.predicate(out.Ref, h.Predicate)
	return out.plain(), err
}

func (r *resolver) predicate(of Ref, is Predicate) (Predicate, error) {
	if err := r.node(); err != nil {
		return is, err
	}
	if problem := wrongValue(is.Op, is.Value); problem != "" {
		return is, fault.New(fault.Invalid, "%s: %s", of, problem)
	}
	switch {
	case !is.Op.Valid():
		return is, fault.New(fault.Invalid, "the test of %s has no operator", of)
	case !utf8.ValidString(is.Value):
		return is, fault.New(fault.Invalid, "the value that %s is compared with is not UTF-8", of)
	}
	is.MatchCase = is.MatchCase && is.Op != HasHash
	return is, nil
}

// A resolver counts the parts of a question's conditions.
type resolver struct {
	names  *sensor.Catalogue
	groups Groups
	nodes  int
}

func (r *resolver) node() error {
	if r.nodes++; r.nodes > NodesMax {
		return fault.New(fault.Invalid, "the condition has more than %d parts", NodesMax)
	}
	return nil
}

func (r *resolver) condition(c Condition, depth int) (Condition, error) {
	if t, ok := c.(Test); ok {
		return r.test(t, depth)
	}
	if err := r.node(); err != nil {
		return nil, err
	}
	if depth > DepthMax {
		return nil, fault.New(fault.Invalid, "the condition is nested more than %d deep", DepthMax)
	}
	switch c := c.(type) {
	case And:
		parts, err := r.parts(c, depth)
		if len(parts) == 1 {
			return parts[0], err
		}
		return And(parts), err
	case Or:
		parts, err := r.parts(c, depth)
		if len(parts) == 1 {
			return parts[0], err
		}
		return Or(parts), err
	case Not:
		of, err := r.condition(c.Of, depth+1)
		return Not{of}, err
	case Member:
		g, ok := knownGroup(c, r.groups)
		if !ok {
			return nil, fault.New(fault.Invalid, "%s", unknownGroup(c))
		}
		return Member{ID: g.ID, Name: g.Name}, nil
	}
	return nil, fault.New(fault.Invalid, "a condition lacks an operand")
}

func (r *resolver) parts(parts []Condition, depth int) ([]Condition, error) {
	if len(parts) == 0 {
		return nil, fault.New(fault.Invalid, "a list of conditions is empty")
	}
	var out []Condition
	for _, part := range parts {
		c, err := r.condition(part, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func (r *resolver) test(t Test, depth int) (Condition, error) {
	if depth > DepthMax {
		return nil, fault.New(fault.Invalid, "the condition is nested more than %d deep", DepthMax)
	}
	ref, err := t.Ref.resolve(r.names)
	if err != nil {
		return nil, err
	}
	is, err := r.predicate(ref, Predicate{Op: t.Op, Value: t.Value, MatchCase: t.MatchCase})
	t.Ref, t.MatchCase = ref, is.MatchCase
	return t.plain(), err
}
