package plan

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
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
	// Groups knows the computer groups that the conditions name.
	Groups question.Groups
	// Rights says which machines the asker may ask at all: as a rule one of some
	// computer groups, and if it is an Or of nothing, none. nil: every machine.
	Rights question.Condition
	// Context says which machines the question is about besides what its own
	// condition says, as if it stood there. nil: every machine.
	Context question.Condition
}

// Compile returns the plan of q over the sensors of c. An error of kind
// fault.Invalid names the part of the question that cannot work.
func Compile(q question.Question, c *sensor.Catalogue, opt Options) (Plan, error) {
	q, err := question.Resolve(q, c, opt.Groups)
	if err != nil {
		return Plan{}, err
	}
	k := compiler{catalogue: c, definition: opt.Definition, groups: opt.Groups}
	k.plan.Text = q.String()
	k.plan.ComputerID = q.ComputerID || opt.ComputerID
	if k.plan.ComputerID {
		k.plan.Columns = append(k.plan.Columns, Column{
			SensorHash: sensor.Hash(computerID), Name: computerID, Type: value.NumericInteger, Use: ofComputerID,
		})
	}
	for _, s := range q.Selects {
		if err := k.show(s); err != nil {
			return Plan{}, err
		}
	}
	k.plan.Selects = shown(k.plan.Columns)
	if err := k.conditions(q.Where, opt); err != nil {
		return Plan{}, err
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
	groups     question.Groups
	plan       Plan

	gauge expr.Gauge
	nodes int     // of the condition so far, with those of the groups in it
	in    []int64 // the groups that the condition is within
}

// conditions sets what decides which machines take part.
func (k *compiler) conditions(where question.Condition, opt Options) (err error) {
	if opt.Context, err = question.ResolveCondition(opt.Context, k.catalogue, k.groups); err != nil {
		return fmt.Errorf("the context: %w", err)
	}
	switch {
	case where == nil:
		where = opt.Context
	case opt.Context != nil:
		where = question.And{opt.Context, where}
	}
	if k.plan.Where, err = k.whole(where); err != nil {
		return err
	}
	if any, ok := opt.Rights.(question.Or); ok && len(any) == 0 {
		k.plan.Rights = expr.Or{}
		return nil
	}
	rights, err := question.ResolveCondition(opt.Rights, k.catalogue, k.groups)
	if err == nil {
		k.plan.Rights, err = k.whole(rights)
	}
	if err != nil {
		return fmt.Errorf("the asker's rights: %w", err)
	}
	return nil
}

// whole compiles a condition that stands by itself.
func (k *compiler) whole(c question.Condition) (expr.Condition, error) {
	if c == nil {
		return nil, nil
	}
	k.nodes = 0
	return k.condition(c)
}

// use returns the sensor of a resolved r and its place in the plan. If it is
// there already, the answer that serves both is the younger one.
func (k *compiler) use(r question.Ref) (sensor.Sensor, int, error) {
	s, ok := k.catalogue.ByName(r.Sensor)
	if !ok {
		panic("plan: a resolved question names the unknown sensor " + r.Sensor)
	}
	u := Use{Name: s.Name, MaxAge: s.MaxAge, Width: len(s.Columns), KeepDuplicates: s.KeepDuplicates}
	if r.MaxAge > 0 {
		u.MaxAge = r.MaxAge
	}
	for i, param := range s.Parameters {
		text := param.Default
		if i < len(r.Params) {
			text = r.Params[i]
		}
		u.Params = append(u.Params, text)
	}
	if i := slices.IndexFunc(k.plan.Sensors, u.same); i >= 0 {
		before := &k.plan.Sensors[i]
		before.MaxAge = min(before.MaxAge, u.MaxAge)
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

// show adds the columns of a sensor. One that was asked with parameters is
// called, and numbered, after both.
func (k *compiler) show(q question.Select) error {
	s, use, err := k.use(q.Ref)
	if err != nil {
		return err
	}
	keep, err := k.keep(q)
	if err != nil {
		return err
	}
	name := s.Name
	if len(q.Params) > 0 {
		name += "[" + strings.Join(q.Params, ",") + "]"
	}
	field, one := s.Column(q.Column)
	for i, col := range s.Columns {
		if one && i != field {
			continue
		}
		column := Column{
			SensorHash: sensor.Hash(name), Name: col.Name, Type: col.Type,
			Use: use, Field: i, Keep: keep, Part: k.part(q.Part),
		}
		if len(s.Columns) == 1 {
			column.Name = name
		}
		if q.Type != 0 && (one || len(s.Columns) == 1) {
			column.Type = q.Type
		}
		k.plan.Columns = append(k.plan.Columns, column)
	}
	return nil
}

// part returns the number of a part of texts.
func (k *compiler) part(p value.Part) int {
	if p == (value.Part{}) {
		return 0
	}
	at := slices.Index(k.plan.Parts, p)
	if at < 0 {
		at = len(k.plan.Parts)
		k.plan.Parts = append(k.plan.Parts, p)
	}
	return at + 1
}

// keep returns the number of the condition on the rows that q shows. Columns of
// one sensor whose rows pass the same tests share it, so that their rows stay
// together.
func (k *compiler) keep(q question.Select) (int, error) {
	var tests []expr.Condition
	add := func(r question.Ref, is question.Predicate) error {
		t, err := k.test(question.Test{Ref: r, Op: is.Op, Value: is.Value, MatchCase: is.MatchCase}, is.Not)
		if is.Not {
			t = expr.Not{Of: t}
		}
		if !slices.ContainsFunc(tests, func(c expr.Condition) bool { return c == t }) {
			tests = append(tests, t)
		}
		return err
	}
	if q.Filter != nil {
		if err := add(q.Ref, *q.Filter); err != nil {
			return 0, err
		}
	}
	for _, h := range q.Having {
		h.Ref.Params, h.Ref.MaxAge = q.Params, q.MaxAge
		if err := add(h.Ref, h.Predicate); err != nil {
			return 0, err
		}
	}
	if len(tests) == 0 {
		return 0, nil
	}
	slices.SortFunc(tests, func(a, b expr.Condition) int { return bytes.Compare(expr.Append(nil, a), expr.Append(nil, b)) })
	keep := expr.Condition(expr.And(tests))
	if len(tests) == 1 {
		keep = tests[0]
	}
	at := slices.IndexFunc(k.plan.Keeps, func(c expr.Condition) bool {
		return bytes.Equal(expr.Append(nil, c), expr.Append(nil, keep))
	})
	if at < 0 {
		at = len(k.plan.Keeps)
		k.plan.Keeps = append(k.plan.Keeps, keep)
	}
	return at + 1, nil
}

func (k *compiler) condition(c question.Condition) (expr.Condition, error) {
	if k.nodes++; k.nodes > expr.NodesMax {
		return nil, fault.New(fault.Invalid, "the condition, with the computer groups in it, has more than %d parts", expr.NodesMax)
	}
	switch c := c.(type) {
	case question.And:
		parts, err := k.all(c)
		return expr.And(parts), err
	case question.Or:
		parts, err := k.all(c)
		return expr.Or(parts), err
	case question.Not:
		if t, ok := c.Of.(question.Test); ok {
			of, err := k.test(t, true)
			return expr.Not{Of: of}, err
		}
		of, err := k.condition(c.Of)
		return expr.Not{Of: of}, err
	case question.Test:
		return k.test(c, false)
	case question.Member:
		return k.member(c)
	}
	panic("plan: a resolved condition lacks an operand")
}

func (k *compiler) all(parts []question.Condition) ([]expr.Condition, error) {
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

// member puts the condition of a computer group in the place of its name.
func (k *compiler) member(m question.Member) (expr.Condition, error) {
	g, ok := k.groups.GroupByID(m.ID)
	if !ok {
		return nil, fault.New(fault.Invalid, "there is no computer group %d any more", m.ID)
	}
	if slices.Contains(k.in, g.ID) {
		return nil, fault.New(fault.Invalid, "the computer group %q is part of itself", g.Name)
	}
	where, err := question.ResolveCondition(g.Where, k.catalogue, k.groups)
	if err != nil {
		return nil, fmt.Errorf("the computer group %q: %w", g.Name, err)
	}
	if where == nil {
		return expr.And{}, nil // all machines
	}
	if len(k.in) == expr.DepthMax {
		return nil, fault.New(fault.Invalid, "computer groups are nested more than %d deep", expr.DepthMax)
	}
	k.in = append(k.in, g.ID)
	c, err := k.condition(where)
	k.in = k.in[:len(k.in)-1]
	return c, err
}

var comparisons = map[question.Op]expr.Op{
	question.Equals: expr.Equal, question.HasHash: expr.Hashed,
	question.Less: expr.Less, question.LessEqual: expr.LessEqual,
	question.Greater: expr.Greater, question.GreaterEqual: expr.GreaterEqual,
}

// test compiles a test. What goes wrong is told with its negation, if it was
// written with one.
func (k *compiler) test(t question.Test, negated bool) (expr.Condition, error) {
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
	out.Name = testName(use, field, k.part(t.Ref.Part))
	asked := func() string {
		if negated {
			return question.Text(question.Not{Of: t})
		}
		return question.Text(t)
	}
	if pattern, ok := t.Op.Pattern(t.Value); ok {
		out.Op = expr.Matches
		// The value by itself first: a)(b is no pattern, though it is one in
		// brackets, and the message should show what was asked.
		err := new(expr.Gauge).Test(out)
		if _, wrong := errors.AsType[*syntax.Error](err); wrong {
			return nil, fault.New(fault.Invalid, "%s: %w; for the text itself, write %s", asked(), err, regexp.QuoteMeta(t.Value))
		}
		out.Value = pattern
	} else {
		out.Op = comparisons[t.Op]
		if out.Op != expr.Hashed {
			out.Type = typeOf(s, field, t.Ref.Type)
		}
		if _, ok := value.Compare(out.Type, t.Value, t.Value); !ok && out.Op != expr.Equal {
			return nil, fault.New(fault.Invalid, "%s: %q cannot be read as %v, such as %s", asked(), t.Value, out.Type, examples[out.Type])
		}
	}
	if err := k.gauge.Test(out); err != nil {
		return nil, fault.New(fault.Invalid, "%s: %w", asked(), err)
	}
	return out, nil
}

// typeOf is how the texts of a field compare: as asked, or else as its column
// says.
func typeOf(s sensor.Sensor, field int, asked value.Type) value.Type {
	switch {
	case asked != 0:
		return asked
	case field == wholeRow:
		return value.String
	}
	return s.Columns[field].Type
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
