package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/seal"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

// A sender is a machine that has a registration key.
type sender struct {
	*endpointUnderTest
	key   seal.RegistrationKey
	name  wire.KeyName
	peers uint64
	from  netip.Addr
}

// keyed is a machine that is registered over TLS.
func (s *site) keyed(t testing.TB) *sender {
	t.Helper()
	m := s.joined(t)
	x := &sender{endpointUnderTest: m, from: netip.MustParseAddr("127.0.0.1")}
	x.overTLS()
	return x
}

func (x *sender) overTLS() wire.Registered {
	x.t.Helper()
	reply, err := x.register(x.full())
	if err != nil {
		x.t.Fatal(err)
	}
	if reply.KeyLife != keyLife {
		x.t.Fatalf("the key is good for %v", reply.KeyLife)
	}
	x.key, x.name, x.peers = reply.Key, reply.KeyName, reply.Peers
	return reply
}

// full is the next registration, with everything said.
func (x *sender) full() wire.Register {
	m := x.registration()
	m.Initial, m.Peers, m.Program, m.Platform = false, x.peers, "1.0", "Linux"
	return m.Named()
}

func (x *sender) request(m wire.Register) wire.Request {
	return wire.NewRequest(x.key.Box(seal.RegistrationRequest), [16]byte{byte(m.Sequence), byte(m.Sequence >> 8)}, x.id, x.name, m)
}

// send hands the server a datagram, and reads its reply; nil: there is none.
func (x *sender) send(r wire.Request) wire.Message {
	x.t.Helper()
	out := x.site.answerDatagram(context.Background(), time.Now(), x.from, slices.Clone(r.Bytes()), nil)
	if len(out) == 0 {
		return nil
	}
	if len(out) > len(r.Bytes())+256 {
		x.t.Errorf("%d bytes answer %d", len(out), len(r.Bytes()))
	}
	m, err := r.ReadReply(x.key.Box(seal.RegistrationReply), out)
	if err != nil {
		x.t.Fatal(err)
	}
	return m
}

// status is what the server keeps of the machine.
func (x *sender) status() (st endpoint.Status) {
	x.t.Helper()
	if err := x.site.do(context.Background(), func(h *hub) { st = h.clients[x.id].status }); err != nil {
		x.t.Fatal(err)
	}
	return st
}

func (x *sender) accepted(m wire.Register) wire.Registered {
	x.t.Helper()
	reply, ok := x.send(x.request(m)).(wire.Registered)
	if !ok || reply.Again {
		x.t.Fatalf("registration %d.%d: %+v", m.Incarnation, m.Sequence, reply)
	}
	return reply
}

// old lets the server have run for an hour.
func (s *site) old(t testing.TB) {
	if err := s.do(t.Context(), func(h *hub) { h.began = h.began.Add(-time.Hour) }); err != nil {
		t.Fatal(err)
	}
}

// figure reads one of the server's figures, that with all these labels.
func (s *site) figure(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	families, err := s.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
	next:
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if !slices.Contains(labels, l.GetValue()) {
					continue next
				}
			}
			return m.GetCounter().GetValue()
		}
	}
	return 0
}

// TestDatagram: after one registration over TLS, the next ones cost a datagram
// each way, and who has nothing new to say says nothing.
func TestDatagram(t *testing.T) {
	s := startSite(t, t.TempDir())
	x := s.keyed(t)
	if reply := x.accepted(x.full()); !reply.Same || reply.Now.IsZero() || reply.KeyLife != 0 {
		t.Errorf("in full: %+v", reply)
	}
	r := x.request(x.full().Brief())
	reply := x.send(r)
	if m, ok := reply.(wire.Registered); !ok || !m.Same || m.Again || m.Come != 0 || m.Slot != 0 || m.ComputerID != 0 {
		t.Errorf("in brief: %+v", reply)
	}
	if st := x.status(); st.Name != "test" || st.Version != "1.0" || st.Place.Addr != netip.MustParseAddrPort("127.0.0.1:4000") {
		t.Errorf("the server keeps %+v", st)
	}
	changed := x.full()
	changed.Name = "other"
	if reply := x.send(x.request(changed.Named().Brief())); !reply.(wire.Registered).Again {
		t.Errorf("a state that was never said: %+v", reply)
	}
	changed.Sequence = x.registration().Sequence
	x.accepted(changed.Named())
	if st := x.status(); st.Name != "other" {
		t.Errorf("the new name is not kept: %+v", st)
	}
	for outcome, want := range map[string]float64{"accepted": 3, "again": 1, "refused": 0} {
		if got := s.figure(t, "catenary_registrations_total", byDatagram, outcome); got != want {
			t.Errorf("%v datagrams are %s, want %v", got, outcome, want)
		}
	}
}

// TestBadDatagrams: what is cut, forged, sent from elsewhere or by somebody else
// gets no reply and changes nothing.
func TestBadDatagrams(t *testing.T) {
	s := startSite(t, t.TempDir())
	x, y := s.keyed(t), s.keyed(t)
	good := x.request(x.full()).Bytes()
	drop := func(name, why string, from netip.Addr, b []byte) {
		before := s.figure(t, "catenary_datagrams_dropped_total", why)
		if out := s.answerDatagram(t.Context(), time.Now(), from, b, nil); len(out) > 0 {
			t.Errorf("%s: %d bytes of reply", name, len(out))
		}
		if got := s.figure(t, "catenary_datagrams_dropped_total", why); got != before+1 {
			t.Errorf("%s is not counted as %s", name, why)
		}
	}
	changed := func(at int) []byte {
		b := slices.Clone(good)
		b[at] ^= 1
		return b
	}
	elsewhere := netip.MustParseAddr("127.0.0.2")
	drop("nothing", droppedMalformed, x.from, nil)
	drop("a datagram cut short", droppedMalformed, x.from, good[:60])
	drop("another version", droppedMalformed, x.from, changed(0))
	drop("a reply", droppedMalformed, x.from, changed(1))
	drop("an oversized datagram", droppedMalformed, x.from, append(slices.Clone(good), make([]byte, 1000)...))
	drop("a spoofed source", droppedElsewhere, elsewhere, good)
	drop("a spoofed source of IPv6", droppedElsewhere, netip.MustParseAddr("2001:db8::1"), good)
	drop("another client's name", droppedElsewhere, x.from, changed(3))
	drop("an invented key", droppedElsewhere, x.from, changed(30))
	drop("a changed nonce", droppedForged, x.from, changed(40))
	drop("a changed text", droppedForged, x.from, changed(60))
	drop("a changed tag", droppedForged, x.from, changed(len(good)-1))
	drop("a cut tag", droppedForged, x.from, good[:len(good)-1])
	thief := *x
	thief.key = y.key
	drop("another client's key", droppedForged, x.from, thief.request(x.full()).Bytes())
	if out := s.answerDatagram(t.Context(), time.Now(), x.from, good, nil); len(out) == 0 {
		t.Error("after all this the good datagram gets no reply")
	}
	// Who has a key may still only speak for itself.
	m := y.full()
	m.Place.ID = x.id
	if no, ok := y.send(y.request(m.Named())).(wire.Refused); !ok || no.Reason != wire.Malformed {
		t.Errorf("registration for another client: %+v", no)
	}
}

// TestRepeatedDatagram: a datagram that comes again is answered again a few
// times, since the reply may be lost; an older one is refused.
func TestRepeatedDatagram(t *testing.T) {
	s := startSite(t, t.TempDir())
	x := s.keyed(t)
	first, second := x.request(x.full()), x.request(x.full())
	for i := range 1 + repeatsMax {
		if reply, ok := x.send(first).(wire.Registered); !ok || reply.Again {
			t.Fatalf("time %d: %+v", i, reply)
		}
	}
	if reply := x.send(first); reply != nil {
		t.Errorf("the fifth time: %+v", reply)
	}
	if _, ok := x.send(second).(wire.Registered); !ok {
		t.Fatal("the next one is not taken")
	}
	if reply := x.send(first); reply != nil {
		t.Errorf("shortly after its start the server judges what it may have answered itself: %+v", reply)
	}
	s.old(t)
	if no, ok := x.send(first).(wire.Refused); !ok || no.Reason != wire.Replayed {
		t.Errorf("the first one again: %+v", no)
	}
	// Another datagram with the pair of the last one: two machines with one state.
	twin := wire.NewRequest(x.key.Box(seal.RegistrationRequest), [16]byte{99}, x.id, x.name, x.again())
	if no, ok := x.send(twin).(wire.Refused); !ok || no.Reason != wire.Replayed {
		t.Errorf("the twin: %+v", no)
	}
	// The last one is never refused to its own sender, who may still wait for it.
	if err := s.do(t.Context(), func(h *hub) {
		c := h.clients[x.id]
		c.status.Registered = c.status.Registered.Add(-repeatFor - time.Second)
	}); err != nil {
		t.Fatal(err)
	}
	if reply := x.send(second); reply != nil {
		t.Errorf("the last one, too late: %+v", reply)
	}
	x.accepted(x.full())
}

// again is a registration with the numbers of the last one.
func (x *sender) again() wire.Register {
	x.seq--
	return x.full()
}

// TestKeysOutliveTheServer: a server that starts anew knows every key, asks for
// what it has forgotten, and still refuses what it had before.
func TestKeysOutliveTheServer(t *testing.T) {
	dir := t.TempDir()
	var x *sender
	var last wire.Request
	t.Run("first life", func(t *testing.T) {
		x = startSite(t, dir).keyed(t)
		last = x.request(x.full())
		x.send(last)
	})
	s := startSite(t, dir)
	x.t, x.site = t, s
	if reply := x.send(last); reply != nil {
		t.Errorf("the last datagram of before: %+v", reply)
	}
	if reply := x.send(x.request(x.full().Brief())).(wire.Registered); !reply.Again || reply.Come != 0 {
		t.Errorf("in brief: %+v", reply)
	}
	if reply := x.accepted(x.full()); !reply.Same {
		t.Errorf("in full: %+v", reply)
	}
	x.accepted(x.full().Brief())
	s.old(t)
	if no, ok := x.send(last).(wire.Refused); !ok || no.Reason != wire.Replayed {
		t.Errorf("the last datagram of before, later: %+v", no)
	}
}

// TestUnknownKey: who has a key of another server, or one whose life is over,
// is asked to come over TLS, one after another.
func TestUnknownKey(t *testing.T) {
	s := startSite(t, t.TempDir())
	x := s.keyed(t)
	r := x.request(x.full())
	late := time.Now().Add(keyLife + keyOverlap + time.Second)
	last := time.Duration(0)
	for i := range 5 {
		out := s.answerDatagram(t.Context(), late, x.from, slices.Clone(r.Bytes()), nil)
		come, ok := r.ReadNotice(out)
		if !ok || come <= last || come > time.Second {
			t.Errorf("notice %d: %v after %v, %v", i, come, last, ok)
		}
		last = come
	}
	if out := s.answerDatagram(t.Context(), late.Add(-2*time.Second), x.from, slices.Clone(r.Bytes()), nil); len(out) < 40 {
		t.Error("just before its end the key is not good any more")
	}
	for range noticesMax {
		s.notices.may(late)
	}
	if out := s.answerDatagram(t.Context(), late, x.from, slices.Clone(r.Bytes()), nil); len(out) > 0 {
		t.Error("the notices have no limit")
	}
	for range turnMax / turnEvery {
		s.turns.next(late)
	}
	if wait := s.turns.next(late); wait != turnMax {
		t.Errorf("the last of a herd waits %v", wait)
	}
}

// TestMove: who belongs to another LAN now hears of that over TLS only.
func TestMove(t *testing.T) {
	s := startSite(t, t.TempDir())
	x := s.keyed(t)
	x.accepted(x.full())
	if err := s.do(t.Context(), func(h *hub) { h.clients[x.id].seat.LAN = netip.MustParsePrefix("10.0.0.0/24") }); err != nil {
		t.Fatal(err)
	}
	reply, ok := x.send(x.request(x.full())).(wire.Registered)
	if !ok || !reply.Again || reply.Come == 0 {
		t.Errorf("by datagram: %+v", reply)
	}
	if reply := x.overTLS(); reply.Again || reply.Come != 0 {
		t.Errorf("over TLS: %+v", reply)
	}
	x.accepted(x.full())
}

// TestFit: a reply that is too large shrinks step by step.
func TestFit(t *testing.T) {
	s := &Server{}
	x := &sender{endpointUnderTest: &endpointUnderTest{t: t, id: endpoint.ID{1}}}
	list := func(n int) (l []endpoint.Place) {
		for i := range n {
			addr := netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))
			l = append(l, endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: endpoint.ID{byte(i)}})
		}
		return l
	}
	reply := wire.Registered{Peers: 5, Slot: 7, Now: time.Now(), Back: list(10), Fore: list(10)}
	full, brief := x.request(x.full()), x.request(x.full().Brief())
	if got := s.fit(time.Now(), full, false, reply); got.Come != 0 || len(got.Back) != 10 {
		t.Errorf("ten peers on each side: %+v", got)
	}
	if got := s.fit(time.Now(), brief, true, reply); !got.Again || len(got.Back) > 0 {
		t.Errorf("who was brief: %+v", got)
	}
	reply.Questions, reply.Direct = [][]byte{make([]byte, 700)}, []uint64{9}
	if got := s.fit(time.Now(), full, false, reply); got.Come == 0 || got.Questions != nil || got.Peers != 5 || len(got.Fore) != 10 {
		t.Errorf("with a question: %+v", got)
	}
	reply.Back, reply.Fore, reply.Questions = list(32), list(32), nil
	got := s.fit(time.Now(), full, false, reply)
	if got.Come == 0 || got.Peers != 0 || len(got.Back) < 5 || len(got.Back) > 16 || got.Slot != 7 || len(got.Direct) != 1 {
		t.Errorf("with many peers: %+v", got)
	}
	if !slices.Equal(got.Back, list(32)[:len(got.Back)]) {
		t.Error("not the nearest peers are left")
	}
	reply.Direct = nil
	for n := uint64(1); n < 256; n++ {
		reply.Direct = append(reply.Direct, n<<40)
	}
	if got := s.fit(time.Now(), full, false, reply); !full.Fits(got) || !got.Again || got.Come == 0 {
		t.Errorf("what does not fit at all: %+v", got)
	}
}

// TestDatagramSockets: the same over real sockets, at each of the server's
// addresses, which the reply leaves from.
func TestDatagramSockets(t *testing.T) {
	s := startSite(t, t.TempDir())
	all := []string{"127.0.0.1", "127.0.0.5"}
	for listen, targets := range map[string][]string{"127.0.0.1": all[:1], "127.0.0.5": all[1:], "0.0.0.0": all, "::": all, "": all} {
		t.Run("at "+listen, func(t *testing.T) {
			tcp, udp, err := listenBoth(&net.TCPAddr{IP: net.ParseIP(listen)})
			if err != nil {
				t.Fatal(err)
			}
			defer tcp.Close()
			if at := udp.LocalAddr().(*net.UDPAddr).Port; at != tcp.Addr().(*net.TCPAddr).Port {
				t.Errorf("datagrams are served at port %d, connections at %v", at, tcp.Addr())
			}
			s.serveAt(t, udp, targets...)
		})
	}
	t.Run("without IPv6", func(t *testing.T) {
		udp, err := net.ListenUDP("udp4", nil)
		if err == nil {
			err = tellDestination(udp)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.serveAt(t, udp, all...)
	})
	taken, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, _, err := listenBoth(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: taken.LocalAddr().(*net.UDPAddr).Port}); err == nil {
		t.Error("a port that is taken for datagrams is opened")
	}
}

// serveAt serves datagrams at another socket, and registers machines at each of
// its addresses.
func (s *site) serveAt(t *testing.T, udp *net.UDPConn, targets ...string) {
	t.Helper()
	other := &Server{log: s.Server.log, metrics: s.metrics, secrets: s.secrets, calls: s.calls, stopped: s.stopped, seats: s.seats, datagrams: udp}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { other.serveDatagrams(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	for _, to := range targets {
		s.exchange(t, fmt.Sprintf("%s:%d", to, udp.LocalAddr().(*net.UDPAddr).Port))
	}
}

// exchange registers a machine with a datagram to that address.
func (s *site) exchange(t *testing.T, to string) {
	t.Helper()
	x := s.keyed(t)
	conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}}).DialContext(t.Context(), "udp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := x.request(x.full())
	if _, err := conn.Write(r.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 2000)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatalf("from %s: %v", to, err)
	}
	if m, err := r.ReadReply(x.key.Box(seal.RegistrationReply), b[:n]); err != nil || m.(wire.Registered).Again {
		t.Errorf("from %s: %+v, %v", to, m, err)
	}
}

// TestLeaderRegisters: on a leader's connection registrations are messages among
// others, and a refused one does not end it.
func TestLeaderRegisters(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.old(t)
	x := s.keyed(t)
	l := x.lead(t)
	say := func(m wire.Register) wire.Message {
		t.Helper()
		if err := l.Write(m, patience); err != nil {
			t.Fatal(err)
		}
		reply, err := l.Read()
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	if reply, ok := say(x.full()).(wire.Registered); !ok || reply.Again || reply.KeyLife != 0 {
		t.Errorf("in full: %+v", reply)
	}
	brief := x.full().Brief()
	if reply, ok := say(brief).(wire.Registered); !ok || !reply.Same {
		t.Errorf("in brief: %+v", reply)
	}
	if no, ok := say(brief).(wire.Refused); !ok || no.Reason != wire.Replayed {
		t.Errorf("the same again: %+v", no)
	}
	if reply, ok := say(x.full().Brief()).(wire.Registered); !ok || !reply.Same {
		t.Errorf("after that: %+v", reply)
	}
	if got := s.figure(t, "catenary_registrations_total", byLeader, "accepted"); got != 3 {
		t.Errorf("%v are counted", got)
	}
}

// lead connects the machine as a backward leader.
func (x *sender) lead(t *testing.T) *link.Link {
	t.Helper()
	l, err := x.dial(link.ProtocolLeader)
	if err != nil {
		t.Fatal(err)
	}
	hello := wire.Hello{Version: wire.Version, Role: wire.BackwardLeader, Place: x.registration().Place, LAN: roster.Tag(loopback)}
	if err := l.Write(hello, patience); err != nil {
		t.Fatal(err)
	}
	if _, err := link.Expect[wire.HelloOK](l, patience); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestResumedRegistration: the second registration over TLS resumes the first
// one's session, and is the same client's.
func TestResumedRegistration(t *testing.T) {
	s := startSite(t, t.TempDir())
	x := s.keyed(t)
	sessions := tls.NewLRUClientSessionCache(1)
	for i := range 3 {
		conn, err := tls.Dial("tcp", s.Addr().String(), s.trust.ToRegister(x.cert, sessions))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		l := link.New(conn)
		if err := l.Write(x.full(), patience); err != nil {
			t.Fatal(err)
		}
		reply, err := link.Expect[wire.Registered](l, patience)
		if err != nil || reply.KeyLife != keyLife {
			t.Errorf("registration %d: %+v, %v", i, reply, err)
		}
		if resumed := conn.ConnectionState().DidResume; resumed != (i > 0) {
			t.Errorf("registration %d is resumed: %v", i, resumed)
		}
	}
	// Who has the session of one client cannot register another.
	y := s.keyed(t)
	conn, err := tls.Dial("tcp", s.Addr().String(), s.trust.ToRegister(y.cert, sessions))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := link.New(conn)
	if err := l.Write(y.full(), patience); err != nil {
		t.Fatal(err)
	}
	_, err = link.Expect[wire.Registered](l, patience)
	refused(t, err, wire.Malformed, y.id.String())
}
