// Command api measures lists of the public API: 10,000 sensors, 10,000 saved
// questions and 100,000 machines, whole and page by page, on SQLite and on
// PostgreSQL.
//
//	go run ./bench/api
//
// The server is in this process, and asked over HTTP on the loopback interface,
// by one client that reads each answer to its end.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server"
	"catenary/internal/server/api"
	"catenary/internal/server/depot"
	"catenary/internal/server/object"
	"catenary/internal/server/people"
	"catenary/internal/server/sensors"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
	"catenary/internal/value"
)

const (
	user     = "bench"
	password = "a password for the bench"
)

func main() {
	objects := flag.Int("objects", 10_000, "sensors, and saved questions")
	clients := flag.Int("clients", 100_000, "machines")
	rounds := flag.Int("rounds", 200, "times that each page is asked for; whole lists a tenth")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *objects, *clients, *rounds)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, objects, clients, rounds int) error {
	p, err := storetest.New("shared_buffers=256MB", "jit=off")
	if err != nil {
		return err
	}
	defer p.Stop()
	machines := fleet(clients)
	var columns [2][]measured
	for i, address := range []string{"", p.Address("postgres")} {
		if columns[i], err = measure(ctx, address, machines, objects, rounds); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return err
		}
	}
	fmt.Print("| | bytes | SQLite ms: median / p99 | PostgreSQL ms: median / p99 |\n|---|---|---|---|\n")
	for i, m := range columns[0] {
		fmt.Printf("| %s | %d | %s | %s |\n", m.what, m.bytes, m.figures(), columns[1][i].figures())
	}
	return nil
}

// A measured request is what it took, each time.
type measured struct {
	what  string
	bytes int64
	took  []time.Duration
}

func (m measured) figures() string {
	slices.Sort(m.took)
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("%.1f / %.1f", ms(m.took[len(m.took)/2]), ms(m.took[len(m.took)*99/100]))
}

// engine shows machines that there are not.
type engine struct {
	*server.Server
	machines []endpoint.Status
}

func (e engine) Clients(context.Context) []endpoint.Status { return e.machines }

func (e engine) Ask(context.Context, question.Asking) (uint64, error) {
	return 0, errors.New("nothing is asked here")
}

func fleet(n int) []endpoint.Status {
	out := make([]endpoint.Status, n)
	for i := range out {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		out[i] = endpoint.Status{
			ID: endpoint.ID{byte(i), byte(i >> 8), byte(i >> 16), 1}, ComputerID: uint32(i + 1), Name: fmt.Sprintf("computer-%06d.example.org", i),
			Version: fmt.Sprintf("7.%d.1", i%3), Platform: "Linux", Place: endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472)}, Reported: addr,
			LAN: netip.PrefixFrom(addr, 24).Masked(), Registered: time.Now(), Way: "datagram",
			Backward: endpoint.Link{Kind: endpoint.Peer, Name: "computer-before", Trip: time.Millisecond, Held: true},
			Forward:  endpoint.Link{Kind: endpoint.Peer, Name: "computer-after", Trip: time.Millisecond, Held: true},
		}
	}
	return out
}

func measure(ctx context.Context, address string, machines []endpoint.Status, objects, rounds int) ([]measured, error) {
	dir, err := os.MkdirTemp("", "catenary-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := server.New(ctx, server.Config{DataDir: dir, Database: address, Listen: "127.0.0.1:0", Intervals: server.DefaultIntervals}, log)
	if err != nil {
		return nil, err
	}
	defer s.Store().Close() // nothing is written any more
	if err := fill(ctx, s, objects); err != nil {
		return nil, err
	}
	files, err := depot.Open(filepath.Join(dir, "files"))
	if err != nil {
		return nil, err
	}
	defer files.Close() // nothing is written
	h := api.Handler(engine{s, machines}, s.Store(), api.Options{
		Version: "bench", Log: log, Metrics: s.Metrics(), Shelves: s.Shelves(), Runtimes: s.Runtimes,
		Exports: filepath.Join(dir, "exports"), Files: files, Sealer: s, Hostname: "bench",
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	web := api.NewServer(h, nil)
	go web.Serve(ln) // ends when it is closed
	defer web.Close()
	return ask(ctx, "http://"+ln.Addr().String(), rounds)
}

// fill makes the objects.
func fill(ctx context.Context, s *server.Server, n int) error {
	hash, err := api.HashPassword(password)
	if err != nil {
		return err
	}
	if err := people.First(ctx, s.Shelves(), user, hash); err != nil {
		return err
	}
	for from := 0; from < n; from += batch {
		err := s.Shelves().Change(ctx, shelf.Author{UserName: "bench"}, func(c *shelf.Change) error { return add(ctx, s, c, from, min(n, from+batch)) })
		if err != nil {
			return err
		}
	}
	return s.ReloadSensors(ctx)
}

// batch is how many objects of a kind are made in one change.
const batch = 500

func add(ctx context.Context, s *server.Server, c *shelf.Change, from, to int) error {
	for i := from; i < to; i++ {
		if err := addSensor(ctx, s, c, i); err != nil {
			return err
		}
		o := object.New(object.ShapeOf("saved_question"))
		o.Set("name", fmt.Sprintf("Saved Question %05d", i))
		o.Set("query_text", "Get Computer Name and Operating System from all machines with Operating System contains Windows")
		o.Set("public_flag", true)
		if _, err := c.Create("saved_question", 0, o); err != nil {
			return err
		}
	}
	return nil
}

func addSensor(ctx context.Context, s *server.Server, c *shelf.Change, i int) error {
	d := sensor.Sensor{
		Name: fmt.Sprintf("Bench Sensor %05d", i), Description: "What a sensor of the bench says about a machine, in a sentence or two.", Category: "Bench",
		MaxAge: 15 * time.Minute, Platforms: []sensor.Platform{sensor.Linux}, IgnoreCase: true,
		Scripts: []sensor.Script{{Platform: sensor.Linux, Language: sensor.UnixShell, Source: string(bytes.Repeat([]byte("echo one line of a script\n"), 20))}},
	}
	d.Columns = []sensor.Column{{Name: d.Name, Type: value.String}}
	definition, signed := s.SignSensor(d)
	rec, err := c.Tx().CreateSensor(ctx, store.Sensor{Name: d.Name, Definition: definition, Signed: signed, Created: c.Now(), Modified: c.Now()})
	if err != nil {
		return err
	}
	_, err = c.Create(sensors.Kind, rec.ID, sensors.Object(d))
	return err
}

// ask makes all requests, round after round.
func ask(ctx context.Context, base string, rounds int) ([]measured, error) {
	var in struct{ Data struct{ Session string } }
	login, err := json.Marshal(map[string]string{"username": user, "password": password})
	if err != nil {
		return nil, err
	}
	resp, err := http.Post(base+"/api/v2/session/login", "application/json", bytes.NewReader(login))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&in); err != nil || in.Data.Session == "" {
		return nil, fmt.Errorf("login: %s: %w", resp.Status, err)
	}
	var out []measured
	for _, what := range []struct{ name, path, options string }{
		{"all sensors", "sensors", ""},
		{"all saved questions", "saved_questions", ""},
		{"all machines", "system_status", ""},
		{"a page of 100 sensors", "sensors", `{"row_start":5000,"row_count":100}`},
		{"a page of 100 saved questions", "saved_questions", `{"row_start":5000,"row_count":100}`},
		{"a page of 100 machines", "system_status", `{"row_start":50000,"row_count":100}`},
		{"100 sensors, filtered and sorted by name", "sensors", `{"row_count":100,"cache_sort_fields":"-name","cache_filters":[{"field":"name","value":".*7.*"}]}`},
		{"100 saved questions, filtered and sorted by name", "saved_questions", `{"row_count":100,"cache_sort_fields":"-name","cache_filters":[{"field":"name","value":".*7.*"}]}`},
		{"100 machines, filtered by name", "system_status", `{"row_count":100,"cache_filters":[{"field":"host_name","value":".*77.*"}]}`},
		{"a sensor by its name", "sensors/by-name/Bench%20Sensor%2000077", ""},
	} {
		n := rounds
		if what.options == "" && what.path != "sensors/by-name/Bench%20Sensor%2000077" {
			n = max(rounds/2, 5)
		}
		m := measured{what: what.name}
		for i := range n + 1 { // the first warms up
			began := time.Now()
			if m.bytes, err = get(ctx, base+"/api/v2/"+what.path, what.options, in.Data.Session); err != nil {
				return nil, fmt.Errorf("%s: %w", what.name, err)
			}
			if i > 0 {
				m.took = append(m.took, time.Since(began))
			}
		}
		out = append(out, m)
	}
	return out, nil
}

// readSize is how many bytes the asking program reads at once: what it costs to
// read is not what is measured.
const readSize = 256 << 10

var program = http.Client{Transport: &http.Transport{ReadBufferSize: readSize, DisableCompression: true}}

func get(ctx context.Context, url, options, session string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("session", session)
	if options != "" {
		req.Header.Set("tanium-options", options)
	}
	resp, err := program.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, resp.Body, make([]byte, readSize)) // Discard alone would read 8 KiB at a time
	if resp.StatusCode != http.StatusOK {
		return n, fmt.Errorf("%s", resp.Status)
	}
	return n, err
}
