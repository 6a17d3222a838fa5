package chain

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/endpoint"
)

// A rig is a host that does what a node says and checks what it may not say.
type rig struct {
	*rapid.T
	node   *Node
	now    time.Time
	dials  map[Conn]Dial
	links  map[Conn]Side
	knocks Conn
}

func newRig(t *rapid.T) *rig {
	return &rig{
		T: t, node: New(place(5), 7), now: time.Unix(0, 0), knocks: 1,
		dials: map[Conn]Dial{}, links: map[Conn]Side{},
	}
}

// step gives the node an event and carries its effects out.
func (r *rig) step(ev Event) {
	before := [2]Peer{r.node.edges[Back].held, r.node.edges[Fore].held}
	answers := 0
	for _, ef := range r.node.Step(r.now, ev) {
		switch ef := ef.(type) {
		case Dial:
			if r.dials[ef.Conn] != (Dial{}) || ef.Conn%2 != 0 || ef.Conn == 0 {
				r.Fatalf("connection number %d is used again, or not for dials", ef.Conn)
			}
			r.dials[ef.Conn] = ef
		case Admit:
			answers++
			r.links[ef.Conn] = ev.(Knock).Side
		case Refuse:
			answers++
		case Hangup:
			if _, ok := r.dials[ef.Conn]; ok {
				delete(r.dials, ef.Conn)
			} else if _, ok := r.links[ef.Conn]; ok {
				delete(r.links, ef.Conn)
			} else {
				r.Fatalf("hangs up %d, which is not there", ef.Conn)
			}
		}
	}
	if k, ok := ev.(Knock); ok && answers != 1 {
		r.Fatalf("%d answers to %+v", answers, k)
	}
	r.check(ev, before)
}

// check states the laws that hold after every step.
func (r *rig) check(ev Event, before [2]Peer) {
	n := r.node
	if d := n.Deadline(); !d.IsZero() && !d.After(r.now) {
		r.Fatalf("overdue after %T%+v: %v", ev, ev, d)
	}
	var dials, links [2]int
	for _, d := range r.dials {
		dials[d.Side]++
	}
	for _, s := range r.links {
		links[s]++
	}
	for s := range Side(2) {
		p, c := n.Neighbour(s)
		want := 0
		if p != Nobody {
			want = 1
			if _, ok := r.links[c]; !ok {
				r.Fatalf("%v side holds %v on connection %d, which is gone", s, p, c)
			}
		}
		if links[s] != want || dials[s] > 1 {
			r.Fatalf("%v side holds %v with %d links and %d dials", s, p, links[s], dials[s])
		}
		if p != Nobody && p != Server && !n.isOn(s, p.Place) {
			r.Fatalf("%v stands on the %v side", p, s)
		}
		if n.Leads(s) != (p == Server) {
			r.Fatalf("Leads(%v) is %v with %v", s, n.Leads(s), p)
		}
		if e := n.edges[s]; e.dial != Nobody && e.held != Nobody && !n.nearer(s, e.dial, e.held) {
			r.Fatalf("%v side dials %v, who is not nearer than %v", s, e.dial, e.held)
		}
		if before[s] != p && (p == Nobody || n.nearer(s, before[s], p)) {
			switch ev.(type) {
			case Down, Stalled:
			default:
				r.Fatalf("%v side left %v for %v on %T", s, before[s], p, ev)
			}
		}
	}
}

// dialled draws a dial under way, if there is one.
func (r *rig) dialled() (Dial, bool) {
	var all []Conn
	for c := range r.dials {
		all = append(all, c)
	}
	if len(all) == 0 {
		return Dial{}, false
	}
	slices.Sort(all)
	return r.dials[rapid.SampledFrom(all).Draw(r.T, "dial")], true
}

// TestLaws plays any order of events that a host can produce.
func TestLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t)
		side := rapid.SampledFrom([]Side{Back, Fore})
		peer := rapid.Map(rapid.ByteRange(0, 10), place)
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				r.now = r.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
				r.step(Tick{})
			},
			"deadline": func(t *rapid.T) {
				if d := r.node.Deadline(); !d.IsZero() {
					r.now = d
				}
				r.step(Tick{})
			},
			"peers": func(t *rapid.T) { r.step(Peers{rapid.SliceOfN(peer, 0, 6).Draw(t, "places")}) },
			"up": func(t *rapid.T) {
				if d, ok := r.dialled(); ok {
					delete(r.dials, d.Conn)
					r.links[d.Conn] = d.Side
					r.step(Up{d.Conn})
				}
			},
			"failed": func(t *rapid.T) {
				if d, ok := r.dialled(); ok {
					delete(r.dials, d.Conn)
					r.step(Failed{d.Conn})
				}
			},
			"knock": func(t *rapid.T) {
				r.knocks += 2
				r.step(Knock{r.knocks, side.Draw(t, "side"), peer.Draw(t, "peer")})
			},
			"down": func(t *rapid.T) {
				if p, c := r.node.Neighbour(side.Draw(t, "side")); p != Nobody {
					delete(r.links, c)
					r.step(Down{c})
				}
			},
			"stalled": func(t *rapid.T) { r.step(Stalled{side.Draw(t, "side")}) },
		})
	})
}

// wait is how long a side rests from now on.
func wait(n *Node, s Side, now time.Time) time.Duration { return n.edges[s].wake.Sub(now) }

// TestBackOff: a side that reaches nobody, not even the server, waits at most
// 1, 2, 4 … 60 s before it tries again, evenly drawn; any neighbour ends that.
func TestBackOff(t *testing.T) {
	var longest [10]time.Duration
	for seed := range uint64(200) {
		n, now := New(place(5), seed), time.Unix(0, 0)
		n.Step(now, Peers{})
		for round := range longest {
			n.Step(now, Failed{n.edges[Fore].dialed})
			limit := min(60*time.Second, time.Second<<round)
			w := wait(n, Fore, now)
			if w <= 0 || w > limit+time.Millisecond {
				t.Fatalf("seed %d round %d: waits %v, limit %v", seed, round, w, limit)
			}
			longest[round] = max(longest[round], w)
			now = n.edges[Fore].wake
			n.Step(now, Tick{})
		}
		n.Step(now, Up{n.edges[Fore].dialed})
		_, c := n.Neighbour(Fore)
		n.Step(now, Down{c})
		n.Step(now, Failed{n.edges[Fore].dialed})
		if w := wait(n, Fore, now); w > aloneMin+time.Millisecond {
			t.Fatalf("seed %d: waits %v after it had a neighbour", seed, w)
		}
	}
	for round, w := range longest {
		if limit := min(60*time.Second, time.Second<<round); w < limit*9/10 {
			t.Errorf("round %d: of 200 nodes none waits longer than %v; the limit is %v", round, w, limit)
		}
	}
}

// TestSeekIsSpread: clients that start together do not look for nearer
// neighbours together, but 30 to 90 s later.
func TestSeekIsSpread(t *testing.T) {
	var waits []time.Duration
	for seed := range uint64(300) {
		n, now := New(place(5), seed), time.Unix(0, 0)
		n.Step(now, Peers{})
		n.Step(now, Up{n.edges[Fore].dialed})
		waits = append(waits, wait(n, Fore, now))
	}
	if lo, hi := slices.Min(waits), slices.Max(waits); lo < 30*time.Second || lo > 32*time.Second || hi >= 90*time.Second || hi < 88*time.Second {
		t.Errorf("waits lie between %v and %v, want 30 s and 90 s", lo, hi)
	}
}

// TestSameSeedSameStory: two nodes of one seed do the same, of two seeds not.
func TestSameSeedSameStory(t *testing.T) {
	story := func(seed uint64) string {
		n, now, out := New(place(5), seed), time.Unix(0, 0), ""
		n.Step(now, Peers{[]endpoint.Place{place(3), place(8)}})
		for range 20 {
			now = n.Deadline()
			out += fmt.Sprint(now.UnixNano(), n.Step(now, Tick{}))
		}
		return out
	}
	if a, b := story(1), story(1); a != b {
		t.Errorf("one seed, two stories:\n%s\n%s", a, b)
	}
	if story(1) == story(2) {
		t.Error("two seeds tell one story")
	}
}

// TestHostBugs: a host that breaks its side of the contract is stopped.
func TestHostBugs(t *testing.T) {
	for name, ev := range map[string]Event{
		"up of no dial": Up{2}, "failure of no dial": Failed{2}, "no event": nil,
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("the node goes on")
				}
			}()
			New(place(5), 1).Step(time.Unix(0, 0), ev)
		})
	}
}

// TestOrder: peers by place, then the server, then nobody.
func TestOrder(t *testing.T) {
	n := New(place(5), 1)
	for s, want := range map[Side][]Peer{
		Fore: {PeerAt(place(6)), PeerAt(place(9)), Server, Nobody},
		Back: {PeerAt(place(4)), PeerAt(place(1)), Server, Nobody},
	} {
		for i := range want {
			for j := range want {
				if got := n.nearer(s, want[i], want[j]); got != (i < j) {
					t.Errorf("%v: nearer(%v, %v) = %v", s, want[i], want[j], got)
				}
			}
		}
	}
	if got := []string{Nobody.String(), Server.String(), Back.String(), Fore.String()}; !reflect.DeepEqual(got, []string{"nobody", "server", "back", "fore"}) {
		t.Errorf("names are %v", got)
	}
}
