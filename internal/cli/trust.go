package cli

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"catenary/internal/fault"
)

// A fingerprint is the SHA-256 of a certificate's DER bytes.
type fingerprint [sha256.Size]byte

// parseFingerprint takes 64 hexadecimal digits of either case, with or without
// colons or a leading "sha256:".
func parseFingerprint(s string) (fingerprint, error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(s), "sha256:"), ":", "")
	var f fingerprint
	if len(digits) == 2*len(f) {
		if _, err := hex.Decode(f[:], []byte(digits)); err == nil {
			return f, nil
		}
	}
	return f, fault.New(fault.Invalid, "%q is not a SHA-256 fingerprint (64 hexadecimal digits)", s)
}

// String is the spelling that browsers and openssl show.
func (f fingerprint) String() string {
	pairs := make([]string, len(f))
	for i, b := range f {
		pairs[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(pairs, ":")
}

// trust says how the server's certificate is judged. A fingerprint names one
// certificate, whatever name and dates stand in it; a CA file replaces the
// system's roots.
func (c Config) trust() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fault.New(fault.Invalid, "the server's CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.New(fault.Invalid, "the server's CA: no certificate in %s", c.CA)
		}
	}
	if c.Fingerprint != "" {
		want, err := parseFingerprint(c.Fingerprint)
		if err != nil {
			return nil, err
		}
		conf.InsecureSkipVerify = c.CA == "" // VerifyConnection below stands in for it
		conf.VerifyConnection = func(s tls.ConnectionState) error {
			if got := sha256.Sum256(s.PeerCertificates[0].Raw); got != want {
				return fault.New(fault.Stranger, "the server's certificate is not the trusted one: its fingerprint is %v; if it was renewed, run `catenary login --fingerprint`", fingerprint(got))
			}
			return nil
		}
	}
	return conf, nil
}

// errSeen ends a handshake that was only made to see a certificate.
var errSeen = errors.New("certificate seen")

// meet shakes hands with the server just far enough to see its certificate and
// sends nothing. known tells that the system's roots vouch for it.
func meet(ctx context.Context, base string) (leaf *x509.Certificate, known bool, err error) {
	transport := newTransport(&tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // the handshake never completes
		VerifyConnection: func(s tls.ConnectionState) error {
			leaf = s.PeerCertificates[0]
			opts := x509.VerifyOptions{DNSName: s.ServerName, Intermediates: x509.NewCertPool()}
			for _, cert := range s.PeerCertificates[1:] {
				opts.Intermediates.AddCert(cert)
			}
			_, unknown := leaf.Verify(opts)
			known = unknown == nil
			return errSeen
		},
	})
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base, nil)
	if err != nil {
		return nil, false, err
	}
	resp, err := transport.RoundTrip(req)
	if err == nil {
		return nil, false, errors.Join(errors.New("the server was met without TLS"), resp.Body.Close())
	}
	if !errors.Is(err, errSeen) {
		return nil, false, unreachable(base, err)
	}
	return leaf, known, nil
}
