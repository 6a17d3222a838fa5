package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/plan"
	"catenary/internal/server/resultset"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// TestNarrowed: once a group means other machines, by itself or by a part of it,
// nobody reads by his right to it what was answered before: there may be machines
// that he is not to see any more.
func TestNarrowed(t *testing.T) {
	d := newDesk(t)
	d.firstGroups()
	part := d.made("groups", `{"name":"Part","text":" Is Linux equals True"}`)
	group := d.machineGroup("Theirs", " (Part or Is Linux equals False)")
	bob := d.within("bob", group)
	saved := d.saved(`{"name":"Systems","query_text":"Get Operating System from all machines","archive_enabled_flag":true,"public_flag":true}`)

	asked := data[idObject](t, d.as(bob, "POST", "/api/v2/questions", `{"query_text":"Get Operating System from all machines"}`)).ID
	d.fleet.say(asked, func(r *tally.Result) { r.Rows = apart("7|Linux") })
	kept := data[resultSets](t, d.as(bob, "GET", fmt.Sprintf("/api/v2/result_data/question/%d?cache_expiration=60", asked), "")).ResultSets[0]
	reads := func(want int, paths ...string) {
		t.Helper()
		for _, path := range append(paths, fmt.Sprintf("result_data/question/%d", asked), fmt.Sprintf("result_info/question/%d", asked), fmt.Sprintf("result_data/question/%d?cache_id=%s", asked, kept.CacheID)) {
			if w := d.as(bob, "GET", "/api/v2/"+path, ""); w.Code != want {
				t.Errorf("%s: %d %s", path, w.Code, w.Body)
			}
		}
	}
	// earlier is what was said before to the saved question, of machines off now.
	earlier := func() string {
		t.Helper()
		return d.as(bob, "GET", fmt.Sprintf("/api/v2/result_data/saved_question/%d?most_recent_flag=1", saved), "").Body.String() +
			d.as(bob, "GET", fmt.Sprintf("/api/v2/saved_questions/%d/history", saved), "").Body.String()
	}
	change := func(path string, id int64, body string) {
		t.Helper()
		d.ok(d.call("PATCH", fmt.Sprintf("/api/v2/%s/%d", path, id), body))
	}
	earlier()
	of, err := d.store.SavedScopeOf(t.Context(), 2)
	must(t, err)
	q, err := d.store.Question(t.Context(), 2)
	must(t, err)
	p, err := plan.Decode(q.Plan)
	must(t, err)
	now := time.Now()
	must(t, d.store.KeepRecent(t.Context(), of, resultset.Shape(p), []store.RecentAnswer{{ComputerID: 7, Answered: now, Cells: [][]string{{"7"}, {"Ultrix"}}}}))
	must(t, d.store.AddTrend(t.Context(), of, store.TrendPoint{Question: 2, Closed: now, Rows: 1, Top: []store.TrendRow{{ID: 5, Texts: []string{"Tru64"}, Count: 1}}}))

	sees := func(want bool, after string) {
		t.Helper()
		if text := earlier(); strings.Contains(text, "Ultrix") != want || strings.Contains(text, "Tru64") != want {
			t.Errorf("%s he reads %s", after, text)
		}
	}
	reads(200)
	sees(true, "as it was")
	change("groups", part, `{"name":"Another name"}`)
	change("groups", group, `{"track_computer_id_flag":1}`)
	reads(200)
	sees(true, "with another name")
	same(t, len(d.fleet.asked), 2)
	change("groups", part, `{"text":" Is Linux equals True and Computer Name starts with a"}`)
	reads(403)
	sees(false, "with a narrower part")
	same(t, len(d.fleet.asked), 3) // the saved question has been asked anew
	change("groups", part, `{"text":" Is Linux equals True"}`)
	reads(200)
	sees(true, "as it was again")
	change("groups", group, `{"text":" Is Linux equals False"}`)
	reads(403)
	sees(false, "narrowed itself")
}
