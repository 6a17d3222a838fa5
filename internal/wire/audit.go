package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"catenary/internal/answer"
	"catenary/internal/field"
)

// Some clients, whom nobody can foretell, say at their next registration what
// they have answered to a merged question, past all peers (docs/trust.md): the
// server compares that with what came along the chain.

const (
	// AuditsMax bounds the questions of one reply, and EvidenceRows the rows that
	// are said of each: a registration with both still fits in a datagram.
	AuditsMax    = 2
	EvidenceRows = 32
)

// An Audit asks what the client has answered: up to [EvidenceRows] of its rows,
// in the order of their hashes from From on, and round.
type Audit struct {
	Question uint64
	From     uint64
}

// Evidence is what the client has answered.
type Evidence struct {
	Question uint64
	// Said: it has given one answer, and just one, and this is it. A client that
	// does not know it any more, or gave two, has nothing to say.
	Said bool
	Rows []answer.Ref // distinct
}

func (a Audit) append(b []byte) []byte {
	return field.AppendFixed(field.AppendUint(b, 1, a.Question), 2, a.From)
}

func (x value) audit(to *[]Audit) error {
	if len(*to) == AuditsMax {
		return fmt.Errorf("more than %d audits", AuditsMax)
	}
	var a Audit
	err := fields(x.B, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&a.Question)
		case 2:
			return f.Fixed(&a.From)
		}
		return nil
	})
	*to = append(*to, a)
	return errors.Join(err, x.Want(2))
}

func (e Evidence) append(b []byte) []byte {
	b = field.AppendUint(b, 1, e.Question)
	b = field.AppendBool(b, 2, e.Said)
	var rows []byte
	for _, r := range e.Rows {
		rows = binary.AppendUvarint(binary.BigEndian.AppendUint64(rows, r.Hash), r.Count)
	}
	return field.AppendBytes(b, 3, rows)
}

func (x value) evidence(to *[]Evidence) error {
	if len(*to) == AuditsMax {
		return fmt.Errorf("evidence of more than %d questions", AuditsMax)
	}
	var e Evidence
	err := fields(x.B, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&e.Question)
		case 2:
			return f.Bool(&e.Said)
		case 3:
			return e.rows(f.B)
		}
		return nil
	})
	*to = append(*to, e)
	return errors.Join(err, x.Want(2))
}

func (e *Evidence) rows(b []byte) error {
	for e.Rows = nil; len(b) > 0; {
		if len(e.Rows) == EvidenceRows || len(b) <= 8 {
			return errors.New("rows of evidence cannot be read")
		}
		count, n := binary.Uvarint(b[8:])
		if n <= 0 || count == 0 {
			return errors.New("rows of evidence cannot be read")
		}
		e.Rows = append(e.Rows, answer.Ref{Hash: binary.BigEndian.Uint64(b), Count: count})
		b = b[8+n:]
	}
	return nil
}
