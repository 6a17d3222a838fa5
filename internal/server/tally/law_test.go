package tally

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"

	"pgregory.net/rapid"
)

var (
	lanA  = netip.MustParsePrefix("10.0.0.0/24")
	lanB  = netip.MustParsePrefix("10.0.1.0/24")
	start = time.Unix(1_800_000_000, 0)
	key   = answer.Key{1}
)

// says is the row that a machine gives: many give the same.
func says(slot answer.Slot) answer.Row { return key.Row([]answer.Cell{{fmt.Sprint(slot % 5)}}) }

// machine is the answer of one machine.
func machine(lim answer.Limits, slot answer.Slot) answer.Bundle {
	return answer.Bundle{
		Question: 7, Set: answer.SetOf(slot), Rows: answer.RowsOf(lim, says(slot)),
		Counts: answer.Counts{Passed: 1, Errors: uint64(slot % 2), NoResults: uint64(slot % 3 / 2), Outside: uint64(slot % 4 / 3)},
	}
}

// machines is what they say together.
func machines(lim answer.Limits, set answer.Set) answer.Bundle {
	var sum answer.Bundle
	for slot := range set.All() {
		one := machine(lim, slot)
		if sum.Set.Empty() {
			sum = one
		} else {
			sum = answer.Merge(lim, sum, one)
		}
	}
	return sum
}

// A delivery is a report as it reaches the server.
type delivery struct {
	lan    netip.Prefix
	report answer.Report
}

func drawTaint(t *rapid.T, b answer.Bundle) []answer.Bundle {
	b.Tainted = true
	return slices.Repeat([]answer.Bundle{b}, max(0, rapid.IntRange(-2, 2).Draw(t, "sent again")))
}

// drawChain draws what reaches the server from one LAN. Bundles merge along
// random trees, as they do when links break and neighbours change. Every
// bundle on the way may be sent again, tainted, any number of times; the last
// ones may arrive once, twice, only tainted, or never.
func drawChain(t *rapid.T, lim answer.Limits, lan netip.Prefix) []delivery {
	var under, arrived []answer.Bundle
	for slot := range rapid.IntRange(1, 14).Draw(t, "machines") {
		under = append(under, machine(lim, answer.Slot(slot)))
	}
	for len(under) > 1 && rapid.IntRange(0, 9).Draw(t, "goes on") > 0 {
		i := rapid.IntRange(0, len(under)-1).Draw(t, "one")
		j := rapid.IntRange(0, len(under)-2).Draw(t, "other")
		if j >= i {
			j++
		}
		arrived = append(arrived, drawTaint(t, under[i])...)
		arrived = append(arrived, drawTaint(t, under[j])...)
		under[i] = answer.Merge(lim, under[i], under[j])
		under = slices.Delete(under, j, j+1)
	}
	for _, b := range under {
		arrived = append(arrived, drawTaint(t, b)...)
		arrived = append(arrived, slices.Repeat([]answer.Bundle{b}, rapid.IntRange(0, 2).Draw(t, "arrives"))...)
	}
	var out []delivery
	for _, b := range arrived {
		r := answer.Report{Question: 7, Bundle: b}
		for range rapid.IntRange(0, 2).Draw(t, "pending") {
			r.Pending.Add(answer.Slot(rapid.IntRange(0, 13).Draw(t, "computes")))
		}
		out = append(out, delivery{lan, r})
	}
	return out
}

// A story is everything that reaches the server for one question, in order.
type story []delivery

func drawStory(t *rapid.T, lim answer.Limits) story {
	all := slices.Concat(drawChain(t, lim, lanA), drawChain(t, lim, lanB))
	if len(all) == 0 {
		return nil
	}
	return rapid.Permutation(all).Draw(t, "order")
}

// expected is 14 machines in each of the two LANs.
func expected() map[netip.Prefix]answer.Set {
	var all answer.Set
	for slot := range answer.Slot(14) {
		all.Add(slot)
	}
	return map[netip.Prefix]answer.Set{lanA: all, lanB: all}
}

// A counter is a tally, or what the controls below put in its place.
type counter interface {
	Take(time.Time, netip.Prefix, answer.Report) Verdict
	Result() Result
}

// limit is how long a sensor may run.
const limit = 10 * time.Second

func open(lim answer.Limits) *Tally {
	return New(7, start, start.Add(time.Minute), limit, lim, expected())
}

// law tells a story to a counter and says which law of docs/protocol.md §5.6
// it breaks: at every moment the rows count as many machines as are counted;
// nothing is refused; and in the end all whose answer has arrived are counted,
// with just their rows.
func law(c counter, s story) error {
	arrived, pending := map[netip.Prefix]answer.Set{}, map[netip.Prefix]answer.Set{}
	before := 0
	for i, d := range s {
		v := c.Take(start, d.lan, d.report)
		arrived[d.lan] = arrived[d.lan].Union(d.report.Bundle.Set)
		pending[d.lan] = pending[d.lan].Union(d.report.Pending)
		r := c.Result()
		if v == Refused || v == Foreign {
			return fmt.Errorf("delivery %d (%v) is %v", i, d.report.Bundle.Set, v)
		}
		if n := total(r.Rows); n != uint64(r.Answered) {
			return fmt.Errorf("after delivery %d the rows count %d machines, %d are counted", i, n, r.Answered)
		}
		if r.Answered < before {
			return fmt.Errorf("delivery %d lowers the count from %d to %d", i, before, r.Answered)
		}
		before = r.Answered
	}
	var want Progress
	var rows answer.Rows
	for lan, set := range arrived {
		b := machines(answer.ServerLimits, set)
		rows = answer.MergeRows(answer.ServerLimits, rows, b.Rows)
		want.Answered += set.Len()
		want.Pending += pending[lan].Minus(set).Len()
		want.Passed += int(b.Counts.Passed)
		want.Errors += int(b.Counts.Errors)
		want.NoResults += int(b.Counts.NoResults)
		want.Outside += int(b.Counts.Outside)
	}
	got := c.Result()
	if !sameRows(got.Rows, rows) {
		return fmt.Errorf("the rows are %v, want %v", got.Rows, rows)
	}
	got.Progress = Progress{
		Answered: got.Answered, Pending: got.Pending, Passed: got.Passed, Errors: got.Errors, NoResults: got.NoResults, Outside: got.Outside,
	}
	if got.Progress != want {
		return fmt.Errorf("progress %+v, want %+v", got.Progress, want)
	}
	return nil
}

func total(r answer.Rows) uint64 {
	n := uint64(0)
	for _, row := range r.List {
		n += row.Count
	}
	return n
}

func sameRows(a, b answer.Rows) bool {
	return a.Cut == b.Cut && slices.EqualFunc(a.List, b.List, func(x, y answer.Row) bool {
		return x.Hash == y.Hash && x.Count == y.Count
	})
}

// TestLaw: every machine whose answer arrives is counted once, whatever ways
// the answers take, and in whatever order they come.
func TestLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		if err := law(open(answer.ServerLimits), drawStory(t, answer.ChainLimits)); err != nil {
			t.Fatal(err)
		}
	})
}

// TestOrderDoesNotMatter: also where rows were left out at a limit, in the
// chains and at the server, two orders of delivery count the same machines and
// give the same rows below the cut. Where the cut lies may depend on the order:
// the parts of an answer may have kept what the whole has not.
func TestOrderDoesNotMatter(t *testing.T) {
	chain, server := answer.Limits{Rows: 3, Bytes: 1 << 10}, answer.Limits{Rows: 4, Bytes: 1 << 10}
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t, chain)
		a, b := open(server), open(server)
		for _, d := range s {
			a.Take(start, d.lan, d.report)
			a.Result() // looks at it all the time
		}
		if len(s) > 0 {
			for _, d := range rapid.Permutation(s).Draw(t, "other order") {
				b.Take(start, d.lan, d.report)
			}
		}
		x, y := a.Result(), b.Result()
		if x.Progress != y.Progress || !sameRows(below(x.Rows, y.Rows.Cut), below(y.Rows, x.Rows.Cut)) {
			t.Fatalf("one order gives\n%+v\nthe other\n%+v", x, y)
		}
		var truth answer.Rows
		for lan := range expected() {
			truth = answer.MergeRows(answer.ServerLimits, truth, machines(answer.ServerLimits, a.lans[lan].counted).Rows)
		}
		if !sameRows(x.Rows, below(truth, x.Rows.Cut)) {
			t.Fatalf("the rows are %+v, of %+v", x.Rows, truth)
		}
	})
}

// below is what a cut leaves of rows.
func below(r answer.Rows, cut uint64) answer.Rows {
	return answer.MergeRows(answer.ServerLimits, r, answer.Rows{Cut: cut})
}

// TestNeverTwice: whatever comes, be it what no honest chain would send, no
// machine is counted twice: the rows are exactly those of the counted ones.
func TestNeverTwice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ta := open(answer.ServerLimits)
		for range rapid.IntRange(1, 25).Draw(t, "bundles") {
			var set answer.Set
			for range rapid.IntRange(1, 5).Draw(t, "size") {
				set.Add(answer.Slot(rapid.IntRange(0, 9).Draw(t, "slot")))
			}
			b := machines(answer.ChainLimits, set)
			b.Tainted = rapid.Bool().Draw(t, "tainted")
			before := ta.lans[lanA].counted
			v := ta.Take(start, lanA, answer.Report{Question: 7, Bundle: b})
			counted := ta.lans[lanA].counted
			if ok := v != Refused && set.Within(counted) || v == Refused && counted.Equal(before); !ok || !before.Within(counted) {
				t.Fatalf("%v is %v: %v were counted, now %v", set, v, before, counted)
			}
			if want := machines(answer.ServerLimits, counted).Rows; !sameRows(ta.Result().Rows, want) {
				t.Fatalf("%v are counted with rows %v, want %v", counted, ta.Result().Rows, want)
			}
		}
	})
}

// TestLateRegistrations: reports may come before their machines have
// registered, as after a restart of the server. They wait, and in the end all
// are counted as if everybody had been known from the start.
func TestLateRegistrations(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStory(t, answer.ChainLimits)
		kept, inLAN := s[:0:0], map[netip.Prefix]int{}
		for _, d := range s {
			if inLAN[d.lan]++; inLAN[d.lan] <= foreignMax {
				kept = append(kept, d)
			}
		}
		late, early := New(7, start, start.Add(time.Minute), limit, answer.ServerLimits, nil), open(answer.ServerLimits)
		var steps []func()
		for _, d := range kept {
			early.Take(start, d.lan, d.report)
			steps = append(steps, func() { late.Take(start, d.lan, d.report) })
		}
		for lan, set := range expected() {
			for slot := range set.All() {
				steps = append(steps, func() { late.Expect(start, lan, slot) })
			}
		}
		for _, step := range rapid.Permutation(steps).Draw(t, "order") {
			step()
			if r := late.Result(); total(r.Rows) != uint64(r.Answered) {
				t.Fatalf("the rows count %d machines, %d are counted", total(r.Rows), r.Answered)
			}
		}
		got, want := late.Result(), early.Result()
		if !sameRows(got.Rows, want.Rows) || got.Answered != want.Answered || got.Expected != want.Expected || got.Passed != want.Passed {
			t.Fatalf("late: %+v\nearly: %+v", got, want)
		}
	})
}

// A naive counter adds whatever arrives.
type naive struct {
	*Tally
	rows answer.Rows
	sets map[netip.Prefix]answer.Set
}

func (n *naive) Take(now time.Time, lan netip.Prefix, r answer.Report) Verdict {
	n.sets[lan] = n.sets[lan].Union(r.Bundle.Set)
	n.rows = answer.MergeRows(answer.ServerLimits, n.rows, r.Bundle.Rows)
	return n.Tally.Take(now, lan, r)
}

func (n *naive) Result() Result {
	r := n.Tally.Result()
	r.Rows = n.rows
	return r
}

// A stubborn counter counts what is disjoint and never replaces: it refuses
// what it cannot place, and says that it was a duplicate.
type stubborn struct{ *Tally }

func (s stubborn) Take(now time.Time, lan netip.Prefix, r answer.Report) Verdict {
	if r.Bundle.Set.Overlaps(s.lans[lan].counted) {
		return Duplicate
	}
	return s.Tally.Take(now, lan, r)
}

// TestControls: the law above can be broken. A counter without the set rule
// breaks it, and so does one without the replacing.
func TestControls(t *testing.T) {
	stories := rapid.Custom(func(t *rapid.T) story { return drawStory(t, answer.ChainLimits) })
	const tries = 300
	broken := map[string]int{}
	for seed := range tries {
		s := stories.Example(seed)
		for name, c := range map[string]counter{
			"tally":    open(answer.ServerLimits),
			"naive":    &naive{open(answer.ServerLimits), answer.Rows{}, map[netip.Prefix]answer.Set{}},
			"stubborn": stubborn{open(answer.ServerLimits)},
		} {
			if law(c, s) != nil {
				broken[name]++
			}
		}
	}
	t.Logf("of %d stories, break the law: %v", tries, broken)
	if broken["tally"] != 0 || broken["naive"] < tries/2 || broken["stubborn"] < tries/10 {
		t.Errorf("of %d stories, break the law: %v", tries, broken)
	}
}
