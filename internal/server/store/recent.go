package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

const (
	// RecentMax bounds the machines whose last answer to one saved question is
	// kept: as many as an answer has rows.
	RecentMax = 200_000
	// recentTotal bounds them over all saved questions: with 500 bytes each, a
	// gigabyte on disk. Those that answered longest ago go.
	recentTotal = 2_000_000
	// trendMax bounds the points of one saved question's history: a month of
	// askings every two minutes would be more than anybody draws.
	trendMax = 10_000
)

// A RecentAnswer is the last that one machine has said to a saved question.
type RecentAnswer struct {
	ComputerID uint32
	Question   uint64 // to which it was given; 0: nobody knows
	Answered   time.Time
	Cells      [][]string
}

// A SavedScope is a saved question as it is asked of those machines that
// somebody may ask: see [Reissue].
type SavedScope struct {
	SavedQuestion int64
	Scope         string
}

// SavedScopeOf returns what a question was asked for; one that was asked by itself
// is NotFound.
func (s *Store) SavedScopeOf(ctx context.Context, question uint64) (SavedScope, error) {
	list, err := collect(ctx, s.read.DB, func(rows *sql.Rows) (of SavedScope, err error) {
		return of, rows.Scan(&of.SavedQuestion, &of.Scope)
	}, "SELECT saved_question_id, scope FROM reissues WHERE question_id = $1", int64(question))
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return SavedScope{}, failed(err, "saved question of question %d", question)
	}
	return list[0], nil
}

// KeepRecent notes what machines have said to a saved question, each in the
// place of what it said before. Answers of another shape are out of date.
func (s *Store) KeepRecent(ctx context.Context, of SavedScope, shape uint64, list []RecentAnswer) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if _, err := tx.Tx.ExecContext(ctx, "DELETE FROM recent_answers WHERE saved_question_id = $1 AND scope = $2 AND shape <> $3", of.SavedQuestion, of.Scope, signed(shape)); err != nil {
			return err
		}
		keep, err := tx.Tx.PrepareContext(ctx, `INSERT INTO recent_answers (saved_question_id, scope, computer_id, shape, answered, cells, question_id)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (saved_question_id, scope, computer_id) DO UPDATE SET
			answered = excluded.answered, cells = excluded.cells, question_id = excluded.question_id WHERE excluded.answered >= recent_answers.answered`)
		if err != nil {
			return err
		}
		for _, a := range list {
			cells, err := json.Marshal(a.Cells)
			if err != nil {
				return errors.Join(err, keep.Close())
			}
			if _, err := keep.ExecContext(ctx, of.SavedQuestion, of.Scope, int64(a.ComputerID), signed(shape), micros(a.Answered), cells, int64(a.Question)); err != nil {
				return errors.Join(err, keep.Close())
			}
		}
		return keep.Close()
	})
	if err != nil {
		return failed(err, "recent answers of saved question %d", of.SavedQuestion)
	}
	return nil
}

// signed is how a number of 64 bits lies in the database.
func signed(n uint64) int64 { return int64(n) }

// RecentAnswers returns the last answers of a shape to a saved question, those
// who answered last first, RecentMax at most.
func (s *Store) RecentAnswers(ctx context.Context, of SavedScope, shape uint64) ([]RecentAnswer, error) {
	list, err := collect(ctx, s.read.DB, scanRecent,
		"SELECT computer_id, question_id, answered, cells FROM recent_answers WHERE saved_question_id = $1 AND scope = $2 AND shape = $3 ORDER BY answered DESC, computer_id LIMIT $4",
		of.SavedQuestion, of.Scope, signed(shape), RecentMax)
	if err != nil {
		return nil, failed(err, "recent answers of saved question %d", of.SavedQuestion)
	}
	return list, nil
}

// LastAnswers returns what each machine has said last to a saved question in
// answers of a shape since a time, in whatever scope: RecentMax answers are
// looked at, the newest.
func (s *Store) LastAnswers(ctx context.Context, savedQuestion int64, shape uint64, since time.Time) ([]RecentAnswer, error) {
	list, err := collect(ctx, s.read.DB, scanRecent,
		"SELECT computer_id, question_id, answered, cells FROM recent_answers WHERE saved_question_id = $1 AND shape = $2 AND answered >= $3 ORDER BY answered DESC, computer_id LIMIT $4",
		savedQuestion, signed(shape), micros(since), RecentMax)
	if err != nil {
		return nil, failed(err, "last answers to saved question %d", savedQuestion)
	}
	seen := make(map[uint32]bool, len(list))
	return slices.DeleteFunc(list, func(a RecentAnswer) bool {
		before := seen[a.ComputerID]
		seen[a.ComputerID] = true
		return before
	}), nil
}

func scanRecent(rows *sql.Rows) (a RecentAnswer, err error) {
	var computer, question, answered int64
	var cells []byte
	if err := rows.Scan(&computer, &question, &answered, &cells); err != nil {
		return a, err
	}
	a.ComputerID, a.Question, a.Answered = uint32(computer), uint64(question), when(answered)
	return a, json.Unmarshal(cells, &a.Cells)
}

// ForgetRecent removes what was answered before a time, and what is too much.
func (s *Store) ForgetRecent(ctx context.Context, before time.Time) error {
	for _, step := range []struct {
		query string
		arg   int64
	}{
		{"DELETE FROM recent_answers WHERE answered < $1", micros(before)},
		{"DELETE FROM recent_answers WHERE answered <= (SELECT answered FROM recent_answers ORDER BY answered DESC LIMIT 1 OFFSET $1)", recentTotal},
		{"DELETE FROM question_trends WHERE closed < $1", micros(before)},
	} {
		if _, err := s.exec(ctx, step.query, step.arg); err != nil {
			return failed(err, "old answers")
		}
	}
	return nil
}

// ForgetRecentOf removes what was answered to a saved question before a time.
func (s *Store) ForgetRecentOf(ctx context.Context, savedQuestion int64, before time.Time) error {
	if _, err := s.exec(ctx, "DELETE FROM recent_answers WHERE saved_question_id = $1 AND answered < $2", savedQuestion, micros(before)); err != nil {
		return failed(err, "old answers to saved question %d", savedQuestion)
	}
	return nil
}

// A TrendPoint is what came of a saved question once, in brief.
type TrendPoint struct {
	Question uint64     `json:"-"`
	Closed   time.Time  `json:"-"`
	Expected int        `json:"expected"`
	Answered int        `json:"answered"`
	Passed   int        `json:"passed"`
	Errors   int        `json:"errors,omitempty"`
	Rows     int        `json:"rows"` // different ones
	Top      []TrendRow `json:"top"`  // the most frequent
}

// A TrendRow is a row of a TrendPoint.
type TrendRow struct {
	ID    uint32   `json:"id"`
	Texts []string `json:"texts"` // of its columns
	Count uint64   `json:"count"`
}

// AddTrend notes what came of a saved question.
func (s *Store) AddTrend(ctx context.Context, of SavedScope, p TrendPoint) error {
	point, err := json.Marshal(p)
	if err == nil {
		_, err = s.exec(ctx, `INSERT INTO question_trends (question_id, saved_question_id, scope, closed, point) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (question_id) DO UPDATE SET closed = excluded.closed, point = excluded.point`,
			int64(p.Question), of.SavedQuestion, of.Scope, micros(p.Closed), point)
	}
	if err == nil {
		_, err = s.exec(ctx, `DELETE FROM question_trends WHERE saved_question_id = $1 AND scope = $2 AND question_id <=
			(SELECT question_id FROM question_trends WHERE saved_question_id = $1 AND scope = $2 ORDER BY question_id DESC LIMIT 1 OFFSET $3)`,
			of.SavedQuestion, of.Scope, trendMax)
	}
	if err != nil {
		return failed(err, "history of saved question %d", of.SavedQuestion)
	}
	return nil
}

// Trend returns the newest points of a saved question, newest first, and how
// many there are.
func (s *Store) Trend(ctx context.Context, of SavedScope, offset, limit int) (list []TrendPoint, total int, err error) {
	if total, err = single[int](ctx, s.read.DB, "SELECT count(*) FROM question_trends WHERE saved_question_id = $1 AND scope = $2", of.SavedQuestion, of.Scope); err != nil {
		return nil, 0, failed(err, "history of saved question %d", of.SavedQuestion)
	}
	list, err = collect(ctx, s.read.DB, func(rows *sql.Rows) (p TrendPoint, err error) {
		var question, closed int64
		var point []byte
		if err := rows.Scan(&question, &closed, &point); err != nil {
			return p, err
		}
		err = json.Unmarshal(point, &p)
		p.Question, p.Closed = uint64(question), when(closed)
		return p, err
	}, "SELECT question_id, closed, point FROM question_trends WHERE saved_question_id = $1 AND scope = $2 ORDER BY question_id DESC LIMIT $3 OFFSET $4",
		of.SavedQuestion, of.Scope, limit, offset)
	if err != nil {
		return nil, 0, failed(err, "history of saved question %d", of.SavedQuestion)
	}
	return list, total, nil
}
