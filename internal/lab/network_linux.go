package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// A link is a cable from a machine to a bridge, with what is wrong with it.
type link struct {
	port   string // the bridge's end; the bridges are in the lab's own namespace
	bridge string
	cut    bool
	relay  *relay // nil as long as nothing is delayed or lost
}

// A host is one machine of a site.
type host struct {
	namespace
	link
	name    string
	born    int // the site that its name is of
	index   int // its number in its name
	site    int // where it stands now
	number  int // and its number there
	program *process
	noPower bool
	frozen  bool
}

// A network is everything that is made of namespaces.
type network struct {
	layout  Layout
	server  namespace
	srvLink link
	hosts   []*host
	routers []namespace
	wans    []link // of the sites
}

// isolate makes the mounts of the process its own, and shows it its own
// processes and links.
func isolate() error {
	err := unix.Mount("none", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err == nil {
		err = unix.Mount("sysfs", "/sys", "sysfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	}
	if err != nil {
		return fmt.Errorf("mount the lab's own /proc and /sys: %w", err)
	}
	return nil
}

// connectionTable is how many buckets a machine's table of connections has. All
// namespaces share one of hundreds of thousands otherwise, and whoever asks a
// kernel for the connections of one machine goes through all of it: to look at
// the chains of 60 hosts took half a second of a processor.
const connectionTable = "256"

// newNetwork builds the sites, the WAN between them, and the server's machine.
func newNetwork(l Layout) (*network, error) {
	n := &network{layout: l, srvLink: link{port: serverPort, bridge: wanBridge}}
	if err := sysctl("net/ipv4/tcp_child_ehash_entries", connectionTable); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err // kernels before 6.1 do not have it
	}
	// Ports and bridges only pass frames; they have nothing to say themselves.
	if err := sysctl("net/ipv6/conf/default/disable_ipv6", "1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	bridges := []string{"link set lo up", newBridge(wanBridge), "link set " + wanBridge + " up"}
	for i := range l.Sites {
		bridges = append(bridges, newBridge(lanBridge(i+1)), "link set "+lanBridge(i+1)+" up")
	}
	if err := ip(bridges...); err != nil {
		return nil, err
	}
	if err := n.addServer(); err != nil {
		return nil, fmt.Errorf("the server's machine: %w", err)
	}
	for i, s := range l.Sites {
		if err := n.addRouter(i+1, s); err != nil {
			return nil, fmt.Errorf("the router of site %d: %w", i+1, err)
		}
		for number := 1; number <= s.Hosts; number++ {
			h := &host{name: hostName(i+1, number), born: i + 1, index: number, site: i + 1, number: number}
			if err := n.addHost(h); err != nil {
				return nil, fmt.Errorf("host %s: %w", h.name, err)
			}
			n.hosts = append(n.hosts, h)
		}
	}
	return n, nil
}

func newBridge(name string) string { return "link add " + name + " type bridge mcast_snooping 0" }

// newCable is a link between a bridge and a namespace, as lines for ip.
func newCable(l link, n namespace, name string) []string {
	return []string{
		fmt.Sprintf("link add %s type veth peer name %s netns /proc/%d/fd/%d", l.port, name, os.Getpid(), n.net.Fd()),
		fmt.Sprintf("link set %s master %s up", l.port, l.bridge),
	}
}

// quiet keeps a machine's kernel from saying what is not asked for.
func quiet(f Family) error {
	off := "0"
	if !f.has6() {
		off = "1"
	}
	for name, value := range map[string]string{
		"disable_ipv6": off, "accept_ra": "0", "router_solicitations": "0", "accept_dad": "0",
	} {
		for _, which := range []string{"all", "default"} {
			err := sysctl("net/ipv6/conf/"+which+"/"+name, value)
			if err != nil && (f.has6() || !errors.Is(err, os.ErrNotExist)) {
				return err
			}
		}
	}
	return nil
}

func (n *network) addServer() (err error) {
	if n.server, err = newNamespace("server", func() error { return quiet(Dual) }); err != nil {
		return err
	}
	if err := ip(newCable(n.srvLink, n.server, hostLink)...); err != nil {
		return err
	}
	lines := append([]string{
		"link set lo up",
		"link set " + hostLink + " up",
		fmt.Sprintf("addr add %v/24 dev %s", wan4(lastHost), hostLink),
		fmt.Sprintf("addr add %v/64 dev %s nodad", wan6(lastHost), hostLink),
	}, n.routes(0)...)
	return n.server.do(func() error {
		if err := plainFrames(hostLink); err != nil {
			return err
		}
		return ip(lines...)
	})
}

func (n *network) addRouter(site int, s Site) error {
	ns, err := newNamespace(fmt.Sprintf("s%drouter", site), func() error {
		return errors.Join(quiet(Dual), sysctl("net/ipv4/ip_forward", "1"), sysctl("net/ipv6/conf/all/forwarding", "1"))
	})
	if err != nil {
		return err
	}
	n.routers = append(n.routers, ns)
	wan := link{port: wanPort(site), bridge: wanBridge}
	n.wans = append(n.wans, wan)
	cables := append(newCable(wan, ns, wanLink), newCable(link{port: routerPort(site), bridge: lanBridge(site)}, ns, lanLink)...)
	if err := ip(cables...); err != nil {
		return err
	}
	lines := append([]string{
		"link set lo up", "link set " + lanLink + " up", "link set " + wanLink + " up",
		fmt.Sprintf("addr add %v/24 dev %s", host4(site, lastHost), lanLink),
		fmt.Sprintf("addr add %v/64 dev %s nodad", host6(site, lastHost), lanLink),
		fmt.Sprintf("addr add %v/24 dev %s", wan4(site), wanLink),
		fmt.Sprintf("addr add %v/64 dev %s nodad", wan6(site), wanLink),
	}, n.routes(site)...)
	return ns.do(func() error { return errors.Join(ip(lines...), nft(firewall(s.NAT))) })
}

// routes are the ways to all LANs but that of the given site, as lines for ip.
func (n *network) routes(but int) (lines []string) {
	for i, s := range n.layout.Sites {
		if !s.NAT && i+1 != but {
			lines = append(lines,
				fmt.Sprintf("route add %v via %v", lan4(i+1), wan4(i+1)),
				fmt.Sprintf("route add %v via %v", lan6(i+1), wan6(i+1)))
		}
	}
	return lines
}

func (n *network) addHost(h *host) (err error) {
	family := n.layout.Sites[h.site-1].Family
	if h.namespace, err = newNamespace(h.name, func() error { return quiet(family) }); err != nil {
		return err
	}
	h.link = link{port: h.name, bridge: lanBridge(h.site)}
	if err := ip(newCable(h.link, h.namespace, hostLink)...); err != nil {
		return err
	}
	return h.do(func() error {
		if err := plainFrames(hostLink); err != nil {
			return err
		}
		return ip(append([]string{"link set lo up", "link set " + hostLink + " up"}, n.settle(h)...)...)
	})
}

// settle gives a host its addresses and its way out, as lines for ip.
func (n *network) settle(h *host) (lines []string) {
	family := n.layout.Sites[h.site-1].Family
	if family.has4() {
		lines = append(lines,
			fmt.Sprintf("addr add %v/24 dev %s", host4(h.site, h.number), hostLink),
			fmt.Sprintf("route add default via %v", host4(h.site, lastHost)))
	}
	if family.has6() {
		lines = append(lines,
			fmt.Sprintf("addr add %v/64 dev %s nodad", host6(h.site, h.number), hostLink),
			fmt.Sprintf("route add default via %v", host6(h.site, lastHost)))
	}
	return lines
}

// addrs are the addresses of a host, the one that its client uses first.
func (n *network) addrs(h *host) []netip.Addr {
	switch n.layout.Sites[h.site-1].Family {
	case IPv4:
		return []netip.Addr{host4(h.site, h.number)}
	case IPv6:
		return []netip.Addr{host6(h.site, h.number)}
	}
	return []netip.Addr{host6(h.site, h.number), host4(h.site, h.number)}
}

// move plugs a host into another site's LAN.
func (n *network) move(h *host, site int) error {
	number := n.layout.Sites[site-1].Hosts + 1
	for _, o := range n.hosts {
		if o.site == site {
			number = max(number, o.number+1)
		}
	}
	if number > numberOf {
		return fmt.Errorf("the LAN of site %d is full", site)
	}
	h.site, h.number, h.bridge = site, number, lanBridge(site)
	port := h.port
	if h.relay != nil {
		port = tapName(port)
	}
	if err := ip("link set " + port + " master " + h.bridge); err != nil {
		return err
	}
	return h.do(func() error {
		if err := quiet(n.layout.Sites[site-1].Family); err != nil {
			return err
		}
		return ip(append([]string{"addr flush dev " + hostLink + " scope global"}, n.settle(h)...)...)
	})
}

// impair sets what is wrong with the link, as far as a relay does it.
func (l *link) impair(set func(*relay)) (err error) {
	if l.relay == nil {
		if l.relay, err = newRelay(l.port, l.bridge); err != nil {
			return err
		}
	}
	set(l.relay)
	return nil
}

// heal makes a link as it was.
func (l *link) heal() error {
	l.cut = false
	if l.relay == nil {
		return nil
	}
	r := l.relay
	l.relay = nil
	return r.remove(l.port, l.bridge)
}
