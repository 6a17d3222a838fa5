package signin

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"os"
	"sync"
	"time"

	"catenary/internal/fault"
)

const (
	authorityBytesMax  = 4 << 20  // of the file of authorities
	revocationBytesMax = 64 << 20 // of the file of revocations: those of large authorities have a million lines
)

// Cards say whose certificates let people in, as smart cards show them. Their
// methods may be called from any goroutine.
type Cards struct {
	pool        *x509.CertPool
	revocations string // a file; empty: nobody is asked whether a certificate was revoked

	mu    sync.Mutex // guards the fields below
	seen  os.FileInfo
	lists []*revocations
}

// revocations are one list of an authority's.
type revocations struct {
	*x509.RevocationList
	revoked map[string]bool // serial numbers
	signer  string          // the certificate by which its signature was found right, once it was
}

// OpenCards reads the certificates in PEM form of the authorities that vouch, and
// their lists of what they have revoked: a file in PEM form, too, that is read
// again when it has changed; empty: none.
func OpenCards(authorities, revocations string) (*Cards, error) {
	text, err := readMost(authorities, authorityBytesMax)
	if err != nil {
		return nil, err
	}
	c := &Cards{pool: x509.NewCertPool(), revocations: revocations}
	n := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, fault.New(fault.Invalid, "%s: part %d is no certificate", authorities, n+1)
		}
		if !cert.IsCA {
			return nil, fault.New(fault.Invalid, "%s: %s is no authority", authorities, cert.Subject)
		}
		c.pool.AddCert(cert)
		n++
	}
	if n == 0 {
		return nil, fault.New(fault.Invalid, "%s: there is no certificate in PEM form in it", authorities)
	}
	if revocations == "" {
		return c, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c, c.refresh()
}

// Authorities are those that vouch.
func (c *Cards) Authorities() *x509.CertPool { return c.pool }

// Check returns an error unless an authority vouches now for the first of the
// certificates that came with a connection, which has proved that it has the key.
func (c *Cards) Check(shown []*x509.Certificate, now time.Time) error {
	if len(shown) == 0 {
		return fault.New(fault.Stranger, "there is no certificate")
	}
	between := x509.NewCertPool()
	for _, cert := range shown[1:] {
		between.AddCert(cert)
	}
	chains, err := shown[0].Verify(x509.VerifyOptions{
		Roots: c.pool, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fault.New(fault.Stranger, "%w", err)
	}
	if c.revocations == "" {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.refresh(); err != nil {
		return err
	}
	for _, chain := range chains { // whichever is good
		if err = c.unrevoked(chain, now); err == nil {
			return nil
		}
	}
	return err
}

// unrevoked returns an error unless it is known of each certificate of a chain
// that its issuer has not revoked it.
func (c *Cards) unrevoked(chain []*x509.Certificate, now time.Time) error {
	for i, cert := range chain[:len(chain)-1] {
		issuer, known := chain[i+1], false
		for _, l := range c.lists {
			if !l.by(issuer) || now.Before(l.ThisUpdate) {
				continue
			}
			if l.revoked[cert.SerialNumber.String()] { // once is for ever, also by an old list
				return fault.New(fault.Stranger, "the certificate was revoked by %s", issuer.Subject)
			}
			known = known || now.Before(l.NextUpdate)
		}
		if !known {
			return fault.New(fault.Stranger, "nobody knows whether %s has revoked the certificate: there is no list that is good today", issuer.Subject)
		}
	}
	return nil
}

// by reports whether a list is of an issuer's.
func (l *revocations) by(issuer *x509.Certificate) bool {
	if string(l.RawIssuer) != string(issuer.RawSubject) {
		return false
	}
	if l.signer != string(issuer.Raw) {
		if l.CheckSignatureFrom(issuer) != nil {
			return false
		}
		l.signer = string(issuer.Raw)
	}
	return true
}

// refresh reads the lists if the file is another than before. What cannot be
// read is an error, and not a list without entries.
func (c *Cards) refresh() error {
	info, err := os.Stat(c.revocations)
	if err != nil {
		return fault.New(fault.Internal, "revocations: %w", err)
	}
	if c.seen != nil && os.SameFile(c.seen, info) && info.ModTime().Equal(c.seen.ModTime()) && info.Size() == c.seen.Size() {
		return nil
	}
	text, err := readMost(c.revocations, revocationBytesMax)
	if err != nil {
		return err
	}
	lists, err := parseRevocations(text)
	if err != nil {
		return fault.New(fault.Internal, "%s: %w", c.revocations, err)
	}
	c.seen, c.lists = info, lists
	return nil
}

// parseRevocations reads lists of revocations in PEM form. A list that speaks of
// some certificates only says so by a critical extension: it is refused, for
// the others it would acquit.
func parseRevocations(text []byte) (lists []*revocations, err error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		n := len(lists) + 1
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, fault.New(fault.Invalid, "part %d is no list of revocations: %w", n, err)
		}
		for _, e := range list.Extensions {
			if e.Critical {
				return nil, fault.New(fault.Invalid, "list %d, of %s, is not of all certificates, or more than a list (critical extension %s)", n, list.Issuer, e.Id)
			}
		}
		revoked := map[string]bool{}
		for _, e := range list.RevokedCertificateEntries {
			revoked[e.SerialNumber.String()] = true
		}
		list.RevokedCertificateEntries = nil // they are large
		lists = append(lists, &revocations{RevocationList: list, revoked: revoked})
	}
	if len(lists) == 0 {
		return nil, fault.New(fault.Invalid, "there is no list of revocations in PEM form in it")
	}
	return lists, nil
}

// readMost reads a file that is not larger than most.
func readMost(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fault.Internal, "certificates of people: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fault.New(fault.Internal, "certificates of people: %w", err)
	}
	if int64(len(text)) > most {
		return nil, fault.New(fault.Invalid, "%s is larger than %d bytes", path, most)
	}
	return text, nil
}
