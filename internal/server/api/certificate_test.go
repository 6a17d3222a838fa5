package api

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/certificate"
)

// certificateFor is a certificate for a public key, signed by itself if it is
// its own key's.
func certificateFor(t testing.TB, name string, public any, by *ecdsa.PrivateKey) []byte {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, by)
	must(t, err)
	return der
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	return key
}

// testCertificates is a folder as the server's host has it.
func testCertificates(t testing.TB) *certificate.Folder {
	t.Helper()
	key := newKey(t)
	f, err := certificate.Open(t.TempDir(), &tls.Certificate{Certificate: [][]byte{certificateFor(t, "own.example.org", key.Public(), key)}, PrivateKey: key})
	must(t, err)
	return f
}

// pemText is a JSON list with one text in PEM for each certificate.
func pemText(t *testing.T, blocks ...*pem.Block) string {
	t.Helper()
	texts := []string{}
	for _, b := range blocks {
		texts = append(texts, string(pem.EncodeToMemory(b)))
	}
	out, err := json.Marshal(texts)
	must(t, err)
	return string(out)
}

// TestCertificates: the API says which certificate it shows, requests another,
// and shows it to the next connection; the key of the request is never said.
func TestCertificates(t *testing.T) {
	d := newDesk(t)
	const chain, request = "/api/v2/https_certificates", "/api/v2/https_certificate_signing_request"
	shown := d.list(chain, false)
	if len(shown) != 1 || shown[0]["subject"] != "CN=own.example.org" || shown[0]["installed_flag"] != false {
		t.Errorf("shown is %v", shown)
	}
	d.refuses(d.call("GET", "/api/v2/https_certificate_signing_request", ""), 404, "no certificate is requested")
	d.refuses(d.call("DELETE", "/api/v2/https_certificate_signing_request", ""), 404, "no certificate is requested")
	d.refuses(d.call("DELETE", "/api/v2/https_certificates", ""), 404, "no certificate is installed")
	for body, text := range map[string]string{
		`{"names":["a b"]}`:     `the field "names": "a b" is neither the name of a host nor an address`,
		`{"names":["a..b"]}`:    `neither the name of a host`,
		`{"country":"Germany"}`: `the field "country": "Germany" is not a country's two capital letters`,
		`{"organization":"` + strings.Repeat("x", 65) + `"}`: `the field "organization": has more than 64 characters`,
	} {
		d.refuses(d.call("POST", "/api/v2/https_certificate_signing_request", body), 400, text)
	}
	made := d.object(d.call("POST", request, ""))
	same(t, made["names"].([]any)[0].(map[string]any)["name"], "server.example.org")
	made = d.object(d.call("POST", request, `{"common_name":"c","organization":"Example","names":["catenary.example.org","10.0.0.1"]}`))
	same(t, made["subject"], "CN=c,O=Example")
	same(t, d.object(d.call("GET", request, ""))["pem"], made["pem"])
	block, rest := pem.Decode([]byte(made["pem"].(string)))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	must(t, err)
	if len(rest) > 0 {
		t.Errorf("behind the request stands %q", rest)
	}

	issuer := newKey(t)
	issued := certificateFor(t, "catenary.example.org", csr.PublicKey, issuer)
	body := pemText(t, &pem.Block{Type: "CERTIFICATE", Bytes: issued})
	d.setting(siteSetting, "https://other.example.org")
	d.refuses(d.call("POST", "/api/v2/https_certificates", body), 400, "HTTPSCertificateInvalid: the certificate is not for other.example.org")
	d.setting(siteSetting, "https://catenary.example.org:8443")
	d.refuses(d.call("POST", "/api/v2/https_certificates", pemText(t)), 400, "HTTPSCertificateInvalid: it has no certificate in PEM")
	now := d.object(d.call("POST", chain, body))
	same(t, now["installed_flag"], true)
	cert, err := d.api.certificates.ForConnection(nil)
	must(t, err)
	same(t, string(cert.Certificate[0]), string(issued))
	same(t, now["fingerprint_sha256"], d.list(chain, false)[0]["fingerprint_sha256"])

	key := newKey(t)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	other := certificateFor(t, "catenary.example.org", key.Public(), key)
	d.object(d.call("POST", chain, pemText(t, &pem.Block{Type: "CERTIFICATE", Bytes: other}, &pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	d.object(d.call("POST", request, ""))
	d.want(d.call("DELETE", request, ""), 200, `{"data":"deleted"}`)
	same(t, d.object(d.call("DELETE", chain, ""))["subject"], "CN=own.example.org")

	if deeds := d.auditOf("https_certificates/0"); len(deeds) != 7 {
		t.Errorf("the audit has %v", deeds)
	}
	if text := d.call("GET", "/api/v2/audit_logs/https_certificates/0", "").Body.String() + d.logs.String(); strings.Contains(text, "PRIVATE") {
		t.Errorf("a key is in the audit or the log: %s", text)
	}
}

// setting says a system setting.
func (d *desk) setting(name, value string) {
	d.t.Helper()
	d.success(d.call("PATCH", "/api/v2/system_settings/by-name/"+name, `{"value":"`+value+`"}`))
}
