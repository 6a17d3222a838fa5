package link

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A pipeEnd is one end of a connection in memory that holds what the other end
// has not read yet.
type pipeEnd struct {
	net.Conn // nil: nobody asks for addresses or sets deadlines here
	in, out  chan []byte
	rest     []byte
	closed   chan struct{}
	once     *sync.Once
}

func newPipe() (a, b *pipeEnd) {
	there, back, closed := make(chan []byte, 64), make(chan []byte, 64), make(chan struct{})
	once := &sync.Once{}
	return &pipeEnd{in: back, out: there, closed: closed, once: once}, &pipeEnd{in: there, out: back, closed: closed, once: once}
}

func (p *pipeEnd) Read(b []byte) (int, error) {
	for len(p.rest) == 0 {
		select {
		case p.rest = <-p.in: // also what was written before the end
			continue
		default:
		}
		select {
		case p.rest = <-p.in:
		case <-p.closed:
			return 0, io.EOF
		}
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *pipeEnd) Write(b []byte) (int, error) {
	p.out <- bytes.Clone(b)
	return len(b), nil
}

func (p *pipeEnd) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// meet connects two ends in memory, in fake time. The server says one byte, so
// that its ticket has arrived when meet returns.
func meet(t *testing.T, dial, accept *tls.Config) (client, server *tls.Conn, clientErr, serverErr error) {
	a, b := newPipe()
	client, server = tls.Client(a, dial), tls.Server(b, accept)
	var wait sync.WaitGroup
	wait.Go(func() {
		if serverErr = server.HandshakeContext(t.Context()); serverErr == nil {
			_, serverErr = server.Write([]byte{1})
		}
		b.Close()
	})
	if clientErr = client.HandshakeContext(t.Context()); clientErr == nil {
		_, clientErr = io.ReadFull(client, make([]byte, 1))
	}
	a.Close()
	wait.Wait()
	return client, server, clientErr, serverErr
}

// TestResume: registrations resume a session, and the server knows who it is;
// nothing else does.
func TestResume(t *testing.T) { synctest.Test(t, testResume) }

func testResume(t *testing.T) {
	ca := newAuthority(t)
	trust := Trust{Installation: installation, Authority: ca.cert}
	accept := trust.FromClients(ca.server())
	cert, sessions := ca.client(ann), tls.NewLRUClientSessionCache(1)
	for i := range 4 {
		client, server, clientErr, serverErr := meet(t, trust.ToRegister(cert, sessions), accept)
		if clientErr != nil || serverErr != nil {
			t.Fatal(clientErr, serverErr)
		}
		if resumed := server.ConnectionState().DidResume; resumed != (i > 0) {
			t.Errorf("connection %d is resumed: %v", i, resumed)
		}
		if id, err := trust.Peer(server); err != nil || id != (Identity{installation, false, ann}) {
			t.Errorf("connection %d: the server found %v, %v", i, id, err)
		}
		if id, err := trust.Peer(client); err != nil || !id.Server {
			t.Errorf("connection %d: the client found %v, %v", i, id, err)
		}
	}
	// Another protocol resumes nothing, even if the client would like to.
	for _, protocol := range []string{ProtocolLeader, ProtocolEnrol} {
		cfg := trust.ToRegister(cert, sessions)
		cfg.NextProtos = []string{protocol}
		if _, server, _, serverErr := meet(t, cfg, accept); serverErr != nil || server.ConnectionState().DidResume {
			t.Errorf("%s: resumed, or not served: %v", protocol, serverErr)
		}
	}
	cfg := trust.ToRegister(cert, sessions)
	cfg.NextProtos = []string{ProtocolRegister, ProtocolLeader}
	if _, server, _, serverErr := meet(t, cfg, accept); serverErr != nil || server.ConnectionState().DidResume {
		t.Errorf("who offers two protocols resumes: %v", serverErr)
	}
	// A client that wants no session gets no ticket to look after.
	if _, server, _, serverErr := meet(t, trust.ToServer(ProtocolRegister, cert), accept); serverErr != nil || server.ConnectionState().DidResume {
		t.Errorf("resumed without a session: %v", serverErr)
	}
}

// TestResumeExpired: an expired certificate does not outlive itself in a
// session, on either side.
func TestResumeExpired(t *testing.T) { synctest.Test(t, testResumeExpired) }

func testResumeExpired(t *testing.T) {
	ca := newAuthority(t)
	ca.cert = ca.sign(&x509.Certificate{
		NotAfter: time.Now().Add(1000 * time.Hour), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, ca.key).Leaf
	trust := Trust{Installation: installation, Authority: ca.cert}
	cert := ca.issue(time.Hour, Identity{Installation: installation, Client: ann}.URI())
	server := ca.issue(40*time.Hour, Identity{Installation: installation, Server: true}.URI())
	accept := trust.FromClients(server)
	sessions := tls.NewLRUClientSessionCache(1)
	for range 2 {
		if _, _, clientErr, serverErr := meet(t, trust.ToRegister(cert, sessions), accept); clientErr != nil || serverErr != nil {
			t.Fatal(clientErr, serverErr)
		}
	}
	time.Sleep(61 * time.Minute)
	_, _, _, serverErr := meet(t, trust.ToRegister(cert, sessions), accept)
	if serverErr == nil || !strings.Contains(serverErr.Error(), "certificate has expired") {
		t.Errorf("the expired client: %v", serverErr)
	}
	// With a new certificate it comes in again, by a full handshake.
	renewed := ca.issue(100*time.Hour, Identity{Installation: installation, Client: ann}.URI())
	_, conn, clientErr, serverErr := meet(t, trust.ToRegister(renewed, sessions), accept)
	if clientErr != nil || serverErr != nil || conn.ConnectionState().DidResume {
		t.Errorf("the renewed client: %v, %v", clientErr, serverErr)
	}
	time.Sleep(40 * time.Hour)
	_, _, clientErr, _ = meet(t, trust.ToRegister(renewed, sessions), accept)
	if clientErr == nil || !strings.Contains(clientErr.Error(), "certificate has expired") {
		t.Errorf("the expired server: %v", clientErr)
	}
}

// TestResumedIsChecked: who has a session is judged as in a full handshake, by
// whoever trusts now.
func TestResumedIsChecked(t *testing.T) { synctest.Test(t, testResumedIsChecked) }

func testResumedIsChecked(t *testing.T) {
	ca, foreign := newAuthority(t), newAuthority(t)
	trust := Trust{Installation: installation, Authority: ca.cert}
	key := [32]byte{1}
	accept := func(tr Trust, cert *tls.Certificate) *tls.Config {
		c := tr.FromClients(cert)
		c.SetSessionTicketKeys([][32]byte{key})
		return c
	}
	for _, tt := range []struct {
		later *tls.Config
		want  string
	}{
		{accept(Trust{installation, foreign.cert}, foreign.server()), "unknown authority"},
		{accept(Trust{"other", ca.cert}, ca.server()), "belongs to installation"},
	} {
		sessions := tls.NewLRUClientSessionCache(1)
		dial := trust.ToRegister(ca.client(ann), sessions)
		for range 2 {
			if _, _, clientErr, serverErr := meet(t, dial, accept(trust, ca.server())); clientErr != nil || serverErr != nil {
				t.Fatal(clientErr, serverErr)
			}
		}
		_, server, clientErr, serverErr := meet(t, dial, tt.later)
		if serverErr == nil || !strings.Contains(serverErr.Error(), tt.want) {
			t.Errorf("resumed %v; server: %v; client: %v; want %q", server.ConnectionState().DidResume, serverErr, clientErr, tt.want)
		}
	}
	// Who showed no certificate gets no further, with or without a session.
	nobody := trust.ToServer(ProtocolRegister, nil)
	nobody.SessionTicketsDisabled, nobody.ClientSessionCache = false, tls.NewLRUClientSessionCache(1)
	for range 2 {
		_, _, _, serverErr := meet(t, nobody, accept(trust, ca.server()))
		if serverErr == nil || !strings.Contains(serverErr.Error(), "no certificate was shown") {
			t.Errorf("who registers without a certificate: %v", serverErr)
		}
	}
}
