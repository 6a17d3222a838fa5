// Package tally follows each question from asking to closing on the server,
// and counts every machine once.
//
// A [Tally] is one question. It hears of every bundle through [Tally.Take] and
// keeps no clock and no socket. What it counts is decided by the bundles' sets
// alone (docs/protocol.md §5.4), so it does not matter which way a bundle came,
// in which order, or how often.
package tally

import (
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
)

// A Verdict is what became of a bundle.
type Verdict uint8

const (
	Counted   Verdict = iota // its machines were not counted before
	Duplicate                // all of them were
	Replaced                 // it holds, and now stands for, tainted ones counted before
	Refused                  // it overlaps what is counted and cannot be told apart
	Foreign                  // it names machines that have not registered; it waits until they have
)

func (v Verdict) String() string {
	return [...]string{"counted", "duplicate", "replaced", "refused", "foreign"}[v]
}

// A Tally is one question.
type Tally struct {
	id              uint64
	issued, expires time.Time
	lim             answer.Limits
	lans            map[netip.Prefix]*count
	reports         int
	version         uint64
	parts           []answer.Rows // of the counted untainted bundles, merged when somebody looks
	counts          answer.Counts
	merged          *Result // the last result, while nothing has changed
}

// A count is what one LAN has said.
type count struct {
	expected answer.Set
	counted  answer.Set
	pending  answer.Set
	tainted  []answer.Bundle // counted; kept apart because they may be replaced
	foreign  []answer.Report // waiting for their machines to register, oldest first
}

// foreignMax bounds the reports of one LAN that wait for machines to register.
// After a restart of the server everybody registers within 90 s; a chain says
// about ten reports to a question.
const foreignMax = 32

// New opens the tally of a question of which an answer is expected from the
// given machines.
func New(id uint64, issued, expires time.Time, lim answer.Limits, expected map[netip.Prefix]answer.Set) *Tally {
	t := &Tally{id: id, issued: issued, expires: expires, lim: lim, lans: map[netip.Prefix]*count{}, version: 1}
	for lan, set := range expected {
		t.lans[lan] = &count{expected: set}
	}
	return t
}

// Expires reports until when a late machine may still answer.
func (t *Tally) Expires() time.Time { return t.expires }

// Expect adds a machine that registered after the question was asked.
func (t *Tally) Expect(lan netip.Prefix, slot answer.Slot) {
	c := t.lan(lan)
	if c.expected.Has(slot) {
		return
	}
	c.expected = c.expected.Union(answer.SetOf(slot))
	t.changed()
	c.foreign = slices.DeleteFunc(c.foreign, func(r answer.Report) bool {
		known := r.Bundle.Set.Within(c.expected)
		if known {
			t.take(c, r)
		}
		return known
	})
}

func (t *Tally) lan(lan netip.Prefix) *count {
	c := t.lans[lan]
	if c == nil {
		c = &count{}
		t.lans[lan] = c
	}
	return c
}

// Take counts what a leader of the LAN reports.
func (t *Tally) Take(lan netip.Prefix, r answer.Report) Verdict {
	c := t.lan(lan)
	if r.Bundle.Set.Within(c.expected) {
		return t.take(c, r)
	}
	if len(c.foreign) == foreignMax {
		c.foreign = slices.Delete(c.foreign, 0, 1)
	}
	c.foreign = append(c.foreign, r)
	return Foreign
}

func (t *Tally) take(c *count, r answer.Report) Verdict {
	t.reports++
	t.changed()
	c.pending = c.pending.Union(r.Pending.Minus(r.Pending.Minus(c.expected)))
	b := r.Bundle
	if b.Set.Empty() || b.Set.Within(c.counted) {
		return Duplicate
	}
	verdict := Counted
	if b.Set.Overlaps(c.counted) {
		if !c.replace(b.Set) {
			return Refused
		}
		verdict = Replaced
	}
	c.counted = c.counted.Union(b.Set)
	if b.Tainted {
		c.tainted = append(c.tainted, b)
		return verdict
	}
	t.parts = append(t.parts, b.Rows)
	t.counts = t.counts.Add(b.Counts)
	return verdict
}

// replace un-counts the tainted bundles that lie wholly inside the set, if
// they are all that it shares with what is counted.
func (c *count) replace(set answer.Set) bool {
	var inside answer.Set
	for _, b := range c.tainted {
		if b.Set.Within(set) {
			inside = inside.Union(b.Set)
		}
	}
	if set.Minus(inside).Overlaps(c.counted) {
		return false
	}
	c.tainted = slices.DeleteFunc(c.tainted, func(b answer.Bundle) bool { return b.Set.Within(set) })
	c.counted = c.counted.Minus(inside)
	return true
}

func (t *Tally) changed() {
	t.version++
	t.merged = nil
}

// Result is the answer so far.
func (t *Tally) Result() Result {
	if t.merged != nil {
		return *t.merged
	}
	var tainted []answer.Rows
	for _, c := range t.lans {
		for _, b := range c.tainted {
			tainted = append(tainted, b.Rows)
		}
	}
	// The first part is the sum of the last time, and large: it is copied once.
	if len(t.parts) > 1 {
		sum := answer.MergeRows(t.lim, t.parts[0], t.mergeAll(t.parts[1:]))
		t.parts = append(t.parts[:0], sum)
	}
	rows := t.mergeAll(t.parts)
	if len(tainted) > 0 {
		rows = answer.MergeRows(t.lim, rows, t.mergeAll(tainted))
	}
	t.merged = &Result{Progress: t.Progress(), Rows: rows}
	return *t.merged
}

// mergeAll merges neighbours pairwise, so that each row is copied only as
// often as the number of parts can be halved.
func (t *Tally) mergeAll(parts []answer.Rows) answer.Rows {
	switch n := len(parts); n {
	case 0:
		return answer.Rows{}
	case 1:
		return parts[0]
	default:
		return answer.MergeRows(t.lim, t.mergeAll(parts[:n/2]), t.mergeAll(parts[n/2:]))
	}
}

// Progress is how far the question has come.
func (t *Tally) Progress() Progress {
	p := Progress{
		Question: t.id, Issued: t.issued, Expires: t.expires,
		Version: t.version, Reports: t.reports,
	}
	sum := t.counts
	for _, c := range t.lans {
		p.Expected += c.expected.Len()
		p.Answered += c.counted.Len()
		p.Pending += c.pending.Minus(c.counted).Len()
		for _, b := range c.tainted {
			sum = sum.Add(b.Counts)
		}
	}
	p.Passed, p.Errors, p.NoResults = int(sum.Passed), int(sum.Errors), int(sum.NoResults)
	return p
}
