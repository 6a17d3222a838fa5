package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"catenary/internal/content"
	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
)

// importMax is the size in bytes of content in a request.
const importMax = 64 << 20

// contentRoutes are those of content that goes from one installation to another.
func (s *server) contentRoutes() []route {
	const v2 = "/api/v2/"
	return []route{
		{"POST", v2 + "export", withSession, rights.ExportContent, post(bodyMax, s.exportContent)},
		{"POST", v2 + "import", withSession, rights.ImportContent, handler(s.importContent)},
		{"GET", v2 + "import/{id}", withSession, rights.ImportContent, get(s.importStatus)},
	}
}

// An exportChoice says which objects of a type are wanted.
type exportChoice struct {
	Include     []string `json:"include"` // names
	IncludeAll  flag     `json:"include_all"`
	IncludeByID []number `json:"include_by_id"`
}

type exportAnswer struct {
	Comment    string                       `json:"comment"`
	Version    int                          `json:"version"`
	ObjectList map[string][]json.RawMessage `json:"object_list"`
}

// facePaths are the types that content may have, by their faces.
var facePaths = map[string]string{"package_specs": "packages"}

// contentFace is the face of a type of content.
func (s *server) contentFace(plural string) (*face, content.Type, error) {
	if other, ok := facePaths[plural]; ok {
		plural = other
	}
	path := plural
	switch plural {
	case "filter_groups", "management_rights_groups", "computer_groups":
		plural = "groups"
	}
	t, ok := content.TypeOf(plural)
	if !ok {
		return nil, t, fault.New(fault.Invalid, "object_list: %q is no type of content", shorten(plural))
	}
	return s.faceOf(path), t, nil
}

// exportContent writes objects without their numbers, and with the names of what
// they refer to, so that they mean the same elsewhere.
func (s *server) exportContent(_ context.Context, c call, in map[string]json.RawMessage) (exportAnswer, error) {
	var opt struct {
		Sets []number `json:"export_by_content_set_ids"`
	}
	if err := c.options(&opt); err != nil {
		return exportAnswer{}, err
	}
	out := exportAnswer{Comment: "Exported by Catenary " + s.version, Version: importVersion, ObjectList: map[string][]json.RawMessage{}}
	for plural, raw := range in {
		if plural == "comment" || plural == "version" {
			continue
		}
		f, _, err := s.contentFace(plural)
		if err != nil {
			return out, err
		}
		var choice exportChoice
		if err := json.Unmarshal(raw, &choice); err != nil {
			return out, fault.New(fault.Invalid, "%s: {\"include\":[names]}, {\"include_all\":true} or {\"include_by_id\":[numbers]} is expected", shorten(plural))
		}
		list, err := s.chosen(f, c, choice, opt.Sets)
		if err != nil {
			return out, err
		}
		texts := []json.RawMessage{}
		for _, r := range list {
			texts = append(texts, portable(r.Object, s.shelves.NameOf))
		}
		out.ObjectList[plural] = texts
	}
	return out, nil
}

// chosen are the records that an export wants, by number.
func (s *server) chosen(f *face, c call, choice exportChoice, sets []number) ([]*shelf.Record, error) {
	var out []*shelf.Record
	visible := s.visible(f, c)
	take := func(r *shelf.Record) {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	for _, name := range choice.Include {
		r := s.shelves.ByName(f.kind, name)
		if r == nil || !slices.Contains(visible, r) {
			return nil, fmt.Errorf("%w: %q", notThere(s.shelves.Kind(f.kind)), shorten(name))
		}
		take(r)
	}
	for _, id := range choice.IncludeByID {
		r := s.shelves.ByID(f.kind, int64(id))
		if r == nil || !slices.Contains(visible, r) {
			return nil, fmt.Errorf("%w: %s", notThere(s.shelves.Kind(f.kind)), strconv.FormatInt(int64(id), 10))
		}
		take(r)
	}
	if choice.IncludeAll || len(sets) > 0 && len(choice.Include)+len(choice.IncludeByID) == 0 {
		for _, r := range visible {
			if s.exported(f, r) && (len(sets) == 0 || f.set != "" && slices.Contains(sets, number(r.Object.Ref(f.set).ID))) {
				take(r)
			}
		}
	}
	slices.SortFunc(out, func(a, b *shelf.Record) int { return int(a.ID - b.ID) })
	return out, nil
}

func notThere(k *shelf.Kind) error {
	return fault.New(fault.NotFound, "ObjectNotFound: %w", k.Missing())
}

// exported reports whether a record is content: not what every installation has
// of itself, nor what belongs to a single question.
func (s *server) exported(f *face, r *shelf.Record) bool {
	switch f.kind {
	case "sensor":
		_, native := s.native(r)
		return !native
	case "group":
		return r.Name != "" && !reservedGroup(r.ID)
	case "content_set":
		return r.Object.Text("reserved_name") == ""
	}
	return true
}

// unportable are fields that mean nothing elsewhere, or that follow from others.
var unportable = map[string][]string{
	"sensor":         {"hash", "hash_size", "string_count", "string_hints", "source_id", "source_hash", "preview_sensor_flag"},
	"group":          {"filters", "sub_groups", "and_flag", "not_flag", "source_id"},
	"saved_question": {"question", "most_recent_question_id", "seeding_question_ids", "cache_row_id", "archive_owner", "index"},
	"package_spec":   {"source_id", "source_hash", "source_hash_changed_flag", "verify_group_id", "signature"},
	"dashboard":      {"group_id"},
	"content_set":    {"reserved_name"},
}

// portable writes what has been said of an object, in the order of its shape:
// the same bytes for the same object, whatever the numbers of an installation.
func portable(o *object.Object, names object.Names) []byte { return appendPortable(nil, o, names) }

func appendPortable(b []byte, o *object.Object, names object.Names) []byte {
	b = append(b, '{')
	first := true
	for i := range o.Shape().Fields {
		f := &o.Shape().Fields[i]
		said := portableField(o, f, names)
		if said == nil || o.Is(learnedHash) && (f.Name == "hash" || f.Name == "size") || slices.Contains(unportable[o.Shape().Name], f.Name) && (o.Shape().Name != "group" || o.Text("text") != "") {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = object.AppendText(b, f.Name)
		b = append(append(b, ':'), said...)
	}
	return append(b, '}')
}

// portableField is what stands behind a field's name; nil if nothing is to.
func portableField(o *object.Object, f *object.Field, names object.Names) []byte {
	if f.Type == object.Head || f.ReadOnly || f.Hidden || !o.Has(f.Name) {
		return nil
	}
	if f.Type == object.Reference && slices.Contains([]string{"user", "persona", "user_group"}, f.Kind) {
		return nil
	}
	one := func(v any) []byte {
		switch v := v.(type) {
		case *object.Object:
			return appendPortable(nil, v, names)
		case object.Ref:
			name := names(f.Kind, v.ID)
			if v.ID == 0 || name == "" {
				return nil
			}
			return append(object.AppendText([]byte(`{"name":`), name), '}')
		case json.RawMessage:
			return v
		}
		text, err := marshal(v)
		if err != nil {
			return nil // of texts, numbers and times there is none
		}
		return bytes.TrimSpace(text)
	}
	v := o.Value(f.Name)
	if o.Shape().Name == "group" && f.Name == "text" {
		v = strings.TrimSpace(o.Text(f.Name)) // the blank in front is for programs only
	}
	list, isList := v.([]any)
	if !isList {
		if _, deep := v.(json.RawMessage); !deep && !f.Optional && v == object.New(o.Shape()).Value(f.Name) {
			return nil // it holds anyway
		}
		return one(v)
	}
	var parts [][]byte
	for _, e := range list {
		if part := one(e); part != nil {
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return slices.Concat([]byte{'['}, bytes.Join(parts, []byte{','}), []byte{']'})
}
