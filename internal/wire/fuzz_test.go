package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"

	"catenary/internal/answer"
)

// honest says what is wrong with an answer that no honest client could have
// sent.
func honest(r answer.Report) error {
	b, n := r.Bundle, uint64(r.Bundle.Set.Len())
	size := 0
	for i, row := range b.Rows.List {
		size += row.Size()
		switch {
		case row.Count == 0:
			return fmt.Errorf("row %d counts nobody", i)
		case i > 0 && b.Rows.List[i-1].Hash >= row.Hash:
			return fmt.Errorf("row %d is out of order", i)
		case b.Rows.Cut != 0 && row.Hash >= b.Rows.Cut:
			return fmt.Errorf("row %d is not below the cut", i)
		}
	}
	for _, set := range []answer.Set{b.Set, r.Pending} {
		for slot := range set.All() {
			if int(slot) >= answer.SlotMax {
				return fmt.Errorf("slot %d", slot)
			}
		}
	}
	switch {
	case b.Question != r.Question:
		return fmt.Errorf("bundle of question %d in a report of %d", b.Question, r.Question)
	case len(b.Rows.List) > answer.ChainLimits.Rows || size > answer.ChainLimits.Bytes:
		return fmt.Errorf("%d rows of %d bytes", len(b.Rows.List), size)
	case b.Counts.Outside > n || max(b.Counts.Passed, b.Counts.Errors, b.Counts.NoResults) > n-b.Counts.Outside:
		return fmt.Errorf("counts %+v of %d machines", b.Counts, n)
	case b.Mode != answer.Merged && uint64(len(b.Boxes)) != n, b.Size() > answer.ChainLimits.Bytes:
		return fmt.Errorf("%d boxes of %d machines, %d bytes", len(b.Boxes), n, b.Size())
	case n == 0 && (len(b.Rows.List) > 0 || b.Tainted || b.Rows.Cut != 0):
		return fmt.Errorf("bundle of nobody: %+v", b)
	}
	return nil
}

// FuzzDecode: whatever comes in, what it decodes to keeps the rules, can be
// passed on, and arrives there as the same.
func FuzzDecode(f *testing.F) {
	for _, m := range sample() {
		f.Add(Append(nil, m)[4:])
	}
	for _, v := range vectors() {
		if v.message != nil {
			f.Add(Append(nil, v.message)[4:])
		}
	}
	f.Add([]byte{byte(KindAnswer), 0x32, 3, setRuns, 0, 9, 0x62, 6, 0x10, 2, 0x1a, 2, 0x0a, 0})
	f.Add([]byte{7, 1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > FrameMax {
			return
		}
		m, err := Decode(b)
		if err != nil || m == nil {
			return
		}
		if a, ok := m.(Answer); ok {
			if err := honest(a.Report); err != nil {
				t.Fatalf("%x decodes to a report with a %v", b, err)
			}
		}
		frame := Append(nil, m)
		again, err := Decode(body(t, frame))
		if err != nil {
			t.Fatalf("%x decodes to %+v, which is encoded as %x and then refused: %v", b, m, frame, err)
		}
		if d := diff(m, again); d != "" {
			t.Fatalf("%x changes when it is passed on:\n%s", b, d)
		}
		if third := Append(nil, again); !bytes.Equal(frame, third) {
			t.Fatalf("%x is encoded as %x, and then as %x", b, frame, third)
		}
	})
}

func FuzzDecodeLetter(f *testing.F) {
	for _, v := range vectors() {
		if v.letter != nil {
			f.Add(v.letter.Append(nil))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := DecodeLetter(b)
		if err != nil {
			return
		}
		if l.Question == 0 || len(l.Plan) == 0 || l.Life <= 0 || l.Life > LifeMax || l.Hold <= 0 || l.Hold > l.Life || l.Limit <= 0 || l.Limit > l.Life {
			t.Fatalf("%x decodes to %+v", b, l)
		}
		first := l.Append(nil)
		again, err := DecodeLetter(first)
		if d := diff(l, again); err != nil || d != "" {
			t.Fatalf("%x changes when it is encoded again: %v\n%s", b, err, d)
		}
		if second := again.Append(nil); !bytes.Equal(first, second) {
			t.Fatalf("%x is encoded as %s, and then as %s", b, hex.EncodeToString(first), hex.EncodeToString(second))
		}
	})
}
