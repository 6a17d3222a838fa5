package signin

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"catenary/internal/fault"
)

const (
	ldapPage  = 500       // entries asked for at once; most directories refuse more than 1,000
	ldapMost  = 200_000   // entries of one kind; more come of a wrong base or filter
	ldapBytes = 512 << 20 // read from one connection: a directory that has gone mad does not fill our memory
	nameMost  = 255       // bytes of a name that is taken over
)

// Security is how a connection to a directory is protected.
type Security uint8

// The ways.
const (
	LDAPS    Security = iota // TLS from the first byte
	StartTLS                 // TLS before anything is said
	Plain                    // nothing: passwords can be read on the way
)

// A Directory is an LDAP server and how to find people and groups in it.
type Directory struct {
	Host         string
	Port         int
	Security     Security
	Authorities  string // PEM; empty: those of the operating system
	BindDN       string // as whom to search; empty: as nobody
	BindPassword string
	People       Branch
	Groups       Branch // an empty base: no groups
}

// A Branch is where entries of a kind are and which attributes are of use.
type Branch struct {
	Base   string
	Filter string
	ID     string // attribute that never changes: entryUUID, objectGUID
	Name   string // attribute with the name
	// Links is, of people, the attribute that lists their groups; of groups, the
	// one that lists members: distinguished names of either, or names of people.
	Links string
}

// A Person is somebody in a directory.
type Person struct {
	ID, Name, DisplayName string
	DN                    string
	Disabled              bool
}

// settled is a copy with the usual values where nothing is said.
func (d Directory) settled() Directory {
	d.People.Filter = cmp.Or(d.People.Filter, "(objectClass=person)")
	d.People.ID = cmp.Or(d.People.ID, "entryUUID")
	d.People.Name = cmp.Or(d.People.Name, "uid")
	d.Groups.Filter = cmp.Or(d.Groups.Filter, "(|(objectClass=groupOfNames)(objectClass=group)(objectClass=posixGroup))")
	d.Groups.ID = cmp.Or(d.Groups.ID, d.People.ID)
	d.Groups.Name = cmp.Or(d.Groups.Name, "cn")
	d.Groups.Links = cmp.Or(d.Groups.Links, "member")
	return d
}

var attributeForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)*)$`)

// Check reports what is wrong with the description itself.
func (d Directory) Check() error {
	bad := func(field, why string, args ...any) error {
		return fault.New(fault.Invalid, "%s: %s", field, fmt.Sprintf(why, args...))
	}
	if d.Host == "" {
		return bad("host", "is missing")
	}
	if d.Port < 1 || d.Port > 65535 {
		return bad("port", "%d is no port", d.Port)
	}
	if d.People.Base == "" {
		return bad("users_base", "is missing: below which entry are the people?")
	}
	if _, err := authorities(d.Authorities); err != nil {
		return err
	}
	d = d.settled()
	for _, b := range []struct {
		what string
		Branch
	}{{"users", d.People}, {"groups", d.Groups}} {
		if _, err := ldap.ParseDN(b.Base); err != nil {
			return bad(b.what+"_base", "%q is no distinguished name", b.Base)
		}
		if _, err := ldap.CompileFilter(b.Filter); err != nil {
			return bad(b.what+"_filter", "%q is no LDAP filter", b.Filter)
		}
		for _, a := range []string{b.ID, b.Name, b.Links} {
			if a != "" && !attributeForm.MatchString(a) {
				return bad(b.what, "%q is no name of an attribute", a)
			}
		}
	}
	return nil
}

// connect opens a connection on which the searching user is bound. It ends when
// ctx does, or with the function that is returned.
func (d Directory) connect(ctx context.Context) (*ldap.Conn, func(), error) {
	pool, err := authorities(d.Authorities)
	if err != nil {
		return nil, nil, err
	}
	secure := &tls.Config{ServerName: d.Host, RootCAs: pool, MinVersion: tls.VersionTLS12}
	dialing, stop := context.WithTimeout(ctx, dialTimeout)
	defer stop()
	raw, err := (&net.Dialer{}).DialContext(dialing, "tcp", net.JoinHostPort(d.Host, strconv.Itoa(d.Port)))
	if err != nil {
		return nil, nil, d.away(err)
	}
	raw = &budget{Conn: raw, left: ldapBytes}
	if d.Security == LDAPS {
		over := tls.Client(raw, secure)
		if err := over.HandshakeContext(dialing); err != nil {
			return nil, nil, errors.Join(d.away(err), raw.Close())
		}
		raw = over
	}
	conn := ldap.NewConn(raw, d.Security == LDAPS)
	conn.Start()
	conn.SetTimeout(replyTimeout)
	closeConn := func() { _ = conn.Close() } // nothing is lost with it: everything was answered or has failed
	cut := context.AfterFunc(ctx, closeConn)
	end := func() { cut(); closeConn() }
	if d.Security == StartTLS {
		err = conn.StartTLS(secure)
	}
	if err == nil && d.BindDN != "" {
		err = conn.Bind(d.BindDN, d.BindPassword)
	}
	if err != nil {
		end()
		return nil, nil, d.away(err)
	}
	return conn, end, nil
}

// away is the error of a directory that does not serve us now.
func (d Directory) away(err error) error {
	return fault.New(fault.Unavailable, "LDAP server %s: %w", net.JoinHostPort(d.Host, strconv.Itoa(d.Port)), err)
}

// budget is a connection from which only so much is read.
type budget struct {
	net.Conn
	left int64
}

var errTooMuch = errors.New("it has sent too much")

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// displayNames are the attributes that may hold it, the best first.
var displayNames = []string{"displayName", "cn", "gecos"}

// The attributes by which directories say that somebody may not log in.
const (
	accountControl  = "userAccountControl" // Active Directory: bit 2
	accountLock     = "nsAccountLock"      // 389, FreeIPA: true
	controlDisabled = 0x2
)

func (d Directory) personAttributes() []string {
	list := append([]string{d.People.ID, d.People.Name, accountControl, accountLock}, displayNames...)
	if d.People.Links != "" {
		list = append(list, d.People.Links)
	}
	return list
}

// Authenticate reports whether somebody of that name has that password, and who
// it is. Whether it is the person that is meant, and not another who has got the
// name since, the ID tells.
func (d Directory) Authenticate(ctx context.Context, name, password string) (Person, bool, error) {
	if name == "" || password == "" { // an empty password binds as nobody, and succeeds
		return Person{}, false, nil
	}
	d = d.settled()
	conn, end, err := d.connect(ctx)
	if err != nil {
		return Person{}, false, err
	}
	defer end()
	filter := "(&" + d.People.Filter + "(" + d.People.Name + "=" + ldap.EscapeFilter(name) + "))"
	found, err := conn.Search(ldap.NewSearchRequest(d.People.Base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases,
		2, int(replyTimeout/time.Second), false, filter, d.personAttributes(), nil))
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded):
		return Person{}, false, nil // several have the name: nobody is meant
	case err != nil:
		return Person{}, false, d.away(err)
	case len(found.Entries) != 1:
		return Person{}, false, nil
	}
	p, ok := d.person(found.Entries[0])
	if !ok {
		return Person{}, false, nil
	}
	err = conn.Bind(p.DN, password)
	if ldap.IsErrorWithCode(err, ldap.LDAPResultInvalidCredentials) || ldap.IsErrorWithCode(err, ldap.LDAPResultConstraintViolation) {
		return Person{}, false, nil
	}
	if err != nil {
		return Person{}, false, d.away(err)
	}
	return p, true, nil
}

// person reads an entry; it reports false if the entry lacks what we need.
func (d Directory) person(e *ldap.Entry) (Person, bool) {
	p := Person{ID: identity(e, d.People.ID), Name: e.GetEqualFoldAttributeValue(d.People.Name), DN: e.DN}
	for _, a := range displayNames {
		if p.DisplayName == "" {
			p.DisplayName = printable(e.GetEqualFoldAttributeValue(a))
		}
	}
	control, _ := strconv.ParseInt(e.GetEqualFoldAttributeValue(accountControl), 10, 64) // 0 where there is none
	p.Disabled = control&controlDisabled != 0 || e.GetEqualFoldAttributeValue(accountLock) == "TRUE"
	return p, p.ID != "" && isName(p.Name)
}

// identity is the text of an attribute that may be binary.
func identity(e *ldap.Entry, attribute string) string {
	b := e.GetEqualFoldRawAttributeValue(attribute)
	if !utf8.Valid(b) || printable(string(b)) != string(b) {
		return hex.EncodeToString(b)
	}
	return string(b)
}

// isName reports whether a text can be the name of a user or a group.
func isName(s string) bool {
	return s != "" && len(s) <= nameMost && utf8.ValidString(s) && printable(s) == s
}

// printable is a text without what nobody can see, and not longer than a name.
func printable(s string) string {
	var b []rune
	size := 0
	for _, r := range s {
		if size += utf8.RuneLen(r); size > nameMost {
			break
		}
		if r != utf8.RuneError && unicode.IsPrint(r) {
			b = append(b, r)
		}
	}
	return string(b)
}
