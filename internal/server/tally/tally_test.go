package tally

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
)

// set reads slots as "1 2 3".
func set(text string) answer.Set {
	var s answer.Set
	for _, f := range strings.Fields(text) {
		var slot answer.Slot
		if _, err := fmt.Sscan(f, &slot); err != nil {
			panic(err)
		}
		s.Add(slot)
	}
	return s
}

func report(slots string, tainted bool) answer.Report {
	b := machines(answer.ChainLimits, set(slots))
	b.Tainted = tainted
	return answer.Report{Question: 7, Bundle: b}
}

// TestSetRule is the rule of docs/protocol.md §5.6, case by case. A bundle is
// written as its slots; "~" before it: tainted.
func TestSetRule(t *testing.T) {
	for _, tt := range []struct{ name, story string }{
		{"disjoint", "1 2: counted; 3: counted; ~4: counted = 1 2 3 4"},
		{"twice", "1 2: counted; 1 2: duplicate; ~1 2: duplicate = 1 2"},
		{"part of what is counted", "1 2 3: counted; ~1 2: duplicate; ~3: duplicate = 1 2 3"},
		{"tainted twice", "~1: counted; ~1: duplicate = 1"},
		{"tainted, then the whole", "~1: counted; 1 2: replaced = 1 2"},
		{"two tainted, then the whole", "~1: counted; ~2: counted; 1 2 3: replaced = 1 2 3"},
		{"tainted in tainted", "~1: counted; ~1 2: replaced; ~1 2 3: replaced; 1 2 3 4: replaced = 1 2 3 4"},
		{"the whole was counted as tainted", "~1 2: counted; 1 2: duplicate = 1 2"},
		{"untainted inside", "1: counted; 1 2: refused = 1"},
		{"tainted across", "~1 2: counted; 2 3: refused = 1 2"},
		{"untainted across", "1 2: counted; ~2 3: refused = 1 2"},
		{"one tainted inside, one untainted", "~1: counted; 2: counted; 1 2 3: refused = 1 2"},
		{"one tainted inside, one across", "~1: counted; ~2 4: counted; 1 2 3: refused = 1 2 4"},
		{"after a refusal", "1: counted; 1 2: refused; ~2: counted = 1 2"},
		{"a stranger", "99: foreign; 1 99: foreign; 1: counted = 1"},
		{"nobody", ": duplicate = "},
	} {
		ta := open(answer.ServerLimits)
		steps, counted, _ := strings.Cut(tt.story, "=")
		for step := range strings.SplitSeq(steps, ";") {
			slots, want, _ := strings.Cut(step, ":")
			slots, tainted := strings.CutPrefix(strings.TrimSpace(slots), "~")
			if got := ta.Take(start, lanA, report(slots, tainted)); got.String() != strings.TrimSpace(want) {
				t.Errorf("%s: %q is %v, want %s", tt.name, step, got, want)
			}
		}
		whole := machines(answer.ServerLimits, set(counted))
		r := ta.Result()
		if !sameRows(r.Rows, whole.Rows) || r.Answered != whole.Set.Len() ||
			r.Passed != int(whole.Counts.Passed) || r.Errors != int(whole.Counts.Errors) || r.NoResults != int(whole.Counts.NoResults) {
			t.Errorf("%s: %+v, want the machines %v", tt.name, r, whole.Set)
		}
	}
}

// TestForeign: a leader speaks for its own LAN only.
func TestForeign(t *testing.T) {
	ta := open(answer.ServerLimits)
	before := ta.Result()
	if v := ta.Take(start, netip.MustParsePrefix("10.9.9.0/24"), report("1", false)); v != Foreign {
		t.Errorf("a bundle of an unknown LAN is %v", v)
	}
	if v := ta.Take(start, lanA, report("14", false)); v != Foreign {
		t.Errorf("a bundle of a machine that was not asked is %v", v)
	}
	if after := ta.Result(); after.Progress != before.Progress || len(after.Rows.List) != 0 {
		t.Errorf("strangers change the tally to %+v", after)
	}
	// Slots of two LANs have nothing to do with each other.
	if a, b := ta.Take(start, lanA, report("1 2", false)), ta.Take(start, lanB, report("2 3", false)); a != Counted || b != Counted {
		t.Errorf("%v in one LAN, %v in the other", a, b)
	}
	if r := ta.Result(); r.Answered != 4 || r.Expected != 28 {
		t.Errorf("%d of %d have answered, want 4 of 28", r.Answered, r.Expected)
	}
}

// TestForeignWaits: a bundle that names machines which are not registered is
// counted when the last of them is; only so many wait, the newest ones.
func TestForeignWaits(t *testing.T) {
	ta := open(answer.ServerLimits)
	for _, slots := range []string{"1 20", "30 31"} {
		if v := ta.Take(start, lanA, report(slots, false)); v != Foreign {
			t.Fatalf("%s is %v", slots, v)
		}
	}
	ta.Expect(start, lanA, 30)
	if r := ta.Result(); r.Answered != 0 || r.Reports != 0 {
		t.Errorf("counted too early: %+v", r.Progress)
	}
	ta.Expect(start, lanA, 20)
	if r := ta.Result(); r.Answered != 2 || r.Reports != 1 || total(r.Rows) != 2 {
		t.Errorf("%+v, want the machines 1 and 20", r.Progress)
	}
	for slot := range foreignMax { // the one of 30 and 31 has to go
		ta.Take(start, lanA, report(fmt.Sprint(100+slot), false))
	}
	ta.Expect(start, lanA, 31)
	ta.Expect(start, lanA, 100)
	if r := ta.Result(); r.Answered != 3 || r.Reports != 2 || len(ta.lans[lanA].foreign) != foreignMax-1 {
		t.Errorf("%+v, want the machines 1, 20 and 100, and that the rest waits", r.Progress)
	}
}

// TestExpect: a machine that registers later is expected from then on, and may
// answer.
func TestExpect(t *testing.T) {
	lan := netip.MustParsePrefix("10.9.9.0/24")
	ta := open(answer.ServerLimits)
	version := ta.Progress().Version
	ta.Expect(start, lan, 3)
	ta.Expect(start, lanA, 20)
	if p := ta.Progress(); p.Expected != 30 || p.Version != version+2 {
		t.Errorf("%+v", p)
	}
	ta.Expect(start, lanA, 20)
	ta.Expect(start, lanA, 1)
	if p := ta.Progress(); p.Expected != 30 || p.Version != version+2 {
		t.Errorf("expecting a machine again: %+v", p)
	}
	for l, slots := range map[netip.Prefix]string{lan: "3", lanA: "1 20"} {
		if v := ta.Take(start, l, report(slots, false)); v != Counted {
			t.Errorf("%s of %v is %v", slots, l, v)
		}
	}
}

// TestExpectKeepsItsCallersSet: the sets that New was given stay as they were.
func TestExpectKeepsItsCallersSet(t *testing.T) {
	given := expected()
	ta := New(7, start, start, limit, answer.ServerLimits, given)
	ta.Expect(start, lanA, 40)
	if given[lanA].Has(40) {
		t.Error("the caller's set has changed")
	}
}

func TestProgress(t *testing.T) {
	ta := New(7, start, start.Add(time.Minute), limit, answer.ServerLimits, map[netip.Prefix]answer.Set{lanA: set("0 1 2")})
	if p := ta.Progress(); p.Question != 7 || !p.Issued.Equal(start) || !ta.Expires().Equal(start.Add(time.Minute)) || !p.Expires.Equal(ta.Expires()) || p.Version == 0 {
		t.Errorf("%+v", p)
	}
	r := report("0", false)
	r.Pending = set("0 1 50") // 0 has answered meanwhile, 50 is a stranger
	ta.Take(start, lanA, r)
	p := ta.Progress()
	if p.Pending != 1 || p.Reports != 1 || p.Answered != 1 || p.Complete() {
		t.Errorf("%+v", p)
	}
	ta.Take(start, lanA, answer.Report{Question: 7, Pending: set("2")})
	if p := ta.Progress(); p.Pending != 2 || p.Reports != 2 {
		t.Errorf("a report without a bundle: %+v", p)
	}
	ta.Take(start, lanA, report("1 2", false))
	if p := ta.Progress(); p.Pending != 0 || p.Answered != 3 || !p.Complete() {
		t.Errorf("%+v", p)
	}
	if (Progress{}).Complete() {
		t.Error("a question to nobody is complete")
	}
}

// TestResultIsKept: who looks twice gets the same, and what one has looked at
// does not change any more.
func TestResultIsKept(t *testing.T) {
	ta := open(answer.ServerLimits)
	ta.Take(start, lanA, report("0 1 2", false))
	first := ta.Result()
	again := ta.Result()
	if first.Progress != again.Progress || &first.Rows.List[0] != &again.Rows.List[0] {
		t.Error("the rows are merged twice for one look")
	}
	want := fmt.Sprint(first)
	ta.Take(start, lanA, report("3 4 5 6 7", false))
	ta.Take(start, lanB, report("3 4 5", true))
	second := ta.Result()
	ta.Take(start, lanB, report("3 4 5 6", false))
	if got := ta.Result(); fmt.Sprint(first) != want || second.Answered != 11 || got.Answered != 12 || got.Version != second.Version+1 {
		t.Errorf("first %v (was %s), then %+v and %+v", first, want, second.Progress, got.Progress)
	}
}

// chains are the answers of 1,000 chains with 100 machines and rows each.
func chains(row func(chain, i int) uint64) (map[netip.Prefix]answer.Set, []delivery) {
	all := map[netip.Prefix]answer.Set{}
	var out []delivery
	var hundred answer.Set
	for slot := range answer.Slot(100) {
		hundred.Add(slot)
	}
	for chain := range 1000 {
		lan := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(chain >> 8), byte(chain), 0}), 24)
		all[lan] = hundred
		rows := make([]answer.Row, 100)
		for i := range rows {
			text := binary.BigEndian.AppendUint64(nil, row(chain, i))
			rows[i] = key.Row([]answer.Cell{{string(text)}, {"a second column"}})
		}
		out = append(out, delivery{lan, answer.Report{Question: 7, Bundle: answer.Bundle{
			Question: 7, Set: hundred, Rows: answer.RowsOf(answer.ChainLimits, rows...), Counts: answer.Counts{Passed: 100},
		}}})
	}
	return all, out
}

// BenchmarkQuestion is all that the server does to count one question over
// 100,000 machines and to show the result: once at the end, or ten times on
// the way.
func BenchmarkQuestion(b *testing.B) {
	for _, bb := range []struct {
		name  string
		row   func(chain, i int) uint64
		looks int
	}{
		{"same rows in all chains/1 look", func(_, i int) uint64 { return uint64(i) }, 1},
		{"every row unique/1 look", func(chain, i int) uint64 { return uint64(chain*100 + i) }, 1},
		{"every row unique/10 looks", func(chain, i int) uint64 { return uint64(chain*100 + i) }, 10},
	} {
		all, deliveries := chains(bb.row)
		b.Run(bb.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				ta := New(7, start, start, limit, answer.ServerLimits, all)
				for i, d := range deliveries {
					ta.Take(start, d.lan, d.report)
					if (i+1)%(len(deliveries)/bb.looks) == 0 {
						ta.Result()
					}
				}
				if r := ta.Result(); r.Answered != 100_000 || total(r.Rows) != 100_000 {
					b.Fatalf("%d counted, in rows %d", r.Answered, total(r.Rows))
				}
			}
		})
	}
}
