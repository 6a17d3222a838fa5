package people

import (
	"slices"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// A State is who there is and what each may do at one moment. It does not
// change.
type State struct {
	privileges map[int64]rights.Privilege // by the number of their objects
	roles      map[int64]role
	users      map[int64]user
	groups     map[int64]holder // user groups
	personas   map[int64]holder

	memberOf map[int64][]int64 // the user groups of a user
	offered  map[int64][]int64 // the personas as which a user may act
}

// A role as it grants and denies.
type role struct {
	rights.Role
	everything bool // the reserved role of administrators
}

// A holder has roles, and machines on which they count.
type holder struct {
	roles []int64
	group int64 // of computers; 0: it says nothing about machines
}

type user struct {
	holder
	locked bool
}

// StateOf makes a state of all objects there are.
func StateOf(all func(kind string) []*shelf.Record) *State {
	s := &State{
		privileges: map[int64]rights.Privilege{}, roles: map[int64]role{}, users: map[int64]user{},
		groups: map[int64]holder{}, personas: map[int64]holder{}, memberOf: map[int64][]int64{}, offered: map[int64][]int64{},
	}
	for _, r := range all("content_set_privilege") {
		if p, ok := rights.Parse(r.Name); ok {
			s.privileges[r.ID] = p
		}
	}
	for _, r := range all("content_set_role") {
		s.roles[r.ID] = role{s.Grants(r.Object), r.Object.Text("reserved_name") == Administrator}
	}
	for _, r := range all("user") {
		s.users[r.ID] = user{holder{numbers(r.Object, "content_set_roles"), r.Object.Int("group_id")}, r.Object.Int("locked_out") != 0}
	}
	for _, r := range all("user_group") {
		s.groups[r.ID] = holder{numbers(r.Object, "content_set_roles"), r.Object.Ref("group").ID}
		for _, u := range numbers(r.Object, "user_list") {
			s.memberOf[u] = append(s.memberOf[u], r.ID)
		}
	}
	for _, r := range all("persona") {
		s.personas[r.ID] = holder{numbers(r.Object, "content_set_role_list"), r.Object.Ref("group").ID}
		s.offer(r)
	}
	return s
}

// offer notes who may act as a persona.
func (s *State) offer(r *shelf.Record) {
	to := numbers(r.Object, "user_list")
	groups := numbers(r.Object, "user_group_list")
	if len(groups) > 0 {
		for u, of := range s.memberOf {
			if slices.ContainsFunc(of, func(g int64) bool { return slices.Contains(groups, g) }) {
				to = append(to, u)
			}
		}
	}
	slices.Sort(to)
	for _, u := range slices.Compact(to) {
		s.offered[u] = append(s.offered[u], r.ID)
	}
}

// numbers are those of the objects that a list refers to, each once.
func numbers(o *object.Object, field string) []int64 {
	var out []int64
	for _, ref := range o.Refs(field) {
		if !slices.Contains(out, ref.ID) {
			out = append(out, ref.ID)
		}
	}
	return out
}

// Grants is what a role's object grants, or denies.
func (s *State) Grants(o *object.Object) rights.Role {
	r := rights.Role{Deny: o.Is("deny_flag")}
	for _, one := range o.Objects("content_set_role_privileges") {
		p, known := s.privileges[one.Ref("content_set_privilege").ID]
		set := one.Ref("content_set").ID
		if o.Is("all_content_sets_flag") || !p.InSet() {
			set = rights.Everywhere
		} else if set == rights.Everywhere {
			continue // in no content set
		}
		if known {
			r.Grants = append(r.Grants, rights.Grant{Privilege: p, Set: set})
		}
	}
	return r
}

// A Held role, and who has it: the user ("user"), one of his user groups
// ("user_group"), or the persona.
type Held struct {
	Role int64
	Kind string
	ID   int64
}

// Held are the roles that count for somebody; of none, if he may not act so.
func (s *State) Held(id Identity) (out []Held, ok bool) {
	u, ok := s.users[id.User]
	if !ok || u.locked {
		return nil, false
	}
	if id.Group != 0 {
		return s.heldIn(id)
	}
	if id.Persona != 0 {
		if !slices.Contains(s.offered[id.User], id.Persona) {
			return nil, false
		}
		return s.HeldBy("persona", id.Persona), true
	}
	out = append(out, held(u.holder, "user", id.User)...)
	for _, g := range s.memberOf[id.User] {
		out = append(out, held(s.groups[g], "user_group", g)...)
	}
	return out, true
}

// heldIn are the roles that count for somebody as a member of one user group: its
// own, and of his others those that deny, for he must not gain by it.
func (s *State) heldIn(id Identity) (out []Held, ok bool) {
	if id.Persona != 0 || !slices.Contains(s.memberOf[id.User], id.Group) {
		return nil, false
	}
	all, ok := s.Held(Identity{User: id.User})
	return slices.DeleteFunc(all, func(h Held) bool {
		return !s.roles[h.Role].Deny && (h.Kind != "user_group" || h.ID != id.Group)
	}), ok
}

// HeldBy are the roles of a persona, or of a user group.
func (s *State) HeldBy(kind string, id int64) []Held {
	if kind == "persona" {
		return held(s.personas[id], kind, id)
	}
	return held(s.groups[id], kind, id)
}

func held(h holder, kind string, id int64) (out []Held) {
	for _, r := range h.roles {
		out = append(out, Held{r, kind, id})
	}
	return out
}

// Machines are the computer groups within which somebody sees machines; nil:
// all machines. As a member of one user group, which says nothing about machines,
// he sees those that he sees as himself.
func (s *State) Machines(id Identity) (groups []int64) {
	add := func(h holder) {
		if h.group != 0 && !slices.Contains(groups, h.group) {
			groups = append(groups, h.group)
		}
	}
	if id.Persona != 0 {
		add(s.personas[id.Persona])
		return groups
	}
	if h := s.groups[id.Group]; h.group != 0 {
		add(h)
		return groups
	}
	add(s.users[id.User].holder)
	for _, g := range s.memberOf[id.User] {
		add(s.groups[g])
	}
	slices.Sort(groups)
	return groups
}

// Rights are what somebody may do. It reports false of who is not there, or
// locked out, or may not act as that persona.
func (s *State) Rights(id Identity) (rights.Rights, bool) {
	list, ok := s.Held(id)
	if !ok {
		return rights.Rights{}, false
	}
	return s.of(list, s.Machines(id)), true
}

// of works out what roles allow together.
func (s *State) of(list []Held, machines []int64) rights.Rights {
	var roles []rights.Role
	for _, h := range list {
		r, ok := s.roles[h.Role]
		if r.everything {
			return rights.Rights{Anything: true}
		}
		if ok {
			roles = append(roles, r.Role)
		}
	}
	return rights.Of(roles, machines)
}

// Personas are those as which a user may act.
func (s *State) Personas(user int64) []int64 { return s.offered[user] }

// UserGroups are those that a user is in.
func (s *State) UserGroups(user int64) []int64 { return s.memberOf[user] }

// identities are all that a user may act as.
func (s *State) identities(user int64) []Identity {
	out := []Identity{{User: user}}
	for _, p := range s.offered[user] {
		out = append(out, Identity{User: user, Persona: p})
	}
	return out
}

// administrators is how many users may do everything as themselves.
func (s *State) administrators() (n int) {
	for u := range s.users {
		if r, ok := s.Rights(Identity{User: u}); ok && r.Anything {
			n++
		}
	}
	return n
}
