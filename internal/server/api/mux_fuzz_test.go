package api

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
)

// FuzzMux sends anything to any route, as an administrator: there is always an
// answer, in our form, and never a failure.
func FuzzMux(f *testing.F) {
	d := newDesk(f)
	routes := d.api.routes()
	ann, err := d.store.UserByName(f.Context(), testUser)
	must(f, err)
	must(f, d.api.shelves.Change(f.Context(), shelf.Author{}, func(c *shelf.Change) error { // so that nothing else is in the way
		for _, name := range []string{setting.People, setting.Programs} {
			r := c.ByName(setting.Kind, name)
			o := r.Object.Clone()
			o.Set("value", json.RawMessage("100000"))
			if _, err := c.Update(r, o); err != nil {
				return err
			}
		}
		return nil
	}))
	for i, body := range []string{`{}`, `{"name":"x","command":"y"}`, `[]`, `null`, `{"query_text":"Get Computer Name from all machines"}`, `{"data":{"session":"x"}}`, whoSensor, `{"object_list":{"sensors":[{"name":"x"}]}}`} {
		f.Add(i*37, "1", "row_start=1", `{"cache_sort_fields":"name"}`, body)
	}
	f.Fuzz(func(t *testing.T, which int, id, query, options, body string) {
		rt := routes[uint(which)%uint(len(routes))]
		if strings.HasSuffix(rt.path, "/events") || strings.HasPrefix(rt.path, "/auth/") || strings.HasPrefix(rt.path, "/scim/") || rt.path == "/api/v2/start_ldap_sync" {
			return // they wait, lead elsewhere, or speak in another form
		}
		r := httptest.NewRequestWithContext(t.Context(), rt.method, "/", strings.NewReader(body))
		r.URL.Path = pathVariable.ReplaceAllLiteralString(rt.path, id)
		r.URL.RawQuery, r.RemoteAddr = query, d.from
		r.Header.Set("session", d.begun(time.Now(), ann))
		r.Header.Set(optionsHeader, options)
		w := httptest.NewRecorder()
		d.api.ServeHTTP(w, r)
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %s %q: %d %s", rt.method, r.URL, body, w.Code, w.Body)
		}
		if w.Code >= 400 && (!json.Valid(w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json") {
			t.Errorf("%s %s %q: %d %s", rt.method, r.URL, body, w.Code, w.Body)
		}
	})
}
