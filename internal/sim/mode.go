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

// take gives a leader's message to the desk as package server does: with its
// boxes opened, and without what has been tampered with. Where nobody lies
// nothing has: every row has its hash, every box opens, and beside attested ones
// all adds up.
func (s *server) take(l *leader, m wire.Message) ([]dispatch.Effect, error) {
	a, ok := m.(wire.Answer)
	if !ok {
		return s.desk.Got(s.now(), l.line, m)
	}
	b := a.Bundle
	for _, r := range b.Rows.List {
		if rowKey.Row(r.Cells).Hash != r.Hash {
			s.found(l, "a row %q with the wrong hash", r.Cells)
			return s.desk.Opened(s.now(), l.line, a.Report, nil)
		}
	}
	_, live := s.desk.Question(a.Question)
	if !live || b.Set.Empty() || s.w.mode == answer.Merged && b.Mode == answer.Merged {
		return s.desk.Got(s.now(), l.line, m)
	}
	if b.Mode != s.w.mode {
		s.found(l, "an answer to question %d that is %v", a.Question, b.Mode)
		return s.desk.Opened(s.now(), l.line, a.Report, nil)
	}
	return s.desk.Opened(s.now(), l.line, a.Report, s.openBoxes(l, b))
}

// found notes that somebody has tampered with what a leader brings, which nobody
// does where there are no liars.
func (s *server) found(l *leader, what string, args ...any) {
	if s.w.lies.Findings++; s.w.liars == 0 {
		s.w.fail("machine %v brings "+what, append([]any{l.host}, args...)...)
	}
}

// openBoxes returns what each machine has said whose box opens.
func (s *server) openBoxes(l *leader, b answer.Bundle) (each []answer.Bundle) {
	owners := s.roster.Owners(l.lan, b.Set)
	digests := box.DigestsOf(b.Rows)
	var sum answer.Rows
	for _, x := range b.Boxes {
		about := box.About{
			Question: b.Question, Plan: sha256.Sum256(s.w.planOf(b.Question)),
			Client: owners[x.Slot], LAN: roster.Tag(l.lan), Slot: x.Slot,
		}
		one, err := openBox(b, x, about, digests)
		if err != nil {
			s.found(l, "a box of slot %d in %v that does not open: %w", x.Slot, l.lan, err)
			continue
		}
		each = append(each, one)
		sum = answer.MergeRows(answer.ServerLimits, sum, one.Rows)
	}
	if b.Mode == answer.Attested && !slices.EqualFunc(sum.List, b.Rows.List, func(x, y answer.Row) bool { return x.Hash == y.Hash && x.Count == y.Count }) {
		s.found(l, "what does not add up to what its machines vouch for")
	}
	return each
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
