package shelf

import "catenary/internal/server/object"

// Amend changes what a record shows, without author, audit and database: it is
// for what can be worked out anew when the objects are read again. f gets a copy
// of the object. A record that is not there is no error: it was deleted
// meanwhile.
func (s *Shelves) Amend(kind string, id int64, f func(o *object.Object)) {
	s.one.Lock()
	defer s.one.Unlock()
	was := s.ByID(kind, id)
	if was == nil {
		return
	}
	o := was.Object.Clone()
	f(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shelf(kind).put(&Record{Header: was.Header, Kind: was.Kind, Name: was.Name, Object: o})
}

// NameOf is Shelves.NameOf within the change.
func (c *Change) NameOf(kind string, id int64) string { return c.nameOf(kind, id) }
