package api

import (
	"cmp"
	"context"
	"encoding/json"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

const (
	issueMin = 10                 // seconds between two askings of a saved question: less is a live question
	issueMax = 366 * 24 * 60 * 60 // what is rarer is asked by hand
)

// A savedMember is what the member question of a saved question holds: the
// question as a program sends it, or the number of one that was asked.
type savedMember struct {
	questionRequest
	ID number `json:"id"`
}

// readySaved looks at the questions that a saved one is made of. It happens
// before the change, which must not wait for the database.
func (s *server) readySaved(ctx context.Context, c call, was *shelf.Record, o *object.Object) error {
	if err := s.spellOut(ctx, c, o); err != nil || was != nil {
		return err
	}
	return s.readySeeds(ctx, c, o)
}

// spellOut replaces the number of a question that was asked by its text.
func (s *server) spellOut(ctx context.Context, c call, o *object.Object) error {
	raw := o.Raw("question")
	if len(raw) == 0 {
		return nil
	}
	var in savedMember
	if err := json.Unmarshal(raw, &in); err != nil {
		return object.Bad("question", "%v", err)
	}
	if in.ID <= 0 || in.Selects != nil || in.QueryText != "" || o.Text("query_text") != "" {
		return nil
	}
	q, err := s.store.Question(ctx, uint64(in.ID))
	if err != nil {
		return orMissing(err, "Question", "question")
	}
	if err := allowHistory(c, q); err != nil {
		return err
	}
	o.Set("query_text", q.Text)
	o.Set("question", nil)
	return nil
}

// prepareSaved checks a saved question and writes its question as text and as
// objects, which then say the same.
func (s *server) prepareSaved(_ context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	if strings.TrimSpace(o.Text("name")) == "" {
		return fault.New(fault.Invalid, "SavedQuestionNameRequired: a saved question needs a name")
	}
	if n := o.Int("issue_seconds"); n != 0 && (n < issueMin || n > issueMax) {
		return fault.New(fault.Invalid, "issue_seconds is %d, not 0 or %d to %d", n, issueMin, issueMax)
	}
	life := questionRequest{ExpireSeconds: number(o.Int("expire_seconds"))}
	if _, err := life.expire(); err != nil {
		return err
	}
	if was == nil {
		o.Set("user", object.Ref{ID: c.user.ID})
	} else {
		o.Set("user", was.Object.Ref("user")) // it changes hands by a route of its own
	}
	q, err := s.meantQuestion(s.sensorsIn(ch), groupNames{ch}, was, o)
	if err != nil {
		return err
	}
	if was == nil || q.String() != was.Object.Text("query_text") {
		if err := s.allowSensors(c, q); err != nil {
			return err
		}
	}
	return saySaved(o, q, s.sensorsIn(ch))
}

// meantQuestion reads the question of a saved one. A text that has changed is
// meant before objects, since who sends back a whole object with another text
// sends the old objects, too; otherwise objects come before the text.
func (s *server) meantQuestion(sensors *sensor.Catalogue, groups question.Groups, was *shelf.Record, o *object.Object) (question.Question, error) {
	text := o.Text("query_text")
	var in savedMember
	if raw := o.Raw("question"); len(raw) > 0 && (was == nil || text == "" || text == was.Object.Text("query_text")) {
		if err := json.Unmarshal(raw, &in); err != nil {
			return question.Question{}, object.Bad("question", "%v", err)
		}
	}
	if in.Selects == nil && (was == nil || in.QueryText == "") {
		in.QueryText = cmp.Or(text, in.QueryText)
	}
	return s.named(in.questionRequest).question(sensors, groups)
}

// saySaved writes a question into the object of a saved one.
func saySaved(o *object.Object, q question.Question, sensors *sensor.Catalogue) error {
	text := q.String()
	said, err := json.Marshal(struct {
		QueryText string `json:"query_text"`
		filter.Question
	}{text, filter.Writer{Sensors: sensors, Finished: true}.Question(q)})
	if err != nil {
		return err
	}
	o.Set("query_text", text)
	o.Set("question", json.RawMessage(said))
	return nil
}

// hidesSaved reports whether a saved question is not the caller's to see: it is
// its owner's until he says that it is public.
func hidesSaved(c call, o *object.Object) bool {
	return !c.rights.Anything && !o.Is("public_flag") && o.Ref("user").ID != c.user.ID
}

// removeSaved refuses to delete a saved question that others need.
func (s *server) removeSaved(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	if err := s.dropCopies(ch, "saved_question", r.ID); err != nil {
		return err
	}
	return s.refuseUsed(ch, "SavedQuestion", "saved_question", r)
}

// savedChanged tells the schedule what has become of a saved question.
func (s *server) savedChanged(ctx context.Context, c call, was, is *shelf.Record) {
	if was == nil {
		s.seed(ctx, c, is)
	}
	switch {
	case is == nil:
		s.reissuer.remove(was.ID)
	case was != nil && was.Object.Text("query_text") != is.Object.Text("query_text"):
		s.reissuer.forget(is.ID)
		s.reissuer.set(time.Now(), is)
	case was == nil || !is.Object.Is("skip_schedule_on_update_flag"):
		s.reissuer.set(time.Now(), is)
	}
}
