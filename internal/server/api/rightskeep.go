package api

import (
	"context"
	"net/http"
	"slices"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// A keeping says how objects are kept that are more than a record on a shelf,
// as users are, or none at all but a view of others, as memberships in roles
// are. What is nil is done as with any record.
type keeping struct {
	// all are the objects of a view, by number, made of the records of other
	// kinds.
	all    func(of func(kind string) []*shelf.Record) []*shelf.Record
	create func(ctx context.Context, c call, ch *shelf.Change, o *object.Object) (*shelf.Record, error)
	update func(ctx context.Context, c call, ch *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error)
	remove func(ctx context.Context, c call, ch *shelf.Change, r *shelf.Record) error
}

// after is the handler behind what is to be done before it.
func (f *face) after(h handler) handler {
	if f.before == nil {
		return h
	}
	return func(w http.ResponseWriter, c call) error {
		if err := f.before(c.Context()); err != nil {
			return err
		}
		return h(w, c)
	}
}

// all are the records of the face's kind.
func (s *server) all(f *face) []*shelf.Record {
	if f.kept.all != nil {
		return f.kept.all(s.shelves.All)
	}
	return s.shelves.All(f.kind)
}

// byID is the record of a number, or nil.
func (s *server) byID(f *face, id int64) *shelf.Record {
	if f.kept.all != nil {
		return numberedAs(f.kept.all(s.shelves.All), id)
	}
	return s.shelves.ByID(f.kind, id)
}

// within is byID within a change.
func (f *face) within(ch *shelf.Change, id int64) *shelf.Record {
	if f.kept.all != nil {
		return numberedAs(f.kept.all(ch.All), id)
	}
	return ch.ByID(f.kind, id)
}

func numberedAs(all []*shelf.Record, id int64) *shelf.Record {
	i := slices.IndexFunc(all, func(r *shelf.Record) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	return all[i]
}

func (f *face) create(c call, ch *shelf.Change, o *object.Object) (*shelf.Record, error) {
	if f.kept.create != nil {
		return f.kept.create(c.Context(), c, ch, o)
	}
	return ch.Create(f.kind, 0, o)
}

func (f *face) update(c call, ch *shelf.Change, was *shelf.Record, o *object.Object) (*shelf.Record, error) {
	if f.kept.update != nil {
		return f.kept.update(c.Context(), c, ch, was, o)
	}
	return ch.Update(was, o)
}

func (f *face) discard(c call, ch *shelf.Change, r *shelf.Record) error {
	if f.kept.remove != nil {
		return f.kept.remove(c.Context(), c, ch, r)
	}
	return ch.Delete(r)
}
