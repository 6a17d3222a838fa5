package api

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"catenary/internal/server/setting"
)

// TestProxySettings: the proxy is what is set, its password is never seen, and does
// not go to another.
func TestProxySettings(t *testing.T) {
	d := newDesk(t)
	set := func(name, value string) {
		t.Helper()
		d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+name, `{"value":`+quoted(t, value)+`}`))
	}
	is := func(want string) {
		t.Helper()
		got := ""
		if u := d.api.proxy(); u != nil {
			got = u.String()
		}
		same(t, got, want)
	}
	is("")
	set(setting.ProxyServer, "proxy.example.org")
	is("http://proxy.example.org:8080")
	set(setting.ProxyUser, "me")
	set(setting.ProxyPassword, "pass-word")
	is("http://me:pass-word@proxy.example.org:8080")
	for _, w := range []*httptest.ResponseRecorder{
		d.call("GET", "/api/v2/system_settings", ""), d.call("GET", "/api/v2/system_settings/by-name/ProxyPassword", ""), d.call("GET", "/api/v2/audit_logs/system_settings/0", ""),
	} {
		if strings.Contains(w.Body.String(), "pass-word") {
			t.Errorf("it is seen in %s", w.Body)
		}
	}
	same(t, d.shown("system_settings/by-name/ProxyPassword")["value"], any("(secret)"))
	set(setting.ProxyPassword, "(secret)") // sent back
	d.ok(d.call("POST", "/api/v2/system_settings", `{"name":"ProxyServer","value":"proxy.example.org"}`))
	is("http://me:pass-word@proxy.example.org:8080")
	for name, body := range map[string]string{
		"ProxyServer": `a/b`, "ProxyPort": `0`, "ProxyType": `NTLM`, "ProxyUserid": `a:b`, "BypassProxyHostList": `10.0.0.0/33`,
	} {
		d.denies("PATCH", "system_settings/by-name/"+name, `{"value":"`+body+`"}`, 400, "")
	}
	set(setting.ProxyType, "none")
	is("")
	set(setting.ProxyType, "BASIC")
	elsewhere := func(how string, change func()) {
		t.Run(how, func(t *testing.T) {
			set(setting.ProxyPassword, "pass-word")
			if u := d.api.proxy(); !strings.Contains(u.String(), "pass-word") {
				t.Fatalf("it is %v", u)
			}
			change()
			if u := d.api.proxy(); u != nil && strings.Contains(u.String(), "pass-word") {
				t.Errorf("it goes to %v", u.Host)
			}
		})
	}
	elsewhere("another server", func() { set(setting.ProxyServer, "proxy.evil.example") })
	elsewhere("by POST", func() {
		d.ok(d.call("POST", "/api/v2/system_settings", `{"name":"proxyserver","value":"127.0.0.1"}`))
	})
	elsewhere("another port", func() { set(setting.ProxyPort, "81") })
	elsewhere("the default port", func() { d.ok(d.call("DELETE", "/api/v2/system_settings/by-name/ProxyPort", "")) })
	elsewhere("emptied", func() { set(setting.ProxyPassword, "") })
	elsewhere("reset", func() { d.ok(d.call("DELETE", "/api/v2/system_settings/by-name/ProxyPassword", "")) })
	silent(d, "pass-word")
	rows, err := d.store.Objects(t.Context())
	must(t, err)
	for _, o := range rows {
		if strings.Contains(string(o.Body), "pass-word") {
			t.Errorf("in the database lies %s", o.Body)
		}
	}
}

// TestDownloadByProxy: a package's file comes by the proxy as soon as there is
// one.
func TestDownloadByProxy(t *testing.T) {
	d := newDesk(t)
	var mu sync.Mutex
	var asked []string
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.RequestURI+" "+r.Header.Get("Proxy-Authorization")+" "+r.Header.Get("Authorization"))
		io.WriteString(w, "hello")
	}))
	defer proxy.Close()
	at, err := url.Parse(proxy.URL)
	must(t, err)
	fetching(t, d, &atomic.Pointer[string]{})
	d.made("packages", `{"name":"p","command":"x","files":[{"name":"a","source":"http://files.invalid/a"}]}`)
	d.fileUntil(1, "Error: ")
	d.made("downloader_auth_users", `{"name":"n","url_regex":"http://files\\.invalid/.*","user":"user","password":"source-pass"}`)
	for _, said := range [][2]string{{setting.ProxyType, `"NONE"`}, {setting.ProxyServer, `"127.0.0.1"`}, {setting.ProxyPort, at.Port()}, {setting.ProxyUser, `"me"`}, {setting.ProxyPassword, `"proxy-pass"`}, {setting.ProxyType, `"BASIC"`}} {
		d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/"+said[0], `{"value":`+said[1]+`}`))
	}
	same(t, d.fileUntil(1, "Cached")["hash"], any(helloHash))
	mu.Lock()
	defer mu.Unlock()
	want := "http://files.invalid/a Basic bWU6cHJveHktcGFzcw== Basic dXNlcjpzb3VyY2UtcGFzcw=="
	if len(asked) == 0 || asked[len(asked)-1] != want {
		t.Errorf("the proxy was asked for %q", asked)
	}
	silent(d, "proxy-pass", "source-pass")
}

// TestDownloadObjects: what would give a secret away is refused, and what is
// secret is never shown.
func TestDownloadObjects(t *testing.T) {
	d := newDesk(t)
	cert, key := selfSigned(t)
	pair := fmt.Sprintf(`"certificate":%s,"key":%s`, quoted(t, cert), quoted(t, key))
	user := d.made("downloader_auth_users", `{"name":"n","url_regex":"https://example\\.org/.*","user":"u","password":"pass-word"}`)
	d.made("downloader_auth_certs", `{"url_regex":"https://example\\.org/.*",`+pair+`}`)
	d.made("downloader_trusted_certs", `{"certificate":`+quoted(t, cert+cert)+`}`)
	w := d.api.ways()
	if len(w.Logins) != 1 || w.Logins[0].Password != "pass-word" || len(w.Certificates) != 1 || len(w.Trusted) != 2 {
		t.Errorf("ways are %+v", w)
	}
	path := fmt.Sprint("downloader_auth_users/", user)
	for _, tt := range []struct{ method, path, body, text string }{
		{"POST", "downloader_auth_users", `{"url_regex":"https://.*","user":"u","password":"p"}`, "url_regex"},
		{"POST", "downloader_auth_users", `{"url_regex":".*","user":"u","password":"p"}`, "url_regex"},
		{"POST", "downloader_auth_users", `{"url_regex":"https://example.org/(","user":"u","password":"p"}`, "url_regex"},
		{"POST", "downloader_auth_users", `{"url_regex":"https://example.org/","user":"","password":"p"}`, "user"},
		{"POST", "downloader_auth_users", `{"url_regex":"https://example.org/","user":"a:b","password":"p"}`, "user"},
		{"PATCH", path, `{"url_regex":"https://evil\\.example/.*"}`, "said again"},
		{"POST", "downloader_auth_certs", `{"url_regex":".*",` + pair + `}`, "url_regex"},
		{"POST", "downloader_auth_certs", `{"url_regex":"https://example.org/","certificate":` + quoted(t, cert) + `,"key":"x"}`, "OpenSSLError"},
		{"POST", "downloader_trusted_certs", `{"certificate":` + quoted(t, key) + `}`, "OpenSSLError"},
		{"POST", "downloader_trusted_certs", `{"certificate":"x"}`, "OpenSSLError"},
		{"POST", "downloader_trusted_certs", `{"url_regex":"(","certificate":` + quoted(t, cert) + `}`, "url_regex"},
	} {
		d.denies(tt.method, tt.path, tt.body, 400, tt.text)
	}
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"url_regex":"https://example\\.org/.*","name":"m"}`)) // it stays where it is
	d.ok(d.call("PATCH", "/api/v2/"+path, `{"url_regex":"https://example\\.com/.*","password":"pass-word"}`))
	for _, list := range []string{"downloader_auth_users", "downloader_auth_certs", "audit_logs/downloader_auth_users/0", "audit_logs/downloader_auth_certs/0"} {
		if said := d.call("GET", "/api/v2/"+list, "").Body.String(); strings.Contains(said, "pass-word") || strings.Contains(said, "PRIVATE") {
			t.Errorf("%s shows %s", list, said)
		}
	}
	silent(d, "pass-word")
}

// selfSigned is the certificate and key of an httptest server, in PEM.
func selfSigned(t *testing.T) (cert, key string) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	defer srv.Close()
	pair := srv.TLS.Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	must(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}
