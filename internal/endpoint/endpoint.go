// Package endpoint is who a machine is: its identity, its address and its
// place in the order of a chain.
package endpoint

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
)

// An ID names a client for as long as it keeps its key. The server chooses it
// at enrolment. The zero ID is nobody's.
type ID [16]byte

// ParseID reads what [ID.String] writes, and nothing else.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) == 2*len(id) {
		if _, err := hex.Decode(id[:], []byte(s)); err == nil && id.String() == s {
			return id, nil
		}
	}
	return ID{}, fmt.Errorf("%q is not a client id (32 lower-case hexadecimal digits)", s)
}

func (id ID) String() string               { return hex.EncodeToString(id[:]) }
func (id ID) MarshalText() ([]byte, error) { return id.Append(nil), nil }

// Append appends what String returns.
func (id ID) Append(b []byte) []byte { return hex.AppendEncode(b, id[:]) }

func (id *ID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseID(string(b))
	return err
}

// Zero reports whether id is nobody's.
func (id ID) Zero() bool { return id == ID{} }

// A Place is where a client can be dialled, and fixes its position in the
// order of its chain: by address, then port, then ID (docs/protocol.md §3.1).
type Place struct {
	Addr netip.AddrPort
	ID   ID
}

// Compare orders places: negative if p comes before q in a chain.
func (p Place) Compare(q Place) int {
	// IPv4 sorts by its IPv6-mapped form, so that a LAN's order does not depend
	// on how an address was written.
	if a, b := p.Addr.Addr(), q.Addr.Addr(); a.Is4() && b.Is4() {
		if c := a.Compare(b); c != 0 {
			return c
		}
	} else {
		a, b := a.As16(), b.As16()
		if c := bytes.Compare(a[:], b[:]); c != 0 {
			return c
		}
	}
	if p.Addr.Port() != q.Addr.Port() {
		return int(p.Addr.Port()) - int(q.Addr.Port())
	}
	return bytes.Compare(p.ID[:], q.ID[:])
}

func (p Place) String() string { return fmt.Sprintf("%v/%.8s", p.Addr, p.ID) }
