package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"catenary/internal/fault"
	"catenary/internal/server/resultset"
	"catenary/internal/server/tally"
)

const (
	progressEvery = 250 * time.Millisecond // a person sees no more often
	rowsEvery     = time.Second            // row sets may be large
	glance        = 20 * time.Millisecond  // between looks at an answer that changes all the time
	keepAlive     = 15 * time.Second       // proxies cut lines that are silent for longer
	eventTimeout  = 30 * time.Second       // for one event to be taken by the reader
	eventRowsMax  = 10_000                 // rows in one event; the rest is at result_data
)

type endObject struct {
	Reason string `json:"reason"`
	// Why the caller hears no more, with the status that he would get now if he
	// asked again.
	Status int    `json:"status,omitempty"`
	Text   string `json:"text,omitempty"`
}

// questionEvents streams a question's answer while it grows (docs/api.md).
func (s *server) questionEvents(w http.ResponseWriter, c call) error {
	p, err := c.page()
	if err != nil {
		return err
	}
	if p.count == 0 || p.count > eventRowsMax {
		p.count = eventRowsMax
	}
	r, err := s.read(c.Context(), c)
	if err != nil {
		return err
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return fault.New(fault.Unavailable, "%d event streams are open, as many as there may be: try again later, or poll result_info", streamsMax)
	}
	st := &stream{api: s, reading: r, rows: p, w: w, rc: http.NewResponseController(w), patience: eventTimeout}
	if c.URL.Query().Get("delta_flag") == "1" {
		st.known = map[uint64]uint64{}
	}
	if err := st.begin(); err != nil {
		return err
	}
	err = st.run(c.Context())
	if why := c.opening.ended(); why != nil {
		s.log.InfoContext(c.Context(), "event stream ended", "question", r.result.Question, "remote", c.RemoteAddr, "reason", why)
		return st.refuse(c.opening.farewell(), why)
	}
	if err != nil && c.Context().Err() == nil {
		// The stream has begun, so the reader can only be told by its end.
		s.log.InfoContext(c.Context(), "event stream broke off", "question", r.result.Question, "remote", c.RemoteAddr, "reason", err)
	}
	return nil
}

// A stream is one reader of a question's events.
type stream struct {
	reading // the newest
	api     *server
	rows    page // in each event
	// known are the counts of the rows that the reader has, by their numbers, if
	// he is told of changes only; else nil. There are no more than rows.count.
	known map[uint64]uint64
	w     http.ResponseWriter
	rc    *http.ResponseController
	// patience is how long the reader may take for an event.
	patience time.Duration

	sentProgress, sentRows sent
	lastWrite              time.Time
}

// sent is what of a kind of event the reader has.
type sent struct {
	any     bool
	version uint64 // of the answer
	at      time.Time
}

// fresh reports whether version is news.
func (s sent) fresh(version uint64) bool { return !s.any || s.version != version }

// begin sends the head. From here on no error can be told by a status.
func (s *stream) begin() error {
	// The limit for reading the request would end the connection.
	if err := s.rc.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("event stream: %w", err)
	}
	s.w.Header().Set("Content-Type", "text/event-stream")
	s.w.Header().Set("X-Accel-Buffering", "no") // or a proxy would collect events
	s.w.WriteHeader(http.StatusOK)
	return nil
}

func (s *stream) run(ctx context.Context) error {
	for {
		s.now = time.Now()
		ended := s.result.Complete() || !s.now.Before(s.result.Expires)
		if err := s.sendDue(ctx, ended); err != nil {
			return err
		}
		if ended {
			reason := "expired"
			if s.result.Complete() {
				reason = "complete"
			}
			return s.event("end", endObject{Reason: reason})
		}
		if err := s.wait(ctx); err != nil {
			return err
		}
	}
}

// sendDue sends what is news and not too soon after the last of its kind.
func (s *stream) sendDue(ctx context.Context, ended bool) error {
	v := s.result.Version
	if p := &s.sentProgress; p.fresh(v) && (ended || !s.now.Before(p.at.Add(progressEvery))) {
		info, err := s.api.infoOf(ctx, s.reading)
		if err != nil {
			return err
		}
		if err := s.event("progress", info); err != nil {
			return err
		}
		*p = sent{true, v, s.now}
	}
	if p := &s.sentRows; p.fresh(v) && (ended || !s.now.Before(p.at.Add(rowsEvery))) {
		if err := s.sendRows(ctx); err != nil {
			return err
		}
		*p = sent{true, v, s.now}
	}
	if s.now.Sub(s.lastWrite) >= keepAlive {
		return s.write([]byte(": keep-alive\n\n"))
	}
	return nil
}

// sendRows sends the rows, or what has changed of them.
func (s *stream) sendRows(ctx context.Context) error {
	set, err := s.api.setOf(ctx, s.reading)
	if err != nil {
		return err
	}
	v, err := set.Look(resultset.Query{}, ctx.Err)
	if err != nil {
		return err
	}
	if s.known == nil {
		return s.event("rows", s.show(v, s.rows, rowForm{}))
	}
	shown := s.show(v, s.rows, rowForm{refs: true})
	if !s.sentRows.any {
		for i := range shown.Rows {
			s.known[shown.Rows[i].RefID] = rowCount(v, s.rows, i)
		}
		return s.event("rows", shown)
	}
	return s.event("changes", s.changes(v, shown))
}

// A changeSet is what has changed of the rows that a reader has.
type changeSet struct {
	counters
	Rows             []rowObject `json:"rows"`    // new ones, and those with another count
	Removed          []uint64    `json:"removed"` // ref_ids of those that are not there any more
	DistinctEstimate uint64      `json:"distinct_estimate,omitempty"`
}

// changes compares the rows of now with those that the reader has.
func (s *stream) changes(v *resultset.View, now resultSet) changeSet {
	out := changeSet{counters: now.counters, Rows: []rowObject{}, Removed: []uint64{}, DistinctEstimate: now.DistinctEstimate}
	here := make(map[uint64]uint64, len(now.Rows))
	for i, row := range now.Rows {
		count := rowCount(v, s.rows, i)
		here[row.RefID] = count
		if before, ok := s.known[row.RefID]; !ok || before != count {
			out.Rows = append(out.Rows, row)
		}
	}
	for ref := range s.known {
		if _, ok := here[ref]; !ok {
			out.Removed = append(out.Removed, ref)
		}
	}
	slices.Sort(out.Removed)
	s.known = here
	return out
}

// rowCount is how many machines have given a row of a page.
func rowCount(v *resultset.View, p page, i int) uint64 { return v.Row(p.start + i).Count }

// wait returns when something may be due, with the answer as it is then.
func (s *stream) wait(ctx context.Context) error {
	v := s.result.Version
	until := earlier(s.lastWrite.Add(keepAlive), s.result.Expires)
	if s.sentRows.fresh(v) {
		until = earlier(until, s.sentRows.at.Add(rowsEvery))
	}
	held := s.sentProgress.fresh(v)
	if held {
		// No look at each of a thousand changes, but the end is not missed.
		until = earlier(until, earlier(s.sentProgress.at.Add(progressEvery), s.now.Add(glance)))
	}
	limited, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	var res tally.Result
	var err error
	if held {
		<-limited.Done()
		err = limited.Err()
	} else {
		res, err = s.api.engine.Await(limited, s.result.Question, v)
	}
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		res, err = s.api.engine.Result(ctx, s.result.Question)
	}
	if err != nil {
		return err
	}
	s.result = res
	return nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// refuse says why a reader hears no more, the last that he hears. He is not waited
// for.
func (s *stream) refuse(w http.ResponseWriter, why error) error {
	s.w, s.rc, s.patience = w, http.NewResponseController(w), farewellTime
	status, text := statusOf(why)
	if err := s.event("end", endObject{"refused", status, text}); err != nil {
		return nil // he has hung up; there is nobody left to tell
	}
	return nil
}

func (s *stream) event(name string, v any) error {
	b, err := marshal(v)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	return s.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, bytes.TrimSpace(b)))
}

func (s *stream) write(b []byte) error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(s.patience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(b); err != nil {
		return err
	}
	s.lastWrite = time.Now()
	return s.rc.Flush()
}
