package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"catenary/internal/endpoint"
	"catenary/internal/fault"
	"catenary/internal/server/rights"
	"catenary/internal/server/store"
)

// findingsShown is how many findings stand in a question's account; the list of
// findings has all.
const findingsShown = 100

// A findingObject is a sign that answers to a question were tampered with on
// their way. It is Catenary's own.
type findingObject struct {
	QuestionID uint64          `json:"question_id"`
	Kind       string          `json:"kind"`
	LAN        string          `json:"lan"`
	FirstTime  isoTime         `json:"first_time"`
	LastTime   isoTime         `json:"last_time"`
	Times      int             `json:"times"`
	Clients    []machineObject `json:"clients"`  // whose answers are concerned, as far as that is known
	Suspects   []machineObject `json:"suspects"` // who passed them on, nearest first, and leaders
	Example    string          `json:"example"`  // what was wrong, once; may be empty
}

type machineObject struct {
	ClientID   endpoint.ID `json:"client_id"`
	ComputerID uint32      `json:"computer_id"`
	HostName   string      `json:"host_name"`
}

func toFinding(f store.Finding) findingObject {
	return findingObject{
		QuestionID: f.Question, Kind: f.Kind, LAN: f.LAN.String(), FirstTime: isoTime(f.First), LastTime: isoTime(f.Last),
		Times: f.Times, Clients: toMachines(f.Clients), Suspects: toMachines(f.Suspects), Example: f.Because,
	}
}

func toMachines(list []store.Machine) []machineObject {
	out := make([]machineObject, len(list))
	for i, m := range list {
		out[i] = machineObject{m.Client, m.ComputerID, m.Name}
	}
	return out
}

// findingsAbout are those about machines that somebody sees, and nothing of
// others. What is about others, too, has no example, which may be theirs, and has
// happened at least once to each of his.
func findingsAbout(list []store.Finding, sees func(endpoint.ID) bool) (out []store.Finding) {
	hidden := func(m store.Machine) bool { return !sees(m.Client) }
	for _, f := range list {
		all := len(f.Clients)
		f.Clients = slices.DeleteFunc(slices.Clone(f.Clients), hidden)
		f.Suspects = slices.DeleteFunc(slices.Clone(f.Suspects), hidden)
		if len(f.Clients) == 0 {
			continue
		}
		if len(f.Clients) < all {
			f.Because, f.Times = "", len(f.Clients)
		}
		out = append(out, f)
	}
	return out
}

// findingRoutes are about what was found of all questions. That of one stands
// in its account, too.
func (s *server) findingRoutes() []route {
	return []route{{http.MethodGet, "/api/v2/audit_findings", withSession, rights.ReadAudit, get(s.listFindings)}}
}

// listFindings returns the newest findings first, a few seconds after they were
// made: those about machines that the caller sees.
func (s *server) listFindings(ctx context.Context, c call) ([]any, error) {
	p, err := c.page()
	if err != nil {
		return nil, err
	}
	if p, err = p.limited(); err != nil {
		return nil, err
	}
	var question uint64
	if text := c.URL.Query().Get("question_id"); text != "" {
		if question, err = strconv.ParseUint(text, 10, 64); err != nil {
			return nil, fault.New(fault.Invalid, "question_id is %q, not a number", text)
		}
	}
	sees, err := s.machinesSeen(ctx, c)
	if err != nil {
		return nil, err
	}
	wanted := p
	if sees != nil {
		wanted = page{count: pageMax} // as many as are kept
	}
	list, total, err := s.store.Findings(ctx, question, wanted.start, wanted.count)
	if err != nil {
		return nil, err
	}
	if sees != nil {
		list = findingsAbout(list, sees)
		total = len(list)
		from, to := p.bounds(total)
		list = list[from:to]
	}
	objects := make([]findingObject, len(list))
	for i, f := range list {
		objects[i] = toFinding(f)
	}
	return listed(objects, total), nil
}
