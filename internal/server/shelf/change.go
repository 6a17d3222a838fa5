package shelf

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

// An Author is who changes something.
type Author struct {
	UserID, PersonaID int64 // 0: Catenary itself
	UserGroupID       int64 // whose rights alone the user has; 0: all of his own
	UserName          string
	Address           string // from where
}

// A Change is a set of deeds that happen together or not at all. It sees what
// it has done itself.
type Change struct {
	s      *Shelves
	ctx    context.Context
	tx     *store.Change
	by     Author
	now    time.Time
	staged map[string]map[int64]*Record // nil: deleted
	names  bool
	after  []func()
}

// Change runs f. Nothing has happened if f returns an error, or if the database
// does not take the change.
func (s *Shelves) Change(ctx context.Context, by Author, f func(c *Change) error) error {
	s.one.Lock()
	defer s.one.Unlock()
	c := &Change{s: s, ctx: ctx, by: by, now: time.Now().UTC().Truncate(time.Microsecond), staged: map[string]map[int64]*Record{}}
	err := s.store.Change(ctx, func(tx *store.Change) error {
		c.tx = tx
		if err := f(c); err != nil || s.guard == nil {
			return err
		}
		return s.guard(c)
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	for kind, records := range c.staged {
		sh := s.shelf(kind)
		sh.version++
		for id, r := range records {
			if r == nil {
				sh.drop(id)
			} else {
				sh.put(r)
			}
		}
	}
	s.mu.Unlock()
	if c.names {
		s.names.Add(1)
	}
	for _, f := range c.after {
		f()
	}
	for _, w := range s.watches {
		if slices.ContainsFunc(w.kinds, func(kind string) bool { return len(c.staged[kind]) > 0 }) {
			w.f()
		}
	}
	return nil
}

// After has f called when the change has happened, and not if it does not.
func (c *Change) After(f func()) { c.after = append(c.after, f) }

// Tx is the database's side of the change, for what is not on shelves.
func (c *Change) Tx() *store.Change { return c.tx }

// Now is when the change happens.
func (c *Change) Now() time.Time { return c.now }

// ByID returns a record as it is within the change, or nil.
func (c *Change) ByID(kind string, id int64) *Record {
	if r, ok := c.staged[kind][id]; ok {
		return r
	}
	return c.s.ByID(kind, id)
}

// Author is who changes something.
func (c *Change) Author() Author { return c.by }

// All are the records of a kind as they are within the change, by number.
func (c *Change) All(kind string) []*Record {
	all := c.s.All(kind)
	staged := c.staged[kind]
	if len(staged) == 0 {
		return all
	}
	out := make([]*Record, 0, len(all)+len(staged))
	for _, r := range all {
		if _, changed := staged[r.ID]; !changed {
			out = append(out, r)
		}
	}
	for _, r := range staged {
		if r != nil {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b *Record) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// Changed are the numbers of the objects of a kind that the change has made,
// altered or deleted.
func (c *Change) Changed(kind string) []int64 { return slices.Sorted(maps.Keys(c.staged[kind])) }

// AllBefore are the records of a kind as they were before the change.
func (c *Change) AllBefore(kind string) []*Record { return c.s.All(kind) }

// Before returns a record as it was before the change, or nil.
func (c *Change) Before(kind string, id int64) *Record { return c.s.ByID(kind, id) }

// ByName returns the record of a name as it is within the change, or nil.
func (c *Change) ByName(kind, name string) *Record {
	folded := value.Fold(name)
	for _, r := range c.staged[kind] {
		if r != nil && r.Name != "" && value.Fold(r.Name) == folded {
			return r
		}
	}
	if r := c.s.ByName(kind, name); r != nil && c.ByID(kind, r.ID) == r {
		return r
	}
	return nil
}

// Find is Shelves.Find within the change.
func (c *Change) Find(kind string, ref object.Ref) (object.Ref, error) {
	return c.s.find(kind, ref, func(kind string, ref object.Ref) (int64, bool) {
		r := c.ByID(kind, ref.ID)
		if ref.ID == 0 {
			r = c.ByName(kind, ref.Name)
		}
		if r == nil {
			return 0, false
		}
		return r.ID, true
	})
}

func (c *Change) stage(r *Record) {
	if c.staged[r.Kind.Name] == nil {
		c.staged[r.Kind.Name] = map[int64]*Record{}
	}
	c.staged[r.Kind.Name][r.ID] = r
}

// Create makes an object. Its references are looked up first, so that it points
// to numbers only; what a required field lacks is an error. id is 0 but for
// objects that have their number elsewhere.
func (c *Change) Create(kind string, id int64, o *object.Object) (*Record, error) {
	k := c.s.shelf(kind).kind
	for _, f := range k.Shape().Fields {
		if v := o.Value(f.Name); f.Required && (v == nil || v == "" || v == (object.Ref{})) {
			return nil, k.needs(f.Name)
		}
	}
	r := &Record{Header: object.Header{
		ID: id, Created: c.now, Modified: c.now,
		CreatedBy: c.by.UserID, ModifiedBy: c.by.UserID, CreatedAs: c.by.PersonaID, ModifiedAs: c.by.PersonaID,
	}, Kind: k}
	if err := c.settle(r, o, nil); err != nil {
		return nil, err
	}
	kept, err := c.tx.Create(c.ctx, r.row())
	if err != nil {
		return nil, conflict(k, r.Name, err)
	}
	r.ID = kept.ID
	c.stage(r)
	c.names = true
	return r, c.audit("create", r, object.Diff(object.New(k.Shape()), r.Object, c.nameOf))
}

// Update puts o in the place of what the record holds.
func (c *Change) Update(was *Record, o *object.Object) (*Record, error) {
	r := &Record{Header: was.Header, Kind: was.Kind}
	r.Modified, r.ModifiedBy, r.ModifiedAs = c.now, c.by.UserID, c.by.PersonaID
	if err := c.settle(r, o, was.Object); err != nil {
		return nil, err
	}
	if err := c.tx.Update(c.ctx, r.row()); err != nil {
		return nil, conflict(r.Kind, r.Name, err)
	}
	c.stage(r)
	c.names = c.names || r.Name != was.Name
	return r, c.audit("update", r, object.Diff(was.Object, r.Object, c.nameOf))
}

// Delete takes an object away.
func (c *Change) Delete(r *Record) error {
	if err := c.tx.Delete(c.ctx, r.Kind.Name, r.ID); err != nil {
		return err
	}
	if c.staged[r.Kind.Name] == nil {
		c.staged[r.Kind.Name] = map[int64]*Record{}
	}
	c.staged[r.Kind.Name][r.ID] = nil
	c.names = true
	return c.audit("delete", r, nil)
}

// A Reference names what an object refers to.
type Reference struct {
	Kind string
	ID   int64
}

// References are those of an object; none of nil.
func References(o *object.Object) (map[Reference]bool, error) {
	held := map[Reference]bool{}
	if o == nil {
		return held, nil
	}
	err := o.Clone().Each(func(kind string, ref object.Ref) (object.Ref, error) {
		held[Reference{kind, ref.ID}] = true
		return ref, nil
	})
	return held, err
}

// settle makes o the record's object: a copy in which every reference has been
// found. What was referred to before may be referred to still, though it is no
// more.
func (c *Change) settle(r *Record, o, was *object.Object) error {
	held, err := References(was)
	if err != nil {
		return err
	}
	o = o.Clone()
	if err := o.Each(func(kind string, ref object.Ref) (object.Ref, error) {
		if ref.ID != 0 && held[Reference{kind, ref.ID}] {
			return object.Ref{ID: ref.ID}, nil
		}
		return c.Find(kind, ref)
	}); err != nil {
		return err
	}
	if _, named := r.Kind.Shape().Field("name"); named && !r.Kind.Loose {
		r.Name = strings.TrimSpace(o.Text("name"))
		if r.Name != o.Text("name") {
			o.Set("name", r.Name)
		}
	}
	r.Object = o
	return nil
}

func (r *Record) row() store.Object {
	body, secrets := r.Object.Split()
	return store.Object{
		Kind: r.Kind.Name, ID: r.ID, Name: r.Name, Body: body, Secrets: secrets, Created: r.Created, Modified: r.Modified,
		CreatedBy: r.CreatedBy, ModifiedBy: r.ModifiedBy, CreatedAs: r.CreatedAs, ModifiedAs: r.ModifiedAs,
	}
}

// needs is the error that a field is missing. Programs know the one of names.
func (k *Kind) needs(field string) error {
	err := object.Bad(field, "is missing, and %s needs it", one(k.What))
	if field == "name" {
		return fmt.Errorf("%sNameRequired: %w", k.Noun, err)
	}
	return err
}

// one puts the article before what an object is.
func one(what string) string {
	if strings.ContainsRune("aeioL", rune(what[0])) { // an LDAP connector; a user
		return "an " + what
	}
	return "a " + what
}

// conflict says in the form that programs know that a name is taken.
func conflict(k *Kind, name string, err error) error {
	if fault.KindOf(err) == fault.Conflict {
		return fault.New(fault.Conflict, "%s: there is %s %q already", cmp.Or(k.Taken, k.Noun+"NameNotUnique"), one(k.What), name)
	}
	return err
}

func (c *Change) nameOf(kind string, id int64) string {
	if r, ok := c.staged[kind][id]; ok && r != nil {
		return r.Name
	}
	return c.s.NameOf(kind, id)
}

// audit writes down what has been done; the store cuts what is too long.
func (c *Change) audit(deed string, r *Record, diff []object.Difference) error {
	var b strings.Builder
	for i, d := range diff {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(d.Field + ": ")
		if d.Was != "" {
			b.WriteString(d.Was + " → ")
		}
		b.WriteString(d.Now)
	}
	name := r.Name
	if name == "" {
		name = r.Object.Text("name")
	}
	return c.Audit(store.AuditEntry{Type: deed, Kind: r.Kind.Name, ObjectID: r.ID, ObjectName: name, Details: b.String()})
}

// Audit writes an entry of the change's author about something else.
func (c *Change) Audit(e store.AuditEntry) error {
	e.At, e.UserID, e.PersonaID, e.UserName, e.Address = c.now, c.by.UserID, c.by.PersonaID, c.by.UserName, c.by.Address
	return c.tx.Audit(c.ctx, e)
}
