package api

import (
	"context"
	"slices"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/store"
)

// An accountObject says what has become of a question on each machine. It is
// Catenary's own.
type accountObject struct {
	QuestionID uint64 `json:"question_id"`
	State      string `json:"state"` // open or closed
	// EndReason is why the question has ended before its time; empty if it has
	// not.
	EndReason string `json:"end_reason"`

	// MachineCount is the sum of the next six. Who sees some machines only is told
	// neither it nor how many have answered: the account does not name those.
	MachineCount    *int `json:"machine_count,omitempty"`
	AnsweredCount   *int `json:"answered_count,omitempty"`
	FailedCount     int  `json:"failed_count"`
	StoppedCount    int  `json:"stopped_count"`
	RunningCount    int  `json:"running_count"`
	OfflineCount    int  `json:"offline_count"`
	NotReachedCount int  `json:"not_reached_count"`

	RoundCount  int     `json:"round_count"`  // highest number of times that a LAN was asked again
	RepeatCount int     `json:"repeat_count"` // how often all of it was, after the server had ended
	RepeatTime  isoTime `json:"repeat_time"`  // when it last was

	Exceptions     []exceptionObject `json:"exceptions"`      // this page of the machines that have not plainly answered
	ExceptionCount int               `json:"exception_count"` // those on all pages
	// ExceptionsLeftOut are those on none: an account lists so many only. Which
	// machines these are nobody knows, and who sees some only is not told.
	ExceptionsLeftOut *int `json:"exceptions_left_out,omitempty"`

	Findings     []findingObject `json:"findings"` // the newest signs that the answer was tampered with
	FindingCount int             `json:"finding_count"`
}

type exceptionObject struct {
	ClientID   endpoint.ID   `json:"client_id"`
	ComputerID uint32        `json:"computer_id"`
	HostName   string        `json:"host_name"`
	LAN        string        `json:"lan"`
	Outcome    store.Outcome `json:"outcome"`
}

func (s *server) questionAccount(ctx context.Context, c call) (accountObject, error) {
	p, err := c.page()
	if err != nil {
		return accountObject{}, err
	}
	id, err := c.number("id", "question")
	if err != nil {
		return accountObject{}, err
	}
	q, err := s.store.Question(ctx, id)
	if err != nil {
		return accountObject{}, orMissing(err, "Question", "question")
	}
	if err := allowHistory(c, q); err != nil {
		return accountObject{}, err
	}
	sees, err := s.machinesSeen(ctx, c)
	if err != nil {
		return accountObject{}, err
	}
	a, err := s.engine.Account(ctx, id)
	if fault.KindOf(err) == fault.NotFound {
		return accountObject{}, fault.New(fault.NotFound, "no account of question %d was kept", id)
	}
	if err != nil {
		return accountObject{}, err
	}
	found, err := s.engine.Findings(ctx, id)
	if sees != nil {
		a, found = accountOf(a, sees), findingsAbout(found, sees)
	}
	o := toAccount(q, a, p, time.Now())
	if sees == nil {
		machines := a.Machines()
		o.MachineCount, o.AnsweredCount, o.ExceptionsLeftOut = &machines, &a.Answered, &a.LeftOut
	}
	o.FindingCount = len(found)
	for _, f := range found[:min(len(found), findingsShown)] {
		o.Findings = append(o.Findings, toFinding(f))
	}
	return o, err
}

// accountOf is what an account says of the machines that somebody sees: how many
// of them it names, by what became of the question there.
func accountOf(a store.Account, sees func(endpoint.ID) bool) store.Account {
	a.Exceptions = slices.DeleteFunc(slices.Clone(a.Exceptions), func(x store.Exception) bool { return !sees(x.Client) })
	a.Counts, a.LeftOut = store.Counts{}, 0
	for _, x := range a.Exceptions {
		switch x.Outcome {
		case store.Failed:
			a.Failed++
		case store.Stopped:
			a.Stopped++
		case store.Running:
			a.Running++
		case store.Offline:
			a.Offline++
		case store.NotReached:
			a.NotReached++
		}
	}
	return a
}

func toAccount(q store.Question, a store.Account, p page, now time.Time) accountObject {
	o := accountObject{
		QuestionID: q.ID, State: "open", EndReason: a.End,
		FailedCount: a.Failed, StoppedCount: a.Stopped,
		RunningCount: a.Running, OfflineCount: a.Offline, NotReachedCount: a.NotReached,
		RoundCount: a.Rounds, RepeatCount: a.Repeated, RepeatTime: isoTime(a.Since),
		Exceptions: []exceptionObject{}, ExceptionCount: len(a.Exceptions),
		Findings: []findingObject{},
	}
	if !now.Before(q.Expires) {
		o.State = "closed"
	}
	from, to := p.bounds(len(a.Exceptions))
	for _, x := range a.Exceptions[from:to] {
		o.Exceptions = append(o.Exceptions, exceptionObject{x.Client, x.ComputerID, x.Name, x.LAN.String(), x.Outcome})
	}
	return o
}
