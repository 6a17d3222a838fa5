package api

import (
	"crypto/tls"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// open are the routes that answer a stranger. Whoever adds one here has
// thought about it.
var open = []string{
	"POST /api/v2/session/login", "GET /api/v2/session/login", "POST /api/v2/session/validate", "POST /api/v2/session/logout",
	"POST /auth", "GET /auth", "GET /config/console.json", "GET /openapi.json", "GET /libraries/taniumjs/console.wsdl",
	"GET /api/v2/session/pre_login_text",
	"POST /api/v2/session/certificate", // it wants one of an authority that the operator has named

	// They want a user's name and password, or a passkey.
	"POST /api/v2/session/second_factor", "POST /api/v2/session/second_factor/confirm", "POST /api/v2/session/second_factor/recovery_codes",
	"DELETE /api/v2/session/second_factor", "POST /api/v2/session/passkey/login/begin", "POST /api/v2/session/passkey/login/finish",

	// A browser comes here on its way to a provider, and back.
	"GET /auth/providers", "GET /auth/oidc/{id}/login", "GET /auth/oidc/{id}/callback", "GET /auth/saml/{id}/login", "POST /auth/saml/{id}/acs",
	"GET /auth/saml/{id}/metadata",
}

// isSCIM reports whether a route wants the token of a SCIM server, which is
// nobody's.
func isSCIM(rt route) bool { return strings.HasPrefix(rt.path, "/scim/v2/") }

func TestStrangersAreRefused(t *testing.T) {
	d := newDesk(t)
	for _, rt := range d.api.routes() {
		name := rt.method + " " + rt.path
		if (rt.access == anyone) != (slices.Contains(open, name) || isSCIM(rt)) {
			t.Errorf("%s: open to strangers: %v", name, rt.access == anyone)
		}
		if isSCIM(rt) {
			for _, cred := range []string{"", "Bearer x", "Basic eDp5", "Bearer token-" + strings.Repeat("0", 64)} {
				if w := d.send(rt.method, strings.ReplaceAll(rt.path, "{id}", "1"), "{}", "Authorization", cred, "session", d.session); w.Code != 401 {
					t.Errorf("%s: %q gets %d %s", name, cred, w.Code, w.Body)
				}
			}
		}
		if rt.access == anyone {
			continue
		}
		path := strings.NewReplacer("{id}", "1", "{name}", "Online", "{hash}", "1").Replace(rt.path)
		for _, tt := range []struct {
			cred   string
			status int
			text   string
		}{
			{"", 403, `No session: log in at session/login and send the session string, or an API token, in the header "session"`},
			{"1-1-" + strings.Repeat("0", 64), 403, "Invalid session"},
			{"nonsense", 403, "Invalid session"},
			{"token-" + strings.Repeat("0", 64), 401, "Unauthorized: unknown API token"},
		} {
			w := d.send(rt.method, path, "{}", "session", tt.cred)
			body, err := marshal(map[string]string{"text": tt.text})
			must(t, err)
			d.want(w, tt.status, strings.TrimSpace(string(body)))
		}
	}
}

func TestMetricsAreOpenToThisMachine(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Computer Name from all machines")
	for _, from := range []string{"127.0.0.1:9", "[::1]:9", "127.8.0.1:9"} {
		d.from = from
		w := d.send("GET", "/metrics", "")
		if !strings.Contains(w.Body.String(), `catenary_api_requests_total{route="POST /api/v2/questions",status="200"} 1`) || w.Code != 200 {
			t.Errorf("from %s: %d %s", from, w.Code, w.Body)
		}
		d.want(d.send("GET", "/info.json", ""), 403, `{"text":"No session: log in at session/login and send the session string, or an API token, in the header \"session\""}`)
		if w := d.send("GET", "/metrics", "", "X-Forwarded-For", "198.51.100.7"); w.Code != 403 {
			t.Errorf("through a proxy: %d, want 403", w.Code)
		}
	}
	d.from = "198.51.100.7:9"
	if w := d.call("GET", "/metrics", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "catenary_api_sessions 1") {
		t.Errorf("with a session: %d %s", w.Code, w.Body)
	}
}

func TestPaths(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/api/v2/client_count", 200, `{"data":0}`},
		{"GET", "/api/v2//client_count", 200, `{"data":0}`},
		{"GET", "//api/v2/client_count/", 200, `{"data":0}`},
		{"GET", "/api/v2/client_count///?x=1", 200, `{"data":0}`},
		{"HEAD", "/api/v2/client_count", 200, `{"data":0}`}, // net/http drops the body
		{"GET", "/config/console.json", 200, `{"serverVersion":"1.2.3"}`},
		{"GET", "/info.json", 200, `{"Diagnostics":{"Settings":{"Version":"1.2.3"}}}`},
		{"GET", "/api/v2/xyz", 400, `{"text":"Invalid object route: xyz"}`},
		{"POST", "/api/v2/xyz/12/more?a=b", 400, `{"text":"Invalid object route: xyz"}`},
		{"GET", "/api/v2/questions/1/nonsense", 400, `{"text":"Invalid object route: questions"}`},
		{"GET", "/api/v2", 404, `{"text":"Invalid object route: api/v2"}`},
		{"GET", "/api/v2/../v2/client_count", 400, `{"text":"Invalid object route: .."}`},
		{"GET", "/", 404, `{"text":"Invalid object route: "}`},
		{"GET", "/soap", 404, `{"text":"Invalid object route: soap"}`},
		{"DELETE", "/api/v2/client_count", 405, `{"text":"DELETE is not possible here; possible: GET"}`},
		{"PUT", "/api/v2/questions", 405, `{"text":"PUT is not possible here; possible: GET, POST"}`},
		{"OPTIONS", "/api/v2/session/login", 405, `{"text":"OPTIONS is not possible here; possible: POST, GET"}`},
		{"GET", "/api/v2/parse_question", 405, `{"text":"GET is not possible here; possible: POST"}`},
		{"GET", "/api/v2/questions/abc", 400, `{"text":"\"abc\" is not the number of a question"}`},
		{"GET", "/api/v2/questions/-1", 400, `{"text":"\"-1\" is not the number of a question"}`},
		{"GET", "/api/v2/questions/99", 404, `{"text":"REST Object Not Found Exception:  QuestionNotFound: The requested question was not found"}`},
		{"GET", "/api/v2/questions/18446744073709551615", 404, `{"text":"REST Object Not Found Exception:  QuestionNotFound: The requested question was not found"}`},
		{"GET", "/api/v2/result_data/question/99", 404, `{"text":"REST Object Not Found Exception:  QuestionNotFound: The requested question was not found"}`},
		{"GET", "/api/v2/result_info/question/99", 404, `{"text":"REST Object Not Found Exception:  QuestionNotFound: The requested question was not found"}`},
		{"GET", "/api/v2/questions/99/events", 404, `{"text":"REST Object Not Found Exception:  QuestionNotFound: The requested question was not found"}`},
		{"GET", "/api/v2/questions?row_start=x", 400, `{"text":"row_start is \"x\", not a number"}`},
		{"GET", "/api/v2/questions?row_count=-1", 400, `{"text":"row_start and row_count are not negative"}`},
		{"GET", "/api/v2/questions?row_count=10001", 400, `{"text":"row_count is 10001, more than 10000"}`},
	} {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			d.t = t
			w := d.call(tt.method, tt.path, "")
			d.want(w, tt.status, tt.body)
			if tt.status == 405 && w.Header().Get("Allow") == "" {
				t.Error("405 without Allow")
			}
		})
	}
}

func TestBodies(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct {
		name, path, body string
		status           int
		text             string
	}{
		{"empty", "questions", " \n", 400, "the body is empty: JSON is expected"},
		{"no JSON", "questions", "query_text=Get", 400, "the body is not JSON: line 1, column 1: invalid character 'q' looking for beginning of value"},
		{"broken", "questions", "{\n  \"ü\": \"Get\",,\n}", 400, "the body is not JSON: line 2, column 14: invalid character ',' looking for beginning of object key string"},
		{"cut off", "questions", `{"query_text":"Get`, 400, "the body is not JSON: line 1, column 19: it ends too early"},
		{"two values", "questions", `{"query_text":"Get"} {}`, 400, "the body is not JSON: line 1, column 21: something follows the first value"},
		{"wrong type", "questions", `{"query_text":5}`, 400, "line 1, column 15: query_text: unexpected number"},
		{"array", "questions", `[]`, 400, "line 1, column 1: the body: unexpected array"},
		{"flag", "questions", `{"force_computer_id_flag":"maybe"}`, 400, "force_computer_id_flag: unexpected string"},
		{"oversized", "questions", `{"query_text":"` + strings.Repeat("x", bodyMax) + `"}`, 413, "the body is larger than 1048576 bytes"},
		{"oversized object", "sensors", `{"name":"` + strings.Repeat("x", objectMax) + `"}`, 413, "the body is larger than 16777216 bytes"},
		{"nothing asked", "questions", `{}`, 400, "query_text or selects is needed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d.t = t
			body, err := marshal(map[string]string{"text": tt.text})
			must(t, err)
			d.want(d.call("POST", "/api/v2/"+tt.path, tt.body), tt.status, strings.TrimSpace(string(body)))
		})
	}
}

// Whatever a program says of its body, it is read.
func TestContentTypeOfRequests(t *testing.T) {
	d := newDesk(t)
	for _, ct := range []string{"", "application/json", "application/octet-stream", "text/plain", "nonsense; ="} {
		w := d.send("POST", "/api/v2/questions", `{"query_text":"Get Computer Name"}`, "session", d.session, "Content-Type", ct)
		if w.Code != 200 {
			t.Errorf("Content-Type %q: %d %s", ct, w.Code, w.Body)
		}
	}
}

func TestCrashIsAnsweredInJSON(t *testing.T) {
	d := newDesk(t)
	d.api.engine = nil // every use panics
	d.want(d.call("GET", "/api/v2/client_count", ""), 500, `{"text":"Internal error: its cause is in the server's log"}`)
	if n := strings.Count(d.logs.String(), "reason=\"crash: runtime error: invalid memory address"); n != 1 {
		t.Errorf("the crash is %d times in the log, want once: %s", n, d.logs)
	}
}

func TestInternalCauseIsHiddenAndLoggedOnce(t *testing.T) {
	d := newDesk(t)
	must(t, d.store.Close())
	d.want(d.call("GET", "/api/v2/questions", ""), 500, `{"text":"Internal error: its cause is in the server's log"}`)
	if n := strings.Count(d.logs.String(), "database is closed"); n != 1 {
		t.Errorf("the cause is %d times in the log, want once: %s", n, d.logs)
	}
}

// Every refusal is in the log once, and no session, token or password ever.
func TestLog(t *testing.T) {
	d := newDesk(t)
	tok := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{"name":"n"}`)).TokenString
	d.send("GET", "/api/v2/client_count", "", "session", tok)
	d.send("POST", "/api/v2/session/login", `{"username":"ann","password":"pass-secret-word"}`)
	d.send("GET", "/auth", "", "username", "ann", "password", "pass-secret-word")
	d.send("GET", "/api/v2/client_count", "", "session", "token-secret-word")
	d.send("GET", "/api/v2/client_count", "", "session", "1-1-secret-word")
	d.send("POST", "/api/v2/session/validate", `{"session":"1-1-secret-word"}`)
	d.send("POST", "/api/v2/session/login", `{"username":"ann","password":"pass-secret-word"`)
	d.send("POST", "/api/v2/session/login", `{"username":"ann","password":["pass-secret-word"]}`)
	d.call("PATCH", "/api/v2/api_tokens", `{"token_string":"token-secret-word"}`)
	d.call("GET", "/api/v2/nowhere", "")
	for _, secret := range []string{"secret-word", testPassword, tok, strings.TrimPrefix(d.session, "1-1-")} {
		if strings.Contains(d.logs.String(), secret) {
			t.Errorf("%q is in the log: %s", secret, d.logs)
		}
	}
	var lines []string
	for line := range strings.Lines(d.logs.String()) {
		if !strings.Contains(line, "level=DEBUG") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if len(lines) != 9 {
		t.Errorf("%d lines for 9 refusals: %s", len(lines), d.logs)
	}
	if !strings.Contains(lines[2], `level=INFO msg="request refused" request=`) || !strings.Contains(lines[2], ` status=401 reason="Unauthorized: unknown API token" remote=192.0.2.1:4711 method=GET route=/api/v2/client_count`) {
		t.Errorf("a refusal reads %s", lines[2])
	}
}

func TestNewServerHasEveryLimit(t *testing.T) {
	s := NewServer(http.NotFoundHandler(), &tls.Config{MinVersion: tls.VersionTLS13})
	for name, d := range map[string]time.Duration{
		"ReadHeaderTimeout": s.ReadHeaderTimeout, "ReadTimeout": s.ReadTimeout, "WriteTimeout": s.WriteTimeout, "IdleTimeout": s.IdleTimeout,
	} {
		if d <= 0 {
			t.Errorf("%s is not set", name)
		}
	}
	if s.MaxHeaderBytes <= 0 || s.TLSConfig == nil || s.Handler == nil {
		t.Errorf("server is %+v", s)
	}
}

// isEnvelope reports whether an answer is what every program can read.
func isEnvelope(w *httptest.ResponseRecorder) bool {
	var out map[string]json.RawMessage
	if json.Unmarshal(w.Body.Bytes(), &out) != nil || len(out) != 1 || w.Header().Get("Content-Type") != "application/json" {
		return false
	}
	if w.Code == http.StatusOK {
		return out["data"] != nil
	}
	return out["text"] != nil
}
