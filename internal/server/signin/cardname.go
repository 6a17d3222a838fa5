package signin

import (
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"unicode/utf8"

	"catenary/internal/fault"
)

// What of a certificate can be a user's name.
const (
	NameUPN   = "upn"   // the principal name of Windows and of smart cards
	NameEmail = "email" // the address in the alternative names
	NameCN    = "cn"    // the common name of the subject
)

var (
	alternativeNames = asn1.ObjectIdentifier{2, 5, 29, 17}
	principalName    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 3}
	commonName       = asn1.ObjectIdentifier{2, 5, 4, 3}
)

// NameOf is what a certificate calls its owner. One that has several such names,
// or none, names nobody.
func NameOf(cert *x509.Certificate, which string) (string, error) {
	var names []string
	switch which {
	case NameUPN:
		for _, e := range cert.Extensions {
			if e.Id.Equal(alternativeNames) {
				names = append(names, principalNames(e.Value)...)
			}
		}
	case NameEmail:
		names = cert.EmailAddresses
	case NameCN:
		for _, n := range cert.Subject.Names {
			if text, ok := n.Value.(string); ok && n.Type.Equal(commonName) {
				names = append(names, text)
			}
		}
	default:
		return "", fault.New(fault.Invalid, "%q is no name that certificates have", which)
	}
	if len(names) != 1 || strings.TrimSpace(names[0]) == "" || !utf8.ValidString(names[0]) {
		return "", fault.New(fault.Stranger, "the certificate has %d names of the kind that counts here (%s), and not one", len(names), which)
	}
	return names[0], nil
}

// principalNames are the UPNs in the alternative names of a certificate, none if
// these cannot be read.
func principalNames(extension []byte) (names []string) {
	var all asn1.RawValue
	if rest, err := asn1.Unmarshal(extension, &all); err != nil || len(rest) > 0 || !all.IsCompound || all.Tag != asn1.TagSequence {
		return nil
	}
	for rest := all.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return nil
		}
		if name.Class != asn1.ClassContextSpecific || name.Tag != 0 || !name.IsCompound {
			continue // an address, a host
		}
		var id asn1.ObjectIdentifier
		value, err := asn1.Unmarshal(name.Bytes, &id)
		if err != nil {
			return nil
		}
		if !id.Equal(principalName) {
			continue
		}
		var outer, text asn1.RawValue
		if rest, err := asn1.Unmarshal(value, &outer); err != nil || len(rest) > 0 || outer.Class != asn1.ClassContextSpecific || outer.Tag != 0 {
			return nil
		}
		if rest, err := asn1.Unmarshal(outer.Bytes, &text); err != nil || len(rest) > 0 || text.Class != asn1.ClassUniversal || text.Tag != asn1.TagUTF8String {
			return nil
		}
		names = append(names, string(text.Bytes))
	}
	return names
}
