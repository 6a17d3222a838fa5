package endpoint

import (
	"testing"
	"time"
)

// TestStanding is the table of docs/operations.md, line by line.
func TestStanding(t *testing.T) {
	peer := Link{Kind: Peer, Peer: ID{1}, Held: true, Trip: time.Millisecond}
	server, nobody := Link{Kind: Server}, Link{}
	slow := peer
	slow.Trip = SlowTrip + 1
	limit := peer
	limit.Trip = SlowTrip
	half := peer
	half.Held = false
	heard := Link{Held: true} // the other side says so, the client does not
	odd := server
	odd.Trip = time.Hour // of a peer that it had before
	for _, tt := range []struct {
		name           string
		s              Status
		standing       string
		send, receive  Sides
		leader, slowed bool
	}{
		{"in the middle", Status{Backward: peer, Forward: peer}, "Normal", BothSides, BothSides, false, false},
		{"first", Status{Backward: server, Forward: peer}, "Leader", ForwardSide, ForwardSide, true, false},
		{"last", Status{Backward: peer, Forward: server}, "Leader", BackwardSide, BackwardSide, true, false},
		{"alone", Status{Backward: server, Forward: server}, "Leader", NoSide, NoSide, true, false},
		{"has just come", Status{}, "(None)", NoSide, NoSide, false, false},
		{"seeks on one side", Status{Backward: peer, Forward: nobody}, "Normal", BackwardSide, BackwardSide, false, false},
		{"leads, and seeks", Status{Backward: nobody, Forward: server}, "Leader", NoSide, NoSide, true, false},
		{"slow ahead", Status{Backward: peer, Forward: slow}, "Slow Link Ahead", BothSides, BothSides, false, true},
		{"slow behind", Status{Backward: slow, Forward: peer}, "Slow Link Behind", BothSides, BothSides, false, true},
		{"at the limit", Status{Backward: limit, Forward: limit}, "Normal", BothSides, BothSides, false, false},
		{"a trip to the server is none", Status{Backward: odd, Forward: peer}, "Leader", ForwardSide, ForwardSide, true, false},
		{"blocked", Status{Backward: peer, Forward: peer, Blocked: true}, "Blocked", BothSides, BothSides, false, false},
		{"blocked, with nobody", Status{Blocked: true}, "Blocked", NoSide, NoSide, false, false},
		{"everything", Status{Backward: slow, Forward: slow, Blocked: true}, "Blocked, Slow Link Ahead, Slow Link Behind", BothSides, BothSides, false, true},
		{"all that leads", Status{Backward: server, Forward: slow, Blocked: true}, "Leader, Blocked, Slow Link Ahead", ForwardSide, ForwardSide, true, true},
		{"one side of a link", Status{Backward: half, Forward: peer}, "Normal", BothSides, ForwardSide, false, false},
		{"the other side of it", Status{Backward: peer, Forward: heard}, "Normal", BackwardSide, BothSides, false, false},
	} {
		if got := tt.s.Standing().String(); got != tt.standing {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.standing)
		}
		if got := tt.s.Sends(); got != tt.send {
			t.Errorf("%s: sends to %b, want %b", tt.name, got, tt.send)
		}
		if got := tt.s.Receives(); got != tt.receive {
			t.Errorf("%s: receives from %b, want %b", tt.name, got, tt.receive)
		}
		if tt.s.Leader() != tt.leader || tt.s.Slow() != tt.slowed {
			t.Errorf("%s: leader %v, slow %v", tt.name, tt.s.Leader(), tt.s.Slow())
		}
	}
	if got := (Leads | Blocked | SlowAhead | SlowBehind).String(); got != "Leader, Blocked, Slow Link Ahead, Slow Link Behind" {
		t.Errorf("all together: %q", got)
	}
}
