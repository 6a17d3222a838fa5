package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/object"
	"catenary/internal/server/shelf"
	"catenary/internal/server/signin"
	"catenary/internal/server/store"
)

const (
	outsideMax   = 32               // questions to directories and identity providers at once
	waitingLife  = 10 * time.Minute // for which people may stay at an identity provider
	describedFor = time.Hour        // that the description of a provider is believed
	backMax      = 1024             // bytes of the path to which somebody wants to come back

	// browserCookie ties a sign-in to the browser that has begun it: nobody can
	// make somebody else's browser end it. It comes back with a form that another
	// site posts, as SAML has it.
	browserCookie = "__Secure-catenary-signin"
)

// providers are the identity providers, as their records describe them, and the
// people who have been sent there.
type providers struct {
	waiting *room[waiting]

	mu   sync.Mutex // guards the fields below
	oidc map[int64]described[*signin.OIDC]
	saml map[int64]described[*signin.SAML]
}

// A waiting is somebody who is at an identity provider.
type waiting struct {
	source  string // which: "oidc:3"
	pending signin.Pending
	browser store.Hash
	back    string // path on this site to which he wants to come back; empty: to no page
}

// described is what a provider's record, and what the provider says of itself,
// come to.
type described[P any] struct {
	provider P
	record   *shelf.Record
	site     string
	at       time.Time
}

func newProviders() *providers {
	return &providers{
		waiting: newRoom[waiting](waitingLife),
		oidc:    map[int64]described[*signin.OIDC]{}, saml: map[int64]described[*signin.SAML]{},
	}
}

// cached returns what is known of a provider, or finds it out.
func cached[P any](p *providers, known map[int64]described[P], r *shelf.Record, site string, describe func() (P, error)) (P, error) {
	p.mu.Lock()
	d, ok := known[r.ID]
	p.mu.Unlock()
	if ok && d.record == r && d.site == site && time.Since(d.at) < describedFor {
		return d.provider, nil
	}
	provider, err := describe()
	if err != nil {
		return provider, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	known[r.ID] = described[P]{provider, r, site, time.Now()}
	return provider, nil
}

// goOutside takes a place for a question to somebody else; the caller gives it
// back.
func (s *server) goOutside() (leave func(), err error) {
	select {
	case s.outside <- struct{}{}:
		return func() { <-s.outside }, nil
	default:
		return nil, fault.New(fault.Unavailable, "too many logins at once: try again later")
	}
}

// site is the URL at which people reach this server.
func (s *server) site() (string, error) {
	text := strings.TrimSuffix(s.setting(siteSetting), "/")
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fault.New(fault.Conflict, "the setting %s must say at which https: URL people reach this server", siteSetting)
	}
	return text, nil
}

// provider is the enabled identity provider that a path names.
func (s *server) provider(c call, kind string) (*shelf.Record, error) {
	k := s.shelves.Kind(kind)
	id, err := c.number("id", k.What)
	if err != nil {
		return nil, err
	}
	r := s.shelves.ByID(kind, int64(id))
	if r == nil || !r.Object.Is("enabled") {
		return nil, k.Missing()
	}
	return r, nil
}

// sourceOf is how users who come from a provider name it.
func sourceOf(r *shelf.Record) string {
	kind, _, _ := strings.Cut(r.Kind.Name, "_")
	return kind + ":" + strconv.FormatInt(r.ID, 10)
}

// removeProvider is called before an identity provider is deleted: nobody comes
// in by it any more, nor stays.
func (s *server) removeProvider(ctx context.Context, _ call, ch *shelf.Change, r *shelf.Record) error {
	return s.releaseSource(ctx, ch, sourceOf(r))
}

// sendAway sends somebody to an identity provider. begin is given what comes back
// with him, and says where to go.
func (s *server) sendAway(w http.ResponseWriter, c call, r *shelf.Record, begin func(state string) (string, signin.Pending, error)) error {
	back := c.URL.Query().Get("return")
	if !isOwnPath(back) {
		return fault.New(fault.Invalid, "return: %.100q is no path on this site", back)
	}
	state := randomHex()
	to, pending, err := begin(state)
	if err != nil {
		return err
	}
	browser := randomHex()
	if old, err := c.Cookie(browserCookie); err == nil && len(old.Value) == len(browser) {
		browser = old.Value // in another of its windows it may be signing in, too
	}
	s.providers.waiting.enter(time.Now(), s.caller(c.Request), state, waiting{sourceOf(r), pending, store.HashOf(browser), back})
	http.SetCookie(w, &http.Cookie{
		Name: browserCookie, Value: browser, Path: "/auth/", MaxAge: int(waitingLife / time.Second),
		HttpOnly: true, Secure: true, SameSite: http.SameSiteNoneMode,
	})
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
	return nil
}

// isOwnPath reports whether a browser that is sent there stays on this site.
func isOwnPath(path string) bool {
	if path == "" {
		return true
	}
	u, err := url.Parse(path)
	return err == nil && len(path) <= backMax && u.Scheme == "" && u.Host == "" && u.Fragment == "" &&
		strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\#") &&
		!strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

// comesBack returns what is remembered of somebody who comes from an identity
// provider, and forgets it: each state is good for once.
func (s *server) comesBack(c call, r *shelf.Record, state string) (waiting, error) {
	at, ok := s.providers.waiting.leave(time.Now(), state)
	cookie, err := c.Cookie(browserCookie)
	if !ok || err != nil || at.source != sourceOf(r) || at.browser != store.HashOf(cookie.Value) {
		return waiting{}, unauthorized("Unauthorized: this sign-in was not begun here, or too long ago, or is over: begin again")
	}
	return at, nil
}

// letIn gives a session to somebody whom a provider has vouched for.
func (s *server) letIn(w http.ResponseWriter, c call, r *shelf.Record, id signin.Identity, back string) error {
	u, err := s.outsider(c.Context(), c, r, id)
	if err == nil {
		u, err = s.admitted(c.Context(), u, s.caller(c.Request))
	}
	if err != nil {
		return err
	}
	opened, err := s.open(c.Context(), c, u)
	if err != nil {
		return err
	}
	if back == "" {
		return reply(w, opened)
	}
	w.Header().Set("Location", back+"#session="+opened.Session) // a fragment: no server sees it, and no log
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// objects are where users are looked for: on the shelves, or within a change.
type objects struct {
	all    func(kind string) []*shelf.Record
	byName func(kind, name string) *shelf.Record
}

// vouched returns the user whom somebody is whom a provider has vouched for, nil
// if he is to be a new one, and what the user is to be.
func vouched(in objects, provider *shelf.Record, id signin.Identity) (was *shelf.Record, o *object.Object, err error) {
	source, scim := sourceOf(provider), provider.Object.Ref("scim_server").ID
	users := in.all("user")
	if i := slices.IndexFunc(users, func(r *shelf.Record) bool {
		return r.Object.Text("identity_source") == source && r.Object.Text("identity_subject") == id.Subject
	}); i >= 0 {
		was = users[i]
	} else if was = in.byName("user", id.Name); was != nil {
		switch from := was.Object.Text("identity_source"); {
		case scim != 0 && from == "scim:"+strconv.FormatInt(scim, 10):
			return was, was.Object, nil // what he is called is said there
		case !unclaimed(was):
			return nil, nil, fault.New(fault.Denied, "there is a user %q already, who does not sign in this way", id.Name)
		}
	}
	if was == nil && !provider.Object.Is("create_users_flag") {
		return nil, nil, fault.New(fault.Denied, "there is no user %q here: ask an administrator", id.Name)
	}
	o = object.New(object.ShapeOf("user"))
	if was != nil {
		o = was.Object.Clone()
	} else {
		o.Set("name", id.Name)
	}
	o.Set("external_flag", int64(1))
	o.Set("identity_source", source)
	o.Set("identity_subject", id.Subject)
	if id.DisplayName != "" {
		set(o, "display_name", id.DisplayName)
	}
	return was, o, nil
}

// outsider is the user whom somebody is whom a provider has vouched for: one who
// has come from there before, one who was made for that, or a new one.
func (s *server) outsider(ctx context.Context, c call, provider *shelf.Record, id signin.Identity) (store.User, error) {
	is, o, err := vouched(objects{s.shelves.All, s.shelves.ByName}, provider, id)
	if err != nil {
		return store.User{}, err
	}
	// Most often nothing is new, and nobody has to wait for that.
	if is == nil || string(is.Object.Store()) != string(o.Store()) || len(s.regroup(provider, is.ID, id.Groups, s.shelves.ByID)) > 0 {
		by := shelf.Author{UserName: provider.Kind.What + ": " + provider.Name, Address: s.caller(c.Request).String()}
		err = s.shelves.Change(ctx, by, func(ch *shelf.Change) (err error) {
			is, err = s.takeIn(ctx, ch, provider, id)
			return err
		})
		if err != nil {
			return store.User{}, err
		}
	}
	u, err := s.store.UserByID(ctx, is.ID)
	if err == nil && !s.mayAct(u) {
		err = errLocked
	}
	return u, err
}

// takeIn makes a user what a provider says that he is, within a change.
func (s *server) takeIn(ctx context.Context, ch *shelf.Change, provider *shelf.Record, id signin.Identity) (*shelf.Record, error) {
	is, o, err := vouched(objects{ch.All, ch.ByName}, provider, id)
	switch {
	case err != nil:
		return nil, err
	case is == nil:
		is, err = s.createUser(ctx, call{}, ch, o)
	case string(is.Object.Store()) != string(o.Store()):
		is, err = s.updateUser(ctx, call{}, ch, is, o)
	}
	if err != nil {
		return nil, err
	}
	for _, g := range s.regroup(provider, is.ID, id.Groups, ch.ByID) {
		if _, err := ch.Update(g.was, g.object); err != nil {
			return nil, err
		}
	}
	return is, nil
}

// regroup says which user groups a user has to be put into or taken out of, of
// those that the provider says who is in.
func (s *server) regroup(provider *shelf.Record, user int64, claimed []string, byID func(string, int64) *shelf.Record) (out []plannedGroup) {
	want := map[int64]bool{}
	for _, m := range provider.Object.Objects("group_mappings") {
		g := m.Ref("user_group").ID
		want[g] = want[g] || slices.Contains(claimed, m.Text("value"))
	}
	for g, in := range want {
		r := byID("user_group", g)
		if r == nil {
			continue
		}
		list := r.Object.Refs("user_list")
		at := slices.IndexFunc(list, func(ref object.Ref) bool { return ref.ID == user })
		if in == (at >= 0) {
			continue
		}
		if in {
			list = append(list, object.Ref{ID: user})
		} else {
			list = slices.Delete(list, at, at+1)
		}
		o := r.Object.Clone()
		o.Set("user_list", object.ListOf(list))
		out = append(out, plannedGroup{was: r, object: o})
	}
	return out
}

// aProvider is one by which people may sign in, for those who have yet to.
type aProvider struct {
	Type string `json:"type"` // oidc or saml
	ID   int64  `json:"id"`
	Name string `json:"name"`
	URL  string `json:"url"` // where a browser begins
}

func (s *server) listProviders(context.Context, call) ([]aProvider, error) {
	out := []aProvider{}
	for _, kind := range []string{oidcKind, samlKind} {
		for _, r := range s.shelves.All(kind) {
			if r.Object.Is("enabled") {
				name, id, _ := strings.Cut(sourceOf(r), ":")
				out = append(out, aProvider{name, r.ID, r.Name, "/auth/" + name + "/" + id + "/login"})
			}
		}
	}
	return out, nil
}
