package client

import (
	"crypto/ed25519"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"catenary/internal/node"
	"catenary/internal/plan"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/value"
	"catenary/internal/wire"
)

func anEmptyQuarantine(t *testing.T) *quarantine {
	t.Helper()
	q, err := openQuarantine(filepath.Join(t.TempDir(), quarantineFile))
	if err != nil {
		t.Fatal(err)
	}
	return q
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// overruns lets a sensor be stopped so often, and reports whether it was given
// up.
func overruns(t *testing.T, q *quarantine, key string, times int, took time.Duration) (gaveUp bool) {
	t.Helper()
	_, name, _ := strings.Cut(key, " ")
	for range times {
		up, err := q.ran(noon, key, name, took, true)
		if err != nil {
			t.Fatal(err)
		}
		gaveUp = gaveUp || up
	}
	return gaveUp
}

// TestQuarantine: three runs in a row that are stopped after a minute are too
// many; any that ends in time begins the count anew.
func TestQuarantine(t *testing.T) {
	q := anEmptyQuarantine(t)
	slow, other := keyOf("Slow", []byte("v1")), keyOf("Slow", []byte("v2"))
	if overruns(t, q, slow, 9, 59*time.Second) || overruns(t, q, slow, 2, time.Minute) {
		t.Error("given up too early")
	}
	if _, err := q.ran(noon, slow, "Slow", time.Second, false); err != nil {
		t.Fatal(err)
	}
	if overruns(t, q, slow, 2, time.Minute) || q.refuses(slow) != nil {
		t.Error("a run in time does not count")
	}
	if !overruns(t, q, slow, 1, time.Minute) {
		t.Error("not given up")
	}
	if err := q.refuses(slow); err == nil || err.Error() != "quarantined: on this machine it was stopped at its time limit, 3 in a row" {
		t.Errorf("refused because %v", err)
	}
	if q.refuses(other) != nil {
		t.Error("another definition is refused")
	}

	var m wire.Register
	again, err := openQuarantine(q.path) // as after a restart
	if err != nil {
		t.Fatal(err)
	}
	if again.tells(&m); len(m.Quarantined) != 1 || m.Quarantined[0] != sensor.Hash("Slow") || again.refuses(slow) == nil {
		t.Errorf("after a restart it tells %+v", m)
	}
}

// TestRelease: the server's newer rules let a sensor go, older ones do not; what
// is given up under them stays so.
func TestRelease(t *testing.T) {
	q := anEmptyQuarantine(t)
	slow, quick := keyOf("Slow", nil), keyOf("Quick", nil)
	overruns(t, q, slow, 3, time.Minute)
	overruns(t, q, quick, 3, time.Minute)
	r := sensor.Rules{Number: 5, Overruns: 1, After: time.Second}
	take := func(r sensor.Rules) {
		t.Helper()
		if err := q.take(r); err != nil {
			t.Fatal(err)
		}
	}
	take(r)
	if q.refuses(slow) == nil {
		t.Error("let go by rules that say nothing of it")
	}
	released := r.Release(sensor.Hash("Slow"), 0)
	take(released)
	if q.refuses(slow) != nil || q.refuses(quick) == nil {
		t.Error("not the released one was let go")
	}
	if !overruns(t, q, slow, 1, time.Second) {
		t.Error("the new rules do not hold")
	}
	take(released)
	if q.refuses(slow) == nil {
		t.Error("let go by the same rules once more")
	}
	off := released
	off.Number, off.Off = 9, true
	take(off)
	if q.refuses(slow) != nil || overruns(t, q, quick, 5, time.Hour) || q.refuses(quick) != nil {
		t.Error("sensors are given up although nothing is")
	}
	var m wire.Register
	if q.tells(&m); m.Rules != 9 || len(m.Quarantined) != 0 {
		t.Errorf("%+v", m)
	}
}

func TestBrokenQuarantine(t *testing.T) {
	path := filepath.Join(t.TempDir(), quarantineFile)
	for _, text := range []string{"{", `{"rules":"AAAA"}`, "[]"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		q, err := openQuarantine(path)
		if err == nil || q.refuses("x") != nil || q.rules.Overruns != sensor.DefaultRules.Overruns {
			t.Errorf("%s: %v, %+v", text, err, q)
		}
	}
}

func TestQuarantineIsBounded(t *testing.T) {
	q := anEmptyQuarantine(t)
	for n := range overrunsKept + 5 {
		if _, err := q.ran(noon.Add(time.Duration(n)*time.Second), keyOf(string(rune('a'+n)), nil), "x", time.Minute, true); err != nil {
			t.Fatal(err)
		}
	}
	if len(q.held) != overrunsKept {
		t.Errorf("%d are noted", len(q.held))
	}
}

// TestOverrunningScript: a script that hangs is stopped, given up, and runs again
// when the server says so; another definition runs anyway.
func TestOverrunningScript(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the script is for a Unix shell")
	}
	root, signing := ed25519.NewKeyFromSeed(make([]byte, 32)), ed25519.NewKeyFromSeed([]byte(strings.Repeat("s", 32)))
	now := time.Now()
	ring := seal.NewRing(root.Public().(ed25519.PublicKey))
	if err := ring.Add(seal.Vouch(root, signing.Public().(ed25519.PublicKey), now.Add(-time.Hour), now.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	native, err := sensor.NewCatalogue(sensor.Builtin())
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{log: slog.New(slog.DiscardHandler), sensor: native, cache: newCache(), quarantine: anEmptyQuarantine(t), ring: ring}
	const limit = 200 * time.Millisecond
	rules := sensor.Rules{Number: 1, Overruns: 2, After: limit / 2}
	hear := func(r sensor.Rules) {
		c.heardOfSensors(wire.Registered{Now: now, Rules: seal.Sign(signing, seal.Rules, r.Append(nil))})
	}
	hear(rules)
	computes := func(script string) string {
		s := sensor.Sensor{Name: "Hangs", Columns: []sensor.Column{{Name: "Hangs", Type: value.String}}, MaxAge: time.Minute, Platforms: []sensor.Platform{sensor.Platform(platform())},
			Scripts: []sensor.Script{{Platform: sensor.Platform(platform()), Language: sensor.UnixShell, Source: script}}}
		use := plan.Use{Name: s.Name, Width: 1, Definition: seal.Sign(signing, seal.Sensor, s.Append(nil))}
		rows, err := c.values(t.Context(), ring, use, node.Evaluate{Letter: wire.Letter{Limit: limit}})
		if err != nil {
			return err.Error()
		}
		return rows[0][0]
	}
	const hangs, stopped, held = "while :; do sleep 1; done", "the script was stopped after 200ms", "quarantined: on this machine it was stopped at its time limit, 2 in a row"
	want := func(script, text string) {
		t.Helper()
		if got := computes(script); got != text {
			t.Errorf("it says %q, want %q", got, text)
		}
	}
	want(hangs, stopped)
	want(hangs, stopped)
	want(hangs, held)
	want("echo fine", "fine")
	c.heardOfSensors(wire.Registered{Now: now, Rules: seal.Sign(root, seal.Rules, rules.Release(sensor.Hash("Hangs"), 0).Append(nil))})
	want(hangs, held) // the root is no signing key
	hear(rules.Release(sensor.Hash("Hangs"), 0))
	want(hangs, stopped)

	ef := node.Register{Way: node.ByTLS}
	c.tellOfSensors(&ef)
	if m := ef.Request; len(m.Runs) != 1 || m.Runs[0].Sensor != sensor.Hash("Hangs") || m.Runs[0].Count != 4 || m.Runs[0].Max < limit || m.Runs[0].Measured == 0 || m.Rules != 2 {
		t.Errorf("it registers with %+v", m)
	}
}
