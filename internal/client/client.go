// Package client is the endpoint's host: it owns the [node.Node] and gives it
// what it does without, namely the clock, the links, the disk and the sensors.
//
// One goroutine, in [Client.Run], owns the node and all connections. Others (one
// for each dial, link, knock, registration and evaluation) only report to it.
package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"catenary/internal/chain"
	"catenary/internal/client/probe"
	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/node"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/trust"
	"catenary/internal/wire"
)

// A Config is everything an operator may choose.
type Config struct {
	StateDir string         // survives a restart
	Init     trust.Bundle   // from catenary-init.dat
	Listen   netip.AddrPort // where neighbours dial; address 0.0.0.0 or :: for all
	Source   netip.Addr     // from where to dial; the zero Addr leaves it to the system
	Name     string         // computer name; empty for the system's
	Version  string         // of this program
}

// A Client is one endpoint.
type Client struct {
	cfg    Config
	log    *slog.Logger
	state  *state
	trust  link.Trust
	cert   atomic.Pointer[tls.Certificate] // read by handshakes, renewed by the loop
	listen *net.TCPListener
	probe  *probe.Probe
	sensor *sensor.Catalogue // of native sensors
	cache  *cache

	servers     *servers
	from        netip.Addr // from where this life dials; the zero Addr before the first
	reached     string     // the server that could be reached from another address only
	computerID  atomic.Uint32
	evaluations chan struct{} // a token for each evaluation under way
	standing    atomic.Pointer[standing]
	answered    atomic.Uint64 // questions computed in this life
	runs        runs
	quarantine  *quarantine

	// What follows belongs to one life, and to the loop in it.
	node   *node.Node
	ring   *seal.Ring
	inbox  chan report
	conns  map[chain.Conn]*conn      // dials under way and links
	knocks chain.Conn                // last number given to an accepted connection
	doors  map[chain.Conn]*link.Link // of who knocks and has not been answered
	worker sync.WaitGroup            // of everything started in this life

	server   netip.AddrPort // where it registered last over TLS
	courier  *courier       // of its datagrams; nil: none has been sent
	sessions *sessions      // of its registrations over TLS
}

// A conn is a dial under way or a link. The loop drops reports about one that
// it no longer holds.
type conn struct {
	id     chain.Conn
	cancel context.CancelFunc // abandons the dial
	link   *link.Link         // nil while it is dialled
	server bool               // it leads to the server
}

// A report is what a worker has to say to the loop.
type report interface{ report() }

type (
	reached struct{ conn *conn } // dialled; its system has answered
	dialled struct {
		conn  *conn
		link  *link.Link
		reply wire.HelloOK
		err   error
	}
	knocked struct {
		link  *link.Link
		hello wire.Hello
	}
	received struct {
		conn    *conn
		message wire.Message
	}
	broken struct {
		conn *conn
		err  error
	}
	registered struct {
		reply  wire.Registered
		err    error
		server netip.AddrPort // that was asked, if it could be reached
		// reached, with errMoved, is a server that can be reached from another
		// address than this life's, and not from that.
		reached string
	}
	evaluated struct{ node.Evaluated }
)

func (reached) report()    {}
func (dialled) report()    {}
func (*knocked) report()   {}
func (received) report()   {}
func (broken) report()     {}
func (registered) report() {}
func (evaluated) report()  {}

const (
	// againMax bounds the pause before a client starts over: what has changed may
	// change once more.
	againMax  = 2 * time.Second
	inboxSize = 64 // reports waiting for the loop; workers wait when it is full
)

// errMoved is why a life ends whose address has changed, and errReset of one
// whose identity was taken away; the next life begins at once.
var (
	errMoved = errors.New("the machine's address has changed")
	errReset = errors.New("the machine is enrolled anew")
)

// native returns the catalogue of native sensors, which never changes: all
// clients of one process share it.
var native = sync.OnceValues(func() (*sensor.Catalogue, error) { return sensor.NewCatalogue(sensor.Builtin()) })

// New opens the client's state and its listening socket.
func New(cfg Config, log *slog.Logger) (*Client, error) {
	ca, err := cfg.Init.Authority()
	if err != nil {
		return nil, err
	}
	st, err := openState(cfg.StateDir)
	if err != nil {
		return nil, err
	}
	catalogue, err := native()
	if err != nil {
		return nil, err
	}
	held, err := openQuarantine(filepath.Join(cfg.StateDir, quarantineFile))
	if err != nil {
		log.Warn("the quarantine of sensors begins anew", "because", err)
	}
	ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(cfg.Listen))
	if err != nil {
		return nil, fmt.Errorf("listen for neighbours: %w", err)
	}
	return &Client{
		cfg: cfg, log: log, state: st, listen: ln, sensor: catalogue,
		trust:       link.Trust{Installation: cfg.Init.Installation, Authority: ca},
		servers:     newServers(cfg.Init.Servers),
		evaluations: make(chan struct{}, evaluationsMax),
		quarantine:  held,
	}, nil
}

// Run keeps the client in its chain until ctx ends. When it returns, every
// goroutine it started has ended and every connection is closed.
func (c *Client) Run(ctx context.Context) error {
	defer c.listen.Close()
	for {
		err := c.enrol(ctx)
		if err == nil {
			err = c.live(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errMoved), errors.Is(err, errReset):
			c.log.Info("starting over", "because", err)
			// The next life counts its registrations from 1 again: as a new start.
			c.state.who.Incarnation++
			if err := c.state.save(); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(rand.N(againMax)):
			}
		default:
			return err
		}
	}
}

// live is one life of a node, at one address with one identity.
func (c *Client) live(ctx context.Context) error {
	self, err := c.place()
	if err != nil {
		return err
	}
	if c.ring, err = c.cfg.Init.Ring(); err != nil {
		return err
	}
	c.from = self.Addr.Addr()
	c.computerID.Store(c.state.who.ComputerID)
	c.standing.Store(&standing{})
	c.answered.Store(0)
	c.cache = newCache()
	c.probe = probe.New(c.self(self))
	c.cert.Store(c.state.certificate())
	c.inbox = make(chan report, inboxSize)
	c.conns, c.knocks, c.doors = map[chain.Conn]*conn{}, 1, map[chain.Conn]*link.Link{}
	c.server, c.sessions = netip.AddrPort{}, &sessions{}
	c.node = node.New(node.Config{
		Place: self, Incarnation: c.state.who.Incarnation,
		Name: c.name(), Program: c.cfg.Version, Platform: platform(),
		Ring: c.ring, Seed: rand.Uint64(),
	})
	c.log.Info("client started", "id", self.ID, "address", self.Addr, "name", c.name())

	ctx, cancel := context.WithCancelCause(ctx)
	defer c.worker.Wait() // 3. and nobody outlives this life
	defer c.closeAll()    // 2. their reads end
	defer cancel(nil)     // 1. all workers hear of it
	c.worker.Go(func() { c.accept(ctx) })
	return c.loop(ctx, cancel)
}

// loop owns the node until the life ends, by ctx or by cancel.
func (c *Client) loop(ctx context.Context, cancel context.CancelCauseFunc) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case r := <-c.inbox:
			c.take(ctx, cancel, r)
		case <-timer.C:
			c.step(ctx, node.Tick{})
		}
		timer.Reset(time.Until(c.node.Deadline()))
	}
}

// tell hands a report to the loop, unless the life it belongs to is over.
func (c *Client) tell(ctx context.Context, r report) bool {
	select {
	case c.inbox <- r:
		return true
	case <-ctx.Done():
		return false
	}
}

// place is where the client stands: the address from which it reaches the first
// server of its list, and the port on which it listens. So all clients of a LAN
// that has IPv4 and IPv6 stand in one of the two, where they can.
func (c *Client) place() (endpoint.Place, error) {
	port := uint16(c.listen.Addr().(*net.TCPAddr).Port)
	addr, err := c.cfg.Source, error(nil)
	if !addr.IsValid() {
		if addr, err = c.outbound(); err != nil {
			return endpoint.Place{}, fmt.Errorf("find this machine's address: %w", err)
		}
	}
	return endpoint.Place{Addr: netip.AddrPortFrom(addr, port), ID: c.state.who.ID}, nil
}

// outbound asks the system for the address from which it would reach the server
// that only another address than the last could, or else the first of the list
// to which there is a way; no packet is sent.
func (c *Client) outbound() (netip.Addr, error) {
	list := c.cfg.Init.Servers
	if c.reached != "" {
		list = append([]string{c.reached}, list...)
	}
	var errs []error
	for _, server := range list {
		probe, err := net.Dial("udp", server)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		addr := probe.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
		return addr, probe.Close()
	}
	return netip.Addr{}, errors.Join(errs...)
}

func (c *Client) closeAll() {
	for _, k := range c.conns {
		k.cancel()
		if k.link != nil {
			k.link.Close()
		}
	}
	for _, l := range c.doors {
		l.Close()
	}
	c.closeCourier()
}

// renew keeps a certificate that the server has issued.
func (c *Client) renew(der []byte) error {
	if _, err := x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("renewed certificate: %w", err)
	}
	c.state.who.Certificate = der
	if err := c.state.save(); err != nil {
		return err
	}
	c.cert.Store(c.state.certificate())
	return nil
}

func platform() string {
	switch runtime.GOOS {
	case "windows":
		return string(sensor.Windows)
	case "darwin":
		return string(sensor.Mac)
	}
	return string(sensor.Linux)
}
