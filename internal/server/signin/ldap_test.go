package signin

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"catenary/internal/fault"
	"catenary/internal/server/signin/signintest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same[T any](t testing.TB, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("-want +got\n%s", d)
	}
}

// refusedAs checks the kind of an error and that its text says why.
func refusedAs(t testing.TB, err error, kind fault.Kind, why string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind || !strings.Contains(err.Error(), why) {
		t.Fatalf("error is %v (kind %d), want kind %d and %q", err, fault.KindOf(err), kind, why)
	}
}

// over is the directory as it is reached in one of the ways.
func over(s *signintest.Slapd, way Security) Directory {
	d := Directory{
		Host: "localhost", Port: s.Port, Security: way, Authorities: s.Authority,
		BindDN: signintest.Admin, BindPassword: signintest.AdminPassword,
		People: Branch{Base: signintest.People}, Groups: Branch{Base: signintest.Groups},
	}
	if way == LDAPS {
		d.Port = s.TLS
	}
	return d
}

func TestAuthenticateInLDAP(t *testing.T) {
	s := signintest.Start(t)
	s.Person("ann", "ann's password")
	s.Person("o'brien (x)*\\", "brien's password")
	s.Person("bob", "bob's password")
	for _, way := range []Security{LDAPS, StartTLS, Plain} {
		d := over(s, way)
		p, ok, err := d.Authenticate(t.Context(), "ann", "ann's password")
		must(t, err)
		same(t, ok, true)
		same(t, len(p.ID), 36) // an entryUUID
		same(t, Person{p.ID, "ann", "The ann", "uid=ann,ou=people,dc=example,dc=org", false}, p)
	}
	s.Add("ou=other,"+signintest.People, nil)
	for _, base := range []string{signintest.People, "ou=other," + signintest.People} {
		s.Add("uid=twin,"+base, map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"twin"}, "cn": {"x"}, "sn": {"x"}, "userPassword": {"a twin's password"}})
	}
	d := over(s, StartTLS)
	for _, tt := range []struct {
		name, password string
		want           bool
	}{
		{"ANN", "ann's password", true},
		{"o'brien (x)*\\", "brien's password", true},
		{"ann", "wrong", false},
		{"ann", "", false}, // would bind as nobody, with success
		{"", "x", false},
		{"nobody", "x", false},
		{"twin", "a twin's password", false}, // which of them?
		{"*", "ann's password", false},
		{"a*", "ann's password", false},
		{"ann)(uid=*", "ann's password", false},
		{"ann)(|(uid=*", "ann's password", false},
		{"*)(uid=*))(|(uid=*", "ann's password", false},
		{"ann\x00", "ann's password", false},
		{"uid=ann,ou=people,dc=example,dc=org", "ann's password", false},
		{strings.Repeat("a", 1<<16), "x", false},
	} {
		_, ok, err := d.Authenticate(t.Context(), tt.name, tt.password)
		if err != nil || ok != tt.want {
			t.Errorf("%.40q with %q: %v, %v", tt.name, tt.password, ok, err)
		}
	}
}

func TestLDAPIsNotFooled(t *testing.T) {
	s := signintest.Start(t)
	s.Person("ann", "ann's password")
	stranger := signintest.Start(t).Authority
	for name, tt := range map[string]struct {
		change func(*Directory)
		why    string
	}{
		"LDAPS with a certificate of strangers":    {func(d *Directory) { d.Authorities = stranger }, "certificate signed by unknown authority"},
		"StartTLS with a certificate of strangers": {func(d *Directory) { *d = over(s, StartTLS); d.Authorities = stranger }, "certificate signed by unknown authority"},
		"another name than the certificate's":      {func(d *Directory) { d.Host = "127.0.0.1" }, "IP SANs"},
		"plain where TLS is expected":              {func(d *Directory) { d.Port = s.Port }, "LDAP server localhost"},
		"wrong password of the searcher":           {func(d *Directory) { d.BindPassword = "x" }, "Invalid Credentials"},
		"nobody listens":                           {func(d *Directory) { d.Port = 1 }, "refused"},
	} {
		t.Run(name, func(t *testing.T) {
			d := over(s, LDAPS)
			tt.change(&d)
			_, _, err := d.Authenticate(t.Context(), "ann", "ann's password")
			refusedAs(t, err, fault.Unavailable, tt.why)
			if strings.Contains(err.Error(), "password") {
				t.Errorf("the error tells a password: %v", err)
			}
		})
	}
}

// A directory that accepts and says nothing, or only nonsense, costs a little
// time and no memory.
func TestLDAPServerIsMad(t *testing.T) {
	for name, say := range map[string]func(net.Conn){
		"nonsense": func(c net.Conn) { fmt.Fprint(c, strings.Repeat("\x30\x84\x7f\xff\xff\xff", 100)); c.Close() },
		"closes":   func(c net.Conn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			defer l.Close()
			go func() { // ends with the listener
				for c, err := l.Accept(); err == nil; c, err = l.Accept() {
					say(c)
				}
			}()
			d := Directory{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: Plain, BindDN: "cn=x", BindPassword: "y", People: Branch{Base: "dc=x"}}
			_, err = d.Read(t.Context())
			refusedAs(t, err, fault.Unavailable, "LDAP server 127.0.0.1")
		})
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d := Directory{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, Security: Plain, BindDN: "cn=x", BindPassword: "y", People: Branch{Base: "dc=x"}}
	begun := time.Now()
	_, err = d.Read(ctx)
	refusedAs(t, err, fault.Unavailable, "")
	if took := time.Since(begun); took > dialTimeout {
		t.Errorf("a silent server has cost %v", took)
	}
}

// names are those of members by group.
func names(l Listing) map[string][]string {
	byID := map[string]string{}
	for _, p := range l.People {
		byID[p.ID] = p.Name
	}
	out := map[string][]string{}
	for _, g := range l.Groups {
		out[g.Name] = []string{}
		for _, id := range g.Members {
			out[g.Name] = append(out[g.Name], byID[id])
		}
		slices.Sort(out[g.Name])
	}
	return out
}

func TestReadLDAP(t *testing.T) {
	s := signintest.Start(t)
	const many = 1234 // more than a page, and than the directory gives at once
	for i := range many {
		s.Person(fmt.Sprintf("user%04d", i), "x")
	}
	s.Add("cn=nameless,"+signintest.People, map[string][]string{"objectClass": {"person"}, "cn": {"nameless"}, "sn": {"x"}})
	s.Add("ou=other,"+signintest.People, nil)
	s.Add("uid=USER0009,ou=other,"+signintest.People, map[string][]string{"objectClass": {"inetOrgPerson"}, "uid": {"USER0009"}, "cn": {"again"}, "sn": {"x"}})
	group := func(name string) string { return "cn=" + name + "," + signintest.Groups }
	s.Group("inner", signintest.DN("user0001"), group("outer")) // a circle
	s.Group("outer", signintest.DN("user0002"), "UID=user0003, OU=people,dc=example,dc=ORG", group("inner"))
	s.Group("empty", signintest.DN("gone"))
	s.Add(group("posix"), map[string][]string{"objectClass": {"posixGroup"}, "cn": {"posix"}, "gidNumber": {"7"}, "memberUid": {"user0004", "nobody"}})

	d := over(s, StartTLS)
	l, err := d.Read(t.Context())
	must(t, err)
	same(t, len(l.People), many-1)
	same(t, l.Problems, []string{
		"uid=user0009,ou=people,dc=example,dc=org: another has the same entryUUID or uid",
		"cn=nameless,ou=people,dc=example,dc=org: it has no usable entryUUID or uid",
		"uid=USER0009,ou=other,ou=people,dc=example,dc=org: another has the same entryUUID or uid",
	})
	nested := []string{"user0001", "user0002", "user0003"}
	same(t, names(l), map[string][]string{"inner": nested, "outer": nested, "empty": {}, "posix": {}})

	d.Groups.Links = "memberUid"
	l, err = d.Read(t.Context())
	must(t, err)
	same(t, names(l), map[string][]string{"inner": {}, "outer": {}, "empty": {}, "posix": {"user0004"}})

	// People may say themselves in which groups they are.
	s.Set(signintest.DN("user0005"), "seeAlso", group("empty"))
	d.People.Links, d.Groups.Links = "seeAlso", ""
	l, err = d.Read(t.Context())
	must(t, err)
	same(t, names(l)["empty"], []string{"user0005"})

	d.People.Filter = "(uid=user000*)"
	l, err = d.Read(t.Context())
	must(t, err)
	same(t, len(l.People), 9)

	d.People.Base = "ou=nowhere," + signintest.Suffix
	_, err = d.Read(t.Context())
	refusedAs(t, err, fault.Unavailable, "No Such Object")
}

func TestDirectoryIsChecked(t *testing.T) {
	good := Directory{Host: "ldap", Port: 636, People: Branch{Base: "dc=example"}}
	must(t, good.Check())
	for name, tt := range map[string]struct {
		change func(*Directory)
		why    string
	}{
		"no host":          {func(d *Directory) { d.Host = "" }, "host: is missing"},
		"no port":          {func(d *Directory) { d.Port = 70000 }, "port: 70000 is no port"},
		"no base":          {func(d *Directory) { d.People.Base = "" }, "users_base: is missing"},
		"a base that lies": {func(d *Directory) { d.Groups.Base = "x" }, `groups_base: "x" is no distinguished name`},
		"a broken filter":  {func(d *Directory) { d.People.Filter = "(uid=" }, "is no LDAP filter"},
		"an injected name": {func(d *Directory) { d.People.Name = "uid=*)(cn" }, "is no name of an attribute"},
		"no certificate":   {func(d *Directory) { d.Authorities = "x" }, "certificate: there is no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			d := good
			tt.change(&d)
			refusedAs(t, d.Check(), fault.Invalid, tt.why)
		})
	}
}

func FuzzPlainDN(f *testing.F) {
	f.Add("CN=a\\,b, DC=Example")
	f.Add("x")
	f.Fuzz(func(t *testing.T, dn string) {
		once := plainDN(dn)
		if again := plainDN(once); again != once {
			t.Fatalf("%q becomes %q and then %q", dn, once, again)
		}
	})
}
