package signin

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/signin/signintest"
)

func newOIDC(t *testing.T, p *signintest.Provider) *OIDC {
	t.Helper()
	o, err := NewOIDC(t.Context(), OIDCConfig{
		Issuer: p.URL, ClientID: signintest.ClientID, ClientSecret: signintest.ClientSecret, Authorities: p.Authority,
		Redirect: "https://catenary.example/auth/oidc/1/callback", Scopes: []string{"profile", "groups"},
	})
	must(t, err)
	return o
}

var annsClaims = map[string]any{"sub": "4711", "preferred_username": "ann", "name": "Ann\x07 Other", "groups": []string{"ops", "admins", "ops", ""}}

// comeBack sends somebody to the provider and takes him back.
func comeBack(t *testing.T, o *OIDC, p *signintest.Provider) (Identity, error) {
	t.Helper()
	to, pending := o.Begin("the-state", "the-nonce")
	q := p.Visit(to)
	same(t, q.Get("state"), "the-state")
	return o.Finish(t.Context(), q.Get("code"), pending)
}

func TestOIDC(t *testing.T) {
	p := signintest.NewProvider(t)
	o := newOIDC(t, p)
	p.Says(annsClaims)
	id, err := comeBack(t, o, p)
	must(t, err)
	same(t, id, Identity{"4711", "ann", "Ann Other", []string{"admins", "ops"}})

	p.Says(map[string]any{"sub": "4711", "preferred_username": "ann", "groups": "one", "aud": []string{"other", signintest.ClientID}, "azp": signintest.ClientID})
	id, err = comeBack(t, o, p)
	must(t, err)
	same(t, id, Identity{"4711", "ann", "", []string{"one"}})
}

type sign = func(string) string

func TestOIDCRefuses(t *testing.T) {
	p := signintest.NewProvider(t)
	o := newOIDC(t, p)
	later := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	for name, tt := range map[string]struct {
		spoil func(header, claims map[string]any, s sign) sign
		why   string
	}{
		"another nonce":    {func(_, c map[string]any, s sign) sign { c["nonce"] = "x"; return s }, "answers another request"},
		"no nonce":         {func(_, c map[string]any, s sign) sign { delete(c, "nonce"); return s }, "answers another request"},
		"another audience": {func(_, c map[string]any, s sign) sign { c["aud"] = "x"; return s }, "audience"},
		"made for another": {func(_, c map[string]any, s sign) sign {
			c["aud"], c["azp"] = []string{signintest.ClientID, "x"}, "x"
			return s
		}, "another program"},
		"another issuer":  {func(_, c map[string]any, s sign) sign { c["iss"] = "https://evil.example"; return s }, "different provider"},
		"expired":         {func(_, c map[string]any, s sign) sign { c["exp"] = later(-time.Second); return s }, "expired"},
		"not yet":         {func(_, c map[string]any, s sign) sign { c["nbf"] = later(time.Hour); return s }, "nbf"},
		"no subject":      {func(_, c map[string]any, s sign) sign { c["sub"] = ""; return s }, "no subject"},
		"no name":         {func(_, c map[string]any, s sign) sign { delete(c, "preferred_username"); return s }, "preferred_username"},
		"a name of lines": {func(_, c map[string]any, s sign) sign { c["preferred_username"] = "ann\nx"; return s }, "preferred_username"},
		"none":            {func(h, _ map[string]any, _ sign) sign { h["alg"] = "none"; return func(string) string { return "" } }, "none"},
		"HMAC with the secret that the client has": {func(h, _ map[string]any, _ sign) sign {
			h["alg"] = "HS256"
			return func(head string) string {
				m := hmac.New(sha256.New, []byte(signintest.ClientSecret))
				m.Write([]byte(head))
				return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
			}
		}, "HS256"},
		"a signature of something else": {func(_, _ map[string]any, s sign) sign { return func(string) string { return s("x.y") } }, "signature"},
		"no signature":                  {func(_, _ map[string]any, _ sign) sign { return func(string) string { return "" } }, ""},
		"another's key": {func(h, c map[string]any, _ sign) sign {
			other := signintest.NewProvider(t)
			var forged sign
			other.Spoil(func(_, _ map[string]any, s sign) sign { forged = s; return s })
			if _, err := comeBack(t, newOIDC(t, other), other); forged == nil {
				t.Fatal(err)
			}
			return forged
		}, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			p.Says(annsClaims)
			p.Spoil(tt.spoil)
			_, err := comeBack(t, o, p)
			refusedAs(t, err, fault.Denied, tt.why)
		})
	}
}

func TestOIDCCodes(t *testing.T) {
	p := signintest.NewProvider(t)
	o := newOIDC(t, p)
	p.Says(annsClaims)
	to, pending := o.Begin("s", "n")
	code := p.Visit(to).Get("code")
	_, other := o.Begin("s", "n")
	_, err := o.Finish(t.Context(), code, other) // another's verifier: a stolen code
	refusedAs(t, err, fault.Denied, "invalid_grant")
	if strings.Contains(err.Error(), "secret details") {
		t.Errorf("the error repeats what the provider says: %v", err)
	}
	_, err = o.Finish(t.Context(), code, pending) // each is good for once
	refusedAs(t, err, fault.Denied, "invalid_grant")
	_, err = o.Finish(t.Context(), "", pending)
	refusedAs(t, err, fault.Denied, "invalid_grant")
}

func TestOIDCConfig(t *testing.T) {
	for issuer, why := range map[string]string{
		"http://plain.example": "https", "": "https", "https://x/?q": "https", "https://": "https",
	} {
		refusedAs(t, OIDCConfig{Issuer: issuer, ClientID: "x"}.Check(), fault.Invalid, why)
	}
	refusedAs(t, OIDCConfig{Issuer: "https://x"}.Check(), fault.Invalid, "client_id")
	p := signintest.NewProvider(t)
	_, err := NewOIDC(t.Context(), OIDCConfig{Issuer: p.URL, ClientID: "x"}) // without its authority
	refusedAs(t, err, fault.Unavailable, "unknown authority")
	_, err = NewOIDC(t.Context(), OIDCConfig{Issuer: p.URL + "/other", ClientID: "x", Authorities: p.Authority})
	refusedAs(t, err, fault.Unavailable, "does not describe itself")
}
