// Command latency asks chains of many lengths, on networks of many speeds, and
// compares how long a question takes with how long it must take: to the first
// machine, along the chain, and from the last one back, and the slowest sensor.
// It runs the real protocol in virtual time.
//
//	go run ./bench/latency
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
	questions = 100
	wan       = 40 * time.Millisecond // one way between the server and a leader
	workers   = 2
	excess    = 1.05 // most that the median may take beyond the floor
)

var (
	hops    = []time.Duration{200 * time.Microsecond, 500 * time.Microsecond, 5 * time.Millisecond}
	lengths = []int{10, 30, 100, 250, 1000}
)

// A row is one chain.
type row struct {
	sim.Latency
	all []sim.Asking
	err error
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
	for _, hop := range hops {
		for _, n := range lengths {
			rows = append(rows, row{Latency: sim.Latency{Length: n, Hop: hop, WAN: wan, Questions: questions, Seed: uint64(n)}})
		}
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(rows); i = next.Add(1) - 1 {
				r := &rows[len(rows)-1-int(i)] // the longest first
				r.all, r.err = r.Run()
			}
		})
	}
	all.Wait()
	fmt.Printf("%d questions each, %v one way to the server, every delay ± 20 %%; ms\n\n", questions, wan)
	fmt.Println("| one-way hop | machines | floor | p50 | p99 | p50 of the ratio |")
	fmt.Println("|---|---|---|---|---|---|")
	var errs []error
	for _, r := range rows {
		if r.err != nil {
			errs = append(errs, fmt.Errorf("%d machines, %v: %w", r.Length, r.Hop, r.err))
			continue
		}
		var took []time.Duration
		for _, a := range r.all {
			took = append(took, a.Took)
		}
		slices.Sort(took)
		_, floor, ratio := sim.Medians(r.all)
		fmt.Printf("| %v | %d | %s | %s | %s | %.3f |\n", r.Hop, r.Length, ms(floor), ms(sim.Quantile(took, 0.5)), ms(sim.Quantile(took, 0.99)), ratio)
		if ratio > excess {
			errs = append(errs, fmt.Errorf("%d machines, %v: %.3f times the floor", r.Length, r.Hop, ratio))
		}
	}
	fmt.Printf("\n(%v)\n", time.Since(began).Round(time.Second))
	return errors.Join(errs...)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond)) }
