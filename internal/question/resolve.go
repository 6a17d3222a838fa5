package question

import (
	"unicode/utf8"

	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/sensor"
)

// Resolve checks a question that a program has put together and returns it as
// [Parse] would have: names in the catalogue's spelling, no list of conditions
// with a single part. Its error is of kind fault.Invalid.
func Resolve(q Question, names *sensor.Catalogue) (Question, error) {
	out := Question{ComputerID: q.ComputerID}
	if len(q.Selects) > SelectsMax {
		return Question{}, fault.New(fault.Invalid, "a question shows at most %d sensors, not %d", SelectsMax, len(q.Selects))
	}
	for _, r := range q.Selects {
		r, err := r.resolve(names)
		if err != nil {
			return Question{}, err
		}
		out.Selects = append(out.Selects, r)
	}
	if q.Where != nil {
		r := resolver{names: names}
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

func (r Ref) resolve(names *sensor.Catalogue) (Ref, error) {
	s, ok := names.ByName(r.Sensor)
	if !ok {
		e := SyntaxError{Message: unknownSensor(r.Sensor), Suggestions: Suggest(r.Sensor, names, suggestionsMax)}
		return Ref{}, fault.New(fault.Invalid, "%s", e.text())
	}
	if problem := wrongCount(s, len(r.Params)); problem != "" {
		return Ref{}, fault.New(fault.Invalid, "%s", problem)
	}
	out := Ref{Sensor: s.Name, Params: r.Params}
	for _, p := range r.Params {
		if !utf8.ValidString(p) {
			return Ref{}, fault.New(fault.Invalid, "a parameter of %s is not UTF-8", s.Name)
		}
	}
	if r.Column != "" {
		if out.Column, ok = columnNamed(s, r.Column); !ok {
			return Ref{}, fault.New(fault.Invalid, "%s", unknownColumn(s, r.Column))
		}
	}
	return out, nil
}

// A resolver counts the parts of a condition.
type resolver struct {
	names *sensor.Catalogue
	nodes int
}

func (r *resolver) condition(c Condition, depth int) (Condition, error) {
	if r.nodes++; r.nodes > NodesMax {
		return nil, fault.New(fault.Invalid, "the condition has more than %d parts", NodesMax)
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
	case Test:
		return r.test(c)
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

func (r *resolver) test(t Test) (Condition, error) {
	ref, err := t.Ref.resolve(r.names)
	if err != nil {
		return nil, err
	}
	t.Ref = ref
	switch {
	case !t.Op.Valid():
		return nil, fault.New(fault.Invalid, "the test of %s has no operator", ref)
	case !utf8.ValidString(t.Value) || len(t.Value) > expr.ValueMax:
		return nil, fault.New(fault.Invalid, "the value that %s is compared with is not UTF-8 or longer than %d bytes", ref, expr.ValueMax)
	}
	return t, nil
}
