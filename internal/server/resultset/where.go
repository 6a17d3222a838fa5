package resultset

import (
	"slices"
	"strconv"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/question"
)

const (
	// targetsMax bounds the rows that are made into a condition: more are a
	// question of their own.
	targetsMax = 100
	// textsMax bounds the texts of a cell that are made into one.
	textsMax = 32
	// cutMark ends a text that was too long (package plan).
	cutMark = "… [cut]"
	// computerID is the sensor that tells machines apart.
	computerID = "Computer ID"
)

// Where is the condition of the machines that have given one of some rows.
//
// A row that stands for a machine is that machine. Of others it is that their
// sensors say now what they said then: of a single sensor the same row, of
// several the same texts in each column.
func (s *Set) Where(rows []Row) (question.Condition, error) {
	if len(rows) == 0 || len(rows) > targetsMax {
		return nil, fault.New(fault.Invalid, "%d rows: choose 1 to %d", len(rows), targetsMax)
	}
	if len(s.plan.Columns) == 0 {
		return nil, fault.New(fault.Invalid, "the number of machines is no answer that tells them apart")
	}
	any := question.Or{}
	for _, r := range rows {
		c, err := s.whereRow(r)
		if err != nil {
			return nil, err
		}
		any = append(any, c)
	}
	if len(any) == 1 {
		return any[0], nil
	}
	return any, nil
}

func (s *Set) whereRow(r Row) (question.Condition, error) {
	switch {
	case r.kind == rest:
		return nil, fault.New(fault.Invalid, "there were more different answers than are kept: those behind %s are none to choose machines by", TooMany)
	case r.kind != said:
		return nil, fault.New(fault.Invalid, "no machine has said %s", r.Cells[0][0])
	case r.CID != 0:
		return question.Test{Ref: question.Ref{Sensor: computerID}, Op: question.Equals, Value: strconv.FormatUint(uint64(r.CID), 10)}, nil
	}
	columns := s.plan.Columns
	if s.plan.ComputerID { // which is not shown
		columns = columns[1:]
	}
	if len(s.plan.Selects) == 1 && s.whole() {
		ref := question.Ref{Sensor: s.plan.Sensors[s.plan.Selects[0]].Name, Params: s.plan.Sensors[s.plan.Selects[0]].Params}
		switch text := r.Cells[0][0]; {
		case text == NoResults, strings.HasPrefix(text, errorMark):
			return question.Test{Ref: ref, Op: question.Equals, Value: text}, nil
		}
		if slices.ContainsFunc(r.Cells[:len(columns)], cutShort) {
			return nil, errCut
		}
		return question.Test{Ref: ref, Op: question.HasHash, Value: strconv.FormatUint(uint64(rowID(r.Cells[:len(columns)])), 10)}, nil
	}
	all := question.And{}
	for i, c := range columns {
		use := s.plan.Sensors[c.Use]
		ref := question.Ref{Sensor: use.Name, Params: use.Params}
		if use.Width > 1 {
			ref.Column = c.Name
		}
		if c.Part > 0 {
			ref.Part = s.plan.Parts[c.Part-1]
		}
		texts := slices.Compact(slices.Sorted(slices.Values(r.Cells[i])))
		if len(texts) > textsMax {
			return nil, fault.New(fault.Invalid, "a cell of column %q has %d texts; up to %d can be made into a group: ask with force_computer_id_flag", c.Name, len(texts), textsMax)
		}
		if cutShort(texts) {
			return nil, errCut
		}
		for _, text := range texts {
			if text == TooMany {
				continue
			}
			if use.Width > 1 && (text == NoResults || strings.HasPrefix(text, errorMark)) {
				ref.Column = "" // it stands in the place of all columns
			}
			all = append(all, question.Test{Ref: ref, Op: question.Equals, Value: text})
		}
	}
	switch len(all) {
	case 0:
		return nil, fault.New(fault.Invalid, "a row has no texts to choose machines by")
	case 1:
		return all[0], nil
	}
	return all, nil
}

var errCut = fault.New(fault.Invalid, "a text of the row was too long and has been cut: it is none to choose machines by")

func cutShort[S ~[]string](texts S) bool {
	return slices.ContainsFunc(texts, func(t string) bool { return strings.HasSuffix(t, cutMark) })
}

// whole reports whether a single sensor is shown with more than one column, and
// all of them as they are.
func (s *Set) whole() bool {
	columns := s.plan.Columns
	if s.plan.ComputerID {
		columns = columns[1:]
	}
	width := s.plan.Sensors[s.plan.Selects[0]].Width
	if width < 2 || len(columns) != width {
		return false
	}
	for i, c := range columns {
		if c.Field != i || c.Part != 0 {
			return false
		}
	}
	return true
}
