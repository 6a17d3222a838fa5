package signin

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha1" // OAEP with it is what providers use, and is safe
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"math/big"
	"strings"
	"time"

	"github.com/beevik/etree"
	"github.com/crewjam/saml"
	dsig "github.com/russellhaering/goxmldsig"
)

// The names of algorithms by which an assertion may be encrypted.
const (
	xmlenc   = "http://www.w3.org/2001/04/xmlenc#"
	xmlenc11 = "http://www.w3.org/2009/xmlenc11#"

	oaepMGF1 = xmlenc + "rsa-oaep-mgf1p"
	oaep     = xmlenc11 + "rsa-oaep"
)

// blocks are the ciphers of an assertion, with the bytes of their keys. Those
// without authentication are what many providers use; nobody is told more than
// that it cannot be read, until its signature is found good.
var blocks = map[string]int{
	xmlenc11 + "aes256-gcm": 32, xmlenc11 + "aes128-gcm": 16, xmlenc + "aes256-cbc": 32, xmlenc + "aes128-cbc": 16,
}

// oaepHashes are the hashes of OAEP by their names, those of its mask too.
var oaepHashes = map[string]crypto.Hash{
	"http://www.w3.org/2000/09/xmldsig#sha1": crypto.SHA1, xmlenc + "sha256": crypto.SHA256, xmlenc + "sha512": crypto.SHA512,
	xmlenc11 + "mgf1sha1": crypto.SHA1, xmlenc11 + "mgf1sha256": crypto.SHA256, xmlenc11 + "mgf1sha512": crypto.SHA512,
}

// encryptionMethods are what our metadata says of that, the best first.
func encryptionMethods() (out []saml.EncryptionMethod) {
	for _, name := range []string{xmlenc11 + "aes256-gcm", xmlenc11 + "aes128-gcm", xmlenc + "aes256-cbc", xmlenc + "aes128-cbc", oaepMGF1} {
		out = append(out, saml.EncryptionMethod{Algorithm: name})
	}
	return out
}

// errUnreadable is all that is said of an encrypted assertion until its signature
// is found good: who could learn more might find out what others' say.
var errUnreadable = errors.New("its encrypted assertion cannot be opened with our key, or is not signed by the provider")

// opened is a response whose assertion is not encrypted: the assertion has to be
// signed itself, and a signature around it counts for nothing any more.
func (s *SAML) opened(doc []byte) ([]byte, error) {
	if err := wellFormed(doc); err != nil {
		return nil, err
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(doc); err != nil || tree.Root() == nil {
		return nil, errors.New("it is not XML")
	}
	root := tree.Root()
	sealed := tree.FindElements("//EncryptedAssertion")
	if len(sealed) == 0 || s.cfg.Key == nil {
		return doc, nil // soleAssertion says what is wrong
	}
	if len(sealed) > 1 || sealed[0].Parent() != root {
		return nil, errors.New("there is not one assertion in the place for it")
	}
	assertion, err := s.open(sealed[0])
	if err != nil {
		return nil, errUnreadable // see there
	}
	for _, sig := range root.SelectElements("Signature") {
		root.RemoveChild(sig)
	}
	at := sealed[0].Index()
	root.RemoveChildAt(at)
	root.InsertChildAt(at, assertion)
	return tree.WriteToBytes()
}

// open returns the assertion that is encrypted, if its signature is good.
func (s *SAML) open(sealed *etree.Element) (*etree.Element, error) {
	plain, err := decrypt(sealed, s.cfg.Key)
	if err != nil {
		return nil, err
	}
	if err := wellFormed(plain); err != nil {
		return nil, err
	}
	tree := etree.NewDocument()
	if err := tree.ReadFromBytes(plain); err != nil || tree.Root() == nil {
		return nil, errors.New("no XML")
	}
	a := tree.Root()
	sigs := a.FindElements(".//Signature")
	if a.Tag != "Assertion" || a.NamespaceURI() != "urn:oasis:names:tc:SAML:2.0:assertion" || len(sigs) != 1 {
		return nil, errors.New("no assertion with one signature")
	}
	if err := signsItsParent(sigs[0]); err != nil {
		return nil, err
	}
	certificates, err := s.signers()
	if err != nil {
		return nil, err
	}
	check := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certificates})
	check.IdAttribute = "ID"
	if _, err := check.Validate(a.Copy()); err != nil {
		return nil, err
	}
	return a, nil
}

// signers are the certificates with which the provider signs.
func (s *SAML) signers() (out []*x509.Certificate, err error) {
	for _, d := range s.sp.IDPMetadata.IDPSSODescriptors {
		for _, k := range d.KeyDescriptors {
			if k.Use != "" && k.Use != "signing" {
				continue
			}
			for _, c := range k.KeyInfo.X509Data.X509Certificates {
				der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(c.Data), ""))
				if err != nil {
					return nil, err
				}
				cert, err := x509.ParseCertificate(der)
				if err != nil {
					return nil, err
				}
				out = append(out, cert)
			}
		}
	}
	return out, nil
}

// decrypt returns what is encrypted in an element: the data with a key of its own,
// and that with ours.
func decrypt(sealed *etree.Element, key *rsa.PrivateKey) ([]byte, error) {
	data, keys := sealed.FindElements(".//EncryptedData"), sealed.FindElements(".//EncryptedKey")
	if len(data) != 1 || len(keys) != 1 {
		return nil, errors.New("not one key and its data")
	}
	options, err := oaepOptions(keys[0])
	if err != nil {
		return nil, err
	}
	wrapped, err := cipherValue(keys[0])
	if err != nil {
		return nil, err
	}
	secret, err := key.Decrypt(nil, wrapped, options)
	if err != nil {
		return nil, err
	}
	method := algorithm(data[0], "./EncryptionMethod")
	if want, ok := blocks[method]; !ok || len(secret) != want {
		return nil, errors.New("another cipher")
	}
	block, err := aes.NewCipher(secret)
	if err != nil {
		return nil, err
	}
	text, err := cipherValue(data[0])
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(method, "-gcm") {
		return openGCM(block, text)
	}
	return openCBC(block, text)
}

func algorithm(e *etree.Element, path string) string {
	if found := e.FindElement(path); found != nil {
		return found.SelectAttrValue("Algorithm", "")
	}
	return ""
}

func oaepOptions(key *etree.Element) (*rsa.OAEPOptions, error) {
	out := &rsa.OAEPOptions{Hash: crypto.SHA1, MGFHash: crypto.SHA1}
	method := algorithm(key, "./EncryptionMethod")
	if method != oaepMGF1 && method != oaep || key.FindElement("./EncryptionMethod/OAEPparams") != nil {
		return nil, errors.New("another way to encrypt a key")
	}
	for path, to := range map[string]*crypto.Hash{"./EncryptionMethod/DigestMethod": &out.Hash, "./EncryptionMethod/MGF": &out.MGFHash} {
		name := algorithm(key, path)
		if name == "" || to == &out.MGFHash && method == oaepMGF1 {
			continue
		}
		h, ok := oaepHashes[name]
		if !ok {
			return nil, errors.New("another hash")
		}
		*to = h
	}
	return out, nil
}

func cipherValue(e *etree.Element) ([]byte, error) {
	found := e.FindElement("./CipherData/CipherValue")
	if found == nil {
		return nil, errors.New("nothing encrypted")
	}
	return base64.StdEncoding.DecodeString(strings.Join(strings.Fields(found.Text()), ""))
}

func openGCM(block cipher.Block, text []byte) ([]byte, error) {
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	if len(text) < aead.NonceSize() {
		return nil, errors.New("too short")
	}
	return aead.Open(nil, text[:aead.NonceSize()], text[aead.NonceSize():], nil)
}

func openCBC(block cipher.Block, text []byte) ([]byte, error) {
	size := block.BlockSize()
	if len(text) < 2*size || len(text)%size != 0 {
		return nil, errors.New("not whole blocks")
	}
	plain := make([]byte, len(text)-size)
	cipher.NewCBCDecrypter(block, text[:size]).CryptBlocks(plain, text[size:])
	padding := int(plain[len(plain)-1]) // what stands before it may be anything
	if padding < 1 || padding > size {
		return nil, errors.New("no padding")
	}
	return plain[:len(plain)-padding], nil
}

const (
	samlKeyBits = 3072
	// samlCertificateLife is that of a certificate in which a key is told: nobody
	// looks at it, and a new key has a new one.
	samlCertificateLife = 20 * 365 * 24 * time.Hour
)

// NewSAMLKey makes a key that opens assertions, and the certificate in which
// providers are told of it.
func NewSAMLKey() (*rsa.PrivateKey, *x509.Certificate, error) {
	key, err := rsa.GenerateKey(rand.Reader, samlKeyBits)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Catenary assertions"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(samlCertificateLife), KeyUsage: x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	c, err = x509.ParseCertificate(der)
	return key, c, err
}
