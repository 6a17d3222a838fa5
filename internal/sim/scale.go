package sim

import (
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// A Scale is a large, calm installation that is asked one question.
//
// All of it is the real protocol: each endpoint is a [node.Node] that registers
// with the real roster, gets its list of neighbours, dials them and is dialled,
// takes the signed question from the link behind it, evaluates it, and merges,
// acknowledges and passes on what comes; the real desk asks and counts. Each
// message is encoded and decoded on each link. The checks after each step are
// those of the storms that look at one machine; how the counts add up is checked
// at the end.
//
// What is simpler than life, beyond what is so of every story (machines and
// server take no time to think, there is no TLS, and TCP is a delay and an order):
//
//   - a signature that was found right is not checked again (see opener). A million
//     endpoints check a million, each 64 µs of its own processor;
//   - what all machines hold alike lies in memory once (see shared): the sealed
//     question, the voucher, and the places that lists of neighbours name;
//   - the machines of a chain start 20 ms apart, in the order of their places, and
//     all chains at once. What happens when they start in a heap, TestColdStart and
//     bench/form show;
//   - the question is asked as soon as all chains stand. Backward links
//     (docs/protocol.md §3.6) come 5 to 10 s later; one takes another 150 bytes;
//   - there are no dictionaries on the links, which are asked only once, and no
//     registration keys.
type Scale struct {
	Endpoints int
	Chain     int // endpoints in one chain
	Seed      uint64
	Progress  func(Stage) // is told now and then how far it is; nil: nobody is
	memory    uint64      // instead of scaleMemory, if it is not 0
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
	return fmt.Sprintf("%s: %s of %s endpoints; %v of virtual time, %s events in %v, %d MB of heap",
		s.Doing, grouped(s.Done), grouped(s.Of), s.Virtual.Round(time.Millisecond), grouped(s.Events),
		s.Wall.Round(time.Second), s.Heap/1e6)
}

// A ScaleReport is what one question costs in a large, calm installation.
type ScaleReport struct {
	Endpoints, Chains int
	Started, Formed   time.Duration // from the first start until the last, and until every chain stood in order
	First, Half, All  time.Duration // until that many had been counted, after asking
	Neighbours        LinkCost      // what the question cost between clients
	Server            LinkCost      // and between leaders and the server:
	Sent, Reports     int           // of those, questions, and answers
	Events            int           // steps of all nodes, from the first start on
	Asked             int           // of Events, those after the question was asked
	Signatures        int           // that were checked, once for each sealed message

	FormWall, AskWall   time.Duration // how long the computer took
	Processors          time.Duration // and for how long its processors worked; 0: not known
	HeapFormed, HeapAll int           // bytes for each endpoint: before, and after the question
	Peak                uint64        // most memory that the process ever had, in bytes
	Hash                uint64        // of everything that happened
}

// A LinkCost is what a question cost on links of one kind: questions, answers and
// acknowledgements.
type LinkCost struct {
	Links, Frames int
	Bytes         int64
}

func (c LinkCost) String() string {
	return fmt.Sprintf("%11s %12s %15s %12.2f %11.1f", grouped(c.Links), grouped(c.Frames), grouped(c.Bytes),
		float64(c.Frames)/max(1, float64(c.Links)), float64(c.Bytes)/max(1, float64(c.Links)))
}

func (r ScaleReport) String() string {
	worked := ""
	if r.Processors > 0 {
		worked = fmt.Sprintf(", %v of processor time", r.Processors.Round(100*time.Millisecond))
	}
	round := func(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
	return fmt.Sprintf(`%s endpoints in %s chains: each evaluated the question and was counted, once

virtual time
  formation  every chain whole and in order %v after the first start, %v after the last
  question   first answers after %s, half of them %s, all %s

what the question cost       links       frames           bytes  frames/link  bytes/link
  between neighbours   %v
  leaders and server   %v
  the server sent %s questions and took in %s reports

this computer
  wall       %v: formed in %v, asked in %v%s
  memory     %s bytes for each endpoint, %s after the question; %s MB at most
  events     %s, %s of them for the question; %d signatures checked
  hash       %016x`,
		grouped(r.Endpoints), grouped(r.Chains),
		r.Formed.Round(time.Millisecond), (r.Formed - r.Started).Round(time.Millisecond),
		round(r.First), round(r.Half), round(r.All),
		r.Neighbours, r.Server, grouped(r.Sent), grouped(r.Reports),
		(r.FormWall + r.AskWall).Round(100*time.Millisecond), r.FormWall.Round(100*time.Millisecond), r.AskWall.Round(100*time.Millisecond), worked,
		grouped(r.HeapFormed), grouped(r.HeapAll), grouped(int(r.Peak/1e6)),
		grouped(r.Events), grouped(r.Asked), r.Signatures, r.Hash)
}

// grouped writes a number with commas.
func grouped[T int | int64](n T) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

const (
	// scaleStep lets the machines of a chain start one after the other, each
	// where the one before has registered.
	scaleStep = 20 * time.Millisecond
	scaleMax  = 250                   // machines in a chain: the addresses of one LAN
	scaleWAN  = 20 * time.Millisecond // one-way delay to the server, at least
	lanMax    = 1 << 16
	// scaleMemory is how much a large world uses, in bytes, when all stop until its
	// garbage is gone: a process of 4 GB has room for it and for its own code.
	scaleMemory = 3300 << 20
	// scaleReserve is how much more makes the runtime collect by itself: the server
	// does not look how much it uses. The runtime begins well before.
	scaleReserve = 1 << 30
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
	if s.memory == 0 {
		s.memory = scaleMemory
	}
	if s.Endpoints < 1 || s.Chain < 1 || s.Chain > scaleMax || (s.Endpoints-1)/s.Chain >= lanMax {
		return ScaleReport{}, fmt.Errorf("%d endpoints in chains of %d: a chain has 1 to %d, and there are at most %d",
			s.Endpoints, s.Chain, scaleMax, lanMax)
	}
	if s.Endpoints > largeMin {
		// Each collection looks at all machines, and finds nearly all of them.
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(s.memory) + scaleReserve))
	w := newWorld(s.Seed, nil)
	w.called = fmt.Sprintf("installation of %d endpoints with seed", s.Endpoints)
	w.unwatched = true
	w.weather.wanMin, w.weather.wanMax = scaleWAN, scaleWAN+scaleWAN/4
	change(&w.weather)
	lines := (s.Endpoints + s.Chain - 1) / s.Chain
	rep := ScaleReport{
		Endpoints: s.Endpoints, Chains: lines,
		Neighbours: LinkCost{Links: s.Endpoints - lines}, Server: LinkCost{Links: 2 * lines},
	}
	clock, worked := time.Now(), processorTime()
	tell := s.teller(w, clock)
	w.addLANs(s.Endpoints, s.Chain)
	w.share()
	w.apart(s.Chain, s.memory)
	s.start(w, &rep, tell)
	w.form(slices.Collect(slices.Chunk(w.hosts, s.Chain)), func(stand int) { tell("forming", stand) })
	rep.HeapFormed = int(heapInUse() / uint64(s.Endpoints))
	rep.Formed, rep.FormWall = w.now, time.Since(clock)

	clock = time.Now()
	rep.Asked = w.tolls().events
	w.sweepOnce(&rep, func(counted int) { tell("asking", counted) })
	rep.HeapAll = int(heapInUse() / uint64(s.Endpoints))
	rep.AskWall, rep.Processors = time.Since(clock), processorTime()-worked
	rep.Events = w.tolls().events
	rep.Asked = rep.Events - rep.Asked
	rep.Signatures, rep.Hash = w.shared.ring.checked, w.fingerprint()
	rep.Peak = peakMemory()
	return rep, w.err
}

// start switches the machines on, those of each chain one after the other.
func (s Scale) start(w *world, rep *ScaleReport, tell func(doing string, done int)) {
	for n := range s.Chain {
		for i := n; i < s.Endpoints; i += s.Chain {
			h := w.hosts[i]
			at, there := w.now+w.upto(scaleStep/4), w.of(h)
			rep.Started = max(rep.Started, at)
			w.atOf(h, at, func() { there.start(h) })
		}
		w.run(scaleStep)
		tell("starting", (n+1)*rep.Chains)
	}
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
		s.Progress(Stage{doing, min(done, s.Endpoints), s.Endpoints, w.now, time.Since(began), w.tolls().events, m.HeapAlloc})
	}
}

// addLANs adds machines in LANs of the given size, and lets the server work.
func (w *world) addLANs(machines, size int) {
	w.hosts, w.server.machines = make([]*host, 0, machines), make([]machine, 0, machines)
	hosts := make([]host, machines) // one thing instead of a million
	for i := range machines {
		lan, n := i/size, i%size
		addr := netip.AddrFrom4([4]byte{10, byte(lan >> 8), byte(lan), byte(1 + n)})
		w.addTo(&hosts[i], endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: endpoint.ID{
			12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}})
	}
	w.server.tidy()
	w.server.tick()
}

// form lets time pass until every chain stands in order, and nobody leads but its
// two ends. It tells how many machines stand in one.
func (w *world) form(lines [][]*host, tell func(stand int)) {
	open := slices.Clone(lines)
	for from := w.now; w.err == nil; {
		open = slices.DeleteFunc(open, w.stand)
		if len(open) == 0 && len(w.server.leaders) == 2*len(lines) {
			break
		}
		if w.run(scaleStep); w.now-from > healTime {
			break
		}
		left := 0
		for _, line := range open {
			left += len(line)
		}
		tell(len(w.hosts) - left)
	}
	for _, line := range lines {
		if err := w.checkLine(line); err != nil {
			w.fail("I6: not formed: %w", err)
		}
	}
	if n := len(w.server.leaders) - 2*len(lines); n != 0 {
		w.fail("I6: not formed: %d connections of leaders too many", n)
	}
}

// stand reports whether a chain is whole. Its forward leader is looked at first:
// as long as it is none, nothing else matters.
func (w *world) stand(line []*host) bool {
	return w.leading(line[len(line)-1], wire.ForwardLeader) == 1 && w.checkLine(line) == nil
}

// sweepOnce asks one question and measures its way.
func (w *world) sweepOnce(rep *ScaleReport, tell func(counted int)) {
	before := w.tolls()
	start := w.now
	q := w.server.ask(survey, time.Minute)
	for n := 0; w.err == nil && n < rep.Endpoints && w.now < start+answerTime; tell(n) {
		w.run(w.weather.wanMin)
		n = q.tally.Progress().Answered
	}
	w.run(ackTime)
	rep.charge(before, w.tolls())
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

// charge notes what the question has cost.
func (r *ScaleReport) charge(before, after toll) {
	for _, k := range []wire.Kind{wire.KindQuestion, wire.KindAnswer, wire.KindAck} {
		on := after.wan[k].less(before.wan[k])
		between := after.traffic[k].less(before.traffic[k]).less(on)
		r.Server.Frames += on.frames
		r.Server.Bytes += on.bytes
		r.Neighbours.Frames += between.frames
		r.Neighbours.Bytes += between.bytes
	}
	r.Sent = after.wan[wire.KindQuestion].less(before.wan[wire.KindQuestion]).frames
}

// ackTime is how long acknowledgements may be under way when the last answer has
// been counted.
const ackTime = 200 * time.Millisecond

// checkSurvey: every machine has evaluated the question and is counted, once, and
// each row and sum is just what all machines together say.
func (w *world) checkSurvey(q *asked) {
	if w.err != nil {
		return
	}
	var rows [len(surveyRows)]uint64
	var sums answer.Counts
	for _, h := range w.hosts {
		if !slices.Contains(h.evaluated, q.id) { // none does so twice, see evaluate
			w.fail("question %d: machine %v has not evaluated it", q.id, h)
		}
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
	if got := (answer.Counts{Passed: uint64(r.Passed), Errors: uint64(r.Errors), NoResults: uint64(r.NoResults), Outside: uint64(r.Outside)}); got != sums {
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
