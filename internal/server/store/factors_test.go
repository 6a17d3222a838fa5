package store

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func hashes(texts ...string) (out []Hash) {
	for _, s := range texts {
		out = append(out, HashOf(s))
	}
	return out
}

// TestSecondFactor: a secret counts when it is confirmed, and each code once.
func TestSecondFactor(t *testing.T) { storetest.Each(t, testSecondFactor) }

func testSecondFactor(t *testing.T, e storetest.Engine) {
	s := unlocked(t, prepared(t, e), testKey(t, 1))
	ctx := t.Context()
	u, err := s.CreateUser(ctx, User{Name: "ann", Created: noon})
	must(t, err)
	_, err = s.SecondFactorOf(ctx, u.ID)
	wantKind(t, err, fault.NotFound, "second factor of user 1")
	wantKind(t, s.ConfirmSecondFactor(ctx, u.ID, 5, nil), fault.NotFound, "second factor of user 1")
	must(t, s.BeginSecondFactor(ctx, SecondFactor{UserID: u.ID, Secret: "FIRST", Created: noon}))
	must(t, s.BeginSecondFactor(ctx, SecondFactor{UserID: u.ID, Secret: "SECOND", Created: noon.Add(time.Minute)}))
	use := func(period int64) bool {
		t.Helper()
		ok, err := s.UsePeriod(ctx, u.ID, period)
		must(t, err)
		return ok
	}
	same(t, use(4), false) // not confirmed
	must(t, s.ConfirmSecondFactor(ctx, u.ID, 5, hashes("a", "b", "c")))
	f, err := s.SecondFactorOf(ctx, u.ID)
	must(t, err)
	same(t, f, SecondFactor{UserID: u.ID, Secret: "SECOND", Confirmed: true, Period: 5, Created: noon.Add(time.Minute)})
	wantKind(t, s.BeginSecondFactor(ctx, SecondFactor{UserID: u.ID, Secret: "THIRD"}), fault.Conflict, "there is a second factor already: remove it first")
	wantKind(t, s.ConfirmSecondFactor(ctx, u.ID, 9, nil), fault.NotFound, "second factor of user 1")
	same(t, []bool{use(5), use(6), use(6), use(5), use(8)}, []bool{false, true, false, false, true})

	recover := func(code string) bool {
		t.Helper()
		ok, err := s.UseRecoveryCode(ctx, u.ID, HashOf(code))
		must(t, err)
		return ok
	}
	same(t, []bool{recover("a"), recover("a"), recover("x")}, []bool{true, false, false})
	n, err := s.CountRecoveryCodes(ctx, u.ID)
	must(t, err)
	same(t, n, 2)
	must(t, s.SetRecoveryCodes(ctx, u.ID, hashes("d")))
	same(t, []bool{recover("b"), recover("d")}, []bool{false, true})
	must(t, s.DeleteSecondFactor(ctx, u.ID))
	wantKind(t, s.DeleteSecondFactor(ctx, u.ID), fault.NotFound, "second factor of user 1")
	same(t, use(100), false)
}

// TestCodesAtOnce: of many who bring the same code at once, one is let in.
func TestCodesAtOnce(t *testing.T) { storetest.Each(t, testCodesAtOnce) }

func testCodesAtOnce(t *testing.T, e storetest.Engine) {
	s := unlocked(t, prepared(t, e), testKey(t, 1))
	u, err := s.CreateUser(t.Context(), User{Name: "ann", Created: noon})
	must(t, err)
	must(t, s.BeginSecondFactor(t.Context(), SecondFactor{UserID: u.ID, Secret: "S"}))
	must(t, s.ConfirmSecondFactor(t.Context(), u.ID, 1, hashes("a")))
	var mu sync.Mutex
	taken := map[string]int{}
	var all sync.WaitGroup
	for range 10 {
		for what, use := range map[string]func() (bool, error){
			"period": func() (bool, error) { return s.UsePeriod(t.Context(), u.ID, 7) },
			"code":   func() (bool, error) { return s.UseRecoveryCode(t.Context(), u.ID, HashOf("a")) },
		} {
			all.Go(func() {
				ok, err := use()
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					taken[what]++
				}
			})
		}
	}
	all.Wait()
	same(t, taken, map[string]int{"period": 1, "code": 1})
}

// TestPasskeys: they belong to their users, and go with them.
func TestPasskeys(t *testing.T) { storetest.Each(t, testPasskeys) }

func testPasskeys(t *testing.T, e storetest.Engine) {
	s := unlocked(t, prepared(t, e), testKey(t, 1))
	ctx := t.Context()
	ann, err := s.CreateUser(ctx, User{Name: "ann", Created: noon})
	must(t, err)
	bob, err := s.CreateUser(ctx, User{Name: "bob", Created: noon})
	must(t, err)
	var keys []Passkey
	for i, u := range []int64{ann.ID, ann.ID, bob.ID} {
		k, err := s.CreatePasskey(ctx, Passkey{UserID: u, Hash: HashOf(fmt.Sprint(i)), Name: "key", Body: []byte(`{}`), Created: noon})
		must(t, err)
		same(t, k.ID, int64(i+1))
		keys = append(keys, k)
	}
	_, err = s.CreatePasskey(ctx, Passkey{UserID: bob.ID, Hash: HashOf("0")})
	wantKind(t, err, fault.Conflict, "this passkey is known already")
	list, err := s.Passkeys(ctx, ann.ID)
	must(t, err)
	same(t, list, keys[:2])
	must(t, s.UsePasskey(ctx, ann.ID, HashOf("1"), []byte(`{"n":1}`), noon.Add(time.Hour)))
	wantKind(t, s.UsePasskey(ctx, bob.ID, HashOf("1"), nil, noon), fault.NotFound, "passkey of user 2")
	wantKind(t, s.DeletePasskey(ctx, bob.ID, 1), fault.NotFound, "passkey 1")
	must(t, s.DeletePasskey(ctx, ann.ID, 1))
	list, err = s.Passkeys(ctx, ann.ID)
	must(t, err)
	keys[1].Body, keys[1].LastUsed = []byte(`{"n":1}`), noon.Add(time.Hour)
	same(t, list, keys[1:2])

	must(t, s.BeginSecondFactor(ctx, SecondFactor{UserID: ann.ID, Secret: "S"}))
	must(t, s.ConfirmSecondFactor(ctx, ann.ID, 1, hashes("a")))
	change(t, s, func(c *Change) error { return c.DeleteUser(ctx, ann.ID) })
	list, err = s.Passkeys(ctx, ann.ID)
	must(t, err)
	same(t, len(list), 0)
	_, err = s.SecondFactorOf(ctx, ann.ID)
	wantKind(t, err, fault.NotFound, "second factor of user 1")
	n, err := s.CountRecoveryCodes(ctx, ann.ID)
	must(t, err)
	same(t, n, 0)
}

// TestTokenPersona: a token acts as the same persona after rotation.
func TestTokenPersona(t *testing.T) { storetest.Each(t, testTokenPersona) }

func testTokenPersona(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	u, err := s.CreateUser(ctx, User{Name: "ann", Created: noon})
	must(t, err)
	_, err = s.CreateToken(ctx, Token{Hash: HashOf("a"), UserID: u.ID, Days: 1, Persona: 7, Created: noon, Expires: noon})
	must(t, err)
	k, err := s.RotateToken(ctx, u.ID, HashOf("a"), HashOf("b"), noon)
	must(t, err)
	same(t, k.Persona, int64(7))
}
