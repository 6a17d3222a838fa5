package chain

import (
	"testing"
	"time"

	"catenary/internal/endpoint"
)

// fore is a list of so many peers in front of node 5.
func fore(n int) (list []endpoint.Place) {
	for i := range n {
		list = append(list, place(byte(6+i)))
	}
	return list
}

// TestSlowMachine: a machine on which a registration has taken long, or whose
// timers ring late, gives all that it does as much more time, up to a limit.
func TestSlowMachine(t *testing.T) {
	const second = time.Second
	for _, c := range []struct {
		took, late    time.Duration
		dial, stagger time.Duration
	}{
		{0, 0, 3 * second, second / 10},
		{second / 100, second / 100, 3*second + 8*second/100, second / 10},
		{second / 2, 0, 5 * second, second / 2},
		{0, second / 4, 4 * second, second / 4},
		{second, second / 2, 9 * second, 3 * second / 2},
		{5 * second, 0, 15 * second, 2 * second},
	} {
		n, now := New(place(5), 1), time.Unix(0, 0)
		n.Step(now, Tick{Late: c.late})
		n.Step(now, Peers{Fore: fore(2), Took: c.took})
		e := &n.edges[Fore]
		if got := e.dials[0].until.Sub(now); got != c.dial {
			t.Errorf("%+v: a dial may take %v", c, got)
		}
		if got := e.next.Sub(now); got != c.stagger {
			t.Errorf("%+v: the next dial comes after %v", c, got)
		}
	}
}

// TestLateForgotten: a machine that was late once is believed to be so for a
// while, a quarter less with each timer that rings in time.
func TestLateForgotten(t *testing.T) {
	n, now := New(place(5), 1), time.Unix(0, 0)
	for i, late := range []time.Duration{256, 0, 0, 200, 0} {
		n.Step(now, Tick{Late: late})
		if want := []time.Duration{256, 192, 144, 200, 150}[i]; n.late != want {
			t.Errorf("after timer %d it is late by %d, want %d", i, n.late, want)
		}
	}
}

// TestLateCheck: who is itself late gives a neighbour that much more time to show
// itself.
func TestLateCheck(t *testing.T) {
	n, now := New(place(5), 1), time.Unix(0, 0)
	n.Step(now, Peers{Fore: fore(1)})
	n.Step(now, Up{dialOf(n, Fore, PeerAt(place(6)))})
	n.Step(now, Tick{Late: 100 * time.Millisecond})
	n.Step(now, Knock{Conn: 3, Side: Fore, Peer: place(9), Suspects: []endpoint.ID{place(6).ID}})
	if got := n.edges[Fore].waiting.until.Sub(now); got != 900*time.Millisecond {
		t.Errorf("the neighbour has %v to show itself, want 500 ms and four times 100 ms", got)
	}
}

// TestServerInTheEnd: a side that is alone dials the server at the latest after
// thirty staggers, though there are peers that have not been dialled, and as soon
// as it may if there are as many dials as may be.
func TestServerInTheEnd(t *testing.T) {
	for first, want := range map[string]time.Duration{"silent": 3 * time.Second, "lives": 3100 * time.Millisecond} {
		n, start := New(place(5), 1), time.Unix(0, 0)
		n.Step(start, Peers{Fore: fore(14)})
		now := start
		for dialOf(n, Fore, Server) == 0 {
			now = n.Deadline()
			n.Step(now, Tick{})
			if len(n.edges[Fore].dials) == dialsMax && first == "lives" {
				n.Step(now, Reached{dialOf(n, Fore, PeerAt(place(6)))})
			}
		}
		// Twelve are dialled within 1.1 s and fail after 3 s, unless they live.
		if got := now.Sub(start); got != want || len(n.edges[Fore].dials) > dialsMax {
			t.Errorf("the first %s: dials the server after %v, beside %d", first, got, len(n.edges[Fore].dials)-1)
		}
	}
}

// TestBackOffEndsAtOnce: also a neighbour that is lost before its round is over
// ends the back-off.
func TestBackOffEndsAtOnce(t *testing.T) {
	for seed := range uint64(50) {
		n, now := New(place(5), seed), time.Unix(0, 0)
		n.Step(now, Peers{Fore: fore(1)})
		n.own(Fore).alone = 5 // rounds that have reached nobody
		server := func() Conn {
			for dialOf(n, Fore, Server) == 0 {
				now = n.Deadline()
				n.Step(now, Tick{})
			}
			return dialOf(n, Fore, Server)
		}
		n.Step(now, Up{server()})
		_, c := n.Neighbour(Fore)
		n.Step(now, Down{c})
		n.Step(now, Failed{Conn: dialOf(n, Fore, PeerAt(place(6)))})
		n.Step(now, Failed{Conn: server()})
		if w := wait(n, Fore, now); w > aloneMin+time.Millisecond {
			t.Fatalf("seed %d: waits %v", seed, w)
		}
	}
}

// TestRedirects: in one round a side follows so many refusals, and no more.
func TestRedirects(t *testing.T) {
	n, now := New(place(5), 1), time.Unix(0, 0)
	n.Step(now, Peers{Fore: []endpoint.Place{place(40)}})
	dials := 0
	for next := byte(40); dialOf(n, Fore, PeerAt(place(next))) != 0; next-- {
		n.Step(now, Failed{Conn: dialOf(n, Fore, PeerAt(place(next))), Refused: true, Nearer: PeerAt(place(next - 1))})
		dials++
	}
	if dials != 1+redirectsMax || dialOf(n, Fore, Server) == 0 {
		t.Errorf("after %d dials the server is dialled on %d", dials, dialOf(n, Fore, Server))
	}
}

// TestComeLater: to who declines for now a side that holds somebody comes again
// after 4, 8, 16, 30, 30 … s, or half as much less or more, and from 4 s again
// after it has been declined for good.
func TestComeLater(t *testing.T) {
	var least, most [7]time.Duration
	for seed := range uint64(100) {
		n, now := New(place(5), seed), time.Unix(0, 0)
		n.Step(now, Peers{Fore: fore(1)})
		n.Step(now, Up{dialOf(n, Back, Server)})
		declined := func(later bool) {
			for dialOf(n, Fore, PeerAt(place(6))) == 0 {
				now = n.Deadline()
				n.Step(now, Tick{})
			}
			n.Step(now, Failed{Conn: dialOf(n, Fore, PeerAt(place(6))), Refused: true, Later: later})
			if c := dialOf(n, Fore, Server); c != 0 {
				n.Step(now, Up{c})
			}
		}
		for i := range least {
			if i == 5 {
				declined(false)
			}
			declined(true)
			w := wait(n, Fore, now)
			if most[i] = max(most[i], w); least[i] == 0 || w < least[i] {
				least[i] = w
			}
		}
	}
	for i, d := range [...]time.Duration{4, 8, 16, 30, 30, 4, 8} {
		d *= time.Second
		if lo, hi := least[i], most[i]; lo < d/2 || lo > d*6/10 || hi >= d*3/2 || hi < d*14/10 {
			t.Errorf("time %d: waits lie between %v and %v, want %v and %v", i, lo, hi, d/2, d*3/2)
		}
	}
}

// TestHintsAreBounded: of those that it was told of, beside its list, a node
// remembers the newest.
func TestHintsAreBounded(t *testing.T) {
	n, now := New(place(5), 1), time.Unix(0, 0)
	n.Step(now, Peers{Fore: fore(1)})
	n.Step(now, Up{dialOf(n, Fore, PeerAt(place(6)))})
	for i := range byte(40) {
		n.Step(now, Hint{place(100 + i)})
	}
	if len(n.extras) != extrasMax || n.extras[0] != place(140-extrasMax) {
		t.Errorf("%d are remembered, %v first", len(n.extras), n.extras[0])
	}
}
