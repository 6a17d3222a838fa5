package api

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/setting"
	"catenary/internal/server/store"
)

// begun is a session of a user as if he had logged in.
func (d *desk) begun(now time.Time, u store.User) string {
	str, _ := d.api.sessions.start(now, u)
	return string(str)
}

func (d *desk) lives(session string) bool {
	return d.send("GET", "/api/v2/client_count", "", "session", session).Code == 200
}

func (d *desk) loggedIn() string {
	d.t.Helper()
	return data[sessionObject](d.t, d.send("POST", whereToPost, goodLogin)).Session
}

// A session that is used all the time ends nevertheless, and turning into a
// persona does not make it younger.
func TestSessionsGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		configure(d, setting.SessionLongest, 600)
		d.api.sessions.endAll(1)
		s := d.loggedIn()
		for range 5 {
			time.Sleep(100 * time.Second)
			same(t, d.lives(s), true)
		}
		turned := data[sessionObject](t, d.send("POST", "/api/v2/session/as_persona/0", "", "session", s)).Session
		time.Sleep(99 * time.Second)
		same(t, []bool{d.lives(s), d.lives(turned)}, []bool{true, true})
		same(t, d.api.sessions.count(time.Now()), 2)
		time.Sleep(time.Second)
		same(t, d.api.sessions.count(time.Now()), 0)
		same(t, []bool{d.lives(s), d.lives(turned)}, []bool{false, false})

		long := d.send("POST", "/auth", "", "username", "ann", "password", testPassword, "persistent", "1").Body.String()
		time.Sleep(599 * time.Second)
		same(t, d.lives(long), true)
		time.Sleep(time.Second)
		same(t, d.lives(long), false)
	})
}

// Who has as many sessions as he may loses the one that was unused for longest,
// and nobody else loses any.
func TestSessionsOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		bob := d.begun(time.Now(), d.person("bob", "Operator"))
		d.api.sessions.endAll(1)
		configure(d, setting.SessionsPerUser, 3)
		var all []string
		for range 2 {
			all = append(all, d.loggedIn())
			time.Sleep(time.Second)
		}
		long := d.send("POST", "/auth", "", "username", "ann", "password", testPassword, "persistent", "1").Body.String()
		time.Sleep(time.Second)
		same(t, d.lives(all[0]), true)
		all = append(all, d.loggedIn()) // and all[1] was used before all others
		same(t, []bool{d.lives(all[0]), d.lives(all[1]), d.lives(all[2]), d.lives(long), d.lives(bob)}, []bool{true, false, true, true, true})

		configure(d, setting.SessionsPerUser, 1)
		last := data[sessionObject](t, d.send("POST", "/api/v2/session/as_persona/0", "", "session", all[0])).Session
		same(t, []bool{d.lives(all[0]), d.lives(all[2]), d.lives(long), d.lives(last), d.lives(bob)}, []bool{false, false, false, true, true})

		entries, err := d.store.Audits(t.Context(), auditLogins, 0, noTime, noTime, 100, 0)
		must(t, err)
		var said []string
		for _, e := range entries {
			if e.Type == deedEnded {
				said = append(said, e.ObjectName+": "+e.Details)
			}
		}
		same(t, said, []string{"ann: 3 of 1 sessions, unused for longest, made room", "ann: 1 of 3 sessions, unused for longest, made room"})
	})
}

func TestPreLoginText(t *testing.T) {
	d := newDesk(t)
	const path = "/api/v2/session/pre_login_text"
	d.want(d.send("GET", path, ""), 200, `{"data":{"text":""}}`)
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/pre_login_text", `{"value":"You are <watched>.\nGo on?"}`))
	d.want(d.send("GET", path, ""), 200, `{"data":{"text":"You are <watched>.\nGo on?"}}`)
	d.refused(d.call("PATCH", "/api/v2/system_settings/by-name/pre_login_text", `{"value":"`+strings.Repeat("x", 4097)+`"}`), 400, "the value of pre_login_text has 4097 bytes, more than 4096")
}

// A setting that nobody can have made leaves the default.
func TestSessionRulesOutOfBounds(t *testing.T) {
	d := newDesk(t)
	alter(d, setting.Kind, setting.SessionsPerUser, func(o *object.Object) { o.Set("value", "0") })
	alter(d, setting.Kind, setting.SessionLongest, func(o *object.Object) { o.Set("value", "soon") })
	if got, want := d.api.sessionRules(), (sessionRules{sessionLife, longLife, 100}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
