package api

import (
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/argon2id"
	"pgregory.net/rapid"

	"catenary/internal/server/store"
)

var sessionForm = regexp.MustCompile(`^1-1-[0-9a-f]{64}$`)

const (
	wrongLogin  = `{"text":"Unauthorized: wrong user name or password"}`
	tooMany     = `{"text":"Too many failed logins: wait 5m0s and try again"}`
	badSession  = `{"text":"Invalid session"}`
	goodLogin   = `{"username":"ann","password":"correct horse battery"}`
	whereToPost = "/api/v2/session/login"
)

func TestLogin(t *testing.T) {
	d := newDesk(t)
	for _, method := range []string{"POST", "GET"} {
		for _, body := range []string{
			goodLogin,
			`{"username":"ANN","password":"correct horse battery","domain":"","secondary":"","as_exclusive_user_group":""}`,
		} {
			s := data[sessionObject](t, d.send(method, whereToPost, body)).Session
			if !sessionForm.MatchString(s) {
				t.Errorf("session is %q", s)
			}
			if w := d.send("GET", "/api/v2/client_count", "", "session", s); w.Code != 200 {
				t.Errorf("with the new session: %d %s", w.Code, w.Body)
			}
		}
	}
	for _, tt := range []struct {
		body   string
		status int
		want   string
	}{
		{`{"username":"ann","password":"wrong"}`, 401, wrongLogin},
		{`{"username":"nobody","password":"correct horse battery"}`, 401, wrongLogin},
		{`{"username":"ann","password":"correct horse battery","domain":"corp"}`, 401, wrongLogin},
		{`{"username":"ann","password":"` + strings.Repeat("x", passwordMax+1) + `"}`, 401, wrongLogin},
		{`{"username":"` + strings.Repeat("x", nameBytesMax+1) + `","password":"x"}`, 400, `{"text":"a user name has at most 1020 bytes"}`},
		{`{"username":"ann"}`, 400, `{"text":"username and password are needed"}`},
		{`{}`, 400, `{"text":"username and password are needed"}`},
		{``, 400, `{"text":"the body is empty: JSON is expected"}`},
	} {
		d.want(d.send("POST", whereToPost, tt.body), tt.status, tt.want)
	}
	u, err := d.store.UserByName(t.Context(), "ann")
	must(t, err)
	if time.Since(u.LastLogin) > time.Minute {
		t.Errorf("last login is %v", u.LastLogin)
	}
}

func TestLockout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		wrong := func() { d.want(d.send("POST", whereToPost, `{"username":"ann","password":"x"}`), 401, wrongLogin) }
		for range failuresMax - 1 {
			wrong()
		}
		if w := d.send("POST", whereToPost, goodLogin); w.Code != 200 { // forgets the failures
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		for range failuresMax {
			wrong()
		}
		d.want(d.send("POST", whereToPost, goodLogin), 401, tooMany)
		d.want(d.send("POST", whereToPost, strings.Replace(goodLogin, "ann", "ANN", 1)), 401, tooMany)
		d.from = "192.0.2.2:4711" // another machine is not locked out
		if w := d.send("POST", whereToPost, goodLogin); w.Code != 200 {
			t.Errorf("from another address: %d %s", w.Code, w.Body)
		}
		d.from = "192.0.2.1:9"
		time.Sleep(lockout - time.Second) // fake time
		d.want(d.send("POST", whereToPost, goodLogin), 401, tooMany)
		time.Sleep(time.Second)
		if w := d.send("POST", whereToPost, goodLogin); w.Code != 200 {
			t.Errorf("after the lock-out: %d %s", w.Code, w.Body)
		}
	})
}

// A hundred guesses at once are not more than ten.
func TestLockoutInParallel(t *testing.T) {
	d := newDesk(t)
	var mu sync.Mutex
	counts := map[string]int{}
	var all sync.WaitGroup
	for range 5 * failuresMax {
		all.Go(func() {
			w := d.send("POST", whereToPost, `{"username":"ann","password":"x"}`)
			mu.Lock()
			defer mu.Unlock()
			counts[strings.TrimSpace(w.Body.String())]++
		})
	}
	all.Wait()
	same(t, counts[wrongLogin], failuresMax)
	same(t, counts[tooMany]+counts[`{"text":"too many logins at once: try again later"}`], 4*failuresMax)
}

func TestAttemptsByNetwork(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
	} {
		if got := from("Ann", netip.MustParseAddr(tt.a)) == from("ann", netip.MustParseAddr(tt.b)); got != tt.same {
			t.Errorf("%s and %s count together: %v", tt.a, tt.b, got)
		}
	}
}

func TestUnknownUserCostsTheSame(t *testing.T) {
	params, salt, sum, err := argon2id.DecodeHash(nobodys)
	must(t, err)
	same(t, *params, *hashing)
	same(t, len(salt), int(hashing.SaltLength))
	same(t, len(sum), int(hashing.KeyLength))
}

func TestHashPassword(t *testing.T) {
	h, err := HashPassword("x")
	must(t, err)
	ok, err := newPasswords().match(t.Context(), "x", h)
	if err != nil || !ok {
		t.Errorf("the password does not match its own hash: %v", err)
	}
	for _, bad := range []string{"", strings.Repeat("x", passwordMax+1)} {
		if _, err := HashPassword(bad); err == nil {
			t.Errorf("a password of %d bytes was taken", len(bad))
		}
	}
}

func TestTooManyLoginsAtOnce(t *testing.T) {
	d := newDesk(t)
	for range cap(d.api.passwords.queue) {
		d.api.passwords.queue <- struct{}{}
	}
	for range 2 * failuresMax { // does not count as a failure
		d.want(d.send("POST", whereToPost, goodLogin), 503, `{"text":"too many logins at once: try again later"}`)
	}
	for range cap(d.api.passwords.queue) {
		<-d.api.passwords.queue
	}
	if w := d.send("POST", whereToPost, goodLogin); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// One network does not take all places in the queue.
func TestLoginsOfOneNetwork(t *testing.T) {
	d := newDesk(t)
	for range cap(d.api.passwords.slots) { // nobody is looked at
		d.api.passwords.slots <- struct{}{}
	}
	answers := make(chan int)
	var all sync.WaitGroup
	const many = 3 * knocksMax
	for i := range many {
		all.Go(func() {
			answers <- d.send("POST", whereToPost, fmt.Sprintf(`{"username":"nobody%d","password":"x"}`, i)).Code
		})
	}
	for range many - knocksMax {
		same(t, <-answers, 503)
	}
	if n := len(d.api.passwords.queue); n > knocksMax {
		t.Errorf("%d logins of one network wait", n)
	}
	for range cap(d.api.passwords.slots) {
		<-d.api.passwords.slots
	}
	for range knocksMax {
		same(t, <-answers, 401)
	}
	all.Wait()
	same(t, len(d.api.attempts.knocks), 0)
}

func TestSessionSlidesAndEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for range 5 {
			time.Sleep(sessionLife - time.Second) // fake time
			d.want(d.call("GET", "/api/v2/client_count", ""), 200, `{"data":0}`)
		}
		time.Sleep(sessionLife)
		d.want(d.call("GET", "/api/v2/client_count", ""), 403, badSession)
		same(t, d.api.sessions.count(time.Now()), 0)
	})
}

func TestValidateAndLogout(t *testing.T) {
	d := newDesk(t)
	for _, route := range []string{"validate", "logout"} {
		for _, form := range []string{`{"session":%q}`, `{"data":{"session":%q}}`} {
			d.session = data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session
			echo := fmt.Sprintf(`{"data":{"session":%q}}`, d.session)
			d.want(d.send("POST", "/api/v2/session/"+route, fmt.Sprintf(form, d.session)), 200, echo)
		}
		for _, bad := range []string{`{"session":"x"}`, `{"data":{"session":"token-x"}}`, `{}`} {
			d.want(d.send("POST", "/api/v2/session/"+route, bad), 403, badSession)
		}
	}
	d.want(d.call("GET", "/api/v2/client_count", ""), 403, badSession) // logged out
}

func TestCurrent(t *testing.T) {
	d := newDesk(t)
	current := d.object(d.call("GET", "/api/v2/session/current", ""))
	user := current["user"].(map[string]any)
	for field, want := range map[string]any{
		"id": 1.0, "name": "ann", "last_login": "2001-01-01T00:00:00Z", "deleted_flag": false, "locked_out": 0.0, "active_session_count": 1.0, "as_persona": 0.0,
	} {
		if user[field] != want {
			t.Errorf("%s is %v, want %v", field, user[field], want)
		}
	}
	if roles := fmt.Sprint(user["content_set_roles"]); roles != "[map[id:1 name:Administrator]]" || current["persona"] != nil || fmt.Sprint(current["session"]) != "map[persona_id:0 user_id:1]" {
		t.Errorf("current is %v", current)
	}
}

func TestAuth(t *testing.T) {
	d := newDesk(t)
	b64 := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, headers := range map[string][]string{
		"Basic":   {"Authorization", "Basic " + b64("ann:"+testPassword)},
		"clear":   {"username", "ann", "password", testPassword},
		"base64":  {"username", b64("ann"), "password", b64(testPassword)},
		"session": {"session", d.session},
	} {
		for _, method := range []string{"GET", "POST"} {
			w := d.send(method, "/auth", "", headers...)
			if !sessionForm.MatchString(w.Body.String()) || w.Code != 200 || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("%s %s: %d %q", method, name, w.Code, w.Body)
			}
			if w := d.send("GET", "/api/v2/client_count", "", "session", w.Body.String()); w.Code != 200 {
				t.Errorf("%s %s: the session opens nothing: %s", method, name, w.Body)
			}
		}
	}
	d.want(d.send("POST", "/auth", ""), 401, `{"text":"Unauthorized: user name and password are needed"}`)
	d.want(d.send("POST", "/auth", "", "Authorization", "Basic "+b64("ann:no")), 401, wrongLogin)
	d.want(d.send("POST", "/auth", "", "session", "x"), 403, badSession)
	d.want(d.send("POST", "/auth", "", "session", d.session, "logout", "all"), 400, `{"text":"the header logout is 0 (this session) or 1 (all of the user)"}`)
}

func TestAuthLogout(t *testing.T) {
	d := newDesk(t)
	second := data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session
	third := data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session
	works := func(s string) bool { return d.send("GET", "/api/v2/client_count", "", "session", s).Code == 200 }
	d.send("GET", "/auth", "", "session", second, "logout", "0")
	same(t, []bool{works(d.session), works(second), works(third)}, []bool{true, false, true})
	d.send("GET", "/auth", "", "session", third, "logout", "1")
	same(t, []bool{works(d.session), works(second), works(third)}, []bool{false, false, false})
}

func TestSessionsAreBounded(t *testing.T) {
	s := newSessions()
	now := time.Now()
	first, _ := s.start(now, store.User{ID: 1})
	second, _ := s.start(now, store.User{ID: 2})
	for range sessionsMax - 2 {
		s.start(now, store.User{ID: 3})
	}
	s.use(now, first) // now the second is the longest unused
	s.start(now, store.User{ID: 4})
	_, ok1 := s.use(now, first)
	_, ok2 := s.use(now, second)
	same(t, []bool{ok1, ok2}, []bool{true, false})
	same(t, s.count(now), sessionsMax)
}

// A recent is what a slow and simple list of the same rules is.
func TestRecentIsALRU(t *testing.T) {
	type item struct {
		key, value int
		at         time.Time
	}
	rapid.Check(t, func(t *rapid.T) {
		const most, life = 4, 5 * time.Second
		r := newRecent[int, int](most, life)
		var model []item
		now := time.Unix(0, 0)
		find := func(k int) int {
			for i, it := range model {
				if it.key == k {
					return i
				}
			}
			return -1
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "wait")) * time.Second)
			for len(model) > 0 && now.Sub(model[0].at) >= life {
				model = model[1:]
			}
			k := rapid.IntRange(0, 6).Draw(t, "key")
			i := find(k)
			switch rapid.IntRange(0, 2).Draw(t, "deed") {
			case 0:
				v := rapid.Int().Draw(t, "value")
				r.set(now, k, v)
				if i >= 0 {
					model = append(model[:i], model[i+1:]...)
				} else if len(model) == most {
					model = model[1:]
				}
				model = append(model, item{k, v, now})
			case 1:
				v, ok := r.get(now, k)
				if ok != (i >= 0) || ok && v != model[i].value {
					t.Fatalf("get %d is %d, %v", k, v, ok)
				}
			case 2:
				r.drop(k)
				if i >= 0 {
					model = append(model[:i], model[i+1:]...)
				}
			}
		}
	})
}
