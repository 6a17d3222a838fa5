package wire

import (
	"errors"
	"fmt"
	"net/netip"

	"catenary/internal/endpoint"
	"catenary/internal/field"
)

// A list of places is one string of bytes, in which each entry says only what
// differs from the one before it: neighbours in a LAN share all but the last
// bytes of their address, and nearly always the port. An entry is one byte that
// counts the leading bytes of the address that are the same, plus samePort if
// the port is too; the rest of the address; the port unless it is the same; and
// the client's ID. The first entry follows one of port 0 at ::ffff:0:0, so that
// IPv4 costs no more than it must.

const (
	samePort = 0x80
	placeMin = 1 + len(endpoint.ID{}) // bytes of the shortest entry
	// placesHead is what the first entry of a list has more, in bytes; the others
	// have one, as a rule.
	placesHead = 16 + 2
)

// before is what the first entry of a list follows.
var before = netip.AddrPortFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), 0)

func putPlaces(b []byte, num field.Number, list []endpoint.Place) []byte {
	if len(list) == 0 {
		return b
	}
	v := make([]byte, 0, placesHead+len(list)*(placeMin+1))
	last := before
	for _, p := range list {
		a, was := p.Addr.Addr().As16(), last.Addr().As16()
		same := 0
		for same < len(a) && a[same] == was[same] {
			same++
		}
		if p.Addr.Port() == last.Port() {
			v = append(v, byte(same)|samePort)
			v = append(v, a[same:]...)
		} else {
			v = append(v, byte(same))
			v = append(v, a[same:]...)
			v = append(v, byte(p.Addr.Port()>>8), byte(p.Addr.Port()))
		}
		v = append(v, p.ID[:]...)
		last = p.Addr
	}
	return field.AppendBytes(b, num, v)
}

func (x value) places(to *[]endpoint.Place) error {
	if *to != nil {
		return errors.New("list is said twice")
	}
	last := before
	if n := len(x.B) / placeMin; n > 0 {
		*to = make([]endpoint.Place, 0, min(n, peersMax))
	}
	for b := x.B; len(b) > 0; {
		if len(*to) == peersMax {
			return fmt.Errorf("more than %d peers", peersMax)
		}
		p, rest, ok := takePlace(b, last)
		if !ok {
			return errors.New("broken place")
		}
		*to = append(*to, p)
		last, b = p.Addr, rest
	}
	return x.Want(2)
}

// takePlace reads one entry of a list.
func takePlace(b []byte, last netip.AddrPort) (p endpoint.Place, rest []byte, ok bool) {
	head, port := b[0], last.Port()
	same := int(head &^ samePort)
	addr, b := last.Addr().As16(), b[1:]
	if same > len(addr) || len(b) < len(addr)-same {
		return p, nil, false
	}
	b = b[copy(addr[same:], b):]
	if head&samePort == 0 {
		if len(b) < 2 {
			return p, nil, false
		}
		port, b = uint16(b[0])<<8|uint16(b[1]), b[2:]
	}
	if len(b) < len(p.ID) {
		return p, nil, false
	}
	p.Addr = netip.AddrPortFrom(netip.AddrFrom16(addr).Unmap(), port)
	return p, b[copy(p.ID[:], b):], true
}
