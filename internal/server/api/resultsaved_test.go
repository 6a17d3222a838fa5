package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/answer"
	"catenary/internal/plan"
	"catenary/internal/server/resultset"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// saved makes a saved question and returns its number.
func (d *desk) saved(body string) int64 {
	d.t.Helper()
	w := d.call("POST", "/api/v2/saved_questions", body)
	if w.Code != 200 {
		d.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return int64(data[map[string]any](d.t, w)["id"].(float64))
}

// apart is what machines have said, each for itself: "7|Linux".
func apart(said ...string) answer.Rows {
	var list []answer.Row
	for _, s := range said {
		id, text, _ := strings.Cut(s, "|")
		list = append(list, key.Row([]answer.Cell{{id}, {text}}))
	}
	return answer.RowsOf(answer.ServerLimits, list...)
}

// TestSavedResults: who asks for a saved question's answer sees the newest, and
// if he likes what machines have said last that are off.
func TestSavedResults(t *testing.T) {
	d := newDesk(t)
	id := d.saved(`{"name":"Systems","query_text":"Get Operating System from all machines","issue_seconds":120,"archive_enabled_flag":true}`)
	path := fmt.Sprint("result_data/saved_question/", id)
	first := d.setOf(d.optioned(path, `{}`))
	same(t, len(d.fleet.asked), 1)
	same(t, d.fleet.asked[0].Archive, true)
	same(t, []any{first.SavedQuestionID, first.IssueSeconds, first.QuestionID}, []any{uint64(id), int64(120), uint64(1)})
	d.fleet.say(1, func(r *tally.Result) {
		r.Answered, r.Passed, r.Rows = 3, 3, apart("7|Linux", "8|Linux", "9|AIX")
	})
	// Machines answer apart, and are shown together.
	same(t, written(d.setOf(d.optioned(path, `{}`))), "Linux 2, AIX 1")
	same(t, d.setOf(d.optioned(path, `{}`)).RowCount, 2)
	info := data[resultInfos](t, d.optioned(fmt.Sprint("result_info/saved_question/", id), `{}`)).ResultInfos[0]
	same(t, []int{info.RowCount, info.RowCountMachines, info.Passed}, []int{2, 3, 3})

	q, err := d.store.Question(t.Context(), 1)
	must(t, err)
	p, err := plan.Decode(q.Plan)
	must(t, err)
	now := time.Now()
	old := func(computer uint32, ago time.Duration, text string) store.RecentAnswer {
		return store.RecentAnswer{ComputerID: computer, Answered: now.Add(-ago), Cells: [][]string{{fmt.Sprint(computer)}, {text}}}
	}
	must(t, d.store.KeepRecent(t.Context(), store.SavedScope{SavedQuestion: id}, resultset.Shape(p), []store.RecentAnswer{
		old(7, time.Minute, "what it said before"), old(10, time.Minute, "AIX"), old(11, 2*time.Hour, "Solaris"), old(12, 20*24*time.Hour, "AIX"),
	}))
	set := d.setOf(d.optioned(path, `{"most_recent_flag":1}`))
	same(t, written(set), "AIX 3, Linux 2, Solaris 1")
	same(t, []int{set.RecentCount, set.RowCountMachines, set.MRTested}, []int{3, 6, 3})
	set = d.setOf(d.optioned(path, `{"most_recent_flag":1,"recent_result_buckets":"600,3600,86400,604800"}`))
	same(t, written(set), "Linux now 2, AIX more than 1 week 1, AIX now 1, AIX up to 10 minutes 1, Solaris up to 1 day 1")
	same(t, set.Columns[1].Name, "Age")
	same(t, written(d.setOf(d.optioned(path, `{}`))), "Linux 2, AIX 1")
	if w := d.optioned(path, `{"most_recent_flag":1,"recent_result_buckets":"600,60"}`); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}

	kept := d.setOf(d.optioned(path, `{"cache_expiration":60}`))
	d.fleet.say(1, func(r *tally.Result) { r.Rows = apart("7|Linux") })
	same(t, written(d.setOf(d.optioned(path, `{"cache_id":`+kept.CacheID+`}`))), "Linux 2, AIX 1")
	for path, want := range map[string]int{"result_data/saved_question/99": 404, "result_info/saved_question/99": 404, "result_data/saved_question/x": 400, "saved_questions/99/history": 404} {
		if w := d.optioned(path, `{}`); w.Code != want {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// written writes rows as their texts and count.
func written(s resultSet) string {
	var out []string
	for _, r := range s.Rows {
		var texts []string
		for _, c := range r.Data {
			texts = append(texts, c[0].Text)
		}
		out = append(out, strings.Join(texts, " "))
	}
	return strings.Join(out, ", ")
}

func TestSavedHistory(t *testing.T) {
	d := newDesk(t)
	id := d.saved(`{"name":"Systems","query_text":"Get Operating System from all machines"}`)
	at := time.Date(2026, 11, 22, 1, 30, 0, 0, time.UTC)
	for n := range uint64(3) {
		must(t, d.store.AddTrend(t.Context(), store.SavedScope{SavedQuestion: id}, store.TrendPoint{
			Question: n + 1, Closed: at, Expected: 9, Answered: 8, Passed: 7, Rows: 1, Top: []store.TrendRow{{ID: 5, Texts: []string{"Linux"}, Count: 7}},
		}))
	}
	must(t, d.store.AddTrend(t.Context(), store.SavedScope{SavedQuestion: id, Scope: "within 3"}, store.TrendPoint{Question: 9}))
	list := data[[]map[string]any](t, d.call("GET", fmt.Sprintf("/api/v2/saved_questions/%d/history?row_count=1", id), ""))
	same(t, list[0], map[string]any{
		"question_id": 3.0, "closed_time": "2026-11-22T01:30:00Z", "estimated_total": 9.0, "mr_tested": 8.0, "passed": 7.0, "error_count": 0.0, "row_count": 1.0,
		"rows": []any{map[string]any{"id": 5.0, "texts": []any{"Linux"}, "count": 7.0}},
	})
	same(t, []any{len(list), list[1]["cache_row_count"]}, []any{2, 3.0})
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Second: "1 second", 90 * time.Second: "90 seconds", time.Minute: "1 minute", time.Hour: "1 hour", 36 * time.Hour: "36 hours", 14 * 24 * time.Hour: "2 weeks",
	} {
		same(t, spanText(d), want)
	}
}
