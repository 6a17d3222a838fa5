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
	"catenary/internal/server/signin/signintest"
)

// An idp is an identity provider that provisions users.
type idp struct {
	d     *desk
	token string
}

func newIDP(d *desk, name string) *idp {
	d.t.Helper()
	return &idp{d, data[scimToken](d.t, d.call("POST", "/api/v2/scim_servers", fmt.Sprintf(`{"name":%q}`, name))).Token}
}

func (i *idp) send(method, path, body string) *httptest.ResponseRecorder {
	return i.d.send(method, "/scim/v2"+path, body, "Authorization", "Bearer "+i.token, "Content-Type", "application/scim+json")
}

// want sends and checks the status; out, if not nil, is what the answer is read
// into.
func (i *idp) want(status int, out any, method, path, body string) {
	i.d.t.Helper()
	w := i.send(method, path, body)
	if w.Code != status {
		i.d.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, w.Code, w.Body, status)
	}
	if status == http.StatusNoContent {
		same(i.d.t, w.Body.Len(), 0)
		return
	}
	same(i.d.t, w.Header().Get("Content-Type"), "application/scim+json")
	if out != nil {
		must(i.d.t, json.Unmarshal(w.Body.Bytes(), out))
	}
}

// fails sends what must be refused, and returns the kind of the refusal.
func (i *idp) fails(status int, method, path, body string) string {
	i.d.t.Helper()
	var e scimError
	i.want(status, &e, method, path, body)
	same(i.d.t, []any{e.Schemas, e.Status}, []any{[]string{"urn:ietf:params:scim:api:messages:2.0:Error"}, fmt.Sprint(status)})
	if e.Detail == "" {
		i.d.t.Error("the refusal says nothing")
	}
	return e.Type
}

const okta = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"zoe@corp.example","name":{"givenName":"Zoe","familyName":"Other"},
	"emails":[{"primary":true,"value":"zoe@corp.example","type":"work"}],"displayName":"Zoe Other","locale":"en-US","externalId":"00uj","groups":[],"password":"a password","active":true}`

func TestSCIMUsers(t *testing.T) {
	d := newDesk(t)
	i := newIDP(d, "okta")
	var u scimUser
	i.want(201, &u, "POST", "/Users", okta)
	same(t, []any{u.ID, u.UserName, u.DisplayName, u.ExternalID, bool(*u.Active), u.Meta.Type, u.Meta.Location},
		[]any{"2", "zoe@corp.example", "Zoe Other", "00uj", true, "User", "/scim/v2/Users/2"})
	same(t, logIn(d, `{"username":"zoe@corp.example","password":"a password"}`), "401 Unauthorized: wrong user name or password") // not kept
	same(t, i.fails(409, "POST", "/Users", okta), "uniqueness")
	same(t, i.fails(409, "POST", "/Users", `{"userName":"ann"}`), "uniqueness")
	same(t, i.fails(409, "POST", "/Users", `{"userName":"other","externalId":"00uj"}`), "uniqueness")
	same(t, i.fails(400, "POST", "/Users", `{"userName":""}`), "invalidValue")
	same(t, i.fails(400, "POST", "/Users", `{"userName":"x`), "invalidValue")
	same(t, i.fails(400, "POST", "/Users", `{"userName":"a\u0000b"}`), "invalidValue")

	zoe := d.api.shelves.ByName("user", "zoe@corp.example")
	locked := func() int64 { return d.api.shelves.ByID("user", zoe.ID).Object.Int("locked_out") }
	su, err := d.store.UserByID(t.Context(), zoe.ID)
	must(t, err)
	d.session = d.begun(time.Now(), su)
	for _, tt := range []struct {
		patch string
		lock  int64
		name  string
	}{
		{`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","value":{"active":false}}]}`, 1, "Zoe Other"}, // Okta
		{`{"Operations":[{"op":"Replace","path":"active","value":"True"}]}`, 0, "Zoe Other"},                                                       // Entra
		{`{"Operations":[{"op":"Replace","path":"active","value":"False"},{"op":"Add","path":"displayName","value":"Z"}]}`, 1, "Z"},
		{`{"Operations":[{"op":"add","path":"emails[type eq \"work\"].value","value":"x@y"},{"op":"replace","value":{"name.givenName":"x","displayName":"Zoe"}}]}`, 1, "Zoe"},
		{`{"Operations":[{"op":"remove","path":"displayName"},{"op":"replace","path":"active","value":true}]}`, 0, ""},
	} {
		var u scimUser
		i.want(200, &u, "PATCH", "/Users/2", tt.patch)
		same(t, []any{locked(), u.DisplayName, bool(*u.Active)}, []any{tt.lock, tt.name, tt.lock == 0})
	}
	d.want(d.call("GET", "/api/v2/client_count", ""), 403, badSession) // gone when he was first locked out
	alter(d, "user", zoe.Name, func(o *object.Object) { o.Set("locked_out", int64(3)) })
	i.want(200, &u, "PATCH", "/Users/2", `{"Operations":[{"op":"replace","value":{"active":true}}]}`)
	same(t, []any{locked(), bool(*u.Active)}, []any{int64(3), false}) // by an administrator
	for _, bad := range []string{
		`{}`, `{"Operations":[{"op":"move","path":"x"}]}`, `{"Operations":[{"op":"remove"}]}`, `{"Operations":[{"op":"add","value":[]}]}`,
		`{"Operations":[{"op":"replace","path":"active","value":"maybe"}]}`, `{"Operations":[{"op":"replace","path":"userName","value":7}]}`,
		`{"Operations":[{"op":"remove","path":"userName"}]}`, `{"Operations":[{"op":"replace","path":"userName","value":"ANN"}]}`,
	} {
		if w := i.send("PATCH", "/Users/2", bad); w.Code != 400 && w.Code != 409 {
			t.Errorf("%s: %d %s", bad, w.Code, w.Body)
		}
	}
	i.want(200, &u, "PUT", "/Users/2", `{"userName":"zoe2","externalId":"e2","name":{"formatted":"Zoe Two"}}`)
	same(t, []any{u.UserName, u.DisplayName, u.ExternalID}, []any{"zoe2", "Zoe Two", "e2"})
	i.want(204, nil, "DELETE", "/Users/2", "")
	i.fails(404, "GET", "/Users/2", "")
	i.fails(404, "DELETE", "/Users/2", "")
	silent(d, i.token, "a password")
}

func TestSCIMLists(t *testing.T) {
	d := newDesk(t)
	i, other := newIDP(d, "entra"), newIDP(d, "other")
	for n := range 25 {
		i.want(201, nil, "POST", "/Users", fmt.Sprintf(`{"userName":"user%02d","externalId":"e%d"}`, n, n))
	}
	other.want(201, nil, "POST", "/Users", `{"userName":"theirs"}`)
	find := func(query string) (names []string, total int) {
		t.Helper()
		var list struct {
			Total     int        `json:"totalResults"`
			Resources []scimUser `json:"Resources"`
		}
		i.want(200, &list, "GET", "/Users?"+query, "")
		names = []string{}
		for _, u := range list.Resources {
			names = append(names, u.UserName)
		}
		return names, list.Total
	}
	for query, want := range map[string][]string{
		`filter=userName+eq+%22USER03%22`:                                {"user03"},
		`filter=externalId+EQ+%22e4%22`:                                  {"user04"},
		`filter=userName%20eq%20%22user05%22%20and%20active%20eq%20true`: {"user05"},
		`filter=userName+eq+%22ann%22`:                                   {}, // not of this provider
		`filter=userName+eq+%22theirs%22`:                                {},
		`filter=id+eq+%222%22`:                                           {"user00"},
		`startIndex=24&count=5`:                                          {"user23", "user24"},
		`startIndex=3&count=2`:                                           {"user02", "user03"},
		`count=0`:                                                        {},
		`startIndex=-4&count=1`:                                          {"user00"},
	} {
		names, _ := find(query)
		same(t, names, want)
	}
	_, total := find("count=3")
	same(t, total, 25)
	for _, bad := range []string{
		`filter=userName+co+%22x%22`, `filter=userName`, `filter=userName+eq+x`, `filter=emails+eq+%22x%22`, `startIndex=x`,
		`filter=userName+eq+%22a%22+or+id+eq+%222%22`, `filter=` + strings.Repeat("a", scimFilterMax+1),
	} {
		same(t, i.fails(400, "GET", "/Users?"+bad, ""), "invalidValue")
	}
	// Nobody else's users, whoever they are.
	for _, id := range []string{"1", "27", "99", "x", "0"} {
		i.fails(404, "GET", "/Users/"+id, "")
		i.fails(404, "PATCH", "/Users/"+id, `{"Operations":[{"op":"replace","value":{"active":false}}]}`)
		i.fails(404, "DELETE", "/Users/"+id, "")
	}
}

func TestSCIMGroups(t *testing.T) {
	d := newDesk(t)
	i := newIDP(d, "okta")
	for _, name := range []string{"bob", "eve"} { // 2 and 3
		i.want(201, nil, "POST", "/Users", fmt.Sprintf(`{"userName":%q}`, name))
	}
	newUserGroup(d, "admins")
	before := len(d.api.shelves.All("user_group"))
	same(t, i.fails(409, "POST", "/Groups", `{"displayName":"Admins"}`), "uniqueness") // it may have roles
	var g scimGroup
	i.want(201, &g, "POST", "/Groups", `{"displayName":"ops","externalId":"x","members":[{"value":"2"}]}`)
	path := "/Groups/" + g.ID
	for _, tt := range []struct {
		patch string
		want  []string
	}{
		{`{"Operations":[{"op":"add","path":"members","value":[{"value":"3"},{"value":"2"}]}]}`, []string{"bob", "eve"}},
		{`{"Operations":[{"op":"remove","path":"members[value eq \"2\"]"}]}`, []string{"eve"}},
		{`{"Operations":[{"op":"Remove","path":"members","value":[{"value":"3"}]}]}`, []string{}},
		{`{"Operations":[{"op":"replace","path":"members","value":[{"value":"2"},{"value":"3"}]}]}`, []string{"bob", "eve"}},
		{`{"Operations":[{"op":"replace","value":{"id":"9","displayName":"operators"}}]}`, []string{"bob", "eve"}},
		{`{"Operations":[{"op":"remove","path":"members"}]}`, []string{}},
		{`{"Operations":[{"op":"add","value":{"members":[{"value":"3"}]}}]}`, []string{"eve"}},
	} {
		i.want(200, &g, "PATCH", path, tt.patch)
		same(t, groupMembers(d)[g.DisplayName], tt.want)
		same(t, len(*g.Members), len(tt.want))
	}
	same(t, g.DisplayName, "operators")
	var u scimUser
	i.want(200, &u, "GET", "/Users/3", "")
	same(t, u.Groups, []scimMember{{g.ID, "operators"}})
	for _, bad := range []string{
		`{"Operations":[{"op":"add","path":"members","value":[{"value":"1"}]}]}`, // ann is not theirs
		`{"Operations":[{"op":"add","path":"members","value":[{"value":"x"}]}]}`,
		`{"Operations":[{"op":"add","path":"members[value eq \"2\"]","value":1}]}`,
		`{"Operations":[{"op":"remove","path":"members[display eq \"2\"]"}]}`,
		`{"Operations":[{"op":"replace","path":"displayName","value":""}]}`,
		`{"Operations":[{"op":"add","path":"members","value":7}]}`,
	} {
		same(t, i.fails(400, "PATCH", path, bad), "invalidValue")
	}
	same(t, groupMembers(d)["operators"], []string{"eve"}) // nothing of it has happened
	var list struct {
		Resources []scimGroup `json:"Resources"`
	}
	i.want(200, &list, "GET", "/Groups?excludedAttributes=members&filter=displayName+eq+%22Operators%22", "")
	same(t, list.Resources[0].Members == nil, true)
	i.want(200, &g, "PUT", path, `{"displayName":"ops","members":[{"value":"2"}]}`)
	same(t, groupMembers(d)["ops"], []string{"bob"})
	i.want(204, nil, "DELETE", "/Users/2", "")
	same(t, groupMembers(d)["ops"], []string{})
	i.want(204, nil, "DELETE", path, "")
	same(t, len(d.api.shelves.All("user_group")), before)
	i.fails(404, "GET", path, "")
}

func TestSCIMTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		i := newIDP(d, "okta")
		i.want(200, nil, "GET", "/Users", "")
		w := d.call("GET", "/api/v2/scim_servers/1", "")
		if s := w.Body.String(); strings.Contains(s, i.token) || strings.Contains(s, "token_hash") || !strings.Contains(s, `"last_used_on":"2000-01-01T00:00:00Z"`) {
			t.Errorf("the server shows as %s", s)
		}
		for _, bad := range []string{"", "Bearer", "Bearer x", "Basic " + i.token, "Bearer " + i.token + "x", "Bearer " + scimHash(i.token)} {
			same(t, d.send("GET", "/scim/v2/Users", "", "Authorization", bad).Code, 401)
		}
		same(t, d.send("GET", "/scim/v2/Users", "", "session", d.session).Code, 401) // is for users
		same(t, d.send("GET", "/api/v2/users", "", "session", i.token).Code, 403)    // and that for providers

		fresh := data[scimToken](t, d.call("POST", "/api/v2/scim_servers/1/token", "")).Token
		same(t, i.send("GET", "/Users", "").Code, 401)
		i.token = fresh
		same(t, d.call("PATCH", "/api/v2/scim_servers/1", `{"token_hash":"`+scimHash("chosen")+`","name":"renamed"}`).Code, 200)
		i.want(200, nil, "GET", "/Users", "")
		time.Sleep(365*24*time.Hour - time.Minute) // fake time
		i.want(200, nil, "GET", "/Users", "")
		time.Sleep(2 * time.Minute)
		same(t, i.send("GET", "/Users", "").Code, 401)
		d.session = data[sessionObject](t, d.send("POST", whereToPost, goodLogin)).Session
		i = newIDP(d, "second")
		i.want(201, nil, "POST", "/Users", `{"userName":"zoe"}`)
		same(t, d.call("PATCH", "/api/v2/scim_servers/2", `{"enabled":false}`).Code, 200)
		same(t, i.send("GET", "/Users", "").Code, 401)
		same(t, d.call("DELETE", "/api/v2/scim_servers/2", "").Code, 200)
		same(t, locks(d)["zoe"], int64(lockedMissing))
		same(t, status(d.call("POST", "/api/v2/scim_servers", `{"name":"Renamed"}`)), `400 SCIMServerAlreadyExists: there is a SCIM server "Renamed" already`)
		same(t, status(d.call("POST", "/api/v2/scim_servers", `{}`)), `400 SCIMServerNameRequired: a SCIM server needs a name`)
		silent(d, i.token, fresh)
	})
}

// Another product takes over what one has left behind, and nothing else.
func TestSCIMServerIsReplaced(t *testing.T) {
	d := newDesk(t)
	i := newIDP(d, "okta")
	var u scimUser
	var g scimGroup
	i.want(201, &u, "POST", "/Users", okta)
	i.want(201, &g, "POST", "/Groups", `{"displayName":"ops","members":[{"value":"2"}]}`)
	next := newIDP(d, "entra")
	same(t, next.fails(409, "POST", "/Users", okta), "uniqueness")
	same(t, next.fails(409, "POST", "/Groups", `{"displayName":"ops"}`), "uniqueness")
	same(t, d.call("DELETE", "/api/v2/scim_servers/1", "").Code, 200)
	var u2 scimUser
	var g2 scimGroup
	next.want(201, &u2, "POST", "/Users", okta)
	next.want(201, &g2, "POST", "/Groups", `{"displayName":"ops","members":[{"value":"2"}]}`)
	same(t, []any{u2.ID, bool(*u2.Active), g2.ID}, []any{u.ID, true, g.ID})
	same(t, next.fails(409, "POST", "/Users", `{"userName":"ann"}`), "uniqueness")
}

func TestSCIMDescribesItself(t *testing.T) {
	i := newIDP(newDesk(t), "okta")
	var c scimConfig
	i.want(200, &c, "GET", "/ServiceProviderConfig", "")
	same(t, []bool{c.Patch.Supported, c.Filter.Supported, c.Bulk.Supported, c.Sort.Supported}, []bool{true, true, false, false})
	var list scimList
	i.want(200, &list, "GET", "/ResourceTypes", "")
	same(t, list.Total, 2)
	i.want(200, &list, "GET", "/Schemas", "")
	same(t, list.Total, 2)
}

// Users whom one product provisions sign in by another of the same company.
func TestSCIMUsersSignInWithOIDC(t *testing.T) {
	d, p := newDesk(t), signintest.NewProvider(t)
	newIDP(d, "okta").want(201, nil, "POST", "/Users", `{"userName":"zoe","displayName":"Zoe there"}`)
	newIDP(d, "other").want(201, nil, "POST", "/Users", `{"userName":"eve"}`)
	trust(d, p, map[string]any{"scim_server": map[string]any{"id": 1}, "create_users_flag": false})
	b := &browser{d: d}
	p.Says(zoe())
	same(t, works(d, b.signIn(p)), "zoe")
	same(t, d.api.shelves.ByName("user", "zoe").Object.Text("display_name"), "Zoe there")
	p.Says(map[string]any{"sub": "5", "preferred_username": "eve"})
	same(t, b.signIn(p).Code, 403)
}

func FuzzSCIMFilter(f *testing.F) {
	f.Add(`userName eq "ann" and active eq true`)
	f.Add(`a eq "\u0000`)
	f.Fuzz(func(t *testing.T, text string) {
		terms, err := parseSCIMFilter(text)
		if err != nil {
			return
		}
		again := make([]string, len(terms))
		for i, term := range terms {
			v, err := json.Marshal(term.value)
			must(t, err)
			again[i] = term.attribute + " eq " + string(v)
		}
		whole := strings.Join(again, " and ")
		if len(whole) > scimFilterMax {
			return // as bytes that are no UTF-8 take three each now
		}
		back, err := parseSCIMFilter(whole)
		if err != nil || len(back) != len(terms) {
			t.Fatalf("%q reads as %v, and that as %v, %v", text, terms, back, err)
		}
	})
}
