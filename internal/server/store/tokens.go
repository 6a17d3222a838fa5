package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"maps"
	"slices"
	"time"

	"github.com/uptrace/bun"
)

// A Hash stands in the database for a secret string that is not kept.
type Hash [sha256.Size]byte

// HashOf returns the hash of a secret. The secrets are long and random, so
// that a fast hash is enough.
func HashOf(secret string) Hash { return sha256.Sum256([]byte(secret)) }

// A Token is the right to act as a user without a password.
type Token struct {
	ID       int64
	Hash     Hash // of the token string
	UserID   int64
	Name     string
	Notes    string
	Trusted  string // addresses and networks that may use it, comma separated; empty: any
	Days     int    // life time from creation or rotation
	Persona  int64  // as whom its user acts; 0: as himself
	Created  time.Time
	Expires  time.Time
	LastUsed time.Time // zero: never
}

type tokenRow struct {
	bun.BaseModel `bun:"table:tokens"`

	ID        int64 `bun:",pk,autoincrement"`
	Hash      []byte
	UserID    int64
	Name      string
	Notes     string
	Trusted   string
	Days      int
	PersonaID int64
	Created   int64
	Expires   int64
	LastUsed  int64
}

func (t Token) row() tokenRow {
	return tokenRow{
		Hash: t.Hash[:], UserID: t.UserID, Name: legible(t.Name), Notes: legible(t.Notes), Trusted: t.Trusted, Days: t.Days, PersonaID: t.Persona,
		Created: micros(t.Created), Expires: micros(t.Expires), LastUsed: micros(t.LastUsed),
	}
}

func (r tokenRow) token() Token {
	return Token{
		ID: r.ID, Hash: hash(r.Hash), UserID: r.UserID, Name: r.Name, Notes: r.Notes, Trusted: r.Trusted, Days: r.Days, Persona: r.PersonaID,
		Created: when(r.Created), Expires: when(r.Expires), LastUsed: when(r.LastUsed),
	}
}

func hash(b []byte) (h Hash) {
	copy(h[:], b)
	return h
}

// CreateToken adds a token and returns it with its ID.
func (s *Store) CreateToken(ctx context.Context, t Token) (Token, error) {
	r := t.row()
	if _, err := s.write.NewInsert().Model(&r).Returning("id").Exec(ctx); err != nil {
		return Token{}, failed(err, "token %q", t.Name)
	}
	return r.token(), nil
}

// Tokens returns a user's tokens, oldest first; user 0: everybody's.
func (s *Store) Tokens(ctx context.Context, user int64) ([]Token, error) {
	var rows []tokenRow
	if err := s.read.NewSelect().Model(&rows).Where("(user_id = ? OR ? = 0)", user, user).Order("id").Scan(ctx); err != nil {
		return nil, failed(err, "tokens")
	}
	return each(rows, tokenRow.token), nil
}

// RotateToken gives a user's token a new string, with a new ID and a new life
// of as many days as before. The old string is dead at once.
func (s *Store) RotateToken(ctx context.Context, user int64, old, fresh Hash, now time.Time) (Token, error) {
	var r tokenRow
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := tx.NewSelect().Model(&r).Where("user_id = ? AND hash = ?", user, old[:]).Scan(ctx); err != nil {
			return err
		}
		if _, err := tx.NewDelete().Model(&r).WherePK().Exec(ctx); err != nil {
			return err
		}
		r.ID, r.Hash, r.LastUsed = 0, fresh[:], 0
		r.Created, r.Expires = micros(now), micros(now.AddDate(0, 0, r.Days))
		_, err := tx.NewInsert().Model(&r).Returning("id").Exec(ctx)
		return err
	})
	if err != nil {
		return Token{}, failed(err, "token")
	}
	return r.token(), nil
}

// DeleteToken removes one of a user's tokens and returns what it was; user 0: one
// of anybody's.
func (s *Store) DeleteToken(ctx context.Context, user, id int64) (Token, error) {
	var r tokenRow
	err := s.write.NewDelete().Model(&r).Where("(user_id = ? OR ? = 0) AND id = ?", user, user, id).Returning("*").Scan(ctx)
	if err == nil && r.ID == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return Token{}, failed(err, "token %d", id)
	}
	return r.token(), nil
}

// TouchTokens notes when tokens, by their numbers, were used last. A token deleted
// meanwhile is no error.
func (s *Store) TouchTokens(ctx context.Context, used map[int64]time.Time) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(used)) { // always in the same order, so that two of these cannot wait for each other
			if _, err := tx.NewUpdate().Model((*tokenRow)(nil)).Set("last_used = ?", micros(used[id])).Where("id = ?", id).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return failed(err, "last uses of %d tokens", len(used))
	}
	return nil
}
