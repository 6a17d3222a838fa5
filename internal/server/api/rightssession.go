package api

import (
	"context"
	"encoding/json"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

// rightsRoutes are about who somebody is and what he may do.
func (s *server) rightsRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"POST", v2 + "session/as_persona/{id}", withSession, rights.None, postSpared(bodyMax, s.asPersona)},
		{"POST", v2 + "session/password", withSession, rights.None, post(bodyMax, s.changeOwnPassword)},
		{"GET", v2 + "session/current/effective-roles", withSession, rights.None, get(s.currentRoles)},
		{"GET", v2 + "session/management_rights", withSession, rights.None, get(s.currentMachines)},
		{"GET", v2 + "user/{id}/effective-roles", withSession, rights.ReadUser, get(s.userRoles)},
		{"GET", v2 + "persona/{id}/effective-roles", withSession, rights.ReadPersona, get(s.personaRoles)},
		{"GET", v2 + "effective_content_set_privileges", withSession, rights.None, get(s.currentPrivileges)},
		{"GET", v2 + "effective_content_set_privileges/{id}", withSession, rights.ReadUser, get(s.userPrivileges)},
		{"POST", v2 + "preview_content_set_role", withSession, rights.ReadRole, post(bodyMax, s.previewRoles)},
		{"POST", v2 + "preview_content_set_role_detailed", withSession, rights.ReadRole, post(bodyMax, s.previewRolesDetailed)},
		{"GET", v2 + "content_set_roles/memberships", withSession, rights.ReadRole, get(s.allMemberships)},
		{"GET", v2 + "content_set_roles/{id}/memberships", withSession, rights.ReadRole, get(s.roleMemberships)},
		{"GET", v2 + "active_user_count", withSession, rights.ReadUser, get(s.activeUsers)},
		{"GET", v2 + "users/{id}/metadata", withSession, rights.ReadUser, get(s.listMetadata)},
		{"POST", v2 + "users/{id}/metadata", withSession, rights.WriteUser, post(bodyMax, s.createMetadata)},
		{"GET", v2 + "users/{id}/metadata/by-name/{name}", withSession, rights.ReadUser, get(s.showMetadata)},
		{"PATCH", v2 + "users/{id}/metadata/by-name/{name}", withSession, rights.WriteUser, post(bodyMax, s.changeMetadata)},
		{"DELETE", v2 + "users/{id}/metadata/by-name/{name}", withSession, rights.WriteUser, get(s.deleteMetadata)},
	}
}

// currentObject is who a session is, in the form that programs expect.
type currentObject struct {
	User    json.RawMessage `json:"user"`
	Session sessionRef      `json:"session"`
	Persona *nameRef        `json:"persona,omitempty"`
	// UserGroup is Catenary's own: the one whose rights alone the session has.
	UserGroup *nameRef `json:"user_group,omitempty"`
}

type sessionRef struct {
	UserID    int64 `json:"user_id"`
	PersonaID int64 `json:"persona_id"` // 0: the user himself
}

func (s *server) sessionCurrent(ctx context.Context, c call) (currentObject, error) {
	r := s.shelves.ByID("user", c.user.ID)
	if r == nil {
		return currentObject{}, s.shelves.Kind("user").Missing()
	}
	if err := s.loadLogins(ctx); err != nil {
		return currentObject{}, err
	}
	o := r.Object.Clone()
	s.deriveUser(r, o)
	s.detailUser(r, o)
	o.Set("as_persona", c.user.Persona)
	out := currentObject{
		User: o.Append(nil, r.Header, s.shelves.NameOf), Session: sessionRef{c.user.ID, c.user.Persona},
	}
	if p := s.shelves.ByID("persona", c.user.Persona); p != nil {
		out.Persona = &nameRef{p.ID, p.Name}
	}
	if g := s.shelves.ByID("user_group", c.user.UserGroup); g != nil {
		out.UserGroup = &nameRef{g.ID, g.Name}
	}
	return out, nil
}

type reauthentication struct {
	Password string `json:"password"` // where the persona wants it
}

// asPersona begins a session in which the user acts as one of his personas;
// as 0, as himself again.
func (s *server) asPersona(ctx context.Context, c call, in reauthentication) (sessionObject, error) {
	id, err := c.number("id", "persona")
	if err != nil {
		return sessionObject{}, err
	}
	if byToken(c) {
		return sessionObject{}, notByToken()
	}
	if c.user.UserGroup != 0 {
		return sessionObject{}, notAsMember()
	}
	u := c.user
	u.Persona = int64(id)
	if !s.mayAct(u) {
		return sessionObject{}, fault.New(fault.Invalid, "InvalidPersona: there is no persona %d for this user", id)
	}
	if p := s.shelves.ByID("persona", u.Persona); p != nil && p.Object.Is("require_reauthentication_flag") {
		if err := s.samePerson(ctx, c, in.Password); err != nil {
			return sessionObject{}, err
		}
	}
	err = s.store.Audit(ctx, s.entry(c, store.AuditEntry{Type: "as_persona", Kind: auditLogins, ObjectID: u.ID, ObjectName: u.Name, Details: s.shelves.NameOf("persona", u.Persona)}))
	if err != nil {
		return sessionObject{}, err
	}
	str, ended := s.sessions.goOn(time.Now(), secret(c.Header.Get("session")), u)
	return sessionObject{string(str)}, s.auditEnded(ctx, c, u, ended)
}

// changeOwnPassword changes the password of the one who asks.
func (s *server) changeOwnPassword(ctx context.Context, c call, in newPassword) (idObject, error) {
	u := s.shelves.ByID("user", c.user.ID)
	if u == nil {
		return idObject{}, s.shelves.Kind("user").Missing()
	}
	patch := object.New(object.ShapeOf("user"))
	patch.Set("password", in.Password)
	patch.Set("old_password", in.OldPassword)
	if err := s.readyUser(ctx, c, u, patch); err != nil {
		return idObject{}, err
	}
	hash, err := takeHash(patch)
	if err != nil {
		return idObject{}, err
	}
	return idObject{uint64(u.ID)}, s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		return s.setPassword(ctx, c, ch, u, hash)
	})
}

// A heldRole is a role that counts for somebody, and where it comes from.
type heldRole struct {
	ID       int64     `json:"id"`
	Name     string    `json:"name"`
	DenyFlag int       `json:"deny_flag"`
	Sources  []nameRef `json:"sources"`
	From     []string  `json:"source_types"` // user, user_group or persona, as the sources stand
}

type effectiveRoles struct {
	Roles []heldRole `json:"effective_roles"`
}

// roles names roles, each once.
func (s *server) roles(list []people.Held) effectiveRoles {
	out := effectiveRoles{Roles: []heldRole{}}
	at := map[int64]int{}
	for _, h := range list {
		r := s.shelves.ByID("content_set_role", h.Role)
		if r == nil {
			continue
		}
		i, ok := at[h.Role]
		if !ok {
			i = len(out.Roles)
			at[h.Role] = i
			one := heldRole{ID: r.ID, Name: r.Name, Sources: []nameRef{}, From: []string{}}
			if r.Object.Is("deny_flag") {
				one.DenyFlag = 1
			}
			out.Roles = append(out.Roles, one)
		}
		one := &out.Roles[i]
		one.Sources = append(one.Sources, nameRef{h.ID, s.shelves.NameOf(h.Kind, h.ID)})
		one.From = append(one.From, h.Kind)
	}
	return out
}

func (s *server) currentRoles(_ context.Context, c call) (effectiveRoles, error) {
	list, _ := s.people.State().Held(identity(c.user)) // none, if he has been shut out meanwhile
	return s.roles(list), nil
}

func (s *server) userRoles(_ context.Context, c call) (effectiveRoles, error) {
	id, err := s.known(c, "user")
	list, _ := s.people.State().Held(people.Identity{User: id}) // none, of who is locked out
	return s.roles(list), err
}

func (s *server) personaRoles(_ context.Context, c call) (effectiveRoles, error) {
	id, err := s.known(c, "persona")
	return s.roles(s.people.State().HeldBy("persona", id)), err
}

// known is the number in the path, of an object that is there.
func (s *server) known(c call, kind string) (int64, error) {
	k := s.shelves.Kind(kind)
	id, err := c.number("id", k.What)
	if err == nil && s.shelves.ByID(kind, int64(id)) == nil {
		err = k.Missing()
	}
	return int64(id), err
}

// currentMachines are the groups within which the caller sees machines; of who
// sees all, the one of all.
func (s *server) currentMachines(_ context.Context, c call) ([]json.RawMessage, error) {
	groups := c.rights.Groups
	if groups == nil {
		groups = []int64{allComputers}
	}
	out := []json.RawMessage{}
	for _, f := range s.faces() {
		if f.path != "management_rights_groups" {
			continue
		}
		for _, id := range groups {
			if r := s.shelves.ByID("group", id); r != nil {
				out = append(out, s.text(f, r))
			}
		}
	}
	return out, nil
}

func (s *server) currentPrivileges(_ context.Context, c call) ([]effectivePrivilege, error) {
	return s.effectivePrivileges(c.rights), nil
}

func (s *server) userPrivileges(_ context.Context, c call) ([]effectivePrivilege, error) {
	id, err := s.known(c, "user")
	may, _ := s.people.Rights(people.Identity{User: id}) // nothing, of who is locked out
	return s.effectivePrivileges(may), err
}

func (s *server) activeUsers(context.Context, call) (int, error) {
	return s.sessions.users(time.Now()), nil
}
