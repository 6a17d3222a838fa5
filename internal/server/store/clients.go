package store

import (
	"context"
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
	err := s.write.RunInTx(ctx, nil, func(ctx context.Context, tx bun.Tx) error {
		st, err := tx.Tx.PrepareContext(ctx, `UPDATE clients SET name = ?, registered = ?, incarnation = ?, sequence = ?, lan = ?, slot = ?
			WHERE id = ? AND registered <= ?`)
		if err != nil {
			return err
		}
		for _, t := range touches {
			at := micros(t.Registered)
			if _, err := st.ExecContext(ctx, t.Name, at, int64(t.Incarnation), int64(t.Sequence), lanText(t.LAN), t.Slot, t.ID[:], at); err != nil {
				return err
			}
		}
		return st.Close()
	})
	if err != nil {
		return failed(err, "registrations")
	}
	return nil
}

func lanText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}
