// Package certificate keeps the certificate with which the API is served: the
// one that the installation's own authority makes, or one that an operator has
// installed, with the request for it. What is installed counts from the next
// connection on.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/keyfile"
)

const (
	// installedFile has a chain and its key in one file, so that neither is ever
	// there without the other; requestFile a request and its key.
	installedFile = "https.pem"
	requestFile   = "https-request.pem"

	certificateBlock = "CERTIFICATE"
	requestBlock     = "CERTIFICATE REQUEST"
)

// A Folder keeps the certificate. Its methods may be called from any goroutine.
type Folder struct {
	dir string
	own Shown

	mu    sync.RWMutex
	shown Shown
}

// Shown is a chain that the API shows.
type Shown struct {
	Chain     []*x509.Certificate // the server's own first
	Installed bool                // by an operator

	pair *tls.Certificate
}

// Open opens the folder: what is installed there is shown, or else the
// certificate that the installation has made itself.
func Open(dir string, own *tls.Certificate) (*Folder, error) {
	chain, err := x509.ParseCertificates(slices.Concat(own.Certificate...))
	if err != nil {
		return nil, err
	}
	f := &Folder{dir: dir, own: Shown{Chain: chain, pair: own}}
	f.shown = f.own
	data, err := os.ReadFile(f.path(installedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err == nil {
		f.shown, err = read(data)
	}
	if err != nil {
		return nil, fmt.Errorf("certificate of the API in %s: %w; without the file the server shows its own", f.path(installedFile), err)
	}
	return f, nil
}

func (f *Folder) path(name string) string { return filepath.Join(f.dir, name) }

// Shown is what the API shows now.
func (f *Folder) Shown() Shown {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.shown
}

// ForConnection is what tls.Config.GetCertificate wants.
func (f *Folder) ForConnection(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.Shown().pair, nil
}

// Install shows another chain, in PEM with its key, or without it if it was
// requested with Request. host is the name at which people reach the server; it
// may be empty. What would not be fit is refused with the reason.
func (f *Folder) Install(text []byte, host string, now time.Time) (Shown, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	in, err := parse(text)
	if err != nil {
		return Shown{}, err
	}
	requested := in.key == nil
	if requested {
		if in.key, err = f.requestKey(); err != nil {
			return Shown{}, err
		}
	}
	if err := in.check(host, now); err != nil {
		return Shown{}, err
	}
	data, err := in.pem()
	if err != nil {
		return Shown{}, err
	}
	if err := keyfile.Replace(f.path(installedFile), data); err != nil {
		return Shown{}, fmt.Errorf("keep the certificate: %w", err)
	}
	f.shown = in.shown()
	if requested {
		return f.shown, f.dropRequest()
	}
	return f.shown, nil
}

// Remove shows the installation's own certificate again. NotFound if no other
// is installed.
func (f *Folder) Remove() (Shown, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.shown.Installed {
		return Shown{}, fault.New(fault.NotFound, "no certificate is installed: the server shows its own")
	}
	if err := os.Remove(f.path(installedFile)); err != nil {
		return Shown{}, err
	}
	f.shown = f.own
	return f.shown, nil
}

// Request makes a key, which stays here, and a request that an authority makes
// a certificate of. It takes the place of one that is there.
func (f *Folder) Request(subject pkix.Name, names []string) (*x509.CertificateRequest, error) {
	template := &x509.CertificateRequest{Subject: subject}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		return nil, fault.New(fault.Invalid, "no request can be made of that: %w", err)
	}
	keyPEM, err := keyfile.PEM(key)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	data := pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: der})
	if err := keyfile.Replace(f.path(requestFile), append(data, keyPEM...)); err != nil {
		return nil, fmt.Errorf("keep the request: %w", err)
	}
	return x509.ParseCertificateRequest(der)
}

// Requested is the request that waits for its certificate; NotFound if there is
// none.
func (f *Folder) Requested() (*x509.CertificateRequest, error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	data, err := f.readRequest()
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != requestBlock {
		return nil, fault.New(fault.Internal, "%s is damaged: make a new request", f.path(requestFile))
	}
	return x509.ParseCertificateRequest(block.Bytes)
}

// Withdraw forgets the request and its key. NotFound if there is none.
func (f *Folder) Withdraw() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.readRequest(); err != nil {
		return err
	}
	return f.dropRequest()
}

func (f *Folder) dropRequest() error { return os.Remove(f.path(requestFile)) }

func (f *Folder) readRequest() ([]byte, error) {
	data, err := os.ReadFile(f.path(requestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.NotFound, "no certificate is requested")
	}
	return data, err
}

// requestKey is the key of a request, for a chain that came without one.
func (f *Folder) requestKey() (any, error) {
	data, err := f.readRequest()
	if fault.KindOf(err) == fault.NotFound {
		return nil, invalid("its private key is missing, and no certificate is requested here")
	}
	if err != nil {
		return nil, err
	}
	_, rest := pem.Decode(data)
	block, _ := pem.Decode(rest)
	if block == nil {
		return nil, fault.New(fault.Internal, "%s is damaged: make a new request", f.path(requestFile))
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}
