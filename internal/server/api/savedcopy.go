package api

import (
	"context"
	"encoding/json"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// copyKind is the kind of copies of saved questions.
const copyKind = "saved_question_copy"

// copyRoutes are those of the caller's own copy of a saved question.
func (s *server) copyRoutes() []route {
	const path = "/api/v2/saved_questions/{id}/copy"
	return []route{
		{"GET", path, withSession, rights.ReadSavedQuestion, get(s.showCopy)},
		{"POST", path, withSession, rights.AskDynamicQuestion, post(bodyMax, s.keepCopy)},
		{"DELETE", path, withSession, rights.ReadSavedQuestion, get(s.dropCopy)},
	}
}

// A version is a saved question as somebody sees it: as it is, or in the words of
// his own copy.
type version struct {
	*shelf.Record
	copy int64 // number of the copy; 0: as it is
}

// asked is the number under which it is on record what was asked for a version. A
// copy's is negative, so that nothing of it is mixed with what was asked for the
// saved question.
func (v version) asked() int64 {
	if v.copy != 0 {
		return -v.copy
	}
	return v.ID
}

// versions returns how the caller sees saved questions: instead of those that he
// may not change, his copies of them, if he has any.
func (s *server) versions(c call) func(*shelf.Record) version {
	copies := map[int64]*shelf.Record{}
	for _, r := range s.shelves.All(copyKind) {
		if r.Object.Ref("user").ID == c.user.ID {
			copies[r.Object.Ref("saved_question").ID] = r
		}
	}
	return func(r *shelf.Record) version {
		own := copies[r.ID]
		if own == nil || changesSaved(c, r) {
			return version{Record: r}
		}
		v := version{copy: own.ID}
		o := r.Object.Clone()
		for _, field := range []string{"query_text", "question"} {
			o.Set(field, own.Object.Value(field))
		}
		last, _ := s.reissuer.latest(v.asked(), s.scope(c.rights, 0)) // 0 if there is none
		o.Set("most_recent_question_id", last.Question)
		v.Record = &shelf.Record{Header: r.Header, Kind: r.Kind, Name: r.Name, Object: o}
		return v
	}
}

// changesSaved reports whether the caller may change a saved question itself.
func changesSaved(c call, r *shelf.Record) bool {
	return c.rights.May(rights.WriteSavedQuestion, r.Object.Ref("content_set").ID)
}

// ownSaved is what a list or an object of the face of saved questions shows.
func (s *server) ownSaved(c call) func(*shelf.Record) *shelf.Record {
	of := s.versions(c)
	return func(r *shelf.Record) *shelf.Record { return of(r).Record }
}

// A copyObject is somebody's own copy of a saved question. It is Catenary's own.
type copyObject struct {
	SavedQuestion nameRef         `json:"saved_question"`
	User          nameRef         `json:"user"`
	QueryText     string          `json:"query_text"`
	Question      json.RawMessage `json:"question"`
	ModTime       isoTime         `json:"mod_time"`
}

func (s *server) toCopy(r *shelf.Record) copyObject {
	name := func(kind, field string) nameRef {
		id := r.Object.Ref(field).ID
		return nameRef{id, s.shelves.NameOf(kind, id)}
	}
	return copyObject{
		SavedQuestion: name("saved_question", "saved_question"), User: name("user", "user"),
		QueryText: r.Object.Text("query_text"), Question: r.Object.Raw("question"), ModTime: isoTime(r.Modified),
	}
}

// copied is the saved question that the path names.
func (s *server) copied(c call) (*shelf.Record, error) {
	id, err := c.number("id", "saved question")
	if err != nil {
		return nil, err
	}
	v, err := s.savedQuestion(c, int64(id))
	return v.Record, err
}

func ownCopy(all []*shelf.Record, saved, user int64) *shelf.Record {
	for _, r := range all {
		if r.Object.Ref("saved_question").ID == saved && r.Object.Ref("user").ID == user {
			return r
		}
	}
	return nil
}

func (s *server) showCopy(_ context.Context, c call) (copyObject, error) {
	r, err := s.copied(c)
	if err != nil {
		return copyObject{}, err
	}
	own := ownCopy(s.shelves.All(copyKind), r.ID, c.user.ID)
	if own == nil {
		return copyObject{}, s.shelves.Kind(copyKind).Missing()
	}
	return s.toCopy(own), nil
}

// keepCopy makes or changes the caller's copy. Who may change the saved question
// itself has none: he would not see what he changes.
func (s *server) keepCopy(ctx context.Context, c call, in questionRequest) (copyObject, error) {
	r, err := s.copied(c)
	if err != nil {
		return copyObject{}, err
	}
	if changesSaved(c, r) {
		return copyObject{}, fault.New(fault.Conflict, "SavedQuestionNotCopied: you may change the saved question %q itself", r.Name)
	}
	sensors := s.engine.Catalogue()
	q, err := s.named(in).question(sensors, s.groups)
	if err != nil {
		return copyObject{}, err
	}
	if err := s.allowSensors(c, q); err != nil {
		return copyObject{}, err
	}
	var is *shelf.Record
	err = s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) (err error) {
		if ch.ByID("saved_question", r.ID) == nil {
			return missing("SavedQuestion", "saved question") // meanwhile
		}
		o := object.New(object.ShapeOf(copyKind))
		o.Set("saved_question", object.Ref{ID: r.ID})
		o.Set("user", object.Ref{ID: c.user.ID})
		if err := saySaved(o, q, sensors); err != nil {
			return err
		}
		if was := ownCopy(ch.All(copyKind), r.ID, c.user.ID); was != nil {
			is, err = ch.Update(was, o)
			return err
		}
		is, err = ch.Create(copyKind, 0, o)
		return err
	})
	if err != nil {
		return copyObject{}, err
	}
	s.reissuer.forget(-is.ID)
	return s.toCopy(is), nil
}

func (s *server) dropCopy(ctx context.Context, c call) (idObject, error) {
	r, err := s.copied(c)
	if err != nil {
		return idObject{}, err
	}
	err = s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		own := ownCopy(ch.All(copyKind), r.ID, c.user.ID)
		if own == nil {
			return s.shelves.Kind(copyKind).Missing()
		}
		return s.dropCopyIn(ch, own)
	})
	return idObject{uint64(r.ID)}, err
}

// dropCopies deletes the copies that refer to an object which is about to go.
func (s *server) dropCopies(ch *shelf.Change, field string, id int64) error {
	for _, r := range ch.All(copyKind) {
		if r.Object.Ref(field).ID != id {
			continue
		}
		if err := s.dropCopyIn(ch, r); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) dropCopyIn(ch *shelf.Change, r *shelf.Record) error {
	ch.After(func() { s.reissuer.remove(-r.ID) })
	return ch.Delete(r)
}

// allowVersion refuses who has lost since the right to ask what his copy asks.
func (s *server) allowVersion(c call, v version) error {
	if v.copy == 0 {
		return nil
	}
	if p := rights.AskDynamicQuestion; !c.rights.MayAnywhere(p) {
		return insufficient(p)
	}
	q, err := question.Parse(v.Object.Text("query_text"), s.engine.Catalogue(), s.groups)
	if err != nil {
		return err
	}
	return s.allowSensors(c, q)
}
