package certificate

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/keyfile"
)

const (
	chainMax   = 10   // certificates: a server's, and some authorities'
	rsaBitsMin = 2048 // browsers refuse less
)

// An offered is a chain that somebody wants to be shown, with its key.
type offered struct {
	chain []*x509.Certificate
	key   any // a private key; nil: none came with it
}

func invalid(format string, args ...any) error {
	return fault.New(fault.Invalid, "HTTPSCertificateInvalid: "+format, args...)
}

// read reads what has been installed.
func read(data []byte) (Shown, error) {
	in, err := parse(data)
	if err != nil {
		return Shown{}, err
	}
	if in.key == nil || !in.fits() {
		return Shown{}, invalid("its key is missing, or another's")
	}
	return in.shown(), nil
}

func (in offered) shown() Shown {
	pair := &tls.Certificate{PrivateKey: in.key, Leaf: in.chain[0]}
	for _, c := range in.chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	return Shown{Chain: in.chain, Installed: true, pair: pair}
}

// parse reads blocks of PEM: certificates, the server's first, and at most one
// key, in whatever order it stands. What stands between blocks is passed over,
// as programs do that write PEM.
func parse(text []byte) (in offered, err error) {
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			if bytes.Contains(rest, []byte("-----BEGIN")) {
				return in, invalid("a block of PEM is damaged")
			}
			break
		}
		switch {
		case block.Type == certificateBlock:
			c, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return in, invalid("certificate %d cannot be read: %w", len(in.chain)+1, err)
			}
			if in.chain = append(in.chain, c); len(in.chain) > chainMax {
				return in, invalid("it has more than %d certificates", chainMax)
			}
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if in.key != nil {
				return in, invalid("it has more than one private key")
			}
			if in.key, err = parseKey(block); err != nil {
				return in, err
			}
		case block.Type == "EC PARAMETERS": // stands before keys that openssl makes
		default:
			return in, invalid("it has a block %q, which is neither a certificate nor a private key", block.Type)
		}
	}
	if len(in.chain) == 0 {
		return in, invalid("it has no certificate in PEM")
	}
	return in, nil
}

// parseKey reads a key in one of the three forms that are in use.
func parseKey(block *pem.Block) (key any, err error) {
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
		return nil, invalid("its private key is encrypted: decrypt it first (openssl pkey -in KEY)")
	}
	if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err = x509.ParseECPrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	return nil, invalid("its private key cannot be read") // the reason might tell of the key
}

// pem is how the chain and its key are kept.
func (in offered) pem() ([]byte, error) {
	var out []byte
	for _, c := range in.chain {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: certificateBlock, Bytes: c.Raw})...)
	}
	key, err := keyfile.PEM(in.key)
	return append(out, key...), err
}

// fits reports whether the key is the first certificate's.
func (in offered) fits() bool {
	signer, ok := in.key.(crypto.Signer)
	if !ok {
		return false
	}
	public, ok := signer.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(in.chain[0].PublicKey)
}

// check refuses what browsers and programs would.
func (in offered) check(host string, now time.Time) error {
	server := in.chain[0]
	if !in.fits() {
		return invalid("the private key is not the one of the first certificate (%s)", server.Subject)
	}
	if err := strong(server); err != nil {
		return err
	}
	if len(server.DNSNames)+len(server.IPAddresses) == 0 {
		return invalid("the certificate says no name or address of a server (subjectAltName)")
	}
	if host != "" && server.VerifyHostname(host) != nil {
		return invalid("the certificate is not for %s, which the setting public_url names, but for %s", host, strings.Join(Names(server), ", "))
	}
	if len(server.ExtKeyUsage)+len(server.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(server.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(server.ExtKeyUsage, x509.ExtKeyUsageAny) {
		return invalid("the certificate is not for servers (extendedKeyUsage)")
	}
	for i, c := range in.chain {
		switch {
		case now.Before(c.NotBefore):
			return invalid("certificate %d (%s) is not good before %s", i+1, c.Subject, c.NotBefore.Format(time.RFC3339))
		case now.After(c.NotAfter):
			return invalid("certificate %d (%s) has expired on %s", i+1, c.Subject, c.NotAfter.Format(time.RFC3339))
		}
		if i > 0 {
			if err := in.chain[i-1].CheckSignatureFrom(c); err != nil {
				return invalid("certificate %d (%s) has not been issued by certificate %d (%s): the server's comes first, then its issuer, and so on: %w", i, in.chain[i-1].Subject, i+1, c.Subject, err)
			}
		}
	}
	return nil
}

func strong(c *x509.Certificate) error {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() < rsaBitsMin {
			return invalid("its RSA key has %d bits; the least is %d", key.N.BitLen(), rsaBitsMin)
		}
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			return invalid("its key is on the curve %s: want P-256 or more", key.Curve.Params().Name)
		}
	case ed25519.PublicKey:
	default:
		return invalid("its key is none of RSA, ECDSA and Ed25519")
	}
	switch c.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return invalid("it is signed with %s, which is broken", c.SignatureAlgorithm)
	}
	return nil
}

// Names are the names and addresses of the servers that a certificate is for.
func Names(c *x509.Certificate) []string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
