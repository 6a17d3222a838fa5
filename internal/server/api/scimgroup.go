package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/shelf"
)

// A scimGroup is a user group as identity providers see it.
type scimGroup struct {
	Schemas     []string      `json:"schemas"`
	ID          string        `json:"id"`
	ExternalID  string        `json:"externalId,omitempty"`
	DisplayName string        `json:"displayName"`
	Members     *[]scimMember `json:"members,omitempty"`
	Meta        scimMeta      `json:"meta"`
}

func (s *server) scimGroupOf(r *shelf.Record, withMembers bool) scimGroup {
	out := scimGroup{
		Schemas: []string{scimGroupSchema}, ID: strconv.FormatInt(r.ID, 10), ExternalID: r.Object.Text("identity_subject"),
		DisplayName: r.Name, Meta: metaOf(r, "Group"),
	}
	if withMembers {
		list := []scimMember{}
		for _, ref := range r.Object.Refs("user_list") {
			list = append(list, scimMember{strconv.FormatInt(ref.ID, 10), s.shelves.NameOf("user", ref.ID)})
		}
		out.Members = &list
	}
	return out
}

func scimGroupAttribute(r *shelf.Record, name string) (out []string, known bool) {
	switch name {
	case "id":
		return []string{strconv.FormatInt(r.ID, 10)}, true
	case "displayname":
		return []string{r.Name}, true
	case "externalid":
		return []string{r.Object.Text("identity_subject")}, true
	case "members", "members.value":
		for _, ref := range r.Object.Refs("user_list") {
			out = append(out, strconv.FormatInt(ref.ID, 10))
		}
		return out, true
	}
	return nil, false
}

// wantsMembers reports whether a request wants groups with those in them.
func (c scimCall) wantsMembers() bool {
	for _, name := range strings.Split(c.URL.Query().Get("excludedAttributes"), ",") {
		if strings.EqualFold(strings.TrimSpace(name), "members") {
			return false
		}
	}
	return true
}

func (s *server) scimListGroups(_ context.Context, c scimCall) (scimReply, error) {
	return c.list(s.shelves.All("user_group"), scimGroupAttribute, func(r *shelf.Record) any { return s.scimGroupOf(r, c.wantsMembers()) })
}

func (s *server) scimShowGroup(_ context.Context, c scimCall) (scimReply, error) {
	r, err := c.own(s.shelves.ByID, "user_group")
	if err != nil {
		return scimReply{}, err
	}
	return scimReply{http.StatusOK, s.scimGroupOf(r, c.wantsMembers())}, nil
}

// members are the users that somebody names as members. They have to be his own:
// nobody else's come and go with a group of his.
func (c scimCall) members(ch *shelf.Change, list []scimMember) ([]int64, error) {
	out := make([]int64, 0, len(list))
	for _, m := range list {
		id, err := strconv.ParseInt(m.Value, 10, 64)
		if err == nil {
			if r := ch.ByID("user", id); r != nil && r.Object.Text("identity_source") == c.source {
				out = append(out, id)
				continue
			}
		}
		return nil, fault.New(fault.Invalid, "there is no such user: %.100q", m.Value)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// into makes an object what somebody says of a group.
func (g scimGroup) into(c scimCall, ch *shelf.Change, o *object.Object) error {
	o.Set("name", strings.TrimSpace(g.DisplayName))
	o.Set("identity_subject", g.ExternalID)
	var list []scimMember
	if g.Members != nil {
		list = *g.Members
	}
	ids, err := c.members(ch, list)
	o.Set("user_list", object.ListOf(refsOf(ids)))
	return err
}

func checkSCIMGroup(ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	name := o.Text("name")
	if name == "" || len(name) > nameMax {
		return fault.New(fault.Invalid, "displayName has 1 to %d bytes", nameMax)
	}
	if other := ch.ByName("user_group", name); other != nil && (was == nil || other.ID != was.ID) {
		return fault.New(fault.Conflict, "there is a user group %q already", name)
	}
	return nil
}

func (s *server) scimCreateGroup(ctx context.Context, c scimCall) (scimReply, error) {
	var in scimGroup
	if err := c.read(&in); err != nil {
		return scimReply{}, err
	}
	var is *shelf.Record
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) (err error) {
		o := object.New(object.ShapeOf("user_group"))
		was := ch.ByName("user_group", strings.TrimSpace(in.DisplayName))
		if was != nil && unclaimed(was) {
			o = was.Object.Clone()
		} else {
			was = nil
		}
		o.Set("identity_source", c.source)
		if err := in.into(c, ch, o); err != nil {
			return err
		}
		if err := checkSCIMGroup(ch, was, o); err != nil {
			return err
		}
		if was != nil {
			is, err = ch.Update(was, o)
		} else {
			is, err = ch.Create("user_group", 0, o)
		}
		return err
	})
	if err != nil {
		return scimReply{}, err
	}
	return scimReply{http.StatusCreated, s.scimGroupOf(is, true)}, nil
}

// changeSCIMGroup changes a group of the caller's and answers with it.
func (s *server) changeSCIMGroup(ctx context.Context, c scimCall, change func(ch *shelf.Change, o *object.Object) error) (scimReply, error) {
	var is *shelf.Record
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		was, err := c.own(ch.ByID, "user_group")
		if err != nil {
			return err
		}
		o := was.Object.Clone()
		if err := change(ch, o); err != nil {
			return err
		}
		if err := checkSCIMGroup(ch, was, o); err != nil {
			return err
		}
		if is = was; string(o.Store()) != string(was.Object.Store()) {
			is, err = ch.Update(was, o)
		}
		return err
	})
	if err != nil {
		return scimReply{}, err
	}
	return scimReply{http.StatusOK, s.scimGroupOf(is, c.wantsMembers())}, nil
}

func (s *server) scimReplaceGroup(ctx context.Context, c scimCall) (scimReply, error) {
	var in scimGroup
	if err := c.read(&in); err != nil {
		return scimReply{}, err
	}
	return s.changeSCIMGroup(ctx, c, func(ch *shelf.Change, o *object.Object) error { return in.into(c, ch, o) })
}

func (s *server) scimPatchGroup(ctx context.Context, c scimCall) (scimReply, error) {
	var in scimPatch
	if err := c.read(&in); err != nil {
		return scimReply{}, err
	}
	return s.changeSCIMGroup(ctx, c, func(ch *shelf.Change, o *object.Object) error {
		return in.each(func(op, path string, v json.RawMessage) error { return patchSCIMGroup(c, ch, o, op, path, v) })
	})
}

// patchSCIMGroup changes one attribute of a group.
func patchSCIMGroup(c scimCall, ch *shelf.Change, o *object.Object, op, path string, v json.RawMessage) error {
	path = strings.TrimPrefix(path, scimGroupSchema+":")
	name, rest, chosen := strings.Cut(path, "[") // members[value eq "7"]
	switch strings.ToLower(name) {
	case "displayname", "externalid":
		var text string
		if op == "remove" || json.Unmarshal(v, &text) != nil {
			return fault.New(fault.Invalid, "%s is a text", path)
		}
		if strings.EqualFold(name, "displayName") {
			o.Set("name", strings.TrimSpace(text))
		} else {
			o.Set("identity_subject", text)
		}
		return nil
	case "members":
	default:
		return nil // not kept
	}
	var list []scimMember
	if chosen {
		f, err := parseSCIMFilter(strings.TrimSuffix(rest, "]"))
		if err != nil || len(f) != 1 || f[0].attribute != "value" || op != "remove" {
			return fault.New(fault.Invalid, `members[value eq "…"] can be removed, and nothing else`)
		}
		list = []scimMember{{Value: f[0].value}}
	} else if len(v) > 0 && string(v) != "null" {
		var one scimMember
		if json.Unmarshal(v, &list) != nil && json.Unmarshal(v, &one) == nil {
			list = []scimMember{one}
		} else if json.Unmarshal(v, &list) != nil {
			return fault.New(fault.Invalid, "members is a list of objects with a value")
		}
	}
	var now []int64
	for _, ref := range o.Refs("user_list") {
		now = append(now, ref.ID)
	}
	if op == "remove" {
		gone := map[string]bool{}
		for _, m := range list {
			gone[m.Value] = true
		}
		now = slices.DeleteFunc(now, func(id int64) bool { return !chosen && len(v) == 0 || gone[strconv.FormatInt(id, 10)] })
	} else {
		ids, err := c.members(ch, list)
		if err != nil {
			return err
		}
		if op == "replace" {
			now = nil
		}
		now = append(now, ids...)
	}
	slices.Sort(now)
	o.Set("user_list", object.ListOf(refsOf(slices.Compact(now))))
	return nil
}

func (s *server) scimDeleteGroup(ctx context.Context, c scimCall) (scimReply, error) {
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		r, err := c.own(ch.ByID, "user_group")
		if err != nil {
			return err
		}
		if err := people.Strip(ch, "user_group", r.ID); err != nil {
			return err
		}
		return ch.Delete(r)
	})
	return scimReply{status: http.StatusNoContent}, err
}
