package api

import (
	"slices"
	"strings"

	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// approvalSays is what programs have to know of approvals.
const approvalSays = "An approval is of the machines that were meant: when the target group or the action group, or a group within them, comes to mean others, it is needed again, and approval_lapsed says why."

// needsApproval reports whether what the caller does waits for a second person.
func (s *server) needsApproval(c call) bool {
	return s.setting(approvalSetting) == "1" && !c.rights.May(rights.BypassActionApproval, rights.Everywhere)
}

// approvedOf stands for what is approved beside what the scheduled action says
// itself, as it says of its package: which machines its groups mean.
func approvedOf(from namer, saved *object.Object) string {
	groups := []int64{}
	and := ""
	if g := from.ByID("action_group", saved.Ref("action_group").ID); g != nil {
		for _, ref := range g.Object.Refs("groups") {
			groups = append(groups, ref.ID)
		}
		if g.Object.Is("and_flag") {
			and = "&"
		}
	}
	return people.Mark(from, targetOf(saved)) + " " + people.Mark(from, groups...) + and
}

// targetOf is the number of the group of machines that an action is for.
func targetOf(o *object.Object) int64 {
	if target := o.Object("target_group"); target != nil {
		return target.Int("id")
	}
	return 0
}

// approved reports whether a scheduled action may happen as far as a second person
// is needed for that.
func (s *server) approved(from namer, saved *object.Object) bool {
	return saved.Is("approved_flag") && s.lapsed(from, saved) == ""
}

// lapsed says why the approval of a scheduled action holds no more; "" if it does,
// or none was needed.
func (s *server) lapsed(from namer, saved *object.Object) string {
	if !saved.Is("approved_flag") || saved.Ref("approver").ID == 0 || s.setting(approvalSetting) != "1" {
		return ""
	}
	was, is := saved.Text("approved_of"), approvedOf(from, saved)
	target, _, _ := strings.Cut(is, " ")
	switch {
	case was == is:
		return ""
	case strings.HasPrefix(was, target+" "):
		return "its action group means other machines than when it was approved"
	}
	return "its target group means other machines than when it was approved"
}

// hisOwn reports whether a scheduled action is what the caller has made or changed
// last, if only by changing since which machines its groups mean.
func (s *server) hisOwn(c call, ch *shelf.Change, saved *shelf.Record) bool {
	if saved.Object.Ref("user").ID == c.user.ID || saved.ModifiedBy == c.user.ID && saved.Object.Ref("approver").ID != c.user.ID {
		return true
	}
	changed := func(r *shelf.Record) bool {
		return r != nil && r.ModifiedBy == c.user.ID && r.Modified.After(saved.Modified)
	}
	groups := []int64{targetOf(saved.Object)}
	if g := ch.ByID("action_group", saved.Object.Ref("action_group").ID); g != nil {
		if changed(g) {
			return true
		}
		for _, ref := range g.Object.Refs("groups") {
			groups = append(groups, ref.ID)
		}
	}
	return slices.ContainsFunc(groups, func(group int64) bool {
		return slices.ContainsFunc(people.Within(ch, group), func(id int64) bool { return changed(ch.ByID("group", id)) })
	})
}
