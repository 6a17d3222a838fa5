package chain

import (
	"fmt"
	"slices"
	"time"

	"catenary/internal/endpoint"
)

// An edge is one side's neighbour, and the search for a nearer one. What becomes
// of it is told as a table in docs/protocol.md §3.7.
type edge struct {
	held Peer      // the neighbour now, or Nobody
	conn Conn      // to held
	wake time.Time // when the next round starts, if none is under way
	*search
}

// A search is what a side with a lasting neighbour does without, which is nearly
// all of an edge: most of the time all sides of all clients have one.
type search struct {
	lost Peer // who was held last; if it cannot be dialled it is dead

	dials   []dial           // under way
	cursor  Peer             // the last one that was dialled in this round
	next    time.Time        // when the next one is
	refused []endpoint.Place // who has declined us in this round
	later   time.Time        // when to come again to who declined us for now, or zero

	since   time.Time // from when on nobody is held, or zero
	server  time.Time // the server is not dialled before
	waiting waiting   // who knocks while held is checked

	learnt  int32 // peers that this round was pointed to
	laters  int32 // rounds in a row that were declined for now
	alone   int32 // rounds in a row that reached nobody
	doubted bool  // held is suspected: somebody farther may take its place
	round   bool  // candidates of this round are still to be dialled
}

// A dial is a connection that is being made.
type dial struct {
	peer  Peer
	conn  Conn
	at    time.Time
	until time.Time // when it has failed

	reached bool // who is dialled lives
}

// A waiting client is admitted unless who is held shows in time that it lives.
type waiting struct {
	conn  Conn // 0: nobody waits
	peer  endpoint.Place
	until time.Time
}

// over is every search that is over. It is never changed: see own.
var over search

// own returns a side with a search of its own, which may be changed.
func (n *Node) own(s Side) *edge {
	e := &n.edges[s]
	if e.search == &over {
		e.search = new(search)
	}
	return e
}

// settle lets go of searches that are over.
func (n *Node) settle(now time.Time) {
	for s := range n.edges {
		e := &n.edges[s]
		if !e.doubted && e.lost == Nobody && len(e.dials) == 0 && !e.round && e.later.IsZero() && e.laters == 0 &&
			e.since.IsZero() && !now.Before(e.server) && e.alone == 0 && e.waiting.conn == 0 {
			e.search = &over
		}
	}
}

// ---- rounds ----

// seek starts a round, or starts the one under way over: every candidate nearer
// than the present neighbour is dialled, nearest first.
func (n *Node) seek(now time.Time, s Side) {
	e := n.own(s)
	e.round, e.cursor, e.learnt, e.refused = true, PeerAt(n.self), 0, nil
	if e.next.Before(now) || len(e.dials) == 0 {
		e.next = now
	}
	n.advance(now, s)
}

// advance dials what is due, and ends a round that has reached everybody.
func (n *Node) advance(now time.Time, s Side) {
	e := &n.edges[s]
	if !n.met {
		return
	}
	if due := n.sourceDue(e); !due.IsZero() && !now.Before(due) {
		n.dial(now, s, Server)
	}
	for e.round && len(e.dials) < dialsMax {
		c := n.candidate(now, s, e.cursor)
		if c == Nobody {
			e.round = false
			break
		}
		if c == Server {
			e.next = later(e.next, n.serverDue(e))
		}
		e.next = later(e.next, e.slowDue())
		if now.Before(e.next) {
			break
		}
		e.cursor = c
		n.dial(now, s, c)
		e.next = now.Add(n.stagger())
	}
	if e.round || len(e.dials) > 0 {
		e.wake = time.Time{}
		return
	}
	if e.wake.IsZero() {
		n.rest(now, s)
	}
}

// serverDue is when the server may be dialled: after the peers that are being
// dialled have had their time.
func (n *Node) serverDue(e *edge) time.Time {
	var due time.Time
	for _, x := range e.dials {
		if x.peer != Server {
			due = later(due, x.at.Add(serverAfter*n.stagger()))
		}
	}
	if most := e.since.Add(sourceAfter * n.stagger()); !e.since.IsZero() && due.After(most) {
		due = most
	}
	return later(due, e.server)
}

// sourceDue is when a side that is alone dials the server beside peers, however many
// are left, or live and do not answer; zero: it does not.
func (n *Node) sourceDue(e *edge) time.Time {
	if e.since.IsZero() || !e.round && len(e.dials) == 0 || len(e.dials) == dialsMax || n.dialling(e, Server) {
		return time.Time{}
	}
	return later(e.since.Add(sourceAfter*n.stagger()), e.server)
}

// slowDue is when somebody may be dialled beside who has been reached and has
// not answered yet.
func (e *edge) slowDue() time.Time {
	var last time.Time
	wait := slowAfter / 2
	for _, x := range e.dials {
		if x.reached {
			last, wait = later(last, x.at), 2*wait
		}
	}
	if last.IsZero() {
		return last
	}
	return last.Add(min(wait, reachedTimeout))
}

func (n *Node) dial(now time.Time, s Side, p Peer) {
	e := &n.edges[s]
	n.conns += 2
	c := Conn(n.conns)
	e.dials = append(e.dials, dial{peer: p, conn: c, at: now, until: now.Add(min(dialTimeout+4*(n.pace+n.late), dialMost))})
	n.emit(Dial{c, s, p, n.suspects(s, p)})
}

func (n *Node) stagger() time.Duration {
	return min(max(n.pace+n.late, staggerMin), staggerMax)
}

// rest waits for the next round.
func (n *Node) rest(now time.Time, s Side) {
	e := n.own(s)
	e.next = time.Time{}
	if (e.held == Nobody || e.held == Server) && n.shunsAny(s) {
		n.emit(Exhausted{s})
	}
	if e.held == Nobody {
		// Full jitter, so that the clients of a server that comes back do not
		// all come at once.
		most := min(aloneMax, aloneMin<<min(e.alone, 10))
		e.alone++
		e.wake = now.Add(time.Duration(n.rng.Int64N(int64(most))) + time.Millisecond)
		return
	}
	e.alone = 0
	e.wake = now.Add(n.jitter(seekEvery))
	if e.later.IsZero() {
		e.laters = 0
	} else if e.later.Before(e.wake) {
		e.wake = later(e.later, now.Add(time.Millisecond))
	}
	for _, a := range n.avoid {
		// Whoever is nearer and may be dialled again sooner is.
		if n.isOn(s, a.place) && n.nearer(s, PeerAt(a.place), e.held) && a.until.Before(e.wake) && n.knows(a.place) {
			e.wake = later(a.until, now.Add(time.Millisecond))
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// listed reports whether the server has named p.
func (n *Node) listed(p endpoint.Place) bool {
	return slices.Contains(n.peers[Back], p) || slices.Contains(n.peers[Fore], p)
}

func (n *Node) knows(p endpoint.Place) bool {
	return n.listed(p) || slices.Contains(n.extras, p)
}

// shunsAny reports whether a peer that the list names on side s could not be
// reached.
func (n *Node) shunsAny(s Side) bool {
	return slices.ContainsFunc(n.avoid, func(a avoided) bool { return n.isOn(s, a.place) && n.knows(a.place) })
}

// candidate returns the nearest known neighbour on side s that is farther than
// beyond and nearer than the present one, or Nobody. Whom we have just failed
// to reach, and whom we are dialling, is left out.
func (n *Node) candidate(now time.Time, s Side, beyond Peer) Peer {
	e := &n.edges[s]
	limit := e.held
	if e.doubted {
		limit = Nobody
	}
	best := limit
	if n.nearer(s, beyond, Server) && n.nearer(s, Server, best) && !n.dialling(e, Server) && !(e.doubted && len(e.refused) > 0) {
		best = Server
	}
	for _, list := range [...][]endpoint.Place{n.peers[Back], n.peers[Fore], n.extras} {
		for _, p := range list {
			c := PeerAt(p)
			if n.isOn(s, p) && n.nearer(s, beyond, c) && n.nearer(s, c, best) && c != e.held &&
				!n.dialling(e, c) && !now.Before(n.shuns(p)) {
				best = c
			}
		}
	}
	if best == limit {
		return Nobody
	}
	return best
}

func (n *Node) dialling(e *edge, p Peer) bool {
	return slices.ContainsFunc(e.dials, func(x dial) bool { return x.peer == p })
}

// ---- what becomes of dials ----

// mustDial asserts the host's side of the contract: a dial ends in exactly one
// of Up, Failed or Hangup. No peer can break it, only a bug in the host can.
func (n *Node) mustDial(c Conn) (Side, dial) {
	for s := range n.edges {
		e := &n.edges[s]
		if i := slices.IndexFunc(e.dials, func(x dial) bool { return x.conn == c }); i >= 0 {
			x := e.dials[i]
			e.dials = slices.Delete(e.dials, i, i+1)
			return Side(s), x
		}
	}
	panic(fmt.Sprintf("chain: %v heard of a dial %d that it did not make", n.self, c))
}

func (n *Node) reached(now time.Time, c Conn) {
	for s := range n.edges {
		e := &n.edges[s]
		for i := range e.dials {
			if x := &e.dials[i]; x.conn == c {
				x.reached, x.until = true, x.at.Add(reachedTimeout)
			}
		}
	}
}

func (n *Node) up(now time.Time, c Conn) {
	s, x := n.mustDial(c)
	e := &n.edges[s]
	if x.peer != Server {
		n.pace += (now.Sub(x.at) - n.pace) / 4
		n.forgive(x.peer.Place)
	}
	if !e.doubted && !n.nearer(s, x.peer, e.held) {
		n.emit(Hangup{c}) // somebody nearer has come meanwhile
	} else {
		n.hold(now, s, x.peer, c)
	}
	n.advance(now, s)
}

func (n *Node) failed(now time.Time, ev Failed) {
	s, x := n.mustDial(ev.Conn)
	n.miss(now, s, x, ev.Refused)
	if e := &n.edges[s]; ev.Later && e.later.IsZero() {
		e.later = now.Add(n.jitter(min(laterMin<<min(e.laters, 5), laterMax)))
		e.laters++
	}
	if p := ev.Nearer; ev.Refused && p != Nobody && p != Server {
		n.redirected(now, s, p.Place)
	}
	n.advance(now, s)
}

// miss goes on after a dial that has led nowhere.
func (n *Node) miss(now time.Time, s Side, x dial, refused bool) {
	e := &n.edges[s]
	e.next = now
	switch {
	case x.peer == Server:
		if e.round || len(e.dials) > 0 {
			e.server = later(e.server, now.Add(n.jitter(sourceAgain)))
		}
	case refused:
		n.forgive(x.peer.Place)
		if len(e.refused) < refusedMax {
			e.refused = append(e.refused, x.peer.Place)
		}
	default:
		n.shun(now, x.peer.Place)
		if e.lost == x.peer {
			e.lost = Nobody
			n.emit(Dead{x.peer.Place})
		}
	}
}

// redirected dials who is said to stand nearer, unless that is in vain.
func (n *Node) redirected(now time.Time, s Side, p endpoint.Place) {
	e := &n.edges[s]
	c := PeerAt(p)
	if e.learnt == redirectsMax || p == n.self || !n.isOn(s, p) || !n.nearer(s, c, e.held) || len(e.dials) == dialsMax ||
		n.dialling(e, c) || now.Before(n.shuns(p)) || slices.Contains(e.refused, p) {
		return
	}
	e.learnt++
	n.learn(p)
	n.dial(now, s, c)
}

// ---- neighbours ----

// hold makes p the neighbour on side s, in place of whoever was.
func (n *Node) hold(now time.Time, s Side, p Peer, c Conn) {
	if p != Server && !n.isOn(s, p.Place) {
		panic(fmt.Sprintf("chain: %v would hold %v on its %v side", n.self, p, s))
	}
	e := n.own(s)
	if e.held != Nobody {
		n.emit(Hangup{e.conn})
		if e.doubted && e.held != Server && e.held != p {
			n.shun(now, e.held.Place)
			e.lost = e.held
		}
	}
	e.held, e.conn, e.doubted, e.alone, e.since = p, c, false, 0, time.Time{}
	if e.lost == p {
		e.lost = Nobody
	}
	e.dials = slices.DeleteFunc(e.dials, func(x dial) bool {
		farther := !n.nearer(s, x.peer, p)
		if farther {
			n.emit(Hangup{x.conn})
		}
		return farther
	})
	if w := e.waiting; w.conn != 0 && w.conn != c {
		e.waiting = waiting{}
		n.emit(Refuse{w.conn, p, false})
	}
	e.wake = time.Time{}
	n.advance(now, s)
}

// drop forgets the neighbour on a side, which is gone or given up.
func (n *Node) drop(now time.Time, s Side) {
	e := n.own(s)
	if e.held == Server {
		e.server = now.Add(time.Duration(n.rng.Int64N(int64(n.spread))))
	} else {
		e.lost = e.held
	}
	e.held, e.conn, e.doubted = Nobody, 0, false
	if e.since.IsZero() {
		e.since = now
	}
}

func (n *Node) down(now time.Time, c Conn) {
	for s := range n.edges {
		e := &n.edges[s]
		switch {
		case e.waiting.conn == c:
			e.waiting = waiting{}
		case e.held != Nobody && e.conn == c:
			n.drop(now, Side(s))
			n.replace(now, Side(s))
		}
	}
}

// leave parts from everybody who is not to be a neighbour any more.
func (n *Node) leave(now time.Time, all bool) {
	for i := range n.edges {
		s, e := Side(i), n.own(Side(i))
		stays := func(p Peer) bool { return !all && (p == Server || n.isOn(s, p.Place)) }
		if w := e.waiting; w.conn != 0 && !stays(PeerAt(w.peer)) {
			e.waiting = waiting{}
			n.emit(Refuse{w.conn, Nobody, false})
		}
		e.dials = slices.DeleteFunc(e.dials, func(x dial) bool {
			goes := !stays(x.peer)
			if goes {
				n.emit(Hangup{x.conn})
			}
			return goes
		})
		if e.held != Nobody && !stays(e.held) {
			n.emit(Hangup{e.conn})
			n.drop(now, s)
			e.lost, e.server = Nobody, time.Time{}
			if w := e.waiting; w.conn != 0 {
				n.admit(now, s, w.conn, w.peer)
			}
		}
	}
}

// stalled gives up the neighbour on a side and looks for another.
func (n *Node) stalled(now time.Time, s Side) {
	e := &n.edges[s]
	if e.held == Nobody {
		return
	}
	n.giveUp(now, s)
	n.replace(now, s)
}

// replace takes in who waits for the place of a neighbour that is gone, and
// looks for somebody nearer.
func (n *Node) replace(now time.Time, s Side) {
	if w := n.edges[s].waiting; w.conn != 0 {
		n.admit(now, s, w.conn, w.peer)
	}
	n.seek(now, s)
}

func (n *Node) giveUp(now time.Time, s Side) {
	e := &n.edges[s]
	n.emit(Hangup{e.conn})
	if e.held != Server {
		n.shun(now, e.held.Place)
	}
	n.drop(now, s)
}

// suspect looks for somebody beyond the neighbour on a side, and keeps it until
// there is one.
func (n *Node) suspect(now time.Time, s Side) {
	e := &n.edges[s]
	if e.held == Nobody || e.held == Server || e.doubted {
		return
	}
	n.own(s)
	e.doubted, e.round, e.cursor, e.next, e.refused, e.learnt = true, true, e.held, now, nil, 0
	n.advance(now, s)
}

// trust ends that: who is farther is not wanted any more.
func (n *Node) trust(now time.Time, s Side) {
	e := &n.edges[s]
	if !e.doubted {
		return
	}
	e.doubted = false
	e.dials = slices.DeleteFunc(e.dials, func(x dial) bool {
		farther := !n.nearer(s, x.peer, e.held)
		if farther {
			n.emit(Hangup{x.conn})
		}
		return farther
	})
	n.advance(now, s)
}

// ---- knocks ----

// knock answers a client that wants to stand next to us, or lets it wait.
func (n *Node) knock(now time.Time, k Knock) {
	s, p := k.Side, PeerAt(k.Peer)
	e := &n.edges[s]
	nearer := e.held
	if nearer == Server {
		nearer = Nobody
	}
	switch {
	// Before the first list a node does not yet know the network it is in. The
	// neighbour itself may knock again: it knows that its old link is gone.
	case !n.met:
		n.emit(Refuse{k.Conn, Nobody, true})
	case !n.isOn(s, k.Peer):
		n.emit(Refuse{k.Conn, Nobody, false})
	case s == Fore && n.races(now, e, p):
		// Both dialled; the dial towards the higher place wins, if it succeeds.
		n.emit(Refuse{k.Conn, Nobody, true})
	case p == e.held || n.nearer(s, p, e.held):
		n.admit(now, s, k.Conn, k.Peer)
	case !slices.Contains(k.Suspects, e.held.Place.ID) || e.waiting.conn != 0:
		n.emit(Refuse{k.Conn, nearer, false})
	default:
		n.own(s).waiting = waiting{k.Conn, k.Peer, now.Add(checkTimeout + 4*n.late)}
		n.emit(Check{s})
	}
}

// races reports whether we have only just dialled p. If it has not answered for
// longer, although it lives, it cannot be dialled, and we must be.
func (n *Node) races(now time.Time, e *edge, p Peer) bool {
	return slices.ContainsFunc(e.dials, func(x dial) bool {
		return x.peer == p && now.Before(x.at.Add(raceFor*n.stagger()))
	})
}

func (n *Node) admit(now time.Time, s Side, c Conn, p endpoint.Place) {
	e := &n.edges[s]
	if e.waiting.conn == c {
		e.waiting = waiting{}
	}
	n.forgive(p)
	n.learn(p)
	n.emit(Admit{c})
	n.hold(now, s, PeerAt(p), c)
}

// alive declines who thought that the neighbour on a side was dead.
func (n *Node) alive(s Side) {
	e := &n.edges[s]
	if w := e.waiting; w.conn != 0 {
		e.waiting = waiting{}
		n.emit(Refuse{w.conn, e.held, false})
	}
}

// ---- time ----

func (n *Node) expire(now time.Time) {
	for i := range n.edges {
		s, e := Side(i), &n.edges[i]
		if w := e.waiting; w.conn != 0 && !now.Before(w.until) {
			// The neighbour has not shown itself.
			lost := e.held
			n.giveUp(now, s)
			e.lost = Nobody
			n.emit(Dead{lost.Place})
			n.admit(now, s, w.conn, w.peer)
		}
		n.expireDials(now, s)
		if !e.wake.IsZero() && !now.Before(e.wake) {
			n.own(s)
			e.wake, e.later = time.Time{}, time.Time{}
			n.seek(now, s)
			continue
		}
		n.advance(now, s)
	}
}

func (n *Node) expireDials(now time.Time, s Side) {
	e := &n.edges[s]
	for i := 0; i < len(e.dials); {
		x := e.dials[i]
		if now.Before(x.until) {
			i++
			continue
		}
		e.dials = slices.Delete(e.dials, i, i+1)
		n.emit(Hangup{x.conn})
		n.miss(now, s, x, false)
	}
}
