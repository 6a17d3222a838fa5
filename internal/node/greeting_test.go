package node

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// answered brings the node, between 2 and 8, to where it has said one answer to
// question 41, which holds one of 2's, and was not heard yet.
func (r *rig) answered() (back, fore chain.Conn) {
	r.Helper()
	back, fore = r.inChain()
	r.step(Got{back, wire.Question{Sealed: r.sealed(41)}})
	r.step(Got{back, wire.Answer{Report: answer.Report{
		Seq: 1, Question: 41, First: true, Final: true,
		Bundle: answer.Bundle{Question: 41, Set: answer.SetOf(2), Counts: answer.Counts{Passed: 1}},
	}}})
	if sends := of[Send](r.step(Evaluated{41, answer.Rows{}, answer.Counts{}})); len(sends) != 1 || sends[0].Conn != fore {
		r.Fatalf("the answer leaves as %v", sends)
	}
	return back, fore
}

// said is what a message is, in a word.
func said(sends []Send) (all []string) {
	for _, s := range sends {
		switch m := s.Message.(type) {
		case wire.Question:
			all = append(all, "question")
		case wire.Answer:
			all = append(all, fmt.Sprintf("answer %d of %v tainted %v", m.Seq, m.Bundle.Set, m.Bundle.Tainted))
		case wire.Ack:
			all = append(all, fmt.Sprintf("ack %d unsafe %v", m.Seq, m.Unsafe))
		default:
			all = append(all, fmt.Sprintf("%T", m))
		}
	}
	return all
}

// TestGreeting: what the neighbour in front says of itself, by HelloOK or by
// Hello, decides what it is told.
func TestGreeting(t *testing.T) {
	for _, tt := range []struct {
		name        string
		incarnation uint64
		heard       wire.Heard
		known       []uint64
		want        []string
	}{
		{"has heard nothing", 0, wire.Heard{}, nil, []string{"question", "answer 1 of [2 5] tainted false", "answer 2 of [] tainted false"}},
		{"knows the question", 0, wire.Heard{}, []uint64{41}, []string{"answer 1 of [2 5] tainted false", "answer 2 of [] tainted false"}},
		{"has heard all", 0, wire.Heard{Incarnation: 4, Seq: 1}, []uint64{41}, []string{"answer 2 of [] tainted false", "ack 1 unsafe []"}},
		{"has heard our former life", 0, wire.Heard{Incarnation: 3, Seq: 1}, []uint64{41}, []string{"answer 1 of [2 5] tainted false", "answer 2 of [] tainted false"}},
		{"is another life", 2, wire.Heard{}, nil, []string{"question", "answer 2 of [] tainted false", "answer 3 of [2 5] tainted true"}},
	} {
		for _, knocks := range []bool{false, true} {
			r := newRig(t, 1)
			_, fore := r.answered()
			var efs []Effect
			if knocks { // before we have noticed that the old link is gone
				efs = r.step(Knock{3, wire.Hello{
					Version: wire.Version, Role: wire.Ahead, Place: place(8), Incarnation: tt.incarnation, Heard: tt.heard, Known: tt.known,
				}})
			} else {
				dials := of[Dial](r.step(Down{fore}))
				if len(dials) != 1 || dials[0].Peer != chain.PeerAt(place(8)) || !slices.Equal(dials[0].Hello.Known, []uint64{41}) {
					t.Fatalf("dials %+v", dials)
				}
				efs = r.step(Up{dials[0].Conn, wire.HelloOK{Incarnation: tt.incarnation, Heard: tt.heard, Known: tt.known}})
			}
			got := said(of[Send](efs))
			if !slices.Equal(got, tt.want) {
				t.Errorf("%s (knocks: %v): it is told %q, want %q", tt.name, knocks, got, tt.want)
			}
		}
	}
}

// TestHeardIsSaid: who comes back behind is told how far it was heard, and who
// is dialled there, too.
func TestHeardIsSaid(t *testing.T) {
	r := newRig(t, 1)
	back, _ := r.answered()
	want := wire.Heard{Incarnation: 0, Seq: 1}
	efs := r.step(Knock{3, wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place(2)}})
	admits := of[Admit](efs)
	if len(admits) != 1 || !slices.Contains(of[Hangup](efs), Hangup{back}) ||
		!reflect.DeepEqual(admits[0].Reply, wire.HelloOK{Incarnation: 4, Heard: want, Known: []uint64{41}}) {
		t.Fatalf("effects are %+v", efs)
	}
	dials := of[Dial](r.step(Down{3}))
	if len(dials) != 1 || dials[0].Peer != chain.PeerAt(place(2)) || dials[0].Hello.Heard != want {
		t.Errorf("dials with %+v", dials)
	}
}

// TestCheck: a neighbour past which somebody knocks is asked whether it is
// there. If it says anything, who knocked is told to go there; if not, it is
// let in, and hears who is dead.
func TestCheck(t *testing.T) {
	for _, lives := range []bool{true, false} {
		r := newRig(t, 1)
		_, fore := r.inChain()
		efs := r.step(Knock{3, wire.Hello{Version: wire.Version, Role: wire.Ahead, Place: place(9), Suspects: []endpoint.ID{place(8).ID}}})
		sends := of[Send](efs)
		ping, ok := sends[0].Message.(wire.Ping)
		if len(efs) != 1 || !ok || sends[0].Conn != fore || ping.Reply {
			t.Fatalf("effects are %+v", efs)
		}
		if lives {
			efs = r.step(Got{fore, wire.Ping{Number: ping.Number, Reply: true}})
			refusals := of[Refuse](efs)
			if len(refusals) != 1 || refusals[0].Conn != 3 || refusals[0].Reply.Reason != wire.Nearer || refusals[0].Reply.Peer != place(8) {
				t.Errorf("8 lives: %+v", efs)
			}
			continue
		}
		r.now = r.now.Add(500 * time.Millisecond)
		efs = r.step(Tick{})
		want := Send{3, wire.Gone{Clients: []endpoint.ID{place(8).ID}}}
		if sends = of[Send](efs); len(of[Admit](efs)) != 1 || !slices.Contains(of[Hangup](efs), Hangup{fore}) ||
			len(sends) != 1 || !reflect.DeepEqual(sends[0], want) {
			t.Errorf("8 is silent: %+v", efs)
		}
	}
}

// TestPing: whoever asks is answered, once.
func TestPing(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	for _, c := range []chain.Conn{back, fore} {
		if efs := r.step(Got{c, wire.Ping{Number: 9}}); !reflect.DeepEqual(efs, []Effect{Send{c, wire.Ping{Number: 9, Reply: true}}}) {
			t.Errorf("a ping has effects %v", efs)
		}
		if efs := r.step(Got{c, wire.Ping{Number: 9, Reply: true}}); len(efs) != 0 {
			t.Errorf("a reply to it has effects %v", efs)
		}
	}
}

// TestGone: deaths are passed on in front. While nobody stands there so many
// wait, the newest.
func TestGone(t *testing.T) {
	ids := func(from, to byte) (all []endpoint.ID) {
		for n := from; n <= to; n++ {
			all = append(all, endpoint.ID{n})
		}
		return all
	}
	r := newRig(t, 1)
	back, fore := r.inChain()
	gone := wire.Gone{Clients: ids(101, 103)}
	if efs := r.step(Got{back, gone}); !reflect.DeepEqual(efs, []Effect{Send{fore, gone}}) {
		t.Errorf("effects are %v", efs)
	}
	dials := of[Dial](r.step(Down{fore}))
	for n := byte(110); n < 150; n += 2 {
		if efs := r.step(Got{back, wire.Gone{Clients: ids(n, n+1)}}); len(efs) != 0 {
			t.Fatalf("with nobody in front, effects are %v", efs)
		}
	}
	want := []Send{{dials[0].Conn, wire.Gone{Clients: ids(150-goneMax, 149)}}}
	if got := of[Send](r.step(Up{Conn: dials[0].Conn})); !reflect.DeepEqual(got, want) {
		t.Errorf("then it says %v, want %v", got, want)
	}
	if got := of[Send](r.step(Tick{})); len(got) != 0 {
		t.Errorf("and again %v", got)
	}
}

// TestRefusals: a refusal for now is followed by another try within seconds, one
// that names a nearer neighbour by a dial to that, and one for good by neither.
func TestRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		refusal wire.Refused
		dial    chain.Peer
		from    time.Duration
		to      time.Duration
	}{
		"for now":  {wire.Refused{Reason: wire.TryLater, Peer: place(7)}, chain.Server, 2 * time.Second, 6 * time.Second},
		"for good": {wire.Refused{Reason: wire.Nearer}, chain.Server, 30 * time.Second, 90 * time.Second},
		"nearer":   {wire.Refused{Reason: wire.Nearer, Peer: place(7)}, chain.PeerAt(place(7)), 0, 0},
	} {
		r := newRig(t, 1)
		r.step(Tick{})
		m := r.reply()
		m.Back = nil
		var fore chain.Conn
		for _, d := range of[Dial](r.step(Registered{m})) {
			if d.Peer == chain.Server {
				r.step(Up{Conn: d.Conn})
			} else {
				fore = d.Conn
			}
		}
		dials := of[Dial](r.step(Failed{fore, tt.refusal}))
		if len(dials) != 1 || dials[0].Peer != tt.dial {
			t.Errorf("%s: dials %+v", name, dials)
		}
		if r.step(Up{Conn: dials[0].Conn}); tt.to == 0 {
			continue
		}
		at := r.node.chain.Deadline().Sub(r.now) // of the other side, too, which rests
		if at < tt.from || at > tt.to {
			t.Errorf("%s: comes again after %v", name, at)
		}
	}
}

// TestMovedLAN: who is in another LAN now parts from its neighbours, and begins
// anew there.
func TestMovedLAN(t *testing.T) {
	for _, moved := range []bool{false, true} {
		r := newRig(t, 1)
		r.step(Tick{})
		m := r.reply()
		m.LAN = 1
		for _, d := range of[Dial](r.step(Registered{m})) {
			r.step(Up{Conn: d.Conn})
		}
		efs := r.register(t, func(m *wire.Registered) {
			m.LAN, m.Back, m.Fore = 1, []endpoint.Place{place(2)}, []endpoint.Place{place(8)}
			if moved {
				m.LAN = 2
			}
		})
		want := 0
		if moved {
			want = 2
		}
		dials := of[Dial](efs)
		if len(of[Hangup](efs)) != want || len(dials) != want || want > 0 && dials[0].Hello.LAN != 2 {
			t.Errorf("moved %v: effects are %v", moved, efs)
		}
	}
}

// TestExhausted: who can reach nobody on a list that it was given registers soon,
// so that it is named others; but not again for the same ones.
func TestExhausted(t *testing.T) {
	r := newRig(t, 1)
	r.step(Tick{})
	m := r.reply()
	m.Back, m.Vouchers = nil, nil
	m.Intervals.NormalMin = m.Intervals.NormalMax // so that no slot comes by chance
	asked := r.now
	fail := func(efs []Effect) {
		for dials := of[Dial](efs); len(dials) > 0; dials = dials[1:] {
			ev := Event(Failed{Conn: dials[0].Conn})
			if dials[0].Peer == chain.Server {
				ev = Up{Conn: dials[0].Conn}
			}
			dials = append(dials, of[Dial](r.step(ev))...)
		}
	}
	next := func() (time.Duration, wire.Register) {
		for range 100 {
			efs := r.step(Tick{})
			if fail(efs); len(of[Register](efs)) == 1 {
				return r.now.Sub(asked), of[Register](efs)[0].Request
			}
			r.now = r.node.Deadline()
		}
		t.Fatal("the node does not register")
		return 0, wire.Register{}
	}
	fail(r.step(Registered{m}))
	for _, tt := range []struct {
		unreachable byte
		from, to    time.Duration
	}{
		{8, settleMin, settleMax}, // comes by itself
		{9, unreachableGap, unreachableGap * 11 / 10},
		{7, unreachableGap, unreachableGap * 11 / 10},
		{7, 30 * time.Second, 90 * time.Second}, // the reply is the same
	} {
		wait, req := next()
		if wait < tt.from || wait > tt.to || !slices.Contains(req.Unreachable, place(tt.unreachable).ID) {
			t.Errorf("after %v it registers and names %v, want %d", wait, req.Unreachable, tt.unreachable)
		}
		asked = r.now
		reply := r.same()
		if tt.unreachable != 7 {
			reply = m
			reply.Now = r.now.Add(r.skew)
			reply.Fore = []endpoint.Place{place(map[byte]byte{8: 9, 9: 7}[tt.unreachable])}
		}
		fail(r.step(Registered{reply}))
	}
}

// TestOtherLine: a leader that asks on one of its connections takes the reply
// from there only.
func TestOtherLine(t *testing.T) {
	r := newRig(t, 1)
	r.step(Tick{})
	m := r.keyed()
	m.Back, m.Fore = nil, nil
	for _, d := range of[Dial](r.step(Registered{m})) {
		r.step(Up{Conn: d.Conn})
	}
	out, _ := r.sends(nil)
	for _, s := range []chain.Side{chain.Fore, chain.Back} {
		_, c := r.node.chain.Neighbour(s)
		if r.step(Got{c, r.same()}); r.node.reg.waiting != (c != out.Conn) {
			t.Errorf("after a reply on connection %d it waits for one on %d: %v", c, out.Conn, r.node.reg.waiting)
		}
	}
}
