// Package apicheck asks a server what its own description says that it can be
// asked, rightly and wrongly, and says what is not answered as described.
//
// It reads an OpenAPI document and knows nothing else of the server. It makes,
// changes and deletes whatever it can: it is for servers that nobody needs.
package apicheck

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// A Request is one to be made. Path has its query, if any.
type Request struct {
	Method, Path string
	Options      string // of the header tanium-options
	Body         string // JSON, or not
}

// An Answer is what came back.
type Answer struct {
	Status int
	Type   string // of the content, without parameters
	Body   []byte
}

// Ask makes a request.
type Ask func(ctx context.Context, r Request) (Answer, error)

// A Finding is an answer that is not as described.
type Finding struct {
	Request Request
	Status  int
	Why     string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s %s %.200q: %d: %s", f.Request.Method, f.Request.Path, f.Request.Body, f.Status, f.Why)
}

// A Report is what has been found.
type Report struct {
	Operations, Requests int
	Statuses             map[int]int
	Findings             []Finding
}

type object = map[string]any

type operation struct {
	method, path string
	said         object
}

// A checker makes requests by chance, the same ones for the same seed.
type checker struct {
	chance  *rand.Rand
	schemas object
	ids     []string // of what has been made
}

// passed are what ends the checker's own session, never ends, or goes elsewhere.
func passed(op operation) bool {
	if strings.HasSuffix(op.path, "/events") || strings.Contains(op.path, "/session/") || strings.HasPrefix(op.path, "/auth") || strings.HasPrefix(op.path, "/scim") {
		return true
	}
	return op.path == "/api/v2/start_ldap_sync" || strings.HasSuffix(op.path, "/preview")
}

// Run makes so many requests for each operation. An error is that of asking, or
// of a document that cannot be read.
func Run(ctx context.Context, document []byte, seed uint64, rounds int, ask Ask) (Report, error) {
	var doc struct {
		Paths      map[string]map[string]object
		Components struct{ Schemas object }
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return Report{}, fmt.Errorf("the description: %w", err)
	}
	c := &checker{rand.New(rand.NewPCG(seed, 0)), doc.Components.Schemas, []string{"1", "2"}}
	rep := Report{Statuses: map[int]int{}}
	var all []operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			if op := (operation{strings.ToUpper(method), path, doc.Paths[path][method]}); !passed(op) {
				all = append(all, op)
			}
		}
	}
	rep.Operations = len(all)
	for round := range rounds {
		for _, op := range all {
			r := c.request(op, round)
			a, err := ask(ctx, r)
			if err != nil {
				return rep, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
			}
			rep.Requests++
			rep.Statuses[a.Status]++
			if why := judge(op, a); why != "" {
				rep.Findings = append(rep.Findings, Finding{r, a.Status, why})
			}
			c.remember(op, a)
		}
	}
	return rep, nil
}

// judge says why an answer is not as described; "" if it is.
func judge(op operation, a Answer) string {
	responses, _ := op.said["responses"].(object)
	if _, ok := responses[strconv.Itoa(a.Status)]; !ok {
		return "the status is not described"
	}
	if a.Status >= 500 {
		return fmt.Sprintf("a failure: %.300s", a.Body)
	}
	if a.Status < 400 {
		if a.Type == "application/json" && !json.Valid(a.Body) {
			return "the answer is no JSON"
		}
		return ""
	}
	var said map[string]any
	if err := json.Unmarshal(a.Body, &said); err != nil || a.Type != "application/json" {
		return fmt.Sprintf("the refusal is no JSON: %s %.100q", a.Type, a.Body)
	}
	if text, _ := said["text"].(string); text == "" {
		return "the refusal has no text"
	}
	return ""
}

// remember keeps the numbers of what was made, so that later requests find it.
func (c *checker) remember(op operation, a Answer) {
	var said struct{ Data struct{ ID json.Number } }
	if op.method != "POST" || a.Status != 200 || json.Unmarshal(a.Body, &said) != nil || said.Data.ID == "" {
		return
	}
	if c.ids = append(c.ids, said.Data.ID.String()); len(c.ids) > 50 {
		c.ids = c.ids[1:]
	}
}

// request makes a request: in the first round one that is right, as far as that
// can be known, then others.
func (c *checker) request(op operation, round int) Request {
	r := Request{Method: op.method, Path: op.path}
	wild := round > 0
	var query []string
	for _, p := range list(op.said["parameters"]) {
		name, _ := p["name"].(string)
		switch p["in"] {
		case "path":
			text := c.segment(p, wild)
			r.Path = strings.ReplaceAll(strings.ReplaceAll(r.Path, "{"+name+"...}", text), "{"+name+"}", text)
		case "query":
			if wild && c.chance.IntN(4) == 0 {
				query = append(query, name+"="+url.QueryEscape(c.pick(oddTexts)))
			}
		case "header":
			if wild && c.chance.IntN(3) == 0 {
				r.Options = c.pick(oddOptions)
			}
		}
	}
	if len(query) > 0 {
		r.Path += "?" + strings.Join(query, "&")
	}
	if body, ok := op.said["requestBody"].(object); ok {
		r.Body = c.body(body, wild)
	}
	return r
}

func (c *checker) pick(from []string) string { return from[c.chance.IntN(len(from))] }

// oddTexts are at the bounds of what a text or a number may be, and beyond.
var oddTexts = []string{
	"0", "1", "-1", "2", "9223372036854775807", "9223372036854775808", "1e9", "x", "", " ", "é", "a/b", "..", "%", "' OR 1=1 --", "\x00", "\u202e",
	"null", "[]", "{}", "true", strings.Repeat("x", 3000),
}

var oddOptions = []string{
	`{"row_start":0,"row_count":1}`, `{"row_start":99999999,"row_count":99999999}`, `{"row_count":-1}`, `{"row_start":"x"}`, `{`, `[]`, `null`, `{"cache_id":1}`,
	`{"cache_expiration":60}`, `{"cache_sort_fields":"-id,name"}`, `{"cache_sort_fields":7}`, `{"cache_filters":[{"field":"name","value":".*"}]}`,
	`{"cache_filters":[{"field":"name","value":"("}]}`, `{"cache_filters":{}}`, `{"cache_filters":[null,1]}`, `{"include_hidden_flag":1,"json_pretty_print":1}`,
	`{"use_error_objects":1,"suppress_object_list":1}`, `{"summary":"x"}`,
}

func (c *checker) segment(p object, wild bool) string {
	kind, _ := p["schema"].(object)
	if wild && c.chance.IntN(3) == 0 {
		if text := c.pick(oddTexts); text != "" && text != ".." {
			return url.PathEscape(text)
		}
	}
	if kind["type"] == "integer" {
		return c.pick(c.ids)
	}
	return url.PathEscape(c.pick([]string{"question", "1", "10.0.0.1", "package", "x", "Computer Name"}))
}

func (c *checker) body(body object, wild bool) string {
	content, _ := body["content"].(object)
	kind, _ := content["application/json"].(object)
	whole, _ := kind["schema"].(object)
	if wild && c.chance.IntN(12) == 0 {
		return c.pick([]string{"", "{", "[]", "null", "7", `"x"`, `{"a":`, "\xff", strings.Repeat("[", 10_001), strings.Repeat(`{"sub_groups":[`, 200)})
	}
	b, err := json.Marshal(c.value(whole, wild, 0))
	if err != nil {
		return "{}" // of a text that is no UTF-8
	}
	return string(b)
}

// value makes a value of a schema or, if it is to be wild, now and then one of
// something else.
func (c *checker) value(s object, wild bool, depth int) any {
	if ref, ok := s["$ref"].(string); ok {
		s, _ = c.schemas[strings.TrimPrefix(ref, "#/components/schemas/")].(object)
	}
	if wild && c.chance.IntN(10) == 0 {
		return []any{nil, true, -1, 1.5, "x", []any{}, object{}, []any{nil}, int64(1) << 62}[c.chance.IntN(9)]
	}
	if all, ok := s["enum"].([]any); ok && len(all) > 0 {
		return all[c.chance.IntN(len(all))]
	}
	switch s["type"] {
	case "integer", "number":
		if wild {
			return []any{0, 1, -1, 60, 3600, int64(1) << 40}[c.chance.IntN(6)]
		}
		return 1
	case "boolean":
		return c.chance.IntN(2) == 0
	case "string":
		if s["format"] == "date-time" {
			return "2026-11-22T08:00:00Z"
		}
		if wild {
			return c.pick(oddTexts)
		}
		return "Thing " + strconv.Itoa(c.chance.IntN(1_000_000))
	case "array":
		out := []any{}
		items, _ := s["items"].(object)
		for range c.chance.IntN(3) {
			if depth < 5 {
				out = append(out, c.value(items, wild, depth+1))
			}
		}
		return out
	case "object":
		return c.members(s, wild, depth)
	}
	return object{"name": "x"}
}

func (c *checker) members(s object, wild bool, depth int) object {
	out := object{}
	properties, _ := s["properties"].(object)
	required := map[string]bool{}
	for _, name := range stringsOf(s["required"]) {
		required[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		of, _ := properties[name].(object)
		if required[name] && !(wild && c.chance.IntN(8) == 0) || c.chance.IntN(4) == 0 && depth < 4 {
			out[name] = c.value(of, wild, depth+1)
		}
	}
	if _, named := properties["name"]; named && depth == 0 && out["name"] == nil {
		out["name"] = "Thing " + strconv.Itoa(c.chance.IntN(1_000_000))
	}
	return out
}

func list(v any) (out []object) {
	all, _ := v.([]any)
	for _, e := range all {
		if o, ok := e.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

func stringsOf(v any) (out []string) {
	all, _ := v.([]any)
	for _, e := range all {
		if text, ok := e.(string); ok {
			out = append(out, text)
		}
	}
	return out
}
