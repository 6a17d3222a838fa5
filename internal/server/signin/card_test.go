package signin

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/server/signin/signintest"
)

const (
	forClients = "extendedKeyUsage=clientAuth\n"
	withNames  = forClients + "subjectAltName=email:ann@example.org,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:1234567890@mil,otherName:1.2.3.4;UTF8:x,DNS:pc7\n"
)

func certificates(t *testing.T, pairs ...tls.Certificate) (out []*x509.Certificate) {
	t.Helper()
	for _, p := range pairs {
		cert, err := x509.ParseCertificate(p.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, cert)
	}
	return out
}

// says compares what is said of a certificate; want is empty if it is good.
func says(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func TestCards(t *testing.T) {
	office, other := signintest.NewOffice(t, "Office"), signintest.NewOffice(t, "Office")
	ann := certificates(t, office.Issue("ann", "/CN=Ann", withNames))
	lost := certificates(t, office.Issue("lost", "/CN=Lost", withNames))
	machine := certificates(t, office.Issue("machine", "/CN=pc7", "extendedKeyUsage=serverAuth\n"))
	impostor := certificates(t, other.Issue("ann", "/CN=Ann", withNames))
	middle := certificates(t, office.Issue("middle", "/CN=Middle", "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n"))

	now := time.Now()
	open := func(lists string) *Cards {
		t.Helper()
		c, err := OpenCards(office.Authority(), lists)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := open("")
	says(t, "none", c.Check(nil, now), "there is no certificate")
	says(t, "good", c.Check(ann, now), "")
	says(t, "with more behind it", c.Check(slices.Concat(ann, middle, impostor), now), "")
	says(t, "revoked, without a list", c.Check(lost, now), "")
	says(t, "a server's", c.Check(machine, now), "incompatible key usage")
	says(t, "another authority of that name", c.Check(impostor, now), "unknown authority")
	says(t, "expired", c.Check(ann, now.AddDate(1, 0, 1)), "expired")
	says(t, "not yet", c.Check(ann, now.AddDate(0, 0, -1)), "not yet valid")

	list := office.Revoke("lost")
	c = open(list)
	says(t, "good by the list", c.Check(ann, now), "")
	says(t, "revoked", c.Check(lost, now), "the certificate was revoked by CN=Office")
	says(t, "the list is old", c.Check(ann, now.AddDate(0, 0, 8)), "nobody knows whether CN=Office has revoked")
	says(t, "revoked by an old list", c.Check(lost, now.AddDate(0, 0, 8)), "was revoked")

	foreign := open(other.Revoke("ann"))
	says(t, "the list is another's of that name", foreign.Check(ann, now), "nobody knows")

	// The file changes while the server runs.
	office.Revoke("ann")
	if err := os.Chtimes(list, now, now.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	says(t, "revoked since", c.Check(ann, now), "was revoked")
	if err := os.Remove(list); err != nil {
		t.Fatal(err)
	}
	says(t, "the list is gone", c.Check(ann, now), "no such file")
}

func TestOpenCardsRefuses(t *testing.T) {
	office := signintest.NewOffice(t, "Office")
	office.Issue("ann", "/CN=Ann", withNames)
	list := office.Revoke()
	file := func(text string) string {
		path := t.TempDir() + "/file"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ authorities, revocations, want string }{
		{office.File("none.pem"), "", "no such file"},
		{file(""), "", "no certificate in PEM form"},
		{office.File("person.key"), "", "part 1 is no certificate"},
		{office.File("ann.pem"), "", "CN=Ann is no authority"},
		{file(strings.Repeat(" ", authorityBytesMax+1)), "", "is larger than"},
		{office.Authority(), office.File("none.pem"), "no such file"},
		{office.Authority(), file("x"), "no list of revocations"},
		{office.Authority(), office.Authority(), "part 1 is no list"},
		{office.Authority(), list, ""},
	} {
		_, err := OpenCards(tt.authorities, tt.revocations)
		says(t, tt.authorities+" "+tt.revocations, err, tt.want)
	}
}

func TestNameOf(t *testing.T) {
	office := signintest.NewOffice(t, "Office")
	const upn = "otherName:1.3.6.1.4.1.311.20.2.3;UTF8:"
	for i, tt := range []struct{ subject, extensions, which, want, err string }{
		{"/CN=Ann", withNames, NameUPN, "1234567890@mil", ""},
		{"/CN=Ann", withNames, NameEmail, "ann@example.org", ""},
		{"/CN=Ann", withNames, NameCN, "Ann", ""},
		{"/CN=Ann", withNames, "any", "", "is no name"},
		{"/CN=Ann", forClients, NameUPN, "", "has 0 names of the kind that counts here (upn)"},
		{"/CN=Ann", forClients, NameEmail, "", "has 0 names"},
		{"/CN=Ann", "subjectAltName=email:a@b,email:c@d\n", NameEmail, "", "has 2 names"},
		{"/CN=Ann", "subjectAltName=" + upn + "a," + upn + "b\n", NameUPN, "", "has 2 names"},
		{"/CN=Ann", "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;IA5:ann\n", NameUPN, "", "has 0 names"},
	} {
		cert := certificates(t, office.Issue("c", tt.subject, tt.extensions))[0]
		got, err := NameOf(cert, tt.which)
		if got != tt.want {
			t.Errorf("%d: got %q, want %q", i, got, tt.want)
		}
		says(t, tt.extensions, err, tt.err)
	}
}

func FuzzPrincipalNames(f *testing.F) {
	f.Add([]byte{0x30, 0x1a, 0xa0, 0x18, 0x06, 0x0a, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03, 0xa0, 0x0a, 0x0c, 0x08, 'a', 'n', 'n', '@', 'm', 'i', 'l', '.'})
	f.Add([]byte{0x30, 0x02, 0xa0, 0x00})
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, name := range principalNames(text) {
			if !strings.Contains(string(text), name) {
				t.Errorf("%q is not in %x", name, text)
			}
		}
	})
}

func FuzzRevocations(f *testing.F) {
	f.Add([]byte("-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if lists, err := parseRevocations(text); (err == nil) != (len(lists) > 0) {
			t.Errorf("%d lists and %v", len(lists), err)
		}
	})
}
