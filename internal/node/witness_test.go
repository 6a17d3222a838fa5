package node

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/wire"
)

// wanted lets the server ask directly for the answers to questions 1 to n, which
// are there, and returns the dial of the witness.
func (r *rig) wanted(n int) Dial {
	r.Helper()
	back, fore := r.inChain()
	r.step(Got{back, wire.Answer{Report: answer.Report{Seq: 1}}})
	var direct []uint64
	for id := uint64(1); id <= uint64(n); id++ {
		direct = append(direct, id)
		r.step(Got{back, wire.Question{Sealed: r.sealed(id)}})
		r.step(Got{back, wire.Answer{Report: answer.Report{Seq: 1 + id, Question: id, First: true, Final: true}}})
		r.step(Evaluated{id, answer.Rows{}, answer.Counts{}})
		r.step(Got{fore, wire.Ack{Seq: id, Questions: []uint64{id}}})
	}
	efs := r.register(r.T, func(m *wire.Registered) { m.Direct = direct })
	dials := of[Dial](efs)
	if len(dials) != 1 || dials[0].Peer != chain.Server || dials[0].Hello.Role != wire.Witness || dials[0].Hello.Place != place(5) {
		r.Fatalf("effects are %v", efs)
	}
	return dials[0]
}

// TestWitness: what the server wants directly it gets over a connection of its
// own, numbered from 1, which is closed after the last acknowledgement.
func TestWitness(t *testing.T) {
	r := newRig(t, 1)
	d := r.wanted(3)
	sends := of[Send](r.step(Up{Conn: d.Conn}))
	want := []string{"answer 1 of [5] tainted true", "answer 2 of [5] tainted true", "answer 3 of [5] tainted true"}
	if got := said(sends); !slices.Equal(got, want) || sends[0].Conn != d.Conn {
		t.Fatalf("it says %q on %v", got, sends)
	}
	for seq := range uint64(3) {
		hangups := of[Hangup](r.step(Got{d.Conn, wire.Ack{Seq: seq + 1}}))
		if (len(hangups) == 1) != (seq == 2) {
			t.Errorf("after acknowledgement %d it hangs up %v", seq+1, hangups)
		}
	}
	if efs := r.step(Got{d.Conn, wire.Ack{Seq: 3}}); len(efs) != 0 {
		t.Errorf("what comes later has effects %v", efs)
	}
}

// TestWitnessEnds: it ends, and forgets what it had to say, when the server does
// not answer in time, says something else, or goes.
func TestWitnessEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		end     func(r *rig, c chain.Conn) []Effect
		hangups int
	}{
		"in silence": {func(r *rig, c chain.Conn) []Effect {
			r.now = r.now.Add(asideTimeout - 1)
			if efs := r.step(Tick{}); slices.Contains(of[Hangup](efs), Hangup{c}) {
				r.Error("it ends too early")
			}
			r.now = r.now.Add(1)
			return r.step(Tick{})
		}, 1},
		"with a lie":   {func(r *rig, c chain.Conn) []Effect { return r.step(Got{c, wire.Ping{}}) }, 1},
		"in a failure": {func(r *rig, c chain.Conn) []Effect { return r.step(Failed{Conn: c}) }, 0},
		"in a break":   {func(r *rig, c chain.Conn) []Effect { r.step(Up{Conn: c}); return r.step(Down{c}) }, 0},
	} {
		r := newRig(t, 1)
		d := r.wanted(1)
		n := 0
		for _, h := range of[Hangup](tt.end(r, d.Conn)) {
			if h.Conn == d.Conn {
				n++
			}
		}
		if n != tt.hangups {
			t.Errorf("%s: it hangs up %d times", name, n)
		}
		dials := of[Dial](r.register(t, func(m *wire.Registered) { m.Direct = []uint64{1} }))
		dials = slices.DeleteFunc(dials, func(d Dial) bool { return d.Hello.Role != wire.Witness })
		if len(dials) != 1 || dials[0].Conn == d.Conn {
			t.Errorf("%s: asked again it dials %v", name, dials)
			continue
		}
		if got := said(of[Send](r.step(Up{Conn: dials[0].Conn}))); fmt.Sprint(got) != "[answer 1 of [5] tainted true]" {
			t.Errorf("%s: then it says %v", name, got)
		}
	}
}

// TestWitnessLimits: so many answers wait, and none is added while the connection
// is there.
func TestWitnessLimits(t *testing.T) {
	r := newRig(t, 1)
	d := r.wanted(witnessMax + 6)
	r.node.reg.normal = r.now
	r.step(Tick{})
	m := r.reply()
	m.Direct = []uint64{1, 2}
	if dials := of[Dial](r.step(Registered{m})); len(dials) != 0 {
		t.Errorf("it dials %v beside", dials)
	}
	if n := len(of[Send](r.step(Up{Conn: d.Conn}))); n != witnessMax {
		t.Errorf("it says %d answers", n)
	}
}

// TestLateness: a timer that rings late tells how slow this machine is, but a
// pause of hours says no more than one of a second.
func TestLateness(t *testing.T) {
	r := newRig(t, 1)
	r.inChain()
	due := r.node.Deadline()
	for late, want := range map[time.Duration]time.Duration{
		-time.Second: 0, 0: 0, 300 * time.Millisecond: 300 * time.Millisecond, time.Hour: lateMax,
	} {
		if got := r.node.lateness(due.Add(late)); got != want {
			t.Errorf("%v after its time: late by %v, want %v", late, got, want)
		}
	}
}
