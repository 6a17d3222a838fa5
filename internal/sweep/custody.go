package sweep

import (
	"slices"
	"time"

	"catenary/internal/answer"
)

const (
	windowMax   = 32        // reports sent and not yet acknowledged; beyond, answers merge and wait
	windowBytes = 256 << 10 // … and their rows; one larger report may always go
	// custodyMax bounds the reports that are kept until they are safe; it is
	// wire.UnsafeMax. custodyBytes is the same for their rows.
	custodyMax   = 1024
	custodyBytes = 16 << 20

	queueMax   = 1024     // bundles waiting to be passed along unmerged
	queueBytes = 16 << 20 // … and their rows

	upsMax = 8 // clients that stood behind whose last report is remembered

	// A neighbour that acknowledges nothing is suspected after the time that it
	// has lately taken, but not before suspectMin: a pause of the operating
	// system must not look like death (docs/protocol.md §3.5). A hop in a LAN
	// takes below 1 ms.
	suspectMin   = 300 * time.Millisecond
	suspectFirst = time.Second // while nothing is known of the neighbour's pace
	// ackTimeout is when it is given up. A loaded machine may be seconds late.
	ackTimeout = 4 * time.Second
	// serverTimeout is the same for the server: there is only one, and a WAN
	// in between.
	serverTimeout = 15 * time.Second
)

// An upstream is one life of a client that stands or stood behind.
type upstream struct {
	life   Life
	last   uint64   // its last report that has come
	unsafe []uint64 // its reports that are only here, ascending
}

// A cover is a report from behind that another of ours has taken in.
type cover struct {
	up  *upstream
	seq uint64
}

// A passing is a bundle to be passed along as it is. It is tainted, or one that
// nothing more fits into.
type passing struct {
	bundle answer.Bundle
	covers []cover
}

// custody is what was sent to the neighbour in front and is not yet safe.
type custody struct {
	life   Life
	seq    uint64        // of our last report
	pace   time.Duration // smoothed time to an acknowledgement; 0: not known
	spread time.Duration // smoothed deviation of that
	floor  time.Duration // no suspicion before: grows with each one that was wrong
	*outstanding
}

// outstanding is what a client does without that has nothing under way, which is
// nearly all of custody and nearly always.
type outstanding struct {
	list  []sent // oldest first; those acknowledged come first
	bytes int    // of rows in list
	open  int    // reports in list that are not acknowledged
	size  int    // bytes of rows in those

	asking    []asking  // questions whose receipt has not come, oldest first
	progress  time.Time // when the neighbour last acknowledged something
	suspected bool
}

// nothing is all that is outstanding where nothing is. It is never changed.
var nothing outstanding

// own lets there be something outstanding.
func (c *custody) own() {
	if c.outstanding == &nothing {
		c.outstanding = new(outstanding)
	}
}

// settle forgets what is not outstanding any more.
func (c *custody) settle() {
	if len(c.list)+len(c.asking) == 0 {
		c.outstanding = &nothing
	}
}

type sent struct {
	report answer.Report
	covers []cover
	at     time.Time
	size   int
	acked  bool
}

type asking struct {
	question uint64
	at       time.Time
}

// alone forgets what depends on the link in front, which is gone.
func (c *custody) alone() {
	if c.outstanding != &nothing {
		c.asking, c.suspected = nil, false
	}
}

// turn takes up a new link in front, and reports whether it leads to the life
// that the reports in custody were sent to.
func (c *custody) turn(now time.Time, ev Ahead) (resumed bool) {
	c.alone()
	if c.outstanding != &nothing {
		c.progress = now
	}
	resumed = ev.Front == Peer && c.life != Life{} && c.life == ev.Life
	if !resumed {
		c.life, c.pace, c.spread, c.floor = ev.Life, 0, 0, suspectMin
	}
	return resumed
}

func (c *custody) asked(now time.Time, id uint64) {
	c.own()
	c.asking = append(c.asking, asking{id, now})
}

// confirm notes that the neighbour in front has every report up to seq, and
// that those which are not unsafe are beyond it, if it says so. It returns the
// covers of those that are acknowledged now: they are safe for who is behind.
func (c *custody) confirm(seq uint64, unsafe []uint64, says bool) (covers []cover) {
	if len(c.list) == 0 {
		return nil
	}
	keep := c.list[:0]
	for _, x := range c.list {
		if x.report.Seq <= seq && !x.acked {
			x.acked = true
			covers = append(covers, x.covers...)
			x.covers = nil
			c.open--
			c.size -= x.size
		}
		if _, held := slices.BinarySearch(unsafe, x.report.Seq); x.acked && says && !held {
			c.bytes -= x.size
			continue
		}
		keep = append(keep, x)
	}
	clear(c.list[len(keep):])
	c.list = keep
	return covers
}

// acked takes an acknowledgement from in front.
func (s *Sweep) acked(now time.Time, ev Acked) {
	c := &s.custody
	if c.outstanding == &nothing {
		return
	}
	for _, x := range c.list {
		if !x.acked && x.report.Seq == ev.Seq {
			c.learn(now.Sub(x.at))
		}
	}
	had := c.open + len(c.asking)
	s.release(c.confirm(ev.Seq, ev.Unsafe, true))
	c.asking = slices.DeleteFunc(c.asking, func(a asking) bool {
		_, has := slices.BinarySearch(ev.Questions, a.question)
		if has {
			c.learn(now.Sub(a.at))
		}
		return has
	})
	if c.open+len(c.asking) == had {
		return
	}
	c.progress = now
	if c.suspected {
		c.suspected = false
		c.floor = min(2*s.patience(), ackTimeout)
		s.emit(Trust{})
	}
}

// learn smooths the time to an acknowledgement (as TCP does, RFC 6298 §2).
func (c *custody) learn(took time.Duration) {
	if c.pace == 0 {
		c.pace, c.spread = max(took, 1), took/2
		return
	}
	c.spread += ((c.pace - took).Abs() - c.spread) / 4
	c.pace = max(c.pace+(took-c.pace)/8, 1)
}

// Pace is how long the neighbour in front takes to acknowledge; 0: not known.
func (s *Sweep) Pace() time.Duration { return s.custody.pace }

// patience is how long the neighbour in front may acknowledge nothing before
// it is suspected.
func (s *Sweep) patience() time.Duration {
	c := &s.custody
	p := suspectFirst
	if c.pace > 0 {
		p = c.pace + 4*c.spread
	}
	return min(max(p, c.floor)+4*s.late, ackTimeout)
}

// waiting reports since when an acknowledgement is missing; zero: none is.
func (s *Sweep) waiting() time.Time {
	c := &s.custody
	if s.front == Nobody || c.open+len(c.asking) == 0 {
		return time.Time{}
	}
	since := c.progress
	var oldest time.Time
	if c.open > 0 {
		oldest = c.list[len(c.list)-c.open].at
	}
	if len(c.asking) > 0 && (oldest.IsZero() || c.asking[0].at.Before(oldest)) {
		oldest = c.asking[0].at
	}
	if oldest.After(since) {
		return oldest
	}
	return since
}

func (s *Sweep) patienceEnds() time.Time {
	since := s.waiting()
	switch {
	case since.IsZero():
		return since
	case s.front == Server:
		return since.Add(serverTimeout)
	case s.custody.suspected:
		return since.Add(ackTimeout)
	}
	return since.Add(s.patience())
}

// wait says so if the neighbour in front has been silent for too long.
func (s *Sweep) wait(now time.Time) {
	end := s.patienceEnds()
	c := &s.custody
	switch {
	case end.IsZero() || now.Before(end):
	case s.front == Peer && !c.suspected:
		c.suspected = true
		s.emit(Suspect{})
		s.wait(now)
	default:
		c.progress, c.suspected = now, false // once; the link will be given up
		s.emit(Stalled{})
	}
}

func (s *Sweep) full() bool {
	c := &s.custody
	return c.open >= windowMax || c.size >= windowBytes || len(c.list) >= custodyMax || c.bytes >= custodyBytes
}

func (s *Sweep) send(now time.Time, r answer.Report, covers []cover) {
	c := &s.custody
	c.seq++
	r.Seq = c.seq
	size := r.Bundle.Size()
	c.own()
	c.list = append(c.list, sent{r, covers, now, size, false})
	c.open++
	c.size += size
	c.bytes += size
	s.emit(Send{r})
}

// requeue sends on what the former neighbour in front may have taken with it.
// It is tainted: the neighbour may just as well have passed it on.
func (s *Sweep) requeue() {
	c := &s.custody
	old := c.list
	if len(old) > 0 {
		c.list, c.bytes, c.open, c.size = nil, 0, 0, 0
	}
	for _, x := range old {
		if b := x.report.Bundle; !b.Set.Empty() {
			s.enqueue(b, x.covers...)
		}
	}
}

// turn notes who stands behind now.
func (s *Sweep) turn(ev Behind) {
	s.behind, s.up, s.receipts = ev.Present, nil, nil
	for _, q := range s.live {
		q.upFirst, q.upFinal = false, false
	}
	if !ev.Present {
		return
	}
	i := slices.IndexFunc(s.ups, func(u *upstream) bool { return u.life == ev.Life })
	if i < 0 {
		if len(s.ups) == upsMax {
			s.ups = slices.Delete(s.ups, 0, 1)
		}
		s.ups = append(s.ups, &upstream{life: ev.Life})
		i = len(s.ups) - 1
	}
	s.up = s.ups[i]
	s.ups = append(slices.Delete(s.ups, i, i+1), s.up)
	s.ackDue = s.up.last > 0 // who resumes must hear what is safe
}

// Heard is the last report that has come from the life of a client that was
// last behind; 0 for nobody's.
func (s *Sweep) Heard(id [16]byte) (incarnation, seq uint64) {
	for _, u := range slices.Backward(s.ups) {
		if u.life.ID == id {
			return u.life.Incarnation, u.last
		}
	}
	return 0, 0
}

// told takes what the neighbour behind reports. From here on it is ours to
// deliver.
func (s *Sweep) told(r answer.Report) {
	if s.up == nil {
		return
	}
	s.ackDue = true
	if r.Seq <= s.up.last {
		return // sent again over a new link, before it knew that we have it
	}
	s.up.last = r.Seq
	q := s.find(r.Question)
	b := r.Bundle
	var c []cover
	if !b.Set.Empty() && len(s.up.unsafe) < custodyMax { // no honest sender has more out
		s.up.unsafe = append(s.up.unsafe, r.Seq)
		c = []cover{{s.up, r.Seq}}
	}
	switch {
	case b.Set.Empty():
	case q == nil || b.Tainted || b.Set.Overlaps(q.seen) || b.Mode != q.Mode:
		s.enqueue(b, c...)
	default:
		s.merge(q, b, c)
	}
	if q == nil {
		return
	}
	q.pending = q.pending.Union(r.Pending.Minus(q.seen))
	q.upFirst = q.upFirst || r.First
	q.upFinal = q.upFinal || r.Final
}

// enqueue lets a bundle pass as it is. It is tainted from here on: it may
// arrive twice, and merged it could not be told apart.
func (s *Sweep) enqueue(b answer.Bundle, covers ...cover) {
	b.Tainted = true
	s.line(b, covers...)
}

// line lets a bundle wait to be passed along by itself.
func (s *Sweep) line(b answer.Bundle, covers ...cover) {
	for len(s.queue) > 0 && (len(s.queue) == queueMax || s.queued > queueBytes) {
		s.emit(Lost{s.queue[0].bundle.Question, "too many bundles wait for a neighbour in front"})
		s.dequeue()
	}
	s.queue = append(s.queue, passing{b, covers})
	s.queued += b.Size()
}

// dequeue drops the oldest bundle that waits.
func (s *Sweep) dequeue() {
	s.queued -= s.queue[0].bundle.Size()
	s.release(s.queue[0].covers)
	s.queue = slices.Delete(s.queue, 0, 1)
}

// pass sends the bundles that wait to be passed along.
func (s *Sweep) pass(now time.Time) {
	n := 0
	for n < len(s.queue) && s.front != Nobody && !s.full() {
		b := s.queue[n].bundle
		s.queued -= b.Size()
		s.send(now, answer.Report{Question: b.Question, Bundle: b}, s.queue[n].covers)
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

// release notes that reports from behind are safe: with us and one hop on.
func (s *Sweep) release(covers []cover) {
	for _, c := range covers {
		if i, held := slices.BinarySearch(c.up.unsafe, c.seq); held {
			c.up.unsafe = slices.Delete(c.up.unsafe, i, i+1)
			if len(c.up.unsafe) == 0 {
				c.up.unsafe = nil // a client is mostly idle
			}
			s.ackDue = s.ackDue || c.up == s.up
		}
	}
}

// ack says what has come from behind, if there is news of it.
func (s *Sweep) ack() {
	if !s.ackDue && len(s.receipts) == 0 {
		return
	}
	a := Ack{Questions: s.receipts}
	if s.up != nil {
		a.Seq, a.Unsafe = s.up.last, slices.Clone(s.up.unsafe)
	}
	slices.Sort(a.Questions)
	a.Questions = slices.Compact(a.Questions)
	s.ackDue, s.receipts = false, nil
	s.emit(a)
}
