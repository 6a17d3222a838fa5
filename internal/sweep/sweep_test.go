package sweep

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/answer"
)

const (
	self  = answer.Slot(5)
	hold  = 100 * time.Millisecond
	life  = time.Minute
	fresh = 3 // questions in play
)

// A rig is a host, a neighbour in front and one behind, with a record of what
// came and what left.
type rig struct {
	*rapid.T
	s   *Sweep
	now time.Time

	came     map[uint64]answer.Set // by question: machines whose answers are ours to deliver
	once     map[uint64]answer.Set // machines that have left in a bundle that may be merged
	arrived  map[uint64]answer.Set // … that the neighbour in front has acknowledged
	way      []answer.Report       // sent on the present link and not acknowledged
	asked    map[uint64]time.Time  // when a question ends
	computed map[uint64]bool       // questions that we were asked to evaluate
	lost     map[uint64]bool
	front    Front
	seq      uint64 // of what we send
	behind   uint64 // of what we are told
}

func newRig(t *rapid.T) *rig {
	r := &rig{
		T: t, s: New(answer.ChainLimits), now: time.Unix(0, 0),
		came: map[uint64]answer.Set{}, once: map[uint64]answer.Set{}, arrived: map[uint64]answer.Set{},
		asked: map[uint64]time.Time{}, computed: map[uint64]bool{}, lost: map[uint64]bool{},
	}
	r.step(Joined{Slot: self, Highest: uint64(rapid.IntRange(0, 2).Draw(t, "highest"))})
	return r
}

func (r *rig) step(ev Event) {
	acks := 0
	for _, ef := range r.s.Step(r.now, ev) {
		switch ef := ef.(type) {
		case Forward:
			if r.front != Peer {
				r.Fatalf("forwards to %v", r.front)
			}
		case Evaluate:
			if r.computed[ef.Question.ID] {
				r.Fatalf("evaluates question %d twice", ef.Question.ID)
			}
			r.computed[ef.Question.ID] = true
		case Send:
			r.sent(ef.Report)
		case Ack:
			if told, ok := ev.(Told); !ok || ef.Seq != told.Report.Seq {
				r.Fatalf("acknowledges %d on %+v", ef.Seq, ev)
			}
			acks++
		case Lost:
			r.lost[ef.Question] = true
		}
	}
	if _, ok := ev.(Told); ok && acks != 1 {
		r.Fatalf("acknowledges a report %d times", acks)
	}
	if d := r.s.Deadline(); !d.IsZero() && !d.After(r.now) {
		r.Fatalf("overdue after %T: %v", ev, d)
	}
	s := r.s
	if len(s.unacked) > windowMax || len(s.queue) > queueMax || len(s.live) > liveMax || len(s.gone) > goneMax {
		r.Fatalf("over a limit: %d unacknowledged, %d waiting, %d live, %d gone", len(s.unacked), len(s.queue), len(s.live), len(s.gone))
	}
}

// sent checks a report that leaves.
func (r *rig) sent(x answer.Report) {
	if r.front == Nobody {
		r.Fatalf("sends to nobody")
	}
	if r.seq++; x.Seq != r.seq {
		r.Fatalf("sends report %d after %d", x.Seq, r.seq-1)
	}
	r.way = append(r.way, x)
	b := x.Bundle
	if b.Set.Empty() {
		return
	}
	if b.Question != x.Question || b.Rows.List[0].Count != uint64(b.Set.Len()) || b.Counts.Passed != uint64(b.Set.Len()) {
		r.Fatalf("rows and counts are not those of %d machines: %+v", b.Set.Len(), b)
	}
	if b.Tainted {
		return
	}
	if b.Set.Overlaps(r.once[b.Question]) {
		r.Fatalf("%v leaves to be merged, but %v has already", b.Set, r.once[b.Question])
	}
	r.once[b.Question] = r.once[b.Question].Union(b.Set)
}

func (r *rig) ack(n int) {
	if n == 0 {
		return
	}
	for _, x := range r.way[:n] {
		r.arrived[x.Question] = r.arrived[x.Question].Union(x.Bundle.Set)
	}
	seq := r.way[n-1].Seq
	r.way = r.way[n:]
	r.step(Acked{seq})
}

func (r *rig) tell(q uint64, set answer.Set, tainted, first, final bool) {
	r.behind++
	x := answer.Report{Seq: r.behind, Question: q, First: first, Final: final}
	if !set.Empty() {
		x.Bundle = answer.Bundle{Question: q, Set: set, Tainted: tainted, Rows: rowOf(set.Len()), Counts: answer.Counts{Passed: uint64(set.Len())}}
		r.came[q] = r.came[q].Union(set)
	}
	r.step(Told{x})
}

func (r *rig) ahead(f Front) {
	r.front, r.way = f, nil
	r.step(Ahead{f})
}

// TestNothingIsLostOrDoubled plays any order of events. However the neighbours
// come and go, each machine's answer leaves at most once in a bundle that may
// be merged, and in the end every answer has arrived in front.
func TestNothingIsLostOrDoubled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t)
		question := rapid.Uint64Range(1, fresh)
		flag := rapid.Bool()
		slot := rapid.Map(rapid.IntRange(0, 12), func(n int) answer.Slot { return answer.Slot(n) })
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				r.now = r.now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
				r.step(Tick{})
			},
			"deadline": func(t *rapid.T) {
				if d := r.s.Deadline(); !d.IsZero() && d.Sub(r.now) < life/2 {
					r.now = d
				}
				r.step(Tick{})
			},
			"ask": func(t *rapid.T) {
				q := question.Draw(t, "question")
				if r.asked[q].IsZero() {
					r.asked[q] = r.now.Add(24 * time.Hour)
				}
				r.step(Asked{Question{ID: q, Sealed: []byte{byte(q)}, Expires: r.asked[q], Hold: hold}})
			},
			"evaluate": func(t *rapid.T) {
				q := question.Draw(t, "question")
				if r.computed[q] {
					r.came[q] = r.came[q].Union(answer.SetOf(self))
					r.step(Evaluated{q, rowOf(1), answer.Counts{Passed: 1}})
				}
			},
			"told": func(t *rapid.T) {
				set := answer.SetOf(rapid.SliceOfN(slot, 0, 4).Draw(t, "set")...)
				r.tell(question.Draw(t, "question"), set, flag.Draw(t, "tainted"), flag.Draw(t, "first"), flag.Draw(t, "final"))
			},
			"many": func(t *rapid.T) {
				for i := range rapid.IntRange(1, 2*windowMax).Draw(t, "reports") {
					r.tell(question.Draw(t, "question"), answer.SetOf(answer.Slot(100+i)), true, false, false)
				}
			},
			"ahead":  func(t *rapid.T) { r.ahead(rapid.SampledFrom([]Front{Nobody, Peer, Server}).Draw(t, "front")) },
			"behind": func(t *rapid.T) { r.step(Behind{flag.Draw(t, "present")}) },
			"acked":  func(t *rapid.T) { r.ack(rapid.IntRange(0, len(r.way)).Draw(t, "reports")) },
			"joined": func(t *rapid.T) { r.step(Joined{Slot: self}) },
		})
		r.deliver()
	})
}

// deliver lets everything leave, and looks whether everything has.
func (r *rig) deliver() {
	r.ahead(Server)
	for range 2 * (queueMax/windowMax + fresh) {
		r.ack(len(r.way))
		r.now = r.now.Add(time.Hour / 100)
		r.step(Tick{})
	}
	for q, came := range r.came {
		if missing := came.Minus(r.arrived[q]); !missing.Empty() && !r.lost[q] {
			r.Fatalf("question %d: the answers of %v never arrived; %v did", q, missing, r.arrived[q])
		}
	}
}

// TestFewMessages: to each question a node sends at most a first report, one
// for each that came from behind, its own at a grid point and a final.
func TestFewMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t)
		r.step(Joined{Slot: self})
		r.ahead(Peer)
		r.step(Behind{true})
		r.step(Asked{Question{ID: 9, Sealed: []byte{9}, Expires: r.now.Add(24 * time.Hour), Hold: hold}})
		told := rapid.IntRange(0, 6).Draw(t, "told")
		at := rapid.IntRange(0, told).Draw(t, "evaluated after")
		for i := range told + 1 {
			if i == at {
				r.step(Evaluated{9, rowOf(1), answer.Counts{Passed: 1}})
			}
			if i < told {
				r.tell(9, answer.SetOf(answer.Slot(20+i)), false, i == 0, i == told-1)
			}
			for wait := time.Duration(rapid.IntRange(0, 900).Draw(t, "ms")) * time.Millisecond; wait > 0; wait -= time.Millisecond {
				r.now = r.now.Add(time.Millisecond)
				r.step(Tick{})
			}
		}
		if sent, most := int(r.seq), 3+told; sent > most {
			t.Fatalf("%d reports for %d from behind", sent, told)
		}
	})
}

// TestLimits: what is over a limit is reported as lost, the oldest first, and
// questions that are done go before those that are not.
func TestLimits(t *testing.T) {
	s, now := New(answer.ChainLimits), time.Unix(0, 0)
	ask := func(id uint64) []Effect {
		return s.Step(now, Asked{Question{ID: id, Sealed: fmt.Append(nil, id), Expires: now.Add(life), Hold: hold}})
	}
	lost := func(efs []Effect) []uint64 {
		var ids []uint64
		for _, ef := range efs {
			if l, ok := ef.(Lost); ok {
				ids = append(ids, l.Question)
			}
		}
		return ids
	}
	s.Step(now, Joined{Slot: self})
	s.Step(now, Ahead{Server})
	for id := uint64(1); id <= liveMax; id++ {
		ask(id)
	}
	s.Step(now, Evaluated{Question: 7, Rows: rowOf(1)}) // done: its final report has left
	if got := lost(ask(1000)); got != nil || s.find(7) != nil || s.find(1) == nil {
		t.Errorf("for a new question %v was lost instead of the one that was done", got)
	}
	if got := lost(ask(1001)); !reflect.DeepEqual(got, []uint64{1}) {
		t.Errorf("lost %v, want the oldest question", got)
	}
	s.Step(now, Acked{1})
	s.Step(now, Ahead{Nobody})
	for i := range queueMax + 1 {
		efs := s.Step(now, Told{answer.Report{Seq: uint64(i), Question: uint64(5000 + i),
			Bundle: answer.Bundle{Question: uint64(5000 + i), Set: answer.SetOf(1), Rows: rowOf(1)}}})
		var want []uint64
		if i == queueMax {
			want = []uint64{5000}
		}
		if got := lost(efs); !reflect.DeepEqual(got, want) {
			t.Fatalf("bundle %d: lost %v, want %v", i, got, want)
		}
	}
	if first, last := s.queue[0].Question, s.queue[queueMax-1].Question; first != 5001 || last != 5000+queueMax {
		t.Errorf("bundles %d to %d wait, want %d to %d", first, last, 5001, 5000+queueMax)
	}
}

// TestKnown: the newest questions are named, those that are over before the
// live ones, and of the past as many as are kept.
func TestKnown(t *testing.T) {
	s, now := New(answer.ChainLimits), time.Unix(0, 0)
	for id := uint64(1); id <= goneMax+20; id++ {
		s.Step(now, Asked{Question{ID: id, Sealed: fmt.Append(nil, id), Expires: now.Add(life), Hold: hold}})
		if id > 2 { // two stay live at a time
			s.forget(0)
		}
	}
	if got, want := s.Known(4), []uint64{goneMax + 17, goneMax + 18, goneMax + 19, goneMax + 20}; !reflect.DeepEqual(got, want) {
		t.Errorf("Known(4) = %v, want %v", got, want)
	}
	if got := s.Known(2 * goneMax); len(got) != goneMax+2 || got[0] != 19 {
		t.Errorf("of %d ids the first is %d", len(got), got[0])
	}
	for id, want := range map[uint64]bool{1: false, 18: false, 19: true, goneMax: true, goneMax + 20: true, goneMax + 21: false} {
		if s.knows(id) != want {
			t.Errorf("knows(%d) = %v", id, !want)
		}
	}
	if !s.Holds(fmt.Append(nil, goneMax+20)) || s.Holds(fmt.Append(nil, goneMax)) || s.Holds(nil) {
		t.Error("Holds must mean just the live questions")
	}
}
