package probe

import (
	"net/netip"
	"strings"
)

// hostsMax bounds the list of hosts, in bytes: some block a million of them.
const hostsMax = 32 << 20

// parseHosts reads a list of hosts: an address and names on each line. Each
// name gets a row.
func parseHosts(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		ip, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		for _, name := range f[1:] {
			rows = append(rows, []string{ip.WithZone("").String(), name})
		}
	}
	return rows
}

// searchDomains reads the domains of a resolv.conf. The last line that names
// some counts; what it says of its own domain counts if no line names any.
func searchDomains(conf string) []string {
	var search, own []string
	for line := range strings.Lines(conf) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "search":
			search = nil
			for _, domain := range f[1:] {
				if domain != "." {
					search = append(search, strings.TrimSuffix(domain, "."))
				}
			}
		case "domain":
			own = []string{strings.TrimSuffix(f[1], ".")}
		}
	}
	if search == nil {
		return own
	}
	return search
}
