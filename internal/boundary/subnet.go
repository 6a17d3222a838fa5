// Package boundary says how far a chain may reach: which clients form one LAN,
// by the address at which the server sees them, the one that they report, and
// what operators have said of subnets (docs/protocol.md §3.4).
//
// [Boundaries.Find] places one client. Subnets are made from text by
// [ParseNetwork] and [ReadFile], and [Check] finds those that contradict each
// other. The package keeps nothing: who is registered where is the roster's.
package boundary

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Kind is what a subnet does to the clients in it.
type Kind uint8

const (
	// Separated: clients form chains within the subnet only, whatever the
	// address mask says.
	Separated Kind = iota + 1
	// Isolated: clients have no peers, each talks to the server by itself.
	Isolated
	// Intentional: clients that the server sees at these addresses form one
	// LAN, also from behind a translator of addresses.
	Intentional
)

// Kinds are all kinds there are.
var Kinds = []Kind{Separated, Isolated, Intentional}

var kindNames = []string{Separated: "separated", Isolated: "isolated", Intentional: "intentional"}

func (k Kind) String() string { return kindNames[k] }

// ParseKind reads what [Kind.String] writes.
func ParseKind(name string) (Kind, bool) {
	i := slices.Index(kindNames, name)
	return Kind(max(i, 0)), i > 0
}

const (
	// SubnetsMax bounds the subnets of one kind: an organisation with offices in
	// every town of a large country has fewer.
	SubnetsMax  = 10_000
	networksMax = 256  // networks of one intentional subnet
	nameMax     = 255  // bytes of a name, or of a neighbourhood's
	commentMax  = 4096 // bytes

	// A LAN of more addresses than a /8 or a /16 of IPv6 is a slip of the pen.
	// Isolated subnets may be as large as they like.
	leastBits4 = 8
	leastBits6 = 16
)

// A Subnet is what an operator says of some networks.
type Subnet struct {
	Kind     Kind
	Networks []netip.Prefix // as ParseNetwork returns them; one, unless Intentional
	// Neighborhood joins the intentional subnets that name it into one LAN.
	// Without one, an intentional subnet is a LAN of its own.
	Neighborhood  string
	Name, Comment string
}

// ParseNetwork reads a network in CIDR notation, or an address that stands for
// itself alone.
func ParseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is no network: write it like 10.1.2.0/24 or 2001:db8::/48", brief(text))
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return p, fmt.Errorf("%q is no network: write it like 10.1.2.0/24 or 2001:db8::/48", brief(text))
	}
	if p.Addr().Is4In6() {
		const mapped = 128 - 32 // bits in front of an IPv4 address in its IPv6 form
		if p.Bits() < mapped {
			return p, fmt.Errorf("%q is a network of IPv4 addresses and others: write them apart", brief(text))
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
	}
	if m := p.Masked(); m != p {
		return p, fmt.Errorf("%q has bits behind its mask: did you mean %v?", brief(text), m)
	}
	return p, nil
}

// brief keeps a text that came from outside short enough for an error.
func brief(text string) string {
	const most = 60 // bytes
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…" // a character that was cut in two goes
}

// Check returns what is wrong with the subnets, one by one or with each other.
func Check(list []Subnet) error {
	count := map[Kind]int{}
	for _, s := range list {
		if err := s.check(); err != nil {
			return err
		}
		if count[s.Kind]++; count[s.Kind] > SubnetsMax {
			return fmt.Errorf("more than %d %s subnets", SubnetsMax, s.Kind)
		}
	}
	return checkTogether(list)
}

func (s Subnet) check() error {
	switch {
	case len(s.Networks) == 0:
		return fmt.Errorf("%s subnet %q has no network", s.Kind, brief(s.Name))
	case s.Kind != Intentional && len(s.Networks) > 1:
		return fmt.Errorf("%s subnet %v: only an intentional one has several networks", s.Kind, s.Networks[0])
	case len(s.Networks) > networksMax:
		return fmt.Errorf("%s subnet %v has more than %d networks", s.Kind, s.Networks[0], networksMax)
	case s.Kind != Intentional && s.Neighborhood != "":
		return fmt.Errorf("%s subnet %v: only an intentional one is of a neighbourhood", s.Kind, s.Networks[0])
	}
	for _, t := range []struct {
		what, text string
		most       int
	}{{"name", s.Name, nameMax}, {"neighbourhood", s.Neighborhood, nameMax}, {"comment", s.Comment, commentMax}} {
		if len(t.text) > t.most {
			return fmt.Errorf("%s subnet %v: its %s has more than %d bytes", s.Kind, s.Networks[0], t.what, t.most)
		}
		if strings.ContainsAny(t.text, "\r\n\x00") || !utf8.ValidString(t.text) || strings.TrimSpace(t.text) != t.text {
			return fmt.Errorf("%s subnet %v: its %s is not one line of text", s.Kind, s.Networks[0], t.what)
		}
		if t.what != "comment" && strings.Contains(t.text, ";") {
			return fmt.Errorf("%s subnet %v: its %s has a semicolon, which begins a comment in files", s.Kind, s.Networks[0], t.what)
		}
	}
	for _, p := range s.Networks {
		least := leastBits6
		if p.Addr().Is4() {
			least = leastBits4
		}
		if s.Kind != Isolated && p.Bits() < least {
			return fmt.Errorf("%s subnet %v is too large for a LAN: at least /%d", s.Kind, p, least)
		}
	}
	return nil
}

// A Contradiction is an error about subnets that do not go together.
type Contradiction struct {
	Networks []netip.Prefix // of those subnets
	error
}

func contradiction(networks []netip.Prefix, format string, args ...any) error {
	return &Contradiction{networks, fmt.Errorf(format, args...)}
}

// checkTogether finds networks that are said twice, and those that can never
// matter because they lie in an isolated subnet.
func checkTogether(list []Subnet) error {
	said := map[netip.Prefix]Kind{}
	var isolated index
	for _, s := range list {
		for _, p := range s.Networks {
			other, twice := said[p]
			switch {
			case twice && other == s.Kind:
				return contradiction([]netip.Prefix{p}, "%v is said twice to be %s", p, s.Kind)
			case twice:
				return contradiction([]netip.Prefix{p}, "%v is said to be %s and %s: it can be only one", p, other, s.Kind)
			}
			said[p] = s.Kind
			if s.Kind == Isolated {
				isolated.add(p, rule{p, Isolated})
			}
		}
	}
	for _, s := range list {
		for _, p := range s.Networks {
			if around, ok := isolated.around(p.Addr(), p.Bits()); ok && s.Kind != Isolated {
				return contradiction([]netip.Prefix{p, around.lan}, "%s subnet %v lies in the isolated subnet %v, so that it would never matter", s.Kind, p, around.lan)
			}
		}
	}
	return nil
}
