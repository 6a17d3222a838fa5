package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/question"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

type textRequest struct {
	Text string `json:"text"`
}

func (s *server) parseQuestion(_ context.Context, c call, in textRequest) ([]filter.Candidate, error) {
	catalogue := s.engine.Catalogue()
	w := filter.Writer{Sensors: catalogue}
	known := s.runtimes()
	average := func(name string) time.Duration { return known[name].Average }
	out := []filter.Candidate{}
	found := question.Candidates(in.Text, catalogue, s.groups)
	if len(in.Text) <= bodyMax/512 && (len(found) == 0 || !found[0].Canonical) {
		found = append(found, s.hinted(c, in.Text, catalogue)...)
	}
	found = slices.DeleteFunc(found, func(candidate question.Candidate) bool { return s.allowSensors(c, candidate.Question) != nil })
	for _, candidate := range found[:min(len(found), question.CandidatesMax)] {
		out = append(out, w.Candidate(candidate, average))
	}
	return out, nil
}

func (s *server) createQuestion(ctx context.Context, c call, in questionRequest) (idObject, error) {
	catalogue := s.engine.Catalogue()
	in = s.named(in)
	q, err := in.question(catalogue, s.groups)
	if err != nil {
		return idObject{}, err
	}
	if err := s.allowSensors(c, q); err != nil {
		return idObject{}, err
	}
	about, err := in.context(catalogue, s.groups)
	if err == nil {
		err = s.allowSensors(c, question.Question{Where: about}) // who answers tells of them, too
	}
	if err != nil {
		return idObject{}, err
	}
	expire, err := in.expire()
	if err != nil {
		return idObject{}, err
	}
	if in.Priority < -1 || in.Priority > 1 {
		return idObject{}, fault.New(fault.Invalid, "priority is %d, not -1, 0 or 1", in.Priority)
	}
	if len(in.Name) > nameMax {
		return idObject{}, fault.New(fault.Invalid, "name has %d bytes, more than %d", len(in.Name), nameMax)
	}
	id, err := s.engine.Ask(withUser(ctx, c.user), question.Asking{
		Question: q, Life: expire, ComputerID: q.ComputerID, UserID: c.user.ID,
		Groups: s.groups, Rights: within(c.rights), Context: about, ContextGroup: in.contextID(s.groups), Scope: string(s.scope(c.rights, 0)), Priority: int(in.Priority),
		Name: string(in.Name), Index: int64(in.Index), Persona: c.user.Persona, InWords: in.Selects == nil || bool(in.FromCanonicalText),
	})
	return idObject{id}, err
}

type nameRef struct {
	ID   int64  `json:"id"`
	Name string `json:"name,omitempty"`
}

type questionObject struct {
	ID                    uint64          `json:"id"`
	Name                  string          `json:"name"`
	Index                 int64           `json:"index"`
	QueryText             string          `json:"query_text"`
	FromCanonicalText     int             `json:"from_canonical_text"`
	Selects               []filter.Select `json:"selects"`
	Group                 *filter.Group   `json:"group,omitempty"`
	Expiration            isoTime         `json:"expiration"`
	ExpireSeconds         int64           `json:"expire_seconds"`
	IsExpired             bool            `json:"is_expired"`
	ForceComputerIDFlag   bool            `json:"force_computer_id_flag"`
	ActionTrackingFlag    bool            `json:"action_tracking_flag"`
	HiddenFlag            bool            `json:"hidden_flag"`
	SkipLockFlag          bool            `json:"skip_lock_flag"`
	Priority              int             `json:"priority"`
	User                  nameRef         `json:"user"`
	Persona               nameRef         `json:"persona"`
	SavedQuestion         nameRef         `json:"saved_question"`
	ContextGroup          nameRef         `json:"context_group"`
	ManagementRightsGroup nameRef         `json:"management_rights_group"`
}

// toQuestion writes the record of a question as the caller sees it. Its objects
// come from its text; if that names a sensor or a group which is no more, the
// text stands alone.
func (s *server) toQuestion(c call, q store.Question, users map[int64]string, now time.Time) questionObject {
	catalogue := s.engine.Catalogue()
	o := questionObject{
		ID: q.ID, QueryText: q.Text, Selects: []filter.Select{}, Expiration: isoTime(q.Expires),
		ExpireSeconds: int64(q.Expires.Sub(q.Issued) / time.Second), IsExpired: !now.Before(q.Expires),
		ForceComputerIDFlag: q.ComputerID, User: nameRef{q.UserID, users[q.UserID]}, ContextGroup: nameRef{ID: q.ContextGroup},
		SavedQuestion: nameRef{ID: s.savedOf(q)}, Priority: q.Priority, HiddenFlag: q.Tracks != 0,
		Name: q.Name, Index: q.Index, Persona: nameRef{q.Persona, s.shelves.NameOf("persona", q.Persona)},
	}
	if q.InWords {
		o.FromCanonicalText = 1
	}
	if g, ok := groupByID(s.groups, q.ContextGroup); ok {
		o.ContextGroup.Name = g.Name
	}
	if r, err := s.savedQuestion(c, o.SavedQuestion.ID); err == nil { // else it is gone, or hidden
		o.SavedQuestion.Name = r.Name
	}
	parsed, err := question.Parse(q.Text, catalogue, s.groups)
	if err != nil {
		return o
	}
	objects := filter.Writer{Sensors: catalogue, Finished: true}.Question(parsed)
	o.Selects, o.Group = objects.Selects, objects.Group
	s.typeGroups(o.Group)
	return o
}

// typeGroups says of the computer groups that an object names of which type they
// are.
func (s *server) typeGroups(g *filter.Group) {
	if g == nil {
		return
	}
	if r := s.shelves.ByID("group", int64(g.ID)); r != nil {
		g.Type = filter.Number(r.Object.Int("type"))
	}
	for i := range g.SubGroups {
		s.typeGroups(&g.SubGroups[i])
	}
}

// savedOf is the number of the saved question that a question was asked for, also
// in the words of a copy.
func (s *server) savedOf(q store.Question) int64 {
	if q.SavedQuestion >= 0 {
		return q.SavedQuestion
	}
	if r := s.shelves.ByID(copyKind, -q.SavedQuestion); r != nil {
		return r.Object.Ref("saved_question").ID
	}
	return 0 // dropped meanwhile
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
	if err := allowHistory(c, q); err != nil {
		return questionObject{}, err
	}
	users, err := s.userNames(ctx)
	return s.toQuestion(c, q, users, time.Now()), err
}

// questionsFor are a page of the questions that the caller may read: all, or his
// own. Hidden are those that the server asks by itself.
func (s *server) questionsFor(c call, p page, hidden bool) ([]store.Question, int, error) {
	switch all := c.rights.May(rights.ReadQuestionHistory, rights.Everywhere); {
	case all && hidden:
		return s.store.AllQuestions(c.Context(), p.start, p.count)
	case all:
		return s.store.Questions(c.Context(), p.start, p.count)
	}
	return s.store.QuestionsOf(c.Context(), c.user.ID, p.start, p.count)
}

// listQuestions returns the newest questions first. Who filters, sorts or keeps
// the list does so with the newest pageMax of them.
func (s *server) listQuestions(w http.ResponseWriter, c call) error {
	o, err := c.listOptions()
	if err != nil {
		return err
	}
	if o.CacheID != 0 {
		return s.sendList(w, c, listing{}) // the cache has it
	}
	var p page
	if o.plain() {
		p = o.page()
	}
	if p, err = p.limited(); err != nil {
		return err
	}
	list, total, err := s.questionsFor(c, p, bool(o.Hidden))
	if err != nil {
		return err
	}
	users, err := s.userNames(c.Context())
	if err != nil {
		return err
	}
	now := time.Now()
	l := listingBy(len(list), true, func(i int) questionObject { return s.toQuestion(c, list[i], users, now) })
	if !o.plain() {
		return s.sendList(w, c, l)
	}
	return writeList(w, []any{newCacheInfo(total, len(list))}, l.all, l.append)
}
