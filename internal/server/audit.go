package server

import (
	"cmp"
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
)

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
		h.found(now, q, sign{kind: kind, lan: c.seat.LAN, clients: []endpoint.ID{c.status.ID}, suspects: h.forwardLeaders(c.seat.LAN)})
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
