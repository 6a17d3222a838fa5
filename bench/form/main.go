// Command form lets the machines of one LAN become one chain, in several ways,
// and prints how long it takes in virtual time until all stand in strict order
// with one leader at each end, and how often each has dialled. It runs the real
// protocol.
//
//	go run ./bench/form
package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"catenary/internal/sim"
)

const (
	hop     = 500 * time.Microsecond // one way between neighbours
	wan     = 20 * time.Millisecond  // one way to the server
	seeds   = 20                     // stories for each row
	workers = 2
)

var lengths = []int{10, 30, 100, 300, 1000}

// A row is one way of forming, at one length.
type row struct {
	sim.Forming
	took    []time.Duration
	dialled []float64 // by each machine, on average
	err     error
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() error {
	began := time.Now()
	var rows []row
	for _, upset := range sim.Upsets {
		for _, n := range lengths {
			rows = append(rows, row{Forming: sim.Forming{Machines: n, After: upset, Hop: hop, WAN: wan}})
		}
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(rows); i = next.Add(1) - 1 {
				rows[len(rows)-1-int(i)].play() // the longest first
			}
		})
	}
	all.Wait()
	fmt.Printf("%v one way between neighbours, %v to the server, each ± 20 %%; %d stories each\n\n", hop, wan, seeds)
	fmt.Println("| | machines | whole after: min / median / max | dials of each machine |")
	fmt.Println("|---|---|---|---|")
	var errs []error
	for _, r := range rows {
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%v, %d machines: %w", r.After, r.Machines, r.err))
			continue
		}
		fmt.Printf("| %v | %d | %s | %.2f |\n", r.After, r.Machines, spread(r.took), sim.Quantile(r.dialled, 0.5))
	}
	fmt.Printf("\n(%v)\n", time.Since(began).Round(time.Second))
	return errors.Join(errs...)
}

// play tells the stories of a row.
func (r *row) play() {
	for seed := range uint64(seeds) {
		r.Seed = seed + 1
		f, err := r.Run()
		if err != nil {
			r.err = errors.Join(r.err, err)
			continue
		}
		r.took = append(r.took, f.Took)
		r.dialled = append(r.dialled, float64(f.Dialled)/float64(f.Up))
	}
	slices.Sort(r.took)
	slices.Sort(r.dialled)
}

// spread writes a sorted list as its least, middle and greatest.
func spread(list []time.Duration) string {
	s := func(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
	return s(list[0]) + " / " + s(sim.Quantile(list, 0.5)) + " / " + s(list[len(list)-1])
}
