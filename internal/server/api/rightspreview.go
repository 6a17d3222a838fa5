package api

import (
	"context"
	"encoding/json"
	"slices"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// A preview asks what roles would allow together. A role is meant by its number
// or name, or is spelled out.
type preview struct {
	Roles []json.RawMessage `json:"content_set_roles"`
}

// previewed reads the roles of a preview. One that denies grants nothing, and
// asking what it would grant is a mistake.
func (s *server) previewed(in preview) (out []rights.Role, names []nameRef, err error) {
	state := s.people.State()
	none := func() error {
		return fault.New(fault.NotFound, "RoleNotFoundOrRoleIsADenyRole: there is no such role, or it denies")
	}
	for _, raw := range in.Roles {
		o, err := object.ShapeOf("content_set_role").Decode(raw, object.Lenient)
		if err != nil {
			return nil, nil, err
		}
		var ref struct {
			ID number `json:"id"`
		}
		if err := decode(raw, &ref); err != nil {
			return nil, nil, err
		}
		name := nameRef{int64(ref.ID), o.Text("name")}
		if !o.Has(grantsField) {
			r := s.role(name)
			if r == nil {
				return nil, nil, none()
			}
			o, name = r.Object, nameRef{r.ID, r.Name}
		} else if err := s.settlePrivileges(o); err != nil {
			return nil, nil, err
		}
		role := state.Grants(o)
		if role.Deny {
			return nil, nil, none()
		}
		out, names = append(out, role), append(names, name)
	}
	return out, names, nil
}

func (s *server) role(ref nameRef) *shelf.Record {
	if ref.ID != 0 {
		return s.shelves.ByID("content_set_role", ref.ID)
	}
	return s.shelves.ByName("content_set_role", ref.Name)
}

// settlePrivileges finds the privileges and content sets that a role spells out.
func (s *server) settlePrivileges(o *object.Object) error {
	list := o.Objects(grantsField)
	for i, one := range list {
		p, err := s.shelves.Find(privilegeField, one.Ref(privilegeField))
		if err != nil {
			return fault.New(fault.NotFound, "PrivilegeNotFound: %w", err)
		}
		set, err := s.shelves.Find(setField, one.Ref(setField))
		if err != nil {
			return err
		}
		list[i] = one.Clone()
		list[i].Set(privilegeField, p)
		list[i].Set(setField, set)
	}
	o.Set(grantsField, object.ListOf(list))
	return nil
}

func (s *server) previewRoles(_ context.Context, _ call, in preview) ([]effectivePrivilege, error) {
	roles, _, err := s.previewed(in)
	return s.effectivePrivileges(rights.Of(roles, nil)), err
}

// A previewedPrivilege is a privilege with the roles that grant it.
type previewedPrivilege struct {
	Set       nameRef   `json:"content_set"`
	Privilege nameRef   `json:"content_set_privilege"`
	Roles     []nameRef `json:"content_set_roles"`
}

func (s *server) previewRolesDetailed(_ context.Context, _ call, in preview) ([]previewedPrivilege, error) {
	roles, names, err := s.previewed(in)
	if err != nil {
		return nil, err
	}
	out := []previewedPrivilege{}
	for _, e := range s.effectivePrivileges(rights.Of(roles, nil)) {
		for _, p := range e.Privileges {
			one := previewedPrivilege{Set: e.Set, Privilege: p}
			known, _ := rights.Parse(p.Name) // it was named by us
			for i, role := range roles {
				if rights.Of([]rights.Role{role}, nil).May(known, e.Set.ID) {
					one.Roles = append(one.Roles, names[i])
				}
			}
			out = append(out, one)
		}
	}
	return out, nil
}

// A roleMembers is a role and who has it.
type roleMembers struct {
	ID         int64     `json:"id"`
	Name       string    `json:"name"`
	Users      []nameRef `json:"users"`
	UserGroups []nameRef `json:"user_groups"`
	Personas   []nameRef `json:"personas"`
}

func (s *server) members(role *shelf.Record) roleMembers {
	holders := func(kind, field string) []nameRef {
		out := []nameRef{}
		for _, h := range s.shelves.All(kind) {
			if slices.ContainsFunc(h.Object.Refs(field), func(r object.Ref) bool { return r.ID == role.ID }) {
				out = append(out, nameRef{h.ID, h.Name})
			}
		}
		return out
	}
	return roleMembers{
		ID: role.ID, Name: role.Name, Users: holders("user", rolesField), UserGroups: holders("user_group", rolesField),
		Personas: holders("persona", "content_set_role_list"),
	}
}

func (s *server) roleMemberships(_ context.Context, c call) (roleMembers, error) {
	id, err := s.known(c, "content_set_role")
	if err != nil {
		return roleMembers{}, err
	}
	return s.members(s.shelves.ByID("content_set_role", id)), nil
}

type rolesOfAll struct {
	Roles []roleMembers `json:"content_set_roles"`
}

func (s *server) allMemberships(context.Context, call) (rolesOfAll, error) {
	out := rolesOfAll{Roles: []roleMembers{}}
	for _, r := range s.shelves.All("content_set_role") {
		out.Roles = append(out.Roles, s.members(r))
	}
	return out, nil
}
