package wire

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"catenary/internal/answer"
	"catenary/internal/field"
)

// The boxes of a bundle stand in the order of their machines' slots, one for
// each of its set, in field 13 if they are sealed and in 14 if they attest
// (docs/protocol.md §5.5). An attested box is attestedHead bytes and then, for
// each of its rows, how many rows of the message it stands beyond the one
// before, times two, plus one if a count follows because it is not 1.

var boxFields = [...]field.Number{answer.Attested: 14, answer.Sealed: 13}

const (
	attestedHead = 29        // epoch, flags and attestation: what package box makes
	sealedMax    = 256 << 10 // bytes of a sealed box: twice answer.BoxLimits
)

func appendBoxes(b []byte, bu answer.Bundle) []byte {
	var scratch []byte
	for _, x := range bu.Boxes {
		scratch = append(scratch[:0], x.Bytes...)
		if bu.Mode == answer.Attested {
			scratch = appendRefs(scratch, x.Rows, bu.Rows.List)
		}
		b = field.AppendPart(b, boxFields[bu.Mode], scratch)
	}
	return b
}

func appendRefs(b []byte, refs []answer.Ref, rows []answer.Row) []byte {
	next := 0
	for _, r := range refs {
		i, here := slices.BinarySearchFunc(rows[next:], r.Hash, func(row answer.Row, hash uint64) int {
			return cmp.Compare(row.Hash, hash)
		})
		if !here {
			panic("wire: a machine vouches for a row that its bundle does not have")
		}
		step := uint64(i+1) * 2
		if r.Count != 1 {
			b = binary.AppendUvarint(b, step+1)
			b = binary.AppendUvarint(b, r.Count)
		} else {
			b = binary.AppendUvarint(b, step)
		}
		next += i + 1
	}
	return b
}

// boxes are those of a message that is being read.
type boxes struct {
	mode answer.Mode
	list [][]byte
}

func (x *boxes) take(f value, left *int) error {
	mode := answer.Sealed
	if f.Num == boxFields[answer.Attested] {
		mode = answer.Attested
	}
	switch {
	case len(x.list) > 0 && mode != x.mode:
		return errors.New("boxes of two kinds")
	case len(x.list) == answer.BoxesMax:
		return fmt.Errorf("more than %d boxes", answer.BoxesMax)
	case mode == answer.Attested && len(f.B) < attestedHead, mode == answer.Sealed && (len(f.B) == 0 || len(f.B) > sealedMax):
		return fmt.Errorf("box of %d bytes", len(f.B))
	}
	if *left -= len(f.B); *left < 0 {
		return fmt.Errorf("rows and boxes of more than %d bytes", answer.ChainLimits.Bytes)
	}
	x.mode, x.list = mode, append(x.list, f.B)
	return f.Want(2)
}

// put gives the boxes to the machines of the bundle, whose rows are all there.
func (x *boxes) put(bu *answer.Bundle) error {
	if len(x.list) == 0 {
		return nil
	}
	if len(x.list) != bu.Set.Len() {
		return fmt.Errorf("%d boxes of %d machines", len(x.list), bu.Set.Len())
	}
	bu.Mode, bu.Boxes = x.mode, make([]answer.Box, 0, len(x.list))
	for slot := range bu.Set.All() {
		b := x.list[len(bu.Boxes)]
		box := answer.Box{Slot: slot}
		if x.mode == answer.Attested {
			refs, err := decodeRefs(b[attestedHead:], bu.Rows.List)
			if err != nil {
				return err
			}
			b, box.Rows = b[:attestedHead], refs
		}
		box.Bytes = bytes.Clone(b) // a bundle outlives its frame
		bu.Boxes = append(bu.Boxes, box)
	}
	if size := bu.Size(); size > answer.ChainLimits.Bytes {
		return fmt.Errorf("rows and boxes of %d bytes", size)
	}
	return nil
}

var errRefs = errors.New("machine vouches for rows that are not there")

func decodeRefs(b []byte, rows []answer.Row) ([]answer.Ref, error) {
	var refs []answer.Ref
	at := -1
	for len(b) > 0 {
		step, n := binary.Uvarint(b)
		if n <= 0 || step/2 == 0 || step/2 > uint64(len(rows)-1-at) {
			return nil, errRefs
		}
		b = b[n:]
		at += int(step / 2)
		ref := answer.Ref{Hash: rows[at].Hash, Count: 1}
		if step%2 == 1 {
			if ref.Count, n = binary.Uvarint(b); n <= 0 || ref.Count == 0 {
				return nil, errRefs
			}
			b = b[n:]
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// checkBoxes refuses what no honest merge of boxes can produce.
func checkBoxes(b answer.Bundle) error {
	switch {
	case b.Mode == answer.Sealed && (len(b.Rows.List) > 0 || b.Rows.Cut != 0 || b.Counts != answer.Counts{}):
		return errors.New("rows or counts beside sealed boxes")
	case b.Mode == answer.Attested && len(b.Boxes) > 1 && b.Rows.Cut != 0:
		return errors.New("rows of several machines that vouch for them are cut")
	}
	return nil
}
