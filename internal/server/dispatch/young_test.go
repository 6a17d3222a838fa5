package dispatch

import (
	"testing"
	"time"
)

// TestUnderWay: a question that the chain may be bringing is given only to a
// client that does not stand in it; later it is given to everybody who lacks it.
func TestUnderWay(t *testing.T) {
	for _, tt := range []struct {
		name   string
		after  time.Duration
		client int
		lan    int
		known  []uint64
		want   int
	}{
		{"stands in the chain", 0, 1, 1, nil, 0},
		{"… still", wayMin + 5*time.Millisecond, 1, 1, nil, 0}, // three hops of a millisecond, twice
		{"the chain has failed to bring it", wayMin + 6*time.Millisecond, 1, 1, nil, 1},
		{"has it", time.Minute, 1, 1, []uint64{travelled}, 0},
		{"has just come", 0, 3, 1, nil, 1},
		{"has moved", 0, 1, 2, nil, 1},
	} {
		w := newTraveller()
		for n := range 3 {
			w.come(n, 1)
		}
		w.ask()
		w.now = w.now.Add(tt.after)
		if got := len(w.come(tt.client, tt.lan, tt.known...).Questions); got != tt.want {
			t.Errorf("%s: it is given %d questions, want %d", tt.name, got, tt.want)
		}
	}
}
