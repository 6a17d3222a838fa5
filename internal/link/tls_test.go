package link

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/endpoint"
)

const installation = "34750f98bd59fcfc"

var (
	ann  = endpoint.ID{0xa}
	bert = endpoint.ID{0xb}
)

// An authority signs certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, key: newKey(t)}
	a.cert = a.sign(&x509.Certificate{
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key).Leaf
	return a
}

// sign makes a certificate; a nil parent signs itself.
func (a *authority) sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey) *tls.Certificate {
	template.SerialNumber = big.NewInt(1)
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// issue makes a certificate for whoever the URIs name, good from an hour ago
// until the given time from now.
func (a *authority) issue(until time.Duration, uris ...*url.URL) *tls.Certificate {
	return a.sign(&x509.Certificate{
		NotAfter: time.Now().Add(until), URIs: uris, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, newKey(a.t))
}

func (a *authority) client(id endpoint.ID) *tls.Certificate {
	return a.issue(time.Hour, Identity{Installation: installation, Client: id}.URI())
}

func (a *authority) server() *tls.Certificate {
	return a.issue(time.Hour, Identity{Installation: installation, Server: true}.URI())
}

// forged is a certificate for ann that bert's key has signed, shown together
// with bert's own.
func (a *authority) forged() *tls.Certificate {
	by := a.client(bert)
	signer := &authority{t: a.t, cert: by.Leaf, key: by.PrivateKey.(*ecdsa.PrivateKey)}
	c := signer.issue(time.Hour, Identity{Installation: installation, Client: ann}.URI())
	c.Certificate = append(c.Certificate, by.Certificate...)
	return c
}

// handshake connects two ends over TCP and returns how the handshake ended for
// each. In TLS 1.3 a client is done before the server has judged its
// certificate, so that it hears of a refusal only when it reads.
func handshake(t testing.TB, dial, accept *tls.Config) (client, server *tls.Conn, clientErr, serverErr error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var wait sync.WaitGroup
	wait.Go(func() {
		raw, err := ln.Accept()
		if err != nil {
			serverErr = err
			return
		}
		server = tls.Server(raw, accept)
		if serverErr = server.HandshakeContext(t.Context()); serverErr != nil {
			raw.Close()
			return
		}
		_, serverErr = server.Write([]byte{1})
	})
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client = tls.Client(raw, dial)
	if clientErr = client.HandshakeContext(t.Context()); clientErr == nil {
		_, clientErr = io.ReadFull(client, make([]byte, 1))
	}
	if clientErr != nil {
		raw.Close()
	}
	wait.Wait()
	t.Cleanup(func() {
		for _, c := range []*tls.Conn{client, server} {
			if c != nil {
				c.Close()
			}
		}
	})
	return client, server, clientErr, serverErr
}

// change returns the configuration with something else in it.
func change(c *tls.Config, f func(*tls.Config)) *tls.Config {
	f(c)
	return c
}

// A greeting is one case of who may talk to whom (docs/protocol.md §1).
type greeting struct {
	name         string
	dial, accept *tls.Config
	client       string // why the client refuses
	server       string // why the server refuses
}

func greetings(t *testing.T) []greeting {
	ca, foreign := newAuthority(t), newAuthority(t)
	trust := Trust{Installation: installation, Authority: ca.cert}
	other := Trust{Installation: "other", Authority: ca.cert}
	fromClients := func() *tls.Config { return trust.FromClients(ca.server()) }
	fromPeers := func() *tls.Config {
		return trust.FromPeers(func() *tls.Certificate { return ca.client(bert) })
	}
	toServer := func(protocol string) *tls.Config { return trust.ToServer(protocol, ca.client(ann)) }
	showing := func(c *tls.Certificate) *tls.Config { return trust.ToServer(ProtocolRegister, c) }
	peerShowing := func(c *tls.Certificate) *tls.Config {
		return trust.FromPeers(func() *tls.Certificate { return c })
	}
	toPeer := func() *tls.Config { return trust.ToPeer(ca.client(ann), bert) }
	strange := Identity{Installation: "other", Client: ann}.URI()
	late := ca.sign(&x509.Certificate{
		NotBefore: time.Now().Add(time.Minute), NotAfter: time.Now().Add(time.Hour),
		URIs: []*url.URL{Identity{Installation: installation, Client: ann}.URI()},
	}, ca.cert, newKey(t))
	expired := ca.issue(-time.Minute, Identity{Installation: installation, Client: ann}.URI())
	const unknown = "certificate signed by unknown authority"
	return []greeting{
		{name: "register", dial: toServer(ProtocolRegister), accept: fromClients()},
		{name: "lead", dial: toServer(ProtocolLeader), accept: fromClients()},
		{name: "enrol", dial: trust.ToServer(ProtocolEnrol, nil), accept: fromClients()},
		{name: "enrol with a certificate", dial: toServer(ProtocolEnrol), accept: fromClients()},
		{name: "peers", dial: toPeer(), accept: fromPeers()},

		{name: "client of a foreign authority", dial: showing(foreign.client(ann)), accept: fromClients(), server: unknown},
		{name: "enrol with a foreign certificate", dial: trust.ToServer(ProtocolEnrol, foreign.client(ann)), accept: fromClients(), server: unknown},
		{name: "server of a foreign authority", dial: toServer(ProtocolRegister), accept: trust.FromClients(foreign.server()), client: unknown},
		{name: "enrol at a foreign server", dial: trust.ToServer(ProtocolEnrol, nil), accept: trust.FromClients(foreign.server()), client: unknown},
		{name: "peer of a foreign authority", dial: trust.ToPeer(foreign.client(ann), bert), accept: fromPeers(), server: unknown},
		{name: "foreign peer dialled", dial: toPeer(), accept: peerShowing(foreign.client(bert)), client: unknown},
		{name: "client signed by a client", dial: showing(ca.forged()), accept: fromClients(), server: unknown},

		{name: "client of another installation", dial: showing(ca.issue(time.Hour, strange)), accept: fromClients(), server: "belongs to installation other"},
		{name: "server of another installation", dial: other.ToServer(ProtocolRegister, ca.client(ann)), accept: fromClients(), client: "belongs to installation " + installation},
		{name: "peer of another installation", dial: trust.ToPeer(ca.issue(time.Hour, strange), bert), accept: fromPeers(), server: "belongs to installation other"},

		{name: "client posing as the server", dial: toServer(ProtocolRegister), accept: trust.FromClients(ca.client(bert)), client: "certificate is not the server's"},
		{name: "enrol at a client", dial: trust.ToServer(ProtocolEnrol, nil), accept: trust.FromClients(ca.client(bert)), client: "certificate is not the server's"},
		{name: "server at a peer", dial: trust.ToPeer(ca.server(), bert), accept: fromPeers(), server: "certificate is not a client's"},
		{name: "server registers", dial: showing(ca.server()), accept: fromClients(), server: "certificate is not a client's"},
		{name: "server in a peer's place", dial: toPeer(), accept: peerShowing(ca.server()), client: "certificate is not that of client 0b"},
		{name: "another peer than dialled", dial: toPeer(), accept: peerShowing(ca.client(ann)), client: "certificate is not that of client 0b"},

		{name: "expired client", dial: showing(expired), accept: fromClients(), server: "certificate has expired"},
		{name: "client of tomorrow", dial: showing(late), accept: fromClients(), server: "not yet valid"},
		{name: "expired server", dial: toServer(ProtocolRegister), accept: trust.FromClients(ca.issue(-time.Minute, Identity{Installation: installation, Server: true}.URI())), client: "certificate has expired"},
		{name: "expired peer", dial: trust.ToPeer(expired, bert), accept: fromPeers(), server: "certificate has expired"},

		{name: "register without a certificate", dial: trust.ToServer(ProtocolRegister, nil), accept: fromClients(), server: "no certificate was shown"},
		{name: "lead without a certificate", dial: trust.ToServer(ProtocolLeader, nil), accept: fromClients(), server: "no certificate was shown"},
		{name: "peer without a certificate", dial: change(toPeer(), func(c *tls.Config) { c.Certificates = nil }), accept: fromPeers(), server: "didn't provide a certificate"},
		{name: "certificate of the API", dial: showing(ca.issue(time.Hour)), accept: fromClients(), server: "does not name one catenary identity"},
		{name: "certificate of two", dial: showing(ca.issue(time.Hour, Identity{installation, false, ann}.URI(), Identity{installation, false, bert}.URI())), accept: fromClients(), server: "does not name one catenary identity"},

		{name: "TLS 1.2 to the server", dial: change(toServer(ProtocolRegister), old), accept: fromClients(), server: "client offered only unsupported versions"},
		{name: "TLS 1.2 to a peer", dial: change(toPeer(), old), accept: fromPeers(), server: "client offered only unsupported versions"},
		{name: "TLS 1.2 of the server", dial: toServer(ProtocolRegister), accept: change(fromClients(), old), client: "protocol version not supported"},
		{name: "unknown protocol", dial: toServer("catenary-register/2"), accept: fromClients(), server: "client requested unsupported application protocols"},
		{name: "peer protocol at the server", dial: toServer(ProtocolPeer), accept: fromClients(), server: "unsupported application protocols"},
		{name: "leader protocol at a peer", dial: change(toPeer(), speak(ProtocolLeader)), accept: fromPeers(), server: "unsupported application protocols"},
		{name: "no protocol at the server", dial: change(toServer(""), mute), accept: fromClients(), server: "no protocol was agreed on"},
		{name: "no protocol at a peer", dial: change(toPeer(), mute), accept: fromPeers(), server: "no protocol was agreed on"},
		{name: "server without protocols", dial: toServer(ProtocolRegister), accept: change(fromClients(), mute), client: "no protocol was agreed on"},
	}
}

func old(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }

func speak(protocols ...string) func(*tls.Config) {
	return func(c *tls.Config) { c.NextProtos = protocols }
}

// mute offers no protocol, and does not mind that none is agreed on.
func mute(c *tls.Config) { c.NextProtos, c.VerifyConnection = nil, nil }

// TestWhoMayTalkToWhom: exactly the right ones come through, and the one that
// has to refuse refuses.
func TestWhoMayTalkToWhom(t *testing.T) {
	for _, g := range greetings(t) {
		t.Run(g.name, func(t *testing.T) {
			client, server, clientErr, serverErr := handshake(t, g.dial, g.accept)
			switch {
			case g.client == "" && g.server == "":
				if clientErr != nil || serverErr != nil {
					t.Fatalf("client: %v; server: %v", clientErr, serverErr)
				}
				cs, ss := client.ConnectionState(), server.ConnectionState()
				if cs.Version != tls.VersionTLS13 || ss.NegotiatedProtocol != g.dial.NextProtos[0] || ss.DidResume {
					t.Errorf("version %x, protocol %q, resumed %v", cs.Version, ss.NegotiatedProtocol, ss.DidResume)
				}
			case clientErr == nil:
				t.Errorf("the client came through; the server said: %v", serverErr)
			case g.client != "" && !strings.Contains(clientErr.Error(), g.client):
				t.Errorf("client: %v, want %q", clientErr, g.client)
			case g.server != "" && (serverErr == nil || !strings.Contains(serverErr.Error(), g.server)):
				t.Errorf("server: %v, want %q", serverErr, g.server)
			}
		})
	}
}

// TestPeer: after the handshake each side knows who the other is.
func TestPeer(t *testing.T) {
	ca := newAuthority(t)
	trust := Trust{Installation: installation, Authority: ca.cert}
	client, server, clientErr, serverErr := handshake(t,
		trust.ToPeer(ca.client(ann), bert), trust.FromPeers(func() *tls.Certificate { return ca.client(bert) }))
	if clientErr != nil || serverErr != nil {
		t.Fatal(clientErr, serverErr)
	}
	if id, err := trust.Peer(client); err != nil || id != (Identity{installation, false, bert}) {
		t.Errorf("the dialler found %v, %v", id, err)
	}
	if id, err := trust.Peer(server); err != nil || id != (Identity{installation, false, ann}) {
		t.Errorf("the acceptor found %v, %v", id, err)
	}
	_, nobody, clientErr, serverErr := handshake(t, trust.ToServer(ProtocolEnrol, nil), trust.FromClients(ca.server()))
	if clientErr != nil || serverErr != nil {
		t.Fatal(clientErr, serverErr)
	}
	if id, err := trust.Peer(nobody); err == nil {
		t.Errorf("who enrols is taken for %v", id)
	}
}

// TestRenewedCertificate: a client shows its new certificate from the next
// handshake on.
func TestRenewedCertificate(t *testing.T) {
	ca := newAuthority(t)
	trust := Trust{Installation: installation, Authority: ca.cert}
	shown := ca.client(bert)
	accept := trust.FromPeers(func() *tls.Certificate { return shown })
	dial := trust.ToPeer(ca.client(ann), bert)
	for range 2 {
		client, _, clientErr, serverErr := handshake(t, dial, accept)
		if clientErr != nil || serverErr != nil {
			t.Fatal(clientErr, serverErr)
		}
		if got := client.ConnectionState().PeerCertificates[0]; !got.Equal(shown.Leaf) {
			t.Error("the certificate of before was shown")
		}
		shown = ca.client(bert)
	}
}

func TestIdentityOf(t *testing.T) {
	for _, id := range []Identity{{installation, true, endpoint.ID{}}, {installation, false, ann}, {"other", false, bert}} {
		if got, err := IdentityOf(&x509.Certificate{URIs: []*url.URL{id.URI()}}); err != nil || got != id {
			t.Errorf("%v is read as %v (%v)", id.URI(), got, err)
		}
	}
	for text, want := range map[string]string{
		"https://x/server":          "does not name one catenary identity",
		"catenary://x":              "certificate speaks for catenary://x",
		"catenary://x/servers":      "certificate speaks for",
		"catenary://x/root":         "certificate speaks for",
		"catenary://x/client/":      "is not a client id",
		"catenary://x/client/0A":    "is not a client id",
		"catenary://x/client/0a/00": "is not a client id",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := IdentityOf(&x509.Certificate{URIs: []*url.URL{u}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v; want %q", text, id, err, want)
		}
	}
	if _, err := (Trust{}).verify(nil); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("nobody is verified as %v", err)
	}
}
