package store

import (
	"context"
	"database/sql"
	"time"

	"catenary/internal/fault"
)

// A Passkey lets a user in without a password.
type Passkey struct {
	ID       int64
	UserID   int64
	Hash     Hash   // of the ID that its authenticator has given it
	Name     string // that its owner knows it by
	Body     []byte // its public key and what else is known of it
	Created  time.Time
	LastUsed time.Time // zero: never
}

// CreatePasskey adds a passkey and returns it with its ID.
func (s *Store) CreatePasskey(ctx context.Context, k Passkey) (Passkey, error) {
	id, err := single[int64](ctx, s.write.DB, `INSERT INTO passkeys (user_id, hash, name, body, created, last_used)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO NOTHING RETURNING id`,
		k.UserID, k.Hash[:], legible(k.Name), solid(k.Body), micros(k.Created), micros(k.LastUsed))
	if err == sql.ErrNoRows {
		return Passkey{}, fault.New(fault.Conflict, "this passkey is known already")
	}
	if err != nil {
		return Passkey{}, failed(err, "passkey")
	}
	k.ID = id
	return k, nil
}

// Passkeys returns a user's passkeys, oldest first.
func (s *Store) Passkeys(ctx context.Context, user int64) ([]Passkey, error) {
	list, err := collect(ctx, s.read.DB, func(rows *sql.Rows) (k Passkey, err error) {
		var h []byte
		var created, used int64
		err = rows.Scan(&k.ID, &k.UserID, &h, &k.Name, &k.Body, &created, &used)
		k.Hash, k.Created, k.LastUsed = hash(h), when(created), when(used)
		return k, err
	}, "SELECT id, user_id, hash, name, body, created, last_used FROM passkeys WHERE user_id = $1 ORDER BY id", user)
	if err != nil {
		return nil, failed(err, "passkeys of user %d", user)
	}
	return list, nil
}

// UsePasskey notes that one of a user's passkeys was used, and what is known of
// it since. NotFound if it is no more.
func (s *Store) UsePasskey(ctx context.Context, user int64, h Hash, body []byte, used time.Time) error {
	err := one(s.exec(ctx, "UPDATE passkeys SET body = $1, last_used = $2 WHERE user_id = $3 AND hash = $4", solid(body), micros(used), user, h[:]))
	if err != nil {
		return failed(err, "passkey of user %d", user)
	}
	return nil
}

// DeletePasskey removes one of a user's passkeys.
func (s *Store) DeletePasskey(ctx context.Context, user, id int64) error {
	if err := one(s.exec(ctx, "DELETE FROM passkeys WHERE user_id = $1 AND id = $2", user, id)); err != nil {
		return failed(err, "passkey %d", id)
	}
	return nil
}
