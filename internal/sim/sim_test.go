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
