package store

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun"

	"catenary/internal/boundary"
	"catenary/internal/fault"
)

// A Subnet is what an operator has said of some networks.
type Subnet struct {
	boundary.Subnet
	ID         int64 // 0: not in the database yet
	Created    time.Time
	CreatedBy  int64 // user
	Modified   time.Time
	ModifiedBy int64 // user
}

type subnetRow struct {
	bun.BaseModel `bun:"table:subnets"`

	ID           int64 `bun:",pk,autoincrement"`
	Kind         string
	Networks     string
	Neighborhood string
	Name         string
	Comment      string
	Created      int64
	CreatedBy    int64
	Modified     int64
	ModifiedBy   int64
}

func (s Subnet) row() subnetRow {
	texts := make([]string, len(s.Networks))
	for i, p := range s.Networks {
		texts[i] = p.String()
	}
	return subnetRow{
		ID: s.ID, Kind: s.Kind.String(), Networks: strings.Join(texts, ","), Neighborhood: legible(s.Neighborhood),
		Name: legible(s.Name), Comment: legible(s.Comment),
		Created: micros(s.Created), CreatedBy: s.CreatedBy, Modified: micros(s.Modified), ModifiedBy: s.ModifiedBy,
	}
}

func (r subnetRow) subnet() (Subnet, error) {
	kind, ok := boundary.ParseKind(r.Kind)
	if !ok {
		return Subnet{}, fault.New(fault.Internal, "subnet %d: there is no kind %q", r.ID, r.Kind)
	}
	s := Subnet{
		Subnet: boundary.Subnet{Kind: kind, Neighborhood: r.Neighborhood, Name: r.Name, Comment: r.Comment},
		ID:     r.ID, Created: when(r.Created), CreatedBy: r.CreatedBy, Modified: when(r.Modified), ModifiedBy: r.ModifiedBy,
	}
	for text := range strings.SplitSeq(r.Networks, ",") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return Subnet{}, fault.New(fault.Internal, "subnet %d: %w", r.ID, err)
		}
		s.Networks = append(s.Networks, p)
	}
	return s, nil
}

// Subnets returns all subnets in the order in which they were made.
func (s *Store) Subnets(ctx context.Context) ([]Subnet, error) {
	list, err := readSubnets(ctx, s.read)
	if err != nil {
		return nil, failed(err, "subnets")
	}
	return list, nil
}

func readSubnets(ctx context.Context, db bun.IDB) ([]Subnet, error) {
	var rows []subnetRow
	if err := db.NewSelect().Model(&rows).Order("id").Scan(ctx); err != nil {
		return nil, err
	}
	out := make([]Subnet, 0, len(rows))
	for _, r := range rows {
		n, err := r.subnet()
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

// EditSubnets gives edit all subnets and puts what it returns in their place:
// those without an ID are new, those that it leaves out are deleted. It returns
// the new list with the new IDs, in the order of edit's. An error of edit leaves
// everything as it was.
func (s *Store) EditSubnets(ctx context.Context, edit func([]Subnet) ([]Subnet, error)) (list []Subnet, err error) {
	var refused error // edit's own, which says all there is to say
	err = s.inTx(ctx, func(ctx context.Context, tx bun.Tx) error {
		if err := takeTurn(ctx, tx.Tx, "subnets"); err != nil {
			return err
		}
		before, err := readSubnets(ctx, tx)
		if err != nil {
			return err
		}
		if list, refused = edit(slices.Clone(before)); refused != nil {
			return refused
		}
		list = slices.Clone(list)
		return writeSubnets(ctx, tx, before, list)
	})
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, failed(err, "subnets")
	}
	return list, nil
}

// writeSubnets makes the difference between two lists, and sets the IDs of what
// is new.
func writeSubnets(ctx context.Context, tx bun.Tx, before, list []Subnet) error {
	insert, err := tx.Tx.PrepareContext(ctx, `INSERT INTO subnets
		(kind, networks, neighborhood, name, comment, created, created_by, modified, modified_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING id`)
	if err != nil {
		return err
	}
	known := make(map[int64]subnetRow, len(before))
	for _, n := range before {
		known[n.ID] = n.row()
	}
	for i, n := range list {
		r := n.row()
		old, was := known[n.ID]
		delete(known, n.ID)
		switch {
		case was && r == old:
		case was:
			if err := one(tx.NewUpdate().Model(&r).WherePK().Exec(ctx)); err != nil {
				return err
			}
		default: // an ID that is gone is not given again
			row := insert.QueryRowContext(ctx, r.Kind, r.Networks, r.Neighborhood, r.Name, r.Comment, r.Created, r.CreatedBy, r.Modified, r.ModifiedBy)
			if err := row.Scan(&list[i].ID); err != nil {
				return err
			}
		}
	}
	for id := range known {
		if _, err := tx.NewDelete().Model((*subnetRow)(nil)).Where("id = ?", id).Exec(ctx); err != nil {
			return err
		}
	}
	return insert.Close()
}
