package api

import (
	"context"

	"catenary/internal/filter"
	"catenary/internal/question"
)

// What the two helpers answer stands in no envelope: programs expect that.

type groupTextAnswer struct {
	Text string `json:"text"`
}

// buildGroupText writes what a group means in words.
func (s *server) buildGroupText(_ context.Context, _ call, in filter.Group) (bare, error) {
	filter.NameSensors(s.sensorName, nil, &in)
	where, err := filter.ReadGroup(in, s.engine.Catalogue(), s.groups)
	if err != nil {
		return bare{}, orMissingPart(err)
	}
	return bare{groupTextAnswer{question.Text(where)}}, nil
}

type questionTextAnswer struct {
	Text  string        `json:"text"`
	Group *filter.Group `json:"group,omitempty"`
}

// buildQuestionText writes what a question means in words, and its condition as
// objects.
func (s *server) buildQuestionText(_ context.Context, _ call, in questionRequest) (bare, error) {
	q, err := s.named(in).question(s.engine.Catalogue(), s.groups)
	if err != nil {
		return bare{}, err
	}
	out := questionTextAnswer{Text: q.String()}
	if q.Where != nil {
		g := filter.Writer{Sensors: s.engine.Catalogue(), Finished: true}.Group(q.Where)
		out.Group = &g
	}
	return bare{out}, nil
}
