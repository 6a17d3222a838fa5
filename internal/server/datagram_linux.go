package server

import (
	"errors"
	"net"

	"golang.org/x/sys/unix"
)

// A server with several addresses that listens at all of them must reply from
// the one that it was asked at: clients take a reply from nowhere else, and nor
// do firewalls.

// tellDestination lets the system say with each datagram which of our addresses
// it was for.
func tellDestination(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		// A socket of IPv6 serves IPv4 too, and then says it in IPv6's way.
		if failed = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1); failed != nil {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_PKTINFO, 1)
		}
	})
	return errors.Join(err, failed)
}

// fromDestination is what makes the reply leave from the address that control,
// which came with the request, tells of.
func fromDestination(control []byte) []byte {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil // the system then chooses, as it would have without
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.SOL_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			// Interface (4 bytes), our address (4), the address in the packet (4).
			return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: [4]byte(m.Data[4:])})
		case m.Header.Level == unix.SOL_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: [16]byte(m.Data)})
		}
	}
	return nil
}
