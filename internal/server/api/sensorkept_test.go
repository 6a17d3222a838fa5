package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"catenary/internal/plan"
	"catenary/internal/server/resultset"
	"catenary/internal/server/sensors"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// osSensor is the number of the sensor Operating System.
func (d *desk) osSensor() int64 {
	d.t.Helper()
	return d.api.shelves.ByName(sensors.Kind, "Operating System").ID
}

func (d *desk) keptBy(id int64, body string) {
	d.t.Helper()
	d.ok(d.call("PATCH", fmt.Sprint("/api/v2/sensors/", id), body))
}

// TestMaxStrings: of a sensor no more strings are shown than it may have, in the
// counters too, also when the limit comes later.
func TestMaxStrings(t *testing.T) {
	d := newDesk(t)
	d.ok(d.call("POST", "/api/v2/questions", `{"query_text":"Get Operating System from all machines"}`))
	d.fleet.say(1, func(r *tally.Result) { r.Answered, r.Passed, r.Rows = 6, 6, rows("a", "b", "b", "c", "d", "e") })
	same(t, d.setOf(d.optioned("result_data/question/1", `{}`)).RowCount, 5)
	d.keptBy(d.osSensor(), `{"max_strings":2}`)
	d.fleet.say(1, func(r *tally.Result) { r.Answered = 7 })
	set := d.setOf(d.optioned("result_data/question/1", `{"include_hashes_flag":1}`))
	same(t, written(set), "b 2, a 1, [too many results] 3")
	same(t, []any{set.Rows[2].ID, set.RowCount, set.FilteredRowCountMachines}, []any{uint32(1), 3, 6})
	info := data[resultInfos](t, d.optioned("result_info/question/1", `{}`)).ResultInfos[0]
	same(t, []int{info.RowCount, info.RowCountMachines}, []int{3, 6})
	for _, body := range []string{`{"max_strings":-1}`, `{"max_string_age_minutes":-1}`} {
		if w := d.call("PATCH", fmt.Sprint("/api/v2/sensors/", d.osSensor()), body); w.Code != 400 || !strings.Contains(w.Body.String(), "max_string") {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// TestMaxStringAge: what machines said that are off is shown, and kept, for as
// long as every sensor of it allows; the set names the newest question that it
// is from.
func TestMaxStringAge(t *testing.T) {
	d := newDesk(t)
	id := d.saved(`{"name":"Systems","query_text":"Get Operating System from all machines","archive_enabled_flag":true}`)
	path := fmt.Sprint("result_data/saved_question/", id)
	d.setOf(d.optioned(path, `{}`))
	d.fleet.say(1, func(r *tally.Result) { r.Answered, r.Passed, r.Rows = 1, 1, apart("7|Linux") })
	q, err := d.store.Question(t.Context(), 1)
	must(t, err)
	p, err := plan.Decode(q.Plan)
	must(t, err)
	of := store.SavedScope{SavedQuestion: id}
	var list []store.RecentAnswer
	for i, ago := range []time.Duration{time.Minute, 50 * time.Minute, 3 * time.Hour} {
		computer := uint32(7 + i)
		list = append(list, store.RecentAnswer{ComputerID: computer, Question: 93 - uint64(i), Answered: time.Now().Add(-ago), Cells: [][]string{{fmt.Sprint(computer)}, {"AIX"}}})
	}
	must(t, d.store.KeepRecent(t.Context(), of, resultset.Shape(p), list))
	shown := func(options string) string {
		t.Helper()
		set := d.setOf(d.optioned(path, options))
		return fmt.Sprint(written(set), "; archived ", set.ArchivedQuestionID)
	}
	same(t, shown(`{}`), "Linux 1; archived 0")
	same(t, shown(`{"most_recent_flag":1}`), "AIX 2, Linux 1; archived 92") // 93 gave way to what the machine says now
	d.keptBy(d.osSensor(), `{"max_string_age_minutes":60}`)
	same(t, shown(`{"most_recent_flag":1}`), "AIX 1, Linux 1; archived 92")
	d.keptBy(d.osSensor(), `{"max_string_age_minutes":30}`)
	same(t, shown(`{"most_recent_flag":1}`), "Linux 1; archived 0")
	must(t, d.api.forgetStrings(t.Context(), time.Now()))
	left, err := d.store.RecentAnswers(t.Context(), of, resultset.Shape(p))
	must(t, err)
	if len(left) != 1 || left[0].ComputerID != 7 {
		t.Errorf("in the database are %+v", left)
	}
}

// TestHints: a text that names a value and no sensor is read by what machines
// have said, unless the sensor is left out or the asker may not see it all.
func TestHints(t *testing.T) {
	d := newDesk(t)
	asks := func(text string) string {
		t.Helper()
		var out []string
		for _, c := range data[[]map[string]any](t, d.call("POST", "/api/v2/parse_question", fmt.Sprintf(`{"text":%q}`, text))) {
			out = append(out, c["question_text"].(string))
		}
		return strings.Join(out, "; ")
	}
	const want = `Get Computer Name from all machines with Operating System contains debian gnu`
	same(t, asks("debian gnu"), "")
	d.fleet.strings.Hear(time.Now(), "Operating System", sensors.Kept{}, []string{"Debian GNU/Linux 12", "Windows 11"})
	same(t, asks("debian gnu"), want)
	same(t, asks("all machines running Debian GNU"), want)
	same(t, asks("get computer name from all machines"), "Get Computer Name from all machines") // exactly one
	if o := d.shown(fmt.Sprint("sensors/", d.osSensor())); o["string_count"] != 2.0 {
		t.Errorf("the sensor is %v", o)
	}
	d.keptBy(d.osSensor(), `{"exclude_from_parse_flag":true}`)
	same(t, asks("debian gnu"), "")
	if got := asks("operating sytem"); !strings.HasPrefix(got, "Get Operating System") {
		t.Errorf("the sensor itself is not found any more: %q", got)
	}
	if o := d.shown(fmt.Sprint("sensors/", d.osSensor())); o["string_count"] != 0.0 {
		t.Errorf("the sensor is %v", o)
	}
	d.keptBy(d.osSensor(), `{"exclude_from_parse_flag":false}`)
	d.fleet.strings.Hear(time.Now(), "Operating System", sensors.Kept{}, []string{"Debian GNU/Linux 12"})
	same(t, asks("debian gnu"), want)
	everything, some := d.person("everything", "Operator", "Read Only"), d.person("some", "Operator", "Read Only")
	group := data[struct{ ID int64 }](t, d.call("POST", "/api/v2/management_rights_groups", `{"name":"Linux machines","text":" Is Linux equals True"}`)).ID
	d.ok(d.call("POST", "/api/v2/user_groups", fmt.Sprintf(`{"name":"g","group":{"id":%d},"user_list":[{"id":%d}]}`, group, some.ID)))
	for who, want := range map[*store.User]int{&everything: 1, &some: 0} {
		if got := data[[]any](t, d.as(*who, "POST", "/api/v2/parse_question", `{"text":"debian gnu"}`)); len(got) != want {
			t.Errorf("%s is told %v", who.Name, got)
		}
	}
}
