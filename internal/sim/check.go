package sim

import (
	"time"

	"catenary/internal/chain"
	"catenary/internal/node"
	"catenary/internal/server/tally"
)

// ---- safety: true after every step ----

// checkStep looks at a machine after each step of its node.
func (w *world) checkStep(h *host, ev node.Event, excused bool) {
	if h.liar != nil {
		return
	}
	w.checkLinks(h)
	w.checkOrder(h)
	if err := w.checkBackward(h); err != nil {
		w.fail("%w", err)
	}
	if _, lost := ev.(node.Down); !lost && !excused && w.calm {
		w.checkNeverFarther(h)
	}
	w.checkNotAlone(h)
	w.settleBill(h)
	if _, tick := ev.(node.Tick); tick && !h.node.Deadline().After(w.local(h)) {
		w.fail("machine %v has been given its Tick and wants another at once", h)
	}
}

// checkLinks: a machine has exactly the links that its node believes in, and
// dials at most once on each side.
func (w *world) checkLinks(h *host) {
	var links, dials [2]int
	for _, x := range h.conns {
		if !w.stands(x.conn.role) {
			continue // stands on neither side
		}
		s := w.sideOf(x)
		if x.conn.ends[x.end].state == dialling {
			dials[s]++
			continue
		}
		links[s]++
		if got, want := h.node.Neighbour(s), w.peerOf(x); got != want {
			w.fail("on its %v side machine %v has a link to %v, but believes in %v", s, h, want, got)
		}
	}
	for s := range chain.Side(2) {
		want := 0
		if h.node.Neighbour(s) != chain.Nobody {
			want = 1
		}
		if links[s] != want || dials[s] > dialsMax {
			w.fail("on its %v side machine %v believes in %v and has %d links and %d dials",
				s, h, h.node.Neighbour(s), links[s], dials[s])
		}
	}
}

// dialsMax is how many dials of a side may be under way: all candidates and the
// server.
const dialsMax = 12

// sideOf is the side on which a machine has a connection.
func (w *world) sideOf(x held) chain.Side {
	peer := w.peerOf(x)
	if peer == chain.Server {
		return serverSide(x.conn.role)
	}
	if peer.Place.Compare(x.conn.ends[x.end].host.place) > 0 {
		return chain.Fore
	}
	return chain.Back
}

// peerOf is who is at the other end of a connection.
func (w *world) peerOf(x held) chain.Peer {
	if h := x.conn.ends[1-x.end].host; h != nil {
		if x.end == 1 && x.conn.lie != nil {
			return chain.PeerAt(x.conn.lie.place)
		}
		return chain.PeerAt(h.place)
	}
	return chain.Server
}

// checkOrder: a line of forward links ascends, within one LAN, so that it
// cannot close into a ring.
func (w *world) checkOrder(h *host) {
	for s := range chain.Side(2) {
		p := h.node.Neighbour(s)
		if p == chain.Nobody || p == chain.Server || p == w.before[s] {
			continue
		}
		if c := p.Place.Compare(h.place); c > 0 != (s == chain.Fore) || c == 0 {
			w.fail("I5: machine %v at %v has %v on its %v side", h, h.place, p, s)
		}
		if a, b := w.lanOf(h.place.Addr.Addr()), w.lanOf(p.Place.Addr.Addr()); a != b {
			w.fail("I5: machine %v in %v has a neighbour in %v", h, a, b)
		}
	}
}

// checkNeverFarther: in calm weather, only the loss of a neighbour moves a side
// farther away.
func (w *world) checkNeverFarther(h *host) {
	for s := range chain.Side(2) {
		was, is := w.before[s], h.node.Neighbour(s)
		if w.distance(h, is) > w.distance(h, was) {
			w.fail("machine %v left %v for %v on its %v side", h, was, is, s)
		}
	}
}

// distance is how many machines stand between, at least.
func (w *world) distance(h *host, p chain.Peer) int {
	switch p {
	case chain.Nobody:
		return len(w.hosts) + 2
	case chain.Server:
		return len(w.hosts) + 1
	}
	d := w.hostAt(p.Place).index - h.index
	return max(d, -d)
}

const (
	// aloneMax is how long a side may be alone although the server can be
	// reached: the dials to peers have 5 staggers before the server is dialled,
	// and that dial its time. A machine that finds everything slow takes 2 s and
	// 15 s for that; any other is below 5 s.
	aloneMax = 25 * time.Second
	// aloneSlowMax is the same where many live and do not answer: the server is
	// dialled after 30 staggers all the same, of 2 s at the most.
	aloneSlowMax = 30*2*time.Second + 15*time.Second
	// backOffMax is how long a machine may wait that could reach nobody, the
	// server included, before it tries again.
	backOffMax = 60*time.Second + aloneMax
)

// checkNotAlone: I7, who can reach the server has somebody on each side, at
// least the server: questions from behind, a way for answers in front.
func (w *world) checkNotAlone(h *host) {
	most := aloneMax
	if w.now < w.slowUntil+aloneSlowMax {
		most = aloneSlowMax
	}
	for s := range chain.Side(2) {
		if w.before[s] != chain.Nobody || h.node.Neighbour(s) != chain.Nobody || h.free > w.now || !w.prompt(h) || w.control.NoReached || w.now-w.restored < backOffMax || !w.registered(h) {
			h.alone[s] = w.now
		} else if w.now-h.alone[s] > most && w.reaches(h) && !w.server.down {
			w.fail("I7: machine %v is alone on its %v side since %v", h, s, h.alone[s])
		}
	}
}

// registered reports whether the machine has been placed in its chain since its
// start.
func (w *world) registered(h *host) bool { return w.server.machines[h.index].incarnation == h.life }

// checkTaken looks at a question after each report that the server takes.
func (w *world) checkTaken(q *asked, from *leader, v tally.Verdict) {
	w.say(from.host, "=>", v.String())
	w.history.takes(w.now, from, v)
	w.sum.verdicts[v]++
	if w.unwatched {
		if v == tally.Counted {
			q.taken = append(q.taken, taken{w.now, from.brought})
		}
		return
	}
	w.noteCounted(q)
	if w.control != (Control{}) {
		w.countDoubles(q)
		return
	}
	if v == tally.Refused && w.liars == 0 {
		w.fail("a bundle of question %d was refused: it is not nested with what is counted", q.id)
	}
	w.checkCount(q)
	if any, _ := w.doubts(q); !any {
		w.checkCut(q)
	}
}

// noteCounted notes when each machine is first counted.
func (w *world) noteCounted(q *asked) {
	for _, h := range w.hosts {
		if _, known := q.counted[h]; !known && w.counted(q, h) {
			q.counted[h] = w.now
			if w.lying && h.liar == nil {
				w.lies.Slowest = max(w.lies.Slowest, w.now-max(q.at, h.since, w.restored))
			}
			w.history.counts(w.now, h)
			w.sum.counted++
		}
	}
}

// countDoubles notes how many contributions are counted twice, where that is
// not forbidden.
func (w *world) countDoubles(q *asked) {
	rows := q.tally.Result().Rows
	if w.control.NoSetRule {
		rows = q.naive
	}
	w.sum.doubled = max(w.sum.doubled, doubled(rows))
}

func (w *world) checkCount(q *asked) {
	check := q.check
	if any, _ := w.doubts(q); any {
		check = func() error { return w.checkTrusted(q) }
	}
	if err := check(); err != nil {
		w.fail("I1, I3: question %d: %w", q.id, err)
	}
}

// checkAll: the counts are right to the end.
func (w *world) checkAll() {
	for _, q := range w.server.asked {
		w.checkCount(q)
		if w.liars == 0 {
			w.checkOrderless(q)
		}
	}
}
