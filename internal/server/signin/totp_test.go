package signin

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

func TestNewCodeSource(t *testing.T) {
	src, err := NewCodeSource("Catenary", "ann@x:y")
	must(t, err)
	u, err := url.Parse(src.URI)
	must(t, err)
	same(t, []string{u.Scheme, u.Host, u.Path, u.Query().Get("secret"), u.Query().Get("issuer")},
		[]string{"otpauth", "totp", "/Catenary:ann@x:y", src.Secret, "Catenary"})
	same(t, len(src.Secret), 32) // 160 bits
	data, ok := strings.CutPrefix(src.Picture, "data:image/png;base64,")
	same(t, ok, true)
	raw, err := base64.StdEncoding.DecodeString(data)
	must(t, err)
	img, err := png.Decode(bytes.NewReader(raw))
	must(t, err)
	same(t, img.Bounds().Dx(), pictureSize)
	again, err := NewCodeSource("Catenary", "ann")
	must(t, err)
	if again.Secret == src.Secret {
		t.Error("two secrets are the same")
	}
}

func TestMatchCode(t *testing.T) {
	// The secret and a time of RFC 6238's table, whose last six digits they are.
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	at := time.Unix(1111111111, 0)
	for _, tt := range []struct {
		code   string
		period int64
		ok     bool
	}{
		{"050471", 37037037, true},
		{" 050 471", 37037037, true},
		{"081804", 37037036, true}, // of 30 seconds before
		{"050472", 0, false},
		{"", 0, false},
		{"5047１", 0, false},
		{"0504710", 0, false},
	} {
		period, ok := MatchCode(secret, tt.code, at)
		if period != tt.period || ok != tt.ok {
			t.Errorf("%q: period %d, %v", tt.code, period, ok)
		}
	}
	for off, want := range map[time.Duration]bool{-61 * time.Second: false, -30 * time.Second: true, 30 * time.Second: true, 61 * time.Second: false} {
		code, err := totp.GenerateCode(secret, at.Add(off))
		must(t, err)
		if _, ok := MatchCode(secret, code, at); ok != want {
			t.Errorf("a clock that is %v away: %v", off, ok)
		}
	}
	if _, ok := MatchCode("not base32!", "000000", at); ok {
		t.Error("a broken secret matches")
	}
}

func TestRecoveryCodes(t *testing.T) {
	codes := NewRecoveryCodes()
	same(t, len(codes), recoveryCodes)
	seen := map[string]bool{}
	for _, c := range codes {
		if !regexp.MustCompile(`^[a-z2-7]{4}(-[a-z2-7]{4}){3}$`).MatchString(c) || seen[c] {
			t.Errorf("code %q", c)
		}
		seen[c] = true
		same(t, PlainRecoveryCode(" "+strings.ToUpper(c)), strings.ReplaceAll(c, "-", ""))
	}
}
