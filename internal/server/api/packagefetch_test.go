package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catenary/internal/server/fetch"
)

// fetching lets a desk fetch files from a source that serves what text holds.
func fetching(t *testing.T, d *desk, text *atomic.Pointer[string]) (source string) {
	t.Helper()
	from := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := text.Load(); s != nil {
			io.WriteString(w, *s)
			return
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(from.Close)
	limits := fetch.Defaults
	limits.First, limits.Most = time.Millisecond, 10*time.Millisecond
	d.api.fetcher = d.api.newFetcher(limits)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.api.fetcher.Run(ctx) }()
	t.Cleanup(func() { stop(); must(t, <-ended) })
	return from.URL
}

// fileUntil waits for a file to be in a state.
func (d *desk) fileUntil(id int64, status string) map[string]any {
	d.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; <-time.After(time.Millisecond) {
		f := d.shown(fmt.Sprint("package_files/", id))
		if strings.HasPrefix(f["cache_status"].(string), status) {
			return f
		}
		if time.Now().After(end) {
			d.t.Fatalf("%q is not %q: %v", f["cache_status"], status, f)
		}
	}
}

// TestFilesFromSources: a file comes from its source once that may be asked and
// has it; what it has becomes the file's hash, until somebody demands another.
func TestFilesFromSources(t *testing.T) {
	d := newDesk(t)
	var text atomic.Pointer[string]
	from := fetching(t, d, &text)
	p := d.made("packages", `{"name":"p","command":"x","files":[{"name":"a","source":"`+from+`/a"}]}`)
	path := fmt.Sprint("packages/", p)
	if f := d.fileUntil(1, "Error: "); f["status"] != float64(fetch.NotAllowed) || !strings.Contains(f["cache_status"].(string), "allowed URL") {
		t.Errorf("before it may be asked: %v", f)
	}
	d.made("white_listed_urls", `{"url_regex":"http://127\\.0\\.0\\.1:[0-9]+/.*"}`)
	for d.fileUntil(1, "Error: ")["status"] != 404.0 {
	}
	hello := "hello"
	text.Store(&hello)
	f := d.fileUntil(1, "Cached")
	same(t, fmt.Sprint(f["hash"], f["size"], f["status"], f["bytes_downloaded"], f["bytes_total"], f["hash_from_source_flag"]), fmt.Sprint(helloHash, 5, 200, 5, 5, true))
	if s := f["file_status"].([]any)[0].(map[string]any); s["cache_status"] != "Cached" || s["server_name"] != "server.example.org" || s["download_start_time"] == "2001-01-01T00:00:00Z" {
		t.Errorf("file_status %v", s)
	}
	if at := d.shown(path)["available_time"]; at == "2001-01-01T00:00:00Z" {
		t.Error("the package is not available")
	}

	// A program that sends back what it knows changes nothing; nor is the hash what
	// other installations must have.
	for _, files := range []string{`{"name":"a","source":"` + from + `/a"}`, `{"name":"a","source":"` + from + `/a","hash":"` + helloHash + `"}`} {
		d.ok(d.call("PATCH", "/api/v2/"+path, `{"files":[`+files+`]}`))
		if f := d.shown("package_files/1"); f["hash"] != helloHash || f["hash_from_source_flag"] != true {
			t.Errorf("after %s: %v", files, f)
		}
	}
	if said := d.call("POST", "/api/v2/export", `{"packages":{"include":["p"]}}`).Body.String(); strings.Contains(said, helloHash) || !strings.Contains(said, from+"/a") {
		t.Errorf("exported %s", said)
	}

	// Who triggers it gets what the source has now.
	bye := "bye"
	text.Store(&bye)
	d.ok(d.call("PATCH", "/api/v2/package_files/1", `{"trigger_download":1}`))
	for d.fileUntil(1, "Cached")["hash"] == helloHash {
	}

	// A hash that somebody demands is not changed by the source.
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"files":[{"name":"a","source":"`+from+`/a","hash":"`+helloHash+`"}]}`))
	if f := d.shown(path)["files"].([]any)[0].(map[string]any); f["cache_status"] != "Cached" || f["hash_from_source_flag"] != false {
		t.Errorf("what was here before: %v", f)
	}
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"files":[{"name":"a","source":"`+from+`/a","hash":"`+otherHash+`"}]}`))
	id := int64(d.shown(path)["files"].([]any)[0].(map[string]any)["id"].(float64))
	if f := d.fileUntil(id, "Error: "); f["status"] != float64(fetch.WrongHash) {
		t.Errorf("another hash: %v", f)
	}
}
