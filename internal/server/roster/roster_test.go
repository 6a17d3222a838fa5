package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"

	"pgregory.net/rapid"
)

var start = time.Unix(1_800_000_000, 0)

func client(n int) endpoint.ID { return endpoint.ID{byte(n >> 8), byte(n)} }

func at(addr string, n int) endpoint.Place {
	return endpoint.Place{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 17472), ID: client(n)}
}

// mustRegister registers without a claim.
func mustRegister(t testing.TB, r *Roster, now time.Time, p endpoint.Place) Placement {
	t.Helper()
	pl, ok := r.Register(now, Claim{Place: p})
	if !ok {
		t.Fatalf("%v has no slot", p)
	}
	return pl
}

// A model says in the simplest words what a roster must do.
type model struct {
	here map[endpoint.ID]member
	left map[netip.Prefix]map[endpoint.ID]rest // slots that are kept for who had them
}

type member struct {
	place endpoint.Place
	lan   netip.Prefix
	slot  answer.Slot
	seen  time.Time
}

type rest struct {
	slot  answer.Slot
	until time.Time
}

func newModel() *model {
	return &model{map[endpoint.ID]member{}, map[netip.Prefix]map[endpoint.ID]rest{}}
}

func (m *model) register(now time.Time, c Claim) Placement {
	lan := DefaultBoundaries.LAN(c.Place.Addr.Addr())
	if c.Alone {
		lan = netip.PrefixFrom(c.Place.Addr.Addr(), c.Place.Addr.Addr().BitLen())
	}
	old, known := m.here[c.Place.ID]
	if known && old.lan != lan {
		m.remove(now, c.Place.ID)
		known = false
	}
	slot := old.slot
	if !known {
		slot = m.slotFor(lan, c)
		delete(m.left[lan], c.Place.ID)
	}
	m.here[c.Place.ID] = member{c.Place, lan, slot, now}
	pl := Placement{LAN: lan, Slot: slot, New: !known}
	if c.Alone {
		return pl
	}
	for _, p := range m.inOrder(lan) {
		switch order := p.Compare(c.Place); {
		case order < 0:
			pl.Back = append([]endpoint.Place{p}, pl.Back...)
		case order > 0:
			pl.Fore = append(pl.Fore, p)
		}
	}
	pl.Back, pl.Fore = pl.Back[:min(10, len(pl.Back))], pl.Fore[:min(10, len(pl.Fore))]
	return pl
}

// slotFor is the slot that the client left here, or claims if nobody has it or
// left it, or the lowest such.
func (m *model) slotFor(lan netip.Prefix, c Claim) answer.Slot {
	if r, was := m.left[lan][c.Place.ID]; was {
		return r.slot
	}
	taken := map[answer.Slot]bool{}
	for _, o := range m.here {
		if o.lan == lan {
			taken[o.slot] = true
		}
	}
	for _, r := range m.left[lan] {
		taken[r.slot] = true
	}
	if c.HasSlot && !taken[c.Slot] {
		return c.Slot
	}
	slot := answer.Slot(0)
	for taken[slot] {
		slot++
	}
	return slot
}

func (m *model) remove(now time.Time, id endpoint.ID) {
	o := m.here[id]
	delete(m.here, id)
	if m.left[o.lan] == nil {
		m.left[o.lan] = map[endpoint.ID]rest{}
	}
	m.left[o.lan][id] = rest{o.slot, now.Add(time.Hour)}
}

func (m *model) expire(now time.Time) []endpoint.ID {
	var gone []endpoint.ID
	for id, o := range m.here {
		if now.Sub(o.seen) > 4*time.Minute {
			gone = append(gone, id)
			m.remove(now, id)
		}
	}
	for _, left := range m.left {
		for id, r := range left {
			if !now.Before(r.until) {
				delete(left, id)
			}
		}
	}
	slices.SortFunc(gone, func(a, b endpoint.ID) int { return slices.Compare(a[:], b[:]) })
	return gone
}

func (m *model) inOrder(lan netip.Prefix) []endpoint.Place {
	var out []endpoint.Place
	for _, o := range m.here {
		if o.lan == lan {
			out = append(out, o.place)
		}
	}
	slices.SortFunc(out, endpoint.Place.Compare)
	return out
}

func (m *model) slots() map[netip.Prefix]answer.Set {
	out := map[netip.Prefix]answer.Set{}
	for _, o := range m.here {
		out[o.lan] = out[o.lan].Union(answer.SetOf(o.slot))
	}
	return out
}

// drawClaim draws one of some forty clients, at one of some addresses in three
// LANs: so they move, share addresses, and claim each other's slots.
func drawClaim(t *rapid.T) Claim {
	addr := []string{"10.0.0.%d", "10.0.1.%d", "2001:db8::%d"}[rapid.IntRange(0, 2).Draw(t, "lan")]
	c := Claim{
		Place: endpoint.Place{
			Addr: netip.AddrPortFrom(
				netip.MustParseAddr(fmt.Sprintf(addr, rapid.IntRange(1, 30).Draw(t, "host"))),
				uint16(rapid.IntRange(17472, 17473).Draw(t, "port"))),
			ID: client(rapid.IntRange(1, 40).Draw(t, "client")),
		},
		Alone: rapid.IntRange(0, 9).Draw(t, "alone") == 0,
	}
	if c.HasSlot = rapid.Bool().Draw(t, "claims"); c.HasSlot {
		c.Slot = answer.Slot(rapid.IntRange(0, 45).Draw(t, "slot"))
	}
	return c
}

// TestAgainstModel: whatever clients come, move, fall silent and come back, a
// roster does what the model does; and the digest changes when the lists do,
// and only then.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, m, now := New(DefaultBoundaries), newModel(), start
		digests, lists := map[string]uint64{}, map[uint64]string{}
		register := func(t *rapid.T) {
			c := drawClaim(t)
			got, ok := r.Register(now, c)
			want := m.register(now, c)
			want.Digest = got.Digest
			if !ok || fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%+v registers as\n%v (%v), want\n%v", c, got, ok, want)
			}
			text := fmt.Sprint(got.Back, got.Fore)
			if d, seen := digests[text]; seen && d != got.Digest || got.Digest == 0 {
				t.Fatalf("the same lists have digests %x and %x", d, got.Digest)
			}
			if l, seen := lists[got.Digest]; seen && l != text {
				t.Fatalf("one digest for %s and %s", l, text)
			}
			digests[text], lists[got.Digest] = got.Digest, text
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": register,
			"again":    register, // most of what happens
			"and once": register,
			"wait":     func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 150).Draw(t, "s")) * time.Second) },
			"expire": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "late") == 0 {
					now = now.Add(time.Hour)
				}
				if got, want := r.Expire(now), m.expire(now); !slices.Equal(got, want) {
					t.Fatalf("%v expire, want %v", got, want)
				}
			},
			"": func(t *rapid.T) { compare(t, r, m) },
		})
	})
}

// compare holds everything that a roster tells against the model.
func compare(t *rapid.T, r *Roster, m *model) {
	got, want := r.Slots(), m.slots()
	if r.Len() != len(m.here) || r.LANs() != len(want) || len(got) != len(want) {
		t.Fatalf("%d clients in %d LANs, want %d in %d", r.Len(), r.LANs(), len(m.here), len(want))
	}
	machines := 0
	for lan, set := range want {
		if !got[lan].Equal(set) {
			t.Fatalf("%v has slots %v, want %v", lan, got[lan], set)
		}
		machines += set.Len()
	}
	if machines != len(m.here) {
		t.Fatalf("%d clients share %d slots", len(m.here), machines)
	}
	for n := range 42 {
		lan, ok := r.LAN(client(n))
		if o, here := m.here[client(n)]; ok != here || lan != o.lan {
			t.Fatalf("client %d is in %v (%v), want %v (%v)", n, lan, ok, o.lan, here)
		}
	}
}

// TestServerRestart: a roster that starts empty gives every client the slot
// that it has held, in whatever order they come back.
func TestServerRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, held := New(DefaultBoundaries), map[endpoint.Place]answer.Slot{}
		clients := rapid.IntRange(1, 60).Draw(t, "clients")
		for n := range clients {
			p := at(fmt.Sprintf("10.0.%d.%d", n%2, n+1), n)
			pl, _ := before.Register(start, Claim{Place: p})
			held[p] = pl.Slot
		}
		for p := range held { // some go for good: holes must stay holes
			if rapid.IntRange(0, 4).Draw(t, "goes") == 0 {
				delete(held, p)
			}
		}
		places := make([]endpoint.Place, 0, len(held))
		for p := range held {
			places = append(places, p)
		}
		slices.SortFunc(places, endpoint.Place.Compare)
		after := New(DefaultBoundaries)
		for _, p := range rapid.Permutation(places).Draw(t, "order") {
			pl, ok := after.Register(start, Claim{Place: p, Slot: held[p], HasSlot: true})
			if !ok || pl.Slot != held[p] || !pl.New {
				t.Fatalf("%v held slot %d and gets %d", p, held[p], pl.Slot)
			}
		}
	})
}

func TestBoundaries(t *testing.T) {
	for _, tt := range []struct {
		bounds Boundaries
		addr   string
		want   string
	}{
		{DefaultBoundaries, "10.1.2.3", "10.1.2.0/24"},
		{DefaultBoundaries, "::ffff:10.1.2.3", "10.1.2.0/24"},
		{DefaultBoundaries, "2001:db8:1:2:3::4", "2001:db8:1:2::/64"},
		{DefaultBoundaries, "fe80::1%eth0", "fe80::/64"},
		{Boundaries{16, 48}, "10.1.2.3", "10.1.0.0/16"},
		{Boundaries{16, 48}, "2001:db8:1:2:3::4", "2001:db8:1::/48"},
		{Boundaries{32, 128}, "10.1.2.3", "10.1.2.3/32"},
	} {
		if got := tt.bounds.LAN(netip.MustParseAddr(tt.addr)); got.String() != tt.want {
			t.Errorf("%s with %v is in %v, want %s", tt.addr, tt.bounds, got, tt.want)
		}
		if got := New(tt.bounds).Boundaries(); got != tt.bounds {
			t.Errorf("boundaries %v", got)
		}
	}
}

// TestNearest: the ten nearest on each side, nearest first, and nobody from
// another LAN.
func TestNearest(t *testing.T) {
	r := New(DefaultBoundaries)
	for n := range 30 {
		mustRegister(t, r, start, at(fmt.Sprintf("10.0.0.%d", n+1), n))
		mustRegister(t, r, start, at(fmt.Sprintf("10.0.1.%d", n+1), 100+n))
	}
	pl := mustRegister(t, r, start, at("10.0.0.16", 15))
	if len(pl.Back) != Candidates || len(pl.Fore) != Candidates || pl.New {
		t.Fatalf("%v", pl)
	}
	for i := range Candidates {
		if pl.Back[i] != at(fmt.Sprintf("10.0.0.%d", 15-i), 14-i) || pl.Fore[i] != at(fmt.Sprintf("10.0.0.%d", 17+i), 16+i) {
			t.Errorf("number %d: %v and %v", i, pl.Back[i], pl.Fore[i])
		}
	}
	if first := mustRegister(t, r, start, at("10.0.0.1", 0)); len(first.Back) != 0 || len(first.Fore) != Candidates {
		t.Errorf("the first has %d behind and %d in front", len(first.Back), len(first.Fore))
	}
}

// TestStaleAndRest: who is silent for more than four minutes is off; its slot
// is its own for an hour more, then anybody's.
func TestStaleAndRest(t *testing.T) {
	r := New(DefaultBoundaries)
	mustRegister(t, r, start, at("10.0.0.1", 1))
	mustRegister(t, r, start, at("10.0.0.2", 2))
	mustRegister(t, r, start.Add(time.Second), at("10.0.0.3", 3))
	if gone := r.Expire(start.Add(StaleAfter)); len(gone) != 0 {
		t.Errorf("%v went too early", gone)
	}
	off := start.Add(StaleAfter + time.Second)
	if gone := r.Expire(off); !slices.Equal(gone, []endpoint.ID{client(1), client(2)}) || r.Len() != 1 {
		t.Errorf("%v went, %d are left", gone, r.Len())
	}
	if pl := mustRegister(t, r, off, at("10.0.0.9", 9)); pl.Slot != 3 {
		t.Errorf("slot %d is given to a stranger while it rests", pl.Slot)
	}
	if pl, _ := r.Register(off, Claim{Place: at("10.0.0.8", 8), Slot: 0, HasSlot: true}); pl.Slot != 4 {
		t.Errorf("slot %d is given to who claims it while it rests", pl.Slot)
	}
	if pl := mustRegister(t, r, off.Add(time.Minute), at("10.0.0.77", 2)); pl.Slot != 1 || !pl.New {
		t.Errorf("a client comes back as %+v, want its slot 1", pl)
	}
	for _, n := range []int{2, 3, 8, 9} {
		mustRegister(t, r, off.Add(slotRest), at(fmt.Sprintf("10.0.0.%d", n), n))
	}
	r.Expire(off.Add(slotRest - 1))
	if pl := mustRegister(t, r, off.Add(slotRest), at("10.0.0.10", 10)); pl.Slot != 5 {
		t.Errorf("slot %d is given away before its rest is over", pl.Slot)
	}
	r.Expire(off.Add(slotRest))
	if pl := mustRegister(t, r, off.Add(slotRest), at("10.0.0.11", 11)); pl.Slot != 0 {
		t.Errorf("slot %d is given out, want the one that has rested", pl.Slot)
	}
}

// TestAlone: who cannot be dialled is nobody's neighbour, but has a slot.
func TestAlone(t *testing.T) {
	r := New(DefaultBoundaries)
	mustRegister(t, r, start, at("10.0.0.1", 1))
	alone, ok := r.Register(start, Claim{Place: at("10.0.0.2", 2), Alone: true})
	if !ok || len(alone.Back)+len(alone.Fore) != 0 || alone.LAN.String() != "10.0.0.2/32" || alone.Digest == 0 {
		t.Errorf("%+v", alone)
	}
	same, _ := r.Register(start, Claim{Place: at("10.0.0.2", 3), Alone: true})
	if same.Slot == alone.Slot || len(same.Back)+len(same.Fore) != 0 {
		t.Errorf("two behind one address: %+v and %+v", alone, same)
	}
	if pl := mustRegister(t, r, start, at("10.0.0.3", 4)); len(pl.Back) != 1 || len(pl.Fore) != 0 {
		t.Errorf("a neighbour is named %v and %v", pl.Back, pl.Fore)
	}
	if pl := mustRegister(t, r, start, at("10.0.0.2", 2)); !pl.New || len(pl.Back) != 1 || len(pl.Fore) != 1 {
		t.Errorf("no longer alone: %+v", pl)
	}
}

// TestFull: a LAN has so many slots; who gets none is not half registered.
func TestFull(t *testing.T) {
	r := New(Boundaries{8, 64})
	place := func(n int) endpoint.Place {
		return at(fmt.Sprintf("10.%d.%d.%d", n>>16, n>>8&255, n&255), n)
	}
	for n := range answer.SlotMax {
		if pl := mustRegister(t, r, start, place(n)); int(pl.Slot) != n {
			t.Fatalf("client %d gets slot %d", n, pl.Slot)
		}
	}
	extra := at("10.1.0.1", 0)
	extra.ID[5] = 1
	if pl, ok := r.Register(start, Claim{Place: extra}); ok || r.Len() != answer.SlotMax {
		t.Errorf("one more is placed as %+v", pl)
	}
	if _, ok := r.LAN(extra.ID); ok {
		t.Error("who got no slot is on the roster")
	}
	if pl := mustRegister(t, r, start, place(777)); pl.Slot != 777 || pl.New {
		t.Errorf("a member of a full LAN registers as %+v", pl)
	}
}

// TestSlotsAreACopy: what Slots has returned does not change any more.
func TestSlotsAreACopy(t *testing.T) {
	r := New(DefaultBoundaries)
	lan := mustRegister(t, r, start, at("10.0.0.1", 1)).LAN
	before := r.Slots()
	mustRegister(t, r, start, at("10.0.0.2", 2))
	if before[lan].Len() != 1 || r.Slots()[lan].Len() != 2 {
		t.Errorf("%v, then %v", before[lan], r.Slots()[lan])
	}
}
