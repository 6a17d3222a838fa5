package boundary

import (
	"fmt"
	"net/netip"
	"slices"
)

// A Mask says how far a LAN reaches where no subnet says otherwise.
type Mask struct {
	// IPv4 and IPv6 are bits of the network's address; 0: clients of that
	// family have no peers.
	IPv4, IPv6 int
	// CarrierNAT lets clients in 100.64.0.0/10 have peers like any others.
	// Behind a carrier's translator, neighbours by address are strangers.
	CarrierNAT bool
}

// DefaultMask is a /24 and a /64.
var DefaultMask = Mask{IPv4: 24, IPv6: 64}

// Check says what is wrong with a mask.
func (m Mask) Check() error {
	if m.IPv4 != 0 && (m.IPv4 < leastBits4 || m.IPv4 > 32) {
		return fmt.Errorf("IPv4 mask of %d bits: %d to 32, or 0 for no peers", m.IPv4, leastBits4)
	}
	if m.IPv6 != 0 && (m.IPv6 < leastBits6 || m.IPv6 > 128) {
		return fmt.Errorf("IPv6 mask of %d bits: %d to 128, or 0 for no peers", m.IPv6, leastBits6)
	}
	return nil
}

var (
	// carrierNAT is the space that carriers use between their customers and
	// their translators (RFC 6598).
	carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

	// Default is what holds before an operator has said anything.
	Default = mustNew(DefaultMask)
)

// Boundaries are the rules by which clients are placed. They never change; the
// zero Boundaries leave everybody alone.
type Boundaries struct {
	mask     Mask
	isolated index
	joined   index // separated and intentional networks
}

// New returns the boundaries that the mask and the subnets make.
func New(m Mask, subnets []Subnet) (Boundaries, error) {
	if err := m.Check(); err != nil {
		return Boundaries{}, err
	}
	if err := Check(subnets); err != nil {
		return Boundaries{}, err
	}
	b := Boundaries{mask: m}
	// A neighbourhood is known by the first network that was said of it, so that
	// it stays the same LAN when others are added.
	first := map[string]netip.Prefix{}
	for _, s := range subnets {
		lan := s.Networks[0]
		if s.Neighborhood != "" {
			if known, ok := first[s.Neighborhood]; ok {
				lan = known
			}
			first[s.Neighborhood] = lan
		}
		for _, p := range s.Networks {
			if s.Kind == Isolated {
				b.isolated.add(p, rule{p, Isolated})
			} else {
				b.joined.add(p, rule{lan, s.Kind})
			}
		}
	}
	return b, nil
}

func mustNew(m Mask) Boundaries {
	b, err := New(m, nil)
	if err != nil {
		panic("boundary: " + err.Error())
	}
	return b
}

// Mask returns the mask that the boundaries were made with.
func (b Boundaries) Mask() Mask { return b.mask }

// A Reason says by which rule a client was placed.
type Reason uint8

const (
	ByMask        Reason = iota // nothing else was said of its address
	BySeparated                 // a separated subnet
	ByIntentional               // an intentional subnet
	ByIsolated                  // an isolated subnet
	ByTranslation               // it is seen elsewhere than it says: behind NAT, or a VPN
	ByCarrierNAT                // behind a carrier's translator
	ByLinkLocal                 // an address that means something else on each machine
	ByOneAddress                // the mask, or a separated subnet, leaves room for one address
)

func (r Reason) String() string {
	return [...]string{
		"address mask", "separated subnet", "intentional subnet", "isolated subnet", "address translation",
		"carrier-grade NAT", "link-local address", "network of one address",
	}[r]
}

// An Area is where a client belongs.
type Area struct {
	LAN    netip.Prefix // names the LAN; for who is alone, its address
	Alone  bool         // no peers
	Reason Reason
}

// Find places a client by the address at which the server sees it and the one
// that it reports. A place in a chain is always the reported one: peers of an
// intentional subnet dial each other behind the translator, and everywhere
// else the two are the same.
func (b Boundaries) Find(observed, reported netip.Addr) Area {
	observed, reported = bare(observed), bare(reported)
	single := netip.PrefixFrom(observed, observed.BitLen())
	alone := func(why Reason) Area { return Area{single, true, why} }
	if b.isolated.has(observed) || b.isolated.has(reported) {
		return alone(ByIsolated)
	}
	said, ok := b.joined.longest(observed)
	switch {
	case ok && said.kind == Intentional:
		return Area{said.lan, !dialable(reported) || reported.IsLoopback() && !observed.IsLoopback(), ByIntentional}
	case observed != reported:
		return alone(ByTranslation)
	case !dialable(observed):
		return alone(ByLinkLocal)
	case ok && said.lan.IsSingleIP():
		return alone(ByOneAddress)
	case ok:
		return Area{said.lan, false, BySeparated}
	case carrierNAT.Contains(observed) && !b.mask.CarrierNAT:
		return alone(ByCarrierNAT)
	}
	bits := b.mask.IPv6
	if observed.Is4() {
		bits = b.mask.IPv4
	}
	if bits == 0 || bits == observed.BitLen() {
		return alone(ByOneAddress)
	}
	p, err := observed.Prefix(bits)
	if err != nil {
		panic("boundary: " + err.Error()) // New has checked the mask
	}
	return Area{p, false, ByMask}
}

// LAN is where a client belongs that the server sees where it says to be.
func (b Boundaries) LAN(a netip.Addr) netip.Prefix { return b.Find(a, a).LAN }

// bare is an address in its one form: IPv4 never as IPv6, and without a zone,
// which means something on one machine only.
func bare(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// dialable reports whether a neighbour can dial the address. One that is valid
// on one link only would need the name of an interface, which differs from
// machine to machine.
func dialable(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// A rule is what was said of a network.
type rule struct {
	lan  netip.Prefix
	kind Kind
}

// An index finds the networks that an address lies in.
type index struct {
	at   map[netip.Prefix]rule
	bits [2][]int // lengths that occur, longest first; IPv4 and IPv6
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

func (x *index) add(p netip.Prefix, r rule) {
	if x.at == nil {
		x.at = map[netip.Prefix]rule{}
	}
	x.at[p] = r
	list := &x.bits[family(p.Addr())]
	if i, ok := slices.BinarySearchFunc(*list, p.Bits(), func(a, b int) int { return b - a }); !ok {
		*list = slices.Insert(*list, i, p.Bits())
	}
}

// longest returns what is said of the smallest network around the address.
func (x *index) longest(a netip.Addr) (rule, bool) { return x.around(a, a.BitLen()) }

func (x *index) has(a netip.Addr) bool {
	_, ok := x.longest(a)
	return ok
}

// around returns what is said of the smallest network that has at most so many
// bits and holds the address.
func (x *index) around(a netip.Addr, most int) (rule, bool) {
	for _, bits := range x.bits[family(a)] {
		if bits > most {
			continue
		}
		p, err := a.Prefix(bits)
		if err != nil {
			panic("boundary: " + err.Error()) // the lengths are those of networks of this family
		}
		if r, ok := x.at[p]; ok {
			return r, true
		}
	}
	return rule{}, false
}
