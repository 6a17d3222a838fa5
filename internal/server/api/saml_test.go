package api

import (
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/beevik/etree"

	"catenary/internal/server/signin/signintest"
)

func trustSAML(d *desk, p *signintest.SAMLProvider, more map[string]any) {
	d.t.Helper()
	configure(d, siteSetting, ourSite)
	body := map[string]any{
		"name": "corp", "enabled": true, "metadata": p.Metadata, "name_attribute": "uid", "display_name_attribute": "cn",
		"group_attribute": "eduPersonAffiliation", "create_users_flag": true,
	}
	for k, v := range more {
		body[k] = v
	}
	if w := d.call("POST", "/api/v2/saml_providers", asJSON(d, body)); w.Code != 200 {
		d.t.Fatalf("the provider: %d %s", w.Code, w.Body)
	}
	w := d.send("GET", "/auth/saml/1/metadata", "")
	same(d.t, []any{w.Code, w.Header().Get("Content-Type")}, []any{200, "application/samlmetadata+xml"})
	p.Trust(w.Body.Bytes())
}

func (b *browser) post(path string, form url.Values) *httptest.ResponseRecorder {
	return b.send("POST", path, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

func TestSAMLSignIn(t *testing.T) {
	d, p := newDesk(t), signintest.NewSAMLProvider(t)
	ops := newUserGroup(d, "operators")
	trustSAML(d, p, map[string]any{"group_mappings": []any{map[string]any{"value": "ops", "user_group": map[string]any{"id": ops}}}})
	p.Person.UserName, p.Person.Groups = "zoe", []string{"ops"}
	b := &browser{d: d}
	form := p.Visit(b.away("/auth/saml/1/login"))
	same(t, works(d, b.post("/auth/saml/1/acs", form)), "zoe")
	same(t, groupsOf(d, "zoe"), []string{"operators"})

	const notHere = "401 Unauthorized: this sign-in was not begun here, or too long ago, or is over: begin again"
	same(t, status(b.post("/auth/saml/1/acs", form)), notHere) // replayed
	next := p.Visit(b.away("/auth/saml/1/login"))
	next.Set("SAMLResponse", form.Get("SAMLResponse")) // replayed under a new state
	same(t, strings.HasPrefix(status(b.post("/auth/saml/1/acs", next)), "401 Unauthorized: the SAML response: `InResponseTo`"), true)
	thief := p.Visit(b.away("/auth/saml/1/login"))
	same(t, status((&browser{d: d}).post("/auth/saml/1/acs", thief)), notHere)                             // in another browser
	same(t, status(b.post("/auth/saml/1/acs", url.Values{"SAMLResponse": form["SAMLResponse"]})), notHere) // nobody has begun it

	p.Edit = func(r *etree.Element) {
		for _, e := range append(r.FindElements("./Signature"), r.FindElements("./Assertion/Signature")...) {
			e.Parent().RemoveChild(e)
		}
	}
	same(t, status(b.post("/auth/saml/1/acs", p.Visit(b.away("/auth/saml/1/login")))), "401 Unauthorized: the SAML response: signature element not present")
	p.Edit = nil
	big := p.Visit(b.away("/auth/saml/1/login"))
	big.Set("SAMLResponse", strings.Repeat("A", samlFormMax))
	same(t, b.post("/auth/saml/1/acs", big).Code, 400)

	p.Person.UserName, p.Person.NameID = "ann", "other"
	same(t, status(b.post("/auth/saml/1/acs", p.Visit(b.away("/auth/saml/1/login")))), `403 there is a user "ann" already, who does not sign in this way`)
	same(t, d.call("POST", "/api/v2/saml_providers", `{"name":"x","metadata":"<a/>"}`).Code, 400)
	const path, byName = "/api/v2/saml_providers/1", "/api/v2/saml_providers/by-name/corp"
	for _, call := range [][3]string{
		{"GET", path, ""}, {"GET", byName, ""}, {"PATCH", path, `{"group_attribute":"x"}`}, {"PATCH", byName, `{"enabled":false}`}, {"DELETE", path, ""},
	} {
		same(t, d.call(call[0], call[1], call[2]).Code, 200)
	}
	same(t, locks(d), map[string]int64{"zoe": lockedMissing}) // she has no other way in
	same(t, b.send("GET", "/auth/saml/1/login", "").Code, 404)
	silent(d, form.Get("SAMLResponse"), form.Get("RelayState"), b.cookie)
}

// TestSAMLEncryption: a provider encrypts if it is to, with a key of ours that
// nobody sees; without it what is encrypted lets nobody in.
func TestSAMLEncryption(t *testing.T) {
	d, p := newDesk(t), signintest.NewSAMLProvider(t)
	sealed := false
	p.Edit = func(r *etree.Element) { sealed = r.FindElement("./EncryptedAssertion") != nil }
	p.Person.UserName = "zoe"
	mine := asJSON(d, map[string]any{"encryption_key": "mine", "encryption_certificate": "mine"})
	trustSAML(d, p, map[string]any{"encryption_flag": true, "encryption_key": "mine"})
	b := &browser{d: d}
	in := func() string {
		t.Helper()
		return status(b.post("/auth/saml/1/acs", p.Visit(b.away("/auth/saml/1/login"))))
	}
	same(t, in(), "200")
	same(t, sealed, true)
	key := d.api.shelves.ByID("saml_provider", 1).Object.Text("encryption_key")
	d.ok(d.call("PATCH", "/api/v2/saml_providers/1", mine))
	d.ok(d.call("PATCH", "/api/v2/saml_providers/1", `{"name":"other","encryption_flag":true}`))
	same(t, in(), "200")
	for _, path := range []string{"/api/v2/saml_providers", "/api/v2/saml_providers/1", "/api/v2/audit_logs/saml_providers/0"} {
		if said := d.call("GET", path, "").Body.String(); strings.Contains(said, key) || !strings.Contains(said, "encryption_certificate") {
			t.Errorf("%s shows %s", path, said)
		}
	}
	d.ok(d.call("PATCH", "/api/v2/saml_providers/1", `{"encryption_flag":false}`))
	same(t, in(), "401 Unauthorized: the SAML response: its assertion is encrypted, and we have given nobody a key for that")
	d.ok(d.call("PATCH", "/api/v2/saml_providers/1", `{"encryption_flag":true}`))
	same(t, in(), "401 Unauthorized: the SAML response: its encrypted assertion cannot be opened with our key, or is not signed by the provider")
	p.Trust(d.send("GET", "/auth/saml/1/metadata", "").Body.Bytes())
	same(t, in(), "200")
	silent(d, key)
}
