package server

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"catenary/internal/answer"
	"catenary/internal/keyfile"
	"catenary/internal/link"
	"catenary/internal/seal"
)

// Keys are an installation's secrets. They are made at the first start and lie
// in one folder, each in a file that only the server may read. The root key is
// used only to vouch for signing keys: once another voucher is not needed, it
// can be taken offline.
type Keys struct {
	Installation string
	Root         ed25519.PublicKey
	Vouchers     [][]byte
	Authority    *x509.Certificate
	AuthorityPEM string
	RowKey       answer.Key

	signing ed25519.PrivateKey
	ca      *ecdsa.PrivateKey
	dir     string
}

const (
	rootFile    = "root.key"
	signingFile = "signing.key"
	voucherFile = "signing.voucher"
	caKeyFile   = "ca.key"
	caFile      = "ca.pem"
	apiKeyFile  = "api.key"
	apiFile     = "api.pem"

	signingLife = 5 * 365 * 24 * time.Hour
	caLife      = 20 * 365 * 24 * time.Hour
	serverLife  = 365 * 24 * time.Hour // a new one is made at each start
	clientLife  = 30 * 24 * time.Hour  // renewed at registration when half of it is over
	backdate    = time.Hour            // clocks of endpoints may be behind
)

// OpenKeys reads the keys in dir, making what is missing.
func OpenKeys(dir string, now time.Time) (*Keys, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	k := &Keys{dir: dir}
	if err := k.openSigning(now); err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	k.Installation = fmt.Sprintf("%x", seal.IDOf(k.Root))
	if err := k.openAuthority(now); err != nil {
		return nil, fmt.Errorf("link authority: %w", err)
	}
	row, err := hkdf.Key(sha256.New, k.signing.Seed(), nil, "catenary row hash", len(k.RowKey))
	if err != nil {
		return nil, err
	}
	copy(k.RowKey[:], row)
	return k, nil
}

// openSigning needs the root key only if there is no voucher yet.
func (k *Keys) openSigning(now time.Time) error {
	var err error
	if k.signing, err = keyfile.Open(k.path(signingFile), newEd25519); err != nil {
		return err
	}
	voucher, err := os.ReadFile(k.path(voucherFile))
	if errors.Is(err, fs.ErrNotExist) {
		root, err := keyfile.Open(k.path(rootFile), newEd25519)
		if err != nil {
			return err
		}
		voucher = seal.Vouch(root, k.signing.Public().(ed25519.PublicKey), now.Add(-backdate), now.Add(signingLife))
		voucher = append(voucher, root.Public().(ed25519.PublicKey)...)
		if err := os.WriteFile(k.path(voucherFile), voucher, 0o600); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if len(voucher) <= ed25519.PublicKeySize {
		return fmt.Errorf("%s is too short", voucherFile)
	}
	cut := len(voucher) - ed25519.PublicKeySize
	k.Root, k.Vouchers = voucher[cut:], [][]byte{voucher[:cut]}
	if err := seal.NewRing(k.Root).Add(voucher[:cut]); err != nil {
		return fmt.Errorf("%s: %w", voucherFile, err)
	}
	return nil
}

func (k *Keys) openAuthority(now time.Time) error {
	var err error
	if k.ca, err = keyfile.Open(k.path(caKeyFile), newECDSA); err != nil {
		return err
	}
	data, err := os.ReadFile(k.path(caFile))
	if errors.Is(err, fs.ErrNotExist) {
		template := &x509.Certificate{
			SerialNumber:          serial(),
			Subject:               pkix.Name{CommonName: "Catenary " + k.Installation},
			NotBefore:             now.Add(-backdate),
			NotAfter:              now.Add(caLife),
			IsCA:                  true,
			BasicConstraintsValid: true,
			MaxPathLenZero:        true,
			KeyUsage:              x509.KeyUsageCertSign,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, k.ca.Public(), k.ca)
		if err != nil {
			return err
		}
		data = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(k.path(caFile), data, 0o644); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return fmt.Errorf("%s is not in PEM form", caFile)
	}
	k.AuthorityPEM = string(data)
	k.Authority, err = x509.ParseCertificate(block.Bytes)
	return err
}

// Dir is the folder with the keys.
func (k *Keys) Dir() string { return k.dir }

// CAPath is the file with the authority's certificate, for programs that call
// the API.
func (k *Keys) CAPath() string { return k.path(caFile) }

func (k *Keys) path(name string) string { return filepath.Join(k.dir, name) }

// Sign seals a payload with the signing key.
func (k *Keys) Sign(p seal.Purpose, payload []byte) []byte { return seal.Sign(k.signing, p, payload) }

// LinkCertificate makes the certificate that the server shows to clients.
func (k *Keys) LinkCertificate(now time.Time) (*tls.Certificate, error) {
	key, err := newECDSA()
	if err != nil {
		return nil, err
	}
	der, err := k.issue(now, serverLife, key.Public(), link.Identity{Installation: k.Installation, Server: true})
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Issue makes a client's certificate for a public key in PKIX form.
func (k *Keys) Issue(now time.Time, pkix []byte, id link.Identity) ([]byte, error) {
	pub, err := x509.ParsePKIXPublicKey(pkix)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	if ec, ok := pub.(*ecdsa.PublicKey); !ok || ec.Curve != elliptic.P256() {
		return nil, errors.New("public key: want ECDSA on P-256")
	}
	return k.issue(now, clientLife, pub, id)
}

func (k *Keys) issue(now time.Time, life time.Duration, pub any, id link.Identity) ([]byte, error) {
	return x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial(),
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life),
		URIs:         []*url.URL{id.URI()},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, k.Authority, pub, k.ca)
}

// APICertificate is what the API shows for the given host names and addresses.
// It is kept as long as it fits, so that who has pinned it need not look again.
func (k *Keys) APICertificate(now time.Time, hosts []string) (*tls.Certificate, error) {
	key, err := keyfile.Open(k.path(apiKeyFile), newECDSA)
	if err != nil {
		return nil, err
	}
	if data, err := os.ReadFile(k.path(apiFile)); err == nil {
		if block, _ := pem.Decode(data); block != nil {
			if cert, err := x509.ParseCertificate(block.Bytes); err == nil && fits(cert, key, now, hosts) {
				return &tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}, nil
			}
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial(),
		Subject:      pkix.Name{CommonName: "Catenary API"},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(serverLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, k.Authority, key.Public(), k.ca)
	if err != nil {
		return nil, err
	}
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(k.path(apiFile), data, 0o644); err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// fits reports whether the certificate is for the key and the hosts, and good
// for at least another month.
func fits(cert *x509.Certificate, key *ecdsa.PrivateKey, now time.Time, hosts []string) bool {
	if !key.PublicKey.Equal(cert.PublicKey) || now.AddDate(0, 1, 0).After(cert.NotAfter) {
		return false
	}
	for _, h := range hosts {
		if cert.VerifyHostname(h) != nil {
			return false
		}
	}
	return true
}

func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return new(big.Int).SetBytes(b)
}

func newEd25519() (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func newECDSA() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }
