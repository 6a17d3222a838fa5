package sim

import (
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// A Scale is a large, calm installation that is asked one question.
type Scale struct {
	Endpoints int
	Chain     int // endpoints in one chain
	Seed      uint64
	Progress  func(Stage) // is told now and then how far it is; nil: nobody is
}

// A Stage is how far a large installation is.
type Stage struct {
	Doing    string
	Done, Of int           // endpoints
	Virtual  time.Duration // since the first start
	Wall     time.Duration
	Events   int
	Heap     uint64 // bytes
}

func (s Stage) String() string {
	return fmt.Sprintf("%s: %d of %d endpoints; %v of virtual time, %d events in %v, %d MB of heap",
		s.Doing, s.Done, s.Of, s.Virtual.Round(time.Millisecond), s.Events, s.Wall.Round(time.Second), s.Heap/1e6)
}

// A ScaleReport is what one question costs in a large, calm installation.
type ScaleReport struct {
	Endpoints, Chains int
	Formed            time.Duration // from the first start until every chain stood in order
	First, Half, All  time.Duration // until that many had been counted, after asking
	Frames            int           // messages that the question took, acknowledgements included
	Bytes             int64         // … and their size
	Reports           int           // of Frames, what the server got
	Events            int           // steps of all nodes, from the first start on
	Asked             int           // of Events, those after the question was asked
	Signatures        int           // that were checked, once for each sealed message

	FormWall, AskWall   time.Duration // how long the computer took
	HeapFormed, HeapAll int           // bytes for each endpoint: before, and after the question
	Peak                uint64        // most memory that the process ever had, in bytes
	Hash                uint64        // of everything that happened
}

func (r ScaleReport) String() string {
	per := func(n int64) string { return fmt.Sprintf("%.2f", float64(n)/float64(r.Endpoints)) }
	return fmt.Sprintf(`%d endpoints in %d chains, all counted once
latency   first %v, half %v, all %v
messages  %d (%s for each endpoint), %d of them reports to the server
bytes     %d (%s for each endpoint)
formed    %v after the first start, in %v
asked     in %v; %d events in all, %.0f a second
memory    %d bytes for each endpoint, %d after the question; %d MB at most
hash      %016x`,
		r.Endpoints, r.Chains, r.First, r.Half, r.All,
		r.Frames, per(int64(r.Frames)), r.Reports, r.Bytes, per(r.Bytes),
		r.Formed.Round(time.Millisecond), r.FormWall.Round(10*time.Millisecond), r.AskWall.Round(10*time.Millisecond),
		r.Events, float64(r.Events)/(r.FormWall+r.AskWall).Seconds(),
		r.HeapFormed, r.HeapAll, r.Peak/1e6, r.Hash)
}

const (
	// scaleStep lets the machines of a chain start one after the other, each
	// where the one before has registered.
	scaleStep = 20 * time.Millisecond
	scaleMax  = 250                   // machines in a chain: the addresses of one LAN
	scaleWAN  = 20 * time.Millisecond // one-way delay to the server, at least
	lanMax    = 1 << 16
	// scaleMemory is what a large world may use before its garbage is collected
	// in haste: a process of 4 GB has room for it and for its own code.
	scaleMemory = 3750 << 20
	// largeMin is how many machines make it worth while to wait for that.
	largeMin = 100_000
	// stageEvery is how often somebody is told, by the clock on the wall.
	stageEvery = 2 * time.Second
)

// Run lets chains of the given length form by registration, in calm weather
// with delays of half a millisecond to one, and sends one question with fast
// sensors through all of them. Every machine must be counted.
func (s Scale) Run() (ScaleReport, error) { return s.in(func(*weather) {}) }

// in does so in other weather.
func (s Scale) in(change func(*weather)) (ScaleReport, error) {
	if s.Endpoints < 1 || s.Chain < 1 || s.Chain > scaleMax || (s.Endpoints-1)/s.Chain >= lanMax {
		return ScaleReport{}, fmt.Errorf("%d endpoints in chains of %d: a chain has 1 to %d, and there are at most %d",
			s.Endpoints, s.Chain, scaleMax, lanMax)
	}
	if s.Endpoints > largeMin {
		// Each collection looks at all machines, and finds nearly all of them.
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(scaleMemory))
	w := newWorld(s.Seed, nil)
	w.unwatched = true
	w.weather.wanMin, w.weather.wanMax = scaleWAN, scaleWAN+scaleWAN/4
	change(&w.weather)
	rep := ScaleReport{Endpoints: s.Endpoints, Chains: (s.Endpoints + s.Chain - 1) / s.Chain}
	clock := time.Now()
	tell := s.teller(w, clock)
	w.addLANs(s.Endpoints, s.Chain)
	w.share()
	w.apart(s.Chain)
	for n := range s.Chain {
		for i := n; i < s.Endpoints; i += s.Chain {
			h := w.hosts[i]
			w.atOf(h, w.now+w.upto(scaleStep/4), func() { w.start(h) })
		}
		w.run(scaleStep)
		tell("starting", (n+1)*rep.Chains)
	}
	w.form(func(stand int) { tell("forming", stand) })
	rep.Formed, rep.FormWall = w.now, time.Since(clock)
	rep.HeapFormed = int(heapInUse() / uint64(s.Endpoints))

	clock = time.Now()
	rep.Asked = w.events
	w.sweepOnce(&rep, func(counted int) { tell("asking", counted) })
	rep.AskWall = time.Since(clock)
	rep.Asked = w.events - rep.Asked
	rep.HeapAll = int(heapInUse() / uint64(s.Endpoints))
	rep.Events, rep.Signatures, rep.Hash = w.events, w.shared.ring.checked, w.hash.Sum64()
	rep.Peak = peakMemory()
	return rep, w.err
}

// teller returns a function that tells how far the world is, but not too often.
func (s Scale) teller(w *world, began time.Time) func(doing string, done int) {
	last := began
	return func(doing string, done int) {
		if s.Progress == nil || time.Since(last) < stageEvery {
			return
		}
		last = time.Now()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.Progress(Stage{doing, min(done, s.Endpoints), s.Endpoints, w.now, time.Since(began), w.events, m.HeapAlloc})
	}
}

// addLANs adds machines in LANs of the given size, and lets the server work.
func (w *world) addLANs(machines, size int) {
	for i := range machines {
		lan, n := i/size, i%size
		addr := netip.AddrFrom4([4]byte{10, byte(lan >> 8), byte(lan), byte(1 + n)})
		w.addHost(endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: endpoint.ID{
			12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}})
	}
	w.server.tidy()
	w.server.tick()
}

// apart gives each LAN its own queue. Nothing has happened yet.
func (w *world) apart(size int) {
	w.sites = &sites{size: size, wan: w.weather.wanMin, queues: make([]queue, 2+(len(w.hosts)-1)/size)}
	for i := range w.sites.queues {
		w.sites.queues[i].timers = make([]timer, 0, size)
	}
	w.sites.queues[0] = *w.todo
	w.todo = &w.sites.queues[0]
}

// form lets time pass until every chain stands in order. It tells how many
// machines stand in one.
func (w *world) form(tell func(stand int)) {
	from, all, open := w.now, 0, w.chains()
	for _, line := range open {
		all += len(line)
	}
	for w.err == nil {
		open = slices.DeleteFunc(open, func(line []*host) bool { return w.checkLine(line) == nil })
		if len(open) == 0 {
			return
		}
		if w.run(scaleStep); w.now-from > healTime {
			w.checkHealed()
			return
		}
		left := 0
		for _, line := range open {
			left += len(line)
		}
		tell(all - left)
	}
}

// sweepOnce asks one question and measures its way.
func (w *world) sweepOnce(rep *ScaleReport, tell func(counted int)) {
	before := w.sent(wire.KindQuestion, wire.KindAnswer, wire.KindAck)
	start := w.now
	q := w.server.ask(survey, time.Minute)
	for n := 0; w.err == nil && n < rep.Endpoints && w.now < start+answerTime; tell(n) {
		w.run(w.weather.wanMin)
		n = q.tally.Progress().Answered
	}
	w.run(ackTime)
	after := w.sent(wire.KindQuestion, wire.KindAnswer, wire.KindAck)
	rep.Frames, rep.Bytes = after.frames-before.frames, after.bytes-before.bytes
	rep.Reports = q.tally.Progress().Reports
	w.checkSurvey(q)
	n := 0
	for _, x := range q.taken {
		n += x.machines
		for _, mark := range []struct {
			to *time.Duration
			n  int
		}{{&rep.First, 1}, {&rep.Half, (rep.Endpoints + 1) / 2}, {&rep.All, rep.Endpoints}} {
			if *mark.to == 0 && n >= mark.n {
				*mark.to = x.at - start
			}
		}
	}
}

// ackTime is how long acknowledgements may be under way when the last answer has
// been counted.
const ackTime = 10 * time.Millisecond

// checkSurvey: every machine is counted, and each row and sum is just what all
// machines together say.
func (w *world) checkSurvey(q *asked) {
	if w.err != nil {
		return
	}
	var rows [len(surveyRows)]uint64
	var sums answer.Counts
	for _, h := range w.hosts {
		rows[h.index%len(rows)]++
		sums = sums.Add(countsOf(h.index))
	}
	r := q.tally.Result()
	counted := 0
	for _, a := range q.tally.Accounts() {
		counted += a.Answered.Len() + a.Failed.Len() + a.Stopped.Len()
	}
	if r.Answered != len(w.hosts) || counted != len(w.hosts) {
		w.fail("question %d: %d machines are counted in %d slots, want %d", q.id, r.Answered, counted, len(w.hosts))
	}
	if got := (answer.Counts{Passed: uint64(r.Passed), Errors: uint64(r.Errors), NoResults: uint64(r.NoResults)}); got != sums {
		w.fail("question %d: sums are %+v, want %+v", q.id, got, sums)
	}
	for _, row := range r.Rows.List {
		i, err := strconv.Atoi(row.Cells[1][0])
		if err != nil || row.Count != rows[i] {
			w.fail("question %d: row %v counts %d (%v)", q.id, row.Cells, row.Count, err)
			return
		}
		rows[i] = 0
	}
	if rows != [len(rows)]uint64{} {
		w.fail("question %d: rows are missing: %v", q.id, rows)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// peakMemory is the most memory that this process has had, as the system says,
// or else what the Go runtime has taken from the system.
func peakMemory() uint64 {
	if data, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(data)) {
			if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
				if kB, err := strconv.ParseUint(strings.Fields(rest)[0], 10, 64); err == nil {
					return kB << 10
				}
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Sys
}
