package probe

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func (p *Probe) linuxNetworkFacts() map[string]fact {
	return map[string]fact{
		"Routes":               table(routes),
		"ARP Cache":            table(neighbours),
		"IP Forwarding":        p.tableIn(ipForwarding),
		"Adapter Speed":        p.tableIn(adapterSpeed),
		"Network Drivers":      p.tableIn(networkDrivers),
		"Virtual Adapters":     table(virtualAdapters),
		"Wireless Adapters":    p.tableIn(wirelessAdapters),
		"Bonds":                p.tableIn(bonds),
		"VLANs":                p.tableIn(vlans),
		"Promiscuous Adapters": list(promiscuousAdapters),
		"Multicast Groups":     p.tableIn(multicastGroups),
		"Network Counters":     p.tableIn(networkCounters),
		"Unix Sockets":         table(p.unixSockets),
		"Packet Sockets":       table(p.packetSockets),
		"Network Namespaces":   p.listIn(func(_ context.Context, at tree) ([]string, error) { return at.names("run/netns") }),
		"DHCP Leases":          p.tableIn(dhcpLeases),
		"Proxy Settings":       p.tableIn(proxySettings),
		"Shared Folders":       p.tableIn(sharedFolders),
		"Firewall State":       p.tableIn(firewallState),
		"Firewall Chains":      table(firewallChains),
	}
}

// adapterNames are the names of the network adapters by their numbers.
func adapterNames() (map[int]string, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("the network adapters: %w", err)
	}
	names := map[int]string{}
	for _, a := range all {
		names[a.Index] = a.Name
	}
	return names, nil
}

// Sizes of the fixed parts of routing messages, in bytes.
const (
	routeHead     = unix.SizeofRtMsg
	neighbourHead = 12
	linkHead      = unix.SizeofIfInfomsg
)

func routes(context.Context) ([][]string, error) {
	names, err := adapterNames()
	if err != nil {
		return nil, err
	}
	messages, err := netlinkAsk(unix.NETLINK_ROUTE, unix.RTM_GETROUTE, unix.NLM_F_DUMP, make([]byte, routeHead))
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, m := range messages {
		if row := parseRoute(m.body, names); row != nil {
			rows = append(rows, row)
		}
	}
	return uniqueRows(rows), nil
}

// parseRoute reads a route of the main table that leads to machines. A route
// with several ways is told by its first.
func parseRoute(b []byte, names map[int]string) []string {
	if len(b) < routeHead {
		return nil
	}
	family, bits, kind := b[0], int(b[1]), b[7]
	table, flags := uint32(b[4]), binary.NativeEndian.Uint32(b[8:])
	var to, by []byte
	var adapter, metric uint32
	for attribute, content := range netlinkAttributes(b[routeHead:]) {
		switch attribute {
		case unix.RTA_DST:
			to = content
		case unix.RTA_GATEWAY:
			by = content
		case unix.RTA_OIF:
			adapter = netlinkNumber(content)
		case unix.RTA_PRIORITY:
			metric = netlinkNumber(content)
		case unix.RTA_TABLE:
			table = netlinkNumber(content)
		case unix.RTA_MULTIPATH:
			if len(content) >= unix.SizeofRtNexthop {
				adapter = netlinkNumber(content[4:])
				by = netlinkAttribute(content[unix.SizeofRtNexthop:], unix.RTA_GATEWAY)
			}
		}
	}
	if table != unix.RT_TABLE_MAIN || kind != unix.RTN_UNICAST || flags&unix.RTM_F_CLONED != 0 {
		return nil
	}
	if to == nil {
		to = make([]byte, 4)
		if family == unix.AF_INET6 {
			to = make([]byte, 16)
		}
	}
	ip, ok := netip.AddrFromSlice(to)
	if !ok {
		return nil
	}
	gateway := ""
	if g, ok := netip.AddrFromSlice(by); ok {
		gateway = g.String()
	}
	return []string{netip.PrefixFrom(ip, bits).String(), gateway, names[int(adapter)], strconv.FormatUint(uint64(metric), 10)}
}

// neighbourStates are what the kernel knows of a neighbour (rtnetlink(7)).
var neighbourStates = map[uint16]string{
	1: "Incomplete", 2: "Reachable", 4: "Stale", 8: "Delay", 16: "Probe", 32: "Failed", 128: "Permanent",
}

func neighbours(context.Context) ([][]string, error) {
	names, err := adapterNames()
	if err != nil {
		return nil, err
	}
	messages, err := netlinkAsk(unix.NETLINK_ROUTE, unix.RTM_GETNEIGH, unix.NLM_F_DUMP, make([]byte, neighbourHead))
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, m := range messages {
		if row := parseNeighbour(m.body, names); row != nil {
			rows = append(rows, row)
		}
	}
	return uniqueRows(rows), nil
}

func parseNeighbour(b []byte, names map[int]string) []string {
	if len(b) < neighbourHead || b[0] != unix.AF_INET && b[0] != unix.AF_INET6 {
		return nil
	}
	state := neighbourStates[binary.NativeEndian.Uint16(b[8:])]
	ip, ok := netip.AddrFromSlice(netlinkAttribute(b[neighbourHead:], unix.NDA_DST))
	if !ok || state == "" { // what needs no address of hardware is no neighbour
		return nil
	}
	mac := net.HardwareAddr(netlinkAttribute(b[neighbourHead:], unix.NDA_LLADDR))
	return []string{ip.String(), mac.String(), names[int(netlinkNumber(b[4:]))], state}
}

// A netLink is what the kernel says of a network adapter.
type netLink struct {
	name, kind  string
	index       int
	master      uint32
	promiscuous uint32
}

func netLinks() ([]netLink, error) {
	messages, err := netlinkAsk(unix.NETLINK_ROUTE, unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, linkHead))
	if err != nil {
		return nil, err
	}
	var all []netLink
	for _, m := range messages {
		if l, ok := parseLink(m.body); ok {
			all = append(all, l)
		}
	}
	return all, nil
}

func parseLink(b []byte) (netLink, bool) {
	if len(b) < linkHead {
		return netLink{}, false
	}
	l := netLink{index: int(netlinkNumber(b[4:]))}
	for attribute, content := range netlinkAttributes(b[linkHead:]) {
		switch attribute {
		case unix.IFLA_IFNAME:
			l.name = fixedText(content)
		case unix.IFLA_MASTER:
			l.master = netlinkNumber(content)
		case unix.IFLA_PROMISCUITY:
			l.promiscuous = netlinkNumber(content)
		case unix.IFLA_LINKINFO:
			l.kind = fixedText(netlinkAttribute(content, unix.IFLA_INFO_KIND))
		}
	}
	return l, l.name != ""
}

func virtualAdapters(context.Context) ([][]string, error) {
	all, err := netLinks()
	names := map[uint32]string{}
	for _, l := range all {
		names[uint32(l.index)] = l.name
	}
	var rows [][]string
	for _, l := range all {
		if l.kind != "" {
			rows = append(rows, []string{l.name, l.kind, names[l.master]})
		}
	}
	return uniqueRows(rows), err
}

func promiscuousAdapters(context.Context) ([]string, error) {
	all, err := netLinks()
	var names []string
	for _, l := range all {
		if l.promiscuous > 0 {
			names = append(names, l.name)
		}
	}
	return names, err
}

func ipForwarding(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	for family, file := range map[string]string{"IPv4": "net/ipv4/ip_forward", "IPv6": "net/ipv6/conf/all/forwarding"} {
		s, err := at.line("proc/sys/" + file)
		if absent(err) { // the kernel has no such addresses
			continue
		}
		if err != nil {
			return nil, err
		}
		rows = append(rows, []string{family, yesNo(s != "0")})
	}
	return uniqueRows(rows), nil
}

// netFolders are the folders in which the kernel shows its network adapters.
func netFolders(at tree) ([]string, error) { return at.glob("/sys/class/net/*") }

func adapterSpeed(_ context.Context, at tree) ([][]string, error) {
	folders, err := netFolders(at)
	var rows [][]string
	for _, f := range folders {
		if speed, err := strconv.Atoi(at.attribute(f + "/speed")); err == nil && speed > 0 { // else it is not known or not connected
			rows = append(rows, []string{path.Base(f), strconv.Itoa(speed), at.attribute(f + "/duplex")})
		}
	}
	return rows, err
}

func networkDrivers(_ context.Context, at tree) ([][]string, error) {
	folders, err := netFolders(at)
	var rows [][]string
	for _, f := range folders {
		if driver := at.link(f + "/device/driver"); driver != "" {
			rows = append(rows, []string{path.Base(f), driver, at.link(f + "/device")})
		}
	}
	return rows, err
}

func wirelessAdapters(_ context.Context, at tree) ([][]string, error) {
	folders, err := netFolders(at)
	if err != nil {
		return nil, err
	}
	text, err := at.text("proc/net/wireless")
	if err != nil {
		return nil, err
	}
	signals := parseWireless(text)
	var rows [][]string
	for _, f := range folders {
		if at.has(f+"/wireless") || at.has(f+"/phy80211") {
			name := path.Base(f)
			rows = append(rows, []string{name, at.link(f + "/device/driver"), signals[name][0], signals[name][1]})
		}
	}
	return rows, nil
}

// parseWireless reads lines as "wlan0: 0000   54.  -56.  -256 …": state, quality
// of the link, its level.
func parseWireless(text string) map[string][2]string {
	signals := map[string][2]string{}
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if ok && len(f) >= 3 && !strings.Contains(name, "|") {
			signals[strings.TrimSpace(name)] = [2]string{strings.TrimSuffix(f[1], "."), strings.TrimSuffix(f[2], ".")}
		}
	}
	return signals
}

func bonds(_ context.Context, at tree) ([][]string, error) {
	names, err := at.names("proc/net/bonding")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, name := range names {
		text, err := at.text("proc/net/bonding/" + name)
		if err != nil {
			return nil, err
		}
		rows = append(rows, parseBond(name, text)...)
	}
	return rows, nil
}

// parseBond reads lines of a name and a value. What precedes the first member
// is about the bond.
func parseBond(bond, text string) [][]string {
	mode, active := "", ""
	var rows [][]string
	for line := range strings.Lines(text) {
		key, v, _ := strings.Cut(line, ":")
		switch v = strings.TrimSpace(v); strings.TrimSpace(key) {
		case "Bonding Mode":
			mode = v
		case "Currently Active Slave":
			active = v
		case "Slave Interface":
			rows = append(rows, []string{bond, mode, v, "", yesNo(v == active || active == "")})
		case "MII Status":
			if len(rows) > 0 {
				rows[len(rows)-1][3] = v
			}
		}
	}
	return rows
}

// vlans reads lines as "eth0.10 | 10 | eth0" after two of heading.
func vlans(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/net/vlan/config")
	return parseVLANs(text), err
}

func parseVLANs(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Split(line, "|")
		for i := range f {
			f[i] = strings.TrimSpace(f[i])
		}
		if len(f) == 3 && isNumber(f[1]) {
			rows = append(rows, f)
		}
	}
	return rows
}

func multicastGroups(_ context.Context, at tree) ([][]string, error) {
	v4, err := at.text("proc/net/igmp")
	if err != nil {
		return nil, err
	}
	v6, err := at.text("proc/net/igmp6")
	return uniqueRows(slices.Concat(parseIGMP(v4), parseIGMP6(v6))), err
}

// parseIGMP reads a line for each adapter, "2 eth0 : 1 V3", and indented lines
// for its groups, whose addresses are numbers of the machine's byte order.
func parseIGMP(text string) [][]string {
	adapter := ""
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if !strings.HasPrefix(line, "\t") {
			if len(f) > 1 {
				adapter = strings.TrimSuffix(f[1], ":")
			}
			continue
		}
		if len(f) == 0 || adapter == "" {
			continue
		}
		if b, err := hex.DecodeString(f[0]); err == nil && len(b) == 4 {
			var ip [4]byte
			binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(b))
			rows = append(rows, []string{adapter, netip.AddrFrom4(ip).String()})
		}
	}
	return rows
}

// parseIGMP6 reads lines of an adapter's number, its name, and the address.
func parseIGMP6(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 3 {
			continue
		}
		if b, err := hex.DecodeString(f[2]); err == nil && len(b) == 16 {
			rows = append(rows, []string{f[1], netip.AddrFrom16([16]byte(b)).String()})
		}
	}
	return rows
}

func networkCounters(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/net/snmp")
	return parseCounters(text), err
}

// parseCounters reads pairs of lines, "Tcp: ActiveOpens …" and "Tcp: 7 …".
func parseCounters(text string) [][]string {
	var rows [][]string
	var names []string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(names) != len(f) || len(f) == 0 || names[0] != f[0] {
			names = f
			continue
		}
		for i := 1; i < len(f); i++ {
			if f[i] != "0" {
				rows = append(rows, []string{strings.TrimSuffix(f[0], ":"), names[i], f[i]})
			}
		}
		names = nil
	}
	return rows
}

// networkTraffic reads /proc/net/dev: bytes, packets, errors and dropped of
// what was received, four more, and the same of what was sent.
func networkTraffic(_ context.Context, at tree) ([][]string, error) {
	text, err := at.text("proc/net/dev")
	return parseTraffic(text), err
}

func parseTraffic(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name = strings.TrimSpace(name); !ok || len(f) < 12 || name == "lo" {
			continue
		}
		var n [12]uint64
		for i := range n {
			n[i], _ = strconv.ParseUint(f[i], 10, 64) // the kernel prints numbers; anything else counts as none
		}
		rows = append(rows, []string{
			name, size(n[0]), size(n[8]), strconv.FormatUint(n[2]+n[10], 10), strconv.FormatUint(n[3]+n[11], 10),
		})
	}
	return rows
}
