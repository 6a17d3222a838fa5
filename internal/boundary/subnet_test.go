package boundary

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func same(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}

func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.2.0/24": "10.1.2.0/24", "10.1.2.3": "10.1.2.3/32", "10.1.2.3/32": "10.1.2.3/32", "0.0.0.0/0": "0.0.0.0/0",
		"2001:db8::/48": "2001:db8::/48", "2001:DB8:0::/48": "2001:db8::/48", "2001:db8::1": "2001:db8::1/128", "::/0": "::/0",
		"::ffff:10.1.2.3": "10.1.2.3/32", "::ffff:10.1.0.0/112": "10.1.0.0/16", "::ffff:0.0.0.0/96": "0.0.0.0/0",
	} {
		if got := network(t, text); got.String() != want {
			t.Errorf("%s reads as %v, want %s", text, got, want)
		}
	}
	const like = ": write it like 10.1.2.0/24 or 2001:db8::/48"
	for text, want := range map[string]string{
		"":                        `"" is no network` + like,
		"10.1.2.0/33":             `"10.1.2.0/33" is no network` + like,
		"10.1.2.0/255.255.255.0":  `"10.1.2.0/255.255.255.0" is no network` + like,
		"10.1.2/24":               `"10.1.2/24" is no network` + like,
		"10.1.2.300":              `"10.1.2.300" is no network` + like,
		"10.1.2.0/-1":             `"10.1.2.0/-1" is no network` + like,
		"fe80::1%eth0":            `"fe80::1%eth0" is no network` + like,
		"fe80::%eth0/64":          `"fe80::%eth0/64" is no network` + like,
		strings.Repeat("ü", 1000): `"` + strings.Repeat("ü", 30) + `…" is no network` + like,
		"10.1.2.3/24":             `"10.1.2.3/24" has bits behind its mask: did you mean 10.1.2.0/24?`,
		"2001:db8::1/48":          `"2001:db8::1/48" has bits behind its mask: did you mean 2001:db8::/48?`,
		"::ffff:0.0.0.0/90":       `"::ffff:0.0.0.0/90" is a network of IPv4 addresses and others: write them apart`,
	} {
		if p, err := ParseNetwork(text); err == nil || err.Error() != want {
			t.Errorf("%q reads as %v, %v; want %s", text, p, err, want)
		}
	}
}

func TestCheck(t *testing.T) {
	one := func(k Kind, text string) Subnet { return Subnet{Kind: k, Networks: []netip.Prefix{network(t, text)}} }
	named := func(s Subnet, change func(*Subnet)) []Subnet { change(&s); return []Subnet{s} }
	many := make([]Subnet, SubnetsMax+1)
	for i := range many {
		many[i] = one(Separated, "10.0.0.0/24")
	}
	for _, tt := range []struct {
		list []Subnet
		want string
	}{
		{read(t, office...), ""},
		{[]Subnet{one(Isolated, "0.0.0.0/0"), one(Isolated, "::/0"), one(Isolated, "10.0.0.0/8")}, ""},
		{[]Subnet{one(Separated, "10.0.0.0/8"), one(Separated, "2001::/16")}, ""},
		{[]Subnet{one(Separated, "10.0.0.0/8"), one(Isolated, "10.1.0.0/16"), one(Intentional, "10.2.0.0/16")}, ""},
		{[]Subnet{one(Separated, "8.0.0.0/7")}, "separated subnet 8.0.0.0/7 is too large for a LAN: at least /8"},
		{[]Subnet{one(Intentional, "2000::/15")}, "intentional subnet 2000::/15 is too large for a LAN: at least /16"},
		{[]Subnet{one(Separated, "10.0.0.0/24"), one(Separated, "10.0.0.0/24")}, "10.0.0.0/24 is said twice to be separated"},
		{[]Subnet{one(Separated, "10.0.0.0/24"), one(Intentional, "10.0.0.0/24")}, "10.0.0.0/24 is said to be separated and intentional: it can be only one"},
		{[]Subnet{one(Isolated, "10.0.0.0/24"), one(Separated, "10.0.0.0/24")}, "10.0.0.0/24 is said to be isolated and separated: it can be only one"},
		{[]Subnet{one(Separated, "10.0.1.0/24"), one(Isolated, "10.0.0.0/16")}, "separated subnet 10.0.1.0/24 lies in the isolated subnet 10.0.0.0/16, so that it would never matter"},
		{[]Subnet{one(Isolated, "::/0"), one(Intentional, "2001:db8::/32")}, "intentional subnet 2001:db8::/32 lies in the isolated subnet ::/0, so that it would never matter"},
		{[]Subnet{{Kind: Separated, Name: "x"}}, `separated subnet "x" has no network`},
		{[]Subnet{{Kind: Isolated, Networks: networks(t, "10.0.0.1", "10.0.0.2")}}, "isolated subnet 10.0.0.1/32: only an intentional one has several networks"},
		{named(one(Separated, "10.0.0.0/24"), func(s *Subnet) { s.Neighborhood = "x" }), "separated subnet 10.0.0.0/24: only an intentional one is of a neighbourhood"},
		{named(one(Intentional, "10.0.0.0/24"), func(s *Subnet) { s.Networks = make([]netip.Prefix, 257) }), "intentional subnet invalid Prefix has more than 256 networks"},
		{named(one(Separated, "10.0.0.0/24"), func(s *Subnet) { s.Name = strings.Repeat("x", 256) }), "separated subnet 10.0.0.0/24: its name has more than 255 bytes"},
		{named(one(Separated, "10.0.0.0/24"), func(s *Subnet) { s.Comment = strings.Repeat("x", 4097) }), "separated subnet 10.0.0.0/24: its comment has more than 4096 bytes"},
		{named(one(Intentional, "10.0.0.0/24"), func(s *Subnet) { s.Neighborhood = "a\nb" }), "intentional subnet 10.0.0.0/24: its neighbourhood is not one line of text"},
		{named(one(Isolated, "10.0.0.0/24"), func(s *Subnet) { s.Name = " a" }), "isolated subnet 10.0.0.0/24: its name is not one line of text"},
		{named(one(Isolated, "10.0.0.0/24"), func(s *Subnet) { s.Name = "a;b" }), "isolated subnet 10.0.0.0/24: its name has a semicolon, which begins a comment in files"},
		{many, "more than 10000 separated subnets"},
	} {
		err := Check(tt.list)
		if (err == nil) != (tt.want == "") || err != nil && err.Error() != tt.want {
			t.Errorf("%.100v: %v, want %q", tt.list, err, tt.want)
		}
	}
}

func TestReadFile(t *testing.T) {
	got, err := ReadFile(Separated, []byte("\ufeff# offices\r\n\n10.1.0.0/16 London, ground floor ; ask Ann\r\n  10.2.0.0/24\t\n;10.3.0.0/24\n10.4.0.1;kiosk; really"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, []Subnet{
		{Kind: Separated, Networks: networks(t, "10.1.0.0/16"), Name: "London, ground floor", Comment: "ask Ann"},
		{Kind: Separated, Networks: networks(t, "10.2.0.0/24")},
		{Kind: Separated, Networks: networks(t, "10.4.0.1"), Comment: "kiosk; really"},
	})
	got, err = ReadFile(Intentional, []byte("203.0.113.7,198.51.100.0/28 London ; NAT\n192.0.2.1\n"))
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, []Subnet{
		{Kind: Intentional, Networks: networks(t, "203.0.113.7", "198.51.100.0/28"), Neighborhood: "London", Comment: "NAT"},
		{Kind: Intentional, Networks: networks(t, "192.0.2.1")},
	})
	for _, tt := range []struct {
		kind       Kind
		text, want string
	}{
		{Separated, "10.1.0.0/16\n10.2.0.300/24 x", `line 2: "10.2.0.300/24" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{Separated, "\n\n10.1.2.3/16", `line 3: "10.1.2.3/16" has bits behind its mask: did you mean 10.1.0.0/16?`},
		{Separated, "10.1.0.0/16,10.2.0.0/16", `line 1: separated subnet 10.1.0.0/16: only an intentional one has several networks`},
		{Isolated, "# a\n10.1.0.0/16\n10.2.0.0/16\n10.1.0.0/16", `line 4: 10.1.0.0/16 stands in line 2 already`},
		{Intentional, "10.1.0.0/16, 10.2.0.0/16", `line 1: "" is no network: write it like 10.1.2.0/24 or 2001:db8::/48`},
		{Separated, "10.1.0.0/16 " + strings.Repeat("x", 256), "line 1: separated subnet 10.1.0.0/16: its name has more than 255 bytes"},
		{Isolated, strings.Repeat("# no more\n", 3) + lines(SubnetsMax+1), "line 10004: more than 10000 subnets"},
	} {
		if list, err := ReadFile(tt.kind, []byte(tt.text)); err == nil || err.Error() != tt.want {
			t.Errorf("%.80q reads as %.80v, %v; want %s", tt.text, list, err, tt.want)
		}
	}
}

func TestLineOf(t *testing.T) {
	data := []byte("\ufeff# x\n10.1.0.0/16 a\n\n10.2.0.0/16,10.3.0.0/16 b\n")
	for network, want := range map[string]int{"10.1.0.0/16": 2, "10.2.0.0/16": 4, "10.3.0.0/16": 4, "10.4.0.0/16": 0, "10.1.0.0/17": 0} {
		if got := LineOf(Intentional, data, netip.MustParsePrefix(network)); got != want {
			t.Errorf("%s stands in line %d, want %d", network, got, want)
		}
	}
	_, err := New(DefaultMask, read(t, "isolated: 10.0.0.0/8", "separated: 10.3.0.0/16"))
	c, ok := errors.AsType[*Contradiction](err)
	if !ok || LineOf(Intentional, data, c.Networks...) != 4 {
		t.Errorf("%v", err)
	}
}

func lines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String() + "\n")
	}
	return b.String()
}

// TestFileFixedPoint: what is written reads as the same, but for the names of
// intentional subnets.
func TestFileFixedPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		byKind := map[Kind][]Subnet{}
		for _, s := range drawSubnets(t) {
			s.Comment = rapid.SampledFrom([]string{"", "a", "; b ; c", "# d"}).Draw(t, "comment")
			if s.Kind != Intentional {
				s.Name = rapid.SampledFrom([]string{"", "a", "b c", "# d", "10.0.0.0/8,"}).Draw(t, "name")
			}
			byKind[s.Kind] = append(byKind[s.Kind], s)
		}
		for kind, list := range byKind {
			again, err := ReadFile(kind, AppendFile(nil, list))
			if d := cmp.Diff(list, again, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); err != nil || d != "" {
				t.Fatalf("%v\n%s", err, d)
			}
		}
	})
}

func FuzzReadFile(f *testing.F) {
	for _, seed := range []string{"", "10.0.0.0/8 x ; y\n", "\ufeff#\r\n::/0\n", "10.0.0.1,10.0.0.2 a", "10.0.0.0/8;\t;", "1.1.1.1\u00a0x", strings.Repeat("\xa1", 61)} {
		f.Add(uint8(3), seed)
		f.Add(uint8(1), seed)
	}
	f.Fuzz(func(t *testing.T, k uint8, text string) {
		kind := Kinds[int(k)%len(Kinds)]
		list, err := ReadFile(kind, []byte(text))
		if err != nil {
			if !strings.HasPrefix(err.Error(), "line ") {
				t.Errorf("%q: %v names no line", text, err)
			}
			return
		}
		if err := Check(list); err != nil {
			t.Errorf("%q is read, but %v", text, err)
		}
		written := AppendFile(nil, list)
		again, err := ReadFile(kind, written)
		if err != nil || string(AppendFile(nil, again)) != string(written) {
			t.Errorf("%q is written as %q, which reads as %v, %v", text, written, again, err)
		}
	})
}
