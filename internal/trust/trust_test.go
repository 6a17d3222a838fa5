package trust

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"catenary/internal/seal"
)

var (
	root    = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))
	signing = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, ed25519.SeedSize))
	start   = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
)

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

// certificate makes a self-signed certificate in PEM.
func certificate(t testing.TB, isCA bool) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: start, NotAfter: start.AddDate(20, 0, 0),
		IsCA: isCA, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func bundle(t testing.TB) Bundle {
	return Bundle{
		Installation: "34750f98bd59fcfc",
		Servers:      []string{"catenary.example.com:17472", "[2001:db8::1]:17472"},
		Root:         public(root),
		Vouchers:     [][]byte{seal.Vouch(root, public(signing), start, start.AddDate(1, 0, 0))},
		CA:           certificate(t, true),
		Secret:       bytes.Repeat([]byte{0x2a}, SecretSize),
		Expires:      start.AddDate(0, 1, 0),
	}
}

func marshal(t testing.TB, b Bundle) []byte {
	data, err := b.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRoundTrip(t *testing.T) {
	want := bundle(t)
	data := marshal(t, want)
	got, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v is read as %+v", want, got)
	}
	if again := marshal(t, got); !bytes.Equal(again, data) {
		t.Errorf("written again it is\n%s\ninstead of\n%s", again, data)
	}
	if data[len(data)-1] != '\n' {
		t.Error("the file does not end with a line")
	}
}

// TestRing: what a vouched key has signed opens with the bundle's ring, and
// nothing else does.
func TestRing(t *testing.T) {
	ring, err := bundle(t).Ring()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key  ed25519.PrivateKey
		good bool
	}{"signing key": {signing, true}, "root": {root, false}} {
		_, err := ring.Open(start.AddDate(0, 6, 0), seal.Question, seal.Sign(tt.key, seal.Question, []byte("q")))
		if (err == nil) != tt.good {
			t.Errorf("signed by the %s: %v", name, err)
		}
	}
}

func TestAuthority(t *testing.T) {
	b := bundle(t)
	cert, err := b.Authority()
	if err != nil || !cert.IsCA {
		t.Errorf("%v, %v", cert, err)
	}
	b.CA = "\n" + b.CA + "\n\n" // as an editor leaves it
	if _, err := b.Authority(); err != nil {
		t.Errorf("empty lines around the certificate: %v", err)
	}
}

// TestDamage: a file that is not whole is refused with a sentence that names
// the file and what is wrong with it.
func TestDamage(t *testing.T) {
	stranger := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, ed25519.SeedSize))
	leaf, two := certificate(t, false), certificate(t, true)+certificate(t, true)
	key := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}))
	empty := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{1}}))
	for name, tt := range map[string]struct {
		change func(*Bundle)
		want   string
	}{
		"no installation":    {func(b *Bundle) { b.Installation = "" }, "installation is missing"},
		"no servers":         {func(b *Bundle) { b.Servers = nil }, "names no server"},
		"server, no port":    {func(b *Bundle) { b.Servers[1] = "catenary.example.com" }, `server "catenary.example.com" is not host:port`},
		"server, no host":    {func(b *Bundle) { b.Servers[0] = ":17472" }, `server ":17472" is not host:port`},
		"server, port 0":     {func(b *Bundle) { b.Servers[0] = "a:0" }, "is not host:port"},
		"server, port 65536": {func(b *Bundle) { b.Servers[0] = "a:65536" }, "is not host:port"},
		"server, bare IPv6":  {func(b *Bundle) { b.Servers[0] = "2001:db8::1:17472" }, "is not host:port"},
		"server as a URL":    {func(b *Bundle) { b.Servers[0] = "https://a:17472" }, "is not host:port"},
		"no root":            {func(b *Bundle) { b.Root = nil }, "root key has 0 bytes, want 32"},
		"short root":         {func(b *Bundle) { b.Root = b.Root[:31] }, "root key has 31 bytes, want 32"},
		"other root":         {func(b *Bundle) { b.Root = public(stranger) }, "voucher: signature of the voucher is wrong"},
		"short voucher":      {func(b *Bundle) { b.Vouchers[0] = b.Vouchers[0][:50] }, "voucher: sealed message is too short"},
		"changed voucher":    {func(b *Bundle) { b.Vouchers[0][20] ^= 1 }, "voucher: signature of the voucher is wrong"},
		"empty voucher":      {func(b *Bundle) { b.Vouchers = append(b.Vouchers, nil) }, "voucher: sealed message is too short"},
		"question, no voucher": {func(b *Bundle) { b.Vouchers[0] = seal.Sign(root, seal.Question, b.Vouchers[0]) },
			"voucher: message was sealed as a question"},
		"no ca":        {func(b *Bundle) { b.CA = "" }, "ca is not one certificate in PEM"},
		"ca as text":   {func(b *Bundle) { b.CA = "MIIB" }, "ca is not one certificate in PEM"},
		"a key as ca":  {func(b *Bundle) { b.CA = key }, "ca is not one certificate in PEM"},
		"two cas":      {func(b *Bundle) { b.CA = two }, "ca is not one certificate in PEM"},
		"damaged ca":   {func(b *Bundle) { b.CA = empty }, "ca: x509: malformed certificate"},
		"a leaf as ca": {func(b *Bundle) { b.CA = leaf }, "ca is no certificate authority"},
		"no secret":    {func(b *Bundle) { b.Secret = nil }, "secret has 0 bytes, want 32"},
		"long secret":  {func(b *Bundle) { b.Secret = append(b.Secret, 1) }, "secret has 33 bytes, want 32"},
		"no end":       {func(b *Bundle) { b.Expires = time.Time{} }, "expires is missing"},
		"too large":    {func(b *Bundle) { b.Installation = strings.Repeat("x", FileMax) }, "the limit is 65536"},
	} {
		b := bundle(t)
		tt.change(&b)
		_, err := Parse(marshal(t, b))
		if err == nil || !strings.HasPrefix(err.Error(), FileName+": ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestDamagedText: the same for what is no bundle in its form.
func TestDamagedText(t *testing.T) {
	good := string(marshal(t, bundle(t)))
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":        {"", "EOF"},
		"no JSON":        {"catenary", "invalid character 'c'"},
		"broken off":     {good[:len(good)/2], "unexpected EOF"},
		"a list":         {"[" + good + "]", "cannot unmarshal array"},
		"two":            {good + good, "something follows after its end"},
		"followed":       {good + "#", "something follows after its end"},
		"unknown field":  {strings.Replace(good, "{", `{"colour": "blue",`, 1), `unknown field "colour"`},
		"secret no text": {strings.Replace(good, `"secret": "`, `"secret": 7, "root": "`, 1), "cannot unmarshal number"},
		"secret damaged": {strings.Replace(good, `"secret": "`, `"secret": "!`, 1), "illegal base64"},
		"expires no day": {strings.Replace(good, `"expires": "`, `"expires": "on `, 1), `parsing time "on `},
	} {
		if tt.text == good {
			t.Fatalf("%s: nothing is damaged", name)
		}
		_, err := Parse([]byte(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), FileName+": ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// TestEveryFieldMatters: a bundle in which any one field is missing is not
// whole, except that vouchers may also come with the first registration.
func TestEveryFieldMatters(t *testing.T) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(marshal(t, bundle(t)), &fields); err != nil {
		t.Fatal(err)
	}
	for name, value := range fields {
		delete(fields, name)
		data, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(data); (err == nil) != (name == "vouchers") {
			t.Errorf("without %s: %v", name, err)
		}
		fields[name] = value
	}
}

// FuzzParse: whatever is taken is written and read again as the same.
func FuzzParse(f *testing.F) {
	f.Add(marshal(f, bundle(f)))
	f.Add([]byte(`{"installation":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data)
		if err != nil {
			return
		}
		first := marshal(t, b)
		again, err := Parse(first)
		if err != nil {
			t.Fatalf("%s is taken, but not when it is written again: %v", data, err)
		}
		if second := marshal(t, again); !bytes.Equal(first, second) {
			t.Fatalf("written as\n%s\nand then as\n%s", first, second)
		}
	})
}
