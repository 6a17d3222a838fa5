package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/boundary"
	"catenary/internal/endpoint"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
)

// A Latency is one chain that is asked questions with native sensors, one after
// another, while its machines register as always.
type Latency struct {
	Length    int           // machines in the chain
	Hop       time.Duration // one way to a neighbour, with what it takes to pass a message on
	WAN       time.Duration // one way to the server
	Questions int
	Seed      uint64
}

// An Asking is one question: how long it took until all machines were counted,
// and how long it had to take: the question must go to the first machine and along
// the chain, the answer back from the last, and the slowest sensor must run.
type Asking struct{ Took, Floor time.Duration }

const (
	// latencyJitter: each delay differs from its mean by up to one part in so many.
	latencyJitter = 5
	// latencySensor is how long a native sensor takes at most.
	latencySensor = 5 * time.Millisecond
	// latencySettle is for everything that happens once a chain stands.
	latencySettle = 20 * time.Second
	// latencyGap is the longest pause between two questions.
	latencyGap = 10 * time.Second
)

// Run asks the questions. Each must count every machine.
func (l Latency) Run() ([]Asking, error) {
	w := newLine(l.Seed, l.Length)
	w.weather.around(l.Hop, l.WAN)
	w.weather.work, w.weather.heavy = latencySensor, latencySensor
	for n, h := range w.hosts {
		w.at(time.Duration(n)*scaleStep, func() { w.start(h) })
	}
	w.run(time.Duration(l.Length) * scaleStep)
	w.form(w.chains(), func(int) {})
	w.run(latencySettle)
	var all []Asking
	for len(all) < l.Questions && w.err == nil {
		w.run(w.upto(latencyGap))
		start := w.now
		w.slowest = 0
		q := w.server.ask(survey, time.Minute)
		w.runUntil(start+answerTime, func() bool { return q.machines() == l.Length })
		took := w.now - start
		w.run(ackTime)
		w.checkSurvey(q)
		all = append(all, Asking{took, 2*l.WAN + time.Duration(l.Length-1)*l.Hop + w.slowest})
	}
	return all, w.err
}

// machines is how many machines have been counted, in an unwatched world.
func (q *asked) machines() int {
	n := 0
	for _, x := range q.taken {
		n += x.machines
	}
	return n
}

// around lets delays be about so long, in a LAN and to the server.
func (x *weather) around(hop, wan time.Duration) {
	x.lagMin, x.lagMax = hop-hop/latencyJitter, hop+hop/latencyJitter
	x.wanMin, x.wanMax = wan-wan/latencyJitter, wan+wan/latencyJitter
}

// newLine is a world whose machines all belong into one chain, however long.
func newLine(seed uint64, machines int) *world {
	b, err := boundary.New(boundary.Mask{IPv4: 16, IPv6: 64}, nil)
	if err != nil {
		panic("sim: " + err.Error()) // it is always the same
	}
	w := newWorld(seed, nil)
	w.called = fmt.Sprintf("chain of %d machines with seed", machines)
	w.unwatched = true
	w.server.fresh = func() *roster.Roster {
		r := roster.New(b)
		r.Cut(machines)
		return r
	}
	w.server.roster = w.server.fresh()
	w.server.desk = dispatch.New(w.server.roster, 0)
	const row = 250 // addresses of which the last byte differs
	for n := range machines {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(n / row), byte(1 + n%row)})
		w.addHost(endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: endpoint.ID{14: byte(n >> 8), 15: byte(n)}})
	}
	w.server.tidy()
	w.server.tick()
	return w
}

// Quantile is the value below which a part of the list lies, which is sorted.
func Quantile[T any](sorted []T, part float64) T {
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// Medians are the middle one of how long the questions took, the middle floor,
// and the middle ratio of the two.
func Medians(all []Asking) (took, floor time.Duration, ratio float64) {
	var tooks, floors []time.Duration
	var ratios []float64
	for _, a := range all {
		tooks, floors = append(tooks, a.Took), append(floors, a.Floor)
		ratios = append(ratios, a.Took.Seconds()/a.Floor.Seconds())
	}
	slices.Sort(tooks)
	slices.Sort(floors)
	slices.Sort(ratios)
	return Quantile(tooks, 0.5), Quantile(floors, 0.5), Quantile(ratios, 0.5)
}
