package api

import (
	"context"
	"net/http"
	"unicode"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin"
)

const oidcKind = "oidc_provider"

func (s *server) oidcFace() *face {
	return &face{
		path: "oidc_providers", kind: oidcKind, verbs: canAll, read: rights.ReadConnectors, write: rights.WriteConnectors,
		remove: s.removeProvider,
		prepare: func(_ context.Context, _ call, _ *shelf.Change, was *shelf.Record, o *object.Object) error {
			if was != nil && o.Text("client_secret") != "" && o.Text("client_secret") == was.Object.Text("client_secret") && o.Text("issuer") != was.Object.Text("issuer") {
				return object.Bad("client_secret", "is to be said again when the issuer is changed") // it would be told to another
			}
			return toOIDC(o, "").Check()
		},
	}
}

func (s *server) oidcRoutes() []route {
	return []route{
		{method: "GET", path: "/auth/providers", access: anyone, right: rights.None, serve: get(s.listProviders)},
		{method: "GET", path: "/auth/oidc/{id}/login", access: anyone, right: rights.None, serve: handler(s.oidcLogin)},
		{method: "GET", path: "/auth/oidc/{id}/callback", access: anyone, right: rights.None, serve: handler(s.oidcCallback)},
	}
}

func toOIDC(o *object.Object, redirect string) signin.OIDCConfig {
	return signin.OIDCConfig{
		Issuer: o.Text("issuer"), ClientID: o.Text("client_id"), ClientSecret: o.Text("client_secret"),
		Redirect: redirect, Authorities: o.Text("certificate"), Scopes: o.Texts("scopes"),
		NameClaim: o.Text("name_claim"), DisplayClaim: o.Text("display_name_claim"), GroupClaim: o.Text("group_claim"),
	}
}

// oidc is the provider that a request is about.
func (s *server) oidc(c call) (*shelf.Record, *signin.OIDC, error) {
	r, err := s.provider(c, oidcKind)
	if err != nil {
		return nil, nil, err
	}
	site, err := s.site()
	if err != nil {
		return nil, nil, err
	}
	o, err := cached(s.providers, s.providers.oidc, r, site, func() (*signin.OIDC, error) {
		leave, err := s.goOutside()
		if err != nil {
			return nil, err
		}
		defer leave()
		return signin.NewOIDC(c.Context(), toOIDC(r.Object, site+"/auth/oidc/"+c.PathValue("id")+"/callback"))
	})
	return r, o, err
}

func (s *server) oidcLogin(w http.ResponseWriter, c call) error {
	r, o, err := s.oidc(c)
	if err != nil {
		return err
	}
	return s.sendAway(w, c, r, func(state string) (string, signin.Pending, error) {
		to, pending := o.Begin(state, randomHex())
		return to, pending, nil
	})
}

func (s *server) oidcCallback(w http.ResponseWriter, c call) error {
	r, o, err := s.oidc(c)
	if err != nil {
		return err
	}
	q := c.URL.Query()
	at, err := s.comesBack(c, r, q.Get("state"))
	if err != nil {
		return err
	}
	if q.Get("code") == "" {
		return unauthorized("Unauthorized: the provider has not signed you in: " + word(q.Get("error")))
	}
	leave, err := s.goOutside()
	if err != nil {
		return err
	}
	defer leave()
	id, err := o.Finish(c.Context(), q.Get("code"), at.pending)
	if err != nil {
		return notVouchedFor(err)
	}
	return s.letIn(w, c, r, id, at.back)
}

// notVouchedFor is the refusal of somebody for whom a provider does not vouch.
func notVouchedFor(err error) error {
	switch fault.KindOf(err) {
	case fault.Denied, fault.Invalid:
		return refusal{http.StatusUnauthorized, fault.New(fault.Stranger, "Unauthorized: %w", err)}
	}
	return err
}

// word is a provider's error code, if it is one.
func word(text string) string {
	if len(text) > 100 {
		return "for a reason of its own"
	}
	for _, r := range text {
		if r != '_' && (r > unicode.MaxASCII || !unicode.IsLetter(r)) {
			return "for a reason of its own"
		}
	}
	return text
}
