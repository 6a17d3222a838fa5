package api

import (
	"fmt"
	"slices"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/question"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// usesNamed is how many of the users of an object an error names.
const usesNamed = 5

// numberFields are fields that hold the number of another object without saying so
// in their type.
var numberFields = map[string]string{
	"group_id": "group", "verify_group_id": "group", "row_filter_group_id": "group", "saved_question_group_id": "group",
	"action_group_id": "action_group", "saved_question_id": "saved_question",
}

// refuseUsed is the error about an object that others refer to; nil if none
// does.
func (s *server) refuseUsed(ch *shelf.Change, noun, kind string, r *shelf.Record) error {
	uses := s.uses(ch, kind, r.ID)
	if len(uses) == 0 {
		return nil
	}
	more := ""
	if n := len(uses) - usesNamed; n > 0 {
		uses, more = uses[:usesNamed], fmt.Sprintf(" and %d more", n)
	}
	return fault.New(fault.Conflict, "%sInUse: the %s %q cannot be deleted: it is used by %s%s", noun, r.Kind.What, r.Name, strings.Join(uses, ", "), more)
}

// uses names everything that refers to an object.
func (s *server) uses(ch *shelf.Change, kind string, id int64) (out []string) {
	for _, k := range shelf.Kinds {
		for _, r := range ch.All(k.Name) {
			if k.Name == kind && r.ID == id || finished(r) {
				continue
			}
			if !refersTo(r.Object, kind, id) && (kind != "group" || !slices.Contains(s.namedGroups(ch, r), id)) {
				continue
			}
			if k.Name == "group" && r.Name == "" {
				out = append(out, s.uses(ch, "group", r.ID)...) // nobody else knows of an ad hoc group
				continue
			}
			out = append(out, fmt.Sprintf("the %s %s", r.Kind.What, called(r)))
		}
	}
	return out
}

// finished reports whether a record only tells what has been: it keeps nobody
// from deleting anything.
func finished(r *shelf.Record) bool {
	return r.Kind.Name == "action" || r.Kind.Name == "action_stop" || r.Kind.Name == "saved_action_approval" ||
		r.Kind.Name == "saved_action" && r.Object.Int("status") != savedActionEnabled
}

func called(r *shelf.Record) string {
	if r.Name != "" {
		return fmt.Sprintf("%q", r.Name)
	}
	if name := r.Object.Text("name"); name != "" {
		return fmt.Sprintf("%q", name)
	}
	return fmt.Sprintf("%d", r.ID)
}

// refersTo reports whether an object, or one within it, refers to another.
func refersTo(o *object.Object, kind string, id int64) (is bool) {
	eachReference(o, func(of string, to int64) { is = is || of == kind && to == id })
	return is
}

// eachReference calls f for what an object, or one within it, refers to: its kind,
// and its number, which is 0 where it says none.
func eachReference(o *object.Object, f func(kind string, id int64)) {
	for i := range o.Shape().Fields {
		field := &o.Shape().Fields[i]
		if !o.Has(field.Name) {
			continue
		}
		switch {
		case field.Type == object.Reference:
			f(field.Kind, o.Ref(field.Name).ID)
			for _, r := range o.Refs(field.Name) {
				f(field.Kind, r.ID)
			}
		case field.Type == object.Number && numberFields[field.Name] != "":
			f(numberFields[field.Name], o.Int(field.Name))
		case field.Type == object.Nested:
			inner := o.Objects(field.Name)
			if one := o.Object(field.Name); one != nil {
				inner = []*object.Object{one}
			}
			for _, in := range inner {
				if _, numbered := in.Shape().Field("id"); numbered {
					f(field.Of.Name, in.Int("id"))
				}
				eachReference(in, f)
			}
		}
	}
}

// namedGroups are the groups that a saved question names in its text.
func (s *server) namedGroups(ch *shelf.Change, r *shelf.Record) []int64 {
	if r.Kind.Name != "saved_question" {
		return nil
	}
	q, err := question.Parse(r.Object.Text("query_text"), s.sensorsIn(ch), groupNames{ch})
	if err != nil {
		return nil
	}
	return members(q.Where)
}
