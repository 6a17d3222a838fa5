package wire

import (
	"bytes"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawRun(t *rapid.T) Run {
	µs := func(most int64) time.Duration {
		return time.Duration(rapid.Int64Range(0, most).Draw(t, "µs")) * time.Microsecond
	}
	spent := func() Spent { return Spent{µs(1 << 40), rapid.Uint64Range(0, 1<<62).Draw(t, "squares")} }
	r := Run{Sensor: rapid.Uint32().Draw(t, "sensor"), Count: rapid.Uint64Range(1, runsMost).Draw(t, "count"), Real: spent()}
	r.Max = min(µs(runLonger.Microseconds()), r.Real.Sum)
	r.Min = µs(r.Max.Microseconds())
	if r.Measured = rapid.Uint64Range(0, min(r.Count, 9)).Draw(t, "measured"); r.Measured > 0 {
		r.User, r.System = spent(), spent()
	}
	return r
}

func drawHashes(t *rapid.T) (out []uint32) {
	list := rapid.SliceOfNDistinct(rapid.Uint32Min(1), 0, QuarantinedMax, rapid.ID).Draw(t, "hashes")
	if len(list) == 0 {
		return nil
	}
	slices.Sort(list)
	return list
}

func TestBadRuns(t *testing.T) {
	good := Run{Sensor: 1, Count: 2, Real: Spent{3 * time.Millisecond, 5}, Min: time.Millisecond, Max: 2 * time.Millisecond, Measured: 1, User: Spent{time.Millisecond, 1}}
	whole := Register{Version: Version, Runs: []Run{good}}
	if m, err := Decode(Append(nil, whole)[4:]); err != nil || !reflect.DeepEqual(m, whole) {
		t.Fatalf("%+v, %v", m, err)
	}
	with := func(change func(*Run)) Register {
		r := good
		change(&r)
		return Register{Version: Version, Runs: []Run{r}}
	}
	for name, m := range map[string]Register{
		"seventeen":                {Runs: slices.Repeat([]Run{good}, RunsMax+1)},
		"never run":                with(func(r *Run) { r.Count = 0 }),
		"more measured than run":   with(func(r *Run) { r.Measured = 3 }),
		"the shortest is longer":   with(func(r *Run) { r.Min = 3 * time.Millisecond }),
		"one is longer than all":   with(func(r *Run) { r.Max = time.Second }),
		"longer than a day":        with(func(r *Run) { r.Max, r.Real.Sum = 25*time.Hour, 30*time.Hour }),
		"thirty-three quarantined": {Quarantined: ascending(QuarantinedMax + 1)},
		"one twice":                {Quarantined: []uint32{5, 5}},
	} {
		if _, err := Decode(Append(nil, m)[4:]); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := Decode(Append(nil, Registered{Now: time.UnixMilli(0), Rules: make([]byte, rulesMax+1)})[4:]); err == nil {
		t.Error("too many rules are taken")
	}
}

func ascending(n int) (out []uint32) {
	for i := range n {
		out = append(out, uint32(i+1))
	}
	return out
}

// TestRunsAreShort: a sensor's run times in a registration are a few bytes.
func TestRunsAreShort(t *testing.T) {
	r := Run{Sensor: 1 << 31, Count: 20, Real: Spent{90 * time.Millisecond, 500}, Min: time.Millisecond, Max: 9 * time.Millisecond}
	if n := len(r.append(nil)); n > 20 {
		t.Errorf("%d bytes", n)
	}
	b := r.append(nil)
	padded := append(bytes.Clone(b[:len(b)-1]), 0x80, 0)
	var list []Run
	x := value{}
	x.B = padded
	if err := x.run(&list); err == nil {
		t.Error("a number has two encodings")
	}
}
