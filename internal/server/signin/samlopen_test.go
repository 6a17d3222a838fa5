package signin

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"

	"catenary/internal/fault"
	"catenary/internal/server/signin/signintest"
)

// ourKey is a key for assertions, with what tells of it.
var ourKey = sync.OnceValues(func() (*rsa.PrivateKey, *x509.Certificate) {
	key, cert, err := NewSAMLKey()
	if err != nil {
		panic(err)
	}
	return key, cert
})

func newSealedSAML(t *testing.T, p *signintest.SAMLProvider) *SAML {
	t.Helper()
	key, cert := ourKey()
	s, err := NewSAML(SAMLConfig{Provider: p.Metadata, Base: ourBase, NameAttribute: "uid", DisplayAttribute: "cn", GroupAttribute: "eduPersonAffiliation", Key: key, Certificate: cert})
	must(t, err)
	doc, err := s.Metadata()
	must(t, err)
	if !strings.Contains(string(doc), "aes256-gcm") || strings.Contains(string(doc), "rsa-1_5") {
		t.Errorf("metadata are %s", doc)
	}
	p.Trust(doc)
	return s
}

// TestSAMLEncrypted: a provider encrypts what it says by our metadata, and it is
// read as if it did not.
func TestSAMLEncrypted(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	s := newSealedSAML(t, p)
	sealed := false
	p.Edit = func(r *etree.Element) {
		sealed = r.FindElement("./EncryptedAssertion") != nil && r.FindElement("//NameID") == nil
	}
	id, err := back(t, s, p)
	must(t, err)
	same(t, id, Identity{"4711", "ann", "Ann Other", []string{"admins", "ops"}})
	same(t, sealed, true)

	p.Edit = nil
	p.Alter = func(a *saml.Assertion) { a.Conditions.AudienceRestrictions = nil }
	_, err = back(t, s, p)
	refusedAs(t, err, fault.Denied, "not made for") // signed by the provider: it is told
	p.Alter = nil

	newSAML(t, p) // it is told of no key
	_, err = back(t, s, p)
	must(t, err)
	s = newSealedSAML(t, p)
	s.cfg.Key = nil
	_, err = back(t, s, p)
	refusedAs(t, err, fault.Denied, "given nobody a key")
	if s.cfg.Key, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	_, err = back(t, s, p)
	refusedAs(t, err, fault.Denied, errUnreadable.Error())
}

// A sealing is a way to encrypt an assertion.
type sealing struct {
	block, transport, digest, mgf string
	hash, mask                    crypto.Hash
}

// seal puts an assertion, encrypted for us, in the place of one that is not.
func (how sealing) seal(t *testing.T, r *etree.Element, mark func(text, secret []byte) []byte) {
	t.Helper()
	a := r.FindElement("./Assertion")
	doc := etree.NewDocument()
	doc.SetRoot(a.Copy())
	plain, err := doc.WriteToBytes()
	must(t, err)
	key, _ := ourKey()
	secret := bytes.Repeat([]byte{7}, max(blocks[how.block], 16))
	block, err := aes.NewCipher(secret)
	must(t, err)
	iv := bytes.Repeat([]byte{9}, 16)
	var text []byte
	if strings.HasSuffix(how.block, "gcm") {
		aead, err := cipher.NewGCM(block)
		must(t, err)
		text = aead.Seal(iv[:12:12], iv[:12], plain, nil)
	} else {
		pad := 16 - len(plain)%16
		plain = append(plain, bytes.Repeat([]byte{byte(pad)}, pad)...)
		text = make([]byte, len(plain))
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, plain)
		text = append(iv, text...)
	}
	if mark != nil {
		text = mark(text, secret)
	}
	wrapped, err := rsa.EncryptOAEPWithOptions(rand.Reader, &key.PublicKey, secret, &rsa.OAEPOptions{Hash: how.hash, MGFHash: how.mask})
	must(t, err)
	inner := etree.NewDocument()
	must(t, inner.ReadFromString(fmt.Sprintf(`<EncryptedAssertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion"><x:EncryptedData xmlns:x="http://www.w3.org/2001/04/xmlenc#"><x:EncryptionMethod Algorithm=%q/>
		<KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><x:EncryptedKey><x:EncryptionMethod Algorithm=%q>%s%s</x:EncryptionMethod><x:CipherData><x:CipherValue>%s</x:CipherValue></x:CipherData></x:EncryptedKey></KeyInfo>
		<x:CipherData><x:CipherValue>
		%s</x:CipherValue></x:CipherData></x:EncryptedData></EncryptedAssertion>`, how.block, how.transport, how.digest, how.mgf,
		base64.StdEncoding.EncodeToString(wrapped), base64.StdEncoding.EncodeToString(text))))
	at := a.Index()
	r.RemoveChildAt(at)
	r.InsertChildAt(at, inner.Root())
}

const (
	digest256 = `<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>`
	mgf256    = `<x:MGF xmlns:x="http://www.w3.org/2009/xmlenc11#" Algorithm="http://www.w3.org/2009/xmlenc11#mgf1sha256"/>`
)

var usual = sealing{xmlenc11 + "aes256-gcm", oaepMGF1, "", "", crypto.SHA1, crypto.SHA1}

// TestSAMLCiphers: what our metadata offers is read, and nothing else.
func TestSAMLCiphers(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	newSAML(t, p) // the provider encrypts nothing: the test does
	key, cert := ourKey()
	s, err := NewSAML(SAMLConfig{Provider: p.Metadata, Base: ourBase, NameAttribute: "uid", Key: key, Certificate: cert})
	must(t, err)
	for name, tt := range map[string]struct {
		how sealing
		ok  bool
	}{
		"AES-256-GCM":  {usual, true},
		"AES-128-GCM":  {sealing{xmlenc11 + "aes128-gcm", oaepMGF1, "", "", crypto.SHA1, crypto.SHA1}, true},
		"AES-256-CBC":  {sealing{xmlenc + "aes256-cbc", oaepMGF1, digest256, "", crypto.SHA256, crypto.SHA1}, true},
		"AES-128-CBC":  {sealing{xmlenc + "aes128-cbc", oaep, digest256, mgf256, crypto.SHA256, crypto.SHA256}, true},
		"3DES":         {sealing{xmlenc + "tripledes-cbc", oaepMGF1, "", "", crypto.SHA1, crypto.SHA1}, false},
		"RSA 1.5":      {sealing{xmlenc11 + "aes256-gcm", xmlenc + "rsa-1_5", "", "", crypto.SHA1, crypto.SHA1}, false},
		"another hash": {sealing{xmlenc11 + "aes256-gcm", oaepMGF1, `<DigestMethod Algorithm="x"/>`, "", crypto.SHA1, crypto.SHA1}, false},
		"a label":      {sealing{xmlenc11 + "aes256-gcm", oaepMGF1, `<OAEPparams>eA==</OAEPparams>`, "", crypto.SHA1, crypto.SHA1}, false},
	} {
		t.Run(name, func(t *testing.T) {
			p.Edit = func(r *etree.Element) { tt.how.seal(t, r, nil) }
			id, err := back(t, s, p)
			if !tt.ok {
				refusedAs(t, err, fault.Denied, errUnreadable.Error())
				return
			}
			must(t, err)
			same(t, id.Name, "ann")
		})
	}
}

// TestSAMLEncryptedRefused: of what is not the provider's word nothing is told,
// whatever is wrong with it.
func TestSAMLEncryptedRefused(t *testing.T) {
	p := signintest.NewSAMLProvider(t)
	newSAML(t, p)
	key, cert := ourKey()
	s, err := NewSAML(SAMLConfig{Provider: p.Metadata, Base: ourBase, NameAttribute: "uid", Key: key, Certificate: cert})
	must(t, err)
	cbc := sealing{xmlenc + "aes256-cbc", oaepMGF1, "", "", crypto.SHA1, crypto.SHA1}
	sealed := func(how sealing, mark func(text, secret []byte) []byte) func(*etree.Element) {
		return func(r *etree.Element) { how.seal(t, r, mark) }
	}
	flip := func(at int) func(text, secret []byte) []byte {
		return func(text, _ []byte) []byte {
			text[(at+len(text))%len(text)] ^= 1
			return text
		}
	}
	for name, edit := range map[string]func(*etree.Element){
		"GCM changed":           sealed(usual, flip(20)),
		"GCM short":             sealed(usual, func(text, _ []byte) []byte { return text[:3] }),
		"CBC changed":           sealed(cbc, flip(400)),
		"CBC padding":           sealed(cbc, flip(-17)),
		"CBC cut":               sealed(cbc, func(text, _ []byte) []byte { return text[:len(text)-1] }),
		"CBC without its end":   sealed(cbc, func(text, _ []byte) []byte { return text[:len(text)-16] }),
		"CBC empty":             sealed(cbc, func([]byte, []byte) []byte { return nil }),
		"assertion not signed":  func(r *etree.Element) { unsigned(r.FindElement("./Assertion")); usual.seal(t, r, nil) },
		"another name":          func(r *etree.Element) { r.FindElement("//NameID").SetText("root"); usual.seal(t, r, nil) },
		"signed by another key": func(r *etree.Element) { usual.seal(t, stranger(t, r), nil) },
		"no key": func(r *etree.Element) {
			usual.seal(t, r, nil)
			k := r.FindElement("//EncryptedKey")
			k.Parent().RemoveChild(k)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p.Edit = edit
			_, err := back(t, s, p)
			refusedAs(t, err, fault.Denied, errUnreadable.Error())
		})
	}
	for name, edit := range map[string]func(*etree.Element){
		"twice": func(r *etree.Element) {
			usual.seal(t, r, nil)
			r.AddChild(r.FindElement("./EncryptedAssertion").Copy())
		},
		"and plain":  func(r *etree.Element) { a := r.FindElement("./Assertion").Copy(); usual.seal(t, r, nil); r.AddChild(a) },
		"and forged": func(r *etree.Element) { f := unsigned(forged(r)); usual.seal(t, r, nil); r.InsertChildAt(0, f) },
		"elsewhere": func(r *etree.Element) {
			usual.seal(t, r, nil)
			e := r.FindElement("./EncryptedAssertion")
			r.RemoveChild(e)
			r.CreateElement("Extensions").AddChild(e)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p.Edit = edit
			_, err := back(t, s, p)
			refusedAs(t, err, fault.Denied, "")
		})
	}
}

// stranger puts the assertion of another provider, for the same request, in the
// place of the one in a response.
func stranger(t *testing.T, r *etree.Element) *etree.Element {
	t.Helper()
	other := signintest.NewSAMLProvider(t)
	s := newSAML(t, other)
	var theirs *etree.Element
	other.Edit = func(r *etree.Element) { theirs = r.FindElement("./Assertion").Copy() }
	if _, err := back(t, s, other); err != nil {
		t.Fatal(err)
	}
	at := r.FindElement("./Assertion").Index()
	r.RemoveChildAt(at)
	r.InsertChildAt(at, theirs)
	return r
}

// FuzzSAMLOpened: whatever is in a response, nothing is opened that the provider
// has not signed, and nothing breaks.
func FuzzSAMLOpened(f *testing.F) {
	key, cert := ourKey()
	s, err := NewSAML(SAMLConfig{Provider: fuzzedProvider, Base: ourBase, Key: key, Certificate: cert})
	if err != nil {
		f.Fatal(err)
	}
	data := func(block, text string) string {
		return `<R><EncryptedAssertion><EncryptedData><EncryptionMethod Algorithm="` + block + `"/><EncryptedKey><EncryptionMethod Algorithm="` + oaepMGF1 +
			`"/><CipherData><CipherValue>AAAA</CipherValue></CipherData></EncryptedKey><CipherData><CipherValue>` + text + `</CipherValue></CipherData></EncryptedData></EncryptedAssertion></R>`
	}
	for block := range blocks {
		f.Add([]byte(data(block, "AAAA")))
	}
	f.Add([]byte(`<R><Assertion/></R>`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, err := s.opened(doc)
		if err == nil && !bytes.Equal(out, doc) {
			t.Errorf("%q was opened: %q", doc, out)
		}
	})
}

const fuzzedProvider = `<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://idp.example"><IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol"><SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>`
