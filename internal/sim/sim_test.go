package sim

import (
	"flag"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
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
	var mu sync.Mutex // guards sum
	var sum StormsReport
	err := Seeds{First: 1, Count: *runsFlag, Workers: workers}.each(t.Context(), func(seed uint64) error {
		rep, err := twice(seed, Run)
		mu.Lock()
		defer mu.Unlock()
		sum.add(rep)
		return seen(err, Storm, seed, Control{})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(sum)
}

// twice plays a story two times: the same must happen.
func twice(seed uint64, run func(uint64, Options) (Report, error)) (Report, error) {
	rep, err := run(seed, Options{})
	if err != nil {
		return rep, err
	}
	again, err := run(seed, Options{})
	if err == nil && again.Hash != rep.Hash {
		err = fmt.Errorf("seed %d is not reproducible: %x, then %x", seed, rep.Hash, again.Hash)
	}
	return rep, err
}
