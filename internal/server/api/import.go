package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"catenary/internal/content"
	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// importVersion is the version of content's form.
const importVersion = 2

// What becomes of an object of which there is one already.
type conflictOption int

const (
	conflictError conflictOption = iota
	conflictOverwrite
	conflictCopy
	conflictIgnore
	conflictMerge
	conflictDisable // overwrite, and let it do nothing
	conflictMax     = conflictDisable
)

// importOptions are those of the header.
type importOptions struct {
	Default    *number                      `json:"default_import_conflict_option"`
	ByType     map[string]number            `json:"import_conflict_options"`
	ByName     map[string]map[string]number `json:"import_conflict_options_by_type_and_name"`
	AnalyzeAll flag                         `json:"import_analyze_conflicts_only"`
}

// option says what is to become of an object that is there already.
func (o importOptions) option(plural, name string) conflictOption {
	if n, ok := o.ByName[plural][name]; ok {
		return conflictOption(n)
	}
	if n, ok := o.ByType[plural]; ok {
		return conflictOption(n)
	}
	if o.Default != nil {
		return conflictOption(*o.Default)
	}
	return conflictError
}

func (o importOptions) check() error {
	all := []number{}
	if o.Default != nil {
		all = append(all, *o.Default)
	}
	for _, n := range o.ByType {
		all = append(all, n)
	}
	for _, by := range o.ByName {
		for _, n := range by {
			all = append(all, n)
		}
	}
	for _, n := range all {
		if n < 0 || n > number(conflictMax) {
			return fault.New(fault.Invalid, "a conflict option is %d, not 0 (error), 1 (overwrite), 2 (copy), 3 (ignore), 4 (merge) or 5 (overwrite and disable)", n)
		}
	}
	return nil
}

// An importRequest is content.
type importRequest struct {
	Version    number                       `json:"version"`
	ObjectList map[string][]json.RawMessage `json:"object_list"`
	// Content names the folder that the objects are from. The server remembers
	// then what it has made of it: Catenary's own.
	Content *contentRequest `json:"content"`
	// Signature is that of an installation's content key over object_list, as
	// the bytes stand here; base64.
	Signature string `json:"signature"`
}

type contentRequest struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Description string `json:"description"`
	KeepEdits   flag   `json:"keep_edits"` // what was changed since stays as it is
	Prune       flag   `json:"prune"`      // what the folder has made and holds no more is deleted
}

// What happens to an object.
const (
	deedCreate = "create"
	deedChange = "change"
	deedSame   = "same"
	deedIgnore = "ignore"
	deedKeep   = "keep" // it was changed here since
	deedDelete = "delete"
	deedError  = "conflict"
)

// A deed is what an import does to an object, or would do.
type deed struct {
	Type  string            `json:"type"`
	Name  string            `json:"name"`
	IsNew bool              `json:"is_new"`
	Deed  string            `json:"deed"`
	Diff  []fieldDifference `json:"diff"`
}

type fieldDifference struct {
	Field string `json:"field"`
	Was   string `json:"was"`
	Now   string `json:"now"`
}

// An importAnswer says what has happened. The conflicts stand where programs
// look for them.
type importAnswer struct {
	ObjectList struct {
		Conflicts []deed `json:"import_conflict_details"`
	} `json:"object_list"`
	Applied bool   `json:"applied"` // false: only looked at
	Deeds   []deed `json:"deeds"`   // all of them, in their order
}

// An incoming object is one of an import, read.
type incoming struct {
	face   *face
	typ    content.Type
	plural string
	name   string
	object *object.Object
}

// errOnlyLooked takes back what an import has done in a change that is not to
// happen.
var errOnlyLooked = errors.New("only looked")

// An importing is an import under way.
type importing struct {
	s       *server
	c       call
	in      importRequest
	opt     importOptions
	objects []incoming

	deeds    []deed
	conflict bool
	done     []func()          // when the change has happened
	made     []*object.Object  // content_objects: what is there of the folder in the end
	were     map[string]string // digests of what the folder had made before, by type and name
	source   *shelf.Record     // of the folder; nil: new, or none
}

// runImport applies content, or looks at what would happen: everything in one
// change, or nothing.
func (s *server) runImport(ctx context.Context, c call, in importRequest, opt importOptions) (importAnswer, error) {
	im := &importing{s: s, c: c, in: in, opt: opt, were: map[string]string{}}
	if err := im.read(ctx); err != nil {
		return importAnswer{}, err
	}
	err := s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		if err := im.apply(ctx, ch); err != nil {
			return err
		}
		if im.conflict || bool(opt.AnalyzeAll) {
			return errOnlyLooked
		}
		return nil
	})
	applied := err == nil
	if err != nil && !errors.Is(err, errOnlyLooked) {
		return importAnswer{}, err
	}
	if applied {
		for _, f := range im.done {
			f()
		}
	}
	out := importAnswer{Applied: applied, Deeds: im.deeds}
	out.ObjectList.Conflicts = []deed{}
	for _, d := range im.deeds {
		if d.Deed == deedError || bool(opt.AnalyzeAll) && d.Deed != deedSame {
			out.ObjectList.Conflicts = append(out.ObjectList.Conflicts, d)
		}
	}
	return out, nil
}

// read decodes the objects, in the order in which they are made.
func (im *importing) read(ctx context.Context) error {
	if v := im.in.Version; v != 0 && v != importVersion {
		return fault.New(fault.Invalid, "the content has version %d: this server reads version %d", v, importVersion)
	}
	if err := im.opt.check(); err != nil {
		return err
	}
	for plural := range im.in.ObjectList {
		if _, _, err := im.s.contentFace(plural); err != nil {
			return err
		}
	}
	for _, t := range content.Types {
		for plural, list := range im.in.ObjectList {
			f, typ, err := im.s.contentFace(plural)
			if err != nil {
				return err
			}
			if typ.Plural != t.Plural {
				continue
			}
			for i, raw := range list {
				where := fmt.Sprintf("%s[%d]", plural, i)
				o, err := f.objectShape().Decode(raw, object.Lenient)
				if err != nil {
					return fmt.Errorf("%s: %w", where, err)
				}
				o = object.New(object.ShapeOf(f.kind)).With(o)
				name := strings.TrimSpace(o.Text(t.Key))
				if name == "" {
					return fault.New(fault.Invalid, "%s: %s is missing", where, t.Key)
				}
				o.Set(t.Key, name) // as it is kept, lest each import changes it
				if err := byName(o); err != nil {
					return err
				}
				if f.ready != nil {
					if err := f.ready(ctx, im.c, nil, o); err != nil {
						return fmt.Errorf("%s %q: %w", where, name, err)
					}
				}
				im.objects = append(im.objects, incoming{f, t, plural, name, o})
			}
		}
	}
	return nil
}

// byName lets references with names mean what has the name here: their numbers
// are those of another installation.
func byName(o *object.Object) error {
	return o.Each(func(_ string, r object.Ref) (object.Ref, error) {
		if r.Name != "" {
			r.ID = 0
		}
		return r, nil
	})
}

// apply makes everything within a change, type by type.
func (im *importing) apply(ctx context.Context, ch *shelf.Change) error {
	im.deeds, im.conflict, im.done, im.made = []deed{}, false, nil, nil
	if err := im.findSource(ch); err != nil {
		return err
	}
	for rest := im.objects; len(rest) > 0; {
		n := slices.IndexFunc(rest, func(in incoming) bool { return in.typ != rest[0].typ })
		if n < 0 {
			n = len(rest)
		}
		if err := im.all(ctx, ch, rest[:n]); err != nil {
			return err
		}
		rest = rest[n:]
	}
	if err := im.prune(ctx, ch); err != nil {
		return err
	}
	return im.keepSource(ch)
}

// all makes the objects of one type. Groups may name each other in any order:
// those that cannot be made yet are tried again.
func (im *importing) all(ctx context.Context, ch *shelf.Change, waiting []incoming) error {
	for len(waiting) > 0 {
		var later []incoming
		var first error
		for _, in := range waiting {
			err := im.one(ctx, ch, in)
			if err == nil {
				continue
			}
			err = fmt.Errorf("%s %q: %w", in.plural, in.name, err)
			kind := fault.KindOf(err)
			if in.typ.Plural != "groups" || kind != fault.Invalid && kind != fault.NotFound {
				return err
			}
			later = append(later, in)
			if first == nil {
				first = err
			}
		}
		if len(later) == len(waiting) {
			return first
		}
		waiting = later
	}
	return nil
}

// one makes or changes one object.
func (im *importing) one(ctx context.Context, ch *shelf.Change, in incoming) error {
	was := im.find(ch, in)
	if was == nil {
		return im.create(ctx, ch, in, in.object)
	}
	if f := in.face; f.shows != nil && !f.shows(was) || f.hides != nil && f.hides(im.c, was.Object) {
		// It is not the caller's to see, or not as what he takes it for.
		return fault.New(fault.Conflict, "%sNameNotUnique: there is another %s of that name already", f.kindOf(im.s).Noun, f.kindOf(im.s).What)
	}
	option := im.opt.option(in.plural, in.name)
	o, err := im.wanted(ctx, ch, in, was, option == conflictMerge)
	if err != nil {
		return err
	}
	d := deed{Type: in.plural, Name: in.name, Deed: deedChange, Diff: differences(was.Object, o, ch.NameOf)}
	if len(d.Diff) == 0 {
		d.Deed = deedSame
		im.keep(in, digest(was.Object, ch.NameOf))
		im.deeds = append(im.deeds, d)
		return nil
	}
	if im.edited(ch, in, was) {
		d.Deed = deedKeep
		if base, known := im.were[contentKey(in.typ.Plural, in.name)]; known {
			im.keep(in, base)
		}
		im.deeds = append(im.deeds, d)
		return nil
	}
	switch option {
	case conflictError:
		d.Deed, im.conflict = deedError, true
	case conflictIgnore:
		d.Deed = deedIgnore
	case conflictCopy:
		copied := in.object.Clone()
		copied.Set(in.typ.Key, im.freeName(ch, in))
		return im.create(ctx, ch, in, copied)
	default:
		if option == conflictDisable {
			disable(o)
		}
		is, err := in.face.update(im.c, ch, was, o)
		if err != nil {
			return err
		}
		im.then(in.face, was, is)
		im.keep(in, digest(is.Object, ch.NameOf))
	}
	im.deeds = append(im.deeds, d)
	return nil
}

// find returns what has the name of an incoming object here, or nil.
func (im *importing) find(ch *shelf.Change, in incoming) *shelf.Record {
	if !in.face.kindOf(im.s).Loose {
		return ch.ByName(in.face.kind, in.name)
	}
	for _, r := range ch.All(in.face.kind) {
		if strings.EqualFold(r.Object.Text(in.typ.Key), in.name) {
			return r
		}
	}
	return nil
}

func (f *face) kindOf(s *server) *shelf.Kind { return s.shelves.Kind(f.kind) }

func (im *importing) create(ctx context.Context, ch *shelf.Change, in incoming, o *object.Object) error {
	r, err := im.s.make(in.face, im.c, ch, o.Clone())
	if err != nil {
		return err
	}
	im.then(in.face, nil, r)
	in.name = r.Object.Text(in.typ.Key)
	im.keep(in, digest(r.Object, ch.NameOf))
	im.deeds = append(im.deeds, deed{Type: in.plural, Name: in.name, IsNew: true, Deed: deedCreate, Diff: differences(object.New(o.Shape()), r.Object, ch.NameOf)})
	return nil
}

// wanted is what an object is to become, with everything found that it refers
// to. What only this server says of it stays; of the rest, what is not said is
// as if it had never been, unless the two are merged.
func (im *importing) wanted(ctx context.Context, ch *shelf.Change, in incoming, was *shelf.Record, merge bool) (*object.Object, error) {
	base := was.Object
	if !merge {
		base = object.New(was.Object.Shape())
		for i := range base.Shape().Fields {
			f := &base.Shape().Fields[i]
			if f.ReadOnly && f.Type != object.Head || f.Hidden || slices.Contains(unportable[base.Shape().Name], f.Name) || f.Type == object.Reference && f.Kind == "user" {
				if was.Object.Has(f.Name) {
					base.Set(f.Name, was.Object.Value(f.Name))
				}
			}
		}
	}
	o := base.With(in.object)
	if err := in.face.settleSet(ch, o); err != nil {
		return nil, err
	}
	for _, o := range []*object.Object{was.Object, o} {
		if err := in.face.allow(im.c, in.face.write, o); err != nil {
			return nil, err
		}
	}
	if in.face.prepare != nil {
		if err := in.face.prepare(ctx, im.c, ch, was, o); err != nil {
			return nil, err
		}
	}
	if err := im.s.allowReferences(im.c, ch, was.Object, o); err != nil {
		return nil, err
	}
	err := o.Each(func(kind string, r object.Ref) (object.Ref, error) { return ch.Find(kind, r) })
	return o, err
}

// then lets a face know of what has happened, when it has.
func (im *importing) then(f *face, was, is *shelf.Record) {
	if f.done != nil {
		im.done = append(im.done, func() { f.done(im.c.Context(), im.c, was, is) })
	}
}

// freeName is a name for a copy.
func (im *importing) freeName(ch *shelf.Change, in incoming) string {
	for i := 2; ; i++ {
		name := fmt.Sprintf("%s (%d)", in.name, i)
		other := in
		other.name = name
		if im.find(ch, other) == nil {
			return name
		}
	}
}

// disable lets an object do nothing, if it does anything by itself.
func disable(o *object.Object) {
	if _, can := o.Shape().Field("disabled_flag"); can {
		o.Set("disabled_flag", true)
	}
}

func differences(was, now *object.Object, names object.Names) []fieldDifference {
	out := []fieldDifference{}
	for _, d := range object.Diff(was, now, names) {
		if !slices.Contains(unportable[now.Shape().Name], d.Field) {
			out = append(out, fieldDifference{d.Field, d.Was, d.Now})
		}
	}
	return out
}

// digest stands for everything that content can say of an object.
func digest(o *object.Object, names object.Names) string {
	sum := sha256.Sum256(portable(o, names))
	return hex.EncodeToString(sum[:])
}
