package main

import (
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// counted counts what passes.
type counted struct {
	net.Conn
	*rig
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (c counted) Write(b []byte) (int, error) {
	c.bytes.Add(int64(len(b)))
	return c.Conn.Write(b)
}

// next is the machine's next registration, with everything said.
func (m *machine) next() wire.Register {
	m.sequence++
	return wire.Register{
		Version: wire.Version, Incarnation: 1, Sequence: m.sequence, Place: endpoint.Place{Addr: m.place, ID: m.id},
		Name: "accounting-0815", Program: "0.1.0-bench", Platform: "Linux", Peers: m.peers,
		Back: wire.Neighbour{Kind: endpoint.Peer, ID: endpoint.ID{1}}, Fore: wire.Neighbour{Kind: endpoint.Peer, ID: endpoint.ID{2}},
	}.Named()
}

func (m *machine) fullTLS() error { return m.overTLS(m.trust.ToServer(link.ProtocolRegister, m.cert)) }
func (m *machine) resumedTLS() error {
	return m.overTLS(m.trust.ToRegister(m.cert, m.sessions))
}

func (m *machine) overTLS(cfg *tls.Config) error {
	raw, err := net.Dial("tcp", m.addr)
	if err != nil {
		return err
	}
	defer raw.Close()
	l := link.New(tls.Client(counted{raw, m.rig}, cfg))
	if err := l.Write(m.next(), patience); err != nil {
		return err
	}
	reply, err := link.Expect[wire.Registered](l, patience)
	if err != nil {
		return err
	}
	if !reply.Same {
		m.peers, m.lan = reply.Peers, reply.LAN
	}
	m.key, m.name = reply.Key, reply.KeyName
	return nil
}

func (m *machine) onLeader() error {
	if m.leader == nil {
		if err := m.lead(); err != nil {
			return err
		}
	}
	return m.briefly(func(req wire.Register) (wire.Message, error) {
		if err := m.leader.Write(req, patience); err != nil {
			return nil, err
		}
		return m.leader.Read()
	})
}

func (m *machine) lead() error {
	raw, err := net.Dial("tcp", m.addr)
	if err != nil {
		return err
	}
	l := link.New(tls.Client(counted{raw, m.rig}, m.trust.ToServer(link.ProtocolLeader, m.cert)))
	hello := wire.Hello{Version: wire.Version, Role: wire.ForwardLeader, Place: endpoint.Place{Addr: m.place, ID: m.id}, LAN: m.lan}
	if err := l.Write(hello, patience); err != nil {
		return err
	}
	if _, err := link.Expect[wire.HelloOK](l, patience); err != nil {
		return err
	}
	m.leader = l
	return nil
}

func (m *machine) briefDatagram() error { return m.briefly(m.exchange) }

func (m *machine) wholeDatagram() error {
	reply, err := m.exchange(m.next())
	return m.check(reply, err)
}

// briefly registers with nothing new; the first time the server asks for all.
func (m *machine) briefly(exchange func(wire.Register) (wire.Message, error)) error {
	reply, err := exchange(m.next().Brief())
	if r, ok := reply.(wire.Registered); ok && r.Again {
		reply, err = exchange(m.next())
	}
	return m.check(reply, err)
}

func (m *machine) check(reply wire.Message, err error) error {
	if r, ok := reply.(wire.Registered); err == nil && (!ok || r.Again || r.Come != 0) {
		return fmt.Errorf("the server says %+v", reply)
	}
	return err
}

// exchange sends a datagram and reads the reply.
func (m *machine) exchange(req wire.Register) (wire.Message, error) {
	if m.udp == nil {
		conn, err := net.Dial("udp", m.addr)
		if err != nil {
			return nil, err
		}
		m.udp = counted{conn, m.rig}
	}
	var chance [16]byte
	rand.Read(chance[:]) // never fails: crypto/rand ends the program instead
	r := wire.NewRequest(m.key.Box(seal.RegistrationRequest), chance, m.id, m.name, req)
	if _, err := m.udp.Write(r.Bytes()); err != nil {
		return nil, err
	}
	if err := m.udp.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	b := make([]byte, wire.DatagramMax)
	n, err := m.udp.Read(b)
	if err != nil {
		return nil, err
	}
	return r.ReadReply(m.key.Box(seal.RegistrationReply), b[:n])
}
