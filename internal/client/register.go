package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"catenary/internal/link"
	"catenary/internal/node"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/wire"
)

const (
	exchangeTimeout = 15 * time.Second // a request to the server and its reply
	enrolMin        = 2 * time.Second  // first wait after a failed enrolment
	enrolMax        = 5 * time.Minute  // and its longest
)

// servers is the list of the installation's servers and how often each has
// failed. A client starts with a random one and prefers those that failed
// least.
type servers struct {
	mu    sync.Mutex // guards the fields below
	list  []string
	fails map[string]int
}

func newServers(list []string) *servers {
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return &servers{list: list, fails: map[string]int{}}
}

func (s *servers) order() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.list, func(a, b string) int { return s.fails[a] - s.fails[b] })
	return slices.Clone(s.list)
}

func (s *servers) failed(server string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fails[server]++
}

// register sends a registration; the loop hears of the outcome, or of the reply
// as a message.
func (c *Client) register(ctx context.Context, ef node.Register) {
	c.tellOfSensors(&ef)
	switch ef.Way {
	case node.ByLeader:
		if k := c.conns[ef.Conn]; k != nil {
			c.send(k, ef.Request)
		}
	case node.ByDatagram:
		id, server := c.state.who.ID, c.server
		x, err := c.courierTo(server)
		c.worker.Go(func() {
			out := registered{server: server}
			if err != nil {
				out.err = fmt.Errorf("%w: %w", errUnanswered, err)
			} else {
				out.reply, out.err = x.exchange(ctx, id, ef.Key, ef.Request)
			}
			c.tell(ctx, out)
		})
	case node.ByTLS:
		if req := &ef.Request; c.renewalDue() {
			key, err := c.state.publicKey()
			if err != nil {
				c.log.Warn("certificate not renewed", "because", err)
			}
			req.RenewalKey = key
		}
		c.worker.Go(func() { c.tell(ctx, c.registerTLS(ctx, ef.Request)) })
	}
}

// tellOfSensors adds to a registration how long sensors have run and which are
// not run any more, if there is room.
func (c *Client) tellOfSensors(ef *node.Register) {
	with := ef.Request
	c.quarantine.tells(&with)
	fits := func() bool { return ef.Way != node.ByDatagram || wire.FitsDatagram(with) }
	if !fits() {
		return
	}
	ef.Request = with
	if with.Runs = c.runs.report(time.Now()); fits() {
		ef.Request = with
	}
}

// heardOfSensors notes that a registration was taken, and goes by the rules that
// the reply brings.
func (c *Client) heardOfSensors(m wire.Registered) {
	if m.Again {
		return
	}
	now := time.Now()
	c.runs.heard(now)
	if len(m.Rules) == 0 {
		return
	}
	payload, err := c.ring.Open(m.Now, seal.Rules, m.Rules)
	var rules sensor.Rules
	if err == nil {
		rules, err = sensor.DecodeRules(payload)
	}
	if err == nil {
		err = c.quarantine.take(rules)
	}
	if err != nil {
		c.log.Warn("rules for slow sensors left alone", "because", err)
	}
}

// registerTLS registers at the first server of the list that can be reached.
func (c *Client) registerTLS(ctx context.Context, req wire.Register) registered {
	var errs []error
	for _, server := range c.servers.order() {
		cfg := c.trust.ToRegister(c.cert.Load(), c.sessions.of(server))
		conn, err := c.connect(ctx, c.from, server, cfg, nil)
		if err != nil {
			c.servers.failed(server)
			errs = append(errs, fmt.Errorf("server %s: %w", server, err))
			continue
		}
		reply, err := c.exchange(ctx, conn, req)
		return registered{reply: reply, err: err, server: conn.RemoteAddr().(*net.TCPAddr).AddrPort()}
	}
	if server := c.elsewhere(ctx); server != "" {
		return registered{err: errMoved, reached: server}
	}
	return registered{err: errors.Join(errs...)}
}

// elsewhere looks whether a server can be reached from another address than
// that of this life, which the machine may have lost.
func (c *Client) elsewhere(ctx context.Context) (server string) {
	if c.cfg.Source.IsValid() {
		return ""
	}
	for _, server := range c.servers.order() {
		d := net.Dialer{Timeout: connectTimeout}
		conn, err := d.DialContext(ctx, "tcp", server)
		if err != nil {
			continue
		}
		at := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if conn.Close(); at != c.from {
			return server
		}
	}
	return ""
}

// sessions are those that a life may resume, with each server of its own: what
// one server has sealed the other cannot open.
type sessions struct {
	mu    sync.Mutex // guards the field below
	cache map[string]tls.ClientSessionCache
}

func (s *sessions) of(server string) tls.ClientSessionCache {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cache == nil {
		s.cache = map[string]tls.ClientSessionCache{}
	}
	if s.cache[server] == nil {
		s.cache[server] = tls.NewLRUClientSessionCache(1)
	}
	return s.cache[server]
}

func (c *Client) exchange(ctx context.Context, conn *tls.Conn, req wire.Register) (wire.Registered, error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	l := link.New(conn)
	if err := l.Write(req, exchangeTimeout); err != nil {
		return wire.Registered{}, err
	}
	return link.Expect[wire.Registered](l, exchangeTimeout)
}

// renewalDue reports whether more than half of the certificate's life is over.
func (c *Client) renewalDue() bool {
	cert, err := x509.ParseCertificate(c.state.who.Certificate)
	if err != nil {
		return true
	}
	return time.Now().After(cert.NotBefore.Add(cert.NotAfter.Sub(cert.NotBefore) / 2))
}

// enrol gets an identity, unless the machine has one. It tries until it
// succeeds or ctx ends; each new reason for failure is logged once.
func (c *Client) enrol(ctx context.Context) error {
	c.from = c.cfg.Source
	last := ""
	for wait := enrolMin; len(c.state.who.Certificate) == 0; wait = min(2*wait, enrolMax) {
		err := c.enrolOnce(ctx)
		if err == nil {
			return nil
		}
		if text := err.Error(); text != last && ctx.Err() == nil {
			last = text
			c.log.Warn("not enrolled; trying again", "because", err, "next", advice(err))
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(rand.N(wait)):
		}
	}
	return nil
}

// advice is what an operator can do about a failed enrolment.
func advice(err error) string {
	var refused *link.RefusedError
	if errors.As(err, &refused) && refused.Reason == wire.Forbidden {
		return "put a fresh catenary-init.dat on this machine"
	}
	if strings.Contains(err.Error(), "certificate") {
		return "check that catenary-init.dat belongs to this server"
	}
	return "check that the server runs and that its port can be reached"
}

func (c *Client) enrolOnce(ctx context.Context) error {
	key, err := c.state.publicKey()
	if err != nil {
		return err
	}
	conn, err := c.toServer(ctx, link.ProtocolEnrol, nil, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	l := link.New(conn)
	req := wire.Enrol{Version: wire.Version, Secret: c.cfg.Init.Secret, Key: key, Name: c.name()}
	if err := l.Write(req, exchangeTimeout); err != nil {
		return err
	}
	reply, err := link.Expect[wire.Enrolled](l, exchangeTimeout)
	if err != nil {
		return err
	}
	if _, err := x509.ParseCertificate(reply.Certificate); err != nil {
		return err
	}
	c.state.who.ID, c.state.who.ComputerID = reply.ID, reply.ComputerID
	c.state.who.Certificate = reply.Certificate
	return c.state.save()
}
