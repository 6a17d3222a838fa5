package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"
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
	r := secretRow{Hash: n.Hash[:], Name: legible(n.Name), Created: micros(n.Created), Expires: micros(n.Expires), Uses: n.Uses}
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

// DeleteSecret removes a secret, so that nobody can enrol with it any more.
func (s *Store) DeleteSecret(ctx context.Context, h Hash) error {
	err := one(s.write.NewDelete().Model((*secretRow)(nil)).Where("hash = ?", h[:]).Exec(ctx))
	if err != nil {
		return failed(err, "enrolment secret")
	}
	return nil
}
