package endpoint

import (
	"net/netip"
	"strings"
	"time"
)

// A Neighbour is who stands next to a client on one side of its chain.
type Neighbour uint8

const (
	Nobody Neighbour = iota // no link on this side
	Peer                    // another client
	Server                  // the client leads its chain on this side
)

// SlowTrip is how long a message to a neighbour and back may take before their
// link counts as slow: one such hop takes a tenth of the half second that a
// question may need from one end of a chain to the other.
const SlowTrip = 100 * time.Millisecond

// A Link is what the server knows of one side of a client.
type Link struct {
	Kind  Neighbour
	Peer  ID            // zero unless Kind is Peer
	Name  string        // its computer name
	Trip  time.Duration // to the peer and back; 0: unknown
	Held  bool          // a client on that side says to have this one
	Files bool          // a backward link stands beside it
}

// Slow reports whether the link is one to a peer and slow.
func (l Link) Slow() bool { return l.Kind == Peer && l.Trip > SlowTrip }

// A Status is what the server knows of one registered client. What the client
// has said itself it has said at its last registration; whether it leads is
// known at any time.
type Status struct {
	ID         ID
	ComputerID uint32 // temporally unique number in the public API
	Name       string // computer name
	Version    string // of the client program
	Platform   string // Linux, Windows or Mac
	Place      Place  // as the server observed the address
	Reported   netip.Addr
	LAN        netip.Prefix
	Segment    int       // of the LAN, whose clients form one chain
	Alone      bool      // the client is to have no peers
	Registered time.Time // last registration
	Way        string    // how that came: tls, leader or datagram
	Refused    string    // why one since was refused; empty: none was

	Backward, Forward Link
	Gone              bool // its neighbours have found it dead since
	Blocked           bool // others could not connect to it, or it to anybody
}

// Leader reports whether the client is an end of its chain.
func (s *Status) Leader() bool { return s.Backward.Kind == Server || s.Forward.Kind == Server }

// Slow reports whether one of the client's links is slow.
func (s *Status) Slow() bool { return s.Backward.Slow() || s.Forward.Slow() }

// Sides are one or both sides of a client, or none.
type Sides uint8

const (
	BackwardSide Sides = 1 << iota
	ForwardSide

	NoSide    = Sides(0)
	BothSides = BackwardSide | ForwardSide
)

func sides(back, fore bool) (s Sides) {
	if back {
		s |= BackwardSide
	}
	if fore {
		s |= ForwardSide
	}
	return s
}

// Sends are the sides on which the client says to have a peer.
func (s *Status) Sends() Sides { return sides(s.Backward.Kind == Peer, s.Forward.Kind == Peer) }

// Receives are the sides on which others say to have the client.
func (s *Status) Receives() Sides { return sides(s.Backward.Held, s.Forward.Held) }

// A Standing is what can be said of a client in a few words. The zero Standing
// is that of one that has no link at all.
type Standing uint8

const (
	Leads Standing = 1 << iota
	Blocked
	SlowAhead
	SlowBehind
	Normal // has a link, and none of the above is to be said
)

// Standing derives what is to be said of the client.
func (s *Status) Standing() (all Standing) {
	for _, is := range []struct {
		so   bool
		word Standing
	}{
		{s.Leader(), Leads}, {s.Blocked, Blocked}, {s.Forward.Slow(), SlowAhead}, {s.Backward.Slow(), SlowBehind},
	} {
		if is.so {
			all |= is.word
		}
	}
	if all == 0 && (s.Backward.Kind != Nobody || s.Forward.Kind != Nobody) {
		return Normal
	}
	return all
}

// standings are all texts there are, by their words.
var standings = func() (texts [Normal + 1]string) {
	words := []string{"Leader", "Blocked", "Slow Link Ahead", "Slow Link Behind", "Normal"}
	for s := range texts {
		var said []string
		for i, word := range words {
			if s&(1<<i) != 0 {
				said = append(said, word)
			}
		}
		texts[s] = strings.Join(said, ", ")
	}
	texts[0] = "(None)"
	return texts
}()

// String says it in the words of the public API.
func (s Standing) String() string { return standings[s] }
