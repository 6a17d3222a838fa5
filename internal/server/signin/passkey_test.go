package signin

import (
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/signin/signintest"
)

const ourSite = "https://catenary.example:8443"

func newPasskeys(t *testing.T) *Passkeys {
	t.Helper()
	p, err := NewPasskeys(ourSite)
	must(t, err)
	return p
}

// holderWith is a holder whose passkey the authenticator has made.
func holderWith(t *testing.T, p *Passkeys, a *signintest.Authenticator) Holder {
	t.Helper()
	h := Holder{ID: 7, Name: "ann", DisplayName: "Ann"}
	options, pending, err := p.BeginNew(h)
	must(t, err)
	key, _, err := p.FinishNew(h, pending, a.Make(options))
	must(t, err)
	h.Keys = append(h.Keys, key)
	return h
}

func only(h Holder) func(int64) (Holder, error) {
	return func(id int64) (Holder, error) {
		if id != h.ID {
			return Holder{}, fault.New(fault.NotFound, "user %d", id)
		}
		return h, nil
	}
}

func TestPasskey(t *testing.T) {
	p := newPasskeys(t)
	a := signintest.NewAuthenticator(t, ourSite)
	h := holderWith(t, p, a)
	for range 2 {
		options, pending, err := p.BeginLogin()
		must(t, err)
		id, key, name, err := p.FinishLogin(pending, a.Show(options), only(h))
		must(t, err)
		same(t, id, int64(7))
		if name == ([32]byte{}) {
			t.Error("the passkey has no name")
		}
		h.Keys[0] = key // with the counter as it is now
	}
}

func TestPasskeyRefuses(t *testing.T) {
	p := newPasskeys(t)
	for name, tt := range map[string]struct {
		change func(*signintest.Authenticator)
		why    string
	}{
		"a page of others":          {func(a *signintest.Authenticator) { a.Origin = "https://catenary.example.evil.org" }, "origin"},
		"another port":              {func(a *signintest.Authenticator) { a.Origin = "https://catenary.example" }, "origin"},
		"no finger":                 {func(a *signintest.Authenticator) { a.Flags = signintest.UserPresent }, ""},
		"nobody there":              {func(a *signintest.Authenticator) { a.Flags = 0 }, ""},
		"another's handle":          {func(a *signintest.Authenticator) { a.Handle = handle(8) }, ""},
		"no handle":                 {func(a *signintest.Authenticator) { a.Handle = nil }, ""},
		"a handle of another form":  {func(a *signintest.Authenticator) { a.Handle = []byte("ann") }, ""},
		"data that were not signed": {func(a *signintest.Authenticator) { a.Spoil = func(b []byte) []byte { b[36]++; return b } }, "signature"},
		"another site's":            {func(a *signintest.Authenticator) { a.Spoil = func(b []byte) []byte { b[0]++; return b } }, ""},
		"a copy":                    {func(a *signintest.Authenticator) { a.Counter = 0 }, "copied"},
	} {
		t.Run(name, func(t *testing.T) {
			a := signintest.NewAuthenticator(t, ourSite)
			a.Counter = 10
			h := holderWith(t, p, a)
			tt.change(a)
			options, pending, err := p.BeginLogin()
			must(t, err)
			_, _, _, err = p.FinishLogin(pending, a.Show(options), only(h))
			refusedAs(t, err, fault.Denied, tt.why)
		})
	}
	t.Run("another's key", func(t *testing.T) {
		h := holderWith(t, p, signintest.NewAuthenticator(t, ourSite))
		thief := signintest.NewAuthenticator(t, ourSite)
		thief.Handle = handle(7)
		options, pending, err := p.BeginLogin()
		must(t, err)
		_, _, _, err = p.FinishLogin(pending, thief.Show(options), only(h))
		refusedAs(t, err, fault.Denied, "")
	})
	t.Run("an answer to another challenge", func(t *testing.T) {
		a := signintest.NewAuthenticator(t, ourSite)
		h := holderWith(t, p, a)
		options, _, err := p.BeginLogin()
		must(t, err)
		_, pending, err := p.BeginLogin()
		must(t, err)
		_, _, _, err = p.FinishLogin(pending, a.Show(options), only(h))
		refusedAs(t, err, fault.Denied, "challenge")
		_, _, _, err = p.FinishLogin(pending, []byte("{}"), only(h))
		refusedAs(t, err, fault.Denied, "")
	})
	t.Run("a new key without a finger", func(t *testing.T) {
		a := signintest.NewAuthenticator(t, ourSite)
		h := Holder{ID: 7, Name: "ann"}
		options, pending, err := p.BeginNew(h)
		must(t, err)
		a.Flags = signintest.UserPresent
		_, _, err = p.FinishNew(h, pending, a.Make(options))
		refusedAs(t, err, fault.Denied, "")
	})
}

func TestPasskeyCeremonyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasskeys(t)
		a := signintest.NewAuthenticator(t, ourSite)
		h := holderWith(t, p, a)
		options, pending, err := p.BeginLogin()
		must(t, err)
		time.Sleep(CeremonyLife + time.Second) // fake time
		_, _, _, err = p.FinishLogin(pending, a.Show(options), only(h))
		refusedAs(t, err, fault.Denied, "xpired")
	})
}

func TestPasskeySite(t *testing.T) {
	for _, site := range []string{"", "http://x", "https://", "catenary"} {
		if _, err := NewPasskeys(site); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: %v", site, err)
		}
	}
}
