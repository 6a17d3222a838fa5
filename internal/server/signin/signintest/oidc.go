package signintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"
)

// What the provider knows of the program that uses it.
const (
	ClientID     = "catenary-here"
	ClientSecret = "the-clients-own-secret"
)

const tokenLife = 5 * time.Minute

// A Provider is an OpenID Connect provider that asks nobody for a password: who
// is sent to it is the person whose Claims it holds.
type Provider struct {
	t   testing.TB
	key *ecdsa.PrivateKey
	URL string
	// Authority is the PEM of its certificate.
	Authority string

	mu     sync.Mutex // guards the fields below
	claims map[string]any
	spoil  func(header, claims map[string]any, sign func(head string) string) func(head string) string
	codes  map[string]url.Values // what was asked for, by the code that was given for it
}

// NewProvider starts a provider that ends with the test.
func NewProvider(t testing.TB) *Provider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{t: t, key: key, codes: map[string]url.Values{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", p.describe)
	mux.HandleFunc("/keys", p.keys)
	mux.HandleFunc("/token", p.token)
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	p.URL = server.URL
	p.Authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	return p
}

// Says sets what the provider says of whoever comes.
func (p *Provider) Says(claims map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.claims, p.spoil = claims, nil
}

// Spoil has the next tokens altered before they are signed; f returns how they
// are signed.
func (p *Provider) Spoil(f func(header, claims map[string]any, sign func(head string) string) func(head string) string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoil = f
}

// Visit goes to where a browser was sent, and returns the query with which it
// comes back.
func (p *Provider) Visit(location string) url.Values {
	p.t.Helper()
	u, err := url.Parse(location)
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	if q.Get("client_id") != ClientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" || q.Get("state") == "" {
		p.t.Fatalf("the request is %v", q)
	}
	code := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = q
	return url.Values{"code": {code}, "state": {q.Get("state")}}
}

func (p *Provider) answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		p.t.Error(err)
	}
}

func (p *Provider) describe(w http.ResponseWriter, _ *http.Request) {
	p.answer(w, 200, map[string]any{
		"issuer": p.URL, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"ES256", "none", "HS256"},
	})
}

func (p *Provider) keys(w http.ResponseWriter, _ *http.Request) {
	b := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.FillBytes(make([]byte, 32))) }
	p.answer(w, 200, map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "1", "x": b(p.key.X), "y": b(p.key.Y),
	}}})
}

func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		p.t.Error(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	asked, ok := p.codes[r.PostForm.Get("code")]
	delete(p.codes, r.PostForm.Get("code"))
	challenge := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	if !ok || id != ClientID || secret != ClientSecret || asked.Get("redirect_uri") != r.PostForm.Get("redirect_uri") ||
		asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		p.answer(w, 400, map[string]any{"error": "invalid_grant", "error_description": "secret details"})
		return
	}
	header := map[string]any{"alg": "ES256", "kid": "1", "typ": "JWT"}
	now := time.Now()
	claims := map[string]any{"iss": p.URL, "aud": ClientID, "iat": now.Unix(), "exp": now.Add(tokenLife).Unix(), "nonce": asked.Get("nonce")}
	for name, v := range p.claims {
		claims[name] = v
	}
	sign := p.sign
	if p.spoil != nil {
		sign = p.spoil(header, claims, p.sign)
	}
	head := encode(p.t, header) + "." + encode(p.t, claims)
	p.answer(w, 200, map[string]any{"access_token": "an-access-token", "token_type": "Bearer", "id_token": head + "." + sign(head)})
}

func encode(t testing.TB, v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func (p *Provider) sign(head string) string {
	sum := sha256.Sum256([]byte(head))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, sum[:])
	if err != nil {
		p.t.Error(err)
	}
	return base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}
