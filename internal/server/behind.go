package server

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// A writing is what goes to the database behind the hub's back: registrations,
// findings, the end of a question, or the end of history.
type writing struct {
	touches  []store.Touch
	close    closing
	forget   time.Time // questions closed before then; zero: none
	findings []store.Finding
	stats    []store.SensorStat
}

type closing struct {
	question uint64 // as those know it who asked; 0: none
	number   uint64 // on the desk
	at       time.Time
	result   tally.Result
	account  store.Account
	counted  map[uint32]bool // what it tells of the members of a group; nil: it is not for that
	open     bool            // the answer is only kept: the question is asked again when the server is back
}

func (s *Server) closeQuestion(ctx context.Context, c closing) error {
	data, err := json.Marshal(c.result)
	if err != nil {
		return err
	}
	a := store.Answer{Result: data, Account: c.account}
	if c.open {
		// One that was asked again may not have come as far as it was before.
		if kept, err := s.kept(ctx, c.question); err != nil || kept.Answered > c.result.Answered {
			return err
		}
		return s.store.KeepAnswer(ctx, c.question, a)
	}
	return s.store.CloseQuestion(ctx, c.question, c.at, a)
}

// kept is the answer that was kept of a question; an empty one, if none was.
func (s *Server) kept(ctx context.Context, id uint64) (r tally.Result, err error) {
	data, err := s.store.QuestionResult(ctx, id)
	if fault.KindOf(err) == fault.NotFound {
		return r, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &r)
	}
	return r, err
}

// closing is the end of a question on the desk.
func (h *hub) closing(now time.Time, number uint64, q *live) closing {
	return closing{question: q.id, number: number, at: now, result: h.count(number, q), account: h.account(number, q), counted: h.counted(number, q)}
}

// writeBehind hands over to the writer, unless others wait for it already: the
// hub then comes again later, and what changes meanwhile is written once.
func (h *hub) writeBehind(make func() writing) bool {
	if len(h.written) > 0 { // nobody else fills it
		return false
	}
	h.written <- make()
	return true
}

// end closes a question and hands its answer over, unless so many others wait
// that the hub has to come again.
func (h *hub) end(now time.Time, number uint64, q *live) {
	h.desk.Close(number)
	if len(h.written) < cap(h.written) {
		h.written <- writing{close: h.closing(now, number, q)}
		q.closed = true
	}
}

// isWritten notes that a question's end is in the database, or never will be.
func (h *hub) isWritten(number uint64) {
	if q := h.live[number]; q != nil {
		q.written = true
	}
}

// writeTouches hands the registrations since the last time to the writer.
func (h *hub) writeTouches() {
	if len(h.touched) > 0 && h.writeBehind(func() writing { return writing{touches: h.touches()} }) {
		clear(h.touched)
	}
}

func (h *hub) touches() []store.Touch {
	out := make([]store.Touch, 0, len(h.touched))
	for id := range h.touched {
		out = append(out, h.clients[id].touch())
	}
	return out
}

// writeFindings hands what was found since the last time to the writer.
func (h *hub) writeFindings() {
	if len(h.unwritten) > 0 && h.writeBehind(func() writing { return writing{findings: h.newFindings()} }) {
		clear(h.unwritten)
	}
}

// newFindings are those that are not written down as they are, in the order in
// which they were first found.
func (h *hub) newFindings() []store.Finding {
	out := make([]store.Finding, 0, len(h.unwritten))
	for f := range h.unwritten {
		out = append(out, copied(f))
	}
	slices.SortFunc(out, func(a, b store.Finding) int { return a.First.Compare(b.First) })
	return out
}

func (c *machine) touch() store.Touch {
	return store.Touch{
		ID: c.status.ID, Name: c.status.Name, Registered: c.status.Registered,
		Incarnation: c.incarnation, Sequence: c.sequence, LAN: c.seat.LAN, Slot: c.seat.Slot,
	}
}

// flush hands everything that is left to the writer when the server stops.
func (h *hub) flush() {
	h.written <- writing{touches: h.touches(), findings: h.newFindings(), stats: h.lastStats()}
	now := time.Now()
	for id, q := range h.live {
		if q.closed {
			continue
		}
		c := h.closing(now, id, q)
		switch {
		case c.result.Complete():
			c.result.Expires = now // nobody is to wait for more
		case q.expires.Sub(now) < lifeMin:
			c.result.Expires = now
			c.account.End = "the server was stopped before the question's time was over"
		default:
			c.open = true
		}
		h.written <- writing{close: c}
	}
}

// enrolled takes in a machine that has just got its identity.
func (h *hub) enrolled(c store.Client) {
	h.clients[c.ID] = &machine{
		status: endpoint.Status{ID: c.ID, ComputerID: c.ComputerID, Name: c.Name},
		key:    c.Key,
	}
}
