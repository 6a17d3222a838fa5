package server

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// stands lets machine i register between two others; -1 is nobody, -2 the server.
func (r *room) stands(i, back, fore int, trip time.Duration, unreachable ...int) {
	r.t.Helper()
	side := func(n int) wire.Neighbour {
		switch n {
		case -1:
			return wire.Neighbour{}
		case -2:
			return wire.Neighbour{Kind: endpoint.Server}
		}
		return wire.Neighbour{Kind: endpoint.Peer, ID: machineID(n)}
	}
	r.come(i, 1, func(m *wire.Register) {
		m.Back, m.Fore, m.RoundTrip = side(back), side(fore), trip
		for _, n := range unreachable {
			m.Unreachable = append(m.Unreachable, machineID(n))
		}
	})
}

// line is the chain of five machines in the LAN 10.0.1.0/24.
func line(t *testing.T) *room {
	r := newRoom(t, 8)
	for range 2 { // so that all have been there for a while
		r.now = r.now.Add(time.Minute)
		for i := range 5 {
			r.stands(i, i-1, i+1, time.Millisecond)
		}
		r.stands(0, -2, 1, time.Millisecond)
		r.stands(4, 3, -2, 0)
	}
	r.leads(1, 0, wire.BackwardLeader)
	r.leads(2, 4, wire.ForwardLeader)
	return r
}

var sidesText = map[endpoint.Sides]string{endpoint.NoSide: "-", endpoint.BackwardSide: "b", endpoint.ForwardSide: "f", endpoint.BothSides: "bf"}

// show says of each machine on which sides it sends and receives, and how it
// stands.
func (r *room) show() string {
	var all []string
	for _, s := range r.statuses(r.now) {
		text := fmt.Sprint(s.ID[2], " ", sidesText[s.Sends()], "/", sidesText[s.Receives()], " ", s.Standing())
		if s.Gone {
			text += " gone"
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// TestStatus: what the server makes of what it hears, story by story.
func TestStatus(t *testing.T) {
	const whole = "0 f/f Leader; 1 bf/bf Normal; 2 bf/bf Normal; 3 bf/bf Normal; 4 b/b Leader"
	for _, tt := range []struct {
		name  string
		story func(r *room)
		want  string
	}{
		{"a whole chain", func(*room) {}, whole},
		{"a leader whose line has ended", func(r *room) { r.desk.Leave(1); delete(r.leaders, 1) },
			"0 f/f Normal; 1 bf/bf Normal; 2 bf/bf Normal; 3 bf/bf Normal; 4 b/b Leader"},
		{"a client that leads since its registration", func(r *room) { r.leads(3, 2, wire.BackwardLeader) },
			"0 f/f Leader; 1 bf/b Normal; 2 f/bf Leader; 3 bf/bf Normal; 4 b/b Leader"},
		{"a witness leads nothing", func(r *room) { r.leads(3, 2, wire.Witness) }, whole},
		{"found dead", func(r *room) { r.told(2, wire.Gone{Clients: []endpoint.ID{machineID(2)}}) },
			"0 f/f Leader; 1 bf/b Normal; 2 -/- (None) gone; 3 bf/f Normal; 4 b/b Leader"},
		{"and its neighbours have closed ranks", func(r *room) {
			r.told(2, wire.Gone{Clients: []endpoint.ID{machineID(2)}})
			r.stands(1, 0, 3, time.Millisecond)
			r.stands(3, 1, 4, time.Millisecond)
		}, "0 f/f Leader; 1 bf/bf Normal; 2 -/- (None) gone; 3 bf/bf Normal; 4 b/b Leader"},
		{"and it is back", func(r *room) {
			r.told(2, wire.Gone{Clients: []endpoint.ID{machineID(2)}})
			r.stands(2, -1, -1, 0)
		}, "0 f/f Leader; 1 bf/b Normal; 2 -/bf (None); 3 bf/f Normal; 4 b/b Leader"},
		{"one that is off", func(r *room) {
			for _, i := range []int{0, 1, 3, 4, 0, 1, 3, 4, 0, 1, 3, 4} {
				r.now = r.now.Add(25 * time.Second)
				r.stands(i, i-1, i+1, time.Millisecond)
			}
			r.tidy(r.now)
		}, "0 f/f Leader; 1 bf/b Normal; 3 bf/f Normal; 4 b/b Leader"},
		{"half a link", func(r *room) { r.stands(2, 1, -1, 0) },
			"0 f/f Leader; 1 bf/bf Normal; 2 b/bf Normal; 3 bf/f Normal; 4 b/b Leader"},
		{"a slow link", func(r *room) { r.stands(1, 0, 2, endpoint.SlowTrip+1) },
			"0 f/f Leader; 1 bf/bf Slow Link Ahead; 2 bf/bf Slow Link Behind; 3 bf/bf Normal; 4 b/b Leader"},
		{"a slow link to a leader", func(r *room) { r.stands(3, 2, 4, time.Second) },
			"0 f/f Leader; 1 bf/bf Normal; 2 bf/bf Normal; 3 bf/bf Slow Link Ahead; 4 b/b Leader, Slow Link Behind"},
		{"what is slow to another than its neighbour", func(r *room) {
			r.stands(0, -2, 2, time.Second)
			r.stands(1, 0, -1, 0)
		}, "0 f/f Leader, Slow Link Ahead; 1 b/f Normal; 2 bf/bf Normal; 3 bf/bf Normal; 4 b/b Leader"},
		{"what was slow to another", func(r *room) { r.stands(1, 0, 3, time.Second) },
			"0 f/f Leader; 1 bf/bf Slow Link Ahead; 2 bf/f Normal; 3 bf/bf Normal; 4 b/b Leader"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := line(t)
			tt.story(r)
			if got := r.show(); got != tt.want {
				t.Errorf("%s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestBackwardLinks: whose backward link stands, its neighbour behind hears of,
// if both say to be neighbours; a brief registration leaves it as it was.
func TestBackwardLinks(t *testing.T) {
	r := line(t)
	link := func(i, back, fore int, brief bool) {
		r.come(i, 1, func(m *wire.Register) {
			m.BackwardLink = true
			m.Back, m.Fore = wire.Neighbour{Kind: endpoint.Peer, ID: machineID(back)}, wire.Neighbour{Kind: endpoint.Peer, ID: machineID(fore)}
			if *m = m.Named(); brief {
				*m = m.Brief()
			}
		})
	}
	link(2, 1, 3, false)
	link(2, 1, 3, true)
	link(3, 0, 4, false) // who says that another stands in front
	show := func() string {
		var all []string
		for _, s := range r.statuses(r.now) {
			all = append(all, fmt.Sprint(s.ID[2], " ", s.Backward.Files, "/", s.Forward.Files))
		}
		return strings.Join(all, "; ")
	}
	if got, want := show(), "0 false/false; 1 false/true; 2 true/false; 3 true/false; 4 false/false"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	r.leads(3, 2, wire.BackwardLeader)
	if got, want := show(), "0 false/false; 1 false/false; 2 false/false; 3 true/false; 4 false/false"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// cutOff: a client leads on both sides and names everybody.
func cutOff(r *room) {
	r.stands(1, -2, -2, 0, 0, 2, 3)
	r.now = r.now.Add(time.Second)
	for _, i := range []int{0, 2, 3} {
		r.stands(i, i-1, i+1, 0)
	}
	r.leads(5, 1, wire.BackwardLeader)
	r.leads(6, 1, wire.ForwardLeader)
}

// insisted: a client goes on saying that it cannot reach another.
func insisted(r *room) {
	for range 3 {
		r.now = r.now.Add(time.Second)
		r.stands(3, 2, 4, 0)
		r.now = r.now.Add(time.Second)
		r.stands(1, 0, 2, 0, 3)
	}
}

func isolated(r *room) {
	b, err := boundary.New(boundary.DefaultMask, []boundary.Subnet{{Kind: boundary.Isolated, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.1.2/32")}}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.roster.SetBoundaries(b)
	r.stands(1, -2, -2, 0, 0, 2)
}

// TestBlocked: who is blocked, and for how long.
func TestBlocked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		story func(r *room)
		want  string // who is blocked
	}{
		{"nobody", func(*room) {}, ""},
		{"one whom another cannot reach", func(r *room) {
			r.stands(1, 0, 2, 0, 3)
			r.now = r.now.Add(time.Second)
			r.stands(3, 2, 4, 0)
		}, "3"},
		{"… as long as it has not shown that it was there", func(r *room) { r.stands(1, 0, 2, 0, 3) }, ""},
		{"… also while it is said again and again", insisted, "3"},
		{"… until that is long ago", func(r *room) {
			r.stands(1, 0, 2, 0, 3)
			for range 5 {
				r.now = r.now.Add(time.Minute)
				r.stands(3, 2, 4, 0)
			}
		}, ""},
		{"… but not if it was off meanwhile", func(r *room) {
			r.stands(1, 0, 2, 0, 3)
			r.now = r.now.Add(NormalMax + time.Second)
			r.stands(3, 2, 4, 0)
		}, ""},
		{"… or has started anew", func(r *room) {
			r.stands(1, 0, 2, 0, 3)
			r.clients[machineID(3)].incarnation--
			r.now = r.now.Add(time.Second)
			r.stands(3, 2, 4, 0)
		}, ""},
		{"one that can reach nobody, and none of those", cutOff, "1"},
		{"… until it can", func(r *room) { r.stands(1, -2, -2, 0, 0, 2); r.stands(1, 0, 2, 0) }, ""},
		{"not a machine that is gone", func(r *room) {
			r.stands(1, 0, 2, 0, 3)
			r.now = r.now.Add(time.Second)
			r.stands(3, 2, 4, 0)
			r.told(2, wire.Gone{Clients: []endpoint.ID{machineID(3)}})
		}, ""},
		{"not by a stranger's word", func(r *room) {
			r.come(6, 2, func(m *wire.Register) {
				m.Unreachable = []endpoint.ID{machineID(3), {77}}
				m.Back = wire.Neighbour{Kind: endpoint.Peer, ID: machineID(2)}
			})
			r.now = r.now.Add(time.Second)
			r.stands(3, 2, 4, 0)
		}, ""},
		{"not one that is to be alone", isolated, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := line(t)
			tt.story(r)
			var blocked []string
			for _, s := range r.statuses(r.now) {
				if s.Blocked {
					blocked = append(blocked, fmt.Sprint(s.ID[2]))
				}
			}
			if got := strings.Join(blocked, " "); got != tt.want {
				t.Errorf("blocked are %q, want %q", got, tt.want)
			}
		})
	}
}

// TestClaimsAreBounded: the oldest of too many is forgotten.
func TestClaimsAreBounded(t *testing.T) {
	var x watched
	now := time.Now()
	for i := range claimsMax + 3 {
		x.claim(now.Add(time.Duration(i)*time.Second), machineID(i))
	}
	if _, old := x.claims[machineID(2)]; old || len(x.claims) != claimsMax {
		t.Errorf("%d are kept", len(x.claims))
	}
	if _, kept := x.claims[machineID(3)]; !kept {
		t.Error("one too many is forgotten")
	}
}

// TestStatusOfARegistration: where a client stands, how it has registered, and
// why it was refused since.
func TestStatusOfARegistration(t *testing.T) {
	r := newRoom(t, 300)
	b, err := boundary.New(boundary.Mask{IPv4: 16, IPv6: 64}, []boundary.Subnet{{Kind: boundary.Isolated, Networks: []netip.Prefix{netip.MustParsePrefix("10.0.9.0/24")}}})
	if err != nil {
		t.Fatal(err)
	}
	r.roster.SetBoundaries(b)
	for i := range 255 {
		r.come(i, 1, nil) // more than one chain holds
	}
	r.come(255, 9, nil)
	all := r.statuses(r.now)
	if len(all) != 256 || all[0].Segment != 0 || all[254].Segment != 1 || all[254].Alone || !all[255].Alone || all[255].LAN.Bits() != 32 {
		t.Errorf("from %+v to %+v and %+v", all[0], all[254], all[255])
	}
	for i, s := range all[:255] {
		if s.ID != machineID(i) || s.Way != byTLS || s.Refused != "" || !s.Registered.Equal(r.now) {
			t.Fatalf("%d is %+v", i, s)
		}
	}
	id := machineID(3)
	_, err = r.register(r.now, call{way: byDatagram, id: id}, wire.Register{Version: 99})
	r.declined(id, err)
	r.declined(id, errSilent) // is nothing that anybody was told
	if s := r.statuses(r.now)[3]; !strings.Contains(s.Refused, "registration of version 99") || s.Way != byTLS {
		t.Errorf("refused: %+v", s)
	}
	r.come(3, 1, nil)
	if s := r.statuses(r.now)[3]; s.Refused != "" {
		t.Errorf("and taken in again: %+v", s)
	}
	r.declined(endpoint.ID{99}, err) // nobody's
}

// TestListIsShared: who asks again at once gets the same list, who asks later a
// new one; one that nobody asks for is let go of.
func TestListIsShared(t *testing.T) {
	r := line(t)
	first := r.list(r.now)
	r.stands(2, -1, -1, 0)
	if again := r.list(r.now.Add(listFor - 1)); &again[0] != &first[0] {
		t.Error("a list is made although there is one")
	}
	if later := r.list(r.now.Add(listFor)); &later[0] == &first[0] || later[2].Sends() != endpoint.NoSide || first[2].Sends() != endpoint.BothSides {
		t.Error("the list is an old one, or was changed")
	}
	r.tidy(r.now.Add(listKept / 2))
	if r.lastList.of == nil {
		t.Error("the list is let go of at once")
	}
	r.tidy(r.now.Add(listFor + listKept))
	if r.lastList.of != nil {
		t.Error("the list is kept")
	}
}

// BenchmarkStatuses is what a list of 100,000 clients costs the hub.
func BenchmarkStatuses(b *testing.B) {
	const clients, inLAN = 100_000, 100
	r := newRoom(b, clients)
	for i := range clients {
		addr := netip.AddrFrom4([4]byte{10, byte(i / inLAN >> 8), byte(i / inLAN), byte(i%inLAN + 1)})
		c := r.clients[machineID(i)]
		c.status.ID = machineID(i)
		m := wire.Register{
			Version: wire.Version, Initial: true, Incarnation: 1, Sequence: 1, Name: c.status.Name,
			Place: endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: machineID(i)},
			Back:  wire.Neighbour{Kind: endpoint.Peer, ID: machineID(i - 1)}, Fore: wire.Neighbour{Kind: endpoint.Peer, ID: machineID(i + 1)},
		}
		if _, err := r.register(r.now, call{way: byTLS, id: machineID(i), from: addr, cert: &c.key}, m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if n := len(r.statuses(r.now)); n != clients {
			b.Fatal(n)
		}
	}
}
