package api

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// lastLogins are when users have logged in last. They are no part of the users'
// objects, which change seldom.
type lastLogins struct {
	mu   sync.Mutex // guards the fields below
	at   map[int64]time.Time
	read bool // what is in the database is here
}

// load reads what was noted before this program began.
func (s *server) loadLogins(ctx context.Context) error {
	s.logins.mu.Lock()
	defer s.logins.mu.Unlock()
	if s.logins.read {
		return nil
	}
	users, err := s.store.Users(ctx)
	if err != nil {
		return err
	}
	if s.logins.at == nil {
		s.logins.at = map[int64]time.Time{}
	}
	for _, u := range users {
		if u.LastLogin.After(s.logins.at[u.ID]) {
			s.logins.at[u.ID] = u.LastLogin
		}
	}
	s.logins.read = true
	return nil
}

// note says that a user has logged in.
func (l *lastLogins) note(user int64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.at == nil {
		l.at = map[int64]time.Time{}
	}
	l.at[user] = at
}

func (l *lastLogins) of(user int64) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at[user]
}

// timeText is a time as texts in objects have it; the zero time is never.
func timeText(t time.Time) string {
	if t.IsZero() {
		return object.Never
	}
	return t.UTC().Format(time.RFC3339)
}

// deriveUser adds what a list of users shows.
func (s *server) deriveUser(r *shelf.Record, o *object.Object) {
	state := s.people.State()
	o.Set("last_login", timeText(s.logins.of(r.ID)))
	o.Set("active_session_count", int64(s.sessions.countOf(time.Now(), r.ID)))
	o.Set("personas", object.ListOf(refs(state.Personas(r.ID))))
	if groups := state.Machines(people.Identity{User: r.ID}); len(groups) == 1 {
		o.Set("effective_group_id", groups[0])
	}
}

func refs(ids []int64) []object.Ref {
	out := make([]object.Ref, len(ids))
	for i, id := range ids {
		out[i] = object.Ref{ID: id}
	}
	return out
}

// detailUser adds what a look at one user shows.
func (s *server) detailUser(r *shelf.Record, o *object.Object) {
	may, _ := s.people.Rights(people.Identity{User: r.ID}) // nothing, if he is locked out
	var list []json.RawMessage
	var names []string
	for _, e := range s.effectivePrivileges(may) {
		list = append(list, e.json())
		for _, p := range e.Privileges {
			if !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	slices.Sort(names)
	o.Set("effective_content_set_privileges", object.ListOf(list))
	o.Set("permissions", object.ListOf(names))
	o.Set("owned_object_ids", s.owned(r.ID))
}

// owners are the kinds of objects that belong to a user, by the name of their
// list.
var owners = map[string]string{
	"saved_questions": "saved_question", "saved_actions": "saved_action", "actions": "action",
	"dashboards": "dashboard", "dashboard_groups": "dashboard_group",
}

// owned are the numbers of the objects that belong to a user.
func (s *server) owned(user int64) json.RawMessage {
	out := map[string][]int64{}
	for list, kind := range owners {
		out[list] = []int64{}
		for _, r := range s.shelves.All(kind) {
			if r.Object.Ref("user").ID == user {
				out[list] = append(out[list], r.ID)
			}
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		panic("api: " + err.Error()) // lists of numbers can be written
	}
	return b
}

// An effectivePrivilege is what somebody may do in a content set, or for the
// whole installation: content set 0.
type effectivePrivilege struct {
	Set        nameRef   `json:"content_set"`
	Privileges []nameRef `json:"content_set_privilege_list"`
}

func (e effectivePrivilege) json() json.RawMessage {
	b, err := marshal(e)
	if err != nil {
		panic("api: " + err.Error()) // names and numbers can be written
	}
	return b[:len(b)-1] // without the line end
}

// effectivePrivileges spells rights out, content set by content set.
func (s *server) effectivePrivileges(r rights.Rights) []effectivePrivilege {
	sets := append([]*shelf.Record{nil}, s.shelves.All("content_set")...)
	out := []effectivePrivilege{}
	for _, set := range sets {
		e := effectivePrivilege{Privileges: []nameRef{}}
		if set != nil {
			e.Set = nameRef{set.ID, set.Name}
		}
		for _, p := range rights.All() {
			if p.InSet() == (set != nil) && r.May(p, e.Set.ID) {
				e.Privileges = append(e.Privileges, s.privilege(p))
			}
		}
		if len(e.Privileges) > 0 {
			out = append(out, e)
		}
	}
	return out
}

// privilege is a privilege as an object.
func (s *server) privilege(p rights.Privilege) nameRef {
	ref := nameRef{Name: p.String()}
	if r := s.shelves.ByName("content_set_privilege", p.String()); r != nil {
		ref.ID = r.ID
	}
	return ref
}
