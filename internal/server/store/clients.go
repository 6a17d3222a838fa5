package store

import (
	"context"
	"database/sql"
	"net/netip"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
)

// A Client is an enrolled machine.
type Client struct {
	ID         endpoint.ID
	ComputerID uint32
	Name       string // computer name at the last registration
	Key        Hash   // of the public key in SPKI form
	Enrolled   time.Time
	Registered time.Time // zero: never since enrolment
	// Incarnation and Sequence are the newest that the client has shown.
	Incarnation, Sequence uint64
	LAN                   netip.Prefix // at the last registration; the zero Prefix: unknown
	Slot                  answer.Slot  // in it
}

type clientRow struct {
	bun.BaseModel `bun:"table:clients"`

	ID          []byte `bun:",pk"`
	ComputerID  uint32
	Name        string
	Key         []byte
	Enrolled    int64
	Registered  int64
	Incarnation int64
	Sequence    int64
	LAN         string
	Slot        int
}

func (r clientRow) client() Client {
	c := Client{
		ComputerID: r.ComputerID, Name: r.Name, Key: hash(r.Key), Enrolled: when(r.Enrolled), Registered: when(r.Registered),
		Incarnation: uint64(r.Incarnation), Sequence: uint64(r.Sequence),
	}
	copy(c.ID[:], r.ID)
	if lan, err := netip.ParsePrefix(r.LAN); err == nil { // else it has never been written down
		c.LAN, c.Slot = lan, answer.Slot(r.Slot)
	}
	return c
}

// ClientByID finds a machine by its ID.
func (s *Store) ClientByID(ctx context.Context, id endpoint.ID) (Client, error) {
	var r clientRow
	if err := s.read.NewSelect().Model(&r).Where("id = ?", id[:]).Scan(ctx); err != nil {
		return Client{}, failed(err, "client %v", id)
	}
	return r.client(), nil
}

// Clients returns every enrolled machine, in the order of their IDs.
func (s *Store) Clients(ctx context.Context) ([]Client, error) {
	var rows []clientRow
	if err := s.read.NewSelect().Model(&rows).Order("id").Scan(ctx); err != nil {
		return nil, failed(err, "clients")
	}
	return each(rows, clientRow.client), nil
}

// A Touch is what a registration changes in a client's record.
type Touch struct {
	ID                    endpoint.ID
	Name                  string
	Registered            time.Time
	Incarnation, Sequence uint64
	LAN                   netip.Prefix
	Slot                  answer.Slot
}

// TouchClients notes registrations, all or none. One that is older than what
// the record has, or of a client that is gone, changes nothing.
func (s *Store) TouchClients(ctx context.Context, touches []Touch) error {
	touch := touchEach
	if s.engine == postgres {
		touch = touchTogether
	}
	err := s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error { return touch(ctx, tx.Tx, touches) })
	if err != nil {
		return failed(err, "registrations")
	}
	return nil
}

// touchEach suits SQLite, where a statement costs nobody a way.
func touchEach(ctx context.Context, tx *sql.Tx, touches []Touch) error {
	st, err := tx.PrepareContext(ctx, `UPDATE clients SET name = $1, registered = $2, incarnation = $3, sequence = $4, lan = $5, slot = $6
		WHERE id = $7 AND registered <= $2`)
	if err != nil {
		return err
	}
	for _, t := range touches {
		if _, err := st.ExecContext(ctx, legible(t.Name), micros(t.Registered), int64(t.Incarnation), int64(t.Sequence), lanText(t.LAN), int64(t.Slot), t.ID[:]); err != nil {
			return err
		}
	}
	return st.Close()
}

// touchTogether gives PostgreSQL everything in one statement. Of several
// registrations of a client only the newest goes there: which of them it would
// take is not said.
func touchTogether(ctx context.Context, tx *sql.Tx, touches []Touch) error {
	newest := make(map[endpoint.ID]Touch, len(touches))
	for _, t := range touches {
		if was, ok := newest[t.ID]; !ok || !t.Registered.Before(was.Registered) {
			newest[t.ID] = t
		}
	}
	var ids [][]byte
	var names, lans []string
	var registered, incarnations, sequences, slots []int64
	for _, t := range newest {
		ids = append(ids, t.ID[:])
		names, lans = append(names, legible(t.Name)), append(lans, lanText(t.LAN))
		registered, slots = append(registered, micros(t.Registered)), append(slots, int64(t.Slot))
		incarnations, sequences = append(incarnations, int64(t.Incarnation)), append(sequences, int64(t.Sequence))
	}
	_, err := tx.ExecContext(ctx, `UPDATE clients AS c
		SET name = t.name, registered = t.registered, incarnation = t.incarnation, sequence = t.sequence, lan = t.lan, slot = t.slot
		FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::bigint[])
			AS t (id, name, registered, incarnation, sequence, lan, slot)
		WHERE c.id = t.id AND c.registered <= t.registered`,
		ids, names, registered, incarnations, sequences, lans, slots)
	return err
}

func lanText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
