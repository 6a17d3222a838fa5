package store

import (
	"context"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/value"
)

// A User may log in.
type User struct {
	ID        int64
	Name      string // unique, whatever the case
	Password  string // argon2id hash in PHC form
	Created   time.Time
	LastLogin time.Time // zero: never

	// Persona is as whom the user acts just now; 0: as himself. It is not in the
	// database.
	Persona int64
	// UserGroup is the one of his user groups whose rights alone he has just now;
	// 0: all that are his. It is not in the database either.
	UserGroup int64
}

type userRow struct {
	bun.BaseModel `bun:"table:users"`

	ID        int64 `bun:",pk,autoincrement"`
	Name      string
	NameKey   string
	Password  string
	Created   int64
	LastLogin int64
}

func (r userRow) user() User {
	return User{ID: r.ID, Name: r.Name, Password: r.Password, Created: when(r.Created), LastLogin: when(r.LastLogin)}
}

// CreateUser adds a user and returns it with its ID. A name in use is a
// Conflict.
func (s *Store) CreateUser(ctx context.Context, u User) (User, error) {
	if err := checkName(u.Name); err != nil {
		return User{}, failed(err, "user %.100q", u.Name)
	}
	r := userRow{Name: u.Name, NameKey: value.Fold(u.Name), Password: u.Password, Created: micros(u.Created), LastLogin: micros(u.LastLogin)}
	if _, err := s.write.NewInsert().Model(&r).Returning("id").Exec(ctx); err != nil {
		return User{}, failed(err, "user %q", u.Name)
	}
	return r.user(), nil
}

// UserByName finds a user by name, whatever its case.
func (s *Store) UserByName(ctx context.Context, name string) (User, error) {
	var r userRow
	if err := s.read.NewSelect().Model(&r).Where("name_key = ? OR name = ?", value.Fold(name), name).
		OrderExpr("CASE WHEN name = ? THEN 0 ELSE 1 END", name).Limit(1).Scan(ctx); err != nil {
		return User{}, failed(err, "user %q", name)
	}
	return r.user(), nil
}

// UserByID finds a user by number.
func (s *Store) UserByID(ctx context.Context, id int64) (User, error) {
	var r userRow
	if err := s.read.NewSelect().Model(&r).Where("id = ?", id).Scan(ctx); err != nil {
		return User{}, failed(err, "user %d", id)
	}
	return r.user(), nil
}

// Users returns all users by name.
func (s *Store) Users(ctx context.Context) ([]User, error) {
	var rows []userRow
	if err := s.read.NewSelect().Model(&rows).Order("name_key").Scan(ctx); err != nil {
		return nil, failed(err, "users")
	}
	return each(rows, userRow.user), nil
}

// SetPassword replaces a user's password hash.
func (s *Store) SetPassword(ctx context.Context, id int64, hash string) error {
	err := one(s.write.NewUpdate().Model((*userRow)(nil)).Set("password = ?", hash).Where("id = ?", id).Exec(ctx))
	if err != nil {
		return failed(err, "user %d", id)
	}
	return nil
}

// TouchUser notes a login.
func (s *Store) TouchUser(ctx context.Context, id int64, login time.Time) error {
	err := one(s.write.NewUpdate().Model((*userRow)(nil)).Set("last_login = ?", micros(login)).Where("id = ?", id).Exec(ctx))
	if err != nil {
		return failed(err, "user %d", id)
	}
	return nil
}

func each[R, T any](rows []R, f func(R) T) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = f(r)
	}
	return out
}
