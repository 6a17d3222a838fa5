package tally

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"catenary/internal/answer"
)

// TestAgain tells when a LAN is asked again, and whom. Times are seconds after
// the question; the LAN has machines 0 to 9, and a hop of 1 ms makes it wait 40
// ms longer.
func TestAgain(t *testing.T) {
	hop := func(netip.Prefix) time.Duration { return time.Millisecond }
	var all answer.Set
	for slot := range answer.Slot(10) {
		all.Add(slot)
	}
	ta := New(7, start, start.Add(time.Minute), limit, answer.ServerLimits, map[netip.Prefix]answer.Set{lanA: all})
	at := func(s float64) time.Time { return start.Add(time.Duration(s * float64(time.Second))) }
	expect := func(s float64, want string) {
		t.Helper()
		got := ""
		for _, a := range ta.Again(at(s), hop) {
			got += fmt.Sprint(a.LAN, " round ", a.Round, " ", a.Only)
		}
		if want != "" {
			want = fmt.Sprint(lanA, " ", want)
		}
		if got != want {
			t.Errorf("after %v s: %q, want %q", s, got, want)
		}
	}
	r := report("0 1 2 3 4", false)
	r.Pending = set("5")
	ta.Take(at(0.2), lanA, r)
	ta.Gone(lanA, 6)
	ta.Gone(lanA, 1)          // is counted: stays so
	ta.Take(at(1.6), lanA, r) // says nothing new
	ta.Take(at(1.65), lanA, report("2 3", true))
	expect(1.73, "") // 1.5 s and 40 ms after the last news
	expect(1.75, "round 1 [7 8 9]")
	expect(4.28, "") // one second longer
	ta.Take(at(4.28), lanA, report("7", true))
	expect(6.8, "")
	expect(6.83, "round 2 [8 9]")
	ta.Expect(at(7), lanA, 6) // it has come back
	expect(10.53, "")
	expect(10.55, "round 3 [6 8 9]")
	if ta.Direct(at(11), lanA, 6) {
		t.Error("is asked directly before the chain was asked four times")
	}
	expect(15.08, "")
	expect(15.1, "round 4 [5 6 8 9]") // 5 s after its limit a sensor should have ended
	expect(60, "")
	for slot, want := range map[answer.Slot]bool{0: false, 5: true, 6: true, 7: false, 8: true, 11: false} {
		if got := ta.Direct(at(16), lanA, slot); got != want {
			t.Errorf("machine %d is asked directly: %v", slot, got)
		}
	}
	if p := ta.Progress(); p.Rounds != 4 || p.Gone != 0 || p.Expected != 10 || p.Answered != 6 || p.Pending != 1 {
		t.Errorf("progress is %+v", p)
	}
}

// TestAccounts: each machine is in just one place.
func TestAccounts(t *testing.T) {
	ta := New(7, start, start.Add(time.Minute), limit, answer.ServerLimits, map[netip.Prefix]answer.Set{lanA: set("0 1 2 3 4 5 6 7 8 9")})
	r := report("0 1 2", false)
	r.Bundle.Failed, r.Bundle.Stopped = set("1 2"), set("2")
	r.Pending = set("3 4 7")
	ta.Take(start, lanA, r)
	late := report("4", true)
	late.Bundle.Failed = set("4")
	ta.Take(start, lanA, late)
	for slot, news := range map[answer.Slot]bool{0: false, 5: true, 6: true, 7: true, 20: false} {
		if ta.Gone(lanA, slot) != news || ta.Gone(lanA, slot) {
			t.Errorf("that machine %d is gone must be news: %v", slot, news)
		}
	}
	ta.Take(start, lanA, report("6", false)) // it lived after all
	if ta.Expect(start, lanA, 6) {
		t.Error("that it registers, too, is said to be news")
	}
	ta.Withdraw(lanA, 8)
	ta.Withdraw(lanA, 0) // is counted: stays
	got := ta.Accounts()
	want := fmt.Sprint([]Account{{
		LAN: lanA, Answered: set("0 6"), Failed: set("1 4"), Stopped: set("2"), Running: set("3"), Gone: set("5 7"), Missing: set("9"),
	}})
	if fmt.Sprint(got) != want {
		t.Errorf("accounts are\n%v, want\n%v", got, want)
	}
	if !ta.Counted(lanA, 6) || ta.Counted(lanA, 5) || ta.Counted(lanB, 1) {
		t.Error("Counted is wrong")
	}
	if p := ta.Progress(); p.Expected != 7 || p.Gone != 2 || p.Answered != 5 || p.Complete() {
		t.Errorf("progress is %+v", p)
	}
	ta.Take(start, lanA, report("3", false))
	ta.Take(start, lanA, report("9", false))
	if p := ta.Progress(); !p.Complete() {
		t.Errorf("all who are there have answered, but progress is %+v", p)
	}
}
