package client

import (
	"fmt"
	"testing"
	"time"

	"catenary/internal/client/exec"
	"catenary/internal/sensor"
	"catenary/internal/wire"
)

// TestRuns: what was run is told once, and again only if it was perhaps not
// heard.
func TestRuns(t *testing.T) {
	var r runs
	r.add("A", 30*time.Millisecond, exec.Used{User: 2 * time.Millisecond, System: 4 * time.Millisecond})
	r.add("A", 10*time.Millisecond, exec.Used{})
	a := wire.Run{
		Sensor: sensor.Hash("A"), Count: 2, Real: wire.Spent{Sum: 40 * time.Millisecond, Squares: 1000}, Min: 10 * time.Millisecond, Max: 30 * time.Millisecond,
		Measured: 1, User: wire.Spent{Sum: 2 * time.Millisecond, Squares: 4}, System: wire.Spent{Sum: 4 * time.Millisecond, Squares: 16},
	}
	want := func(now time.Time, list ...wire.Run) {
		t.Helper()
		if got := r.report(now); fmt.Sprint(got) != fmt.Sprint(list) {
			t.Errorf("tells %v, want %v", got, list)
		}
	}
	want(noon, a)
	r.add("A", 5*time.Millisecond, exec.Used{}) // before the reply
	a.Count, a.Min, a.Real.Sum, a.Real.Squares = 3, 5*time.Millisecond, 45*time.Millisecond, 1025
	want(noon, a) // which did not come
	r.heard(noon)
	want(noon.Add(time.Hour))
	r.add("B", time.Second, exec.Used{})
	want(noon.Add(runsEvery - 1))
	if got := r.report(noon.Add(runsEvery)); len(got) != 1 || got[0].Sensor != sensor.Hash("B") {
		t.Errorf("tells %v", got)
	}
}

func TestRunsAreBounded(t *testing.T) {
	var r runs
	for i := range runsKept + 10 {
		r.add(fmt.Sprint(i), time.Millisecond, exec.Used{})
	}
	r.add("7", time.Millisecond, exec.Used{})
	list := r.report(noon)
	if len(r.since)+len(list) != runsKept || len(list) != wire.RunsMax || list[0].Sensor != sensor.Hash("7") {
		t.Errorf("%d wait and %d are told", len(r.since), len(list))
	}
}
