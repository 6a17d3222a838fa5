// Command ask measures questions on a demo installation: how long until every
// client has answered, what it costs the server and the clients, and how many
// connections the server holds.
//
//	go run ./bench/ask -clients 20,200,1000 -questions 20
//
// It starts `bin/catenary demo` for each size and prints one row for each.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"catenary/bench"
)

// settle is how long each client is given after the first question: on two
// cores the handshakes between neighbours go on when all have registered.
const settle = 10 * time.Millisecond

const text = "Get Computer Name and Operating System from all machines"

func main() {
	sizes := flag.String("clients", "20,200,1000", "numbers of clients")
	questions := flag.Int("questions", 20, "questions for each size")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("%s, %d questions each, one after another\n\n", text, *questions)
	fmt.Println("| clients | chains | ready s | first question ms | then ms: min / median / max | server connections | server CPU µs per answer | clients' CPU µs per answer | server RSS MiB | RSS per client MiB |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|---|")
	for _, size := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(size)
		if err == nil {
			err = measure(ctx, n, *questions)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
	}
}

func measure(ctx context.Context, n, questions int) (err error) {
	d, err := bench.Start(ctx, "--clients", strconv.Itoa(n))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	first, err := d.Ask(ctx, text, n)
	if err != nil {
		return err
	}
	time.Sleep(time.Duration(n) * settle)
	serverBefore, clientsBefore := bench.CPU(d.Server), bench.CPU(d.PIDs...)
	times := make([]time.Duration, questions)
	for i := range times {
		if times[i], err = d.Ask(ctx, text, n); err != nil {
			return err
		}
	}
	answers := float64(questions * n)
	serverCPU := float64((bench.CPU(d.Server) - serverBefore).Microseconds()) / answers
	clientCPU := float64((bench.CPU(d.PIDs...) - clientsBefore).Microseconds()) / answers
	slices.Sort(times)
	figures, err := d.Metrics(ctx)
	if err != nil {
		return err
	}
	connections := figures["catenary_leader_connections"]
	fmt.Printf("| %d | %.0f | %.1f | %.0f | %.0f / %.0f / %.0f | %.0f | %.0f | %.0f | %.0f | %.1f |\n", n, connections/2, d.Seconds,
		ms(first), ms(times[0]), ms(times[len(times)/2]), ms(times[len(times)-1]), connections, serverCPU, clientCPU,
		bench.RSS(d.Server), bench.RSS(d.PIDs...)/float64(n))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
