package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/endpoint"
)

// findingsMax bounds the findings that are kept, of all questions: about ten
// megabytes. The oldest go.
const findingsMax = 10_000

// A Finding is a sign that answers to a question were tampered with on their
// way. Of one kind there is one for a question and LAN.
type Finding struct {
	Question uint64 // as those know it who asked
	Kind     string // docs/trust.md says what there is
	LAN      netip.Prefix
	Clients  []Machine // whose answers are concerned, as far as that is known
	// Suspects have passed these answers on, or are the last who have: the
	// clients in front, nearest first, and leaders.
	Suspects    []Machine
	First, Last time.Time
	Times       int
	Because     string // an example; may be empty
}

// A Machine is a client, by the names that it had then.
type Machine struct {
	Client     endpoint.ID `json:"client"`
	ComputerID uint32      `json:"computer_id"`
	Name       string      `json:"name"` // computer name
}

func (m Machine) String() string { return fmt.Sprintf("%s (%v)", m.Name, m.Client) }

// KeepFindings writes findings down, each in the place of what was known of it
// before.
func (s *Store) KeepFindings(ctx context.Context, list []Finding) error {
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		for _, f := range list {
			if err := f.keep(ctx, tx.Tx); err != nil {
				return err
			}
		}
		_, err := tx.Tx.ExecContext(ctx, "DELETE FROM findings WHERE id <= (SELECT id FROM findings ORDER BY id DESC LIMIT 1 OFFSET $1)", findingsMax)
		return err
	})
	if err != nil {
		return failed(err, "%d findings", len(list))
	}
	return nil
}

func (f Finding) keep(ctx context.Context, tx execer) error {
	clients, err := json.Marshal(f.Clients)
	if err != nil {
		return err
	}
	suspects, err := json.Marshal(f.Suspects)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO findings (question_id, kind, lan, first, last, times, clients, suspects, because)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (question_id, kind, lan) DO UPDATE SET
		last = excluded.last, times = excluded.times, clients = excluded.clients, suspects = excluded.suspects`,
		int64(f.Question), f.Kind, f.LAN.String(), micros(f.First), micros(f.Last), f.Times, clients, suspects, legible(f.Because))
	return err
}

// Findings returns a page of what was found, newest first, and how much there is
// in all: about one question, or about any if that is 0.
func (s *Store) Findings(ctx context.Context, question uint64, offset, limit int) (list []Finding, total int, err error) {
	const of = " FROM findings WHERE CAST($1 AS BIGINT) IN (0, question_id)"
	if total, err = single[int](ctx, s.read.DB, "SELECT count(*)"+of, int64(question)); err != nil {
		return nil, 0, failed(err, "findings")
	}
	list, err = collect(ctx, s.read.DB, finding, "SELECT question_id, kind, lan, first, last, times, clients, suspects, because"+of+
		" ORDER BY id DESC LIMIT $2 OFFSET $3", int64(question), limit, offset)
	if err != nil {
		return nil, 0, failed(err, "findings")
	}
	return list, total, nil
}

func finding(rows *sql.Rows) (f Finding, err error) {
	var question, first, last int64
	var lan string
	var clients, suspects []byte
	if err := rows.Scan(&question, &f.Kind, &lan, &first, &last, &f.Times, &clients, &suspects, &f.Because); err != nil {
		return f, err
	}
	f.Question, f.First, f.Last = uint64(question), when(first), when(last)
	if f.LAN, err = netip.ParsePrefix(lan); err != nil {
		return f, err
	}
	if err := json.Unmarshal(clients, &f.Clients); err != nil {
		return f, err
	}
	return f, json.Unmarshal(suspects, &f.Suspects)
}
