package store

import (
	"context"
	"database/sql"
	"time"
)

// A Reissue is one asking of a saved question.
type Reissue struct {
	Question, SavedQuestion int64
	// Scope says which machines could be asked at all; empty: every one. Only
	// who may ask the same machines may see the answer.
	Scope string
	Asked time.Time
	// What the question says of itself.
	Text    string
	Expires time.Time
}

// KeepReissue records that a question was asked for a saved one.
func (s *Store) KeepReissue(ctx context.Context, r Reissue) error {
	_, err := s.write.DB.ExecContext(ctx, "INSERT INTO reissues (question_id, saved_question_id, scope, asked) VALUES ($1, $2, $3, $4)",
		r.Question, r.SavedQuestion, r.Scope, micros(r.Asked))
	if err != nil {
		return failed(err, "question %d of saved question %d", r.Question, r.SavedQuestion)
	}
	return nil
}

const reissueColumns = "SELECT r.question_id, r.saved_question_id, r.scope, r.asked, q.text, q.expires FROM reissues r JOIN questions q ON q.id = r.question_id "

func scanReissue(rows *sql.Rows) (r Reissue, err error) {
	var asked, expires int64
	err = rows.Scan(&r.Question, &r.SavedQuestion, &r.Scope, &asked, &r.Text, &expires)
	r.Asked, r.Expires = when(asked), when(expires)
	return r, err
}

// LatestReissues returns the last asking of each saved question in each scope.
func (s *Store) LatestReissues(ctx context.Context) ([]Reissue, error) {
	list, err := collect(ctx, s.read.DB, scanReissue, reissueColumns+
		"WHERE r.question_id IN (SELECT max(question_id) FROM reissues GROUP BY saved_question_id, scope) ORDER BY r.question_id")
	if err != nil {
		return nil, failed(err, "questions of saved questions")
	}
	return list, nil
}

// Reissues returns the askings of a saved question in a scope, newest first.
func (s *Store) Reissues(ctx context.Context, savedQuestion int64, scope string, limit int) ([]Reissue, error) {
	list, err := collect(ctx, s.read.DB, scanReissue, reissueColumns+
		"WHERE r.saved_question_id = $1 AND r.scope = $2 ORDER BY r.question_id DESC LIMIT $3", savedQuestion, scope, limit)
	if err != nil {
		return nil, failed(err, "questions of saved question %d", savedQuestion)
	}
	return list, nil
}
