package server

import (
	"context"
	"encoding/json"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

// A writing is what goes to the database behind the hub's back: registrations,
// the end of a question, or the end of history.
type writing struct {
	touches []store.Touch
	close   closing
	forget  time.Time // questions closed before then; zero: none
}

type closing struct {
	question uint64 // 0: none
	at       time.Time
	result   tally.Result
	account  store.Account
	open     bool // the answer is only kept: the question is asked again when the server is back
}

// writeTimeout bounds one writing. A database that takes longer is in trouble,
// which the log then says.
const writeTimeout = 30 * time.Second

// write is the goroutine that writes behind, until the channel is closed.
func (s *Server) write() {
	for w := range s.written {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout) // outlives Run's: nothing is lost at the end
		if len(w.touches) > 0 {
			if err := s.store.TouchClients(ctx, w.touches); err != nil {
				s.log.Error("registrations not kept", "count", len(w.touches), "because", err)
			}
		}
		if w.close.question != 0 {
			if err := s.closeQuestion(ctx, w.close); err != nil {
				s.log.Error("question's result not kept", "question", w.close.question, "because", err)
			}
		}
		if !w.forget.IsZero() {
			if _, err := s.store.DeleteQuestions(ctx, w.forget); err != nil {
				s.log.Error("old questions not removed", "because", err)
			}
		}
		cancel()
	}
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
	return closing{question: q.id, at: now, result: h.count(number, q), account: h.account(number, q)}
}

// writeBehind hands over to the writer, unless it is busy: the hub then comes
// again later.
func (h *hub) writeBehind(w writing) bool {
	select {
	case h.written <- w:
		return true
	default:
		return false
	}
}

// writeTouches hands the registrations since the last time to the writer.
func (h *hub) writeTouches() {
	if len(h.touched) > 0 && h.writeBehind(writing{touches: h.touches()}) {
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

func (c *machine) touch() store.Touch {
	return store.Touch{
		ID: c.status.ID, Name: c.status.Name, Registered: c.status.Registered,
		Incarnation: c.incarnation, Sequence: c.sequence, LAN: c.seat.LAN, Slot: c.seat.Slot,
	}
}

// flush hands everything that is left to the writer when the server stops.
func (h *hub) flush() {
	h.written <- writing{touches: h.touches()}
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
