package sim

import (
	"net/netip"
	"slices"
	"time"

	"catenary/internal/endpoint"
	"catenary/internal/server/tally"
)

// A TrialReport is what happened in one trial.
type TrialReport struct {
	Seed      uint64
	Machines  int
	Faults    int
	Events    int // steps of all nodes
	Questions int
	Doubled   int                    // contributions counted beyond one for each machine, at the worst moment
	Missing   int                    // machines that should have been counted and were not, over all questions
	Took      []time.Duration        // of each question, until every machine that it had to count was counted
	Asked     int                    // questions that the server asked again
	Direct    int                    // machines that it asked directly
	Witnesses int                    // answers given directly
	Verdicts  [tally.Foreign + 1]int // what became of the reports
	Hash      uint64
}

const (
	// trialBefore and trialAfter are how long before and after a question's asking bad luck
	// strikes: answers travel for a fraction of a second, and a machine that was
	// lost a little before may not have been missed yet.
	trialBefore = 2 * time.Second
	trialAfter  = 3 * time.Second
	// trialHeal is when it ends at the latest.
	trialHeal = 12 * time.Second
	// trialForm is how long a small chain may take to form in calm weather.
	trialForm = 15 * time.Second
	// trialAfterwards is how long a trial goes on when all are counted: what
	// comes twice comes then.
	trialAfterwards = 3 * time.Second
)

// RunTrial plays one trial: a chain of a few machines, one or two questions, and
// around them machines that crash, lose their power and come back, links that
// break or become half-open, firewalls, and a server that starts anew. Every
// machine that has been up since the asking must be counted, once. The error
// names the first law that was broken; under a control, laws are only counted.
func RunTrial(seed uint64, c Control, opt Options) (rep TrialReport, err error) {
	w := newWorld(seed, nil)
	w.watch(Trial, opt)
	defer w.survive(&err)
	w.control = c
	t := &trial{world: w, seen: -1}
	t.form()
	t.play()
	return t.report(), w.err
}

// A trial is a small world and its questions.
type trial struct {
	*world
	asked   []*asked
	seen    int  // sum.counted when whole was last looked at
	whole   bool // everybody who is up is counted
	took    []time.Duration
	missing int
}

// form draws a chain and lets it stand.
func (t *trial) form() {
	x := &t.weather
	switch t.rng.IntN(4) {
	case 0:
		x.lagMin, x.lagMax = 200*time.Microsecond, 300*time.Microsecond
	case 1:
		x.lagMin, x.lagMax = 5*time.Millisecond, 20*time.Millisecond
	case 2:
		x.lagMin, x.lagMax = time.Millisecond, time.Millisecond
	}
	if t.oneIn(3) {
		x.work, x.heavy = 200*time.Millisecond, 2*time.Second
	}
	t.lans = 1
	places := make([]endpoint.Place, 3+t.rng.IntN(14))
	for i, last := range t.rng.Perm(250)[:len(places)] {
		addr := netip.AddrFrom4([4]byte{10, 0, 0, byte(last + 1)})
		places[i] = endpoint.Place{Addr: netip.AddrPortFrom(addr, 17472), ID: endpoint.ID{15: byte(i + 1)}}
	}
	slices.SortFunc(places, endpoint.Place.Compare)
	for _, p := range places {
		h := t.addHost(p)
		h.slow = t.oneIn(3)
	}
	if t.oneIn(8) {
		t.hosts[t.rng.IntN(len(t.hosts))].closed = true
	}
	t.hire()
	for i, n := range t.rng.Perm(len(t.hosts)) {
		t.at(time.Duration(i)*scaleStep, func() { t.start(t.hosts[n]) })
	}
	t.server.tidy()
	t.server.tick()
	t.run(time.Duration(len(t.hosts)) * scaleStep)
	t.heal(trialForm)
	if t.oneIn(2) {
		x.loss = 50
	}
}

// play asks, lets bad luck strike, and waits for what the law says.
func (t *trial) play() {
	begin := t.now + trialBefore
	second := t.oneIn(2)
	t.at(begin, t.ask)
	if second {
		t.at(begin+t.upto(trialAfter), t.ask)
	}
	for range t.rng.IntN(2 + len(t.hosts)/3) {
		// Most of it while the answers travel.
		at := begin - trialBefore + t.upto(trialBefore+trialAfter)
		if t.oneIn(2) {
			at = begin + t.upto(300*time.Millisecond)
		}
		t.at(at, t.strike)
	}
	t.runUntil(begin+trialHeal, func() bool { return false })
	t.clear()
	if !t.follow() {
		t.runUntil(t.now+trialMax, t.follow)
	}
	t.run(trialAfterwards)
	t.judge()
}

func (t *trial) ask() {
	if t.server.down {
		return
	}
	t.asked = append(t.asked, t.server.ask(census, 10*time.Minute))
}

// strike is one stroke of bad luck.
func (t *trial) strike() {
	h := t.hosts[t.rng.IntN(len(t.hosts))]
	left := t.upto(trialHeal)/2 + 1
	t.faults++
	switch t.rng.IntN(13) {
	case 0, 1, 2:
		t.stop(h, false)
		t.maybeBack(h)
	case 3, 4, 5:
		t.stop(h, true)
		t.maybeBack(h)
	case 6:
		if len(h.conns) > 0 {
			t.mark(h, "a connection breaks")
			t.cut(h.conns[t.rng.IntN(len(h.conns))].conn)
		}
	case 7, 8:
		if len(h.conns) > 0 {
			t.halfOpen(h.conns[t.rng.IntN(len(h.conns))].conn)
		}
	case 9:
		t.wall(h)
	case 10:
		t.blockOneWay(h, left)
	case 12:
		if t.oneIn(2) {
			t.overload(h, left)
		} else {
			t.silence(h, left)
		}
	case 11:
		switch t.rng.IntN(4) {
		case 0:
			t.server.restart(t.upto(time.Second))
		case 1:
			t.part(left)
		case 2:
			t.suspend(h, left)
		default:
			t.halt(h, left)
		}
	}
}

func (t *trial) maybeBack(h *host) {
	if t.oneIn(2) {
		t.after(t.upto(trialHeal/2), func() { t.start(h) })
	}
}

// trialMax is how long after the end of all bad luck a trial may take.
const trialMax = countedMax + time.Second

// follow reports whether every machine that is up is counted by every question.
func (t *trial) follow() bool {
	if t.sum.counted == t.seen {
		return t.whole
	}
	t.seen, t.whole = t.sum.counted, true
	for _, q := range t.asked {
		for _, h := range t.hosts {
			if _, counted := q.last().counted[h]; h.node != nil && !counted {
				t.whole = false
			}
		}
	}
	return t.whole
}

// judge looks whether every machine that has been up since the asking has been
// counted, and when.
func (t *trial) judge() {
	for _, asked := range t.asked {
		took, q := time.Duration(0), asked.last()
		for _, h := range t.hosts {
			at, counted := q.counted[h]
			switch {
			case h.node == nil || h.since > asked.at:
			case !counted:
				t.missing++
			default:
				took = max(took, at-asked.at)
			}
		}
		t.took = append(t.took, took)
		if t.control == (Control{}) {
			t.checkWhole(q)
			t.checkCount(q)
		}
	}
}

func (t *trial) report() TrialReport {
	r := TrialReport{
		Seed: t.seed, Machines: len(t.hosts), Faults: t.faults, Events: t.events, Questions: len(t.took),
		Doubled: t.sum.doubled, Missing: t.missing, Took: t.took, Direct: t.sum.direct, Witnesses: t.sum.witnessed,
		Verdicts: t.sum.verdicts, Hash: uint64(t.hash),
	}
	for _, q := range t.asked {
		if q.tally.Progress().Rounds > 0 {
			r.Asked++
		}
	}
	return r
}
