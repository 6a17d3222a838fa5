package chain

import (
	"fmt"
	"maps"
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
	node    *Node
	now     time.Time
	dials   map[Conn]Dial
	links   map[Conn]Side
	waiting map[Conn]Side // knocks that have not been answered
	knocks  Conn
}

func newRig(t *rapid.T) *rig {
	return &rig{
		T: t, node: New(place(5), 7), now: time.Unix(0, 0), knocks: 1,
		dials: map[Conn]Dial{}, links: map[Conn]Side{}, waiting: map[Conn]Side{},
	}
}

// step gives the node an event and carries its effects out.
func (r *rig) step(ev Event) {
	before := [2]Peer{r.node.edges[Back].held, r.node.edges[Fore].held}
	doubted := [2]bool{r.node.edges[Back].doubted, r.node.edges[Fore].doubted}
	if k, ok := ev.(Knock); ok {
		r.waiting[k.Conn] = k.Side
	}
	for _, ef := range r.node.Step(r.now, ev) {
		switch ef := ef.(type) {
		case Dial:
			if _, used := r.dials[ef.Conn]; used || ef.Conn%2 != 0 || ef.Conn == 0 {
				r.Fatalf("connection number %d is used again, or not for dials", ef.Conn)
			}
			for _, x := range r.dials {
				if x.Peer == ef.Peer && x.Side == ef.Side {
					r.Fatalf("dials %v twice", ef.Peer)
				}
			}
			r.dials[ef.Conn] = ef
		case Admit:
			r.answered(ef.Conn)
			r.links[ef.Conn] = r.waiting[ef.Conn]
			delete(r.waiting, ef.Conn)
		case Refuse:
			r.answered(ef.Conn)
			delete(r.waiting, ef.Conn)
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
	r.check(ev, before, doubted)
}

func (r *rig) answered(c Conn) {
	if _, waits := r.waiting[c]; !waits {
		r.Fatalf("answers knock %d, which does not wait", c)
	}
}

// check states the laws that hold after every step.
func (r *rig) check(ev Event, before [2]Peer, doubted [2]bool) {
	n := r.node
	if d := n.Deadline(); !d.IsZero() && !d.After(r.now) {
		r.Fatalf("overdue after %T%+v: %v", ev, ev, d)
	}
	if !reflect.DeepEqual(over, search{}) {
		r.Fatalf("%T%+v has changed what all nodes share: %+v", ev, ev, over)
	}
	if len(n.avoid) > avoidsMax || len(n.extras) > extrasMax {
		r.Fatalf("%d avoided, %d extras", len(n.avoid), len(n.extras))
	}
	var dials, links, waiting [2]int
	for _, d := range r.dials {
		dials[d.Side]++
	}
	for _, s := range r.links {
		links[s]++
	}
	for c, s := range r.waiting {
		waiting[s]++
		if w := n.edges[s].waiting; w.conn != c {
			r.Fatalf("knock %d waits for nothing", c)
		}
	}
	for s := range Side(2) {
		e := &n.edges[s]
		p, c := n.Neighbour(s)
		want := 0
		if p != Nobody {
			want = 1
			if _, ok := r.links[c]; !ok {
				r.Fatalf("%v side holds %v on connection %d, which is gone", s, p, c)
			}
		}
		if links[s] != want || dials[s] != len(e.dials) || dials[s] > dialsMax || waiting[s] > 1 {
			r.Fatalf("%v side holds %v with %d links, %d dials and %d who wait", s, p, links[s], dials[s], waiting[s])
		}
		if p != Nobody && p != Server && !n.isOn(s, p.Place) {
			r.Fatalf("%v stands on the %v side", p, s)
		}
		if n.Leads(s) != (p == Server) {
			r.Fatalf("Leads(%v) is %v with %v", s, n.Leads(s), p)
		}
		for _, x := range e.dials {
			if !e.doubted && e.held != Nobody && !n.nearer(s, x.peer, e.held) {
				r.Fatalf("%v side dials %v, who is not nearer than %v", s, x.peer, e.held)
			}
		}
		if e.waiting.conn != 0 && (p == Nobody || p == Server) {
			r.Fatalf("%v side lets %v wait while it holds %v", s, e.waiting.peer, p)
		}
		if before[s] != p && (p == Nobody || n.nearer(s, before[s], p)) && !doubted[s] {
			_, down := ev.(Down)
			if peers, ok := ev.(Peers); ok && (peers.Moved || before[s] != Server && !n.isOn(s, before[s].Place)) {
				continue
			}
			_, stalled := ev.(Stalled)
			if !down && !stalled && n.shuns(before[s].Place).IsZero() {
				r.Fatalf("%v side left %v for %v on %T", s, before[s], p, ev)
			}
		}
	}
	if n.met && n.Deadline().IsZero() {
		r.Fatalf("never looks again after %T", ev)
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
		events := r.ownEvents()
		maps.Copy(events, r.othersEvents())
		t.Repeat(events)
	})
}

var (
	anySide = rapid.SampledFrom([]Side{Back, Fore})
	anyPeer = rapid.Map(rapid.ByteRange(0, 20), place)
	anyFlag = rapid.Bool()
)

// ownEvents are what comes of the node's own doing, of time and of the server.
func (r *rig) ownEvents() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"wait": func(t *rapid.T) {
			r.now = r.now.Add(time.Duration(rapid.IntRange(0, 4000).Draw(t, "ms")) * time.Millisecond)
			r.step(Tick{Late: time.Duration(rapid.IntRange(0, 300).Draw(t, "late")) * time.Millisecond})
		},
		"deadline": func(t *rapid.T) {
			if d := r.node.Deadline(); !d.IsZero() {
				r.now = d
			}
			r.step(Tick{})
		},
		"peers": func(t *rapid.T) {
			ev := Peers{
				Back:   rapid.SliceOfN(anyPeer, 0, 6).Draw(t, "back"),
				Fore:   rapid.SliceOfN(anyPeer, 0, 6).Draw(t, "fore"),
				Spread: time.Duration(rapid.IntRange(0, 10).Draw(t, "spread")) * time.Second,
				Moved:  rapid.IntRange(0, 9).Draw(t, "moved") == 9,
			}
			if anyFlag.Draw(t, "bounded") {
				ev.From, ev.Until = place(rapid.ByteRange(1, 5).Draw(t, "from")), place(rapid.ByteRange(5, 9).Draw(t, "until"))
			}
			r.step(ev)
		},
		"hint": func(t *rapid.T) { r.step(Hint{anyPeer.Draw(t, "peer")}) },
		"up": func(t *rapid.T) {
			if d, ok := r.dialled(); ok {
				delete(r.dials, d.Conn)
				r.links[d.Conn] = d.Side
				r.step(Up{d.Conn})
			}
		},
		"reached": func(t *rapid.T) {
			if d, ok := r.dialled(); ok {
				r.step(Reached{d.Conn})
			}
		},
		"failed": func(t *rapid.T) {
			if d, ok := r.dialled(); ok {
				delete(r.dials, d.Conn)
				ev := Failed{Conn: d.Conn, Refused: anyFlag.Draw(t, "refused")}
				ev.Later = ev.Refused && anyFlag.Draw(t, "later")
				if ev.Refused && anyFlag.Draw(t, "redirect") {
					ev.Nearer = PeerAt(anyPeer.Draw(t, "nearer"))
				}
				r.step(ev)
			}
		},
	}
}

// othersEvents are what neighbours do.
func (r *rig) othersEvents() map[string]func(*rapid.T) {
	id := rapid.Map(anyPeer, func(p endpoint.Place) endpoint.ID { return p.ID })
	return map[string]func(*rapid.T){
		"knock": func(t *rapid.T) {
			r.knocks += 2
			r.step(Knock{r.knocks, anySide.Draw(t, "side"), anyPeer.Draw(t, "peer"), rapid.SliceOfN(id, 0, 8).Draw(t, "suspects")})
		},
		"knock past who is held": func(t *rapid.T) {
			s := anySide.Draw(t, "side")
			p, _ := r.node.Neighbour(s)
			r.knocks += 2
			r.step(Knock{r.knocks, s, anyPeer.Draw(t, "peer"), []endpoint.ID{p.Place.ID}})
		},
		"down": func(t *rapid.T) {
			if p, c := r.node.Neighbour(anySide.Draw(t, "side")); p != Nobody {
				delete(r.links, c)
				r.step(Down{c})
			}
		},
		"knocker goes": func(t *rapid.T) {
			if w := r.node.edges[anySide.Draw(t, "side")].waiting; w.conn != 0 {
				delete(r.waiting, w.conn)
				r.step(Down{w.conn})
			}
		},
		"alive":   func(t *rapid.T) { r.step(Alive{anySide.Draw(t, "side")}) },
		"suspect": func(t *rapid.T) { r.step(Suspect{anySide.Draw(t, "side")}) },
		"trust":   func(t *rapid.T) { r.step(Trust{anySide.Draw(t, "side")}) },
		"stalled": func(t *rapid.T) { r.step(Stalled{anySide.Draw(t, "side")}) },
	}
}

// dialOf is the connection on which a side dials a peer.
func dialOf(n *Node, s Side, p Peer) Conn {
	for _, x := range n.edges[s].dials {
		if x.peer == p {
			return x.conn
		}
	}
	return 0
}

// wait is how long a side rests from now on.
func wait(n *Node, s Side, now time.Time) time.Duration { return n.edges[s].wake.Sub(now) }

// TestBackOff: a side that reaches nobody, not even the server, waits at most
// 1, 2, 4 … 60 s before it tries again, evenly drawn; any neighbour ends that.
func TestBackOff(t *testing.T) {
	var longest, shortest [10]time.Duration
	for seed := range uint64(200) {
		n, now := New(place(5), seed), time.Unix(0, 0)
		n.Step(now, Peers{})
		for round := range longest {
			n.Step(now, Failed{Conn: dialOf(n, Fore, Server)})
			limit := min(60*time.Second, time.Second<<round)
			w := wait(n, Fore, now)
			if w <= 0 || w > limit+time.Millisecond {
				t.Fatalf("seed %d round %d: waits %v, limit %v", seed, round, w, limit)
			}
			longest[round] = max(longest[round], w)
			if seed == 0 || w < shortest[round] {
				shortest[round] = w
			}
			now = n.edges[Fore].wake
			n.Step(now, Tick{})
		}
		n.Step(now, Up{dialOf(n, Fore, Server)})
		_, c := n.Neighbour(Fore)
		n.Step(now, Down{c})
		now = n.edges[Fore].next
		n.Step(now, Tick{})
		n.Step(now, Failed{Conn: dialOf(n, Fore, Server)})
		if w := wait(n, Fore, now); w > aloneMin+time.Millisecond {
			t.Fatalf("seed %d: waits %v after it had a neighbour", seed, w)
		}
	}
	for round, w := range longest {
		if limit := min(60*time.Second, time.Second<<round); w < limit*9/10 || shortest[round] > limit/10 {
			t.Errorf("round %d: of 200 nodes each waits between %v and %v; the limit is %v", round, shortest[round], w, limit)
		}
	}
}

// TestLeadersComeBackSpread: who has lost the server comes back within the
// spread that the server has named, evenly.
func TestLeadersComeBackSpread(t *testing.T) {
	const spread = 10 * time.Second
	var waits []time.Duration
	for seed := range uint64(300) {
		n, now := New(place(5), seed), time.Unix(0, 0)
		n.Step(now, Peers{Spread: spread})
		n.Step(now, Up{dialOf(n, Fore, Server)})
		_, c := n.Neighbour(Fore)
		n.Step(now, Down{c})
		waits = append(waits, n.edges[Fore].next.Sub(now))
	}
	if lo, hi := slices.Min(waits), slices.Max(waits); lo < 0 || lo > spread/20 || hi >= spread || hi < spread*19/20 {
		t.Errorf("waits lie between %v and %v, want 0 and %v", lo, hi, spread)
	}
}

// TestAvoid: who cannot be dialled is left alone for 5, 15, 45, 120, 120 … s,
// and is dialled at once when the server says that it has come.
func TestAvoid(t *testing.T) {
	n, now := New(place(5), 1), time.Unix(0, 0)
	n.Step(now, Peers{Fore: []endpoint.Place{place(8)}})
	n.Step(now, Failed{Conn: dialOf(n, Fore, PeerAt(place(8)))})
	n.Step(now, Up{dialOf(n, Fore, Server)})
	for _, want := range []time.Duration{5, 15, 45, 120, 120} {
		want *= time.Second
		from := now
		for dialOf(n, Fore, PeerAt(place(8))) == 0 {
			now = n.Deadline()
			for _, ef := range n.Step(now, Tick{}) {
				if d, ok := ef.(Dial); ok && d.Side == Back { // the other side's own affair
					n.Step(now, Up{d.Conn})
				}
			}
		}
		if got := now.Sub(from); got < want || got > want+time.Millisecond && got > 90*time.Second+want {
			t.Errorf("dials again after %v, want %v", got, want)
		}
		n.Step(now, Failed{Conn: dialOf(n, Fore, PeerAt(place(8)))})
	}
	if got := n.Unreachable(now, 4); !slices.Equal(got, []endpoint.ID{place(8).ID}) {
		t.Errorf("unreachable are %v", got)
	}
	n.Step(now, Hint{place(8)})
	if dialOf(n, Fore, PeerAt(place(8))) == 0 {
		t.Error("does not dial who has just come")
	}
}

// TestSeekIsSpread: clients that start together do not look for nearer
// neighbours together, but 30 to 90 s later.
func TestSeekIsSpread(t *testing.T) {
	var waits []time.Duration
	for seed := range uint64(300) {
		n, now := New(place(5), seed), time.Unix(0, 0)
		n.Step(now, Peers{})
		n.Step(now, Up{dialOf(n, Fore, Server)})
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
		n.Step(now, Peers{Back: []endpoint.Place{place(3)}, Fore: []endpoint.Place{place(8)}})
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
		"up of no dial": Up{2}, "failure of no dial": Failed{Conn: 2}, "no event": nil,
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
