// Command register measures what one registration costs the server, by the way
// it comes: over TLS with a full handshake, over TLS with a resumed session, on
// a leader's connection, and by datagram.
//
//	go run ./bench/register
//
// The server runs in a process of its own, whose processor time counts: user and
// system, with everything that it does besides. Bytes are what is handed to TCP
// and UDP in both directions, handshakes included.
package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/seal"
	"catenary/internal/trust"
	"catenary/internal/wire"
)

const (
	machines = 24 // with lists of up to ten peers on each side
	workers  = 12 // machines that register at a time
	patience = 20 * time.Second
)

func main() {
	handshakes := flag.Int("handshakes", 3000, "registrations over TLS, for each kind")
	messages := flag.Int("messages", 60_000, "registrations on leaders' connections and by datagram, each")
	serve := flag.String("serve", "", "be the server, with its data in this folder")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var err error
	if *serve != "" {
		err = beServer(ctx, *serve)
	} else {
		err = measure(ctx, *handshakes, *messages)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A rig is the running server, and machines that register with it.
type rig struct {
	cmd     *exec.Cmd
	ask     *bufio.Writer
	say     *bufio.Reader
	addr    string
	bundle  trust.Bundle
	trust   link.Trust
	bytes   atomic.Int64
	machine [machines]*machine
}

// A machine is enrolled, and registered once over TLS.
type machine struct {
	*rig
	id       endpoint.ID
	cert     *tls.Certificate
	place    netip.AddrPort
	sequence uint64
	peers    uint64
	lan      uint64
	key      seal.RegistrationKey
	name     wire.KeyName
	sessions tls.ClientSessionCache
	leader   *link.Link
	udp      net.Conn
}

func measure(ctx context.Context, handshakes, messages int) (err error) {
	dir, err := os.MkdirTemp("", "catenary-register-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := r.populate(); err != nil {
		return err
	}
	fmt.Println("| way | registrations | server CPU µs each | to the datagram | bytes each, both ways |")
	fmt.Println("|---|---|---|---|---|")
	type row struct {
		name       string
		n          int
		cpu, bytes float64
	}
	var rows []row
	for _, w := range []struct {
		name string
		n    int
		do   func(*machine) error
	}{
		{"TLS 1.3, full handshake, both certificates", handshakes, (*machine).fullTLS},
		{"TLS 1.3, resumed session", handshakes, (*machine).resumedTLS},
		{"a leader's connection, nothing new", messages, (*machine).onLeader},
		{"datagram, everything said", messages, (*machine).wholeDatagram},
		{"datagram, nothing new", messages, (*machine).briefDatagram},
	} {
		if err := r.each(workers*2, w.do); err != nil { // connections and caches
			return fmt.Errorf("%s: %w", w.name, err)
		}
		before, err := r.cpu()
		if err != nil {
			return err
		}
		r.bytes.Store(0)
		if err := r.each(w.n, w.do); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		after, err := r.cpu()
		if err != nil {
			return err
		}
		rows = append(rows, row{w.name, w.n, float64((after - before).Microseconds()) / float64(w.n), float64(r.bytes.Load()) / float64(w.n)})
	}
	least := rows[len(rows)-1].cpu
	for _, x := range rows {
		fmt.Printf("| %s | %d | %.1f | %.1f× | %.0f |\n", x.name, x.n, x.cpu, x.cpu/least, x.bytes)
	}
	return nil
}

// each lets machines register n times in turn, some at a time.
func (r *rig) each(n int, do func(*machine) error) error {
	errs := make([]error, workers)
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				// A worker has machines of its own.
				errs[w] = do(r.machine[w+workers*(i/workers%(machines/workers))])
			}
		})
	}
	wait.Wait()
	return errors.Join(errs...)
}

func start(ctx context.Context, dir string) (*rig, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	r := &rig{cmd: exec.CommandContext(ctx, program, "-serve", dir)}
	r.cmd.Stderr = os.Stderr
	in, err := r.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	r.ask, r.say = bufio.NewWriter(in), bufio.NewReader(out)
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	var file string
	if _, err := fmt.Fscanln(r.say, &r.addr, &file); err != nil {
		return nil, fmt.Errorf("the server did not start: %w", errors.Join(err, r.stop()))
	}
	data, err := os.ReadFile(file)
	if err == nil {
		r.bundle, err = trust.Parse(data)
	}
	if err != nil {
		return nil, errors.Join(err, r.stop())
	}
	ca, err := r.bundle.Authority()
	r.trust = link.Trust{Installation: r.bundle.Installation, Authority: ca}
	return r, err
}

func (r *rig) stop() error {
	err := r.cmd.Process.Signal(os.Interrupt)
	return errors.Join(err, r.cmd.Wait())
}

// cpu is the processor time that the server has used.
func (r *rig) cpu() (time.Duration, error) {
	if _, err := fmt.Fprintln(r.ask, "cpu?"); err != nil {
		return 0, err
	}
	if err := r.ask.Flush(); err != nil {
		return 0, err
	}
	var d time.Duration
	_, err := fmt.Fscanln(r.say, &d)
	return d, err
}

// populate enrols the machines and registers each until its lists are complete.
func (r *rig) populate() error {
	for i := range r.machine {
		m := &machine{rig: r, sessions: tls.NewLRUClientSessionCache(1)}
		m.place = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(20_000+i))
		if err := m.enrol(); err != nil {
			return err
		}
		r.machine[i] = m
	}
	for range 2 {
		for _, m := range r.machine {
			if err := m.resumedTLS(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *machine) enrol() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return err
	}
	conn, err := tls.Dial("tcp", m.addr, m.trust.ToServer(link.ProtocolEnrol, nil))
	if err != nil {
		return err
	}
	defer conn.Close()
	l := link.New(conn)
	if err := l.Write(wire.Enrol{Version: wire.Version, Secret: m.bundle.Secret, Key: pub, Name: "bench"}, patience); err != nil {
		return err
	}
	reply, err := link.Expect[wire.Enrolled](l, patience)
	m.id, m.cert = reply.ID, &tls.Certificate{Certificate: [][]byte{reply.Certificate}, PrivateKey: key}
	return err
}
