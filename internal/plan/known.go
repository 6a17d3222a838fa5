package plan

import (
	"slices"
	"strings"

	"catenary/internal/answer"
	"catenary/internal/expr"
)

// Known is what somebody else knows of the values of a sensor on a machine. The
// zero Known is nothing.
type Known struct {
	Rows  [][]string // one text per column of the sensor
	Whole bool       // there are no other rows
}

// A Judge decides whether a machine is within a plan's rights and condition by
// what is known of it, without asking it. It may be used by several goroutines.
type Judge struct{ decide judgement }

// A verdict is the outcome of a condition: it holds, it fails, or both are
// possible.
type verdict int8

const (
	open verdict = iota
	holds
	fails
)

// other is the verdict on the negation.
func (v verdict) other() verdict {
	switch v {
	case holds:
		return fails
	case fails:
		return holds
	}
	return open
}

type judgement func(known func(use int) Known) verdict

// Judge readies the conditions of p, which Check has nothing against.
func (p Plan) Judge() (Judge, error) {
	var all expr.And
	for _, c := range []expr.Condition{p.Rights, p.Where} {
		if c != nil {
			all = append(all, c)
		}
	}
	j, err := p.judgement(all)
	return Judge{j}, err
}

// Within reports whether the machine is within the conditions for certain,
// whatever else its sensors say. It asks for what is known of [Plan.WhereUses].
func (j Judge) Within(known func(use int) Known) bool { return j.decide(known) == holds }

// Outside reports whether the machine is not within the conditions for certain.
func (j Judge) Outside(known func(use int) Known) bool { return j.decide(known) == fails }

func (p Plan) judgement(c expr.Condition) (judgement, error) {
	switch c := c.(type) {
	case expr.And:
		return p.judgements(c, fails)
	case expr.Or:
		return p.judgements(c, holds)
	case expr.Not:
		of, err := p.judgement(c.Of)
		return func(known func(int) Known) verdict { return of(known).other() }, err
	case expr.Test:
		return p.judgementOf(c)
	}
	panic("plan: a checked condition lacks an operand")
}

// judgements are decided by the first part that is decisive, and the other way
// if none can be.
func (p Plan) judgements(parts []expr.Condition, decisive verdict) (judgement, error) {
	of := make([]judgement, len(parts))
	for i, part := range parts {
		var err error
		if of[i], err = p.judgement(part); err != nil {
			return nil, err
		}
	}
	return func(known func(int) Known) verdict {
		out := decisive.other()
		for _, j := range of {
			switch j(known) {
			case decisive:
				return decisive
			case open:
				out = open
			}
		}
		return out
	}, nil
}

// judgementOf is that of one test. A single text is decisive, whatever other
// texts there are: one that passes, or of a test of all, one that does not.
func (p Plan) judgementOf(t expr.Test) (judgement, error) {
	use, field, part, _ := p.tested(t.Name) // Check holds each name to be one
	decisive := holds
	if t.All {
		decisive = fails
	}
	all := t.All
	t.All = false
	matcher, err := expr.Compile(t)
	return func(known func(int) Known) verdict {
		k := known(use)
		var text [1]string
		passes := func() bool { return matcher.Match(func(string) []string { return text[:] }) }
		for _, row := range k.Rows {
			if text[0] = p.tests(row, use, field, part); passes() != all {
				return decisive
			}
		}
		if !k.Whole {
			return open
		}
		if text[0] = noResults; len(k.Rows) == 0 && passes() != all {
			return decisive
		}
		return decisive.other()
	}, err
}

// Said is what the cells of a machine's row tell of a sensor with parameters:
// nothing, if p does not show all rows and columns of it, or if it failed.
func (p Plan) Said(sensor string, params []string, cells []answer.Cell) (k Known, ok bool) {
	use := slices.IndexFunc(p.Sensors, Use{Name: sensor, Params: params}.same)
	if use < 0 || len(cells) != len(p.Columns) {
		return Known{}, false
	}
	fields := make([]answer.Cell, p.Sensors[use].Width)
	for i, c := range p.Columns {
		if c.Use == use && c.Keep == 0 && c.Part == 0 {
			fields[c.Field] = cells[i]
		}
	}
	rows := len(fields[0])
	if rows == 0 || slices.ContainsFunc(fields, func(c answer.Cell) bool { return len(c) != rows }) {
		return Known{}, false
	}
	k.Whole = true
	for i := range rows {
		row := make([]string, len(fields))
		for f := range fields {
			row[f] = fields[f][i]
		}
		switch {
		case every(row, func(text string) bool { return text == noResults }):
		case every(row, func(text string) bool { return strings.HasPrefix(text, errorMark) }):
			return Known{}, false
		case every(row, func(text string) bool { return text == tooManyResults }),
			slices.ContainsFunc(row, func(text string) bool { return strings.HasSuffix(text, cutMark) }):
			k.Whole = false // there was more
		default:
			k.Rows = append(k.Rows, row)
		}
	}
	return k, true
}

func every(texts []string, is func(string) bool) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return !is(text) })
}
