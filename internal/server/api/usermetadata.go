package api

import (
	"context"
	"encoding/json"
	"slices"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

const metadataMax = 1000 // items of a user

func missingItem() error { return missing("MetadataItem", "metadata item") }

// changeItems changes the metadata of the user that the path names.
func (s *server) changeItems(ctx context.Context, c call, change func([]*object.Object) ([]*object.Object, error)) error {
	id, err := s.known(c, "user")
	if err != nil {
		return err
	}
	return s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		u := ch.ByID("user", id)
		if u == nil {
			return s.shelves.Kind("user").Missing()
		}
		list, err := change(u.Object.Objects("metadata"))
		if err != nil {
			return err
		}
		o := u.Object.Clone()
		o.Set("metadata", object.ListOf(list))
		_, err = ch.Update(u, o)
		return err
	})
}

func itemAt(list []*object.Object, name string) int {
	return slices.IndexFunc(list, func(o *object.Object) bool { return o.Text("name") == name })
}

func itemText(o *object.Object) json.RawMessage { return o.Append(nil, object.Header{}, nil) }

func (s *server) listMetadata(_ context.Context, c call) ([]json.RawMessage, error) {
	id, err := s.known(c, "user")
	if err != nil {
		return nil, err
	}
	out := []json.RawMessage{}
	if u := s.shelves.ByID("user", id); u != nil {
		for _, o := range u.Object.Objects("metadata") {
			out = append(out, itemText(o))
		}
	}
	return out, nil
}

func (s *server) showMetadata(_ context.Context, c call) ([]json.RawMessage, error) {
	id, err := s.known(c, "user")
	if err != nil {
		return nil, err
	}
	if u := s.shelves.ByID("user", id); u != nil {
		list := u.Object.Objects("metadata")
		if i := itemAt(list, c.PathValue("name")); i >= 0 {
			return []json.RawMessage{itemText(list[i])}, nil
		}
	}
	return nil, missingItem()
}

func (s *server) createMetadata(ctx context.Context, c call, in json.RawMessage) (json.RawMessage, error) {
	item, err := object.ShapeOf("metadata_item").Decode(in, object.Lenient)
	if err != nil {
		return nil, err
	}
	return itemText(item), s.changeItems(ctx, c, func(list []*object.Object) ([]*object.Object, error) {
		switch name := item.Text("name"); {
		case name == "" || len(name) > nameMax:
			return nil, object.Bad("name", "has 1 to %d bytes, not %d", nameMax, len(name))
		case itemAt(list, name) >= 0:
			return nil, fault.New(fault.Conflict, "there is a metadata item %q already", name)
		case len(list) >= metadataMax:
			return nil, fault.New(fault.Conflict, "there are %d metadata items already", len(list))
		}
		return append(list, item), nil
	})
}

func (s *server) changeMetadata(ctx context.Context, c call, in json.RawMessage) (string, error) {
	patch, err := object.ShapeOf("metadata_item").Decode(in, object.Lenient)
	if err != nil {
		return "", err
	}
	name := c.PathValue("name")
	patch.Set("name", name)
	return name, s.changeItems(ctx, c, func(list []*object.Object) ([]*object.Object, error) {
		i := itemAt(list, name)
		if i < 0 {
			return nil, missingItem()
		}
		list[i] = list[i].With(patch)
		return list, nil
	})
}

func (s *server) deleteMetadata(ctx context.Context, c call) (string, error) {
	name := c.PathValue("name")
	return name, s.changeItems(ctx, c, func(list []*object.Object) ([]*object.Object, error) {
		i := itemAt(list, name)
		if i < 0 {
			return nil, missingItem()
		}
		return slices.Delete(list, i, i+1), nil
	})
}
