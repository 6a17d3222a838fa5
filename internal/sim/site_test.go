package sim

import (
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestSites: what LANs and server tell each other happens in its time, and in
// the order of the LANs where it is the same moment, however many play.
func TestSites(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	const machines, size = 1000, 10
	play := func(processors int, memory uint64) (heard []int, hash uint64) {
		runtime.GOMAXPROCS(processors)
		w := newWorld(1, nil)
		w.weather.wanMin, w.weather.wanMax = scaleWAN, scaleWAN
		w.addLANs(machines, size)
		w.apart(size, memory)
		for i, h := range w.hosts {
			there := w.of(h)
			w.atOf(h, time.Millisecond, func() {
				there.note(markEvent, h, there.rng.Uint64(), nil)
				there.atOf(nil, there.now+scaleWAN, func() {
					heard = append(heard, i)
					if w.now != time.Millisecond+scaleWAN {
						t.Errorf("machine %d is heard at %v", i, w.now)
					}
					w.atOf(h, w.now+scaleWAN, func() { there.note(markFrame, h, uint64(there.now), nil) })
				})
			})
		}
		if w.run(time.Second); w.err != nil || w.now != time.Second || w.of(w.hosts[17]).now != time.Second {
			t.Fatalf("%v: at %v the server is at %v", w.err, time.Second, w.now)
		}
		return heard, w.fingerprint()
	}
	heard, hash := play(1, scaleMemory)
	if len(heard) != machines || !slices.IsSorted(heard) {
		t.Errorf("%d of %d machines are heard, in order: %v", len(heard), machines, slices.IsSorted(heard))
	}
	for _, processors := range []int{1, 2, 5} {
		for _, memory := range []uint64{1, scaleMemory} { // 1 is too little
			if got, h := play(processors, memory); !slices.Equal(got, heard) || h != hash {
				t.Errorf("%d processors and %d bytes of memory: hash %x, alone %x", processors, memory, h, hash)
			}
		}
	}
}

// TestEach: each LAN is played once, however often all stop for garbage.
func TestEach(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for _, memory := range []uint64{1, scaleMemory} {
		w := newWorld(1, nil)
		w.addLANs(1000, 10)
		w.apart(10, memory)
		var mu sync.Mutex // guards played
		played := map[*world]int{}
		w.sites.each(func(w *world) {
			mu.Lock()
			defer mu.Unlock()
			played[w]++
		})
		for i := range w.sites.lans {
			if n := played[&w.sites.lans[i]]; n != 1 {
				t.Errorf("with %d bytes of memory, LAN %d is played %d times", memory, i, n)
			}
		}
	}
}

// TestSitesApart: a site that would have to know of another what has not yet
// happened there ends the story, and so does one that does not go by the server.
func TestSitesApart(t *testing.T) {
	for _, tt := range []struct {
		from, to int // machines; -1: the server
		after    time.Duration
		want     string
	}{
		{from: -1, to: 0, after: scaleWAN},
		{from: 0, to: -1, after: scaleWAN},
		{from: 0, to: 1, after: 0},
		{from: -1, to: 0, after: scaleWAN - 1, want: "is known on another"},
		{from: 0, to: -1, after: scaleWAN - 1, want: "is known on another"},
		{from: 0, to: 2, after: time.Minute, want: "past the server"},
	} {
		w := newWorld(1, nil)
		w.weather.wanMin, w.weather.wanMax = scaleWAN, scaleWAN
		w.unwatched = true
		w.addLANs(4, 2)
		w.apart(2, scaleMemory)
		host := func(i int) *host {
			if i < 0 {
				return nil
			}
			return w.hosts[i]
		}
		from, to := host(tt.from), host(tt.to)
		there, happened := w.of(from), false
		w.atOf(from, time.Hour, func() { there.atOf(to, there.now+tt.after, func() { happened = true }) })
		w.run(2 * time.Hour)
		switch {
		case tt.want == "" && (w.err != nil || !happened):
			t.Errorf("%+v: happened %v, %v", tt, happened, w.err)
		case tt.want != "" && (w.err == nil || !strings.Contains(w.err.Error(), tt.want)):
			t.Errorf("%+v: %v", tt, w.err)
		}
	}
}
