package sim

import (
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// A ScaleReport is what one question costs in a large, calm installation.
type ScaleReport struct {
	Endpoints, Chains int
	Formed            time.Duration // after the last start, until every chain stood in order
	First, Half, All  time.Duration // until that many had been counted, after asking
	Frames            int           // messages that the question took, acknowledgements included
	Bytes             int64         // … and their size
	Reports           int           // of Frames, what the server got
	Events            int           // steps of all nodes, from the first start on
	HeapPerEndpoint   int           // bytes, of the simulated world
}

const (
	// scaleStep lets the machines of a chain start one after the other, each
	// where the one before has registered.
	scaleStep = 20 * time.Millisecond
	scaleMax  = 250 // machines in a chain: the addresses of one LAN
	lanMax    = 1 << 16
)

// RunScale lets chains of the given length form by registration, in calm
// weather with delays of half a millisecond to one, and sends one question with
// fast sensors through all of them. Every machine must be counted.
func RunScale(endpoints, chainLength int, seed uint64) (ScaleReport, error) {
	return runScale(endpoints, chainLength, seed, func(*weather) {})
}

// runScale does so in other weather.
func runScale(endpoints, chainLength int, seed uint64, change func(*weather)) (ScaleReport, error) {
	if endpoints < 1 || chainLength < 1 || chainLength > scaleMax || (endpoints-1)/chainLength >= lanMax {
		return ScaleReport{}, fmt.Errorf("%d endpoints in chains of %d: a chain has 1 to %d, and there are at most %d",
			endpoints, chainLength, scaleMax, lanMax)
	}
	w := newWorld(seed, nil)
	w.unwatched = true
	change(&w.weather)
	w.addLANs(endpoints, chainLength, func(n int) time.Duration {
		return time.Duration(n)*scaleStep + w.upto(scaleStep/4)
	})
	rep := ScaleReport{Endpoints: endpoints, Chains: (endpoints + chainLength - 1) / chainLength}
	w.run(time.Duration(chainLength) * scaleStep)
	rep.Formed = w.form()
	w.sweepOnce(&rep)
	rep.Events = w.events
	rep.HeapPerEndpoint = int(heapInUse() / uint64(endpoints))
	runtime.KeepAlive(w)
	return rep, w.err
}

// addLANs adds machines in LANs of the given size. The n-th of each starts at a
// time of its own.
func (w *world) addLANs(machines, size int, start func(n int) time.Duration) {
	for i := range machines {
		lan, n := i/size, i%size
		addr := netip.AddrFrom4([4]byte{10, byte(lan >> 8), byte(lan), byte(1 + n)})
		h := w.addHost(endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: endpoint.ID{
			12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}})
		w.at(start(n), func() { w.start(h) })
	}
	w.server.tidy()
	w.server.tick()
}

// form lets time pass until every chain stands in order, and says how much.
func (w *world) form() time.Duration {
	from := w.now
	for w.err == nil && w.linesWrong() {
		if w.run(scaleStep); w.now-from > mendTime {
			w.checkHealed()
		}
	}
	return w.now - from
}

func (w *world) linesWrong() bool {
	for _, line := range w.chains() {
		if w.checkLine(line) != nil {
			return true
		}
	}
	return false
}

// sweepOnce asks one question and measures its way.
func (w *world) sweepOnce(rep *ScaleReport) {
	before := w.sent(wire.KindQuestion, wire.KindAnswer, wire.KindAck)
	start := w.now
	q := w.server.ask(census, time.Minute)
	for w.err == nil && rep.All == 0 && w.now < start+answerTime {
		w.runUntil(w.now+time.Millisecond, func() bool { return false })
		n, age := q.tally.Progress().Answered, w.now-start
		if n > 0 && rep.First == 0 {
			rep.First = age
		}
		if 2*n >= rep.Endpoints && rep.Half == 0 {
			rep.Half = age
		}
		if n == rep.Endpoints {
			rep.All = age
		}
	}
	after := w.sent(wire.KindQuestion, wire.KindAnswer, wire.KindAck)
	rep.Frames, rep.Bytes = after.frames-before.frames, after.bytes-before.bytes
	rep.Reports = q.tally.Progress().Reports
	w.checkAnswered(q)
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
