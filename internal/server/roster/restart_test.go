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

// TestServerForgets: a roster that starts empty gives every client the slot
// that it has held and claims, in whatever order they come back.
func TestServerForgets(t *testing.T) {
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

// TestRestart: a server that ends and starts again gives everybody the slot that
// it had, also who claims nothing because it has started anew, in whatever
// order they come and whoever else comes first.
func TestRestart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, now := New(DefaultBoundaries), start
		held := map[endpoint.ID]Held{}
		places := map[endpoint.ID]endpoint.Place{}
		for range rapid.IntRange(1, 80).Draw(t, "registrations") {
			n := rapid.IntRange(0, 30).Draw(t, "client")
			p := at(fmt.Sprintf("10.0.%d.%d", rapid.IntRange(0, 1).Draw(t, "lan"), n+1), n)
			now = now.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "s")) * time.Second)
			before.Expire(now)
			pl, _ := before.Register(now, Claim{Place: p})
			held[p.ID], places[p.ID] = Held{p.ID, Seat{pl.LAN, pl.Slot}, now}, p
		}
		var list []Held
		for _, h := range held {
			list = append(list, h)
		}
		slices.SortFunc(list, func(a, b Held) int { return slices.Compare(a.ID[:], b.ID[:]) })

		again := now.Add(time.Duration(rapid.IntRange(0, 100).Draw(t, "hours")) * time.Hour)
		after := New(DefaultBoundaries)
		after.Restore(again, rapid.Permutation(list).Draw(t, "read"))
		checkShape(t, after)
		for n := range 10 { // strangers come first
			after.Register(again, Claim{Place: at(fmt.Sprintf("10.0.%d.%d", n%2, 200+n), 200+n)})
		}
		for _, h := range rapid.Permutation(list).Draw(t, "order") {
			// Who has been off for long is not waited for. Neither is it now.
			if now.Sub(h.Seen) >= StaleAfter+slotRest {
				continue
			}
			pl, ok := after.Register(again, Claim{Place: places[h.ID]})
			if !ok || (Seat{pl.LAN, pl.Slot}) != h.Seat || !pl.New {
				t.Fatalf("%v held %v and gets %v", h.ID, h.Seat, Seat{pl.LAN, pl.Slot})
			}
		}
		checkShape(t, after)
	})
}

// TestRestartRests: what rests when the server ends goes on resting, as if it had
// not been away, and is anybody's in the end.
func TestRestartRests(t *testing.T) {
	lan := netip.MustParsePrefix("10.0.0.0/24")
	seat := func(slot answer.Slot) Seat { return Seat{lan, slot} }
	stop := start.Add(10 * time.Hour)
	r, now := New(DefaultBoundaries), stop.Add(48*time.Hour)
	r.Restore(now, []Held{
		{client(1), seat(0), stop}, // was there when the server ended
		{client(2), seat(1), stop.Add(-StaleAfter - slotRest + time.Minute)}, // its rest was nearly over
		{client(3), seat(2), stop.Add(-StaleAfter - slotRest)},               // was over
		{client(4), seat(3), stop.Add(-2 * time.Minute)},
		{client(5), seat(3), stop.Add(-30 * time.Minute)}, // had the slot before
	})
	if r.Len() != 0 || r.LANs() != 0 || len(r.Slots()) != 0 {
		t.Errorf("%d clients, %d LANs, slots %v before anybody has come", r.Len(), r.LANs(), r.Slots())
	}
	if got := r.Speaks(at("192.0.2.1", 1), netip.MustParseAddr("192.0.2.1")); got != lan {
		t.Errorf("client 1 speaks of %v before it has come", got)
	}
	for n, want := range []answer.Slot{2, 4, 5} {
		if pl := mustRegister(t, r, now, at(fmt.Sprintf("10.0.0.%d", 100+n), 100+n)); pl.Slot != want {
			t.Errorf("stranger %d gets slot %d, want %d", n, pl.Slot, want)
		}
	}
	if pl, _ := r.Register(now, Claim{Place: at("10.0.0.5", 5), Slot: 3, HasSlot: true}); pl.Slot == 3 || pl.Moved {
		t.Errorf("client 5 gets the slot that was handed on: %+v", pl)
	}
	if pl := mustRegister(t, r, now, at("10.0.7.4", 4)); !pl.Moved || pl.Old != seat(3) {
		t.Errorf("client 4 comes back elsewhere: %+v", pl)
	}
	r.Expire(now.Add(time.Minute - 1))
	if pl := mustRegister(t, r, now, at("10.0.0.120", 120)); pl.Slot != 7 {
		t.Errorf("slot %d is given away", pl.Slot)
	}
	r.Expire(now.Add(time.Minute))
	if pl := mustRegister(t, r, now, at("10.0.0.121", 121)); pl.Slot != 1 {
		t.Errorf("slot %d is given out, want the one that has rested", pl.Slot)
	}
	r.Expire(now.Add(StaleAfter + slotRest))
	if pl := mustRegister(t, r, now, at("10.0.0.122", 122)); pl.Slot != 0 {
		t.Errorf("slot %d is given out, want the one that has rested", pl.Slot)
	}
	checkShape(t, r)
	New(DefaultBoundaries).Restore(now, nil)
}

// TestRestsEndInOrder: a rest that began after a restart may end before one that
// was restored.
func TestRestsEndInOrder(t *testing.T) {
	r := New(DefaultBoundaries)
	r.Restore(start, []Held{{client(1), Seat{netip.MustParsePrefix("10.0.0.0/24"), 0}, start}})
	mustRegister(t, r, start, at("10.0.0.2", 2))
	mustRegister(t, r, start, at("10.0.1.2", 2)) // leaves slot 1 for an hour
	r.Expire(start.Add(slotRest))
	if pl := mustRegister(t, r, start, at("10.0.0.3", 3)); pl.Slot != 1 {
		t.Errorf("slot %d", pl.Slot)
	}
}

// TestNewBoundaries: each client is placed by new boundaries at its next
// registration, is told so, and leaves the lists of those it has left.
func TestNewBoundaries(t *testing.T) {
	r := New(DefaultBoundaries)
	var before [40]Placement
	for range 2 {
		for n := range 40 {
			before[n] = mustRegister(t, r, start, at(fmt.Sprintf("10.0.0.%d", n), n))
		}
	}
	r.SetBoundaries(made(boundary.DefaultMask,
		boundary.Subnet{Kind: boundary.Separated, Networks: nets("10.0.0.16/28")},
		boundary.Subnet{Kind: boundary.Isolated, Networks: nets("10.0.0.4/31")}))
	if lan, _ := r.LAN(client(20)); lan != before[20].LAN {
		t.Errorf("client 20 is moved behind its back to %v", lan)
	}
	later := start.Add(time.Minute)
	for range 2 {
		for n := range 40 {
			pl := mustRegister(t, r, later, at(fmt.Sprintf("10.0.0.%d", n), n))
			checkShape(t, r)
			want := "10.0.0.0/24"
			switch {
			case n/16 == 1:
				want = "10.0.0.16/28"
			case n/2 == 2:
				want = fmt.Sprintf("10.0.0.%d/32", n)
			}
			if pl.LAN.String() != want || pl.Alone != (n/2 == 2) {
				t.Fatalf("client %d is in %v, want %s", n, pl.LAN, want)
			}
			if moves := pl.LAN != before[n].LAN; moves && pl.Digest == before[n].Digest || Tag(pl.LAN) == Tag(before[n].LAN) == moves {
				t.Errorf("client %d cannot tell that it has moved: %+v", n, pl)
			}
		}
	}
	for n := range 40 {
		pl := mustRegister(t, r, later, at(fmt.Sprintf("10.0.0.%d", n), n))
		for _, p := range slices.Concat(pl.Back, pl.Fore) {
			if lan, _ := r.LAN(p.ID); lan != pl.LAN {
				t.Errorf("client %d of %v is named %v of %v", n, pl.LAN, p, lan)
			}
		}
	}
}

// TestOneMachineOneLAN: a machine with several addresses is in one LAN at a time.
func TestOneMachineOneLAN(t *testing.T) {
	r := New(DefaultBoundaries)
	four := mustRegister(t, r, start, at("10.0.0.5", 5))
	mapped := mustRegister(t, r, start, at("::ffff:10.0.0.5", 5))
	if mapped.New || mapped.LAN != four.LAN || mapped.Slot != four.Slot {
		t.Errorf("in its IPv6 form: %+v", mapped)
	}
	if pl := mustRegister(t, r, start, at("10.0.0.6", 6)); pl.Back[0] != at("10.0.0.5", 5) || mapped.Place != at("10.0.0.5", 5) {
		t.Errorf("it is named %v, and is told %v", pl.Back, mapped.Place)
	}
	six := mustRegister(t, r, start, at("2001:db8::5", 5))
	if !six.New || !six.Moved || six.Old != (Seat{four.LAN, four.Slot}) || r.Len() != 2 {
		t.Errorf("by IPv6: %+v, %d clients", six, r.Len())
	}
	for lan, set := range r.Slots() {
		if set.Len() != 1 {
			t.Errorf("%v has the slots %v", lan, set)
		}
	}
	if pl := mustRegister(t, r, start, at("2001:db8::abcd:5", 5)); pl.New || pl.Moved || pl.Slot != six.Slot {
		t.Errorf("by a temporary address: %+v", pl)
	}
	if pl := mustRegister(t, r, start, at("10.0.0.6", 6)); len(pl.Back) != 0 {
		t.Errorf("the old neighbour is named %v", pl.Back)
	}
	if pl := mustRegister(t, r, start, at("10.0.0.5", 5)); !pl.Moved || pl.Old.LAN != six.LAN || pl.Slot != four.Slot {
		t.Errorf("back again: %+v", pl)
	}
	// Off for long, and then elsewhere.
	off := start.Add(StaleAfter + 1)
	r.Expire(off)
	if pl := mustRegister(t, r, off, at("2001:db8::5", 5)); !pl.Moved || pl.Old != (Seat{four.LAN, four.Slot}) {
		t.Errorf("elsewhere after a while: %+v", pl)
	}
	r.Expire(off.Add(time.Hour))
	r.Expire(off.Add(2 * time.Hour))
	if pl := mustRegister(t, r, off.Add(2*time.Hour), at("10.0.0.5", 5)); pl.Moved || !pl.New {
		t.Errorf("elsewhere after hours: %+v", pl)
	}
}

// TestSpeaks: whose slots a leader means.
func TestSpeaks(t *testing.T) {
	r := New(DefaultBoundaries)
	p, seen := at("10.0.0.5", 5), netip.MustParseAddr("10.0.0.5")
	if got := r.Speaks(p, seen); got.String() != "10.0.0.0/24" {
		t.Errorf("a stranger: %v", got)
	}
	if got := r.Speaks(p, netip.MustParseAddr("192.0.2.1")); got.String() != "192.0.2.1/32" {
		t.Errorf("a stranger behind a translator: %v", got)
	}
	mustRegister(t, r, start, at("10.0.1.5", 5))
	if got := r.Speaks(p, seen); got.String() != "10.0.1.0/24" {
		t.Errorf("who is registered elsewhere: %v", got)
	}
	r.Expire(start.Add(StaleAfter + 1))
	if got := r.Speaks(p, seen); got.String() != "10.0.1.0/24" {
		t.Errorf("who was: %v", got)
	}
}
