package sim

import (
	"testing"
	"time"
)

// TestTrials: no machine is ever counted twice, and none that lives is missing,
// whatever happens around a question. A hundred thousand take some five minutes
// on two cores:
//
//	catenary sim --trials 100000
func TestTrials(t *testing.T) {
	rep, err := Seeds{First: 1, Count: 3000 / slowdown, Workers: workers}.Trials(t.Context(), Control{})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(rep)
	if rep.Sum.Doubled+rep.Sum.Missing+rep.Refused > 0 {
		t.Error("a law is broken, and nobody has said so")
	}
	if rep.Within(500) > 300*time.Millisecond || rep.Within(990) > 10*time.Second {
		t.Errorf("half of the questions took %v, 99 %% took %v", rep.Within(500), rep.Within(990))
	}
}

// TestTrialsRepeat: a trial is a story that can be told again.
func TestTrialsRepeat(t *testing.T) {
	for seed := range uint64(50) {
		one, err := RunTrial(seed, Control{}, Options{})
		two, again := RunTrial(seed, Control{}, Options{})
		if err != nil || again != nil || one.Hash != two.Hash {
			t.Errorf("trial %d: %x (%v), then %x (%v)", seed, one.Hash, err, two.Hash, again)
		}
	}
}

// TestControls: what the laws rest on can be taken away, and then they are
// broken.
func TestControls(t *testing.T) {
	run := func(names string) TrialsReport {
		c, err := ParseControl(names)
		if err != nil || c.String() != names {
			t.Fatalf("control %q is %v: %v", names, c, err)
		}
		rep, err := Seeds{First: 1, Count: 600 / slowdown, Workers: workers}.Trials(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(rep)
		return rep
	}
	if got := run("no-set-rule").Sum.Doubled; got < 100/slowdown {
		t.Errorf("without the set rule %d contributions were counted twice", got)
	}
	if got := run("no-taint").Refused; got == 0 {
		t.Error("without taint no bundle was refused")
	}
	// With custody alone hardly anything is lost: 7 machines in 6,000 trials.
	lost, both := run("no-again").Sum.Missing, run("no-custody,no-again").Sum.Missing
	if slowdown == 1 && (both < 20 || both < 10*lost) { // fewer trials say nothing
		t.Errorf("without custody %d answers were lost, with it %d", both, lost)
	}
	if _, err := ParseControl("no-set-rule,none"); err == nil {
		t.Error("a control that does not exist was taken")
	}
}
