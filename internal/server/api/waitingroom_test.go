package api

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/server/signin/signintest"
	"catenary/internal/server/store"
)

// TestWaitingIsNobodyElses: who begins sign-ins without end, from one address or a
// network of his, pushes out nobody who is at his provider or looks for his key.
func TestWaitingIsNobodyElses(t *testing.T) {
	d := newDesk(t)
	configure(d, siteSetting, ourSite)
	configure(d, forwardedSetting, 1)
	configure(d, proxySetting, "10.0.0.0/24")
	d.from = "10.0.0.1:9"
	idp := signintest.NewSAMLProvider(t)
	idp.Person.UserName, idp.Person.NameID = "zoe", "zoe"
	trustSAML(d, idp, map[string]any{"create_users_flag": true})
	key := signintest.NewAuthenticator(t, ourSite)
	of := data[ceremonyObject](t, d.call("POST", passkeyPath+"/register/begin", `{`+annSays+`}`))
	d.ok(d.call("POST", passkeyPath+"/register/finish", ceremonyAnswer(d, of, "", key.Make(of.PublicKey))))

	d.api.providers.waiting.all.max, d.api.ceremonies.open.all.max = 20, 20
	b := &browser{d: d}
	form := idp.Visit(b.away("/auth/saml/1/login")) // by no proxy: of another network
	of = data[ceremonyObject](t, d.send("POST", passkeyPath+"/login/begin", ""))
	for i := range 100 {
		from := fmt.Sprintf("2001:db8::%x", i)
		same(t, d.send("GET", "/auth/saml/1/login", "", "X-Forwarded-For", from).Code, 302)
		same(t, d.send("POST", passkeyPath+"/login/begin", "", "X-Forwarded-For", from).Code, 200)
	}
	same(t, []int{len(d.api.providers.waiting.all.entries), len(d.api.ceremonies.open.all.entries)}, []int{20, 20})
	if w := b.post("/auth/saml/1/acs", form); w.Code != 200 {
		t.Errorf("he comes back: %d %s", w.Code, w.Body)
	}
	same(t, works(d, d.send("POST", passkeyPath+"/login/finish", ceremonyAnswer(d, of, "", key.Show(of.PublicKey)))), "ann")
}

// TestRoom: a room is never too full, counts whose everything is, and somebody is
// pushed out of it only if his network has as much there as any.
func TestRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most, life = 5, 10 * time.Second
		r := newRoom[int](life)
		r.all.max = most
		now := time.Unix(0, 0)
		count := func() map[netip.Prefix]int {
			n := map[netip.Prefix]int{}
			for el := r.all.order.Front(); el != nil; el = el.Next() {
				n[el.Value.(*entry[store.Hash, begun[int]]).value.from]++
			}
			return n
		}
		for i := range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2).Draw(t, "wait")) * time.Second)
			r.all.expire(now)
			before, full := count(), len(r.all.entries) == most
			if rapid.IntRange(0, 3).Draw(t, "deed") == 0 {
				n := rapid.IntRange(0, i).Draw(t, "who")
				if what, ok := r.leave(now, fmt.Sprint(n)); ok && what != n {
					t.Fatalf("%d got what is %d's", n, what)
				}
				full = false
			} else {
				addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(0, 3).Draw(t, "network"))})
				r.enter(now, addr, fmt.Sprint(i), i)
				if _, there := r.all.get(now, store.HashOf(fmt.Sprint(i))); !there {
					t.Fatalf("%d is not in", i)
				}
				before[from("", addr).from]++
			}
			after := count()
			if len(r.all.entries) > most || fmt.Sprint(after) != fmt.Sprint(r.from) {
				t.Fatalf("%d are in, of %v, counted as %v", len(r.all.entries), after, r.from)
			}
			for network, n := range before {
				for _, other := range before {
					if full && after[network] < n && other > n {
						t.Fatalf("of %v there are %v left", before, after)
					}
				}
			}
		}
	})
}

// TestSessionsCounted: what is counted of users is what a look at each session
// would find.
func TestSessionsCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSessions()
		s.live.max, s.long.max = 6, 3
		s.rules = func() sessionRules { return sessionRules{10 * time.Second, 30 * time.Second, 3} }
		now := time.Now() // endOthers looks at the clock, too: time stands but for what is added
		var strs []secret
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "wait")) * time.Second)
			u := store.User{ID: int64(rapid.IntRange(1, 4).Draw(t, "user"))}
			some := secret("")
			if len(strs) > 0 {
				some = rapid.SampledFrom(strs).Draw(t, "session")
			}
			switch rapid.IntRange(0, 6).Draw(t, "deed") {
			case 0, 1:
				str, _ := s.start(now, u)
				strs = append(strs, str)
			case 2:
				str, _ := s.startLong(now, u)
				strs = append(strs, str)
			case 3:
				s.use(now, some)
			case 4:
				s.end(some)
			case 5:
				s.endOthers(u.ID, some)
			case 6:
				s.endAll(u.ID)
			}
			found := map[int64]int{}
			for _, among := range s.both() {
				for el := among.order.Front(); el != nil; el = el.Next() {
					found[el.Value.(*entry[store.Hash, session]).value.user.ID]++
				}
			}
			if fmt.Sprint(found) != fmt.Sprint(s.of) {
				t.Fatalf("there are %v, counted as %v", found, s.of)
			}
		}
		later := now.Add(31 * time.Second)
		for u := range int64(5) {
			if n := s.countOf(later, u); n != 0 {
				t.Fatalf("long after that, user %d has %d", u, n)
			}
		}
	})
}

// BenchmarkSessionsOfEach is what a list of 10,000 users asks, each with a
// session.
func BenchmarkSessionsOfEach(b *testing.B) {
	s, now := newSessions(), time.Now()
	for u := range int64(sessionsMax) {
		s.start(now, store.User{ID: u})
	}
	for b.Loop() {
		for u := range int64(sessionsMax) {
			if s.countOf(now, u) != 1 {
				b.Fatal("a session is missing")
			}
		}
	}
}
