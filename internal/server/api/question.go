package api

import (
	"context"
	"time"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/store"
)

type textRequest struct {
	Text string `json:"text"`
}

func (s *server) parseQuestion(_ context.Context, _ call, in textRequest) ([]candidateObject, error) {
	catalogue := s.engine.Catalogue()
	_, err := question.Parse(in.Text, catalogue)
	list := question.Candidates(in.Text, catalogue)
	if len(list) == 0 {
		return nil, err // says more than an empty list
	}
	canonical := err == nil
	if !canonical {
		_, err := question.Parse("Get "+in.Text, catalogue)
		canonical = err == nil
	}
	out := make([]candidateObject, len(list))
	for i, q := range list {
		out[i] = toCandidate(q, canonical, catalogue)
	}
	return out, nil
}

func (s *server) createQuestion(ctx context.Context, c call, in questionRequest) (idObject, error) {
	q, err := in.question(s.engine.Catalogue())
	if err != nil {
		return idObject{}, err
	}
	expire, err := in.expire()
	if err != nil {
		return idObject{}, err
	}
	id, err := s.engine.Ask(withUser(ctx, c.user), Asking{Question: q, Expire: expire, ComputerID: q.ComputerID, UserID: c.user.ID})
	return idObject{id}, err
}

type nameRef struct {
	ID   int64  `json:"id"`
	Name string `json:"name,omitempty"`
}

type questionObject struct {
	ID                    uint64         `json:"id"`
	QueryText             string         `json:"query_text"`
	Selects               []selectObject `json:"selects"`
	Group                 *groupObject   `json:"group,omitempty"`
	Expiration            isoTime        `json:"expiration"`
	ExpireSeconds         int64          `json:"expire_seconds"`
	IsExpired             bool           `json:"is_expired"`
	ForceComputerIDFlag   bool           `json:"force_computer_id_flag"`
	ActionTrackingFlag    bool           `json:"action_tracking_flag"`
	HiddenFlag            bool           `json:"hidden_flag"`
	SkipLockFlag          bool           `json:"skip_lock_flag"`
	User                  nameRef        `json:"user"`
	SavedQuestion         nameRef        `json:"saved_question"`
	ContextGroup          nameRef        `json:"context_group"`
	ManagementRightsGroup nameRef        `json:"management_rights_group"`
}

// toQuestion writes the record of a question. Its objects come from its text;
// if that names a sensor which is no more, the text stands alone.
func toQuestion(q store.Question, catalogue *sensor.Catalogue, users map[int64]string, now time.Time) questionObject {
	o := questionObject{
		ID: q.ID, QueryText: q.Text, Selects: []selectObject{}, Expiration: isoTime(q.Expires),
		ExpireSeconds: int64(q.Expires.Sub(q.Issued) / time.Second), IsExpired: !now.Before(q.Expires),
		ForceComputerIDFlag: q.ComputerID, User: nameRef{q.UserID, users[q.UserID]},
	}
	parsed, err := question.Parse(q.Text, catalogue)
	if err != nil {
		return o
	}
	p := speller{catalogue: catalogue, whole: true}
	o.Selects = p.selects(parsed.Selects)
	if parsed.Where != nil {
		g := p.group(parsed.Where)
		o.Group = &g
	}
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
	return toQuestion(q, s.engine.Catalogue(), users, time.Now()), err
}

// listQuestions returns the newest questions first.
func (s *server) listQuestions(ctx context.Context, c call) ([]any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	if p.count == 0 {
		p.count = pageMax
	}
	if p.count > pageMax {
		return nil, fault.New(fault.Invalid, "row_count is %d, more than %d", p.count, pageMax)
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
		objects[i] = toQuestion(q, catalogue, users, now)
	}
	return listed(objects, total), nil
}
