package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strings"
	"time"
)

const (
	// detailsMax is the size in bytes of an audit entry's details: what a page
	// of them takes in memory is bounded.
	detailsMax = 64 << 10
	// auditsMax is how many entries Audits returns at once.
	auditsMax = 10_000
)

// An AuditEntry says who has done what to what.
type AuditEntry struct {
	ID                int64 // given by the store, ascending
	At                time.Time
	UserID, PersonaID int64  // 0: nobody, or Catenary itself
	UserName, Address string // as they were; of a failed login, as they were given
	Type              string // create, update, delete, login, logout, login_failed …
	Kind              string // of the object
	ObjectID          int64
	ObjectName        string
	Details           string
}

// Audit writes an entry within the change: it is kept if the change is.
func (c *Change) Audit(ctx context.Context, e AuditEntry) error {
	if err := e.keep(ctx, c.tx); err != nil {
		return failed(err, "audit entry")
	}
	return nil
}

// Audit writes an entry.
func (s *Store) Audit(ctx context.Context, e AuditEntry) error {
	if err := e.keep(ctx, s.write.DB); err != nil {
		return failed(err, "audit entry")
	}
	return nil
}

// keep writes the entry down. Texts that are too long are cut, and what is no
// text is marked: they may come from somebody who attacks, and nobody is to get
// out of the audit that way.
func (e AuditEntry) keep(ctx context.Context, tx execer) error {
	name := func(s string) string { return cut(legible(s), nameMax) }
	_, err := tx.ExecContext(ctx, `INSERT INTO audit
		(at, user_id, persona_id, user_name, address, type, kind, object_id, object_name, details)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		micros(e.At), e.UserID, e.PersonaID, name(e.UserName), name(e.Address), name(e.Type), name(e.Kind),
		e.ObjectID, name(e.ObjectName), cut(legible(e.Details), detailsMax))
	return err
}

// Audits returns entries, newest first and at most limit: of the objects of a
// kind (empty: any), or of one of them (0: all); written at or after from and
// before to (zero: any time); with a lower ID than before (0: any), which is how
// a reader gets the next page.
func (s *Store) Audits(ctx context.Context, kind string, objectID int64, from, to time.Time, limit int, before int64) ([]AuditEntry, error) {
	list, err := s.audits(ctx, kind, objectID, from, to, min(max(limit, 0), auditsMax), before)
	if err != nil {
		return nil, failed(err, "audit")
	}
	return list, nil
}

func (s *Store) audits(ctx context.Context, kind string, objectID int64, from, to time.Time, limit int, before int64) ([]AuditEntry, error) {
	if before <= 0 {
		before = math.MaxInt64
	}
	args := []any{before, limit}
	where := []string{"id < $1"}
	add := func(condition string, arg any) { // a condition of ours, never a caller's
		args = append(args, arg)
		where = append(where, fmt.Sprintf("%s $%d", condition, len(args)))
	}
	if kind != "" {
		add("kind =", kind)
	}
	if objectID != 0 {
		add("object_id =", objectID)
	}
	if !from.IsZero() {
		add("at >=", micros(from))
	}
	if !to.IsZero() {
		add("at <", micros(to))
	}
	return collect(ctx, s.read.DB, scanAudit, `SELECT id, at, user_id, persona_id, user_name, address, type, kind, object_id, object_name, details
		FROM audit WHERE `+strings.Join(where, " AND ")+" ORDER BY id DESC LIMIT $2", args...)
}

func scanAudit(rows *sql.Rows) (e AuditEntry, err error) {
	var at int64
	err = rows.Scan(&e.ID, &at, &e.UserID, &e.PersonaID, &e.UserName, &e.Address, &e.Type, &e.Kind, &e.ObjectID, &e.ObjectName, &e.Details)
	e.At = when(at)
	return e, err
}

// ForgetAudits deletes the oldest entries written before a time, at most limit
// of them, and returns how many those were: nobody waits for a long deletion.
func (s *Store) ForgetAudits(ctx context.Context, before time.Time, limit int) (int64, error) {
	res, err := s.write.DB.ExecContext(ctx, `DELETE FROM audit WHERE id IN
		(SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)`, micros(before), limit)
	if err != nil {
		return 0, failed(err, "audit")
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, failed(err, "audit")
	}
	return n, nil
}
