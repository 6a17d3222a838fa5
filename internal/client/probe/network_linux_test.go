package probe

import (
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNetworkIsWhatToolsSay(t *testing.T) {
	busy(t)
	compareAll(t, newProbe(), []comparison{
		{"IPv4 Address", nil, nil, shell(`ip -o -4 addr show | awk '$2 != "lo" { sub("/.*", "", $4); print $4 }'`)},
		{"IPv6 Address", nil, nil, shell(`ip -o -6 addr show scope global | awk '{ sub("/.*", "", $4); print $4 }'`)},
		{"Network Addresses", nil, []int{0, 1, 2}, shell(`ip -o addr show | awk '{ split($4, a, "/"); print $2 "|" a[1] "|" a[2] }'`)},
		{"Subnets", nil, nil, python("import ipaddress, json, subprocess\nfor l in json.loads(subprocess.check_output(['ip', '-j', 'addr'])):\n for a in l['addr_info']:\n  i = ipaddress.ip_interface('%s/%d' % (a['local'], a['prefixlen']))\n  if not i.is_loopback and not i.is_link_local: print(i.network)")},
		{"Routes", nil, nil, python("import json, subprocess\nfor v, d in (('-4', '0.0.0.0/0'), ('-6', '::/0')):\n for r in json.loads(subprocess.check_output(['ip', v, '-j', 'route']) or b'[]'):\n  if r.get('type', 'unicast') != 'unicast': continue\n  to = d if r['dst'] == 'default' else r['dst'] if '/' in r['dst'] else r['dst'] + ('/32' if v == '-4' else '/128')\n  print('|'.join([to, r.get('gateway', ''), r.get('dev', ''), str(r.get('metric', 0))]))")},
		{"ARP Cache", nil, []int{0, 1, 2}, python("import json, subprocess\nfor n in json.loads(subprocess.check_output(['ip', '-j', 'neigh']) or b'[]'): print('|'.join([n['dst'], n.get('lladdr', ''), n['dev']]))")},
		{"IP Forwarding", nil, nil, shell(`for f in IPv4=net.ipv4.ip_forward IPv6=net.ipv6.conf.all.forwarding; do v=$(sysctl -n ${f#*=} 2>/dev/null) && { [ "$v" = 0 ] && echo "${f%%=*}|False" || echo "${f%%=*}|True"; }; done`)},
		{"Virtual Adapters", nil, []int{0, 1}, python("import json, subprocess\nfor l in json.loads(subprocess.check_output(['ip', '-d', '-j', 'link'])):\n k = l.get('linkinfo', {}).get('info_kind')\n if k: print(l['ifname'] + '|' + k)")},
		{"Promiscuous Adapters", nil, nil, python("import json, subprocess\nfor l in json.loads(subprocess.check_output(['ip', '-d', '-j', 'link'])):\n if l.get('promiscuity'): print(l['ifname'])")},
		{"Network Drivers", nil, []int{0, 1}, shell(`for d in /sys/class/net/*/device/driver; do [ -e "$d" ] && n=${d#/sys/class/net/} && echo "${n%%/*}|$(basename $(readlink $d))"; done; true`)},
		{"Network Traffic", nil, []int{0}, shell(`ip -o link | awk -F': ' '{ sub("@.*", "", $2); if ($2 != "lo") print $2 }'`)},
		{"Connection States", nil, nil, shell(`ss -Hta | awk '{ s = $1; if (s == "ESTAB") s = "ESTABLISHED"; gsub("-", "_", s); sub("WAIT_", "WAIT", s); if (s == "UNCONN") s = "CLOSE"; n[s]++ } END { for (s in n) print s "|" n[s] }'`)},
		{"Network Counters", nil, []int{1}, shell(`awk '$1 == last { for (i = 2; i <= NF; i++) if ($i != 0) print name[i]; last = ""; next } { last = $1; for (i = 2; i <= NF; i++) name[i] = $i }' /proc/net/snmp`)},
		{"Multicast Groups", nil, nil, shell(`ip maddr show | awk '/^[0-9]+:/ { n = $2 } $1 == "inet" || $1 == "inet6" { print n "|" $2 }'`)},
		{"Network Namespaces", nil, nil, shell(`ip netns list | awk '{ print $1 }'`)},
		{"Hosts File", nil, nil, shell(`awk '{ sub("#.*", ""); for (i = 2; i <= NF; i++) print $1 "|" $i }' /etc/hosts`)},
		{"Listening Port Details", nil, []int{4, 5, 6}, shell(`ss -Htuln | awk '{ n = match($5, /:[0-9]+$/); a = substr($5, 1, n - 1); gsub(/[][]/, "", a); sub("%.*", "", a); if (a == "*") a = "::"; print toupper($1) "|" a "|" substr($5, n + 1) }'`)},
	})
}

func TestOwnersOfSockets(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(t.TempDir(), "sock")
	u, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	self := filepath.Base(exe)
	_, port, _ := strings.Cut(l.Addr().String(), ":")
	user := tool(t, "id", "-un")[0]
	pid := tool(t, "sh", "-c", "echo $PPID")[0]
	want := strings.Join([]string{self, pid, user, exe, "TCP", "127.0.0.1", port}, "|")
	if got := says(t, newProbe(), "Listening Port Details"); !slices.Contains(got, want) {
		t.Errorf("%s is not among %q", want, got)
	}
	if got := says(t, newProbe(), "Unix Sockets"); !slices.Contains(got, self+"|Stream|"+path) {
		t.Errorf("%s is not among %q", path, got)
	}
	named := func(s string) string { return s[strings.LastIndexByte(s, '|')+1:] }
	sameEventually(t, "Unix Sockets", func() []string {
		var names []string
		for _, line := range says(t, newProbe(), "Unix Sockets") {
			if !strings.Contains(line, "|Datagram|") {
				names = append(names, named(line))
			}
		}
		return names
	}, func() []string { return tool(t, "sh", "-c", `ss -Hxl | awk '$1 != "u_dgr" && $5 != "*" { print $5 }'`) })
}

func TestPacketSockets(t *testing.T) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0x0300)
	if err != nil {
		t.Skipf("we may not open such sockets: %v", err)
	}
	defer unix.Close(fd)
	if got := says(t, newProbe(), "Packet Sockets"); !slices.Contains(got, filepath.Base(os.Args[0])+"|0003|Any") {
		t.Errorf("our socket is not among %q; ss says %q", got, tool(t, "ss", "-H0"))
	}
}

// apart runs a test in another process, in a network namespace of its own, and
// reports whether this is that process.
func apart(t *testing.T) bool {
	t.Helper()
	const mark = "CATENARY_TEST_APART"
	if os.Getenv(mark) != "" {
		return true
	}
	if out, err := exec.Command("unshare", "--net", "true").CombinedOutput(); err != nil {
		t.Skipf("we may not make network namespaces: %s", out)
	}
	cmd := exec.Command("unshare", "--net", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), mark+"=1", "GOCOVERDIR=")
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil || !strings.Contains(string(out), "--- "):
		t.Errorf("in a network namespace of its own: %v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("in a network namespace of its own: %s", out)
	}
	return false
}

// TestFirewallIsWhatNftSays makes rules in a network namespace of its own and
// looks at them from there.
func TestFirewallIsWhatNftSays(t *testing.T) {
	if !apart(t) {
		return
	}
	nft := func(rules string) {
		t.Helper()
		cmd := exec.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if out, err := exec.Command("nft", "list", "ruleset").CombinedOutput(); err != nil {
		t.Skipf("the kernel has no nftables: %s", out)
	}
	at := tree(t.TempDir())
	state := func() string {
		rows, err := firewallState(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(rows[0], " ")
	}
	if got := state(); got != "nftables Off" {
		t.Errorf("without rules: %s", got)
	}
	nft("table inet filter {\nchain input {\ntype filter hook input priority 0; policy accept;\n}\nchain own {\ncounter\n}\n}\n")
	if got := state(); got != "nftables Off" {
		t.Errorf("rules where no packet passes by: %s", got)
	}
	nft("table inet filter {\nchain input {\ntcp dport 22 accept\nip ttl 1 drop\n}\n}\ntable ip6 odd {\nchain out {\ntype filter hook postrouting priority 100; policy drop;\n}\n}\n")
	if got := state(); got != "nftables On" {
		t.Errorf("with rules: %s", got)
	}
	rows, err := newProbe().Run(t.Context(), "Firewall Chains", nil)
	if err != nil {
		t.Fatal(err)
	}
	var ours []string
	for _, r := range rows {
		ours = append(ours, strings.Join(r, "|"))
	}
	theirs := tool(t, "python3", "-c", `
import json, subprocess
rules = json.loads(subprocess.check_output(["nft", "-j", "list", "ruleset"]))["nftables"]
n = {}
for r in rules:
    if "rule" in r: k = (r["rule"]["family"], r["rule"]["table"], r["rule"]["chain"]); n[k] = n.get(k, 0) + 1
for r in rules:
    if "chain" in r:
        c = r["chain"]
        print("|".join([c["family"], c["table"], c["name"], c.get("hook", ""), c.get("policy", ""), str(n.get((c["family"], c["table"], c["name"]), 0))]))`)
	if ours, theirs = set(ours), set(theirs); !slices.Equal(ours, theirs) || len(ours) != 3 {
		t.Errorf("we say\n%q\nnft says\n%q", ours, theirs)
	}
}

// TestLinksAreWhatIPSays makes adapters in a network namespace of its own.
func TestLinksAreWhatIPSays(t *testing.T) {
	if !apart(t) {
		return
	}
	if out, err := exec.Command("sh", "-ec", "ip link add a0 type veth peer name b0; ip link add br0 type bridge; ip link set a0 master br0; ip link set a0 up; ip link set b0 up; ip link set br0 up; "+
		"ip addr add 192.0.2.1/24 dev b0; ip addr add 2001:db8::1/64 dev b0 nodad; ip route add 198.51.100.0/24 via 192.0.2.9 metric 7; ip route add blackhole 203.0.113.0/24; "+
		"ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev b0 nud permanent").CombinedOutput(); err != nil {
		t.Skipf("the kernel makes no such adapters: %s", out)
	}
	rows, err := virtualAdapters(t.Context())
	if got := joined(rows); err != nil || !slices.Contains(got, "a0|veth|br0") || !slices.Contains(got, "b0|veth|") || !slices.Contains(got, "br0|bridge|") {
		t.Errorf("adapters are %q, %v", got, err)
	}
	names, err := promiscuousAdapters(t.Context())
	if err != nil || !slices.Equal(names, []string{"a0"}) { // as members of bridges are
		t.Errorf("promiscuous are %q, %v", names, err)
	}
	rows, err = routes(t.Context())
	if got := joined(rows); err != nil || !slices.Contains(got, "198.51.100.0/24|192.0.2.9|b0|7") || !slices.Contains(got, "192.0.2.0/24||b0|0") ||
		!slices.Contains(got, "2001:db8::/64||b0|256") || strings.Contains(strings.Join(got, " "), "203.0.113") {
		t.Errorf("routes are %q, %v", got, err)
	}
	rows, err = neighbours(t.Context())
	if got := joined(rows); err != nil || !slices.Contains(got, "192.0.2.9|02:00:00:00:00:09|b0|Permanent") {
		t.Errorf("neighbours are %q, %v", got, err)
	}
}

func joined(rows [][]string) []string {
	var lines []string
	for _, row := range rows {
		lines = append(lines, strings.Join(row, "|"))
	}
	return lines
}

func TestNetworkOfAMachine(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second).Add(time.Hour)
	p := probeOn(t, files{
		"sys/class/net/eth0/speed": "1000\n", "sys/class/net/eth0/duplex": "full\n", "sys/class/net/eth1/speed": "-1\n", "sys/class/net/lo/mtu": "1\n",
		"sys/class/net/wlan0/wireless/": "", "sys/class/net/wlan0/device/driver": "-> ../../../../bus/pci/drivers/iwlwifi", "sys/class/net/wlan1/phy80211/": "",
		"proc/net/wireless":      "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n wlan0: 0000   54.  -56.  -256        0      0      0      0      0        0\n",
		"proc/net/bonding/bond0": "Ethernet Channel Bonding Driver: v6.1\n\nBonding Mode: fault-tolerance (active-backup)\nCurrently Active Slave: eth0\nMII Status: up\n\nSlave Interface: eth0\nMII Status: up\n\nSlave Interface: eth1\nMII Status: down\n",
		"proc/net/vlan/config":   "VLAN Dev name    | VLAN ID\nName-Type: VLAN_NAME_TYPE_RAW_PLUS_VID_NO_PAD\neth0.10        | 10  | eth0\n",
		"proc/net/snmp":          "Ip: Forwarding DefaultTTL InReceives\nIp: 1 64 0\nTcp: RtoAlgorithm\nTcp: 1 2\nUdp: a\nUdp: 7\n",
		"proc/net/dev":           "Inter-|   Receive\n face |bytes    packets\n    lo: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n  eth0:3145728 10 2 3 0 0 0 0 1048576 9 4 5 0 0 0 0\n",
		"var/lib/dhcp/dhclient.eth0.leases": "lease {\n  interface \"eth0\";\n  fixed-address 192.0.2.50;\n  option dhcp-server-identifier 192.0.2.1;\n  expire 1 2020/01/01 00:00:00;\n}\nlease {\n  interface \"eth0\";\n  fixed-address 192.0.2.51;\n" +
			"  option dhcp-server-identifier 192.0.2.1;\n  expire 0 " + now.Format("2006/01/02 15:04:05") + ";\n}\nlease {\n  interface \"eth9\";\n",
		"var/lib/NetworkManager/internal-0af-wlan0.lease": "# x\nADDRESS=198.51.100.4\nSERVER_ADDRESS=198.51.100.1\n",
		"etc/environment":          "http_proxy=\"http://me:secret@proxy.example:3128\"\nPATH=/bin\n",
		"etc/apt/apt.conf.d/proxy": "Acquire { http { Proxy \"http://apt:3142\"; }; };\n// Acquire::ftp::Proxy \"no\";\nAcquire::https::Proxy \"DIRECT\";\n",
		"etc/exports":              "# x\n/srv/nfs 192.0.2.0/24(rw,sync) \\\n  web(ro)\n\"/srv/with space\" *(ro)\n",
		"etc/samba/smb.conf":       "[global]\n path = /no\n[docs]\n path = /srv/docs\n read only = no\n guest ok = yes\n[homes]\n browseable = no\n",
		"proc/self/mountinfo":      "",
		"run/netns/blue":           "",
	})
	saysAll(t, p, []saying{
		{"Adapter Speed", nil, []string{"eth0|1000|full"}}, {"Wireless Adapters", nil, []string{"wlan0|iwlwifi|54|-56", "wlan1|||"}},
		{"Bonds", nil, []string{"bond0|fault-tolerance (active-backup)|eth0|up|True", "bond0|fault-tolerance (active-backup)|eth1|down|False"}},
		{"VLANs", nil, []string{"eth0.10|10|eth0"}}, {"Network Counters", nil, []string{"Ip|Forwarding|1", "Ip|DefaultTTL|64", "Udp|a|7"}},
		{"Network Traffic", nil, []string{"eth0|3MB|1MB|6|8"}}, {"Network Namespaces", nil, []string{"blue"}},
		{"DHCP Leases", nil, []string{"eth0|192.0.2.51|192.0.2.1|" + date(now), "wlan0|198.51.100.4|198.51.100.1|"}},
		{"Proxy Settings", nil, []string{
			"http_proxy|http://proxy.example:3128|/etc/environment", "Acquire::http::Proxy|http://apt:3142|/etc/apt/apt.conf.d/proxy",
			"Acquire::https::Proxy|DIRECT|/etc/apt/apt.conf.d/proxy",
		}},
		{"Shared Folders", nil, []string{"/srv/nfs|/srv/nfs|NFS|192.0.2.0/24(rw,sync) web(ro)", "/srv/with space|/srv/with space|NFS|*(ro)", "docs|/srv/docs|SMB|read only = no, guest ok = yes"}},
	})
}

func TestFirewallSettings(t *testing.T) {
	p := probeOn(t, files{
		"etc/ufw/ufw.conf": "# x\nENABLED=yes\nLOGLEVEL=low\n", "etc/firewalld/firewalld.conf": "DefaultZone=public\n", "sys/fs/cgroup/system.slice/firewalld.service/": "",
		"proc/net/ip_tables_names": "filter\n",
	})
	got := says(t, p, "Firewall State")
	for _, want := range []string{"ufw|On", "firewalld|On", "iptables of old|On"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %q", want, got)
		}
	}
}

func FuzzNetlink(f *testing.F) {
	message := func(kind uint16, body ...byte) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(body)))
		b = binary.NativeEndian.AppendUint16(b, kind)
		return append(append(b, make([]byte, 10)...), body...)
	}
	f.Add(message(unix.RTM_NEWROUTE, append(make([]byte, routeHead), 8, 0, 1, 0, 10, 0, 0, 1)...))
	f.Add(append(message(3, 1, 0, 0, 0, 6, 0, 3, 0, 'a', 0, 0, 0), message(unix.NLMSG_DONE)...))
	f.Add(message(unix.NLMSG_ERROR, 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, b []byte) {
		all, _, err := netlinkMessages(b)
		if err != nil {
			return
		}
		for _, m := range all {
			for kind, content := range netlinkAttributes(m.body) {
				if kind > nestedMask || len(content) > len(b) {
					t.Fatalf("%x has the attribute %d %x", b, kind, content)
				}
			}
			if row := parseRoute(m.body, nil); row != nil && len(row) != 4 {
				t.Fatalf("%x is the route %q", b, row)
			}
			if row := parseNeighbour(m.body, nil); row != nil && len(row) != 4 {
				t.Fatalf("%x is the neighbour %q", b, row)
			}
			if l, ok := parseLink(m.body); ok && l.name == "" {
				t.Fatalf("%x is %+v", b, l)
			}
			if c, ok := parseChain(m.body); ok && c.name == "" {
				t.Fatalf("%x is %+v", b, c)
			}
			parseAudit(m)
		}
	})
}

func FuzzNetworkLists(f *testing.F) {
	f.Add("2 eth0 : 1 V3\n\t\t\t\t010000E0     1\n1 lo ff020000000000000000000000000001 1\nlease {\n interface \"a\";\n fixed-address 1.2.3.4;\n}\nIp: a b\nIp: 1 2\n")
	f.Add("ffff: 00000002 00000000 00010000 0001 01 17 /run/x\n a | 1 | b\nBonding Mode: x\nSlave Interface: y\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Count(text, "\n") + 1
		for _, rows := range [][][]string{parseIGMP(text), parseIGMP6(text), parseLeases(text), parseVLANs(text), parseBond("b", text), parseTraffic(text)} {
			if len(rows) > lines {
				t.Fatalf("%q has %d rows", text, len(rows))
			}
		}
		for _, s := range parseUnixSockets(text) {
			if s.name == "" || s.kind == "" {
				t.Fatalf("%q has %+v", text, s)
			}
		}
		for _, row := range parseCounters(text) {
			if row[2] == "0" {
				t.Fatalf("%q has %q", text, row)
			}
		}
		parseWireless(text)
		for _, s := range aptSettings(text) {
			if strings.HasPrefix(s[0], ":") {
				t.Fatalf("%q has %q", text, s)
			}
		}
	})
}
