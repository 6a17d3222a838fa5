package api

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// A face is how the objects of one kind are seen in the API: under which paths,
// in which shape, by whom. Several faces may show one kind: groups have four.
type face struct {
	path    string   // "packages"
	aliases []string // other names of the path that programs use
	kind    string   // on the shelves
	shape   string   // if not the kind's own
	verbs   verbs
	says    string // what a program has to know beside that, for the description

	read, write rights.Privilege
	// set names the field with the content set within which read and write are
	// held; empty: they are held for the whole installation.
	set string

	// shows reports which records of the kind are this face's; nil: all.
	shows func(*shelf.Record) bool
	// prepare looks at an object before it is made or changed (was is nil, or
	// what it was), and fills in what is not the caller's to say.
	prepare func(ctx context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) error
	// remove is called before an object is deleted.
	remove func(ctx context.Context, c call, ch *shelf.Change, r *shelf.Record) error
	// done is called when a change has happened; was or is may be nil.
	done func(ctx context.Context, c call, was, is *shelf.Record)
	// own returns what of a record the caller sees, if not everybody sees the
	// same; nil: everybody does.
	own func(c call) func(*shelf.Record) *shelf.Record
	// derive adds to a copy of an object what is worked out for each look.
	derive func(r *shelf.Record, o *object.Object)
	// detail does so where one object is shown, and not a list.
	detail func(r *shelf.Record, o *object.Object)
	// ready looks at what a program has sent before the change begins (was is
	// nil, or what it is to change), where that takes time: a change waits for
	// no other.
	ready func(ctx context.Context, c call, was *shelf.Record, in *object.Object) error
	// before is called before objects are looked at.
	before func(ctx context.Context) error
	// kept says how the objects are kept, unless they are plain records.
	kept keeping
	// setOf is the content set within which read and write are held, of objects
	// that do not say it themselves; nil: set says it.
	setOf func(o *object.Object) int64
	// hides reports whether an object is not for the caller to see, whatever his
	// privileges.
	hides func(c call, o *object.Object) bool
}

// verbs are what can be done with the objects of a face.
type verbs uint16

const (
	canList verbs = 1 << iota
	canShow
	canName // show, and change if it can, by name
	canCreate
	canChange
	canRemove
	listHasInfo // the list ends with cache info
	saysIDOnly  // create and remove answer {"id":…}
	goneSaysID  // remove does
	canRemoveByName

	canAll = canList | canShow | canName | canCreate | canChange | canRemove
)

func (f *face) routes(s *server) (out []route) {
	for _, path := range append([]string{f.path}, f.aliases...) {
		base := "/api/v2/" + path
		add := func(v verbs, method, path string, p rights.Privilege, d faceDeed, h handler) {
			if f.verbs&v == v {
				h = f.after(h)
				out = append(out, route{method: method, path: base + path, access: withSession, right: p, serve: faced{h, f, d}})
			}
		}
		add(canList, "GET", "", f.read, lists, s.listFace(f))
		add(canCreate, "POST", "", f.write, creates, s.createFace(f))
		add(canShow, "GET", "/{id}", f.read, shows, s.showFace(f))
		add(canChange, "PATCH", "/{id}", f.write, changes, s.changeFace(f))
		add(canRemove, "DELETE", "/{id}", f.write, removes, s.removeFace(f))
		add(canShow|canName, "GET", "/by-name/{name}", f.read, shows, s.showFace(f))
		add(canChange|canName, "PATCH", "/by-name/{name}", f.write, changes, s.changeFace(f))
		add(canRemoveByName, "DELETE", "/by-name/{name}", f.write, removes, s.removeFace(f))
	}
	return out
}

func (f *face) objectShape() *object.Shape {
	if f.shape != "" {
		return object.ShapeOf(f.shape)
	}
	return object.ShapeOf(f.kind)
}

// find returns the record that a path names, by number or by name, if the
// caller may see it.
func (s *server) find(f *face, c call) (*shelf.Record, error) {
	k := s.shelves.Kind(f.kind)
	var r *shelf.Record
	if name := c.PathValue("name"); name != "" {
		r = s.shelves.ByName(f.kind, name)
	} else {
		id, err := c.number("id", k.What)
		if err != nil {
			return nil, err
		}
		r = s.byID(f, int64(id))
	}
	if r == nil || f.shows != nil && !f.shows(r) || f.hides != nil && f.hides(c, r.Object) {
		return nil, k.Missing()
	}
	return r, f.allowSight(c, r.Object)
}

// allowSight refuses who may not see an object. Who may change it may.
func (f *face) allowSight(c call, o *object.Object) error {
	if f.allow(c, f.write, o) == nil {
		return nil
	}
	return f.allow(c, f.read, o)
}

// allow refuses who may not do something to an object.
func (f *face) allow(c call, p rights.Privilege, o *object.Object) error {
	set := rights.Everywhere
	if f.set != "" {
		set = o.Ref(f.set).ID
	}
	if f.setOf != nil {
		set = f.setOf(o)
	}
	if !c.rights.May(p, set) {
		return insufficient(p)
	}
	return nil
}

// insufficient is the refusal of a known caller.
func insufficient(p rights.Privilege) error {
	return fault.New(fault.Denied, "RBACInsufficientPrivilege: the privilege %q is needed", p)
}

// text is a record as the caller sees it.
func (s *server) text(f *face, r *shelf.Record) []byte {
	if f.derive == nil && f.shape == "" {
		return s.shelves.JSON(r)
	}
	return s.seen(f, r).Append(nil, r.Header, s.shelves.NameOf)
}

// seen is the object of a record as the caller sees it.
func (s *server) seen(f *face, r *shelf.Record) *object.Object {
	o := r.Object
	if f.shape != "" {
		o = object.New(f.objectShape()).With(o)
	}
	if f.derive != nil {
		o = o.Clone()
		f.derive(r, o)
	}
	return o
}

// visible are the records of a face that the caller may see.
func (s *server) visible(f *face, c call) []*shelf.Record {
	all := s.all(f)
	if f.set == "" && f.setOf == nil && f.allowSight(c, nil) != nil {
		return nil
	}
	if f.shows == nil && f.hides == nil && (f.set == "" && f.setOf == nil || c.rights.Anything) {
		return all
	}
	out := make([]*shelf.Record, 0, len(all))
	for _, r := range all {
		if f.visible(c, r) {
			out = append(out, r)
		}
	}
	return out
}

// visible reports whether the caller may see a record.
func (f *face) visible(c call, r *shelf.Record) bool {
	return (f.shows == nil || f.shows(r)) && (f.hides == nil || !f.hides(c, r.Object)) && f.allowSight(c, r.Object) == nil
}

func (s *server) listFace(f *face) handler {
	return func(w http.ResponseWriter, c call) error { return s.sendList(w, c, s.listing(f, c)) }
}

// listing are the records of a face that the caller may see.
func (s *server) listing(f *face, c call) listing {
	all := s.visible(f, c)
	if f.own != nil {
		own := f.own(c)
		all = slices.Clone(all)
		for i, r := range all {
			all[i] = own(r)
		}
	}
	l := listing{
		n: len(all), info: f.verbs&listHasInfo != 0, has: f.objectShape().HasPath,
		cell: func(i int, path string) string {
			text, _ := s.seen(f, all[i]).Cell(path, all[i].Header, s.shelves.NameOf) // "" if there is nothing
			return text
		},
		append: func(b []byte, i int) []byte { return append(b, s.text(f, all[i])...) },
	}
	l.sees = s.sees(f, all)
	if _, can := f.objectShape().Field("hidden_flag"); can {
		l.hidden = func(i int) bool { return all[i].Object.Is("hidden_flag") }
	}
	return l
}

// sees reports whether the caller may see a record as it is now; one that has
// been deleted is as it was.
func (s *server) sees(f *face, all []*shelf.Record) func(c call, i int) bool {
	if f.hides == nil && f.set == "" && f.setOf == nil {
		return nil // that depends on nothing but his rights
	}
	return func(c call, i int) bool {
		r := s.byID(f, all[i].ID)
		return r == nil || f.visible(c, r)
	}
}

func (s *server) showFace(f *face) handler {
	return func(w http.ResponseWriter, c call) error {
		r, err := s.find(f, c)
		if err != nil {
			return err
		}
		if f.own != nil {
			r = f.own(c)(r)
		}
		if f.detail == nil {
			return s.sendText(w, s.text(f, r))
		}
		o := s.seen(f, r).Clone()
		f.detail(r, o)
		return s.sendText(w, o.Append(nil, r.Header, s.shelves.NameOf))
	}
}

func (s *server) sendText(w http.ResponseWriter, text []byte) error {
	beginJSON(w, http.StatusOK)
	return send(w, slices.Concat([]byte(`{"data":`), text, []byte("}\n")))
}

// answer says what has become of an object, in the form that programs expect.
func (s *server) answer(w http.ResponseWriter, f *face, r *shelf.Record) error {
	if f.verbs&saysIDOnly != 0 || r.Deleted && f.verbs&goneSaysID != 0 {
		return reply(w, idObject{uint64(r.ID)})
	}
	return s.sendText(w, s.text(f, r))
}

// body reads the object in a request. Some programs wrap it once more, in the
// name of what it is.
func (f *face) body(w http.ResponseWriter, c call) (*object.Object, error) {
	b, err := readBody(w, c, objectMax)
	if err != nil {
		return nil, err
	}
	var whole json.RawMessage
	if err := decode(b, &whole); err != nil {
		return nil, err
	}
	var wrapped map[string]json.RawMessage
	if err := json.Unmarshal(whole, &wrapped); err == nil && len(wrapped) == 1 {
		for _, name := range []string{"data", f.kind, strings.TrimSuffix(f.path, "s")} {
			if inner := wrapped[name]; len(inner) > 0 && inner[0] == '{' {
				if _, field := f.objectShape().Field(name); !field {
					whole = inner
				}
			}
		}
	}
	return f.objectShape().Decode(whole, object.Lenient)
}

func (c call) author() shelf.Author {
	return shelf.Author{UserID: c.user.ID, PersonaID: c.user.Persona, UserGroupID: c.user.UserGroup, UserName: c.user.Name, Address: c.address()}
}

// address is from where the caller comes, for the audit.
func (c call) address() string {
	if c.origin.IsValid() {
		return c.origin.String()
	}
	return remote(c.Request).String()
}

func (s *server) createFace(f *face) handler {
	return func(w http.ResponseWriter, c call) error {
		in, err := f.body(w, c)
		if err != nil {
			return err
		}
		if f.ready != nil {
			if err := f.ready(c.Context(), c, nil, in); err != nil {
				return err
			}
		}
		var is *shelf.Record
		err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) (err error) {
			is, err = s.make(f, c, ch, object.New(object.ShapeOf(f.kind)).With(in))
			return err
		})
		if err != nil {
			return err
		}
		if f.done != nil {
			f.done(c.Context(), c, nil, is)
		}
		return s.answer(w, f, is)
	}
}

// make creates an object within a change, with everything that its face
// demands.
func (s *server) make(f *face, c call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	if err := f.settleSet(ch, o); err != nil {
		return nil, err
	}
	if err := f.allow(c, f.write, o); err != nil {
		return nil, err
	}
	if f.prepare != nil {
		if err := f.prepare(c.Context(), c, ch, nil, o); err != nil {
			return nil, err
		}
	}
	if err := s.allowReferences(c, ch, nil, o); err != nil {
		return nil, err
	}
	return f.create(c, ch, o)
}

// settleSet finds the content set that is meant; without one it is the default
// set, which has number 1.
func (f *face) settleSet(ch *shelf.Change, o *object.Object) error {
	if f.set == "" {
		return nil
	}
	ref, err := ch.Find("content_set", o.Ref(f.set))
	if err != nil {
		return object.In(f.set, err)
	}
	if ref.ID == 0 {
		ref.ID = defaultSet
	}
	o.Set(f.set, ref)
	return nil
}

func (s *server) changeFace(f *face) handler {
	return func(w http.ResponseWriter, c call) error {
		in, err := f.body(w, c)
		if err != nil {
			return err
		}
		was, err := s.find(f, c)
		if err != nil {
			return err
		}
		if f.ready != nil {
			if err := f.ready(c.Context(), c, was, in); err != nil {
				return err
			}
		}
		var is *shelf.Record
		err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) (err error) {
			if was = f.within(ch, was.ID); was == nil {
				return s.shelves.Kind(f.kind).Missing() // meanwhile
			}
			is, err = s.alter(f, c, ch, was, was.Object.With(in))
			return err
		})
		if err != nil {
			return err
		}
		if f.done != nil {
			f.done(c.Context(), c, was, is)
		}
		return s.sendText(w, s.text(f, is))
	}
}

// alter changes an object within a change, with everything that its face
// demands.
func (s *server) alter(f *face, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error) {
	if err := f.settleSet(ch, o); err != nil {
		return nil, err
	}
	for _, o := range []*object.Object{was.Object, o} { // from one content set to another: in both
		if err := f.allow(c, f.write, o); err != nil {
			return nil, err
		}
	}
	if f.prepare != nil {
		if err := f.prepare(c.Context(), c, ch, was, o); err != nil {
			return nil, err
		}
	}
	if err := s.allowReferences(c, ch, was.Object, o); err != nil {
		return nil, err
	}
	return f.update(c, ch, was, o)
}

func (s *server) removeFace(f *face) handler {
	return func(w http.ResponseWriter, c call) error {
		was, err := s.find(f, c)
		if err != nil {
			return err
		}
		err = s.shelves.Change(c.Context(), c.author(), func(ch *shelf.Change) error {
			if was = f.within(ch, was.ID); was == nil {
				return s.shelves.Kind(f.kind).Missing()
			}
			return s.take(f, c, ch, was)
		})
		if err != nil {
			return err
		}
		if f.done != nil {
			f.done(c.Context(), c, was, nil)
		}
		gone := &shelf.Record{Header: was.Header, Kind: was.Kind, Name: was.Name, Object: was.Object}
		gone.Deleted = true
		return s.answer(w, f, gone)
	}
}

// take deletes an object within a change.
func (s *server) take(f *face, c call, ch *shelf.Change, r *shelf.Record) error {
	if err := f.allow(c, f.write, r.Object); err != nil {
		return err
	}
	if f.remove != nil {
		if err := f.remove(c.Context(), c, ch, r); err != nil {
			return err
		}
	}
	return f.discard(c, ch, r)
}
