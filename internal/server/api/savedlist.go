package api

import (
	"context"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// savedRoutes are those of saved questions that are not their face's.
func (s *server) savedRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"GET", v2 + "saved_questions/{id}/questions", withSession, rights.ReadSavedQuestion, get(s.savedQuestions)},
		{"POST", v2 + "build_group_text", withSession, rights.AskDynamicQuestion, post(objectMax, s.buildGroupText)},
		{"POST", v2 + "build_question_text", withSession, rights.AskDynamicQuestion, post(objectMax, s.buildQuestionText)},
	}
}

// savedQuestions are the questions that were asked for a saved one, as far as
// the caller may see their answers: the newest, or with an option all of them.
// If none is open, it is asked, unless the caller does not want that.
func (s *server) savedQuestions(ctx context.Context, c call) ([]questionObject, error) {
	var opt struct {
		Reissue  *flag  `json:"saved_question_qids_reissue_flag"`
		Expired  flag   `json:"saved_question_qids_include_expired_flag"`
		Multiple flag   `json:"saved_question_qids_allow_multiple_flag"`
		Several  flag   `json:"saved_question_qids_allow_multiple_flags"` // as some write it
		Context  number `json:"context_id"`
	}
	if err := c.options(&opt); err != nil {
		return nil, err
	}
	id, err := c.number("id", "saved question")
	if err != nil {
		return nil, err
	}
	r, err := s.savedQuestion(c, int64(id))
	if err != nil {
		return nil, err
	}
	if opt.Context != 0 && s.shelves.ByID("group", int64(opt.Context)) == nil {
		return nil, missing("Group", "group")
	}
	list, err := s.store.Reissues(ctx, r.asked(), string(s.scope(c.rights, int64(opt.Context))), reissuesShown)
	if err != nil {
		return nil, err
	}
	var chosen []store.Reissue
	now, open := time.Now(), false
	for _, a := range list {
		live := now.Before(a.Expires) && a.Text == r.Object.Text("query_text")
		open = open || live
		if live || bool(opt.Expired) {
			chosen = append(chosen, a)
		}
	}
	if !open && (opt.Reissue == nil || bool(*opt.Reissue)) {
		if err := s.allowVersion(c, r); err != nil {
			return nil, err
		}
		asked, err := s.askSaved(ctx, r, c.asker(), int64(opt.Context))
		if err != nil {
			return nil, err
		}
		chosen = append([]store.Reissue{asked}, chosen...)
	}
	if len(chosen) > 1 && !bool(opt.Multiple) && !bool(opt.Several) {
		chosen = chosen[:1]
	}
	return s.askedQuestions(ctx, c, chosen)
}

// askedQuestions are the records of askings.
func (s *server) askedQuestions(ctx context.Context, c call, list []store.Reissue) ([]questionObject, error) {
	users, err := s.userNames(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]questionObject, 0, len(list))
	for _, a := range list {
		q, err := s.store.Question(ctx, uint64(a.Question))
		if fault.KindOf(err) == fault.NotFound {
			continue // its time to be kept is over
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s.toQuestion(c, q, users, time.Now()))
	}
	return out, nil
}
