package api

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestLimits: who asks for more than a share is told when to come again; others
// and the other lane feel nothing of it.
func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.ok(d.call("POST", "/api/v2/system_settings", `{"name":"api_requests_per_second_with_tokens","value":2}`))
		token := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{}`)).TokenString
		ask := func() *httptest.ResponseRecorder { return d.send("GET", "/api/v2/client_count", "", "session", token) }
		for range 2 * programsBurst {
			d.want(ask(), 200, `{"data":0}`)
		}
		w := ask()
		d.want(w, 429, `{"text":"Too many requests: more than 2 in a second"}`)
		same(t, w.Header().Get("Retry-After"), "1")
		d.want(d.call("GET", "/api/v2/client_count", ""), 200, `{"data":0}`) // a person's lane
		time.Sleep(time.Second)
		d.want(ask(), 200, `{"data":0}`)
		d.want(ask(), 200, `{"data":0}`)
		same(t, ask().Code, 429)
	})
}

func TestLimitsOfRunning(t *testing.T) {
	l := newLimits()
	now := time.Unix(1e9, 0)
	for range runningMax {
		_, err := l.take(now, lane{1, true}, 1000, 2)
		must(t, err)
	}
	if _, err := l.take(now, lane{1, true}, 1000, 2); err == nil {
		t.Error("one more was admitted")
	}
	for _, other := range []lane{{2, true}, {1, false}} {
		_, err := l.take(now, other, 1000, 2)
		must(t, err)
	}
	l.done(now, lane{1, true})
	_, err := l.take(now, lane{1, true}, 1000, 2)
	must(t, err)
}

// TestLanes: programs that fill their lane keep no person waiting.
func TestLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimits()
		for range programsMax {
			_, err := l.enter(t.Context(), lane{1, true})
			must(t, err)
		}
		begun := time.Now()
		if _, err := l.enter(t.Context(), lane{2, true}); err == nil || time.Since(begun) != waitMax {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		leave, err := l.enter(t.Context(), lane{2, false})
		must(t, err)
		leave()
		same(t, len(l.people), 0)
	})
}

func TestRequestIDs(t *testing.T) {
	d := newDesk(t)
	w := d.send("GET", "/api/v2/questions/99", "", "session", d.session, requestHeader, "mine-1")
	same(t, w.Header().Get(requestHeader), "mine-1")
	if !strings.Contains(d.logs.String(), `msg="request refused" request=mine-1 status=404`) {
		t.Errorf("the log says %s", d.logs)
	}
	for _, bad := range []string{"", "a b", "x\ny", strings.Repeat("x", 65)} {
		if got := d.send("GET", "/api/v2/client_count", "", requestHeader, bad).Header().Get(requestHeader); len(got) != 16 {
			t.Errorf("%q: %q", bad, got)
		}
	}
}

func TestErrorObjects(t *testing.T) {
	d := newDesk(t)
	d.want(d.options("/api/v2/questions/99", `{"use_error_objects":1}`), 404,
		`{"data":{"xml_error":{"type":"Error","exception":"QuestionNotFound","error_context":"REST Object Not Found Exception:  QuestionNotFound: The requested question was not found"}},"text":"REST Object Not Found Exception:  QuestionNotFound: The requested question was not found"}`)
	same(t, exceptionIn("something: else"), "RESTProcessingException")
}

func TestPretty(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Computer Name from all machines")
	d.fleet.clients = nil
	for _, path := range []string{"/api/v2/sensors", "/api/v2/questions", "/api/v2/questions/9", "/api/v2/client_count", "/api/v2/system_status", "/api/v2/api_tokens"} {
		plain, pretty := d.call("GET", path, ""), d.call("GET", path+"?json_pretty_print=1", "")
		var want bytes.Buffer
		must(t, json.Indent(&want, bytes.TrimSpace(plain.Body.Bytes()), "", "  "))
		got, expect := strings.TrimSpace(pretty.Body.String()), want.String()
		if path == "/api/v2/sensors" || path == "/api/v2/questions" || path == "/api/v2/system_status" { // a moment stands in them
			got, expect = got[:len(got)/2], expect[:len(got)/2]
		}
		if got != expect {
			t.Errorf("%s: got\n%.400s\nwant\n%.400s", path, got, expect)
		}
	}
}

// TestIndenter: whatever the JSON, and however it comes in pieces, it is as the
// standard library indents it.
func TestIndenter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var value func(depth int) any
		value = func(depth int) any {
			switch n := rapid.IntRange(0, 6).Draw(t, "kind"); {
			case n == 0 && depth < 4:
				list := []any{}
				for range rapid.IntRange(0, 3).Draw(t, "length") {
					list = append(list, value(depth+1))
				}
				return list
			case n == 1 && depth < 4:
				object := map[string]any{}
				for range rapid.IntRange(0, 3).Draw(t, "length") {
					object[rapid.String().Draw(t, "name")] = value(depth + 1)
				}
				return object
			case n < 4:
				return rapid.StringMatching(`["\\{}\[\]:, a\n]*`).Draw(t, "text")
			}
			return rapid.Int().Draw(t, "number")
		}
		b, err := json.Marshal(value(0))
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		w.Header().Set("Content-Type", "application/json")
		d := &indenter{ResponseWriter: w}
		for len(b) > 0 {
			n := rapid.IntRange(1, len(b)).Draw(t, "piece")
			if _, err := d.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
			b = b[n:]
		}
		var want bytes.Buffer
		var compact bytes.Buffer
		if err := json.Compact(&compact, w.Body.Bytes()); err != nil {
			t.Fatal(err)
		}
		if err := json.Indent(&want, compact.Bytes(), "", "  "); err != nil || want.String() != w.Body.String() {
			t.Fatalf("got\n%s\nwant\n%s: %v", w.Body, &want, err)
		}
	})
}
