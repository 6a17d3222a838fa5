package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/filter"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// groupParts are the fields that say a group's condition in objects; the field
// text says the same in words.
var groupParts = []string{"filters", "sub_groups", "and_flag", "not_flag"}

// prepareGroup returns what a face does before a group is made or changed. Flag
// is the field that all groups of the face have set; may be empty.
func (s *server) prepareGroup(flag string) func(context.Context, call, *shelf.Change, *shelf.Record, *object.Object) error {
	return func(_ context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
		if was != nil && reservedGroup(was.ID) {
			return reservedError()
		}
		if flag != "" {
			o.Set(flag, true)
		}
		set, err := ch.Find("content_set", o.Ref("content_set"))
		if err != nil {
			return object.In("content_set", err)
		}
		if set.ID == 0 {
			set.ID = defaultSet // also of groups that are seen without it
		}
		o.Set("content_set", set)
		manual := len(o.Objects("computer_specs")) > 0 || o.Int("type") == groupManual
		name := strings.TrimSpace(o.Text("name"))
		if name == "" {
			if flag != "" || manual || was != nil && was.Name != "" || o.Is("filter_flag") || o.Is("management_rights_flag") {
				return fault.New(fault.Invalid, "ComputerGroupNameRequired: a group that is kept needs a name")
			}
			o.Set("type", int64(groupAdHoc))
			if was == nil {
				if err := roomForAdHoc(ch); err != nil {
					return err
				}
			}
		}
		settle := s.settleGroup
		if manual {
			settle = prepareManual
		}
		if err := settle(ch, was, o); err != nil {
			return err
		}
		if err := s.allowCondition(c, ch, was, o); err != nil {
			return err
		}
		if was != nil && name != was.Name {
			return s.renameGroup(ch, was.ID, name)
		}
		return nil
	}
}

func reservedError() error {
	return fault.New(fault.Invalid, "CannotUpdateOrDeleteReservedGroup: All Computers and No Computers stay as they are")
}

// prepareManualGroup is prepareGroup for groups that list their machines, with
// the errors that programs know of those.
func (s *server) prepareManualGroup(ctx context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	name := strings.TrimSpace(o.Text("name"))
	if other := ch.ByName("group", name); name != "" && other != nil && (was == nil || other.ID != was.ID) {
		return fault.New(fault.Conflict, "ComputerGroupAlreadyExists: there is a group %q already", other.Name)
	}
	o.Set("type", int64(groupManual)) // also if no machine is listed yet
	return s.prepareGroup("")(ctx, c, ch, was, o)
}

// prepareManual checks the list of a manual group.
func prepareManual(_ *shelf.Change, _ *shelf.Record, o *object.Object) error {
	for i, spec := range o.Objects("computer_specs") {
		name, addr := strings.TrimSpace(spec.Text("computer_name")), strings.TrimSpace(spec.Text("ip_address"))
		if (name == "") == (addr == "") {
			return object.Bad(fmt.Sprintf("computer_specs[%d]", i), "either computer_name or ip_address is needed")
		}
		if len(name) > nameMax {
			return object.Bad(fmt.Sprintf("computer_specs[%d]", i), "longer than %d bytes", nameMax)
		}
		if _, err := netip.ParseAddr(addr); addr != "" && err != nil {
			return object.Bad(fmt.Sprintf("computer_specs[%d].ip_address", i), "%q is no address", shorten(addr))
		}
	}
	o.Set("type", int64(groupManual))
	for _, field := range append([]string{"text"}, groupParts...) {
		o.Set(field, nil)
	}
	return nil
}

// settleGroup reads the condition of a group and writes it as text and as
// objects, which then say the same. Of an object that was changed, the part that
// differs from before is meant; otherwise objects come before the text.
func (s *server) settleGroup(ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	where, err := s.meantGroup(ch, was, o)
	if err != nil {
		return err
	}
	if where == nil {
		return fault.New(fault.Invalid, "InvalidGroupQueryText: a group needs a text, filters or sub_groups")
	}
	id := int64(0)
	if was != nil {
		id = was.ID
	}
	if err := checkCircle(id, where, s.sensorsIn(ch), ch); err != nil {
		return err
	}
	return sayCondition(o, where, s.sensorsIn(ch))
}

func (s *server) meantGroup(ch *shelf.Change, was *shelf.Record, o *object.Object) (question.Condition, error) {
	byObjects := len(o.Objects("filters"))+len(o.Objects("sub_groups")) > 0
	if was != nil {
		byObjects = byObjects && (o.Text("text") == "" || !sameParts(was.Object, o))
	}
	sensors, names := s.sensorsIn(ch), groupNames{ch}
	if !byObjects {
		where, err := groupCondition(o, sensors, names)
		if err != nil {
			return nil, fault.New(fault.Invalid, "InvalidGroupQueryText: %w", err)
		}
		return where, nil
	}
	var in filter.Group
	parts := object.New(o.Shape())
	for _, field := range groupParts {
		if o.Has(field) {
			parts.Set(field, o.Value(field))
		}
	}
	if err := json.Unmarshal(parts.Store(), &in); err != nil {
		return nil, fault.New(fault.Invalid, "InvalidGroupQueryText: %w", err)
	}
	filter.NameSensors(s.sensorName, nil, &in)
	where, err := filter.ReadGroup(in, sensors, names)
	if err != nil {
		return nil, fmt.Errorf("InvalidGroupQueryText: %w", orMissingPart(err))
	}
	return where, nil
}

func sameParts(a, b *object.Object) bool {
	for _, field := range groupParts {
		x, y := object.New(a.Shape()), object.New(b.Shape())
		x.Set(field, a.Value(field))
		y.Set(field, b.Value(field))
		if !bytes.Equal(x.Store(), y.Store()) {
			return false
		}
	}
	return true
}

// sayGroup writes a condition into a group's object.
func (s *server) sayGroup(o *object.Object, where question.Condition) error {
	return sayCondition(o, where, s.engine.Catalogue())
}

func sayCondition(o *object.Object, where question.Condition, sensors *sensor.Catalogue) error {
	g := filter.Writer{Sensors: sensors, Finished: true}.Group(where)
	if g.ID != 0 { // it would be the group that it names: that stands within
		g = filter.Group{
			Text: g.Text, AndFlag: g.AndFlag, NotFlag: g.NotFlag, Filters: []filter.Filter{},
			SubGroups: []filter.Group{{ID: g.ID, Name: g.Name, AndFlag: g.AndFlag}},
		}
	}
	said, err := json.Marshal(g)
	if err != nil {
		return err
	}
	parts, err := object.ShapeOf("group").Decode(said, object.Lenient)
	if err != nil {
		return err
	}
	for _, field := range append([]string{"text"}, groupParts...) {
		o.Set(field, parts.Value(field))
	}
	return nil
}

// renameGroup rewrites everything that names a group, within the change that
// renames it.
func (s *server) renameGroup(ch *shelf.Change, id int64, name string) error {
	sensors, names := s.sensorsIn(ch), groupNames{ch}
	for _, r := range ch.All("group") {
		if r.ID == id || r.Object.Int("type") == groupManual {
			continue
		}
		where, err := groupCondition(r.Object, sensors, names)
		if err != nil || !slices.Contains(members(where), id) {
			continue // what cannot be read names nothing
		}
		o := r.Object.Clone()
		if err := sayCondition(o, renamed(where, id, name), sensors); err != nil {
			return err
		}
		if _, err := ch.Update(r, o); err != nil {
			return err
		}
	}
	for _, r := range slices.Concat(ch.All("saved_question"), ch.All(copyKind)) {
		q, err := question.Parse(r.Object.Text("query_text"), sensors, names)
		if err != nil || !slices.Contains(members(q.Where), id) {
			continue
		}
		q.Where = renamed(q.Where, id, name)
		o := r.Object.Clone()
		if err := saySaved(o, q, sensors); err != nil {
			return err
		}
		if _, err := ch.Update(r, o); err != nil {
			return err
		}
	}
	return nil
}

// flagged shows the groups that have a flag set.
func flagged(flag string) func(*shelf.Record) bool {
	return func(r *shelf.Record) bool { return r.Object.Is(flag) }
}

// manual shows the groups that list their machines.
func manual(r *shelf.Record) bool { return r.Object.Int("type") == groupManual }

// removeGroup refuses to delete a group that others need.
func (s *server) removeGroup(_ context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	if reservedGroup(r.ID) {
		return reservedError()
	}
	return s.refuseUsed(ch, "Group", "group", r)
}

// deriveGroup says what a manual group is in words.
func deriveGroup(r *shelf.Record, o *object.Object) {
	if _, said := o.Shape().Field("text"); said && r.Object.Int("type") == groupManual {
		o.Set("text", fmt.Sprintf(" Manual Group Membership equals %d", r.ID))
	}
}

// adHocGroup finds or makes the group that an object within another one means:
// by its number, its name, its text or its filters. None at all is no group.
func (s *server) adHocGroup(ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	id, name := o.Int("id"), strings.TrimSpace(o.Text("name"))
	switch {
	case id != 0:
		if r := ch.ByID("group", id); r != nil {
			return r, nil
		}
		return nil, missing("Group", "group")
	case name != "":
		if r := ch.ByName("group", name); r != nil {
			return r, nil
		}
	case o.Text("text") == "" && len(o.Objects("filters"))+len(o.Objects("sub_groups")) == 0:
		return nil, nil
	}
	if o.Text("text") == "" && len(o.Objects("filters"))+len(o.Objects("sub_groups")) == 0 {
		return nil, missing("Group", "group")
	}
	made := object.New(object.ShapeOf("group")).With(o)
	made.Set("id", nil)
	made.Set("name", nil)
	made.Set("type", int64(groupAdHoc))
	if err := s.settleGroup(ch, nil, made); err != nil {
		return nil, err
	}
	if err := roomForAdHoc(ch); err != nil {
		return nil, err
	}
	return ch.Create("group", 0, made)
}
