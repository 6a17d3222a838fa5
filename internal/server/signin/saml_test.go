package signin

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

	"catenary/internal/fault"
	"catenary/internal/server/signin/signintest"
)

const ourBase = "https://catenary.example/auth/saml/1"

func newSAML(t *testing.T, p *signintest.SAMLProvider) *SAML {
	t.Helper()
	s, err := NewSAML(SAMLConfig{Provider: p.Metadata, Base: ourBase, NameAttribute: "uid", DisplayAttribute: "cn", GroupAttribute: "eduPersonAffiliation"})
	must(t, err)
	doc, err := s.Metadata()
	must(t, err)
	p.Trust(doc)
	return s
}

// back sends somebody to the provider and takes him back.
func back(t *testing.T, s *SAML, p *signintest.SAMLProvider) (Identity, error) {
	t.Helper()
	to, pending, err := s.Begin("the-relay")
	must(t, err)
	form := p.Visit(to)
	same(t, form.Get("RelayState"), "the-relay")
	return s.Finish(form.Get("SAMLResponse"), pending)
}

func TestSAML(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	s := newSAML(t, p)
	id, err := back(t, s, p)
	must(t, err)
	same(t, id, Identity{"4711", "ann", "Ann Other", []string{"admins", "ops"}})

	p.Edit = func(r *etree.Element) { unsigned(r) } // the assertion is signed, too
	_, err = back(t, s, p)
	must(t, err)

	// A comment in a name does not cut it.
	p.Person.UserName = "ann.other"
	p.Edit = func(r *etree.Element) {
		for _, v := range r.FindElements("//AttributeValue") {
			if v.Text() == "ann.other" {
				v.SetText("ann")
				v.AddChild(etree.NewComment("x"))
				v.AddChild(etree.NewText(".other"))
			}
		}
	}
	id, err = back(t, s, p)
	must(t, err)
	same(t, id.Name, "ann.other")
}

func TestSAMLRefusesWhatIsSaid(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	s := newSAML(t, p)
	for name, tt := range map[string]struct {
		alter func(*saml.Assertion)
		why   string
	}{
		"another audience": {func(a *saml.Assertion) { a.Conditions.AudienceRestrictions[0].Audience.Value = "https://other.example" }, "not made for"},
		"no audience":      {func(a *saml.Assertion) { a.Conditions.AudienceRestrictions = nil }, "not made for"},
		"another recipient": {func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.Recipient = "https://other.example"
		}, "Recipient"},
		"another request": {func(a *saml.Assertion) {
			a.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = "id-x"
		}, "request IDs"},
		"not its bearer":  {func(a *saml.Assertion) { a.Subject.SubjectConfirmations[0].Method = "x" }, "nobody whom its bearer is"},
		"another issuer":  {func(a *saml.Assertion) { a.Issuer.Value = "https://evil.example" }, "issuer"},
		"too old":         {func(a *saml.Assertion) { a.IssueInstant = time.Now().Add(-time.Hour) }, "expired"},
		"over":            {func(a *saml.Assertion) { a.Conditions.NotOnOrAfter = time.Now().Add(-time.Hour) }, "expired"},
		"not yet":         {func(a *saml.Assertion) { a.Conditions.NotBefore = time.Now().Add(time.Hour) }, "not yet"},
		"no name":         {func(a *saml.Assertion) { a.AttributeStatements = nil }, "no usable name"},
		"a name of lines": {func(a *saml.Assertion) { a.AttributeStatements[0].Attributes[0].Values[0].Value = "a\nb" }, "no usable name"},
	} {
		t.Run(name, func(t *testing.T) {
			p.Alter = tt.alter
			_, err := back(t, s, p)
			refusedAs(t, err, fault.Denied, tt.why)
		})
	}
}

// forged is a copy of the assertion in a response that says somebody else's
// name.
func forged(r *etree.Element) *etree.Element {
	a := r.FindElement("./Assertion").Copy()
	a.CreateAttr("ID", "id-forged")
	for _, v := range a.FindElements("//AttributeValue") {
		if v.Text() == "ann" {
			v.SetText("admin")
		}
	}
	return a
}

func unsigned(e *etree.Element) *etree.Element {
	if sig := e.FindElement("./Signature"); sig != nil {
		e.RemoveChild(sig)
	}
	return e
}

// attacks are ways that are known to have fooled others, and why each fails.
var attacks = map[string]struct {
	edit func(r *etree.Element)
	why  string
}{
	"nothing is signed":                  {func(r *etree.Element) { unsigned(unsigned(r).FindElement("./Assertion")) }, "signature"},
	"the name is another":                {func(r *etree.Element) { unsigned(r); r.FindElement("//AttributeValue").SetText("admin") }, "signature"},
	"the response's signature is broken": {func(r *etree.Element) { r.CreateAttr("Consent", "x") }, "signature"},
	"a forged assertion before the true": {func(r *etree.Element) { unsigned(r); r.InsertChildAt(0, unsigned(forged(r))) }, "one assertion"},
	"a forged assertion behind the true": {func(r *etree.Element) { unsigned(r); r.AddChild(unsigned(forged(r))) }, "one assertion"},
	"the true one in the forged one":     {func(r *etree.Element) { wrap(r, func(f *etree.Element) *etree.Element { return f }) }, "other than where it stands"},
	"the true one in its own signature": {func(r *etree.Element) {
		wrap(r, func(f *etree.Element) *etree.Element { return f.CreateElement("ds:Object") })
	}, "other than where it stands"},
	"the true one in an extension": {func(r *etree.Element) {
		wrap(r, func(*etree.Element) *etree.Element { return r.CreateElement("samlp:Extensions") })
	}, "one assertion"},
	"the forged one has the true one's ID": {func(r *etree.Element) {
		f := unsigned(forged(r))
		f.CreateAttr("ID", r.FindElement("./Assertion").SelectAttrValue("ID", ""))
		unsigned(r).AddChild(f)
	}, "same ID"},
	"a signature of another element": {func(r *etree.Element) {
		unsigned(r)
		a := r.FindElement("./Assertion")
		f := forged(r)
		r.RemoveChild(a)
		r.AddChild(f)
	}, "other than where it stands"},
	"a response in a response": {func(r *etree.Element) {
		inner := r.Copy()
		unsigned(r).RemoveChild(r.FindElement("./Assertion"))
		r.AddChild(inner)
	}, "same ID"},
	"another root":           {func(r *etree.Element) { r.Tag = "Assertion" }, "no response"},
	"an encrypted assertion": {func(r *etree.Element) { unsigned(r).FindElement("./Assertion").Tag = "EncryptedAssertion" }, "encrypted"},
	"a transform that selects": {func(r *etree.Element) {
		unsigned(r).FindElement("//Transform").CreateAttr("Algorithm", "http://www.w3.org/TR/1999/REC-xpath-19991116")
	}, "not safe"},
	"an HMAC with the public key": {func(r *etree.Element) {
		unsigned(r).FindElement("//SignatureMethod").CreateAttr("Algorithm", "http://www.w3.org/2000/09/xmldsig#hmac-sha1")
	}, "not safe"},
	"two references": {func(r *etree.Element) {
		i := unsigned(r).FindElement("//SignedInfo")
		i.AddChild(i.FindElement("./Reference").Copy())
	}, "other than where it stands"},
	"a failure": {func(r *etree.Element) {
		unsigned(r).FindElement("./Status/StatusCode").CreateAttr("Value", "urn:oasis:names:tc:SAML:2.0:status:Requester")
	}, "Requester"},
	"another destination": {func(r *etree.Element) { unsigned(r).CreateAttr("Destination", "https://other.example") }, "Destination"},
}

// TestSAMLAttacks: what the provider has signed is taken apart and put together
// again in the ways that are known to have fooled others.
func TestSAMLAttacks(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	s := newSAML(t, p)
	stranger := signintest.NewSAMLProvider(t)
	newSAML(t, stranger)
	for name, tt := range attacks {
		t.Run(name, func(t *testing.T) {
			p.Edit = tt.edit
			_, err := back(t, s, p)
			refusedAs(t, err, fault.Denied, tt.why)
		})
	}
	t.Run("signed by a stranger who shows his certificate", func(t *testing.T) {
		to, pending, err := s.Begin("r")
		must(t, err)
		_, err = s.Finish(stranger.Visit(to).Get("SAMLResponse"), pending)
		refusedAs(t, err, fault.Denied, "signature")
	})
	t.Run("SHA-1", func(t *testing.T) {
		p.Edit, p.Sign1 = nil, true
		_, err := back(t, s, p)
		refusedAs(t, err, fault.Denied, "not safe")
	})
}

// wrap moves the true assertion into a place within a forged one, which has its
// signature.
func wrap(r *etree.Element, place func(forged *etree.Element) *etree.Element) {
	unsigned(r)
	f := forged(r)
	a := r.FindElement("./Assertion")
	r.RemoveChild(a)
	place(f).AddChild(a)
	r.AddChild(f)
}

func TestSAMLIsForOneRequest(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	s := newSAML(t, p)
	to, _, err := s.Begin("r")
	must(t, err)
	response := p.Visit(to).Get("SAMLResponse")
	_, other, err := s.Begin("r")
	must(t, err)
	_, err = s.Finish(response, other)
	refusedAs(t, err, fault.Denied, "InResponseTo")
	_, err = s.Finish(response, Pending{})
	refusedAs(t, err, fault.Denied, "nobody has asked")
	_, err = s.Finish(strings.Repeat("A", SAMLResponseMax+1), other)
	refusedAs(t, err, fault.Denied, "longer")
	_, err = s.Finish("***", other)
	refusedAs(t, err, fault.Invalid, "base64")
	for doc, why := range map[string]string{
		"":     "no response",
		"x":    "",
		"<a/>": "no response",
		`<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>`: "",
		strings.Repeat("<a>", 30_000):              "",
	} {
		_, err = s.Finish(base64.StdEncoding.EncodeToString([]byte(doc)), other)
		refusedAs(t, err, fault.Denied, "")
		if why != "" && !strings.Contains(err.Error(), why) && doc != "" {
			t.Errorf("%.20q: %v", doc, err)
		}
	}
}

func TestSAMLTransient(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	s := newSAML(t, p)
	p.Person.NameIDFormat = string(saml.TransientNameIDFormat)
	id, err := back(t, s, p)
	must(t, err)
	same(t, id.Subject, "ann") // the attribute lasts
	s.cfg.NameAttribute = ""
	_, err = back(t, s, p)
	refusedAs(t, err, fault.Denied, "lasting NameID")
}

func TestSAMLConfig(t *testing.T) {
	good := signintest.NewSAMLProvider(t).Metadata
	for name, doc := range map[string]string{
		"nothing": "", "no XML": "x", "another document": "<a/>", "a document type": "<!DOCTYPE a>" + good,
		"no provider": `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="x"/>`,
	} {
		if _, err := NewSAML(SAMLConfig{Provider: doc, Base: ourBase}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzSAMLResponse(f *testing.F) {
	f.Add([]byte(`<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol"><Assertion ID="a"/></samlp:Response>`))
	f.Add([]byte(`<!DOCTYPE a>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		if soleAssertion(doc) != nil {
			return
		}
		tree := etree.NewDocument()
		must(t, tree.ReadFromBytes(doc))
		if n := len(tree.FindElements("//Assertion")); n != 1 {
			t.Fatalf("%d assertions in %q", n, doc)
		}
	})
}
