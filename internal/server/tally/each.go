package tally

import (
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
)

// waitingMax bounds the machines of one LAN whose own answers wait until they
// have registered. Each has proved who it is.
const waitingMax = 4096

// TakeEach counts a report of which it is known what each machine has said,
// because its boxes have been opened: the answers of single machines that are
// not counted yet. Others of its machines, whose boxes do not open, are not
// counted, and the sums that came with it are not looked at. So it does not
// matter what was merged on the way, nor into what.
func (t *Tally) TakeEach(now time.Time, lan netip.Prefix, r answer.Report, each []answer.Bundle) Verdict {
	c := t.lan(lan)
	t.reports++
	t.changed()
	c.pending = c.pending.Union(r.Pending.Minus(r.Pending.Minus(c.expected)))
	if len(each) == 0 {
		return Refused // and no news: who forges must not keep us from asking again
	}
	verdict := Duplicate
	var rows []answer.Rows
	for _, b := range each {
		switch {
		case b.Set.Within(c.counted):
		case !b.Set.Within(c.expected):
			c.await(b)
			verdict = Foreign
		default:
			c.counted = c.counted.Union(b.Set)
			c.gone = c.gone.Minus(b.Set)
			c.failed, c.stopped = c.failed.Union(b.Failed), c.stopped.Union(b.Stopped)
			t.counts = t.counts.Add(b.Counts)
			rows = append(rows, b.Rows)
		}
	}
	if len(rows) > 0 {
		c.news = now
	}
	if len(rows) == 0 {
		return verdict
	}
	t.parts = append(t.parts, t.mergeAll(rows))
	return Counted
}

// await keeps the answer of a machine until it is expected.
func (c *count) await(b answer.Bundle) {
	if slices.ContainsFunc(c.foreign, func(r answer.Report) bool { return r.Bundle.Set.Equal(b.Set) }) {
		return
	}
	if len(c.foreign) >= waitingMax {
		c.foreign = slices.Delete(c.foreign, 0, 1)
	}
	c.foreign = append(c.foreign, answer.Report{Question: b.Question, Bundle: b})
}
