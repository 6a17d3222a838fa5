package probe

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/fault"
)

// TestAPanicIsAnError: whatever a sensor comes upon, the client goes on.
func TestAPanicIsAnError(t *testing.T) {
	p := newProbe()
	p.facts["broken"] = table(func(context.Context) ([][]string, error) {
		var none []string
		return [][]string{{none[3]}}, nil
	})
	rows, err := p.Run(t.Context(), "broken", nil)
	if rows != nil || err == nil || !strings.Contains(err.Error(), "index out of range [3]") || !strings.Contains(err.Error(), "guard_test.go:") {
		t.Errorf("%q, %v", rows, err)
	}
	if rows, err := p.Run(t.Context(), "Online", nil); err != nil || rows[0][0] != "True" {
		t.Errorf("after it: %q, %v", rows, err)
	}
	if got := says(t, p, "Sensor Run Times"); len(got) != 2 || !strings.HasPrefix(got[0], "Online|1|0|") || !strings.HasPrefix(got[1], "broken|1|1|") {
		t.Errorf("the sensors ran %q", got)
	}
}

// TestAHangIsLeftAlone: a sensor that takes no notice of its time limit is left
// alone, is not tried again while it hangs, and can be asked when it ends.
func TestAHangIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := newProbe(), make(chan struct{})
		p.facts["slow"] = with(1, func(_ context.Context, params []string) ([][]string, error) {
			if params[0] == "hangs" {
				<-release
			}
			return [][]string{params}, nil
		})
		why := errors.New("too slow")
		ask := func(param string) error {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, why)
			defer cancel()
			_, err := p.Run(ctx, "slow", []string{param})
			return err
		}
		began := time.Now()
		if err := ask("hangs"); !errors.Is(err, why) || time.Since(began) != time.Second+stuckGrace {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		began = time.Now()
		if err := ask("hangs"); fault.KindOf(err) != fault.Unavailable || time.Since(began) != 0 {
			t.Errorf("asked again, after %v: %v", time.Since(began), err)
		}
		if err := ask("other"); err != nil {
			t.Errorf("the same sensor of something else: %v", err)
		}
		close(release)
		synctest.Wait()
		if err := ask("hangs"); err != nil {
			t.Errorf("when it has ended: %v", err)
		}
	})
}

func TestManyHangsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, release := newProbe(), make(chan struct{})
		p.facts["slow"] = with(1, func(context.Context, []string) ([][]string, error) {
			<-release
			return nil, nil
		})
		for i := range stuckMax + 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := p.Run(ctx, "slow", []string{strconv.Itoa(i)})
			cancel()
			if full := i >= stuckMax; err == nil || full != strings.Contains(err.Error(), "other sensors hang") {
				t.Errorf("number %d: %v", i, err)
			}
		}
		close(release)
		synctest.Wait()
		if n := len(p.guard.stuck); n != 0 {
			t.Errorf("%d computations have ended and are taken for stuck", n)
		}
	})
}

// TestWhatIsSharedIsForgotten: sensors of one question look once; a client that
// is not asked keeps nothing.
func TestWhatIsSharedIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shared[[]int]
		looks := 0
		get := func(keep time.Duration) []int {
			got, err := s.get(keep, func() ([]int, error) { looks++; return []int{looks}, nil })
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		if a, b := get(time.Second), get(time.Second); a[0] != 1 || b[0] != 1 {
			t.Errorf("two looks at once saw %v and %v", a, b)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s.value != nil || !s.at.IsZero() {
			t.Errorf("after a second %v is kept", s.value)
		}
		if got := get(time.Second); got[0] != 2 {
			t.Errorf("the next look saw %v", got)
		}
		if got := get(0); got[0] != 3 {
			t.Errorf("a look that wants nothing old saw %v", got)
		}
		time.Sleep(2 * time.Second) // the bubble waits for its timers
	})
	var s shared[int]
	if _, err := s.get(time.Second, func() (int, error) { return 0, errors.New("x") }); err == nil || !s.at.IsZero() {
		t.Errorf("a failure is kept: %v", err)
	}
}

func TestClientOnItself(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"custom-tags.txt": "Production \n\nmill-7\r\nproduction\n", "sub/data": strings.Repeat("x", 2<<20)} {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status := Status{
		Address: netip.MustParseAddrPort("10.1.2.3:17472"), Server: netip.MustParseAddrPort("192.0.2.1:17472"),
		Back: Peer{Addr: netip.MustParseAddrPort("10.1.2.2:17472")}, Front: Peer{Server: true}, Answered: 17, Cached: 3, CacheMax: 256,
	}
	p := New(Self{Folder: folder, Status: func() Status { return status }})
	check := func(sensor, want string, params ...string) {
		t.Helper()
		if got := strings.Join(says(t, p, sensor, params...), " "); got != want {
			t.Errorf("%s%q says %q, want %q", sensor, params, got, want)
		}
	}
	check("Client Address", "10.1.2.3:17472")
	check("Server Address", "192.0.2.1:17472")
	check("Peer Address", "Server")
	check("Back Peer Address", "10.1.2.2:17472")
	check("Questions Answered", "17")
	check("Sensor Cache", "3|256")
	check("Client Folder", folder+"|2MB|2")
	check("Custom Tags", "Production mill-7 production")
	for tag, want := range map[string]string{"PRODUCTION": "True", "mill-?": "True", "mill": "False", "m*": "True"} {
		check("Has Custom Tag", want, tag)
	}
	check("Chain Role", "Forward Leader")
	for want, sides := range map[string][2]Peer{
		"Member": {{Addr: status.Address}, {Addr: status.Address}}, "Backward Leader": {{Server: true}, {Addr: status.Address}},
		"Only Member": {{Server: true}, {Server: true}}, "Apart": {{}, {Server: true}},
	} {
		status.Back, status.Front = sides[0], sides[1]
		check("Chain Role", want)
	}
	alone := New(Self{})
	for _, sensor := range []string{"Peer Address", "Chain Role", "Sensor Cache"} {
		if rows, err := alone.Run(t.Context(), sensor, nil); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("%s before the client is in a chain: %q, %v", sensor, rows, err)
		}
	}
	check("Custom Tags", "Production mill-7 production")
	if got := says(t, alone, "Custom Tags"); got != nil {
		t.Errorf("a client without a folder has the tags %q", got)
	}
}

func TestWildcards(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"a*", "Abc", true}, {"a*", "b", false}, {"*", "a/b", true}, {"a/?", "a/b", true}, {"a?", "a/", true}, {"[ab]", "a", false}, {"[ab]", "[AB]", true},
		{`a\b`, `A\B`, true}, {"ä*", "Äpfel", true}, {" a* ", "abc", true}, {"a", "ab", false},
	} {
		w, err := newWildcard(c.pattern)
		if err != nil || w.matches(c.name) != c.want {
			t.Errorf("%q and %q: %t, %v", c.pattern, c.name, w.matches(c.name), err)
		}
	}
	if _, err := newWildcard("  "); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an empty name: %v", err)
	}
}

// lower is how names are compared: not as EqualFold does, which takes the sign
// of Kelvin for a k.
var lower = strings.ToLower

func FuzzWildcard(f *testing.F) {
	f.Add("a*[b", "x/y")
	f.Add(`\`, "?")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		w, err := newWildcard(pattern)
		if err != nil {
			return
		}
		if !strings.ContainsAny(pattern, "*?") && w.matches(name) && lower(strings.TrimSpace(pattern)) != lower(name) {
			t.Fatalf("%q matches %q", pattern, name)
		}
		if all, err := newWildcard("*"); err != nil || !all.matches(name) {
			t.Fatalf("* does not match %q", name)
		}
	})
}
