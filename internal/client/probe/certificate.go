package probe

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strconv"
	"time"

	"catenary/internal/fault"
)

const (
	certificatesMax   = 8 << 20 // bytes of a file of certificates; the longest lists of authorities have a tenth
	certificatesFound = 1_000   // certificates that are told
	certificateFiles  = 10_000  // files that are looked at
)

// A certificate is what people ask about one.
type certificate struct {
	subject, issuer string
	until           time.Time
	sum             string // SHA-256 of all of it
}

// parseCertificates reads the X.509 certificates of a file, one after the other
// in PEM form or a single one in DER. Others' blocks and damaged certificates
// are passed over.
func parseCertificates(b []byte) []certificate {
	if c, ok := parseCertificate(b); ok {
		return []certificate{c}
	}
	var all []certificate
	for {
		block, rest := pem.Decode(b)
		if block == nil {
			return all
		}
		if block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE" {
			if c, ok := parseCertificate(block.Bytes); ok {
				all = append(all, c)
			}
		}
		b = rest
	}
}

func parseCertificate(der []byte) (certificate, bool) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return certificate{}, false
	}
	sum := sha256.Sum256(c.Raw)
	return certificate{c.Subject.String(), c.Issuer.String(), c.NotAfter, hex.EncodeToString(sum[:])}, true
}

func certificates(ctx context.Context, pattern string) ([][]string, error) {
	paths, err := glob(ctx, pattern)
	if err != nil {
		return nil, err
	}
	if len(paths) > certificateFiles {
		return nil, fault.New(fault.Invalid, "the pattern stands for more than %d files", certificateFiles)
	}
	now := time.Now()
	var rows [][]string
	for _, path := range paths {
		if err := stoppedIf(ctx, "reading the certificates"); err != nil {
			return nil, err
		}
		b, err := smallFile(path, certificatesMax)
		if err != nil {
			if passedOver(err) {
				continue
			}
			return nil, err
		}
		for _, c := range parseCertificates(b) {
			if len(rows) == certificatesFound {
				return nil, fault.New(fault.Invalid, "the files have more than %d certificates", certificatesFound)
			}
			days := int(c.until.Sub(now).Hours() / 24)
			rows = append(rows, []string{path, c.subject, c.issuer, date(c.until.UTC()), strconv.Itoa(days), c.sum})
		}
	}
	return rows, nil
}
