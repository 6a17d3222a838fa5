package lab

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"catenary/internal/fault"
)

// A socket is one end of an established TCP connection.
type socket struct{ local, remote netip.AddrPort }

// established is the state of a usable connection in the kernel's tables.
const established = "01"

// parseSockets reads what the kernel says in /proc/net/tcp or tcp6 and keeps
// the established connections.
func parseSockets(table string) ([]socket, error) {
	var all []socket
	first := true
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if first || len(f) == 0 { // the names of the columns
			first = false
			continue
		}
		if len(f) < 4 {
			return nil, fault.New(fault.Internal, "a line of the kernel's table of connections is too short: %q", line)
		}
		if f[3] != established {
			continue
		}
		local, err := parseSocketAddr(f[1])
		if err != nil {
			return nil, err
		}
		remote, err := parseSocketAddr(f[2])
		if err != nil {
			return nil, err
		}
		all = append(all, socket{local, remote})
	}
	return all, nil
}

// parseSocketAddr reads an address as the kernel writes it: each 32 bits in
// the machine's order, which is little-endian wherever a lab runs, then a
// colon and the port.
func parseSocketAddr(s string) (netip.AddrPort, error) {
	wrong := fault.New(fault.Internal, "%q is no address in the kernel's table of connections", s)
	text, portText, ok := strings.Cut(s, ":")
	b, err := hex.DecodeString(text)
	if err != nil || !ok || len(b)%4 != 0 {
		return netip.AddrPort{}, wrong
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(b)
	port, err := strconv.ParseUint(portText, 16, 16)
	if err != nil || !ok {
		return netip.AddrPort{}, wrong
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(port)), nil
}

// A sight is what one kernel sees of a host's connections.
type sight struct {
	Name    string
	Site    int
	Addr    netip.Addr // where its peers dial it
	Sockets []socket
}

// A Chain is hosts that are linked to one another, in the order of their
// addresses.
type Chain struct {
	Site    int      `json:"site"`
	Hosts   []string `json:"hosts"`
	Lead    []string `json:"leaders"`           // of them, those with a connection to the server
	Whole   bool     `json:"whole"`             // each is linked to the next and nobody else, and the ends lead
	Tangles []string `json:"tangles,omitempty"` // what is wrong otherwise
}

// chains finds out from what the kernels see which hosts are linked. A link
// counts when both ends hold it: a host that has lost its power holds none.
func chains(hosts []sight) []Chain {
	slices.SortFunc(hosts, func(a, b sight) int {
		if a.Site != b.Site {
			return a.Site - b.Site
		}
		return a.Addr.Compare(b.Addr)
	})
	at := map[netip.Addr]int{}
	held := map[socket]bool{}
	for i, h := range hosts {
		at[h.Addr] = i
		for _, s := range h.Sockets {
			held[s] = true
		}
	}
	linked := make([]map[int]bool, len(hosts))
	leads := make([]bool, len(hosts))
	for i, h := range hosts {
		linked[i] = map[int]bool{}
		for _, s := range h.Sockets {
			peer, known := at[s.remote.Addr()]
			switch {
			case isServer(s.remote):
				leads[i] = true
			case known && peer != i && held[socket{s.remote, s.local}]:
				linked[i][peer] = true
			}
		}
	}
	return components(hosts, linked, leads)
}

func isServer(a netip.AddrPort) bool {
	return a.Port() == clientPort && (a.Addr() == wan4(lastHost) || a.Addr() == wan6(lastHost))
}

func components(hosts []sight, linked []map[int]bool, leads []bool) []Chain {
	var all []Chain
	seen := make([]bool, len(hosts))
	for i := range hosts {
		if seen[i] {
			continue
		}
		var members []int
		next := []int{i}
		seen[i] = true
		for len(next) > 0 {
			h := next[0]
			next = next[1:]
			members = append(members, h)
			for p := range linked[h] {
				if !seen[p] {
					seen[p] = true
					next = append(next, p)
				}
			}
		}
		slices.Sort(members)
		all = append(all, describe(hosts, members, linked, leads))
	}
	return all
}

// describe says how the members of a chain stand, and what is wrong with it.
func describe(hosts []sight, members []int, linked []map[int]bool, leads []bool) Chain {
	c := Chain{Site: hosts[members[0]].Site}
	wrong := func(text string) { c.Tangles = append(c.Tangles, text) }
	for i, m := range members {
		name := hosts[m].Name
		c.Hosts = append(c.Hosts, name)
		end := i == 0 || i == len(members)-1
		if leads[m] {
			c.Lead = append(c.Lead, name)
		}
		switch {
		case leads[m] && !end:
			wrong(name + " holds the server in the middle")
		case !leads[m] && end:
			wrong(name + " does not hold the server")
		}
		if i < len(members)-1 && !linked[m][members[i+1]] {
			wrong(name + " is not linked to " + hosts[members[i+1]].Name)
		}
		for j, p := range members {
			if j > i+1 && linked[m][p] {
				wrong(name + " is linked to " + hosts[p].Name)
			}
		}
	}
	c.Whole = len(c.Tangles) == 0
	return c
}

// shown is how many hosts of a chain are written out.
const shown = 8

// String draws a chain in one line.
func (c Chain) String() string {
	names := c.Hosts
	if len(names) > shown+1 {
		half := shown / 2
		names = append(append(append([]string(nil), names[:half]...), fmt.Sprintf("… %d more …", len(c.Hosts)-shown)), c.Hosts[len(c.Hosts)-half:]...)
	}
	text := fmt.Sprintf("s%d  server ─ %s ─ server", c.Site, strings.Join(names, " ─ "))
	if !c.Whole {
		text = fmt.Sprintf("s%d  %s: %s", c.Site, strings.Join(names, ", "), strings.Join(c.Tangles, "; "))
	}
	return text
}
