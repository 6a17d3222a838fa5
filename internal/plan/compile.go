package plan

import (
	"regexp"
	"slices"
	"strings"

	"catenary/internal/expr"
	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/value"
)

// Options are what a question's text does not say.
type Options struct {
	// ComputerID asks for one row per machine, with its computer ID.
	ComputerID bool
	// Definition returns the signed definition of a script sensor. It may be
	// nil where the catalogue has native sensors only.
	Definition func(sensor.Sensor) []byte
}

// Compile returns the plan of q over the sensors of c. An error of kind
// fault.Invalid names the part of the question that cannot work.
func Compile(q question.Question, c *sensor.Catalogue, opt Options) (Plan, error) {
	q, err := question.Resolve(q, c)
	if err != nil {
		return Plan{}, err
	}
	k := compiler{catalogue: c, definition: opt.Definition}
	k.plan.Text = q.String()
	k.plan.ComputerID = q.ComputerID || opt.ComputerID
	if k.plan.ComputerID {
		k.plan.Columns = append(k.plan.Columns, Column{sensor.Hash(computerID), computerID, value.NumericInteger, ofComputerID, 0})
	}
	for _, r := range q.Selects {
		if err := k.show(r); err != nil {
			return Plan{}, err
		}
	}
	k.plan.Selects = shown(k.plan.Columns)
	if q.Where != nil {
		if k.plan.Where, err = k.condition(q.Where); err != nil {
			return Plan{}, err
		}
	}
	if err := k.plan.Check(); err != nil {
		return Plan{}, fault.New(fault.Invalid, "%w", err)
	}
	if n := len(k.plan.Append(nil)); n > BytesMax {
		return Plan{}, fault.New(fault.Invalid, "the question with its sensors' definitions takes %d bytes, more than %d", n, BytesMax)
	}
	return k.plan, nil
}

type compiler struct {
	catalogue  *sensor.Catalogue
	definition func(sensor.Sensor) []byte
	plan       Plan
}

// use returns the sensor of a resolved r and its place in the plan.
func (k *compiler) use(r question.Ref) (sensor.Sensor, int, error) {
	s, ok := k.catalogue.ByName(r.Sensor)
	if !ok {
		panic("plan: a resolved question names the unknown sensor " + r.Sensor)
	}
	u := Use{Name: s.Name, MaxAge: s.MaxAge, Width: len(s.Columns), KeepDuplicates: s.KeepDuplicates}
	for i, param := range s.Parameters {
		text := param.Default
		if i < len(r.Params) {
			text = r.Params[i]
		}
		u.Params = append(u.Params, text)
	}
	if i := slices.IndexFunc(k.plan.Sensors, u.same); i >= 0 {
		return s, i, nil
	}
	if !s.Native() {
		if k.definition != nil {
			u.Definition = k.definition(s)
		}
		if len(u.Definition) == 0 {
			return s, 0, fault.New(fault.Internal, "the script sensor %q has no signed definition", s.Name)
		}
	}
	k.plan.Sensors = append(k.plan.Sensors, u)
	return s, len(k.plan.Sensors) - 1, nil
}

// show adds the columns of r. A sensor that was asked with parameters is
// called, and numbered, after both.
func (k *compiler) show(r question.Ref) error {
	s, use, err := k.use(r)
	if err != nil {
		return err
	}
	name := s.Name
	if len(r.Params) > 0 {
		name += "[" + strings.Join(r.Params, ",") + "]"
	}
	field, one := s.Column(r.Column)
	for i, col := range s.Columns {
		if one && i != field {
			continue
		}
		column := Column{sensor.Hash(name), col.Name, col.Type, use, i}
		if len(s.Columns) == 1 {
			column.Name = name
		}
		k.plan.Columns = append(k.plan.Columns, column)
	}
	return nil
}

func (k *compiler) condition(c question.Condition) (expr.Condition, error) {
	switch c := c.(type) {
	case question.And:
		parts, err := k.conditions(c)
		return expr.And(parts), err
	case question.Or:
		parts, err := k.conditions(c)
		return expr.Or(parts), err
	case question.Not:
		of, err := k.condition(c.Of)
		return expr.Not{Of: of}, err
	case question.Test:
		return k.test(c)
	}
	panic("plan: a resolved condition lacks an operand")
}

func (k *compiler) conditions(parts []question.Condition) ([]expr.Condition, error) {
	var out []expr.Condition
	for _, part := range parts {
		c, err := k.condition(part)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

var comparisons = map[question.Op]expr.Op{
	question.Equals: expr.Equal,
	question.Less:   expr.Less, question.LessEqual: expr.LessEqual,
	question.Greater: expr.Greater, question.GreaterEqual: expr.GreaterEqual,
}

func (k *compiler) test(t question.Test) (expr.Condition, error) {
	s, use, err := k.use(t.Ref)
	if err != nil {
		return nil, err
	}
	out := expr.Test{Value: t.Value, Type: value.String, IgnoreCase: s.IgnoreCase && !t.MatchCase, All: t.All}
	field, ok := s.Column(t.Ref.Column)
	switch {
	case ok:
	case len(s.Columns) == 1:
		field = 0
	default:
		field = wholeRow
	}
	out.Name = testName(use, field)
	if pattern, ok := t.Op.Pattern(t.Value); ok {
		out.Op = expr.Matches
		// The value by itself first: a)(b is no pattern, though it is one in
		// brackets, and the message should show what was asked.
		if err := expr.Check(out); err != nil {
			return nil, fault.New(fault.Invalid, "%s: %w; for the text itself, write %s", question.Text(t), err, regexp.QuoteMeta(t.Value))
		}
		out.Value = pattern
	} else {
		out.Op = comparisons[t.Op]
		if field != wholeRow {
			out.Type = s.Columns[field].Type
		}
		if _, ok := value.Compare(out.Type, t.Value, t.Value); !ok && out.Op != expr.Equal {
			return nil, fault.New(fault.Invalid, "%s: %q cannot be read as %v, such as %s", question.Text(t), t.Value, out.Type, examples[out.Type])
		}
	}
	if err := expr.Check(out); err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", question.Text(t), err)
	}
	return out, nil
}

// examples are texts of the types that not every text can be read as.
var examples = map[value.Type]string{
	value.Version:        "1.10.2",
	value.Numeric:        "0.5",
	value.NumericInteger: "42",
	value.IPAddress:      "10.0.0.1",
	value.DataSize:       "1.5 GB",
	value.TimeDiff:       "4.2 hours",
	value.BESDate:        "Sun, 22 Nov 2026 01:30:00 +0000",
	value.WMIDate:        "20261122013000.000000+000",
	value.VariousDate:    "2026-11-22 01:30:00",
}
