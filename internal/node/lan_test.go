package node

import (
	"net/netip"
	"slices"
	"testing"

	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// TestNetwork: a client finds the network that its LAN is named for.
func TestNetwork(t *testing.T) {
	for _, tt := range []struct {
		own, lan string
		want     uint8
	}{
		{"10.1.7.4", "10.1.7.0/24", 25},
		{"10.1.7.4", "10.1.0.0/16", 17},
		{"10.1.7.4", "10.1.7.4/32", 33},
		{"10.1.7.4", "0.0.0.0/0", 1},
		{"::ffff:10.1.7.4", "10.1.7.0/24", 25},
		{"10.1.7.4", "10.1.8.0/24", 0}, // the first network of a neighbourhood
		{"10.1.7.4", "192.0.2.1/32", 0},
		{"2001:db8:0:7::4", "2001:db8:0:7::/64", 65},
		{"2001:db8:0:7::4", "2001:db8::/32", 33},
		{"2001:db8:0:7::4", "2001:db8:0:8::/64", 0},
	} {
		lan := netip.MustParsePrefix(tt.lan)
		if got := network(netip.MustParseAddr(tt.own), nameOf(lan.Addr(), lan.Bits())); got != tt.want {
			t.Errorf("%s in %s: %d, want %d", tt.own, tt.lan, got, tt.want)
		}
	}
	// docs/protocol.md §3.4; package roster names LANs likewise.
	if got := nameOf(netip.MustParseAddr("10.1.7.0"), 24); got != 0x2b7fee3fca5e2557 {
		t.Errorf("10.1.7.0/24 is called %#x", got)
	}
}

// TestFromElsewhere: who knows the name of a LAN does not stand in it for that.
func TestFromElsewhere(t *testing.T) {
	elsewhere := endpoint.Place{Addr: netip.MustParseAddrPort("10.0.1.6:17472"), ID: endpoint.ID{6}}
	for _, tt := range []struct {
		name, lan    string
		from         endpoint.Place
		listed, hint bool // the server names it
		taken        bool
	}{
		{"from the LAN", "10.0.0.0/24", place(6), false, false, true},
		{"from elsewhere", "10.0.0.0/24", elsewhere, false, false, false},
		{"in a wider LAN", "10.0.0.0/16", elsewhere, false, false, true},
		{"in a neighbourhood", "10.9.9.0/24", elsewhere, false, false, true},
		{"in the first network of one", "10.0.0.0/24", elsewhere, true, false, true},
		{"in the first network of one, by a hint", "10.0.0.0/24", elsewhere, false, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lan := netip.MustParsePrefix(tt.lan)
			r := newRig(t, 1)
			r.step(Tick{})
			m := r.reply()
			m.LAN, m.Back, m.Fore = nameOf(lan.Addr(), lan.Bits()), nil, nil
			if tt.listed {
				m.Across = []endpoint.Place{elsewhere}
			}
			lead := of[Dial](r.step(Registered{m}))[0].Conn
			if r.step(Up{Conn: lead}); tt.hint {
				r.step(Got{lead, wire.Hint{Place: elsewhere}})
			}
			knock := Knock{3, wire.Hello{Version: wire.Version, Role: wire.Ahead, Place: tt.from, LAN: m.LAN}}
			if got := len(of[Admit](r.step(knock))) == 1; got != tt.taken {
				t.Errorf("is admitted: %v", got)
			}
		})
	}
}

// TestSentElsewhere: nobody is sent out of the LAN by a peer.
func TestSentElsewhere(t *testing.T) {
	lan := netip.MustParsePrefix("10.0.0.0/24")
	for at, want := range map[string]bool{"10.0.0.9:17472": true, "10.0.1.9:17472": false} {
		r := newRig(t, 1)
		r.step(Tick{})
		m := r.reply()
		m.LAN = nameOf(lan.Addr(), lan.Bits())
		dials := of[Dial](r.step(Registered{m}))
		i := slices.IndexFunc(dials, func(d Dial) bool { return d.Peer == chain.PeerAt(place(8)) })
		nearer := endpoint.Place{Addr: netip.MustParseAddrPort(at), ID: endpoint.ID{9}}
		dials = of[Dial](r.step(Failed{Conn: dials[i].Conn, Refusal: wire.Refused{Reason: wire.Nearer, Peer: nearer}}))
		if got := slices.ContainsFunc(dials, func(d Dial) bool { return d.Peer == chain.PeerAt(nearer) }); got != want {
			t.Errorf("%s is dialled: %v", at, got)
		}
	}
}
