// Package trust is catenary-init.dat: what a new client must know to find its
// server, to trust it, and to be let in.
//
// The file is JSON. Whoever holds it can enrol a client until its secret
// expires or is used up, so it is as confidential as a password.
package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"catenary/internal/seal"
)

// FileName is what the bundle is called on disk.
const FileName = "catenary-init.dat"

const (
	// FileMax bounds the file, in bytes.
	FileMax = 64 << 10
	// SecretSize is the size of an enrolment secret, in bytes.
	SecretSize = 32
)

// A Bundle is the content of catenary-init.dat.
type Bundle struct {
	Installation string    `json:"installation"` // names the installation in certificates
	Servers      []string  `json:"servers"`      // host:port, tried in random order
	Root         []byte    `json:"root"`         // Ed25519 public key
	Vouchers     [][]byte  `json:"vouchers"`     // the root's words for the signing keys in use
	CA           string    `json:"ca"`           // PEM; signs the certificates of links
	Secret       []byte    `json:"secret"`       // for enrolment
	Expires      time.Time `json:"expires"`      // of the secret
}

// Parse reads a bundle and checks that it is whole.
func Parse(data []byte) (Bundle, error) {
	if len(data) > FileMax {
		return Bundle{}, fmt.Errorf("%s: has %d bytes; the limit is %d", FileName, len(data), FileMax)
	}
	var b Bundle
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&b); err != nil {
		return Bundle{}, fmt.Errorf("%s: %w", FileName, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return Bundle{}, fmt.Errorf("%s: something follows after its end", FileName)
	}
	if _, err := b.Ring(); err != nil {
		return Bundle{}, fmt.Errorf("%s: %w", FileName, err)
	}
	if _, err := b.Authority(); err != nil {
		return Bundle{}, fmt.Errorf("%s: %w", FileName, err)
	}
	switch {
	case b.Installation == "":
		return Bundle{}, fmt.Errorf("%s: installation is missing", FileName)
	case len(b.Servers) == 0:
		return Bundle{}, fmt.Errorf("%s: names no server", FileName)
	case len(b.Secret) != SecretSize:
		return Bundle{}, fmt.Errorf("%s: secret has %d bytes, want %d", FileName, len(b.Secret), SecretSize)
	case b.Expires.IsZero():
		return Bundle{}, fmt.Errorf("%s: expires is missing", FileName)
	}
	for _, server := range b.Servers {
		u, err := url.Parse("//" + server)
		if err != nil || u.Host != server || u.Hostname() == "" || strings.Contains(u.Hostname(), ":") && server[0] != '[' {
			return Bundle{}, fmt.Errorf("%s: server %q is not host:port", FileName, server)
		}
		if n, err := strconv.ParseUint(u.Port(), 10, 16); err != nil || n == 0 {
			return Bundle{}, fmt.Errorf("%s: server %q is not host:port", FileName, server)
		}
	}
	return b, nil
}

// Marshal writes the bundle as a file's content.
func (b Bundle) Marshal() ([]byte, error) {
	data, err := json.MarshalIndent(b, "", "  ")
	return append(data, '\n'), err
}

// Ring returns the signing keys that the bundle's root vouches for.
func (b Bundle) Ring() (*seal.Ring, error) {
	if len(b.Root) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("root key has %d bytes, want %d", len(b.Root), ed25519.PublicKeySize)
	}
	r := seal.NewRing(b.Root)
	for _, v := range b.Vouchers {
		if err := r.Add(v); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Authority returns the certificate that signs the certificates of links.
func (b Bundle) Authority() (*x509.Certificate, error) {
	block, rest := pem.Decode([]byte(b.CA))
	if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("ca is not one certificate in PEM")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if !cert.IsCA {
		return nil, errors.New("ca is no certificate authority")
	}
	return cert, nil
}
