package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catenary/internal/server/tally"
)

// A hearing notes what a stream says and when.
type hearing struct {
	header http.Header
	begun  time.Time

	mu     sync.Mutex // guards the fields below
	status int
	heard  []string
}

func (h *hearing) Header() http.Header { return h.header }
func (h *hearing) WriteHeader(s int)   { h.status = s }
func (h *hearing) Flush()              {}

// Write notes an event as "250ms progress 3", with the number of machines that
// have answered, rows or reason.
func (h *hearing) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	name, data := "", ""
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if text, ok := strings.CutPrefix(line, "event: "); ok {
			name = text
		}
		if text, ok := strings.CutPrefix(line, "data: "); ok {
			data = text
		}
		if strings.HasPrefix(line, ":") {
			name = line
		}
	}
	var v struct {
		Tested int   `json:"mr_tested"`
		Rows   []any `json:"rows"`
		Reason string
		Text   string
	}
	if data != "" {
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			return 0, err
		}
	}
	what := fmt.Sprintf("%v %s", time.Since(h.begun), name)
	switch name {
	case "progress":
		what += fmt.Sprint(" ", v.Tested)
	case "rows":
		what += fmt.Sprint(" ", len(v.Rows))
	case "end":
		what += " " + v.Reason
	case "":
		what += string(b)
	}
	h.heard = append(h.heard, what)
	return len(b), nil
}

// listen starts to hear the events of question 1; wait returns when the stream
// has ended.
func (d *desk) listen(ctx context.Context, session string) (h *hearing, wait func()) {
	h = &hearing{header: http.Header{}, begun: time.Now()}
	r := httptest.NewRequestWithContext(ctx, "GET", "/api/v2/questions/1/events", nil)
	r.Header.Set("session", session)
	var done sync.WaitGroup
	done.Go(func() { d.api.ServeHTTP(h, r) })
	return h, done.Wait
}

// answers lets n machines have answered.
func (d *desk) answers(id uint64, n int) {
	var texts []string
	for i := range n {
		texts = append(texts, fmt.Sprint("machine ", i))
	}
	d.fleet.say(id, func(r *tally.Result) { r.Answered, r.Passed, r.Rows = n, n, rows(texts...) })
}

func TestEventsOfACompleteAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		id := d.ask("Get Computer Name from all machines")
		h, wait := d.listen(t.Context(), d.session)
		synctest.Wait()
		time.Sleep(100 * time.Millisecond) // fake time, here and below
		d.answers(id, 1)
		time.Sleep(100 * time.Millisecond)
		d.answers(id, 2) // these two are one event
		time.Sleep(2 * time.Second)
		d.answers(id, 3) // comes at once
		time.Sleep(10 * time.Millisecond)
		d.answers(id, 4) // and the end with all that was held back
		wait()
		same(t, h.heard, []string{
			"0s progress 0", "0s rows 0", "250ms progress 2", "1s rows 2", "2.2s progress 3", "2.2s rows 3",
			"2.21s progress 4", "2.21s rows 4", "2.21s end complete",
		})
		same(t, h.status, 200)
		same(t, h.header.Get("Content-Type"), "text/event-stream")
		same(t, len(d.api.streams), 0)
	})
}

func TestEventsOfManyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		id := d.ask("Get Computer Name from all machines")
		d.fleet.say(id, func(r *tally.Result) { r.Expected = 1001 })
		h, wait := d.listen(t.Context(), d.session)
		for i := range 1000 {
			time.Sleep(10 * time.Millisecond)
			d.answers(id, i%7)
		}
		d.answers(id, 1001)
		wait()
		events := map[string]int{}
		for _, e := range h.heard {
			events[strings.Fields(e)[1]]++
		}
		// Ten seconds: four progress events and one with rows in each.
		if events["progress"] > 42 || events["progress"] < 38 || events["rows"] > 12 || events["rows"] < 10 || events["end"] != 1 {
			t.Errorf("events are %v", events)
		}
		var last []string
		for _, e := range h.heard[len(h.heard)-3:] {
			at, what, _ := strings.Cut(e, " ")
			if d, err := time.ParseDuration(at); err != nil || d > 10*time.Second+glance {
				t.Errorf("%s comes too late", e)
			}
			last = append(last, what)
		}
		same(t, last, []string{"progress 1001", "rows 1001", "end complete"})
	})
}

func TestEventsUntilExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		w := d.call("POST", "/api/v2/questions", `{"query_text":"Get Computer Name","expire_seconds":40}`)
		id := data[idObject](t, w).ID
		d.answers(id, 1)
		time.Sleep(5 * time.Second)
		h, wait := d.listen(t.Context(), d.session)
		wait()
		want := []string{"0s progress 1", "0s rows 1", "15s : keep-alive", "30s : keep-alive", "35s end expired"}
		same(t, h.heard, want)
		time.Sleep(time.Minute) // and of a question that is over
		h, wait = d.listen(t.Context(), d.session)
		wait()
		same(t, h.heard, []string{"0s progress 1", "0s rows 1", "0s end expired"})
	})
}

func TestEventsEndWithTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.ask("Get Computer Name from all machines")
		h, wait := d.listen(t.Context(), d.session)
		time.Sleep(sessionLife + time.Second) // hearing is use of the session
		d.want(d.call("GET", "/api/v2/client_count", ""), 200, `{"data":0}`)
		d.send("POST", "/api/v2/session/logout", fmt.Sprintf(`{"session":%q}`, d.session))
		wait()
		same(t, h.heard[len(h.heard)-2:], []string{"5m0s : keep-alive", "5m1s end refused"})
		if !strings.Contains(d.logs.String(), `msg="event stream ended" question=1 remote=192.0.2.1:1234 reason="Invalid session"`) {
			t.Errorf("log is %s", d.logs)
		}
	})
}

func TestEventsEndWithTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.ask("Get Computer Name from all machines")
		ctx, cancel := context.WithCancel(t.Context())
		h, wait := d.listen(ctx, d.session)
		synctest.Wait()
		cancel()
		wait()
		same(t, h.heard, []string{"0s progress 0", "0s rows 0"})
		if strings.Contains(d.logs.String(), "broke off") {
			t.Errorf("log is %s", d.logs)
		}
	})
}

func TestEventStreamsAreBounded(t *testing.T) {
	d := newDesk(t)
	d.ask("Get Computer Name from all machines")
	for range streamsMax {
		d.api.streams <- struct{}{}
	}
	d.want(d.call("GET", "/api/v2/questions/1/events", ""), 503,
		`{"text":"200 event streams are open, as many as there may be: try again later, or poll result_info"}`)
}

func TestEventsHavePages(t *testing.T) {
	d := newDesk(t)
	id := d.ask("Get Computer Name from all machines")
	d.answers(id, 4)
	w := d.call("GET", "/api/v2/questions/1/events?row_count=2", "")
	body := w.Body.String()
	if !strings.Contains(body, "event: rows\ndata: {") || strings.Count(body, `"cid":0`) != 2 || !strings.Contains(body, `"row_count":4`) {
		t.Errorf("stream is %s", body)
	}
}

// Over a real connection a stream outlives the limits for ordinary requests.
func TestEventsOutliveTheReadTimeout(t *testing.T) {
	d := newDesk(t)
	id := d.ask("Get Computer Name from all machines")
	srv := httptest.NewUnstartedServer(d.api)
	srv.Config.ReadTimeout, srv.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	srv.Start()
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+"/api/v2/questions/1/events", nil)
	must(t, err)
	req.Header.Set("session", d.session)
	resp, err := srv.Client().Do(req)
	must(t, err)
	defer func() { must(t, resp.Body.Close()) }()
	in := bufio.NewReader(resp.Body)
	line, err := in.ReadString('\n')
	must(t, err)
	same(t, line, "event: progress\n")
	later := time.AfterFunc(200*time.Millisecond, func() { d.answers(id, 4) })
	defer later.Stop()
	rest, err := io.ReadAll(in)
	must(t, err)
	if !strings.HasSuffix(string(rest), "event: end\ndata: {\"reason\":\"complete\"}\n\n") {
		t.Errorf("stream ends with %q", rest)
	}
}

// TestEventsOfChanges: who wants only what has changed is told that, and knows
// the rows all the same.
func TestEventsOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		id := d.ask("Get Computer Name from all machines")
		d.fleet.say(id, func(r *tally.Result) { r.Rows = rows("a", "b", "b", "c") })
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", "/api/v2/questions/1/events?delta_flag=1", nil)
		r.Header.Set("session", d.session)
		w := httptest.NewRecorder()
		var done sync.WaitGroup
		done.Go(func() { d.api.ServeHTTP(w, r) })
		time.Sleep(2 * time.Second) // fake time
		d.fleet.say(id, func(r *tally.Result) { r.Rows = rows("a", "b", "d", "d") })
		time.Sleep(2 * time.Second)
		d.fleet.say(id, func(r *tally.Result) { r.Rows, r.Answered = rows("a", "b", "d", "d"), 4 })
		done.Wait()

		known := map[uint64]string{}
		var sent []string
		for event := range strings.SplitSeq(w.Body.String(), "\n\n") {
			name, text, _ := strings.Cut(strings.TrimPrefix(event, "event: "), "\ndata: ")
			if name != "rows" && name != "changes" {
				continue
			}
			var v struct {
				Rows    []rowObject `json:"rows"`
				Removed []uint64    `json:"removed"`
			}
			must(t, json.Unmarshal([]byte(text), &v))
			what := name
			for _, ref := range v.Removed {
				what += " -" + known[ref][:1]
				delete(known, ref)
			}
			for _, row := range v.Rows {
				known[row.RefID] = row.Data[0][0].Text + row.Data[1][0].Text
				what += " " + known[row.RefID]
			}
			sent = append(sent, what)
		}
		same(t, sent, []string{"rows b2 a1 c1", "changes -c d2 b1", "changes"})
		same(t, slices.Sorted(maps.Values(known)), []string{"a1", "b1", "d2"})
	})
}
