package api

import (
	"slices"
	"strconv"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// seesAll reports whether somebody may see every machine.
func (s *server) seesAll(r rights.Rights) bool {
	if r.Anything || r.Groups == nil {
		return true
	}
	return slices.ContainsFunc(r.Groups, func(id int64) bool {
		g, ok := groupByID(s.groups, id)
		return ok && g.Where == nil
	})
}

// allowAllMachines refuses who may see some machines only what is about others,
// too: the server itself does not know which machines are in a group.
func (s *server) allowAllMachines(c call, because string) error {
	if s.seesAll(c.rights) {
		return nil
	}
	return fault.New(fault.Denied, "RBACInsufficientPrivilege: %s, and your management rights are some of them: only a question finds out which", because)
}

// allowAnswer refuses who may see some machines only an answer in which there may
// be others.
func (s *server) allowAnswer(c call, q store.Question) error {
	if s.seesAll(c.rights) || asksWithin(q.Scope, c.rights.Groups) {
		return nil
	}
	return fault.New(fault.Denied, "RBACInsufficientPrivilege: question %d was asked of machines outside your management rights: ask it yourself", q.ID)
}

// asksWithin reports whether all machines of a question's scope are in the
// groups.
func asksWithin(scope string, groups []int64) bool {
	rest, limited := strings.CutPrefix(scope, "within")
	if !limited {
		return false
	}
	return !slices.ContainsFunc(strings.Fields(rest), func(word string) bool {
		id, err := strconv.ParseInt(word, 10, 64)
		return err != nil || !slices.Contains(groups, id)
	})
}

// allowHistory refuses the questions of others to who may not read those.
func allowHistory(c call, q store.Question) error {
	p := rights.ReadQuestionHistory
	if q.UserID == c.user.ID || c.rights.May(p, rights.Everywhere) {
		return nil
	}
	return insufficient(p)
}

// allowTargets refuses who may see some machines only an action for others: its
// target group, or its action group, has to be of his management rights' groups.
func (s *server) allowTargets(c call, ch *shelf.Change, o *object.Object) error {
	if s.seesAll(c.rights) {
		return nil
	}
	mine := func(id int64) bool { return slices.Contains(c.rights.Groups, id) }
	if target := o.Object("target_group"); target != nil && mine(target.Int("id")) {
		return nil
	}
	if g := ch.ByID("action_group", o.Ref("action_group").ID); g != nil {
		in := 0
		groups := g.Object.Refs("groups")
		for _, ref := range groups {
			if mine(ref.ID) {
				in++
			}
		}
		// Of several groups it is the machines in any, or those in all of them.
		if in > 0 && (in == len(groups) || g.Object.Is("and_flag")) {
			return nil
		}
	}
	return fault.New(fault.Denied, "RBACInsufficientPrivilege: the action is for machines outside your management rights: give it one of their groups as its target_group")
}
