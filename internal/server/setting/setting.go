// Package setting is the system settings that this version of Catenary knows:
// what each is for, which values it can have, and what holds while nobody has
// said anything.
//
// Values are kept on the shelf, as objects that operators change. Settings that
// are not in the table can be kept, too: programs use them for themselves.
package setting

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
)

// Kind is the kind of objects that settings are.
const Kind = "system_setting"

// A Setting is one that this version acts on.
type Setting struct {
	Name    string
	Default string
	Meaning string
	Numeric bool // a whole number between Min and Max
	Min     int64
	Max     int64
	Check   func(value string) error // of a text; nil: any text will do
	Secret  bool                     // encrypted where it is kept, and never shown
}

// All are the settings that this version acts on. Who adds one acts on it.
var All = []Setting{
	{Name: SessionIdle, Default: "300", Numeric: true, Min: 10, Max: 86_400,
		Meaning: "How long a session lives without a request, in seconds."},
	{Name: SessionLongest, Default: "604800", Numeric: true, Min: 60, Max: 2_592_000,
		Meaning: "How long a session lives at all, in seconds from the login on, also one that is used and one that was asked to be persistent."},
	{Name: SessionsPerUser, Default: "100", Numeric: true, Min: 1, Max: 10_000,
		Meaning: "How many sessions a user has at once; of more, the one that was unused for longest ends."},
	{Name: "api_token_trusted_ip_address_list", Check: checkAddresses,
		Meaning: "Addresses and networks, with commas, from which API tokens without a list of their own may be used; empty: from anywhere."},
	{Name: "authenticate_api_token_with_x_forwarded_for_ip", Default: "0", Numeric: true, Max: 1,
		Meaning: "1: of a request that comes by way of a trusted proxy the address counts that the proxy names, when a token says from where it may be used."},
	{Name: "trusted_proxy_address_list", Check: checkAddresses,
		Meaning: "Addresses and networks, with commas, of the proxies whose word on the address of a caller is believed."},
	{Name: "second_factor_required", Default: "0", Numeric: true, Max: 1,
		Meaning: "1: nobody logs in with a password alone."},
	{Name: PasswordLength, Default: "12", Numeric: true, Min: 8, Max: 64,
		Meaning: "How many characters a new password of a user has at least."},
	{Name: PreLogin, Check: checkShown,
		Meaning: "A text, of 4096 bytes at most, that everybody is shown, and has to agree with, before he logs in; empty: none."},
	{Name: CertificateName, Default: "upn", Check: checkCertificateName,
		Meaning: "What of a client certificate is the name of its user: upn (the principal name), email or cn (the common name)."},
	{Name: "public_url", Check: checkURL,
		Meaning: "The URL at which people and identity providers reach this server: https://host[:port]."},
	{Name: ProxyServer, Check: checkHost,
		Meaning: "The name or address of the HTTP proxy by which files of packages are fetched from their sources; empty: directly. Another one needs the password again."},
	{Name: ProxyPort, Default: "8080", Numeric: true, Min: 1, Max: 65_535,
		Meaning: "The port of that proxy. Another one needs the password again."},
	{Name: ProxyType, Default: "BASIC", Check: checkProxyType,
		Meaning: "BASIC: the proxy may ask for a user and password; NONE: no proxy is used. NTLM is not possible."},
	{Name: ProxyUser, Check: checkProxyUser,
		Meaning: "The user that the proxy asks for; empty: it asks for none."},
	{Name: ProxyPassword, Secret: true,
		Meaning: "His password. It is never shown: (secret) stands for one that is set."},
	{Name: ProxyBypass, Check: checkBypass,
		Meaning: "Hosts that are reached without the proxy, with commas: names, addresses, networks as 10.0.0.0/8, domains as .example.org."},
	{Name: AuditDays, Default: "0", Numeric: true, Max: 36_500,
		Meaning: "For how many days the audit is kept; 0: for ever."},
	{Name: "require_action_approval", Default: "0", Numeric: true, Max: 1,
		Meaning: "1: an action waits until a second person has approved it, unless its maker may do without."},
	{Name: SelfApproval, Default: "0", Numeric: true, Max: 1,
		Meaning: "1: who has made an action may approve it himself, if he has the privilege to approve."},
	{Name: "import_unsigned_content", Default: "1", Numeric: true, Max: 1,
		Meaning: "0: only content that this installation has signed is imported."},
	{Name: People, Default: "500", Numeric: true, Min: 1, Max: 100_000,
		Meaning: "Requests in a second that a user may make with sessions; ten times as many may come at once. What is more is answered with 429."},
	{Name: Programs, Default: "1000", Numeric: true, Min: 1, Max: 100_000,
		Meaning: "Requests in a second that a user may make with API tokens; twice as many may come at once. What is more is answered with 429."},
	{Name: Quarantine, Default: "1", Numeric: true, Max: 1,
		Meaning: "0: a machine runs every sensor that it is asked for, however often it was stopped at its time limit."},
	{Name: QuarantineOverruns, Default: "3", Numeric: true, Min: 1, Max: 100,
		Meaning: "How often in a row a sensor has to be stopped at its time limit on a machine until that runs it no more."},
	{Name: QuarantineSeconds, Default: "60", Numeric: true, Min: 1, Max: 3600,
		Meaning: "A run of a sensor that was stopped earlier than this, in seconds, does not count for that."},
	{Name: LoadMedium, Default: "1000", Numeric: true, Max: 600_000,
		Meaning: "From how many milliseconds on average the load of a question or a sensor on a machine is said to be medium."},
	{Name: DiagnosticsEvery, Default: "1440", Numeric: true, Max: 43_200,
		Meaning: "How often, in minutes, a report on the server is written into its data folder; 0: never."},
	{Name: DiagnosticsKept, Default: "14", Numeric: true, Min: 1, Max: 1000,
		Meaning: "How many of these reports are kept, the newest."},
	{Name: LoadHigh, Default: "5000", Numeric: true, Max: 600_000,
		Meaning: "From how many milliseconds on average it is said to be high."},
}

// PasswordLength is how many characters a new password has at least
// (docs/signin.md says why twelve).
const PasswordLength = "password_min_length"

// CertificateName is which name of a client certificate is its user's.
const CertificateName = "login_certificate_name"

// PreLogin is what everybody is shown before he logs in.
const PreLogin = "pre_login_text"

// The settings of sessions (docs/signin.md).
const (
	SessionIdle     = "session_expiration_seconds"
	SessionLongest  = "session_longest_seconds"
	SessionsPerUser = "sessions_per_user"
)

// The settings of the quarantine of sensors (docs/operations.md).
const (
	Quarantine         = "sensor_quarantine_enabled"
	QuarantineOverruns = "sensor_quarantine_overruns"
	QuarantineSeconds  = "sensor_quarantine_seconds"
)

// The settings of what is said of the load of questions: nobody notices less than
// a second now and then, and five are felt on a machine that is busy.
const (
	LoadMedium = "question_load_medium_ms"
	LoadHigh   = "question_load_high_ms"
)

// The settings of the reports on the server (docs/operations.md).
const (
	DiagnosticsEvery = "diagnostics_export_minutes"
	DiagnosticsKept  = "diagnostics_export_count"
)

// SelfApproval is 1 if nobody else has to approve an action.
const SelfApproval = "allow_self_approval"

// AuditDays is for how many days the audit is kept.
const AuditDays = "audit_retention_days"

// The settings that bound how many requests are answered.
const (
	People   = "api_requests_per_second"
	Programs = "api_requests_per_second_with_tokens"
)

// Find returns a setting that this version knows.
func Find(name string) (Setting, bool) {
	for _, s := range All {
		if strings.EqualFold(s.Name, name) {
			return s, true
		}
	}
	return Setting{}, false
}

const valueMax = 4096 // bytes of a value

var nameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,254}$`)

// Settle brings what an operator has said of a setting into its form: the value
// as its type wants it, and nothing that is not his to say. was is nil, or what
// the setting was.
func Settle(was, o *object.Object) error {
	name := o.Text("name")
	if !nameForm.MatchString(name) {
		return fault.New(fault.Invalid, "SystemSettingNameInvalid: %.40q is no name of a setting: letters, digits, and . - _ behind the first letter", name)
	}
	s, known := Find(name)
	if was != nil {
		if _, reserved := Find(was.Text("name")); reserved && !strings.EqualFold(was.Text("name"), name) {
			return fault.New(fault.Conflict, "the setting %s is one of Catenary's and keeps its name", was.Text("name"))
		}
		if was.Is("read_only_flag") && o.Is("read_only_flag") {
			return fault.New(fault.Conflict, "the setting %s is read-only", name)
		}
	}
	if known {
		s.describe(o)
	}
	if !o.Has("value") {
		return nil
	}
	if known && s.Secret {
		return s.hide(o)
	}
	text, err := textOf(o.Raw("value"))
	if err != nil {
		return err
	}
	numeric := o.Text("value_type") == "Numeric"
	if err := check(s, name, text, numeric); err != nil {
		return err
	}
	o.Set("value", raw(text, numeric))
	return nil
}

func check(s Setting, name, text string, numeric bool) error {
	if len(text) > valueMax {
		return fault.New(fault.Invalid, "the value of %s has %d bytes, more than %d", name, len(text), valueMax)
	}
	if !numeric {
		if s.Check == nil {
			return nil
		}
		return s.Check(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fault.New(fault.Invalid, "NumericFieldOverflow: the value of %s is a whole number, not %.40q", name, text)
	}
	if s.Numeric && (n < s.Min || n > s.Max) {
		return fault.New(fault.Invalid, "NumericFieldOverflow: the value of %s is %d to %d, not %d", name, s.Min, s.Max, n)
	}
	return nil
}

// describe says of an object what the table says.
func (s Setting) describe(o *object.Object) {
	o.Set("name", s.Name)
	o.Set("default_value", s.Default)
	o.Set("setting_type", "Server")
	o.Set("value_type", "Text")
	if s.Numeric {
		o.Set("value_type", "Numeric")
	}
	item := object.New(object.ShapeOf("metadata_item"))
	item.Set("name", "meaning")
	item.Set("value", s.Meaning)
	o.Set("metadata", object.ListOf([]*object.Object{item}))
}

// textOf is the text of a value that programs write as a text, a number or a
// boolean.
func textOf(value json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text, nil
	}
	switch word := string(value); word {
	case "true":
		return "1", nil
	case "false":
		return "0", nil
	default:
		if _, err := strconv.ParseFloat(word, 64); err == nil {
			return word, nil
		}
	}
	return "", object.Bad("value", "a text or a number is expected")
}

func raw(text string, numeric bool) json.RawMessage {
	if numeric {
		return json.RawMessage(text)
	}
	return object.AppendText(nil, text)
}

// Value is what holds: what an operator has said, or the default.
func Value(o *object.Object) string {
	if s, known := Find(o.Text("name")); known && s.Secret {
		return o.Text(hidden)
	}
	if o.Has("value") {
		if text, err := textOf(o.Raw("value")); err == nil {
			return text
		}
	}
	return o.Text("default_value")
}

// Show lets an object say what holds.
func Show(o *object.Object) {
	if o.Text(hidden) != "" {
		o.Set("value", raw(shown, false))
	}
	if !o.Has("value") {
		o.Set("value", raw(o.Text("default_value"), o.Text("value_type") == "Numeric" && o.Text("default_value") != ""))
	}
}

// Seed puts what is missing onto the shelf, and brings what is said of the others
// up to date.
func Seed(c *shelf.Change) error {
	for _, s := range All {
		was := c.ByName(Kind, s.Name)
		o := object.New(object.ShapeOf(Kind))
		if was != nil {
			o = was.Object.Clone()
		}
		s.describe(o)
		switch {
		case was == nil:
			if _, err := c.Create(Kind, 0, o); err != nil {
				return err
			}
		case string(o.Store()) != string(was.Object.Store()):
			if _, err := c.Update(was, o); err != nil {
				return err
			}
		}
	}
	return nil
}

// Addresses reads addresses and networks with commas or blanks between.
func Addresses(list string) (nets []netip.Prefix, err error) {
	for _, f := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		n, err := netip.ParsePrefix(f)
		if err != nil {
			a, err := netip.ParseAddr(f)
			if err != nil {
				return nil, fault.New(fault.Invalid, "%q is no address and no network", f)
			}
			n = netip.PrefixFrom(a, a.BitLen())
		}
		nets = append(nets, n)
	}
	return nets, nil
}

func checkAddresses(list string) error {
	_, err := Addresses(list)
	return err
}

func checkCertificateName(text string) error {
	if text != "upn" && text != "email" && text != "cn" {
		return fault.New(fault.Invalid, "the name of a user in a certificate is upn, email or cn, not %.40q", text)
	}
	return nil
}

// checkShown makes sure that a text can be shown as it is on a terminal.
func checkShown(text string) error {
	if i := strings.IndexFunc(text, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsControl(r) && !strings.ContainsRune("\n\r\t", r)
	}); i >= 0 {
		return fault.New(fault.Invalid, "byte %d of the text is, or begins, what cannot be shown: control characters but line ends and tabs", i+1)
	}
	return nil
}

func checkURL(text string) error {
	if u, err := url.Parse(text); text != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
		return fault.New(fault.Invalid, "%.80q is no URL like https://host[:port]", text)
	}
	return nil
}
