package chain

import (
	"slices"
	"time"

	"catenary/internal/endpoint"
)

const (
	// Who cannot be dialled is left alone for avoidMin, then for three times as
	// long each time, up to avoidMax: a short cut of the network heals soon, and
	// a machine that is off costs little.
	avoidMin  = 5 * time.Second
	avoidMax  = 120 * time.Second
	avoidsMax = 64 // peers on record; more than any list names
)

// avoided is a peer that could not be reached.
type avoided struct {
	place endpoint.Place
	until time.Time     // when it may be dialled again
	wait  time.Duration // how long it was last left alone
}

// shun leaves a peer alone for a while; one that the server does not name any
// more, in the end, for good.
func (n *Node) shun(now time.Time, p endpoint.Place) {
	wait := avoidMin
	if i := n.avoids(p); i >= 0 {
		last := n.avoid[i].wait == avoidMax
		wait = min(3*n.avoid[i].wait, avoidMax)
		n.avoid = slices.Delete(n.avoid, i, i+1)
		if last && !n.listed(p) {
			n.extras = slices.DeleteFunc(n.extras, func(x endpoint.Place) bool { return x == p })
			return
		}
	}
	n.learn(p)
	if len(n.avoid) == avoidsMax {
		n.avoid = slices.Delete(n.avoid, 0, 1)
	}
	n.avoid = append(n.avoid, avoided{p, now.Add(wait), wait})
}

// forgive forgets that a peer could not be reached: it has shown itself.
func (n *Node) forgive(p endpoint.Place) {
	if i := n.avoids(p); i >= 0 {
		n.avoid = slices.Delete(n.avoid, i, i+1)
	}
}

func (n *Node) avoids(p endpoint.Place) int {
	return slices.IndexFunc(n.avoid, func(a avoided) bool { return a.place == p })
}

// shuns reports until when a peer is left alone; zero or past: it is not.
func (n *Node) shuns(p endpoint.Place) time.Time {
	if i := n.avoids(p); i >= 0 {
		return n.avoid[i].until
	}
	return time.Time{}
}

// Unreachable returns the peers that have lately not been reached, at most max.
func (n *Node) Unreachable(now time.Time, max int) []endpoint.ID {
	var ids []endpoint.ID
	for _, a := range n.avoid {
		if len(ids) < max && now.Before(a.until) {
			ids = append(ids, a.place.ID)
		}
	}
	return ids
}

// suspects are the peers between us and p that could not be reached.
func (n *Node) suspects(s Side, p Peer) []endpoint.ID {
	var ids []endpoint.ID
	e := &n.edges[s]
	if e.doubted && e.held != Server {
		ids = append(ids, e.held.Place.ID)
	}
	for _, a := range n.avoid {
		if n.isOn(s, a.place) && n.nearer(s, PeerAt(a.place), p) && len(ids) < suspectsMax {
			ids = append(ids, a.place.ID)
		}
	}
	return ids
}
