package wire

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"catenary/internal/endpoint"
)

// Most registrations say what the one before has said, and are answered with
// what the one before was. Both sides leave that out: the client names its
// state with a digest that the server only keeps and compares, the server names
// its reply with one that the client only gives back (docs/protocol.md §7.2).

// Named returns m with its state's name.
func (m Register) Named() Register {
	s := m
	s.Version, s.Initial, s.Incarnation, s.Sequence, s.Peers, s.State = 0, false, 0, 0, 0, 0
	s.Known, s.Unreachable, s.RenewalKey, s.RoundTrip, s.Evidence = nil, nil, nil, 0, nil
	s.Runs, s.Quarantined, s.Rules = nil, nil, 0
	h := fnv.New64a()
	h.Write(s.append(nil))
	m.State = max(h.Sum64(), 1)
	return m
}

// Brief returns what is left of m for a server that keeps the state of that
// name.
func (m Register) Brief() Register {
	return Register{
		Version: m.Version, Incarnation: m.Incarnation, Sequence: m.Sequence, Peers: m.Peers,
		Known: m.Known, Unreachable: m.Unreachable, State: m.State, RoundTrip: m.RoundTrip, Evidence: m.Evidence,
		Runs: m.Runs, Quarantined: m.Quarantined, Rules: m.Rules,
	}
}

// IsBrief reports whether m says only what is new.
func (m Register) IsBrief() bool { return !m.Place.Addr.IsValid() }

// Whole completes a brief registration from what the client said when it named
// this state.
func (m Register) Whole(said Register) Register {
	said.Version, said.Initial, said.Incarnation, said.Sequence, said.Peers, said.State = m.Version, m.Initial, m.Incarnation, m.Sequence, m.Peers, m.State
	said.Known, said.Unreachable, said.RenewalKey, said.RoundTrip, said.Evidence = m.Known, m.Unreachable, m.RenewalKey, m.RoundTrip, m.Evidence
	said.Runs, said.Quarantined, said.Rules = m.Runs, m.Quarantined, m.Rules
	return said
}

// Thin names the reply, and leaves out what the client holds already if it
// holds a reply of that name: its number, its slot, the intervals, and the peer
// lists with the LAN and the bounds they are for, which have the digest lists.
func (m Registered) Thin(lists, held uint64) Registered {
	h := fnv.New64a()
	b := binary.BigEndian.AppendUint64(nil, lists)
	b = binary.BigEndian.AppendUint32(b, m.ComputerID)
	b = binary.BigEndian.AppendUint16(b, uint16(m.Slot))
	for _, d := range []time.Duration{m.Intervals.NormalMin, m.Intervals.NormalMax, m.Intervals.InitialMin, m.Intervals.InitialMax} {
		b = binary.BigEndian.AppendUint64(b, uint64(d))
	}
	h.Write(b)
	m.Peers = max(h.Sum64(), 1)
	if m.Same = m.Peers == held; m.Same {
		m.Peers, m.ComputerID, m.Slot, m.Intervals, m.Back, m.Fore = 0, 0, 0, Intervals{}, nil, nil
		m.LAN, m.Across, m.From, m.Until = 0, nil, endpoint.Place{}, endpoint.Place{}
	}
	return m
}
