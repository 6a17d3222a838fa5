package sim

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/wire"
)

// Of a merged question the server asks some clients, past all peers, what they
// have answered (docs/trust.md). Here it asks all, one after the other: an honest
// world accuses nobody, and who has lost his rows to a liar shows it.

// auditAfter is when that begins, as in package server.
const auditAfter = 5 * time.Second

// audits are the questions about which a machine is to bring evidence.
func (s *server) audits(h *host) (list []wire.Audit) {
	if s.w.unwatched || s.w.control != (Control{}) {
		return nil
	}
	for _, q := range s.live {
		asked := q.mode == answer.Merged && q.kind == census && s.w.now-q.at >= auditAfter
		if asked && !q.audited[h] && len(list) < wire.AuditsMax {
			list = append(list, wire.Audit{Question: q.id, From: s.w.rng.Uint64()})
		}
	}
	return list
}

// takeEvidence compares what a machine says that it has answered with the result.
func (w *world) takeEvidence(h *host, all []wire.Evidence) {
	for _, e := range all {
		q := w.server.find(e.Question)
		if q == nil || h.liar != nil || q.audited[h] {
			continue
		}
		if q.audited == nil {
			q.audited = map[*host]bool{}
		}
		q.audited[h] = true
		if !e.Said || !w.counted(q, h) {
			continue
		}
		w.lies.Audits++
		rows := q.tally.Result().Rows
		err := judge(e.Rows, rows)
		doubted, _ := w.doubts(q)
		own := rowKey.Row([]answer.Cell{{"machine"}, {fmt.Sprint(h.index)}}).Hash
		switch {
		case err != nil && !(doubted && !w.trusts(h)):
			w.fail("question %d: machine %v, which is counted, brings evidence against the result: %w", q.id, h, err)
		case err != nil:
			w.lies.Caught++
		case !given(rows, own) && (rows.Cut == 0 || own < rows.Cut):
			w.fail("question %d: machine %v has lost its row, and its evidence does not show it", q.id, h)
		}
	}
}

// judge says what is wrong with a result that is to hold these rows.
func judge(rows []answer.Ref, result answer.Rows) error {
	for _, r := range rows {
		if (result.Cut == 0 || r.Hash < result.Cut) && !given(result, r.Hash) {
			return fmt.Errorf("row %x is not there", r.Hash)
		}
	}
	return nil
}

func given(rows answer.Rows, hash uint64) bool {
	_, found := slices.BinarySearchFunc(rows.List, hash, func(r answer.Row, hash uint64) int { return cmp.Compare(r.Hash, hash) })
	return found
}
