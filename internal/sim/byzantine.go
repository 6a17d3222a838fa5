package sim

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/server/roster"
	"catenary/internal/wire"
)

const (
	lieTime = 2 * time.Minute // for which liars lie
	// trustedMax is how long a machine may take to be counted whose neighbours
	// lie: it may have to learn of the question when it registers, within 90 s,
	// and again be asked directly 90 s later; the server believes for 65 s that
	// it still computes; and whoever is said to be dead is news each time it
	// comes back.
	trustedMax = 2*countedMax + 90*time.Second
	// weighEvery is how often the memory of honest machines is looked at.
	weighEvery = 5 * time.Second
	// quickMax bounds a frame from who has not been accepted, see package link.
	quickMax = 16 << 10
)

// A ByzantineReport is what happened in a world with liars.
type ByzantineReport struct {
	Report
	Liars    int
	Vices    string
	Mode     answer.Mode
	Lies     int           // that nobody asked for; the others are not counted
	Poisoned int           // links that a malformed frame has closed
	Turned   int           // Hellos of liars that were turned away
	Findings int           // signs of tampering that the server has seen
	Audits   int           // answers that were compared with what their machines say
	Caught   int           // of those, how many had been tampered with
	Slowest  time.Duration // that an honest machine took to be counted
	Heaviest int           // most bytes that an honest node has kept
}

// RunByzantine plays a world in which some machines lie. No honest machine may
// stop, be counted twice, or be left out for good, but for what docs/trust.md
// says; when the liars are switched off everything is as it should be.
func RunByzantine(seed uint64, opt Options) (rep ByzantineReport, err error) {
	w := newWorld(seed, nil)
	w.watch(Byzantine, opt)
	defer w.survive(&err)
	w.nowhere = &host{index: -1, silent: true}
	w.drawWeather()
	w.mode = []answer.Mode{answer.Merged, answer.Merged, answer.Attested, answer.Sealed}[w.rng.IntN(4)]
	w.drawLiars()
	w.tellLies()
	return w.byzantineReport(), w.err
}

func (w *world) byzantineReport() ByzantineReport {
	r := w.lies
	r.Report, r.Mode = w.report(), w.mode
	for _, h := range w.hosts {
		if h.liar != nil {
			r.Liars++
			r.Lies += h.liar.said
			r.Vices = fmt.Sprint(r.Vices, h.index, ": ", h.liar.vices, "; ")
		}
	}
	return r
}

// tellLies is the story: chains form, with the liars among them; they lie, and
// there is some bad luck besides; then they are switched off.
func (w *world) tellLies() {
	if w.oneIn(3) {
		w.beginLies()
	}
	w.boot(bootTime)
	w.run(bootTime + 10*time.Second)
	w.ensureOne()
	w.beginLies()
	w.weigh()
	for range 2 + w.rng.IntN(4) {
		w.at(w.now+w.upto(lieTime), func() { w.askSome() })
	}
	if w.oneIn(2) {
		for range w.rng.IntN(10) {
			at := w.upto(lieTime)
			w.at(w.now+at, func() { w.mishap(w.anybody(), lieTime-at) })
		}
	}
	w.run(lieTime)
	w.clear()
	w.runTo(w.cleared + trustedMax)
	for _, q := range w.server.live {
		w.checkWhole(q)
	}
	w.repent()
	w.ensureOne()
	w.cleared, w.restored = w.now, w.now
	w.heal(healTime)
	w.settle()
	w.askAndCheck()
	w.checkAll()
}

// beginLies lets the liars begin.
func (w *world) beginLies() {
	if w.lying {
		return
	}
	w.lying = true
	for _, h := range w.hosts {
		if h.liar != nil {
			w.mark(h, "begins to lie: "+h.liar.vices.String())
			w.tempt(h.liar)
		}
	}
}

// repent switches the liars off, for good.
func (w *world) repent() {
	w.lying = false
	for _, h := range w.hosts {
		if h.liar == nil {
			continue
		}
		own := h.liar.own
		h.liar.own = nil
		for _, c := range own {
			w.shut(c, 0)
		}
		w.stop(h, w.oneIn(2))
		h.dismissed = true
	}
}

// trusts reports whether nobody can have changed what a machine is said to have
// answered: it is honest, and the answer is not merged, or nobody in its LAN
// changes what he passes on.
func (w *world) trusts(h *host) bool {
	if h.liar != nil {
		return false
	}
	return w.mode != answer.Merged || !slices.ContainsFunc(w.hosts, func(x *host) bool {
		return x.liar != nil && x.liar.vices&distorting != 0 && w.lanOf(x.place.Addr.Addr()) == w.lanOf(h.place.Addr.Addr())
	})
}

// doubts reports whether an answer need not be right in any row, and whether
// rows may have been left out.
func (w *world) doubts(q *asked) (any, rows bool) {
	for _, h := range w.hosts {
		if !q.doubted {
			break
		}
		if h.liar != nil {
			any = any || w.mode == answer.Merged && h.liar.vices&(distorting|cutting) != 0
			rows = rows || w.mode == answer.Merged && h.liar.vices&cutting != 0
		}
	}
	return any, rows
}

// checkTrusted: where rows may be wrong, each machine that nobody can have lied
// about is there once at the most, and is there if it is counted, unless rows
// were left out; and of no LAN are more machines counted than it has.
func (w *world) checkTrusted(q *asked) error {
	if q.kind == crowd {
		return nil
	}
	r := q.tally.Result()
	times := map[string]uint64{}
	for _, row := range r.Rows.List {
		if len(row.Cells) == 2 && len(row.Cells[0]) == 1 && row.Cells[0][0] == "machine" && len(row.Cells[1]) == 1 {
			times[row.Cells[1][0]] = row.Count
		}
	}
	q.names = map[int]bool{}
	_, cut := w.doubts(q)
	for _, h := range w.hosts {
		n, counted := times[fmt.Sprint(h.index)], w.counted(q, h)
		q.names[h.index] = counted
		switch {
		case !w.trusts(h):
		case n > 1:
			return fmt.Errorf("counts machine %v %d times", h, n)
		case n == 1 && !counted || n == 0 && counted && !cut:
			return fmt.Errorf("has %d rows of machine %v, which is counted: %v", n, h, counted)
		}
	}
	for _, a := range q.tally.Accounts() {
		members := 0
		for _, h := range w.hosts {
			if seat, ok := w.server.roster.Seat(h.place.ID); ok && seat.LAN == a.LAN {
				members++
			}
		}
		if n := everybody(a).Len(); n > members {
			return fmt.Errorf("knows of %d machines in %v, which has %d", n, a.LAN, members)
		}
	}
	return nil
}

// ---- what liars send ----

// parse takes a liar's bytes as package link does, which sees no more than a
// stream: the messages in it, up to the first that cannot be read.
func (w *world) parse(c *conn, to int, more []byte, limit int) (all []wire.Message, err error) {
	partial := &c.dictionaries()[to].partial
	*partial = append(*partial, more...)
	for len(*partial) >= 4 {
		n, err := wire.FrameSize([4]byte(*partial))
		if err == nil && n > limit {
			err = fmt.Errorf("frame of %d bytes; the limit is %d here", n, limit)
		}
		if err != nil {
			return all, err
		}
		if len(*partial) < 4+n {
			break
		}
		m, err := w.heard(c, to).Decode((*partial)[4 : 4+n : 4+n])
		if err != nil {
			return all, err
		}
		if *partial = (*partial)[4+n:]; m != nil {
			all = append(all, m)
		}
	}
	return all, nil
}

// deliverLies brings what a liar has sent to the other end. What cannot be read
// closes the link, and nothing else.
func (w *world) deliverLies(c *conn, to int, frame []byte) {
	all, err := w.parse(c, to, frame, wire.FrameMax)
	for _, m := range all {
		if c.reset || c.ends[to].state == shut {
			return
		}
		w.hand(c, to, m)
	}
	if err != nil && c.ends[to].state != shut {
		w.lies.Poisoned++
		w.say(c.ends[to].host, "!!", err)
		w.breach(c, to)
	}
}

// breach lets an end close its link because of what the other has sent.
func (w *world) breach(c *conn, by int) {
	c.breached = true
	w.lost(c, by)
	w.after(w.weather.lag(w), func() { w.lost(c, 1-by) })
}

// knocks takes a liar's Hello, as a client or the server does before its node
// hears of it.
func (w *world) knocks(c *conn, frame []byte) (hello wire.Hello, ok bool) {
	from, to := c.ends[0].host, c.ends[1].host
	all, err := w.parse(c, 1, frame, quickMax)
	if err != nil || len(all) == 0 {
		w.lies.Turned++
		w.decline(c)
		return hello, false
	}
	hello, ok = all[0].(wire.Hello)
	p := hello.Place
	leads := hello.Role == wire.BackwardLeader || hello.Role == wire.ForwardLeader || hello.Role == wire.Witness
	seenAt := from.place.Addr.Addr()
	if !ok || hello.Version != wire.Version || p.ID != from.place.ID || to == nil && !leads || to != nil && p.Addr.Addr() != seenAt {
		w.lies.Turned++
		w.refuse(c, wire.Refused{Reason: wire.Malformed, Text: "this cannot be"})
		return hello, false
	}
	if c.lie == nil {
		c.lie = &lie{}
	}
	c.lie.place = p
	return hello, true
}

// A lie is what a liar has said at the door.
type lie struct {
	by    *liar          // if its node knows nothing of the link
	place endpoint.Place // where it says to be
}

// intrude knocks at somebody's door, as who belongs there or as somebody else.
func (w *world) intrude(l *liar) {
	to := w.anybody()
	if to == l.host || l.host.node == nil {
		return
	}
	hello := wire.Hello{
		Version: wire.Version, Role: wire.Ahead, Place: l.host.place, Incarnation: l.host.life + uint64(w.rng.IntN(3)),
		LAN: roster.Tag(w.lanOf(to.place.Addr.Addr())), Known: w.allKnown(),
	}
	if to.place.Compare(l.host.place) > 0 {
		hello.Role = wire.Behind
	}
	switch w.rng.IntN(6) {
	case 0:
		hello.Role = wire.Role(w.rng.IntN(8))
	case 1:
		hello.Place.Addr = netip.AddrPortFrom(hello.Place.Addr.Addr(), uint16(w.rng.Uint32()))
	case 2:
		hello.Place = w.anybody().place
	case 3:
		for range wire.SuspectsMax {
			hello.Suspects = append(hello.Suspects, w.anybody().place.ID)
		}
	}
	l.said++
	w.mark(l.host, fmt.Sprintf("intrudes at %v as %d", to, hello.Role))
	c := &conn{role: hello.Role, lie: &lie{by: l}}
	c.ends[0] = end{host: l.host, life: l.host.life, state: dialling}
	c.ends[1].host = to
	l.own = append(l.own, c)
	frame := w.encode(hello)
	w.after(2*w.weather.lag(w), func() {
		if w.open(l.host, to) && to.node != nil {
			w.greet(c, frame)
		}
	})
}

// answered is what becomes of a link of which a liar's node knows nothing.
func (w *world) answered(c *conn, m wire.Message) {
	if c.ends[0].state == shut {
		return
	}
	if _, ok := m.(wire.HelloOK); ok && c.ends[0].state == dialling {
		c.ends[0].state = up
	}
}

// forgets ends the liar's side of such a link.
func (w *world) forgets(c *conn) {
	l := c.lie.by
	c.ends[0].state = shut
	l.own = slices.DeleteFunc(l.own, func(x *conn) bool { return x == c })
}

// spared are a machine's links, when one of its neighbours has sent what cannot
// be read: all but those with liars must stay.
func (w *world) spared(h *host, c *conn) (links []held) {
	if !c.breached || h.liar != nil {
		return nil
	}
	for _, x := range h.conns {
		if other := x.conn.ends[1-x.end].host; x.conn.ends[x.end].state == up && (other == nil || other.liar == nil) {
			links = append(links, x)
		}
	}
	return links
}

func (w *world) checkSpared(h *host, links []held) {
	for _, x := range links {
		if !slices.Contains(h.conns, x) {
			w.fail("I11: machine %v closes its link to %v because of another's frame", h, x.conn.ends[1-x.end].host)
		}
	}
}

// ---- what the server does about it ----

// endure takes a leader's message as package server does: what no honest machine
// says closes the line of a liar; rows with a wrong hash, and boxes that do not
// open, are not counted, whoever brings them.
func (s *server) endure(c *conn, m wire.Message) {
	effects, err := s.take(c.lead, m)
	s.carryOut(effects)
	switch {
	case err == nil:
	case c.lead.host.liar != nil:
		s.w.breach(c, 1)
	default:
		s.w.fail("the server would close the line of machine %v, which is honest: %w", c.lead.host, err)
	}
}

// ---- many of them ----

// Byzantine plays worlds with liars.
func (s Seeds) Byzantine(ctx context.Context) (ByzantinesReport, error) {
	var mu sync.Mutex // guards sum
	var sum ByzantinesReport
	began := time.Now()
	err := s.each(ctx, func(seed uint64) error {
		rep, err := RunByzantine(seed, Options{})
		mu.Lock()
		defer mu.Unlock()
		sum.add(rep)
		return seen(err, Byzantine, seed, Control{})
	})
	sum.Wall = time.Since(began)
	return sum, err
}

// A ByzantinesReport is what happened in many worlds with liars.
type ByzantinesReport struct {
	StormsReport
	Sum ByzantineReport // Slowest and Heaviest are the most
}

func (r *ByzantinesReport) add(x ByzantineReport) {
	r.StormsReport.add(x.Report)
	s := &r.Sum
	s.Liars += x.Liars
	s.Lies += x.Lies
	s.Poisoned += x.Poisoned
	s.Turned += x.Turned
	s.Findings += x.Findings
	s.Audits += x.Audits
	s.Caught += x.Caught
	s.Slowest = max(s.Slowest, x.Slowest)
	s.Heaviest = max(s.Heaviest, x.Heaviest)
}

func (r ByzantinesReport) String() string {
	s := r.Sum
	return fmt.Sprintf(`%v
liars                %d, with %d lies that nobody asked for
malformed frames     closed %d links; %d Hellos were turned away
tampering            seen %d times by the server; by audit in %d of %d answers
honest machines      counted after %v at the latest; %d kB in the fullest
`, r.StormsReport, s.Liars, s.Lies, s.Poisoned, s.Turned, s.Findings, s.Caught, s.Audits, s.Slowest.Round(time.Millisecond), s.Heaviest/1000)
}
