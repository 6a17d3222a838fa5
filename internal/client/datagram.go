package client

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/node"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

const (
	// A datagram that is not answered for datagramWait is sent once more, as it
	// is: the server knows it again by that.
	datagramWait  = time.Second
	datagramTries = 2
	// datagramsMax bounds what else may come in while we wait.
	datagramsMax = 256
)

// A courier carries datagrams to one server and back. The loop owns it, and at
// most one exchange at a time uses it.
type courier struct {
	server netip.AddrPort
	conn   *net.UDPConn
}

// courierTo returns the courier to the server that the client registered with
// last.
func (c *Client) courierTo(server netip.AddrPort) (*courier, error) {
	if c.courier != nil && c.courier.server == server {
		return c.courier, nil
	}
	c.closeCourier()
	var from *net.UDPAddr
	if c.from.IsValid() {
		from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.from, 0))
	}
	conn, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(server))
	if err != nil {
		return nil, err
	}
	c.courier = &courier{server, conn}
	return c.courier, nil
}

func (c *Client) closeCourier() {
	if c.courier != nil {
		c.courier.conn.Close()
		c.courier = nil
	}
}

// errUnanswered: the datagram, its reply, or the server is lost.
var errUnanswered = errors.New("no answer by datagram")

// A comeError is a notice: the server has no key for us.
type comeError struct{ after time.Duration }

func (e *comeError) Error() string { return fmt.Sprintf("asked to come over TLS in %v", e.after) }

// exchange sends a registration and waits for its reply.
func (x *courier) exchange(ctx context.Context, id endpoint.ID, key node.Key, req wire.Register) (wire.Registered, error) {
	var chance [16]byte
	rand.Read(chance[:]) // never fails: crypto/rand ends the program instead
	r := wire.NewRequest(key.Key.Box(seal.RegistrationRequest), chance, id, wire.KeyName(key.Name), req)
	box := key.Key.Box(seal.RegistrationReply)
	for range datagramTries {
		if _, err := x.conn.Write(r.Bytes()); err != nil {
			continue // what the system says here may be about an earlier one
		}
		reply, err := x.await(r, box)
		if !errors.Is(err, errUnanswered) || ctx.Err() != nil {
			return reply, err
		}
	}
	return wire.Registered{}, errUnanswered
}

// await reads until the reply to the request has come or its time is over. A
// notice is believed only if no reply comes: anybody on the way can send one.
func (x *courier) await(r wire.Request, box seal.Box) (wire.Registered, error) {
	if err := x.conn.SetReadDeadline(time.Now().Add(datagramWait)); err != nil {
		return wire.Registered{}, fmt.Errorf("%w: %w", errUnanswered, err)
	}
	outcome := errUnanswered
	b := make([]byte, wire.DatagramMax+1)
	for range datagramsMax {
		n, err := x.conn.Read(b)
		var failed net.Error
		switch {
		case errors.As(err, &failed) && failed.Timeout(), errors.Is(err, net.ErrClosed):
			return wire.Registered{}, outcome
		case err != nil:
			continue // somebody on the way says that nobody is there
		}
		if after, ok := r.ReadNotice(b[:n]); ok {
			outcome = &comeError{after}
			continue
		}
		m, err := r.ReadReply(box, b[:n])
		if err != nil {
			continue // to an earlier request, or not from the server
		}
		switch m := m.(type) {
		case wire.Registered:
			return m, nil
		case wire.Refused:
			return wire.Registered{}, &link.RefusedError{Refused: m}
		}
	}
	return wire.Registered{}, outcome
}
