package probe

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"
)

// runTimes are how often and how long the sensors of this client have run.
// There are no more of them than sensors.
type runTimes struct {
	mu    sync.Mutex // guards the field below
	known map[string]runTime
}

type runTime struct {
	runs, failures int
	sum, longest   time.Duration
}

func (r *runTimes) add(sensor string, took time.Duration, failed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]runTime{}
	}
	t := r.known[sensor]
	t.runs, t.sum, t.longest = t.runs+1, t.sum+took, max(t.longest, took)
	if failed {
		t.failures++
	}
	r.known[sensor] = t
}

// sensorRunTimes tells of each sensor that has run how long it took, in
// milliseconds.
func (p *Probe) sensorRunTimes(context.Context) ([][]string, error) {
	p.times.mu.Lock()
	defer p.times.mu.Unlock()
	var rows [][]string
	for name, t := range p.times.known {
		rows = append(rows, []string{
			name, strconv.Itoa(t.runs), strconv.Itoa(t.failures),
			milliseconds(t.sum / time.Duration(t.runs)), milliseconds(t.longest),
		})
	}
	slices.SortFunc(rows, slices.Compare)
	return rows, nil
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', -1, 64)
}
