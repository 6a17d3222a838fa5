package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// A caller is at the other end of a request. A slow one takes nothing, until his
// connection's deadline is over.
type caller struct {
	*httptest.ResponseRecorder
	slow bool

	once sync.Once
	over chan struct{}
}

func newCaller(slow bool) *caller {
	return &caller{ResponseRecorder: httptest.NewRecorder(), slow: slow, over: make(chan struct{})}
}

func (c *caller) Write(b []byte) (int, error) {
	if c.slow {
		<-c.over
		return 0, os.ErrDeadlineExceeded
	}
	return c.ResponseRecorder.Write(b)
}

func (c *caller) deadline(at time.Time) error {
	if !at.IsZero() && !at.After(time.Now()) {
		c.once.Do(func() { close(c.over) })
	}
	return nil
}

func (c *caller) SetWriteDeadline(at time.Time) error { return c.deadline(at) }
func (c *caller) SetReadDeadline(at time.Time) error  { return c.deadline(at) }

// Read is the body of an upload of which no more comes.
func (c *caller) Read([]byte) (int, error) {
	<-c.over
	return 0, os.ErrDeadlineExceeded
}

// A town has a user, bob, with something open, as himself or with a token.
type town struct {
	*desk
	bob     store.User
	lab     int64 // his group with management rights
	session string
	token   tokenObject
}

func newTown(t *testing.T) *town {
	w := &town{desk: newDesk(t)}
	w.api.exports = openExports(t.TempDir())
	w.firstGroups()
	w.hello()
	w.made("packages", `{"name":"p","command":"x","files":[{"name":"a","hash":"`+helloHash+`"}]}`)
	w.role("works", false, rights.AskDynamicQuestion, rights.ReadSensor, rights.ReadPackage, rights.WritePackage, rights.ExportContent)
	w.role("fewer", true, rights.ReadSensor)
	w.made("groups", `{"name":"Part","text":" Is Linux equals True"}`)
	w.lab = w.machineGroup("Lab", " Computer Name contains lab and Part")
	w.machineGroup("Other", " Is Linux equals False")
	w.bob = w.person("bob", "works")
	alter(w.desk, "user", "bob", func(o *object.Object) { o.Set("group_id", w.lab) })
	w.session = w.sessionOf(w.bob)
	w.token = data[tokenObject](t, w.as(w.bob, "POST", "/api/v2/api_tokens", `{}`))
	id := data[idObject](t, w.as(w.bob, "POST", "/api/v2/questions", `{"query_text":"Get Computer Name from all machines","expire_seconds":3600}`)).ID
	same(t, id, uint64(1))
	w.fleet.say(id, func(r *tally.Result) { r.Rows = rows("a") })
	return w
}

// serve answers a request of bob's; broken reports that the connection was
// closed in the middle.
func (w *town) serve(to *caller, r *http.Request, session string) (broken bool) {
	r.RemoteAddr = w.from
	r.Header.Set("session", session)
	defer func() {
		p := recover()
		if p != nil && p != http.ErrAbortHandler {
			panic(p)
		}
		broken = p != nil
	}()
	w.api.ServeHTTP(to, r)
	return false
}

// things are what can be open: how it is asked for, and what is left of it with a
// refusal.
var things = map[string]struct {
	method, path, options string
	slow                  bool
	ends                  func(status int, body, refusal string, refused int, broken bool) bool
}{
	"events": {method: "GET", path: "/api/v2/questions/1/events", ends: func(status int, body, refusal string, refused int, broken bool) bool {
		said := fmt.Sprintf("event: end\ndata: {\"reason\":\"refused\",\"status\":%d,\"text\":%s}\n\n", refused, refusal)
		return status == 200 && !broken && strings.HasPrefix(body, "event: progress") && strings.HasSuffix(body, said)
	}},
	"download": {method: "GET", path: "/api/v2/package_files/1/content", slow: true, ends: func(status int, body, _ string, _ int, broken bool) bool {
		return status == 200 && body == ""
	}},
	"export": {method: "GET", path: "/api/v2/result_data/question/1", options: `{"export_flag":1}`, ends: refusedInJSON},
	"upload": {method: "POST", path: "/api/v2/upload_file_stream", ends: refusedInJSON},
}

func refusedInJSON(status int, body, refusal string, refused int, broken bool) bool {
	return status == refused && body == `{"text":`+refusal+"}\n" && !broken
}

const (
	noSession  = `Invalid session`
	noRights   = `RBACInsufficientPrivilege: the rights with which this was begun are not there any more: begin it again`
	noMachines = `RBACInsufficientPrivilege: a computer group that says which machines may be seen has changed: begin this again`
)

// causes end what bob has open: at once, but for what time does. Those of no text
// end nothing.
var causes = map[string]struct {
	token  bool // he uses one
	do     func(*town)
	status int
	text   string
	within time.Duration
}{
	"logout":           {do: func(w *town) { w.send("POST", "/api/v2/session/logout", "", "session", w.session) }, status: 403, text: noSession},
	"logout of all":    {do: func(w *town) { w.send("POST", "/auth", "", "session", w.sessionOf(w.bob), "logout", "1") }, status: 403, text: noSession},
	"another password": {do: func(w *town) { w.patch("users", w.bob.ID, `{"password":"correct horse batteries"}`) }, status: 403, text: noSession},
	"too many sessions": {do: func(w *town) {
		configure(w.desk, "sessions_per_user", 1)
		w.sessionOf(w.bob)
	}, status: 403, text: noSession},
	"locked out": {do: func(w *town) { w.patch("users", w.bob.ID, `{"locked_out":3}`) }, status: 403, text: noSession},
	"deleted":    {do: func(w *town) { w.ok(w.call("DELETE", fmt.Sprint("/api/v2/users/", w.bob.ID), "")) }, status: 403, text: noSession},
	"role taken": {do: func(w *town) { w.patch("users", w.bob.ID, `{"content_set_roles":[]}`) }, status: 403, text: noRights},
	"role denied": {do: func(w *town) {
		w.patch("users", w.bob.ID, `{"content_set_roles":[{"name":"works"},{"name":"fewer"}]}`)
	}, status: 403, text: noRights},
	"role changed": {do: func(w *town) {
		alter(w.desk, "content_set_role", "works", func(o *object.Object) { o.Set("content_set_role_privileges", nil) })
	}, status: 403, text: noRights},
	"other machines":     {do: func(w *town) { alter(w.desk, "user", "bob", func(o *object.Object) { o.Set("group_id", w.lab+1) }) }, status: 403, text: noRights},
	"group changed":      {do: func(w *town) { w.patch("management_rights_groups", w.lab, `{"text":" Is Linux equals False"}`) }, status: 403, text: noMachines},
	"part of group":      {do: func(w *town) { w.patch("groups", w.lab-1, `{"text":" Is Linux equals False"}`) }, status: 403, text: noMachines},
	"session at its end": {do: func(w *town) { configure(w.desk, "session_longest_seconds", 60) }, status: 403, text: noSession, within: time.Minute + lookEvery},

	"token deleted": {token: true, do: func(w *town) { w.ok(w.as(w.bob, "DELETE", fmt.Sprint("/api/v2/api_tokens/", w.token.ID), "")) }, status: 401, text: "Unauthorized: unknown API token"},
	"token turned": {token: true, do: func(w *town) {
		w.ok(w.send("PATCH", "/api/v2/api_tokens", `{"token_string":"`+w.token.TokenString+`"}`, "session", w.token.TokenString))
	}, status: 401, text: "Unauthorized: unknown API token"},
	"token's places": {token: true, do: func(w *town) { configure(w.desk, trustedSetting, "10.0.0.0/8") }, status: 401, text: "Unauthorized: the API token may not be used from this address"},
	"token's user":   {token: true, do: func(w *town) { w.patch("users", w.bob.ID, `{"locked_out":3}`) }, status: 401, text: "Unauthorized: the user of the API token may not act any more"},

	"more rights": {do: func(w *town) {
		w.patch("users", w.bob.ID, `{"content_set_roles":[{"name":"works"},{"name":"Read Only"}]}`)
	}},
	"more machines": {do: func(w *town) { w.patch("users", w.bob.ID, `{"group_id":0}`) }},
	"other group":   {do: func(w *town) { w.patch("management_rights_groups", w.lab+1, `{"text":" Is Linux equals True"}`) }},
	"other user":    {do: func(w *town) { w.patch("users", w.person("eve", "works").ID, `{"locked_out":3}`) }},
	"other session": {do: func(w *town) { w.send("POST", "/api/v2/session/logout", "", "session", w.sessionOf(w.bob)) }},
	"only time":     {do: func(*town) { time.Sleep(3 * sessionLife) }}, // what is open is use of the session
}

func (w *town) patch(path string, id int64, body string) {
	w.t.Helper()
	w.ok(w.call("PATCH", fmt.Sprintf("/api/v2/%s/%d", path, id), body))
}

// An openThing is a thing that is open, and its end.
type openThing struct {
	to     *caller
	broken bool
	ended  time.Time
}

// begin opens every thing.
func (w *town) begin(ctx context.Context, session string) (map[string]*openThing, *sync.WaitGroup) {
	for range rendersMax { // others are made, so that the export waits
		w.api.renders <- struct{}{}
	}
	all, done := map[string]*openThing{}, &sync.WaitGroup{}
	for name, thing := range things {
		o := &openThing{to: newCaller(thing.slow)}
		all[name] = o
		var body io.Reader
		if thing.method == "POST" {
			body = o.to
		}
		r := httptest.NewRequestWithContext(ctx, thing.method, thing.path, body)
		r.Header.Set("tanium-options", thing.options)
		r.Header.Set("Content-Type", "application/octet-stream")
		done.Go(func() {
			o.broken = w.serve(o.to, r, session)
			o.ended = time.Now()
		})
	}
	synctest.Wait()
	same(w.t, len(w.api.openings.all), len(things))
	return all, done
}

// TestOpenEnds: each cause ends each thing that is open, at once, and tells why.
func TestOpenEnds(t *testing.T) {
	for because, cause := range causes {
		t.Run(because, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				if cause.token {
					w.session = w.token.TokenString
				}
				export := "/export/" + data[resultSets](t, w.send("GET", "/api/v2/result_data/question/1", "", "session", w.session, "tanium-options", `{"export_flag":1}`)).ExportID
				same(t, w.send("GET", export+".gz", "", "session", w.session).Code, 200)
				ctx, hangUp := context.WithCancel(t.Context())
				defer hangUp()
				all, done := w.begin(ctx, w.session)
				cause.do(w)
				caused := time.Now()
				synctest.Wait()
				if cause.text == "" {
					same(t, len(w.api.openings.all), len(things))
					same(t, w.send("GET", export+".gz", "", "session", w.session).Code, 200)
					hangUp()
					for _, o := range all {
						must(t, o.to.deadline(time.Now()))
					}
					done.Wait()
					return
				}
				done.Wait()
				for name, o := range all {
					if d := o.ended.Sub(caused); d > cause.within {
						t.Errorf("%s ends after %v", name, d)
					}
					if body := o.to.Body.String(); !things[name].ends(o.to.Code, body, quoted(t, cause.text), cause.status, o.broken) {
						t.Errorf("%s ends with %d %q, broken %v", name, o.to.Code, body, o.broken)
					}
				}
				same(t, len(w.api.openings.all), 0)
				for _, ending := range []string{".status", ".gz"} { // what was made before is lost with the rights
					w.refused(w.send("GET", export+ending, "", "session", w.session), cause.status, cause.text)
				}
			})
		})
	}
}

// TestOpenEndsOverTheLine: half a file does not look like a whole one, and a
// stream that has ended like one that broke off.
func TestOpenEndsOverTheLine(t *testing.T) {
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", two), func(t *testing.T) {
			w := newTown(t)
			const size = 32 << 20 // more than lies between the two ends
			h, _, err := w.api.depot.Put(io.LimitReader(zero{}, size))
			must(t, err)
			w.made("packages", fmt.Sprintf(`{"name":"large","command":"x","files":[{"name":"a","hash":"%s"}]}`, h))
			srv := httptest.NewUnstartedServer(w.api)
			srv.EnableHTTP2 = two
			srv.StartTLS()
			defer srv.Close()
			get := func(path string) *http.Response {
				req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+path, nil)
				must(t, err)
				req.Header.Set("session", w.session)
				res, err := srv.Client().Do(req)
				must(t, err)
				return res
			}
			events, file := get("/api/v2/questions/1/events"), get("/api/v2/package_files/2/content")
			same(t, file.ContentLength, int64(size))
			w.patch("users", w.bob.ID, `{"locked_out":3}`)
			n, err := io.Copy(io.Discard, file.Body)
			if err == nil || n == size {
				t.Errorf("%d bytes of the file came, and then %v", n, err)
			}
			said, err := io.ReadAll(events.Body)
			must(t, err)
			if !strings.HasSuffix(string(said), `data: {"reason":"refused","status":403,"text":"Invalid session"}`+"\n\n") {
				t.Errorf("the stream is %s", said)
			}
			must(t, errors.Join(events.Body.Close(), file.Body.Close()))
		})
	}
}

type zero struct{}

func (zero) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestOpenIsCut: an answer of which something was kept back is refused, or breaks
// off if it has begun.
func TestOpenIsCut(t *testing.T) {
	w := newTown(t)
	gone := errors.New("gone")
	for name, tt := range map[string]struct {
		before, after string
		is            error
		body          string
	}{
		"not begun": {"", "b", gone, ""}, "begun": {"a", "b", errCut, "a"}, "whole": {"a", "", nil, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			to := newCaller(false)
			c := call{Request: httptest.NewRequestWithContext(t.Context(), "GET", "/", nil), user: w.bob}
			o := w.api.opens(to, &c, w.api.openings.seen())
			defer o.close()
			err := o.handle(to, c, handler(func(to http.ResponseWriter, c call) error {
				for i, text := range []string{tt.before, tt.after} {
					if text != "" {
						_ = send(to, []byte(text)) // it tells nobody
					}
					if i == 0 {
						o.end(gone)
					}
				}
				if cause := context.Cause(c.Context()); !errors.Is(cause, gone) {
					t.Errorf("the request has ended for %v", cause)
				}
				return nil
			}))
			if !errors.Is(err, tt.is) || to.Body.String() != tt.body {
				t.Errorf("%v, %q", err, to.Body)
			}
		})
	}
}

// TestOpenLooksOnceMore: what changes between the look at somebody's rights and
// the beginning of what he asks for is not missed.
func TestOpenLooksOnceMore(t *testing.T) {
	w := newTown(t)
	real := w.api.rightsOf
	w.api.rightsOf = func(u store.User) rights.Rights {
		r := real(u)
		if u.ID == w.bob.ID {
			w.api.rightsOf = real
			w.patch("users", w.bob.ID, `{"content_set_roles":[]}`)
		}
		return r
	}
	w.refused(w.send("GET", "/api/v2/package_files", "", "session", w.session), 403, noRights)
}
