package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/url"
	"regexp"
	"strings"

	"catenary/internal/fault"
	"catenary/internal/server/fetch"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/setting"
	"catenary/internal/server/shelf"
)

// The kinds of objects that say who asks for files at their sources, and whose
// word on a source's certificate is believed.
const (
	downloadUser  = "downloader_auth_user"
	downloadCert  = "downloader_auth_cert"
	downloadTrust = "downloader_trusted_cert"
)

const (
	pemMax              = 64 << 10 // bytes of a certificate with its chain, or of a key
	downloadPasswordMax = 1024     // bytes of a password, as of users
)

// downloadFaces are about downloading from sources that not everybody may ask.
func (s *server) downloadFaces() []*face {
	const idOnly = canAll&^canName | saysIDOnly
	return []*face{
		{path: "downloader_auth_users", kind: downloadUser, verbs: idOnly, read: rights.ReadAllowedURLs, write: rights.WriteAllowedURLs,
			ready: sayPassword, prepare: prepareDownloadUser, done: s.waysChanged,
			says: "A user and password (HTTP Basic) for the sources of packages' files whose whole address url_regex matches; it has to say the host. The password is never shown, and has to be said again with another url_regex."},
		{path: "downloader_auth_certs", kind: downloadCert, verbs: idOnly, read: rights.ReadAllowedURLs, write: rights.WriteAllowedURLs,
			prepare: prepareDownloadCert, done: s.waysChanged,
			says: "A client certificate (PEM, with its chain) for the sources of packages' files whose whole address url_regex matches; it has to say the host. The key is never shown."},
		{path: "downloader_trusted_certs", kind: downloadTrust, verbs: idOnly, read: rights.ReadAllowedURLs, write: rights.WriteAllowedURLs,
			prepare: prepareDownloadTrust, done: s.waysChanged,
			says: "A certificate (PEM) that vouches for the sources of packages' files whose whole address url_regex matches, without one for all, besides what the server's system trusts."},
	}
}

// waysChanged is called when sources are reached in other ways.
func (s *server) waysChanged(context.Context, call, *shelf.Record, *shelf.Record) { s.fetcher.Anew() }

// secretPattern refuses patterns by which a secret might be given to anybody.
func secretPattern(o *object.Object) error {
	if err := downloadPattern(o); err != nil {
		return err
	}
	if !fetch.NamesHost(o.Text("url_regex")) {
		return object.Bad("url_regex", "it has to begin like https://host, with a whole host")
	}
	return nil
}

func downloadPattern(o *object.Object) error {
	pattern := o.Text("url_regex")
	if len(pattern) > urlPatternMax {
		return object.Bad("url_regex", "a pattern of %d bytes at most is expected", urlPatternMax)
	}
	if _, err := regexp.Compile(pattern); err != nil {
		return object.Bad("url_regex", "%v", err)
	}
	return nil
}

// sayPassword wants a password again that would be sent elsewhere, so that nobody
// learns it in that way.
func sayPassword(_ context.Context, _ call, was *shelf.Record, in *object.Object) error {
	if was != nil && in.Has("url_regex") && in.Text("url_regex") != was.Object.Text("url_regex") && !in.Has("password") {
		return object.Bad("password", "it has to be said again, since it would be sent elsewhere")
	}
	return nil
}

func prepareDownloadUser(_ context.Context, _ call, _ *shelf.Change, _ *shelf.Record, o *object.Object) error {
	user := o.Text("user")
	switch {
	case user == "" || strings.Contains(user, ":") || len(user) > nameMax:
		return object.Bad("user", "a name of 1 to %d bytes without a colon is expected", nameMax)
	case len(o.Text("password")) > downloadPasswordMax:
		return object.Bad("password", "it has more than %d bytes", downloadPasswordMax)
	}
	return secretPattern(o)
}

func prepareDownloadCert(_ context.Context, _ call, _ *shelf.Change, _ *shelf.Record, o *object.Object) error {
	if len(o.Text("certificate")) > pemMax || len(o.Text("key")) > pemMax {
		return object.Bad("certificate", "it, or its key, has more than %d bytes", pemMax)
	}
	if _, err := keyPair(o); err != nil {
		return fault.New(fault.Invalid, "OpenSSLError: certificate and key: %w", err)
	}
	return secretPattern(o)
}

func keyPair(o *object.Object) (tls.Certificate, error) {
	return tls.X509KeyPair([]byte(o.Text("certificate")), []byte(o.Text("key")))
}

func prepareDownloadTrust(_ context.Context, _ call, _ *shelf.Change, _ *shelf.Record, o *object.Object) error {
	if len(o.Text("certificate")) > pemMax {
		return object.Bad("certificate", "it has more than %d bytes", pemMax)
	}
	if _, err := certificatesIn(o.Text("certificate")); err != nil {
		return err
	}
	return downloadPattern(o)
}

// certificatesIn reads certificates in PEM.
func certificatesIn(text string) (out []*x509.Certificate, err error) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, fault.New(fault.Invalid, "OpenSSLError: certificate: what is called %q is no certificate", shorten(block.Type))
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, fault.New(fault.Invalid, "OpenSSLError: certificate: one in PEM is expected")
	}
	return out, nil
}

// ways are how sources of files are reached now. What cannot be read any more is
// passed over: it was looked at when it came.
func (s *server) ways() fetch.Ways {
	w := fetch.Ways{Proxy: s.proxy(), Direct: setting.Hosts(s.setting(setting.ProxyBypass))}
	for _, r := range s.shelves.All(downloadUser) {
		o := r.Object
		w.Logins = append(w.Logins, fetch.Login{Pattern: o.Text("url_regex"), User: o.Text("user"), Password: o.Text("password")})
	}
	for _, r := range s.shelves.All(downloadCert) {
		if pair, err := keyPair(r.Object); err == nil {
			w.Certificates = append(w.Certificates, fetch.Certificate{Pattern: r.Object.Text("url_regex"), Certificate: pair})
		}
	}
	for _, r := range s.shelves.All(downloadTrust) {
		if list, err := certificatesIn(r.Object.Text("certificate")); err == nil {
			for _, c := range list {
				w.Trusted = append(w.Trusted, fetch.Trusted{Pattern: r.Object.Text("url_regex"), Certificate: c})
			}
		}
	}
	return w
}

// proxy is the one by which sources are reached; nil: none.
func (s *server) proxy() *url.URL {
	host := s.setting(setting.ProxyServer)
	if host == "" || strings.EqualFold(s.setting(setting.ProxyType), "NONE") {
		return nil
	}
	u := &url.URL{Scheme: "http", Host: net.JoinHostPort(host, s.setting(setting.ProxyPort))}
	if user := s.setting(setting.ProxyUser); user != "" {
		u.User = url.UserPassword(user, s.setting(setting.ProxyPassword))
	}
	return u
}

// isProxy reports whether a setting is of the proxy.
func isProxy(name string) bool {
	for _, one := range []string{setting.ProxyServer, setting.ProxyPort, setting.ProxyType, setting.ProxyUser, setting.ProxyPassword, setting.ProxyBypass} {
		if strings.EqualFold(name, one) {
			return true
		}
	}
	return false
}

// proxyChanged is called when a setting has changed.
func (s *server) proxyChanged(_ context.Context, _ call, was, is *shelf.Record) {
	if was != nil && isProxy(was.Name) || is != nil && isProxy(is.Name) {
		s.fetcher.Anew()
	}
}

// forgetPassword drops the proxy's password when another machine or program would
// get it: nobody learns it by sending it elsewhere.
func forgetPassword(ch *shelf.Change, was *shelf.Record, o *object.Object) error {
	if !strings.EqualFold(was.Name, setting.ProxyServer) && !strings.EqualFold(was.Name, setting.ProxyPort) || setting.Value(was.Object) == setting.Value(o) {
		return nil
	}
	r := ch.ByName(setting.Kind, setting.ProxyPassword)
	if r == nil || setting.Value(r.Object) == "" {
		return nil
	}
	without := r.Object.Clone()
	without.Set("protected_value", nil)
	_, err := ch.Update(r, without)
	return err
}
