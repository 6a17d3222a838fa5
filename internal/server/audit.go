package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/dchest/siphash"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

const (
	// Of a merged question, one client in auditOneIn is audited, and at least one
	// of each LAN: who suppresses or alters the answers of m machines goes
	// unnoticed with a chance of 0.99^m at most.
	auditOneIn = 100
	// auditAfter is how long after it was asked: until then answers pass.
	auditAfter = 5 * time.Second

	findingsMax = 1000 // of all questions; the oldest go
	accusedMax  = 16   // clients, and suspects, that one finding names
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

var kindNames = [...]string{"", "forged box", "altered sums", "wrong mode", "forged row", "missing row", "low count", "not counted"}

func (k Kind) String() string { return kindNames[k] }

// A Finding is a sign that an answer was tampered with on its way. Some have an
// honest cause; docs/trust.md says which.
type Finding struct {
	Kind     Kind
	Question uint64 // as those know it who asked
	LAN      netip.Prefix
	Clients  []endpoint.ID // whose answers are concerned, as far as that is known
	// Suspects have passed these answers on, or are the last who have: the
	// clients in front, nearest first, and leaders.
	Suspects []endpoint.ID
	First    time.Time
	Times    int
	Because  error // an example; may be nil
}

// Findings returns what was found about a question, since the server started.
func (s *Server) Findings(ctx context.Context, question uint64) (list []Finding, err error) {
	err = s.do(ctx, func(h *hub) {
		for _, f := range h.findings {
			if f.Question == question {
				x := *f
				x.Clients, x.Suspects = slices.Clone(f.Clients), slices.Clone(f.Suspects)
				list = append(list, x)
			}
		}
	})
	return list, err
}

// found notes a finding. Of one kind there is one for a question and LAN.
func (h *hub) found(now time.Time, q *live, f Finding) {
	h.metrics.violations.WithLabelValues(f.Kind.String()).Inc()
	f.Question, f.First = q.id, now
	for _, id := range f.Clients {
		f.Suspects = append(f.Suspects, h.inFront(id)...)
	}
	i := slices.IndexFunc(h.findings, func(x *Finding) bool {
		return x.Question == f.Question && x.LAN == f.LAN && x.Kind == f.Kind
	})
	if i < 0 {
		if len(h.findings) == findingsMax {
			h.findings = slices.Delete(h.findings, 0, 1)
		}
		i = len(h.findings)
		h.findings = append(h.findings, &Finding{Kind: f.Kind, Question: f.Question, LAN: f.LAN, First: now, Because: f.Because})
		h.log.Warn("an answer may have been tampered with", "question", f.Question, "kind", f.Kind, "lan", f.LAN,
			"clients", f.Clients, "suspects", f.Suspects, "because", f.Because)
	}
	x := h.findings[i]
	x.Times++
	x.Clients, x.Suspects = accused(x.Clients, f.Clients), accused(x.Suspects, f.Suspects)
}

// accused adds clients to a list, each once, as far as there is room.
func accused(list, more []endpoint.ID) []endpoint.ID {
	for _, id := range more {
		if len(list) < accusedMax && !id.Zero() && !slices.Contains(list, id) {
			list = append(list, id)
		}
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

// ---- the audit ----

// An audit of one question asks some clients for what they have answered, past
// their peers. Who that is only the server knows, and says it to nobody but
// them, when their answers have passed.
type audit struct {
	key    [16]byte
	one    map[netip.Prefix]answer.Slot // the one of each LAN that is chosen in any case
	chosen map[endpoint.ID]*chosen
	said   map[uint64]uint64 // how often audited machines have given rows, by hash
}

type chosen struct {
	seat  roster.Seat
	from  uint64 // where its evidence begins
	heard bool
}

// newAudit chooses one of each LAN.
func newAudit(slots map[netip.Prefix]answer.Set) *audit {
	a := &audit{one: make(map[netip.Prefix]answer.Slot, len(slots)), chosen: map[endpoint.ID]*chosen{}, said: map[uint64]uint64{}}
	rand.Read(a.key[:]) // never fails: crypto/rand ends the program instead
	for lan, set := range slots {
		nth := int(a.chance('L', binary.BigEndian.AppendUint64(nil, roster.Tag(lan))) % uint64(set.Len()))
		for slot := range set.All() {
			if nth--; nth < 0 {
				a.one[lan] = slot
				break
			}
		}
	}
	return a
}

// chance is a number that nobody can foretell without the key, all alike
// likely.
func (a *audit) chance(what byte, of []byte) uint64 {
	k0, k1 := binary.BigEndian.Uint64(a.key[:8]), binary.BigEndian.Uint64(a.key[8:])
	return siphash.Hash(k0, k1, append([]byte{what}, of...))
}

// wants reports whether a client is audited and still to be asked, and from
// which hash on.
func (a *audit) wants(id endpoint.ID, seat roster.Seat) (from uint64, ok bool) {
	if x := a.chosen[id]; x != nil {
		return x.from, !x.heard
	}
	one, known := a.one[seat.LAN]
	if !known { // a LAN that was not there yet
		a.one[seat.LAN], one = seat.Slot, seat.Slot
	}
	if one != seat.Slot && a.chance('C', id[:]) > math.MaxUint64/auditOneIn {
		return 0, false
	}
	from = a.chance('F', id[:])
	a.chosen[id] = &chosen{seat: seat, from: from}
	return from, true
}

// takes reports whether evidence of a client was asked for and has not come
// before.
func (a *audit) takes(id endpoint.ID, seat roster.Seat) (asked, usable bool) {
	x := a.chosen[id]
	if x == nil || x.heard {
		return false, false
	}
	x.heard = true
	return true, x.seat == seat // what it has said elsewhere was counted elsewhere
}

// judge compares what a counted machine has given with the result; 0: it agrees.
func (a *audit) judge(rows []answer.Ref, result answer.Rows) Kind {
	verdict := Kind(0)
	for _, r := range rows {
		if result.Cut != 0 && r.Hash >= result.Cut {
			continue // left out, of everyone
		}
		i, here := slices.BinarySearchFunc(result.List, r.Hash, func(row answer.Row, hash uint64) int { return cmp.Compare(row.Hash, hash) })
		if !here {
			return MissingRow
		}
		a.said[r.Hash] += min(r.Count, math.MaxInt32)
		if a.said[r.Hash] > result.List[i].Count {
			verdict = LowCount
		}
	}
	return verdict
}

// audits takes the evidence that a client brings, and returns which questions
// it is to bring evidence about.
func (h *hub) audits(now time.Time, c *machine, evidence []wire.Evidence) (list []wire.Audit) {
	id := c.status.ID
	for _, e := range evidence {
		h.takeEvidence(now, c, e)
	}
	for number, q := range h.live {
		if q.audit == nil || q.closed || now.Sub(q.issued) < auditAfter {
			continue
		}
		if from, ok := q.audit.wants(id, c.seat); ok && len(list) < wire.AuditsMax {
			if cut := h.count(number, q).Rows.Cut; cut != 0 {
				from, _ = bits.Mul64(from, cut) // only what is below can be compared
			}
			list = append(list, wire.Audit{Question: number, From: from})
		}
	}
	return list
}

func (h *hub) takeEvidence(now time.Time, c *machine, e wire.Evidence) {
	q := h.live[e.Question]
	if q == nil || q.audit == nil || q.closed {
		return
	}
	asked, usable := q.audit.takes(c.status.ID, c.seat)
	if !asked {
		return
	}
	t, _ := h.desk.Tally(e.Question)
	outcome, kind := "agrees", Kind(0)
	switch counted := t.Counted(c.seat.LAN, c.seat.Slot); {
	case !usable || !e.Said:
		outcome = "nothing to compare"
		delete(q.audit.one, c.seat.LAN) // the next one that comes stands in
	case counted:
		kind = q.audit.judge(e.Rows, t.Result().Rows)
	case t.Direct(now, c.seat.LAN, c.seat.Slot):
		kind = NotCounted
	default:
		outcome = "nothing to compare" // it is still being asked again
	}
	if kind != 0 {
		outcome = "disagrees"
		h.found(now, q, Finding{Kind: kind, LAN: c.seat.LAN, Clients: []endpoint.ID{c.status.ID}, Suspects: h.forwardLeaders(c.seat.LAN)})
	}
	h.metrics.audits.WithLabelValues(outcome).Inc()
}

// forwardLeaders are those of a LAN.
func (h *hub) forwardLeaders(lan netip.Prefix) (list []endpoint.ID) {
	for _, l := range h.leaders {
		if l.lan == lan && l.role == wire.ForwardLeader {
			list = append(list, l.id)
		}
	}
	return list
}
