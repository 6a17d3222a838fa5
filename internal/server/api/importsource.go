package api

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"catenary/internal/content"
	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/value"
)

// What a folder of content has made is remembered, with a digest of each object
// as it was made. So a later version of the folder can tell what was changed
// here since, and what it holds no more.

// contentKey is how an object of a folder is known.
func contentKey(plural, name string) string { return plural + "\x00" + value.Fold(name) }

// findSource looks up what the folder has made before.
func (im *importing) findSource(ch *shelf.Change) error {
	im.source, im.were = nil, map[string]string{}
	if im.in.Content == nil {
		return nil
	}
	if strings.TrimSpace(im.in.Content.Name) == "" {
		return fault.New(fault.Invalid, "content.name is missing")
	}
	if im.source = ch.ByName("content_source", im.in.Content.Name); im.source == nil {
		return nil
	}
	for _, o := range im.source.Object.Objects("objects") {
		im.were[contentKey(o.Text("type"), o.Text("name"))] = o.Text("digest")
	}
	return nil
}

// edited reports whether an object is to stay as it is because somebody has
// changed it here since the folder made it, or has made it himself.
func (im *importing) edited(ch *shelf.Change, in incoming, was *shelf.Record) bool {
	if im.in.Content == nil || !bool(im.in.Content.KeepEdits) {
		return false
	}
	base, known := im.were[contentKey(in.typ.Plural, in.name)]
	return !known || base != digest(was.Object, ch.NameOf)
}

// keep remembers an object of the folder.
func (im *importing) keep(in incoming, digest string) {
	if im.in.Content == nil {
		return
	}
	o := object.New(object.ShapeOf("content_object"))
	o.Set("type", in.typ.Plural)
	o.Set("name", in.name)
	o.Set("digest", digest)
	im.made = append(im.made, o)
}

// prune deletes what the folder has made and holds no more, the last made first.
// If that is not wanted, it is remembered still.
func (im *importing) prune(ctx context.Context, ch *shelf.Change) error {
	if im.source == nil {
		return nil
	}
	held := map[string]bool{}
	for _, in := range im.objects {
		held[contentKey(in.typ.Plural, in.name)] = true
	}
	old := im.source.Object.Objects("objects")
	slices.SortStableFunc(old, func(a, b *object.Object) int { return rank(b) - rank(a) })
	for _, o := range old {
		if held[contentKey(o.Text("type"), o.Text("name"))] {
			continue
		}
		f, t, err := im.s.contentFace(o.Text("type"))
		if err != nil {
			continue // a type that there is no more
		}
		in := incoming{face: f, typ: t, plural: t.Plural, name: o.Text("name")}
		r := im.find(ch, in)
		if r == nil {
			continue // it is gone already
		}
		if !bool(im.in.Content.Prune) {
			im.made = append(im.made, o)
			continue
		}
		d := deed{Type: t.Plural, Name: in.name, Deed: deedDelete, Diff: []fieldDifference{}}
		if im.edited(ch, in, r) {
			d.Deed = deedKeep
			im.deeds = append(im.deeds, d)
			continue
		}
		if err := im.s.take(f, im.c, ch, r); err != nil {
			return fmt.Errorf("%s %q, which the content holds no more: %w", t.Plural, in.name, err)
		}
		im.then(f, r, nil)
		im.deeds = append(im.deeds, d)
	}
	return nil
}

// rank is the place of an object's type among the types.
func rank(o *object.Object) int {
	return slices.IndexFunc(content.Types, func(t content.Type) bool { return t.Plural == o.Text("type") })
}

// keepSource writes down what there is of the folder now.
func (im *importing) keepSource(ch *shelf.Change) error {
	if im.in.Content == nil {
		return nil
	}
	slices.SortFunc(im.made, func(a, b *object.Object) int {
		return strings.Compare(contentKey(a.Text("type"), a.Text("name")), contentKey(b.Text("type"), b.Text("name")))
	})
	o := object.New(object.ShapeOf("content_source"))
	o.Set("name", im.in.Content.Name)
	o.Set("version", im.in.Content.Version)
	o.Set("description", im.in.Content.Description)
	o.Set("signature", im.in.Signature)
	o.Set("objects", object.ListOf(im.made))
	if im.source == nil {
		_, err := ch.Create("content_source", 0, o)
		return err
	}
	if len(object.Diff(im.source.Object, o, nil)) == 0 {
		return nil
	}
	_, err := ch.Update(im.source, o)
	return err
}

// deriveSolution says of a folder of content what programs ask of solutions.
func (s *server) deriveSolution(r *shelf.Record, o *object.Object) {
	o.Set("imported_version", r.Object.Text("version"))
	o.Set("imported_by", s.shelves.NameOf("user", r.ModifiedBy))
	o.Set("solution_id", r.Name)
}
