package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
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

// machinesSeen reports of machines whether the caller sees them; nil: he sees all.
func (s *server) machinesSeen(ctx context.Context, c call) (func(endpoint.ID) bool, error) {
	if s.seesAll(c.rights) {
		return nil, nil
	}
	seen, err := s.sight(ctx, c.rights)
	return seen.sees, err
}

// allowAnswer refuses who may see some machines only an answer in which there may
// be others, also such as are in his groups no more since these mean something
// else.
func (s *server) allowAnswer(c call, q store.Question) error {
	if s.seesAll(c.rights) || asksWithin(q.Scope, s.scope(c.rights, 0)) {
		return nil
	}
	return fault.New(fault.Denied, "RBACInsufficientPrivilege: question %d was asked of machines outside your management rights, or their groups have changed: ask it yourself", q.ID)
}

// asksWithin reports whether all machines of a question's scope are in that of
// somebody who sees some.
func asksWithin(asked string, his scope) bool {
	rest, limited := strings.CutPrefix(asked, "within")
	if !limited {
		return false
	}
	mine := strings.Fields(string(his))
	return !slices.ContainsFunc(strings.Fields(rest), func(group string) bool { return !slices.Contains(mine, group) })
}

// allowHistory refuses the questions of others to who may not read those.
func allowHistory(c call, q store.Question) error {
	p := rights.ReadQuestionHistory
	if q.UserID == c.user.ID || c.rights.May(p, rights.Everywhere) {
		return nil
	}
	return insufficient(p)
}

// allowDeed refuses a scheduled action whose author may not have it done any
// more: he may act no longer, or may deploy nothing of its package, or nothing to
// its machines. It is asked each time that an action comes of it, and when it is
// approved: what he could do when he made it does not matter.
func (s *server) allowDeed(ch *shelf.Change, saved *object.Object) error {
	by := people.Identity{User: saved.Ref("user").ID, Persona: saved.Ref("persona").ID}
	if by.User == 0 {
		return nil // Catenary itself
	}
	may, ok := s.people.Rights(by)
	if !ok {
		return fault.New(fault.Denied, "RBACInsufficientPrivilege: the author of the action may not act any more")
	}
	err := s.faceOf("saved_actions").allow(call{rights: may}, rights.WriteAction, saved)
	if err == nil {
		err = s.allowTargets(ch, may, saved)
	}
	if err != nil {
		return fmt.Errorf("the author of the action: %w", err)
	}
	return nil
}

// allowTargets refuses who may see some machines only an action for others: its
// target group, or its action group, has to be of his management rights' groups.
func (s *server) allowTargets(ch *shelf.Change, may rights.Rights, o *object.Object) error {
	if s.seesAll(may) {
		return nil
	}
	mine := func(id int64) bool { return slices.Contains(may.Groups, id) }
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
