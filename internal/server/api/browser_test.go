package api

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// guards are the heads that each answer has, whatever it is.
var guards = map[string]string{
	"Strict-Transport-Security": "max-age=31536000",
	"X-Content-Type-Options":    "nosniff",
	"X-Frame-Options":           "DENY",
	"Content-Security-Policy":   "default-src 'none'; frame-ancestors 'none'",
	"Referrer-Policy":           "no-referrer",
	"Cache-Control":             "no-store",
}

func isGuarded(t *testing.T, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	for name, want := range guards {
		if got := strings.Join(w.Result().Header.Values(name), "|"); got != want {
			t.Errorf("%s: %d with %s: %q, want %q", what, w.Code, name, got, want)
		}
	}
}

// Every route, to a stranger and to who may all, and what is no route.
func TestEveryAnswerGuardsBrowsers(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Computer Name from all machines")
	for _, rt := range d.api.routes() {
		path := strings.NewReplacer("{id}", "1", "{name}", "Online", "{hash}", "1").Replace(rt.path)
		isGuarded(t, "stranger "+rt.method+" "+path, d.send(rt.method, path, "{}"))
		if strings.HasSuffix(path, "/events") {
			continue // it goes on until the question ends
		}
		u, err := d.store.UserByName(t.Context(), "ann")
		must(t, err)
		isGuarded(t, rt.method+" "+path, d.send(rt.method, path, "{}", "session", d.begun(time.Now(), u)))
	}
	for _, path := range []string{"/", "/api/v2/nothing", "/api/v2/a/../b", "/soap"} {
		isGuarded(t, path, d.call("GET", path, ""))
	}
	isGuarded(t, "wrong method", d.call("PUT", "/api/v2/questions", ""))
	d.api.engine = nil // every use panics
	isGuarded(t, "crash", d.call("GET", "/api/v2/client_count", ""))
}
