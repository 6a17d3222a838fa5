package people

import (
	"slices"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// The roles that each installation has. Nobody can change them.
const (
	Administrator        = "Administrator"
	ContentAdministrator = "Content Administrator"
	Operator             = "Operator"
	ReadOnly             = "Read Only"
	Security             = "Security"
)

// Roles are those that each installation has, and what they are for.
var Roles = []struct{ Name, Description string }{
	{Administrator, "Everything, now and in later versions. Denials do not count."},
	{ContentAdministrator, "Makes and changes sensors, packages, saved questions, dashboards and groups in all content sets, imports and exports them, and asks questions."},
	{Operator, "Asks questions, reads content and deploys actions."},
	{ReadOnly, "Reads everything but keys, and changes nothing; for auditors. Asks no questions of its own."},
	{Security, "Hunts: asks questions, keeps saved questions, deploys actions, and reads the audit and what was found of tampering."},
}

// Privileges are those of a role that each installation has, in all content
// sets.
func Privileges(role string) []rights.Privilege {
	var (
		readContent  = []rights.Privilege{rights.ReadSensor, rights.ReadPackage, rights.ReadSavedQuestion, rights.ReadFilterGroup, rights.ReadDashboard, rights.ReadPlugin}
		writeContent = []rights.Privilege{rights.WriteSensor, rights.WritePackage, rights.WriteSavedQuestion, rights.WriteFilterGroup, rights.WriteDashboard, rights.ExecutePlugin}
		ask          = []rights.Privilege{rights.AskDynamicQuestion, rights.ReadQuestionHistory, rights.ReadComputerGroup, rights.ReadSystemStatus}
		act          = []rights.Privilege{rights.ReadAction, rights.WriteAction, rights.ReadActionGroup}
	)
	switch role {
	case Administrator:
		return rights.All()
	case ContentAdministrator:
		return slices.Concat(ask, readContent, writeContent, []rights.Privilege{
			rights.WriteComputerGroup, rights.ReadActionGroup, rights.ReadContentSet, rights.WriteContentSet,
			rights.ReadAllowedURLs, rights.WriteAllowedURLs, rights.ExportContent, rights.ImportContent,
		})
	case Operator:
		return slices.Concat(ask, readContent, act, []rights.Privilege{rights.WriteSavedQuestion, rights.WriteDashboard, rights.ReadContentSet})
	case Security:
		return slices.Concat(ask, readContent, act, []rights.Privilege{
			rights.WriteSavedQuestion, rights.WriteDashboard, rights.ReadContentSet, rights.ReadAudit, rights.ReadSubnets,
		})
	}
	return slices.Concat(readContent, []rights.Privilege{
		rights.ReadQuestionHistory, rights.ReadComputerGroup, rights.ReadSystemStatus, rights.ReadAction, rights.ReadActionGroup,
		rights.ReadUser, rights.ReadUserGroup, rights.ReadPersona, rights.ReadRole, rights.ReadContentSet, rights.ReadToken,
		rights.ReadSettings, rights.ReadServerStatus, rights.ReadSubnets, rights.ReadThrottles, rights.ReadAllowedURLs,
		rights.ReadAudit, rights.ExportContent, rights.ReadConnectors,
	})
}

// contentSets are those that each installation has; the first is that of
// everything that has been given no other.
var contentSets = []string{"Default Content", "Base", "Reserved"}

// Seed makes what is missing: on the first start everything, later what a newer
// version brings. users are those in the database; the first of them
// administers everything if nobody does.
func Seed(c *shelf.Change, users []store.User) error {
	for _, step := range []func(*shelf.Change) error{seedSets, seedPrivileges, seedRoles} {
		if err := step(c); err != nil {
			return err
		}
	}
	slices.SortFunc(users, func(a, b store.User) int { return int(a.ID - b.ID) })
	for _, u := range users {
		if c.ByID("user", u.ID) != nil {
			continue
		}
		o := object.New(object.ShapeOf("user"))
		o.Set("name", u.Name)
		if _, err := c.Create("user", u.ID, o); err != nil {
			return err
		}
	}
	if StateOf(c.All).administrators() > 0 || len(users) == 0 {
		return nil
	}
	first := c.ByID("user", users[0].ID)
	o := first.Object.Clone()
	o.Set("content_set_roles", append(object.ListOf(o.Refs("content_set_roles")), any(object.Ref{ID: reserved(c.All("content_set_role"), Administrator).ID})))
	o.Set("locked_out", nil)
	_, err := c.Update(first, o)
	return err
}

func seedSets(c *shelf.Change) error {
	for i, name := range contentSets {
		if c.ByID("content_set", int64(i+1)) != nil {
			continue
		}
		o := object.New(object.ShapeOf("content_set"))
		o.Set("name", name)
		o.Set("reserved_name", name)
		if _, err := c.Create("content_set", int64(i+1), o); err != nil {
			return err
		}
	}
	return nil
}

func seedPrivileges(c *shelf.Change) error {
	for _, p := range rights.All() {
		if c.ByName("content_set_privilege", p.String()) != nil {
			continue
		}
		o := object.New(object.ShapeOf("content_set_privilege"))
		o.Set("name", p.String())
		o.Set("reserved_name", p.String())
		o.Set("explicit_only_flag", !p.InSet())
		if _, err := c.Create("content_set_privilege", 0, o); err != nil {
			return err
		}
	}
	return nil
}

func seedRoles(c *shelf.Change) error {
	for _, role := range Roles {
		o := object.New(object.ShapeOf("content_set_role"))
		o.Set("name", role.Name)
		o.Set("reserved_name", role.Name)
		o.Set("category", "reserved")
		o.Set("description", role.Description)
		o.Set("all_content_sets_flag", true)
		var list []any
		for _, p := range Privileges(role.Name) {
			one := object.New(object.ShapeOf("content_set_role_privilege_on_role"))
			one.Set("content_set_privilege", object.Ref{ID: c.ByName("content_set_privilege", p.String()).ID})
			list = append(list, one)
		}
		o.Set("content_set_role_privileges", list)
		if err := seedRole(c, reserved(c.All("content_set_role"), role.Name), o); err != nil {
			return err
		}
	}
	return nil
}

// seedRole makes a role, or gives one that there is what a newer version brings.
func seedRole(c *shelf.Change, is *shelf.Record, o *object.Object) (err error) {
	switch {
	case is == nil:
		_, err = c.Create("content_set_role", 0, o)
	case len(object.Diff(is.Object, o, nil)) > 0:
		_, err = c.Update(is, o)
	}
	return err
}

// reserved finds a role that each installation has, or nil.
func reserved(roles []*shelf.Record, name string) *shelf.Record {
	for _, r := range roles {
		if r.Object.Text("reserved_name") == name {
			return r
		}
	}
	return nil
}
