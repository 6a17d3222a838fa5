package api

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/store"
)

const noToken = `{"text":"REST Object Not Found Exception:  APITokenNotFound: The requested API token was not found"}`

func TestTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		w := d.call("POST", "/api/v2/api_tokens", `{"name":"ci","notes":"nightly","expire_in_days":30,"unknown":1}`)
		str := regexp.MustCompile(`token-[0-9a-f]{64}`).FindString(w.Body.String())
		const who = `"user":{"id":1,"name":"ann","display_name":"","domain":"","creation_time":"2001-09-09T01:46:40Z","last_login":"2001-01-01T00:00:00Z","deleted_flag":false}`
		d.want(w, 200, `{"data":{"id":1,"name":"ci","notes":"nightly","created_time":"2000-01-01T00:00:00Z","expiration":"2000-01-31T00:00:00Z","expire_in_days":30,`+
			`"last_used_on":"2001-01-01T00:00:00Z","trusted_ip_addresses":"",`+who+`,"persona":{"id":0},"deleted_flag":0,"token_string":"`+str+`"}}`)
		use := func(s string) int { return d.send("GET", "/api/v2/client_count", "", "session", s).Code }
		same(t, use(str), 200)
		shown := `{"id":1,"name":"ci","notes":"nightly","created_time":"2000-01-01T00:00:00Z","expiration":"2000-01-31T00:00:00Z","expire_in_days":30,` +
			`"last_used_on":"2000-01-01T00:00:00Z","trusted_ip_addresses":"",` + who + `,"persona":{"id":0},"deleted_flag":0}`
		d.want(d.call("GET", "/api/v2/api_tokens", ""), 200, `{"data":[`+shown+`]}`)
		d.want(d.call("GET", "/api/v2/api_tokens/1", ""), 200, `{"data":`+shown+`}`)

		d.ok(d.call("PATCH", "/api/v2/users/1", `{"display_name":"Ann A."}`))
		same(t, data[tokenObject](t, d.call("GET", "/api/v2/api_tokens/1", "")).User.DisplayName, "Ann A.")

		turned := data[tokenObject](t, d.send("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, str), "session", str))
		same(t, turned.ID, int64(2))
		same(t, []int{use(str), use(turned.TokenString)}, []int{401, 200})
		d.want(d.call("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, str)), 404, noToken)
		d.want(d.call("PATCH", "/api/v2/api_tokens", `{}`), 400, `{"text":"token_string is needed: the string of the token to rotate"}`)

		gone := data[tokenObject](t, d.call("DELETE", "/api/v2/api_tokens/2", ""))
		same(t, gone.DeletedFlag, 1)
		same(t, use(turned.TokenString), 401)
		d.want(d.call("DELETE", "/api/v2/api_tokens/2", ""), 404, noToken)
		d.want(d.call("GET", "/api/v2/api_tokens/2", ""), 404, noToken)
		d.want(d.call("GET", "/api/v2/api_tokens", ""), 200, `{"data":[]}`)
	})
}

func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		str := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{}`)).TokenString
		time.Sleep(7*24*time.Hour - time.Second) // fake time; 7 days when nothing is asked for
		d.want(d.send("GET", "/api/v2/client_count", "", "session", str), 200, `{"data":0}`)
		d.want(d.send("POST", "/api/v2/session/validate", fmt.Sprintf(`{"session":%q}`, str)), 200, fmt.Sprintf(`{"data":{"session":%q}}`, str))
		fresh := data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session
		time.Sleep(time.Second)
		d.want(d.send("GET", "/api/v2/client_count", "", "session", str), 401, `{"text":"Unauthorized: the API token has expired"}`)
		d.want(d.send("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, str), "session", fresh), 401, `{"text":"Unauthorized: the API token has expired"}`)
	})
}

func TestTokenOfAnother(t *testing.T) {
	d := newDesk(t)
	bob := d.person("bob")
	str := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{}`)).TokenString
	d.session = d.begun(time.Now(), bob)
	d.want(d.call("GET", "/api/v2/api_tokens", ""), 200, `{"data":[]}`)
	d.want(d.call("GET", "/api/v2/api_tokens/1", ""), 404, noToken)
	d.want(d.call("DELETE", "/api/v2/api_tokens/1", ""), 404, noToken)
	d.want(d.call("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, str)), 404, noToken)
	d.ok(d.call("POST", "/api/v2/api_tokens", `{"name":"bob's"}`))
	w := d.as(store.User{ID: 1, Name: testUser}, "GET", "/api/v2/api_tokens", "") // who may read the tokens of others
	if all := data[[]tokenObject](t, w); len(all) != 2 || all[1].User.Name != "bob" {
		t.Errorf("all tokens are %+v", all)
	}
	d.ok(d.as(store.User{ID: 1, Name: testUser}, "DELETE", "/api/v2/api_tokens/2", ""))
	d.want(d.call("GET", "/api/v2/api_tokens/2", ""), 404, noToken)
}

func TestTokenRequests(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct{ body, text string }{
		{`{"expire_in_days":0}`, `expire_in_days is 0, not 1 to 3650`},
		{`{"expire_in_days":"3651"}`, `expire_in_days is 3651, not 1 to 3650`},
		{`{"trusted_ip_addresses":"10.0.0.1,nonsense"}`, `trusted_ip_addresses: \"nonsense\" is no address and no network`},
	} {
		d.want(d.call("POST", "/api/v2/api_tokens", tt.body), 400, `{"text":"`+tt.text+`"}`)
	}
}

func TestTokenIsTrustedFrom(t *testing.T) {
	d := newDesk(t)
	use := func(str, from string) int {
		d.from = from
		return d.send("GET", "/api/v2/client_count", "", "session", str).Code
	}
	own := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{"trusted_ip_addresses":"192.0.2.7, 10.0.0.0/8"}`)).TokenString
	free := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{}`)).TokenString
	same(t, []int{use(own, "192.0.2.7:1"), use(own, "[::ffff:10.1.2.3]:1"), use(own, "192.0.2.8:1"), use(own, "127.0.0.1:1")}, []int{200, 200, 401, 200})
	same(t, []int{use(free, "192.0.2.8:1")}, []int{200})
	d.from = "127.0.0.1:1"
	d.refuses(d.send("GET", "/api/v2/client_count", "", "session", own, "X-Forwarded-For", "203.0.113.9"), 401, "may not be used from this address") // a proxy here brings it
	configure(d, trustedSetting, "198.51.100.0/24")
	same(t, []int{use(free, "192.0.2.8:1"), use(free, "198.51.100.1:1"), use(own, "198.51.100.1:1")}, []int{401, 200, 401})
	configure(d, trustedSetting, "nonsense")
	same(t, []int{use(free, "192.0.2.8:1"), use(free, "[::1]:1")}, []int{401, 200})
}

func FuzzTrusted(f *testing.F) {
	f.Add("10.0.0.1, 192.0.2.0/24,::1", "10.0.0.1")
	f.Add(",,", "::1")
	f.Fuzz(func(t *testing.T, list, addr string) {
		nets, err := parseTrusted(list)
		a, errAddr := netip.ParseAddr(addr)
		if errAddr != nil || a.IsLoopback() {
			return
		}
		if has := trusts(list, a); has && err != nil || !has && err == nil && len(nets) == 0 {
			t.Errorf("the list %q has %v: %v; it reads as %v, %v", list, a, has, nets, err)
		}
	})
}

// A token that acts as a persona does so for good: nobody gets the user's own
// rights by it.
func TestTokenAsPersona(t *testing.T) {
	d := newDesk(t)
	d.person("bob")
	for _, name := range []string{"ann", "bob"} { // personas 1 and 2
		body := fmt.Sprintf(`{"name":"%s at night","user_list":[{"name":%q}]}`, name, name)
		same(t, d.call("POST", "/api/v2/personas", body).Code, 200)
	}
	for _, as := range []string{`2`, `99`, `{"id":2}`} {
		w := d.call("POST", "/api/v2/api_tokens", `{"as_persona":`+as+`}`)
		if w.Code != 400 || !strings.Contains(w.Body.String(), "InvalidPersonaForUser") {
			t.Errorf("as persona %s: %d %s", as, w.Code, w.Body)
		}
	}
	same(t, d.call("POST", "/api/v2/api_tokens", `{"as_persona":"x"}`).Code, 400)
	for _, as := range []string{`1`, `"1"`, `{"id":1,"name":"x"}`} {
		made := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{"as_persona":`+as+`}`))
		same(t, made.Persona, nameRef{1, "ann at night"})
		use := func(method, path, body string) int {
			return d.send(method, path, body, "session", made.TokenString).Code
		}
		same(t, use("GET", "/api/v2/client_count", ""), 200)
		same(t, use("GET", "/api/v2/users", ""), 403) // the persona has no roles
		same(t, use("POST", "/api/v2/session/as_persona/0", `{}`), 403)
		same(t, use("POST", "/api/v2/session/as_persona/1", `{}`), 403)
		same(t, use("POST", "/api/v2/api_tokens", `{"as_persona":0}`), 400)
		heir := data[tokenObject](t, d.send("POST", "/api/v2/api_tokens", `{}`, "session", made.TokenString))
		same(t, heir.Persona.ID, int64(1))
		turned := data[tokenObject](t, d.send("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, heir.TokenString), "session", made.TokenString))
		same(t, turned.Persona.ID, int64(1))
	}
	same(t, d.call("DELETE", "/api/v2/personas/1", "").Code, 200)
	last := data[[]tokenObject](t, d.call("GET", "/api/v2/api_tokens", ""))
	same(t, last[0].Persona.ID, int64(1))
}
