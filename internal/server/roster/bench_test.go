package roster

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/endpoint"
)

const fleet = 100_000

// claims are the registrations of a fleet, in the order in which clients that
// chose their times at random would come: with as many in one LAN as said.
func claims(inLAN int) []Claim {
	out := make([]Claim, fleet)
	for i := range out {
		lan, host := i/inLAN, i%inLAN
		a := [4]byte{10, byte(lan >> 8), byte(lan), byte(host + 1)}
		if inLAN > 254 {
			a = [4]byte{10, byte(lan), byte(host >> 8), byte(host)}
		}
		var id endpoint.ID
		binary.BigEndian.PutUint64(id[:], uint64(i)*0x9e3779b97f4a7c15)
		out[i] = Claim{Place: endpoint.Place{Addr: netip.AddrPortFrom(netip.AddrFrom4(a), 17472), ID: id}}
	}
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// BenchmarkRegister is a registration among 100,000 clients. The budget is
// 10 µs where LANs have the usual size.
func BenchmarkRegister(b *testing.B) {
	now := time.Unix(1e9, 0)
	for _, size := range []struct {
		name   string
		bounds boundary.Boundaries
		inLAN  int
	}{{"LANs of 250", DefaultBoundaries, 250}, {"LANs of 50,000", made(boundary.Mask{IPv4: 16, IPv6: 64}), 50_000}} {
		list := claims(size.inLAN)
		full := New(size.bounds)
		for _, c := range list {
			if _, ok := full.Register(now, c); !ok {
				b.Fatal("no slot")
			}
		}
		b.Run("again/"+size.name, func(b *testing.B) {
			i := 0
			for b.Loop() {
				full.Register(now, list[i%fleet])
				i++
			}
		})
		b.Run("first/"+size.name, func(b *testing.B) {
			var r *Roster
			i := 0
			for b.Loop() {
				if i%fleet == 0 {
					r = New(size.bounds)
				}
				r.Register(now, list[i%fleet])
				i++
			}
		})
	}
}

// BenchmarkFlat is a LAN of 60,000 clients, in which one goes and comes, or
// comes again. The budget is 50 and 5 µs.
func BenchmarkFlat(b *testing.B) {
	const size = 60_000
	now := time.Unix(1e9, 0)
	for _, trip := range []time.Duration{time.Millisecond, 20 * time.Millisecond} {
		r := New(wide)
		order := rand.New(rand.NewPCG(1, 1)).Perm(size)
		register := func(n int) {
			if _, ok := r.Register(now, Claim{Place: host(n), RoundTrip: trip}); !ok {
				b.Fatal("no slot")
			}
		}
		for _, n := range order {
			register(n)
		}
		for _, n := range order {
			register(n)
		}
		name := fmt.Sprintf("%d chains/", r.Chains())
		b.Run(name+"again", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				register(order[i%size])
			}
		})
		b.Run(name+"goes and comes", func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				r.remove(now, host(order[i%size]).ID)
				register(order[i%size])
			}
		})
	}
}
