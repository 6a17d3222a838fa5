package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/link"
	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/wire"
)

const (
	handshakeTimeout = 10 * time.Second // TLS and the first message; many may come at once
	replyTimeout     = 10 * time.Second // writing a reply
	connectionsMax   = 4096             // connections that have not yet proved who they are
)

// accept takes connections until ctx ends.
func (s *Server) accept(ctx context.Context, cfg *tls.Config) {
	link.Accept(ctx, s.listen, connectionsMax, &s.worker, s.log, func(raw *net.TCPConn, proved func()) {
		defer raw.Close()
		if err := s.serve(ctx, raw, cfg, proved); err != nil && ctx.Err() == nil {
			s.log.Log(ctx, link.LogLevel(err), "client connection ended", "from", raw.RemoteAddr(), "because", err)
		}
	})
}

// serve proves who has connected and does what its protocol is for. proved is
// called when the connection no longer counts as unproven.
func (s *Server) serve(ctx context.Context, raw *net.TCPConn, cfg *tls.Config, proved func()) error {
	defer proved()
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	if err := link.Harden(raw); err != nil {
		return err
	}
	conn := tls.Server(raw, cfg)
	hctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	err := conn.HandshakeContext(hctx)
	cancel()
	if err != nil {
		return fmt.Errorf("tls handshake: %w", err)
	}
	from := raw.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	l := link.New(conn)
	switch protocol := conn.ConnectionState().NegotiatedProtocol; protocol {
	case link.ProtocolEnrol:
		return s.enrol(ctx, l, from)
	case link.ProtocolRegister:
		return s.registerTLS(ctx, l, conn, from)
	case link.ProtocolLeader:
		return s.lead(ctx, l, conn, from, proved)
	default:
		return fmt.Errorf("protocol %q is not served here", protocol)
	}
}

// decline says a refusal to the client, and returns the error for the log.
func decline(l *link.Link, err error) error {
	var r refusal
	if !errors.As(err, &r) {
		r.Refused = wire.Refused{Reason: wire.TryLater, Text: "the server cannot do this now"}
	}
	return errors.Join(err, l.Write(r.Refused, replyTimeout))
}

// enrol gives a machine an identity for a secret.
func (s *Server) enrol(ctx context.Context, l *link.Link, from netip.Addr) error {
	m, err := link.Expect[wire.Enrol](l, handshakeTimeout)
	if err != nil {
		return decline(l, malformed(err))
	}
	reply, err := s.admit(ctx, m)
	if err != nil {
		s.metrics.enrolments.WithLabelValues("refused").Inc()
		return decline(l, fmt.Errorf("enrolment of %q: %w", m.Name, err))
	}
	s.metrics.enrolments.WithLabelValues("accepted").Inc()
	s.log.Info("machine enrolled", "name", m.Name, "client", reply.ID, "from", from)
	return l.Write(reply, replyTimeout)
}

// malformed is how a message that cannot be read is refused.
func malformed(err error) error {
	return errors.Join(refuse(wire.Malformed, "cannot read this: %v", err), err)
}

// admitTries bounds the search for a computer ID that nobody has.
const admitTries = 8

func (s *Server) admit(ctx context.Context, m wire.Enrol) (wire.Enrolled, error) {
	now := time.Now()
	if m.Version != wire.Version {
		return wire.Enrolled{}, refuse(wire.Forbidden, "protocol version %d is not served here; this server speaks %d", m.Version, wire.Version)
	}
	for range admitTries {
		var id endpoint.ID
		var number [4]byte
		rand.Read(id[:]) // never fails: crypto/rand ends the program instead
		rand.Read(number[:])
		cert, err := s.keys.Issue(now, m.Key, link.Identity{Installation: s.keys.Installation, Client: id})
		if err != nil {
			return wire.Enrolled{}, refuse(wire.Malformed, "%v", err)
		}
		c := store.Client{
			// Some programs read computer IDs as signed 32-bit numbers.
			ID: id, ComputerID: binary.BigEndian.Uint32(number[:])>>1 | 1, Name: m.Name,
			Key: keyHash(m.Key), Enrolled: now,
		}
		e := &store.Enrolment{Secret: store.HashOf(string(m.Secret)), Client: c}
		if err = s.enrolments.add(ctx, e); err == nil {
			err = e.Err
		}
		switch fault.KindOf(err) {
		case fault.Conflict:
			continue
		case fault.Denied:
			return wire.Enrolled{}, refuse(wire.Forbidden, "%v", err)
		}
		if err != nil {
			return wire.Enrolled{}, err
		}
		return wire.Enrolled{ID: id, ComputerID: c.ComputerID, Certificate: cert}, s.do(ctx, func(h *hub) { h.enrolled(c) })
	}
	return wire.Enrolled{}, refuse(wire.Forbidden, "this key is enrolled already")
}

// renew issues a new certificate for the key that was enrolled.
func (s *Server) renew(pkix []byte, enrolled store.Hash, who link.Identity) ([]byte, error) {
	if keyHash(pkix) != enrolled {
		return nil, refuse(wire.Forbidden, "a certificate is renewed only for the key that was enrolled")
	}
	return s.keys.Issue(time.Now(), pkix, who)
}

// lead serves an end of a chain until its connection ends.
func (s *Server) lead(ctx context.Context, raw *link.Link, conn *tls.Conn, from netip.Addr, proved func()) error {
	who, err := s.trust.Peer(conn)
	var hello wire.Hello
	if err == nil {
		hello, err = link.Expect[wire.Hello](raw, handshakeTimeout)
	}
	proved()
	switch {
	case err != nil:
		return err
	case hello.Version != wire.Version || hello.Place.ID != who.Client,
		hello.Role != wire.BackwardLeader && hello.Role != wire.ForwardLeader && hello.Role != wire.Witness:
		return decline(raw, refuse(wire.Malformed, "Hello of version %d and role %d for client %v", hello.Version, hello.Role, hello.Place.ID))
	}
	l := &leader{id: who.Client, role: hello.Role, link: raw, place: hello.Place, known: hello.Known}
	if doErr := s.do(ctx, func(h *hub) {
		if l.lan = h.roster.Speaks(hello.Place, from); hello.LAN != roster.Tag(l.lan) {
			err = refuse(wire.TryLater, "this client is in %v now: it is to register first", l.lan)
		} else if err = raw.Send(wire.HelloOK{Incarnation: 1}); err == nil {
			h.lead(time.Now(), l)
		}
	}); doErr != nil || err != nil {
		return errors.Join(doErr, decline(raw, err))
	}
	cert := keyHash(conn.ConnectionState().PeerCertificates[0].RawSubjectPublicKeyInfo)
	by := call{way: byLeader, id: who.Client, from: from, cert: &cert}
	var wrong error
	err = raw.Run(ctx, func(m wire.Message) {
		if reg, ok := m.(wire.Register); ok && l.role != wire.Witness {
			wrong = s.registerLeader(ctx, raw, by, reg)
		} else {
			wrong = s.heard(ctx, l, m)
		}
		if wrong != nil {
			raw.Close()
		}
	})
	in, out := raw.Bytes()
	s.metrics.bytes.WithLabelValues("in").Add(float64(in))
	s.metrics.bytes.WithLabelValues("out").Add(float64(out))
	// The hub may be gone already; then there is nothing to leave.
	if leaveErr := s.do(context.WithoutCancel(ctx), func(h *hub) { h.leave(l) }); leaveErr != nil {
		return leaveErr
	}
	s.log.Debug("leader left", "client", l.id, "role", roleName(l.role), "because", err)
	return wrong
}

func roleName(r wire.Role) string {
	switch r {
	case wire.BackwardLeader:
		return "backward leader"
	case wire.Witness:
		return "witness"
	}
	return "forward leader"
}
