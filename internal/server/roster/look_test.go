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

// TestLook: whatever has happened, everybody who is registered is seen once, in
// order, and every slot leads back to whose seat it is.
func TestLook(t *testing.T) {
	bounds := made(boundary.Mask{IPv4: 16, IPv6: 0}, boundary.Subnet{Kind: boundary.Isolated, Networks: nets("10.0.7.0/24")})
	rapid.Check(t, func(t *rapid.T) {
		r, now := New(bounds), start
		for n := range rapid.IntRange(0, 600).Draw(t, "many") { // enough for segments
			r.Register(now, Claim{Place: host(3 * n)})
		}
		t.Repeat(map[string]func(*rapid.T){
			"register": func(t *rapid.T) { r.Register(now, drawClaim(t)) },
			"alone": func(t *rapid.T) {
				n := rapid.IntRange(1, 40).Draw(t, "client")
				r.Register(now, Claim{Place: at(fmt.Sprintf("10.0.7.%d", 90-n), n)})
			},
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 150).Draw(t, "s")) * time.Second)
				r.Expire(now)
			},
			"": func(t *rapid.T) { checkLook(t, r) },
		})
	})
}

func checkLook(t *rapid.T, r *Roster) {
	all := slices.Collect(r.All())
	if len(all) != r.Len() {
		t.Fatalf("%d clients are seen of %d", len(all), r.Len())
	}
	for _, s := range all {
		at := r.where[s.Place.ID]
		if at != (spot{r.lans[s.LAN], s.Place, s.Alone}) {
			t.Fatalf("%+v is seen of what is %+v", s, at)
		}
		if s.Alone {
			continue
		}
		l := r.lans[s.LAN]
		if k, j, _ := l.find(s.Place); k != s.Segment || l.segments[k].entries[j].place != s.Place {
			t.Fatalf("%+v stands in segment %d", s, k)
		}
	}
	ordered := slices.IsSortedFunc(all, func(a, b Stand) int {
		if c := a.LAN.Compare(b.LAN); c != 0 {
			return c
		}
		if a.Alone != b.Alone {
			return map[bool]int{true: 1, false: -1}[a.Alone]
		}
		if a.Segment != b.Segment {
			return a.Segment - b.Segment
		}
		return a.Place.Compare(b.Place)
	})
	if !ordered {
		t.Fatalf("out of order: %+v", all)
	}
	for range r.All() {
		break // who has seen enough may go
	}
	checkOwners(t, r)
}

func checkOwners(t *rapid.T, r *Roster) {
	want := map[netip.Prefix]map[answer.Slot]endpoint.ID{}
	own := func(id endpoint.ID, s Seat) {
		if want[s.LAN] == nil {
			want[s.LAN] = map[answer.Slot]endpoint.ID{}
		}
		want[s.LAN][s.Slot] = id
	}
	for key, l := range r.lans {
		for id, rest := range l.slots.resting {
			own(id, Seat{key, rest.slot})
		}
	}
	for id := range r.where {
		seat, _ := r.Seat(id)
		own(id, seat)
	}
	for key, l := range r.lans {
		odd := answer.Set{}
		for slot := range l.slots.taken.All() {
			if slot%2 == 1 {
				odd.Add(slot)
			}
		}
		for _, of := range []answer.Set{l.slots.taken, odd, {}, answer.SetOf(60_000)} {
			got := r.Owners(key, of)
			for slot := range of.All() {
				if got[slot] != want[key][slot] {
					t.Fatalf("slot %d of %v is %v's, want %v", slot, key, got[slot], want[key][slot])
				}
				delete(got, slot)
			}
			if len(got) > 0 {
				t.Fatalf("%v: nobody has asked of %v", key, got)
			}
		}
	}
	if len(r.Owners(netip.MustParsePrefix("192.0.2.0/24"), answer.SetOf(1))) != 0 {
		t.Fatal("a LAN that is not there has owners")
	}
}
