package server

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/plan"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
	"catenary/internal/server/store"
	"catenary/internal/server/tally"
)

const (
	// exceptionsMax bounds the machines that an account lists: two megabytes,
	// and more than anybody reads.
	exceptionsMax = 10_000
	// repetitionsMax is how often a question is asked again after the server has
	// ended: it may be the reason why it did.
	repetitionsMax = 3
	// againMax bounds the questions that a server asks again at its start: what
	// a leader gets at once when it comes.
	againMax = 100
)

// An asked question is what those who asked it know of it. On the desk it may
// have another number.
type asked struct {
	id       uint64
	issued   time.Time
	repeated int   // how often it has got a new number
	tracks   int64 // the group whose members it is to find out; 0: of none
}

// Account says what has become of a question on each machine, so far or in the
// end.
func (s *Server) Account(ctx context.Context, id uint64) (a store.Account, err error) {
	var live bool
	if err := s.do(ctx, func(h *hub) {
		if q := h.live[h.numbers[id]]; q != nil {
			live, a = true, h.account(h.numbers[id], q)
		}
	}); err != nil || live {
		return a, err
	}
	return s.store.QuestionAccount(ctx, id)
}

// account is that of a question on the desk.
func (h *hub) account(number uint64, q *live) store.Account {
	t, _ := h.desk.Tally(number)
	a := store.Account{Rounds: t.Progress().Rounds, Repeated: q.repeated}
	if q.repeated > 0 {
		a.Since = q.issued
	}
	lans := t.Accounts()
	for _, l := range lans {
		a.Answered += l.Answered.Len()
		a.Failed += l.Failed.Len()
		a.Stopped += l.Stopped.Len()
		a.Running += l.Running.Len()
		a.Offline += l.Gone.Len()
		a.NotReached += l.Missing.Len()
	}
	// What somebody may do something about comes first.
	for _, kind := range []struct {
		outcome store.Outcome
		of      func(*tally.Account) answer.Set
	}{
		{store.NotReached, func(l *tally.Account) answer.Set { return l.Missing }},
		{store.Running, func(l *tally.Account) answer.Set { return l.Running }},
		{store.Stopped, func(l *tally.Account) answer.Set { return l.Stopped }},
		{store.Failed, func(l *tally.Account) answer.Set { return l.Failed }},
		{store.Offline, func(l *tally.Account) answer.Set { return l.Gone }},
	} {
		for i := range lans {
			h.except(&a, lans[i].LAN, kind.of(&lans[i]), kind.outcome)
		}
	}
	return a
}

// except lists machines of a LAN, as far as there is room.
func (h *hub) except(a *store.Account, lan netip.Prefix, slots answer.Set, outcome store.Outcome) {
	if len(a.Exceptions) == exceptionsMax {
		a.LeftOut += slots.Len()
		return
	}
	owners := h.roster.Owners(lan, slots)
	for slot := range slots.All() {
		if len(a.Exceptions) == exceptionsMax {
			a.LeftOut++
			continue
		}
		x := store.Exception{LAN: lan, Outcome: outcome, Client: owners[slot]}
		if c := h.clients[x.Client]; c != nil {
			x.ComputerID, x.Name = c.status.ComputerID, c.status.Name
		}
		a.Exceptions = append(a.Exceptions, x)
	}
}

// ---- questions that were open when the server ended ----

// again is a question that is to be asked again.
type again struct {
	asked
	letter dispatch.Question
	found  []store.Finding // before the server ended
}

// takeUp looks at the questions that were open when the server ended: it closes
// those that cannot be answered any more, and gives the others new numbers
// (docs/protocol.md §7.4).
func (s *Server) takeUp(ctx context.Context, now time.Time) ([]again, error) {
	open, err := s.store.OpenQuestions(ctx)
	if err != nil {
		return nil, err
	}
	var list []again
	for i, q := range open {
		repeated, err := s.store.Repetitions(ctx, q.ID)
		if err != nil {
			return nil, err
		}
		var why string
		var letter dispatch.Question
		switch {
		case q.Expires.Sub(now) < lifeMin:
			why = "the server ended before the question's time was over"
		case repeated == repetitionsMax:
			why = fmt.Sprintf("the server has ended %d times while it was asked", repeated+1)
		case len(open)-i > againMax:
			why = fmt.Sprintf("the server ended, and more than %d newer questions were to be asked again", againMax)
		default:
			if letter, err = s.repeat(ctx, q, now); err != nil {
				why = "the server ended, and the question cannot be asked again: " + err.Error()
			}
		}
		if why != "" {
			s.log.Warn("question is not asked again", "question", q.ID, "because", why)
			if err := s.closeCutOff(ctx, q, now, store.Account{Repeated: repeated, End: why}); err != nil {
				return nil, err
			}
			continue
		}
		s.log.Info("question is asked again: it was open when the server ended", "question", q.ID, "number", letter.ID)
		found, _, err := s.store.Findings(ctx, q.ID, 0, findingsMax)
		if err != nil {
			return nil, err
		}
		list = append(list, again{asked{q.ID, q.Issued, repeated + 1, q.Tracks}, letter, found})
	}
	return list, nil
}

// repeat makes a question's letter anew, under a number that no client knows.
func (s *Server) repeat(ctx context.Context, q store.Question, now time.Time) (dispatch.Question, error) {
	p, err := plan.Decode(q.Plan)
	if err != nil {
		return dispatch.Question{}, err
	}
	if err := sendable(q.Plan); err != nil {
		return dispatch.Question{}, err
	}
	number, err := s.store.RepeatQuestion(ctx, q.ID, now)
	if err != nil {
		return dispatch.Question{}, err
	}
	letter := s.letter(number, now, q.Expires.Sub(now), p, q.Plan, s.Catalogue())
	letter.Priority = q.Priority
	return letter, nil
}

// closeCutOff closes a question with the answer that was kept when the server
// was stopped, or with none if it was not.
func (s *Server) closeCutOff(ctx context.Context, q store.Question, now time.Time, a store.Account) error {
	r, err := s.kept(ctx, q.ID)
	if err != nil {
		return err
	}
	if r.Version > 0 {
		kept, err := s.store.QuestionAccount(ctx, q.ID)
		if err != nil {
			return err
		}
		kept.Repeated, kept.End = a.Repeated, a.End
		a = kept
	} else {
		r.Progress = tally.Progress{Question: q.ID, Issued: q.Issued, Version: 1}
	}
	r.Expires = q.Expires
	if r.Expires.After(now) {
		r.Expires = now // nobody is to wait for more
	}
	return s.closeQuestion(ctx, closing{question: q.ID, at: now, result: r, account: a})
}

// ---- machines that have not registered since the server started ----

// awaited are the machines that were there when the server ended.
func awaited(enrolled []store.Client) map[endpoint.ID]roster.Seat {
	var last time.Time // about when that was
	for _, c := range enrolled {
		if c.Registered.After(last) {
			last = c.Registered
		}
	}
	seats := map[endpoint.ID]roster.Seat{}
	for _, c := range enrolled {
		if c.LAN.IsValid() && last.Sub(c.Registered) < roster.StaleAfter {
			seats[c.ID] = roster.Seat{LAN: c.LAN, Slot: c.Slot}
		}
	}
	return seats
}

// waitNoMore counts those as off that have not come in time.
func (h *hub) waitNoMore(now time.Time) {
	if len(h.awaited) == 0 || now.Sub(h.began) < roster.StaleAfter {
		return
	}
	ids := slices.SortedFunc(maps.Keys(h.awaited), func(a, b endpoint.ID) int { return slices.Compare(a[:], b[:]) })
	clear(h.awaited)
	h.carryOut(h.desk.Off(ids))
}
