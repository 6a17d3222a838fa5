package wire

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/seal"

	"pgregory.net/rapid"
)

var (
	datagramKey = seal.RegistrationKey{4, 2}
	keyName     = KeyName{1, 2, 3, 19: 20}
	toServer    = datagramKey.Box("to server")
	toClient    = datagramKey.Box("to client")
)

// whole is a registration of usual size.
func whole() Register {
	return Register{
		Version: Version, Incarnation: 12, Sequence: 3456, Place: placeA, Name: "accounting-0815", Program: "0.1.0-7d6e1204",
		Platform: "Windows", Slot: 117, HasSlot: true, Peers: 0x1122334455667788,
		Back: Neighbour{endpoint.Peer, placeB.ID}, Fore: Neighbour{endpoint.Peer, placeA.ID},
	}.Named()
}

// TestDatagrams: what is sealed arrives as it was said, and the reply belongs
// to its request.
func TestDatagrams(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawRegister(t)
		m.RenewalKey, m.Known = nil, nil
		if rapid.Bool().Draw(t, "brief") {
			m = m.Brief()
		}
		if !FitsDatagram(m) {
			return
		}
		chance := [16]byte(drawBytes(t, 16, 16))
		sent := NewRequest(toServer, chance, placeA.ID, keyName, m)
		if n := len(sent.Bytes()); n > DatagramMax || !m.IsBrief() && n < paddedTo {
			t.Fatalf("a datagram of %d bytes", n)
		}
		got, err := ParseRequest(sent.Bytes())
		if err != nil || got.Client != placeA.ID || got.Key != keyName || got.Nonce() != sent.Nonce() {
			t.Fatalf("parsed as %+v, %v", got, err)
		}
		reg, err := got.Open(toServer)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(m, reg); d != "" {
			t.Fatalf("arrives changed:\n%s", d)
		}
		var reply Message = Refused{Reason: Replayed, Text: drawText(t, 100)}
		if rapid.Bool().Draw(t, "accepted") {
			r := drawReply(t)
			r.Questions, r.Vouchers, r.Certificate = nil, nil, nil
			reply = r
		}
		if !got.Fits(reply) {
			return
		}
		b := got.Reply([]byte("before"), toClient, chance, reply)[6:]
		if len(b) > len(sent.Bytes())+replyExtra || len(b) > DatagramMax {
			t.Fatalf("%d bytes answer %d", len(b), len(sent.Bytes()))
		}
		back, err := sent.ReadReply(toClient, b)
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(reply, back); d != "" {
			t.Fatalf("the reply arrives changed:\n%s", d)
		}
	})
}

// TestWrongDatagrams: whatever was cut, changed, turned round, or said about
// something else is not taken.
func TestWrongDatagrams(t *testing.T) {
	request := NewRequest(toServer, [16]byte{1}, placeA.ID, keyName, whole())
	reply := request.Reply(nil, toClient, [16]byte{2}, Registered{Now: issued})
	open := func(b []byte, box Box) error {
		r, err := ParseRequest(b)
		if err == nil {
			_, err = r.Open(box)
		}
		return err
	}
	if err := open(request.Bytes(), toServer); err != nil {
		t.Fatal(err)
	}
	for i := range request.Bytes() {
		b := bytes.Clone(request.Bytes())
		b[i] ^= 0x40
		if open(b, toServer) == nil {
			t.Errorf("with byte %d changed the request opens", i)
		}
		if open(b[:i], toServer) == nil {
			t.Errorf("%d bytes of the request open", i)
		}
	}
	for i := range reply {
		b := bytes.Clone(reply)
		b[i] ^= 0x40
		if _, err := request.ReadReply(toClient, b); err == nil {
			t.Errorf("with byte %d changed the reply opens", i)
		}
		if _, err := request.ReadReply(toClient, b[:i]); err == nil {
			t.Errorf("%d bytes of the reply open", i)
		}
	}
	other := NewRequest(toServer, [16]byte{3}, placeA.ID, keyName, whole())
	if _, err := other.ReadReply(toClient, reply); err == nil {
		t.Error("the reply to one request answers another")
	}
	if _, err := request.ReadReply(toClient, request.Bytes()); err == nil {
		t.Error("a request answers itself")
	}
	if open(request.Bytes(), toClient) == nil || open(request.Bytes(), seal.RegistrationKey{9}.Box("to server")) == nil {
		t.Error("the request opens with another key")
	}
	if open(reply, toServer) == nil {
		t.Error("a reply is taken for a request")
	}
	if err := open(append(request.Bytes(), make([]byte, DatagramMax)...), toServer); err == nil || !strings.Contains(err.Error(), "more than 1200") {
		t.Errorf("an endless datagram: %v", err)
	}
}

// TestSealedNonsense: also who has the key is held to the rules.
func TestSealedNonsense(t *testing.T) {
	frame := Append(nil, whole())
	for name, plain := range map[string][]byte{
		"nothing":            nil,
		"no kind":            {0, 0, 0, 0, 0},
		"half a frame":       frame[:20],
		"another message":    Append(nil, Ping{Number: 1}),
		"unknown kind":       {0, 0, 0, 1, 99},
		"something behind":   append(slices.Clone(frame), 0, 0, 1),
		"two frames":         append(slices.Clone(frame), frame...),
		"unreadable message": {0, 0, 0, 3, byte(KindRegister), 0x48, 0xff},
	} {
		head := NewRequest(toServer, [16]byte{}, placeA.ID, keyName, whole()).Bytes()[:requestHead]
		r, err := ParseRequest(toServer.Seal(slices.Clone(head), [16]byte{1}, plain, head))
		if err != nil {
			t.Fatal(err)
		}
		if m, err := r.Open(toServer); err == nil {
			t.Errorf("%s is read as %+v", name, m)
		}
		about := r.about([]byte{datagramVersion, datagramReply})
		b := toClient.Seal([]byte{datagramVersion, datagramReply}, [16]byte{1}, plain, about)
		if m, err := r.ReadReply(toClient, b); err == nil {
			t.Errorf("%s is read as the reply %+v", name, m)
		}
	}
}

// TestNotice: a notice is about one request, and much smaller than it.
func TestNotice(t *testing.T) {
	a := NewRequest(toServer, [16]byte{1}, placeA.ID, keyName, whole().Brief())
	b := NewRequest(toServer, [16]byte{2}, placeA.ID, keyName, whole().Brief())
	n := a.Notice([]byte{}, 70_001*time.Millisecond)
	if len(n)*4 > len(a.Bytes()) {
		t.Errorf("a notice of %d bytes about a request of %d", len(n), len(a.Bytes()))
	}
	if come, ok := a.ReadNotice(n); !ok || come != 70_001*time.Millisecond {
		t.Errorf("read as %v, %v", come, ok)
	}
	if _, ok := b.ReadNotice(n); ok {
		t.Error("the notice is about another request too")
	}
	for i := range n[:len(n)-4] {
		wrong := bytes.Clone(n)
		wrong[i] ^= 1
		if _, ok := a.ReadNotice(wrong); ok {
			t.Errorf("with byte %d changed it is still taken", i)
		}
		if _, ok := a.ReadNotice(n[:i]); ok {
			t.Errorf("%d bytes of it are taken", i)
		}
	}
}

// TestNothingChanged: "as before" costs less than 250 bytes both ways, and new
// lists of ten peers on each side fit in the reply to a registration that says
// everything, also with IPv6.
func TestNothingChanged(t *testing.T) {
	m := whole()
	m.Sequence, m.Known = 200_000, []uint64{1_000_000, 1_000_001, 1_000_007}
	request := NewRequest(toServer, [16]byte{1}, placeA.ID, keyName, m.Brief())
	reply := request.Reply(nil, toClient, [16]byte{1}, Registered{Same: true, Now: issued, Highest: 1_000_007})
	t.Logf("%d bytes up, %d down", len(request.Bytes()), len(reply))
	if n := len(request.Bytes()) + len(reply); n > 200 {
		t.Errorf("nothing new costs %d bytes", n)
	}
	for _, lan := range []string{"10.1.2.%d", "2001:db8:1:2::%x", "2001:db8:1:2:8a9b:12ff:fe00:%x"} {
		var lists [2][]endpoint.Place
		for i := range 20 {
			addr := netip.MustParseAddr(fmt.Sprintf(lan, i*7+1))
			p := endpoint.Place{Addr: netip.AddrPortFrom(addr, uint16(17472+i%3)), ID: endpoint.ID{byte(i)}}
			lists[i%2] = append(lists[i%2], p)
		}
		r := Registered{
			ComputerID: 1<<31 + 5, Slot: 60_000, Back: lists[0], Fore: lists[1], Highest: 1 << 40, Now: issued,
			Intervals: Intervals{30 * time.Second, 90 * time.Second, 2 * time.Hour, 6 * time.Hour},
		}.Thin(77, 0)
		whole := NewRequest(toServer, [16]byte{1}, placeA.ID, keyName, Register{Version: Version, Place: placeA})
		if !whole.Fits(r) {
			t.Errorf("%s: lists of 20 peers do not fit in the reply to %d bytes", lan, len(whole.Bytes()))
		}
		t.Logf("%s: %d bytes up, %d down", lan, len(whole.Bytes()), len(whole.Reply(nil, toClient, [16]byte{}, r)))
	}
}

// TestState: a registration's name changes with what the client says of itself
// and not with what is new each time; brief and whole belong together.
func TestState(t *testing.T) {
	m := whole()
	for name, change := range map[string]func(*Register){
		"place":    func(m *Register) { m.Place.Addr = placeB.Addr },
		"name":     func(m *Register) { m.Name += "x" },
		"program":  func(m *Register) { m.Program += "x" },
		"platform": func(m *Register) { m.Platform += "x" },
		"slot":     func(m *Register) { m.Slot++ },
		"has slot": func(m *Register) { m.HasSlot = false },
		"behind":   func(m *Register) { m.Back.Kind = endpoint.Server },
		"in front": func(m *Register) { m.Fore.ID = endpoint.ID{9} },
		"files":    func(m *Register) { m.BackwardLink = true },
	} {
		c := m
		if change(&c); c.Named().State == m.State {
			t.Errorf("a change of %s leaves the state's name as it was", name)
		}
	}
	for name, change := range map[string]func(*Register){
		"sequence":    func(m *Register) { m.Sequence++ },
		"incarnation": func(m *Register) { m.Incarnation++ },
		"initial":     func(m *Register) { m.Initial = true },
		"lists":       func(m *Register) { m.Peers++ },
		"questions":   func(m *Register) { m.Known = []uint64{1} },
		"unreachable": func(m *Register) { m.Unreachable = []endpoint.ID{{1}} },
		"renewal key": func(m *Register) { m.RenewalKey = []byte{1} },
		"round trip":  func(m *Register) { m.RoundTrip++ },
	} {
		c := m
		if change(&c); c.Named().State != m.State {
			t.Errorf("a change of %s changes the state's name", name)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		said := drawRegister(t).Named()
		next := drawRegister(t)
		next.Place, next.Name, next.Program, next.Platform, next.Back, next.Fore = said.Place, said.Name, said.Program, said.Platform, said.Back, said.Fore
		next.Slot, next.HasSlot, next.RenewalKey, next.Initial, next.BackwardLink = said.Slot, said.HasSlot, nil, false, said.BackwardLink
		next = next.Named()
		if next.State != said.State {
			t.Fatal("the same state has two names")
		}
		b := next.Brief()
		if !b.IsBrief() || next.IsBrief() {
			t.Fatalf("brief: %v, whole: %v", b.IsBrief(), next.IsBrief())
		}
		if d := diff(next, b.Whole(said)); d != "" {
			t.Fatalf("completed it is another:\n%s", d)
		}
	})
}

// TestThin: a reply leaves out what the client holds exactly if all of it is
// the same, and the rest is always there.
func TestThin(t *testing.T) {
	full := Registered{
		ComputerID: 5, Slot: 7, Back: []endpoint.Place{placeA}, Fore: []endpoint.Place{placeB}, Highest: 9, Now: issued,
		Intervals: Intervals{1e9, 2e9, 3e9, 4e9}, Questions: [][]byte{{1}}, Direct: []uint64{9},
		LAN: 3, From: placeA, Until: placeB, Across: []endpoint.Place{placeB}, Counted: []uint64{8},
	}
	named := full.Thin(77, 0)
	want := full
	want.Peers = named.Peers
	if d := diff(want, named); named.Peers == 0 || d != "" {
		t.Errorf("for who holds nothing:\n%s", d)
	}
	same := Registered{Same: true, Highest: 9, Now: issued, Questions: [][]byte{{1}}, Direct: []uint64{9}, Counted: []uint64{8}}
	if d := diff(same, full.Thin(77, named.Peers)); d != "" {
		t.Errorf("for who holds it:\n%s", d)
	}
	for name, change := range map[string]func(*Registered){
		"computer id": func(m *Registered) { m.ComputerID++ },
		"slot":        func(m *Registered) { m.Slot = answer.Slot(8) },
		"interval":    func(m *Registered) { m.Intervals.InitialMax++ },
	} {
		c := full
		if change(&c); c.Thin(77, named.Peers).Same {
			t.Errorf("a change of %s is left out", name)
		}
	}
	if full.Thin(78, named.Peers).Same {
		t.Error("new lists are left out")
	}
}

// FuzzRequest: whatever is in a datagram or a box, nothing breaks, and what is
// read can be said again.
func FuzzRequest(f *testing.F) {
	f.Add(NewRequest(toServer, [16]byte{}, placeA.ID, keyName, whole()).Bytes())
	f.Add(append(Append(nil, whole()), 0, 0))
	f.Add(Append(nil, Registered{Same: true, Now: issued}))
	f.Add(Append(nil, Refused{Reason: Replayed}))
	f.Add([]byte{0, 0, 0, 1, 99})
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRequest(b); err == nil {
			if !bytes.Equal(r.Bytes(), b) || !bytes.Equal(r.Bytes()[kindSize:kindSize+16], r.Client[:]) {
				t.Fatalf("%x is parsed as %+v", b, r)
			}
			r.Open(toServer)
			r.ReadReply(toClient, b)
		}
		request := NewRequest(toServer, [16]byte{1}, placeA.ID, keyName, whole())
		head := request.Bytes()[:requestHead]
		r, err := ParseRequest(toServer.Seal(slices.Clone(head), [16]byte{1}, b, head))
		if err != nil {
			return // too long
		}
		if m, err := r.Open(toServer); err == nil && FitsDatagram(m) {
			again, err := NewRequest(toServer, [16]byte{2}, placeA.ID, keyName, m).Open(toServer)
			if d := diff(m, again); err != nil || d != "" {
				t.Fatalf("%x changes when it is said again: %v\n%s", b, err, d)
			}
		}
		about := request.about([]byte{datagramVersion, datagramReply})
		m, err := request.ReadReply(toClient, toClient.Seal([]byte{datagramVersion, datagramReply}, [16]byte{1}, b, about))
		if err == nil && request.Fits(m) {
			again, err := request.ReadReply(toClient, request.Reply(nil, toClient, [16]byte{3}, m))
			if d := diff(m, again); err != nil || d != "" {
				t.Fatalf("%x changes when it is replied again: %v\n%s", b, err, d)
			}
		}
		request.ReadNotice(b)
	})
}
