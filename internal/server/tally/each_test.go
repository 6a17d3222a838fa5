package tally

import (
	"net/netip"
	"testing"
	"time"

	"catenary/internal/answer"

	"pgregory.net/rapid"
)

// drawSlots draws some machines.
func drawSlots(t *rapid.T, most int) (slots []answer.Slot) {
	return rapid.SliceOfNDistinct(rapid.Map(rapid.IntRange(0, 13), func(n int) answer.Slot { return answer.Slot(n) }), 1, most, rapid.ID).Draw(t, "machines")
}

// eachOf are the answers of single machines.
func eachOf(slots ...answer.Slot) (each []answer.Bundle) {
	for _, slot := range slots {
		b := machine(answer.ServerLimits, slot)
		if b.Counts.Errors > 0 {
			b.Failed = b.Set
		}
		each = append(each, b)
	}
	return each
}

// TestEachOnce: whatever sets reports have, however they overlap, and whatever
// of their boxes open, each machine whose box has opened is counted once, with
// its rows.
func TestEachOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		late := rapid.Bool().Draw(t, "machines register late")
		ta := open(answer.ServerLimits)
		if late {
			ta = New(7, start, start.Add(time.Minute), limit, answer.ServerLimits, nil)
		}
		var arrived answer.Set
		var known answer.Set // of those that register late
		check := func() {
			counted := arrived
			if late {
				counted = arrived.Minus(arrived.Minus(known))
			}
			want := machines(answer.ServerLimits, counted)
			got := ta.Result()
			if got.Answered != counted.Len() || !sameRows(got.Rows, want.Rows) ||
				got.Passed != int(want.Counts.Passed) || got.Errors != int(want.Counts.Errors) || got.NoResults != int(want.Counts.NoResults) {
				t.Fatalf("%v have arrived, %v are known: %+v, want %+v", arrived, known, got, want)
			}
		}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			if late && rapid.Bool().Draw(t, "one registers") {
				slot := drawSlots(t, 1)[0]
				known.Add(slot)
				ta.Expect(start, lanA, slot)
				check()
				continue
			}
			slots := drawSlots(t, 8)
			opens := rapid.IntRange(0, len(slots)).Draw(t, "open")
			before := ta.Progress().Answered
			r := answer.Report{Question: 7, Bundle: answer.Bundle{Question: 7, Set: answer.SetOf(slots...), Mode: answer.Sealed, Tainted: rapid.Bool().Draw(t, "tainted")}}
			v := ta.TakeEach(start, lanA, r, eachOf(slots[:opens]...))
			arrived = arrived.Union(answer.SetOf(slots[:opens]...))
			check()
			switch more := ta.Progress().Answered > before; {
			case opens == 0 && v != Refused, more != (v == Counted):
				t.Fatalf("of %v, %d boxes open: %v", slots, opens, v)
			}
		}
	})
}

// TestForgersAreNoNews: reports in which nothing opens do not put off that a LAN
// is asked again, nor do those that bring nothing new.
func TestForgersAreNoNews(t *testing.T) {
	ta := New(7, start, start.Add(time.Minute), limit, answer.ServerLimits, map[netip.Prefix]answer.Set{lanA: set("0 1 2")})
	hop := func(netip.Prefix) time.Duration { return time.Millisecond }
	ta.TakeEach(start, lanA, report("0", false), eachOf(0))
	at := start
	for range 15 {
		at = at.Add(100 * time.Millisecond)
		if v := ta.TakeEach(at, lanA, report("1 2", false), nil); v != Refused {
			t.Fatalf("nothing opens, and it is %v", v)
		}
		if v := ta.TakeEach(at, lanA, report("0 1", false), eachOf(0)); v != Duplicate {
			t.Fatalf("nothing is new, and it is %v", v)
		}
	}
	again := ta.Again(at.Add(100*time.Millisecond), hop)
	if len(again) != 1 || !again[0].Only.Equal(set("1 2")) {
		t.Errorf("asked again: %+v", again)
	}
}

// TestWaitingEach: of machines that do not register only so many wait.
func TestWaitingEach(t *testing.T) {
	ta := New(7, start, start.Add(time.Minute), limit, answer.ServerLimits, nil)
	for slot := range answer.Slot(waitingMax + 10) {
		for range 2 { // a second time changes nothing
			if v := ta.TakeEach(start, lanA, answer.Report{Bundle: answer.Bundle{Set: answer.SetOf(slot)}}, eachOf(slot)); v != Foreign {
				t.Fatalf("machine %d is %v", slot, v)
			}
		}
	}
	if n := len(ta.lans[lanA].foreign); n != waitingMax {
		t.Errorf("%d machines wait", n)
	}
	for slot, want := range map[answer.Slot]bool{9: false, 10: true, waitingMax + 9: true} {
		if ta.Expect(start, lanA, slot); ta.Counted(lanA, slot) != want {
			t.Errorf("machine %d is counted: %v", slot, !want)
		}
	}
}
