// Package wire is the messages of a chain as bytes: the only room that knows
// lengths, numbers and versions (docs/protocol.md §2).
//
// A frame is a 4-byte big-endian length, a kind byte and a protobuf message;
// the length counts the kind and the message. Kinds and fields that a reader
// does not know are skipped, so that clients of two versions can stand in one
// chain.
package wire

import (
	"encoding/binary"
	"fmt"

	"catenary/internal/answer"
	"catenary/internal/endpoint"
	"catenary/internal/field"
)

// Version is the protocol version that Hello, Register and Enrol announce.
const Version = 1

const (
	// FrameMax bounds a frame after its length, in bytes: an answer at its
	// limits (answer.ChainLimits) with its head fits.
	FrameMax = 1 << 20
	// HeadSize is the length and the kind of a frame, in bytes.
	HeadSize = 5

	// SealedMax bounds a signed question with its plan and scripts, in bytes.
	SealedMax  = 256 << 10
	peersMax   = 32      // candidates in one direction; the roster sends 10
	knownMax   = 1024    // question ids that a registration names
	textMax    = 256     // bytes of a computer name, version or platform
	problemMax = 1024    // bytes of a refusal's text
	certMax    = 8 << 10 // bytes of a certificate or public key in DER
	secretSize = 32      // bytes of an enrolment secret
	addressMax = 18      // bytes of an address and port
)

// A Kind numbers the messages as docs/protocol.md §2 lists them.
type Kind uint8

const (
	KindHello      Kind = 1
	KindHelloOK    Kind = 2
	KindRefused    Kind = 3
	KindQuestion   Kind = 4
	KindAnswer     Kind = 5
	KindAck        Kind = 6
	KindRegister   Kind = 15
	KindRegistered Kind = 16
	KindEnrol      Kind = 17
	KindEnrolled   Kind = 18
)

// A Message is one of the types below.
type Message interface {
	Kind() Kind
	append(b []byte) []byte
}

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
)

// Hello is the first message of a link, from who dialled.
type Hello struct {
	Version     uint64
	Role        Role
	Place       endpoint.Place // of the dialler
	Incarnation uint64         // grows with each start of the dialler
}

// HelloOK accepts a Hello.
type HelloOK struct{ Incarnation uint64 }

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
	Text   string // for a person
}

// Question carries a sealed [Letter]. It is forwarded as it is.
type Question struct{ Sealed []byte }

// Answer carries what the machines behind a link have said to one question.
type Answer struct{ answer.Report }

// Ack says that every Answer up to Seq has arrived.
type Ack struct{ Seq uint64 }

func (Hello) Kind() Kind    { return KindHello }
func (HelloOK) Kind() Kind  { return KindHelloOK }
func (Refused) Kind() Kind  { return KindRefused }
func (Question) Kind() Kind { return KindQuestion }
func (Answer) Kind() Kind   { return KindAnswer }
func (Ack) Kind() Kind      { return KindAck }

// Append appends the frame of m to b.
func Append(b []byte, m Message) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, byte(m.Kind()))
	b = m.append(b)
	n := len(b) - start - 4
	if n > FrameMax {
		panic(fmt.Sprintf("wire: a %T of %d bytes does not fit in a frame", m, n))
	}
	binary.BigEndian.PutUint32(b[start:], uint32(n))
	return b
}

// FrameSize returns the number of bytes that follow the length in a frame's
// head, its kind included.
func FrameSize(head [4]byte) (int, error) {
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > FrameMax {
		return 0, fmt.Errorf("frame of %d bytes; the limit is %d", n, FrameMax)
	}
	return int(n), nil
}

// Decode reads the message of a frame, without its length. The message shares
// b's memory. A kind that is not known gives nil and no error.
func Decode(b []byte) (Message, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("empty frame")
	}
	kind := Kind(b[0])
	decode, ok := decoders[kind]
	if !ok {
		return nil, nil
	}
	m, err := decode(b[1:])
	if err != nil {
		return nil, fmt.Errorf("message of kind %d: %w", kind, err)
	}
	return m, nil
}

var decoders = map[Kind]func([]byte) (Message, error){
	KindHello:      decodeHello,
	KindHelloOK:    decodeHelloOK,
	KindRefused:    decodeRefused,
	KindQuestion:   decodeQuestion,
	KindAnswer:     decodeAnswer,
	KindAck:        decodeAck,
	KindRegister:   decodeRegister,
	KindRegistered: decodeRegistered,
	KindEnrol:      decodeEnrol,
	KindEnrolled:   decodeEnrolled,
}

func (m Hello) append(b []byte) []byte {
	b = field.AppendUint(b, 1, m.Version)
	b = field.AppendUint(b, 2, uint64(m.Role))
	b = putPlace(b, 3, m.Place)
	return field.AppendUint(b, 4, m.Incarnation)
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
		}
		return nil
	})
	return m, err
}

func (m HelloOK) append(b []byte) []byte { return field.AppendUint(b, 1, m.Incarnation) }

func decodeHelloOK(b []byte) (Message, error) {
	var m HelloOK
	err := fields(b, func(f value) error {
		if f.Num == 1 {
			return f.Uint(&m.Incarnation)
		}
		return nil
	})
	return m, err
}

func (m Refused) append(b []byte) []byte {
	return field.AppendText(field.AppendUint(b, 1, uint64(m.Reason)), 2, m.Text)
}

func decodeRefused(b []byte) (Message, error) {
	var m Refused
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint((*uint64)(&m.Reason))
		case 2:
			return f.short(&m.Text, problemMax)
		}
		return nil
	})
	return m, err
}

func (m Question) append(b []byte) []byte { return field.AppendBytes(b, 1, m.Sealed) }

func decodeQuestion(b []byte) (Message, error) {
	var m Question
	err := fields(b, func(f value) error {
		if f.Num == 1 {
			return f.Bytes(&m.Sealed)
		}
		return nil
	})
	if err == nil && (len(m.Sealed) == 0 || len(m.Sealed) > SealedMax) {
		err = fmt.Errorf("sealed question of %d bytes; the limit is %d", len(m.Sealed), SealedMax)
	}
	return m, err
}

func (m Ack) append(b []byte) []byte { return field.AppendUint(b, 1, m.Seq) }

func decodeAck(b []byte) (Message, error) {
	var m Ack
	err := fields(b, func(f value) error {
		if f.Num == 1 {
			return f.Uint(&m.Seq)
		}
		return nil
	})
	return m, err
}
