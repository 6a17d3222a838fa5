package sweep

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catenary/internal/answer"
)

// A post is a sweep at slot 5 between two neighbours, in the middle of a
// question with sealed answers.
type post struct {
	s    *Sweep
	now  time.Time
	told uint64
	out  []answer.Report // that have left
	acks Ack             // the last
	runs int             // how often it was asked to evaluate
}

const question7 = 7

func newPost() *post {
	p := &post{s: New(answer.ChainLimits), now: time.Unix(0, 0)}
	p.step(Joined{Slot: self})
	p.step(Ahead{Front: Peer, Life: Life{ID: [16]byte{9}}})
	p.step(Behind{true, Life{ID: [16]byte{1}}})
	p.step(Asked{Question: Question{ID: question7, Expires: p.now.Add(life), Hold: hold, Mode: answer.Sealed}})
	return p
}

func (p *post) step(ev Event) {
	for _, ef := range p.s.Step(p.now, ev) {
		switch ef := ef.(type) {
		case Send:
			p.out = append(p.out, ef.Report)
		case Ack:
			p.acks = ef
		case Evaluate:
			p.runs++
		}
	}
}

// sealed is a bundle whose boxes have so many bytes each.
func sealed(bytes int, slots ...answer.Slot) answer.Bundle {
	b := answer.Bundle{Question: question7, Set: answer.SetOf(slots...), Mode: answer.Sealed}
	for _, s := range slots {
		b.Boxes = append(b.Boxes, answer.Box{Slot: s, Bytes: make([]byte, bytes)})
	}
	return b
}

func (p *post) hear(b answer.Bundle, final bool) {
	p.told++
	p.step(Told{answer.Report{Seq: p.told, Question: question7, Bundle: b, Final: final}})
}

// acknowledged lets the neighbour in front take what there is.
func (p *post) acknowledged() {
	for n := -1; n != len(p.out); {
		n = len(p.out)
		if n > 0 {
			p.step(Acked{Seq: p.out[n-1].Seq})
		}
	}
}

// sets are those of what has left, tainted ones with a mark.
func (p *post) sets() (all []string) {
	for _, r := range p.out {
		mark := ""
		if r.Bundle.Tainted {
			mark = " tainted"
		}
		if !r.Bundle.Set.Empty() {
			all = append(all, r.Bundle.Set.String()+mark)
		}
	}
	return all
}

func (p *post) wantSets(t *testing.T, want ...string) {
	t.Helper()
	if got := p.sets(); !slices.Equal(got, want) {
		t.Errorf("what left is of %q, want %q", got, want)
	}
}

// TestBoxesThatFit merge, with the own one, as everything does.
func TestBoxesThatFit(t *testing.T) {
	p := newPost()
	p.hear(sealed(1000, 1, 2), false)
	p.hear(sealed(1000, 3), true)
	p.wantSets(t)
	p.step(Evaluated{Question: question7, Box: sealed(1000, self).Boxes[0]})
	p.wantSets(t, "[1 2 3 5]")
	if b := p.out[0].Bundle; len(b.Boxes) != 4 || b.Boxes[3].Slot != self || !p.out[0].Final {
		t.Errorf("what left is %+v", p.out[0])
	}
}

// TestBoxesThatDoNotFit travel apart, each untainted: nothing is left out.
func TestBoxesThatDoNotFit(t *testing.T) {
	const large = 400 << 10
	p := newPost()
	p.hear(sealed(large, 1, 2), false)
	p.hear(sealed(large, 3), false)
	p.wantSets(t, "[1 2]") // cannot take in what came after it
	p.hear(sealed(large, 4), true)
	p.step(Evaluated{Question: question7, Box: sealed(large, self).Boxes[0]})
	p.acknowledged()
	p.wantSets(t, "[1 2]", "[3 4]", "[5]")
	if p.acks.Seq != 3 || len(p.acks.Unsafe) != 0 {
		t.Errorf("behind hears %+v, want that all is safe", p.acks)
	}
	// A neighbour in front that goes may take some with it: they are sent again,
	// each as it was, and tainted.
	p = newPost()
	p.hear(sealed(large, 1, 2), false)
	p.hear(sealed(large, 3), true)
	p.step(Ahead{Front: Peer, Life: Life{ID: [16]byte{8}}})
	p.wantSets(t, "[1 2]", "[1 2] tainted")
}

// TestOtherMode: what is not in the question's mode is passed along and spoils
// nothing.
func TestOtherMode(t *testing.T) {
	p := newPost()
	plain := answer.BundleOf(question7, 1, rowOf(1), answer.Counts{Passed: 1})
	p.hear(plain, false)
	attested := plain.Boxed(answer.Attested, answer.Box{Bytes: []byte("box")})
	attested.Set, attested.Boxes[0].Slot = answer.SetOf(2), 2
	p.hear(attested, false)
	p.hear(sealed(10, 3), true)
	p.step(Evaluated{Question: question7, Box: sealed(10, self).Boxes[0]})
	p.wantSets(t, "[1] tainted", "[2] tainted", "[3 5]")
}

// TestBoxAgain: a box that is asked for again is made anew.
func TestBoxAgain(t *testing.T) {
	p := newPost()
	p.hear(answer.Bundle{}, true)
	box := func(text string) answer.Box { return answer.Box{Bytes: []byte(text)} }
	p.step(Evaluated{Question: question7, Box: box("first")})
	again := func(round uint64) {
		p.step(Asked{Question: Question{ID: question7}, Round: round, Only: answer.SetOf(self)})
	}
	again(1)
	again(2) // while it computes
	if p.runs != 2 || p.s.kept != 0 {
		t.Errorf("evaluates %d times, keeps %d bytes", p.runs, p.s.kept)
	}
	p.step(Evaluated{Question: question7, Box: box("second")})
	p.wantSets(t, "[5]", "[5] tainted")
	if b := p.out[1].Bundle.Boxes; string(b[0].Bytes) != "second" || b[0].Slot != self {
		t.Errorf("the second time it says %+v", b)
	}
}

// TestNoBoxIsLost: however large the boxes, each that came leaves once, in a
// bundle within the limits.
func TestNoBoxIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := newPost()
		var came answer.Set
		slot := answer.Slot(10)
		for range rapid.IntRange(1, 12).Draw(t, "bundles") {
			var slots []answer.Slot
			for range rapid.IntRange(1, 5).Draw(t, "machines") {
				slots = append(slots, slot)
				slot++
			}
			came = came.Union(answer.SetOf(slots...))
			p.hear(sealed(rapid.IntRange(1, 128<<10).Draw(t, "size"), slots...), false)
			if rapid.Bool().Draw(t, "acknowledged") && len(p.out) > 0 {
				p.step(Acked{Seq: p.out[len(p.out)-1].Seq})
			}
		}
		p.now = p.now.Add(hold + stuck)
		p.step(Tick{})
		p.acknowledged()
		var left answer.Set
		for _, r := range p.out {
			b := r.Bundle
			if b.Tainted || b.Set.Overlaps(left) || b.Size() > answer.ChainLimits.Bytes || len(b.Boxes) != b.Set.Len() {
				t.Fatalf("%v leaves after %v: tainted %v, %d bytes, %d boxes", b.Set, left, b.Tainted, b.Size(), len(b.Boxes))
			}
			left = left.Union(b.Set)
		}
		if !left.Equal(came) || p.s.room != 0 || p.s.queued != 0 {
			t.Fatalf("%v came, %v left; %d and %d bytes wait", came, left, p.s.room, p.s.queued)
		}
	})
}

// TestAnewIsTainted: what is computed anew was said before, be it by itself: a
// client that has registered again meanwhile says it by itself, too.
func TestAnewIsTainted(t *testing.T) {
	p := &post{s: New(answer.ChainLimits), now: time.Unix(0, 0)}
	p.step(Joined{Slot: self})
	p.step(Ahead{Front: Peer, Life: Life{ID: [16]byte{9}}})
	p.now = p.now.Add(strangerAfter + time.Second)
	q := Question{ID: question7, Expires: p.now.Add(life), Hold: hold, Mode: answer.Sealed}
	p.step(Asked{Question: q})
	p.step(Evaluated{Question: question7, Box: answer.Box{Bytes: []byte("first")}})
	p.step(Joined{Slot: self})
	p.step(Asked{Question: q, Round: 1, Only: answer.SetOf(self)})
	p.step(Evaluated{Question: question7, Box: answer.Box{Bytes: []byte("second")}})
	p.wantSets(t, "[5] tainted", "[5] tainted")
}

// TestBoxDirect: a box that the server wants past the chain is made anew for it,
// and goes along the chain as well.
func TestBoxDirect(t *testing.T) {
	p := newPost()
	p.hear(answer.Bundle{}, true)
	p.step(Evaluated{Question: question7, Box: answer.Box{Bytes: []byte("first")}})
	p.step(Direct{[]uint64{question7}})
	p.step(Direct{[]uint64{question7}}) // while it computes
	if p.runs != 2 {
		t.Fatalf("evaluates %d times", p.runs)
	}
	var witnessed []answer.Bundle
	for _, ef := range p.s.Step(p.now, Evaluated{Question: question7, Box: answer.Box{Bytes: []byte("second")}}) {
		switch ef := ef.(type) {
		case Witness:
			witnessed = append(witnessed, ef.Report.Bundle)
		case Send:
			p.out = append(p.out, ef.Report)
		}
	}
	if len(witnessed) != 1 || !witnessed[0].Tainted || string(witnessed[0].Boxes[0].Bytes) != "second" {
		t.Errorf("the server is given %+v", witnessed)
	}
	p.wantSets(t, "[5]", "[5] tainted")
}
