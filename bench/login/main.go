// Command login attacks a server's login: how many passwords it looks at in a
// second, what ten thousand logins at once cost it and everybody else, and what
// the lock-out leaves of guesses at one account.
//
//	go build -o bin/catenary ./cmd/catenary && go run ./bench/login
package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"catenary/bench"
)

const (
	quietFor   = 5 * time.Second       // measuring programs while nobody attacks
	honestFor  = 10 * time.Second      // measuring how many right logins there are
	honest     = 8                     // who log in at once
	programs   = 4                     // that use an API token all the while
	pause      = 20 * time.Millisecond // between two of their requests
	guesses    = 500                   // at one account
	password   = "a password of the benchmark"
	requestMax = 2 * time.Minute
	// connections is how many the attackers have, each for so many requests at
	// once: it is the passwords that are to cost, not the handshakes.
	connections = 64
)

func main() {
	attackers := flag.Int("attackers", 10_000, "logins at once, each as somebody else")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *attackers)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "login:", err)
		os.Exit(1)
	}
}

// A bencher is what attacks.
type bencher struct {
	demo      *bench.Demo
	attackers []*http.Client // from one address
	people    *http.Client   // from another
	programs  *http.Client   // from a third
}

func run(ctx context.Context, attackers int) (err error) {
	d, err := bench.Start(ctx, "--clients", "2")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Stop()) }()
	pem, err := os.ReadFile(d.CA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("no certificate in " + d.CA)
	}
	from := func(address net.IP) *http.Client {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: address}}
		return &http.Client{Timeout: requestMax, Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		}}
	}
	b := &bencher{demo: d, people: from(net.IPv4(127, 0, 0, 2)), programs: from(net.IPv4(127, 0, 0, 3))}
	for range connections {
		client := from(net.IPv4(127, 0, 0, 1))
		if _, err := send(ctx, client, d, "GET", "/config/console.json", nil, ""); err != nil {
			return err
		}
		b.attackers = append(b.attackers, client)
	}
	if status, err := send(ctx, b.programs, d, "POST", "/api/v2/users", map[string]string{"name": "honest", "password": password}, d.Token); err != nil || status != http.StatusOK {
		return fmt.Errorf("the user was not made: %d, %w", status, err)
	}
	fmt.Println("| | |\n|---|---|")
	quiet := b.measure(ctx, quietFor)
	line("API requests with a token, quiet: median / p99", quiet)
	in := b.honest(ctx, honestFor, honest)
	fmt.Printf("| right logins per second, %d at once | %.1f |\n", honest, float64(len(in))/honestFor.Seconds())
	line("one of them: median / p99", in)
	before, err := b.memory(true)
	if err != nil {
		return err
	}
	if err := b.attack(ctx, attackers, before); err != nil {
		return err
	}
	return b.guess(ctx)
}

func line(what string, took []time.Duration) {
	if len(took) == 0 {
		fmt.Printf("| %s | none |\n", what)
		return
	}
	slices.Sort(took)
	ms := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))]) / float64(time.Millisecond)
	}
	fmt.Printf("| %s | %.1f ms / %.1f ms (%d) |\n", what, ms(0.5), ms(0.99), len(took))
}

// send makes a request and returns its status.
func send(ctx context.Context, client *http.Client, d *bench.Demo, method, path string, in any, session string) (int, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, method, d.API+path, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if session != "" {
		req.Header.Set("session", session)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

func (b *bencher) login(ctx context.Context, client *http.Client, name, password string) (int, error) {
	return send(ctx, client, b.demo, "POST", "/api/v2/session/login", map[string]string{"username": name, "password": password}, "")
}

// measure is how long programs wait for answers that have nothing to do with
// logins, until ctx ends or for so long.
func (b *bencher) measure(ctx context.Context, long time.Duration) (took []time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range programs {
		all.Go(func() {
			for tick := time.NewTicker(pause); ; <-tick.C {
				began := time.Now()
				status, err := send(ctx, b.programs, b.demo, "GET", "/api/v2/client_count", nil, b.demo.Token)
				if ctx.Err() != nil {
					tick.Stop()
					return
				}
				if err != nil || status != http.StatusOK {
					fmt.Fprintln(os.Stderr, "a program was turned away:", status, err)
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return took
}

// honest is how long people wait who log in with the right password, so many at
// once, until ctx ends or for so long.
func (b *bencher) honest(ctx context.Context, long time.Duration, many int) (took []time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range many {
		all.Go(func() {
			for {
				began := time.Now()
				status, err := b.login(ctx, b.people, "honest", password)
				if ctx.Err() != nil {
					return
				}
				if err != nil || status != http.StatusOK {
					fmt.Fprintln(os.Stderr, "an honest login was refused:", status, err)
					continue
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return took
}

// attack has so many log in at once, each under another name.
func (b *bencher) attack(ctx context.Context, attackers int, before int) error {
	during, over := context.WithCancel(ctx)
	defer over()
	var calm, in []time.Duration
	var watch sync.WaitGroup
	watch.Go(func() { in = b.honest(during, requestMax, 1) })
	watch.Go(func() { calm = b.measure(during, requestMax) })
	var mu sync.Mutex
	answers := map[int]int{}
	var lost atomic.Int64
	began := time.Now()
	var all sync.WaitGroup
	for i := range attackers {
		all.Go(func() {
			status, err := b.login(ctx, b.attackers[i%connections], fmt.Sprintf("nobody%d", i), "a guess")
			if err != nil {
				lost.Add(1)
				return
			}
			mu.Lock()
			answers[status]++
			mu.Unlock()
		})
	}
	all.Wait()
	took := time.Since(began)
	over()
	watch.Wait()
	after, err := b.memory(false)
	if err != nil {
		return err
	}
	fmt.Printf("| %d logins at once: all answered after | %.1f s |\n", attackers, took.Seconds())
	fmt.Printf("| looked at and refused (401) / told to come again (503) / other / no answer | %d / %d / %d / %d |\n",
		answers[401], answers[503], attackers-answers[401]-answers[503]-int(lost.Load()), lost.Load())
	line("API requests with a token meanwhile: median / p99", calm)
	line("a right login from another address meanwhile: median / p99", in)
	fmt.Printf("| the server's memory before / at most | %d MiB / %d MiB |\n", before, after)
	return nil
}

// guess guesses at one account from one address.
func (b *bencher) guess(ctx context.Context) error {
	looked, locked := 0, []time.Duration{}
	for i := range guesses {
		began := time.Now()
		status, err := b.login(ctx, b.attackers[0], "honest", fmt.Sprintf("guess %d", i))
		if err != nil {
			return err
		}
		if status != http.StatusUnauthorized {
			return fmt.Errorf("guess %d: status %d", i, status)
		}
		if took := time.Since(began); i < 10 {
			looked++
		} else {
			locked = append(locked, took)
		}
	}
	status, err := b.login(ctx, b.attackers[0], "honest", password)
	if err != nil {
		return err
	}
	fmt.Printf("| guesses at one account from one address: looked at, of %d | %d; the right password then: %d |\n", guesses, looked, status)
	line("one that is not looked at: median / p99", locked)
	return nil
}

// memory is the server's resident memory in MiB: now, and at most since the
// last call that has begun anew.
func (b *bencher) memory(anew bool) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.demo.Server))
	if err != nil {
		return 0, err
	}
	name := "VmHWM:"
	if anew {
		name = "VmRSS:"
		const resetPeak = "5"
		if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", b.demo.Server), []byte(resetPeak), 0); err != nil {
			return 0, err
		}
	}
	for l := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(l, name); ok {
			var kib int
			if _, err := fmt.Sscan(rest, &kib); err != nil {
				return 0, err
			}
			return kib >> 10, nil
		}
	}
	return 0, errors.New("the kernel does not say how much memory the server has")
}
