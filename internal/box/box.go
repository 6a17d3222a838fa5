// Package box is what a machine says to the server alone, by way of peers that
// must not read or must not change it: it makes and opens the boxes that
// bundles carry in other modes than merged (docs/protocol.md §5.5,
// docs/trust.md).
//
// A box is made with the registration key of its machine, which nobody knows
// but that machine and the server. It is about one question, of one machine at
// one slot of one LAN ([About]), and means nothing anywhere else.
package box

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/bits"

	"catenary/internal/answer"
	"catenary/internal/seal"
)

// A Key is a registration key and what the server makes it from.
type Key struct {
	Key   seal.RegistrationKey
	Epoch seal.Epoch
}

// About is what a box is about.
type About struct {
	Question uint64
	Plan     [sha256.Size]byte // of the question, hashed
	Client   [16]byte
	LAN      uint64 // the name of the LAN
	Slot     answer.Slot
}

func (a About) bytes() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 96), a.Question)
	b = append(append(b, a.Plan[:]...), a.Client[:]...)
	b = binary.BigEndian.AppendUint64(b, a.LAN)
	return binary.BigEndian.AppendUint16(b, uint16(a.Slot))
}

const (
	epochSize = len(seal.Epoch{})
	// attestedSize is what an attested box has beside its refs: epoch, flags and
	// attestation.
	attestedSize = epochSize + 1 + seal.AttestationSize

	// The size of a sealed box says as little as is cheap: up to leastPlain
	// bytes, which a short value, an error or no row at all fit in, it says
	// nothing; above, its length is told in steps of a sixteenth to an eighth.
	leastPlain = 64
	stepBits   = 4

	// countMax bounds how often one machine may say to have given one row: it
	// says at most 10,000 (plan.RowsMax).
	countMax = 1 << 14
)

// Flags are a machine's counts in one byte.
const (
	passed = 1 << iota
	failed
	stopped
	noResults
	outside // and nothing else
	flagsEnd
)

func flagsOf(c answer.Counts) (flags byte) {
	for i, n := range []uint64{c.Passed, c.Errors, c.Stopped, c.NoResults, c.Outside} {
		if n > 0 {
			flags |= 1 << i
		}
	}
	return flags
}

var errFlags = errors.New("counts that no machine has")

func countsOf(flags byte) (answer.Counts, error) {
	one := func(flag byte) uint64 {
		if flags&flag != 0 {
			return 1
		}
		return 0
	}
	if flags >= flagsEnd || flags&stopped != 0 && flags&failed == 0 || flags > outside {
		return answer.Counts{}, errFlags
	}
	return answer.Counts{Passed: one(passed), Errors: one(failed), Stopped: one(stopped), NoResults: one(noResults), Outside: one(outside)}, nil
}

// Seal returns the box that only the server can read. The same answer to the
// same question gives the same box.
func (k Key) Seal(a About, rows answer.Rows, c answer.Counts) answer.Box {
	plain := appendSaid(nil, rows, c)
	plain = append(plain, make([]byte, padded(len(plain))-len(plain))...)
	b := append(make([]byte, 0, epochSize+seal.BoxOverhead+len(plain)), k.Epoch[:]...)
	return answer.Box{Bytes: k.Key.Box(seal.SealedAnswer).Seal(b, [16]byte{}, plain, a.bytes())}
}

// padded is the least size that a text of n bytes may have in a box.
func padded(n int) int {
	if n <= leastPlain {
		return leastPlain
	}
	step := 1 << max(bits.Len(uint(n-1))-stepBits, 0)
	return (n + step - 1) / step * step
}

// Attest returns the box that vouches for rows which peers may read.
func (k Key) Attest(a About, rows answer.Rows, c answer.Counts) answer.Box {
	digests := DigestsOf(rows)
	x := answer.Box{Bytes: append(append(make([]byte, 0, attestedSize), k.Epoch[:]...), flagsOf(c))}
	for _, r := range rows.List {
		x.Rows = append(x.Rows, answer.Ref{Hash: r.Hash, Count: r.Count})
	}
	proof := k.Key.Attest(digests.said(a, x, rows.Cut))
	x.Bytes = append(x.Bytes, proof[:]...)
	return x
}

// EpochOf says which key a box was made with. It is only a claim until the box
// opens.
func EpochOf(x answer.Box) (seal.Epoch, bool) {
	if len(x.Bytes) < epochSize {
		return seal.Epoch{}, false
	}
	return seal.Epoch(x.Bytes), true
}

var (
	errShort   = errors.New("box is too short")
	errForged  = errors.New("attestation is not the machine's, is about something else, or a row was changed")
	errMissing = errors.New("box is about rows that are not there")
)

// Open returns what was sealed. The row key hashes the rows.
func Open(k seal.RegistrationKey, a About, x answer.Box, row answer.Key) (answer.Rows, answer.Counts, error) {
	if len(x.Bytes) < epochSize {
		return answer.Rows{}, answer.Counts{}, errShort
	}
	plain, err := k.Box(seal.SealedAnswer).Open(x.Bytes[epochSize:], a.bytes())
	if err != nil {
		return answer.Rows{}, answer.Counts{}, err
	}
	return decodeSaid(plain, row)
}

// Verify checks that the machine has given just these rows, of those that the
// digests are of, with that cut, and returns its counts.
func (d Digests) Verify(k seal.RegistrationKey, a About, x answer.Box, cut uint64) (answer.Counts, error) {
	if len(x.Bytes) != attestedSize {
		return answer.Counts{}, errShort
	}
	for _, r := range x.Rows {
		if _, here := d[r.Hash]; !here || r.Count > countMax {
			return answer.Counts{}, errMissing
		}
	}
	if !k.Attests(seal.Attestation(x.Bytes[epochSize+1:]), d.said(a, x, cut)) {
		return answer.Counts{}, errForged
	}
	return countsOf(x.Bytes[epochSize])
}

// Digests are the SHA-256 of rows, by their hashes. The hash of a row is short
// and its key known to every client, so that it proves nothing.
type Digests map[uint64][sha256.Size]byte

// DigestsOf returns the digests of rows, which many boxes may be about.
func DigestsOf(rows answer.Rows) Digests {
	d := make(Digests, len(rows.List))
	var b []byte
	for _, r := range rows.List {
		b = answer.AppendCells(b[:0], r.Cells)
		d[r.Hash] = sha256.Sum256(b)
	}
	return d
}

// said is what an attestation is about.
func (d Digests) said(a About, x answer.Box, cut uint64) []byte {
	b := append(a.bytes(), x.Bytes[epochSize])
	b = binary.BigEndian.AppendUint64(b, cut)
	for _, r := range x.Rows {
		digest := d[r.Hash]
		b = append(binary.AppendUvarint(b, r.Count), digest[:]...)
	}
	return b
}

// ---- what is in a sealed box ----

// appendSaid appends flags (1 byte), cut (8) and, for each row, its count and
// number of cells and the cells as they are hashed. Zero bytes may follow: no
// row has a count of 0.
func appendSaid(b []byte, rows answer.Rows, c answer.Counts) []byte {
	b = append(b, flagsOf(c))
	b = binary.BigEndian.AppendUint64(b, rows.Cut)
	for _, r := range rows.List {
		b = binary.AppendUvarint(b, r.Count)
		b = binary.AppendUvarint(b, uint64(len(r.Cells)))
		b = answer.AppendCells(b, r.Cells)
	}
	return b
}

var errSaid = errors.New("what was sealed cannot be read")

// decodeSaid reads what [Key.Seal] has padded, and nothing else.
func decodeSaid(b []byte, key answer.Key) (rows answer.Rows, c answer.Counts, err error) {
	const head = 1 + 8
	if len(b) < head {
		return rows, c, errSaid
	}
	if c, err = countsOf(b[0]); err != nil {
		return rows, c, err
	}
	rows.Cut = binary.BigEndian.Uint64(b[1:])
	r := reader{b: b[head:]}
	for len(r.b) > 0 && r.b[0] != 0 && !r.bad {
		count := r.number()
		row := key.Row(r.cells())
		row.Count = count
		rows.List = append(rows.List, row)
		r.bad = r.bad || count > countMax || !inOrder(rows) || len(rows.List) > answer.BoxLimits.Rows
	}
	if r.bad || len(bytes.Trim(r.b, "\x00")) > 0 || padded(len(b)-len(r.b)) != len(b) {
		return answer.Rows{}, answer.Counts{}, errSaid
	}
	return rows, c, nil
}

// inOrder reports whether the last row may stand where it does.
func inOrder(r answer.Rows) bool {
	n := len(r.List)
	last := r.List[n-1].Hash
	return (n == 1 || r.List[n-2].Hash < last) && (r.Cut == 0 || last < r.Cut)
}

// A reader reads what was said, until something is bad.
type reader struct {
	b   []byte
	bad bool
}

// number reads a varint in its shortest form.
func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 1 && r.b[n-1] == 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

// length reads how many things follow, each of a byte at least.
func (r *reader) length() int {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return 0
	}
	return int(n)
}

func (r *reader) cells() []answer.Cell {
	var cells []answer.Cell
	for range r.length() {
		var c answer.Cell
		for range r.length() {
			size := r.length()
			c = append(c, string(r.b[:size]))
			r.b = r.b[size:]
		}
		cells = append(cells, c)
	}
	return cells
}
