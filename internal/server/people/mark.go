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

// Records are where objects are found: the shelves, or a change.
type Records interface {
	ByID(kind string, id int64) *shelf.Record
}

// Within are the numbers of a computer group and of all groups within it, also of
// such as are no more.
func Within(from Records, group int64) []int64 {
	out := []int64{group}
	for i := 0; i < len(out); i++ {
		r := from.ByID("group", out[i])
		if r == nil {
			continue
		}
		for _, part := range parts(r.Object) {
			if !slices.Contains(out, part) {
				out = append(out, part)
			}
		}
	}
	return out
}

// Mark stands for what computer groups mean, and the groups within them: it is
// another when they mean other machines, and the same when they only have other
// names.
func Mark(from Records, groups ...int64) string {
	h := sha256.New()
	for _, group := range groups {
		for _, id := range Within(from, group) {
			if r := from.ByID("group", id); r != nil {
				fmt.Fprintf(h, "%d %s\n", id, meaning(r.Object))
			} else {
				fmt.Fprintf(h, "%d is gone\n", id)
			}
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:markBytes])
}
