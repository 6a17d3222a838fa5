package cli

import (
	"compress/gzip"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// exportedText is what the fake server has written into every file.
const exportedText = "Name,Count\r\nalpha,1\r\nevil\x1b[2J,2\r\n"

// exports answers a request that wants a file, as the server does: the file's
// name says what was asked for. Of question 2 not every machine has answered.
func exports(w http.ResponseWriter, r *http.Request) bool {
	var o map[string]any
	if json.Unmarshal([]byte(r.Header.Get("tanium-options")), &o) != nil || o["export_flag"] != 1.0 {
		return false
	}
	tested := 4
	if strings.HasSuffix(r.URL.Path, "/2") {
		tested = 3
	}
	reply(w, map[string]any{
		"export_id":   strings.ReplaceAll(strings.TrimPrefix(r.URL.Path, "/api/v2/result_data/"), "/", "-") + "-" + string(rune('0'+int(o["export_format"].(float64)))),
		"result_sets": []any{map[string]any{"estimated_total": 4, "mr_tested": tested}},
	})
	return true
}

// serveAnswers are the routes about saved questions and files.
func (f *fleet) serveAnswers(mux *http.ServeMux) {
	answer := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if exports(w, r) {
				return
			}
			var whole any
			if err := json.Unmarshal([]byte(text), &whole); err != nil {
				panic(err)
			}
			reply(w, whole)
		}
	}
	mux.HandleFunc("GET /api/v2/saved_questions/by-name/{name}", answer(`{"id":5,"name":"Names"}`))
	mux.HandleFunc("GET /api/v2/result_data/saved_question/5", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("tanium-options"), `"recent_result_buckets":"60,120"`) {
			answer(`{"result_sets":[{"question_id":42,"seconds_since_issued":90,"estimated_total":4,"mr_tested":3,"recent_count":2,
				"columns":[{"hash":7,"name":"Name","type":1},{"hash":0,"name":"Age","type":1},{"hash":0,"name":"Count","type":3}],
				"rows":[{"data":[[{"text":"alpha"}],[{"text":"now"}],[{"text":"3"}]]},{"data":[[{"text":"beta"}],[{"text":"up to 2 minutes"}],[{"text":"2"}]]}]}]}`)(w, r)
			return
		}
		answer(`{"result_sets":[{"question_id":42,"seconds_since_issued":90,"estimated_total":4,"mr_tested":3,
			"columns":[{"hash":7,"name":"Name","type":1},{"hash":0,"name":"Count","type":3}],"rows":[{"data":[[{"text":"alpha"}],[{"text":"3"}]]}]}]}`)(w, r)
	})
	mux.HandleFunc("GET /api/v2/saved_questions/5/history", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("row_count") != "7" {
			refuse(w, http.StatusBadRequest, "want row_count 7")
			return
		}
		answer(`[{"question_id":42,"closed_time":"2026-11-22T11:00:00Z","estimated_total":4,"mr_tested":3,"passed":2,"error_count":1,"row_count":9,
			"rows":[{"texts":["a","b"],"count":3},{"texts":["c"],"count":2},{"texts":["d"],"count":1},{"texts":["e"],"count":1}]},
			{"cache_id":0,"page_row_count":1}]`)(w, r)
	})
	mux.HandleFunc("GET /export/{file}", func(w http.ResponseWriter, r *http.Request) {
		name, isFile := strings.CutSuffix(r.PathValue("file"), ".gz")
		if !isFile || !strings.HasPrefix(name, "question-") && !strings.HasPrefix(name, "saved_question-5-") {
			refuse(w, http.StatusNotFound, "ExportNotFound")
			return
		}
		w.Header().Set("Content-Type", "application/gzip")
		z := gzip.NewWriter(w)
		if _, err := z.Write([]byte(name + "\n" + exportedText)); err != nil {
			panic(http.ErrAbortHandler)
		}
		if strings.HasPrefix(name, "question-9-") {
			panic(http.ErrAbortHandler) // before its end
		}
		if err := z.Close(); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write([]byte(`{"paths":{"/api/v2/things":{},"/api/v2/things/{id}":{},"/metrics":{}}}`)); err != nil {
			panic(http.ErrAbortHandler)
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "Invalid object route") })
}

// TestExport: a file is whole, its owner's, and replaces nothing unless that is
// wanted; on a terminal it does no harm.
func TestExport(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	path := filepath.Join(t.TempDir(), "answer.csv")
	out, errs, code := p.run("question", "export", "1", "--output", path)
	if out != "" || errs != "Wrote "+strconv.Itoa(len("question-1-0\n"+exportedText))+" bytes to "+path+".\n" || code != exitOK {
		t.Errorf("%q %q, code %d", out, errs, code)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if _, errs, code := p.run("question", "export", "1", "-o", path); code != exitFailed || !strings.Contains(errs, path+" is there already: --force replaces it") {
		t.Errorf("%q, code %d", errs, code)
	}
	p.says(t, "question", "export", "1", "-o", path, "--force", "--format", "json")
	if data, err := os.ReadFile(path); err != nil || string(data) != "question-1-4\n"+exportedText {
		t.Errorf("%q, %v", data, err)
	}
	for format, number := range map[string]string{"csv": "0", "xml": "1", "cef": "2", "csv-lines": "3", "json": "4"} {
		if out := p.says(t, "question", "export", "1", "--format", format); out != "question-1-"+number+"\n"+exportedText {
			t.Errorf("%s: %q", format, out)
		}
	}
	if out := p.says(t, "saved-question", "export", "Names", "--recent"); out != "saved_question-5-0\n"+exportedText {
		t.Errorf("%q", out)
	}
	out, errs, code = p.run("question", "export", "2")
	if out != "question-2-0\n"+exportedText || errs != "1 of 4 machines have not answered: they are not in it.\n" || code != exitOK {
		t.Errorf("%q %q, code %d", out, errs, code)
	}

	gone := filepath.Join(t.TempDir(), "x")
	if _, errs, code := p.run("question", "export", "9", "-o", gone); code == exitOK {
		t.Errorf("a file that breaks off: %q, code %d", errs, code)
	}
	if left, err := filepath.Glob(gone + "*"); err != nil || len(left) > 0 {
		t.Errorf("left of it: %v, %v", left, err)
	}
	for args, want := range map[string]string{
		"export x": `"x" is not the ID of a question`, "export": "takes the ID of a question, but got 0",
		"export 1 --format yaml": `--format "yaml": write csv, xml, cef, csv-lines, json`, "export 1 -o /nonexistent/x": "no such file or directory",
	} {
		if _, errs, code := p.run(append([]string{"question"}, strings.Fields(args)...)...); code != exitUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: %q, code %d, want %q", args, errs, code, want)
		}
	}
	p.width = 80
	if out := p.says(t, "question", "export", "1"); strings.Contains(out, "\x1b") || !strings.Contains(out, `evil\x1b[2J,2`) {
		t.Errorf("on a terminal: %q", out)
	}
}

func TestSavedAnswers(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	out, errs, code := p.run("saved-question", "answers", "Names", "--format", "csv")
	if strings.ReplaceAll(out, "\r", "") != "Name,Count\nalpha,3\n" || errs != "question 42, asked 1m30s ago: 3 of 4 machines answered\n" || code != exitOK {
		t.Errorf("%q %q, code %d", out, errs, code)
	}
	out, errs, code = p.run("saved-question", "answers", "Names", "--recent", "--ages", "60,120", "--format", "csv")
	if strings.ReplaceAll(out, "\r", "") != "Name,Age,Count\nalpha,now,3\nbeta,up to 2 minutes,2\n" || !strings.HasSuffix(errs, "; 2 more by what they have said last\n") || code != exitOK {
		t.Errorf("%q %q, code %d", out, errs, code)
	}
}

func TestSavedHistory(t *testing.T) {
	p := newPlace(t).at(newFleet(t))
	out := p.says(t, "saved-question", "history", "Names", "--limit", "7", "--format", "csv")
	want := "Closed,Question,Answered,Machines,Match,Errors,Rows,Most Frequent\n2026-11-22T11:00:00Z,42,3,4,2,1,9,\"a, b (3)\nc (2)\nd (1)\"\n"
	if strings.ReplaceAll(out, "\r", "") != want {
		t.Errorf("%q\nwant %q", out, want)
	}
	if out := p.says(t, "saved-question", "history", "Names", "--limit", "7"); !strings.Contains(out, "1 hour ago") {
		t.Errorf("%q", out)
	}
	if _, errs, code := p.run("saved-question", "history", "Names", "--limit", "0"); code != exitUsage || !strings.Contains(errs, "--limit 0 is not between 1 and 1000") {
		t.Errorf("%q, code %d", errs, code)
	}
}

// TestAPIPath: who writes /things is told that it is below /api/v2/, and who
// writes what is not there either is not.
func TestAPIPath(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	for path, want := range map[string]string{
		"/things":          "catenary: Invalid object route\n/api/v2/things is there: write it without the / at its beginning, or whole\n",
		"/things/7?a=1":    "catenary: Invalid object route\n/api/v2/things/7 is there: write it without the / at its beginning, or whole\n",
		"/things/7/more":   "catenary: Invalid object route\n",
		"/metrics/x":       "catenary: Invalid object route\n",
		"/api/v2/nonesuch": "catenary: Invalid object route\n",
	} {
		if _, errs, code := p.run("api", path); errs != want || code != exitFailed {
			t.Errorf("%s: %q, code %d, want %q", path, errs, code, want)
		}
	}
}
