package client

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/node"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

var (
	testKey = node.Key{Key: seal.RegistrationKey{1}, Name: seal.KeyName{2}}
	testID  = endpoint.ID{3}
)

// A post is the server's end: it answers each datagram with what says returns,
// in this order; none: nothing.
type post struct {
	*net.UDPConn
	got chan wire.Request
}

func startPost(t *testing.T, says func(n int, r wire.Request) [][]byte) *post {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := &post{conn, make(chan wire.Request, 16)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; ; n++ {
			b := make([]byte, 2000)
			size, from, err := conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			r, err := wire.ParseRequest(b[:size])
			if err != nil {
				t.Errorf("datagram %d: %v", n, err)
				return
			}
			p.got <- r
			for _, out := range says(n, r) {
				if _, err := conn.WriteToUDPAddrPort(out, from); err != nil {
					t.Error(err)
				}
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return p
}

func accept(r wire.Request) []byte {
	return reply(r, wire.Registered{Slot: 7, Now: time.UnixMilli(5)})
}

func reply(r wire.Request, m wire.Message) []byte {
	return r.Reply(nil, testKey.Key.Box(seal.RegistrationReply), [16]byte{9}, m)
}

// send lets a courier carry one registration to the post.
func (p *post) send(t *testing.T) (wire.Registered, error) {
	t.Helper()
	c := &Client{from: netip.MustParseAddr("127.0.0.3")}
	x, err := c.courierTo(p.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	defer c.closeCourier()
	return x.exchange(t.Context(), testID, testKey, wire.Register{Version: 1, Sequence: 4, State: 5})
}

// TestExchange: what comes of a datagram, whatever the network and others on
// the way do with it.
func TestExchange(t *testing.T) {
	var first wire.Request
	for name, tt := range map[string]struct {
		says  func(n int, r wire.Request) [][]byte
		tries int
		check func(wire.Registered, error) bool
	}{
		"answered": {
			func(_ int, r wire.Request) [][]byte { return [][]byte{accept(r)} }, 1,
			func(m wire.Registered, err error) bool { return err == nil && m.Slot == 7 }},
		"refused": {
			func(_ int, r wire.Request) [][]byte { return [][]byte{reply(r, wire.Refused{Reason: wire.Replayed})} }, 1,
			func(_ wire.Registered, err error) bool {
				var no *link.RefusedError
				return errors.As(err, &no) && no.Reason == wire.Replayed
			}},
		"lost once": {
			func(n int, r wire.Request) [][]byte {
				if n == 1 {
					first = r
					return nil
				}
				if string(first.Bytes()) != string(r.Bytes()) {
					t.Error("the second try is another datagram")
				}
				return [][]byte{accept(r)}
			}, 2,
			func(m wire.Registered, err error) bool { return err == nil && m.Slot == 7 }},
		"lost for good": {
			func(int, wire.Request) [][]byte { return nil }, 2,
			func(_ wire.Registered, err error) bool { return errors.Is(err, errUnanswered) }},
		"a notice": {
			func(_ int, r wire.Request) [][]byte { return [][]byte{r.Notice(nil, 5*time.Second)} }, 1,
			func(_ wire.Registered, err error) bool {
				var come *comeError
				return errors.As(err, &come) && come.after == 5*time.Second
			}},
		"a forged notice before the reply": {
			func(_ int, r wire.Request) [][]byte { return [][]byte{r.Notice(nil, time.Hour), accept(r)} }, 1,
			func(m wire.Registered, err error) bool { return err == nil && m.Slot == 7 }},
		"nonsense before the reply": {
			func(_ int, r wire.Request) [][]byte {
				forged := accept(r)
				forged[20] ^= 1
				other := wire.NewRequest(testKey.Key.Box(seal.RegistrationRequest), [16]byte{1}, testID, wire.KeyName{}, wire.Register{})
				return [][]byte{{}, {1, 2, 3}, forged, accept(other), other.Notice(nil, 0), r.Bytes(), accept(r)}
			}, 1,
			func(m wire.Registered, err error) bool { return err == nil && m.Slot == 7 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // some take their time
			p := startPost(t, tt.says)
			if m, err := p.send(t); !tt.check(m, err) {
				t.Errorf("%+v, %v", m, err)
			}
			if len(p.got) != tt.tries {
				t.Errorf("%d datagrams were sent, want %d", len(p.got), tt.tries)
			}
			m, err := (<-p.got).Open(testKey.Key.Box(seal.RegistrationRequest))
			if err != nil || m.Sequence != 4 || m.State != 5 {
				t.Errorf("the server got %+v, %v", m, err)
			}
		})
	}
}

// TestCourierEnds: who waits for a reply does not outlive the client's life.
func TestCourierEnds(t *testing.T) {
	p := startPost(t, func(int, wire.Request) [][]byte { return nil })
	c := &Client{}
	x, err := c.courierTo(p.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := x.exchange(t.Context(), testID, testKey, wire.Register{Version: 1, State: 5})
		done <- err
	}()
	<-p.got
	began := time.Now()
	c.closeAll()
	if err := <-done; !errors.Is(err, errUnanswered) || time.Since(began) > datagramWait/2 {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
	if len(p.got) > 0 {
		t.Error("a second datagram was sent after the end")
	}
}

// TestCourierMoves: one socket serves all registrations with a server; another
// server has another.
func TestCourierMoves(t *testing.T) {
	here, there := netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("[::1]:9")
	c := &Client{}
	defer c.closeCourier()
	a, err := c.courierTo(here)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := c.courierTo(here); err != nil || b != a {
		t.Errorf("the same server has another socket: %v", err)
	}
	b, err := c.courierTo(there)
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	if b == a {
		t.Error("another server has the same socket")
	}
	if _, err := a.conn.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the old socket is open: %v", err)
	}
	c.from = netip.MustParseAddr("192.0.2.1") // nobody's
	if x, err := c.courierTo(here); err == nil {
		t.Errorf("from an address that is not ours: %+v", x)
	}
}

// TestSessions: sessions belong to one server each.
func TestSessions(t *testing.T) {
	s := &sessions{}
	if s.of("a") != s.of("a") || s.of("a") == s.of("b") {
		t.Error("sessions are shared between servers, or not kept")
	}
}
