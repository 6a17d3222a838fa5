// Command ask measures questions on a demo installation: how long until every
// client has answered, what it costs the server and the clients, and how many
// connections the server holds.
//
//	go run ./bench/ask -clients 20,200,1000 -questions 20
//
// It starts `bin/catenary demo` for each size and prints one row for each.
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
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

const text = "Get Computer Name and Operating System from all machines"

func main() {
	sizes := flag.String("clients", "20,200,1000", "numbers of clients")
	questions := flag.Int("questions", 20, "questions for each size")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fmt.Printf("%s, %d questions each, one after another\n\n", text, *questions)
	fmt.Println("| clients | LANs | ready s | complete ms: min / median / max | server connections | server CPU µs per answer | clients' CPU µs per answer | server RSS MiB | RSS per client MiB |")
	fmt.Println("|---|---|---|---|---|---|---|---|---|")
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

// demo is the line that the demo prints when it is ready.
type demo struct {
	API     string  `json:"api"`
	Token   string  `json:"token"`
	CA      string  `json:"ca"`
	Clients int     `json:"clients"`
	Server  int     `json:"server_pid"`
	PIDs    []int   `json:"client_pids"`
	Seconds float64 `json:"ready_s"`
	http    *http.Client
}

func measure(ctx context.Context, n, questions int) error {
	cmd := exec.CommandContext(ctx, "bin/catenary", "demo", "--clients", strconv.Itoa(n), "--json")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cmd.Process.Signal(os.Interrupt)
	var d demo
	if err := json.NewDecoder(out).Decode(&d); err != nil {
		return fmt.Errorf("the demo did not start: %w", err)
	}
	if err := d.trust(); err != nil {
		return err
	}
	if _, err := d.ask(ctx); err != nil { // a warm-up: connections and caches
		return err
	}
	serverBefore, clientsBefore := cpu(d.Server), cpu(d.PIDs...)
	times := make([]time.Duration, questions)
	for i := range times {
		if times[i], err = d.ask(ctx); err != nil {
			return err
		}
	}
	answers := float64(questions * n)
	serverCPU := float64((cpu(d.Server) - serverBefore).Microseconds()) / answers
	clientCPU := float64((cpu(d.PIDs...) - clientsBefore).Microseconds()) / answers
	slices.Sort(times)
	figures, err := d.metrics(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("| %d | %.0f | %.1f | %.0f / %.0f / %.0f | %.0f | %.0f | %.0f | %.0f | %.1f |\n", n, figures["catenary_lans"], d.Seconds,
		ms(times[0]), ms(times[len(times)/2]), ms(times[len(times)-1]),
		figures["catenary_leader_connections"], serverCPU, clientCPU,
		rss(d.Server), rss(d.PIDs...)/float64(n))
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (d *demo) trust() error {
	pem, err := os.ReadFile(d.CA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return errors.New("no certificate in " + d.CA)
	}
	d.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	return nil
}

// ask asks the question and returns how long it took until every client had
// answered, as the API's event stream tells it.
func (d *demo) ask(ctx context.Context) (time.Duration, error) {
	body, err := json.Marshal(map[string]string{"query_text": text})
	if err != nil {
		return 0, err
	}
	began := time.Now()
	var asked struct {
		Data struct {
			ID int `json:"id"`
		} `json:"data"`
	}
	resp, err := d.do(ctx, "POST", "/api/v2/questions", body)
	if err != nil {
		return 0, err
	}
	err = json.NewDecoder(resp.Body).Decode(&asked)
	resp.Body.Close()
	if err != nil {
		return 0, err
	}
	// The question is polled closely, since the event stream is throttled for
	// people's eyes.
	for {
		var info struct {
			Data struct {
				Infos []struct {
					Tested    int `json:"mr_tested"`
					Estimated int `json:"estimated_total"`
				} `json:"result_infos"`
			} `json:"data"`
		}
		resp, err := d.do(ctx, "GET", fmt.Sprintf("/api/v2/result_info/question/%d", asked.Data.ID), nil)
		if err != nil {
			return 0, err
		}
		err = json.NewDecoder(resp.Body).Decode(&info)
		resp.Body.Close()
		if err != nil {
			return 0, err
		}
		if i := info.Data.Infos[0]; i.Tested >= d.Clients && i.Tested >= i.Estimated {
			return time.Since(began), nil
		}
		if time.Since(began) > time.Minute {
			return 0, fmt.Errorf("question %d: %d of %d clients after a minute", asked.Data.ID, info.Data.Infos[0].Tested, d.Clients)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (d *demo) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.API+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("session", d.Token)
	resp, err := d.http.Do(req)
	if err == nil && resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1000)) // only to show it
		resp.Body.Close()
		err = fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp, err
}

// metrics reads the server's figures, those of one name summed.
func (d *demo) metrics(ctx context.Context) (map[string]float64, error) {
	resp, err := d.do(ctx, "GET", "/metrics", nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	all := map[string]float64{}
	for line := range strings.Lines(string(data)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		name, _, _ = strings.Cut(name, "{")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, err
		}
		all[name] += v
	}
	return all, nil
}

// cpu is the processor time that the processes have used (Linux).
func cpu(pids ...int) time.Duration {
	const ticks = 100 // per second, on every Linux
	var sum time.Duration
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return 0
		}
		// The name in parentheses may hold blanks; user and system time are the
		// 12th and 13th fields after it.
		f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
		for _, s := range f[11:13] {
			n, err := strconv.Atoi(s)
			if err != nil {
				return 0
			}
			sum += time.Duration(n) * time.Second / ticks
		}
	}
	return sum
}

// rss is the memory of the processes in MiB (Linux).
func rss(pids ...int) float64 {
	var pages float64
	for _, pid := range pids {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return 0
		}
		n, err := strconv.ParseFloat(strings.Fields(string(data))[1], 64)
		if err != nil {
			return 0
		}
		pages += n
	}
	return pages * float64(os.Getpagesize()) / (1 << 20)
}
