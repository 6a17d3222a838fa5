//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"catenary/internal/client"
	"catenary/internal/server"
	"catenary/internal/wire"
)

// A relay stands between clients and the server, as a firewall may: it passes
// connections on, and datagrams if it is open for them.
type relay struct {
	t      *testing.T
	tcp    net.Listener
	udp    *net.UDPConn
	server atomic.Pointer[netip.AddrPort]
	open   atomic.Bool
	worker sync.WaitGroup
	mu     sync.Mutex // guards the fields below
	ends   []io.Closer
	lanes  map[netip.AddrPort]*net.UDPConn // to the server, by client
}

func startRelay(t *testing.T) *relay {
	t.Helper()
	r := &relay{t: t, lanes: map[netip.AddrPort]*net.UDPConn{}}
	var err error
	if r.tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	port := r.tcp.Addr().(*net.TCPAddr).Port
	if r.udp, err = net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}); err != nil {
		t.Fatal(err)
	}
	r.keep(r.tcp)
	r.keep(r.udp)
	r.worker.Go(r.passConnections)
	r.worker.Go(r.passDatagrams)
	t.Cleanup(func() { r.cut(); r.worker.Wait() })
	return r
}

// keep notes what cut closes.
func (r *relay) keep(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends = append(r.ends, c)
}

func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.ends {
		c.Close()
	}
}

func (r *relay) passConnections() {
	for {
		in, err := r.tcp.Accept()
		if err != nil {
			return
		}
		r.keep(in)
		// The server is to see the client's own address.
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: in.RemoteAddr().(*net.TCPAddr).IP}}
		out, err := d.Dial("tcp", r.server.Load().String())
		if err != nil {
			in.Close()
			continue
		}
		r.keep(out)
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			r.worker.Go(func() {
				io.Copy(way[0], way[1])
				way[0].Close()
				way[1].Close()
			})
		}
	}
}

func (r *relay) passDatagrams() {
	b := make([]byte, 2000)
	for {
		n, from, err := r.udp.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		if !r.open.Load() {
			continue
		}
		if lane := r.lane(from); lane != nil {
			lane.WriteToUDPAddrPort(b[:n], *r.server.Load())
		}
	}
}

// lane is the relay's socket for one client, at the client's address but another
// port, as NAT has it.
func (r *relay) lane(from netip.AddrPort) *net.UDPConn {
	if lane := r.lanes[from]; lane != nil {
		return lane
	}
	lane, err := net.ListenUDP("udp", &net.UDPAddr{IP: from.Addr().AsSlice()})
	if err != nil {
		r.t.Error(err)
		return nil
	}
	r.lanes[from] = lane
	r.keep(lane)
	r.worker.Go(func() {
		b := make([]byte, 2000)
		for {
			n, _, err := lane.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			r.udp.WriteToUDPAddrPort(b[:n], from)
		}
	})
	return lane
}

// A running server of the test; stop ends it.
type running struct {
	*server.Server
	stop func()
}

func (r *relay) startServer(dir string) *running {
	r.t.Helper()
	return r.startServerOn(dir, "", slog.New(slog.DiscardHandler))
}

func (r *relay) startServerOn(dir, database string, log *slog.Logger) *running {
	r.t.Helper()
	quick := wire.Intervals{
		NormalMin: 100 * time.Millisecond, NormalMax: 300 * time.Millisecond, InitialMin: time.Hour, InitialMax: time.Hour,
	}
	s, err := server.New(r.t.Context(), server.Config{
		DataDir: dir, Database: database, Listen: "127.0.0.1:0", Servers: []string{r.tcp.Addr().String()}, Intervals: quick, Version: "test",
	}, log)
	if err != nil {
		r.t.Fatal(err)
	}
	at := s.Addr().(*net.TCPAddr).AddrPort()
	r.server.Store(&at)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			r.t.Errorf("server: %v", err)
		}
	})
	r.t.Cleanup(stop)
	return &running{s, stop}
}

func (r *relay) startClients(s *server.Server, n int) {
	r.t.Helper()
	bundle, err := server.MakeBundle(r.t.Context(), s.Keys(), s.Store(), []string{r.tcp.Addr().String()}, "test", n, time.Now().Add(time.Hour))
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var clients sync.WaitGroup
	r.t.Cleanup(func() { cancel(); clients.Wait() })
	for i := range n {
		at := netip.AddrFrom4([4]byte{127, 11, 1, byte(1 + i)})
		c, err := client.New(client.Config{
			StateDir: filepath.Join(r.t.TempDir(), fmt.Sprint(i)), Init: bundle, Listen: netip.AddrPortFrom(at, 0), Source: at,
			Name: fmt.Sprintf("machine-%d", i), Version: "test",
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			r.t.Fatal(err)
		}
		clients.Go(func() {
			if err := c.Run(ctx); !errors.Is(err, context.Canceled) {
				r.t.Errorf("client: %v", err)
			}
		})
	}
}

// count is how many registrations the server has had, by way and outcome.
func (s *running) count(t *testing.T) map[string]int {
	t.Helper()
	families, err := s.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, f := range families {
		if f.GetName() != "catenary_registrations_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			label := map[string]string{}
			for _, l := range m.GetLabel() {
				label[l.GetName()] = l.GetValue()
			}
			out[label["way"]+" "+label["outcome"]] = int(m.GetCounter().GetValue())
		}
	}
	return out
}

// until waits until so many more registrations have come in this way.
func (s *running) until(t *testing.T, way string, more int) map[string]int {
	t.Helper()
	from := s.count(t)[way]
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); ; <-tick.C {
		now := s.count(t)
		if now[way] >= from+more {
			return now
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited for %d %q, have %v", more, way, now)
		}
	}
}

// TestWaysOfRegistration: the ends of a chain register on their connections,
// those between them by datagram, through a NAT too; when a firewall blocks that
// they come over TLS, and when the server has started anew nobody needs to.
func TestWaysOfRegistration(t *testing.T) {
	r := startRelay(t)
	r.open.Store(true)
	dir := t.TempDir()
	s := r.startServer(dir)
	r.startClients(s.Server, 5)
	s.until(t, "leader accepted", 10)
	s.until(t, "datagram accepted", 30)
	settled := s.count(t)
	after := s.until(t, "datagram accepted", 20)
	if got := after["tls accepted"] - settled["tls accepted"]; got > 0 {
		t.Errorf("%d registrations over TLS while datagrams pass", got)
	}

	// If all have tried TLS while it was away, nobody needs to be asked: then it is
	// tried once more.
	const restarts = 5
	for n := 1; n == 1 || after["datagram again"] == 0; n++ {
		if n > restarts {
			t.Fatal("a server that has forgotten everything does not ask for it")
		}
		s.stop()
		s = r.startServer(dir)
		after = s.until(t, "datagram accepted", 30)
	}
	// Those whose turn came while it was away have tried TLS once.
	if after["tls accepted"] > 5 {
		t.Errorf("after the restart %v", after)
	}
	r.open.Store(false)
	s.until(t, "tls accepted", 3)
	settled = s.count(t)
	if after = s.until(t, "tls accepted", 12); after["datagram accepted"] > settled["datagram accepted"] {
		t.Errorf("datagrams pass a closed relay: %v, then %v", settled, after)
	}
	for way, n := range after {
		if (way == "tls refused" || way == "datagram refused" || way == "leader refused") && n > 0 {
			t.Errorf("%d %s", n, way)
		}
	}
}
