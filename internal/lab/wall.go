package lab

import (
	"fmt"
	"net/netip"
	"strings"
)

// A wall is which packets a lab drops.
type wall struct {
	silent []string // names of ports that pass nothing
	blocks []blockRule
}

// A blockRule drops packets from and to these addresses; nil means any.
type blockRule struct {
	from, to []netip.Prefix
	dials    bool // only the first packet of TCP connections
}

// rules is the wall in the language of nft. It replaces what was there.
// Frames pass the lab's bridges, so all of it is in one place, and neither end
// of a connection is told.
func (w wall) rules() string {
	var b strings.Builder
	b.WriteString("table bridge lab\nflush table bridge lab\ntable bridge lab {\nchain forward {\ntype filter hook forward priority 0; policy accept;\n")
	for _, port := range w.silent {
		fmt.Fprintf(&b, "iifname { %[1]q, %[2]q } drop\noifname { %[1]q, %[2]q } drop\n", port, tapName(port))
	}
	for _, r := range w.blocks {
		for _, family := range []string{"ip", "ip6"} {
			from, to := inFamily(r.from, family), inFamily(r.to, family)
			if r.from != nil && from == nil || r.to != nil && to == nil {
				continue // not of this family
			}
			if from != nil {
				fmt.Fprintf(&b, "%s saddr { %s } ", family, strings.Join(from, ", "))
			}
			if to != nil {
				fmt.Fprintf(&b, "%s daddr { %s } ", family, strings.Join(to, ", "))
			}
			if r.dials {
				b.WriteString("tcp flags & (syn | ack) == syn ")
			}
			b.WriteString("drop\n")
		}
	}
	b.WriteString("}\n}\n")
	return b.String()
}

func inFamily(all []netip.Prefix, family string) []string {
	var some []string
	for _, p := range all {
		if p.Addr().Is4() == (family == "ip") {
			some = append(some, p.String())
		}
	}
	return some
}

// firewall is a router's rules: whoever is inside may speak to the outside,
// and nobody outside may begin.
func firewall(nat bool) string {
	rules := `table inet router {
chain forward {
type filter hook forward priority 0; policy drop;
ct state established,related accept
iifname "` + lanLink + `" oifname "` + wanLink + `" accept
}
`
	if nat {
		rules += `chain postrouting {
type nat hook postrouting priority 100; policy accept;
oifname "` + wanLink + `" masquerade
}
`
	}
	return rules + "}\n"
}

// tapName is the name of the TAP device of the relay at a port.
func tapName(port string) string { return port + "~" }

func alone(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }
