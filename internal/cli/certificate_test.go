package cli

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// serveCertificates shows one certificate, or another.
func (f *fleet) serveCertificates(mux *http.ServeMux) {
	shown := map[string]any{"subject": "CN=own", "issuer": "CN=ca", "names": []any{map[string]any{"type": "DNS", "name": "a.example"}, map[string]any{"type": "IP", "name": "10.0.0.1"}},
		"not_after": "2027-01-01T00:00:00Z", "installed_flag": false, "fingerprint_sha256": "00ff"}
	mux.HandleFunc("GET "+certificatesPath, func(w http.ResponseWriter, _ *http.Request) { reply(w, []any{shown}) })
	mux.HandleFunc("POST "+certificatesPath, func(w http.ResponseWriter, r *http.Request) {
		if texts, ok := read[[]string](w, r); ok {
			reply(w, map[string]any{"subject": "CN=" + strings.Join(texts, "+"), "not_after": "2028", "fingerprint_sha256": "11"})
		}
	})
	mux.HandleFunc("DELETE "+certificatesPath, func(w http.ResponseWriter, _ *http.Request) { reply(w, shown) })
	mux.HandleFunc("GET "+requestPath, func(w http.ResponseWriter, _ *http.Request) { reply(w, map[string]any{"pem": "OLD\n"}) })
	mux.HandleFunc("POST "+requestPath, func(w http.ResponseWriter, r *http.Request) {
		if in, ok := read[map[string]any](w, r); ok {
			names, _ := in["names"].([]any) // none: what the server is called
			reply(w, map[string]any{"pem": in["organization"].(string) + ":" + strconv.Itoa(len(names)) + "\x1b\n"})
		}
	})
	mux.HandleFunc("DELETE "+requestPath, func(w http.ResponseWriter, _ *http.Request) { reply(w, "deleted") })
}

func TestCertificate(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	out := p.says(t, "certificate", "list", "--format", "csv")
	if want := "Subject,For,Issuer,Not After,Installed,SHA-256\nCN=own,\"a.example\n10.0.0.1\",CN=ca,2027-01-01T00:00:00Z,no: it is the server's own,00ff\n"; strings.ReplaceAll(out, "\r", "") != want {
		t.Errorf("%q", out)
	}
	if out := p.says(t, "certificate", "request", "--name", "a", "--name", "b", "--organization", "Example"); out != "Example:2\\x1b\n" {
		t.Errorf("%q", out)
	}
	if out := p.says(t, "certificate", "request"); out != ":0\\x1b\n" {
		t.Errorf("%q", out)
	}
	if out := p.says(t, "certificate", "request", "--show"); out != "OLD\n" {
		t.Errorf("%q", out)
	}
	p.says(t, "certificate", "request", "--withdraw")
	if _, errs, code := p.run("certificate", "request", "--withdraw", "--show"); code != exitUsage || !strings.Contains(errs, "give --show or --withdraw") {
		t.Errorf("%q, code %d", errs, code)
	}
	chain, key := filepath.Join(t.TempDir(), "chain"), filepath.Join(t.TempDir(), "key")
	p.write(chain, "chain")
	p.write(key, "key")
	for _, tt := range []struct{ want, args string }{
		{"New connections are shown CN=chain, good until 2028 (SHA-256 11).\n", "install " + chain},
		{"New connections are shown CN=chain+key, good until 2028 (SHA-256 11).\n", "install " + chain + " --key " + key},
		{"New connections are shown CN=own, good until 2027-01-01T00:00:00Z (SHA-256 00ff).\n", "remove"},
	} {
		if _, errs, code := p.run(append([]string{"certificate"}, strings.Fields(tt.args)...)...); errs != tt.want || code != exitOK {
			t.Errorf("%s: %q, code %d, want %q", tt.args, errs, code, tt.want)
		}
	}
}
