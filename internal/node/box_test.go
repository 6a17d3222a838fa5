package node

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"reflect"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/box"
	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/seal"
	"catenary/internal/wire"
)

// secretRows are what the machine has to say.
var secretRows = answer.RowsOf(answer.ChainLimits, answer.Key{}.Row([]answer.Cell{{"swordfish"}}))

// modal is a letter whose answer travels in a mode.
func (r *rig) modal(id uint64, m answer.Mode) wire.Question {
	l := r.letter(id)
	l.Mode = m
	return wire.Question{Sealed: seal.Sign(signing, seal.Question, l.Append(nil))}
}

// between puts the node, with or without a key, between 2 and 8.
func (r *rig) between(reply wire.Registered) (back, fore chain.Conn) {
	r.Helper()
	r.step(Tick{})
	for _, d := range of[Dial](r.step(Registered{reply})) {
		r.step(Up{Conn: d.Conn})
		if d.Peer == chain.PeerAt(place(2)) {
			back = d.Conn
		} else {
			fore = d.Conn
		}
	}
	return back, fore
}

// opens opens the box of a bundle as the server would, with the key of keyed.
func opens(b answer.Bundle, lan uint64, slot answer.Slot) (answer.Rows, answer.Counts, error) {
	about := box.About{Question: b.Question, Plan: sha256.Sum256([]byte{1}), Client: endpoint.ID{5}, LAN: lan, Slot: slot}
	key := seal.RegistrationKey{1}
	if len(b.Boxes) != 1 {
		return answer.Rows{}, answer.Counts{}, fmt.Errorf("%d boxes", len(b.Boxes))
	}
	if e, ok := box.EpochOf(b.Boxes[0]); !ok || e != (seal.Epoch{2}) {
		return answer.Rows{}, answer.Counts{}, fmt.Errorf("epoch %x", e)
	}
	if b.Mode == answer.Sealed {
		return box.Open(key, about, b.Boxes[0], answer.Key{})
	}
	c, err := box.DigestsOf(b.Rows).Verify(key, about, b.Boxes[0], b.Rows.Cut)
	return b.Rows, c, err
}

// TestBoxedAnswers: what leaves to a sealed question says nothing to peers, and
// what leaves to an attested one is vouched for; the server can open both.
func TestBoxedAnswers(t *testing.T) {
	for _, m := range []answer.Mode{answer.Attested, answer.Sealed} {
		r := newRig(t, 1)
		reply := r.keyed()
		reply.LAN = 77
		back, _ := r.between(reply)
		if efs := r.step(Got{back, r.modal(41, m)}); len(of[Evaluate](efs)) != 1 {
			t.Fatalf("%v: effects are %v", m, efs)
		}
		r.now = r.now.Add(10 * time.Millisecond)
		r.step(Evaluated{41, secretRows, answer.Counts{Passed: 1, Errors: 1}})
		r.now = r.now.Add(time.Second)
		sends := of[Send](r.step(Tick{}))
		if len(sends) != 1 {
			t.Fatalf("%v: sends %v", m, sends)
		}
		b := sends[0].Message.(wire.Answer).Bundle
		readable := bytes.Contains(wire.Append(nil, sends[0].Message), []byte("swordfish"))
		hidden := b.Counts == answer.Counts{} && b.Failed.Empty()
		if readable != (m == answer.Attested) || hidden != (m == answer.Sealed) || b.Mode != m || b.Tainted {
			t.Errorf("%v: peers see %+v", m, b)
		}
		rows, counts, err := opens(b, 77, 5)
		if want := (answer.Counts{Passed: 1, Errors: 1}); err != nil || counts != want || !reflect.DeepEqual(rows, secretRows) {
			t.Errorf("%v: opens to %v %+v, %v", m, rows, counts, err)
		}
		if _, _, err := opens(b, 78, 5); err == nil {
			t.Errorf("%v: opens in another LAN", m)
		}
	}
}

// TestTooMuchForABox: of a machine that says more than a box may hold, the rows
// with the smallest hashes stay.
func TestTooMuchForABox(t *testing.T) {
	r := newRig(t, 1)
	back, _ := r.between(r.keyed())
	r.step(Got{back, r.modal(41, answer.Sealed)})
	var rows []answer.Row
	for i := range 5000 {
		rows = append(rows, answer.Key{}.Row([]answer.Cell{{fmt.Sprintf("%0100d", i)}}))
	}
	r.step(Evaluated{41, answer.RowsOf(answer.ChainLimits, rows...), answer.Counts{Passed: 1}})
	r.now = r.now.Add(time.Second)
	b := of[Send](r.step(Tick{}))[0].Message.(wire.Answer).Bundle
	got, _, err := opens(b, 0, 5)
	if want := answer.RowsOf(answer.BoxLimits, rows...); err != nil || !reflect.DeepEqual(got, want) || want.Cut == 0 {
		t.Errorf("opens to %d rows cut at %x, want %d at %x: %v", len(got.List), got.Cut, len(want.List), want.Cut, err)
	}
}

// TestNoKeyYet: who has no key computes nothing for a box. It comes for a key
// over TLS, at its next slot or, if its key has run out, within seconds; then it
// answers.
func TestNoKeyYet(t *testing.T) {
	for name, ranOut := range map[string]bool{"was given none": false, "has run out": true} {
		r := newRig(t, 1)
		reply := r.reply()
		if ranOut {
			reply = r.keyed()
			reply.KeyLife = time.Second
		}
		back, _ := r.between(reply)
		r.now = r.now.Add(1500 * time.Millisecond) // before the first normal registration
		q := r.modal(41, answer.Sealed)
		efs := r.step(Got{back, q})
		if len(of[Evaluate](efs)) != 0 || len(of[Send](efs)) == 0 {
			t.Fatalf("%s: effects are %v", name, efs)
		}
		reg, after := r.sends(efs)
		if reg.Way != ByTLS || ranOut && after > keySpread {
			t.Fatalf("%s: registers by %v after %v", name, reg.Way, after)
		}
		reply = r.keyed()
		reply.Peers, reply.Back, reply.Fore = 0, nil, nil
		reply.Same = true
		if ev := of[Evaluate](r.step(Registered{reply})); len(ev) != 1 || ev[0].Letter.Question != 41 {
			t.Fatalf("%s: with the key it evaluates %v", name, ev)
		}
		if reg, _ := r.sends(nil); reg.Way != ByDatagram {
			t.Errorf("%s: then it registers by %v", name, reg.Way)
		}
	}
}

// TestKeyRunsOut: the life of a key ends while its answer is computed.
func TestKeyRunsOut(t *testing.T) {
	r := newRig(t, 1)
	reply := r.keyed()
	reply.KeyLife = 2 * time.Second
	back, _ := r.between(reply)
	if ev := of[Evaluate](r.step(Got{back, r.modal(41, answer.Sealed)})); len(ev) != 1 {
		t.Fatalf("evaluates %v", ev)
	}
	r.now = r.now.Add(3 * time.Second)
	efs := r.step(Evaluated{41, secretRows, answer.Counts{Passed: 1}})
	for _, s := range of[Send](efs) {
		if a, ok := s.Message.(wire.Answer); ok && !a.Bundle.Set.Empty() {
			t.Fatalf("answers with %+v", a)
		}
	}
	reg, _ := r.sends(efs)
	if reg.Way != ByTLS {
		t.Fatalf("registers by %v", reg.Way)
	}
	if ev := of[Evaluate](r.step(Registered{r.keyed()})); len(ev) != 1 {
		t.Errorf("with a new key it evaluates %v", ev)
	}
}

// TestForgottenQuestion: a question that ends while it waits for a key is no
// reason to come for one.
func TestForgottenQuestion(t *testing.T) {
	r := newRig(t, 1)
	back, _ := r.between(r.reply())
	r.step(Got{back, r.modal(41, answer.Sealed)})
	r.now = r.now.Add(2 * time.Minute)
	r.step(Tick{})
	if r.node.wantsKey() {
		t.Error("still waits for a key")
	}
}

// TestMovedBetween: a machine that moves to another LAN between question and
// answer speaks from where it stands.
func TestMovedBetween(t *testing.T) {
	r := newRig(t, 1)
	reply := r.keyed()
	reply.LAN = 77
	back, _ := r.between(reply)
	r.step(Got{back, r.modal(41, answer.Sealed)})
	r.sends(nil)
	reply.LAN, reply.Slot, reply.Questions = 78, 9, [][]byte{r.modal(41, answer.Sealed).Sealed}
	r.step(Registered{reply})
	r.step(Evaluated{41, secretRows, answer.Counts{Passed: 1}}) // computed for the old LAN
	r.now = r.now.Add(time.Second)
	var got []answer.Bundle
	efs := r.step(Tick{})
	for range 5 {
		for _, d := range of[Dial](efs) {
			efs = append(efs, r.step(Up{Conn: d.Conn})...)
		}
		for _, s := range of[Send](efs) {
			if a, ok := s.Message.(wire.Answer); ok && !a.Bundle.Set.Empty() {
				got = append(got, a.Bundle)
			}
		}
		r.now = r.node.Deadline()
		efs = r.step(Tick{})
	}
	if len(got) == 0 {
		t.Fatal("nothing is sent")
	}
	if _, _, err := opens(got[0], 78, 9); err != nil || !got[0].Set.Equal(answer.SetOf(9)) {
		t.Errorf("%v is sent: %v", got[0].Set, err)
	}
}

// TestEvidence: a machine that is audited says at its next registration, and
// only there, what it has answered; if it does not know for sure, that.
func TestEvidence(t *testing.T) {
	r := newRig(t, 1)
	reply := r.keyed()
	reply.Highest = 40
	back, _ := r.between(reply)
	var rows []answer.Row
	for i := range 50 {
		rows = append(rows, answer.Key{}.Row([]answer.Cell{{fmt.Sprint(i)}}))
	}
	all := answer.RowsOf(answer.ChainLimits, rows...)
	for _, id := range []uint64{40, 41, 43} {
		r.step(Got{back, wire.Question{Sealed: r.sealed(id)}})
	}
	r.step(Evaluated{40, all, answer.Counts{Passed: 1}}) // its former life may have answered
	r.step(Evaluated{41, all, answer.Counts{Passed: 1}})
	r.now = r.now.Add(time.Second)
	r.step(Tick{})
	audit := func(audits ...wire.Audit) []wire.Evidence {
		r.sends(nil)
		same := r.same()
		same.Audits = audits
		reg, _ := r.sends(r.step(Registered{same}))
		return reg.Request.Evidence
	}
	got := audit(wire.Audit{Question: 41, From: all.List[30].Hash}, wire.Audit{Question: 40})
	var want []answer.Ref
	for i := range wire.EvidenceRows {
		want = append(want, answer.Ref{Hash: all.List[(30+i)%50].Hash, Count: 1})
	}
	if len(got) != 2 || !reflect.DeepEqual(got[0], wire.Evidence{Question: 41, Said: true, Rows: want}) || got[1].Said {
		t.Errorf("evidence is %+v", got)
	}
	r.step(Registered{r.same()})
	if reg, _ := r.sends(nil); len(reg.Request.Evidence) != 0 {
		t.Errorf("it says %+v once more", reg.Request.Evidence)
	}
	for name, id := range map[string]uint64{"not answered yet": 43, "not heard of": 99} {
		if got := audit(wire.Audit{Question: id}); len(got) != 1 || got[0].Said || len(got[0].Rows) != 0 {
			t.Errorf("%s: evidence is %+v", name, got)
		}
		r.step(Registered{r.same()})
	}
}

// TestLeaderWithoutKey: a leader, which registers on its connection and would
// never get a key there, comes over TLS for one.
func TestLeaderWithoutKey(t *testing.T) {
	r := newRig(t, 1)
	reply := r.reply()
	reply.Back, reply.Fore = nil, nil
	r.step(Tick{})
	var server chain.Conn
	for _, d := range of[Dial](r.step(Registered{reply})) {
		if r.step(Up{Conn: d.Conn}); d.Hello.Role == wire.BackwardLeader {
			server = d.Conn
		}
	}
	if reg, _ := r.sends(nil); reg.Way != ByLeader {
		t.Fatalf("without a question it registers by %v", reg.Way)
	}
	r.step(Registered{r.same()})
	r.step(Got{server, r.modal(41, answer.Sealed)})
	reg, _ := r.sends(nil)
	if reg.Way != ByTLS {
		t.Fatalf("with a question it registers by %v", reg.Way)
	}
	same := r.keyed()
	same.Same = true
	if ev := of[Evaluate](r.step(Registered{same})); len(ev) != 1 {
		t.Errorf("with the key it evaluates %v", ev)
	}
	if reg, _ := r.sends(nil); reg.Way != ByLeader {
		t.Errorf("then it registers by %v", reg.Way)
	}
}

// TestQuestionWhileRegistering: a question that wants a key while a registration is
// under way that brings none is not left until the next slot.
func TestQuestionWhileRegistering(t *testing.T) {
	r := newRig(t, 1)
	reply := r.keyed()
	reply.Back, reply.Fore, reply.KeyLife = nil, nil, 20*time.Second
	r.step(Tick{})
	var server chain.Conn
	for _, d := range of[Dial](r.step(Registered{reply})) {
		if r.step(Up{Conn: d.Conn}); d.Hello.Role == wire.BackwardLeader {
			server = d.Conn
		}
	}
	r.sends(nil)
	r.sends(r.step(Registered{r.same()})) // the key's life is over by now
	r.step(Got{server, r.modal(41, answer.Sealed)})
	came := r.now
	reg, _ := r.sends(r.step(Registered{r.same()}))
	if wait := r.now.Sub(came); wait > keySpread || reg.Way != ByTLS {
		t.Errorf("after %v it registers by %v", wait, reg.Way)
	}
}
