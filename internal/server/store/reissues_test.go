package store

import (
	"testing"
	"time"

	"catenary/internal/server/store/storetest"
)

// TestReissues: the last asking of a saved question in each scope, until its
// question is removed.
func TestReissues(t *testing.T) { storetest.Each(t, testReissues) }

func testReissues(t *testing.T, e storetest.Engine) {
	s := open(t, e)
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	ask := func(saved int64, scope, text string) int64 {
		t.Helper()
		id, err := s.CreateQuestion(t.Context(), Question{Text: text, Plan: []byte{1}, Issued: at, Expires: at.Add(time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.KeepReissue(t.Context(), Reissue{Question: int64(id), SavedQuestion: saved, Scope: scope, Asked: at}); err != nil {
			t.Fatal(err)
		}
		return int64(id)
	}
	ask(1, "", "a")
	second := ask(1, "", "b")
	within := ask(1, "within 3", "b")
	other := ask(2, "", "c")
	latest, err := s.LatestReissues(t.Context())
	if err != nil || len(latest) != 3 {
		t.Fatalf("%+v, %v", latest, err)
	}
	want := []Reissue{
		{second, 1, "", at, "b", at.Add(time.Minute)}, {within, 1, "within 3", at, "b", at.Add(time.Minute)}, {other, 2, "", at, "c", at.Add(time.Minute)},
	}
	for i := range want {
		if latest[i] != want[i] {
			t.Errorf("the latest are %+v, want %+v", latest[i], want[i])
		}
	}
	list, err := s.Reissues(t.Context(), 1, "", 10)
	if err != nil || len(list) != 2 || list[0].Question != second {
		t.Errorf("%+v, %v", list, err)
	}
	if list, err := s.Reissues(t.Context(), 1, "", 1); err != nil || len(list) != 1 {
		t.Errorf("the newest one: %+v, %v", list, err)
	}
	if q, err := s.Question(t.Context(), uint64(other)); err != nil || q.SavedQuestion != 2 || q.Text != "c" || len(q.Plan) != 1 {
		t.Errorf("a question of a saved one is %+v, %v", q, err)
	}
	plain, err := s.CreateQuestion(t.Context(), Question{Text: "d", Plan: []byte{1}, Issued: at, Expires: at.Add(time.Minute)})
	if err != nil {
		t.Fatal(err)
	}
	page, _, err := s.Questions(t.Context(), 0, 2)
	if err != nil || len(page) != 2 || page[0].ID != plain || page[0].SavedQuestion != 0 || page[1].SavedQuestion != 2 || page[1].Text != "c" {
		t.Errorf("the newest questions are %+v, %v", page, err)
	}
	if err := s.KeepReissue(t.Context(), Reissue{Question: 999, SavedQuestion: 1}); err == nil {
		t.Error("a question that there is not")
	}
	if err := s.CloseQuestion(t.Context(), uint64(second), at, Answer{}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DeleteQuestions(t.Context(), at.Add(time.Hour)); err != nil || n != 1 {
		t.Fatalf("%d, %v", n, err)
	}
	if list, err := s.Reissues(t.Context(), 1, "", 10); err != nil || len(list) != 1 {
		t.Errorf("after a question was deleted: %+v, %v", list, err)
	}
}
