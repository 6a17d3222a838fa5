package people

import (
	"context"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// CreateUser makes a user within a change: one who may log in with the password
// of that hash, or with none if it is empty. o says the rest, and the name.
func CreateUser(ctx context.Context, c *shelf.Change, o *object.Object, hash string) (*shelf.Record, error) {
	u, err := c.Tx().CreateUser(ctx, store.User{Name: o.Text("name"), Password: hash, Created: c.Now()})
	if err != nil {
		return nil, err
	}
	return c.Create("user", u.ID, o)
}

// UpdateUser puts o in the place of what a user's record holds, within a
// change.
func UpdateUser(ctx context.Context, c *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error) {
	is, err := c.Update(was, o)
	if err != nil || is.Name == was.Name {
		return is, err
	}
	return is, c.Tx().RenameUser(ctx, is.ID, is.Name)
}

// DeleteUser takes a user away within a change, with his tokens, and out of
// everything that lists him.
func DeleteUser(ctx context.Context, c *shelf.Change, r *shelf.Record) error {
	if err := Strip(c, "user", r.ID); err != nil {
		return err
	}
	if err := c.Tx().DeleteUser(ctx, r.ID); err != nil {
		return err
	}
	return c.Delete(r)
}

// First makes the first user, who administers everything.
func First(ctx context.Context, s *shelf.Shelves, name, hash string) error {
	return s.Change(ctx, shelf.Author{UserName: "Catenary"}, func(c *shelf.Change) error {
		o := object.New(object.ShapeOf("user"))
		o.Set("name", name)
		o.Set("content_set_roles", object.ListOf([]object.Ref{{ID: reserved(c.All("content_set_role"), Administrator).ID}}))
		_, err := CreateUser(ctx, c, o, hash)
		return err
	})
}

// lists are where people's objects list each other: by the kind that is listed.
var lists = map[string][]struct{ kind, field string }{
	"user":             {{"user_group", "user_list"}, {"persona", "user_list"}},
	"user_group":       {{"persona", "user_group_list"}},
	"content_set_role": {{"user", "content_set_roles"}, {"user_group", "content_set_roles"}, {"persona", "content_set_role_list"}},
}

// Strip takes an object that is about to be deleted out of all lists of people.
func Strip(c *shelf.Change, kind string, id int64) error {
	for _, in := range lists[kind] {
		for _, r := range c.All(in.kind) {
			refs := r.Object.Refs(in.field)
			var rest []object.Ref
			for _, ref := range refs {
				if ref.ID != id {
					rest = append(rest, ref)
				}
			}
			if len(rest) == len(refs) {
				continue
			}
			o := r.Object.Clone()
			o.Set(in.field, object.ListOf(rest))
			if _, err := c.Update(r, o); err != nil {
				return err
			}
		}
	}
	return nil
}
