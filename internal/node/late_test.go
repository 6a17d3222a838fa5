package node

import (
	"testing"
	"time"

	"catenary/internal/chain"
	"catenary/internal/endpoint"
	"catenary/internal/wire"
)

// TestDelayIsForgotten: a machine that was late a moment ago gives its neighbour
// more time to acknowledge a question, one that was late a while ago does not,
// though no timer has rung since.
func TestDelayIsForgotten(t *testing.T) {
	const late, first = time.Second, time.Second // first: while nothing is known of the neighbour
	for _, c := range []struct{ rest, least, most time.Duration }{
		{0, first + 2*late, first + 4*late}, // some timers ring in between
		{20 * time.Second, first, first + 4*lateMin},
	} {
		r := newRig(t, 1)
		back, _ := r.inChain()
		r.now = r.node.Deadline().Add(late)
		r.step(Tick{})
		r.now = r.now.Add(c.rest)
		r.step(Got{back, wire.Ping{Reply: true}}) // no timer, but an event
		asked := r.now
		r.step(Got{back, wire.Question{Sealed: r.sealed(41)}})
		for range 100 {
			r.now = r.node.Deadline()
			for _, d := range of[Dial](r.step(Tick{})) {
				if len(d.Hello.Suspects) == 0 {
					continue
				}
				if d.Hello.Suspects[0] != (endpoint.ID{8}) || d.Hello.Role != wire.Behind && d.Peer != chain.Server {
					t.Fatalf("dials %v, suspecting %v", d.Peer, d.Hello.Suspects)
				}
				if got := r.now.Sub(asked); got < c.least || got > c.most {
					t.Errorf("%v after a delay of %v the neighbour is suspected after %v, want %v to %v", c.rest, late, got, c.least, c.most)
				}
				asked = time.Time{}
			}
			if asked.IsZero() {
				break
			}
		}
		if !asked.IsZero() {
			t.Errorf("%v after the delay: the neighbour is not suspected", c.rest)
		}
	}
}
