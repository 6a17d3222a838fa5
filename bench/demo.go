// Package bench starts demo installations and asks them, for the benchmarks in
// the folders below.
package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// A Demo is a running demo installation, as its own line describes it.
type Demo struct {
	API     string  `json:"api"`
	Token   string  `json:"token"`
	CA      string  `json:"ca"`
	Clients int     `json:"clients"`
	Server  int     `json:"server_pid"`
	PIDs    []int   `json:"client_pids"`
	Seconds float64 `json:"ready_s"`

	cmd  *exec.Cmd
	http *http.Client
}

// Start runs `bin/catenary demo` with the given arguments and returns when all
// of its clients have registered.
func Start(ctx context.Context, args ...string) (*Demo, error) {
	d := &Demo{cmd: exec.CommandContext(ctx, "bin/catenary", append([]string{"demo", "--json"}, args...)...)}
	d.cmd.Cancel = func() error { return d.cmd.Process.Signal(os.Interrupt) }
	d.cmd.Stderr = os.Stderr
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	if err := json.NewDecoder(out).Decode(d); err != nil {
		return nil, fmt.Errorf("the demo did not start: %w", errors.Join(err, d.Stop()))
	}
	return d, d.trust()
}

// Stop ends the demo.
func (d *Demo) Stop() error {
	return errors.Join(d.cmd.Process.Signal(os.Interrupt), d.cmd.Wait())
}

func (d *Demo) trust() error {
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

// Ask asks a question and returns how long it took until so many clients had
// answered.
func (d *Demo) Ask(ctx context.Context, text string, clients int) (time.Duration, error) {
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
					Tested int `json:"mr_tested"`
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
		if i := info.Data.Infos[0]; i.Tested >= clients {
			return time.Since(began), nil
		}
		if time.Since(began) > time.Minute {
			return 0, fmt.Errorf("question %d: %d of %d clients after a minute", asked.Data.ID, info.Data.Infos[0].Tested, clients)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (d *Demo) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
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

// Metrics reads the server's figures, those of one name summed.
func (d *Demo) Metrics(ctx context.Context) (map[string]float64, error) {
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
		line = strings.TrimSpace(line)
		i := strings.LastIndexByte(line, ' ')
		if i < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		name, _, _ := strings.Cut(line[:i], "{")
		value := line[i+1:]
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, err
		}
		all[name] += v
	}
	return all, nil
}

// CPU is the processor time that the processes have used (Linux).
func CPU(pids ...int) time.Duration {
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

// RSS is the memory of the processes in MiB (Linux).
func RSS(pids ...int) float64 {
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
