package api

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
)

// schema is a piece of an OpenAPI document or of a JSON schema.
type schema = map[string]any

// faced is a handler of what can be done with the objects of a face.
type faced struct {
	handler
	face *face
	deed faceDeed
}

// A faceDeed is what a generic route does.
type faceDeed uint8

const (
	lists faceDeed = iota
	shows
	creates
	changes
	removes
)

// The routes that no face has say what they do in a file, a line each: method,
// path, the sort of answer unless it is JSON in an envelope, and a sentence.
//
//go:embed routes.txt
var routesText string

// A routeNote is such a line.
type routeNote struct {
	sort, shape, summary string
	list                 bool // the envelope holds a list of the shape
}

// The sorts of answers.
const (
	sortList   = "list"   // JSON in an envelope, with cache info as its last element
	sortBare   = "bare"   // JSON without the envelope
	sortText   = "text"   // text/plain
	sortFile   = "file"   // application/octet-stream
	sortEvents = "events" // text/event-stream
	sortTable  = "table"  // text/csv, or JSON in an envelope
	sortMoved  = "moved"  // 302
	sortPage   = "page"   // text/html or XML
	sortSCIM   = "scim"   // application/scim+json
	sortLater  = "later"  // JSON in an envelope, with 202 if it only begins now
)

var routeNotes = parseNotes(routesText)

var noteLine = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (\S+) (?:\[([a-z]+)(?::(\[?)([a-z_]+)\]?)?\] )?(\S.*)$`)

func parseNotes(text string) map[string]routeNote {
	out := map[string]routeNote{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		m := noteLine.FindStringSubmatch(line)
		if m == nil {
			panic("api: routes.txt: " + line)
		}
		out[m[1]+" "+m[2]] = routeNote{sort: m[3], list: m[4] != "", shape: m[5], summary: m[6]}
	}
	return out
}

// note is what is said of a route.
func (rt route) note() routeNote {
	f, ok := rt.serve.(faced)
	if !ok {
		return routeNotes[rt.method+" "+rt.path]
	}
	kind := strings.ReplaceAll(f.face.kind, "_", " ")
	n := routeNote{summary: map[faceDeed]string{
		lists: "List each " + kind, shows: "Show one " + kind, creates: "Make one " + kind, changes: "Change one " + kind, removes: "Delete one " + kind,
	}[f.deed] + "."}
	if f.deed == lists && f.face.verbs&listHasInfo != 0 {
		n.sort = sortList
	}
	return n
}

// A description builds the OpenAPI document.
type description struct{ schemas schema }

// describe is the OpenAPI 3.1 document of routes.
func describe(version string, routes []route) schema {
	d := &description{schemas: schema{}}
	d.schemas["Error"] = closed(schema{"text": schema{"type": "string"}, "data": schema{"$ref": "#/components/schemas/ErrorObject"}}, "text")
	d.schemas["ErrorObject"] = closed(schema{"xml_error": d.ofType(typeOf[errorObject]())}, "xml_error")
	d.schemas["Reference"] = closed(schema{"id": schema{"type": "integer"}, "name": schema{"type": "string"}}, "id")
	paths := schema{}
	for _, rt := range routes {
		path, _ := paths[rt.path].(schema)
		if path == nil {
			path = schema{}
			paths[rt.path] = path
		}
		path[strings.ToLower(rt.method)] = d.operation(rt)
	}
	return schema{
		"openapi": "3.1.0",
		"info": schema{
			"title": "Catenary", "version": version,
			"description": "The public API. Every answer is {\"data\":…} or {\"text\":…}; what else holds for all routes stands in docs/api.md.",
		},
		"servers":    []any{schema{"url": "/"}},
		"security":   []any{schema{"session": []any{}}},
		"paths":      paths,
		"components": schema{"schemas": d.schemas, "responses": errorResponses(), "securitySchemes": schema{"session": schema{"type": "apiKey", "in": "header", "name": "session", "description": "A session string or an API token."}}},
	}
}

// refusals are the statuses that any route may answer with, besides those that
// only some have.
var refusals = map[string]string{
	"400": "The request can never work; text says why.", "401": "Wrong credentials.", "403": "No session, an expired one, or no right to do this.",
	"404": "There is no such object.", "405": "The path is right, the method is not.", "413": "The body is too large.",
	"429": "Too many requests; Retry-After says in how many seconds to try again.",
	"500": "The server's fault; the cause is in its log.", "503": "Too much at once, or the server is stopping.",
}

func errorResponses() schema {
	out := schema{}
	for status, text := range refusals {
		out[status] = schema{"description": text, "content": schema{"application/json": schema{"schema": schema{"$ref": "#/components/schemas/Error"}}}}
	}
	return out
}

var pathVariable = regexp.MustCompile(`\{([a-z_]+)(\.\.\.)?\}`)

func (d *description) operation(rt route) schema {
	note := rt.note()
	op := schema{
		"summary": note.summary, "operationId": operationID(rt), "responses": d.responses(rt, note),
		"tags": []any{strings.Split(strings.TrimPrefix(rt.path, "/api/v2/"), "/")[0]},
	}
	said := []string{}
	if f, ok := rt.serve.(faced); ok && f.face.says != "" {
		said = append(said, f.face.says)
	}
	if rt.right != rights.None {
		said = append(said, fmt.Sprintf("Needs the privilege “%s”.", rt.right))
		op["x-privilege"] = rt.right.String()
	}
	if len(said) > 0 {
		op["description"] = strings.Join(said, " ")
	}
	switch rt.access {
	case anyone:
		op["security"] = []any{}
	case fromHere:
		op["security"] = []any{schema{}, schema{"session": []any{}}} // from this machine without
	}
	if params := parameters(rt, note); len(params) > 0 {
		op["parameters"] = params
	}
	if body := d.body(rt); body != nil {
		op["requestBody"] = schema{"required": !spared(rt), "content": schema{"application/json": schema{"schema": body}}}
	}
	return op
}

// operationID is a name for the route in programs: listPackages.
func operationID(rt route) string {
	id := strings.ToLower(rt.method)
	for _, part := range strings.FieldsFunc(rt.path, func(r rune) bool { return !('a' <= r && r <= 'z' || '0' <= r && r <= '9') }) {
		id += strings.ToUpper(part[:1]) + part[1:]
	}
	return id
}

func parameters(rt route, note routeNote) (out []any) {
	for _, m := range pathVariable.FindAllStringSubmatch(rt.path, -1) {
		kind := schema{"type": "string", "minLength": 1}
		if m[1] == "id" && !strings.HasPrefix(rt.path, "/scim") && !strings.HasPrefix(rt.path, "/auth") || m[1] == "hash" {
			kind = schema{"type": "integer", "minimum": 0}
		}
		out = append(out, schema{"name": m[1], "in": "path", "required": true, "schema": kind})
	}
	f, isFace := rt.serve.(faced)
	if note.sort == sortList || isFace && f.deed == lists {
		for name, kind := range map[string]string{"row_start": "integer", "row_count": "integer", "cache_sort_fields": "string"} {
			p := schema{"name": name, "in": "query", "schema": schema{"type": kind}}
			if kind == "integer" {
				p["schema"] = schema{"type": kind, "minimum": 0}
			}
			out = append(out, p)
		}
		out = append(out, schema{
			"name": optionsHeader, "in": "header", "description": "A JSON object with pages, filters and sorting; see docs/api.md.", "schema": schema{"type": "string"},
		})
	}
	slices.SortStableFunc(out, func(a, b any) int { return strings.Compare(a.(schema)["in"].(string), b.(schema)["in"].(string)) })
	return out
}

// responses says what the route answers.
func (d *description) responses(rt route, note routeNote) schema {
	out := schema{}
	if note.sort == sortSCIM {
		for _, status := range []string{"200", "201", "204", "default"} {
			out[status] = schema{"description": "As RFC 7644 says.", "content": schema{"application/scim+json": schema{"schema": schema{}}}}
		}
		return out
	}
	for status := range refusals {
		switch {
		case status == "404" && !strings.Contains(rt.path, "{") && rt.method == http.MethodGet && !strings.HasPrefix(rt.path, "/api/v2/"):
		case status == "413" && rt.method == http.MethodGet:
		default:
			out[status] = schema{"$ref": "#/components/responses/" + status}
		}
	}
	content := func(kind string, s schema) schema {
		return schema{"description": "Done.", "content": schema{kind: schema{"schema": s}}}
	}
	text := schema{"type": "string"}
	switch note.sort {
	case sortText:
		out["200"] = content("text/plain", text)
	case sortFile:
		out["200"] = content("*/*", text)
	case sortTable:
		rows := content("application/json", closed(schema{"data": d.answer(rt, note)}, "data"))
		rows["content"].(schema)["text/csv"] = schema{"schema": text}
		out["200"] = rows
	case sortEvents:
		out["200"] = content("text/event-stream", text)
	case sortPage:
		out["200"] = content("*/*", text)
	case sortMoved:
		out["200"] = content("application/json", schema{}) // the session, where no page is to be gone to
		out["302"] = schema{"description": "Go on at Location."}
		out["303"] = out["302"]
	case sortBare:
		out["200"] = content("application/json", d.answer(rt, note))
	default:
		out["200"] = content("application/json", closed(schema{"data": d.answer(rt, note)}, "data"))
		if note.sort == sortLater {
			out["202"] = out["200"]
		}
	}
	return out
}

// answer is the schema of what the envelope holds.
func (d *description) answer(rt route, note routeNote) schema {
	element := func(s schema) schema {
		if note.sort == sortList {
			s = schema{"anyOf": []any{s, d.ofType(typeOf[cacheInfo]())}}
		}
		return schema{"type": "array", "items": s}
	}
	switch h := rt.serve.(type) {
	case faced:
		shape := d.ofShape(h.face.objectShape())
		id := closed(schema{"id": schema{"type": "integer"}}, "id")
		switch {
		case h.deed == lists:
			return element(shape)
		case h.deed == creates && h.face.verbs&saysIDOnly != 0, h.deed == removes && h.face.verbs&(saysIDOnly|goneSaysID) != 0:
			return id
		}
		return shape
	case handler:
		if note.shape == "" {
			return schema{}
		}
		s := d.ofShape(object.ShapeOf(note.shape))
		if note.list {
			return element(s)
		}
		return s
	case typedHandler:
		if h.out == nil {
			return schema{}
		}
		s := d.ofType(h.out)
		if items, is := s["items"].(schema); is && note.sort == sortList {
			return element(items)
		}
		return s
	}
	return schema{}
}

// body is the schema of what the route wants to be sent; nil: nothing.
func (d *description) body(rt route) schema {
	switch h := rt.serve.(type) {
	case faced:
		if h.deed == creates || h.deed == changes {
			return d.inputOf(h.face.objectShape(), h.deed == creates)
		}
	case typedHandler:
		if h.in != nil && rt.method != http.MethodGet {
			return d.inputType(h.in)
		}
	}
	return nil
}

// spared reports whether the body of a request may be missing.
func spared(rt route) bool {
	h, ok := rt.serve.(typedHandler)
	return ok && h.spared
}

// closed is the schema of an object with these members and no others.
func closed(properties schema, required ...string) schema {
	s := schema{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		slices.Sort(required)
		s["required"] = required
	}
	return s
}

// ofShape is the schema of an object as it is answered.
func (d *description) ofShape(shape *object.Shape) schema {
	ref := schema{"$ref": "#/components/schemas/" + shape.Name}
	if d.schemas[shape.Name] != nil {
		return ref
	}
	properties := schema{}
	d.schemas[shape.Name] = closed(properties) // before its fields, which may have it in them
	for i := range shape.Fields {
		if f := &shape.Fields[i]; !f.Hidden {
			properties[f.Name] = d.ofField(f)
		}
	}
	return ref
}

func (d *description) ofField(f *object.Field) schema {
	var s schema
	switch f.Type {
	case object.Number:
		s = schema{"type": "integer"}
	case object.Bool:
		s = schema{"type": "boolean"}
	case object.Flag:
		s = schema{"type": "integer", "enum": []any{0, 1}}
	case object.Date:
		s = schema{"type": "string", "format": "date-time"}
	case object.Enum:
		s = schema{"type": "string", "enum": f.Values}
	case object.Any:
		s = schema{}
	case object.Reference:
		s = schema{"$ref": "#/components/schemas/Reference"}
	case object.Nested:
		s = d.ofShape(f.Of)
	case object.Head:
		s = headSchema(f.Head)
	default:
		s = schema{"type": "string"}
	}
	if f.List {
		s = schema{"type": "array", "items": s}
	}
	if f.ReadOnly && s["$ref"] == nil {
		s["readOnly"] = true
	}
	return s
}

func headSchema(what string) schema {
	switch what {
	case "id", "row":
		return schema{"type": "integer"}
	case "created", "modified":
		return schema{"type": "string", "format": "date-time"}
	case "modifier_name":
		return schema{"type": "string"}
	case "deleted:flag":
		return schema{"type": "integer", "enum": []any{0, 1}}
	case "deleted:bool":
		return schema{"type": "boolean"}
	}
	return schema{"$ref": "#/components/schemas/Reference"}
}

// inputOf is the schema of an object as it is to be sent. Members that are not
// known are passed over, and so is what only the server says.
func (d *description) inputOf(shape *object.Shape, making bool) schema {
	name := shape.Name + "_change"
	if making {
		name = shape.Name + "_new"
	}
	ref := schema{"$ref": "#/components/schemas/" + name}
	if d.schemas[name] != nil {
		return ref
	}
	properties, required := schema{}, []string{}
	whole := schema{"type": "object", "properties": properties}
	d.schemas[name] = whole
	for i := range shape.Fields {
		f := &shape.Fields[i]
		if f.Type == object.Head || f.ReadOnly {
			continue
		}
		properties[f.Name] = d.inputField(f)
		if f.Required && making {
			required = append(required, f.Name)
		}
	}
	if len(required) > 0 {
		whole["required"] = required
	}
	return ref
}

func (d *description) inputField(f *object.Field) schema {
	var s schema
	switch f.Type {
	case object.Bool, object.Flag:
		s = schema{"enum": []any{true, false, 0, 1, "true", "false", "0", "1"}}
	case object.Nested:
		s = d.inputOf(f.Of, false)
	case object.Reference:
		s = schema{"type": "object", "properties": schema{"id": schema{"type": "integer", "minimum": 0}, "name": schema{"type": "string"}}}
	default:
		plain := *f
		plain.List, plain.ReadOnly = false, false
		s = d.ofField(&plain)
	}
	if f.List {
		s = schema{"type": "array", "items": s}
	}
	return s
}

// documented makes the document when it is first asked for.
func (s *server) documented() func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) { return json.Marshal(describe(s.version, s.routes())) })
}

func (s *server) serveOpenAPI(w http.ResponseWriter, _ call) error {
	b, err := s.document()
	if err != nil {
		return err
	}
	beginJSON(w, http.StatusOK)
	return send(w, b)
}
