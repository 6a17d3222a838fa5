// Package dispatch is the server's part in the chains: it gives each live
// question to the ends of the chains, takes what comes out at the other ends,
// asks again for what is missing, and tells a client that registers what it
// lacks (docs/protocol.md §5.7). What package node is to a client, it is to the
// server: the real server and the simulator are two hosts of the same [Desk].
//
// A Desk is a value with one owner. It keeps no clock and no socket: each
// method returns what the owner must now do, in order.
package dispatch

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/server/roster"
	"catenary/internal/server/tally"
	"catenary/internal/wire"
)

const (
	// TickEvery is how often [Desk.Tick] must be called.
	TickEvery = 250 * time.Millisecond
	// receiptTimeout is when a question that a backward leader has not
	// acknowledged goes in at the other end of its chain.
	receiptTimeout = time.Second
	// replyBytes bounds the questions in one registration's reply; the rest
	// comes along the chain or with the next one.
	replyBytes = 512 << 10
	// leadBytes bounds those that a new backward leader gets at once: half of
	// what may wait for it on its link.
	leadBytes = 2 << 20
	// leadersPerSecond is how many leaders may come back in a second after all
	// have lost the server: a handshake costs it 0.3 ms.
	leadersPerSecond = 2000
	// A question is under way in a chain for wayMin, and for as long as it takes
	// to cross it ways times: less if nothing is lost.
	wayMin    = time.Second
	ways      = 2
	spreadMin = 10 * time.Millisecond
	spreadMax = 30 * time.Second
)

// A Line is the connection of a leader, by the number that the host gives it.
type Line uint64

// An Effect is something the host must now do.
type Effect interface{ effect() }

type (
	// Send the message on the line.
	Send struct {
		Line    Line
		Message wire.Message
	}
	// Taken: a report has come and this became of it.
	Taken struct {
		Question uint64
		Line     Line
		Verdict  tally.Verdict
	}
	// Changed: there is news of the question for whoever waits for it.
	Changed struct{ Question uint64 }
	// Again: the question is asked again in a LAN.
	Again struct {
		Question uint64
		tally.Again
	}
)

func (Send) effect()    {}
func (Taken) effect()   {}
func (Changed) effect() {}
func (Again) effect()   {}

// A Question is what is given to the chains.
type Question struct {
	ID      uint64
	Sealed  []byte
	Issued  time.Time
	Expires time.Time
	Limit   time.Duration // how long a sensor may run
	Mode    answer.Mode
	Plan    [32]byte // hashed
	// Priority says which questions come first where not all can be sent at once:
	// those in which it is greater.
	Priority int
	// Awaited are the seats of clients that are believed to be there, although
	// they have not registered since the server has started.
	Awaited []roster.Seat
}

// A Desk is the live questions and the leaders.
type Desk struct {
	roster  *roster.Roster
	live    map[uint64]*question
	lines   map[Line]*line
	lans    map[netip.Prefix][]*line // in the order of their coming
	dead    map[endpoint.ID]bool     // registered clients that their neighbours have found dead since
	highest uint64
	out     []Effect
}

type question struct {
	Question
	tally   *tally.Tally
	over    bool                 // no more is asked or counted
	settled map[endpoint.ID]bool // counted in a LAN that they have left
}

type line struct {
	number Line
	id     endpoint.ID
	role   wire.Role
	lan    netip.Prefix
	asking []asking // questions whose receipt has not come, oldest first
}

type asking struct {
	question uint64
	at       time.Time
}

// New returns a desk without questions and leaders. The newest question that was
// ever asked has the number highest.
func New(r *roster.Roster, highest uint64) *Desk {
	return &Desk{
		roster: r, highest: highest,
		live: map[uint64]*question{}, lines: map[Line]*line{}, lans: map[netip.Prefix][]*line{}, dead: map[endpoint.ID]bool{},
	}
}

// Highest is the number of the newest question.
func (d *Desk) Highest() uint64 { return d.highest }

// Tally is the count of a question that has not been forgotten.
func (d *Desk) Tally(id uint64) (*tally.Tally, bool) {
	q := d.live[id]
	if q == nil {
		return nil, false
	}
	return q.tally, true
}

// Question is a live question.
func (d *Desk) Question(id uint64) (Question, bool) {
	q := d.live[id]
	if q == nil || q.over {
		return Question{}, false
	}
	return q.Question, true
}

// Close ends a question: nothing that comes is counted any more.
func (d *Desk) Close(id uint64) {
	if q := d.live[id]; q != nil {
		q.over = true
	}
}

// Forget drops a question that is closed.
func (d *Desk) Forget(id uint64) { delete(d.live, id) }

// Spread is over how long the leaders are to come back when they have lost the
// server.
func (d *Desk) Spread() time.Duration {
	return min(max(time.Duration(len(d.lines))*time.Second/leadersPerSecond, spreadMin), spreadMax)
}

// Leads reports whether the client holds lines as a backward and as a forward
// leader.
func (d *Desk) Leads(lan netip.Prefix, id endpoint.ID) (backward, forward bool) {
	for _, l := range d.lans[lan] {
		if l.id == id {
			backward = backward || l.role == wire.BackwardLeader
			forward = forward || l.role == wire.ForwardLeader
		}
	}
	return backward, forward
}

// Gone reports whether a registered client's neighbours have found it dead, and
// nothing has been heard of it since.
func (d *Desk) Gone(id endpoint.ID) bool { return d.dead[id] }

// Ask opens a question and gives it to every chain.
func (d *Desk) Ask(now time.Time, in Question) []Effect {
	d.out = d.out[:0]
	d.highest = max(d.highest, in.ID)
	q := &question{
		Question: in,
		tally:    tally.New(in.ID, in.Issued, in.Expires, in.Limit, answer.ServerLimits, d.roster.Slots()),
		settled:  map[endpoint.ID]bool{},
	}
	for _, seat := range in.Awaited {
		q.tally.Expect(now, seat.LAN, seat.Slot)
	}
	for id := range d.dead {
		if seat, ok := d.roster.Seat(id); ok {
			q.tally.Gone(seat.LAN, seat.Slot)
		}
	}
	d.live[in.ID] = q
	for _, lan := range d.sortedLANs() {
		d.ask(now, q, lan, tally.Again{})
	}
	return d.out
}

// sortedLANs are those with a leader, so that the order of deeds does not
// depend on that of a map.
func (d *Desk) sortedLANs() []netip.Prefix {
	all := make([]netip.Prefix, 0, len(d.lans))
	for lan := range d.lans {
		all = append(all, lan)
	}
	slices.SortFunc(all, netip.Prefix.Compare)
	return all
}

// ask gives a question to the backward leaders of a LAN, or, if there is none,
// against the usual direction to the forward leaders.
func (d *Desk) ask(now time.Time, q *question, lan netip.Prefix, again tally.Again) {
	m := wire.Question{Sealed: q.Sealed, Round: again.Round, Only: again.Only}
	if !d.give(now, q.ID, lan, wire.BackwardLeader, m) {
		d.give(now, q.ID, lan, wire.ForwardLeader, m)
	}
}

// give sends a question to the leaders of one role, if there are any.
func (d *Desk) give(now time.Time, id uint64, lan netip.Prefix, to wire.Role, m wire.Question) (given bool) {
	for _, l := range d.lans[lan] {
		if l.role != to {
			continue
		}
		given = true
		if to == wire.BackwardLeader {
			l.asking = append(l.asking, asking{id, now})
		}
		d.emit(Send{l.number, m})
	}
	return given
}

// Lead takes in a leader's line. A backward leader gets the live questions that
// it does not know (ascending).
func (d *Desk) Lead(now time.Time, n Line, id endpoint.ID, role wire.Role, lan netip.Prefix, known []uint64) []Effect {
	d.out = d.out[:0]
	l := &line{number: n, id: id, role: role, lan: lan}
	d.lines[n] = l
	delete(d.dead, id)
	if role == wire.Witness {
		return nil
	}
	d.lans[lan] = append(d.lans[lan], l)
	if role != wire.BackwardLeader {
		return nil
	}
	for _, q := range d.unknown(known, leadBytes) {
		l.asking = append(l.asking, asking{q.ID, now})
		d.emit(Send{n, wire.Question{Sealed: q.Sealed}})
	}
	return d.out
}

// unknown are the live questions that a client does not have, oldest first, as
// many as fit: those with a higher priority rather than others, older ones rather
// than younger.
func (d *Desk) unknown(known []uint64, bytes int) []*question {
	var all []*question
	for id, q := range d.live {
		if _, has := slices.BinarySearch(known, id); !has && !q.over {
			all = append(all, q)
		}
	}
	slices.SortFunc(all, func(a, b *question) int { return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.ID, b.ID)) })
	for i, q := range all {
		if bytes -= len(q.Sealed); bytes < 0 || i == wire.QuestionsMax {
			all = all[:i]
			break
		}
	}
	slices.SortFunc(all, func(a, b *question) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Leave takes a line out that has ended.
func (d *Desk) Leave(n Line) {
	l := d.lines[n]
	if l == nil {
		return
	}
	delete(d.lines, n)
	if l.role == wire.Witness {
		return
	}
	rest := slices.DeleteFunc(d.lans[l.lan], func(x *line) bool { return x == l })
	if d.lans[l.lan] = rest; len(rest) == 0 {
		delete(d.lans, l.lan)
	}
}

// Got takes a message from a leader. An error means that no honest leader says
// it, and that the line must end.
func (d *Desk) Got(now time.Time, n Line, m wire.Message) ([]Effect, error) {
	d.out = d.out[:0]
	l := d.lines[n]
	if l == nil {
		return nil, nil // it is ending
	}
	switch m := m.(type) {
	case wire.Answer:
		if l.role == wire.ForwardLeader || l.role == wire.Witness {
			return d.out, d.report(now, l, m.Report, nil)
		}
	case wire.Ack:
		if l.role == wire.BackwardLeader {
			l.asking = slices.DeleteFunc(l.asking, func(a asking) bool {
				_, has := slices.BinarySearch(m.Questions, a.question)
				return has
			})
			return nil, nil
		}
	case wire.Gone:
		if l.role == wire.ForwardLeader {
			d.gone(l, m.Clients)
			return d.out, nil
		}
	case wire.Ping:
		if !m.Reply {
			d.emit(Send{n, wire.Ping{Number: m.Number, Reply: true}})
		}
		return d.out, nil
	}
	return nil, fmt.Errorf("a %T from role %d is out of place", m, l.role)
}

// Opened takes a report whose boxes the owner has opened, and what each machine
// has said in it. It is never counted as a whole.
func (d *Desk) Opened(now time.Time, n Line, r answer.Report, each []answer.Bundle) ([]Effect, error) {
	d.out = d.out[:0]
	l := d.lines[n]
	if l == nil {
		return nil, nil // it is ending
	}
	if l.role != wire.ForwardLeader && l.role != wire.Witness {
		return nil, fmt.Errorf("an answer from role %d is out of place", l.role)
	}
	return d.out, d.report(now, l, r, func(t *tally.Tally) tally.Verdict { return t.TakeEach(now, l.lan, r, each) })
}

// report counts what a forward leader delivers, or a witness says for itself,
// as a whole unless it is taken otherwise.
func (d *Desk) report(now time.Time, l *line, r answer.Report, take func(*tally.Tally) tally.Verdict) error {
	if l.role == wire.Witness {
		seat, ok := d.roster.Seat(l.id)
		if !ok || seat.LAN != l.lan || !r.Bundle.Set.Equal(answer.SetOf(seat.Slot)) {
			return errors.New("a witness speaks for somebody else")
		}
		r.Bundle.Tainted = true // it may have come along the chain as well
	}
	d.emit(Send{l.number, wire.Ack{Seq: r.Seq}})
	q := d.live[r.Question]
	if q == nil || q.over {
		return nil
	}
	if take == nil {
		take = func(t *tally.Tally) tally.Verdict { return t.Take(now, l.lan, r) }
	}
	d.emit(Taken{r.Question, l.number, take(q.tally)})
	d.emit(Changed{r.Question})
	return nil
}

// gone notes the death of clients of the leader's own LAN.
func (d *Desk) gone(l *line, ids []endpoint.ID) {
	for _, id := range ids {
		seat, ok := d.roster.Seat(id)
		if !ok || seat.LAN != l.lan {
			continue
		}
		if _, here := d.roster.LAN(id); here {
			d.dead[id] = true
		}
		d.off(seat)
	}
}

// Off notes that clients have not registered for too long.
func (d *Desk) Off(ids []endpoint.ID) []Effect {
	d.out = d.out[:0]
	for _, id := range ids {
		delete(d.dead, id)
		if seat, ok := d.roster.Seat(id); ok {
			d.off(seat)
		}
	}
	return d.out
}

func (d *Desk) off(seat roster.Seat) {
	for _, q := range d.sorted() {
		if q.tally.Gone(seat.LAN, seat.Slot) {
			d.emit(Changed{q.ID})
		}
	}
}

// sorted are the live questions in the order of their numbers.
func (d *Desk) sorted() []*question {
	all := make([]*question, 0, len(d.live))
	for _, q := range d.live {
		if !q.over {
			all = append(all, q)
		}
	}
	slices.SortFunc(all, func(a, b *question) int { return int(int64(a.ID - b.ID)) })
	return all
}

// News is what a client that registers is to be told.
type News struct {
	Questions [][]byte // sealed; live, and not known to it
	Direct    []uint64 // whose answer it is to give directly
	Counted   []uint64 // whose answer it has given in the LAN that it has left
}

// Register expects a client's answers from where it stands now, and says what
// it lacks. It knows some questions (ascending).
func (d *Desk) Register(now time.Time, place endpoint.Place, pl roster.Placement, known []uint64) (News, []Effect) {
	d.out = d.out[:0]
	var news News
	delete(d.dead, place.ID)
	if pl.Moved {
		known = nil // it forgets them with its old LAN
	}
	for _, q := range d.sorted() {
		if q.settle(place.ID, pl) {
			if len(news.Counted) < wire.KnownMax {
				news.Counted = append(news.Counted, q.ID)
			}
			continue
		}
		if q.tally.Expect(now, pl.LAN, pl.Slot) {
			d.emit(Changed{q.ID})
		}
		_, has := slices.BinarySearch(known, q.ID)
		if has && q.tally.Direct(now, pl.LAN, pl.Slot) && len(news.Direct) < wire.KnownMax {
			news.Direct = append(news.Direct, q.ID)
		}
	}
	for _, q := range d.unknown(known, replyBytes) {
		if !d.underWay(now, q, pl) {
			news.Questions = append(news.Questions, q.Sealed)
		}
	}
	if pl.New {
		d.hint(place, pl)
	}
	return news, d.out
}

// underWay reports whether the chain may just be bringing a question to a client.
// If it had it from here it would hand it on, far ahead of the others, and the
// answers behind it would then follow in pieces: a chain of 250 on slow links has
// five clients that register while a question passes.
func (d *Desk) underWay(now time.Time, q *question, pl roster.Placement) bool {
	stands := !pl.New && !pl.Moved && !pl.Alone
	return stands && now.Sub(q.Issued) < wayMin+ways*d.roster.Crossing(pl.LAN)
}

// settle decides where a client that has moved is counted, and reports whether
// that is done, in a LAN that it has left: it is then never to answer again,
// however often it moves and registers (docs/protocol.md §5.8).
func (q *question) settle(id endpoint.ID, pl roster.Placement) bool {
	if pl.Moved {
		if q.tally.Counted(pl.Old.LAN, pl.Old.Slot) {
			q.settled[id] = true
		} else {
			q.tally.Withdraw(pl.Old.LAN, pl.Old.Slot)
		}
	}
	return q.settled[id]
}

// hint tells the leaders next to a client of it: it may not be able to dial
// them.
func (d *Desk) hint(place endpoint.Place, pl roster.Placement) {
	for _, l := range d.lans[pl.LAN] {
		next := len(pl.Back) > 0 && pl.Back[0].ID == l.id || len(pl.Fore) > 0 && pl.Fore[0].ID == l.id
		if next {
			d.emit(Send{l.number, wire.Hint{Place: place}})
		}
	}
}

// Tick looks after what has taken too long: questions whose receipt has not
// come, and answers that are missing.
func (d *Desk) Tick(now time.Time) []Effect {
	d.out = d.out[:0]
	for _, lan := range d.sortedLANs() {
		for _, l := range slices.Clone(d.lans[lan]) {
			d.reverse(now, l)
		}
	}
	for _, q := range d.sorted() {
		for _, again := range q.tally.Again(now, d.roster.Hop) {
			d.emit(Again{q.ID, again})
			d.ask(now, q, again.LAN, again)
		}
	}
	return d.out
}

// reverse lets questions that a backward leader is silent about go in at the
// other end of its chain.
func (d *Desk) reverse(now time.Time, l *line) {
	n := 0
	for n < len(l.asking) && !now.Before(l.asking[n].at.Add(receiptTimeout)) {
		if q := d.live[l.asking[n].question]; q != nil && !q.over {
			d.give(now, q.ID, l.lan, wire.ForwardLeader, wire.Question{Sealed: q.Sealed})
		}
		n++
	}
	l.asking = slices.Delete(l.asking, 0, n)
}

func (d *Desk) emit(e Effect) { d.out = append(d.out, e) }
