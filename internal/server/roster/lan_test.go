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

// wide is a LAN of 65,536 addresses.
var wide = made(boundary.Mask{IPv4: 16, IPv6: 64})

// host is the n-th client of the wide LAN 10.0.0.0/16.
func host(n int) endpoint.Place {
	return endpoint.Place{
		Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}), 17472),
		ID:   endpoint.ID{1, byte(n >> 8), byte(n)},
	}
}

var wideLAN = netip.MustParsePrefix("10.0.0.0/16")

type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkShape holds what must always be so of segments and slots.
func checkShape(t failer, r *Roster) {
	t.Helper()
	seen := map[endpoint.ID]bool{}
	for key, l := range r.lans {
		var used answer.Set
		size := len(l.alone)
		once := func(id endpoint.ID, slot answer.Slot, is spot) {
			if seen[id] || used.Has(slot) {
				t.Fatalf("client %v or its slot %d is there twice", id, slot)
			}
			seen[id] = true
			used.Add(slot)
			if r.where[id] != is {
				t.Fatalf("client %v is to be found at %v, but is at %v", id, r.where[id], is)
			}
		}
		for s, seg := range l.segments {
			size += len(seg.entries)
			if len(seg.entries) == 0 && len(l.segments) > 1 {
				t.Fatalf("segment %d of %v is empty", s, key)
			}
			if s == 0 && seg.from != (endpoint.Place{}) || s > 0 && l.segments[s-1].from.Compare(seg.from) >= 0 {
				t.Fatalf("segment %d of %v begins at %v", s, key, seg.from)
			}
			for i, e := range seg.entries {
				if i > 0 && seg.entries[i-1].place.Compare(e.place) >= 0 || e.place.Compare(seg.from) < 0 ||
					s+1 < len(l.segments) && e.place.Compare(l.segments[s+1].from) >= 0 {
					t.Fatalf("%v stands in segment %d of %v, out of order or bounds", e.place, s, key)
				}
				once(e.place.ID, e.slot, spot{l, e.place, false})
			}
		}
		for id, e := range l.alone {
			once(id, e.slot, spot{l, e.place, true})
		}
		if size != l.size || !used.Equal(l.slots.used) {
			t.Fatalf("%v has %d clients with the slots %v, and says %d and %v", key, size, used, l.size, l.slots.used)
		}
		taken := used
		for id, rest := range l.slots.resting {
			if taken.Has(rest.slot) || rest.of != id {
				t.Fatalf("slot %d of %v rests for %v, but is another's too", rest.slot, key, id)
			}
			taken = taken.Union(answer.SetOf(rest.slot))
		}
		if !taken.Equal(l.slots.taken) {
			t.Fatalf("%v: the slots %v are taken, not %v", key, taken, l.slots.taken)
		}
	}
	if len(seen) != len(r.where) {
		t.Fatalf("%d clients stand somewhere, %d are known", len(seen), len(r.where))
	}
}

// nearest are the places from near to far that an honest list names.
func nearest(l *lan, p endpoint.Place, fore bool, in func(endpoint.Place) bool) (list []endpoint.Place) {
	for _, seg := range l.segments {
		for _, e := range seg.entries {
			if c := e.place.Compare(p); (c > 0) == fore && c != 0 && in(e.place) {
				list = append(list, e.place)
			}
		}
	}
	if !fore {
		slices.Reverse(list)
	}
	return list[:min(Candidates, len(list))]
}

// checkPlacement holds a placement against all clients of its LAN.
func checkPlacement(t failer, r *Roster, p endpoint.Place, pl Placement) {
	t.Helper()
	l := r.lans[pl.LAN]
	within := func(q endpoint.Place) bool {
		return q.Compare(pl.From) >= 0 && (pl.Until == endpoint.Place{} || q.Compare(pl.Until) < 0)
	}
	back, fore := nearest(l, p, false, within), nearest(l, p, true, within)
	var across []endpoint.Place
	if len(back) == 0 {
		across = nearest(l, p, false, func(endpoint.Place) bool { return true })
	}
	if !within(p) || !slices.Equal(pl.Back, back) || !slices.Equal(pl.Fore, fore) || !slices.Equal(pl.Across, across) {
		t.Fatalf("%v is named\n%v %v %v, want\n%v %v %v", p, pl.Back, pl.Fore, pl.Across, back, fore, across)
	}
	if n := len(nearest(l, p, false, within)); n == 0 && len(pl.Across) == 0 && len(nearest(l, p, false, func(endpoint.Place) bool { return true })) > 0 {
		t.Fatalf("%v is the first of its segment and is named nobody below", p)
	}
	s, _, here := l.find(p)
	if n := l.length(s); !here || n > l.longest() {
		t.Fatalf("%v stands in a segment of %d, more than %d", p, n, l.longest())
	}
}

// borders are where the segments of a LAN begin.
func borders(l *lan) (list []endpoint.Place) {
	for _, seg := range l.segments {
		list = append(list, seg.from)
	}
	return list
}

// TestSegments: whoever comes and goes, every client stands in one segment that
// is not too long, lists never cross a border, and one that comes moves no
// border but those of its own segment.
func TestSegments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, now := New(wide), start
		trip := time.Duration(rapid.SampledFrom([]int{0, 1, 10, 16, 40}).Draw(t, "trip")) * time.Millisecond
		here := map[int]bool{}
		register := func(n int) {
			var before []endpoint.Place
			var from, until endpoint.Place
			if l := r.lans[wideLAN]; l != nil {
				before = borders(l)
				s, _, _ := l.find(host(n))
				from = before[max(s-1, 0)]
				if s+2 < len(before) {
					until = before[s+2]
				}
			}
			pl, ok := r.Register(now, Claim{Place: host(n), RoundTrip: trip})
			if !ok {
				t.Fatalf("client %d has no slot", n)
			}
			here[n] = true
			checkPlacement(t, r, host(n), pl)
			// Only its own segment is cut, and only a neighbour is joined.
			after := borders(r.lans[wideLAN])
			for _, b := range append(missing(before, after), missing(after, before)...) {
				if before != nil && (b.Compare(from) < 0 || until != endpoint.Place{} && b.Compare(until) > 0) {
					t.Fatalf("client %v moves the border %v", host(n), b)
				}
			}
		}
		some := func(t *rapid.T) (first, step, count int) {
			return rapid.IntRange(0, 399).Draw(t, "first"), rapid.SampledFrom([]int{1, 3, 7}).Draw(t, "step"), rapid.IntRange(1, 120).Draw(t, "count")
		}
		t.Repeat(map[string]func(*rapid.T){
			"come": func(t *rapid.T) {
				first, step, count := some(t)
				for i := range count {
					register((first + i*step) % 400)
				}
			},
			"go": func(t *rapid.T) {
				first, step, count := some(t)
				for i := range count {
					n := (first + i*step) % 400
					if here[n] {
						r.remove(now, host(n).ID)
						delete(here, n)
					}
				}
			},
			"slower": func(t *rapid.T) { trip = time.Duration(rapid.IntRange(0, 40).Draw(t, "ms")) * time.Millisecond },
			"": func(t *rapid.T) {
				checkShape(t, r)
				if r.Len() != len(here) {
					t.Fatalf("%d clients, want %d", r.Len(), len(here))
				}
			},
		})
	})
}

func missing(from, in []endpoint.Place) (list []endpoint.Place) {
	for _, p := range from {
		if !slices.Contains(in, p) {
			list = append(list, p)
		}
	}
	return list
}

// TestLongest: the length of a chain follows the time of a hop.
func TestLongest(t *testing.T) {
	for _, tt := range []struct {
		trip time.Duration
		want int
	}{
		{0, 250}, {time.Microsecond, 250}, {400 * time.Microsecond, 250}, {4 * time.Millisecond, 250}, {5 * time.Millisecond, 200},
		{10 * time.Millisecond, 100}, {15625 * time.Microsecond, 64}, {16 * time.Millisecond, 64}, {time.Hour, 64},
	} {
		if got := (&lan{trip: tt.trip}).longest(); got != tt.want {
			t.Errorf("there and back %v: %d, want %d", tt.trip, got, tt.want)
		}
	}
}

// TestCut: a length that is fixed holds whatever a hop takes.
func TestCut(t *testing.T) {
	for most, want := range map[int]int{20: 19, 2 * chainMax: 1} {
		r := New(wide)
		r.Cut(most)
		for n := range 200 {
			mustRegister(t, r, start, host(n))
		}
		if n := r.Chains(); n != want {
			t.Errorf("200 clients stand in %d chains of at most %d, want %d", n, most, want)
		}
	}
}

// TestMedian: the time of a hop is what half of the clients see, whatever a few
// say and however often.
func TestMedian(t *testing.T) {
	r := New(wide)
	for n := range 600 {
		trip := 10 * time.Millisecond
		if n%3 == 0 {
			trip = time.Hour
		}
		if _, ok := r.Register(start, Claim{Place: host(n), RoundTrip: trip}); !ok {
			t.Fatal("no slot")
		}
	}
	l := r.lans[wideLAN]
	if l.trip != 10*time.Millisecond || l.longest() != 100 {
		t.Errorf("there and back %v, chains of %d", l.trip, l.longest())
	}
	for range 10_000 {
		r.Register(start, Claim{Place: host(3), RoundTrip: time.Hour})
	}
	if l.trip != 10*time.Millisecond {
		t.Errorf("one client makes it %v", l.trip)
	}
	for n := range 600 { // who says nothing has not changed its mind
		r.Register(start, Claim{Place: host(n)})
	}
	for n := range sampleEvery {
		r.Register(start, Claim{Place: host(9 * n % 600), RoundTrip: time.Hour})
	}
	if l.trip != 10*time.Millisecond {
		t.Errorf("silence makes it %v", l.trip)
	}
	few := New(wide)
	for range 1000 {
		few.Register(start, Claim{Place: host(1), RoundTrip: time.Second})
	}
	if got := few.lans[wideLAN].trip; got != 0 {
		t.Errorf("one client alone makes it %v", got)
	}
}

// TestHysteresis: a LAN whose size goes up and down around the length of a
// chain is cut once, and joined only when it has become much smaller.
func TestHysteresis(t *testing.T) {
	r := New(wide)
	for n := range chainMax {
		mustRegister(t, r, start, host(2*n))
	}
	if n := r.Chains(); n != 1 {
		t.Fatalf("%d chains of %d clients", n, chainMax)
	}
	for range 20 {
		if pl := mustRegister(t, r, start, host(1)); pl.Until == (endpoint.Place{}) {
			t.Errorf("not cut: %v", pl)
		}
		if n := r.Chains(); n != 2 {
			t.Fatalf("%d chains of %d clients", n, r.Len())
		}
		r.remove(start, host(1).ID)
		for n := range chainMax {
			mustRegister(t, r, start, host(2*n))
		}
		if n := r.Chains(); n != 2 {
			t.Fatalf("joined again when %d are left", r.Len())
		}
	}
	for n := chainMax - 1; r.Len() > chainMax/2; n-- {
		if r.Chains() != 2 {
			t.Fatalf("joined when %d are left", r.Len())
		}
		r.remove(start, host(2*n).ID)
		mustRegister(t, r, start, host(0))
	}
	if pl := mustRegister(t, r, start, host(0)); r.Chains() != 1 || pl.Until != (endpoint.Place{}) {
		t.Errorf("%d chains of %d clients", r.Chains(), r.Len())
	}
}

// TestAcross: the first client of a segment is named who stands below the
// border, over several short segments if need be, and nobody else is.
func TestAcross(t *testing.T) {
	r := New(wide)
	for n := range 3 * chainMax {
		mustRegister(t, r, start, host(n))
	}
	firsts := 0
	for n := range 3 * chainMax {
		pl := mustRegister(t, r, start, host(n))
		if len(pl.Across) > 0 {
			firsts++
			if pl.From != host(n) || len(pl.Back) != 0 || len(pl.Across) != Candidates || pl.Across[0] != host(n-1) || pl.Across[9] != host(n-10) {
				t.Errorf("%v: %+v", host(n), pl)
			}
		}
	}
	if firsts != r.Chains()-1 || firsts < 2 {
		t.Errorf("%d of %d chains have somebody below", firsts, r.Chains())
	}
	// Below a segment of three there is another one.
	l := r.lans[wideLAN]
	for n := range l.length(0) - 3 {
		r.remove(start, host(n).ID)
	}
	first := l.segments[2].entries[0].place
	for _, e := range slices.Clone(l.segments[1].entries[2:]) {
		r.remove(start, e.place.ID)
	}
	var pl Placement
	l.around(&pl, first, nil)
	if len(pl.Across) != 5 || len(l.segments) < 3 {
		t.Errorf("%d below, in %d segments: %v", len(pl.Across), len(l.segments), pl.Across)
	}
}

// TestUnreachable: whom a client cannot dial it is not named for two minutes,
// and the lists reach that much farther.
func TestUnreachable(t *testing.T) {
	r, now := New(DefaultBoundaries), start
	for n := 1; n <= 60; n++ {
		mustRegister(t, r, now, at(fmt.Sprintf("10.0.0.%d", n), n))
	}
	me := at("10.0.0.30", 30)
	fore := func(unreachable ...endpoint.ID) (list []byte) {
		t.Helper()
		pl, ok := r.Register(now, Claim{Place: me, Unreachable: unreachable})
		if !ok {
			t.Fatal("no slot")
		}
		for _, p := range pl.Fore {
			list = append(list, p.Addr.Addr().As4()[3])
		}
		return list
	}
	span := func(from, to int, but ...byte) (list []byte) {
		for n := from; n <= to; n++ {
			if !slices.Contains(but, byte(n)) {
				list = append(list, byte(n))
			}
		}
		return list
	}
	dead := func(from, to int) (ids []endpoint.ID) {
		for n := from; n <= to; n++ {
			ids = append(ids, client(n))
		}
		return ids
	}
	for i, step := range []struct {
		unreachable []endpoint.ID
		after       time.Duration
		want        []byte
	}{
		{nil, 0, span(31, 40)},
		{dead(31, 40), 0, span(41, 50)},
		{dead(41, 50), time.Second, span(51, 60)},        // the first ten are not forgotten
		{nil, 90 * time.Second, span(51, 60)},            // nor at the next normal registration
		{dead(33, 33), 28 * time.Second, span(51, 60)},   // one is named again
		{nil, time.Second, append(span(31, 40, 33), 51)}, // two minutes are over for the others; 41 to 50 have one second left
		{nil, 2 * time.Second, span(31, 41, 33)},         // for those, too
		{nil, 2 * time.Minute, span(31, 40)},             // and for it
		{dead(1, 29), 0, span(31, 40)},                   // the other side does not matter
		{dead(31, 60), 0, nil},                           // nobody is left
		{[]endpoint.ID{{99}, me.ID, {}}, 0, nil},         // strangers do no harm
	} {
		now = now.Add(step.after)
		if got := fore(step.unreachable...); !slices.Equal(got, step.want) {
			t.Errorf("step %d: %v, want %v", i, got, step.want)
		}
	}
	if got := mustRegister(t, r, now, at("10.0.0.29", 29)); got.Fore[0] != me {
		t.Errorf("another's list suffers: %v", got.Fore)
	}
	for n := range 3 * avoidMax {
		fore(endpoint.ID{9, byte(n), byte(n >> 8)})
	}
	if n := len(r.avoid[me.ID]); n != avoidMax {
		t.Errorf("%d peers are avoided", n)
	}
	now = now.Add(StaleAfter + 1)
	r.Expire(now)
	if len(r.avoid) != 0 {
		t.Error("who is gone still avoids somebody")
	}
}
