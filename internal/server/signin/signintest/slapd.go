// Package signintest gives tests a real LDAP directory: Debian's slapd, as a
// child of the test's program, with a folder of its own.
package signintest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// What every directory has.
const (
	Suffix        = "dc=example,dc=org"
	Admin         = "cn=admin," + Suffix
	AdminPassword = "admins-own-password"
	People        = "ou=people," + Suffix
	Groups        = "ou=groups," + Suffix
)

const (
	certLife  = time.Hour             // longer than any test
	startMax  = 30 * time.Second      // on a machine that does other things, too
	dialEvery = 10 * time.Millisecond // whether it is there: it does not tell
)

// A Slapd is a directory that runs.
type Slapd struct {
	t         testing.TB
	dir       string
	Port, TLS int    // where it listens: plain (and StartTLS), and LDAPS
	Authority string // PEM of the certificate that has signed its own
	command   *exec.Cmd
	serving   chan struct{}
	conn      *ldap.Conn
}

// Start starts an empty directory that ends with the test.
func Start(t testing.TB) *Slapd {
	t.Helper()
	if _, err := os.Stat("/usr/sbin/slapd"); err != nil {
		t.Fatal("there is no slapd: run scripts/setup, or install the Debian package slapd as root")
	}
	s := &Slapd{t: t, dir: t.TempDir(), Port: freePort(t), TLS: freePort(t)}
	s.certify()
	s.write("slapd.conf", fmt.Sprintf(`include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCACertificateFile %[1]s/ca.pem
TLSCertificateFile %[1]s/server.pem
TLSCertificateKeyFile %[1]s/server.key
sizelimit size.soft=500 size.hard=500 size.prtotal=unlimited
database mdb
suffix %[2]q
rootdn %[3]q
rootpw %[4]s
maxsize 268435456
dbnosync
directory %[1]s
`, s.dir, Suffix, Admin, AdminPassword))
	s.Run()
	t.Cleanup(s.Stop)
	for _, dn := range []string{Suffix, People, Groups} {
		s.Add(dn, map[string][]string{"objectClass": {"organization", "dcObject"}, "o": {"Example"}, "dc": {"example"}})
	}
	return s
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func (s *Slapd) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// certify makes an authority of the directory's own, and its certificate for
// localhost.
func (s *Slapd) certify() {
	s.t.Helper()
	sign := func(c, parent *x509.Certificate, by *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			s.t.Fatal(err)
		}
		if by == nil {
			by = key
		}
		c.SerialNumber, c.NotBefore, c.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-certLife), time.Now().Add(certLife)
		der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
		if err != nil {
			s.t.Fatal(err)
		}
		return key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey, caPEM := sign(ca, ca, nil)
	server := &x509.Certificate{
		Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	key, serverPEM := sign(server, ca, caKey)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Authority = string(caPEM)
	s.write("ca.pem", s.Authority)
	s.write("server.pem", string(serverPEM))
	s.write("server.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// Run starts the server again after a Stop.
func (s *Slapd) Run() {
	s.t.Helper()
	const stats = "256" // it stays in the foreground
	s.command = exec.Command("/usr/sbin/slapd", "-d", stats, "-f", filepath.Join(s.dir, "slapd.conf"),
		"-h", fmt.Sprintf("ldap://127.0.0.1:%d ldaps://127.0.0.1:%d", s.Port, s.TLS))
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := s.command.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	over := make(chan struct{})
	s.serving = over
	var last strings.Builder
	go func() { // ends with the pipe, which ends with the process
		defer close(over)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if last.Len() < 1<<16 {
				fmt.Fprintln(&last, lines.Text())
			}
		}
	}()
	deadline, again := time.After(startMax), time.NewTicker(dialEvery)
	defer again.Stop()
	for {
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.TLS)))
		if err == nil {
			_ = conn.Close() // it has said nothing
			return
		}
		select {
		case <-again.C:
		case <-over:
			s.t.Fatalf("slapd has ended: %s", &last)
		case <-deadline:
			s.t.Fatal("slapd does not start")
		}
	}
}

// Stop ends the server, or does nothing if it has ended.
func (s *Slapd) Stop() {
	if s.conn != nil {
		_ = s.conn.Close() // what was added was answered
		s.conn = nil
	}
	if s.command == nil {
		return
	}
	_ = s.command.Process.Kill() // it may be dead
	<-s.serving
	_ = s.command.Wait() // killed
	s.command = nil
}

// as is a connection of the administrator's.
func (s *Slapd) as() *ldap.Conn {
	s.t.Helper()
	if s.conn == nil {
		conn, err := ldap.DialURL(fmt.Sprintf("ldap://127.0.0.1:%d", s.Port))
		if err == nil {
			err = conn.Bind(Admin, AdminPassword)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		s.conn = conn
	}
	return s.conn
}

// Add adds an entry. An organisational unit needs no attributes.
func (s *Slapd) Add(dn string, attributes map[string][]string) {
	s.t.Helper()
	if strings.HasPrefix(dn, "ou=") {
		attributes = map[string][]string{"objectClass": {"organizationalUnit"}}
	}
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attributes {
		r.Attribute(name, values)
	}
	if err := s.as().Add(r); err != nil {
		s.t.Fatalf("%s: %v", dn, err)
	}
}

// DN is that of a person.
func DN(name string) string { return "uid=" + ldap.EscapeDN(name) + "," + People }

// Person adds somebody with a password.
func (s *Slapd) Person(name, password string) {
	s.t.Helper()
	s.Add(DN(name), map[string][]string{
		"objectClass": {"inetOrgPerson"}, "uid": {name}, "cn": {"The " + name}, "sn": {name}, "userPassword": {password},
	})
}

// Group adds a group of entries with these names.
func (s *Slapd) Group(name string, members ...string) {
	s.t.Helper()
	s.Add("cn="+name+","+Groups, map[string][]string{"objectClass": {"groupOfNames"}, "cn": {name}, "member": members})
}

// Remove takes an entry away.
func (s *Slapd) Remove(dn string) {
	s.t.Helper()
	if err := s.as().Del(ldap.NewDelRequest(dn, nil)); err != nil {
		s.t.Fatalf("%s: %v", dn, err)
	}
}

// Set gives an attribute of an entry other values.
func (s *Slapd) Set(dn, attribute string, values ...string) {
	s.t.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attribute, values)
	if err := s.as().Modify(r); err != nil {
		s.t.Fatalf("%s: %v", dn, err)
	}
}
