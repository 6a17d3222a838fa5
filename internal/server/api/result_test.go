package api

import (
	"bytes"
	"encoding/json"
	stdflag "flag"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/answer"
	"catenary/internal/plan"
	"catenary/internal/sensor"
	"catenary/internal/server/resultset"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
	"catenary/internal/value"
)

var update = stdflag.Bool("update", false, "write the golden files anew")

// golden compares an answer with a file, both indented.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	var b bytes.Buffer
	must(t, json.Indent(&b, got, "", "  "))
	if *update {
		must(t, os.WriteFile(path, b.Bytes(), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	same(t, b.String(), string(want))
}

func TestResultGolden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // so that times can be said exactly
		d := newDesk(t)
		id := d.ask("Get Operating System from all machines")
		d.fleet.say(id, func(r *tally.Result) {
			r.Expected, r.Answered, r.Passed, r.Errors, r.NoResults, r.Pending, r.Reports = 9, 7, 7, 1, 1, 2, 3
			r.Rows = rows("Debian 12", "Debian 12", "Debian 12", "Windows 11", "TSE-Error: no such file <a> & \"b\"", "AIX", "[no results]")
		})
		time.Sleep(90 * time.Second) // fake time
		golden(t, "testdata/result_data.json", d.call("GET", "/api/v2/result_data/question/1", "").Body.Bytes())
		golden(t, "testdata/result_info.json", d.call("GET", "/api/v2/result_info/question/1", "").Body.Bytes())
	})
}

// Before the first answer, programs already need the columns and how many
// machines to wait for.
func TestResultBeforeTheFirstAnswer(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Installed Applications and Free Memory from all machines")
	set := data[resultSets](t, d.call("GET", "/api/v2/result_data/question/1", "")).ResultSets[0]
	same(t, set.EstimatedTotal, 4)
	same(t, set.MRTested, 0)
	same(t, set.Rows, []rowObject{})
	same(t, set.Columns, []columnObject{
		{sensor.Hash("Installed Applications"), "Name", value.String}, {sensor.Hash("Installed Applications"), "Version", value.Version},
		{sensor.Hash("Free Memory"), "Free Memory", value.DataSize}, {0, "Count", value.Numeric},
	})
}

func TestResultPages(t *testing.T) {
	d := newDesk(t)
	id := d.ask("Get Operating System from all machines")
	d.fleet.say(id, func(r *tally.Result) { r.Rows, r.Passed = rows("a", "b", "b", "c", "d"), 5 })
	for query, want := range map[string]string{
		"": "bacd", "?row_start=1": "acd", "?row_count=2": "ba", "?row_start=1&row_count=2": "ac", "?row_start=4": "", "?row_start=99&row_count=5": "", "?row_count=0": "bacd",
	} {
		set := data[resultSets](t, d.call("GET", "/api/v2/result_data/question/1"+query, "")).ResultSets[0]
		got := ""
		for _, r := range set.Rows {
			got += r.Data[0][0].Text
		}
		if got != want || set.RowCount != 4 || set.ItemCount != 4 || set.RowCountMachines != 5 {
			t.Errorf("%q: rows %s, want %s; counters %+v", query, got, want, set.counters)
		}
	}
}

// pageOf is all rows of a reading.
func pageOf(t testing.TB, r reading) resultSet {
	t.Helper()
	v, err := r.set().Look(resultset.Query{}, t.Context().Err)
	must(t, err)
	return r.show(v, page{}, rowForm{})
}

// shown writes rows as id/cid: cells of texts.
func shown(rows []rowObject) (out []string) {
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%d/%d: %v", r.ID, r.CID, textsOf(r.Data)))
	}
	return out
}

// textsOf are the texts of cells, without their hashes.
func textsOf(data [][]textObject) (out [][]struct{ Text string }) {
	for _, cell := range data {
		texts := make([]struct{ Text string }, len(cell))
		for i, t := range cell {
			texts[i].Text = t.Text
		}
		out = append(out, texts)
	}
	return out
}

func columns(n int) (out []plan.Column) {
	for i := range n {
		out = append(out, plan.Column{SensorHash: 7, Name: fmt.Sprint("c", i), Type: value.String})
	}
	return out
}

func TestRows(t *testing.T) {
	cells := func(texts ...string) (out []answer.Cell) {
		for _, text := range texts {
			out = append(out, answer.Cell{text})
		}
		return out
	}
	several := answer.Row{Hash: 1<<32 + 5, Cells: []answer.Cell{{"a", "b"}, {"x"}}, Count: 1}
	for _, tt := range []struct {
		name string
		plan plan.Plan
		rows answer.Rows
		prog tally.Progress
		want []string
	}{
		{
			"one column", plan.Plan{Columns: columns(1), Selects: []int{0}},
			answer.Rows{List: []answer.Row{{Hash: 2, Cells: cells("Linux"), Count: 3}, {Hash: 3, Cells: cells("[no results]"), Count: 9}}}, tally.Progress{},
			[]string{"0/0: [[{[no results]}] [{9}]]", fmt.Sprint(sensor.Hash("linux"), "/0: [[{Linux}] [{3}]]")},
		},
		{
			"two columns of one sensor", plan.Plan{Columns: columns(2), Selects: []int{0}},
			answer.Rows{List: []answer.Row{{Hash: 2, Cells: cells("Firefox", "1.0"), Count: 3}, {Hash: 3, Cells: cells("[no results]", "[no results]"), Count: 1}}}, tally.Progress{},
			[]string{fmt.Sprint(sensor.Hash("firefox|1.0"), "/0: [[{Firefox}] [{1.0}] [{3}]]"), "0/0: [[{[no results]}] [{[no results]}] [{1}]]"},
		},
		{
			"two sensors", plan.Plan{Columns: columns(2), Selects: []int{0, 1}},
			answer.Rows{List: []answer.Row{several}}, tally.Progress{}, []string{"5/0: [[{a} {b}] [{x}] [{1}]]"},
		},
		{
			"computers", plan.Plan{Columns: columns(2), Selects: []int{0}, ComputerID: true},
			answer.Rows{List: []answer.Row{{Hash: 9, Cells: cells("4294967295", "Linux"), Count: 1}, {Hash: 8, Cells: cells("broken", "Linux"), Count: 1}}}, tally.Progress{},
			[]string{"8/0: [[{Linux}] [{1}]]", "9/4294967295: [[{Linux}] [{1}]]"},
		},
		{
			"pending machines", plan.Plan{Columns: columns(2), Selects: []int{0}},
			answer.Rows{List: []answer.Row{{Hash: 2, Cells: cells("a", "b"), Count: 3}, {Hash: 3, Cells: cells("a", "c"), Count: 1}}}, tally.Progress{Pending: 2},
			[]string{
				fmt.Sprint(sensor.Hash("a|b"), "/0: [[{a}] [{b}] [{3}]]"),
				fmt.Sprint(sensor.Hash(resultset.Unavailable+"|"+resultset.Unavailable), "/0: [[{[current results unavailable]}] [{[current results unavailable]}] [{2}]]"),
				fmt.Sprint(sensor.Hash("a|c"), "/0: [[{a}] [{c}] [{1}]]"),
			},
		},
		{
			"too many", plan.Plan{Columns: columns(1), Selects: []int{0}},
			answer.Rows{List: []answer.Row{{Hash: 2, Cells: cells("a"), Count: 3}}, Cut: 1 << 62}, tally.Progress{Pending: 9},
			[]string{fmt.Sprint(sensor.Hash(resultset.Unavailable), "/0: [[{[current results unavailable]}] [{9}]]"), fmt.Sprint(sensor.Hash("a"), "/0: [[{a}] [{3}]]"), "1/0: [[{[too many results]}] [{0}]]"},
		},
		{
			"number of machines", plan.Plan{},
			answer.Rows{List: []answer.Row{{Hash: 1<<33 + 6, Count: 3}}}, tally.Progress{Pending: 9}, []string{"6/0: [[{3}]]"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := pageOf(t, reading{record: store.Question{ComputerID: tt.plan.ComputerID}, plan: tt.plan, result: tally.Result{Progress: tt.prog, Rows: tt.rows}})
			same(t, shown(set.Rows), tt.want)
			same(t, set.RowCount, len(tt.want))
			same(t, len(set.Columns), len(set.Rows[0].Data))
		})
	}
}

func TestDistinctEstimateOnlyWhenRowsAreMissing(t *testing.T) {
	r := reading{plan: plan.Plan{Columns: columns(1), Selects: []int{0}}, result: tally.Result{Rows: rows("a", "b")}}
	member := func() bool {
		b, err := marshal(pageOf(t, r))
		must(t, err)
		return bytes.Contains(b, []byte("distinct_estimate"))
	}
	same(t, member(), false) // programs that refuse unknown members see none
	r.result.Rows.Cut = 1 << 61
	same(t, member(), true)
	same(t, pageOf(t, r).DistinctEstimate, uint64(24)) // 3 in an eighth of the hashes
}

// The same rows in any order are shown in one order.
func TestOrderIsStable(t *testing.T) {
	list := rows("b", "a", "c", "c", "d").List
	p := plan.Plan{Columns: columns(1), Selects: []int{0}}
	want := shown(pageOf(t, reading{plan: p, result: tally.Result{Rows: answer.Rows{List: list}}}).Rows)
	for i := range list {
		turned := append(append([]answer.Row{}, list[i:]...), list[:i]...)
		same(t, shown(pageOf(t, reading{plan: p, result: tally.Result{Rows: answer.Rows{List: turned}}}).Rows), want)
	}
}

// many are n different rows of a plausible size.
func many(n int) reading {
	var list []answer.Row
	for i := range n {
		list = append(list, key.Row([]answer.Cell{{fmt.Sprintf("Application number %d", i)}, {fmt.Sprintf("1.%d.3", i)}}))
	}
	return reading{
		plan:   plan.Plan{Columns: columns(2), Selects: []int{0}},
		result: tally.Result{Rows: answer.RowsOf(answer.ServerLimits, list...)},
		now:    time.Now(),
	}
}

func BenchmarkResultData10000(b *testing.B) {
	r := many(10_000)
	for b.Loop() {
		if _, err := marshal(pageOf(b, r)); err != nil {
			b.Fatal(err)
		}
	}
}
