package sim

import (
	"flag"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
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
	var next, closed atomic.Uint64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for seed := next.Add(1); seed <= *runsFlag && !t.Failed(); seed = next.Add(1) {
				rep := runTwice(t, seed)
				for was := closed.Load(); uint64(rep.Closed) > was && !closed.CompareAndSwap(was, uint64(rep.Closed)); was = closed.Load() {
				}
			}
		})
	}
	all.Wait()
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
// and answer as one.
func TestScale(t *testing.T) {
	rep, err := RunScale(10_000/slowdown, 100, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", rep)
}
