package api

import (
	"context"
	"time"

	"catenary/internal/filter"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/store"
)

type textRequest struct {
	Text string `json:"text"`
}

func (s *server) parseQuestion(_ context.Context, _ call, in textRequest) ([]filter.Candidate, error) {
	catalogue := s.engine.Catalogue()
	w := filter.Writer{Sensors: catalogue}
	known := s.runtimes()
	average := func(name string) time.Duration { return known[name].Average }
	out := []filter.Candidate{}
	for _, candidate := range question.Candidates(in.Text, catalogue, s.groups) {
		out = append(out, w.Candidate(candidate, average))
	}
	return out, nil
}

func (s *server) createQuestion(ctx context.Context, c call, in questionRequest) (idObject, error) {
	catalogue := s.engine.Catalogue()
	q, err := in.question(catalogue, s.groups)
	if err != nil {
		return idObject{}, err
	}
	about, err := in.context(catalogue, s.groups)
	if err != nil {
		return idObject{}, err
	}
	expire, err := in.expire()
	if err != nil {
		return idObject{}, err
	}
	id, err := s.engine.Ask(withUser(ctx, c.user), Asking{
		Question: q, Expire: expire, ComputerID: q.ComputerID, UserID: c.user.ID,
		Groups: s.groups, Rights: within(c.rights), Context: about,
	})
	return idObject{id}, err
}

type nameRef struct {
	ID   int64  `json:"id"`
	Name string `json:"name,omitempty"`
}

type questionObject struct {
	ID                    uint64          `json:"id"`
	QueryText             string          `json:"query_text"`
	Selects               []filter.Select `json:"selects"`
	Group                 *filter.Group   `json:"group,omitempty"`
	Expiration            isoTime         `json:"expiration"`
	ExpireSeconds         int64           `json:"expire_seconds"`
	IsExpired             bool            `json:"is_expired"`
	ForceComputerIDFlag   bool            `json:"force_computer_id_flag"`
	ActionTrackingFlag    bool            `json:"action_tracking_flag"`
	HiddenFlag            bool            `json:"hidden_flag"`
	SkipLockFlag          bool            `json:"skip_lock_flag"`
	User                  nameRef         `json:"user"`
	SavedQuestion         nameRef         `json:"saved_question"`
	ContextGroup          nameRef         `json:"context_group"`
	ManagementRightsGroup nameRef         `json:"management_rights_group"`
}

// toQuestion writes the record of a question. Its objects come from its text;
// if that names a sensor or a group which is no more, the text stands alone.
func toQuestion(q store.Question, catalogue *sensor.Catalogue, groups question.Groups, users map[int64]string, now time.Time) questionObject {
	o := questionObject{
		ID: q.ID, QueryText: q.Text, Selects: []filter.Select{}, Expiration: isoTime(q.Expires),
		ExpireSeconds: int64(q.Expires.Sub(q.Issued) / time.Second), IsExpired: !now.Before(q.Expires),
		ForceComputerIDFlag: q.ComputerID, User: nameRef{q.UserID, users[q.UserID]},
	}
	parsed, err := question.Parse(q.Text, catalogue, groups)
	if err != nil {
		return o
	}
	objects := filter.Writer{Sensors: catalogue, Finished: true}.Question(parsed)
	o.Selects, o.Group = objects.Selects, objects.Group
	return o
}

func (s *server) userNames(ctx context.Context) (map[int64]string, error) {
	users, err := s.store.Users(ctx)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]string, len(users))
	for _, u := range users {
		out[u.ID] = u.Name
	}
	return out, nil
}

func (s *server) showQuestion(ctx context.Context, c call) (questionObject, error) {
	id, err := c.number("id", "question")
	if err != nil {
		return questionObject{}, err
	}
	q, err := s.store.Question(ctx, id)
	if err != nil {
		return questionObject{}, orMissing(err, "Question", "question")
	}
	users, err := s.userNames(ctx)
	return toQuestion(q, s.engine.Catalogue(), s.groups, users, time.Now()), err
}

// listQuestions returns the newest questions first.
func (s *server) listQuestions(ctx context.Context, c call) ([]any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	if p, err = p.limited(); err != nil {
		return nil, err
	}
	list, total, err := s.store.Questions(ctx, p.start, p.count)
	if err != nil {
		return nil, err
	}
	users, err := s.userNames(ctx)
	if err != nil {
		return nil, err
	}
	catalogue, now := s.engine.Catalogue(), time.Now()
	objects := make([]questionObject, len(list))
	for i, q := range list {
		objects[i] = toQuestion(q, catalogue, s.groups, users, now)
	}
	return listed(objects, total), nil
}
