package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/link"
	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/server/store/storetest"
	"catenary/internal/trust"
	"catenary/internal/wire"
)

// loopback is the LAN of all machines under test.
var loopback = netip.MustParsePrefix("127.0.0.0/24")

const patience = 30 * time.Second // for what takes milliseconds

// A logbook keeps what a server logs.
type logbook struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logbook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logbook) count(s string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), s)
}

// A site is a running server and its bundle.
type site struct {
	*Server
	bundle trust.Bundle
	log    *logbook
}

func startSite(t testing.TB, dir string) *site {
	t.Helper()
	s := &site{log: &logbook{}}
	cfg := Config{
		DataDir: dir, Listen: "127.0.0.1:0", Servers: []string{"127.0.0.1:1"}, Intervals: DefaultIntervals, Version: "test",
	}
	_, err := os.Stat(cfg.DatabaseAddress())
	if errors.Is(err, fs.ErrNotExist) { // the first start, which would be long if the tables had to be made, too
		err = os.Rename(storetest.SQLite.Prepared(t, storetest.Opened(store.Open)), cfg.DatabaseAddress())
	}
	if err != nil {
		t.Fatal(err)
	}
	s.Server, err = New(t.Context(), cfg, slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("server: %v", err)
		}
	})
	if s.bundle, err = MakeBundle(t.Context(), s.keys, s.store, []string{s.Addr().String()}, "test", 100_000, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	return s
}

// A machine under test has a key, and after enrolment an identity.
type endpointUnderTest struct {
	t    testing.TB
	site *site
	key  *ecdsa.PrivateKey
	id   endpoint.ID
	cert *tls.Certificate
	seq  uint64
}

func (s *site) machine(t testing.TB) *endpointUnderTest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &endpointUnderTest{t: t, site: s, key: key}
}

func (m *endpointUnderTest) dial(protocol string) (*link.Link, error) {
	conn, err := tls.Dial("tcp", m.site.Addr().String(), m.site.trust.ToServer(protocol, m.cert))
	if err != nil {
		return nil, err
	}
	m.t.Cleanup(func() { conn.Close() })
	return link.New(conn), nil
}

func (m *endpointUnderTest) enrol(secret []byte) error {
	l, err := m.dial(link.ProtocolEnrol)
	if err != nil {
		return err
	}
	pub, err := x509.MarshalPKIXPublicKey(m.key.Public())
	if err != nil {
		return err
	}
	if err := l.Write(wire.Enrol{Version: wire.Version, Secret: secret, Key: pub, Name: "test"}, patience); err != nil {
		return err
	}
	reply, err := link.Expect[wire.Enrolled](l, patience)
	if err != nil {
		return err
	}
	m.id = reply.ID
	m.cert = &tls.Certificate{Certificate: [][]byte{reply.Certificate}, PrivateKey: m.key}
	return nil
}

func (m *endpointUnderTest) registration() wire.Register {
	m.seq++
	return wire.Register{
		Version: wire.Version, Initial: true, Incarnation: 1, Sequence: m.seq, Name: "test",
		Place: endpoint.Place{Addr: netip.MustParseAddrPort("127.0.0.1:4000"), ID: m.id},
	}
}

func (m *endpointUnderTest) register(req wire.Register) (wire.Registered, error) {
	l, err := m.dial(link.ProtocolRegister)
	if err != nil {
		return wire.Registered{}, err
	}
	if err := l.Write(req, patience); err != nil {
		return wire.Registered{}, err
	}
	return link.Expect[wire.Registered](l, patience)
}

// joined is a machine that is enrolled and registered.
func (s *site) joined(t testing.TB) *endpointUnderTest {
	t.Helper()
	m := s.machine(t)
	if err := m.enrol(s.bundle.Secret); err != nil {
		t.Fatal(err)
	}
	if _, err := m.register(m.registration()); err != nil {
		t.Fatal(err)
	}
	return m
}

func refused(t *testing.T, err error, want wire.Reason, text string) {
	t.Helper()
	var r *link.RefusedError
	if !errors.As(err, &r) || r.Reason != want || !strings.Contains(r.Text, text) {
		t.Errorf("got %v, want a refusal for reason %d with %q", err, want, text)
	}
}

// TestBadClients: whatever a stranger or an enrolled machine does wrong, it is
// told why, it is logged, and the next good machine is served.
func TestBadClients(t *testing.T) {
	s := startSite(t, t.TempDir())
	for name, bad := range map[string]func(*testing.T){
		"wrong secret": func(t *testing.T) {
			wrong := append([]byte{}, s.bundle.Secret...)
			wrong[0] ^= 1
			refused(t, s.machine(t).enrol(wrong), wire.Forbidden, "unknown")
		},
		"no secret": func(t *testing.T) {
			refused(t, s.machine(t).enrol(nil), wire.Forbidden, "unknown")
		},
		"key enrolled twice": func(t *testing.T) {
			m := s.joined(t)
			m.cert = nil
			refused(t, m.enrol(s.bundle.Secret), wire.Forbidden, "enrolled already")
		},
		"replayed registration": func(t *testing.T) {
			m := s.joined(t)
			req := m.registration()
			if _, err := m.register(req); err != nil {
				t.Fatal(err)
			}
			_, err := m.register(req)
			refused(t, err, wire.Replayed, "replayed")
		},
		"registration for another client": func(t *testing.T) {
			m, victim := s.joined(t), s.joined(t)
			req := m.registration()
			req.Place.ID = victim.id
			_, err := m.register(req)
			refused(t, err, wire.Malformed, victim.id.String())
		},
		"foreign certificate": s.foreignCertificate,
		"no certificate": func(t *testing.T) {
			m := s.machine(t)
			if _, err := m.register(m.registration()); err == nil {
				t.Error("a machine without a certificate was registered")
			}
		},
		"frame of 2 GB": func(t *testing.T) {
			conn, err := tls.Dial("tcp", s.Addr().String(), s.trust.ToServer(link.ProtocolLeader, s.joined(t).cert))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write(binary.BigEndian.AppendUint32(nil, 2<<30)); err != nil {
				t.Fatal(err)
			}
			wantClosed(t, conn)
			if s.log.count("frame of 2147483648 bytes") != 1 {
				t.Error("the frame is not in the log once")
			}
		},
		"not TLS at all": func(t *testing.T) {
			conn, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
				t.Fatal(err)
			}
			wantClosed(t, conn)
		},
	} {
		s.check(t, name, bad)
	}
}

func (s *site) foreignCertificate(t *testing.T) {
	other, err := OpenKeys(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := s.machine(t)
	pub, err := x509.MarshalPKIXPublicKey(m.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	// The identity is of this installation, the signature is not.
	der, err := other.Issue(time.Now(), pub, link.Identity{Installation: s.keys.Installation, Client: endpoint.ID{1}})
	if err != nil {
		t.Fatal(err)
	}
	m.id, m.cert = endpoint.ID{1}, &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: m.key}
	if _, err := m.register(m.registration()); err == nil {
		t.Error("a foreign certificate was let in")
	}
}

func (s *site) check(t *testing.T, name string, bad func(*testing.T)) {
	t.Run(name, func(t *testing.T) {
		bad(t)
		s.joined(t) // and the next good machine is served
	})
}

// TestBadLeaders: one that leads a chain and says what is out of place is
// thrown out.
func TestBadLeaders(t *testing.T) {
	s := startSite(t, t.TempDir())
	for name, bad := range map[string]func(*testing.T){
		"leader that asks": func(t *testing.T) {
			s.wantThrownOut(t, wire.BackwardLeader, wire.Question{Sealed: []byte("what?")})
		},
		"backward leader that answers": func(t *testing.T) {
			s.wantThrownOut(t, wire.BackwardLeader, wire.Answer{Report: answer.Report{Seq: 1, Question: 1}})
		},
	} {
		s.check(t, name, bad)
	}
}

func wantClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// Whatever the server still says, it then hangs up.
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection stays open")
	}
}

// wantThrownOut lets an enrolled machine lead and say something out of place.
func (s *site) wantThrownOut(t *testing.T, role wire.Role, m wire.Message) {
	t.Helper()
	c := s.joined(t)
	conn, err := tls.Dial("tcp", s.Addr().String(), s.trust.ToServer(link.ProtocolLeader, c.cert))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	l := link.New(conn)
	hello := wire.Hello{Version: wire.Version, Role: role, Place: c.registration().Place, LAN: roster.Tag(loopback)}
	if err := l.Write(hello, patience); err != nil {
		t.Fatal(err)
	}
	if _, err := link.Expect[wire.HelloOK](l, patience); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(m, patience); err != nil {
		t.Fatal(err)
	}
	wantClosed(t, conn)
}

// TestRestart: who is enrolled stays enrolled, an old registration stays
// refused, and keys and question numbers go on.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	var m *endpointUnderTest
	var last wire.Register
	t.Run("first life", func(t *testing.T) {
		s := startSite(t, dir)
		m = s.joined(t)
		last = m.registration()
		if _, err := m.register(last); err != nil {
			t.Fatal(err)
		}
	})
	s := startSite(t, dir)
	m.t, m.site = t, s
	_, err := m.register(last)
	refused(t, err, wire.Replayed, "replayed")
	if _, err := m.register(m.registration()); err != nil {
		t.Errorf("an enrolled machine after a restart: %v", err)
	}
}
