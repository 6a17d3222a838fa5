package server

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/wire"
)

// TestWhoIsAudited: about one in a hundred and at least one of each LAN, others
// each time.
func TestWhoIsAudited(t *testing.T) {
	const lans, each = 100, 100
	slots := map[netip.Prefix]answer.Set{}
	var everybody answer.Set
	for slot := range answer.Slot(each) {
		everybody.Add(slot)
	}
	for i := range lans {
		slots[netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 0}), 24)] = everybody
	}
	chosen := func(a *audit) (all []endpoint.ID) {
		for lan := range slots {
			n := 0
			for slot := range answer.Slot(each) {
				id := endpoint.ID{2: lan.Addr().As4()[2], 15: byte(slot)}
				from, ok := a.wants(id, roster.Seat{LAN: lan, Slot: slot})
				again, still := a.wants(id, roster.Seat{LAN: lan, Slot: slot})
				if again != from || still != ok {
					t.Fatal("the second time it is asked otherwise")
				}
				if ok {
					n++
					all = append(all, id)
				}
			}
			if n == 0 {
				t.Fatalf("nobody of %v is audited", lan)
			}
		}
		return all
	}
	first, second := chosen(newAudit(slots)), chosen(newAudit(slots))
	// One of each LAN, and one in a hundred of the rest: 199, with a deviation of 10.
	for _, list := range [][]endpoint.ID{first, second} {
		if n := len(list); n < 150 || n > 250 {
			t.Errorf("%d of %d are audited", n, lans*each)
		}
	}
	same := 0
	for _, id := range first {
		if slices.Contains(second, id) {
			same++
		}
	}
	if same > 25 { // 4 by chance
		t.Errorf("%d of %d are audited both times", same, len(first))
	}
	late := netip.MustParsePrefix("10.9.9.0/24")
	if _, ok := newAudit(slots).wants(endpoint.ID{1}, roster.Seat{LAN: late, Slot: 3}); !ok {
		t.Error("nobody is audited in a LAN that came later")
	}
}

// TestJudge: an honest result agrees with all evidence, also where it was cut;
// one in which answers were left out, replaced or counted too low does not.
func TestJudge(t *testing.T) {
	key := answer.Key{1}
	row := func(n, count int) answer.Row {
		r := key.Row([]answer.Cell{{fmt.Sprint(n)}})
		r.Count = uint64(count)
		return r
	}
	refs := func(rows answer.Rows) (out []answer.Ref) {
		for _, r := range rows.List {
			out = append(out, answer.Ref{Hash: r.Hash, Count: r.Count})
		}
		return out
	}
	// Machine i has given the rows i and i+1, and row 100 twice.
	machine := func(i int) answer.Rows {
		return answer.RowsOf(answer.ChainLimits, row(i, 1), row(i+1, 1), row(100, 2))
	}
	merged := func(lim answer.Limits, of ...int) (sum answer.Rows) {
		for _, i := range of {
			sum = answer.MergeRows(lim, sum, machine(i))
		}
		return sum
	}
	tight := answer.Limits{Rows: 3, Bytes: 1 << 20}
	replaced := answer.MergeRows(answer.ChainLimits, merged(answer.ChainLimits, 1, 2), answer.RowsOf(answer.ChainLimits, row(55, 1)))
	for name, tt := range map[string]struct {
		result  answer.Rows
		audited []int
		want    Kind
	}{
		"honest":                        {merged(answer.ChainLimits, 1, 2, 3, 4), []int{1, 2, 3, 4}, 0},
		"honest, some audited":          {merged(answer.ChainLimits, 1, 2, 3, 4), []int{2, 4}, 0},
		"honest and cut":                {merged(tight, 1, 2, 3, 4), []int{1, 2, 3, 4}, 0},
		"one left out":                  {merged(answer.ChainLimits, 1, 2, 3), []int{4}, MissingRow},
		"one replaced":                  {replaced, []int{1, 2, 3}, MissingRow},
		"one left out that others hide": {merged(answer.ChainLimits, 1, 2, 4), []int{3, 4}, LowCount},
		"nothing given":                 {answer.Rows{}, nil, 0},
	} {
		a := newAudit(nil)
		got := Kind(0)
		for _, i := range tt.audited {
			got = max(got, a.judge(refs(machine(i)), tt.result))
		}
		if got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if got := newAudit(nil).judge([]answer.Ref{{Hash: row(1, 1).Hash, Count: math.MaxUint64}, {Hash: row(1, 1).Hash, Count: 2}}, merged(answer.ChainLimits, 1)); got != LowCount {
		t.Errorf("huge counts: %v", got)
	}
}

// aged lets a question be as old as it takes for an audit.
func (s *site) aged(t *testing.T, question uint64, x *speaker) {
	t.Helper()
	if err := s.do(t.Context(), func(h *hub) {
		for _, q := range h.live {
			q.issued = q.issued.Add(-auditAfter)
		}
		h.live[question].audit.one[loopback] = x.slot
	}); err != nil {
		t.Fatal(err)
	}
}

// evident registers with evidence and returns the audits that are still wanted.
func (x *speaker) evident(e ...wire.Evidence) []wire.Audit {
	x.t.Helper()
	m := x.registration()
	m.Evidence = e
	r, err := x.register(m)
	if err != nil {
		x.t.Fatal(err)
	}
	return r.Audits
}

// evidenceOf is the evidence of a bundle of one machine.
func evidenceOf(b answer.Bundle) wire.Evidence {
	e := wire.Evidence{Question: b.Question, Said: true}
	for _, r := range b.Rows.List {
		e.Rows = append(e.Rows, answer.Ref{Hash: r.Hash, Count: r.Count})
	}
	return e
}

// TestAudit: a peer that answers in another's name, or alters what it says, is
// found out by the one who is audited, and the finding names who stood between.
func TestAudit(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a, b, c := s.speaker(t), s.speaker(t), s.speaker(t)
	l := a.leads(wire.ForwardLeader)
	seq := uint64(0)
	inName := func(q wire.Letter, text string) answer.Bundle { // what a makes of b's answer
		x := *b
		return x.says(q, text)
	}
	for _, tt := range []struct {
		name     string
		arrives  func(q wire.Letter) []answer.Bundle
		evidence func(q wire.Letter) wire.Evidence
		want     Kind
		outcome  string
	}{
		{"honest", func(q wire.Letter) []answer.Bundle { return []answer.Bundle{b.says(q, "true")} },
			func(q wire.Letter) wire.Evidence { return evidenceOf(b.says(q, "true")) }, 0, "agrees"},
		{"altered", func(q wire.Letter) []answer.Bundle { return []answer.Bundle{inName(q, "false")} },
			func(q wire.Letter) wire.Evidence { return evidenceOf(b.says(q, "true")) }, MissingRow, "disagrees"},
		{"suppressed", func(q wire.Letter) []answer.Bundle { return []answer.Bundle{inName(q, ""), b.says(q, "true")} },
			func(q wire.Letter) wire.Evidence { return evidenceOf(b.says(q, "true")) }, MissingRow, "disagrees"},
		{"never brought", func(q wire.Letter) []answer.Bundle { return []answer.Bundle{c.says(q, "true")} },
			func(q wire.Letter) wire.Evidence { return evidenceOf(b.says(q, "true")) }, NotCounted, "disagrees"},
		{"does not know", func(q wire.Letter) []answer.Bundle { return []answer.Bundle{inName(q, "false")} },
			func(q wire.Letter) wire.Evidence { return wire.Evidence{Question: q.Question} }, 0, "nothing to compare"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := s.letter(t, answer.Merged)
			for _, bundle := range tt.arrives(q) {
				seq++
				deliver(t, l, seq, bundle)
			}
			if tt.want == NotCounted {
				s.askedInVain(t, q.Question)
			}
			before := s.figure(t, "catenary_audits_total", tt.outcome)
			if got := b.evident(); len(got) != 0 {
				t.Errorf("is audited at once: %v", got)
			}
			s.aged(t, q.Question, b)
			// Unasked evidence says nothing.
			audits := b.evident(wire.Evidence{Question: q.Question, Said: true, Rows: []answer.Ref{{Hash: 1, Count: 1}}})
			if i := slices.IndexFunc(audits, func(x wire.Audit) bool { return x.Question == q.Question }); i < 0 {
				t.Fatalf("audits are %v, without question %d", audits, q.Question)
			}
			m := b.registration()
			m.Fore = wire.Neighbour{Kind: endpoint.Peer, ID: c.id}
			m.Evidence = []wire.Evidence{tt.evidence(q)}
			r, err := b.register(m)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range append(r.Audits, b.evident(tt.evidence(q))...) {
				if x.Question == q.Question {
					t.Error("is audited twice")
				}
			}
			s.wantFound(t, q.Question, tt.want, b.id, a.id, c.id)
			if n := s.figure(t, "catenary_audits_total", tt.outcome); n != before+1 {
				t.Errorf("%v audits have brought %q", n-before, tt.outcome)
			}
		})
	}
	if n := s.log.count("tampered"); n != 3 {
		t.Errorf("%d findings are in the log", n)
	}
}

// wantFound checks that one thing was found about one machine, or nothing.
func (s *site) wantFound(t *testing.T, question uint64, kind Kind, about endpoint.ID, suspects ...endpoint.ID) {
	t.Helper()
	found, err := s.Findings(t.Context(), question)
	if err != nil || len(found) != min(1, int(kind)) {
		t.Fatalf("found %+v, %v", found, err)
	}
	for _, f := range found {
		for _, id := range suspects {
			if f.Kind != kind.String() || f.Question != question || !slices.Equal(idsOf(f.Clients), []endpoint.ID{about}) || !slices.Contains(idsOf(f.Suspects), id) || f.Times != 1 {
				t.Errorf("found %+v", f)
			}
			if name := f.Clients[0].Name; name != "test" || f.Clients[0].ComputerID == 0 {
				t.Errorf("the machine is %+v", f.Clients[0])
			}
		}
	}
}

func idsOf(list []store.Machine) (ids []endpoint.ID) {
	for _, m := range list {
		ids = append(ids, m.Client)
	}
	return ids
}

// TestAuditStandIn: if the one machine of a LAN that is audited has nothing to
// say, another is asked.
func TestAuditStandIn(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a, b := s.speaker(t), s.speaker(t)
	wanted := func(x *speaker, q wire.Letter, e ...wire.Evidence) bool {
		return slices.ContainsFunc(x.evident(e...), func(x wire.Audit) bool { return x.Question == q.Question })
	}
	var q wire.Letter
	for first := true; first || wanted(b, q); first = false { // once in a hundred times both are
		q = s.letter(t, answer.Merged)
		s.aged(t, q.Question, a)
	}
	if !wanted(a, q) {
		t.Fatal("nobody is audited")
	}
	if wanted(a, q, wire.Evidence{Question: q.Question}) || !wanted(b, q) {
		t.Error("nobody stands in for who has nothing to say")
	}
}

// askedInVain lets the server have asked a LAN for what is missing as often as
// it does.
func (s *site) askedInVain(t *testing.T, question uint64) {
	t.Helper()
	if err := s.do(t.Context(), func(h *hub) {
		x, _ := h.desk.Tally(question)
		at := time.Now()
		for range 4 {
			at = at.Add(time.Minute)
			x.Again(at, func(netip.Prefix) time.Duration { return 0 })
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// TestAuditOfSums: two machines that both have given a row must be counted both.
func TestAuditOfSums(t *testing.T) {
	s := startSite(t, t.TempDir())
	s.modes(t)
	a, b := s.speaker(t), s.speaker(t)
	q := s.letter(t, answer.Merged)
	sum := answer.Merge(answer.ChainLimits, a.says(q, "true"), b.says(q, "true"))
	sum.Rows.List[0].Count = 1
	deliver(t, a.leads(wire.ForwardLeader), 1, sum)
	for i, x := range []*speaker{a, b} {
		s.aged(t, q.Question, x)
		if got := x.evident(); len(got) != 1 || got[0].Question != q.Question {
			t.Fatalf("audits are %v", got)
		}
		x.evident(evidenceOf(x.says(q, "true")))
		found, err := s.Findings(t.Context(), q.Question)
		if err != nil || len(found) != i || i == 1 && found[0].Kind != LowCount.String() {
			t.Errorf("after %d of 2 audits: found %+v, %v", i+1, found, err)
		}
	}
}
