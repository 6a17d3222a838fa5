// Package fault gives an error its kind: what the one who asked can do about it.
//
// The kind is chosen once, where the cause is known. Exit codes, HTTP statuses
// and retries are each derived from it in one place.
package fault

import (
	"errors"
	"fmt"
)

// A Kind says whose move it is.
type Kind uint8

const (
	Internal    Kind = iota // ours: a bug or a broken disk; every unmarked error
	Invalid                 // theirs: the request can never work
	Stranger                // theirs: we do not know who they are, or no longer
	Denied                  // theirs: known, but not with these rights
	NotFound                // theirs: no such thing
	Conflict                // theirs: not in the present state
	Unavailable             // nobody's: try again later
)

type fault struct {
	kind Kind
	error
}

// New returns an error of the given kind. The text is for the one who asked;
// %w keeps a cause.
func New(k Kind, format string, args ...any) error {
	return fault{k, fmt.Errorf(format, args...)}
}

func (f fault) Unwrap() error { return f.error }

// KindOf returns the kind that was given to err or to an error it wraps.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[fault](err); ok {
		return f.kind
	}
	return Internal
}
