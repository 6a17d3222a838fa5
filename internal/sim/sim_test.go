package sim

import (
	"flag"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	seedFlag = flag.Uint64("seed", 0, "run this one seed, with its trace on standard output")
	runsFlag = flag.Uint64("runs", 300/slowdown, "how many seeds to run")
)

// TestMain lets garbage pile up: the worlds are small and soon gone, and
// collecting it takes a third of the time.
func TestMain(m *testing.M) {
	flag.Parse()
	debug.SetGCPercent(1600)
	debug.SetMemoryLimit(1 << 30)
	os.Exit(m.Run())
}

// workers is how many seeds run at a time.
const workers = 2

// TestStorms plays many seeds, each twice: the same must happen both times.
func TestStorms(t *testing.T) {
	if *seedFlag != 0 {
		rep, err := Run(*seedFlag, Options{Trace: os.Stdout})
		if t.Logf("%+v", rep); err != nil {
			t.Fatal(err)
		}
		return
	}
	var next atomic.Uint64
	var sum total
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for seed := next.Add(1); seed <= *runsFlag && !t.Failed(); seed = next.Add(1) {
				sum.add(runTwice(t, seed))
			}
		})
	}
	all.Wait()
	t.Logf("%d seeds: %d machines, %v, %d events, %d faults, %d questions, %d answers; a chain closed within %v at the latest",
		sum.seeds, sum.machines, sum.virtual, sum.events, sum.faults, sum.questions, sum.answers, sum.closed)
}

// A total is what all seeds together were.
type total struct {
	mu                                                  sync.Mutex // guards the fields below
	seeds, machines, events, faults, questions, answers int
	virtual, closed                                     time.Duration
}

func (s *total) add(r Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	s.machines += r.Machines
	s.events += r.Events
	s.faults += r.Faults
	s.questions += r.Questions
	s.answers += r.Answers
	s.virtual += r.Virtual
	s.closed = max(s.closed, r.Closed)
}

func runTwice(t *testing.T, seed uint64) Report {
	rep, err := Run(seed, Options{})
	if err != nil {
		t.Errorf("%v\nreplay with: go test ./internal/sim -run TestStorms -seed %d", err, seed)
		return rep
	}
	if again, err := Run(seed, Options{}); err != nil || again.Hash != rep.Hash {
		t.Errorf("seed %d is not reproducible: %x, then %x (%v)", seed, rep.Hash, again.Hash, err)
	}
	return rep
}

// TestScale: ten thousand machines in chains of a hundred form by themselves
// and answer as one, with two messages and a receipt for each link.
func TestScale(t *testing.T) {
	const machines = 10_000 / slowdown
	rep, err := RunScale(machines, 100, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", rep)
	if rep.Frames != 3*machines || rep.Reports != rep.Chains || rep.All > 150*time.Millisecond {
		t.Errorf("the question took %d messages, %d reports and %v", rep.Frames, rep.Reports, rep.All)
	}
}

// TestSlowSensors: if the sensors of all machines take up to 200 ms although
// they were expected to take 100, answers leave at the points of a grid. Were
// each said when it is ready, a link would carry 17 messages instead of 12.
func TestSlowSensors(t *testing.T) {
	const machines = 1000
	rep, err := runScale(machines, 100, 1, func(x *weather) {
		x.work, x.heavy, x.hold = 200*time.Millisecond, 200*time.Millisecond, 100*time.Millisecond
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", rep)
	if rep.Frames > 13*machines || rep.First > 200*time.Millisecond || rep.All > 320*time.Millisecond {
		t.Errorf("the question took %d messages; the first answer came after %v, the last after %v", rep.Frames, rep.First, rep.All)
	}
}

// TestColdStart: a hundred machines that start in the same moment stand in
// their chain before they have registered a second time.
func TestColdStart(t *testing.T) {
	for seed := range uint64(10) {
		w := newWorld(seed, nil)
		w.unwatched = true
		w.weather.lagMin, w.weather.lagMax = time.Millisecond, 40*time.Millisecond
		w.addLANs(100, 100, func(int) time.Duration { return w.upto(time.Millisecond) })
		w.run(200 * time.Millisecond)
		w.form()
		if t.Log(w.now); w.err != nil || w.now > 9*time.Second {
			t.Errorf("seed %d: the chain stood after %v (%v)", seed, w.now, w.err)
		}
	}
}
