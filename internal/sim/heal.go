package sim

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/chain"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

// ---- liveness: true once a storm is over ----

// chains are the running machines in the order in which they should stand.
func (w *world) chains() [][]*host {
	var all [][]*host
	lines := map[netip.Prefix]int{}
	for _, h := range w.hosts {
		if h.node == nil {
			continue
		}
		lan := w.lanOf(h.observed())
		i, known := lines[lan]
		if alone := h.observed() != h.place.Addr.Addr(); alone || !known {
			// A machine that nobody can dial at the address that the server sees
			// stands alone.
			i = len(all)
			all = append(all, nil)
			if !alone {
				lines[lan] = i
			}
		}
		all[i] = append(all[i], h)
	}
	return all
}

// lanOf is the LAN of an address.
func (w *world) lanOf(a netip.Addr) netip.Prefix { return w.server.roster.Boundaries().Find(a, a).LAN }

// checkHealed: all machines of a LAN that are up stand in one chain, in order,
// and its two ends are the only ones that the server knows.
func (w *world) checkHealed() {
	for _, line := range w.chains() {
		if err := w.checkLine(line); err != nil {
			w.fail("I6: not healed: %w", err)
			return
		}
	}
	if n := w.strayLeaders(); n != 0 {
		w.fail("I6: not healed: %d connections of leaders too many", n)
	}
}

// strayLeaders is how many connections of leaders there are beyond two for each
// chain.
func (w *world) strayLeaders() int {
	return len(w.server.leaders) - w.witnesses() - 2*len(w.chains())
}

// checkLine says what is wrong with a chain.
func (w *world) checkLine(line []*host) error {
	for i, h := range line {
		back, fore := chain.Server, chain.Server
		if i > 0 {
			back = chain.PeerAt(line[i-1].place)
		}
		if i+1 < len(line) {
			fore = chain.PeerAt(line[i+1].place)
		}
		if got := h.node.Neighbour(chain.Back); got != back {
			return fmt.Errorf("behind machine %v stands %v, want %v", h, got, back)
		}
		if got := h.node.Neighbour(chain.Fore); got != fore {
			return fmt.Errorf("before machine %v stands %v, want %v", h, got, fore)
		}
	}
	for _, end := range []struct {
		host *host
		role wire.Role
	}{{line[0], wire.BackwardLeader}, {line[len(line)-1], wire.ForwardLeader}} {
		if n := w.leading(end.host, end.role); n != 1 {
			return fmt.Errorf("machine %v leads on %d connections", end.host, n)
		}
	}
	return nil
}

// witnesses counts the connections of clients that speak for themselves only.
func (w *world) witnesses() int {
	n := 0
	for _, l := range w.server.leaders {
		if l.role == wire.Witness {
			n++
		}
	}
	return n
}

// leading counts a machine's connections in a leader's role.
func (w *world) leading(h *host, role wire.Role) int { return int(h.leads[serverSide(role)]) }

// serverSide is the side on which a leader has the server.
func serverSide(r wire.Role) chain.Side {
	if r == wire.BackwardLeader {
		return chain.Back
	}
	return chain.Fore
}

// askAndCheck asks a question in a world without faults. Every machine that is
// up must be counted, once, and nobody else.
func (w *world) askAndCheck() {
	q := w.server.ask(census, time.Hour)
	most := answerTime
	if w.mode != answer.Merged {
		most = boxTime
	}
	w.runUntil(w.now+most, q.tally.Progress().Complete)
	w.run(time.Second) // what comes twice comes now
	w.checkAnswered(q)
}

// checkAnswered: every machine that is up and can register is counted.
func (w *world) checkAnswered(q *asked) {
	if w.err != nil {
		return
	}
	w.checkCount(q)
	w.checkAccount(q)
	for _, h := range w.hosts {
		if h.node != nil && !h.cutOff && !q.names[h.index] {
			w.fail("question %d, asked at %v: machine %v is not counted: %+v", q.id, q.at, h, q.tally.Progress())
			return
		}
	}
}

// heal lets time pass until the chains stand in order, for so long at the
// most, and notes how much it was.
func (w *world) heal(most time.Duration) {
	from := w.now
	for w.err == nil && (w.disordered()) {
		if w.run(healStep); w.now-from > most {
			w.checkHealed()
			break
		}
	}
	w.healed = append(w.healed, w.now-from)
}

// healStep is how exactly the time to heal is known.
const healStep = 100 * time.Millisecond

// settle lets time pass until every question that is still open must have been
// answered by all (invariant I2), and looks whether it has.
func (w *world) settle() {
	w.runTo(w.cleared + countedMax)
	for _, q := range w.server.live {
		w.checkWhole(q)
	}
	w.checkHealed()
}

// runTo lets time pass until a moment that may be over.
func (w *world) runTo(t time.Duration) { w.run(max(0, t-w.now)) }

// checkWhole: every machine that has long been up and within reach is counted.
func (w *world) checkWhole(q *asked) {
	if w.err != nil {
		return
	}
	w.checkCount(q)
	w.checkAccount(q)
	for _, h := range w.hosts {
		since := max(h.since, w.cleared, q.at)
		if h.node != nil && h.liar == nil && w.reaches(h) && w.now-since >= w.countedMax() && !w.counted(q, h) {
			w.fail("I2: question %d, asked at %v: machine %v, up since %v, is not counted: %+v", q.id, q.at, h, h.since, q.tally.Progress())
			return
		}
	}
}

// countedMax is how long a machine may take to be counted.
func (w *world) countedMax() time.Duration {
	if w.lying {
		return trustedMax
	}
	return countedMax
}

// counted reports whether a machine's answer is counted, by what the server
// keeps for its slot.
func (w *world) counted(q *asked, h *host) bool {
	seat, ok := w.server.roster.Seat(h.place.ID)
	return ok && q.tally.Counted(seat.LAN, seat.Slot)
}

// checkRough: of the questions asked in the rough phase, in which no machine
// ended, no answer was lost.
func (w *world) checkRough() {
	// A server that has been started waits so long for who was there before.
	w.runTo(w.server.began + roster.StaleAfter + 2*tidyEvery)
	for _, q := range w.roughly {
		q = q.last()
		if w.now >= q.expires {
			continue
		}
		w.checkAnswered(q)
		if p := q.tally.Progress(); w.err == nil && !p.Complete() {
			w.fail("question %d is answered by everyone who is up, but waits for more: %+v", q.id, p)
		}
	}
}

// crashInTheMiddle ends a machine that has neighbours on both sides. Its chain
// must close at once.
func (w *world) crashInTheMiddle() {
	lines := slices.DeleteFunc(w.chains(), func(line []*host) bool { return len(line) < 3 })
	if w.err != nil || len(lines) == 0 {
		return
	}
	line := lines[w.rng.IntN(len(lines))]
	i := 1 + w.rng.IntN(len(line)-2)
	if slices.ContainsFunc(line[i-1:i+2], func(h *host) bool { return h.closed || h.porter != nil && h.porter.mute }) {
		return // a dial that nobody answers costs its whole time limit
	}
	w.stop(line[i], false)
	rest := slices.Delete(slices.Clone(line), i, i+1)
	from := w.now
	closed := func() bool { return w.checkLine(rest) == nil }
	if !w.runUntil(from+healTime, closed) && w.err == nil {
		w.fail("chain did not close: %w", w.checkLine(rest))
	}
	w.closed = w.now - from
	if w.closed > closeMax {
		w.fail("chain closed only %v after machine %v had crashed", w.closed, line[i])
	}
}

// stranger lets a machine of a chain miss its registrations until the server
// does not know it any more. The others are counted all the same, and so is the
// machine when it comes back.
func (w *world) stranger() {
	var up []*host
	for _, h := range w.hosts {
		if h.node != nil {
			up = append(up, h)
		}
	}
	h := up[w.rng.IntN(len(up))]
	w.mark(h, "cannot register")
	h.cutOff = true
	w.run(roster.StaleAfter + 2*tidyEvery)
	q := w.server.ask(census, time.Hour)
	w.run(answerTime)
	w.checkAnswered(q)
	h.cutOff, w.restored = false, w.now
	w.run(registerMax)
	w.checkAnswered(q)
}

// registerMax is how long a machine may take to register, after a failure.
const registerMax = 20*time.Second + 90*time.Second

// afterRestart asks when the server has just been started and knows nobody yet.
// Everybody is counted as it registers.
func (w *world) afterRestart() {
	w.server.restart(w.upto(5 * time.Second))
	w.run(5*time.Second + w.upto(5*time.Second))
	q := w.server.ask(census, time.Hour)
	w.run(registerMax + answerTime)
	w.checkAnswered(q)
}

// disordered reports whether some chain does not stand as it should.
func (w *world) disordered() bool {
	return w.strayLeaders() != 0 || slices.ContainsFunc(w.chains(), func(line []*host) bool { return w.checkLine(line) != nil })
}
