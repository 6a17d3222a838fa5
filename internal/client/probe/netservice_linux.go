package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"catenary/internal/fault"
)

// unixSockets reads /proc/net/unix: address, count, protocol, flags, type,
// state, inode, name.
func (p *Probe) unixSockets(ctx context.Context) ([][]string, error) {
	text, err := p.root.text("proc/net/unix")
	if err != nil {
		return nil, err
	}
	owners, err := p.socketOwners(ctx)
	var rows [][]string
	for _, s := range parseUnixSockets(text) {
		rows = append(rows, []string{owners[s.inode].name, s.kind, s.name})
	}
	return uniqueRows(rows), err
}

type unixSocket struct {
	inode      uint64
	kind, name string
}

// parseUnixSockets returns the sockets with a name that wait for others: those
// that take connections, and those for datagrams that are not connected.
func parseUnixSockets(text string) []unixSocket {
	const listening, unconnected = 0x10000, "01"
	kinds := map[string]string{"0001": "Stream", "0002": "Datagram", "0005": "Packet"}
	var all []unixSocket
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		flags, err := strconv.ParseUint(f[3], 16, 32)
		inode, err2 := strconv.ParseUint(f[6], 10, 64)
		waits := flags&listening != 0 || f[4] == "0002" && f[5] == unconnected
		if err == nil && err2 == nil && waits && kinds[f[4]] != "" {
			all = append(all, unixSocket{inode, kinds[f[4]], strings.Join(f[7:], " ")})
		}
	}
	return all
}

// packetSockets reads /proc/net/packet: address, count, type, protocol,
// adapter, running, memory, user, inode.
func (p *Probe) packetSockets(ctx context.Context) ([][]string, error) {
	text, err := p.root.text("proc/net/packet")
	if err != nil {
		return nil, err
	}
	owners, err := p.socketOwners(ctx)
	if err != nil {
		return nil, err
	}
	names, err := adapterNames()
	var rows [][]string
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 9 {
			continue
		}
		inode, err := strconv.ParseUint(f[8], 10, 64)
		if err != nil { // the heading
			continue
		}
		adapter := "Any"
		if n, err := strconv.Atoi(f[4]); err == nil && n != 0 {
			adapter = names[n]
		}
		rows = append(rows, []string{owners[inode].name, f[3], adapter})
	}
	return uniqueRows(rows), err
}

// dhcpLeases reads the books of the usual DHCP clients.
func dhcpLeases(_ context.Context, at tree) ([][]string, error) {
	names, err := adapterNames()
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, pattern := range []string{
		"/var/lib/dhcp/dhclient*.leases", "/var/lib/dhclient/dhclient*.lease*", "/var/lib/NetworkManager/*.lease", "/run/systemd/netif/leases/*",
	} {
		files, err := at.glob(pattern)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			text, err := at.text(file)
			if err != nil {
				return nil, err
			}
			if strings.Contains(text, "lease {") {
				rows = append(rows, parseLeases(text)...)
				continue
			}
			f := assignments(text)
			adapter := path.Base(file)
			if n, err := strconv.Atoi(adapter); err == nil { // systemd's are called by the adapter's number
				adapter = names[n]
			} else if i := strings.LastIndexByte(adapter, '-'); i >= 0 { // NetworkManager's: internal-UUID-eth0.lease
				adapter = strings.TrimSuffix(adapter[i+1:], ".lease")
			}
			if f["ADDRESS"] != "" {
				rows = append(rows, []string{adapter, f["ADDRESS"], f["SERVER_ADDRESS"], ""})
			}
		}
	}
	return uniqueRows(rows), nil
}

// parseLeases reads the book of dhclient (dhclient.leases(5)), in which the
// last lease of an adapter counts.
func parseLeases(text string) [][]string {
	last := map[string][]string{}
	var row []string
	for line := range strings.Lines(text) {
		f := strings.Fields(strings.TrimRight(strings.TrimSpace(line), ";"))
		switch {
		case len(f) == 2 && f[0] == "lease" && f[1] == "{":
			row = []string{"", "", "", ""}
		case row == nil || len(f) == 0:
		case f[0] == "}":
			if row[0] != "" && row[1] != "" {
				last[row[0]] = row
			}
			row = nil
		case len(f) == 2 && f[0] == "interface":
			row[0] = unquote(f[1])
		case len(f) == 2 && f[0] == "fixed-address":
			row[1] = addressOrNothing(f[1])
		case len(f) == 3 && f[0] == "option" && f[1] == "dhcp-server-identifier":
			row[2] = addressOrNothing(f[2])
		case len(f) == 4 && f[0] == "expire": // a day of the week before the date
			if t, err := time.Parse("2006/01/02 15:04:05", f[2]+" "+f[3]); err == nil {
				row[3] = date(t)
			}
		}
	}
	var rows [][]string
	for _, r := range last {
		rows = append(rows, r)
	}
	return uniqueRows(rows)
}

func addressOrNothing(s string) string {
	if _, err := netip.ParseAddr(s); err != nil {
		return ""
	}
	return s
}

// proxySettings reads where a system's settings name proxies.
func proxySettings(_ context.Context, at tree) ([][]string, error) {
	var rows [][]string
	note := func(key, v, file string) {
		if v = withoutUser(v); v != "" {
			rows = append(rows, []string{key, v, file})
		}
	}
	for _, file := range []string{"/etc/environment", "/etc/sysconfig/proxy", "/etc/yum.conf", "/etc/dnf/dnf.conf", "/etc/wgetrc"} {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for _, s := range iniSettings(text) {
			if key := strings.ToLower(s.key); key == "proxy" || strings.HasSuffix(key, "_proxy") {
				note(s.key, s.value, file)
			}
		}
	}
	files, err := at.glob("/etc/apt/apt.conf.d/*")
	if err != nil {
		return nil, err
	}
	for _, file := range append(files, "/etc/apt/apt.conf") {
		text, err := at.text(file)
		if passedOver(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, s := range aptSettings(text) {
			if key := strings.ToLower(s[0]); strings.HasSuffix(key, "::proxy") {
				note(s[0], s[1], file)
			}
		}
	}
	return rows, nil
}

// sharedFolders reads exports(5), a folder and to whom it is offered on each
// line, and the sections of smb.conf(5) that name a folder.
func sharedFolders(_ context.Context, at tree) ([][]string, error) {
	files, err := at.glob("/etc/exports.d/*.exports")
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range append(files, "/etc/exports") {
		text, err := at.text(file)
		if err != nil {
			return nil, err
		}
		for _, line := range logicalLines(text) {
			line, _, _ = strings.Cut(line, "#")
			folder, to := firstWord(strings.TrimSpace(line))
			if folder = unescape(unquote(folder)); folder != "" {
				rows = append(rows, []string{folder, folder, "NFS", strings.Join(strings.Fields(to), " ")})
			}
		}
	}
	text, err := at.text("etc/samba/smb.conf")
	all := iniSettings(text)
	for _, s := range all {
		if strings.EqualFold(s.key, "path") && !strings.EqualFold(s.section, "global") {
			var options []string
			for _, o := range all {
				if o.section == s.section && slices.Contains([]string{"read only", "writable", "writeable", "guest ok", "public", "valid users"}, strings.ToLower(o.key)) {
					options = append(options, strings.ToLower(o.key)+" = "+o.value)
				}
			}
			rows = append(rows, []string{s.section, s.value, "SMB", strings.Join(options, ", ")})
		}
	}
	return rows, err
}

// Numbers of the packet filter's messages and attributes (linux/netfilter).
const (
	filterMessages = 10 << 8 // the part of netfilter that nftables is
	getChains      = filterMessages | 4
	getRules       = filterMessages | 7
	filterHead     = 4 // bytes: family, version, two of no meaning here

	chainTable, chainName, chainHook, chainPolicy = 1, 3, 4, 5
	hookNumber                                    = 1
	ruleTable, ruleChain                          = 1, 2
)

var filterFamilies = map[byte]string{1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}

// filterHooks are where packets pass by, by their numbers in most families.
var filterHooks = []string{"prerouting", "input", "forward", "output", "postrouting", "ingress"}

// A filterChain is one of the packet filter's.
type filterChain struct {
	family, table, name, hook, policy string
	rules                             int
}

// filterChains asks the kernel for the chains of nftables, which iptables uses
// nowadays too, and counts their rules.
func filterChains() ([]filterChain, error) {
	ask := func(kind uint16) ([]netlinkMessage, error) {
		return netlinkAsk(unix.NETLINK_NETFILTER, kind, unix.NLM_F_DUMP, make([]byte, filterHead))
	}
	chains, err := ask(getChains)
	if err != nil {
		return nil, err
	}
	rules, err := ask(getRules)
	if err != nil {
		return nil, err
	}
	counts := map[[3]string]int{}
	for _, m := range rules {
		if len(m.body) >= filterHead {
			attributes := m.body[filterHead:]
			counts[[3]string{
				filterFamilies[m.body[0]], fixedText(netlinkAttribute(attributes, ruleTable)), fixedText(netlinkAttribute(attributes, ruleChain)),
			}]++
		}
	}
	var all []filterChain
	for _, m := range chains {
		if c, ok := parseChain(m.body); ok {
			c.rules = counts[[3]string{c.family, c.table, c.name}]
			all = append(all, c)
		}
	}
	return all, nil
}

func parseChain(b []byte) (filterChain, bool) {
	if len(b) < filterHead {
		return filterChain{}, false
	}
	attributes := b[filterHead:]
	c := filterChain{
		family: filterFamilies[b[0]], table: fixedText(netlinkAttribute(attributes, chainTable)), name: fixedText(netlinkAttribute(attributes, chainName)),
	}
	if hook := netlinkAttribute(netlinkAttribute(attributes, chainHook), hookNumber); len(hook) == 4 {
		c.hook = hookName(c.family, binary.BigEndian.Uint32(hook))
	}
	if policy := netlinkAttribute(attributes, chainPolicy); len(policy) == 4 {
		c.policy = "drop"
		if binary.BigEndian.Uint32(policy) == 1 {
			c.policy = "accept"
		}
	}
	return c, c.name != ""
}

func hookName(family string, number uint32) string {
	names := filterHooks
	switch family {
	case "netdev":
		names = []string{"ingress", "egress"}
	case "arp":
		names = []string{"input", "output", "forward"}
	}
	if uint64(number) < uint64(len(names)) {
		return names[number]
	}
	return "hook " + strconv.FormatUint(uint64(number), 10)
}

func firewallChains(context.Context) ([][]string, error) {
	all, err := filterChains()
	var rows [][]string
	for _, c := range all {
		rows = append(rows, []string{c.family, c.table, c.name, c.hook, c.policy, strconv.Itoa(c.rules)})
	}
	return uniqueRows(rows), err
}

// firewallState says of the kernel's filter that it is on if a chain where
// packets pass by has rules or drops what no rule lets through.
func firewallState(_ context.Context, at tree) ([][]string, error) {
	chains, err := filterChains()
	switch {
	case fault.KindOf(err) == fault.NotFound:
		chains = nil // the kernel has no nftables
	case err != nil:
		return nil, err
	}
	on := slices.ContainsFunc(chains, func(c filterChain) bool { return c.hook != "" && (c.rules > 0 || c.policy == "drop") })
	rows := [][]string{{"nftables", onOff(on)}}
	for _, file := range []string{"proc/net/ip_tables_names", "proc/net/ip6_tables_names"} {
		tables, err := at.text(file)
		if err != nil && !errors.Is(err, unix.EACCES) {
			return nil, err
		}
		if strings.TrimSpace(tables) != "" {
			rows = append(rows, []string{"iptables of old", onOff(true)})
		}
	}
	text, err := at.text("etc/ufw/ufw.conf")
	if v, ok := assignments(text)["ENABLED"]; ok {
		rows = append(rows, []string{"ufw", onOff(strings.EqualFold(v, "yes"))})
	}
	if at.has("etc/firewalld/firewalld.conf") {
		rows = append(rows, []string{"firewalld", onOff(at.has("sys/fs/cgroup/system.slice/firewalld.service"))})
	}
	return uniqueRows(rows), err
}

func onOff(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}
