package store

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func someFinding(question uint64, kind string) Finding {
	return Finding{
		Question: question, Kind: kind, LAN: netip.MustParsePrefix("10.0.1.0/24"),
		Clients:  []Machine{{endpoint.ID{1}, 1<<32 - 1, "pc-1"}},
		Suspects: []Machine{{endpoint.ID{2}, 2, "<pc>"}, {Client: endpoint.ID{3}}},
		First:    noon, Last: noon.Add(time.Second), Times: 2, Because: "it's wrong",
	}
}

// TestFindings: what was found is there as it was last known, until its question
// is removed.
func TestFindings(t *testing.T) { storetest.Each(t, testFindings) }

func testFindings(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	for range 3 {
		_, err := s.CreateQuestion(ctx, Question{Text: "q", Issued: noon, Expires: noon})
		must(t, err)
	}
	first, second, third := someFinding(1, "forged_box"), someFinding(2, "forged_row"), someFinding(2, "forged_box")
	third.Clients, third.Because = nil, ""
	must(t, s.KeepFindings(ctx, []Finding{first, second}))
	must(t, s.KeepFindings(ctx, []Finding{third}))
	first.Times, first.Last, first.Suspects = 9, noon.Add(time.Minute), first.Suspects[:1]
	must(t, s.KeepFindings(ctx, []Finding{first}))

	want := func(question uint64, offset, limit, total int, all ...Finding) {
		t.Helper()
		list, n, err := s.Findings(ctx, question, offset, limit)
		must(t, err)
		same(t, list, all)
		same(t, n, total)
	}
	want(0, 0, 10, 3, third, second, first)
	want(0, 1, 1, 3, second)
	want(2, 0, 10, 2, third, second)
	want(1, 0, 10, 1, first)
	want(3, 0, 10, 0)
	wantKind(t, s.KeepFindings(ctx, []Finding{someFinding(99, "forged_box")}), fault.NotFound, "1 findings")

	must(t, s.CloseQuestion(ctx, 2, noon, Answer{}))
	_, err := s.DeleteQuestions(ctx, noon.Add(time.Second))
	must(t, err)
	want(0, 0, 10, 1, first)
}

// TestFindingsAreBounded: the oldest go.
func TestFindingsAreBounded(t *testing.T) { storetest.Each(t, testFindingsAreBounded) }

func testFindingsAreBounded(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	id, err := s.CreateQuestion(t.Context(), Question{Text: "q", Issued: noon, Expires: noon})
	must(t, err)
	var list []Finding
	for n := range findingsMax + 5 {
		list = append(list, someFinding(id, fmt.Sprint(n)))
	}
	must(t, s.KeepFindings(t.Context(), list))
	oldest, total, err := s.Findings(t.Context(), 0, findingsMax-1, 10)
	must(t, err)
	if total != findingsMax || len(oldest) != 1 || oldest[0].Kind != "5" {
		t.Errorf("%d are kept, the oldest is %+v", total, oldest)
	}
}
