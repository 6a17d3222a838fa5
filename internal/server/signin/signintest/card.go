package signintest

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An Office issues certificates to people with openssl, and revokes them.
type Office struct {
	t   testing.TB
	dir string
}

const officeConfig = `
[ca]
default_ca = office
[office]
database = index.txt
new_certs_dir = .
serial = serial
crlnumber = serial
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_days = 365
default_crl_days = 7
policy = any
unique_subject = no
[any]
commonName = optional
`

// NewOffice makes an authority, and a key for people's certificates.
func NewOffice(t testing.TB, name string) *Office {
	t.Helper()
	o := &Office{t, t.TempDir()}
	o.write("office.cnf", officeConfig)
	o.write("index.txt", "")
	o.write("serial", "1000\n")
	o.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "ca.key")
	o.run("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN="+name, "-days", "3650", "-out", "ca.pem",
		"-addext", "keyUsage=critical,keyCertSign,cRLSign")
	o.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "person.key")
	return o
}

// Authority is the file of the authority's certificate.
func (o *Office) Authority() string { return filepath.Join(o.dir, "ca.pem") }

// File is the file of a certificate, a list, or person.key.
func (o *Office) File(name string) string { return filepath.Join(o.dir, name) }

// Issue makes a certificate for the subject with these extensions, one in a
// line; more is for openssl.
func (o *Office) Issue(name, subject, extensions string, more ...string) tls.Certificate {
	o.t.Helper()
	o.write(name+".ext", extensions)
	o.run("req", "-new", "-key", "person.key", "-subj", subject, "-out", name+".csr")
	o.run(append([]string{"ca", "-config", "office.cnf", "-batch", "-notext", "-in", name + ".csr", "-extfile", name + ".ext", "-out", name + ".pem"}, more...)...)
	pair, err := tls.LoadX509KeyPair(o.File(name+".pem"), o.File("person.key"))
	if err != nil {
		o.t.Fatal(err)
	}
	return pair
}

// Revoke revokes certificates and writes the list, list.pem.
func (o *Office) Revoke(names ...string) string {
	o.t.Helper()
	for _, name := range names {
		o.run("ca", "-config", "office.cnf", "-revoke", name+".pem")
	}
	o.run("ca", "-config", "office.cnf", "-gencrl", "-out", "list.pem")
	return o.File("list.pem")
}

func (o *Office) write(name, text string) {
	o.t.Helper()
	if err := os.WriteFile(o.File(name), []byte(text), 0o600); err != nil {
		o.t.Fatal(err)
	}
}

func (o *Office) run(args ...string) {
	o.t.Helper()
	cmd := exec.Command("openssl", args...)
	cmd.Dir = o.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		o.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
