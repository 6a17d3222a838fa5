package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/jackc/pgx/v5/pgconn"
	lite "modernc.org/sqlite"

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
	codeForeignKey = 787  // extended: a FOREIGN KEY
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
	if errors.Is(err, sql.ErrTxDone) { // database/sql says so instead when the end of a context wins the race with a statement
		return fault.New(fault.Unavailable, "%s: context canceled, or out of time: %w", what, err)
	}
	if e, ok := errors.AsType[*lite.Error](err); ok {
		return failedSQLite(e.Code(), err, what)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return failedPostgres(e.Code, err, what)
	}
	if isAway(err) {
		return fault.New(fault.Unavailable, "%s: the database does not answer: %w", what, err)
	}
	return fmt.Errorf("%s: %w", what, err) // has its kind, or is Internal
}

func failedSQLite(code int, err error, what string) error {
	if code == codeUnique || code == codePrimaryKey {
		return fault.New(fault.Conflict, "%s: already exists", what)
	}
	if code == codeForeignKey {
		return orphan(what)
	}
	switch code & codeMask {
	case codeBusy, codeLocked, codeInterrupt:
		return fault.New(fault.Unavailable, "%s: the database is busy: %w", what, err)
	case codeFull:
		return full(what, err)
	case codeIO, codeReadOnly:
		return fault.New(fault.Internal, "%s: the disk refuses: %w", what, err)
	case codeCorrupt, codeNotADB:
		return damaged(what, err)
	}
	return fault.New(fault.Internal, "%s: %w", what, err)
}

func failedPostgres(code string, err error, what string) error {
	switch code {
	case "23505": // unique_violation
		return fault.New(fault.Conflict, "%s: already exists", what)
	case "23503": // foreign_key_violation
		return orphan(what)
	case "22021", "22P05", "54000": // no text in UTF-8; too large for an index
		return fault.New(fault.Invalid, "%s: %w", what, err)
	case "28000", "28P01", "3D000", "42501": // who we are, which database, rights
		return fault.New(fault.Invalid, "%s: PostgreSQL does not let us in: %w", what, err)
	case "55P03", "53400": // lock_not_available, configuration_limit_exceeded
		return fault.New(fault.Unavailable, "%s: the database is busy: %w", what, err)
	case "53100": // disk_full
		return full(what, err)
	case "58030": // io_error
		return fault.New(fault.Internal, "%s: the disk refuses: %w", what, err)
	}
	switch code[:min(2, len(code))] {
	case "08", "40", "53", "57": // connection, rollback, resources, shutdown
		return fault.New(fault.Unavailable, "%s: the database is not ready: %w", what, err)
	case "XX":
		return damaged(what, err)
	}
	return fault.New(fault.Internal, "%s: %w", what, err)
}

// isAway reports whether nobody answers at the other end of a connection.
func isAway(err error) bool {
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || pgconn.SafeToRetry(err) || pgconn.Timeout(err)
}

// full is for somebody else to mend, and then goes on: it is not our end.
func full(what string, err error) error {
	return fault.New(fault.Unavailable, "%s: the disk is full: %w", what, err)
}

func orphan(what string) error {
	return fault.New(fault.NotFound, "%s: what it belongs to is not there", what)
}

func damaged(what string, err error) error {
	return fault.New(fault.Internal, "%s: is damaged or is no database; restore it from a backup: %w", what, err)
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
