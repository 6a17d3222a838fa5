package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"catenary/internal/seal"
	"catenary/internal/wire"
)

const (
	// datagramReaders take datagrams side by side: each waits for the hub.
	datagramReaders = 8
	// datagramBuffer is what the system may hold for them, in bytes: half a
	// second of a million clients. It gives what it allows.
	datagramBuffer = 8 << 20
	// noticesMax bounds the notices of one second, to clients whose key is not
	// known: all of a million, if every key is lost.
	noticesMax = 20_000

	// portTries bounds the search for a port that is free for both protocols, if
	// the operator leaves the choice to the system.
	portTries = 16

	readPause = 100 * time.Millisecond // after a failure that is not about one datagram
)

// Why a datagram got no reply, or only a notice, as the metrics name it.
const (
	droppedMalformed  = "malformed"
	droppedUnknownKey = "unknown key"
	droppedElsewhere  = "elsewhere"
	droppedForged     = "forged"
	droppedRepeated   = "repeated"
	droppedLate       = "too late"
)

// listenBoth opens the port of clients: for connections, and for datagrams.
func listenBoth(addr *net.TCPAddr) (*net.TCPListener, *net.UDPConn, error) {
	for try := 1; ; try++ {
		tcp, err := net.ListenTCP("tcp", addr)
		if err != nil {
			return nil, nil, fmt.Errorf("listen for clients: %w", err)
		}
		at := tcp.Addr().(*net.TCPAddr)
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: addr.IP, Port: at.Port, Zone: addr.Zone})
		if err == nil {
			if err = errors.Join(udp.SetReadBuffer(datagramBuffer), tellDestination(udp)); err == nil {
				return tcp, udp, nil
			}
			err = errors.Join(err, udp.Close())
		}
		if err = errors.Join(err, tcp.Close()); addr.Port != 0 || try == portTries {
			return nil, nil, fmt.Errorf("listen for datagrams of clients at %v: %w", at, err)
		}
	}
}

// serveDatagrams answers registrations by datagram until ctx ends.
func (s *Server) serveDatagrams(ctx context.Context) {
	var readers sync.WaitGroup
	for range datagramReaders {
		readers.Go(func() { s.readDatagrams(ctx) })
	}
	<-ctx.Done()
	s.datagrams.Close() // ends the reading
	readers.Wait()
}

func (s *Server) readDatagrams(ctx context.Context) {
	in, out, control := make([]byte, wire.DatagramMax+1), make([]byte, 0, wire.DatagramMax), make([]byte, 128)
	for {
		n, nc, _, from, err := s.datagrams.ReadMsgUDPAddrPort(in, control)
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.log.Warn("cannot read datagrams", "because", err)
			select {
			case <-ctx.Done():
			case <-time.After(readPause):
			}
			continue
		}
		out = s.answerDatagram(ctx, time.Now(), from.Addr().Unmap(), in[:n], out[:0])
		if len(out) == 0 {
			continue
		}
		if _, _, err := s.datagrams.WriteMsgUDPAddrPort(out, fromDestination(control[:nc]), from); err != nil && ctx.Err() == nil {
			s.log.Debug("datagram not answered", "to", from, "because", err)
		}
	}
}

// answerDatagram registers who has sent the datagram and appends what to reply;
// nothing if it is not worth one.
func (s *Server) answerDatagram(ctx context.Context, now time.Time, from netip.Addr, in, out []byte) []byte {
	r, err := wire.ParseRequest(in)
	if err != nil {
		s.dropped(droppedMalformed, from, err)
		return out
	}
	name := seal.KeyName(r.Key)
	key, err := s.secrets.key(now, r.Client, name, from)
	switch {
	case errors.Is(err, errKeyUnknown):
		s.dropped(droppedUnknownKey, from, err)
		if !s.notices.may(now) {
			return out
		}
		return r.Notice(out, s.turns.next(now))
	case err != nil:
		s.dropped(droppedElsewhere, from, err)
		return out
	}
	m, err := r.Open(key.Box(seal.RegistrationRequest))
	if err != nil {
		s.dropped(droppedForged, from, err)
		return out
	}
	reply, err := s.place(ctx, call{way: byDatagram, id: r.Client, from: from, nonce: r.Nonce()}, m)
	var no refusal
	var answer wire.Message
	switch {
	case errors.Is(err, errSilent):
		s.dropped(droppedRepeated, from, err)
		return out
	case errors.As(err, &no):
		s.log.Info("registration refused", "client", r.Client, "way", byDatagram, "because", err)
		if answer = no.Refused; !r.Fits(answer) {
			answer = wire.Refused{Reason: no.Reason}
		}
	case err != nil:
		s.dropped(droppedLate, from, err)
		return out
	default:
		reply = s.fit(now, r, m.IsBrief(), reply)
		answer = reply
	}
	s.count(byDatagram, reply, err)
	var chance [16]byte
	rand.Read(chance[:]) // never fails: crypto/rand ends the program instead
	return r.Reply(out, key.Box(seal.RegistrationReply), chance, answer)
}

func (s *Server) dropped(why string, from netip.Addr, err error) {
	s.metrics.dropped.WithLabelValues(why).Inc()
	s.log.Debug("datagram dropped", "from", from, "why", why, "because", err)
}

// fit makes a reply that the datagram may be answered with. Who has said little
// is first asked to say everything, which leaves more room; then questions are
// left out, then the farther peers, and the client is asked to come over TLS. It
// is told all that is left out there, or again.
func (s *Server) fit(now time.Time, r wire.Request, brief bool, m wire.Registered) wire.Registered {
	if r.Fits(m) {
		return m
	}
	if brief {
		return wire.Registered{Again: true, Now: m.Now}
	}
	m.Questions, m.Come = nil, s.turns.next(now)
	for !r.Fits(m) && len(m.Back)+len(m.Fore)+len(m.Across) > 0 {
		m.Peers = 0 // these are not the lists that it names
		m.Back, m.Fore, m.Across = m.Back[:len(m.Back)/2], m.Fore[:len(m.Fore)/2], m.Across[:len(m.Across)/2]
	}
	if !r.Fits(m) {
		return wire.Registered{Again: true, Come: m.Come, Now: m.Now}
	}
	return m
}

// A quota lets so much happen in a second.
type quota struct {
	most int

	mu     sync.Mutex // guards the fields below
	second int64
	left   int
}

func (q *quota) may(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if t := now.Unix(); t != q.second {
		q.second, q.left = t, q.most
	}
	q.left--
	return q.left >= 0
}
