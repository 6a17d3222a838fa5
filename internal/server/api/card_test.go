package api

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"catenary/internal/server/object"
	"catenary/internal/server/setting"
	"catenary/internal/server/signin"
	"catenary/internal/server/signin/signintest"
)

const cardPath = "/api/v2/session/certificate"

// A counter is an API that asks for certificates, as the program serves it.
type counter struct {
	*desk
	url string
}

func newCounter(d *desk, office *signintest.Office, lists string) counter {
	d.t.Helper()
	cards, err := signin.OpenCards(office.Authority(), lists)
	must(d.t, err)
	d.api.cards = cards
	web := httptest.NewUnstartedServer(d.api)
	web.TLS = &tls.Config{MinVersion: tls.VersionTLS13, ClientAuth: tls.RequestClientCert, ClientCAs: cards.Authorities()}
	web.StartTLS()
	d.t.Cleanup(web.Close)
	return counter{d, web.URL}
}

// show sends a request over a connection that shows a certificate, if there is
// one, and returns the status and the text, or the session.
func (c counter) show(card *tls.Certificate, path, body string, headers ...string) string {
	c.t.Helper()
	conf := &tls.Config{InsecureSkipVerify: true} // who the server is, is another test's
	if card != nil {
		// Whatever authorities the server has named.
		conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return card, nil }
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true}}
	r, err := http.NewRequestWithContext(c.t.Context(), "POST", c.url+path, strings.NewReader(body))
	must(c.t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := client.Do(r)
	must(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(c.t, err)
	answer := httptest.NewRecorder()
	maps.Copy(answer.Header(), resp.Header)
	answer.WriteHeader(resp.StatusCode)
	_, err = answer.Write(text)
	must(c.t, err)
	theContract.hold(c.t, c.api, r, answer)
	var out struct {
		Text string
		Data sessionObject
	}
	must(c.t, json.Unmarshal(text, &out))
	return fmt.Sprint(resp.StatusCode, " ", out.Text, out.Data.Session)
}

func TestCardLogin(t *testing.T) {
	d := newDesk(t)
	const upn = "extendedKeyUsage=clientAuth\nsubjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:"
	office := signintest.NewOffice(t, "Office")
	card := func(name string, more ...string) *tls.Certificate {
		pair := office.Issue(name, "/CN=ann", upn+name+"@mil,email:"+name+"@example.org\n", more...)
		return &pair
	}
	bob, lost, zoe, old := card("bob"), card("lost"), card("zoe"), card("old", "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
	forged := signintest.NewOffice(t, "Office").Issue("bob", "/CN=bob", upn+"bob@mil\n")
	d.person("bob@mil", "Operator")
	d.person("lost@mil", "Operator")
	d.person("old@mil", "Operator")
	c := newCounter(d, office, office.Revoke("lost"))

	const no = "401 Unauthorized: the client certificate lets nobody in: "
	for _, tt := range []struct {
		what string
		card *tls.Certificate
		want string
	}{
		{"no certificate", nil, "401 Unauthorized: no client certificate came with the connection; through a proxy none does"},
		{"nobody here", zoe, no + `there is no user "zoe@mil" here`},
		{"revoked", lost, no + "the certificate was revoked by CN=Office"},
		{"expired", old, no + "x509: certificate has expired or is not yet valid"},
		{"forged", &forged, no + "x509: certificate signed by unknown authority"},
	} {
		if got := c.show(tt.card, cardPath, ""); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.what, got, tt.want)
		}
	}
	in := func(got string) string {
		t.Helper()
		s, ok := strings.CutPrefix(got, "200 ")
		if !ok {
			return got
		}
		o := d.object(d.send("GET", "/api/v2/session/current", "", "session", s))["user"].(map[string]any)
		return fmt.Sprint(o["name"])
	}
	same(t, in(c.show(bob, cardPath, "")), "bob@mil")
	same(t, in(c.show(bob, cardPath, "{}", "Sec-Fetch-Site", "same-origin")), "bob@mil")
	same(t, c.show(bob, cardPath, "", "Sec-Fetch-Site", "cross-site"), "403 a login by certificate cannot be asked for by another site")
	same(t, c.show(bob, cardPath, `{"as_exclusive_user_group":"x"}`), `400 InvalidUserGroup: as_exclusive_user_group: the user is in no user group "x"`)

	// A card is no password, and opens nothing else.
	same(t, c.show(bob, whereToPost, `{"username":"bob@mil","password":"wrong password"}`), "401 Unauthorized: wrong user name or password")
	same(t, c.show(bob, "/api/v2/questions", "{}")[:3], "403")

	alter(d, "user", "bob@mil", func(o *object.Object) { o.Set("locked_out", int64(1)) })
	same(t, c.show(bob, cardPath, ""), no+"the account is locked")

	configure(d, setting.CertificateName, "cn") // all of them are Ann's, now
	same(t, in(c.show(zoe, cardPath, "")), "ann")
	configure(d, setting.CertificateName, "email")
	same(t, c.show(zoe, cardPath, ""), no+`there is no user "zoe@example.org" here`)

	same(t, d.cardDeeds(), []string{"login ", "login_failed certificate: the certificate was revoked by CN=Office"})

	must(t, os.Remove(office.File("list.pem")))
	if got := c.show(bob, cardPath, ""); !strings.HasPrefix(got, "500 ") {
		t.Errorf("without the list: %s", got)
	}
	d.api.cards = nil
	same(t, c.show(bob, cardPath, ""), "400 client certificates let nobody in here: the server was started without --login-authorities")
}

// cardDeeds are the entries of the audit of the lost card, and of Ann's logins.
func (d *desk) cardDeeds() (said []string) {
	d.t.Helper()
	entries, err := d.store.Audits(d.t.Context(), auditLogins, 0, noTime, noTime, 100, 0)
	must(d.t, err)
	for _, e := range entries {
		if e.Type == deedFailed && e.ObjectName == "lost@mil" || e.Type == deedLogin && e.ObjectName == "ann" {
			said = append(said, e.Type+" "+e.Details)
		}
	}
	return said
}

// Everybody can make certificates, and send them: the audit does not grow by
// them for ever.
func TestForeignCards(t *testing.T) {
	d := newDesk(t)
	forged := signintest.NewOffice(t, "Other").Issue("ann", "/CN=ann", "extendedKeyUsage=clientAuth\n")
	leaf, err := x509.ParseCertificate(forged.Certificate[0])
	must(t, err)
	newCounter(d, signintest.NewOffice(t, "Office"), "")
	configure(d, setting.CertificateName, "cn")
	for range 3 * failuresMax {
		r := httptest.NewRequestWithContext(t.Context(), "POST", cardPath, nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		w := httptest.NewRecorder()
		d.api.ServeHTTP(w, r)
		same(t, w.Code, 401)
	}
	entries, err := d.store.Audits(t.Context(), auditLogins, 0, noTime, noTime, 100, 0)
	must(t, err)
	same(t, len(entries), failuresMax)
}
