package setting

import (
	"os"
	"strings"
	"testing"

	"catenary/internal/fault"
	"catenary/internal/server/object"
)

func TestAll(t *testing.T) {
	docs, err := os.ReadFile("../../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, s := range All {
		if seen[s.Name] || !nameForm.MatchString(s.Name) || s.Meaning == "" {
			t.Errorf("%s: twice, no name, or without a meaning", s.Name)
		}
		seen[s.Name] = true
		if !strings.Contains(string(docs), "| `"+s.Name+"` | "+s.Default+" |") {
			t.Errorf("docs/operations.md does not say what %s is, or another default than %q", s.Name, s.Default)
		}
		if err := check(s, s.Name, s.Default, s.Numeric); err != nil {
			t.Errorf("%s: its default: %v", s.Name, err)
		}
	}
}

func TestSettle(t *testing.T) {
	for _, tt := range []struct {
		was, said string
		value     string // what holds
		err       string
	}{
		{"", `{"name":"session_expiration_seconds","value":600}`, "600", ""},
		{"", `{"name":"SESSION_EXPIRATION_SECONDS","value":"600","value_type":"Text","default_value":"7"}`, "600", ""},
		{"", `{"name":"session_expiration_seconds"}`, "300", ""},
		{"", `{"name":"session_expiration_seconds","value":5}`, "", "NumericFieldOverflow: the value of session_expiration_seconds is 10 to 86400, not 5"},
		{"", `{"name":"session_expiration_seconds","value":"soon"}`, "", `NumericFieldOverflow: the value of session_expiration_seconds is a whole number, not "soon"`},
		{"", `{"name":"session_expiration_seconds","value":1e99}`, "", `NumericFieldOverflow: the value of session_expiration_seconds is a whole number, not "1e99"`},
		{"", `{"name":"second_factor_required","value":true}`, "1", ""},
		{"", `{"name":"api_token_trusted_ip_address_list","value":"10.0.0.0/8, ::1"}`, "10.0.0.0/8, ::1", ""},
		{"", `{"name":"api_token_trusted_ip_address_list","value":"home"}`, "", `"home" is no address and no network`},
		{"", `{"name":"public_url","value":"http://x"}`, "", `"http://x" is no URL like https://host[:port]`},
		{"", `{"name":"pre_login_text","value":"You are watched.\n\tGrüße"}`, "You are watched.\n\tGrüße", ""},
		{"", `{"name":"pre_login_text","value":"ab\u001b[31m"}`, "", "byte 3 of the text is, or begins, what cannot be shown: control characters but line ends and tabs"},
		{"", `{"name":"login_certificate_name","value":"cn"}`, "cn", ""},
		{"", `{"name":"login_certificate_name","value":"any"}`, "", `the name of a user in a certificate is upn, email or cn, not "any"`},
		{"", `{"name":"anything.of-mine","value":"x y"}`, "x y", ""},
		{"", `{"name":"anything","value":"7","value_type":"Numeric"}`, "7", ""},
		{"", `{"name":"anything","value":"x","value_type":"Numeric"}`, "", `NumericFieldOverflow: the value of anything is a whole number, not "x"`},
		{"", `{"name":"anything","value":{}}`, "", `the field "value": a text or a number is expected`},
		{"", `{"name":"","value":"x"}`, "", `SystemSettingNameInvalid: "" is no name of a setting: letters, digits, and . - _ behind the first letter`},
		{"", `{"name":"a b","value":"x"}`, "", `SystemSettingNameInvalid: "a b" is no name of a setting: letters, digits, and . - _ behind the first letter`},
		{`{"name":"public_url"}`, `{"name":"mine","value":"x"}`, "", "the setting public_url is one of Catenary's and keeps its name"},
		{`{"name":"mine","read_only_flag":true}`, `{"name":"mine","value":"x","read_only_flag":1}`, "", "the setting mine is read-only"},
		{`{"name":"mine","read_only_flag":true}`, `{"name":"mine","value":"x","read_only_flag":0}`, "x", ""},
	} {
		var was *object.Object
		if tt.was != "" {
			was = decode(t, tt.was)
		}
		o := decode(t, tt.said)
		err := Settle(was, o)
		switch {
		case err != nil && (err.Error() != tt.err || fault.KindOf(err) == fault.Internal):
			t.Errorf("%s: %v, want %s", tt.said, err, tt.err)
		case err == nil && (tt.err != "" || Value(o) != tt.value):
			t.Errorf("%s: holds %q, want %q or %s", tt.said, Value(o), tt.value, tt.err)
		}
	}
}

func decode(t *testing.T, body string) *object.Object {
	t.Helper()
	o, err := object.ShapeOf(Kind).Decode([]byte(body), object.Lenient)
	if err != nil {
		t.Fatal(err)
	}
	return o
}
