package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/endpoint"
)

var noTime time.Time

func TestServerObjects(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Computer Name from all machines")
	d.fleet.clients = []endpoint.Status{{ComputerID: 1, Name: "good"}, {ComputerID: 2, Name: "bad", Refused: "expired"}}
	info := data[diagnostics](t, d.call("GET", "/api/v2/server_info", "")).Diagnostics
	same(t, info["Settings"]["Version"], any("1.2.3"))
	same(t, info["API"]["requests_total POST /api/v2/questions 200"], any(1.0))
	health := data[healthObject](t, d.call("GET", "/api/v2/server_health", ""))
	same(t, []any{health.Servers.Main[0].Name, health.Servers.Main[0].Capacity, health.Servers.Main[0].Available}, []any{"server.example.org", uint64(1000), uint64(400)})
	same(t, data[hostObject](t, d.call("GET", "/api/v2/server_host", "")).Servers[0].Version, "1.2.3")
	d.want(d.call("GET", "/api/v2/license", ""), 200, `{"data":{"license_file":"","licensed_features":[],"text":"No licence is needed."}}`)
	list := data[[]map[string]any](t, d.call("GET", "/api/v2/unregistered_clients", ""))
	same(t, []any{len(list), list[0]["host_name"], list[0]["registration_error_text"]}, []any{1, "bad", "expired"})
}

func TestThrottles(t *testing.T) {
	d := newDesk(t)
	d.ok(d.call("POST", "/api/v2/server_throttles", `{"name":"x","bandwidth_bytes_limit":1000,"ip_address":"10.0.0.1"}`))
	d.ok(d.call("POST", "/api/v2/site_throttles", `{"name":"y","all_subnets_flag":1,"subnets":[{"range":"10.1.0.0/16"}]}`))
	d.refused(d.call("POST", "/api/v2/server_throttles", `{"connection_limit":-1}`), 400, `the field "connection_limit": a limit is not negative; 0 is none`)
	d.refused(d.call("POST", "/api/v2/server_throttles", `{"ip_address":"here"}`), 400, `the field "ip_address": "here" is no address`)
	d.refused(d.call("POST", "/api/v2/site_throttles", `{"subnets":[{"range":"10.1"}]}`), 400, `the field "subnets": "10.1" is no range like 10.1.0.0/16`)
	same(t, data[[]throttleStatus](t, d.call("GET", "/api/v2/server_throttle_statuses", ""))[0].Name, "x")
	same(t, data[[]throttleStatus](t, d.call("GET", "/api/v2/site_throttle_statuses", ""))[0].Name, "y")
	d.want(d.call("DELETE", "/api/v2/server_throttles/1", ""), 200, `{"data":{"id":1}}`)
}

func TestKeys(t *testing.T) {
	d := newDesk(t)
	for _, tt := range []struct{ method, path, body, want string }{
		{"GET", "314", "", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"},
		{"GET", "315", "", "downloaded by ann [] 1000 168h0m0s"},
		{"GET", "315?server_list=a.example.org,[::1]:9,%20b", "", "downloaded by ann [a.example.org:17472 [::1]:9 b:17472] 1000 168h0m0s"},
		{"POST", "315", `{"settings":{"ServerNameList":"a","uses":5,"days":"1","name":"floor 3"}}`, "floor 3 [a:17472] 5 24h0m0s"},
	} {
		w := d.call(tt.method, "/api/v2/keys/"+tt.path, tt.body)
		if w.Code != 200 || w.Body.String() != tt.want || w.Header().Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment; ") {
			t.Errorf("%s %s: %d %s %v", tt.method, tt.path, w.Code, w.Body, w.Header())
		}
	}
	for body, want := range map[string]string{
		`{"settings":{"colour":"red"}}`:           `the setting "colour" is none of ServerNameList, uses, days, name`,
		`{"settings":{"uses":0}}`:                 `uses is "0", not 1 to 1000000`,
		`{"settings":{"days":"400"}}`:             `days is "400", not 1 to 365`,
		`{"settings":{"ServerNameList":"a b:1"}}`: `"a b:1" is no address of a server, like catenary.example.org:17472`,
		`{"settings":{"ServerNameList":"a:0"}}`:   `"a:0" is no address of a server, like catenary.example.org:17472`,
		``:                                        `the body is empty: JSON is expected`,
	} {
		d.refused(d.call("POST", "/api/v2/keys/315", body), 400, want)
	}
	entries, err := d.store.Audits(t.Context(), "init_bundle", 0, noTime, noTime, 10, 0)
	must(t, err)
	same(t, []any{len(entries), entries[0].ObjectName, entries[0].Details, entries[0].UserName}, []any{3, "floor 3", "lets in 5 machines for 1 days", "ann"})
}

func TestSettings(t *testing.T) {
	d := newDesk(t)
	one := data[map[string]any](t, d.call("GET", "/api/v2/system_settings/by-name/session_expiration_seconds", ""))
	same(t, []any{one["value"], one["default_value"], one["value_type"]}, []any{300.0, "300", "Numeric"})
	path := fmt.Sprintf("/api/v2/system_settings/%v", one["id"])
	d.ok(d.call("PATCH", path, `{"value":"60"}`))
	same(t, d.api.setting("session_expiration_seconds"), "60")
	d.refused(d.call("PATCH", path, `{"value":"1"}`), 400, "NumericFieldOverflow: the value of session_expiration_seconds is 10 to 86400, not 1")
	d.want(d.call("DELETE", path, ""), 200, fmt.Sprintf(`{"data":{"id":%v}}`, one["id"]))
	same(t, d.api.setting("session_expiration_seconds"), "300") // the default again
	d.ok(d.call("POST", "/api/v2/system_settings", `{"name":"mine","value":"x","hidden_flag":true}`))
	got, _ := names(t, d.options("/api/v2/system_settings", `{"cache_filters":[{"field":"value","operator":"Equal","value":"x"}],"include_hidden_flag":1}`))
	same(t, got, []string{"mine"})
	d.ok(d.call("PATCH", "/api/v2/system_settings/by-name/require_action_approval", `{"value":1}`))
	d.ok(d.call("DELETE", "/api/v2/system_settings/by-name/require_action_approval", ""))
	same(t, d.api.setting("require_action_approval"), "0")
	d.refused(d.call("POST", "/api/v2/system_settings", `{"name":"MINE"}`), 400, `SystemSettingNameNotUnique: there is a setting "MINE" already`)
}

func TestLocalSettings(t *testing.T) {
	d := newDesk(t)
	d.want(d.call("POST", "/api/v2/local_settings", `{"name":"proxy","value":"10.0.0.1"}`), 200, `{"data":{"name":"proxy","value":"10.0.0.1","type":"string"}}`)
	d.want(d.call("POST", "/api/v2/local_settings", `{"name":"secret","value":"hush","type":"protected"}`), 200, `{"data":{"name":"secret","value":"","type":"protected"}}`)
	d.want(d.call("POST", "/api/v2/local_settings", `{"name":"proxy","value":"7","type":"number"}`), 200, `{"data":{"name":"proxy","value":"7","type":"number"}}`)
	d.refused(d.call("POST", "/api/v2/local_settings", `{"name":"n","value":"x","type":"number"}`), 400, `LocalSettingTypeInvalid: the value "x" is no number`)
	d.refused(d.call("POST", "/api/v2/local_settings", `{"name":" "}`), 400, `LocalSettingNameInvalid: a name has 1 to 255 bytes`)
	d.want(d.call("GET", "/api/v2/local_settings", ""), 200, `{"data":[{"name":"proxy","value":"7","type":"number"},{"name":"secret","value":"","type":"protected"}]}`)
	d.refused(d.options("/api/v2/local_settings", `{"cache_filters":[{"field":"protected_value","value":"h.*"}]}`), 400, `cache_filters: there is no field "protected_value" here`)
	d.ok(d.call("DELETE", "/api/v2/local_settings/by-name/secret", ""))
	d.refused(d.call("GET", "/api/v2/local_settings/by-name/secret", ""), 404, "REST Object Not Found Exception:  LocalSettingNotFound: The requested local setting was not found")
	entries, err := d.store.Audits(t.Context(), "local_setting", 0, noTime, noTime, 10, 0)
	must(t, err)
	for _, e := range entries {
		if strings.Contains(e.Details, "hush") {
			t.Errorf("the audit says %s", e.Details)
		}
	}
}
