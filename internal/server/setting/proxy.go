package setting

import (
	"net/netip"
	"regexp"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/object"
)

// The settings of the proxy by which files are fetched, as existing programs know
// them (docs/content.md).
const (
	ProxyServer   = "ProxyServer"
	ProxyPort     = "ProxyPort"
	ProxyType     = "ProxyType"
	ProxyUser     = "ProxyUserid"
	ProxyPassword = "ProxyPassword"
	ProxyBypass   = "BypassProxyHostList"
)

const (
	hidden = "protected_value" // where the value of a secret setting is
	shown  = "(secret)"        // and what is seen of it
)

// hide puts the value of a secret setting where nobody sees it. What is seen of
// it may be sent back, and changes nothing.
func (s Setting) hide(o *object.Object) error {
	text, err := textOf(o.Raw("value"))
	if err != nil {
		return err
	}
	o.Set("value", nil)
	if text == shown {
		return nil
	}
	if err := check(s, s.Name, text, false); err != nil {
		return err
	}
	o.Set(hidden, text)
	return nil
}

var hostForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?$`)

func checkHost(text string) error {
	if _, err := netip.ParseAddr(text); text != "" && err != nil && !hostForm.MatchString(text) {
		return fault.New(fault.Invalid, "%.80q is no name and no address of a host", text)
	}
	return nil
}

func checkProxyType(text string) error {
	switch strings.ToUpper(text) {
	case "BASIC", "NONE":
		return nil
	}
	return fault.New(fault.Invalid, "the type of a proxy is BASIC or NONE, not %.40q", text)
}

func checkProxyUser(text string) error {
	if strings.Contains(text, ":") {
		return fault.New(fault.Invalid, "the name of a user has no colon: HTTP Basic cannot carry it")
	}
	return nil
}

// Hosts are the entries of a list with commas, semicolons or blanks between.
func Hosts(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ';' || r == ' ' })
}

func checkBypass(list string) error {
	for _, entry := range Hosts(list) {
		_, err := netip.ParsePrefix(entry)
		if err != nil && entry != "*" && checkHost(strings.TrimPrefix(strings.TrimPrefix(entry, "*"), ".")) != nil {
			return fault.New(fault.Invalid, "%.80q is no host, network or domain", entry)
		}
	}
	return nil
}
