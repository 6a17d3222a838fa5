package fetch

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// rules are the patterns of addresses that may be used.
type rules []rule

type rule struct {
	pattern *regexp.Regexp // matches whole addresses
	text    string         // without backslashes, to look for a name in it
}

func rulesOf(patterns []string) rules {
	out := make(rules, 0, len(patterns))
	for _, p := range patterns {
		// Unanchored, a pattern would also allow https://elsewhere/?https://example.org/.
		re, err := regexp.Compile(`^(?:` + p + `)$`)
		if err != nil {
			continue // none that was taken can fail
		}
		out = append(out, rule{re, strings.ToLower(strings.ReplaceAll(p, `\`, ""))})
	}
	return out
}

// check refuses an address that may not be used.
func (r rules) check(source string) error {
	u, err := url.Parse(source)
	if err != nil {
		return failed(NotAllowed, "%q is no address: %w", source, err)
	}
	return r.checkURL(u)
}

func (r rules) checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return failed(NotAllowed, "%s is no http or https address", u.Redacted())
	case len(r) > 0 && !slices.ContainsFunc(r, func(r rule) bool { return r.pattern.MatchString(bare(u)) }):
		return failed(NotAllowed, "no allowed URL matches %s", u.Redacted())
	}
	return nil
}

// names reports whether a pattern matches an address and says its whole host,
// and not just anything.
func (r rules) names(u *url.URL) bool {
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return slices.ContainsFunc(r, func(r rule) bool {
		_, after, said := strings.Cut(r.text, "://"+host)
		return said && (after == "" || strings.ContainsAny(after[:1], ":/?(")) && r.pattern.MatchString(bare(u))
	})
}

// bare is an address without the name and password that may be in it.
func bare(u *url.URL) string {
	without := *u
	without.User = nil
	return without.String()
}

// special are networks that nobody's files are in, though programs answer there:
// what clouds tell their machines about themselves, beside what netip knows.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.100.100.200/32"),
	netip.MustParsePrefix("168.63.129.16/32"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("fd00:ec2::/32"),
	netip.MustParsePrefix("fd20:ce::/32"),
}

// embeds are networks of IPv6 in whose addresses one of IPv4 stands, and where.
var embeds = []struct {
	in netip.Prefix
	at int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// isSpecial reports whether an address is the server itself, its own link, or
// another that is used only if somebody names it.
func isSpecial(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() {
		return true
	}
	if slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return true
	}
	for _, e := range embeds {
		if b := a.As16(); a.Is6() && e.in.Contains(a) {
			return isSpecial(netip.AddrFrom4([4]byte(b[e.at : e.at+4])))
		}
	}
	return false
}
