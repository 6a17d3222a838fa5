package sensor

import (
	"bytes"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawRules(t *rapid.T) Rules {
	r := Rules{
		Number: rapid.Uint64Range(1, 1<<40).Draw(t, "number"), Off: rapid.Bool().Draw(t, "off"),
		Overruns: rapid.IntRange(1, OverrunsMax).Draw(t, "overruns"), After: time.Duration(rapid.Int64Range(1, afterMax.Milliseconds()).Draw(t, "ms")) * time.Millisecond,
	}
	for range rapid.IntRange(0, 5).Draw(t, "released") {
		r.Released = append(r.Released, Release{rapid.Uint32().Draw(t, "sensor"), rapid.Uint64Range(1, r.Number).Draw(t, "of")})
	}
	return r
}

func TestRulesReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRules(t)
		if back, err := DecodeRules(r.Append(nil)); err != nil || !reflect.DeepEqual(back, r) {
			t.Fatalf("%+v became %+v, %v", r, back, err)
		}
	})
}

func FuzzDecodeRules(f *testing.F) {
	f.Add(DefaultRules.Append(nil))
	f.Add(DefaultRules.Release(5, 9).Release(1<<32-1, 9).Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRules(b)
		if err == nil && !bytes.Equal(r.Append(nil), b) {
			t.Fatalf("%x decodes, but encodes again as %x", b, r.Append(nil))
		}
	})
}

// TestReleases: a sensor that was given up runs again after the next release of
// it, and is given up again as any other.
func TestReleases(t *testing.T) {
	r := DefaultRules
	r.Number = 5
	first := r.Release(7, 3)
	if first.Number != 6 || !first.Frees(7, 5) || first.Frees(8, 5) || first.Frees(7, 6) {
		t.Errorf("%+v", first)
	}
	second := first.Release(7, 100)
	if second.Number != 100 || len(second.Released) != 1 || !second.Frees(7, 99) {
		t.Errorf("%+v", second)
	}
	if len(r.Released) != 0 || len(first.Released) != 1 || first.Released[0].Number != 6 {
		t.Error("a release changes the rules before it")
	}
	many := r
	for hash := range uint32(ReleasesMax + 3) {
		many = many.Release(hash, 0)
	}
	if len(many.Released) != ReleasesMax || many.Released[0].Sensor != 3 || many.Check() != nil {
		t.Errorf("%d are released, the earliest is %d", len(many.Released), many.Released[0].Sensor)
	}
	for _, bad := range []Rules{
		{}, {Overruns: 1}, {Overruns: 101, After: time.Second}, {Overruns: 1, After: 2 * time.Hour}, {Overruns: 1, After: time.Nanosecond},
		{Overruns: 1, After: time.Second, Released: []Release{{1, 1}}},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v are rules", bad)
		}
	}
	if off := (Rules{Off: true}); !off.Frees(1, 99) {
		t.Error("what is off gives sensors up")
	}
}
