package api

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/rights"
	"catenary/internal/server/sensors"
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
	QuestionText        string          `json:"question_text"` // of a candidate
	Selects             []filter.Select `json:"selects"`       // nil if the member is not there
	Group               *filter.Group   `json:"group"`
	ContextGroup        *filter.Group   `json:"context_group"`
	ParameterValues     []filter.Text   `json:"parameter_values"`
	ExpireSeconds       number          `json:"expire_seconds"` // 0: the default
	ForceComputerIDFlag flag            `json:"force_computer_id_flag"`
	Priority            number          `json:"priority"` // -1, 0 or 1
	Name                filter.Text     `json:"name"`
	Index               number          `json:"index"`
	FromCanonicalText   flag            `json:"from_canonical_text"` // of selects; a query_text is one
}

// question returns what the request asks.
func (q questionRequest) question(catalogue *sensor.Catalogue, groups question.Groups) (question.Question, error) {
	var out question.Question
	var err error
	switch {
	case q.Selects != nil: // the text is not looked at then
		out, err = filter.Read(filter.Question{
			Selects: q.Selects, Group: q.Group, ParameterValues: q.ParameterValues, QuestionText: q.QuestionText,
		}, catalogue, groups)
		err = orMissingPart(err)
	case strings.TrimSpace(q.QueryText) != "":
		out, err = question.Parse(q.QueryText, catalogue, groups)
	default:
		err = fault.New(fault.Invalid, "query_text or selects is needed")
	}
	out.ComputerID = out.ComputerID || bool(q.ForceComputerIDFlag)
	return out, err
}

// named is a request whose sensors have names, also those that it means by their
// numbers.
func (s *server) named(q questionRequest) questionRequest {
	filter.NameSensors(s.sensorName, q.Selects, q.Group, q.ContextGroup)
	return q
}

// sensorName is the name of the sensor with a number; "" if none has it.
func (s *server) sensorName(id int64) string { return s.shelves.NameOf(sensors.Kind, id) }

// context returns the condition of the group that the question is about; nil if
// it is about all machines.
func (q questionRequest) context(catalogue *sensor.Catalogue, groups question.Groups) (question.Condition, error) {
	if q.ContextGroup == nil {
		return nil, nil
	}
	c, err := filter.ReadGroup(*q.ContextGroup, catalogue, groups)
	if m, ok := errors.AsType[filter.Missing](err); ok && m.Where == "group" {
		return nil, fmt.Errorf("%w (context_group)", missing("Group", "group"))
	}
	return c, orMissingPart(err)
}

// contextID is the number of the group that the question is about; 0: it is
// about none that has one.
func (q questionRequest) contextID(groups question.Groups) int64 {
	if q.ContextGroup == nil || groups == nil {
		return 0
	}
	if q.ContextGroup.ID == 0 && q.ContextGroup.Name != "" {
		g, _ := groups.GroupByName(q.ContextGroup.Name)
		return g.ID
	}
	return int64(q.ContextGroup.ID)
}

func groupByID(groups question.Groups, id int64) (question.Group, bool) {
	if groups == nil || id == 0 {
		return question.Group{}, false
	}
	return groups.GroupByID(id)
}

// orMissingPart puts missing in the place of the error that an object names
// something which is not there.
func orMissingPart(err error) error {
	m, ok := errors.AsType[filter.Missing](err)
	if !ok {
		return err
	}
	return fmt.Errorf("%w (%s: %s)", missing(m.Noun, strings.ToLower(m.Noun)), m.Where, m.What)
}

// within is the condition that a machine is in one of the computer groups of
// somebody's rights; nil if it may be any.
func within(r rights.Rights) question.Condition {
	if r.Anything || r.Groups == nil {
		return nil
	}
	any := question.Or{}
	for _, id := range r.Groups {
		any = append(any, question.Member{ID: id})
	}
	return any
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
