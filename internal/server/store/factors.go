package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/fault"
)

// A SecondFactor is the secret that a user's program makes one-time codes from.
type SecondFactor struct {
	UserID    int64
	Secret    string // base32; encrypted in the database
	Confirmed bool   // the user has shown that his program knows it
	Period    int64  // of the last code that was taken
	Created   time.Time
}

// SecondFactorOf returns a user's second factor; NotFound if he has none.
func (s *Store) SecondFactorOf(ctx context.Context, user int64) (SecondFactor, error) {
	list, err := collect(ctx, s.read.DB, func(rows *sql.Rows) (f SecondFactor, err error) {
		var confirmed, created int64
		var sealed string
		if err = rows.Scan(&f.UserID, &sealed, &confirmed, &f.Period, &created); err != nil {
			return f, err
		}
		f.Confirmed, f.Created = confirmed == 1, when(created)
		f.Secret, err = s.key.openFactor(sealed, f.UserID)
		return f, err
	}, "SELECT user_id, secret, confirmed, period, created FROM second_factors WHERE user_id = $1", user)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return SecondFactor{}, failed(err, "second factor of user %d", user)
	}
	return list[0], nil
}

// BeginSecondFactor keeps a secret that the user has yet to confirm. A Conflict
// if he has a confirmed one.
func (s *Store) BeginSecondFactor(ctx context.Context, f SecondFactor) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := s.key.inUse(ctx, tx.Tx); err != nil {
			return err
		}
		return one(tx.Tx.ExecContext(ctx, `INSERT INTO second_factors (user_id, secret, confirmed, period, created) VALUES ($1, $2, 0, 0, $3)
			ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, period = 0, created = excluded.created
			WHERE second_factors.confirmed = 0`, f.UserID, s.key.sealFactor(f.Secret, f.UserID), micros(f.Created)))
	})
	if err == sql.ErrNoRows {
		return fault.New(fault.Conflict, "there is a second factor already: remove it first")
	}
	if err != nil {
		return failed(err, "second factor of user %d", f.UserID)
	}
	return nil
}

// ConfirmSecondFactor puts the factor to use, with the period of the code that
// has shown that the user's program knows the secret, and the hashes of his
// recovery codes. NotFound if none waits for that.
func (s *Store) ConfirmSecondFactor(ctx context.Context, user, period int64, codes []Hash) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := one(tx.Tx.ExecContext(ctx, "UPDATE second_factors SET confirmed = 1, period = $1 WHERE user_id = $2 AND confirmed = 0", period, user)); err != nil {
			return err
		}
		return putRecoveryCodes(ctx, tx.Tx, user, codes)
	})
	if err != nil {
		return failed(err, "second factor of user %d", user)
	}
	return nil
}

func putRecoveryCodes(ctx context.Context, tx execer, user int64, codes []Hash) error {
	if _, err := tx.ExecContext(ctx, "DELETE FROM recovery_codes WHERE user_id = $1", user); err != nil {
		return err
	}
	for _, h := range codes {
		if _, err := tx.ExecContext(ctx, "INSERT INTO recovery_codes (user_id, hash) VALUES ($1, $2)", user, h[:]); err != nil {
			return err
		}
	}
	return nil
}

// SetRecoveryCodes puts new recovery codes in the place of a user's.
func (s *Store) SetRecoveryCodes(ctx context.Context, user int64, codes []Hash) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error { return putRecoveryCodes(ctx, tx.Tx, user, codes) })
	if err != nil {
		return failed(err, "recovery codes of user %d", user)
	}
	return nil
}

// CountRecoveryCodes is how many a user has left.
func (s *Store) CountRecoveryCodes(ctx context.Context, user int64) (int, error) {
	n, err := single[int](ctx, s.read.DB, "SELECT count(*) FROM recovery_codes WHERE user_id = $1", user)
	if err != nil {
		return 0, failed(err, "recovery codes of user %d", user)
	}
	return n, nil
}

// UsePeriod takes the code of a period. It reports false if that code, or a
// later one, has been taken before: of many who come with the same code at once,
// one is let in.
func (s *Store) UsePeriod(ctx context.Context, user, period int64) (bool, error) {
	return s.taken(s.exec(ctx, "UPDATE second_factors SET period = $1 WHERE user_id = $2 AND confirmed = 1 AND period < $1", period, user))
}

// UseRecoveryCode takes a recovery code, which is gone then. It reports false if
// the user has no such code.
func (s *Store) UseRecoveryCode(ctx context.Context, user int64, code Hash) (bool, error) {
	return s.taken(s.exec(ctx, "DELETE FROM recovery_codes WHERE user_id = $1 AND hash = $2", user, code[:]))
}

func (s *Store) taken(res sql.Result, err error) (bool, error) {
	switch err := one(res, err); {
	case err == sql.ErrNoRows:
		return false, nil
	case err != nil:
		return false, failed(err, "second factor")
	}
	return true, nil
}

// DeleteSecondFactor takes a user's second factor away, with the recovery codes.
func (s *Store) DeleteSecondFactor(ctx context.Context, user int64) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := putRecoveryCodes(ctx, tx.Tx, user, nil); err != nil {
			return err
		}
		return one(tx.Tx.ExecContext(ctx, "DELETE FROM second_factors WHERE user_id = $1", user))
	})
	if err != nil {
		return failed(err, "second factor of user %d", user)
	}
	return nil
}
