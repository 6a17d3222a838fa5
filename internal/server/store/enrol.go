package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/fault"
)

// An Enrolment is a machine that wants to be let in with a secret.
type Enrolment struct {
	Secret Hash
	Client Client
	// Err is set by Enrol. A secret that is unknown, expired or used up is
	// Denied, with the reason; an ID, computer ID or key that exists already is
	// a Conflict, and uses nothing up.
	Err error
}

// Enrol lets machines in, in one transaction: however many come at once, they
// wait for the disk together. An error of its own concerns all of them.
func (s *Store) Enrol(ctx context.Context, now time.Time, list []*Enrolment) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, e := range list {
			e.Err = nil
			if err := enrol(ctx, tx, now, e); fault.KindOf(err) != fault.Denied && fault.KindOf(err) != fault.Conflict {
				if err != nil {
					return err
				}
			} else {
				e.Err = err
			}
		}
		return nil
	})
	if err != nil {
		return failed(err, "enrolment")
	}
	return nil
}

func enrol(ctx context.Context, tx bun.Tx, now time.Time, e *Enrolment) error {
	c := e.Client
	r := clientRow{
		ID: c.ID[:], ComputerID: c.ComputerID, Name: legible(c.Name), Key: c.Key[:], Enrolled: micros(c.Enrolled),
		Registered: micros(c.Registered), Incarnation: int64(c.Incarnation), Sequence: int64(c.Sequence),
	}
	err := one(tx.NewInsert().Model(&r).On("CONFLICT DO NOTHING").Exec(ctx))
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.Conflict, "client %v: already exists", c.ID)
	}
	if err != nil {
		return err
	}
	err = one(tx.NewUpdate().Model((*secretRow)(nil)).Set("uses = uses - 1").
		Where("hash = ? AND uses > 0 AND expires > ?", e.Secret[:], micros(now)).Exec(ctx))
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if _, err := tx.NewDelete().Model(&r).WherePK().Exec(ctx); err != nil {
		return err
	}
	return whyNot(ctx, tx, e.Secret, now)
}

// whyNot says why a secret lets nobody in.
func whyNot(ctx context.Context, tx bun.Tx, h Hash, now time.Time) error {
	var r secretRow
	err := tx.NewSelect().Model(&r).Where("hash = ?", h[:]).Scan(ctx)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return fault.New(fault.Denied, "enrolment secret: unknown")
	case err != nil:
		return err
	case r.Expires <= micros(now):
		return fault.New(fault.Denied, "enrolment secret: expired %s", when(r.Expires).Format(time.RFC3339))
	}
	return fault.New(fault.Denied, "enrolment secret: used up")
}
