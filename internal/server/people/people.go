// Package people works out who may do what from the objects that say so: users,
// user groups, personas, roles and privileges.
//
// It also keeps five promises, whoever changes those objects and by whatever
// way: nobody gives away more than he has, nobody changes somebody who may do
// more than he, there is always somebody left who administers everything, what
// the groups mean that say which machines somebody sees is changed only by who
// may change that person's rights, and nobody comes to see all machines instead
// of some because of what is said elsewhere.
// What a request needs, and whether it is granted, is decided elsewhere.
package people

import (
	"sync"

	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// kinds are the objects that rights depend on.
var kinds = []string{"user", "user_group", "persona", "content_set_role", "content_set_privilege"}

// A Book answers what somebody may do. Its methods may be called from any
// goroutine.
type Book struct {
	shelves *shelf.Shelves

	mu       sync.Mutex // guards the fields below
	version  uint64     // of the shelves, as of which the rest is true
	state    *State
	standing map[Identity]standing
}

// An Identity is a user, and as what he acts: a persona, a member of one of his
// user groups and nothing else, or himself.
type Identity struct{ User, Persona, Group int64 }

type standing struct {
	rights rights.Rights
	known  bool
}

// Open returns the book of what is on the shelves, and guards the shelves.
func Open(s *shelf.Shelves) *Book {
	b := &Book{shelves: s}
	s.Guard(guard)
	return b
}

// Rights are what somebody may do now. It reports false of who is not there, or
// locked out, or may not act as that persona.
func (b *Book) Rights(id Identity) (rights.Rights, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.renew()
	s, ok := b.standing[id]
	if !ok {
		s.rights, s.known = b.state.Rights(id)
		if s.known { // strangers could fill the memory
			b.standing[id] = s
		}
	}
	return s.rights, s.known
}

// State is who there is now, and what each may do.
func (b *Book) State() *State {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.renew()
	return b.state
}

func (b *Book) renew() {
	// Read first: what changes while the state is made makes it old again.
	if v := b.shelves.Version(kinds...); b.state == nil || v != b.version {
		b.version, b.state, b.standing = v, StateOf(b.shelves.All), map[Identity]standing{}
	}
}
