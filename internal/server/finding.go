package server

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/store"
)

const (
	// findingsMax bounds what is remembered of one question: a finding for each
	// kind in more LANs than anybody looks at. More is only in the log.
	findingsMax = 1000
	accusedMax  = 16 // clients, and suspects, that one finding names
)

// A Kind is what was found.
type Kind uint8

// The kinds of findings. The last three an audit finds.
const (
	ForgedBox   Kind = iota + 1 // a box is not its machine's, or the server does not know the key
	AlteredSums                 // rows and counts are not those that machines vouch for
	WrongMode                   // a machine's answer is not in a box, or in one that nobody asked for
	ForgedRow                   // a row does not have its hash
	MissingRow                  // a counted machine has given a row that is not there
	LowCount                    // a row counts fewer than have given it
	NotCounted                  // a machine has answered, and nothing brings it
)

var kindNames = [...]string{"", "forged_box", "altered_sums", "wrong_mode", "forged_row", "missing_row", "low_count", "not_counted"}

// String is how metrics, the log, the database and the API name the kind.
func (k Kind) String() string { return kindNames[k] }

// A sign says that an answer was tampered with on its way. Some have an honest
// cause; docs/trust.md says which.
type sign struct {
	kind     Kind
	lan      netip.Prefix
	clients  []endpoint.ID // whose answers are concerned, as far as that is known
	suspects []endpoint.ID // who is known to have passed them on; those in front are added
	because  error         // may be nil
}

// Findings returns what was found about a question, newest first: so far, or in
// the end.
func (s *Server) Findings(ctx context.Context, question uint64) (list []store.Finding, err error) {
	var here bool
	if err := s.do(ctx, func(h *hub) {
		var q *live
		if q, here = h.live[h.numbers[question]]; here {
			list = q.foundSoFar()
		}
	}); err != nil || here {
		return list, err
	}
	list, _, err = s.store.Findings(ctx, question, 0, findingsMax)
	return list, err
}

func (q *live) foundSoFar() (list []store.Finding) {
	for _, f := range slices.Backward(q.findings) {
		list = append(list, copied(f))
	}
	return list
}

// copied is a finding as of now.
func copied(f *store.Finding) store.Finding {
	x := *f
	x.Clients, x.Suspects = slices.Clone(f.Clients), slices.Clone(f.Suspects)
	return x
}

// found notes a sign. Of one kind there is one finding for a question and LAN.
func (h *hub) found(now time.Time, q *live, s sign) {
	h.metrics.violations.WithLabelValues(s.kind.String()).Inc()
	for _, id := range s.clients {
		s.suspects = append(s.suspects, h.inFront(id)...)
	}
	f := store.Finding{Question: q.id, Kind: s.kind.String(), LAN: s.lan, First: now, Last: now, Times: 1}
	f.Clients, f.Suspects = h.accused(nil, s.clients), h.accused(nil, s.suspects)
	if s.because != nil {
		f.Because = s.because.Error()
	}
	i := slices.IndexFunc(q.findings, func(x *store.Finding) bool { return x.LAN == f.LAN && x.Kind == f.Kind })
	if i < 0 {
		h.log.Warn("an answer may have been tampered with", "question", f.Question, "kind", f.Kind, "lan", f.LAN,
			"clients", f.Clients, "suspects", f.Suspects, "because", f.Because)
		if len(q.findings) < findingsMax {
			q.findings = append(q.findings, &f)
			h.unwritten[&f] = true
		}
		return
	}
	x := q.findings[i]
	x.Last, x.Times = now, x.Times+1
	x.Clients, x.Suspects = h.accused(x.Clients, s.clients), h.accused(x.Suspects, s.suspects)
	h.unwritten[x] = true
}

// recall takes up what was found about a question before the server ended.
func (q *live) recall(found []store.Finding) {
	for _, f := range slices.Backward(found) {
		q.findings = append(q.findings, &f)
	}
}

// accused adds clients to a list, each once, as far as there is room.
func (h *hub) accused(list []store.Machine, more []endpoint.ID) []store.Machine {
	for _, id := range more {
		known := slices.ContainsFunc(list, func(m store.Machine) bool { return m.Client == id })
		if known || id.Zero() || len(list) >= accusedMax {
			continue
		}
		m := store.Machine{Client: id}
		if c := h.clients[id]; c != nil {
			m.ComputerID, m.Name = c.status.ComputerID, c.status.Name
		}
		list = append(list, m)
	}
	return list
}

// inFront are the clients in front of one, as far as they have said so.
func (h *hub) inFront(id endpoint.ID) (list []endpoint.ID) {
	for c := h.clients[id]; c != nil && c.status.Forward.Kind == endpoint.Peer && len(list) < accusedMax; {
		id = c.status.Forward.Peer
		list = append(list, id)
		c = h.clients[id]
	}
	return list
}
