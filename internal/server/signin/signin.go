// Package signin speaks the protocols by which people prove who they are with
// the help of somebody else: an LDAP directory, an OpenID Connect or a SAML
// provider, a program that shows one-time codes, a passkey, a smart card.
//
// What it returns is what the other side has said, after every check that the
// protocol knows. It has no users, no sessions and no routes: what a person may
// do here is decided by its caller.
package signin

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"strings"
	"time"

	"catenary/internal/fault"
)

const (
	dialTimeout  = 5 * time.Second  // connecting to somebody else
	replyTimeout = 15 * time.Second // one request to somebody else, whole
	documentMax  = 1 << 20          // bytes of a document that a provider sends
)

// authorities are the certificates in PEM form that sign those of another
// server; empty: those that the operating system trusts.
func authorities(pem string) (*x509.CertPool, error) {
	if strings.TrimSpace(pem) == "" {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(pem)) {
		return nil, fault.New(fault.Invalid, "certificate: there is no certificate in PEM form in it")
	}
	return pool, nil
}

// newClient returns an HTTP client for a provider: it follows no redirects,
// waits for nobody for long, and reads no more than documentMax bytes.
func newClient(pool *x509.CertPool) *http.Client {
	return &http.Client{
		Timeout: replyTimeout,
		Transport: limited{&http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: dialTimeout}).DialContext,
			TLSHandshakeTimeout: dialTimeout,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool},
			MaxIdleConns:        4,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// limited is a transport whose answers end early rather than be too long.
type limited struct{ http.RoundTripper }

func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.RoundTripper.RoundTrip(r)
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, documentMax)
	}
	return resp, err
}
