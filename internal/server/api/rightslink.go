package api

import (
	"context"
	"slices"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// Programs see who has which role, and what a role grants, as lists of objects
// of their own. They are views: the truth is in the users, user groups and
// roles. The number of such an object says what it joins, and leaves bits enough
// for a million of each.
const (
	holderShift    = 20 // a holder, then a role
	roleShift      = 30 // a role, then a content set, then a privilege
	setShift       = 10
	linkMax        = 1 << 20
	privilegeMax   = 1 << 10
	rolesField     = "content_set_roles"
	roleField      = "content_set_role"
	grantsField    = "content_set_role_privileges"
	privilegeField = "content_set_privilege"
	setField       = "content_set"
)

// linkFaces show who has which role, and what roles grant.
func (s *server) linkFaces() []*face {
	return []*face{
		s.membershipFace("content_set_role_memberships", "content_set_role_membership", "user"),
		s.membershipFace("content_set_user_group_role_memberships", "content_set_user_group_role_membership", "user_group"),
		{
			path: "content_set_role_privileges", kind: "content_set_role_privilege", verbs: canAll &^ canName, read: rights.ReadRole, write: rights.WriteRole,
			kept: keeping{all: s.grantLinks, create: s.createGrant, update: s.updateGrant, remove: s.removeGrant},
		},
	}
}

// membershipFace shows the roles of users, or of user groups.
func (s *server) membershipFace(path, kind, holder string) *face {
	m := membership{s: s, kind: kind, holder: holder}
	return &face{
		path: path, kind: kind, verbs: canAll &^ canName, read: rights.ReadRole, write: rights.WriteRole,
		kept: keeping{all: m.all, create: m.create, update: m.update, remove: m.remove},
	}
}

// A membership is how roles are given to holders: users or user groups.
type membership struct {
	s            *server
	kind, holder string
}

func (m membership) record(h *shelf.Record, role int64) *shelf.Record {
	o := object.New(object.ShapeOf(m.kind))
	o.Set(m.holder, object.Ref{ID: h.ID})
	o.Set(roleField, object.Ref{ID: role})
	r := &shelf.Record{Header: h.Header, Kind: m.s.shelves.Kind(m.kind), Object: o}
	r.ID = h.ID<<holderShift | role
	return r
}

func (m membership) all(of func(kind string) []*shelf.Record) (out []*shelf.Record) {
	for _, h := range of(m.holder) {
		for _, role := range h.Object.Refs(rolesField) {
			if h.ID < linkMax && role.ID < linkMax {
				out = append(out, m.record(h, role.ID))
			}
		}
	}
	return out
}

func (m membership) create(_ context.Context, _ call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	h, role, err := m.ends(ch, o)
	if err != nil {
		return nil, err
	}
	list := h.Object.Refs(rolesField)
	if slices.ContainsFunc(list, func(r object.Ref) bool { return r.ID == role }) {
		return m.record(h, role), nil // he has it
	}
	h, err = setRefs(ch, h, append(list, object.Ref{ID: role}))
	if err != nil {
		return nil, err
	}
	return m.record(h, role), nil
}

// ends finds the holder and the role that a membership joins.
func (m membership) ends(ch *shelf.Change, o *object.Object) (*shelf.Record, int64, error) {
	ref, err := ch.Find(m.holder, o.Ref(m.holder))
	if err != nil || ref.ID == 0 {
		return nil, 0, m.s.shelves.Kind(m.holder).Missing()
	}
	role, err := ch.Find("content_set_role", o.Ref(roleField))
	if err != nil || role.ID == 0 {
		return nil, 0, m.s.shelves.Kind("content_set_role").Missing()
	}
	return ch.ByID(m.holder, ref.ID), role.ID, nil
}

func setRefs(ch *shelf.Change, h *shelf.Record, list []object.Ref) (*shelf.Record, error) {
	o := h.Object.Clone()
	o.Set(rolesField, object.ListOf(list))
	return ch.Update(h, o)
}

func (m membership) update(ctx context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error) {
	if err := m.remove(ctx, c, ch, was); err != nil {
		return nil, err
	}
	return m.create(ctx, c, ch, o)
}

func (m membership) remove(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	h := ch.ByID(m.holder, r.Object.Ref(m.holder).ID)
	if h == nil {
		return r.Kind.Missing()
	}
	list := slices.DeleteFunc(h.Object.Refs(rolesField), func(ref object.Ref) bool { return ref.ID == r.Object.Ref(roleField).ID })
	_, err := setRefs(ch, h, list)
	return err
}

// grantLinks are the privileges of all roles.
func (s *server) grantLinks(of func(kind string) []*shelf.Record) (out []*shelf.Record) {
	for _, role := range of("content_set_role") {
		for _, one := range role.Object.Objects(grantsField) {
			out = append(out, s.grantLink(role, one.Ref(setField).ID, one.Ref(privilegeField).ID))
		}
	}
	return slices.DeleteFunc(out, func(r *shelf.Record) bool { return r == nil })
}

// grantLink is one privilege of a role; nil if the number would not hold it.
func (s *server) grantLink(role *shelf.Record, set, privilege int64) *shelf.Record {
	if role.ID >= linkMax || set >= linkMax || privilege >= privilegeMax {
		return nil
	}
	o := object.New(object.ShapeOf("content_set_role_privilege"))
	o.Set(setField, object.Ref{ID: set})
	o.Set(privilegeField, object.Ref{ID: privilege})
	o.Set(roleField, object.Ref{ID: role.ID})
	r := &shelf.Record{Header: role.Header, Kind: s.shelves.Kind("content_set_role_privilege"), Object: o}
	r.ID = role.ID<<roleShift | set<<setShift | privilege
	return r
}

func (s *server) createGrant(ctx context.Context, c call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	ref, err := ch.Find("content_set_role", o.Ref(roleField))
	if err != nil || ref.ID == 0 {
		return nil, s.shelves.Kind("content_set_role").Missing()
	}
	role := ch.ByID("content_set_role", ref.ID)
	one := object.New(object.ShapeOf("content_set_role_privilege_on_role"))
	one.Set(setField, o.Ref(setField))
	one.Set(privilegeField, o.Ref(privilegeField))
	role, err = s.setGrants(ctx, c, ch, role, append(role.Object.Objects(grantsField), one))
	if err != nil {
		return nil, err
	}
	p, err := ch.Find("content_set_privilege", o.Ref(privilegeField))
	if err != nil {
		return nil, err
	}
	for _, one := range role.Object.Objects(grantsField) { // settled, and perhaps there before
		if set := one.Ref(setField).ID; one.Ref(privilegeField) == p && (set == 0 || o.Ref(setField).ID == 0 || set == o.Ref(setField).ID) {
			if r := s.grantLink(role, set, p.ID); r != nil {
				return r, nil
			}
		}
	}
	return nil, fault.New(fault.Invalid, "the role cannot hold that privilege")
}

// setGrants gives a role other privileges, as a change of the role would.
func (s *server) setGrants(ctx context.Context, c call, ch *shelf.Change, role *shelf.Record, list []*object.Object) (*shelf.Record, error) {
	o := role.Object.Clone()
	o.Set(grantsField, object.ListOf(list))
	if err := prepareRole(ctx, c, ch, role, o); err != nil {
		return nil, err
	}
	return ch.Update(role, o)
}

func (s *server) updateGrant(ctx context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error) {
	if err := s.removeGrant(ctx, c, ch, was); err != nil {
		return nil, err
	}
	return s.createGrant(ctx, c, ch, o)
}

func (s *server) removeGrant(ctx context.Context, c call, ch *shelf.Change, r *shelf.Record) error {
	role := ch.ByID("content_set_role", r.Object.Ref(roleField).ID)
	if role == nil {
		return r.Kind.Missing()
	}
	list := slices.DeleteFunc(role.Object.Objects(grantsField), func(one *object.Object) bool {
		return one.Ref(setField) == r.Object.Ref(setField) && one.Ref(privilegeField) == r.Object.Ref(privilegeField)
	})
	_, err := s.setGrants(ctx, c, ch, role, list)
	return err
}
