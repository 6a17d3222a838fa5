package boundary

import (
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func network(t testing.TB, text string) netip.Prefix {
	t.Helper()
	p, err := ParseNetwork(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func networks(t testing.TB, texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, network(t, text))
	}
	return list
}

// read reads "kind: line" texts.
func read(t testing.TB, lines ...string) (list []Subnet) {
	t.Helper()
	for _, line := range lines {
		name, rest, _ := strings.Cut(line, ": ")
		kind, ok := ParseKind(name)
		if !ok {
			t.Fatalf("%q", line)
		}
		part, err := ReadFile(kind, []byte(rest))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, part...)
	}
	return list
}

func boundaries(t testing.TB, m Mask, lines ...string) Boundaries {
	t.Helper()
	b, err := New(m, read(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// office is an installation with something of everything.
var office = []string{
	"isolated: 10.8.0.0/16 VPN",
	"isolated: 10.1.2.128/26",
	"isolated: 10.5.0.0/24",
	"separated: 10.1.2.0/26 ground floor",
	"separated: 10.20.0.0/16 campus",
	"separated: 10.20.7.0/24 a building of the campus beyond a radio link",
	"separated: 10.30.0.9/32 kiosk",
	"separated: 100.64.9.0/24 overlay",
	"separated: 2001:db8:5::/48",
	"separated: fe80::/64",
	"intentional: 203.0.113.7 London",
	"intentional: 198.51.100.0/28,198.51.100.64/28 London",
	"intentional: 192.0.2.0/24",
	"intentional: 192.0.2.32/28 Paris",
	"intentional: 2001:db8:99::/48 London",
}

// A located is an address at which a client is seen, the one that it reports ("":
// the same), and where it belongs.
type located struct {
	observed, reported string
	lan                string
	alone              bool
	reason             Reason
}

// locations are clients of the office.
var locations = []located{
	// The mask.
	{"10.1.3.3", "", "10.1.3.0/24", false, ByMask},
	{"::ffff:10.1.3.3", "", "10.1.3.0/24", false, ByMask},
	{"::ffff:10.1.3.3", "10.1.3.3", "10.1.3.0/24", false, ByMask},
	{"10.1.3.3", "::ffff:10.1.3.3", "10.1.3.0/24", false, ByMask},
	{"127.10.1.4", "", "127.10.1.0/24", false, ByMask},
	{"2001:db8:1:2:3::4", "", "2001:db8:1:2::/64", false, ByMask},
	{"2001:db8:1:2:a9b4:77f0:1d5c:22e1", "", "2001:db8:1:2::/64", false, ByMask}, // a temporary address
	{"fd12:3456:789a:1::5", "", "fd12:3456:789a:1::/64", false, ByMask},

	// Separated: the subnet and nothing but the subnet, larger or smaller than
	// the mask; the smallest one counts.
	{"10.1.2.63", "", "10.1.2.0/26", false, BySeparated},
	{"10.1.2.64", "", "10.1.2.0/24", false, ByMask},
	{"10.20.1.1", "", "10.20.0.0/16", false, BySeparated},
	{"10.20.255.1", "", "10.20.0.0/16", false, BySeparated},
	{"10.20.7.1", "", "10.20.7.0/24", false, BySeparated},
	{"2001:db8:5:1::1", "", "2001:db8:5::/48", false, BySeparated},
	{"2001:db8:5:2::1", "", "2001:db8:5::/48", false, BySeparated},
	{"10.30.0.9", "", "10.30.0.9/32", true, ByOneAddress},

	// Isolated comes first, for either address.
	{"10.8.4.4", "", "10.8.4.4/32", true, ByIsolated},
	{"10.1.2.130", "", "10.1.2.130/32", true, ByIsolated},
	{"10.1.2.192", "", "10.1.2.0/24", false, ByMask},
	{"203.0.113.7", "10.8.4.4", "203.0.113.7/32", true, ByIsolated},

	// Translation.
	{"203.0.113.9", "192.168.1.5", "203.0.113.9/32", true, ByTranslation},
	{"10.20.1.1", "10.20.1.2", "10.20.1.1/32", true, ByTranslation},
	{"10.1.3.3", "2001:db8::1", "10.1.3.3/32", true, ByTranslation},
	{"2001:db8:1::1", "fd00::1", "2001:db8:1::1/128", true, ByTranslation},

	// Intentional: by the address that the server sees.
	{"203.0.113.7", "192.168.1.5", "203.0.113.7/32", false, ByIntentional},
	{"203.0.113.7", "192.168.2.9", "203.0.113.7/32", false, ByIntentional},
	{"203.0.113.7", "", "203.0.113.7/32", false, ByIntentional},
	{"198.51.100.3", "", "203.0.113.7/32", false, ByIntentional},
	{"198.51.100.70", "172.16.0.1", "203.0.113.7/32", false, ByIntentional},
	{"198.51.100.20", "", "198.51.100.0/24", false, ByMask},
	{"2001:db8:99:4::1", "", "203.0.113.7/32", false, ByIntentional},
	{"192.0.2.5", "", "192.0.2.0/24", false, ByIntentional},
	{"192.0.2.33", "10.0.0.1", "192.0.2.32/28", false, ByIntentional},
	{"203.0.113.7", "fe80::1", "203.0.113.7/32", true, ByIntentional},
	{"203.0.113.7", "127.0.0.1", "203.0.113.7/32", true, ByIntentional},
	{"203.0.113.7", "0.0.0.0", "203.0.113.7/32", true, ByIntentional},

	// Carriers' translators, unless somebody has said otherwise.
	{"100.64.0.1", "", "100.64.0.1/32", true, ByCarrierNAT},
	{"100.127.255.255", "", "100.127.255.255/32", true, ByCarrierNAT},
	{"100.128.0.1", "", "100.128.0.0/24", false, ByMask},
	{"100.64.9.3", "", "100.64.9.0/24", false, BySeparated},

	// An address of one link only cannot be dialled by name of a number.
	{"fe80::1%eth0", "fe80::1%eth0", "fe80::1/128", true, ByLinkLocal},
	{"fe80::1", "", "fe80::1/128", true, ByLinkLocal},
	{"169.254.1.1", "", "169.254.1.1/32", true, ByLinkLocal},
}

func TestFind(t *testing.T) {
	b := boundaries(t, DefaultMask, office...)
	for _, tt := range locations {
		observed, reported := netip.MustParseAddr(tt.observed), netip.MustParseAddr(tt.observed)
		if tt.reported != "" {
			reported = netip.MustParseAddr(tt.reported)
		}
		want := Area{netip.MustParsePrefix(tt.lan), tt.alone, tt.reason}
		if got := b.Find(observed, reported); got != want {
			t.Errorf("%s that says %s is in %v (alone %v, %v), want %v (alone %v, %v)",
				tt.observed, tt.reported, got.LAN, got.Alone, got.Reason, want.LAN, want.Alone, want.Reason)
		}
	}
}

func TestMask(t *testing.T) {
	for _, tt := range []struct {
		mask  Mask
		addr  string
		lan   string
		alone bool
	}{
		{DefaultMask, "10.1.2.3", "10.1.2.0/24", false},
		{Mask{IPv4: 16, IPv6: 48}, "10.1.2.3", "10.1.0.0/16", false},
		{Mask{IPv4: 16, IPv6: 48}, "2001:db8:1:2:3::4", "2001:db8:1::/48", false},
		{Mask{IPv4: 32, IPv6: 128}, "10.1.2.3", "10.1.2.3/32", true},
		{Mask{IPv4: 32, IPv6: 128}, "2001:db8::1", "2001:db8::1/128", true},
		{Mask{IPv4: 24}, "2001:db8::1", "2001:db8::1/128", true},
		{Mask{IPv4: 24}, "10.1.2.3", "10.1.2.0/24", false},
		{Mask{}, "10.1.2.3", "10.1.2.3/32", true},
		{Mask{IPv4: 24, IPv6: 64, CarrierNAT: true}, "100.64.1.1", "100.64.1.0/24", false},
	} {
		b := boundaries(t, tt.mask)
		a := netip.MustParseAddr(tt.addr)
		if got := b.Find(a, a); got.LAN.String() != tt.lan || got.Alone != tt.alone || b.Mask() != tt.mask || b.LAN(a) != got.LAN {
			t.Errorf("%s with %v: %+v, want %s, alone %v", tt.addr, tt.mask, got, tt.lan, tt.alone)
		}
	}
	for _, bad := range []Mask{{IPv4: 7}, {IPv4: 33}, {IPv4: -1}, {IPv6: 15}, {IPv6: 129}, {IPv6: -1}} {
		if _, err := New(bad, nil); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if a := netip.MustParseAddr("10.0.0.1"); !(Boundaries{}).Find(a, a).Alone {
		t.Error("without rules there are peers")
	}
}

// TestNeighborhoodKeepsItsName: a LAN of several networks stays the same when
// others are added, so that nobody in it has to move.
func TestNeighborhoodKeepsItsName(t *testing.T) {
	a := netip.MustParseAddr("203.0.113.7")
	before := boundaries(t, DefaultMask, "intentional: 203.0.113.0/28 Rome")
	after := boundaries(t, DefaultMask, "intentional: 203.0.113.0/28 Rome", "intentional: 192.0.2.0/24,10.0.0.0/16 Rome")
	if before.LAN(a) != after.LAN(a) || after.LAN(netip.MustParseAddr("10.0.3.3")) != after.LAN(a) {
		t.Errorf("%v, then %v and %v", before.LAN(a), after.LAN(a), after.LAN(netip.MustParseAddr("10.0.3.3")))
	}
}

// drawSubnets draws subnets that do not contradict each other, in a small space
// so that they nest.
func drawSubnets(t *rapid.T) []Subnet {
	var list []Subnet
	for range rapid.IntRange(0, 12).Draw(t, "subnets") {
		s := Subnet{Kind: rapid.SampledFrom(Kinds).Draw(t, "kind")}
		n := 1
		if s.Kind == Intentional {
			n = rapid.IntRange(1, 3).Draw(t, "networks")
			s.Neighborhood = rapid.SampledFrom([]string{"", "A", "B"}).Draw(t, "neighborhood")
		}
		for range n {
			s.Networks = append(s.Networks, drawNetwork(t))
		}
		if Check(append(list, s)) == nil {
			list = append(list, s)
		}
	}
	return list
}

func drawNetwork(t *rapid.T) netip.Prefix {
	p, err := drawAddr(t).Prefix(rapid.SampledFrom([]int{22, 24, 25, 26, 28, 31, 32}).Draw(t, "bits"))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func drawAddr(t *rapid.T) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(rapid.IntRange(0, 7).Draw(t, "third")), byte(rapid.IntRange(0, 255).Draw(t, "fourth"))})
}

// TestFindAgainstModel: the simplest reading of the rules gives the same.
func TestFindAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := drawSubnets(t)
		b, err := New(DefaultMask, list)
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			observed, reported := drawAddr(t), drawAddr(t)
			if rapid.Bool().Draw(t, "same") {
				reported = observed
			}
			alone, lan := model(list, observed, reported)
			got := b.Find(observed, reported)
			if got.Alone != alone || got.LAN != lan {
				t.Fatalf("%v that says %v: %+v, want %v, alone %v", observed, reported, got, lan, alone)
			}
			if !got.Alone && got.Reason != ByIntentional && !got.LAN.Contains(observed) {
				t.Fatalf("%v is in %v", observed, got.LAN)
			}
		}
	})
}

func model(list []Subnet, observed, reported netip.Addr) (alone bool, lan netip.Prefix) {
	single := netip.PrefixFrom(observed, 32)
	best, kind := netip.Prefix{}, Kind(0)
	names := map[string]netip.Prefix{}
	for _, s := range list {
		for i, p := range s.Networks {
			if s.Kind == Isolated && (p.Contains(observed) || p.Contains(reported)) {
				return true, single
			}
			if _, known := names[s.Neighborhood]; i == 0 && s.Neighborhood != "" && !known {
				names[s.Neighborhood] = p
			}
			if s.Kind != Isolated && p.Contains(observed) && (kind == 0 || p.Bits() > best.Bits()) {
				best, kind = p, s.Kind
				lan = s.Networks[0]
				if s.Neighborhood != "" {
					lan = names[s.Neighborhood]
				}
			}
		}
	}
	switch {
	case kind == Intentional:
		return false, lan
	case observed != reported:
		return true, single
	case kind == Separated:
		return lan.IsSingleIP(), lan
	}
	return false, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, observed.As4()[2], 0}), 24)
}

func BenchmarkFind(b *testing.B) {
	var list []Subnet
	for i := range SubnetsMax {
		a := netip.AddrFrom4([4]byte{10, byte(i >> 6), byte(i << 2), 0})
		list = append(list, Subnet{Kind: Kinds[i%2], Networks: []netip.Prefix{netip.PrefixFrom(a, 24+i%2)}})
	}
	bounds, err := New(DefaultMask, list)
	if err != nil {
		b.Fatal(err)
	}
	at := netip.MustParseAddr("10.77.3.200")
	for b.Loop() {
		bounds.Find(at, at)
	}
}
