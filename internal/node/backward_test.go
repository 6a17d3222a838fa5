package node

import (
	"slices"
	"testing"
	"time"

	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// until lets time pass until the node dials, and returns that; nothing else
// that it wants is done.
func (r *rig) untilDial() Dial {
	r.Helper()
	for range 1000 {
		if dials := of[Dial](r.step(Tick{})); len(dials) > 0 {
			return dials[0]
		}
		r.now = r.node.Deadline()
	}
	r.Fatal("the node dials nobody")
	return Dial{}
}

// TestBackwardLink: who has stood behind for a while is dialled once more, and
// again after a failure; the link stays as long as the neighbour does.
func TestBackwardLink(t *testing.T) {
	r := newRig(t, 1)
	back, _ := r.inChain()
	from := r.now
	d := r.untilDial()
	if d.Hello.Role != wire.Backward || d.Peer != chain.PeerAt(place(2)) {
		t.Fatalf("dials %v as %d", d.Peer, d.Hello.Role)
	}
	if wait := r.now.Sub(from); wait < backwardAfter/2 || wait > backwardAfter {
		t.Errorf("dials after %v", wait)
	}
	r.step(Failed{Conn: d.Conn})
	from = r.now
	d = r.untilDial()
	if wait := r.now.Sub(from); wait < backwardMin/2 || wait > backwardMin {
		t.Errorf("dials again after %v", wait)
	}
	r.step(Up{Conn: d.Conn})
	if own, theirs := r.node.Backward(); !own || theirs {
		t.Error("the link is not there")
	}
	if efs := r.step(Got{d.Conn, wire.Ping{Number: 3}}); len(of[Send](efs)) != 1 {
		t.Errorf("a ping has effects %v", efs)
	}
	r.step(Down{back})
	r.step(Knock{3, wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place(2)}})
	if own, _ := r.node.Backward(); own {
		t.Error("the link outlives the neighbour")
	}
	d = r.untilDial()
	r.step(Up{Conn: d.Conn})
	if efs := of[Hangup](r.step(Knock{5, wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place(2), Incarnation: 9}})); len(efs) != 1 {
		t.Errorf("the same neighbour by another link has effects %v", efs)
	}
	if own, _ := r.node.Backward(); !own {
		t.Error("the link does not outlive a link of the chain")
	}
	r.now = r.now.Add(time.Second)
	efs := r.step(Knock{7, wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place(4)}})
	if hangups := of[Hangup](efs); len(hangups) != 2 || hangups[1].Conn != d.Conn {
		t.Errorf("another neighbour has effects %v", efs)
	}
}

// TestBackwardMissed: a neighbour behind that does not take the backward link
// is named to the server for as long as that is so; one that refuses it is not.
func TestBackwardMissed(t *testing.T) {
	r := newRig(t, 1)
	r.inChain()
	said := func() []endpoint.ID {
		t.Helper()
		r.node.reg.normal = r.now
		r.node.reg.waiting = false
		all := of[Register](r.step(Tick{}))
		if len(all) != 1 {
			t.Fatalf("%d registrations", len(all))
		}
		return all[0].Request.Unreachable
	}
	missed := []endpoint.ID{place(2).ID}
	for i, c := range []struct {
		ev   func(chain.Conn) Event
		want []endpoint.ID
	}{
		{func(c chain.Conn) Event { return Failed{Conn: c} }, missed},
		{func(c chain.Conn) Event { return Failed{c, wire.Refused{Reason: wire.TryLater}} }, nil},
		{func(chain.Conn) Event { r.now = r.now.Add(asideTimeout); return Tick{} }, missed},
		{func(c chain.Conn) Event { return Up{Conn: c} }, nil},
	} {
		r.step(c.ev(r.untilDial().Conn))
		if got := said(); !slices.Equal(got, c.want) {
			t.Errorf("%d: names %v, want %v", i, got, c.want)
		}
	}
	r.step(Down{r.node.back.conn})
	if got := said(); got != nil {
		t.Errorf("a link that breaks names %v", got)
	}
	r.step(Failed{Conn: r.untilDial().Conn})
	r.step(Knock{7, wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place(4)}})
	if got := said(); got != nil {
		t.Errorf("who does not stand behind any more is named: %v", got)
	}
}

// TestBackwardTimeout: a dial that hears nothing ends.
func TestBackwardTimeout(t *testing.T) {
	r := newRig(t, 1)
	r.inChain()
	d := r.untilDial()
	for range 100 {
		r.now = r.node.Deadline()
		if hangups := of[Hangup](r.step(Tick{})); len(hangups) > 0 {
			if hangups[0].Conn != d.Conn {
				t.Fatalf("hangs up %v", hangups)
			}
			return
		}
	}
	t.Error("the dial never ends")
}

// TestBackwardKnock: only the neighbour in front is let in, and only files are
// to be talked about.
func TestBackwardKnock(t *testing.T) {
	r := newRig(t, 1)
	_, fore := r.inChain()
	for n, want := range map[byte]bool{8: true, 9: false, 2: false} {
		efs := r.step(Knock{chain.Conn(n)*2 + 1, wire.Hello{Version: wire.Version, Role: wire.Backward, Place: place(n)}})
		if got := len(of[Admit](efs)) == 1; got != want || !got && len(of[Refuse](efs)) != 1 {
			t.Errorf("%d is admitted: %v", n, got)
		}
	}
	if efs := r.step(Got{17, wire.Question{Sealed: r.sealed(41)}}); len(of[Evaluate](efs)) > 0 || len(of[Hangup](efs)) != 1 {
		t.Errorf("a question has effects %v", efs)
	}
	r.step(Knock{19, wire.Hello{Version: wire.Version, Role: wire.Backward, Place: place(8)}})
	if _, theirs := r.node.Backward(); !theirs {
		t.Error("the neighbour in front is not let in again")
	}
	r.step(Down{fore})
	r.step(Knock{21, wire.Hello{Version: wire.Version, Role: wire.Ahead, Place: place(6)}})
	if _, theirs := r.node.Backward(); theirs {
		t.Error("the link outlives the neighbour in front")
	}
}
