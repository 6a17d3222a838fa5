package api

import "catenary/internal/server/rights"

const (
	// objectMax is the size in bytes of an object in a request: a dashboard with
	// pictures, a group of 100,000 machines.
	objectMax = 16 << 20
	// defaultSet is the content set of what has been given no other.
	defaultSet = 1
)

// faces are the objects that are kept on shelves, as programs see them. Which
// list has cache info and which answer only says the number is theirs to expect
// (docs/api.md).
func (s *server) faces() []*face {
	const sets = "content_set"
	return []*face{
		{path: "content_sets", kind: "content_set", verbs: canAll, read: rights.ReadContentSet, write: rights.WriteContentSet},
		{path: "content_set_privileges", kind: "content_set_privilege", verbs: canAll &^ canChange, read: rights.ReadRole, write: rights.WriteRole},
		{path: "content_set_roles", kind: "content_set_role", verbs: canAll, read: rights.ReadRole, write: rights.WriteRole},
		{path: "content_set_role_memberships", kind: "content_set_role_membership", verbs: canAll &^ canName, read: rights.ReadRole, write: rights.WriteRole},
		{path: "content_set_user_group_role_memberships", kind: "content_set_user_group_role_membership", verbs: canAll &^ canName, read: rights.ReadRole, write: rights.WriteRole},
		{path: "user_groups", kind: "user_group", verbs: canAll, read: rights.ReadUserGroup, write: rights.WriteUserGroup},
		{path: "personas", kind: "persona", verbs: canAll &^ canName, read: rights.ReadPersona, write: rights.WritePersona},

		{path: "packages", aliases: []string{"package_specs"}, kind: "package_spec", verbs: canAll | listHasInfo, read: rights.ReadPackage, write: rights.WritePackage, set: sets},
		{path: "dashboards", kind: "dashboard", verbs: canAll&^canName | listHasInfo, read: rights.ReadDashboard, write: rights.WriteDashboard, set: sets},
		{path: "dashboard_groups", kind: "dashboard_group", verbs: canAll&^canName | listHasInfo, read: rights.ReadDashboard, write: rights.WriteDashboard, set: sets},

		{path: "white_listed_urls", kind: "white_listed_url", verbs: canAll &^ canName, read: rights.ReadAllowedURLs, write: rights.WriteAllowedURLs},
		{path: "server_throttles", kind: "server_throttle", verbs: canAll &^ canName, read: rights.ReadThrottles, write: rights.WriteThrottles},
		{path: "site_throttles", kind: "site_throttle", verbs: canAll &^ canName, read: rights.ReadThrottles, write: rights.WriteThrottles},
		{path: "plugin_schedules", kind: "plugin_schedule", verbs: canAll, read: rights.ReadPlugin, write: rights.ExecutePlugin},
	}
}

// objectRoutes are the routes of all faces.
func (s *server) objectRoutes() (out []route) {
	for _, f := range s.faces() {
		out = append(out, f.routes(s)...)
	}
	return out
}
