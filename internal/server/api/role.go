package api

import (
	"context"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// reservedRole is the error about a role that nobody changes.
func reservedRole(r *shelf.Record) error {
	return fault.New(fault.Invalid, "CouldNotAddUpdateDeleteReservedContentSetRole: the role %q is the same in each installation and cannot be changed", r.Name)
}

// roleFaces show content sets, privileges and roles.
func (s *server) roleFaces() []*face {
	return []*face{
		{
			path: "content_sets", kind: "content_set", verbs: canAll, read: rights.ReadContentSet, write: rights.WriteContentSet,
			prepare: reservedName, remove: s.removeSet,
		},
		{
			path: "content_set_privileges", kind: "content_set_privilege", verbs: canAll, read: rights.ReadRole, write: rights.WriteRole,
			prepare: reservedName, remove: s.removePrivilege,
		},
		{
			path: "content_set_roles", kind: "content_set_role", verbs: canAll, read: rights.ReadRole, write: rights.WriteRole,
			prepare: prepareRole, remove: s.removeRole,
		},
	}
}

// reservedName keeps what each installation has as it is, and everybody from
// claiming that name for something else.
func reservedName(_ context.Context, _ call, _ *shelf.Change, was *shelf.Record, o *object.Object) error {
	if was != nil && was.Object.Text("reserved_name") != "" {
		return fault.New(fault.Invalid, "the %s %q is the same in each installation and cannot be changed", was.Kind.What, was.Name)
	}
	o.Set("reserved_name", nil)
	return nil
}

// removeSet keeps content sets in which there is something.
func (s *server) removeSet(ctx context.Context, c call, ch *shelf.Change, r *shelf.Record) error {
	if err := reservedName(ctx, c, ch, r, object.New(r.Object.Shape())); err != nil {
		return err
	}
	return s.refuseUsed(ch, "ContentSet", "content_set", r)
}

func (s *server) removePrivilege(ctx context.Context, c call, ch *shelf.Change, r *shelf.Record) error {
	if err := reservedName(ctx, c, ch, r, object.New(r.Object.Shape())); err != nil {
		return err
	}
	return s.refuseUsed(ch, "ContentSetPrivilege", "content_set_privilege", r)
}

// prepareRole checks that a role says of each privilege where it counts.
func prepareRole(_ context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	if was != nil && was.Object.Text("reserved_name") != "" {
		return reservedRole(was)
	}
	o.Set("reserved_name", nil)
	if o.Text("category") == "reserved" {
		o.Set("category", nil)
	}
	type grant struct{ set, privilege int64 }
	seen := map[grant]bool{}
	var list []*object.Object
	for i, one := range o.Objects("content_set_role_privileges") {
		p, err := ch.Find("content_set_privilege", one.Ref("content_set_privilege"))
		if err != nil {
			return object.Bad("content_set_role_privileges", "in element %d: %v", i, err)
		}
		if p.ID == 0 {
			return object.Bad("content_set_role_privileges", "element %d names no content_set_privilege", i)
		}
		set, err := ch.Find("content_set", one.Ref("content_set"))
		if err != nil {
			return object.Bad("content_set_role_privileges", "in element %d: %v", i, err)
		}
		known, ok := rights.Parse(ch.ByID("content_set_privilege", p.ID).Name)
		switch {
		case ok && !known.InSet() || o.Is("all_content_sets_flag"):
			set = object.Ref{} // it counts for the whole installation
		case ok && set.ID == 0:
			return object.Bad("content_set_role_privileges", "element %d: the privilege %q is held within a content set: name one, or set all_content_sets_flag", i, known)
		}
		if g := (grant{set.ID, p.ID}); !seen[g] {
			seen[g] = true
			one = one.Clone()
			one.Set("content_set", set)
			one.Set("content_set_privilege", p)
			list = append(list, one)
		}
	}
	o.Set("content_set_role_privileges", object.ListOf(list))
	return nil
}

// removeRole takes a role from everybody who has it.
func (s *server) removeRole(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	if r.Object.Text("reserved_name") != "" {
		return reservedRole(r)
	}
	return people.Strip(ch, r.Kind.Name, r.ID)
}
