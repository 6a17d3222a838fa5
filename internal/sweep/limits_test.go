package sweep

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
)

// large is one row of about so many bytes.
func large(bytes int) answer.Rows {
	return answer.RowsOf(answer.ChainLimits, key.Row([]answer.Cell{{strings.Repeat("x", bytes)}}))
}

// TestKeptAnswers: own answers are kept as long as there is room for them. The
// oldest questions' are dropped first, but none that has still to be said.
func TestKeptAnswers(t *testing.T) {
	const size = keptMax / 10 // but for what a row costs beside its text
	s, now := New(answer.ChainLimits), time.Unix(0, 0)
	s.Step(now, Joined{Slot: self})
	s.Step(now, Ahead{Front: Server})
	for id := uint64(1); id <= 21; id++ {
		if id == 10 {
			s.Step(now, Ahead{Front: Nobody}) // from here on nothing can be said
		}
		s.Step(now, Asked{Question: Question{ID: id, Sealed: fmt.Append(nil, id), Expires: now.Add(life), Hold: hold}})
		s.Step(now, Evaluated{Question: id, Rows: large(size)})
		s.Step(now, Acked{Seq: s.custody.seq})
		oldest := max(9, min(id, 18)) - 8 // nine fit, and more only if they must
		var kept []uint64
		for _, q := range s.live {
			if q.mine.there {
				kept = append(kept, q.ID)
			}
		}
		if n := len(kept); kept[0] != oldest || uint64(n) != id-oldest+1 || s.kept < n*size || s.kept > n*(size+100) {
			t.Fatalf("after %d answers %v are kept, with %d bytes", id, kept, s.kept)
		}
	}
}

// TestCustodyLimits: of reports that are acknowledged and not safe so many are
// kept, and of bytes so many; beyond that nothing leaves until some are safe.
func TestCustodyLimits(t *testing.T) {
	for _, tt := range []struct{ bytes, want int }{
		{1, custodyMax},
		{200 << 10, custodyBytes / (200 << 10)},
	} {
		s, now := New(answer.ChainLimits), time.Unix(0, 0)
		s.Step(now, Joined{Slot: self})
		s.Step(now, Ahead{Front: Peer, Life: Life{ID: [16]byte{1}}})
		s.Step(now, Behind{true, Life{ID: [16]byte{2}}})
		var sent, unsafe []uint64
		take := func(efs []Effect) {
			for _, ef := range efs {
				if x, ok := ef.(Send); ok {
					sent = append(sent, x.Report.Seq)
				}
			}
		}
		hear := func(seq uint64) {
			take(s.Step(now, Told{answer.Report{Seq: seq, Question: seq, Bundle: answer.Bundle{
				Question: seq, Set: answer.SetOf(1), Rows: large(tt.bytes), Tainted: true,
			}}}))
		}
		for seq := range uint64(tt.want + 20) {
			hear(seq + 1)
			unsafe = slices.Clone(sent) // all is acknowledged, nothing is passed on
			if len(sent) > 0 {
				take(s.Step(now, Acked{Seq: sent[len(sent)-1], Unsafe: unsafe}))
			}
		}
		if got := len(sent); got < tt.want || got > tt.want+1 {
			t.Errorf("%d bytes each: %d reports are in custody, want %d", tt.bytes, got, tt.want)
		}
		before := len(sent)
		take(s.Step(now, Acked{Seq: sent[len(sent)-1], Unsafe: unsafe[2:]}))
		if len(sent) != before+2 {
			t.Errorf("%d bytes each: two are safe, and %d more leave", tt.bytes, len(sent)-before)
		}
	}
}

// TestAckStays: what an acknowledgement says does not change any more when the
// sweep goes on.
func TestAckStays(t *testing.T) {
	s, now := New(answer.ChainLimits), time.Unix(0, 0)
	s.Step(now, Joined{Slot: self})
	s.Step(now, Ahead{Front: Peer, Life: Life{ID: [16]byte{1}}})
	s.Step(now, Behind{true, Life{ID: [16]byte{2}}})
	var acks []Ack
	var said []string
	step := func(ev Event) {
		for _, ef := range s.Step(now, ev) {
			if a, ok := ef.(Ack); ok {
				acks, said = append(acks, a), append(said, fmt.Sprint(a))
			}
		}
	}
	for seq := range uint64(4) {
		step(Told{answer.Report{Seq: seq + 1, Question: 7, Bundle: answer.Bundle{Question: 7, Set: answer.SetOf(1), Tainted: true}}})
	}
	step(Acked{Seq: 2})
	step(Acked{Seq: 4})
	for i, a := range acks {
		if got := fmt.Sprint(a); got != said[i] {
			t.Errorf("acknowledgement %d was %s and is now %s", i, said[i], got)
		}
	}
	if want := "{4 [] []}"; len(said) != 6 || said[5] != want {
		t.Errorf("the acknowledgements are %v, want %s at last", said, want)
	}
}

// TestHeard: of a client that has stood behind in several lives the last counts,
// and of clients so many are remembered.
func TestHeard(t *testing.T) {
	s, now := New(answer.ChainLimits), time.Unix(0, 0)
	behind := func(id byte, incarnation, reports uint64) {
		s.Step(now, Behind{true, Life{[16]byte{id}, incarnation}})
		for range reports {
			s.Step(now, Told{answer.Report{Seq: s.up.last + 1, Question: 7}})
		}
	}
	want := func(id byte, incarnation, seq uint64) {
		t.Helper()
		if i, n := s.Heard([16]byte{id}); i != incarnation || n != seq {
			t.Errorf("of client %d, life %d was heard up to %d, want life %d up to %d", id, i, n, incarnation, seq)
		}
	}
	behind(1, 1, 3)
	behind(1, 2, 1)
	want(1, 2, 1)
	behind(2, 1, 5)
	behind(1, 1, 1)
	want(1, 1, 4)
	want(2, 1, 5)
	want(3, 0, 0)
	for id := range byte(upsMax - 1) {
		behind(10+id, 1, 1)
	}
	want(1, 1, 4)
	want(2, 0, 0)
	s.Step(now, Behind{})
	want(1, 1, 4)
}

// TestLate: a machine that has itself been late waits four times as much longer
// for its neighbour, a quarter less with each timer that rings in time.
func TestLate(t *testing.T) {
	s, now := New(answer.ChainLimits), time.Unix(0, 0)
	s.custody.floor = suspectMin
	s.custody.learn(2 * time.Millisecond)
	for i, tt := range []struct{ late, want int }{
		{0, 300}, {80, 620}, {0, 540}, {0, 480}, {50, 500}, {200, 1100}, {1000, 4000},
	} {
		s.Step(now, Tick{Late: time.Duration(tt.late) * time.Millisecond})
		if got := s.patience(); got != time.Duration(tt.want)*time.Millisecond {
			t.Errorf("after timer %d it is patient for %v, want %d ms", i, got, tt.want)
		}
	}
}

// TestRests: who says much waits between two reports, and longer if it goes on.
func TestRests(t *testing.T) {
	asked := time.Unix(1000, 0)
	for _, x := range []struct {
		said int32
		want time.Duration
	}{
		{0, 0}, {reportsMax - 1, 0}, {reportsMax, 3*time.Second + reportsGap}, {reportsMany - 1, 3*time.Second + reportsGap},
		{reportsMany, 3*time.Second + manyGap}, {1 << 20, 3*time.Second + manyGap},
	} {
		q := question{at: asked, last: 3 * time.Second, said: x.said}
		if got := q.rested().Sub(asked); got != x.want {
			t.Errorf("after %d reports, the last 3 s after the question, the next may follow %v after it, want %v", x.said, got, x.want)
		}
	}
}

// TestGridPoints: each twice as late as the one before, but not much later.
func TestGridPoints(t *testing.T) {
	q := question{at: time.Unix(1000, 0), grid: 500 * time.Millisecond}
	for _, want := range []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 6 * time.Second, 8 * time.Second} {
		if got := q.gridPoint().Sub(q.at) - gridSlack; got != want {
			t.Fatalf("a grid point %v after the question, want %v", got, want)
		}
		q.skipGrid(q.gridPoint())
	}
}
