package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/fault"
)

// A Question is the record of one asking.
type Question struct {
	ID         uint64 // given by the store; no two questions ever have the same
	Text       string // canonical
	UserID     int64
	Plan       []byte
	ComputerID bool // one row per machine
	Issued     time.Time
	Expires    time.Time
	Closed     time.Time // zero while answers may come

	ContextGroup int64  // of machines that it is about; 0: all
	Scope        string // the machines that its asker could ask, in his own words; empty: all
	Priority     int    // above others (1), or below (-1), where not all can be sent at once

	Name    string // that its asker gave it; may be empty
	Index   int64  // the place that he gave it among others
	Persona int64  // as which he asked; 0: as himself
	InWords bool   // he asked it by a text, and not by objects

	// Tracks is the number of the computer group whose machines the server has
	// asked for by itself; 0: somebody wanted the answer.
	Tracks int64

	// SavedQuestion is the number of the saved question that it was asked for; 0:
	// of none. It is read only: KeepReissue writes it.
	SavedQuestion int64
}

type questionRow struct {
	bun.BaseModel `bun:"table:questions"`

	ID         int64 `bun:",pk,autoincrement"`
	Text       string
	UserID     int64
	Plan       []byte
	ComputerID flag
	Issued     int64
	Expires    int64
	Closed     int64
	Repeats    int64 // the number that it is known by; 0: its own

	ContextGroupID int64
	Scope          string
	Priority       int64

	Name      string
	Place     int64
	PersonaID int64
	InWords   flag

	TracksGroupID int64

	SavedQuestionID int64 `bun:",scanonly"` // of ofSaved
}

// ofSaved is the number of the saved question that a question was asked for.
const ofSaved = "COALESCE((SELECT saved_question_id FROM reissues WHERE question_id = ?TableAlias.id), 0) AS saved_question_id"

func (r questionRow) question() Question {
	return Question{
		ID: uint64(r.ID), Text: r.Text, UserID: r.UserID, Plan: r.Plan, ComputerID: r.ComputerID != 0,
		Issued: when(r.Issued), Expires: when(r.Expires), Closed: when(r.Closed),
		ContextGroup: r.ContextGroupID, Scope: r.Scope, Priority: int(r.Priority), SavedQuestion: r.SavedQuestionID,
		Name: r.Name, Index: r.Place, Persona: r.PersonaID, InWords: r.InWords != 0,
		Tracks: r.TracksGroupID,
	}
}

// CreateQuestion records an asking and returns its number.
func (s *Store) CreateQuestion(ctx context.Context, q Question) (uint64, error) {
	r := questionRow{
		Text: legible(q.Text), UserID: q.UserID, Plan: solid(q.Plan), ComputerID: flagged(q.ComputerID),
		Issued: micros(q.Issued), Expires: micros(q.Expires), Closed: micros(q.Closed),
		ContextGroupID: q.ContextGroup, Scope: q.Scope, Priority: int64(q.Priority),
		Name: legible(q.Name), Place: q.Index, PersonaID: q.Persona, InWords: flagged(q.InWords),
		TracksGroupID: q.Tracks,
	}
	if _, err := s.write.NewInsert().Model(&r).Returning("id").Exec(ctx); err != nil {
		return 0, failed(err, "question %q", q.Text)
	}
	return uint64(r.ID), nil
}

// Question finds a question by number.
func (s *Store) Question(ctx context.Context, id uint64) (Question, error) {
	var r questionRow
	if err := s.read.NewSelect().Model(&r).ColumnExpr("?TableColumns").ColumnExpr(ofSaved).Where("id = ? AND repeats = 0", int64(id)).Scan(ctx); err != nil {
		return Question{}, failed(err, "question %d", id)
	}
	return r.question(), nil
}

// Questions returns a page of the questions, newest first and without their
// plans, and how many there are in all. Those are left out that the server has
// asked by itself for the machines of groups: see [Store.AllQuestions].
func (s *Store) Questions(ctx context.Context, offset, limit int) ([]Question, int, error) {
	return s.questionsWhere(ctx, "repeats = ? AND tracks_group_id = 0", 0, offset, limit)
}

// AllQuestions is Questions with those that the server has asked by itself.
func (s *Store) AllQuestions(ctx context.Context, offset, limit int) ([]Question, int, error) {
	return s.questionsWhere(ctx, "repeats = ?", 0, offset, limit)
}

// QuestionsOf is Questions of one user.
func (s *Store) QuestionsOf(ctx context.Context, user int64, offset, limit int) ([]Question, int, error) {
	return s.questionsWhere(ctx, "repeats = 0 AND user_id = ?", user, offset, limit)
}

func (s *Store) questionsWhere(ctx context.Context, where string, arg int64, offset, limit int) ([]Question, int, error) {
	total, err := s.read.NewSelect().Model((*questionRow)(nil)).Where(where, arg).Count(ctx)
	if err != nil {
		return nil, 0, failed(err, "questions")
	}
	var rows []questionRow
	if limit > 0 { // the query builder takes 0 for no limit
		err = s.read.NewSelect().Model(&rows).ExcludeColumn("plan").ColumnExpr(ofSaved).Where(where, arg).Order("id DESC").Offset(int64(offset)).Limit(int64(limit)).Scan(ctx)
	}
	if err != nil {
		return nil, 0, failed(err, "questions")
	}
	return each(rows, questionRow.question), int(total), nil
}

// OpenQuestions returns the questions that were never closed, oldest first:
// after a restart, those that were live when the server went down.
func (s *Store) OpenQuestions(ctx context.Context) ([]Question, error) {
	var rows []questionRow
	if err := s.read.NewSelect().Model(&rows).Where("closed = 0 AND repeats = 0").Order("id").Scan(ctx); err != nil {
		return nil, failed(err, "open questions")
	}
	return each(rows, questionRow.question), nil
}

// ContextGroups are the groups of machines, by number, about which there were
// questions since a time.
func (s *Store) ContextGroups(ctx context.Context, since time.Time) ([]int64, error) {
	list, err := collect(ctx, s.read.DB, func(rows *sql.Rows) (id int64, err error) { return id, rows.Scan(&id) },
		"SELECT DISTINCT context_group_id FROM questions WHERE context_group_id <> 0 AND issued >= $1 ORDER BY context_group_id", micros(since))
	if err != nil {
		return nil, failed(err, "groups of questions")
	}
	return list, nil
}

// RepeatQuestion gives an open question a new number, under which it is asked
// again; one that it had before is closed. Only the first number is listed and
// found.
func (s *Store) RepeatQuestion(ctx context.Context, id uint64, issued time.Time) (number uint64, err error) {
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := closeRepetitions(ctx, tx.Tx, id, issued); err != nil {
			return err
		}
		n, err := single[int64](ctx, tx.Tx, `INSERT INTO questions (text, user_id, plan, computer_id, issued, expires, closed, repeats)
			SELECT text, user_id, $1, computer_id, $2, expires, 0, id FROM questions WHERE id = $3 AND closed = 0 AND repeats = 0
			RETURNING id`, []byte{}, micros(issued), int64(id))
		number = uint64(n)
		if errors.Is(err, sql.ErrNoRows) {
			return notOpen(ctx, tx, id)
		}
		return err
	})
	if err != nil {
		return 0, failed(err, "question %d", id)
	}
	return number, nil
}

// Repetitions is how often a question has got a new number.
func (s *Store) Repetitions(ctx context.Context, id uint64) (int, error) {
	n, err := s.read.NewSelect().Model((*questionRow)(nil)).Where("repeats > 0 AND repeats = ?", int64(id)).Count(ctx)
	if err != nil {
		return 0, failed(err, "question %d", id)
	}
	return int(n), nil
}

// HighestQuestion is the highest number that was ever given to a question, or 0.
func (s *Store) HighestQuestion(ctx context.Context) (uint64, error) {
	highest, err := lastNumber(ctx, s.engine, s.read.DB, "questions")
	if err != nil {
		return 0, failed(err, "highest question")
	}
	return uint64(highest), nil
}

// KeepAnswer keeps the answer so far of a question that stays open.
func (s *Store) KeepAnswer(ctx context.Context, id uint64, a Answer) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		// Changes nothing, but keeps others from closing the question meanwhile.
		err := one(tx.Tx.ExecContext(ctx, "UPDATE questions SET closed = 0 WHERE id = $1 AND closed = 0 AND repeats = 0", int64(id)))
		if errors.Is(err, sql.ErrNoRows) {
			return notOpen(ctx, tx, id)
		}
		if err != nil {
			return err
		}
		return a.keep(ctx, tx.Tx, id)
	})
	if err != nil {
		return failed(err, "question %d", id)
	}
	return nil
}

// CloseQuestion ends a question and keeps its answer. A question is closed
// only once; again is a Conflict. One that ends before its time has expired
// then.
func (s *Store) CloseQuestion(ctx context.Context, id uint64, closed time.Time, a Answer) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		err := one(tx.NewUpdate().Model((*questionRow)(nil)).
			Set("closed = ?", micros(closed)).Set("expires = CASE WHEN expires < ?0 THEN expires ELSE ?0 END", micros(closed)).
			Where("id = ? AND closed = 0 AND repeats = 0", int64(id)).Exec(ctx))
		if errors.Is(err, sql.ErrNoRows) {
			return notOpen(ctx, tx, id)
		}
		if err != nil {
			return err
		}
		if err := closeRepetitions(ctx, tx.Tx, id, closed); err != nil {
			return err
		}
		return a.keep(ctx, tx.Tx, id)
	})
	if err != nil {
		return failed(err, "question %d", id)
	}
	return nil
}

func closeRepetitions(ctx context.Context, tx execer, id uint64, closed time.Time) error {
	_, err := tx.ExecContext(ctx, "UPDATE questions SET closed = $1 WHERE repeats > 0 AND repeats = $2 AND closed = 0", micros(closed), int64(id))
	return err
}

// notOpen tells a closed question from one that is not there.
func notOpen(ctx context.Context, tx bun.Tx, id uint64) error {
	exists, err := tx.NewSelect().Model((*questionRow)(nil)).Where("id = ? AND repeats = 0", int64(id)).Exists(ctx)
	if err != nil {
		return err
	}
	if exists {
		return fault.New(fault.Conflict, "already closed")
	}
	return sql.ErrNoRows
}

// QuestionResult returns the result that was kept of a question.
func (s *Store) QuestionResult(ctx context.Context, id uint64) ([]byte, error) {
	result, err := single[[]byte](ctx, s.read.DB, "SELECT result FROM question_results WHERE question_id = $1", int64(id))
	if err != nil {
		return nil, failed(err, "result of question %d", id)
	}
	return result, nil
}

// DeleteQuestions removes the questions that were closed before the given
// time, with their results, and returns how many. Their numbers are not given
// out again.
func (s *Store) DeleteQuestions(ctx context.Context, before time.Time) (int, error) {
	res, err := s.write.NewDelete().Model((*questionRow)(nil)).Where("closed > 0 AND closed < ?", micros(before)).Exec(ctx)
	if err != nil {
		return 0, failed(err, "old questions")
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, failed(err, "old questions")
	}
	return int(n), nil
}
