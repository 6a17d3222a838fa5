package api

import (
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// referredFaces say who may see what other objects refer to, by its kind.
var referredFaces = map[string]string{
	"sensor": "sensors", "saved_question": "saved_questions", "package_spec": "packages", "dashboard": "dashboards",
}

// allowReferences refuses an object that has come to refer to something that the
// caller may not see: it would be shown by its name. To him it is not there.
func (s *server) allowReferences(c call, ch *shelf.Change, was, o *object.Object) error {
	if c.rights.Anything {
		return nil
	}
	held, err := shelf.References(was)
	if err != nil {
		return err
	}
	return o.Clone().Each(func(kind string, ref object.Ref) (object.Ref, error) {
		path, some := referredFaces[kind]
		if !some {
			return ref, nil
		}
		found, err := ch.Find(kind, ref)
		if err != nil || found.ID == 0 || held[shelf.Reference{Kind: kind, ID: found.ID}] {
			return ref, nil // what is wrong with it is said where it is kept
		}
		if r := ch.ByID(kind, found.ID); r != nil && !s.faceOf(path).visible(c, r) {
			return ref, shelf.NotThere(s.shelves.Kind(kind).What, ref)
		}
		return ref, nil
	})
}
