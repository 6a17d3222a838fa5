package roster

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/boundary"
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

// A model says in the simplest words what a roster must do, as long as no LAN
// is cut.
type model struct {
	bounds boundary.Boundaries
	here   map[endpoint.ID]member
	left   map[netip.Prefix]map[endpoint.ID]kept // slots that are kept for who had them
	last   map[endpoint.ID]Seat                  // where who is not here was last
	avoid  map[endpoint.ID]map[endpoint.ID]time.Time
}

type member struct {
	place endpoint.Place
	lan   netip.Prefix
	alone bool
	slot  answer.Slot
	seen  time.Time
}

type kept struct {
	slot  answer.Slot
	until time.Time
}

func newModel() *model {
	return &model{
		DefaultBoundaries, map[endpoint.ID]member{}, map[netip.Prefix]map[endpoint.ID]kept{},
		map[endpoint.ID]Seat{}, map[endpoint.ID]map[endpoint.ID]time.Time{},
	}
}

func (m *model) register(now time.Time, c Claim) Placement {
	id := c.Place.ID
	area := m.bounds.Find(c.Observed, c.Place.Addr.Addr())
	old, known := m.here[id]
	if known && old.lan != area.LAN {
		m.remove(now, id)
		known = false
	}
	slot := old.slot
	if !known {
		slot = m.slotFor(area.LAN, c)
		delete(m.left[area.LAN], id)
	}
	m.here[id] = member{c.Place, area.LAN, area.Alone, slot, now}
	pl := Placement{Place: c.Place, LAN: area.LAN, Alone: area.Alone, Slot: slot, New: !known}
	if last, was := m.last[id]; was && last.LAN != area.LAN {
		pl.Moved, pl.Old = true, last
	}
	delete(m.last, id)
	if area.Alone {
		pl.From, pl.Until = c.Place, c.Place
		return pl
	}
	if m.avoid[id] == nil {
		m.avoid[id] = map[endpoint.ID]time.Time{}
	}
	for _, peer := range c.Unreachable {
		m.avoid[id][peer] = now.Add(2 * time.Minute)
	}
	for _, p := range m.inOrder(area.LAN) {
		if now.Before(m.avoid[id][p.ID]) {
			continue
		}
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
		m.left[o.lan] = map[endpoint.ID]kept{}
	}
	m.left[o.lan][id] = kept{o.slot, now.Add(time.Hour)}
	m.last[id] = Seat{o.lan, o.slot}
	delete(m.avoid, id)
}

func (m *model) expire(now time.Time) []endpoint.ID {
	var gone []endpoint.ID
	for id, o := range m.here {
		if now.Sub(o.seen) > 4*time.Minute {
			gone = append(gone, id)
			m.remove(now, id)
		}
	}
	for lan, left := range m.left {
		for id, r := range left {
			if !now.Before(r.until) {
				delete(left, id)
				if m.last[id].LAN == lan {
					delete(m.last, id)
				}
			}
		}
	}
	slices.SortFunc(gone, func(a, b endpoint.ID) int { return slices.Compare(a[:], b[:]) })
	return gone
}

func (m *model) inOrder(lan netip.Prefix) []endpoint.Place {
	var out []endpoint.Place
	for _, o := range m.here {
		if o.lan == lan && !o.alone {
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
	c := Claim{Place: endpoint.Place{
		Addr: netip.AddrPortFrom(
			netip.MustParseAddr(fmt.Sprintf(addr, rapid.IntRange(1, 30).Draw(t, "host"))),
			uint16(rapid.IntRange(17472, 17473).Draw(t, "port"))),
		ID: client(rapid.IntRange(1, 40).Draw(t, "client")),
	}}
	c.Observed = c.Place.Addr.Addr()
	if rapid.IntRange(0, 9).Draw(t, "translated") == 0 {
		c.Observed = netip.MustParseAddr(rapid.SampledFrom([]string{"203.0.113.7", "10.0.0.9", "10.0.1.0"}).Draw(t, "observed"))
	}
	if c.HasSlot = rapid.Bool().Draw(t, "claims"); c.HasSlot {
		c.Slot = answer.Slot(rapid.IntRange(0, 45).Draw(t, "slot"))
	}
	for range rapid.IntRange(-3, 3).Draw(t, "unreachable") {
		c.Unreachable = append(c.Unreachable, client(rapid.IntRange(1, 40).Draw(t, "peer")))
	}
	return c
}

// rules are boundaries of which one or the other may hold at a time.
var rules = []boundary.Boundaries{
	DefaultBoundaries,
	made(boundary.Mask{IPv4: 22, IPv6: 0}),
	made(boundary.DefaultMask, boundary.Subnet{Kind: boundary.Isolated, Networks: nets("10.0.0.8/29", "10.0.1.1/32")}),
	made(boundary.DefaultMask, boundary.Subnet{Kind: boundary.Separated, Networks: nets("10.0.0.0/28", "10.0.0.0/22")}),
	made(boundary.DefaultMask, boundary.Subnet{Kind: boundary.Intentional, Neighborhood: "x", Networks: nets("203.0.113.7/32", "10.0.1.0/28", "2001:db8::/32")}),
}

func nets(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// made makes boundaries of one subnet for each network, but one for all if it
// is intentional.
func made(m boundary.Mask, list ...boundary.Subnet) boundary.Boundaries {
	var all []boundary.Subnet
	for _, s := range list {
		if s.Kind == boundary.Intentional {
			all = append(all, s)
			continue
		}
		for _, p := range s.Networks {
			all = append(all, boundary.Subnet{Kind: s.Kind, Networks: []netip.Prefix{p}})
		}
	}
	b, err := boundary.New(m, all)
	if err != nil {
		panic(err)
	}
	return b
}

// TestAgainstModel: whatever clients come, move, fall silent and come back, and
// whatever boundaries hold meanwhile, a roster does what the model does; and
// the digest changes when the lists do, and only then.
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
			text := fmt.Sprint(got.LAN, got.Back, got.Fore, got.Across, got.From, got.Until)
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
			"and more": register,
			"wait":     func(t *rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 150).Draw(t, "s")) * time.Second) },
			"boundaries": func(t *rapid.T) {
				m.bounds = rapid.SampledFrom(rules).Draw(t, "rules")
				r.SetBoundaries(m.bounds)
			},
			"expire": func(t *rapid.T) {
				if rapid.IntRange(0, 9).Draw(t, "late") == 0 {
					now = now.Add(time.Hour)
				}
				if got, want := r.Expire(now), m.expire(now); !slices.Equal(got, want) {
					t.Fatalf("%v expire, want %v", got, want)
				}
			},
			"": func(t *rapid.T) { compare(t, r, m); checkShape(t, r) },
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
	behind := func(n int) Claim {
		return Claim{Place: at(fmt.Sprintf("192.168.1.%d", n), n), Observed: netip.MustParseAddr("10.0.0.2")}
	}
	mustRegister(t, r, start, at("10.0.0.1", 1))
	alone, ok := r.Register(start, behind(2))
	if !ok || !alone.Alone || len(alone.Back)+len(alone.Fore) != 0 || alone.LAN.String() != "10.0.0.2/32" || alone.Digest == 0 {
		t.Errorf("%+v", alone)
	}
	if p := behind(2).Place; alone.From != p || alone.Until != p {
		t.Errorf("somebody may stand next to it: from %v until %v", alone.From, alone.Until)
	}
	same, _ := r.Register(start, behind(3))
	if same.Slot == alone.Slot || len(same.Back)+len(same.Fore) != 0 {
		t.Errorf("two behind one address: %+v and %+v", alone, same)
	}
	if pl := mustRegister(t, r, start, at("10.0.0.3", 4)); len(pl.Back) != 1 || len(pl.Fore) != 0 {
		t.Errorf("a neighbour is named %v and %v", pl.Back, pl.Fore)
	}
	pl := mustRegister(t, r, start, at("10.0.0.2", 2))
	if !pl.New || len(pl.Back) != 1 || len(pl.Fore) != 1 || !pl.Moved || pl.Old != (Seat{alone.LAN, alone.Slot}) {
		t.Errorf("no longer alone: %+v", pl)
	}
}

// TestFull: a LAN has so many slots; who gets none is not half registered.
func TestFull(t *testing.T) {
	r := New(made(boundary.Mask{IPv4: 8, IPv6: 64}))
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
