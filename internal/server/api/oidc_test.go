package api

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin/signintest"
)

const ourSite = "https://catenary.example:8443"

// newUserGroup makes a user group.
func newUserGroup(d *desk, name string) int64 {
	d.t.Helper()
	var id int64
	must(d.t, d.api.shelves.Change(d.t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		o := object.New(object.ShapeOf("user_group"))
		o.Set("name", name)
		r, err := ch.Create("user_group", 0, o)
		if err == nil {
			id = r.ID
		}
		return err
	}))
	return id
}

// groupsOf are the user groups that a user is in.
func groupsOf(d *desk, name string) []string {
	d.t.Helper()
	out := []string{}
	for _, id := range d.api.people.State().UserGroups(d.api.shelves.ByName("user", name).ID) {
		out = append(out, d.api.shelves.NameOf("user_group", id))
	}
	return out
}

// trust makes an OpenID Connect provider known.
func trust(d *desk, p *signintest.Provider, more map[string]any) {
	d.t.Helper()
	configure(d, siteSetting, ourSite)
	body := map[string]any{
		"name": "corp", "enabled": true, "issuer": p.URL, "client_id": signintest.ClientID, "client_secret": signintest.ClientSecret, "certificate": p.Authority,
		"create_users_flag": true,
	}
	for k, v := range more {
		body[k] = v
	}
	if w := d.call("POST", "/api/v2/oidc_providers", asJSON(d, body)); w.Code != 200 || strings.Contains(w.Body.String(), signintest.ClientSecret) {
		d.t.Fatalf("the provider: %d %s", w.Code, w.Body)
	}
}

// A browser remembers a cookie.
type browser struct {
	d      *desk
	cookie string
}

func (b *browser) send(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	w := b.d.send(method, path, body, append(headers, "Cookie", b.cookie)...)
	for _, c := range w.Result().Cookies() {
		if !c.HttpOnly || !c.Secure || c.Path != "/auth/" {
			b.d.t.Errorf("the cookie is %v", c)
		}
		b.cookie = c.Name + "=" + c.Value
	}
	return w
}

// away begins a sign-in and returns where the browser is sent.
func (b *browser) away(path string) string {
	b.d.t.Helper()
	w := b.send("GET", path, "")
	if w.Code != 302 {
		b.d.t.Fatalf("%s: %d %s", path, w.Code, w.Body)
	}
	return w.Header().Get("Location")
}

// signIn signs in with a provider.
func (b *browser) signIn(p *signintest.Provider) *httptest.ResponseRecorder {
	b.d.t.Helper()
	return b.send("GET", "/auth/oidc/1/callback?"+p.Visit(b.away("/auth/oidc/1/login")).Encode(), "")
}

func zoe(groups ...string) map[string]any {
	return map[string]any{"sub": "4711", "preferred_username": "zoe", "name": "Zoe Other", "groups": groups}
}

func TestOIDCSignIn(t *testing.T) {
	d, p := newDesk(t), signintest.NewProvider(t)
	ops, others := newUserGroup(d, "operators"), newUserGroup(d, "others")
	trust(d, p, map[string]any{"group_mappings": []any{
		map[string]any{"value": "ops", "user_group": map[string]any{"id": ops}},
		map[string]any{"value": "staff", "user_group": map[string]any{"id": others}},
	}})
	d.want(d.send("GET", "/auth/providers", ""), 200, `{"data":[{"type":"oidc","id":1,"name":"corp","url":"/auth/oidc/1/login"}]}`)
	b := &browser{d: d}
	p.Says(zoe("ops", "Administrators"))
	same(t, works(d, b.signIn(p)), "zoe")
	same(t, groupsOf(d, "zoe"), []string{"operators"})
	r := d.api.shelves.ByName("user", "zoe")
	same(t, []any{r.Object.Text("display_name"), r.Object.Int("external_flag")}, []any{"Zoe Other", int64(1)})
	same(t, logIn(d, `{"username":"zoe","password":"x"}`), "401 Unauthorized: wrong user name or password") // she has none here

	p.Says(zoe("staff"))
	same(t, works(d, b.signIn(p)), "zoe")
	same(t, groupsOf(d, "zoe"), []string{"others"})
	again := d.api.shelves.ByName("user", "zoe")
	same(t, works(d, b.signIn(p)), "zoe")
	same(t, d.api.shelves.ByName("user", "zoe").Modified, again.Modified) // nothing has changed

	// Back to a page of ours.
	q := p.Visit(b.away("/auth/oidc/1/login?return=" + url.QueryEscape("/console/?a=b")))
	w := b.send("GET", "/auth/oidc/1/callback?"+q.Encode(), "")
	to, session, _ := strings.Cut(w.Header().Get("Location"), "#session=")
	same(t, []any{w.Code, to, sessionForm.MatchString(strings.Replace(session, "1-2-", "1-1-", 1))}, []any{303, "/console/?a=b", true})

	alter(d, "user", "zoe", func(o *object.Object) { o.Set("locked_out", int64(3)) })
	same(t, status(b.signIn(p)), "401 Unauthorized: the account is locked")
	silent(d, signintest.ClientSecret, "an-access-token", session, q.Get("code"), q.Get("state"), b.cookie)
}

func TestOIDCTakesNoAccountOver(t *testing.T) {
	d, p := newDesk(t), signintest.NewProvider(t)
	trust(d, p, map[string]any{"create_users_flag": false})
	b := &browser{d: d}
	p.Says(map[string]any{"sub": "1", "preferred_username": "Ann"})
	const taken = `403 there is a user "Ann" already, who does not sign in this way`
	same(t, status(b.signIn(p)), taken)
	p.Says(zoe())
	same(t, status(b.signIn(p)), `403 there is no user "zoe" here: ask an administrator`)
	same(t, d.call("POST", "/api/v2/users", `{"name":"zoe","external_flag":1}`).Code, 200) // made for that
	same(t, works(d, b.signIn(p)), "zoe")
	p.Says(map[string]any{"sub": "9999", "preferred_username": "zoe"}) // another of that name
	same(t, status(b.signIn(p)), `403 there is a user "zoe" already, who does not sign in this way`)
	p.Says(map[string]any{"sub": "4711", "preferred_username": "ann"}) // she may call herself what she wants
	same(t, works(d, b.signIn(p)), "zoe")
}

func TestOIDCCallbacks(t *testing.T) {
	d, p := newDesk(t), signintest.NewProvider(t)
	trust(d, p, nil)
	p.Says(zoe())
	const notHere = "401 Unauthorized: this sign-in was not begun here, or too long ago, or is over: begin again"
	callback := func(b *browser, q url.Values) string {
		return status(b.send("GET", "/auth/oidc/1/callback?"+q.Encode(), ""))
	}
	b, other := &browser{d: d}, &browser{d: d}
	q := p.Visit(b.away("/auth/oidc/1/login"))
	other.away("/auth/oidc/1/login")
	same(t, callback(other, q), notHere) // somebody else's browser
	same(t, callback(b, q), notHere)     // and the state is used up
	q = p.Visit(b.away("/auth/oidc/1/login"))
	same(t, callback(&browser{d: d}, q), notHere)
	q = p.Visit(b.away("/auth/oidc/1/login"))
	same(t, callback(b, q), "200")
	same(t, callback(b, q), notHere) // again
	same(t, callback(b, url.Values{"code": {"x"}, "state": {"y"}}), notHere)
	q = p.Visit(b.away("/auth/oidc/1/login"))
	q.Set("code", "forged")
	same(t, callback(b, q), "401 Unauthorized: the provider has refused the code: invalid_grant")
	q = p.Visit(b.away("/auth/oidc/1/login"))
	same(t, callback(b, url.Values{"error": {"access_denied"}, "state": q["state"]}), "401 Unauthorized: the provider has not signed you in: access_denied")
	q = p.Visit(b.away("/auth/oidc/1/login"))
	same(t, callback(b, url.Values{"error": {"<script>"}, "state": q["state"]}), "401 Unauthorized: the provider has not signed you in: for a reason of its own")
	first, second := p.Visit(b.away("/auth/oidc/1/login")), p.Visit(b.away("/auth/oidc/1/login")) // in two windows
	same(t, []string{callback(b, first), callback(b, second)}, []string{"200", "200"})

	for _, back := range []string{"https://evil.example", "//evil.example", `/\evil.example`, "/a#b", "x", "/a b", "/\n", "/" + strings.Repeat("x", backMax)} {
		if w := b.send("GET", "/auth/oidc/1/login?return="+url.QueryEscape(back), ""); w.Code != 400 {
			t.Errorf("return to %.40q: %d", back, w.Code)
		}
	}
	same(t, b.send("GET", "/auth/oidc/9/login", "").Code, 404)
	same(t, d.call("PATCH", "/api/v2/oidc_providers/1", `{"enabled":false}`).Code, 200)
	same(t, b.send("GET", "/auth/oidc/1/login", "").Code, 404)
	d.want(d.send("GET", "/auth/providers", ""), 200, `{"data":[]}`)
	same(t, status(d.call("PATCH", "/api/v2/oidc_providers/1", `{"issuer":"https://evil.example"}`)), `400 the field "client_secret": is to be said again when the issuer is changed`)
	same(t, d.call("POST", "/api/v2/oidc_providers", `{"name":"x","issuer":"http://plain","client_id":"x"}`).Code, 400)
	configure(d, siteSetting, "")
	same(t, d.call("PATCH", "/api/v2/oidc_providers/1", `{"enabled":true}`).Code, 200)
	same(t, status(b.send("GET", "/auth/oidc/1/login", "")), "400 the setting public_url must say at which https: URL people reach this server")
}

func TestWaitingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		configure(d, siteSetting, ourSite)
		idp := signintest.NewSAMLProvider(t)
		trustSAML(d, idp, nil)
		b := &browser{d: d}
		form := idp.Visit(b.away("/auth/saml/1/login"))
		time.Sleep(waitingLife) // fake time
		same(t, status(b.post("/auth/saml/1/acs", form)), "401 Unauthorized: this sign-in was not begun here, or too long ago, or is over: begin again")
	})
}

// Those who begin and never come back cost a bounded amount of memory.
func TestWaitingIsBounded(t *testing.T) {
	d := newDesk(t)
	trustSAML(d, signintest.NewSAMLProvider(t), nil)
	same(t, d.api.providers.waiting.all.max, waitingMax)
	d.api.providers.waiting.all.max = 10
	for range 2 * 10 {
		same(t, d.send("GET", "/auth/saml/1/login", "").Code, 302)
	}
	same(t, len(d.api.providers.waiting.all.entries), 10)
}
