package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
)

// configure sets a system setting.
func configure(d *desk, name string, value any) {
	d.t.Helper()
	raw, err := json.Marshal(value)
	must(d.t, err)
	must(d.t, d.api.shelves.Change(d.t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		o := object.New(object.ShapeOf("system_setting"))
		o.Set("name", name)
		o.Set("value", json.RawMessage(raw))
		if was := ch.ByName("system_setting", name); was != nil {
			_, err := ch.Update(was, o)
			return err
		}
		_, err := ch.Create("system_setting", 0, o)
		return err
	}))
}

// alter changes an object past the API.
func alter(d *desk, kind, name string, change func(o *object.Object)) {
	d.t.Helper()
	must(d.t, d.api.shelves.Change(d.t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		r := ch.ByName(kind, name)
		if r == nil {
			d.t.Fatalf("there is no %s %q", kind, name)
		}
		o := r.Object.Clone()
		change(o)
		_, err := ch.Update(r, o)
		return err
	}))
}

// status is an answer's status and its text, if it has one.
func status(w *httptest.ResponseRecorder) string {
	var body struct {
		Text string `json:"text"`
	}
	if json.Unmarshal(w.Body.Bytes(), &body) != nil || body.Text == "" {
		return fmt.Sprint(w.Code)
	}
	return fmt.Sprintf("%d %s", w.Code, body.Text)
}

// logIn logs in and returns the status; a success gives a session that works.
func logIn(d *desk, body string) string {
	d.t.Helper()
	w := d.send("POST", whereToPost, body)
	if w.Code != http.StatusOK {
		return status(w)
	}
	works(d, w)
	return "200"
}

// works checks that an answer holds a session that opens something, and returns
// whose it is.
func works(d *desk, w *httptest.ResponseRecorder) string {
	d.t.Helper()
	s := data[sessionObject](d.t, w).Session
	who := d.send("GET", "/api/v2/session/current", "", "session", s)
	var body struct {
		Data struct {
			User struct {
				Name string `json:"name"`
			} `json:"user"`
		} `json:"data"`
	}
	if err := json.Unmarshal(who.Body.Bytes(), &body); err != nil || who.Code != http.StatusOK {
		d.t.Fatalf("the new session: %d %s", who.Code, who.Body)
	}
	return body.Data.User.Name
}

// silent checks at the end of a test that none of the secrets is in the log.
func silent(d *desk, secrets ...string) {
	d.t.Helper()
	for _, s := range append(secrets, testPassword) {
		if s != "" && strings.Contains(d.logs.String(), s) {
			d.t.Errorf("the log holds the secret %q", s)
		}
	}
}

func TestLoginWithDomain(t *testing.T) {
	d := newDesk(t)
	alter(d, "user", "ann", func(o *object.Object) { o.Set("domain", "Corp") })
	const wrong = "401 Unauthorized: wrong user name or password"
	for body, want := range map[string]string{
		`{"username":"ann","domain":"CORP","password":"correct horse battery"}`:                "200",
		`{"username":"corp\\ann","password":"correct horse battery"}`:                          "200",
		`{"username":"ann","domain":"","password":"correct horse battery"}`:                    "200",
		`{"username":"ann","domain":"other","password":"correct horse battery"}`:               wrong,
		`{"username":"other\\ann","password":"correct horse battery"}`:                         wrong,
		`{"username":"\\ann","password":"correct horse battery"}`:                              wrong,
		`{"username":"ann","domain":"corp","password":"x"}`:                                    wrong,
		`{"username":"ann","password":"correct horse battery","as_exclusive_user_group":"7"}`:  `400 InvalidUserGroup: as_exclusive_user_group: the user is in no user group "7"`,
		`{"username":"ann","password":"correct horse battery","as_exclusive_user_group":null}`: "200",
	} {
		if got := logIn(d, body); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	w := d.send("POST", "/auth", "", "username", "ann", "password", testPassword, "domain", "corp")
	same(t, w.Code, 200)
	silent(d)
}

// However a user is spelled, he has ten guesses.
func TestLockoutCountsTheUser(t *testing.T) {
	d := newDesk(t)
	alter(d, "user", "ann", func(o *object.Object) { o.Set("domain", "corp") })
	spelled := []string{`"ann"`, `"ANN"`, `"corp\\ann"`, `"Ann","domain":"CORP"`}
	for i := range failuresMax {
		same(t, logIn(d, fmt.Sprintf(`{"username":%s,"password":"x"}`, spelled[i%len(spelled)])), "401 Unauthorized: wrong user name or password")
	}
	for _, name := range spelled {
		same(t, logIn(d, fmt.Sprintf(`{"username":%s,"password":"correct horse battery"}`, name)), "401 Too many failed logins: wait 5m0s and try again")
	}
}

func TestLockedUser(t *testing.T) {
	d := newDesk(t)
	d.person("bob")
	d.api.shelves.ByName("user", "bob")
	bob := `{"username":"bob","password":"correct horse battery"}`
	same(t, logIn(d, bob), "200")
	alter(d, "user", "bob", func(o *object.Object) { o.Set("locked_out", int64(3)) })
	same(t, logIn(d, bob), "401 Unauthorized: the account is locked")
	same(t, logIn(d, strings.Replace(bob, "horse", "cow", 1)), "401 Unauthorized: wrong user name or password") // tells nothing to strangers
}

func TestSessionSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		lives := func(s string) bool { return d.send("GET", "/api/v2/client_count", "", "session", s).Code == 200 }
		fresh := func() string { return data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session }
		configure(d, setting.SessionIdle, 60)
		s := fresh()
		time.Sleep(59 * time.Second) // fake time
		same(t, lives(s), true)
		time.Sleep(60 * time.Second)
		same(t, lives(s), false)
		configure(d, setting.SessionIdle, "600")
		s = fresh()
		time.Sleep(599 * time.Second)
		same(t, lives(s), true)
		for _, bad := range []any{"x", 0, -5, 1, "9999999999"} { // as if nothing were set
			configure(d, setting.SessionIdle, bad)
			s = fresh()
			time.Sleep(sessionLife - time.Second)
			same(t, lives(s), true)
			time.Sleep(sessionLife)
			same(t, lives(s), false)
		}
		w := d.send("POST", "/auth", "", "username", "ann", "password", testPassword, "persistent", "1")
		long := w.Body.String()
		time.Sleep(longLife - time.Second)
		same(t, lives(long), true)
		time.Sleep(time.Second) // it is a week old, and was used all the time
		same(t, lives(long), false)
	})
}

func TestForwardedFor(t *testing.T) {
	d := newDesk(t)
	own := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{"trusted_ip_addresses":"198.51.100.7"}`)).TokenString
	use := func(from string, said ...string) int {
		d.from = from
		headers := []string{"session", own}
		if len(said) > 0 {
			headers = append(headers, "X-Forwarded-For", strings.Join(said, ", "))
		}
		return d.send("GET", "/api/v2/client_count", "", headers...).Code
	}
	const proxy, other = "10.0.0.1:9", "192.0.2.1:9"
	same(t, use(proxy, "198.51.100.7"), 401)
	configure(d, proxySetting, "10.0.0.0/24")
	same(t, use(proxy, "198.51.100.7"), 401) // the proxies are known, and not asked
	configure(d, forwardedSetting, 1)
	for _, tt := range []struct {
		from string
		said []string
		want int
	}{
		{proxy, []string{"198.51.100.7"}, 200},
		{proxy, []string{"203.0.113.1", "198.51.100.7", "10.0.0.2"}, 200}, // by way of two proxies
		{proxy, []string{"198.51.100.7", "203.0.113.1"}, 401},             // what the caller has written himself
		{proxy, []string{"nonsense"}, 401},
		{proxy, nil, 401},
		{other, []string{"198.51.100.7"}, 401}, // no proxy of ours
		{"198.51.100.7:1", nil, 200},
	} {
		same(t, use(tt.from, tt.said...), tt.want)
	}
	configure(d, proxySetting, "nonsense")
	same(t, use(proxy, "198.51.100.7"), 401)

	// Guesses are counted by the address that the proxy names.
	configure(d, proxySetting, "10.0.0.0/24")
	guess := func(from string) string {
		return status(d.send("POST", whereToPost, `{"username":"ann","password":"x"}`, "X-Forwarded-For", from))
	}
	d.from = proxy
	for range failuresMax {
		guess("203.0.113.1")
	}
	same(t, strings.HasPrefix(guess("203.0.113.1"), "401 Too many"), true)
	same(t, guess("203.0.113.2"), "401 Unauthorized: wrong user name or password")
}
