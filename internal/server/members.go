package server

import (
	"context"
	"strconv"

	"catenary/internal/server/store"
)

// memberFor is for how long a machine that does not answer any more stays a
// member of the groups in which it said to be: as long as its last answers to
// saved questions are kept.
const memberFor = archiveFor

// counted are the machines, by computer ID, whose answer to a question for the
// members of a group is counted, and whether it is plain: who could not compute
// something may be a member or not. nil: the question is for something else.
func (h *hub) counted(number uint64, q *live) map[uint32]bool {
	if q.tracks == 0 {
		return nil
	}
	t, _ := h.desk.Tally(number)
	out := map[uint32]bool{}
	for _, l := range t.Accounts() {
		for slot, id := range h.roster.Owners(l.LAN, l.Answered.Union(l.Failed).Union(l.Stopped)) {
			if c := h.clients[id]; c != nil {
				out[c.status.ComputerID] = l.Answered.Has(slot)
			}
		}
	}
	return out
}

// keepMembers notes who is in a group. Nobody gets in by a row that others have
// put into an answer, unless he has answered himself; and nobody is out who has
// not said so, or whose row may be one of those for which there was no room.
func (s *Server) keepMembers(ctx context.Context, c closing) error {
	q, err := s.store.Question(ctx, c.question)
	if err != nil {
		return err
	}
	h := store.Heard{Group: q.Tracks, Question: c.question, Asked: q.Issued, Since: c.at.Add(-memberFor)}
	in := map[uint32]bool{}
	for _, row := range c.result.Rows.List {
		if len(row.Cells) != 1 || len(row.Cells[0]) != 1 {
			continue
		}
		id, err := strconv.ParseUint(row.Cells[0][0], 10, 32)
		if _, counted := c.counted[uint32(id)]; err != nil || !counted { // of an error, too
			continue
		}
		in[uint32(id)] = true
		h.In = append(h.In, uint32(id))
	}
	if c.result.Rows.Cut == 0 {
		for id, plain := range c.counted {
			if plain && !in[id] {
				h.Out = append(h.Out, id)
			}
		}
	}
	return s.store.KeepMembers(ctx, h)
}
