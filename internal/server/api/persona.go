package api

import (
	"context"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// peopleFaces show what joins people: user groups and personas.
func (s *server) peopleFaces() []*face {
	return []*face{
		s.userFace(),
		{
			path: "user_groups", kind: "user_group", verbs: canAll, read: rights.ReadUserGroup, write: rights.WriteUserGroup,
			prepare: prepareGroupOfPeople("UserGroupNameRequired"), remove: stripped,
		},
		{
			path: "personas", kind: "persona", verbs: canAll &^ canName, read: rights.ReadPersona, write: rights.WritePersona,
			prepare: prepareGroupOfPeople("PersonaNameRequired"), remove: stripped,
		},
	}
}

// prepareGroupOfPeople checks a user group or a persona.
func prepareGroupOfPeople(nameless string) func(context.Context, call, *shelf.Change, *shelf.Record, *object.Object) error {
	return func(_ context.Context, _ call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
		if o.Text("name") == "" {
			return fault.New(fault.Invalid, "%s: a name is needed", nameless)
		}
		g, err := ch.Find("group", o.Ref("group"))
		if err != nil {
			return object.In("group", err)
		}
		if was == nil || was.Object.Ref("group").ID != g.ID {
			return checkMachines(ch, "group", g.ID)
		}
		return nil
	}
}

// stripped takes what is about to be deleted out of all lists of people.
func stripped(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	return people.Strip(ch, r.Kind.Name, r.ID)
}
