package wire

import (
	"errors"
	"fmt"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/field"
)

// A Role is what the dialler of a link wants to be.
type Role uint8

const (
	// Behind and Ahead are peers: the dialler stands before or after the
	// acceptor in the chain's order.
	Behind Role = 1
	Ahead  Role = 2
	// BackwardLeader and ForwardLeader dial the server: the first receives
	// questions from it, the second delivers answers to it.
	BackwardLeader Role = 3
	ForwardLeader  Role = 4
	// Witness dials the server to give its own answer itself, past its chain.
	Witness Role = 5
	// Backward dials its neighbour behind once more, for files.
	Backward Role = 6
)

// Hello is the first message of a link, from who dialled.
type Hello struct {
	Version     uint64
	Role        Role
	Place       endpoint.Place // of the dialler
	Incarnation uint64         // grows with each start of the dialler
	// Suspects stand between the dialler and the acceptor, and the dialler
	// believes them dead: it is not to be refused for their sake.
	Suspects []endpoint.ID
	Heard    Heard    // what the dialler has of the acceptor's answers
	Known    []uint64 // live questions that the dialler holds, ascending
	LAN      uint64   // as the server names the dialler's ([Registered].LAN)
}

// HelloOK accepts a Hello.
type HelloOK struct {
	Incarnation uint64
	Heard       Heard    // what the acceptor has of the dialler's answers
	Known       []uint64 // live questions that the acceptor holds, ascending
}

// Heard is how far one client has another's answers, from an earlier link: all
// up to Seq of the life Incarnation. The zero Heard is nothing.
type Heard struct{ Incarnation, Seq uint64 }

// A Reason says why something was refused, for programs.
type Reason uint64

const (
	Nearer     Reason = 1 // a nearer neighbour stands here already
	WrongOrder Reason = 2 // the dialler's place is not on that side
	Forbidden  Reason = 3 // the secret, certificate or version is not accepted
	Replayed   Reason = 4 // the registration was seen before, or its client runs twice
	Malformed  Reason = 5
	TryLater   Reason = 6
)

// Refused declines a Hello, a Register or an Enrol; the link closes after it.
type Refused struct {
	Reason Reason
	Text   string         // for a person
	Peer   endpoint.Place // who stands nearer, if Reason is Nearer and it is a peer
}

// Question carries a sealed [Letter]. It is forwarded as it is.
type Question struct {
	Sealed []byte
	// Round counts how often the server has asked again; Only are the machines
	// whose answer it still lacks then.
	Round uint64
	Only  answer.Set
}

// Answer carries what the machines behind a link have said to one question.
type Answer struct{ answer.Report }

// Ack says how far its sender has the neighbour's answers and questions.
type Ack struct {
	Seq uint64 // every answer up to here has arrived
	// Unsafe are the answers up to Seq that are only here as yet, ascending:
	// their sender keeps them until they are two hops on (docs/protocol.md §5.4).
	Unsafe    []uint64
	Questions []uint64 // that have arrived since the last Ack
}

// Ping asks whether the neighbour is there; it sends the number back as a
// reply.
type Ping struct {
	Number uint64
	Reply  bool
}

// Gone names clients whose neighbours have found them dead. It travels forward
// to the server, which expects no answer of them any more.
type Gone struct{ Clients []endpoint.ID }

// Hint tells a leader of a client that has just registered next to it.
type Hint struct{ Place endpoint.Place }

func (Hello) Kind() Kind    { return KindHello }
func (HelloOK) Kind() Kind  { return KindHelloOK }
func (Refused) Kind() Kind  { return KindRefused }
func (Question) Kind() Kind { return KindQuestion }
func (Answer) Kind() Kind   { return KindAnswer }
func (Ack) Kind() Kind      { return KindAck }
func (Ping) Kind() Kind     { return KindPing }
func (Gone) Kind() Kind     { return KindGone }
func (Hint) Kind() Kind     { return KindHint }

func (m Hello) append(b []byte) []byte {
	b = field.AppendUint(b, 1, m.Version)
	b = field.AppendUint(b, 2, uint64(m.Role))
	b = putPlace(b, 3, m.Place)
	b = field.AppendUint(b, 4, m.Incarnation)
	for _, id := range m.Suspects {
		b = field.AppendPart(b, 5, id[:])
	}
	b = field.AppendUint(b, 6, m.Heard.Incarnation)
	b = field.AppendUint(b, 7, m.Heard.Seq)
	b = putNumbers(b, 8, m.Known)
	return field.AppendFixed(b, 9, m.LAN)
}

func decodeHello(b []byte) (Message, error) {
	var m Hello
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&m.Version)
		case 2:
			var role uint64
			err := f.Uint(&role)
			m.Role = Role(role)
			if role > 255 {
				return fmt.Errorf("role %d does not exist", role)
			}
			return err
		case 3:
			return f.place(&m.Place)
		case 4:
			return f.Uint(&m.Incarnation)
		case 5:
			return f.ids(&m.Suspects, SuspectsMax)
		case 6:
			return f.Uint(&m.Heard.Incarnation)
		case 7:
			return f.Uint(&m.Heard.Seq)
		case 8:
			return f.numbers(&m.Known, KnownMax)
		case 9:
			return f.Fixed(&m.LAN)
		}
		return nil
	})
	return m, err
}

func (m HelloOK) append(b []byte) []byte {
	b = field.AppendUint(b, 1, m.Incarnation)
	b = field.AppendUint(b, 2, m.Heard.Incarnation)
	b = field.AppendUint(b, 3, m.Heard.Seq)
	return putNumbers(b, 4, m.Known)
}

func decodeHelloOK(b []byte) (Message, error) {
	var m HelloOK
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&m.Incarnation)
		case 2:
			return f.Uint(&m.Heard.Incarnation)
		case 3:
			return f.Uint(&m.Heard.Seq)
		case 4:
			return f.numbers(&m.Known, KnownMax)
		}
		return nil
	})
	return m, err
}

func (m Refused) append(b []byte) []byte {
	b = field.AppendText(field.AppendUint(b, 1, uint64(m.Reason)), 2, m.Text)
	return putPlace(b, 3, m.Peer)
}

func decodeRefused(b []byte) (Message, error) {
	var m Refused
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint((*uint64)(&m.Reason))
		case 2:
			return f.short(&m.Text, problemMax)
		case 3:
			return f.place(&m.Peer)
		}
		return nil
	})
	return m, err
}

func (m Question) append(b []byte) []byte {
	b = field.AppendBytes(b, 1, m.Sealed)
	b = field.AppendUint(b, 2, m.Round)
	return field.AppendBytes(b, 3, appendSet(nil, m.Only))
}

func decodeQuestion(b []byte) (Message, error) {
	var m Question
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Bytes(&m.Sealed)
		case 2:
			return f.Uint(&m.Round)
		case 3:
			return f.set(&m.Only)
		}
		return nil
	})
	switch {
	case err != nil:
		return m, err
	case len(m.Sealed) == 0 || len(m.Sealed) > SealedMax:
		return m, fmt.Errorf("sealed question of %d bytes; the limit is %d", len(m.Sealed), SealedMax)
	case m.Round == 0 && !m.Only.Empty():
		return m, errors.New("asks some machines only, but not again")
	}
	return m, nil
}

func (m Ack) append(b []byte) []byte {
	b = field.AppendUint(b, 1, m.Seq)
	b = putNumbers(b, 2, m.Unsafe)
	return putNumbers(b, 3, m.Questions)
}

func decodeAck(b []byte) (Message, error) {
	var m Ack
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&m.Seq)
		case 2:
			return f.numbers(&m.Unsafe, UnsafeMax)
		case 3:
			return f.numbers(&m.Questions, KnownMax)
		}
		return nil
	})
	if n := len(m.Unsafe); err == nil && n > 0 && m.Unsafe[n-1] > m.Seq {
		err = fmt.Errorf("answer %d is taken out of those up to %d", m.Unsafe[n-1], m.Seq)
	}
	return m, err
}

func (m Ping) append(b []byte) []byte {
	return field.AppendBool(field.AppendFixed(b, 1, m.Number), 2, m.Reply)
}

func decodePing(b []byte) (Message, error) {
	var m Ping
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Fixed(&m.Number)
		case 2:
			return f.Bool(&m.Reply)
		}
		return nil
	})
	return m, err
}

func (m Gone) append(b []byte) []byte {
	for _, id := range m.Clients {
		b = field.AppendPart(b, 1, id[:])
	}
	return b
}

func decodeGone(b []byte) (Message, error) {
	var m Gone
	err := fields(b, func(f value) error {
		if f.Num == 1 {
			return f.ids(&m.Clients, goneMax)
		}
		return nil
	})
	return m, err
}

func (m Hint) append(b []byte) []byte { return putPlace(b, 1, m.Place) }

func decodeHint(b []byte) (Message, error) {
	var m Hint
	err := fields(b, func(f value) error {
		if f.Num == 1 {
			return f.place(&m.Place)
		}
		return nil
	})
	return m, err
}

// Numbers are ascending and unlike, and are written as one string of bytes: the
// varints of how far each lies above the one before, the first above 0.
func putNumbers(b []byte, num field.Number, list []uint64) []byte {
	var gaps []byte
	last := uint64(0)
	for _, n := range list {
		gaps = field.AppendVarint(gaps, n-last)
		last = n
	}
	return field.AppendBytes(b, num, gaps)
}

func (x value) numbers(to *[]uint64, most int) error {
	last, b := uint64(0), x.B
	if *to != nil {
		return errors.New("list is said twice")
	}
	for len(b) > 0 {
		gap, n := field.ConsumeVarint(b)
		switch {
		case n < 0:
			return errors.New("broken number")
		case gap == 0 || last+gap < last:
			return errors.New("numbers do not ascend")
		case len(*to) == most:
			return fmt.Errorf("more than %d numbers", most)
		}
		last += gap
		*to = append(*to, last)
		b = b[n:]
	}
	return x.Want(2)
}

func (x value) ids(to *[]endpoint.ID, most int) error {
	if len(*to) == most {
		return fmt.Errorf("more than %d clients", most)
	}
	var id endpoint.ID
	err := x.Exact(id[:])
	*to = append(*to, id)
	return err
}
