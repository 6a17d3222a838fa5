package store

import (
	"context"
	"database/sql"
	"errors"

	"catenary/internal/fault"
	"catenary/internal/value"
)

// CreateUser adds a user within the change and returns it with its ID. A name
// in use is a Conflict.
func (c *Change) CreateUser(ctx context.Context, u User) (User, error) {
	if err := c.freeUser(ctx, u); err != nil {
		return User{}, err
	}
	err := c.tx.QueryRowContext(ctx, `INSERT INTO users (name, name_key, password, created, last_login)
		VALUES ($1, $2, $3, $4, $5) RETURNING id`, u.Name, value.Fold(u.Name), u.Password, micros(u.Created), micros(u.LastLogin)).Scan(&u.ID)
	if err != nil {
		return User{}, failed(err, "user %q", u.Name)
	}
	return u, nil
}

// freeUser makes sure that nobody else has the user's name: a violation of the
// index would end the transaction on PostgreSQL.
func (c *Change) freeUser(ctx context.Context, u User) error {
	if err := checkName(u.Name); err != nil {
		return failed(err, "user %.100q", u.Name)
	}
	var other int64
	err := c.tx.QueryRowContext(ctx, "SELECT id FROM users WHERE (name_key = $1 OR name = $2) AND id <> $3",
		value.Fold(u.Name), u.Name, u.ID).Scan(&other)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return failed(err, "user %q", u.Name)
	}
	return fault.New(fault.Conflict, "user %q: already exists", u.Name)
}

// RenameUser gives a user another name within the change.
func (c *Change) RenameUser(ctx context.Context, id int64, name string) error {
	if err := c.freeUser(ctx, User{ID: id, Name: name}); err != nil {
		return err
	}
	err := one(c.tx.ExecContext(ctx, "UPDATE users SET name = $1, name_key = $2 WHERE id = $3", name, value.Fold(name), id))
	if err != nil {
		return failed(err, "user %d", id)
	}
	return nil
}

// SetPassword replaces a user's password hash within the change.
func (c *Change) SetPassword(ctx context.Context, id int64, hash string) error {
	if err := one(c.tx.ExecContext(ctx, "UPDATE users SET password = $1 WHERE id = $2", hash, id)); err != nil {
		return failed(err, "user %d", id)
	}
	return nil
}

// DeleteUser takes a user away within the change, with all tokens. The number
// is not given again.
func (c *Change) DeleteUser(ctx context.Context, id int64) error {
	if err := c.DeleteTokens(ctx, id); err != nil {
		return err
	}
	if err := one(c.tx.ExecContext(ctx, "DELETE FROM users WHERE id = $1", id)); err != nil {
		return failed(err, "user %d", id)
	}
	return nil
}

// DeleteTokens takes all of a user's tokens away within the change.
func (c *Change) DeleteTokens(ctx context.Context, user int64) error {
	if _, err := c.tx.ExecContext(ctx, "DELETE FROM tokens WHERE user_id = $1", user); err != nil {
		return failed(err, "tokens of user %d", user)
	}
	return nil
}
