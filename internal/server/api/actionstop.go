package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
	"catenary/internal/value"
)

// actionsByName are the actions of a name: there may be several.
func (s *server) actionsByName(w http.ResponseWriter, c call) error {
	path := "actions"
	if strings.Contains(c.URL.Path, "/saved_actions/") {
		path = "saved_actions"
	}
	f := s.faceOf(path)
	found, err := s.actionsCalled(f, c)
	if err != nil {
		return err
	}
	return s.sendList(w, c, listing{
		n: len(found), has: f.objectShape().HasPath,
		cell: func(i int, path string) string {
			text, _ := s.seen(f, found[i]).Cell(path, found[i].Header, s.shelves.NameOf) // "" if there is nothing
			return text
		},
		append: func(b []byte, i int) []byte { return append(b, s.text(f, found[i])...) },
		sees:   s.sees(f, found),
	})
}

// actionsCalled are the actions of the name in the path that the caller may see,
// at least one.
func (s *server) actionsCalled(f *face, c call) ([]*shelf.Record, error) {
	var found []*shelf.Record
	for _, r := range s.visible(f, c) {
		if value.Fold(r.Object.Text("name")) == value.Fold(c.PathValue("name")) {
			found = append(found, r)
		}
	}
	if len(found) == 0 {
		return nil, s.shelves.Kind(f.kind).Missing()
	}
	return found, nil
}

// changeSavedByName changes the scheduled action of a name, if there is only
// one.
func (s *server) changeSavedByName(w http.ResponseWriter, c call) error {
	f := s.faceOf("saved_actions")
	found, err := s.actionsCalled(f, c)
	if err != nil {
		return err
	}
	if len(found) > 1 {
		return fault.New(fault.Invalid, "UpdateSavedActionFailed: %d scheduled actions are called %q: say the number of one", len(found), shorten(found[0].Object.Text("name")))
	}
	c.SetPathValue("name", "")
	c.SetPathValue("id", strconv.FormatInt(found[0].ID, 10))
	return s.changeFace(f)(w, c)
}

// prepareActionGroup checks an action group.
func prepareActionGroup(_ context.Context, _ call, _ *shelf.Change, _ *shelf.Record, o *object.Object) error {
	if strings.TrimSpace(o.Text("name")) == "" {
		return fault.New(fault.Invalid, "ActionGroupNameInvalid: an action group needs a name")
	}
	return nil
}

func (s *server) removeActionGroup(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	return s.refuseUsed(ch, "ActionGroup", "action_group", r)
}

// action finds an action that the caller may see with a privilege.
func (s *server) action(c call, from namer, p rights.Privilege, id int64) (*shelf.Record, error) {
	r := from.ByID("action", id)
	if r == nil {
		return nil, missing("Action", "action")
	}
	return r, s.faceOf("actions").allow(c, p, r.Object)
}

// stopAction stops an action, for good.
func (s *server) stopAction(w http.ResponseWriter, c call) error {
	f := s.faceOf("action_stops")
	body, err := readBody(w, c, bodyMax)
	if err != nil {
		return err
	}
	in, err := object.ShapeOf("action_stop").Decode(body, object.Lenient)
	if err != nil {
		return err
	}
	var is *shelf.Record
	err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
		r, err := s.action(c, ch, rights.WriteAction, in.Ref("action").ID)
		if err == nil {
			err = s.allowTargets(ch, c.rights, r.Object)
		}
		if err != nil {
			return err
		}
		if status := s.actionStatus(r.Object, time.Now()); status == actionClosed || status == actionStopped {
			return fault.New(fault.Invalid, "the action is %s already", strings.ToLower(status))
		}
		o := r.Object.Clone()
		o.Set("stopped_flag", true)
		if _, err := ch.Update(r, o); err != nil {
			return err
		}
		is, err = ch.Create("action_stop", 0, object.New(object.ShapeOf("action_stop")).With(in))
		return err
	})
	if err != nil {
		return err
	}
	return s.answer(w, f, is)
}

// An approvalObject is a scheduled action as those see it who approve.
type approvalObject struct {
	ID           int64  `json:"id"`
	Name         string `json:"name"`
	ApprovedFlag flag   `json:"approved_flag"`
	OwnerUserID  int64  `json:"owner_user_id"`
	Metadata     []any  `json:"metadata"`
}

func (s *server) toApproval(r *shelf.Record) approvalObject {
	return approvalObject{
		ID: r.ID, Name: r.Object.Text("name"), ApprovedFlag: flag(s.approved(s.shelves, r.Object)),
		OwnerUserID: r.Object.Ref("user").ID, Metadata: []any{},
	}
}

// listApprovals are the scheduled actions that wait for approval.
func (s *server) listApprovals(_ context.Context, c call) ([]approvalObject, error) {
	out := []approvalObject{}
	for _, r := range s.visible(s.faceOf("saved_actions"), c) {
		if !s.approved(s.shelves, r.Object) {
			out = append(out, s.toApproval(r))
		}
	}
	return out, nil
}

type approvalRequest struct {
	ID           number `json:"id"`
	ApprovedFlag flag   `json:"approved_flag"`
}

// approve says yes to a scheduled action of somebody else, who may have it done,
// and to whose machines the one who approves has a right, too.
func (s *server) approve(ctx context.Context, c call, in approvalRequest) (approvalObject, error) {
	f := s.faceOf("saved_actions")
	var is *shelf.Record
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		r := ch.ByID("saved_action", int64(in.ID))
		if r == nil {
			return missing("SavedAction", "scheduled action")
		}
		if err := f.allow(c, rights.ApproveAction, r.Object); err != nil {
			return err
		}
		var why string
		switch {
		case !bool(in.ApprovedFlag):
			why = "approved_flag is not 1: delete what is not to happen"
		case s.approved(ch, r.Object):
			why = "the action needs no approval"
		case s.hisOwn(c, ch, r) && s.setting(setting.SelfApproval) != "1":
			why = "nobody approves what is his own"
		}
		if why != "" {
			return fault.New(fault.Denied, "RBACInvalidOperation: %s", why)
		}
		if err := s.allowDeed(ch, r.Object); err != nil {
			return err
		}
		if err := s.allowTargets(ch, c.rights, r.Object); err != nil {
			return err
		}
		o := r.Object.Clone()
		o.Set("approved_flag", true)
		o.Set("approved_of", approvedOf(ch, o))
		o.Set("approver", object.Ref{ID: c.user.ID})
		o.Set("approver_persona", object.Ref{ID: c.user.Persona})
		var err error
		is, err = ch.Update(r, o)
		return err
	})
	if err != nil {
		return approvalObject{}, err
	}
	return s.toApproval(is), nil
}
