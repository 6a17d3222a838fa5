package node

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// next lets time pass until the node registers, and says how long that took.
func (r *rig) next() (time.Duration, wire.Register) {
	from := r.now
	for range 10_000 {
		efs := r.step(Tick{})
		r.refused(efs)
		if regs := of[Register](efs); len(regs) > 0 {
			return r.now.Sub(from), regs[0].Request
		}
		r.now = r.node.Deadline()
	}
	r.Fatal("the node does not register")
	return 0, wire.Register{}
}

// refused lets every dial of the effects be refused: the node stays alone.
func (r *rig) refused(efs []Effect) {
	for dials := of[Dial](efs); len(dials) > 0; dials = dials[1:] {
		more := r.step(Failed{Conn: dials[0].Conn, Refusal: wire.Refused{Reason: wire.Nearer}})
		dials = append(dials, of[Dial](more)...)
	}
}

// bounds are the shortest and longest of many waits.
type bounds struct{ min, max time.Duration }

func (b *bounds) add(d time.Duration) {
	if b.min == 0 || d < b.min {
		b.min = d
	}
	b.max = max(b.max, d)
}

// check wants waits within the limits, and some near both of them.
func (b bounds) check(t *testing.T, what string, lo, hi time.Duration) {
	t.Helper()
	if slack := (hi - lo) / 10; b.min < lo || b.min > lo+slack || b.max > hi || b.max < hi-slack {
		t.Errorf("%s: waits between %v and %v, want %v and %v", what, b.min, b.max, lo, hi)
	}
}

// TestSchedule: a client registers at once, again when it has settled, then
// every 30 to 90 s, and every 2 to 6 h it asks for everything.
func TestSchedule(t *testing.T) {
	var settle, normal, initial bounds
	for seed := range uint64(60) {
		r := newRig(t, seed)
		wait, m := r.next()
		if wait != 0 || !m.Initial || m.HasSlot || m.Sequence != 1 || m.Incarnation != 4 {
			t.Fatalf("first registration after %v: %+v", wait, m)
		}
		reply := r.reply()
		reply.Back, reply.Fore, reply.Vouchers = nil, nil, nil
		var whole time.Time
		for i := uint64(2); i < 400; i++ {
			wasInitial := m.Initial
			if wasInitial && !whole.IsZero() {
				initial.add(r.now.Sub(whole))
			}
			if wasInitial {
				whole = r.now
			}
			reply.Now = r.now.Add(r.skew)
			r.step(Registered{reply})
			if wait, m = r.next(); wasInitial {
				settle.add(wait)
			} else {
				normal.add(wait)
			}
			if m.Sequence != i || !m.HasSlot || m.Slot != 5 || m.Peers != 77 {
				t.Fatalf("registration %d: %+v", i, m)
			}
		}
	}
	settle.check(t, "after an initial registration", 1*time.Second, 4*time.Second)
	normal.check(t, "normally", 30*time.Second, 90*time.Second)
	// The first normal slot after the drawn time asks for everything.
	initial.check(t, "initially", 2*time.Hour, 6*time.Hour+90*time.Second)
}

// TestIntervals: the server's settings hold, but none can turn the clients into
// a flood.
func TestIntervals(t *testing.T) {
	for name, tt := range map[string]struct {
		set    wire.Intervals
		lo, hi time.Duration
	}{
		"as set":    {wire.Intervals{NormalMin: 5 * time.Second, NormalMax: 7 * time.Second, InitialMin: time.Hour, InitialMax: time.Hour}, 5 * time.Second, 7 * time.Second},
		"nothing":   {wire.Intervals{InitialMin: time.Hour, InitialMax: time.Hour}, intervalMin, intervalMin},
		"inverted":  {wire.Intervals{NormalMin: 4 * time.Second, NormalMax: time.Second, InitialMin: time.Hour}, 4 * time.Second, 4 * time.Second},
		"one value": {wire.Intervals{NormalMin: 9 * time.Second, NormalMax: 9 * time.Second, InitialMin: time.Hour}, 9 * time.Second, 9 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			var waits bounds
			r := newRig(t, 1)
			r.next()
			for i := range 200 {
				m := r.reply()
				m.Back, m.Fore, m.Intervals = nil, nil, tt.set
				r.step(Registered{m})
				if wait, _ := r.next(); i > 0 { // the first is for settling
					waits.add(wait)
				}
			}
			waits.check(t, "normally", tt.lo, tt.hi)
		})
	}
}

// TestRetry: a client that was never registered comes again sooner, at first
// within 2 s, at last within a minute; one that was, waits for its next slot.
func TestRetry(t *testing.T) {
	var waits [8]bounds
	for seed := range uint64(300) {
		r := newRig(t, seed)
		r.next()
		for i := range waits {
			r.step(NotRegistered{})
			wait, m := r.next()
			waits[i].add(wait)
			if !m.Initial {
				t.Fatalf("try %d: %+v", i, m)
			}
		}
	}
	for i := range waits {
		waits[i].check(t, "never registered", intervalMin, min(60*time.Second, 2*time.Second<<i))
	}
	var joined bounds
	for seed := range uint64(100) {
		r := newRig(t, seed)
		r.next()
		r.refused(r.step(Registered{r.reply()}))
		r.next()
		r.step(NotRegistered{})
		wait, m := r.next()
		if joined.add(wait); m.Initial {
			t.Fatalf("a normal registration that failed becomes an initial one: %+v", m)
		}
	}
	joined.check(t, "registered before", 30*time.Second, 90*time.Second)
}

// TestNoReply: a registration that is not answered within 20 s has failed. What
// comes later has no effect.
func TestNoReply(t *testing.T) {
	r := newRig(t, 1)
	r.next()
	sent := r.now
	if d := r.node.Deadline(); d.Sub(sent) != 20*time.Second {
		t.Fatalf("waits for the reply for %v", d.Sub(sent))
	}
	r.now = sent.Add(20*time.Second - 1)
	if efs := r.step(Tick{}); len(efs) > 0 {
		t.Fatalf("while it waits, effects are %v", efs)
	}
	r.now = sent.Add(20 * time.Second)
	if efs := r.step(Tick{}); len(efs) > 0 {
		t.Fatalf("the next try must wait, effects are %v", efs)
	}
	due := r.node.Deadline()
	if efs := append(r.step(Registered{r.reply()}), r.step(NotRegistered{})...); len(efs) > 0 || r.node.Deadline() != due {
		t.Errorf("the late reply has effects %v", efs)
	}
	if _, m := r.next(); m.HasSlot || m.Sequence != 2 {
		t.Errorf("then registers with %+v", m)
	}
}

// TestInitialIsAsked: a reply counts as an initial one if everything was asked
// for, and not because the time for that came while it was under way.
func TestInitialIsAsked(t *testing.T) {
	r := newRig(t, 1)
	r.next()
	reply := r.reply()
	reply.Back, reply.Fore = nil, nil
	reply.Intervals = wire.Intervals{NormalMin: 10 * time.Second, NormalMax: 10 * time.Second, InitialMin: 2 * time.Minute}
	r.step(Registered{reply})
	due := r.now.Add(2 * time.Minute)
	for {
		_, m := r.next()
		if m.Initial {
			t.Fatal("no normal registration before the initial one is due")
		}
		if due.Sub(r.now) < 20*time.Second {
			break
		}
		r.step(Registered{reply})
	}
	r.now = due.Add(time.Millisecond)
	r.step(Registered{reply})
	if _, m := r.next(); !m.Initial {
		t.Error("the initial registration was left out")
	}
}

// TestWhatIsSaid: a registration names the neighbours, the slot, the lists and
// the questions that the client holds.
func TestWhatIsSaid(t *testing.T) {
	r := newRig(t, 1)
	back, fore := r.inChain()
	for _, id := range []uint64{41, 42} {
		r.step(Got{back, wire.Question{Sealed: r.sealed(id)}})
	}
	r.step(Down{fore})
	_, m := r.next()
	if m.Back != (wire.Neighbour{Kind: endpoint.Peer, ID: place(2).ID}) || m.Fore != (wire.Neighbour{Kind: endpoint.Nobody}) {
		t.Errorf("neighbours are %+v and %+v", m.Back, m.Fore)
	}
	if !slices.Equal(m.Known, []uint64{41, 42}) || m.Peers != 77 || m.Slot != 5 || !m.HasSlot {
		t.Errorf("says %+v", m)
	}
	if m.Version != wire.Version || m.Place != place(5) || m.Name != "five" || m.Program != "1.0" || m.Platform != "Linux" {
		t.Errorf("says %+v", m)
	}
}

// TestLists: new lists are acted on; "the same as before" leaves everything as
// it is, also the digest.
func TestLists(t *testing.T) {
	r := newRig(t, 1)
	r.inChain()
	efs := r.register(t, func(m *wire.Registered) { m.Peers, m.Same, m.Back, m.Fore = 99, true, nil, nil })
	if len(of[Dial](efs)) > 0 {
		t.Errorf("without new lists, effects are %v", efs)
	}
	efs = r.register(t, func(m *wire.Registered) { m.Peers, m.Fore = 88, []endpoint.Place{place(6)} })
	if dials := of[Dial](efs); len(dials) != 1 || dials[0].Peer != chain.PeerAt(place(6)) {
		t.Errorf("a nearer neighbour is named, effects are %v", efs)
	}
	if _, m := r.next(); m.Peers != 88 {
		t.Errorf("holds the lists %d", m.Peers)
	}
}

// TestHighest: answers to questions that a former life may have answered travel
// alone; those after it do not.
func TestHighest(t *testing.T) {
	r := newRig(t, 1)
	r.step(Tick{})
	m := r.reply()
	m.Highest, m.Back, m.Fore = 41, nil, nil
	for _, d := range of[Dial](r.step(Registered{m})) {
		r.step(Up{Conn: d.Conn})
	}
	r.register(t, func(m *wire.Registered) {
		m.Highest, m.Questions = 50, [][]byte{r.sealed(41), r.sealed(42)}
	})
	for id, tainted := range map[uint64]bool{41: true, 42: false} {
		found := false
		for _, s := range of[Send](r.step(Evaluated{id, answer.Rows{}, answer.Counts{}})) {
			if b := s.Message.(wire.Answer).Bundle; !b.Set.Empty() {
				found = true
				if b.Tainted != tainted || !reflect.DeepEqual(b.Set, answer.SetOf(5)) {
					t.Errorf("answer to %d: %+v", id, b)
				}
			}
		}
		if !found {
			t.Errorf("no answer to %d", id)
		}
	}
}

// TestBackwardLinkIsSaid: a client says so when its backward link stands, and
// does not say it again and again.
func TestBackwardLinkIsSaid(t *testing.T) {
	r := newRig(t, 1)
	r.inMiddle()
	before, _ := r.sends(nil)
	r.step(Registered{r.same()})
	r.step(Up{Conn: r.untilDial().Conn})
	first, _ := r.sends(nil)
	again, _ := r.sends(r.step(Registered{r.same()}))
	if before.Request.BackwardLink || !first.Request.BackwardLink || first.Request.IsBrief() || !again.Request.IsBrief() || again.Request.State != first.Request.State {
		t.Errorf("says first %+v, then %+v, then %+v", before.Request, first.Request, again.Request)
	}
}
