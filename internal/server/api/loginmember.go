package api

import (
	"encoding/json"
	"strconv"

	"catenary/internal/fault"
	"catenary/internal/server/store"
)

// A groupWord is what a program calls a user group by: its name, or its number as
// a number or a text. Nothing, and 0, is no group.
type groupWord string

func (g *groupWord) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil { // null, too
		*g = groupWord(text)
		return nil
	}
	var n number
	if json.Unmarshal(b, &n) != nil {
		return fault.New(fault.Invalid, "as_exclusive_user_group is the name or the number of a user group")
	}
	*g = groupWord(strconv.FormatInt(int64(n), 10))
	return nil
}

// asMember is a user with the rights of one of his user groups, and with no
// others. What is no group of his is none: nobody finds out which groups there
// are.
func (s *server) asMember(u store.User, word string) (store.User, error) {
	if word == "" || word == "0" {
		return u, nil
	}
	r := s.shelves.ByName("user_group", word)
	if id, err := strconv.ParseInt(word, 10, 64); err == nil && s.shelves.ByID("user_group", id) != nil {
		r = s.shelves.ByID("user_group", id)
	}
	if r != nil {
		u.UserGroup = r.ID
	}
	if r == nil || !s.mayAct(u) {
		return store.User{}, fault.New(fault.Invalid, "InvalidUserGroup: as_exclusive_user_group: the user is in no user group %q", shorten(word))
	}
	return u, nil
}

// notAsMember is the refusal of what a session would do that has the rights of
// one user group only, and could have others by it.
func notAsMember() error {
	return fault.New(fault.Denied, "this session has the rights of one user group only: log in without as_exclusive_user_group")
}
