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

	// KnownMax bounds the live questions that a Hello or its answer names.
	KnownMax = 256
	// SuspectsMax bounds who a Hello says is dead: all that stand between.
	SuspectsMax = 16
	// UnsafeMax bounds the reports that an Ack takes out: what a sender may have
	// out at a time (sweep.custodyMax).
	UnsafeMax = 1024
	goneMax   = 64 // clients that one Gone names
	// UnreachableMax bounds the clients that a registration says cannot be
	// dialled; each lengthens the lists of the reply by one.
	UnreachableMax = 64
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
	KindPing       Kind = 7
	KindGone       Kind = 8
	KindRegister   Kind = 15
	KindRegistered Kind = 16
	KindEnrol      Kind = 17
	KindEnrolled   Kind = 18
	KindHint       Kind = 19
)

// A Message is one of the types below.
type Message interface {
	Kind() Kind
	append(b []byte) []byte
}

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
	KindPing:       decodePing,
	KindGone:       decodeGone,
	KindHint:       decodeHint,
	KindRegister:   decodeRegister,
	KindRegistered: decodeRegistered,
	KindEnrol:      decodeEnrol,
	KindEnrolled:   decodeEnrolled,
}
