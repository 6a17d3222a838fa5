package link

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"catenary/internal/endpoint"
)

// The protocol that a connection speaks, as its ALPN name (docs/protocol.md §1).
const (
	ProtocolPeer     = "catenary-peer/1"     // client to client
	ProtocolLeader   = "catenary-leader/1"   // leader to server
	ProtocolRegister = "catenary-register/1" // client to server, one exchange
	ProtocolEnrol    = "catenary-enrol/1"    // a machine without a certificate to the server
)

// ServerName is the name a client asks for; certificates are checked by
// installation and role, not by name.
const ServerName = "catenary.invalid"

// An Identity is who a link certificate speaks for: the server, or a client.
type Identity struct {
	Installation string
	Server       bool
	Client       endpoint.ID // unless Server
}

// URI is the identity as it stands in a certificate.
func (id Identity) URI() *url.URL {
	path := "/server"
	if !id.Server {
		path = "/client/" + id.Client.String()
	}
	return &url.URL{Scheme: "catenary", Host: id.Installation, Path: path}
}

// IdentityOf reads the one identity in a certificate.
func IdentityOf(cert *x509.Certificate) (Identity, error) {
	if len(cert.URIs) != 1 || cert.URIs[0].Scheme != "catenary" {
		return Identity{}, errors.New("certificate does not name one catenary identity")
	}
	u := cert.URIs[0]
	id := Identity{Installation: u.Host}
	if u.Path == "/server" {
		id.Server = true
		return id, nil
	}
	text, ok := strings.CutPrefix(u.Path, "/client/")
	if !ok {
		return Identity{}, fmt.Errorf("certificate speaks for %s", u)
	}
	var err error
	id.Client, err = endpoint.ParseID(text)
	return id, err
}

// A Trust decides who may be at the other end of a link.
type Trust struct {
	Installation string
	Authority    *x509.Certificate
}

// verify checks a peer's certificate chain and returns who it speaks for.
func (t Trust) verify(certs []*x509.Certificate) (Identity, error) {
	if len(certs) == 0 {
		return Identity{}, errors.New("no certificate was shown")
	}
	roots := x509.NewCertPool()
	roots.AddCert(t.Authority)
	if _, err := certs[0].Verify(x509.VerifyOptions{
		Roots:     roots,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return Identity{}, err
	}
	id, err := IdentityOf(certs[0])
	if err != nil {
		return Identity{}, err
	}
	if id.Installation != t.Installation {
		return Identity{}, fmt.Errorf("certificate belongs to installation %s", id.Installation)
	}
	return id, nil
}

// Peer returns who is at the other end of a finished handshake.
func (t Trust) Peer(conn *tls.Conn) (Identity, error) {
	return t.verify(conn.ConnectionState().PeerCertificates)
}

func (t Trust) expect(want func(Identity) error) func(tls.ConnectionState) error {
	return func(cs tls.ConnectionState) error {
		if cs.NegotiatedProtocol == "" {
			// crypto/tls lets a peer pass that does not offer any.
			return errors.New("no protocol was agreed on")
		}
		id, err := t.verify(cs.PeerCertificates)
		if err != nil {
			return err
		}
		return want(id)
	}
}

func isServer(id Identity) error {
	if !id.Server {
		return errors.New("certificate is not the server's")
	}
	return nil
}

func isClient(id Identity) error {
	if id.Server {
		return errors.New("certificate is not a client's")
	}
	return nil
}

func base(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             protocols,
		ServerName:             ServerName,
		SessionTicketsDisabled: true,
	}
}

// ToServer is how a client dials the server. Cert is nil only to enrol.
func (t Trust) ToServer(protocol string, cert *tls.Certificate) *tls.Config {
	c := base(protocol)
	c.InsecureSkipVerify = true // VerifyConnection does it, by role instead of by name
	c.VerifyConnection = t.expect(isServer)
	if cert != nil {
		c.Certificates = []tls.Certificate{*cert}
	}
	return c
}

// ToRegister is how a client dials the server for one registration. The
// sessions belong to one identity: who resumes one is who has begun it.
func (t Trust) ToRegister(cert *tls.Certificate, sessions tls.ClientSessionCache) *tls.Config {
	c := t.ToServer(ProtocolRegister, cert)
	c.SessionTicketsDisabled = false
	c.ClientSessionCache = sessions
	return c
}

// ToPeer is how a client dials the client named id.
func (t Trust) ToPeer(cert *tls.Certificate, id endpoint.ID) *tls.Config {
	c := base(ProtocolPeer)
	c.InsecureSkipVerify = true // VerifyConnection does it, by identity instead of by name
	c.Certificates = []tls.Certificate{*cert}
	c.VerifyConnection = t.expect(func(got Identity) error {
		if got.Server || got.Client != id {
			return fmt.Errorf("certificate is not that of client %v", id)
		}
		return nil
	})
	return c
}

// FromPeers is how a client accepts others. The certificate is asked for at
// each handshake, since it is renewed while the client runs.
func (t Trust) FromPeers(cert func() *tls.Certificate) *tls.Config {
	c := base(ProtocolPeer)
	c.ClientAuth = tls.RequireAnyClientCert
	c.VerifyConnection = t.expect(isClient)
	c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return cert(), nil }
	return c
}

// FromClients is how the server accepts clients. Only who enrols may come
// without a certificate. Only registrations, which are many and short, resume
// sessions; the ticket carries the client's certificate, which is then checked
// as in a full handshake. crypto/tls renews the tickets' key every day.
func (t Trust) FromClients(cert *tls.Certificate) *tls.Config {
	c := base(ProtocolLeader, ProtocolRegister, ProtocolEnrol)
	c.SessionTicketsDisabled = false
	c.ClientAuth = tls.RequestClientCert
	c.Certificates = []tls.Certificate{*cert}
	client := t.expect(isClient)
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if cs.NegotiatedProtocol == ProtocolEnrol && len(cs.PeerCertificates) == 0 {
			return nil
		}
		return client(cs)
	}
	whole := c.Clone()
	whole.SessionTicketsDisabled = true
	c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Equal(hello.SupportedProtos, []string{ProtocolRegister}) {
			return nil, nil // as above
		}
		return whole, nil
	}
	return c
}
