package api

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"net/http"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin"
)

const (
	samlKind = "saml_provider"
	// samlFormMax is the size in bytes of the form that brings a response: its
	// base64 has + and / and =, which a form writes with three characters.
	samlFormMax = 2 * signin.SAMLResponseMax
)

func (s *server) samlFace() *face {
	return &face{
		path: "saml_providers", kind: samlKind, verbs: canAll, read: rights.ReadConnectors, write: rights.WriteConnectors,
		remove: s.removeProvider, ready: readySAMLKey,
		prepare: func(_ context.Context, _ call, _ *shelf.Change, _ *shelf.Record, o *object.Object) error {
			if !o.Is("encryption_flag") {
				o.Set("encryption_key", nil)
				o.Set("encryption_certificate", nil)
			}
			_, err := signin.NewSAML(toSAML(o, "https://not.yet/known"))
			return err
		},
		says: "With encryption_flag the provider may encrypt assertions: our metadata then have a certificate (encryption_certificate), whose key is made here and never shown. Switched off and on again it is another key.",
	}
}

func (s *server) samlRoutes() []route {
	return []route{
		{method: "GET", path: "/auth/saml/{id}/login", access: anyone, right: rights.None, serve: handler(s.samlLogin)},
		{method: "POST", path: "/auth/saml/{id}/acs", access: anyone, right: rights.None, serve: handler(s.samlResponse)},
		{method: "GET", path: "/auth/saml/{id}/metadata", access: anyone, right: rights.None, serve: handler(s.samlMetadata)},
	}
}

// readySAMLKey makes a key for a provider that is to encrypt. Others' keys are not
// taken.
func readySAMLKey(_ context.Context, _ call, was *shelf.Record, in *object.Object) error {
	in.Set("encryption_key", nil)
	if !in.Is("encryption_flag") || was != nil && was.Object.Text("encryption_key") != "" {
		return nil
	}
	key, certificate, err := signin.NewSAMLKey()
	if err != nil {
		return err
	}
	in.Set("encryption_key", base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(key)))
	in.Set("encryption_certificate", base64.StdEncoding.EncodeToString(certificate.Raw))
	return nil
}

// samlKey is the key with which a provider's assertions are opened; nil if it
// encrypts none.
func samlKey(o *object.Object) (*rsa.PrivateKey, *x509.Certificate) {
	der, err := base64.StdEncoding.DecodeString(o.Text("encryption_key"))
	raw, err2 := base64.StdEncoding.DecodeString(o.Text("encryption_certificate"))
	if err != nil || err2 != nil || len(der) == 0 {
		return nil, nil
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	certificate, err2 := x509.ParseCertificate(raw)
	if err != nil || err2 != nil {
		return nil, nil // both are our own making
	}
	return key, certificate
}

func toSAML(o *object.Object, base string) signin.SAMLConfig {
	key, certificate := samlKey(o)
	return signin.SAMLConfig{
		Key: key, Certificate: certificate,
		Provider: o.Text("metadata"), Base: base,
		NameAttribute: o.Text("name_attribute"), DisplayAttribute: o.Text("display_name_attribute"), GroupAttribute: o.Text("group_attribute"),
	}
}

// saml is the provider that a request is about.
func (s *server) saml(c call) (*shelf.Record, *signin.SAML, error) {
	r, err := s.provider(c, samlKind)
	if err != nil {
		return nil, nil, err
	}
	site, err := s.site()
	if err != nil {
		return nil, nil, err
	}
	p, err := cached(s.providers, s.providers.saml, r, site, func() (*signin.SAML, error) {
		return signin.NewSAML(toSAML(r.Object, site+"/auth/saml/"+c.PathValue("id")))
	})
	return r, p, err
}

func (s *server) samlLogin(w http.ResponseWriter, c call) error {
	r, p, err := s.saml(c)
	if err != nil {
		return err
	}
	return s.sendAway(w, c, r, p.Begin)
}

func (s *server) samlMetadata(w http.ResponseWriter, c call) error {
	_, p, err := s.saml(c)
	if err != nil {
		return err
	}
	doc, err := p.Metadata()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/samlmetadata+xml")
	return send(w, doc)
}

// samlResponse takes the form with which a provider sends somebody back.
func (s *server) samlResponse(w http.ResponseWriter, c call) error {
	r, p, err := s.saml(c)
	if err != nil {
		return err
	}
	c.Body = http.MaxBytesReader(w, c.Body, samlFormMax)
	if err := c.ParseForm(); err != nil {
		return fault.New(fault.Invalid, "a form of at most %d bytes with SAMLResponse and RelayState is expected", samlFormMax)
	}
	at, err := s.comesBack(c, r, c.PostForm.Get("RelayState"))
	if err != nil {
		return err
	}
	id, err := p.Finish(c.PostForm.Get("SAMLResponse"), at.pending)
	if err != nil {
		return notVouchedFor(err)
	}
	return s.letIn(w, c, r, id, at.back)
}
