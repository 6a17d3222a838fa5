package wire

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"catenary/internal/answer"
	"catenary/internal/field"

	"pgregory.net/rapid"
)

// drawBoxes puts boxes into a bundle, or does not.
func drawBoxes(t *rapid.T, b *answer.Bundle) {
	switch b.Mode = answer.Mode(rapid.IntRange(0, 2).Draw(t, "mode")); b.Mode {
	case answer.Merged:
		return
	case answer.Sealed:
		b.Rows, b.Counts, b.Failed, b.Stopped = answer.Rows{}, answer.Counts{}, answer.Set{}, answer.Set{}
	case answer.Attested:
		if b.Set.Len() > 1 {
			b.Rows.Cut = 0
		}
	}
	for slot := range b.Set.All() {
		x := answer.Box{Slot: slot, Bytes: drawBytes(t, 1, 200)}
		if b.Mode == answer.Attested {
			x.Bytes = drawBytes(t, attestedHead, attestedHead)
			for _, r := range b.Rows.List {
				if rapid.Bool().Draw(t, "gives it") {
					x.Rows = append(x.Rows, answer.Ref{Hash: r.Hash, Count: rapid.Uint64Range(1, 300).Draw(t, "times")})
				}
			}
		}
		b.Boxes = append(b.Boxes, x)
	}
}

func drawAudit(t *rapid.T) Audit {
	return Audit{rapid.Uint64().Draw(t, "question"), rapid.Uint64().Draw(t, "from")}
}

func drawEvidence(t *rapid.T) Evidence {
	e := Evidence{Question: rapid.Uint64().Draw(t, "question"), Said: rapid.Bool().Draw(t, "said")}
	for range rapid.IntRange(0, EvidenceRows).Draw(t, "rows") {
		e.Rows = append(e.Rows, answer.Ref{Hash: rapid.Uint64().Draw(t, "hash"), Count: rapid.Uint64Min(1).Draw(t, "count")})
	}
	return e
}

// TestBoxSizes holds what a box takes in a message: of sealed ones two or three
// bytes beside what is sealed, of attested ones 32 with one row, one more for
// each further row.
func TestBoxSizes(t *testing.T) {
	size := func(b answer.Bundle) int { return len(Append(nil, Answer{answer.Report{Bundle: b}})) }
	base := answer.BundleOf(0, 7, answer.Rows{}, answer.Counts{})
	for n, want := range map[int]int{104: 106, 200: 203} {
		if got := size(base.Boxed(answer.Sealed, answer.Box{Bytes: make([]byte, n)})) - size(base); got != want {
			t.Errorf("%d sealed bytes take %d", n, got)
		}
	}
	var rows []answer.Row
	for i := range 10 {
		rows = append(rows, drawKey.Row([]answer.Cell{{fmt.Sprint(i)}}))
	}
	base.Rows = answer.RowsOf(answer.ChainLimits, rows...)
	x := answer.Box{Bytes: make([]byte, attestedHead)}
	for i, r := range base.Rows.List {
		x.Rows = append(x.Rows, answer.Ref{Hash: r.Hash, Count: 1})
		if got, want := size(base.Boxed(answer.Attested, x))-size(base), attestedHead+2+i+1; got != want {
			t.Errorf("a box with %d rows takes %d bytes, want %d", i+1, got, want)
		}
	}
}

// TestBoxesAtTheLimits: what [answer.Fit] lets through fits in a frame and
// arrives as it was.
func TestBoxesAtTheLimits(t *testing.T) {
	for _, m := range []answer.Mode{answer.Attested, answer.Sealed} {
		var sum answer.Bundle
		for slot := answer.Slot(0); ; slot++ {
			one := answer.BundleOf(0, slot, answer.Rows{}, answer.Counts{})
			x := answer.Box{Bytes: bytes.Repeat([]byte{byte(slot)}, 10_000)}
			if m == answer.Attested {
				x.Bytes = x.Bytes[:attestedHead]
				var rows []answer.Row
				for i := range 20 {
					rows = append(rows, drawKey.Row([]answer.Cell{{strings.Repeat("x", 500), fmt.Sprint(slot, i)}}))
				}
				one.Rows = answer.RowsOf(answer.BoxLimits, rows...)
				for _, r := range one.Rows.List {
					x.Rows = append(x.Rows, answer.Ref{Hash: r.Hash, Count: 2})
				}
			}
			if one = one.Boxed(m, x); slot == 0 {
				sum = one
				continue
			}
			next, fits := answer.Fit(answer.ChainLimits, sum, one)
			if !fits {
				break
			}
			sum = next
		}
		if sum.Size() < answer.ChainLimits.Bytes*9/10 {
			t.Fatalf("%v: only %d bytes fit", m, sum.Size())
		}
		frame := Append(nil, Answer{answer.Report{Bundle: sum}})
		got := mustDecode(t, body(t, frame))
		if again := Append(nil, got); !bytes.Equal(again, frame) || len(got.(Answer).Bundle.Boxes) != len(sum.Boxes) {
			t.Errorf("%v: a bundle at the limits arrives changed", m)
		}
	}
}

// TestBadBoxes: what no honest merge produces is refused.
func TestBadBoxes(t *testing.T) {
	rows := answer.RowsOf(answer.ChainLimits, drawKey.Row([]answer.Cell{{"a"}}), drawKey.Row([]answer.Cell{{"b"}}))
	sealed := func(slots ...answer.Slot) answer.Bundle {
		b := answer.Bundle{Set: answer.SetOf(slots...), Mode: answer.Sealed}
		for _, s := range slots {
			b.Boxes = append(b.Boxes, answer.Box{Slot: s, Bytes: []byte("sealed")})
		}
		return b
	}
	attested := func(set answer.Set, n int) answer.Bundle {
		b := answer.Bundle{Set: set, Mode: answer.Attested, Rows: rows}
		b.Boxes = slices.Repeat([]answer.Box{{Bytes: make([]byte, attestedHead)}}, n)
		return b
	}
	change := func(b answer.Bundle, f func(*answer.Bundle)) answer.Bundle { f(&b); return b }
	for _, tt := range []struct {
		name string
		b    answer.Bundle
		want string
	}{
		{"too few", change(sealed(1, 2, 3), func(b *answer.Bundle) { b.Boxes = b.Boxes[1:] }), "2 boxes of 3 machines"},
		{"too many", change(sealed(1, 2), func(b *answer.Bundle) { b.Boxes = append(b.Boxes, b.Boxes[0]) }), "3 boxes of 2 machines"},
		{"of nobody", change(sealed(1), func(b *answer.Bundle) { b.Set = answer.Set{} }), "1 boxes of 0 machines"},
		{"with rows", change(sealed(1), func(b *answer.Bundle) { b.Rows = rows }), "rows or counts beside sealed boxes"},
		{"with a cut", change(sealed(1), func(b *answer.Bundle) { b.Rows.Cut = 5 }), "rows or counts beside sealed boxes"},
		{"with counts", change(sealed(1), func(b *answer.Bundle) { b.Counts.Passed = 1 }), "rows or counts beside sealed boxes"},
		{"with failures", change(sealed(1), func(b *answer.Bundle) { b.Failed = b.Set }), "rows or counts beside sealed boxes"},
		{"empty", change(sealed(1), func(b *answer.Bundle) { b.Boxes[0].Bytes = nil }), "box of 0 bytes"},
		{"too large", change(sealed(1), func(b *answer.Bundle) { b.Boxes[0].Bytes = make([]byte, sealedMax+1) }), "box of 262145 bytes"},
		{"too large together", change(sealed(1, 2, 3, 4), func(b *answer.Bundle) {
			for i := range b.Boxes {
				b.Boxes[i].Bytes = make([]byte, 240_000)
			}
		}), "rows and boxes of more than 917504 bytes"},
		{"more than allowed", sealed(slices.Collect(answer.SetOf(1).Union(setTo(answer.BoxesMax + 1)).All())...), "more than 1024 boxes"},
		{"too short to attest", change(attested(answer.SetOf(1), 1), func(b *answer.Bundle) { b.Boxes[0].Bytes = make([]byte, attestedHead-1) }), "box of 28 bytes"},
		{"several with a cut", change(attested(answer.SetOf(1, 2), 2), func(b *answer.Bundle) { b.Rows = answer.Rows{Cut: 5} }), "rows of several machines"},
		{"about row 0", refs(attested, 0), "rows that are not there"},
		{"about a third row", refs(attested, 6), "rows that are not there"},
		{"about a row beyond", refs(attested, 2, 4), "rows that are not there"},
		{"about a huge row", refs(attested, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), "rows that are not there"},
		{"with half a step", refs(attested, 0x80), "rows that are not there"},
		{"with no count", refs(attested, 3), "rows that are not there"},
		{"with a count of 0", refs(attested, 3, 0), "rows that are not there"},
	} {
		_, err := Decode(Append(nil, Answer{answer.Report{Bundle: tt.b}})[4:])
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("boxes %s: %v, want %q", tt.name, err, tt.want)
		}
	}
	both := Append(nil, Answer{answer.Report{Bundle: sealed(1)}})
	if _, err := Decode(field.AppendPart(both, 14, make([]byte, attestedHead))[4:]); err == nil || !strings.Contains(err.Error(), "two kinds") {
		t.Errorf("boxes of two kinds: %v", err)
	}
}

// refs is an attested bundle whose box says these bytes of its rows.
func refs(attested func(answer.Set, int) answer.Bundle, b ...byte) answer.Bundle {
	out := attested(answer.SetOf(1), 1)
	out.Boxes[0].Bytes = append(out.Boxes[0].Bytes, b...)
	return out
}

func setTo(n int) (s answer.Set) {
	for x := range n {
		s.Add(answer.Slot(x))
	}
	return s
}

// TestBadEvidence: of audits as of everything, what is too much is refused.
func TestBadEvidence(t *testing.T) {
	rows := slices.Repeat([]answer.Ref{{Hash: 1, Count: 1}}, EvidenceRows+1)
	for name, m := range map[string]Message{
		"three audits":         Registered{Audits: make([]Audit, AuditsMax+1)},
		"evidence three times": Register{Evidence: make([]Evidence, AuditsMax+1)},
		"too many rows":        Register{Evidence: []Evidence{{Rows: rows}}},
		"a row never given":    Register{Evidence: []Evidence{{Rows: []answer.Ref{{Hash: 1}}}}},
	} {
		if _, err := Decode(Append(nil, m)[4:]); err == nil {
			t.Errorf("%s: is read", name)
		}
	}
	// It says nothing of the state that a registration names, and is new each time.
	m := Register{Version: Version, Incarnation: 1, Sequence: 2, Name: "ws-1", Evidence: []Evidence{{Question: 9, Said: true, Rows: rows[1:]}}}
	if without := m; m.Named().State != func() uint64 { without.Evidence = nil; return without.Named().State }() {
		t.Error("the name of the state depends on the evidence")
	}
	if brief := m.Named().Brief(); !reflect.DeepEqual(brief.Evidence, m.Evidence) || !reflect.DeepEqual(brief.Whole(Register{}).Evidence, m.Evidence) {
		t.Error("a brief registration loses its evidence")
	}
	two := Register{Version: Version, Incarnation: 1 << 40, Sequence: 1 << 20, State: 1 << 63, Peers: 1 << 63, Known: slices.Collect(func(yield func(uint64) bool) {
		for i := range uint64(60) {
			if !yield(1_000_000 + i) {
				return
			}
		}
	}), Evidence: []Evidence{{1 << 40, true, rows[1:]}, {1 << 40, true, rows[1:]}}}
	if !FitsDatagram(two) {
		t.Error("a brief registration with all evidence does not fit in a datagram")
	}
}
