package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

type scimName struct {
	Formatted string `json:"formatted,omitempty"`
	Given     string `json:"givenName,omitempty"`
	Family    string `json:"familyName,omitempty"`
}

// A scimUser is a user as identity providers see him. What else they say of him
// (addresses, telephones …) is taken and not kept.
type scimUser struct {
	Schemas     []string     `json:"schemas"`
	ID          string       `json:"id"`
	ExternalID  string       `json:"externalId,omitempty"`
	UserName    string       `json:"userName"`
	DisplayName string       `json:"displayName,omitempty"`
	Name        *scimName    `json:"name,omitempty"`
	Active      *scimBool    `json:"active"`
	Groups      []scimMember `json:"groups"`
	Meta        scimMeta     `json:"meta"`
}

// A scimMember is a user in a group, or a group of a user.
type scimMember struct {
	Value   string `json:"value"`
	Display string `json:"display,omitempty"`
}

func (s *server) scimUserOf(r *shelf.Record) scimUser {
	o := r.Object
	active := scimBool(o.Int("locked_out") == 0)
	out := scimUser{
		Schemas: []string{scimUserSchema}, ID: strconv.FormatInt(r.ID, 10), ExternalID: o.Text("identity_subject"),
		UserName: r.Name, DisplayName: o.Text("display_name"), Name: &scimName{Formatted: o.Text("display_name")},
		Active: &active, Groups: []scimMember{}, Meta: metaOf(r, "User"),
	}
	for _, id := range s.people.State().UserGroups(r.ID) {
		if g := s.shelves.ByID("user_group", id); g != nil && g.Object.Text("identity_source") == o.Text("identity_source") {
			out.Groups = append(out.Groups, scimMember{strconv.FormatInt(id, 10), g.Name})
		}
	}
	return out
}

// into makes an object what somebody says of a user.
func (u scimUser) into(o *object.Object) {
	display := u.DisplayName
	if n := u.Name; display == "" && n != nil {
		if display = n.Formatted; display == "" {
			display = strings.TrimSpace(n.Given + " " + n.Family)
		}
	}
	o.Set("name", strings.TrimSpace(u.UserName))
	o.Set("display_name", display)
	o.Set("identity_subject", u.ExternalID)
	activate(o, u.Active == nil || bool(*u.Active))
}

// activate lets a user in or locks him out. Whom an administrator has locked out
// stays out.
func activate(o *object.Object, active bool) {
	switch lock := o.Int("locked_out"); {
	case active && (lock == lockedDisabled || lock == lockedMissing):
		o.Set("locked_out", int64(0))
	case !active && lock == 0:
		o.Set("locked_out", int64(lockedDisabled))
	}
}

func scimUserAttribute(r *shelf.Record, name string) ([]string, bool) {
	switch name {
	case "id":
		return []string{strconv.FormatInt(r.ID, 10)}, true
	case "username":
		return []string{r.Name}, true
	case "externalid":
		return []string{r.Object.Text("identity_subject")}, true
	case "displayname":
		return []string{r.Object.Text("display_name")}, true
	case "active":
		return []string{strconv.FormatBool(r.Object.Int("locked_out") == 0)}, true
	}
	return nil, false
}

func (s *server) scimListUsers(_ context.Context, c scimCall) (scimReply, error) {
	return c.list(s.shelves.All("user"), scimUserAttribute, func(r *shelf.Record) any { return s.scimUserOf(r) })
}

func (s *server) scimShowUser(_ context.Context, c scimCall) (scimReply, error) {
	r, err := c.own(s.shelves.ByID, "user")
	if err != nil {
		return scimReply{}, err
	}
	return scimReply{http.StatusOK, s.scimUserOf(r)}, nil
}

func (s *server) scimCreateUser(ctx context.Context, c scimCall) (scimReply, error) {
	var in scimUser
	if err := c.read(&in); err != nil {
		return scimReply{}, err
	}
	var is *shelf.Record
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) (err error) {
		o := object.New(object.ShapeOf("user"))
		was := ch.ByName("user", strings.TrimSpace(in.UserName))
		if was != nil && unclaimed(was) {
			o = was.Object.Clone()
		} else {
			was = nil
		}
		in.into(o)
		o.Set("external_flag", int64(1))
		o.Set("identity_source", c.source)
		if err := s.checkSCIMUser(ctx, c, ch, was, o); err != nil {
			return err
		}
		if was != nil {
			is, err = s.updateUser(ctx, call{}, ch, was, o)
		} else {
			is, err = s.createUser(ctx, call{}, ch, o)
		}
		return err
	})
	if err != nil {
		return scimReply{}, err
	}
	return scimReply{http.StatusCreated, s.scimUserOf(is)}, nil
}

// checkSCIMUser looks at a user as an identity provider wants him to be.
func (s *server) checkSCIMUser(ctx context.Context, c scimCall, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	if subject := o.Text("identity_subject"); subject != "" {
		for _, r := range ch.All("user") {
			if r.Object.Text("identity_source") == c.source && r.Object.Text("identity_subject") == subject && (was == nil || r.ID != was.ID) {
				return fault.New(fault.Conflict, "another user has the externalId %.100q", subject)
			}
		}
	}
	return s.prepareUser(ctx, c.call, ch, was, o)
}

// changeSCIMUser changes a user of the caller's and answers with him.
func (s *server) changeSCIMUser(ctx context.Context, c scimCall, change func(o *object.Object) error) (scimReply, error) {
	var is *shelf.Record
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		was, err := c.own(ch.ByID, "user")
		if err != nil {
			return err
		}
		o := was.Object.Clone()
		if err := change(o); err != nil {
			return err
		}
		if err := s.checkSCIMUser(ctx, c, ch, was, o); err != nil {
			return err
		}
		if is = was; string(o.Store()) != string(was.Object.Store()) {
			is, err = s.updateUser(ctx, call{}, ch, was, o)
		}
		return err
	})
	if err != nil {
		return scimReply{}, err
	}
	return scimReply{http.StatusOK, s.scimUserOf(is)}, nil
}

func (s *server) scimReplaceUser(ctx context.Context, c scimCall) (scimReply, error) {
	var in scimUser
	if err := c.read(&in); err != nil {
		return scimReply{}, err
	}
	return s.changeSCIMUser(ctx, c, func(o *object.Object) error { in.into(o); return nil })
}

func (s *server) scimPatchUser(ctx context.Context, c scimCall) (scimReply, error) {
	var in scimPatch
	if err := c.read(&in); err != nil {
		return scimReply{}, err
	}
	return s.changeSCIMUser(ctx, c, func(o *object.Object) error {
		return in.each(func(op, path string, v json.RawMessage) error { return patchSCIMUser(o, op, path, v) })
	})
}

// patchSCIMUser changes one attribute of a user. Those that are not kept may be
// changed, without effect.
func patchSCIMUser(o *object.Object, op, path string, v json.RawMessage) error {
	path = strings.TrimPrefix(path, scimUserSchema+":")
	field := map[string]string{
		"username": "name", "displayname": "display_name", "name.formatted": "display_name", "externalid": "identity_subject",
	}[strings.ToLower(path)]
	switch {
	case strings.EqualFold(path, "active"):
		var active scimBool
		if op != "remove" && json.Unmarshal(v, &active) != nil {
			return fault.New(fault.Invalid, "active is true or false")
		}
		activate(o, bool(active))
	case field == "":
	case op == "remove":
		if field == "name" {
			return fault.New(fault.Invalid, "a user has a userName")
		}
		o.Set(field, "")
	default:
		var text string
		if json.Unmarshal(v, &text) != nil {
			return fault.New(fault.Invalid, "%s is a text", path)
		}
		o.Set(field, text)
	}
	return nil
}

func (s *server) scimDeleteUser(ctx context.Context, c scimCall) (scimReply, error) {
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		r, err := c.own(ch.ByID, "user")
		if err != nil {
			return err
		}
		return s.deleteUser(ctx, call{}, ch, r)
	})
	return scimReply{status: http.StatusNoContent}, err
}
