package api

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/certificate"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

const (
	auditCertificates = "https_certificate"

	certificateNames = 100 // names and addresses in a request for a certificate
	subjectMax       = 64  // characters of a part of its subject: X.520 allows no more
)

func (s *server) certificateRoutes() []route {
	const chain, request = "/api/v2/https_certificates", "/api/v2/https_certificate_signing_request"
	return []route{
		{"GET", chain, withSession, rights.ReadServerStatus, get(s.listCertificates)},
		{"POST", chain, withSession, rights.WriteTrust, post(bodyMax, s.installCertificate)},
		{"DELETE", chain, withSession, rights.WriteTrust, get(s.removeCertificate)},
		{"GET", request, withSession, rights.ReadServerStatus, get(s.showCertificateRequest)},
		{"POST", request, withSession, rights.WriteTrust, postSpared(bodyMax, s.requestCertificate)},
		{"DELETE", request, withSession, rights.WriteTrust, get(s.withdrawCertificateRequest)},
	}
}

type certificateObject struct {
	Subject       string            `json:"subject"`
	Issuer        string            `json:"issuer"`
	Names         []certificateName `json:"names"`
	SerialNumber  string            `json:"serial_number"`
	NotBefore     isoTime           `json:"not_before"`
	NotAfter      isoTime           `json:"not_after"`
	Algorithm     string            `json:"key_algorithm"`
	Fingerprint   string            `json:"fingerprint_sha256"`
	InstalledFlag bool              `json:"installed_flag"` // false: the installation has made it itself
	PEM           string            `json:"pem"`
}

// A certificateName is for whom a certificate is: a DNS name, or an address.
type certificateName struct {
	Type string `json:"type"`
	Name string `json:"name"`
}

func namesOf(names []string) []certificateName {
	out := []certificateName{}
	for _, name := range names {
		kind := "DNS"
		if _, err := netip.ParseAddr(name); err == nil {
			kind = "IP"
		}
		out = append(out, certificateName{kind, name})
	}
	return out
}

func toCertificate(c *x509.Certificate, installed bool) certificateObject {
	sum := sha256.Sum256(c.Raw)
	return certificateObject{
		Subject: c.Subject.String(), Issuer: c.Issuer.String(), Names: namesOf(certificate.Names(c)), SerialNumber: c.SerialNumber.Text(16),
		NotBefore: isoTime(c.NotBefore), NotAfter: isoTime(c.NotAfter), Algorithm: c.PublicKeyAlgorithm.String(),
		Fingerprint: hex.EncodeToString(sum[:]), InstalledFlag: installed,
		PEM: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})),
	}
}

func (s *server) listCertificates(context.Context, call) ([]certificateObject, error) {
	shown := s.certificates.Shown()
	out := []certificateObject{}
	for _, c := range shown.Chain {
		out = append(out, toCertificate(c, shown.Installed))
	}
	return out, nil
}

// installCertificate takes texts in PEM, in whatever portions programs cut them.
func (s *server) installCertificate(ctx context.Context, c call, texts []string) (certificateObject, error) {
	return s.showOther(ctx, c, "create", func(now time.Time) (certificate.Shown, error) {
		return s.certificates.Install([]byte(strings.Join(texts, "\n")), s.publicHost(), now)
	})
}

func (s *server) removeCertificate(ctx context.Context, c call) (certificateObject, error) {
	return s.showOther(ctx, c, "delete", func(time.Time) (certificate.Shown, error) { return s.certificates.Remove() })
}

// showOther changes which certificate the API shows, and says so in the audit.
func (s *server) showOther(ctx context.Context, c call, deed string, do func(now time.Time) (certificate.Shown, error)) (out certificateObject, err error) {
	return out, s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		shown, err := do(ch.Now())
		if err != nil {
			return err
		}
		out = toCertificate(shown.Chain[0], shown.Installed)
		return ch.Audit(store.AuditEntry{
			Type: deed, Kind: auditCertificates, ObjectName: out.Subject, Details: "shown now: " + out.Fingerprint,
		})
	})
}

// publicHost is the host at which people reach the server, if that is said.
func (s *server) publicHost() string {
	u, err := url.Parse(s.setting(siteSetting))
	if err != nil {
		return "" // who sets it is told
	}
	return u.Hostname()
}

// A subjectObject is what is said of a certificate that is asked for.
type subjectObject struct {
	CommonName         string   `json:"common_name"`
	Organization       string   `json:"organization"`
	OrganizationalUnit string   `json:"organizational_unit"`
	Locality           string   `json:"locality"`
	State              string   `json:"state"`
	Country            string   `json:"country"`
	Names              []string `json:"names"`
}

type certificateRequest struct {
	Subject string            `json:"subject"`
	Names   []certificateName `json:"names"`
	PEM     string            `json:"pem"`
}

func toRequest(r *x509.CertificateRequest) certificateRequest {
	return certificateRequest{
		r.Subject.String(), namesOf(certificate.Names(&x509.Certificate{DNSNames: r.DNSNames, IPAddresses: r.IPAddresses})),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.Raw})),
	}
}

func (s *server) showCertificateRequest(context.Context, call) (certificateRequest, error) {
	r, err := s.certificates.Requested()
	if err != nil {
		return certificateRequest{}, err
	}
	return toRequest(r), nil
}

// requestCertificate makes a request for the names at which the server is
// reached, unless others are said.
func (s *server) requestCertificate(ctx context.Context, c call, in subjectObject) (out certificateRequest, err error) {
	if len(in.Names) == 0 {
		name := s.publicHost()
		if name == "" {
			name = s.hostname
		}
		in.Names = []string{name}
	}
	subject, err := in.subject()
	if err != nil {
		return out, err
	}
	return out, s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		r, err := s.certificates.Request(subject, in.Names)
		if err != nil {
			return err
		}
		out = toRequest(r)
		return ch.Audit(store.AuditEntry{Type: "create", Kind: auditCertificates, ObjectName: out.Subject, Details: "requested for " + strings.Join(in.Names, ", ")})
	})
}

func (s *server) withdrawCertificateRequest(ctx context.Context, c call) (string, error) {
	return "deleted", s.shelves.Change(ctx, c.author(), func(ch *shelf.Change) error {
		if err := s.certificates.Withdraw(); err != nil {
			return err
		}
		return ch.Audit(store.AuditEntry{Type: "delete", Kind: auditCertificates, Details: "the request is withdrawn"})
	})
}

var (
	hostForm    = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	countryForm = regexp.MustCompile(`^[A-Z]{2}$`)
)

// subject checks what a certificate is to say.
func (in subjectObject) subject() (out pkix.Name, err error) {
	if len(in.Names) > certificateNames {
		return out, fault.New(fault.Invalid, "names has %d names; the most is %d", len(in.Names), certificateNames)
	}
	for _, name := range in.Names {
		if _, err := netip.ParseAddr(name); err != nil && (len(name) > 253 || !hostForm.MatchString(name)) {
			return out, object.Bad("names", "%q is neither the name of a host nor an address", shorten(name))
		}
	}
	out.CommonName = in.CommonName
	for _, part := range []struct {
		field, text string
		into        *[]string
	}{
		{"common_name", in.CommonName, nil}, {"organization", in.Organization, &out.Organization}, {"organizational_unit", in.OrganizationalUnit, &out.OrganizationalUnit},
		{"locality", in.Locality, &out.Locality}, {"state", in.State, &out.Province}, {"country", in.Country, &out.Country},
	} {
		if len([]rune(part.text)) > subjectMax {
			return out, object.Bad(part.field, "has more than %d characters", subjectMax)
		}
		if part.text != "" && part.into != nil {
			*part.into = []string{part.text}
		}
	}
	if in.Country != "" && !countryForm.MatchString(in.Country) {
		return out, object.Bad("country", "%q is not a country's two capital letters", shorten(in.Country))
	}
	return out, nil
}
