package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/fault"
)

// A Secret lets machines enrol.
type Secret struct {
	Hash    Hash // of the secret itself, which only the bundle has
	Name    string
	Created time.Time
	Expires time.Time
	Uses    int // left
}

type secretRow struct {
	bun.BaseModel `bun:"table:secrets"`

	Hash    []byte `bun:",pk"`
	Name    string
	Created int64
	Expires int64
	Uses    int
}

func (r secretRow) secret() Secret {
	return Secret{hash(r.Hash), r.Name, when(r.Created), when(r.Expires), r.Uses}
}

// CreateSecret adds an enrolment secret.
func (s *Store) CreateSecret(ctx context.Context, n Secret) error {
	r := secretRow{Hash: n.Hash[:], Name: n.Name, Created: micros(n.Created), Expires: micros(n.Expires), Uses: n.Uses}
	if _, err := s.write.NewInsert().Model(&r).Exec(ctx); err != nil {
		return failed(err, "enrolment secret %q", n.Name)
	}
	return nil
}

// Secrets returns all enrolment secrets, newest first.
func (s *Store) Secrets(ctx context.Context) ([]Secret, error) {
	var rows []secretRow
	if err := s.read.NewSelect().Model(&rows).Order("created DESC", "hash").Scan(ctx); err != nil {
		return nil, failed(err, "enrolment secrets")
	}
	return each(rows, secretRow.secret), nil
}

// UseSecret takes one use from a secret. One that is unknown, expired or used
// up is Denied, with the reason.
func (s *Store) UseSecret(ctx context.Context, h Hash, now time.Time) error {
	err := s.write.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		err := one(tx.NewUpdate().Model((*secretRow)(nil)).Set("uses = uses - 1").
			Where("hash = ? AND uses > 0 AND expires > ?", h[:], micros(now)).Exec(ctx))
		if errors.Is(err, sql.ErrNoRows) {
			return whyNot(ctx, tx, h, now)
		}
		return err
	})
	if err != nil {
		return failed(err, "enrolment secret")
	}
	return nil
}

func whyNot(ctx context.Context, tx bun.Tx, h Hash, now time.Time) error {
	var r secretRow
	err := tx.NewSelect().Model(&r).Where("hash = ?", h[:]).Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fault.New(fault.Denied, "unknown")
	case err != nil:
		return err
	case r.Expires <= micros(now):
		return fault.New(fault.Denied, "expired %s", when(r.Expires).Format(time.RFC3339))
	}
	return fault.New(fault.Denied, "used up")
}

// DeleteSecret removes a secret, so that nobody can enrol with it any more.
func (s *Store) DeleteSecret(ctx context.Context, h Hash) error {
	err := one(s.write.NewDelete().Model((*secretRow)(nil)).Where("hash = ?", h[:]).Exec(ctx))
	if err != nil {
		return failed(err, "enrolment secret")
	}
	return nil
}
