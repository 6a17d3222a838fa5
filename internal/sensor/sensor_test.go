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
