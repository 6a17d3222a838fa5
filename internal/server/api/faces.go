package api

import (
	"slices"

	"catenary/internal/server/rights"
)

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
	return slices.Concat(s.settingFaces(), s.storedFaces(), s.downloadFaces(), s.roleFaces(), s.peopleFaces(), s.linkFaces(), s.signinFaces(), s.actionFaces(), []*face{
		{path: "groups", kind: "group", shape: "plain_group", verbs: canAll | listHasInfo | saysIDOnly, read: rights.ReadComputerGroup, write: rights.WriteComputerGroup,
			says: trackSays, prepare: s.prepareGroup(""), remove: s.removeGroup, derive: deriveGroup, done: s.book.changed},
		{path: "filter_groups", kind: "group", shape: "filter_group", verbs: canAll | listHasInfo | saysIDOnly, read: rights.ReadFilterGroup, write: rights.WriteFilterGroup, set: sets,
			shows: flagged("filter_flag"), prepare: s.prepareGroup("filter_flag"), remove: s.removeGroup, derive: deriveGroup, done: s.book.changed},
		{path: "management_rights_groups", kind: "group", shape: "management_rights_group", verbs: canAll | listHasInfo | saysIDOnly, read: rights.ReadComputerGroup, write: rights.WriteComputerGroup,
			says: trackSays, shows: flagged("management_rights_flag"), prepare: s.prepareGroup("management_rights_flag"), remove: s.removeGroup, derive: deriveGroup, done: s.book.changed},
		{path: "computer_groups", kind: "group", shape: "computer_group", verbs: canAll, read: rights.ReadComputerGroup, write: rights.WriteComputerGroup,
			shows: manual, prepare: s.prepareManualGroup, remove: s.removeGroup, done: s.book.changed},
		{path: "saved_questions", kind: "saved_question", verbs: canAll | listHasInfo | goneSaysID, read: rights.ReadSavedQuestion, write: rights.WriteSavedQuestion, set: sets,
			hides: hidesSaved, own: s.ownSaved, ready: s.readySaved, prepare: s.prepareSaved, remove: s.removeSaved, done: s.savedChanged},

		s.sensorFace(),
		{path: "solutions", kind: "content_source", shape: "solution", verbs: canList | canShow, read: rights.ExportContent, write: rights.ImportContent, derive: s.deriveSolution},
		{path: "content_sources", kind: "content_source", verbs: canList | canShow | canName | canRemove, read: rights.ExportContent, write: rights.ImportContent},

		{path: "packages", aliases: []string{"package_specs"}, kind: "package_spec", verbs: canAll | listHasInfo | goneSaysID, read: rights.ReadPackage, write: rights.WritePackage, set: sets,
			prepare: s.preparePackage, remove: s.removePackage, derive: s.derivePackage, done: s.refetch,
			says: "A file with a source is fetched by the server, from addresses that allowed URLs permit; without a hash it gets that of what the source has, and is looked at again every download_seconds. The exit codes of its command that mean success are one (exit_code) or a range (inclusive_start_exit_code with inclusive_end_exit_code); what was not said of them is not in the answer."},
		{path: "dashboards", kind: "dashboard", verbs: canAll&^canName | listHasInfo, read: rights.ReadDashboard, write: rights.WriteDashboard, set: sets,
			hides: hidesDashboard, prepare: prepareDashboard, remove: s.removeDashboard},
		{path: "dashboard_groups", kind: "dashboard_group", verbs: canAll&^canName | listHasInfo, read: rights.ReadDashboard, write: rights.WriteDashboard, set: sets,
			hides: hidesDashboard, prepare: prepareDashboard},

		{path: "white_listed_urls", kind: "white_listed_url", verbs: canAll &^ canName, read: rights.ReadAllowedURLs, write: rights.WriteAllowedURLs, prepare: prepareURL, done: s.refetch,
			says: "If there are any, files of packages come only from addresses that one of them matches as a whole. download_seconds, expire_seconds and chunk_id are kept only."},
		{path: "plugin_schedules", kind: "plugin_schedule", verbs: canAll, read: rights.ReadPlugin, write: rights.ExecutePlugin, prepare: preparePluginSchedule},
	})
}

// faceOf is the face that is seen under a path.
func (s *server) faceOf(path string) *face {
	for _, f := range s.faces() {
		if f.path == path {
			return f
		}
	}
	panic("api: no face is called " + path)
}

// objectRoutes are the routes of all faces.
func (s *server) objectRoutes() (out []route) {
	for _, f := range s.faces() {
		out = append(out, f.routes(s)...)
	}
	return out
}
