package server

import (
	"context"
	"encoding/json"
	"time"

	"catenary/internal/endpoint"
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
	return s.store.CloseQuestion(ctx, c.question, c.at, data)
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
		h.written <- writing{close: closing{id, now, h.count(id)}}
	}
}

// closeLeftOver closes the questions that a server which did not end in order
// has left open.
func (s *Server) closeLeftOver(ctx context.Context) error {
	open, err := s.store.OpenQuestions(ctx)
	if err != nil {
		return err
	}
	for _, q := range open {
		r := tally.Result{Progress: tally.Progress{Question: q.ID, Issued: q.Issued, Expires: q.Expires, Version: 1}}
		if err := s.closeQuestion(ctx, closing{q.ID, time.Now(), r}); err != nil {
			return err
		}
		s.log.Warn("question was cut off when the server ended; its answers are lost", "question", q.ID)
	}
	return nil
}

// enrolled takes in a machine that has just got its identity.
func (h *hub) enrolled(c store.Client) {
	h.clients[c.ID] = &machine{
		status: endpoint.Status{ID: c.ID, ComputerID: c.ComputerID, Name: c.Name},
		key:    c.Key,
	}
}
