package api

import (
	"fmt"
	"strings"
	"testing"
)

// TestLicense: what was put last is shown, and nothing else comes of it.
func TestLicense(t *testing.T) {
	d := newDesk(t)
	for i, text := range []string{"<License>\n</License>", "größer", strings.Repeat("x", licenseMax)} {
		o := data[licenseObject](t, d.call("POST", "/api/v2/license", `{"license_file":`+quoted(t, text)+`}`))
		same(t, o, licenseObject{LicenseFile: text, LicensedFeatures: []licenseFeature{}, Text: "No licence is needed."})
		same(t, data[licenseObject](t, d.call("GET", "/api/v2/license", "")), o)
		same(t, len(d.api.shelves.All(license)), 1)
		if entries := d.call("GET", "/api/v2/audit_logs/licenses/0", "").Body.String(); strings.Count(entries, `"object_type_name":"license"`) != i+1 {
			t.Errorf("the audit says %.500s", entries)
		}
	}
	for _, text := range []string{"", " \n", "a\x00b", strings.Repeat("x", licenseMax+1)} {
		d.refused(d.call("POST", "/api/v2/license", `{"license_file":`+quoted(t, text)+`}`), 400, fmt.Sprintf("LicenseFileInvalid: license_file is to be a text of 1 to %d bytes", licenseMax))
	}
	d.denies("POST", "license", `{"license_file":5}`, 400, "license_file: unexpected number")
	d.denies("POST", "license", `x`, 400, "the body is not JSON")
}

// TestServerTrusts: a trusted server is found by its GUID, and one is deleted by
// what is said of it, if only one fits.
func TestServerTrusts(t *testing.T) {
	d := newDesk(t)
	for i, name := range []string{"a", "b", "b"} {
		d.ok(d.call("POST", "/api/v2/server_trusts", fmt.Sprintf(`{"name":%q,"guid":"guid-%d","fingerprint":"ff%d"}`, name, i+1, i+1)))
	}
	const trusts = "/api/v2/server_trusts"
	names := func() (out []any) {
		for _, o := range d.list(trusts, false) {
			out = append(out, o["guid"])
		}
		return out
	}
	same(t, d.shown("server_trusts/guid-2")["id"], any(2.0))
	same(t, d.shown("server_trusts/2")["guid"], any("guid-2"))
	d.denies("GET", "server_trusts/guid-9", "", 404, "ServerTrustNotFound")
	d.denies("DELETE", "server_trusts", `{}`, 400, `the field \"guid\": is missing`)
	d.denies("DELETE", "server_trusts", ``, 400, "the body is empty")
	d.denies("DELETE", "server_trusts", `{"name":"b"}`, 400, "2 trusted servers fit: say which by its id")
	d.denies("DELETE", "server_trusts", `{"name":"b","fingerprint":"ff1"}`, 404, "ServerTrustNotFound")
	same(t, names(), []any{"guid-1", "guid-2", "guid-3"})
	same(t, d.object(d.call("DELETE", trusts, `{"name":"b","guid":"guid-2","status":"x"}`))["id"], any(2.0))
	same(t, names(), []any{"guid-1", "guid-3"})
	d.ok(d.call("DELETE", trusts, `{"id":3}`))
	d.ok(d.call("DELETE", trusts+"/guid-1", ""))
	same(t, len(names()), 0)
}
