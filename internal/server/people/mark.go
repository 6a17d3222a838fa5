package people

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"catenary/internal/server/shelf"
)

// markBytes is how much of a hash stands for what a group means: nobody finds two
// meanings for one.
const markBytes = 16

// Mark stands for what a computer group means, and the groups within it: it is
// another when they mean other machines, and the same when they only have other
// names.
func Mark(from interface {
	ByID(kind string, id int64) *shelf.Record
}, group int64) string {
	h := sha256.New()
	seen := map[int64]bool{}
	var write func(id int64)
	write = func(id int64) {
		if seen[id] {
			return
		}
		seen[id] = true
		r := from.ByID("group", id)
		if r == nil {
			fmt.Fprintf(h, "%d is gone\n", id)
			return
		}
		fmt.Fprintf(h, "%d %s\n", id, meaning(r.Object))
		for _, part := range slices.Sorted(slices.Values(parts(r.Object))) {
			write(part)
		}
	}
	write(group)
	return hex.EncodeToString(h.Sum(nil)[:markBytes])
}
