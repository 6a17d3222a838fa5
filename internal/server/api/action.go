package api

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// Actions and scheduled actions are kept and checked here. Machines run them in
// a later version of Catenary: until then an action's status follows from the
// time alone, and its result is empty.

// What a saved action does, as programs number it.
const (
	savedActionEnabled  = 0
	savedActionDisabled = 1
	savedActionDeleted  = 2
)

const (
	actionLifeMin  = 60              // seconds: what a machine needs to hear of it
	actionLifeMax  = 366 * 24 * 3600 // seconds
	actionLife     = 3600            // seconds, if neither action nor package says
	actionNotesMax = 16 << 10        // bytes of a comment
)

// The states of an action.
const (
	actionPending = "Pending" // not yet to begin, or not approved
	actionOpen    = "Open"
	actionStopped = "Stopped"
	actionClosed  = "Closed"
)

// approvalSetting says that actions need the word of a second person.
const approvalSetting = "require_action_approval"

func (s *server) actionFaces() []*face {
	return []*face{
		{path: "actions", kind: "action", verbs: canList | canShow | canChange | listHasInfo, read: rights.ReadAction, write: rights.WriteAction,
			setOf: s.packageSet, prepare: prepareAction, derive: s.deriveAction},
		{path: "saved_actions", kind: "saved_action", verbs: canList | canShow | canChange | canRemove | listHasInfo | goneSaysID, read: rights.ReadAction, write: rights.WriteAction,
			setOf: s.packageSet, prepare: s.prepareSavedAction, remove: s.removeSavedAction, derive: s.deriveSavedAction, says: approvalSays},
		{path: "action_groups", kind: "action_group", verbs: canAll, read: rights.ReadActionGroup, write: rights.WriteActionGroup,
			prepare: prepareActionGroup, remove: s.removeActionGroup},
		{path: "action_stops", kind: "action_stop", verbs: canShow, read: rights.ReadAction, write: rights.WriteAction},
	}
}

// actionRoutes are those where one request makes several objects.
func (s *server) actionRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"POST", v2 + "actions", withSession, rights.WriteAction, handler(s.createAction)},
		{"POST", v2 + "saved_actions", withSession, rights.WriteAction, handler(s.createSavedAction)},
		{"GET", v2 + "actions/by-name/{name}", withSession, rights.ReadAction, handler(s.actionsByName)},
		{"GET", v2 + "saved_actions/by-name/{name}", withSession, rights.ReadAction, handler(s.actionsByName)},
		{"PATCH", v2 + "saved_actions/by-name/{name}", withSession, rights.WriteAction, faced{s.changeSavedByName, s.faceOf("saved_actions"), changes}},
		{"POST", v2 + "action_stops", withSession, rights.WriteAction, handler(s.stopAction)},
		{"GET", v2 + "saved_action_approvals", withSession, rights.ReadAction, get(s.listApprovals)},
		{"POST", v2 + "saved_action_approvals", withSession, rights.ApproveAction, post(bodyMax, s.approve)},
		{"GET", v2 + "result_info/action/{id}", withSession, rights.ReadAction, get(s.actionInfo)},
		{"GET", v2 + "result_data/action/{id}", withSession, rights.ReadAction, get(s.actionData)},
	}
}

// packageOf finds the package that an action means: the source of a package with
// parameters, or the package itself.
func packageOf(from namer, o *object.Object) *shelf.Record {
	p := o.Object("package_spec")
	if p == nil {
		return nil
	}
	if id := cmp.Or(p.Int("source_id"), p.Int("id")); id != 0 {
		return from.ByID("package_spec", id)
	}
	return from.ByName("package_spec", p.Text("name"))
}

// packageSet is the content set within which an action needs rights: that of its
// package.
func (s *server) packageSet(o *object.Object) int64 {
	if r := packageOf(s.shelves, o); r != nil {
		return r.Object.Ref("content_set").ID
	}
	if p := o.Object("package_spec"); p != nil && p.Ref("content_set").ID != 0 {
		return p.Ref("content_set").ID // of one that there is no more
	}
	return defaultSet
}

// createAction makes an action, and the scheduled action that it comes from: one
// that happens once.
func (s *server) createAction(w http.ResponseWriter, c call) error {
	f, saved := s.faceOf("actions"), s.faceOf("saved_actions")
	in, err := f.body(w, c)
	if err != nil {
		return err
	}
	if in.Object("package_spec") == nil {
		return noPackage()
	}
	if in.Object("target_group") == nil {
		return object.Bad("target_group", "is missing: which machines are meant?")
	}
	var is *shelf.Record
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		r, err := s.make(saved, c, ch, object.New(object.ShapeOf("saved_action")).With(in))
		if err != nil {
			return err
		}
		is, err = s.issue(c, ch, r)
		return err
	})
	if err != nil {
		return err
	}
	return s.answer(w, f, is)
}

func (s *server) createSavedAction(w http.ResponseWriter, c call) error {
	f := s.faceOf("saved_actions")
	in, err := f.body(w, c)
	if err != nil {
		return err
	}
	var is *shelf.Record
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		r, err := s.make(f, c, ch, object.New(object.ShapeOf("saved_action")).With(in))
		if err != nil {
			return err
		}
		is = r
		if later := r.Object.Time("start_time").After(ch.Now()) && !r.Object.Is("start_now_flag"); later || r.Object.Is("policy_flag") {
			return nil
		}
		if _, err := s.issue(c, ch, r); err != nil {
			return err
		}
		is = ch.ByID("saved_action", r.ID)
		return nil
	})
	if err != nil {
		return err
	}
	return s.answer(w, f, is)
}

// issue makes the next action of a scheduled one, if its author may still have
// that done.
func (s *server) issue(c call, ch *shelf.Change, saved *shelf.Record) (*shelf.Record, error) {
	if err := s.allowDeed(ch, saved.Object); err != nil {
		return nil, err
	}
	o := object.New(object.ShapeOf("action"))
	for _, field := range []string{"name", "comment", "action_group", "package_spec", "target_group", "expire_seconds", "distribute_seconds", "priority"} {
		if saved.Object.Has(field) {
			o.Set(field, saved.Object.Value(field))
		}
	}
	start := saved.Object.Time("start_time")
	if start.Before(ch.Now()) {
		start = ch.Now()
	}
	o.Set("start_time", start.Truncate(time.Second))
	o.Set("expiration_time", start.Truncate(time.Second).Add(time.Duration(o.Int("expire_seconds"))*time.Second))
	o.Set("saved_action", object.Ref{ID: saved.ID})
	o.Set("user", object.Ref{ID: c.user.ID})
	o.Set("persona", object.Ref{ID: c.user.Persona})
	is, err := ch.Create("action", 0, o)
	if err != nil {
		return nil, err
	}
	now := saved.Object.Clone()
	now.Set("last_action", object.Ref{ID: is.ID})
	now.Set("last_start_time", start.UTC().Format(time.RFC3339))
	now.Set("issue_count", now.Int("issue_count")+1)
	_, err = ch.Update(saved, now)
	return is, err
}

// prepareAction lets an action be renamed and commented: what it does was said
// when it was made.
func prepareAction(_ context.Context, _ call, _ *shelf.Change, was *shelf.Record, o *object.Object) error {
	for _, d := range object.Diff(was.Object, o, nil) {
		switch d.Field {
		case "name", "comment", "metadata":
		default:
			return fault.New(fault.Invalid, "%s: an action is not changed once it is made: stop it, and make another", d.Field)
		}
	}
	return nil
}

// prepareSavedAction checks a scheduled action and finds what it needs.
func (s *server) prepareSavedAction(_ context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	p := o.Object("package_spec")
	r := packageOf(ch, o)
	switch {
	case p == nil || p.Int("source_id") == 0 && p.Int("id") == 0 && p.Text("name") == "":
		return noPackage()
	case r == nil:
		return missing("Package", "package")
	}
	if was == nil || string(was.Object.Object("package_spec").Store()) != string(p.Store()) {
		finished, err := finishedPackage(r, p.Objects("parameters"))
		if err != nil {
			return err
		}
		o.Set("package_spec", finished)
	}
	if strings.TrimSpace(o.Text("name")) == "" {
		o.Set("name", r.Name)
	}
	if err := s.targetAction(c, ch, o); err != nil {
		return err
	}
	if was != nil { // what is done elsewhere is not his to change
		if err := s.allowTargets(ch, c.rights, was.Object); err != nil {
			return err
		}
	}
	if err := s.allowTargets(ch, c.rights, o); err != nil {
		return err
	}
	if was == nil {
		o.Set("user", object.Ref{ID: c.user.ID})
		o.Set("persona", object.Ref{ID: c.user.Persona})
	}
	if err := timeAction(r, o); err != nil {
		return err
	}
	if was == nil || !sameDeed(was.Object, o) {
		o.Set("approved_flag", !s.needsApproval(c))
		o.Set("approver", nil)
		o.Set("approved_of", nil)
	}
	return nil
}

// removeSavedAction keeps what is done on machines outside the caller's rights.
func (s *server) removeSavedAction(_ context.Context, c call, ch *shelf.Change, r *shelf.Record) error {
	return s.allowTargets(ch, c.rights, r.Object)
}

func noPackage() error {
	return fault.New(fault.Invalid, "ActionRequiresPackage: package_spec is missing")
}

// sameDeed reports whether two scheduled actions do the same: what was approved
// of the one holds for the other.
func sameDeed(a, b *object.Object) bool {
	for _, d := range object.Diff(a, b, nil) {
		switch d.Field {
		case "package_spec", "target_group", "action_group", "policy", "policy_flag", "issue_seconds", "start_time", "end_time", "expire_seconds", "distribute_seconds":
			return false
		}
	}
	return true
}

// targetAction finds the machines that are meant: a group that there is, or one
// that is made of what the action says.
func (s *server) targetAction(c call, ch *shelf.Change, o *object.Object) error {
	ref, err := ch.Find("action_group", cmpRef(o.Ref("action_group"), o))
	if err != nil {
		return object.In("action_group", err)
	}
	o.Set("action_group", ref)
	target := o.Object("target_group")
	if target == nil {
		target = object.New(object.ShapeOf("group"))
	}
	if id := target.Int("source_id"); id != 0 && target.Int("id") == 0 {
		target = target.Clone()
		target.Set("id", id)
	}
	g, err := s.adHocGroup(ch, target)
	if err == nil && g != nil && ch.Before("group", g.ID) == nil {
		err = s.allowCondition(c, ch, nil, g.Object)
	}
	if err != nil {
		return err
	}
	if g == nil {
		if g = ch.ByID("group", allComputers); g == nil {
			return object.Bad("target_group", "is missing")
		}
	}
	said := object.New(object.ShapeOf("group"))
	said.Set("id", g.ID)
	said.Set("name", g.Name)
	said.Set("text", g.Object.Text("text"))
	said.Set("type", g.Object.Int("type"))
	o.Set("target_group", said)
	return nil
}

// cmpRef is a reference, or the number that old programs say instead.
func cmpRef(ref object.Ref, o *object.Object) object.Ref {
	if _, can := o.Shape().Field("action_group_id"); can && ref.ID == 0 && ref.Name == "" {
		ref.ID = o.Int("action_group_id")
	}
	return ref
}

// timeAction checks when an action begins and ends.
func timeAction(p *shelf.Record, o *object.Object) error {
	if o.Int("expire_seconds") == 0 {
		o.Set("expire_seconds", max(actionLifeMin, cmp.Or(p.Object.Int("expire_seconds"), actionLife)))
	}
	life, spread, every := o.Int("expire_seconds"), o.Int("distribute_seconds"), o.Int("issue_seconds")
	switch {
	case life < actionLifeMin || life > actionLifeMax:
		return object.Bad("expire_seconds", "it is %d, not %d to %d", life, actionLifeMin, actionLifeMax)
	case spread < 0 || spread > life:
		return object.Bad("distribute_seconds", "it is %d, not 0 to %d, when the action expires", spread, life)
	case every != 0 && (every < issueMin || every > issueMax):
		return object.Bad("issue_seconds", "it is %d, not 0 or %d to %d", every, issueMin, issueMax)
	case o.Int("status") < savedActionEnabled || o.Int("status") > savedActionDeleted:
		return object.Bad("status", "it is %d, not 0 (enabled), 1 (disabled) or 2 (deleted)", o.Int("status"))
	case len(o.Text("comment")) > actionNotesMax:
		return object.Bad("comment", "it has more than %d bytes", actionNotesMax)
	}
	end, err := object.ParseTime(o.Text("end_time"))
	if err != nil {
		return object.Bad("end_time", "%v", err)
	}
	if start := o.Time("start_time"); !end.IsZero() && !start.IsZero() && !end.After(start) {
		return object.Bad("end_time", "it is not after start_time")
	}
	return nil
}

// deriveAction says how far an action has come.
func (s *server) deriveAction(r *shelf.Record, o *object.Object) {
	o.Set("status", s.actionStatus(r.Object, time.Now()))
	if saved := s.shelves.ByID("saved_action", r.Object.Ref("saved_action").ID); saved != nil {
		o.Set("approver", saved.Object.Ref("approver"))
	}
}

func (s *server) actionStatus(o *object.Object, now time.Time) string {
	saved := s.shelves.ByID("saved_action", o.Ref("saved_action").ID)
	switch {
	case o.Is("stopped_flag"):
		return actionStopped
	case !now.Before(o.Time("expiration_time")):
		return actionClosed
	case now.Before(o.Time("start_time")) || saved != nil && !s.approved(s.shelves, saved.Object):
		return actionPending
	}
	return actionOpen
}

// deriveSavedAction says when the next action would be, and whether what was
// approved is what it would be now.
func (s *server) deriveSavedAction(r *shelf.Record, o *object.Object) {
	const never = "Never"
	o.Set("approved_flag", s.approved(s.shelves, r.Object))
	o.Set("approval_lapsed", s.lapsed(s.shelves, r.Object))
	o.Set("action_group_id", r.Object.Ref("action_group").ID)
	next, every := r.Object.Time("start_time"), time.Duration(r.Object.Int("issue_seconds"))*time.Second
	now := time.Now()
	if every > 0 && next.Before(now) {
		if next.IsZero() {
			next = r.Created
		}
		next = next.Add(now.Sub(next).Truncate(every) + every)
	}
	text := never
	if end, err := object.ParseTime(r.Object.Text("end_time")); err == nil && next.After(now) && (end.IsZero() || next.Before(end)) && r.Object.Int("status") == savedActionEnabled {
		text = next.UTC().Format(time.RFC3339)
	}
	o.Set("next_start_time", text)
	for _, field := range []string{"last_start_time", "end_time", "user_start_time"} {
		if o.Text(field) == "" {
			o.Set(field, never)
		}
	}
}
