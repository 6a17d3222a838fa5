package client

import (
	"crypto/ed25519"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/node"
	"catenary/internal/plan"
	"catenary/internal/seal"
	"catenary/internal/sensor"
	"catenary/internal/value"
	"catenary/internal/wire"
)

// TestSensorKeepsItsMode: a sensor whose answers are to be sealed is not
// computed for a question that would let peers read them, whoever has signed
// that.
func TestSensorKeepsItsMode(t *testing.T) {
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
	held, err := openQuarantine(filepath.Join(t.TempDir(), quarantineFile))
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{sensor: native, cache: newCache(), quarantine: held}
	use := func(m answer.Mode) plan.Use {
		s := sensor.Sensor{Name: "Secret", Columns: []sensor.Column{{Name: "Secret", Type: value.String}}, MaxAge: time.Minute, Mode: m,
			Platforms: []sensor.Platform{sensor.Linux}, Scripts: []sensor.Script{{Platform: "Plan 9", Language: sensor.UnixShell, Source: "true"}}}
		return plan.Use{Name: s.Name, Width: 1, Definition: seal.Sign(signing, seal.Sensor, s.Append(nil))}
	}
	for _, tt := range []struct {
		sensor, question answer.Mode
		refused          bool
	}{
		{answer.Sealed, answer.Merged, true}, {answer.Sealed, answer.Attested, true}, {answer.Attested, answer.Merged, true},
		{answer.Sealed, answer.Sealed, false}, {answer.Merged, answer.Sealed, false}, {answer.Attested, answer.Sealed, false},
	} {
		_, err := c.values(t.Context(), ring, use(tt.sensor), node.Evaluate{Letter: wire.Letter{Mode: tt.question, Limit: time.Second}})
		// The script is for another system, so that nothing runs; but it comes that far.
		if refused := err != nil && strings.Contains(err.Error(), "wants its answers"); err == nil || refused != tt.refused {
			t.Errorf("sensor %v, question %v: %v", tt.sensor, tt.question, err)
		}
	}
}

// TestNeighboursAsSensorsTellThem: nobody, the server and a client are told
// apart.
func TestNeighboursAsSensorsTellThem(t *testing.T) {
	at := netip.MustParseAddrPort("10.1.2.3:17472")
	for p, want := range map[chain.Peer]string{chain.Nobody: "", chain.Server: "Server", chain.PeerAt(endpoint.Place{Addr: at}): "10.1.2.3:17472"} {
		if got := peer(p).String(); got != want {
			t.Errorf("%+v is told as %q, want %q", p, got, want)
		}
	}
}
