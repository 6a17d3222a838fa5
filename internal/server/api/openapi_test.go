package api

import (
	"bytes"
	"encoding/json"
	commandline "flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// A contract holds answers against the description of the API.
type contract struct {
	mu       sync.Mutex // guards the fields below
	document map[string]any
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema
	kept     map[string]int // answers of success that were as described, by route
}

var theContract contract

// read takes the document of the first server that asks; all have the same.
func (k *contract) read(t testing.TB, s *server) {
	if k.document != nil {
		return
	}
	text, err := s.document()
	must(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	must(t, err)
	k.document = doc.(map[string]any)
	k.compiler = jsonschema.NewCompiler()
	must(t, k.compiler.AddResource("openapi.json", doc))
	k.schemas, k.kept = map[string]*jsonschema.Schema{}, map[string]int{}
}

// hold fails the test if an answer is not as described. Every answer that a
// test of this package gets goes through here.
func (k *contract) hold(t testing.TB, s *server, r *http.Request, w *httptest.ResponseRecorder) {
	t.Helper()
	tidy, ok := tidyPath(r.URL)
	if !ok {
		return
	}
	_, path := s.mux.Handler(&http.Request{Method: r.Method, URL: tidy, Host: r.Host})
	if base, many := strings.CutSuffix(path, "{part}"); many { // see patternOf
		path = base + tidy.Path[strings.LastIndexByte(tidy.Path, '/')+1:]
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read(t, s)
	method := strings.ToLower(r.Method)
	if method == "head" {
		method = "get"
	}
	methods, _ := k.document["paths"].(map[string]any)[path].(map[string]any)
	op, ok := methods[method].(map[string]any)
	status := strconv.Itoa(w.Code)
	if !ok {
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%s %s: %s, and no such route is described", r.Method, path, status)
		}
		return
	}
	responses := op["responses"].(map[string]any)
	if strings.HasPrefix(path, "/scim") {
		return
	}
	said, ok := responses[status].(map[string]any)
	if !ok {
		t.Errorf("%s %s: the status %s is not described", r.Method, path, status)
		return
	}
	at := "#/paths/" + pointer(path) + "/" + method + "/responses/" + status
	if ref, isRef := said["$ref"].(string); isRef {
		at = ref
		said = k.document["components"].(map[string]any)["responses"].(map[string]any)[status].(map[string]any)
	}
	kind, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
	content, _ := said["content"].(map[string]any)
	if content == nil {
		return // nothing is said of what comes along
	}
	if content["*/*"] != nil {
		k.kept[strings.ToUpper(method)+" "+path]++
		return
	}
	if _, ok := content[kind]; !ok {
		t.Errorf("%s %s: %s of type %q is not described", r.Method, path, status, kind)
		return
	}
	if kind != "application/json" {
		k.kept[strings.ToUpper(method)+" "+path]++
		return
	}
	k.validate(t, at+"/content/application~1json/schema", r.Method+" "+path, w.Body.Bytes())
	if w.Code < 300 {
		k.kept[strings.ToUpper(method)+" "+path]++
	}
}

func (k *contract) validate(t testing.TB, at, name string, body []byte) {
	t.Helper()
	if k.schemas[at] == nil {
		s, err := k.compiler.Compile("openapi.json" + at)
		if err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		k.schemas[at] = s
	}
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Errorf("%s: the answer is no JSON: %v", name, err)
		return
	}
	if err := k.schemas[at].Validate(answer); err != nil {
		t.Errorf("%s: the answer is not as described: %.1500v\n%.600s", name, err, body)
	}
}

// pointer writes a path as part of a JSON pointer in a URI.
func pointer(path string) string {
	return url.PathEscape(strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1"))
}

// TestRoutesAreDescribed: every route says what it does, and no line speaks of a
// route that there is not.
func TestRoutesAreDescribed(t *testing.T) {
	d := newDesk(t)
	seen := map[string]bool{}
	for _, rt := range d.api.routes() {
		name := rt.method + " " + rt.path
		if seen[name] {
			t.Errorf("%s is there twice", name)
		}
		seen[name] = true
		if summary := rt.note().summary; !strings.HasSuffix(summary, ".") {
			t.Errorf("%s says of itself %q: routes.txt wants a sentence", name, summary)
		}
	}
	for name := range routeNotes {
		if !seen[name] && !slices.Contains([]string{"POST /api/v2/move", "POST /api/v2/transfer", "POST /api/v2/build_group_text", "POST /api/v2/build_question_text"}, name) {
			t.Errorf("routes.txt speaks of %s, which is no route", name)
		}
	}
}

// TestDescription: the document is one, in its own terms.
func TestDescription(t *testing.T) {
	d := newDesk(t)
	w := d.send("GET", "/openapi.json", "")
	var doc struct {
		OpenAPI    string `json:"openapi"`
		Paths      map[string]map[string]operation
		Components struct{ Schemas map[string]any }
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &doc))
	same(t, doc.OpenAPI, "3.1.0")
	ids := map[string]bool{}
	operations := 0
	for path, methods := range doc.Paths {
		for method, op := range methods {
			operations++
			if ids[op.OperationID] || op.Summary == "" || len(op.Responses) < 2 {
				t.Errorf("%s %s: %+v", method, path, op)
			}
			ids[op.OperationID] = true
		}
	}
	same(t, operations, len(d.api.routes()))
	for ref := range strings.SplitSeq(w.Body.String(), `"$ref":"#/components/schemas/`) {
		name, _, _ := strings.Cut(ref, `"`)
		if _, ok := doc.Components.Schemas[name]; !ok && !strings.HasPrefix(ref, "{") {
			t.Errorf("the schema %s is referred to, and not there", name)
		}
	}
	same(t, doc.Paths["/api/v2/packages"]["get"].Privilege, "Read Package")
	t.Logf("%d operations on %d paths, %d schemas", operations, len(doc.Paths), len(doc.Components.Schemas))
}

type operation struct {
	OperationID string
	Summary     string
	Responses   map[string]any
	Privilege   string `json:"x-privilege"`
}

// TestMain says, when all tests have run, which routes none has had a success
// from: what they answer has not been held against the description. (Of plugins
// there are none; signing in and SCIM lead elsewhere or speak in another form.)
func TestMain(m *testing.M) {
	code := m.Run()
	if commandline.Lookup("test.run").Value.String() == "" && commandline.Lookup("test.fuzz").Value.String() == "" && code == 0 {
		if left := theContract.left(); len(left) > 0 {
			fmt.Printf("no test has had a success from %d routes:\n%s\n", len(left), strings.Join(left, "\n"))
			code = 1
		}
	}
	os.Exit(code)
}

func (k *contract) left() (out []string) {
	paths, _ := k.document["paths"].(map[string]any)
	for path, methods := range paths {
		for method := range methods.(map[string]any) {
			name := strings.ToUpper(method) + " " + path
			if k.kept[name] == 0 && name != "POST /api/v2/run_plugin" && !strings.HasPrefix(path, "/scim/") && !strings.HasPrefix(path, "/auth/") {
				out = append(out, name)
			}
		}
	}
	slices.Sort(out)
	return out
}
