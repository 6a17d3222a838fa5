// Package tally follows each question from asking to closing on the server,
// and counts every machine once.
//
// A [Tally] is one question. It hears of every bundle through [Tally.Take] and
// keeps no clock and no socket. What it counts is decided by the bundles' sets
// alone (docs/protocol.md §5.6), so it does not matter which way a bundle came,
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
	limit           time.Duration // how long a sensor may run
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
	gone     answer.Set      // dead, says a neighbour, or off
	failed   answer.Set      // of the counted untainted bundles
	stopped  answer.Set      // likewise
	tainted  []answer.Bundle // counted; kept apart because they may be replaced
	foreign  []answer.Report // waiting for their machines to register, oldest first

	news  time.Time // when something new was last heard, or it was asked again
	round uint64    // how often it was asked again
}

// foreignMax bounds the reports of one LAN that wait for machines to register.
// After a restart of the server everybody registers within 90 s; a chain says
// about ten reports to a question.
const foreignMax = 32

// New opens the tally of a question of which an answer is expected from the
// given machines. The limit is how long a sensor may run there.
func New(id uint64, issued, expires time.Time, limit time.Duration, lim answer.Limits, expected map[netip.Prefix]answer.Set) *Tally {
	t := &Tally{id: id, issued: issued, expires: expires, limit: limit, lim: lim, lans: map[netip.Prefix]*count{}, version: 1}
	for lan, set := range expected {
		t.lans[lan] = &count{expected: set, news: issued}
	}
	return t
}

// Expires reports until when a late machine may still answer.
func (t *Tally) Expires() time.Time { return t.expires }

// Expect adds a machine that registered after the question was asked. It is
// there, so it is not gone. It reports whether that is news.
func (t *Tally) Expect(now time.Time, lan netip.Prefix, slot answer.Slot) (news bool) {
	c := t.lan(lan)
	if c.gone.Has(slot) {
		c.gone = c.gone.Minus(answer.SetOf(slot))
		c.news = now
		t.changed()
		news = true
	}
	if c.expected.Has(slot) {
		return news
	}
	c.expected = c.expected.Union(answer.SetOf(slot))
	c.news = now
	t.changed()
	c.foreign = slices.DeleteFunc(c.foreign, func(r answer.Report) bool {
		known := r.Bundle.Set.Within(c.expected)
		if known {
			t.take(now, c, r)
		}
		return known
	})
	return true
}

// Counted reports whether the machine's answer is counted.
func (t *Tally) Counted(lan netip.Prefix, slot answer.Slot) bool {
	c := t.lans[lan]
	return c != nil && c.counted.Has(slot)
}

// Withdraw takes a machine out that is now expected elsewhere, or nowhere. One
// that is counted stays.
func (t *Tally) Withdraw(lan netip.Prefix, slot answer.Slot) {
	c := t.lans[lan]
	if c == nil || !c.expected.Has(slot) || c.counted.Has(slot) {
		return
	}
	c.expected = c.expected.Minus(answer.SetOf(slot))
	c.gone = c.gone.Minus(answer.SetOf(slot))
	t.changed()
}

// Gone notes that a machine is off or dead: no answer is waited for, but one
// that comes is counted. It reports whether that is news.
func (t *Tally) Gone(lan netip.Prefix, slot answer.Slot) (news bool) {
	c := t.lans[lan]
	if c == nil || !c.expected.Has(slot) || c.counted.Has(slot) || c.gone.Has(slot) {
		return false
	}
	c.gone = c.gone.Union(answer.SetOf(slot))
	t.changed()
	return true
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
func (t *Tally) Take(now time.Time, lan netip.Prefix, r answer.Report) Verdict {
	c := t.lan(lan)
	if r.Bundle.Set.Within(c.expected) {
		return t.take(now, c, r)
	}
	if len(c.foreign) == foreignMax {
		c.foreign = slices.Delete(c.foreign, 0, 1)
	}
	c.foreign = append(c.foreign, r)
	return Foreign
}

func (t *Tally) take(now time.Time, c *count, r answer.Report) Verdict {
	t.reports++
	t.changed()
	// News is only what was not known: who repeats himself must not keep us from
	// asking again.
	if more := r.Pending.Minus(r.Pending.Minus(c.expected)).Minus(c.pending); !more.Empty() {
		c.pending = c.pending.Union(more)
		c.news = now
	}
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
	c.news = now
	c.counted = c.counted.Union(b.Set)
	c.gone = c.gone.Minus(b.Set)
	if b.Tainted {
		c.tainted = append(c.tainted, b)
		return verdict
	}
	c.failed, c.stopped = c.failed.Union(b.Failed), c.stopped.Union(b.Stopped)
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
		gone := c.gone.Minus(c.counted).Len()
		p.Expected += c.expected.Len() - gone
		p.Gone += gone
		p.Answered += c.counted.Len()
		p.Pending += c.pending.Minus(c.counted).Minus(c.gone).Len()
		p.Rounds = max(p.Rounds, int(c.round))
		for _, b := range c.tainted {
			sum = sum.Add(b.Counts)
		}
	}
	p.Passed, p.Errors, p.Stopped, p.NoResults = int(sum.Passed), int(sum.Errors), int(sum.Stopped), int(sum.NoResults)
	p.Outside = int(sum.Outside)
	return p
}

// Accounts says of every machine what became of the question, by LAN.
func (t *Tally) Accounts() []Account {
	all := make([]Account, 0, len(t.lans))
	for lan, c := range t.lans {
		failed, stopped := c.failed, c.stopped
		for _, b := range c.tainted {
			failed, stopped = failed.Union(b.Failed), stopped.Union(b.Stopped)
		}
		rest := c.expected.Minus(c.counted)
		a := Account{
			LAN: lan, Answered: c.counted.Minus(failed), Failed: failed.Minus(stopped), Stopped: stopped,
			Gone: c.gone.Minus(c.counted), Running: c.pending.Minus(c.counted).Minus(c.gone),
		}
		a.Missing = rest.Minus(a.Gone).Minus(a.Running)
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b Account) int { return a.LAN.Compare(b.LAN) })
	return all
}
