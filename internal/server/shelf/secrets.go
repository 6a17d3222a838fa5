package shelf

import (
	"slices"

	"catenary/internal/server/object"
	"catenary/internal/server/store"
)

// Secrets finds the secrets of objects that older versions have written among
// the rest.
func Secrets(kinds []Kind) store.Splitter {
	s := store.Splitter{Split: func(kind string, body []byte) (rest, secrets []byte, err error) {
		o, err := object.ShapeOf(kind).Load(body)
		if err != nil {
			return nil, nil, err
		}
		rest, secrets = o.Split()
		return rest, secrets, nil
	}}
	for _, k := range kinds {
		if slices.ContainsFunc(k.Shape().Fields, func(f object.Field) bool { return f.Secret }) {
			s.Kinds = append(s.Kinds, k.Name)
		}
	}
	return s
}
