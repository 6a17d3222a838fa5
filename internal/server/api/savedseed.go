package api

import (
	"context"
	"strconv"
	"strings"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// seedsMax is how many questions a saved question may begin with.
const seedsMax = 100

// seeds are the questions, by their numbers with commas between, that a saved
// question begins with: what came of them is its answer until it is asked again.
func seeds(o *object.Object) (out []uint64, err error) {
	text := strings.TrimSpace(o.Text("seeding_question_ids"))
	if text == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		id, err := strconv.ParseUint(strings.TrimSpace(part), 10, 64)
		if err != nil || len(out) == seedsMax {
			return nil, object.Bad("seeding_question_ids", "at most %d numbers of questions with commas between are expected", seedsMax)
		}
		out = append(out, id)
	}
	return out, nil
}

// seededFrom are the questions that a new saved question begins with: such as
// ask the same, and whose answers its author may read.
func (s *server) seededFrom(ctx context.Context, c call, o *object.Object) (out []store.Question, err error) {
	ids, err := seeds(o)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		q, err := s.store.Question(ctx, id)
		if err != nil {
			return nil, orMissing(err, "Question", "question")
		}
		if err := allowHistory(c, q); err != nil {
			return nil, err
		}
		if err := s.allowAnswer(c, q); err != nil {
			return nil, err
		}
		if q.SavedQuestion != 0 || q.ContextGroup != 0 {
			return nil, object.Bad("seeding_question_ids", "question %d was asked for a saved question already, or about a group", id)
		}
		out = append(out, q)
	}
	return out, nil
}

// readySeeds refuses a saved question that begins with what it does not ask.
func (s *server) readySeeds(ctx context.Context, c call, o *object.Object) error {
	from, err := s.seededFrom(ctx, c, o)
	if err != nil || len(from) == 0 {
		return err
	}
	q, err := s.meantQuestion(s.engine.Catalogue(), s.groups, nil, o)
	if err != nil {
		return err
	}
	for _, asked := range from {
		if asked.Text != q.String() {
			return object.Bad("seeding_question_ids", "question %d asks something else: %s", asked.ID, shorten(asked.Text))
		}
	}
	return nil
}

// seed gives a saved question that was made just now the answers to the
// questions that it begins with. If that fails, it has to be asked, as any
// other.
func (s *server) seed(ctx context.Context, c call, is *shelf.Record) {
	from, err := s.seededFrom(ctx, c, is.Object)
	for _, q := range from {
		asked := store.Reissue{Question: int64(q.ID), SavedQuestion: is.ID, Scope: q.Scope, Asked: q.Issued, Text: q.Text, Expires: q.Expires}
		if err = s.store.KeepReissue(context.WithoutCancel(ctx), asked); err != nil {
			break
		}
		s.reissuer.keep(asked)
		s.amendRecent(asked)
	}
	if err != nil {
		s.log.WarnContext(ctx, "saved question not seeded", "saved question", is.ID, "reason", err)
	}
}
