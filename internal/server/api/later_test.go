package api

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"catenary/internal/server/shelf"
)

// keepObject puts an object on its shelf as the server itself does, with the
// fields that are its own.
func (d *desk) keepObject(kind, body string) {
	d.t.Helper()
	o, err := d.api.shelves.Kind(kind).Shape().Load([]byte(body))
	must(d.t, err)
	must(d.t, d.api.shelves.Change(d.t.Context(), shelf.Author{}, func(ch *shelf.Change) error {
		_, err := ch.Create(kind, 0, o)
		return err
	}))
}

// TestHubs: zone servers belong to the hub that there is, and stay until they
// are taken away.
func TestHubs(t *testing.T) {
	d := newDesk(t)
	d.want(d.call("GET", "/api/v2/hubs/1/zone_servers", ""), 200, `{"data":[]}`)
	d.want(d.call("POST", "/api/v2/hubs/1/zone_servers", `{"name":"dmz"}`), 200, `{"data":{"id":1}}`)
	d.object(d.call("POST", "/api/v2/zone_servers", `{"name":"nobody's"}`))
	d.refuses(d.call("POST", "/api/v2/hubs/1/zone_servers", `{}`), 400, `the field "name": is missing`)
	d.refuses(d.call("POST", "/api/v2/hubs/1/zone_servers", `{"name":"DMZ"}`), 400, "ZoneServerNameNotUnique")
	for _, method := range []string{"GET", "POST"} {
		d.refuses(d.call(method, "/api/v2/hubs/2/zone_servers", `{"name":"x"}`), 404, "HubNotFound")
	}
	of := d.list("/api/v2/hubs/1/zone_servers", false)
	if len(of) != 1 || of[0]["name"] != "dmz" || of[0]["hub"] != 1.0 {
		t.Errorf("the hub has %v", of)
	}
	d.refuses(d.call("DELETE", "/api/v2/hubs/2/zone_servers/1", ""), 404, "HubNotFound")
	d.refuses(d.call("DELETE", "/api/v2/hubs/1/zone_servers/2", ""), 404, "ZoneServerNotFound")
	d.want(d.call("DELETE", "/api/v2/hubs/1/zone_servers/1", ""), 200, `{"data":{"id":1}}`)
	d.refuses(d.call("DELETE", "/api/v2/hubs/1/zone_servers/1", ""), 404, "ZoneServerNotFound")
}

// TestServerRequests: nobody asks yet; who did would be admitted or denied.
func TestServerRequests(t *testing.T) {
	d := newDesk(t)
	d.want(d.call("GET", "/api/v2/server_registration_requests", ""), 200, `{"body":[]}`)
	d.refuses(d.call("PATCH", "/api/v2/server_registration_requests/1", `{"status":"Approved"}`), 404, "ServerRegistrationRequestNotFound")
	d.keepObject("server_registration_request", `{"name":"module","server_type":"Module"}`)
	for body, text := range map[string]string{`{}`: `the field "status": is to be`, `{"status":"Pending"}`: "is to be", `{"status":"maybe"}`: "status"} {
		d.refuses(d.call("PATCH", "/api/v2/server_registration_requests/1", body), 400, text)
	}
	is := d.object(d.call("PATCH", "/api/v2/server_registration_requests/1", `{"status":"Approved","name":"another"}`))
	if is["status"] != "Approved" || is["name"] != "module" {
		t.Errorf("it has become %v", is)
	}
	var list struct{ Body []map[string]any }
	must(t, json.Unmarshal(d.call("GET", "/api/v2/server_registration_requests", "").Body.Bytes(), &list))
	if len(list.Body) != 1 || list.Body[0]["status"] != "Approved" {
		t.Errorf("the list is %v", list)
	}
}

// TestRootKeys: the key in use is listed and stays; another can be made and
// revoked, and its private part is never said, and gone when it is revoked.
func TestRootKeys(t *testing.T) {
	d := newDesk(t)
	type lists struct {
		Active  []map[string]any `json:"active_keys"`
		Revoked []map[string]any `json:"revoked_keys"`
		Server  string
	}
	look := func() (out struct{ Data lists }) {
		t.Helper()
		w := d.call("GET", "/api/v2/pki_root_keys", "")
		if strings.Contains(w.Body.String(), "PRIVATE") {
			t.Fatalf("a private key is said: %s", w.Body)
		}
		must(t, json.Unmarshal(w.Body.Bytes(), &out))
		return out
	}
	first := look().Data
	if len(first.Active) != 1 || first.Active[0]["in_use_flag"] != true || first.Server != "server.example.org" || !strings.Contains(first.Active[0]["public_key"].(string), "PUBLIC KEY") {
		t.Fatalf("at first there is %+v", first)
	}
	used := first.Active[0]["fingerprint"].(string)
	made := d.object(d.call("POST", "/api/v2/pki_root_keys", "{}"))
	print := made["fingerprint"].(string)
	if made["in_use_flag"] != false || len(print) != 64 || print == used {
		t.Errorf("made is %v", made)
	}
	path := "/api/v2/pki_root_keys/by-fingerprint/"
	same(t, d.object(d.call("GET", path+strings.ToUpper(print), ""))["id"], made["id"])
	same(t, d.object(d.call("GET", path+used, ""))["in_use_flag"], true)
	d.refuses(d.call("GET", "/api/v2/pki_root_keys/by-fingerprint/00", ""), 404, "PKIRootKeyNotFound")
	d.denies("DELETE", "pki_root_keys/by-fingerprint/"+used, "", 400, "this root key is in use")
	r := d.api.shelves.ByID("pki_root_key", 1)
	if !strings.Contains(r.Object.Text("private_key"), "PRIVATE KEY") {
		t.Error("the private part is not kept")
	}
	d.object(d.call("DELETE", path+print, ""))
	d.denies("DELETE", "pki_root_keys/by-fingerprint/"+print, "", 400, "revoked already")
	if d.api.shelves.ByID("pki_root_key", 1).Object.Has("private_key") {
		t.Error("the private part outlives its revocation")
	}
	if now := look().Data; len(now.Active) != 1 || len(now.Revoked) != 1 || now.Revoked[0]["fingerprint"] != print {
		t.Errorf("at last there is %+v", now)
	}
}

// TestKeySorts: what is said of sorts of keys is checked and kept, and what is
// in use stays to be seen.
func TestKeySorts(t *testing.T) {
	d := newDesk(t)
	const path = "/api/v2/pki_key_configurations"
	sorts := d.list(path, false)
	if len(sorts) != 5 || sorts[1]["role"] != "signing" || sorts[1]["algorithm_in_use"] != "Ed25519" || sorts[3]["days"] != 365.0 {
		t.Errorf("at first there is %v", sorts)
	}
	for body, text := range map[string]string{
		`{"algorithm":"Ed25519"}`: "not every browser", `{"algorithm":"DSA"}`: "algorithm", `{"days":0}`: "is 0, not 1 to 825", `{"days":826}`: "is 826",
	} {
		d.refuses(d.call("PATCH", "/api/v2/pki_key_configurations/4", body), 400, text)
	}
	d.refuses(d.call("PATCH", "/api/v2/pki_key_configurations/1", `{"algorithm":"ECDSA P-256"}`), 400, "root signs with Ed25519")
	d.refuses(d.call("PATCH", "/api/v2/pki_key_configurations/6", `{"days":1}`), 400, "InvalidPKIKeyRole")
	for range 2 {
		is := d.object(d.call("PATCH", path+"/4", `{"algorithm":"ECDSA P-384","days":90,"role":"client"}`))
		if is["role"] != "server" || is["algorithm"] != "ECDSA P-384" || is["days"] != 90.0 || is["algorithm_in_use"] != "ECDSA P-256" || is["days_in_use"] != 365.0 {
			t.Errorf("it has become %v", is)
		}
	}
	is := d.object(d.call("PATCH", path+"/4", `{"days":30}`))
	same(t, is["algorithm"], "ECDSA P-384")
	d.want(d.call("POST", path+"/validate", `{"role":"server","algorithm":"ECDSA P-256","days":90}`), 200, `{"data":"valid"}`)
	d.refuses(d.call("POST", "/api/v2/pki_key_configurations/validate", `{"role":"server","algorithm":"ECDSA P-256","days":9000}`), 400, "is 9000")
	d.refuses(d.call("POST", "/api/v2/pki_key_configurations/validate", `{"role":"cook"}`), 400, "InvalidPKIKeyRole")
}

// TestRunPlugin: there are none, and the answer says so in the form that
// programs know; a call without a name is none.
func TestRunPlugin(t *testing.T) {
	d := newDesk(t)
	check := func(w *httptest.ResponseRecorder, status int, text string) {
		t.Helper()
		d.refuses(w, status, text)
		if kind := w.Header().Get("Content-Type"); kind != "application/json" {
			t.Errorf("the type is %q", kind)
		}
	}
	check(d.call("POST", "/api/v2/run_plugin", `{"name":"GetX","bundle":"B","arguments":[{"name":"a","value":"1"}]}`), 404,
		`REST Object Not Found Exception:  PluginNotFound: The requested plugin was not found: "GetX" of the bundle "B"`)
	check(d.call("POST", "/api/v2/run_plugin", `{"bundle":"B"}`), 400, `the field "name": is missing`)
	check(d.call("POST", "/api/v2/run_plugin", `no JSON`), 400, "")
}
