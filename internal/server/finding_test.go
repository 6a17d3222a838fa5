package server

import (
	"net/netip"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/store"
)

// TestFindingsAreBounded: however much is forged, so much is remembered.
func TestFindingsAreBounded(t *testing.T) {
	s := startSite(t, t.TempDir())
	if err := s.do(t.Context(), func(h *hub) {
		q := &live{asked: asked{id: 1}}
		for n := range findingsMax + 5 {
			lan := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), 0}), 24)
			for i := range byte(30) {
				h.found(time.Now(), q, sign{kind: ForgedBox, lan: lan, clients: []endpoint.ID{{1, i}}, suspects: []endpoint.ID{{2, i}, {}}})
			}
		}
		if len(q.findings) != findingsMax || len(h.unwritten) != findingsMax {
			t.Errorf("%d findings, %d to be written", len(q.findings), len(h.unwritten))
		}
		if f := q.findings[0]; len(f.Clients) != accusedMax || len(f.Suspects) != accusedMax || f.Times != 30 {
			t.Errorf("one names %d clients and %d suspects, %d times", len(f.Clients), len(f.Suspects), f.Times)
		}
		clear(h.unwritten) // there is no such question
	}); err != nil {
		t.Fatal(err)
	}
	if n := s.log.count("tampered"); n != findingsMax+5*30 {
		t.Errorf("%d lines are in the log", n)
	}
}

// TestFindingsAreKept: what was found is written down, also when the server ends
// before it came to that; if the question is asked again, it goes on from there.
func TestFindingsAreKept(t *testing.T) {
	dir := t.TempDir()
	find := func(s *site, number uint64, kind Kind, client byte) {
		t.Helper()
		if err := s.do(t.Context(), func(h *hub) {
			h.found(time.Now(), h.live[number], sign{kind: kind, lan: loopback, clients: []endpoint.ID{{client}}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(s *site, question uint64, kind Kind, times int, clients ...byte) {
		t.Helper()
		list, err := s.Findings(t.Context(), question)
		if err != nil || len(list) != 1 || list[0].Kind != kind.String() || list[0].Times != times || len(list[0].Clients) != len(clients) {
			t.Errorf("found %+v, %v", list, err)
			return
		}
		for i, c := range clients {
			if list[0].Clients[i].Client != (endpoint.ID{c}) {
				t.Errorf("concerned are %v", list[0].Clients)
			}
		}
	}
	t.Run("first life", func(t *testing.T) {
		s := startSite(t, dir)
		s.joined(t)
		id := s.asks(t, "Get Computer Name from all machines", time.Hour)
		find(s, id, LowCount, 5)
		want(s, id, LowCount, 1, 5)
	})
	s := startSite(t, dir)
	want(s, 1, LowCount, 1, 5)
	var number uint64
	if err := s.do(t.Context(), func(h *hub) { number = h.numbers[1] }); err != nil || number == 1 {
		t.Fatalf("asked again as %d, %v", number, err)
	}
	find(s, number, LowCount, 6)
	want(s, 1, LowCount, 2, 5, 6)
	for written := false; !written; {
		if err := s.do(t.Context(), func(h *hub) { h.tidy(time.Now()); written = len(h.unwritten) == 0 }); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody asks the hub about a question that is closed.
	if err := s.do(t.Context(), func(h *hub) { delete(h.numbers, 1) }); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; { // the writer is at it
		list, err := s.Findings(t.Context(), 1)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("found %+v, %v", list, err)
		}
		if len(list) == 1 && list[0].Times == 2 {
			break
		}
	}
	want(s, 1, LowCount, 2, 5, 6)
	if m := (store.Machine{Client: endpoint.ID{5}, Name: "pc"}); m.String() != "pc (05000000000000000000000000000000)" {
		t.Errorf("%v", m)
	}
}
