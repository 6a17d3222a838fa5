package probe

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Layout of an LZ4 frame (the LZ4 frame format, version 1.6).
const (
	lz4Magic       = 0x184d2204
	lz4Window      = 64 << 10 // bytes to which later ones may refer
	lz4BlockMax    = 4 << 20  // bytes of an unpacked block
	lz4Stored      = 1 << 31  // mark of a block that is not packed
	lz4Dictionary  = 0x01     // flags of a frame
	lz4ContentSize = 0x08
	lz4BlockSum    = 0x10
	lz4Version     = 0x40
	lz4MatchLeast  = 4 // bytes of the shortest repetition
)

var errLZ4 = errors.New("the file is no LZ4 frame that can be read")

// A lz4Reader unpacks a frame of LZ4, as apt packs its lists. It does not check
// the sums, as apt has done.
type lz4Reader struct {
	r      *bufio.Reader
	flags  byte
	block  []byte // as it was read
	out    []byte // the window, then what of the last block was not read yet
	unread int    // where that begins
	ended  bool
}

func newLZ4Reader(r io.Reader) (*lz4Reader, error) {
	z := &lz4Reader{r: bufio.NewReader(r)}
	var head [6]byte
	if _, err := io.ReadFull(z.r, head[:]); err != nil {
		return nil, errLZ4
	}
	z.flags = head[4]
	if binary.LittleEndian.Uint32(head[:]) != lz4Magic || z.flags&0xc0 != lz4Version || z.flags&lz4Dictionary != 0 {
		return nil, errLZ4
	}
	rest := 1 // sum of the head
	if z.flags&lz4ContentSize != 0 {
		rest += 8
	}
	if _, err := z.r.Discard(rest); err != nil {
		return nil, errLZ4
	}
	return z, nil
}

func (z *lz4Reader) Read(b []byte) (int, error) {
	for z.unread == len(z.out) {
		if z.ended {
			return 0, io.EOF
		}
		if err := z.next(); err != nil {
			return 0, err
		}
	}
	n := copy(b, z.out[z.unread:])
	z.unread += n
	return n, nil
}

// next unpacks the next block behind the window.
func (z *lz4Reader) next() error {
	var head [4]byte
	if _, err := io.ReadFull(z.r, head[:]); err != nil {
		return errLZ4
	}
	size := binary.LittleEndian.Uint32(head[:])
	if size == 0 {
		z.ended = true
		return nil
	}
	length := int(size &^ lz4Stored)
	if length > lz4BlockMax {
		return errLZ4
	}
	z.block = append(z.block[:0], make([]byte, length)...)
	if _, err := io.ReadFull(z.r, z.block); err != nil {
		return errLZ4
	}
	if z.flags&lz4BlockSum != 0 {
		if _, err := z.r.Discard(4); err != nil {
			return errLZ4
		}
	}
	z.out = append(z.out[:0], z.out[max(0, len(z.out)-lz4Window):]...)
	z.unread = len(z.out)
	if size&lz4Stored != 0 {
		z.out = append(z.out, z.block...)
		return nil
	}
	var err error
	z.out, err = lz4Block(z.out, z.block)
	return err
}

// lz4Block appends what a block unpacks to: by turns bytes as they are, and
// repetitions of what came before.
func lz4Block(out, b []byte) ([]byte, error) {
	limit := len(out) + lz4BlockMax
	for len(b) > 0 {
		token := b[0]
		literals, rest, ok := lz4Length(b[1:], token>>4)
		if !ok || literals > len(rest) || len(out)+literals > limit {
			return out, errLZ4
		}
		out, b = append(out, rest[:literals]...), rest[literals:]
		if len(b) == 0 { // the last has no repetition
			return out, nil
		}
		if len(b) < 2 {
			return out, errLZ4
		}
		back := int(binary.LittleEndian.Uint16(b))
		length, rest, ok := lz4Length(b[2:], token&15)
		length += lz4MatchLeast
		if !ok || back == 0 || back > len(out) || len(out)+length > limit {
			return out, errLZ4
		}
		for from := len(out) - back; length > 0; length-- { // it may overlap with itself
			out = append(out, out[from])
			from++
		}
		b = rest
	}
	return out, nil
}

// lz4Length reads a length of which the token tells the beginning: after 15
// come bytes that are added, up to one below 255.
func lz4Length(b []byte, first byte) (length int, rest []byte, ok bool) {
	length = int(first)
	if first != 15 {
		return length, b, true
	}
	for i, c := range b {
		if length += int(c); length > lz4BlockMax {
			return 0, nil, false
		}
		if c != 255 {
			return length, b[i+1:], true
		}
	}
	return 0, nil, false
}
