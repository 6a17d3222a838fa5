// Package lab runs a whole installation with real networks in it: sites with
// a LAN, a router and a WAN link each, the server behind the WAN, and the real
// client program on every host. On Linux it needs nothing but root: all of it
// is made of network namespaces, bridges and nftables.
//
// A lab is two processes. The outer one, `catenary lab up` or `lab run`, is
// where the operator stands: it keeps the lab's folder, speaks to the server's
// API and writes what people read. The inner one is the lab: it is the first
// process of a PID, mount and network namespace of its own, so that nothing it
// makes has a name outside and the kernel clears everything away when it ends,
// however it ends. It listens on a socket in the folder to commands, which are
// lines of the language of scenarios (see [ParseCommand] and [ParseScenario]).
package lab

import (
	"fmt"
	"net/netip"
	"strings"

	"catenary/internal/fault"
)

// A Layout is what a lab is made of.
type Layout struct {
	Sites  []Site
	Server []string // further flags of `catenary server`
}

// A Site is one LAN behind one router.
type Site struct {
	Hosts  int
	NAT    bool // the router hides the hosts behind its own address
	Family Family
}

// A Family is by which addresses the hosts of a site speak.
type Family uint8

const (
	IPv4 Family = iota
	IPv6
	Dual // both; the server is dialled by IPv6 first
)

func (f Family) has4() bool { return f != IPv6 }
func (f Family) has6() bool { return f != IPv4 }

const (
	sitesMax = 50  // bounds the processes: a client takes about 20 MB
	hostsMax = 240 // in one site; the /24 has room for some that move in
	numberOf = 250 // the highest number of a host in its LAN
	lastHost = 254 // the router's number in a LAN, and the server's in the WAN
)

func (l Layout) check() error {
	if len(l.Sites) < 1 || len(l.Sites) > sitesMax {
		return fault.New(fault.Invalid, "a lab has 1 to %d sites, not %d", sitesMax, len(l.Sites))
	}
	for i, s := range l.Sites {
		if s.Hosts < 1 || s.Hosts > hostsMax {
			return fault.New(fault.Invalid, "a site has 1 to %d hosts, not %d as site %d", hostsMax, s.Hosts, i+1)
		}
	}
	return nil
}

// Hosts is the number of hosts in all sites.
func (l Layout) Hosts() int {
	n := 0
	for _, s := range l.Sites {
		n += s.Hosts
	}
	return n
}

// NewLayout makes a layout of so many sites. hosts is one number for all or
// one for each site; nat, ipv6 and dual name sites by their numbers.
func NewLayout(sites int, hosts, nat, ipv6, dual []int, server []string) (Layout, error) {
	if sites < 1 || sites > sitesMax {
		return Layout{}, fault.New(fault.Invalid, "a lab has 1 to %d sites, not %d", sitesMax, sites)
	}
	if len(hosts) != 1 && len(hosts) != sites {
		return Layout{}, fault.New(fault.Invalid, "hosts: give one number for all sites or one for each of the %d", sites)
	}
	l := Layout{Sites: make([]Site, sites), Server: server}
	for i := range l.Sites {
		l.Sites[i].Hosts = hosts[min(i, len(hosts)-1)]
	}
	for _, set := range []struct {
		name  string
		sites []int
		to    func(*Site)
	}{
		{"nat", nat, func(s *Site) { s.NAT = true }},
		{"ipv6", ipv6, func(s *Site) { s.Family = IPv6 }},
		{"dual", dual, func(s *Site) { s.Family = Dual }},
	} {
		for _, n := range set.sites {
			if n < 1 || n > sites {
				return Layout{}, fault.New(fault.Invalid, "%s: there is no site %d of %d", set.name, n, sites)
			}
			set.to(&l.Sites[n-1])
		}
	}
	return l, l.check()
}

// Size says the layout's numbers in words.
func (l Layout) Size() string {
	return counted(len(l.Sites), "site") + ", " + counted(l.Hosts(), "host")
}

// counted is a number of things in words.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// String says the layout in the words of a scenario's head.
func (l Layout) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "sites %d\nhosts", len(l.Sites))
	for i, s := range l.Sites {
		if i == 0 || !l.evenly() {
			fmt.Fprintf(&b, " %d", s.Hosts)
		}
	}
	list := func(name string, is func(Site) bool) {
		var sites string
		for i, s := range l.Sites {
			if is(s) {
				sites += fmt.Sprintf(" %d", i+1)
			}
		}
		if sites != "" {
			b.WriteString("\n" + name + sites)
		}
	}
	list("nat", func(s Site) bool { return s.NAT })
	list("ipv6", func(s Site) bool { return s.Family == IPv6 })
	list("dual", func(s Site) bool { return s.Family == Dual })
	if len(l.Server) > 0 {
		b.WriteString("\nserver")
		for _, flag := range l.Server {
			b.WriteString(" " + quoteWord(flag))
		}
	}
	return b.String() + "\n"
}

func (l Layout) evenly() bool {
	for _, s := range l.Sites {
		if s.Hosts != l.Sites[0].Hosts {
			return false
		}
	}
	return true
}

// The plan of addresses. Nothing of it is visible outside the lab.

func lan4(site int) netip.Prefix { return netip.PrefixFrom(host4(site, 0), 24) }
func lan6(site int) netip.Prefix { return netip.PrefixFrom(host6(site, 0), 64) }
func host4(site, number int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(site), 0, byte(number)})
}
func host6(site, number int) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, byte(site), 15: byte(number)})
}

// wan4 and wan6 are the addresses between the sites, of a site's router or,
// with lastHost, of the server.
func wan4(number int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(number)}) }
func wan6(number int) netip.Addr { return host6(0xff, number) }

// Names of interfaces, each in the namespace where it is said to be.
const (
	wanBridge  = "wan"    // the lab's own
	serverPort = "server" // the lab's own: the bridge's end of the server's link
	hostLink   = "eth0"   // of a host and of the server
	lanLink    = "lan0"   // of a router
	wanLink    = "wan0"   // of a router
)

func lanBridge(site int) string  { return fmt.Sprintf("lan%d", site) }
func routerPort(site int) string { return fmt.Sprintf("s%dr", site) }
func wanPort(site int) string    { return fmt.Sprintf("s%dw", site) }

// hostName is a host's computer name, and that of its port at the bridge.
func hostName(site, number int) string { return fmt.Sprintf("s%dh%d", site, number) }

// clientPort is where clients and the server are dialled.
const clientPort = 17472
