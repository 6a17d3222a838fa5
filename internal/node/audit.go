package node

import (
	"cmp"
	"slices"

	"catenary/internal/answer"
	"catenary/internal/wire"
)

// evidence is what the server has asked to be told of our answers.
func (n *Node) evidence() []wire.Evidence {
	if n.debts == nil {
		return nil
	}
	var all []wire.Evidence
	for _, a := range n.debts.audits {
		rows, said := n.sweep.Said(a.Question)
		e := wire.Evidence{Question: a.Question, Said: said}
		from, _ := slices.BinarySearchFunc(rows.List, a.From, func(r answer.Row, hash uint64) int { return cmp.Compare(r.Hash, hash) })
		for i := range min(len(rows.List), wire.EvidenceRows) {
			r := rows.List[(from+i)%len(rows.List)]
			e.Rows = append(e.Rows, answer.Ref{Hash: r.Hash, Count: r.Count})
		}
		all = append(all, e)
	}
	return all
}
