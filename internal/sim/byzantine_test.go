package sim

import (
	"os"
	"sync"
	"testing"
)

// TestByzantine plays worlds with liars, each twice: the same must happen both
// times.
func TestByzantine(t *testing.T) {
	if *seedFlag != 0 {
		rep, err := RunByzantine(*seedFlag, Options{Trace: os.Stdout})
		if t.Logf("%+v", rep); err != nil {
			t.Fatal(err)
		}
		return
	}
	var mu sync.Mutex // guards sum
	var sum ByzantinesReport
	err := Seeds{First: 1, Count: *runsFlag / 5, Workers: workers}.each(t.Context(), func(seed uint64) error {
		var full ByzantineReport
		_, err := twice(seed, func(seed uint64, opt Options) (Report, error) {
			rep, err := RunByzantine(seed, opt)
			full = rep
			return rep.Report, err
		})
		mu.Lock()
		defer mu.Unlock()
		sum.add(full)
		return seen(err, Byzantine, seed, Control{})
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(sum)
}
