// Package shelf keeps the objects that operators make: all of them in memory,
// by kind, and every change in the database together with its entry in the
// audit.
//
// Lists and look-ups never wait for the database; a change does, and is visible
// when it has returned. One change runs at a time. What this package does not
// know is who may do what: that is decided at the API's edge.
package shelf

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/store"
	"catenary/internal/value"
)

// A Kind is one sort of object.
type Kind struct {
	Name  string // as it is recorded, and the name of its shape: "package_spec"
	Noun  string // in the names of errors: "Package" of PackageNotFound
	What  string // in sentences: "package"
	Loose bool   // several may have the same name, and nobody is found by it
	Taken string // the error that a name is taken, if programs know another than NameNotUnique
}

// Shape is what objects of the kind look like.
func (k Kind) Shape() *object.Shape { return object.ShapeOf(k.Name) }

// Missing is the error about an object of the kind that is not there, in the
// form that programs know.
func (k Kind) Missing() error {
	return fault.New(fault.NotFound, "REST Object Not Found Exception:  %sNotFound: The requested %s was not found", k.Noun, k.What)
}

// A Record is one object. It is not changed any more once it can be seen.
type Record struct {
	object.Header
	Kind   *Kind
	Name   string
	Object *object.Object

	text atomic.Pointer[text]
}

// text is a record as programs see it, and of when: names of others in it may
// change.
type text struct {
	names uint64
	json  []byte
}

// A Directory knows the names of things that are not on the shelves: users,
// sensors.
type Directory interface {
	NameOf(id int64) (string, bool)
	IDOf(name string) (int64, bool)
}

type shelf struct {
	kind   *Kind
	byID   map[int64]*Record
	byName map[string]*Record // by the folded name
	all    []*Record          // by number; replaced when it changes

	version uint64 // grows with every change
}

// Shelves are all objects. Their methods may be called from any goroutine.
type Shelves struct {
	store   *store.Store
	one     sync.Mutex // one change at a time; also guards lent, guard and watches
	guard   func(*Change) error
	watches []watch

	mu      sync.RWMutex // guards the shelves
	shelves map[string]*shelf
	lent    map[string]Directory
	names   atomic.Uint64 // grows when a name that others show may have changed
}

// Open reads all objects of the given kinds. Directories say the names of what
// else objects refer to.
func Open(ctx context.Context, st *store.Store, kinds []Kind, lent map[string]Directory) (*Shelves, error) {
	s := &Shelves{store: st, shelves: map[string]*shelf{}, lent: lent}
	for _, k := range kinds {
		s.shelves[k.Name] = &shelf{kind: &k, byID: map[int64]*Record{}, byName: map[string]*Record{}}
	}
	objects, err := st.Objects(ctx)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		sh := s.shelves[o.Kind]
		if sh == nil {
			continue // of a kind that a newer Catenary has
		}
		r, err := load(sh.kind, o)
		if err != nil {
			return nil, fault.New(fault.Internal, "%s %d in the database: %w", o.Kind, o.ID, err)
		}
		sh.put(r)
	}
	return s, nil
}

func load(k *Kind, o store.Object) (*Record, error) {
	body, err := k.Shape().Load(o.Body, o.Secrets)
	if err != nil {
		return nil, err
	}
	return &Record{Header: object.Header{
		ID: o.ID, Created: o.Created, Modified: o.Modified, CreatedBy: o.CreatedBy, ModifiedBy: o.ModifiedBy,
		CreatedAs: o.CreatedAs, ModifiedAs: o.ModifiedAs, Deleted: o.Deleted,
	}, Kind: k, Name: o.Name, Object: body}, nil
}

// put adds a record, or puts it in the place of the one with its number.
func (sh *shelf) put(r *Record) {
	old := sh.byID[r.ID]
	sh.byID[r.ID] = r
	if old != nil && old.Name != "" {
		delete(sh.byName, value.Fold(old.Name))
	}
	if r.Name != "" {
		sh.byName[value.Fold(r.Name)] = r
	}
	i, found := slices.BinarySearchFunc(sh.all, r.ID, byNumber)
	switch {
	case found:
		sh.all = slices.Clone(sh.all)
		sh.all[i] = r
	case i == len(sh.all):
		sh.all = append(sh.all, r) // behind what readers have seen
	default:
		sh.all = slices.Insert(slices.Clone(sh.all), i, r)
	}
}

func (sh *shelf) drop(id int64) {
	old := sh.byID[id]
	if old == nil {
		return
	}
	delete(sh.byID, id)
	if old.Name != "" {
		delete(sh.byName, value.Fold(old.Name))
	}
	if i, found := slices.BinarySearchFunc(sh.all, id, byNumber); found {
		sh.all = slices.Delete(slices.Clone(sh.all), i, i+1)
	}
}

func byNumber(r *Record, id int64) int { return cmp.Compare(r.ID, id) }

// shelf returns a kind's shelf. Names of kinds are our own.
func (s *Shelves) shelf(kind string) *shelf {
	sh := s.shelves[kind]
	if sh == nil {
		panic("shelf: no kind is called " + kind)
	}
	return sh
}

// Kind returns what is known of a kind; nil if there is none of that name.
func (s *Shelves) Kind(name string) *Kind {
	if sh := s.shelves[name]; sh != nil {
		return sh.kind
	}
	return nil
}

// All returns all records of a kind by number. The slice is not the caller's.
func (s *Shelves) All(kind string) []*Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := s.shelf(kind).all
	return all[:len(all):len(all)]
}

// Version is a number that grows whenever an object of one of the kinds has
// changed.
func (s *Shelves) Version(kinds ...string) (v uint64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, kind := range kinds {
		v += s.shelf(kind).version
	}
	return v
}

// Guard makes f look at every change before it is kept. Nothing happens if f
// returns an error.
func (s *Shelves) Guard(f func(c *Change) error) {
	s.one.Lock()
	defer s.one.Unlock()
	s.guard = f
}

// A watch is somebody who wants to know of changes.
type watch struct {
	kinds []string
	f     func()
}

// Watch has f called after every change of objects of some kinds, before the
// change returns. f changes nothing itself.
func (s *Shelves) Watch(f func(), kinds ...string) {
	s.one.Lock()
	defer s.one.Unlock()
	s.watches = append(s.watches, watch{kinds, f})
}

// ByID returns a record, or nil.
func (s *Shelves) ByID(kind string, id int64) *Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shelf(kind).byID[id]
}

// ByName returns the record of a name, whatever its case, or nil.
func (s *Shelves) ByName(kind, name string) *Record {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.shelf(kind).byName[value.Fold(name)]
}

// NameOf says what the object of a kind is called, "" if nothing is known. It
// is what object.Append wants.
func (s *Shelves) NameOf(kind string, id int64) string {
	if sh := s.shelves[kind]; sh != nil {
		s.mu.RLock()
		defer s.mu.RUnlock()
		if r := sh.byID[id]; r != nil {
			return r.Name
		}
		return ""
	}
	if d := s.lent[kind]; d != nil {
		name, _ := d.NameOf(id)
		return name
	}
	return ""
}

// Renamed says that names in a Directory may have changed.
func (s *Shelves) Renamed() { s.names.Add(1) }

// JSON returns the record as programs see it. The bytes are not the caller's.
func (s *Shelves) JSON(r *Record) []byte {
	now := s.names.Load()
	if t := r.text.Load(); t != nil && t.names == now {
		return t.json
	}
	t := &text{now, r.Object.Append(nil, r.Header, s.NameOf)}
	r.text.Store(t)
	return t.json
}

// Find returns what a reference means: a number that exists, or the number of
// the object with its name. The zero reference is allowed and means nothing.
func (s *Shelves) Find(kind string, ref object.Ref) (object.Ref, error) {
	return s.find(kind, ref, func(kind string, ref object.Ref) (int64, bool) {
		r := s.ByID(kind, ref.ID)
		if ref.ID == 0 {
			r = s.ByName(kind, ref.Name)
		}
		if r == nil {
			return 0, false
		}
		return r.ID, true
	})
}

func (s *Shelves) find(kind string, ref object.Ref, onShelf func(string, object.Ref) (int64, bool)) (object.Ref, error) {
	if ref.ID == 0 && ref.Name == "" {
		return object.Ref{}, nil
	}
	id, ok := ref.ID, true
	if s.shelves[kind] != nil {
		id, ok = onShelf(kind, ref)
	} else if d := s.lent[kind]; d != nil {
		if ref.ID != 0 {
			_, ok = d.NameOf(ref.ID)
		} else {
			id, ok = d.IDOf(ref.Name)
		}
	}
	if ok {
		return object.Ref{ID: id}, nil
	}
	noun := kind
	if k := s.Kind(kind); k != nil {
		noun = k.What
	}
	return object.Ref{}, NotThere(noun, ref)
}

// NotThere is the error about a reference that means nothing.
func NotThere(noun string, ref object.Ref) error {
	what := fmt.Sprintf("number %d", ref.ID)
	if ref.ID == 0 {
		what = fmt.Sprintf("the name %q", ref.Name)
	}
	return object.Bad("", "there is no %s with %s", noun, what)
}
