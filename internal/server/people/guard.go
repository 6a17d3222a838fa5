package people

import (
	"maps"
	"slices"

	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// guard refuses changes that break one of the promises, and holds those back who
// would see more by a change of nobody's.
func guard(c *shelf.Change) error {
	groups := c.Changed("group")
	if !slices.ContainsFunc(kinds, func(k string) bool { return len(c.Changed(k)) > 0 }) && len(groups) == 0 {
		return nil
	}
	before := StateOf(c.AllBefore)
	after := StateOf(c.All)
	if before.administrators() > 0 && after.administrators() == 0 {
		return fault.New(fault.Conflict, "RBACInvalidOperation: the last user who may do everything cannot be deleted, locked out or lose the role %q", Administrator)
	}
	by := Identity{c.Author().UserID, c.Author().PersonaID, c.Author().UserGroupID}
	if by.User == 0 {
		return hold(c, before, after)
	}
	mine, ok := before.Rights(by)
	if !ok {
		return fault.New(fault.Denied, "RBACInsufficientPrivilege: this user, or this persona, may do nothing any more")
	}
	if mine.Anything {
		return nil
	}
	g := giving{before: before, after: after, by: by, mine: mine}
	if err := g.users(c.Changed("user")); err != nil {
		return err
	}
	if err := g.all(); err != nil {
		return err
	}
	return g.machines(c, groups)
}

// A giving is a change of what people may do, by somebody who may not do
// everything.
type giving struct {
	before, after *State
	by            Identity
	mine          rights.Rights
	altered       map[int64]bool // roles that are not what they were
}

func tooMuch(what string) error {
	return fault.New(fault.Denied, "RBACInsufficientPrivilege: nobody can give away more than he has: %s", what)
}

// users makes sure that whoever changes other users may do all that they may:
// who can set a password can become that user.
func (g *giving) users(changed []int64) error {
	for _, u := range changed {
		if u == g.by.User {
			continue
		}
		if err := g.before.Manage(g.mine, u); err != nil {
			return err
		}
	}
	return nil
}

// Manage refuses who may do less than a user to change anything about him.
func (s *State) Manage(mine rights.Rights, user int64) error {
	for _, id := range s.identities(user) {
		theirs, ok := s.standing(id)
		if ok && !theirs.Within(mine) {
			return fault.New(fault.Denied, "RBACInsufficientPrivilege: user %d may do more than who wants to change him", user)
		}
	}
	return nil
}

// standing is Rights, also of who is locked out: he may be let in again.
func (s *State) standing(id Identity) (rights.Rights, bool) {
	u, ok := s.users[id.User]
	if !ok {
		return rights.Rights{}, false
	}
	if !u.locked {
		return s.Rights(id)
	}
	open := *s
	open.users = map[int64]user{id.User: {u.holder, false}}
	return open.Rights(id)
}

// all makes sure that nobody can do, after the change, what neither he could
// before nor who makes the change.
func (g *giving) all() error {
	g.altered = map[int64]bool{}
	for id, r := range g.after.roles {
		if old, ok := g.before.roles[id]; ok && sameRole(old, r) {
			continue
		}
		g.altered[id] = true
		given := g.after.of([]Held{{Role: id}}, g.mine.Groups)
		had := g.before.of([]Held{{Role: id}}, g.mine.Groups)
		if !given.Within(g.mine, had) {
			return tooMuch("the role allows what its author may not")
		}
	}
	for id := range g.before.roles {
		if _, still := g.after.roles[id]; !still {
			g.altered[id] = true
		}
	}
	for _, kind := range []string{"user_group", "persona"} {
		if err := g.holders(kind); err != nil {
			return err
		}
	}
	for _, u := range slices.Sorted(maps.Keys(g.after.users)) {
		for _, id := range g.after.identities(u) {
			if err := g.identity(id); err != nil {
				return err
			}
		}
	}
	return nil
}

func sameRole(a, b role) bool {
	return a.Deny == b.Deny && a.everything == b.everything && slices.Equal(a.Grants, b.Grants)
}

// holders checks what user groups or personas pass on to whoever comes to be in
// them.
func (g *giving) holders(kind string) error {
	was, is := g.before.groups, g.after.groups
	if kind == "persona" {
		was, is = g.before.personas, g.after.personas
	}
	for id, h := range is {
		old, ok := was[id]
		if ok && old.group == h.group && slices.Equal(old.roles, h.roles) && !g.anyAltered(h.roles) {
			continue
		}
		given := g.after.of(g.after.HeldBy(kind, id), machinesOf(h))
		sources := []rights.Rights{g.mine}
		if ok {
			sources = append(sources, g.before.of(g.before.HeldBy(kind, id), machinesOf(old)))
		}
		if !given.Within(sources...) {
			return tooMuch("a " + noun[kind] + " allows what its author may not")
		}
	}
	return nil
}

var noun = map[string]string{"user": "user", "user_group": "user group", "persona": "persona"}

func machinesOf(h holder) []int64 {
	if h.group == 0 {
		return nil
	}
	return []int64{h.group}
}

func (g *giving) anyAltered(roles []int64) bool {
	return slices.ContainsFunc(roles, func(id int64) bool { return g.altered[id] })
}

func (g *giving) identity(id Identity) error {
	heldNow, _ := g.after.Held(id)
	heldThen, could := g.before.Held(id)
	sameMachines := could && slices.Equal(g.after.Machines(id), g.before.Machines(id))
	same := func(h Held) bool { return g.altered[h.Role] }
	if sameMachines && slices.Equal(heldNow, heldThen) && !slices.ContainsFunc(heldNow, same) && !slices.ContainsFunc(heldThen, same) {
		return nil
	}
	given, can := g.after.Rights(id)
	if !can {
		return nil
	}
	sources := []rights.Rights{g.mine}
	if had, ok := g.before.standing(id); ok {
		sources = append(sources, had)
	}
	if !given.Within(sources...) {
		return tooMuch("a user could do what neither he could before nor who makes the change")
	}
	return nil
}
