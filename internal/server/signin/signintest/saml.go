package signintest

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/xml"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	"github.com/crewjam/saml/logger"
	dsig "github.com/russellhaering/goxmldsig"
)

const keyBits = 2048

// A SAMLProvider is an identity provider that asks nobody for a password: who is
// sent to it is its Person.
type SAMLProvider struct {
	t   testing.TB
	idp saml.IdentityProvider
	sp  *saml.EntityDescriptor

	Person   saml.Session
	Metadata string // that describes the provider

	// Alter changes what is said before it is signed, Edit what is sent after
	// that.
	Alter func(a *saml.Assertion)
	Edit  func(response *etree.Element)
	// Sign1 has it sign with SHA-1.
	Sign1 bool
}

// NewSAMLProvider makes a provider.
func NewSAMLProvider(t testing.TB) *SAMLProvider {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "idp.example"},
		NotBefore: time.Now().Add(-certLife), NotAfter: time.Now().Add(certLife),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	p := &SAMLProvider{t: t, idp: saml.IdentityProvider{
		Key: key, Certificate: c, Logger: logger.DefaultLogger,
		MetadataURL: url.URL{Scheme: "https", Host: "idp.example", Path: "/metadata"},
		SSOURL:      url.URL{Scheme: "https", Host: "idp.example", Path: "/sso"},
	}}
	p.idp.ServiceProviderProvider = p
	doc, err := xml.Marshal(p.idp.Metadata())
	if err != nil {
		t.Fatal(err)
	}
	p.Metadata = string(doc)
	p.Person = saml.Session{
		ID: "session", NameID: "4711", NameIDFormat: string(saml.PersistentNameIDFormat), UserName: "ann", UserCommonName: "Ann Other",
		Groups: []string{"ops", "admins"}, CreateTime: time.Now(), ExpireTime: time.Now().Add(certLife),
	}
	return p
}

// Trust makes the provider know a program by the metadata that describes it.
func (p *SAMLProvider) Trust(metadata []byte) {
	p.t.Helper()
	p.sp = &saml.EntityDescriptor{}
	if err := xml.Unmarshal(metadata, p.sp); err != nil {
		p.t.Fatal(err)
	}
}

// GetServiceProvider is what the library asks.
func (p *SAMLProvider) GetServiceProvider(*http.Request, string) (*saml.EntityDescriptor, error) {
	return p.sp, nil
}

// Visit goes to where a browser was sent, and returns the form with which it
// comes back.
func (p *SAMLProvider) Visit(location string) url.Values {
	p.t.Helper()
	p.idp.SignatureMethod = dsig.RSASHA256SignatureMethod
	if p.Sign1 {
		p.idp.SignatureMethod = dsig.RSASHA1SignatureMethod
	}
	req, err := saml.NewIdpAuthnRequest(&p.idp, httptest.NewRequest(http.MethodGet, location, nil))
	if err == nil {
		err = req.Validate()
	}
	if err == nil {
		err = saml.DefaultAssertionMaker{}.MakeAssertion(req, &p.Person)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	if p.Alter != nil {
		p.Alter(req.Assertion)
	}
	if err := req.MakeResponse(); err != nil {
		p.t.Fatal(err)
	}
	doc := etree.NewDocument()
	doc.SetRoot(req.ResponseEl)
	text, err := doc.WriteToBytes()
	if err != nil {
		p.t.Fatal(err)
	}
	if p.Edit != nil {
		doc := etree.NewDocument()
		if err := doc.ReadFromBytes(text); err != nil {
			p.t.Fatal(err)
		}
		p.Edit(doc.Root())
		if text, err = doc.WriteToBytes(); err != nil {
			p.t.Fatal(err)
		}
	}
	return url.Values{"SAMLResponse": {base64.StdEncoding.EncodeToString(text)}, "RelayState": {req.RelayState}}
}
