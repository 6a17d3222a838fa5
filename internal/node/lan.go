package node

import (
	"hash/fnv"
	"net/netip"

	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// A LAN is known to its clients by a name only (docs/protocol.md §3.4), which
// every client of the installation can work out: who says it at the door need not
// belong there. So a client finds the network that its LAN is named for, if it
// lies in that itself, and has no neighbours from elsewhere, unless the server
// names one: then the LAN is several networks, and it cannot tell.

const (
	usualIPv4 = 24 // the server's default masks: what is looked at first
	usualIPv6 = 64
)

// network is the length of the prefix of a client's own address after which its
// LAN is named, plus 1; 0: it is not named after any.
func network(own netip.Addr, lan uint64) uint8 {
	own = own.Unmap().WithZone("")
	usual := usualIPv4
	if own.Is6() {
		usual = usualIPv6
	}
	if nameOf(own, usual) == lan {
		return uint8(usual) + 1
	}
	for bits := range own.BitLen() + 1 {
		if nameOf(own, bits) == lan {
			return uint8(bits) + 1
		}
	}
	return 0
}

// nameOf is the name of the LAN that is an address' network of so many bits.
func nameOf(a netip.Addr, bits int) uint64 {
	h := fnv.New64a()
	h.Write(netip.PrefixFrom(a, bits).Masked().AppendTo(nil))
	return max(h.Sum64(), 1)
}

// bound notes how far the LAN reaches, by its name and by whom the server names.
func (n *Node) bound(m wire.Registered) {
	if n.reg.lan != m.LAN {
		n.reg.network = network(n.place().Addr.Addr(), m.LAN)
	}
	n.reg.lan = m.LAN
	for _, list := range [][]endpoint.Place{m.Back, m.Fore, m.Across} {
		for _, p := range list {
			n.named(p)
		}
	}
}

// named takes note of a client that the server names.
func (n *Node) named(p endpoint.Place) {
	if n.outside(p) {
		n.reg.network = 0
	}
}

// outside reports whether a place cannot be in the node's LAN.
func (n *Node) outside(p endpoint.Place) bool {
	own := n.place().Addr.Addr().Unmap().WithZone("")
	return n.reg.network > 0 && !netip.PrefixFrom(own, int(n.reg.network)-1).Contains(p.Addr.Addr().Unmap())
}
