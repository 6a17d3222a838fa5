package sim

import (
	"fmt"
	"time"
)

// A Forming is the machines of one LAN that become one chain, or become one again
// after something has happened to them.
type Forming struct {
	Machines int
	After    Upset
	Hop, WAN time.Duration // one way to a neighbour, and to the server
	Seed     uint64
}

// An Upset is what a chain must form after.
type Upset uint8

const (
	Together  Upset = iota // all machines start in the same moment
	Spread                 // they start within ten seconds
	Halved                 // half of them end in the same moment; their connections are reset
	Unplugged              // half of them lose their power: nothing tells their neighbours
	Restarted              // the server comes back after five seconds, and knows nobody
)

// Upsets are all there are, in order.
var Upsets = []Upset{Together, Spread, Halved, Unplugged, Restarted}

func (u Upset) String() string {
	return [...]string{
		"all start at once", "start within 10 s", "half of them end", "half of them lose power", "the server restarts",
	}[u]
}

// A Formed is what it took, from the last start, or the end of the machines that
// ended, or the return of the server, until every machine that is up stood next to
// its neighbours in order, with one leader at each end.
type Formed struct {
	Took    time.Duration
	Up      int // machines at the end
	Dialled int // dials to neighbours and to the server, from the first start or the upset on
}

const (
	formMax     = 60_000           // machines: addresses of newLine
	formAtOnce  = time.Millisecond // within which all start
	formSpread  = 10 * time.Second
	formAway    = 5 * time.Second  // for which the server is
	formStep    = time.Millisecond // how exactly the time is known
	formSettle  = 40 * time.Second // until all has happened that does once a chain stands
	formPatient = 2 * registerMax  // how long it may take at the most
)

// Run lets the chain form.
func (f Forming) Run() (Formed, error) {
	if f.Machines < 1 || f.Machines > formMax {
		return Formed{}, fmt.Errorf("a chain of %d machines: it may have 1 to %d", f.Machines, formMax)
	}
	w := newLine(f.Seed, f.Machines)
	w.weather.around(f.Hop, f.WAN)
	switch f.After {
	case Together:
		w.startWithin(formAtOnce)
	case Spread:
		w.startWithin(formSpread)
	default:
		w.startWithin(formSpread)
		w.untilWhole()
		w.run(formSettle)
		w.dialled = 0
		w.upset(f.After)
	}
	from := w.now
	w.untilWhole()
	return Formed{w.now - from, len(w.chains()[0]), w.dialled}, w.err
}

// startWithin starts all machines, the last one at the end.
func (w *world) startWithin(d time.Duration) {
	last := w.rng.IntN(len(w.hosts))
	for i, h := range w.hosts {
		at := w.now + w.upto(d)
		if i == last {
			at = w.now + d
		}
		w.at(at, func() { w.start(h) })
	}
	w.run(d)
}

// upset lets something happen to a chain that stands.
func (w *world) upset(u Upset) {
	if u == Restarted {
		w.server.restart(formAway)
		w.run(formAway)
		return
	}
	for _, i := range w.rng.Perm(len(w.hosts))[:len(w.hosts)/2] {
		w.stop(w.hosts[i], u == Unplugged)
	}
}

// untilWhole lets time pass until the chain stands.
func (w *world) untilWhole() {
	line := w.chains()[0]
	for from := w.now; w.err == nil && (len(w.server.leaders) != 2 || !w.stand(line)); {
		if w.run(formStep); w.now-from > formPatient {
			w.fail("I6: after %v the chain does not stand: %v, %d leaders", formPatient, w.checkLine(line), len(w.server.leaders))
		}
	}
}
