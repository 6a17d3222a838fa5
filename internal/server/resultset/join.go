package resultset

import (
	"slices"
	"strconv"

	"catenary/internal/answer"
	"catenary/internal/fault"
)

// Join returns one row for each machine that has answered any of several
// questions, with what it has said to each. Each set has its machines apart.
func Join(sets []*Set) (*Set, error) {
	out := &Set{Computers: true}
	var order []uint32 // machines, as they first come
	byMachine := map[uint32][]answer.Cell{}
	for n, s := range sets {
		if !s.Computers {
			return nil, fault.New(fault.Invalid, "ExpectedMergedResultData: question %d of %d was not asked with force_computer_id_flag, so that nobody knows which machine has said what", n+1, len(sets))
		}
		before := len(out.Columns)
		out.Columns = append(out.Columns, s.Columns...)
		for _, r := range s.Rows {
			if r.kind != said || r.CID == 0 {
				continue
			}
			cells, known := byMachine[r.CID]
			if !known {
				if len(order) == answer.ServerLimits.Rows {
					continue
				}
				order = append(order, r.CID)
				cells = lacking(before)
			}
			if len(cells) > before { // one more row of a machine that was counted twice
				continue
			}
			byMachine[r.CID] = append(cells, r.Cells...)
		}
		for _, id := range order {
			if cells := byMachine[id]; len(cells) < len(out.Columns) {
				byMachine[id] = append(cells, lacking(len(out.Columns)-len(cells))...)
			}
		}
	}
	for _, id := range order {
		cells := byMachine[id]
		hash := hashOf(append([]answer.Cell{{strconv.FormatUint(uint64(id), 10)}}, cells...))
		out.Rows = append(out.Rows, Row{ID: uint32(hash), CID: id, Cells: cells, Count: 1, hash: hash})
	}
	out.sort()
	return out, nil
}

func lacking(n int) []answer.Cell { return slices.Repeat([]answer.Cell{{Lacking}}, n) }
