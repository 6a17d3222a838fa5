package signin

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	xrv "github.com/mattermost/xml-roundtrip-validator"

	"catenary/internal/fault"
)

const (
	// SAMLResponseMax is the size in bytes of a response: somebody in a thousand
	// groups has about 100 KiB.
	SAMLResponseMax = 512 << 10
	samlElements    = 20_000 // in one response
)

// A SAMLConfig says who the other side is, how it says what we want to know, and
// where we are.
type SAMLConfig struct {
	Provider         string // the identity provider's metadata, XML
	Base             string // our own URLs begin with this: …/metadata, …/acs
	NameAttribute    string // empty: the NameID
	DisplayAttribute string
	GroupAttribute   string
	// Key opens encrypted assertions, and Certificate tells providers with what to
	// encrypt; nil: they are not taken.
	Key         *rsa.PrivateKey
	Certificate *x509.Certificate
}

// A SAML is an identity provider whose metadata has been read.
type SAML struct {
	cfg SAMLConfig
	sp  saml.ServiceProvider
}

// NewSAML reads the metadata of an identity provider.
func NewSAML(c SAMLConfig) (*SAML, error) {
	if len(c.Provider) > documentMax {
		return nil, fault.New(fault.Invalid, "metadata: has more than %d bytes", documentMax)
	}
	if err := wellFormed([]byte(c.Provider)); err != nil {
		return nil, fault.New(fault.Invalid, "metadata: %w", err)
	}
	idp := &saml.EntityDescriptor{}
	if err := xml.Unmarshal([]byte(c.Provider), idp); err != nil {
		return nil, fault.New(fault.Invalid, "metadata: it is not that of one identity provider: %w", err)
	}
	if idp.EntityID == "" || len(idp.IDPSSODescriptors) == 0 {
		return nil, fault.New(fault.Invalid, "metadata: it describes no identity provider")
	}
	metadata, err := url.Parse(c.Base + "/metadata")
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	acs, err := url.Parse(c.Base + "/acs")
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	s := &SAML{cfg: c, sp: saml.ServiceProvider{
		EntityID: metadata.String(), MetadataURL: *metadata, AcsURL: *acs, IDPMetadata: idp,
		Certificate:       c.Certificate,
		AuthnNameIDFormat: saml.UnspecifiedNameIDFormat, // what the provider thinks best
	}}
	s.sp.ValidateAudienceRestriction = s.isForUs
	if s.sp.GetSSOBindingLocation(saml.HTTPRedirectBinding) == "" {
		return nil, fault.New(fault.Invalid, "metadata: the provider takes no requests by HTTP redirect")
	}
	return s, nil
}

// Metadata describes us to the identity provider.
func (s *SAML) Metadata() ([]byte, error) {
	m := s.sp.Metadata()
	for _, d := range m.SPSSODescriptors {
		for i := range d.KeyDescriptors {
			d.KeyDescriptors[i].EncryptionMethods = encryptionMethods()
		}
	}
	return xml.MarshalIndent(m, "", "  ")
}

// Begin returns where to send somebody, and what to remember meanwhile under
// relay.
func (s *SAML) Begin(relay string) (string, Pending, error) {
	request, err := s.sp.MakeAuthenticationRequest(s.sp.GetSSOBindingLocation(saml.HTTPRedirectBinding), saml.HTTPRedirectBinding, saml.HTTPPostBinding)
	if err != nil {
		return "", Pending{}, err
	}
	u, err := request.Redirect(relay, &s.sp)
	if err != nil {
		return "", Pending{}, err
	}
	return u.String(), Pending{Request: request.ID}, nil
}

// Finish takes the response with which somebody has come back, in base64, and
// returns who the provider says it is. A response to no request of ours is
// refused.
func (s *SAML) Finish(response string, p Pending) (Identity, error) {
	if p.Request == "" || len(response) > SAMLResponseMax {
		return Identity{}, fault.New(fault.Denied, "the SAML response: nobody has asked for it, or it is longer than %d bytes", SAMLResponseMax)
	}
	doc, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(response), ""))
	if err != nil {
		return Identity{}, fault.New(fault.Invalid, "the SAML response is no base64")
	}
	if doc, err = s.opened(doc); err == nil {
		err = soleAssertion(doc)
	}
	if err != nil {
		return Identity{}, fault.New(fault.Denied, "the SAML response: %w", err)
	}
	a, err := s.sp.ParseXMLResponse(doc, []string{p.Request}, s.sp.AcsURL)
	if err != nil {
		if e, ok := errors.AsType[*saml.InvalidResponseError](err); ok {
			err = e.PrivateErr
		}
		return Identity{}, fault.New(fault.Denied, "the SAML response: %w", err)
	}
	return s.identity(a)
}

// isForUs checks that an assertion was made for us: the library lets pass one
// that says for nobody.
func (s *SAML) isForUs(a *saml.Assertion) error {
	if a.Conditions == nil || !slices.ContainsFunc(a.Conditions.AudienceRestrictions, func(r saml.AudienceRestriction) bool {
		return r.Audience.Value == s.sp.EntityID
	}) {
		return errors.New("it was not made for " + s.sp.EntityID)
	}
	return nil
}

const bearer = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

// identity reads an assertion that has been checked.
func (s *SAML) identity(a *saml.Assertion) (Identity, error) {
	if a.Subject == nil || a.Subject.NameID == nil || !slices.ContainsFunc(a.Subject.SubjectConfirmations, func(c saml.SubjectConfirmation) bool {
		return c.Method == bearer
	}) {
		return Identity{}, fault.New(fault.Denied, "the SAML response names nobody whom its bearer is")
	}
	id := a.Subject.NameID
	out := Identity{Subject: id.Value, Name: id.Value}
	if s.cfg.NameAttribute != "" {
		out.Name = firstOf(attribute(a, s.cfg.NameAttribute))
	}
	if id.Format == string(saml.TransientNameIDFormat) { // another at each sign-in
		out.Subject = ""
		if s.cfg.NameAttribute != "" {
			out.Subject = out.Name
		}
	}
	if s.cfg.DisplayAttribute != "" {
		out.DisplayName = firstOf(attribute(a, s.cfg.DisplayAttribute))
	}
	if s.cfg.GroupAttribute != "" {
		out.Groups = attribute(a, s.cfg.GroupAttribute)
	}
	if out.Subject == "" || len(out.Subject) > nameMost || !isName(out.Name) {
		return Identity{}, fault.New(fault.Denied, "the SAML response has no usable name: neither a lasting NameID nor the attribute %q", s.cfg.NameAttribute)
	}
	return out.settled(), nil
}

func firstOf(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}

// attribute returns the values of an attribute by its name or its other name.
func attribute(a *saml.Assertion, name string) (out []string) {
	for _, st := range a.AttributeStatements {
		for _, at := range st.Attributes {
			if at.Name == name || at.FriendlyName == name {
				for _, v := range at.Values {
					out = append(out, v.Value)
				}
			}
		}
	}
	return out
}

// wellFormed refuses documents that different readers read differently, and
// those that bring a grammar of their own.
func wellFormed(doc []byte) error {
	if err := xrv.Validate(bytes.NewReader(doc)); err != nil {
		return errors.New("it is not plain XML")
	}
	for dec := xml.NewDecoder(bytes.NewReader(doc)); ; {
		t, err := dec.RawToken()
		if t == nil {
			if err != nil && err.Error() != "EOF" {
				return errors.New("it is not XML")
			}
			return nil
		}
		if _, is := t.(xml.Directive); is {
			return errors.New("it has a document type")
		}
	}
}

// The algorithms that a signature may be made with: none with SHA-1 and none
// that changes what is signed.
var (
	signatures = []string{
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
		"http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
		"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512",
	}
	digests = []string{
		"http://www.w3.org/2001/04/xmlenc#sha256", "http://www.w3.org/2001/04/xmldsig-more#sha384", "http://www.w3.org/2001/04/xmlenc#sha512",
	}
	transforms = []string{
		"http://www.w3.org/2000/09/xmldsig#enveloped-signature",
		"http://www.w3.org/2001/10/xml-exc-c14n#", "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
	}
)

// soleAssertion makes sure that there is one assertion to talk about, where it
// belongs, and that each signature signs the element in which it stands. What
// has been moved somewhere else in the document so that one reader checks it and
// another believes something different does not get past this.
func soleAssertion(doc []byte) error {
	if err := wellFormed(doc); err != nil {
		return err
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc); err != nil || tree.Root() == nil {
		return errors.New("it is not XML")
	}
	root := tree.Root()
	if root.Tag != "Response" || root.NamespaceURI() != "urn:oasis:names:tc:SAML:2.0:protocol" {
		return errors.New("it is no response")
	}
	ids, assertions, n := map[string]bool{}, 0, 0
	var look func(e *etree.Element) error
	look = func(e *etree.Element) error {
		if n++; n > samlElements {
			return errors.New("it has too many elements")
		}
		for _, a := range e.Attr {
			if !strings.EqualFold(a.Key, "ID") {
				continue
			}
			if ids[a.Value] {
				return errors.New("two elements have the same ID")
			}
			ids[a.Value] = true
		}
		switch e.Tag {
		case "EncryptedAssertion":
			return errors.New("its assertion is encrypted, and we have given nobody a key for that")
		case "Assertion":
			if assertions++; e.Parent() != root || assertions > 1 {
				return errors.New("there is not one assertion in the place for it")
			}
		case "Signature":
			if err := signsItsParent(e); err != nil {
				return err
			}
		}
		for _, c := range e.ChildElements() {
			if err := look(c); err != nil {
				return err
			}
		}
		return nil
	}
	if err := look(root); err != nil {
		return err
	}
	if assertions != 1 {
		return errors.New("there is no assertion in it")
	}
	return nil
}

// signsItsParent checks what a signature says that it signs, and how.
func signsItsParent(sig *etree.Element) error {
	parent := sig.Parent()
	if parent == nil || parent.Tag != "Response" && parent.Tag != "Assertion" {
		return errors.New("there is a signature where none belongs")
	}
	refs := sig.FindElements("./SignedInfo/Reference")
	if len(refs) != 1 || refs[0].SelectAttrValue("URI", "") != "#"+parent.SelectAttrValue("ID", "") || parent.SelectAttrValue("ID", "") == "" {
		return errors.New("a signature signs something other than where it stands")
	}
	for _, c := range []struct {
		path    string
		allowed []string
		needed  bool
	}{
		{"./SignedInfo/SignatureMethod", signatures, true},
		{"./SignedInfo/Reference/DigestMethod", digests, true},
		{"./SignedInfo/Reference/Transforms/Transform", transforms, true},
	} {
		found := sig.FindElements(c.path)
		if len(found) == 0 && c.needed {
			return errors.New("a signature does not say how it was made")
		}
		for _, e := range found {
			if !slices.Contains(c.allowed, e.SelectAttrValue("Algorithm", "")) {
				return errors.New("a signature is made in a way that is not safe: " + printable(e.SelectAttrValue("Algorithm", "")))
			}
		}
	}
	return nil
}
