package sim

import (
	"os"
	"slices"
	"testing"
	"time"
)

// TestForming: whatever a chain must form after, it forms in its time, and nobody
// dials more than a few times. Losing power takes keep-alive to be noticed, and who
// has lost the server waits before it registers.
func TestForming(t *testing.T) {
	limits := map[Upset]struct {
		took    time.Duration
		dialled float64 // by each machine
	}{
		Together:  {time.Second, 4},
		Spread:    {time.Second, 4},
		Halved:    {time.Second, 4},
		Unplugged: {15 * time.Second, 12},
		Restarted: {registerMax, 2},
	}
	for _, upset := range Upsets {
		for seed := range uint64(3) {
			f := Forming{Machines: 30, After: upset, Hop: 500 * time.Microsecond, WAN: 20 * time.Millisecond, Seed: seed}
			got, err := f.Run()
			if err != nil {
				t.Fatal(err)
			}
			up := 30
			if upset == Halved || upset == Unplugged {
				up = 15
			}
			each := float64(got.Dialled) / float64(up)
			if most := limits[upset]; got.Up != up || got.Took <= 0 || got.Took > most.took || got.Dialled == 0 || each > most.dialled {
				t.Errorf("%v, seed %d: %d machines stand after %v, %.1f dials each", upset, seed, got.Up, got.Took, each)
			}
			if again, err := f.Run(); err != nil || again != got {
				t.Errorf("%v, seed %d: first %+v, then %+v (%v)", upset, seed, got, again, err)
			}
		}
	}
	for _, n := range []int{0, formMax + 1} {
		if _, err := (Forming{Machines: n}).Run(); err == nil {
			t.Errorf("%d machines form a chain", n)
		}
	}
}

// TestStand: a chain stands only with all its machines, in order, and with leaders
// at its ends.
func TestStand(t *testing.T) {
	w := newLine(1, 4)
	line := w.hosts
	w.startWithin(time.Second)
	w.untilWhole()
	if w.err != nil || !w.stand(line) {
		t.Fatalf("the chain does not stand (%v)", w.err)
	}
	for i := range line {
		if rest := slices.Delete(slices.Clone(line), i, i+1); w.stand(rest) {
			t.Errorf("it stands without machine %d", i)
		}
	}
	w.stop(line[1], false)
	if w.run(100 * time.Microsecond); w.stand(slices.Delete(slices.Clone(line), 1, 2)) {
		t.Error("it stands again before anybody can have dialled")
	}
	w.untilWhole()
}

// TestGrouped: numbers are written with commas.
func TestGrouped(t *testing.T) {
	for n, want := range map[int]string{
		0: "0", 7: "7", 999: "999", 1000: "1,000", 12345: "12,345", 1234567: "1,234,567", -999: "-999", -1000: "-1,000", 100000: "100,000",
	} {
		if got := grouped(n); got != want {
			t.Errorf("%d is written as %s, want %s", n, got, want)
		}
	}
}

// TestCost: the computer's part can be measured where the system tells it.
func TestCost(t *testing.T) {
	if peakMemory() < 1<<20 || heapInUse() < 1<<10 {
		t.Errorf("this process has had %d bytes at most, and has %d", peakMemory(), heapInUse())
	}
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return // then nothing is known of the processors
	}
	before := processorTime()
	for began := time.Now(); processorTime() <= before; {
		if time.Since(began) > time.Minute {
			t.Fatalf("a minute of work is none: %v", before)
		}
	}
}
