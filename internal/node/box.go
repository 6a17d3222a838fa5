package node

import (
	"crypto/sha256"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/box"
	"catenary/internal/sweep"
)

// A question may want the answer in a box (docs/trust.md), which takes the
// registration key. A node without one registers first, over TLS, and computes
// its answer then.

// keySpread is over how long clients that wait for a key come for one: a fleet
// that wakes up together must not come at once.
const keySpread = 10 * time.Second

// evaluate lets the host compute the answer to a question, now or when there is
// a key for it.
func (n *Node) evaluate(now time.Time, q sweep.Question) {
	if _, ok := n.Key(now); q.Mode == answer.Merged || ok {
		n.emit(Evaluate{letterOf(q), n.skew})
		return
	}
	d := n.owe()
	d.keyless = append(d.keyless, q.ID)
	n.comeForKey(now)
}

// comeForKey lets the next registration come soon. Who was given no key, or was
// told when to come for one, waits for that.
func (n *Node) comeForKey(now time.Time) {
	r := &n.reg
	if soon := now.Add(n.between(0, keySpread)); !r.expiry.IsZero() && !r.tls && soon.Before(r.normal) {
		r.normal = soon
	}
}

// keyed computes the answers that have waited for a key.
func (n *Node) keyed(now time.Time) {
	d := n.debts
	if d == nil || len(d.keyless) == 0 {
		return
	}
	if _, ok := n.Key(now); !ok {
		n.comeForKey(now) // this registration had left when the question came
		return
	}
	waiting := d.keyless
	d.keyless = nil
	for _, id := range waiting {
		if q, live := n.sweep.Question(id); live {
			n.evaluate(now, q)
		}
	}
}

// wantsKey reports whether there is a question that waits for a key.
func (n *Node) wantsKey() bool {
	d := n.debts
	if d == nil {
		return false
	}
	d.keyless = slices.DeleteFunc(d.keyless, func(id uint64) bool {
		_, live := n.sweep.Question(id)
		return !live
	})
	return len(d.keyless) > 0
}

// evaluated hands the own answer on as the question wants it. The box says
// where we stand now: between question and answer we may have moved.
func (n *Node) evaluated(now time.Time, ev Evaluated) {
	q, live := n.sweep.Question(ev.Question)
	if !live {
		return
	}
	out := sweep.Evaluated{Question: ev.Question, Rows: ev.Rows, Counts: ev.Counts}
	if q.Mode != answer.Merged {
		key, ok := n.Key(now)
		if !ok { // its life has ended meanwhile
			n.evaluate(now, q)
			return
		}
		out = boxed(box.Key{Key: key.Key, Epoch: key.Name.Epoch()}, q.Mode, box.About{
			Question: q.ID, Plan: sha256.Sum256(letterOf(q).Plan),
			Client: n.place().ID, LAN: n.reg.lan, Slot: n.reg.slot,
		}, out)
	}
	n.stepSweep(now, out)
}

// boxed puts an answer into a box. What it leaves outside peers may read.
func boxed(k box.Key, m answer.Mode, about box.About, ev sweep.Evaluated) sweep.Evaluated {
	ev.Rows = answer.MergeRows(answer.BoxLimits, ev.Rows, answer.Rows{})
	if m == answer.Attested {
		ev.Box = k.Attest(about, ev.Rows, ev.Counts)
		return ev
	}
	return sweep.Evaluated{Question: ev.Question, Box: k.Seal(about, ev.Rows, ev.Counts)}
}
