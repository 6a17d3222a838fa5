package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/node"
	"catenary/internal/wire"
)

const (
	connectTimeout   = 5 * time.Second  // TCP, to a peer or the server; the node gives most dials less
	handshakeTimeout = 60 * time.Second // TLS and Hello, either way: as long as a node waits for who has been reached
	handshakesMax    = 64               // knocks that may be unproven at once; more are closed
)

// connect makes a TLS connection, from the given address if it is valid. It calls
// answered, unless that is nil, when the other end's system has answered.
func (c *Client) connect(ctx context.Context, from netip.Addr, to string, cfg *tls.Config, answered func()) (*tls.Conn, error) {
	d := net.Dialer{Timeout: connectTimeout, KeepAliveConfig: link.KeepAlive}
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	raw, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return nil, err
	}
	if err := link.Harden(raw.(*net.TCPConn)); err != nil {
		return nil, errors.Join(err, raw.Close())
	}
	patience := exchangeTimeout
	if answered != nil {
		answered()
		patience = handshakeTimeout
	}
	conn := tls.Client(raw, cfg)
	hctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := conn.HandshakeContext(hctx); err != nil {
		return nil, errors.Join(fmt.Errorf("tls handshake with %s: %w", to, err), ignoreClosed(raw.Close()))
	}
	return conn, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// toServer connects to the first server of the list that can be reached,
// starting with the one that has failed least.
func (c *Client) toServer(ctx context.Context, protocol string, cert *tls.Certificate, answered func()) (*tls.Conn, error) {
	var errs []error
	for _, server := range c.servers.order() {
		conn, err := c.connect(ctx, c.from, server, c.trust.ToServer(protocol, cert), answered)
		if err == nil {
			return conn, nil
		}
		c.servers.failed(server)
		errs = append(errs, fmt.Errorf("server %s: %w", server, err))
	}
	return nil, errors.Join(errs...)
}

func (c *Client) dial(ctx context.Context, ef node.Dial) {
	ctx, cancel := context.WithCancel(ctx)
	k := &conn{id: ef.Conn, cancel: cancel, server: ef.Peer == chain.Server}
	c.conns[k.id] = k
	c.worker.Go(func() {
		defer cancel()
		l, reply, err := c.greet(ctx, ef, func() { c.tell(ctx, reached{k}) })
		if !c.tell(ctx, dialled{k, l, reply, err}) && l != nil {
			l.Close()
		}
	})
}

// greet connects and says Hello, and returns once the other side has admitted us.
func (c *Client) greet(ctx context.Context, ef node.Dial, answered func()) (*link.Link, wire.HelloOK, error) {
	var raw *tls.Conn
	var reply wire.HelloOK
	var err error
	if ef.Peer == chain.Server {
		raw, err = c.toServer(ctx, link.ProtocolLeader, c.cert.Load(), answered)
	} else {
		// Peers let nobody in who says to be elsewhere than he dials from.
		raw, err = c.connect(ctx, ef.Hello.Place.Addr.Addr(), ef.Peer.Place.Addr.String(), c.trust.ToPeer(c.cert.Load(), ef.Peer.Place.ID), answered)
	}
	if err != nil {
		return nil, reply, err
	}
	l := link.New(raw)
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if err = l.Write(ef.Hello, handshakeTimeout); err == nil {
		reply, err = link.Expect[wire.HelloOK](l, handshakeTimeout)
	}
	if err != nil {
		l.Close()
		return nil, reply, err
	}
	return l, reply, nil
}

// accept takes the connections of other clients until ctx ends.
func (c *Client) accept(ctx context.Context) {
	if err := c.listen.SetDeadline(time.Time{}); err != nil { // as the last life left it
		c.log.Error("cannot accept neighbours", "because", err)
		return
	}
	cfg := c.trust.FromPeers(c.cert.Load)
	link.Accept(ctx, c.listen, handshakesMax, &c.worker, c.log, func(raw *net.TCPConn, proved func()) {
		defer proved()
		c.prove(ctx, raw, cfg)
	})
}

// prove finds out who has connected, and lets the loop decide.
func (c *Client) prove(ctx context.Context, raw *net.TCPConn, cfg *tls.Config) {
	from := raw.RemoteAddr()
	l, hello, err := c.meet(ctx, raw, cfg)
	if err != nil {
		raw.Close()
		if ctx.Err() == nil {
			c.log.Log(ctx, link.LogLevel(err), "connection refused", "from", from, "because", err)
		}
		return
	}
	if !c.tell(ctx, &knocked{l, hello}) {
		l.Close()
	}
}

func (c *Client) meet(ctx context.Context, raw *net.TCPConn, cfg *tls.Config) (*link.Link, wire.Hello, error) {
	if err := link.Harden(raw); err != nil {
		return nil, wire.Hello{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	conn := tls.Server(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, wire.Hello{}, err
	}
	id, err := c.trust.Peer(conn)
	if err != nil {
		return nil, wire.Hello{}, err
	}
	l := link.New(conn)
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	hello, err := link.Expect[wire.Hello](l, handshakeTimeout)
	switch {
	case err != nil:
		return nil, hello, err
	case hello.Version != wire.Version:
		err = fmt.Errorf("protocol version %d is not ours, %d", hello.Version, wire.Version)
	case hello.Place.ID != id.Client || hello.Place.ID == (endpoint.ID{}):
		err = fmt.Errorf("the Hello names client %v, the certificate %v", hello.Place.ID, id.Client)
	case hello.Place.Addr.Addr() != raw.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap():
		err = fmt.Errorf("the Hello says %v, the connection comes from %v", hello.Place.Addr.Addr(), raw.RemoteAddr())
	default:
		return l, hello, nil
	}
	return nil, hello, errors.Join(err, l.Write(wire.Refused{Reason: wire.Malformed, Text: err.Error()}, refuseTimeout))
}
