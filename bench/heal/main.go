// Command heal kills clients in the middle of their chains with signal 9 and
// measures how long it takes until their neighbours are linked to each other,
// as the kernel shows it.
//
//	go run ./bench/heal
package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"catenary/bench"
)

const (
	clients = 60 // in three LANs of 20, each a process of its own
	lans    = 3
	text    = "Get Computer Name from all machines"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	d, err := bench.Start(ctx, "--clients", fmt.Sprint(clients), "--per-process", "1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	if _, err := d.Ask(ctx, text, clients); err != nil {
		return err
	}
	var times []time.Duration
	for k := 3; k < clients/lans; k += 3 { // every third place of each chain
		for lan := range lans {
			pid := d.PIDs[(k-1)*lans+lan]
			began := time.Now()
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				return err
			}
			if err := linked(ctx, address(lan, k-1), address(lan, k+1)); err != nil {
				return err
			}
			times = append(times, time.Since(began))
		}
	}
	left := clients - len(times)
	took, err := d.Ask(ctx, text, left)
	if err != nil {
		return err
	}
	slices.Sort(times)
	fmt.Printf("%d clients killed with signal 9, each in the middle of its chain: closed again after %v / %v / %v (min / median / max)\n",
		len(times), times[0].Round(time.Millisecond), times[len(times)/2].Round(time.Millisecond), times[len(times)-1].Round(time.Millisecond))
	fmt.Printf("the next question counted all %d that live in %v\n", left, took.Round(time.Millisecond))
	return nil
}

func address(lan, k int) netip.Addr { return netip.AddrFrom4([4]byte{127, 10, byte(lan + 1), byte(k)}) }

// linked waits until the kernel has an established connection between two
// addresses.
func linked(ctx context.Context, a, b netip.Addr) error {
	const established = "01"
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && ctx.Err() == nil; {
		data, err := os.ReadFile("/proc/net/tcp")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != established {
				continue
			}
			from, to := f[1][:8], f[2][:8]
			if from == kernelForm(a) && to == kernelForm(b) || from == kernelForm(b) && to == kernelForm(a) {
				return nil
			}
		}
	}
	return fmt.Errorf("%v and %v are not linked", a, b)
}

// kernelForm is an address as /proc/net/tcp writes it on this machine.
func kernelForm(a netip.Addr) string {
	b := a.As4()
	return fmt.Sprintf("%08X", binary.NativeEndian.Uint32(b[:]))
}
