package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin/signintest"
)

const connectorPath = "/api/v2/ldap_sync_connectors"

// connect makes a connector to a directory.
func connect(d *desk, s *signintest.Slapd, more map[string]any) int64 {
	d.t.Helper()
	body := map[string]any{
		"name": "corp", "enable": true, "host": "localhost", "port": s.Port, "start_tls": true, "certificate": s.Authority,
		"ldap_user": signintest.Admin, "ldap_password": signintest.AdminPassword,
		"users_base": signintest.People, "groups_base": signintest.Groups, "domain": "CORP",
	}
	for k, v := range more {
		body[k] = v
	}
	w := d.call("POST", connectorPath, asJSON(d, body))
	var made struct {
		Data struct {
			ID int64 `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &made); err != nil || w.Code != 200 {
		d.t.Fatalf("the connector: %d %s", w.Code, w.Body)
	}
	if strings.Contains(w.Body.String(), signintest.AdminPassword) {
		d.t.Error("the answer holds the password")
	}
	return made.Data.ID
}

func asJSON(d *desk, v any) string {
	d.t.Helper()
	b, err := json.Marshal(v)
	must(d.t, err)
	return string(b)
}

// syncNow syncs with the connector and says what came of it.
func syncNow(d *desk, id int64, force bool) string {
	d.t.Helper()
	d.api.syncAndNote(d.t.Context(), d.api.shelves.ByID(connectorKind, id), force)
	var shown struct {
		Data struct {
			Result string `json:"last_sync_result"`
			At     string `json:"last_sync_timestamp"`
		} `json:"data"`
	}
	w := d.call("GET", fmt.Sprintf("%s/%d", connectorPath, id), "")
	must(d.t, json.Unmarshal(w.Body.Bytes(), &shown))
	if _, err := time.Parse(time.RFC3339, shown.Data.At); err != nil {
		d.t.Errorf("last sync: %v", err)
	}
	return shown.Data.Result
}

// locks are who is locked out and why, of those who come from elsewhere.
func locks(d *desk) map[string]int64 {
	out := map[string]int64{}
	for _, r := range d.api.shelves.All("user") {
		if r.Object.Int("external_flag") == 1 {
			out[r.Name] = r.Object.Int("locked_out")
		}
	}
	return out
}

// groupMembers are who is in the groups that come from elsewhere.
func groupMembers(d *desk) map[string][]string {
	out := map[string][]string{}
	for _, r := range d.api.shelves.All("user_group") {
		if r.Object.Text("identity_source") == "" {
			continue
		}
		out[r.Name] = []string{}
		for _, ref := range r.Object.Refs("user_list") {
			out[r.Name] = append(out[r.Name], d.api.shelves.NameOf("user", ref.ID))
		}
		slices.Sort(out[r.Name])
	}
	return out
}

func TestLDAPSignIn(t *testing.T) {
	d, s := newDesk(t), signintest.Start(t)
	s.Person("bob", "bob's password")
	s.Person("eve", "eve's password")
	s.Group("ops", signintest.DN("bob"), signintest.DN("eve"))
	id := connect(d, s, nil)
	bob := `{"username":"bob","password":"bob's password"}`
	const wrong = "401 Unauthorized: wrong user name or password"
	same(t, logIn(d, bob), wrong) // not taken over yet
	same(t, syncNow(d, id, false), "ok: 2 users and 1 user groups changed")
	same(t, groupMembers(d), map[string][]string{"ops": {"bob", "eve"}})
	same(t, logIn(d, bob), "200")
	same(t, logIn(d, `{"username":"BOB","domain":"corp","password":"bob's password"}`), "200")
	for _, bad := range []string{
		`{"username":"bob","password":"eve's password"}`, `{"username":"bob","password":" "}`, `{"username":"b*","password":"bob's password"}`,
		`{"username":"bob)(uid=*","password":"bob's password"}`, `{"username":"bob","domain":"other","password":"bob's password"}`,
	} {
		same(t, logIn(d, bad), wrong)
	}
	same(t, logIn(d, goodLogin), "200") // who is not from there has his own password

	// Another who gets the name does not get the account.
	s.Remove(signintest.DN("bob"))
	s.Person("bob", "bob's password")
	same(t, logIn(d, bob), wrong)

	// A directory that is away lets nobody in, and is no failed attempt.
	eve := `{"username":"eve","password":"eve's password"}`
	s.Stop()
	for range 2 * failuresMax {
		same(t, strings.HasPrefix(logIn(d, eve), "503 LDAP server localhost"), true)
	}
	s.Run()
	same(t, logIn(d, eve), "200")
	silent(d, signintest.AdminPassword, "bob's password", "eve's password")
}

func TestLDAPSync(t *testing.T) {
	d, s := newDesk(t), signintest.Start(t)
	for _, name := range []string{"bob", "eve", "ann"} {
		s.Person(name, name+"'s password")
	}
	s.Group("ops", signintest.DN("bob"))
	s.Group("Admins", signintest.DN("bob"), signintest.DN("eve"))
	must(t, d.api.shelves.Change(t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		o := object.New(object.ShapeOf("user_group"))
		o.Set("name", "admins")
		_, err := ch.Create("user_group", 0, o)
		return err
	}))
	id := connect(d, s, nil)
	preview := data[previewObject](t, d.call("GET", fmt.Sprintf("%s/%d/preview", connectorPath, id), ""))
	same(t, preview, previewObject{
		Users:  []deedObject{{Deed: "create", Name: "bob"}, {Deed: "create", Name: "eve"}},
		Groups: []deedObject{{Deed: "create", Name: "ops", Members: preview.Groups[0].Members}},
		Problems: []string{
			`user "ann": there is another user of that name, who is not from this directory`,
			`user group "Admins": there is another of that name, which is not from this directory`,
		},
		UserCount: 2, GroupCount: 1,
	})
	same(t, locks(d), map[string]int64{}) // nothing has happened
	result := syncNow(d, id, false)
	same(t, strings.HasPrefix(result, `ok: 2 users and 1 user groups changed; user "ann"`), true)
	same(t, locks(d), map[string]int64{"bob": 0, "eve": 0})
	same(t, strings.HasPrefix(syncNow(d, id, false), "ok: 0 users and 0 user groups changed"), true)
	bob := d.api.shelves.ByName("user", "bob")
	same(t, []string{bob.Object.Text("display_name"), bob.Object.Text("domain")}, []string{"The bob", "CORP"})

	// Who disappears is locked out at once, and comes back as himself.
	session := data[sessionObject](t, d.send("POST", whereToPost, `{"username":"eve","password":"eve's password"}`)).Session
	d.api.syncAndNote(t.Context(), d.api.shelves.ByID(connectorKind, id), false)
	w := d.call("PATCH", fmt.Sprintf("%s/%d", connectorPath, id), `{"users_filter":"(uid=bob)"}`)
	same(t, w.Code, 200)
	syncNow(d, id, false)
	same(t, locks(d), map[string]int64{"bob": 0, "eve": lockedMissing})
	d.want(d.send("GET", "/api/v2/client_count", "", "session", session), 403, badSession)
	s.Set("cn=ops,"+signintest.Groups, "member", signintest.DN("eve"))
	same(t, d.call("PATCH", fmt.Sprintf("%s/%d", connectorPath, id), `{"users_filter":""}`).Code, 200)
	eve := d.api.shelves.ByName("user", "eve").ID
	syncNow(d, id, false)
	same(t, locks(d), map[string]int64{"bob": 0, "eve": 0})
	same(t, d.api.shelves.ByName("user", "eve").ID, eve)
	same(t, groupMembers(d), map[string][]string{"ops": {"eve"}})

	// What an administrator has locked stays locked; a group that disappears is
	// empty, and is not deleted: it has roles.
	alter(d, "user", "eve", func(o *object.Object) { o.Set("locked_out", int64(3)) })
	s.Remove("cn=ops," + signintest.Groups)
	syncNow(d, id, false)
	same(t, locks(d), map[string]int64{"bob": 0, "eve": 3})
	same(t, groupMembers(d), map[string][]string{"ops": {}})

	// Without the connector nobody of it comes in.
	same(t, d.call("PATCH", fmt.Sprintf("%s/%d", connectorPath, id), `{"enable":false}`).Code, 200)
	same(t, locks(d), map[string]int64{"bob": lockedMissing, "eve": 3})
	silent(d, signintest.AdminPassword, "eve's password", session)
}

// A directory that is away, or out of its mind, changes nothing.
func TestLDAPSyncIsCareful(t *testing.T) {
	d, s := newDesk(t), signintest.Start(t)
	const many = 30
	for i := range many {
		s.Person(fmt.Sprintf("user%02d", i), "x")
	}
	id := connect(d, s, nil)
	same(t, syncNow(d, id, false), "ok: 30 users and 0 user groups changed")
	before := locks(d)
	s.Stop()
	same(t, strings.HasPrefix(syncNow(d, id, false), "failed, nothing was changed: LDAP server localhost"), true)
	same(t, locks(d), before)
	s.Run()
	same(t, d.call("PATCH", fmt.Sprintf("%s/%d", connectorPath, id), `{"users_filter":"(uid=user0*)"}`).Code, 200)
	const refusal = "20 of 30 users are not found any more: nothing was changed; if that is so, start the sync with force"
	same(t, syncNow(d, id, false), "failed, nothing was changed: "+refusal)
	same(t, locks(d), before)
	same(t, data[previewObject](t, d.call("GET", fmt.Sprintf("%s/%d/preview", connectorPath, id), "")).Refused, refusal)
	same(t, syncNow(d, id, true), "ok: 20 users and 0 user groups changed")
	same(t, locks(d)["user29"], int64(lockedMissing))
}

// Who deletes a connector by mistake, and makes it again, has everybody back:
// with their roles, and with those of the groups.
func TestConnectorIsMadeAnew(t *testing.T) {
	d, s := newDesk(t), signintest.Start(t)
	s.Person("bob", "bob's password")
	s.Group("ops", signintest.DN("bob"))
	id := connect(d, s, nil)
	syncNow(d, id, false)
	bob, ops := d.api.shelves.ByName("user", "bob").ID, d.api.shelves.ByName("user_group", "ops").ID
	same(t, d.call("DELETE", fmt.Sprintf("%s/%d", connectorPath, id), "").Code, 200)
	same(t, locks(d), map[string]int64{"bob": lockedMissing})
	same(t, logIn(d, `{"username":"bob","password":"bob's password"}`), "401 Unauthorized: wrong user name or password")
	id = connect(d, s, nil)
	same(t, syncNow(d, id, false), "ok: 1 users and 1 user groups changed")
	same(t, logIn(d, `{"username":"bob","password":"bob's password"}`), "200")
	same(t, []int64{d.api.shelves.ByName("user", "bob").ID, d.api.shelves.ByName("user_group", "ops").ID}, []int64{bob, ops})
	same(t, groupMembers(d), map[string][]string{"ops": {"bob"}})
	same(t, syncNow(d, id, false), "ok: 0 users and 0 user groups changed")
}

func TestLDAPSyncRuns(t *testing.T) {
	d, s := newDesk(t), signintest.Start(t)
	s.Person("bob", "x")
	ctx, cancel := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() {
		if err := d.api.runDirectories(ctx); err != nil {
			t.Error(err)
		}
	})
	defer run.Wait()
	defer cancel()
	appears := func(name string) {
		t.Helper()
		deadline, again := time.After(20*time.Second), time.NewTicker(10*time.Millisecond)
		defer again.Stop()
		for d.api.shelves.ByName("user", name) == nil {
			select {
			case <-again.C:
			case <-deadline:
				t.Fatalf("%s does not appear: %s", name, d.logs)
			}
		}
	}
	id := connect(d, s, nil) // is synced as soon as it is there
	appears("bob")
	s.Person("eve", "x")
	d.want(d.call("POST", "/api/v2/start_ldap_sync", ""), 202, `{"data":"LDAP sync started"}`)
	appears("eve")
	s.Person("zoe", "x")
	d.want(d.call("POST", "/api/v2/start_ldap_sync", fmt.Sprintf(`{"id":%d}`, id)), 202, `{"data":"LDAP sync started"}`)
	appears("zoe")
	same(t, d.call("POST", "/api/v2/start_ldap_sync", `{"id":99}`).Code, 404)
}

func TestConnectorIsChecked(t *testing.T) {
	d := newDesk(t)
	good := map[string]any{"name": "corp", "host": "ldap.example", "port": 636, "secure": true, "users_base": "dc=example", "ldap_password": "the bind's password"}
	try := func(method, path string, more map[string]any) *httptest.ResponseRecorder {
		body := map[string]any{}
		if method == "POST" {
			for k, v := range good {
				body[k] = v
			}
		}
		for k, v := range more {
			body[k] = v
		}
		return d.call(method, path, asJSON(d, body))
	}
	for want, more := range map[string]map[string]any{
		"LdapSyncConnectorNameRequired": {"name": ""},
		"choose secure or start_tls":    {"secure": false},
		"choose one of them":            {"start_tls": true},
		"use_ntlm":                      {"use_ntlm": true},
		"sync_interval_seconds":         {"sync_interval_seconds": 1},
		"users_base":                    {"users_base": ""},
		"is no LDAP filter":             {"users_filter": "(uid="},
		"no certificate":                {"certificate": "x"},
	} {
		if w := try("POST", connectorPath, more); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%v: %d %s", more, w.Code, w.Body)
		}
	}
	same(t, try("POST", connectorPath, map[string]any{"secure": false, "allow_plain_flag": true, "name": "plain"}).Code, 200)
	same(t, try("POST", connectorPath, nil).Code, 200)
	same(t, strings.Contains(try("POST", connectorPath, nil).Body.String(), "LdapSyncConnectorNameExists"), true)
	// Nobody learns the password by sending it elsewhere.
	corp := connectorPath + "/by-name/corp"
	same(t, status(try("PATCH", corp, map[string]any{"host": "evil.example"})), `400 the field "ldap_password": is to be said again when the connection is changed`)
	same(t, status(try("PATCH", corp, map[string]any{"secure": false, "allow_plain_flag": true})), `400 the field "ldap_password": is to be said again when the connection is changed`)
	same(t, try("PATCH", corp, map[string]any{"host": "other.example", "ldap_password": "another password"}).Code, 200)
	same(t, try("PATCH", corp, map[string]any{"users_filter": "(uid=*)"}).Code, 200)
	for _, w := range []*httptest.ResponseRecorder{d.call("GET", connectorPath, ""), d.call("GET", corp, "")} {
		if strings.Contains(w.Body.String(), "password") {
			t.Errorf("the answer tells of passwords: %s", w.Body)
		}
	}
	log, err := d.store.Audits(t.Context(), connectorKind, 0, time.Time{}, time.Time{}, 100, 0)
	must(t, err)
	if s := fmt.Sprint(log); strings.Contains(s, "'s password") || strings.Contains(s, "another password") {
		t.Errorf("the audit holds a password: %s", s)
	}
	silent(d, "the bind's password", "another password")
}
