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
}

type questionRow struct {
	bun.BaseModel `bun:"table:questions"`

	ID         int64 `bun:",pk,autoincrement"`
	Text       string
	UserID     int64
	Plan       []byte
	ComputerID bool
	Issued     int64
	Expires    int64
	Closed     int64
}

func (r questionRow) question() Question {
	return Question{uint64(r.ID), r.Text, r.UserID, r.Plan, r.ComputerID, when(r.Issued), when(r.Expires), when(r.Closed)}
}

// CreateQuestion records an asking and returns its number.
func (s *Store) CreateQuestion(ctx context.Context, q Question) (uint64, error) {
	r := questionRow{
		Text: q.Text, UserID: q.UserID, Plan: solid(q.Plan), ComputerID: q.ComputerID,
		Issued: micros(q.Issued), Expires: micros(q.Expires), Closed: micros(q.Closed),
	}
	if _, err := s.write.NewInsert().Model(&r).Returning("id").Exec(ctx); err != nil {
		return 0, failed(err, "question %q", q.Text)
	}
	return uint64(r.ID), nil
}

// Question finds a question by number.
func (s *Store) Question(ctx context.Context, id uint64) (Question, error) {
	var r questionRow
	if err := s.read.NewSelect().Model(&r).Where("id = ?", int64(id)).Scan(ctx); err != nil {
		return Question{}, failed(err, "question %d", id)
	}
	return r.question(), nil
}

// Questions returns a page of the questions, newest first and without their
// plans, and how many there are in all.
func (s *Store) Questions(ctx context.Context, offset, limit int) ([]Question, int, error) {
	total, err := s.read.NewSelect().Model((*questionRow)(nil)).Count(ctx)
	if err != nil {
		return nil, 0, failed(err, "questions")
	}
	var rows []questionRow
	if limit > 0 { // the query builder takes 0 for no limit
		err = s.read.NewSelect().Model(&rows).ExcludeColumn("plan").Order("id DESC").Offset(int64(offset)).Limit(int64(limit)).Scan(ctx)
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
	if err := s.read.NewSelect().Model(&rows).Where("closed = 0").Order("id").Scan(ctx); err != nil {
		return nil, failed(err, "open questions")
	}
	return each(rows, questionRow.question), nil
}

// CloseQuestion ends a question and keeps its result. A question is closed
// only once; again is a Conflict.
func (s *Store) CloseQuestion(ctx context.Context, id uint64, closed time.Time, result []byte) error {
	err := s.write.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		err := one(tx.NewUpdate().Model((*questionRow)(nil)).
			Set("closed = ?", micros(closed)).Where("id = ? AND closed = 0", int64(id)).Exec(ctx))
		if errors.Is(err, sql.ErrNoRows) {
			return notOpen(ctx, tx, id)
		}
		if err != nil {
			return err
		}
		// By the driver's own arguments: the query builder would spell a large
		// result out in hexadecimal.
		_, err = tx.Tx.ExecContext(ctx, "INSERT INTO question_results (question_id, result) VALUES (?, ?)", int64(id), solid(result))
		return err
	})
	if err != nil {
		return failed(err, "question %d", id)
	}
	return nil
}

// notOpen tells a closed question from one that is not there.
func notOpen(ctx context.Context, tx bun.Tx, id uint64) error {
	exists, err := tx.NewSelect().Model((*questionRow)(nil)).Where("id = ?", int64(id)).Exists(ctx)
	if err != nil {
		return err
	}
	if exists {
		return fault.New(fault.Conflict, "already closed")
	}
	return sql.ErrNoRows
}

// QuestionResult returns what CloseQuestion has kept.
func (s *Store) QuestionResult(ctx context.Context, id uint64) ([]byte, error) {
	var result []byte
	err := s.read.DB.QueryRowContext(ctx, "SELECT result FROM question_results WHERE question_id = ?", int64(id)).Scan(&result)
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
