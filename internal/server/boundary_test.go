package server

import (
	"crypto/tls"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/boundary"
	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/link"
	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/wire"
)

// again registers as a client that holds the reply of the given digest.
func (m *endpointUnderTest) again(digest uint64) wire.Registered {
	m.t.Helper()
	req := m.registration()
	req.Initial, req.Peers = false, digest
	reply, err := m.register(req)
	if err != nil {
		m.t.Fatal(err)
	}
	return reply
}

// lead connects as a backward leader of the LAN with the tag.
func (m *endpointUnderTest) lead(tag uint64) (net.Conn, error) {
	m.t.Helper()
	conn, err := tls.Dial("tcp", m.site.Addr().String(), m.site.trust.ToServer(link.ProtocolLeader, m.cert))
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	l := link.New(conn)
	hello := wire.Hello{Version: wire.Version, Role: wire.BackwardLeader, Place: m.registration().Place, LAN: tag}
	if err := l.Write(hello, patience); err != nil {
		m.t.Fatal(err)
	}
	_, err = link.Expect[wire.HelloOK](l, patience)
	return conn, err
}

func subnet(kind boundary.Kind, network string) store.Subnet {
	return store.Subnet{Subnet: boundary.Subnet{Kind: kind, Networks: []netip.Prefix{netip.MustParsePrefix(network)}}}
}

func (s *site) add(t *testing.T, n store.Subnet) ([]store.Subnet, error) {
	t.Helper()
	return s.EditSubnets(t.Context(), func(list []store.Subnet) ([]store.Subnet, error) { return append(list, n), nil })
}

// TestBoundariesTakeEffect: a changed boundary holds for each client from its
// next normal registration on, and what it led in its old LAN it leads no more.
func TestBoundariesTakeEffect(t *testing.T) {
	s := startSite(t, t.TempDir())
	a, b := s.joined(t), s.joined(t)
	before := a.again(0)
	if before.LAN != roster.Tag(loopback) || len(before.Back)+len(before.Fore) != 1 || before.From.Addr.IsValid() {
		t.Fatalf("%+v", before)
	}
	if reply := a.again(before.Peers); !reply.Same || reply.LAN != 0 {
		t.Errorf("nothing has changed: %+v", reply)
	}
	led, err := a.lead(before.LAN)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.add(t, subnet(boundary.Isolated, "127.0.0.0/25")); err != nil {
		t.Fatal(err)
	}
	reply := a.again(before.Peers)
	place := a.registration().Place
	if reply.Same || reply.LAN == before.LAN || len(reply.Back)+len(reply.Fore) != 0 || reply.From != place || reply.Until != place {
		t.Errorf("isolated: %+v", reply)
	}
	wantClosed(t, led)
	_, err = a.lead(before.LAN)
	refused(t, err, wire.TryLater, "this client is in 127.0.0.1/32 now")
	if _, err := a.lead(reply.LAN); err != nil {
		t.Errorf("it cannot lead where it is: %v", err)
	}
	if _, err := b.lead(before.LAN); err != nil {
		t.Errorf("who has not registered since is in its old LAN: %v", err)
	}
	if _, err := s.EditSubnets(t.Context(), func([]store.Subnet) ([]store.Subnet, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	if back := a.again(reply.Peers); back.LAN != before.LAN || back.Slot != before.Slot || len(back.Back)+len(back.Fore) != 1 {
		t.Errorf("back again: %+v, was %+v", back, before)
	}
}

// TestBoundariesOutliveRestart: what operators have said is kept, and what
// contradicts itself never was.
func TestBoundariesOutliveRestart(t *testing.T) {
	dir := t.TempDir()
	mask := boundary.Mask{IPv4: 16, IPv6: 0, CarrierNAT: true}
	t.Run("first life", func(t *testing.T) {
		s := startSite(t, dir)
		if s.Boundaries().Mask() != boundary.DefaultMask {
			t.Errorf("%+v at first", s.Boundaries().Mask())
		}
		if list, err := s.add(t, subnet(boundary.Separated, "10.0.0.0/16")); err != nil || len(list) != 1 || list[0].ID != 1 {
			t.Fatalf("%+v, %v", list, err)
		}
		if err := s.SetMask(t.Context(), mask); err != nil {
			t.Fatal(err)
		}
		_, err := s.add(t, subnet(boundary.Intentional, "10.0.0.0/16"))
		if fault.KindOf(err) != fault.Conflict || err.Error() != "10.0.0.0/16 is said to be separated and intentional: it can be only one" {
			t.Errorf("%v", err)
		}
		if err := s.SetMask(t.Context(), boundary.Mask{IPv4: 33}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v", err)
		}
	})
	s := startSite(t, dir)
	b := s.Boundaries()
	if b.Mask() != mask || b.LAN(netip.MustParseAddr("10.0.9.9")).String() != "10.0.0.0/16" || b.LAN(netip.MustParseAddr("100.64.9.9")).String() != "100.64.0.0/16" {
		t.Errorf("%+v", b)
	}
	list, err := s.store.Subnets(t.Context())
	if err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	var inHub boundary.Mask
	if err := s.do(t.Context(), func(h *hub) { inHub = h.roster.Boundaries().Mask() }); err != nil || inHub != mask {
		t.Errorf("the roster has %+v, %v", inHub, err)
	}
}

// TestNeighborhoodStays: whatever joins a neighbourhood, and wherever it stands in
// a list, the clients that are in it need not move.
func TestNeighborhoodStays(t *testing.T) {
	s := startSite(t, t.TempDir())
	of := func(network string) store.Subnet {
		n := subnet(boundary.Intentional, network)
		n.Neighborhood = "Rome"
		return n
	}
	for _, network := range []string{"203.0.113.7/32", "192.0.2.0/24", "198.51.100.0/24"} {
		if _, err := s.EditSubnets(t.Context(), func(list []store.Subnet) ([]store.Subnet, error) {
			slices.Reverse(list)
			return append([]store.Subnet{of(network)}, list...), nil
		}); err != nil {
			t.Fatal(err)
		}
		if got := s.Boundaries().LAN(netip.MustParseAddr("203.0.113.7")); got.String() != "203.0.113.7/32" {
			t.Errorf("with %s, the LAN is called %v", network, got)
		}
	}
}

// TestSlotsOutliveRestart: after a restart a newcomer gets nobody's slot, and
// who comes back without a claim gets the one that it had.
func TestSlotsOutliveRestart(t *testing.T) {
	dir := t.TempDir()
	old := make([]*endpointUnderTest, 3)
	slots := make([]answer.Slot, len(old))
	t.Run("first life", func(t *testing.T) {
		s := startSite(t, dir)
		for i := range old {
			old[i] = s.joined(t)
			c, err := s.store.ClientByID(t.Context(), old[i].id)
			if err != nil || c.LAN != loopback {
				t.Fatalf("told a slot that is not written down: %+v, %v", c, err)
			}
			slots[i] = c.Slot
		}
		if !slices.Equal(slots, []answer.Slot{0, 1, 2}) {
			t.Errorf("slots %v", slots)
		}
	})
	s := startSite(t, dir)
	for want := answer.Slot(3); want < 5; want++ {
		if reply := s.joined(t).again(0); reply.Slot != want {
			t.Errorf("a newcomer gets slot %d, want %d", reply.Slot, want)
		}
	}
	for i, m := range slices.Backward(old) {
		m.t, m.site = t, s
		if reply := m.again(0); reply.Slot != slots[i] {
			t.Errorf("machine %d had slot %d and gets %d", i, slots[i], reply.Slot)
		}
	}
}

// TestSlotThatCannotBeKept: a slot that is not written down is told to nobody.
func TestSlotThatCannotBeKept(t *testing.T) {
	s := startSite(t, t.TempDir())
	m, known := s.machine(t), s.joined(t)
	if err := m.enrol(s.bundle.Secret); err != nil {
		t.Fatal(err)
	}
	if err := s.store.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := m.register(m.registration())
	refused(t, err, wire.TryLater, "the server cannot do this now")
	_, err = m.register(m.registration())
	refused(t, err, wire.TryLater, "the server cannot do this now")
	if reply := known.again(0); reply.Slot != 0 {
		t.Errorf("who has its slot in writing: %+v", reply)
	}
}

func TestHeld(t *testing.T) {
	at := time.Unix(1e9, 0)
	got := held([]store.Client{{ID: endpoint.ID{1}, LAN: loopback, Slot: 7, Registered: at}, {ID: endpoint.ID{2}, Registered: at}})
	want := []roster.Held{{ID: endpoint.ID{1}, Seat: roster.Seat{LAN: loopback, Slot: 7}, Seen: at}}
	if !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}
