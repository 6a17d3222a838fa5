package sim

import (
	"cmp"
	"crypto/sha256"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/box"
	"catenary/internal/seal"
	"catenary/internal/server/dispatch"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

// In some worlds answers travel in boxes (docs/protocol.md §5.5). Everything
// else is as in the others: faults, laws and checkers.

var keySecret = seal.KeySecret{'s', 'i', 'm'}

// keyLifeMin and keyLifeMax bound the life of registration keys, which is short:
// many run out while there are questions.
const (
	keyLifeMin = 30 * time.Second
	keyLifeMax = 5 * time.Minute
)

// giveKey makes a registration key.
func (w *world) giveKey(h *host) (key [32]byte, name wire.KeyName, life time.Duration) {
	chance := [8]byte{byte(w.rng.Uint32()), byte(h.index), byte(h.life)}
	n := seal.NewKeyName(keySecret, h.place.ID, h.observed().As16(), w.server.now(), chance)
	return seal.DeriveKey(keySecret, h.place.ID, n), wire.KeyName(n), w.between(keyLifeMin, keyLifeMax)
}

// take gives a leader's message to the desk, with its boxes opened. In these
// worlds nobody lies: every box opens, and beside attested ones all adds up.
func (s *server) take(l *leader, m wire.Message) ([]dispatch.Effect, error) {
	a, ok := m.(wire.Answer)
	if !ok || a.Bundle.Set.Empty() || s.w.mode == answer.Merged {
		return s.desk.Got(s.now(), l.line, m)
	}
	b := a.Bundle
	if b.Mode != s.w.mode {
		s.w.fail("%v brings answers to question %d that are %v", l.host, a.Question, b.Mode)
	}
	owners := s.roster.Owners(l.lan, b.Set)
	digests := box.DigestsOf(b.Rows)
	var each []answer.Bundle
	var sum answer.Rows
	for _, x := range b.Boxes {
		about := box.About{
			Question: a.Question, Plan: sha256.Sum256(s.w.planOf(a.Question)),
			Client: owners[x.Slot], LAN: roster.Tag(l.lan), Slot: x.Slot,
		}
		one, err := openBox(b, x, about, digests)
		if err != nil {
			s.w.fail("the box of slot %d in %v, brought by %v, does not open: %w", x.Slot, l.lan, l.host, err)
			break
		}
		each = append(each, one)
		sum = answer.MergeRows(answer.ServerLimits, sum, one.Rows)
	}
	if b.Mode == answer.Attested && !slices.EqualFunc(sum.List, b.Rows.List, func(x, y answer.Row) bool { return x.Hash == y.Hash && x.Count == y.Count }) {
		s.w.fail("what %v brings does not add up to what its machines vouch for", l.host)
	}
	return s.desk.Opened(s.now(), l.line, a.Report, each)
}

// planOf is the plan of a question.
func (w *world) planOf(id uint64) []byte {
	l, err := wire.DecodeLetter(w.server.asked[id-1].letter)
	if err != nil {
		w.fail("question %d: %w", id, err)
	}
	return l.Plan
}

func openBox(b answer.Bundle, x answer.Box, about box.About, digests box.Digests) (answer.Bundle, error) {
	e, _ := box.EpochOf(x)
	key := seal.DeriveEpochKey(keySecret, about.Client, e)
	var rows answer.Rows
	var counts answer.Counts
	var err error
	if b.Mode == answer.Sealed {
		rows, counts, err = box.Open(key, about, x, rowKey)
	} else {
		rows.Cut = b.Rows.Cut
		for _, ref := range x.Rows {
			i, _ := slices.BinarySearchFunc(b.Rows.List, ref.Hash, func(r answer.Row, hash uint64) int { return cmp.Compare(r.Hash, hash) })
			row := b.Rows.List[i]
			row.Count = ref.Count
			rows.List = append(rows.List, row)
		}
		counts, err = digests.Verify(key, about, x, rows.Cut)
	}
	return answer.BundleOf(about.Question, x.Slot, rows, counts), err
}
