package sweep

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
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
// came and what left. The neighbour in front passes on what it likes when it
// likes, and may take the rest with it when it goes.
type rig struct {
	*rapid.T
	s   *Sweep
	now time.Time

	came     map[uint64]answer.Set // by question: machines whose answers are ours to deliver
	once     map[uint64]answer.Set // machines that have left in a bundle that may be merged
	taken    map[uint64]answer.Set // … that some neighbour in front has acknowledged
	arrived  map[uint64]answer.Set // … that have come two hops far
	way      []answer.Report       // sent on the present link and not acknowledged
	held     []answer.Report       // acknowledged, and not passed on
	asked    map[uint64]time.Time  // when a question ends
	computed map[uint64]int        // how often we were asked to evaluate a question
	again    map[uint64]int        // … and may be, because it was asked for again
	lost     map[uint64]bool
	front    Front
	lives    byte   // neighbours in front so far
	seq      uint64 // of what we send
	resend   []uint64
	behind   uint64 // of what we are told
	told     map[uint64]answer.Report
	present  bool // somebody stands behind
}

func newRig(t *rapid.T) *rig {
	r := &rig{
		T: t, s: New(answer.ChainLimits), now: time.Unix(0, 0),
		came: map[uint64]answer.Set{}, once: map[uint64]answer.Set{}, taken: map[uint64]answer.Set{}, arrived: map[uint64]answer.Set{},
		asked: map[uint64]time.Time{}, computed: map[uint64]int{}, again: map[uint64]int{}, lost: map[uint64]bool{},
		told: map[uint64]answer.Report{},
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
		case Reverse:
			if asked, ok := ev.(Asked); !r.present || !ok || asked.From != FromFront {
				r.Fatalf("passes %v back on %+v", ef.Question.ID, ev)
			}
		case Evaluate:
			id := ef.Question.ID
			if r.computed[id]++; r.computed[id] > 1+r.again[id] {
				r.Fatalf("evaluates question %d %d times", id, r.computed[id])
			}
		case Send:
			r.sent(ef.Report)
		case Witness:
			if b := ef.Report.Bundle; !b.Tainted || !b.Set.Equal(answer.SetOf(self)) {
				r.Fatalf("witnesses with %+v", b)
			}
		case Ack:
			r.acknowledged(ef)
			acks++
		case Lost:
			r.lost[ef.Question] = true
		}
	}
	if _, ok := ev.(Told); ok && acks != 1 {
		r.Fatalf("acknowledges a report %d times", acks)
	}
	if len(r.resend) > 0 {
		r.Fatalf("does not send again %v", r.resend)
	}
	if d := r.s.Deadline(); !d.IsZero() && !d.After(r.now) {
		r.Fatalf("overdue after %T: %v", ev, d)
	}
	s := r.s
	if !reflect.DeepEqual(nothing, outstanding{}) {
		r.Fatalf("has changed what all share that have nothing outstanding: %+v", nothing)
	}
	if s.custody.open > windowMax || len(s.custody.list) > custodyMax || len(s.queue) > queueMax || len(s.live) > liveMax {
		r.Fatalf("over a limit: %d unacknowledged, %d kept, %d waiting, %d live",
			s.custody.open, len(s.custody.list), len(s.queue), len(s.live))
	}
	if p := s.past; p != nil && len(p.gone) > goneMax {
		r.Fatalf("%d questions are remembered", len(p.gone))
	}
	if s.room < 0 || s.kept < 0 || s.queued < 0 || s.custody.size < 0 || s.custody.bytes < s.custody.size {
		r.Fatalf("bytes do not add up: %d %d %d %d %d", s.room, s.kept, s.queued, s.custody.size, s.custody.bytes)
	}
}

// sent checks a report that leaves.
func (r *rig) sent(x answer.Report) {
	if r.front == Nobody {
		r.Fatalf("sends to nobody")
	}
	if len(r.resend) > 0 {
		if x.Seq != r.resend[0] {
			r.Fatalf("sends report %d where %v are to be sent again", x.Seq, r.resend)
		}
		r.resend = r.resend[1:]
		return
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

// acknowledged checks what the neighbour behind hears: what it need not keep
// any more is with the neighbour in front, at least.
func (r *rig) acknowledged(a Ack) {
	if a.Seq != r.behind && a.Seq != 0 {
		r.Fatalf("acknowledges up to %d, not %d", a.Seq, r.behind)
	}
	for seq, x := range r.told {
		q := x.Question
		if slices.Contains(a.Unsafe, seq) || r.lost[q] || seq > a.Seq {
			continue
		}
		if missing := x.Bundle.Set.Minus(r.taken[q]); !missing.Empty() {
			r.Fatalf("says that report %d is safe, but %v of question %d are only here", seq, missing, q)
		}
		delete(r.told, seq)
	}
}

// ack takes n reports, and passes those on that keep does not hold back.
func (r *rig) ack(n int, keep func() bool) {
	if n == 0 && len(r.held) == 0 {
		return
	}
	seq := r.seq
	if len(r.way) > n {
		seq = r.way[n].Seq - 1
	}
	for _, x := range r.way[:n] {
		r.taken[x.Question] = r.taken[x.Question].Union(x.Bundle.Set)
	}
	r.held = append(r.held, r.way[:n]...)
	r.way = slices.Clone(r.way[n:])
	var still []answer.Report
	var unsafe []uint64
	for _, x := range r.held {
		if r.front != Server && keep() {
			still = append(still, x)
			unsafe = append(unsafe, x.Seq)
			continue
		}
		r.arrived[x.Question] = r.arrived[x.Question].Union(x.Bundle.Set)
	}
	r.held = still
	r.step(Acked{Seq: seq, Unsafe: unsafe})
}

func (r *rig) tell(q uint64, set answer.Set, tainted, first, final bool) {
	if !r.present {
		r.step(Behind{Present: true, Life: Life{ID: [16]byte{2}, Incarnation: 1}})
		r.present = true
	}
	r.behind++
	x := answer.Report{Seq: r.behind, Question: q, First: first, Final: final}
	if !set.Empty() {
		x.Bundle = answer.Bundle{Question: q, Set: set, Tainted: tainted, Rows: rowOf(set.Len()), Counts: answer.Counts{Passed: uint64(set.Len())}}
		r.came[q] = r.came[q].Union(set)
		r.told[x.Seq] = x
	}
	r.step(Told{x})
}

// ahead puts somebody else in front: who stood there has taken along what was
// under way and what it held.
func (r *rig) ahead(f Front) {
	r.front = f
	if f != Nobody {
		r.way, r.held = nil, nil
		r.lives++
	}
	r.step(Ahead{Front: f, Life: Life{ID: [16]byte{1}, Incarnation: uint64(r.lives)}})
}

// reconnect brings the same neighbour back; of what was under way it has n.
func (r *rig) reconnect(n int) {
	if r.front != Peer {
		return
	}
	r.step(Ahead{Front: Nobody})
	heard := r.seq
	if n < len(r.way) {
		heard = r.way[n].Seq - 1
	}
	r.held = append(r.held, r.way[:n]...)
	for _, x := range r.way[:n] {
		r.taken[x.Question] = r.taken[x.Question].Union(x.Bundle.Set)
	}
	r.way = slices.Clone(r.way[n:])
	for _, x := range r.way {
		r.resend = append(r.resend, x.Seq)
	}
	r.step(Ahead{Front: Peer, Life: Life{ID: [16]byte{1}, Incarnation: uint64(r.lives)}, Heard: heard})
}

// TestNothingIsLostOrDoubled plays any order of events. However the neighbours
// come and go, each machine's answer leaves at most once in a bundle that may
// be merged, and in the end every answer has arrived, though each neighbour in
// front takes with it what it has not passed on.
func TestNothingIsLostOrDoubled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(t)
		events := r.questionEvents()
		maps.Copy(events, r.neighbourEvents())
		t.Repeat(events)
		r.deliver()
	})
}

var (
	anyQuestion = rapid.Uint64Range(1, fresh)
	anyFlag     = rapid.Bool()
	anySlot     = rapid.Map(rapid.IntRange(0, 12), func(n int) answer.Slot { return answer.Slot(n) })
)

// questionEvents are what time, the server and the own machine do.
func (r *rig) questionEvents() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"wait": func(t *rapid.T) {
			r.now = r.now.Add(time.Duration(rapid.IntRange(0, 500).Draw(t, "ms")) * time.Millisecond)
			r.step(Tick{})
		},
		"deadline": func(t *rapid.T) {
			if d := r.s.Deadline(); !d.IsZero() && d.Sub(r.now) < life/2 {
				r.now = d
			}
			r.step(Tick{Late: time.Duration(rapid.IntRange(0, 50).Draw(t, "late")) * time.Millisecond})
		},
		"ask": func(t *rapid.T) {
			q := anyQuestion.Draw(t, "question")
			if r.asked[q].IsZero() {
				r.asked[q] = r.now.Add(24 * time.Hour)
			}
			ev := Asked{Question: Question{ID: q, Sealed: []byte{byte(q)}, Expires: r.asked[q], Hold: hold},
				From: rapid.SampledFrom([]Source{FromBehind, FromFront, FromServer}).Draw(t, "from")}
			if anyFlag.Draw(t, "again") {
				ev.Round = rapid.Uint64Range(1, 4).Draw(t, "round")
				ev.Only = answer.SetOf(self)
				r.again[q]++
			}
			r.step(ev)
		},
		"direct": func(t *rapid.T) {
			q := anyQuestion.Draw(t, "question")
			r.again[q]++
			r.step(Direct{[]uint64{q}})
		},
		"evaluate": func(t *rapid.T) {
			q := anyQuestion.Draw(t, "question")
			if r.computed[q] > 0 {
				r.came[q] = r.came[q].Union(answer.SetOf(self))
				r.step(Evaluated{Question: q, Rows: rowOf(1), Counts: answer.Counts{Passed: 1}})
			}
		},
		"forget what was kept": func(t *rapid.T) {
			for _, q := range r.s.live {
				if q.own == said {
					q.mine, q.size = mine{}, 0
				}
			}
			r.s.kept = 0
			for _, q := range r.s.live {
				r.s.kept += q.size
			}
		},
	}
}

// neighbourEvents are what the neighbours do.
func (r *rig) neighbourEvents() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"told": func(t *rapid.T) {
			set := answer.SetOf(rapid.SliceOfN(anySlot, 0, 4).Draw(t, "set")...)
			r.tell(anyQuestion.Draw(t, "question"), set, anyFlag.Draw(t, "tainted"), anyFlag.Draw(t, "first"), anyFlag.Draw(t, "final"))
		},
		"many": func(t *rapid.T) {
			for i := range rapid.IntRange(1, 2*windowMax).Draw(t, "reports") {
				r.tell(anyQuestion.Draw(t, "question"), answer.SetOf(answer.Slot(100+i)), true, false, false)
			}
		},
		"ahead": func(t *rapid.T) { r.ahead(rapid.SampledFrom([]Front{Nobody, Peer, Server}).Draw(t, "front")) },
		"behind": func(t *rapid.T) {
			if r.present = anyFlag.Draw(t, "present"); r.present {
				r.step(Behind{true, Life{ID: [16]byte{2}, Incarnation: 1}})
			} else {
				r.step(Behind{})
			}
		},
		"acked": func(t *rapid.T) {
			r.ack(rapid.IntRange(0, len(r.way)).Draw(t, "reports"), func() bool { return anyFlag.Draw(t, "held") })
		},
		"reconnect": func(t *rapid.T) { r.reconnect(rapid.IntRange(0, len(r.way)).Draw(t, "has")) },
		"joined":    func(t *rapid.T) { r.step(Joined{Slot: self}) },
	}
}

// deliver lets everything leave, and looks whether everything has.
func (r *rig) deliver() {
	r.ahead(Server)
	for range 2 * (queueMax/windowMax + fresh) {
		r.ack(len(r.way), nil)
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
		r.step(Behind{Present: true, Life: Life{ID: [16]byte{2}, Incarnation: 1}})
		r.present = true
		r.step(Asked{Question: Question{ID: 9, Sealed: []byte{9}, Expires: r.now.Add(24 * time.Hour), Hold: hold}})
		told := rapid.IntRange(0, 6).Draw(t, "told")
		at := rapid.IntRange(0, told).Draw(t, "evaluated after")
		for i := range told + 1 {
			if i == at {
				r.step(Evaluated{Question: 9, Rows: rowOf(1), Counts: answer.Counts{Passed: 1}})
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
		return s.Step(now, Asked{Question: Question{ID: id, Sealed: fmt.Append(nil, id), Expires: now.Add(life), Hold: hold}})
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
	s.Step(now, Ahead{Front: Server})
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
	s.Step(now, Acked{Seq: 1})
	s.Step(now, Ahead{Front: Nobody})
	s.Step(now, Behind{Present: true, Life: Life{Incarnation: 1}})
	for i := range queueMax + 1 {
		efs := s.Step(now, Told{answer.Report{Seq: uint64(i + 1), Question: uint64(5000 + i),
			Bundle: answer.Bundle{Question: uint64(5000 + i), Set: answer.SetOf(1), Rows: rowOf(1)}}})
		var want []uint64
		if i == queueMax {
			want = []uint64{5000}
		}
		if got := lost(efs); !reflect.DeepEqual(got, want) {
			t.Fatalf("bundle %d: lost %v, want %v", i, got, want)
		}
	}
	if first, last := s.queue[0].bundle.Question, s.queue[queueMax-1].bundle.Question; first != 5001 || last != 5000+queueMax {
		t.Errorf("bundles %d to %d wait, want %d to %d", first, last, 5001, 5000+queueMax)
	}
}

// TestKnown: what is live is named, and of what is over so much is
// remembered that it is not answered again.
func TestKnown(t *testing.T) {
	s, now := New(answer.ChainLimits), time.Unix(0, 0)
	for id := uint64(1); id <= goneMax+20; id++ {
		s.Step(now, Asked{Question: Question{ID: id, Sealed: fmt.Append(nil, id), Expires: now.Add(life), Hold: hold}})
		if id > 2 { // two stay live at a time
			s.forget(0)
		}
	}
	if got := len(s.past.gone); got != goneMax {
		t.Errorf("%d past questions are remembered", got)
	}
	for id, want := range map[uint64]bool{18: true, 19: false, goneMax: false, goneMax + 20: false, goneMax + 21: true} {
		efs := s.Step(now, Asked{Question: Question{ID: id, Sealed: []byte{1}, Expires: now.Add(life), Hold: hold}})
		if evaluated := slices.ContainsFunc(efs, func(ef Effect) bool { _, ok := ef.(Evaluate); return ok }); evaluated != want {
			t.Errorf("question %d is evaluated: %v", id, evaluated)
		}
	}
	if q, same := s.Same(fmt.Append(nil, goneMax+20)); !same || q.ID != goneMax+20 {
		t.Errorf("Same(live) = %d, %v", q.ID, same)
	}
	if _, same := s.Same(fmt.Append(nil, goneMax)); same {
		t.Error("Same must mean just the live questions")
	}
	if got, want := s.Live(2), []uint64{goneMax + 20, goneMax + 21}; !reflect.DeepEqual(got, want) {
		t.Errorf("Live(2) = %v, want %v", got, want)
	}
}
