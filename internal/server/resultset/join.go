package resultset

import (
	"slices"

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
		skip := 0
		if n > 0 {
			skip = 1 // there is one column of computer IDs
		}
		before := len(out.Columns)
		out.Columns = append(out.Columns, s.Columns[skip:]...)
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
				if n > 0 {
					cells = append(cells, r.Cells[0])
				}
				cells = append(cells, lacking(before-len(cells))...)
			}
			if len(cells) > before { // one more row of a machine that was counted twice
				continue
			}
			byMachine[r.CID] = append(cells, r.Cells[skip:]...)
		}
		for _, id := range order {
			if cells := byMachine[id]; len(cells) < len(out.Columns) {
				byMachine[id] = append(cells, lacking(len(out.Columns)-len(cells))...)
			}
		}
	}
	for _, id := range order {
		cells := byMachine[id]
		out.Rows = append(out.Rows, Row{ID: uint32(hashOf(cells)), CID: id, Cells: cells, Count: 1, hash: hashOf(cells)})
	}
	out.sort()
	return out, nil
}

func lacking(n int) []answer.Cell { return slices.Repeat([]answer.Cell{{Lacking}}, n) }
