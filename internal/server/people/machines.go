package people

import (
	"fmt"
	"slices"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// changing is what it takes to change which machines somebody sees.
var changing = map[string]rights.Privilege{
	"user": rights.WriteUser, "user_group": rights.WriteUserGroup, "persona": rights.WritePersona,
}

// machines guards what the groups mean that say which machines somebody sees, by
// themselves or as a part of others. To let such a group mean other machines is
// to change those people's rights: it takes the privilege to do that, to see all
// machines, and to be allowed all that they are.
func (g *giving) machines(c *shelf.Change, changed []int64) error {
	altered := map[int64]bool{}
	for _, id := range changed {
		was, is := c.Before("group", id), c.ByID("group", id)
		if g.mine.Groups != nil && (flagged(was) || flagged(is)) {
			return fault.New(fault.Denied, "RBACInsufficientPrivilege: only who sees all machines may change a group with management rights")
		}
		if was != nil && (is == nil || meaning(was.Object) != meaning(is.Object)) {
			altered[id] = true
		}
	}
	if len(altered) == 0 {
		return nil
	}
	within := map[int64]bool{} // groups, and whether one that is altered is part of them
	affected := func(id int64) bool { return id != 0 && reaches(c, id, altered, within) }
	if err := g.mayChange(affected); err != nil {
		return err
	}
	return g.reach(affected)
}

// reach refuses to let others mean the machines of some groups, if who sees these
// may do there what the one who makes the change may not.
func (g *giving) reach(affected func(group int64) bool) error {
	for kind, all := range map[string]map[int64]holder{"user_group": g.after.groups, "persona": g.after.personas} {
		for id, h := range all {
			if affected(h.group) && !g.after.of(g.after.HeldBy(kind, id), machinesOf(h)).Within(g.mine) {
				return tooMuch("on other machines a " + noun[kind] + " would allow what who changes its group may not")
			}
		}
	}
	for u := range g.after.users {
		for _, id := range g.after.identities(u) {
			if !slices.ContainsFunc(g.after.Machines(id), affected) {
				continue
			}
			if given, ok := g.after.standing(id); ok && !given.Within(g.mine) {
				return tooMuch("on other machines a user could do what who changes their group may not")
			}
		}
	}
	return nil
}

// mayChange refuses who may not change people that see the machines of some groups.
func (g *giving) mayChange(affected func(group int64) bool) error {
	holders := map[string]bool{}
	for _, u := range g.before.users {
		holders["user"] = holders["user"] || affected(u.group)
	}
	for _, h := range g.before.groups {
		holders["user_group"] = holders["user_group"] || affected(h.group)
	}
	for _, h := range g.before.personas {
		holders["persona"] = holders["persona"] || affected(h.group)
	}
	for _, kind := range kinds {
		if !holders[kind] {
			continue
		}
		if g.mine.Groups != nil {
			return fault.New(fault.Denied, "RBACInsufficientPrivilege: only who sees all machines may change a group with management rights, or a part of one")
		}
		if p := changing[kind]; !g.mine.May(p, rights.Everywhere) {
			return fault.New(fault.Denied, "RBACInsufficientPrivilege: the group says which machines a %s sees: the privilege %q is needed, too", noun[kind], p)
		}
	}
	return nil
}

func flagged(r *shelf.Record) bool { return r != nil && r.Object.Is("management_rights_flag") }

// reaches reports whether one of the altered groups is a group or part of it, as
// it was before the change. Known are those of which that has been found out.
func reaches(c *shelf.Change, id int64, altered, known map[int64]bool) bool {
	if altered[id] {
		return true
	}
	if is, ok := known[id]; ok {
		return is
	}
	known[id] = false // also of one that is part of itself
	r := c.Before("group", id)
	known[id] = r != nil && slices.ContainsFunc(parts(r.Object), func(part int64) bool { return reaches(c, part, altered, known) })
	return known[id]
}

// parts are the groups that a group's condition names.
func parts(o *object.Object) (out []int64) {
	for _, sub := range o.Objects("sub_groups") {
		if id := sub.Int("id"); id != 0 {
			out = append(out, id)
		} else {
			out = append(out, parts(sub)...)
		}
	}
	return out
}

// meaning is a text that is the same for groups which mean the same machines. The
// names of other groups in them do not matter.
func meaning(o *object.Object) string {
	var b strings.Builder
	write := func(o *object.Object, fields ...string) {
		some := object.New(o.Shape())
		for _, field := range fields {
			some.Set(field, o.Value(field))
		}
		b.Write(some.Store())
	}
	subs := o.Objects("sub_groups")
	write(o, "type", "and_flag", "not_flag", "filters", "computer_specs")
	if len(subs)+len(o.Objects("filters")) == 0 {
		write(o, "text")
	}
	for _, sub := range subs {
		if id := sub.Int("id"); id != 0 {
			fmt.Fprintf(&b, "[%d %v]", id, sub.Is("not_flag"))
		} else {
			fmt.Fprintf(&b, "[%s]", meaning(sub))
		}
	}
	return b.String()
}
