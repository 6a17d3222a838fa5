package signin

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"catenary/internal/fault"
)

// An OIDCConfig says how a provider of OpenID Connect is reached, and how it
// says what we want to know.
type OIDCConfig struct {
	Issuer       string // an https: URL
	ClientID     string
	ClientSecret string // empty: a public client
	Redirect     string // our own URL to which people come back
	Authorities  string // PEM; empty: those of the operating system
	Scopes       []string
	NameClaim    string // default preferred_username
	DisplayClaim string // default name
	GroupClaim   string // default groups
}

// An OIDC is a provider of OpenID Connect whose description has been read.
type OIDC struct {
	cfg      OIDCConfig
	client   *http.Client
	oauth    oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// A Pending is what has to be remembered of somebody who has been sent to a
// provider, until he comes back.
type Pending struct {
	Nonce    string // of OpenID Connect
	Verifier string // of PKCE
	Request  string // ID of a SAML request
}

// Check reports what is wrong with the configuration itself.
func (c OIDCConfig) Check() error {
	u, err := url.Parse(c.Issuer)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return fault.New(fault.Invalid, "issuer: %q is not the https: URL of a provider", c.Issuer)
	}
	if c.ClientID == "" {
		return fault.New(fault.Invalid, "client_id: is missing")
	}
	_, err = authorities(c.Authorities)
	return err
}

// NewOIDC reads the description of a provider.
func NewOIDC(ctx context.Context, c OIDCConfig) (*OIDC, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	pool, err := authorities(c.Authorities)
	if err != nil {
		return nil, err
	}
	o := &OIDC{cfg: c, client: newClient(pool)}
	// The context outlives this call: keys are fetched with its client later.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), o.client), c.Issuer)
	if err != nil {
		return nil, fault.New(fault.Unavailable, "the provider %s does not describe itself: %w", c.Issuer, err)
	}
	o.oauth = oauth2.Config{
		ClientID: c.ClientID, ClientSecret: c.ClientSecret, Endpoint: provider.Endpoint(), RedirectURL: c.Redirect,
		Scopes: slices.Compact(append([]string{oidc.ScopeOpenID}, c.Scopes...)),
	}
	o.verifier = provider.Verifier(&oidc.Config{ClientID: c.ClientID})
	return o, nil
}

// Begin returns where to send somebody, and what to remember meanwhile under
// state.
func (o *OIDC) Begin(state, nonce string) (string, Pending) {
	p := Pending{Nonce: nonce, Verifier: oauth2.GenerateVerifier()}
	return o.oauth.AuthCodeURL(state, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)), p
}

// Finish takes the code with which somebody has come back, and returns who the
// provider says it is.
func (o *OIDC) Finish(ctx context.Context, code string, p Pending) (Identity, error) {
	ctx, stop := context.WithTimeout(oidc.ClientContext(ctx, o.client), replyTimeout)
	defer stop()
	token, err := o.oauth.Exchange(ctx, code, oauth2.VerifierOption(p.Verifier))
	if e, ok := err.(*oauth2.RetrieveError); ok { // its text has the whole answer, which may hold a token
		return Identity{}, fault.New(fault.Denied, "the provider has refused the code: %s", printable(cmp.Or(e.ErrorCode, e.Response.Status)))
	}
	if err != nil {
		return Identity{}, fault.New(fault.Unavailable, "the provider does not answer: %w", err)
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return Identity{}, fault.New(fault.Denied, "the provider has sent no ID token")
	}
	return o.verify(ctx, raw, p)
}

// verify checks an ID token.
func (o *OIDC) verify(ctx context.Context, raw string, p Pending) (Identity, error) {
	id, err := o.verifier.Verify(ctx, raw)
	if err != nil {
		return Identity{}, fault.New(fault.Denied, "the ID token: %w", err)
	}
	var claims map[string]json.RawMessage
	if err := id.Claims(&claims); err != nil {
		return Identity{}, fault.New(fault.Denied, "the ID token: %w", err)
	}
	switch {
	case p.Nonce == "" || id.Nonce != p.Nonce:
		return Identity{}, fault.New(fault.Denied, "the ID token answers another request")
	case id.Subject == "" || len(id.Subject) > nameMost:
		return Identity{}, fault.New(fault.Denied, "the ID token names no subject")
	case len(id.Audience) > 1 && text(claims["azp"]) != o.cfg.ClientID:
		return Identity{}, fault.New(fault.Denied, "the ID token was made for another program")
	}
	out := Identity{
		Subject:     id.Subject,
		Name:        text(claims[cmp.Or(o.cfg.NameClaim, "preferred_username")]),
		DisplayName: text(claims[cmp.Or(o.cfg.DisplayClaim, "name")]),
		Groups:      texts(claims[cmp.Or(o.cfg.GroupClaim, "groups")]),
	}
	if !isName(out.Name) {
		return Identity{}, fault.New(fault.Denied, "the ID token has no usable claim %s", cmp.Or(o.cfg.NameClaim, "preferred_username"))
	}
	return out.settled(), nil
}

// text is a claim that is a text; "" if it is anything else.
func text(claim json.RawMessage) (s string) {
	if json.Unmarshal(claim, &s) != nil {
		return ""
	}
	return s
}

// texts is a claim that is a list of texts, or one text.
func texts(claim json.RawMessage) (list []string) {
	if json.Unmarshal(claim, &list) == nil {
		return list
	}
	if s := text(claim); s != "" {
		return []string{s}
	}
	return nil
}
