package api

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

const movesMax = 10_000 // objects in one move or transfer

// moveRoutes put many objects elsewhere at once: into other content sets, and
// into other hands. Each object says what is needed.
func (s *server) moveRoutes() []route {
	return []route{
		{http.MethodPost, "/api/v2/move", withSession, rights.None, post(objectMax, s.move)},
		{http.MethodPost, "/api/v2/transfer", withSession, rights.None, typedHandler{handler: s.transferred, in: typeOf[map[string][]moving]()}},
	}
}

// A moving names an object, and where it is to go.
type moving struct {
	ID         number  `json:"id"`
	Name       string  `json:"name"`
	ContentSet nameRef `json:"content_set"`
	User       nameRef `json:"user"`
}

// moved are the objects of a list as they have become.
type moved map[string][]json.RawMessage

// eachMoving changes all objects that a request names, list by list, or none.
func (s *server) eachMoving(ctx context.Context, c call, in map[string][]moving, change func(*face, *shelf.Change, *shelf.Record, moving) (*shelf.Record, error)) (moved, error) {
	total := 0
	for _, list := range in {
		total += len(list)
	}
	if total == 0 || total > movesMax {
		return nil, fault.New(fault.Invalid, "1 to %d objects can be named at once, not %d", movesMax, total)
	}
	out := moved{}
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		for _, path := range slices.Sorted(maps.Keys(in)) {
			f := s.faceAt(path)
			if f == nil {
				return fault.New(fault.Invalid, "ObjectNotFound: there are no objects called %q", shorten(path))
			}
			out[path] = []json.RawMessage{}
			for _, m := range in[path] {
				was, err := s.meant(f, c, ch, m)
				if err != nil {
					return err
				}
				is, err := change(f, ch, was, m)
				if err != nil {
					return err
				}
				out[path] = append(out[path], s.text(f, is))
			}
		}
		return nil
	})
	return out, err
}

// faceAt is the face of a path, or nil.
func (s *server) faceAt(path string) *face {
	for _, f := range s.faces() {
		if f.path == path || slices.Contains(f.aliases, path) {
			return f
		}
	}
	return nil
}

// meant is the object that is named, if the caller may see it.
func (s *server) meant(f *face, c call, ch *shelf.Change, m moving) (*shelf.Record, error) {
	r := f.within(ch, int64(m.ID))
	if m.ID == 0 {
		r = ch.ByName(f.kind, m.Name)
	}
	if r == nil || f.shows != nil && !f.shows(r) || f.hides != nil && f.hides(c, r.Object) {
		return nil, s.shelves.Kind(f.kind).Missing()
	}
	return r, f.allow(c, f.write, r.Object)
}

// move puts objects into other content sets.
func (s *server) move(ctx context.Context, c call, in map[string][]moving) (moved, error) {
	return s.eachMoving(ctx, c, in, func(f *face, ch *shelf.Change, was *shelf.Record, m moving) (*shelf.Record, error) {
		if f.set == "" {
			return nil, fault.New(fault.Invalid, "%s lie in no content set", strings.ReplaceAll(f.path, "_", " "))
		}
		set, err := ch.Find("content_set", object.Ref{ID: m.ContentSet.ID, Name: m.ContentSet.Name})
		if err != nil {
			return nil, object.In(f.set, err)
		}
		if set.ID == 0 {
			return nil, object.Bad(f.set, "is missing")
		}
		o := was.Object.Clone()
		o.Set(f.set, set)
		return s.alter(f, c, ch, was, o)
	})
}

// transferred is transfer for programs, which expect the answer as the older API
// has it.
func (s *server) transferred(w http.ResponseWriter, c call) error {
	body, err := readBody(w, c, objectMax)
	if err != nil {
		return err
	}
	var in map[string][]moving
	if err := decode(body, &in); err != nil {
		return err
	}
	given, err := s.transfer(c.Context(), c, in)
	if err != nil {
		return err
	}
	text, err := marshal(given)
	if err != nil {
		return err
	}
	var x xmlWriter
	x.WriteString(xmlHead)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := x.member("result_object", dec); err != nil {
		return err
	}
	x.WriteByte('\n')
	return sendXML(w, x.Bytes())
}

// transfer gives objects another owner. What they do, they do with his rights:
// so these must not be more than those of who gives them to him.
func (s *server) transfer(ctx context.Context, c call, in map[string][]moving) (moved, error) {
	return s.eachMoving(ctx, c, in, func(f *face, ch *shelf.Change, was *shelf.Record, m moving) (*shelf.Record, error) {
		field, has := f.objectShape().Field("user")
		if !has || field.Kind != "user" || f.kept.all != nil {
			return nil, fault.New(fault.Invalid, "%s have no owner", strings.ReplaceAll(f.path, "_", " "))
		}
		owner, err := ch.Find("user", object.Ref{ID: m.User.ID, Name: m.User.Name})
		if err != nil || owner.ID == 0 {
			return nil, fault.New(fault.Invalid, "InvalidUser: there is no such user")
		}
		theirs, ok := s.people.Rights(people.Identity{User: owner.ID})
		if owner.ID != c.user.ID && (!ok || !theirs.Within(c.rights)) {
			return nil, fault.New(fault.Denied, "RBACInsufficientPrivilege: the new owner is locked out, or may do more than who gives him what he is to own")
		}
		o := was.Object.Clone()
		o.Set("user", owner)
		return ch.Update(was, o)
	})
}
