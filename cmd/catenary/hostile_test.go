//go:build unix

package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/seal"
	"catenary/internal/trust"
	"catenary/internal/wire"
)

// TestHostilePeer: an enrolled machine turns on its neighbours. Its links are
// closed, and everyone else goes on answering.
func TestHostilePeer(t *testing.T) {
	in := startDemo(t, 9, 3)
	bundle, tr, cert, id := in.enrolStranger()
	forged := forge(bundle.Vouchers[0])
	victim := fmt.Sprintf("127.10.1.2:%d", in.port)
	// A place of its own between the first two clients of the LAN.
	place := endpoint.Place{Addr: netip.MustParseAddrPort("127.10.1.1:65535"), ID: id}
	from := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 10, 1, 1)}}

	for name, attack := range map[string]func(*tls.Conn) error{
		"garbage instead of Hello": func(c *tls.Conn) error {
			_, err := c.Write([]byte("\x00\x00\x00\x05\x01\xff\xff\xff\xff"))
			return err
		},
		"frame of 2 GB": func(c *tls.Conn) error {
			_, err := c.Write(binary.BigEndian.AppendUint32(nil, 2<<30))
			return err
		},
		"another's name": func(c *tls.Conn) error {
			h := wire.Hello{Version: wire.Version, Role: wire.Ahead, Place: place}
			h.Place.ID = endpoint.ID{9}
			_, err := c.Write(wire.Append(nil, h))
			return err
		},
		"another's address": func(c *tls.Conn) error {
			h := wire.Hello{Version: wire.Version, Role: wire.Ahead, Place: place}
			h.Place.Addr = netip.MustParseAddrPort("127.10.1.3:1")
			_, err := c.Write(wire.Append(nil, h))
			return err
		},
		"a forged question": func(c *tls.Conn) error {
			// From behind, where questions come from.
			h := wire.Hello{Version: wire.Version, Role: wire.Behind, Place: place}
			_, err := c.Write(wire.Append(wire.Append(nil, h), wire.Question{Sealed: forged}))
			return err
		},
	} {
		conn, err := tls.DialWithDialer(from, "tcp", victim, in.toPeer(tr, cert))
		if err != nil {
			t.Fatal(err)
		}
		if err := attack(conn); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection stays open", name)
		}
		conn.Close()
		if got, want := names(ask(t, "Get Computer Name from all machines")), seatNames(9); !slices.Equal(got, want) {
			t.Errorf("%s: answered: %v, want %v", name, got, want)
		}
	}
}

// enrolStranger gets an identity as any machine with the bundle can.
func (in *installation) enrolStranger() (trust.Bundle, link.Trust, *tls.Certificate, endpoint.ID) {
	in.t.Helper()
	data, err := os.ReadFile(filepath.Join(in.dir, "server", trust.FileName))
	if err != nil {
		in.t.Fatal(err)
	}
	bundle, err := trust.Parse(data)
	if err != nil {
		in.t.Fatal(err)
	}
	ca, err := bundle.Authority()
	if err != nil {
		in.t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		in.t.Fatal(err)
	}
	pub, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		in.t.Fatal(err)
	}
	tr := link.Trust{Installation: bundle.Installation, Authority: ca}
	conn, err := tls.Dial("tcp", bundle.Servers[0], tr.ToServer(link.ProtocolEnrol, nil))
	if err != nil {
		in.t.Fatal(err)
	}
	defer conn.Close()
	l := link.New(conn)
	if err := l.Write(wire.Enrol{Version: wire.Version, Secret: bundle.Secret, Key: pub, Name: "stranger"}, patience); err != nil {
		in.t.Fatal(err)
	}
	reply, err := link.Expect[wire.Enrolled](l, patience)
	if err != nil {
		in.t.Fatal(err)
	}
	return bundle, tr, &tls.Certificate{Certificate: [][]byte{reply.Certificate}, PrivateKey: key}, reply.ID
}

// forge makes a question that says to be signed by the vouched key, and is not.
func forge(voucher []byte) []byte {
	pub := voucher[len(voucher)-ed25519.SignatureSize-ed25519.PublicKeySize : len(voucher)-ed25519.SignatureSize]
	id := seal.IDOf(pub)
	b := append([]byte{1, byte(seal.Question)}, id[:]...)
	return append(b, make([]byte, 200)...)
}

// toPeer dials whichever client is there: an attacker does not care.
func (in *installation) toPeer(tr link.Trust, cert *tls.Certificate) *tls.Config {
	cfg := tr.ToPeer(cert, endpoint.ID{})
	cfg.VerifyConnection = nil
	return cfg
}
