package api

import (
	"context"
	"fmt"
	"strings"

	"catenary/internal/boundary"
	"catenary/internal/server/store"
)

// auditBoundaries is the kind of entries about the rule for what no subnet says
// anything of.
const auditBoundaries = "boundary"

// auditKind is the kind of entries about subnets of a kind.
func (k subnetKind) auditKind() string { return strings.TrimSuffix(subnetNouns[k.kind].path, "s") }

// note writes down what was done to a subnet: subnets are on no shelf.
func (k subnetKind) note(ctx context.Context, c call, deed string, is, was store.Subnet) error {
	var said []string
	for _, f := range []struct{ field, was, is string }{
		{"cidr_string", networksText(was.Networks), networksText(is.Networks)}, {"name", was.Name, is.Name},
		{"comment", was.Comment, is.Comment}, {"neighborhood", was.Neighborhood, is.Neighborhood},
	} {
		switch {
		case f.was == f.is:
		case f.was == "":
			said = append(said, f.field+": "+f.is)
		default:
			said = append(said, f.field+": "+f.was+" → "+f.is)
		}
	}
	name := is.Name
	if name == "" {
		name = networksText(is.Networks)
	}
	return k.auditOf(ctx, c, store.AuditEntry{Type: deed, Kind: k.auditKind(), ObjectID: is.ID, ObjectName: shorten(name), Details: strings.Join(said, "; ")})
}

// noteFile writes down that a file has taken the place of all subnets of a kind.
func (k subnetKind) noteFile(ctx context.Context, c call, done replacement) error {
	return k.auditOf(ctx, c, store.AuditEntry{
		Type: "update", Kind: k.auditKind(),
		Details: fmt.Sprintf("by a file: %d added, %d changed, %d removed, %d as they were", done.Added, done.Changed, done.Removed, done.Kept),
	})
}

func (s *server) noteMask(ctx context.Context, c call, was, is boundary.Mask) error {
	return s.auditOf(ctx, c, store.AuditEntry{Type: "update", Kind: auditBoundaries, Details: fmt.Sprintf("%+v → %+v", toMask(was), toMask(is))})
}

// auditOf writes down what the caller has done, though he may have hung up.
func (s *server) auditOf(ctx context.Context, c call, e store.AuditEntry) error {
	return s.store.Audit(context.WithoutCancel(ctx), s.entry(c, e))
}
