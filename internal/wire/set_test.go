package wire

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"catenary/internal/answer"
	"catenary/internal/field"

	"pgregory.net/rapid"
)

func decodeSet(b []byte) (answer.Set, error) {
	var s answer.Set
	err := value{field.Field{Type: 2, B: b}}.set(&s)
	return s, err
}

func TestSetRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSet(t, 0)
		b := appendSet(nil, s)
		got, err := decodeSet(b)
		if err != nil || !got.Equal(s) {
			t.Fatalf("%v arrives as %v (%v)", s, got, err)
		}
		if s.Empty() != (len(b) == 0) || len(b) > 1+answer.SlotMax/8 {
			t.Fatalf("%v takes %d bytes", s, len(b))
		}
	})
}

// TestSetSize holds the sizes that docs/protocol.md §5.2 promises, in bytes on
// the average of many sets with machines missing at random.
func TestSetSize(t *testing.T) {
	const tries = 4000
	r := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		machines int
		missing  float64
		want     float64
	}{
		{100, 0, 3.0}, {100, 0.01, 5.0}, {100, 0.05, 11.4}, {100, 0.20, 14},
		{250, 0, 4.0}, {250, 0.01, 8.5}, {250, 0.05, 26}, {250, 0.20, 33},
		{1000, 0, 4.0}, {1000, 0.01, 25.5}, {1000, 0.05, 98}, {1000, 0.20, 126},
	} {
		sum := 0
		for range tries {
			var s answer.Set
			for x := range tt.machines {
				if r.Float64() >= tt.missing {
					s.Add(answer.Slot(x))
				}
			}
			sum += len(appendSet(nil, s))
		}
		if got := float64(sum) / tries; got > tt.want+0.05 {
			t.Errorf("%d machines, %.0f %% missing: %.2f bytes, want at most %.1f", tt.machines, 100*tt.missing, got, tt.want)
		} else {
			t.Logf("%d machines, %.0f %% missing: %.2f bytes", tt.machines, 100*tt.missing, got)
		}
	}
}

func TestSetForms(t *testing.T) {
	all := make([]byte, 1+answer.SlotMax/8)
	for i := range all {
		all[i] = 0xff
	}
	all[0] = setBitmap
	for _, tt := range []struct {
		in   []byte
		want string // the set, or the error
		also []byte // how we write it, if not as it came
	}{
		{in: nil, want: "[]"},
		{in: []byte{setRuns}, want: "[]", also: []byte{}},
		{in: []byte{setBitmap}, want: "[]", also: []byte{}},
		{in: []byte{setBitmap, 0, 0}, want: "[]", also: []byte{}},
		{in: []byte{setRuns, 0, 11}, want: "[0 1 2 3 4 5 6 7 8 9 10 11]"},
		{in: []byte{setRuns, 0, 2}, want: "[0 1 2]", also: []byte{setBitmap, 0b111}},
		{in: []byte{setRuns, 20, 0}, want: "[20]"},
		{in: []byte{setRuns, 8, 0}, want: "[8]"}, // as long as the bitmap
		{in: []byte{setRuns, 1, 1, 2, 0}, want: "[1 2 5]", also: []byte{setBitmap, 0b100110}},
		{in: []byte{setRuns, 0, 0, 0, 0}, want: "[0 1]", also: []byte{setBitmap, 0b11}},
		{in: []byte{setRuns, 0xff, 0xff, 3, 0}, want: "[65535]"},
		{in: []byte{setRuns, 0x80, 0x80, 4, 0}, want: "broken run"}, // slot 65536
		{in: []byte{setRuns, 0, 0x80, 0x80, 4}, want: "broken run"},
		{in: []byte{setRuns, 0}, want: "broken run"},
		{in: []byte{setRuns, 0x80}, want: "broken run"},
		{in: []byte{setRuns, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 5}, want: "broken run"},
		{in: []byte{setRuns, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, want: "broken run"},
		{in: append(all, 0), want: "bitmap of 8193 bytes"},
		{in: []byte{0}, want: "unknown form 0"},
		{in: []byte{3, 1}, want: "unknown form 3"},
	} {
		s, err := decodeSet(tt.in)
		if err != nil {
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%.20x: %v, want %q", tt.in, err, tt.want)
			}
			continue
		}
		if got := fmt.Sprint(s); got != tt.want {
			t.Errorf("%.20x: %s, want %s", tt.in, got, tt.want)
		}
		want := tt.in
		if tt.also != nil {
			want = tt.also
		}
		if b := appendSet(nil, s); !bytes.Equal(b, want) {
			t.Errorf("%.20x is written as %.20x, want %.20x", tt.in, b, want)
		}
	}
	if s, err := decodeSet(all); err != nil || s.Len() != answer.SlotMax {
		t.Errorf("the full bitmap has %d slots (%v)", s.Len(), err)
	}
}
