package api

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/people"
	"catenary/internal/server/rights"
	"catenary/internal/server/shelf"
	"catenary/internal/server/store"
)

func (d *desk) token(body string) tokenObject {
	d.t.Helper()
	return data[tokenObject](d.t, d.call("POST", "/api/v2/api_tokens", body))
}

// TestTokensWithoutDatabase: who has a token reads what is in memory while the
// database is away; its expiry, its addresses and its user's rights count as ever.
func TestTokensWithoutDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		long, short, from := d.token(`{}`).TokenString, d.token(`{"expire_in_days":1}`).TokenString, d.token(`{"trusted_ip_addresses":"10.0.0.1"}`).TokenString
		d.api.tokens = newTokens() // a server that has begun again
		must(t, d.api.tokens.load(t.Context(), d.store))
		must(t, d.store.Close())
		use := func(str, path string) int { return d.send("GET", "/api/v2/"+path, "", "session", str).Code }
		for _, path := range []string{"client_count", "system_status", "sensors", "api_tokens", "api_tokens/1", "session/current/effective-roles"} {
			same(t, use(long, path), 200)
		}
		same(t, []int{use(short, "client_count"), use(from, "client_count"), use("token-0", "client_count")}, []int{200, 401, 401})
		time.Sleep(24 * time.Hour)
		same(t, []int{use(long, "client_count"), use(short, "client_count")}, []int{200, 401})
		// Nothing is said to have happened that has not.
		for method, body := range map[string]string{"POST": "{}", "PATCH": fmt.Sprintf(`{"token_string":%q}`, long)} {
			if w := d.send(method, "/api/v2/api_tokens", body, "session", long); w.Code < 500 {
				t.Errorf("%s: %d %s", method, w.Code, w.Body)
			}
		}
		if w := d.send("DELETE", "/api/v2/api_tokens/1", "", "session", long); w.Code < 500 {
			t.Errorf("DELETE: %d %s", w.Code, w.Body)
		}
		same(t, use(long, "client_count"), 200)
	})
}

// TestTokenUseIsWrittenBehind: when a token was used last is seen at once, and
// written down later, also if that fails at first, and when the server ends.
func TestTokenUseIsWrittenBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		one := d.token(`{}`)
		use := func() { same(t, d.send("GET", "/api/v2/client_count", "", "session", one.TokenString).Code, 200) }
		written := func(want time.Time) {
			t.Helper()
			list, err := d.store.Tokens(t.Context(), 0)
			must(t, err)
			same(t, list[0].LastUsed.Equal(want), true)
			shown := data[tokenObject](t, d.call("GET", fmt.Sprint("/api/v2/api_tokens/", one.ID), ""))
			same(t, time.Time(shown.LastUsedOn).After(want), false)
		}
		must(t, d.api.tokens.load(t.Context(), d.store))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- d.api.runTokens(ctx) }()
		time.Sleep(time.Second)
		use()
		used := time.Now()
		same(t, time.Time(data[tokenObject](t, d.call("GET", fmt.Sprint("/api/v2/api_tokens/", one.ID), "")).LastUsedOn).Equal(used.Truncate(time.Second)), true)
		time.Sleep(tokensEvery)
		synctest.Wait()
		written(used)

		use()
		away, stop := context.WithCancel(t.Context())
		stop()
		if d.api.tokens.write(away, d.store) == nil {
			t.Error("nothing was written, and nobody says so")
		}
		used = time.Now()
		use()
		cancel()
		must(t, <-ended)
		written(used)
	})
}

// TestTokensOfTheGone: tokens die with their user, and in the middle of all
// others.
func TestTokensOfTheGone(t *testing.T) {
	d := newDesk(t)
	d.role("reads", false, rights.ReadPackage)
	bob := d.person("bob", "reads")
	session := d.session
	d.session = d.begun(time.Now(), bob)
	str := d.token(`{}`).TokenString
	d.session = session
	mine := d.token(`{}`)
	use := func(str string) int { return d.send("GET", "/api/v2/client_count", "", "session", str).Code }
	same(t, []int{use(str), use(mine.TokenString)}, []int{200, 200})
	must(t, d.api.shelves.Change(t.Context(), shelf.Author{}, func(c *shelf.Change) error {
		return people.DeleteUser(t.Context(), c, c.ByID("user", bob.ID)) // by a way that knows nothing of tokens
	}))
	same(t, []int{use(str), use(mine.TokenString)}, []int{401, 200})
	same(t, len(data[[]tokenObject](t, d.call("GET", "/api/v2/api_tokens", ""))), 1)
	same(t, len(d.api.tokens.byHash), 2)
	must(t, d.api.tokens.renew(t.Context(), d.store))
	same(t, len(d.api.tokens.byHash), 1)

	// Those that are gone in the database, though nobody here was told so.
	other := d.token(`{}`)
	for _, id := range []int64{mine.ID, other.ID} {
		_, err := d.store.DeleteToken(t.Context(), 1, id)
		must(t, err)
	}
	same(t, []int{use(mine.TokenString), use(other.TokenString)}, []int{200, 200})
	d.want(d.call("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, other.TokenString)), 404, noToken)
	same(t, use(other.TokenString), 401)
	d.want(d.call("DELETE", fmt.Sprint("/api/v2/api_tokens/", mine.ID), ""), 404, noToken)
	same(t, use(mine.TokenString), 401)
}

// TestTokensAtOnce: tokens are made, turned, used and deleted by many; what is
// dead stays dead.
func TestTokensAtOnce(t *testing.T) {
	d := newDesk(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				one := data[tokenObject](t, d.call("POST", "/api/v2/api_tokens", `{}`))
				two := data[tokenObject](t, d.call("PATCH", "/api/v2/api_tokens", fmt.Sprintf(`{"token_string":%q}`, one.TokenString)))
				for str, want := range map[string]int{one.TokenString: 401, two.TokenString: 200} {
					if w := d.send("GET", "/api/v2/client_count", "", "session", str); w.Code != want {
						t.Errorf("%d, want %d", w.Code, want)
					}
				}
				d.call("DELETE", fmt.Sprint("/api/v2/api_tokens/", two.ID), "")
				if w := d.send("GET", "/api/v2/client_count", "", "session", two.TokenString); w.Code != 401 {
					t.Errorf("a deleted token opens: %d", w.Code)
				}
			}
		})
	}
	all.Wait()
	same(t, len(d.api.tokens.byHash), 0)
}

func BenchmarkToken(b *testing.B) {
	d := newDesk(b)
	var str string
	for range 1000 {
		str = newTokenString()
		_, err := d.store.CreateToken(b.Context(), store.Token{Hash: store.HashOf(str), UserID: 1, Expires: time.Now().Add(time.Hour)})
		must(b, err)
	}
	for b.Loop() {
		if _, err := d.api.useToken(b.Context(), secret(str), netip.MustParseAddr("192.0.2.1")); err != nil {
			b.Fatal(err)
		}
	}
}
