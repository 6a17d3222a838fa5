package api

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/answer"
	"catenary/internal/question"
	"catenary/internal/sensor"
	"catenary/internal/server/resultset"
	"catenary/internal/server/tally"
)

// optioned is call with a header of options.
func (d *desk) optioned(path, options string) *httptest.ResponseRecorder {
	return d.send("GET", "/api/v2/"+path, "", "session", d.session, "tanium-options", options)
}

// setOf is the result set that an answer holds.
func (d *desk) setOf(w *httptest.ResponseRecorder) resultSet {
	d.t.Helper()
	if w.Code != 200 {
		d.t.Fatalf("%d %s", w.Code, w.Body)
	}
	return data[resultSets](d.t, w).ResultSets[0]
}

// words writes the first cells of rows, one after the other.
func words(s resultSet) string {
	var out []string
	for _, r := range s.Rows {
		out = append(out, r.Data[0][0].Text)
	}
	return strings.Join(out, " ")
}

// apps asks for applications and lets machines answer.
func (d *desk) apps() uint64 {
	id := d.ask("Get Installed Applications from all machines")
	d.fleet.say(id, func(r *tally.Result) {
		var list []answer.Row
		for text, n := range map[string]int{"Firefox|10.2": 3, "Firefox|9.0": 2, "Chrome|1.10": 1, "[no results]|[no results]": 4, "TSE-Error: x|TSE-Error: x": 5} {
			name, version, _ := strings.Cut(text, "|")
			row := key.Row([]answer.Cell{{name}, {version}})
			row.Count = uint64(n)
			list = append(list, row)
		}
		r.Expected, r.Answered, r.Passed, r.Errors, r.NoResults = 12, 12, 12, 5, 4
		r.Rows = answer.RowsOf(answer.ServerLimits, list...)
	})
	return id
}

func TestResultOptions(t *testing.T) {
	d := newDesk(t)
	id := d.apps()
	path := fmt.Sprint("result_data/question/", id)
	for options, want := range map[string]string{
		`{}`: "TSE-Error: x [no results] Firefox Firefox Chrome",
		`{"hide_errors_flag":1,"hide_no_results_flag":"1"}`:                                                                 "Firefox Firefox Chrome",
		`{"filter_string":"fox"}`:                                                                                           "Firefox Firefox",
		`{"filter_string":"FOX|rome","row_start":1,"row_count":1}`:                                                          "Firefox",
		`{"filter_string":"fox","filter_not_flag":1}`:                                                                       "TSE-Error: x [no results] Chrome",
		`{"filter_string":"fox","sort_order":"2"}`:                                                                          "Firefox Firefox",
		`{"sort_order":"1,-2","hide_errors_flag":1,"hide_no_results_flag":1}`:                                               "Chrome Firefox Firefox",
		`{"sort_order":-3}`:                                                                                                 "TSE-Error: x [no results] Firefox Firefox Chrome",
		`{"sort_order":["-3"]}`:                                                                                             "TSE-Error: x [no results] Firefox Firefox Chrome",
		`{"cache_filters":[{"field":"Version","operator":"Greater","value":"9.0"}]}`:                                        "Firefox",
		`{"cache_filters":[{"field":"count","operator":"LessEqual","value":"2"}],"sort_order":"-3"}`:                        "Firefox Chrome",
		`{"cache_filters":[{"field":"1","value":".*fox","not_flag":true},{"field":"Name","value":"[^T\\[].*"}]}`:            "Chrome",
		`{"cache_filters":[{"and_flag":false,"sub_filters":[{"field":"1","value":"Chrome"},{"field":"2","value":"9.0"}]}]}`: "Firefox Chrome",
		`{"no_result_row_collation_flag":1,"filter_string":"9.0|1.10"}`:                                                     "Firefox Firefox Chrome",
	} {
		if got := words(d.setOf(d.optioned(path, options))); got != want {
			t.Errorf("%s: %s, want %s", options, got, want)
		}
	}
	set := d.setOf(d.optioned(path, `{"filter_string":"fox"}`))
	same(t, []int{set.RowCount, set.RowCountMachines, set.FilteredRowCount, set.FilteredRowCountMachines, set.ItemCount}, []int{5, 12, 2, 5, 2})
	set = d.setOf(d.optioned(path, `{"filter_string":"10.2","include_hashes_flag":1}`))
	same(t, []uint32{*set.Rows[0].Data[0][0].Hash, *set.Rows[0].Data[1][0].Hash, set.Rows[0].ID}, []uint32{sensor.Hash("firefox"), sensor.Hash("10.2"), sensor.Hash("firefox|10.2")})
	for options, want := range map[string]string{
		`{"filter_string":"a)(b"}`:                              "filter_string",
		`{"filter_string":"((a{99}){99}){99}"}`:                 "filter_string",
		`{"filter_string":"` + strings.Repeat("a", 2000) + `"}`: "filter_string",
		`{"sort_order":"7"}`:                                    "sort_order",
		`{"sort_order":"Name"}`:                                 "sort_order",
		`{"cache_filters":[{"field":"Nmae","value":"x"}]}`:      "Nmae",
		`{"row_start":-1}`:                                      "row_start",
		`{"row_count":"many"}`:                                  "row_count",
		`{"context_id":7}`:                                      "context_group",
		`{"export_flag":1,"export_format":9}`:                   "export_format",
		`{"cache_id":5}`:                                        "CacheNotFound",
		`{`:                                                     "tanium-options",
	} {
		if w := d.optioned(path, options); w.Code/100 != 4 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s, want %s", options, w.Code, w.Body, want)
		}
	}
}

// TestResultCache: the pages of one set fit together while answers come, for as
// long as was asked for, and for nobody else.
func TestResultCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		id := d.apps()
		path := fmt.Sprint("result_data/question/", id)
		first := d.setOf(d.optioned(path, `{"row_count":2,"cache_expiration":60}`))
		if first.CacheID == "0" || first.Rows[0].RefID == 0 || first.Rows[0].RefID == first.Rows[1].RefID {
			t.Fatalf("cache %s, rows %+v", first.CacheID, first.Rows)
		}
		d.fleet.say(id, func(r *tally.Result) { r.Rows = rows("Vim", "Vim", "Vim"); r.Answered = 11 })
		rest := func(more string) *httptest.ResponseRecorder {
			return d.optioned(path, `{"row_start":2,"cache_id":"`+first.CacheID+`"`+more+`}`)
		}
		same(t, words(d.setOf(rest(""))), "Firefox Firefox Chrome")
		same(t, words(d.setOf(rest(`,"sort_order":"1"`))), "Firefox TSE-Error: x [no results]")
		same(t, d.setOf(rest("")).MRTested, 12)
		same(t, words(d.setOf(d.optioned(path, `{}`))), "Vim")

		other := d.ask("Get Computer Name from all machines")
		if w := d.optioned(fmt.Sprint("result_data/question/", other), `{"cache_id":`+first.CacheID+`}`); w.Code != 404 {
			t.Errorf("of another question: %d %s", w.Code, w.Body)
		}
		time.Sleep(50 * time.Second) // fake time
		same(t, words(d.setOf(rest(""))), "Firefox Firefox Chrome")
		time.Sleep(50 * time.Second) // each use renews it
		same(t, words(d.setOf(rest(""))), "Firefox Firefox Chrome")
		time.Sleep(61 * time.Second)
		if w := rest(""); w.Code != 404 || !strings.Contains(w.Body.String(), "expired") {
			t.Errorf("after its time: %d %s", w.Code, w.Body)
		}
	})
}

// TestKeptSetsAreBounded: who keeps many loses his own oldest.
func TestKeptSetsAreBounded(t *testing.T) {
	c := newKeptSets()
	now := time.Unix(1_700_000_000, 0)
	set := reading{}.set()
	theirs := c.keep(now, 2, reading{}, set, time.Hour)
	var mine []*keptSet
	for i := range keptOfOne + 1 {
		mine = append(mine, c.keep(now.Add(time.Duration(i)*time.Second), 1, reading{}, set, time.Hour))
	}
	later := now.Add(time.Minute)
	for i, k := range mine {
		if _, err := c.use(later, 1, keptOf{}, k.id, 0); (err != nil) != (i == 0) {
			t.Errorf("set %d: %v", i, err)
		}
	}
	if _, err := c.use(later, 2, keptOf{}, theirs.id, 0); err != nil {
		t.Error(err)
	}
	if _, err := c.use(later, 1, keptOf{}, theirs.id, 0); err == nil {
		t.Error("somebody else's set is shown")
	}
	for user := range int64(2 * keptMax) {
		c.keep(later, 10+user, reading{}, set, time.Hour)
	}
	same(t, len(c.byID), keptMax)
	c.expire(later.Add(2 * time.Hour))
	same(t, []int{len(c.byID), c.bytes}, []int{0, 0})
}

func TestExports(t *testing.T) {
	d := newDesk(t)
	d.api.exports = openExports(filepath.Join(t.TempDir(), "exports"))
	id := d.apps()
	path := fmt.Sprint("result_data/question/", id)
	var ids []string
	for format, want := range map[int]string{
		0: "<\nName,Version,Count\nFirefox,9.0,2\n>",
		1: "<\n<?xml ",
		2: "<\nCEF:0|Catenary|Catenary|1.2.3|1|Get Installed Applications from all machines|1|Name=Firefox Version=9.0 Count=2\n>",
		3: "<\nName,Version,Count\nFirefox,9.0,2\n>",
		4: "<\n{\"columns\":[\"Name\",\"Version\"]}\n{\"id\":",
	} {
		w := d.optioned(path, fmt.Sprintf(`{"export_flag":1,"export_format":%d,"filter_string":"9.0","export_leading_text":"<\n","export_trailing_text":">"}`, format))
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		sets := data[resultSets](t, w)
		same(t, len(sets.ResultSets[0].Rows), 0)
		same(t, sets.ResultSets[0].FilteredRowCount, 1)
		ids = append(ids, sets.ExportID)
		status := d.call("GET", "/export/"+sets.ExportID+".status", "").Body.String()
		if parts := strings.Split(status, "."); len(parts) < 2 || parts[0] != "Completed" {
			t.Errorf("status %q", status)
		}
		got := d.call("GET", "/export/"+sets.ExportID+".gz", "")
		z, err := gzip.NewReader(got.Body)
		must(t, err)
		text, err := io.ReadAll(z)
		must(t, err)
		if !strings.HasPrefix(string(text), want) || format == 1 && !strings.Contains(string(text), "<question_id>1</question_id>") {
			t.Errorf("format %d: %s", format, text)
		}
		same(t, got.Header().Get("Content-Type"), "application/gzip")
	}
	if w := d.optioned(path, `{"export_flag":1,"export_hide_csv_header_flag":1}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	files, err := os.ReadDir(d.api.exports.folder)
	must(t, err)
	same(t, len(files), exportsOfOne)
	if w := d.call("GET", "/export/"+ids[0]+".gz", ""); w.Code != 404 {
		t.Errorf("the oldest is still there: %d", w.Code)
	}
	for _, file := range []string{"nothing.gz", ids[4] + ".zip", ids[4], "..%2F..%2Fetc%2Fpasswd"} {
		if w := d.call("GET", "/export/"+file, ""); w.Code != 404 {
			t.Errorf("%s: %d %s", file, w.Code, w.Body)
		}
	}
	if _, err := d.api.exports.find(time.Now(), 99, ids[4]); err == nil {
		t.Error("somebody else gets it")
	}
	if _, err := d.api.exports.find(time.Now().Add(exportFor), 1, ids[4]); err == nil {
		t.Error("it is kept for ever")
	}
	files, err = os.ReadDir(d.api.exports.folder)
	must(t, err)
	same(t, len(files), 0)
	d.api.exports = openExports("")
	if w := d.optioned(path, `{"export_flag":1}`); w.Code != 503 {
		t.Errorf("without a folder: %d %s", w.Code, w.Body)
	}
}

// each lets machines answer a question each for itself.
func (d *desk) each(text string, said ...string) uint64 {
	id := d.ask(text)
	d.fleet.say(id, func(r *tally.Result) {
		var list []answer.Row
		for _, s := range said {
			var cells []answer.Cell
			for c := range strings.SplitSeq(s, "|") {
				cells = append(cells, strings.Split(c, ","))
			}
			list = append(list, key.Row(cells))
		}
		r.Answered, r.Passed = len(said), len(said)
		r.Rows = answer.RowsOf(answer.ServerLimits, list...)
	})
	return id
}

func TestMergedResults(t *testing.T) {
	d := newDesk(t)
	a := d.each("Get?forceComputerIdFlag=1 Operating System from all machines", "7|Linux", "8|AIX")
	b := d.each("Get?forceComputerIdFlag=1 Installed Applications from all machines", "8|vi,ed|1,2", "9|vi|3")
	w := d.call("GET", fmt.Sprintf("/api/v2/merged_result_data/question/%d/question/%d", a, b), "")
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	out := data[resultSets](t, w)
	same(t, len(out.ResultInfos), 2)
	same(t, shown(out.ResultSets[0].Rows)[0][len(fmt.Sprint(out.ResultSets[0].Rows[0].ID)):], "/8: [[{AIX}] [{vi} {ed}] [{1} {2}] [{1}]]")
	same(t, words(out.ResultSets[0]), "AIX Linux "+resultset.Lacking)
	plain := d.ask("Get Operating System from all machines")
	for path, want := range map[string]int{
		fmt.Sprintf("question/%d/question/%d", a, plain): 400, fmt.Sprintf("question/%d", a): 400, fmt.Sprintf("question/%d/question", a): 400,
		fmt.Sprintf("question/%d/question/999", a): 404, fmt.Sprintf("question/%d/action/1", a): 400, fmt.Sprintf("question/%d/saved_question/55", a): 404,
		"question/x/question/y": 400,
	} {
		if w := d.call("GET", "/api/v2/merged_result_data/"+path, ""); w.Code != want {
			t.Errorf("%s: %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
}

func TestBuildTargetGroup(t *testing.T) {
	d := newDesk(t)
	id := d.ask("Get Operating System from all machines with Is Linux equals True")
	d.fleet.say(id, func(r *tally.Result) { r.Rows = rows("Debian 12", "Debian 13", "AIX") })
	set := d.setOf(d.optioned(fmt.Sprint("result_data/question/", id), `{"cache_expiration":60,"sort_order":"1"}`))
	ref := func(i int) uint64 { return set.Rows[i].RefID }
	w := d.call("POST", "/api/v2/build_target_group", fmt.Sprintf(`{"cache_id":%s,"reference_ids":[%d,"%d"]}`, set.CacheID, ref(1), ref(2)))
	if w.Code != 200 {
		t.Fatalf("%d %s", w.Code, w.Body)
	}
	group := data[idObject](t, w).ID
	asked := data[idObject](t, d.call("POST", "/api/v2/questions", fmt.Sprintf(`{"query_text":"Get Computer Name from all machines","context_group":{"id":%d}}`, group))).ID
	a := d.fleet.asked[len(d.fleet.asked)-1]
	same(t, a.ContextGroup, int64(group))
	g, ok := d.api.groups.GroupByID(int64(group))
	if !ok {
		t.Fatal("no group was made")
	}
	same(t, question.Text(g.Where), `Is Linux equals True and (Operating System equals Debian 12 or Operating System equals Debian 13)`)
	if w := d.optioned(fmt.Sprint("result_data/question/", asked), fmt.Sprintf(`{"context_id":%d}`, group)); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for body, want := range map[string]int{
		fmt.Sprintf(`{"cache_id":%s,"reference_ids":[]}`, set.CacheID):  400,
		fmt.Sprintf(`{"cache_id":%s,"reference_ids":[5]}`, set.CacheID): 404,
		`{"cache_id":5,"reference_ids":[1]}`:                            404,
		`{}`:                                                            404,
	} {
		if w := d.call("POST", "/api/v2/build_target_group", body); w.Code != want {
			t.Errorf("%s: %d %s, want %d", body, w.Code, w.Body, want)
		}
	}
}

// A page of 100 rows of an answer as large as the server keeps: the first one, and
// later ones of a set that is kept.
func BenchmarkPageOf200000(b *testing.B) {
	d := newDesk(b)
	id := d.ask("Get Installed Applications from all machines")
	d.fleet.say(id, func(r *tally.Result) { r.Rows = many(answer.ServerLimits.Rows).result.Rows })
	path := fmt.Sprint("result_data/question/", id)
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			d.api.results = newKeptSets()
			if w := d.optioned(path, `{"row_count":100}`); w.Code != 200 {
				b.Fatal(w.Body)
			}
		}
	})
	kept := d.setOf(d.optioned(path, `{"row_count":100,"cache_expiration":600,"sort_order":"-2","filter_string":"7"}`))
	b.Run("later, sorted and filtered", func(b *testing.B) {
		for b.Loop() {
			w := d.optioned(path, `{"row_start":5000,"row_count":100,"cache_id":`+kept.CacheID+`,"sort_order":"-2","filter_string":"7"}`)
			if w.Code != 200 {
				b.Fatal(w.Body)
			}
		}
	})
}
