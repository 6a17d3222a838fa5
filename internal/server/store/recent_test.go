package store

import (
	"fmt"
	"testing"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/store/storetest"
)

func said(computer uint32, at time.Time, text string) RecentAnswer {
	return RecentAnswer{ComputerID: computer, Question: uint64(at.Unix()), Answered: at, Cells: [][]string{{fmt.Sprint(computer)}, {text, "é\x01"}}}
}

// TestRecentAnswers: of each machine the last answer is there, in each scope by
// itself, until it is of another shape or too old.
func TestRecentAnswers(t *testing.T) { storetest.Each(t, testRecentAnswers) }

func testRecentAnswers(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	all, some := SavedScope{SavedQuestion: 1}, SavedScope{1, "within 7"}
	const shape = 1<<64 - 5
	later := noon.Add(time.Hour)
	must(t, s.KeepRecent(ctx, all, shape, []RecentAnswer{said(1, noon, "a"), said(1<<32-1, noon, "b")}))
	must(t, s.KeepRecent(ctx, some, shape, []RecentAnswer{said(1, noon, "c")}))
	must(t, s.KeepRecent(ctx, all, shape, []RecentAnswer{said(2, later, "d"), said(1<<32-1, later, "e")}))
	must(t, s.KeepRecent(ctx, all, shape, []RecentAnswer{said(2, noon, "earlier")}))
	want := func(of SavedScope, shape uint64, list ...RecentAnswer) {
		t.Helper()
		got, err := s.RecentAnswers(ctx, of, shape)
		must(t, err)
		same(t, got, list)
	}
	want(all, shape, said(2, later, "d"), said(1<<32-1, later, "e"), said(1, noon, "a"))
	want(some, shape, said(1, noon, "c"))
	want(all, shape+1)
	want(SavedScope{SavedQuestion: 2}, shape)

	last := func(saved int64, shape uint64, since time.Time, list ...RecentAnswer) {
		t.Helper()
		got, err := s.LastAnswers(ctx, saved, shape, since)
		must(t, err)
		same(t, got, list)
	}
	must(t, s.KeepRecent(ctx, some, shape, []RecentAnswer{said(1, noon.Add(time.Second), "c"), said(2, noon, "earlier"), said(3, noon, "f")}))
	last(1, shape, noon, said(2, later, "d"), said(1<<32-1, later, "e"), said(1, noon.Add(time.Second), "c"), said(3, noon, "f"))
	last(1, shape, later, said(2, later, "d"), said(1<<32-1, later, "e"))
	last(1, shape+1, noon)
	last(2, shape, noon)

	must(t, s.ForgetRecent(ctx, noon.Add(time.Minute)))
	want(all, shape, said(2, later, "d"), said(1<<32-1, later, "e"))
	want(some, shape)
	must(t, s.KeepRecent(ctx, all, 5, []RecentAnswer{said(9, later, "other")}))
	want(all, shape)
	want(all, 5, said(9, later, "other"))
	two := SavedScope{SavedQuestion: 2}
	must(t, s.KeepRecent(ctx, two, 5, []RecentAnswer{said(1, noon, "a")}))
	must(t, s.KeepRecent(ctx, SavedScope{1, "x"}, 5, []RecentAnswer{said(1, noon, "a"), said(2, later, "b")}))
	must(t, s.ForgetRecentOf(ctx, 1, later))
	want(SavedScope{1, "x"}, 5, said(2, later, "b"))
	want(all, 5, said(9, later, "other"))
	want(two, 5, said(1, noon, "a"))
}

func TestTrend(t *testing.T) { storetest.Each(t, testTrend) }

func testTrend(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	of := SavedScope{SavedQuestion: 3}
	point := func(id uint64) TrendPoint {
		return TrendPoint{Question: id, Closed: noon.Add(time.Duration(id) * time.Minute), Expected: 5, Answered: 4, Passed: 3, Errors: 1, Rows: 2, Top: []TrendRow{{7, []string{"a", "b"}, 2}}}
	}
	for id := range uint64(4) {
		must(t, s.AddTrend(ctx, of, point(id+1)))
	}
	must(t, s.AddTrend(ctx, of, point(4))) // once more: word of it was lost
	must(t, s.AddTrend(ctx, SavedScope{3, "within 1"}, point(9)))
	list, n, err := s.Trend(ctx, of, 1, 2)
	must(t, err)
	same(t, list, []TrendPoint{point(3), point(2)})
	same(t, n, 4)
	must(t, s.ForgetRecent(ctx, noon.Add(3*time.Minute)))
	_, n, err = s.Trend(ctx, of, 0, 10)
	must(t, err)
	same(t, n, 2)
}

func TestSavedScopeOf(t *testing.T) { storetest.Each(t, testSavedScopeOf) }

func testSavedScopeOf(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	id, err := s.CreateQuestion(ctx, Question{Text: "q", Issued: noon, Expires: noon, ContextGroup: 17})
	must(t, err)
	q, err := s.Question(ctx, id)
	must(t, err)
	same(t, q.ContextGroup, int64(17))
	_, err = s.SavedScopeOf(ctx, id)
	wantKind(t, err, fault.NotFound, "saved question of question 1")
	must(t, s.KeepReissue(ctx, Reissue{Question: int64(id), SavedQuestion: 5, Scope: "within 2", Asked: noon}))
	of, err := s.SavedScopeOf(ctx, id)
	must(t, err)
	same(t, of, SavedScope{5, "within 2"})
}

func TestSensorStats(t *testing.T) { storetest.Each(t, testSensorStats) }

func testSensorStats(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	ctx := t.Context()
	a := SensorStat{Hash: 1<<32 - 1, Name: "A", Count: 2, Real: Spread{3.5, 7}, Min: 0.5, Max: 3, Measured: 1, User: Spread{1, 1}, Sys: Spread{2, 4}, Answers: 3, Bytes: Spread{12, 50}}
	b := SensorStat{Hash: 5, Name: "B", Count: 1}
	must(t, s.KeepSensorStats(ctx, []SensorStat{a, b}))
	a.Count = 9
	must(t, s.KeepSensorStats(ctx, []SensorStat{a}))
	list, err := s.SensorStats(ctx)
	must(t, err)
	same(t, list, []SensorStat{b, a})
}
