package tally

import (
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
)

const (
	// Rounds is how often a LAN is asked again; after that, a machine whose
	// answer is missing is asked when it registers (docs/protocol.md §5.7).
	Rounds = 4
	// patience is how long nothing may be heard of a LAN before it is asked
	// again, beside the time that its chain needs: the repair of a chain takes
	// below a second. Each round waits backOff longer.
	patience = 1500 * time.Millisecond
	backOff  = time.Second
	// passes is how often news crosses the chain in that time: the question on,
	// the answers back, and both once more over a repaired link.
	passes = 4
	// pendingFor is how long after its limit a sensor's result may be under way.
	pendingFor = 5 * time.Second
)

// Again returns the LANs in which the question is now to be asked again, of
// which nothing has been heard for a while. Hop is the one-way time between two
// neighbours of a LAN.
func (t *Tally) Again(now time.Time, hop func(netip.Prefix) time.Duration) []Again {
	var all []Again
	for lan, c := range t.lans {
		missing := c.missing(t.overdue(now))
		if missing.Empty() || c.round == Rounds {
			continue
		}
		wait := patience + time.Duration(c.expected.Len())*passes*hop(lan) + time.Duration(c.round)*backOff
		if now.Before(c.news.Add(wait)) {
			continue
		}
		c.round++
		c.news = now
		t.changed()
		all = append(all, Again{lan, c.round, missing})
	}
	slices.SortFunc(all, func(a, b Again) int { return a.LAN.Compare(b.LAN) })
	return all
}

// Direct reports whether a machine that registers now is to answer directly: it
// should have answered along its chain, and that was asked again in vain.
func (t *Tally) Direct(now time.Time, lan netip.Prefix, slot answer.Slot) bool {
	c := t.lans[lan]
	return c != nil && c.round == Rounds && c.missing(t.overdue(now)).Has(slot)
}

// overdue reports whether every sensor that was going to answer has.
func (t *Tally) overdue(now time.Time) bool { return now.Sub(t.issued) > t.limit+pendingFor }

// missing are the machines whose answers should be here.
func (c *count) missing(overdue bool) answer.Set {
	missing := c.expected.Minus(c.counted).Minus(c.gone)
	if !overdue {
		missing = missing.Minus(c.pending)
	}
	return missing
}
