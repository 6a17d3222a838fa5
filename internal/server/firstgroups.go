package server

import (
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// firstGroups are the computer groups that each installation has, numbered from
// 1. Nobody changes them.
var firstGroups = []struct{ name, text string }{
	{"All Computers", ""},
	{"No Computers", " any Computer Name not matches .*"},
}

// seedGroups makes what is missing of the first computer groups, and the action
// group to which everything may be sent.
func seedGroups(c *shelf.Change) error {
	for i, g := range firstGroups {
		id := int64(i + 1)
		if c.ByID("group", id) != nil {
			continue
		}
		o := object.New(object.ShapeOf("group"))
		o.Set("name", g.name)
		o.Set("text", g.text)
		o.Set("and_flag", true)
		o.Set("filter_flag", true)
		o.Set("management_rights_flag", true)
		o.Set("content_set", object.Ref{ID: 1})
		if _, err := c.Create("group", id, o); err != nil {
			return err
		}
	}
	if len(c.All("action_group")) > 0 {
		return nil
	}
	o := object.New(object.ShapeOf("action_group"))
	o.Set("name", "All Computers")
	o.Set("groups", []any{object.Ref{ID: 1}})
	o.Set("and_flag", true)
	o.Set("public_flag", true)
	_, err := c.Create("action_group", 0, o)
	return err
}
