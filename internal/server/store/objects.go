package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/fault"
	"catenary/internal/value"
)

const (
	// bodyMax is the size in bytes of an object's body. A group that lists
	// 100,000 machines by name has about 3 MiB; files are not in bodies.
	bodyMax = 16 << 20
	// nameMax is the length in bytes of a name: the databases' indexes take
	// no more than some 2,700.
	nameMax = 1024
)

// An Object is the record of a noun that has no table of its own: packages,
// saved questions, groups, roles, settings …
type Object struct {
	Kind string // "package", "saved_question", …
	ID   int64  // per kind, from 1, never given again
	Name string // unique within its kind whatever the case, unless empty or deleted
	Body []byte // a JSON object in its canonical form, at most 16 MiB
	// Secrets is a JSON object, too: what is encrypted in the database. nil:
	// there are none.
	Secrets []byte

	Created, Modified     time.Time
	CreatedBy, ModifiedBy int64 // users; 0: Catenary itself
	CreatedAs, ModifiedAs int64 // personas; 0: none
	Deleted               bool  // kept for the audit and for references
}

// what names the object in an error.
func (o Object) what() string {
	kind := strings.ReplaceAll(o.Kind, "_", " ")
	if o.Name == "" {
		return fmt.Sprintf("%s %d", kind, o.ID)
	}
	return fmt.Sprintf("%s %q", kind, o.Name)
}

func (o Object) check() error {
	if o.Kind == "" || o.ID < 0 {
		return fault.New(fault.Invalid, "%s: an object has a kind and no negative number", o.what())
	}
	if err := checkName(o.Name); err != nil {
		return fmt.Errorf("%s: %w", o.what(), err)
	}
	if n := len(o.Body) + len(o.Secrets); n > bodyMax {
		return fault.New(fault.Invalid, "%s: %d bytes are too many: at most %d", o.what(), n, bodyMax)
	}
	if len(o.Body) == 0 || o.Body[0] != '{' || !json.Valid(o.Body) {
		return fault.New(fault.Invalid, "%s: its body is no JSON object", o.what())
	}
	if o.Secrets != nil && !json.Valid(o.Secrets) {
		return fault.New(fault.Invalid, "%s: its secrets are no JSON object", o.what())
	}
	return nil
}

// A Change is a transaction over objects. Everything that is done in it takes
// effect together, or nothing does. One Change runs at a time, so that what is
// found in it stays true until it ends. Every error has its kind; after an
// Invalid, a NotFound or a Conflict the Change may go on.
type Change struct {
	tx  *sql.Tx
	key *Key
}

// Change runs f once. If f returns an error, nothing has happened and the error
// is returned as it is. The Change must not be used after f has returned, and f
// must not use the Store: that would wait for f.
func (s *Store) Change(ctx context.Context, f func(c *Change) error) error {
	var refused error // f's own, which says all there is to say
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := takeTurn(ctx, tx.Tx, "objects"); err != nil {
			return err
		}
		refused = f(&Change{tx.Tx, s.key})
		return refused
	})
	switch {
	case refused != nil:
		return refused
	case err != nil:
		return failed(err, "change")
	}
	return nil
}

// Create adds an object and returns it as it is kept. It gets the next number
// of its kind unless it has one. A number that is or was another's, and a name
// in use, is a Conflict.
func (c *Change) Create(ctx context.Context, o Object) (Object, error) {
	if err := o.check(); err != nil {
		return Object{}, err
	}
	o.Deleted, o.Created, o.Modified = false, when(micros(o.Created)), when(micros(o.Modified))
	if err := c.free(ctx, o); err != nil {
		return Object{}, failed(err, "%s", o.what())
	}
	var err error
	if o.ID, err = c.number(ctx, o.Kind, o.ID); err != nil {
		return Object{}, failed(err, "%s", o.what())
	}
	sealed, err := c.seal(ctx, o)
	if err != nil {
		return Object{}, failed(err, "%s", o.what())
	}
	err = one(c.tx.ExecContext(ctx, `INSERT INTO objects
		(kind, id, name, name_key, body, secrets, created, created_by, created_as, modified, modified_by, modified_as, deleted)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0) ON CONFLICT (kind, id) DO NOTHING`,
		o.Kind, o.ID, o.Name, value.Fold(o.Name), o.Body, sealed,
		micros(o.Created), o.CreatedBy, o.CreatedAs, micros(o.Modified), o.ModifiedBy, o.ModifiedAs))
	if errors.Is(err, sql.ErrNoRows) {
		return Object{}, fault.New(fault.Conflict, "%s: number %d is or was another's", o.what(), o.ID)
	}
	if err != nil {
		return Object{}, failed(err, "%s", o.what())
	}
	return o, nil
}

// seal encrypts an object's secrets; nil if it has none.
func (c *Change) seal(ctx context.Context, o Object) ([]byte, error) {
	if o.Secrets == nil {
		return nil, nil
	}
	if err := c.key.inUse(ctx, c.tx); err != nil {
		return nil, err
	}
	return c.key.seal(o.Secrets, objectRow(o.Kind, o.ID)), nil
}

// number returns the next number of a kind, or remembers the one that is wanted.
func (c *Change) number(ctx context.Context, kind string, wanted int64) (n int64, err error) {
	if wanted == 0 {
		err = c.tx.QueryRowContext(ctx, `INSERT INTO object_numbers (kind, last) VALUES ($1, 1)
			ON CONFLICT (kind) DO UPDATE SET last = object_numbers.last + 1 RETURNING last`, kind).Scan(&n)
		return n, err
	}
	_, err = c.tx.ExecContext(ctx, `INSERT INTO object_numbers (kind, last) VALUES ($1, $2)
		ON CONFLICT (kind) DO UPDATE SET last = excluded.last WHERE object_numbers.last < excluded.last`, kind, wanted)
	return wanted, err
}

// free makes sure that nobody else has the object's name. The index would, too,
// but on PostgreSQL that ends the transaction.
func (c *Change) free(ctx context.Context, o Object) error {
	if o.Name == "" {
		return nil
	}
	var other int64
	err := c.tx.QueryRowContext(ctx, "SELECT id FROM objects WHERE kind = $1 AND name_key = $2 AND deleted = 0 AND name_key <> '' AND id <> $3",
		o.Kind, value.Fold(o.Name), o.ID).Scan(&other)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return fault.New(fault.Conflict, "number %d has this name", other)
}

// Update changes name, body and the modification of the object with o's kind
// and ID. One that is not there, or deleted, is NotFound.
func (c *Change) Update(ctx context.Context, o Object) error {
	if err := o.check(); err != nil {
		return err
	}
	if err := c.free(ctx, o); err != nil {
		return failed(err, "%s", o.what())
	}
	sealed, err := c.seal(ctx, o)
	if err != nil {
		return failed(err, "%s", o.what())
	}
	err = one(c.tx.ExecContext(ctx, `UPDATE objects
		SET name = $1, name_key = $2, body = $3, secrets = $4, modified = $5, modified_by = $6, modified_as = $7
		WHERE kind = $8 AND id = $9 AND deleted = 0`,
		o.Name, value.Fold(o.Name), o.Body, sealed, micros(o.Modified), o.ModifiedBy, o.ModifiedAs, o.Kind, o.ID))
	if err != nil {
		return failed(err, "%s", o.what())
	}
	return nil
}

// Delete marks an object as deleted: its name is free, its number is not.
func (c *Change) Delete(ctx context.Context, kind string, id int64) error {
	err := one(c.tx.ExecContext(ctx, "UPDATE objects SET deleted = 1 WHERE kind = $1 AND id = $2 AND deleted = 0", kind, id))
	if err != nil {
		return failed(err, "%s", Object{Kind: kind, ID: id}.what())
	}
	return nil
}

const objectColumns = "kind, id, name, body, secrets, created, created_by, created_as, modified, modified_by, modified_as, deleted"

// Objects returns all objects of all kinds that are not deleted, by kind and
// number.
func (s *Store) Objects(ctx context.Context) ([]Object, error) {
	list, err := s.objects(ctx, "WHERE deleted = 0")
	if err != nil {
		return nil, failed(err, "objects")
	}
	return list, nil
}

// ObjectsOf returns the objects of one kind that are not deleted, by number.
func (s *Store) ObjectsOf(ctx context.Context, kind string) ([]Object, error) {
	list, err := s.objects(ctx, "WHERE deleted = 0 AND kind = $1", kind)
	if err != nil {
		return nil, failed(err, "objects of kind %s", kind)
	}
	return list, nil
}

// Object returns one object, also if it is deleted.
func (s *Store) Object(ctx context.Context, kind string, id int64) (Object, error) {
	list, err := s.objects(ctx, "WHERE kind = $1 AND id = $2", kind, id)
	if err == nil && len(list) == 0 {
		err = sql.ErrNoRows
	}
	if err != nil {
		return Object{}, failed(err, "%s", Object{Kind: kind, ID: id}.what())
	}
	return list[0], nil
}

func (s *Store) objects(ctx context.Context, where string, args ...any) ([]Object, error) {
	return collect(ctx, s.read.DB, s.scanObject, "SELECT "+objectColumns+" FROM objects "+where+" ORDER BY kind, id", args...)
}

func (s *Store) scanObject(rows *sql.Rows) (o Object, err error) {
	var created, modified, deleted int64
	err = rows.Scan(&o.Kind, &o.ID, &o.Name, &o.Body, &o.Secrets, &created, &o.CreatedBy, &o.CreatedAs, &modified, &o.ModifiedBy, &o.ModifiedAs, &deleted)
	o.Created, o.Modified, o.Deleted = when(created), when(modified), deleted != 0
	if err == nil && o.Secrets != nil {
		if o.Secrets, err = s.key.open(o.Secrets, objectRow(o.Kind, o.ID)); err != nil {
			err = fmt.Errorf("%s: %w", o.what(), err)
		}
	}
	return o, err
}
