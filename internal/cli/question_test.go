package cli

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// serveQuestions is the fleet's memory of what it was asked.
func (f *fleet) serveQuestions(mux *http.ServeMux) {
	f.accounts = map[string]map[string]any{}
	object := func(i int, q fakeQuestion) map[string]any {
		expire := max(q.expire, 600)
		return map[string]any{
			"id": i + 1, "query_text": q.text, "expire_seconds": expire, "is_expired": q.ended, "user": map[string]any{"id": 1, "name": fakeUser},
			"expiration": q.asked.Add(time.Duration(expire) * time.Second).Format(time.RFC3339),
		}
	}
	mux.HandleFunc("GET /api/v2/questions", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		list := []any{}
		for i := len(f.questions) - 1; i >= 0; i-- {
			list = append(list, object(i, f.questions[i]))
		}
		if r.URL.Query().Get("row_count") == "1" {
			list = list[:min(1, len(list))]
		}
		reply(w, append(list, map[string]any{"cache_id": 1, "errors": []any{}}))
	})
	show := func(data func(i int, q fakeQuestion, p progress) any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			f.mu.Lock()
			defer f.mu.Unlock()
			q, p, ok := f.question(r)
			if !ok {
				refuse(w, http.StatusNotFound, "QuestionNotFound")
				return
			}
			reply(w, data(int(r.PathValue("id")[0]-'1'), q, p))
		}
	}
	mux.HandleFunc("GET /api/v2/questions/{id}", show(func(i int, q fakeQuestion, _ progress) any { return object(i, q) }))
	mux.HandleFunc("GET /api/v2/result_info/question/{id}", show(func(_ int, _ fakeQuestion, p progress) any {
		return map[string]any{"now": "", "result_infos": []progress{p}}
	}))
	mux.HandleFunc("GET /api/v2/audit_findings", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		list := slices.Clone(f.findings)
		if r.URL.Query().Get("row_count") == "1" {
			list = list[:1]
		}
		reply(w, append(list, map[string]any{"cache_id": 1, "errors": []any{}}))
	})
	mux.HandleFunc("GET /api/v2/questions/{id}/account", func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		a := f.accounts[r.PathValue("id")]
		if a == nil {
			refuse(w, http.StatusNotFound, "no account of question "+r.PathValue("id")+" was kept")
			return
		}
		reply(w, a)
	})
}

// exception is a machine in an account.
func exception(name, outcome string) map[string]any {
	return map[string]any{"client_id": strings.Repeat("a", 32), "computer_id": 4000000000, "host_name": name, "lan": "10.1.7.0/24", "outcome": outcome}
}

// inquiries gives the fleet three questions with accounts.
func inquiries(f *fleet) {
	f.questions = []fakeQuestion{
		{text: "Get Computer Name from all machines", asked: noon.Add(-3 * time.Hour), ended: true},
		{text: "Get Free Memory from all machines with Computer Name contains \x1b[2J", asked: noon.Add(-2 * time.Minute)},
		{text: "Get number of machines", asked: noon.Add(-10 * time.Second)},
	}
	f.accounts["1"] = map[string]any{
		"state": "closed", "end_reason": "the server ended before the question's time was over", "answered_count": 3, "offline_count": 1,
		"exceptions": []any{exception("delta", "offline")}, "exception_count": 1, "repeat_count": 2, "repeat_time": noon.Add(-3 * time.Hour).Format(time.RFC3339),
	}
	f.accounts["2"] = map[string]any{
		"state": "open", "answered_count": 1, "failed_count": 2, "stopped_count": 3, "running_count": 4, "not_reached_count": 5, "offline_count": 6,
		"exceptions":      []any{exception("beta", "not_reached"), exception("\x1b[31mred", "running"), exception("gamma", "future")},
		"exception_count": 19, "exceptions_left_out": 1, "round_count": 1,
	}
}

// TestQuestionShowOfSomeMachines: who sees some machines only is told that the
// numbers are theirs, and nothing of how many have answered.
func TestQuestionShowOfSomeMachines(t *testing.T) {
	f := newFleet(t)
	inquiries(f)
	p := newPlace(t).at(f)
	f.accounts["2"] = map[string]any{"state": "open", "failed_count": 2}
	const note = "Named and counted are the machines that you see; who has answered is not named.\n"
	if out := p.says(t, "question", "show", "2"); !strings.HasSuffix(out, "\n"+note+"\nMachines  What Became of the Question\n       2  a sensor failed\n") {
		t.Errorf("%s", out)
	}
	f.accounts["2"] = map[string]any{"state": "open"}
	if out := p.says(t, "question", "show", "2"); !strings.HasSuffix(out, "\n"+note+"\n") {
		t.Errorf("%s", out)
	}
}

// TestQuestionShowNewest: without an ID it is the newest question.
func TestQuestionShowNewest(t *testing.T) {
	f := newFleet(t)
	p := newPlace(t).at(f)
	out, errs, code := p.run("question", "show")
	if want := "catenary: nothing has been asked yet; try: catenary ask 'Get Computer Name from all machines'\n"; out != "" || errs != want || code == exitOK {
		t.Errorf("%d, %q, %q", code, out, errs)
	}
	inquiries(f)
	f.questions = f.questions[:2]
	if newest, second := p.says(t, "question", "show"), p.says(t, "question", "show", "2"); newest != second {
		t.Errorf("got\n%s\nand not\n%s", newest, second)
	}
}

func TestQuestionShow(t *testing.T) {
	f := newFleet(t)
	inquiries(f)
	p := newPlace(t).at(f)
	f.sleep("delta")
	f.offline = 1
	out, errs, code := p.run("question", "show", "1")
	want := `Question 1: Get Computer Name from all machines
  asked   3 hours ago by ada
  state   ended 2 hours ago: the server ended before the question's time was over
  answer  3 of 3 machines, 0 rows
  again   asked anew 2 times, last 3 hours ago: the server had ended

Machines  What Became of the Question
       3  answered
       1  off, or found dead by its neighbours

Computer Name  Computer ID  LAN          Why There Is No Plain Answer
delta           4000000000  10.1.7.0/24  off, or found dead by its neighbours
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	out = p.says(t, "question", "show", "2")
	want = `Question 2: Get Free Memory from all machines with Computer Name contains \x1b[2J
  asked   2 minutes ago by ada
  state   complete; who comes late may answer for another 8 minutes
  answer  3 of 3 machines, 0 rows
  again   up to once in a LAN in which answers were missing

Machines  What Became of the Question
       1  answered
       2  a sensor failed
       3  a sensor took too long and was stopped
       4  has the question and has not answered
       5  nothing was heard of it
       6  off, or found dead by its neighbours

Computer Name  Computer ID  LAN          Why There Is No Plain Answer
beta            4000000000  10.1.7.0/24  nothing was heard of it
\x1b[31mred     4000000000  10.1.7.0/24  has the question and has not answered
gamma           4000000000  10.1.7.0/24  future
… and 17 more, of which the server names 16 with --all
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
	f.sleep("alpha", "delta")
	if out := p.says(t, "question", "show", "2"); !strings.Contains(out, "  state   open for another 8 minutes\n  answer  2 of 3 machines") {
		t.Errorf("got\n%s", out)
	}
	for args, says := range map[string]string{
		"show 3": "catenary: question 3: no account of question 3 was kept\n", "show 9": "catenary: question 9: QuestionNotFound\n",
	} {
		if _, errs, code := p.run(append([]string{"question"}, strings.Fields(args)...)...); code != exitFailed || errs != says {
			t.Errorf("%s: %q, code %d", args, errs, code)
		}
	}
	for args, says := range map[string]string{
		"show x": `"x" is not the ID of a question`, "show 1 2": "takes the ID of a question, but got 2", "list --limit 0": "--limit 0 is not between 1 and 1000",
	} {
		if _, errs, code := p.run(append([]string{"question"}, strings.Fields(args)...)...); code != exitUsage || !strings.Contains(errs, says) {
			t.Errorf("%s: %q, code %d", args, errs, code)
		}
	}
}

func TestQuestionShowAsJSON(t *testing.T) {
	f := newFleet(t)
	inquiries(f)
	out, errs, code := newPlace(t).at(f).run("question", "show", "2", "--json")
	for _, want := range []string{
		`"query_text": "Get Free Memory from all machines with Computer Name contains \u001b[2J"`, `"estimated_total": 4,`, `"outcome": "not_reached"`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s is not in\n%s%s", want, out, errs)
		}
	}
	if code != exitOK || !strings.HasPrefix(out, "{\n  \"question\": {\n") {
		t.Errorf("code %d", code)
	}
}

func TestQuestionList(t *testing.T) {
	f := newFleet(t)
	inquiries(f)
	p := newPlace(t).at(f)
	out, errs, code := p.run("question", "list")
	want := `ID  Asked           By   State  Question
 3  10 seconds ago  ada  open   Get number of machines
 2  2 minutes ago   ada  open   Get Free Memory from all machines with Computer Name contains \x1b[2J
 1  3 hours ago     ada  ended  Get Computer Name from all machines
`
	if out != want || code != exitOK {
		t.Errorf("got\n%s%s\nwant\n%s", out, errs, want)
	}
	out = p.says(t, "question", "list", "--json", "--limit", "1")
	want = `[
  {"ID": 3, "Asked": "2026-11-22T11:59:50Z", "By": "ada", "State": "open", "Question": "Get number of machines"}
]
`
	if out != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestWriteRest(t *testing.T) {
	for want, a := range map[string]accountObject{
		"":                                 {},
		"… and 5 more: --all names them\n": {ExceptionCount: 5},
		"… and 7 more, which the server does not name\n":          {LeftOut: 7},
		"… and 12 more, of which the server names 5 with --all\n": {ExceptionCount: 5, LeftOut: 7},
	} {
		var b strings.Builder
		if err := writeRest(&b, a); err != nil || b.String() != want {
			t.Errorf("%q, %v, want %q", b.String(), err, want)
		}
	}
}

// ---- asking, and what becomes of it ----

// TestAskSaysWhoIsMissing: the reasons why an answer is incomplete.
func TestAskSaysWhoIsMissing(t *testing.T) {
	for _, tt := range []struct {
		got  incomplete
		want string
	}{
		{incomplete{progress: progress{Expected: 10, Answered: 7, Running: 1, Offline: 2}, why: "waited 1s", question: 5},
			"3 of 10 machines have not answered: waited 1s (1 still running, 2 not reached, 2 offline and not counted here)\nto wait on: catenary ask --resume 5"},
		{incomplete{progress: progress{Expected: 10, Answered: 9, Running: 4}, why: "waited 1s", closed: true},
			"1 of 10 machines have not answered: waited 1s (1 still running)"},
		{incomplete{progress: progress{Offline: 3}}, "all 3 machines are offline, so nobody could answer"},
		{incomplete{why: "the server ended", closed: true}, "nobody has answered: the server ended"},
		{incomplete{}, "no client is registered, so nobody could answer"},
	} {
		if got := tt.got.Error(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestAskDoesNotWaitForTheOffline(t *testing.T) {
	f := newFleet(t)
	f.sleep("beta")
	f.offline = 1
	p := newPlace(t).at(f)
	p.width = 70
	out, errs, code := p.run("ask", "--quiet", "1m", "Get Computer Name from all machines")
	if code != exitOK || !strings.HasSuffix(errs, "3 of 3 machines answered in 0.0 s, 3 rows; 1 are offline\n") || strings.Count(out, "\n") != 5 {
		t.Errorf("%q, code %d\n%s", errs, code, out)
	}
}

// TestAskSaysWhyAQuestionHasEnded: the server's reason, if it has one.
func TestAskSaysWhyAQuestionHasEnded(t *testing.T) {
	f := newFleet(t)
	f.sleep("beta")
	f.questions = []fakeQuestion{{sensors: f.sensors[:1], ended: true}}
	f.accounts["1"] = map[string]any{"end_reason": "the server has ended 4 times while it was asked"}
	_, errs, code := newPlace(t).at(f).run("ask", "--resume", "1")
	if want := "catenary: 1 of 4 machines have not answered: the server has ended 4 times while it was asked (1 not reached)\n"; errs != want || code != exitIncomplete {
		t.Errorf("%q, code %d", errs, code)
	}
}

// TestAskAcrossARestart: the server ends, is away for a while, and knows nothing
// when it is back; ask waits on, to the whole answer.
func TestAskAcrossARestart(t *testing.T) {
	f := newFleet(t)
	f.questions = []fakeQuestion{{sensors: f.sensors[:1]}}
	f.sleep("beta", "gamma")
	f.drops = 1
	p := newPlace(t).at(f)
	c, err := p.desk.connect(&flags{})
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	end, err := p.desk.await(t.Context(), c, 1, patience{percent: 100, settle: 1, quiet: time.Minute, timeout: time.Minute, comeback: 1}, func(n progress) {
		switch steps = append(steps, n.Answered); len(steps) {
		case 1: // the stream is cut off now, and everything is lost
			f.change(func() { f.repeats = 1 })
			f.sleep("alpha", "beta", "gamma", "delta")
		case 2, 3, 4:
			f.sleep()
		}
	})
	if end != complete || err != nil || steps[len(steps)-1] != 4 {
		t.Errorf("ended as %d, %v, after %v", end, err, steps)
	}
}

// TestAskAcrossManyCuts: a line that is cut again and again, each time after news,
// is made anew each time.
func TestAskAcrossManyCuts(t *testing.T) {
	f := newFleet(t)
	f.questions = []fakeQuestion{{sensors: f.sensors[:1]}}
	f.sleep("beta")
	f.drops, f.restarts = 7, true
	p := newPlace(t).at(f)
	c, err := p.desk.connect(&flags{})
	if err != nil {
		t.Fatal(err)
	}
	steps := 0
	end, err := p.desk.await(t.Context(), c, 1, patience{percent: 100, settle: 1, quiet: time.Minute, timeout: time.Minute, comeback: 1}, func(progress) {
		if steps++; steps == 8 {
			f.sleep()
		}
	})
	if end != complete || err != nil || f.drops != 0 {
		t.Errorf("ended as %d, %v, with %d drops left", end, err, f.drops)
	}
}

// TestWatch: for how long nothing may change.
func TestWatch(t *testing.T) {
	const settle, quiet, comeback = 1, 5, 60
	w := watch{patience: patience{percent: 90, settle: settle, quiet: quiet, comeback: comeback}}
	none := time.Duration(0)
	for i, step := range []struct {
		lost bool
		n    progress
		want time.Duration // none: it is no news
	}{
		{false, progress{}, none},
		{false, progress{Expected: 10}, quiet},
		{false, progress{Expected: 10}, none},
		{false, progress{Expected: 10, Answered: 9}, settle},
		{true, progress{Expected: 10, Answered: 9}, settle}, // only the line was cut
		{true, progress{Expected: 10, Answered: 2}, quiet},
		{true, progress{Expected: 10, Repeated: 1}, comeback},
		{false, progress{Expected: 10, Repeated: 1}, none},
		{false, progress{Expected: 10, Repeated: 1, Answered: 3}, comeback},
		{false, progress{Expected: 10, Repeated: 1, Answered: 9}, settle},
	} {
		w.lost = w.lost || step.lost
		wait, news := w.took(step.n)
		if wait != step.want || news != (step.want != none) || w.lost {
			t.Errorf("step %d: wait %d (news: %v), want %d", i, wait, news, step.want)
		}
	}
	w = watch{patience: patience{percent: 90, settle: settle, quiet: quiet, comeback: comeback}}
	if wait, _ := w.took(progress{Expected: 10, Repeated: 2}); wait != quiet {
		t.Errorf("a question that was asked again long ago is waited for %d", wait)
	}
}

// TestAskGivesUpOnAServerThatStaysAway: as often as it may be asked without news.
func TestAskGivesUpOnAServerThatStaysAway(t *testing.T) {
	f := newFleet(t)
	f.sleep("beta")
	f.drops = 100
	p := newPlace(t).at(f)
	p.desk.backoff = []time.Duration{1, 1, 1, 1, 1}
	_, errs, code := p.run("ask", "--quiet", "1m", "Get Computer Name from all machines")
	if code != exitUnreachable || !strings.Contains(errs, "its live answer broke off") || f.drops != 100-6 {
		t.Errorf("%q, code %d, %d drops left", errs, code, f.drops)
	}
	f.Close()
	if _, errs, code := p.run("ask", "--resume", "1"); code != exitUnreachable || !strings.Contains(errs, "no connection") {
		t.Errorf("%q, code %d", errs, code)
	}
}

// TestAskOfAServerThatNeverAnswers: one that has never told anything is not
// asked as long as one that has.
func TestAskOfAServerThatNeverAnswers(t *testing.T) {
	f := newFleet(t)
	f.busy = true
	p := newPlace(t).at(f)
	p.desk.backoff = []time.Duration{1, 1, 1, 1, 1}
	_, errs, code := p.run("ask", "Get Computer Name from all machines")
	streams := 0
	for _, call := range f.calls {
		if strings.HasSuffix(call, "/events") {
			streams++
		}
	}
	if code != exitUnreachable || streams != triesAtFirst+1 {
		t.Errorf("%q, code %d, %d tries", errs, code, streams)
	}
}
