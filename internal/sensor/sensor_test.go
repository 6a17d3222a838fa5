package sensor

import "testing"

// TestHash holds the hash against numbers that existing programs rely on.
func TestHash(t *testing.T) {
	for name, want := range map[string]uint32{
		"Computer Name":    3409330187,
		"Operating System": 45421433,
		"Action Statuses":  1792443391,
		"Is Windows":       2721439124,
		"IP Address":       3209138996,
		"Online":           131549066,
	} {
		if got := Hash(name); got != want {
			t.Errorf("Hash(%q) = %d, want %d", name, got, want)
		}
	}
}

// TestNative: a shipped sensor needs no definition, whatever it is computed by.
func TestNative(t *testing.T) {
	script := Script{Platform: Mac, Language: UnixShell, Source: "true"}
	for _, c := range []struct {
		s    Sensor
		want bool
	}{
		{Sensor{}, true}, {Sensor{Scripts: []Script{script}}, false}, {Sensor{Scripts: []Script{script}, Shipped: true}, true},
	} {
		if got := c.s.Native(); got != c.want {
			t.Errorf("%+v is native: %t", c.s, got)
		}
		if got, ok := c.s.Script(Mac); ok != (len(c.s.Scripts) > 0) || ok && got != script {
			t.Errorf("%+v has the script %+v, %t", c.s, got, ok)
		}
		if got, ok := c.s.Script(Linux); ok {
			t.Errorf("%+v has for another platform the script %+v", c.s, got)
		}
	}
}
