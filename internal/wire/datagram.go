package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"catenary/internal/endpoint"
)

// A registration may also be one datagram each way (docs/protocol.md §7.3):
//
//	request = version 1, kind 1, client (16), name of the key (20), sealed
//	reply   = version 1, kind 2, sealed
//	notice  = version 1, kind 3, nonce of the request (12), come in ms (4)
//
// What is sealed is a frame: Register, and Registered or Refused. Zero bytes
// may follow that of a request, for the reply is never much larger than it. With
// a request its own head is associated; with a reply its head, the request's
// head and the request's nonce. A notice is not sealed: whoever sends it has
// no key for the client.

const (
	// DatagramMax bounds a datagram, in bytes: it fits through every network in
	// one piece (IPv6 guarantees 1280 with its own head).
	DatagramMax = 1200
	// replyExtra is by how much a reply may be larger than its request, in
	// bytes: nobody gains by asking in another's name.
	replyExtra = 256
	// paddedTo is the least size of a request that says everything, in bytes:
	// with replyExtra, ten peers on each side fit in the reply, also with IPv6.
	paddedTo = 400

	datagramVersion = 1
	datagramRequest = 1
	datagramReply   = 2
	datagramNotice  = 3

	kindSize    = 2
	requestHead = kindSize + len(endpoint.ID{}) + len(KeyName{})
	nonceSize   = 12
	boxOverhead = nonceSize + 16
	noticeSize  = kindSize + nonceSize + 4
)

// A KeyName says which registration key seals a request (seal.KeyName).
type KeyName [20]byte

// A Nonce tells requests of one key apart.
type Nonce [nonceSize]byte

// A Box seals and opens what goes one way (seal.Box): the nonce comes first,
// and boxOverhead bytes are added. Chance must differ each time.
type Box interface {
	Seal(b []byte, chance [16]byte, plain, associated []byte) []byte
	Open(sealed, associated []byte) ([]byte, error)
}

// A Request is a datagram from a client, as far as it can be read without the
// key.
type Request struct {
	Client endpoint.ID
	Key    KeyName
	bytes  []byte
}

// NewRequest seals a registration. Its datagram is [Request.Bytes].
func NewRequest(box Box, chance [16]byte, client endpoint.ID, key KeyName, m Register) Request {
	b := append(make([]byte, 0, paddedTo), datagramVersion, datagramRequest)
	b = append(append(b, client[:]...), key[:]...)
	plain := Append(nil, m)
	if pad := paddedTo - requestHead - boxOverhead - len(plain); pad > 0 && !m.IsBrief() {
		plain = append(plain, make([]byte, pad)...)
	}
	return Request{client, key, box.Seal(b, chance, plain, b)}
}

// FitsDatagram reports whether the registration can go as a datagram.
func FitsDatagram(m Register) bool {
	return requestHead+boxOverhead+len(Append(nil, m)) <= DatagramMax
}

// ParseRequest reads what is not sealed of a datagram. The request shares b's
// memory.
func ParseRequest(b []byte) (Request, error) {
	switch {
	case len(b) < requestHead+boxOverhead:
		return Request{}, fmt.Errorf("datagram of %d bytes", len(b))
	case len(b) > DatagramMax:
		return Request{}, fmt.Errorf("datagram of more than %d bytes", DatagramMax)
	case b[0] != datagramVersion || b[1] != datagramRequest:
		return Request{}, fmt.Errorf("datagram of version %d and kind %d", b[0], b[1])
	}
	r := Request{bytes: b}
	copy(r.Key[:], b[kindSize+copy(r.Client[:], b[kindSize:]):])
	return r, nil
}

// Bytes is the datagram.
func (r Request) Bytes() []byte { return r.bytes }

// Nonce is the request's nonce. It is the same if the same datagram comes again.
func (r Request) Nonce() Nonce { return Nonce(r.bytes[requestHead:]) }

// Open returns the registration. The client named in it may be another.
func (r Request) Open(box Box) (Register, error) {
	plain, err := box.Open(r.bytes[requestHead:], r.bytes[:requestHead])
	if err != nil {
		return Register{}, err
	}
	m, padding, err := unseal(plain)
	if err != nil {
		return Register{}, err
	}
	reg, ok := m.(Register)
	if !ok || len(bytes.Trim(padding, "\x00")) > 0 {
		return Register{}, fmt.Errorf("a %T, or one with more behind it, came where a registration was expected", m)
	}
	return reg, nil
}

// unseal reads the frame that a box held, and returns what follows it.
func unseal(plain []byte) (m Message, rest []byte, err error) {
	if len(plain) < HeadSize {
		return nil, nil, errors.New("no frame is in the box")
	}
	n, err := FrameSize([4]byte(plain))
	if err != nil {
		return nil, nil, err
	}
	end := n + 4
	if end > len(plain) {
		return nil, nil, fmt.Errorf("frame of %d bytes in a box of %d", n, len(plain))
	}
	m, err = Decode(plain[4:end])
	return m, plain[end:], err
}

// Fits reports whether the reply may answer the request in a datagram.
func (r Request) Fits(m Message) bool {
	return kindSize+boxOverhead+len(Append(nil, m)) <= min(len(r.bytes)+replyExtra, DatagramMax)
}

// Reply appends the datagram that answers the request with a Registered or a
// Refused.
func (r Request) Reply(b []byte, box Box, chance [16]byte, m Message) []byte {
	if !r.Fits(m) {
		panic(fmt.Sprintf("wire: a %T does not fit in the reply to %d bytes", m, len(r.bytes)))
	}
	b = append(b, datagramVersion, datagramReply)
	return box.Seal(b, chance, Append(nil, m), r.about(b[len(b)-kindSize:]))
}

// about is what is associated with a reply of that head.
func (r Request) about(head []byte) []byte {
	return append(bytes.Clone(head), r.bytes[:requestHead+nonceSize]...)
}

// Notice appends the datagram that asks the client to come over TLS in so long.
func (r Request) Notice(b []byte, come time.Duration) []byte {
	nonce := r.Nonce()
	b = append(b, datagramVersion, datagramNotice)
	b = append(b, nonce[:]...)
	return binary.BigEndian.AppendUint32(b, uint32(come.Milliseconds()))
}

// ReadNotice reads a notice about this request. Anybody who has seen the
// request can have sent it.
func (r Request) ReadNotice(b []byte) (come time.Duration, ok bool) {
	if len(b) != noticeSize || b[0] != datagramVersion || b[1] != datagramNotice || Nonce(b[kindSize:]) != r.Nonce() {
		return 0, false
	}
	return time.Duration(binary.BigEndian.Uint32(b[kindSize+nonceSize:])) * time.Millisecond, true
}

// ReadReply opens the reply to this request, a Registered or a Refused.
func (r Request) ReadReply(box Box, b []byte) (Message, error) {
	if len(b) < kindSize || b[0] != datagramVersion || b[1] != datagramReply {
		return nil, errors.New("not a reply")
	}
	plain, err := box.Open(b[kindSize:], r.about(b[:kindSize]))
	if err != nil {
		return nil, err
	}
	m, rest, err := unseal(plain)
	if err != nil {
		return nil, err
	}
	switch m.(type) {
	case Registered, Refused:
		if len(rest) == 0 {
			return m, nil
		}
	}
	return nil, fmt.Errorf("a %T with %d bytes behind it came as a reply", m, len(rest))
}
