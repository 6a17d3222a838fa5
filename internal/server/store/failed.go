package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"modernc.org/sqlite"

	"catenary/internal/fault"
)

// Primary result codes of SQLite, https://www.sqlite.org/rescode.html.
const (
	codeMask       = 0xff // extended codes keep the primary one in the low byte
	codeBusy       = 5
	codeLocked     = 6
	codeReadOnly   = 8
	codeInterrupt  = 9
	codeIO         = 10
	codeCorrupt    = 11
	codeFull       = 13
	codeNotADB     = 26
	codeUnique     = 2067 // extended: a UNIQUE column
	codePrimaryKey = 1555 // extended: a PRIMARY KEY
)

// damage is what a check of the file has found.
type damage struct{ error }

// failed gives what the database said its kind, once. The text before the
// cause names the deed and its operand.
func failed(err error, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	if _, ok := errors.AsType[damage](err); ok {
		return damaged(what, err)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "%s: not found", what)
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, "%s: %w", what, err)
	}
	e, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return fmt.Errorf("%s: %w", what, err) // has its kind, or is Internal
	}
	if e.Code() == codeUnique || e.Code() == codePrimaryKey {
		return fault.New(fault.Conflict, "%s: already exists", what)
	}
	switch e.Code() & codeMask {
	case codeBusy, codeLocked, codeInterrupt:
		return fault.New(fault.Unavailable, "%s: the database is busy: %w", what, err)
	case codeFull, codeIO, codeReadOnly:
		return fault.New(fault.Internal, "%s: the disk refuses: %w", what, err)
	case codeCorrupt, codeNotADB:
		return damaged(what, err)
	}
	return fault.New(fault.Internal, "%s: %w", what, err)
}

func damaged(what string, err error) error {
	return fault.New(fault.Internal, "%s: the file is damaged or is no database; restore it from a backup: %w", what, err)
}

// one makes sure that a statement has changed something.
func one(res sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return sql.ErrNoRows
	}
	return err
}
