package api

import (
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

func identity(u store.User) people.Identity {
	return people.Identity{User: u.ID, Persona: u.Persona, Group: u.UserGroup}
}

// effective is what a user may do.
func (s *server) effective(u store.User) rights.Rights {
	r, _ := s.people.Rights(identity(u)) // nothing, of who is not there
	return r
}

// mayAct reports whether a user is there, not locked out, and may act as his
// persona: it is asked at every request, so that who is shut out is out at once.
func (s *server) mayAct(u store.User) bool {
	_, ok := s.people.Rights(identity(u))
	return ok
}

// ownerOf is the user of a token.
func (s *server) ownerOf(c call, t store.Token) store.User {
	if t.UserID == c.user.ID {
		return c.user
	}
	return s.userOf(t)
}

// userOf is the user of a token as the shelf has him.
func (s *server) userOf(t store.Token) store.User {
	u := store.User{ID: t.UserID, Persona: t.Persona, LastLogin: s.logins.of(t.UserID)}
	if r := s.shelves.ByID("user", t.UserID); r != nil {
		u.Name, u.Created = r.Name, r.Created
	}
	return u
}
