package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"catenary/internal/answer"
	"catenary/internal/field"
)

// The fields of an Answer that are its bundle's stand beside its own: an
// answer without a set has no bundle.

func (m Answer) append(b []byte) []byte { return m.appendCrossing(b, nil) }

func (m Answer) appendCrossing(b []byte, through *Dictionary) []byte {
	b = field.AppendUint(b, 1, m.Seq)
	b = field.AppendUint(b, 2, m.Question)
	b = field.AppendBool(b, 3, m.First)
	b = field.AppendBool(b, 4, m.Final)
	b = field.AppendBytes(b, 5, appendSet(nil, m.Pending))
	bu := m.Bundle
	b = field.AppendBytes(b, 6, appendSet(nil, bu.Set))
	b = field.AppendBool(b, 7, bu.Tainted)
	b = field.AppendUint(b, 8, bu.Counts.Passed)
	b = field.AppendBytes(b, 9, appendSet(nil, bu.Failed))
	b = field.AppendUint(b, 10, bu.Counts.NoResults)
	b = field.AppendFixed(b, 11, bu.Rows.Cut)
	var scratch []byte
	rows := crossing{Dictionary: through}
	for _, r := range bu.Rows.List {
		scratch = rows.appendRow(scratch[:0], r)
		b = field.AppendBytes(b, 12, scratch)
	}
	rows.settle()
	b = appendBoxes(b, bu)
	b = field.AppendFixed(b, 20, rows.check)
	b = field.AppendBytes(b, 21, appendSet(nil, bu.Stopped))
	return field.AppendUint(b, 22, bu.Counts.Outside)
}

func decodeAnswer(b []byte) (Message, error) { return decodeCrossing(b, nil) }

func decodeCrossing(b []byte, through *Dictionary) (Message, error) {
	var m Answer
	rows := crossing{Dictionary: through}
	var check uint64
	var boxes boxes
	bu := &m.Bundle
	left := answer.ChainLimits.Bytes
	err := fields(b, func(f value) error {
		switch f.Num {
		case 1:
			return f.Uint(&m.Seq)
		case 2:
			return f.Uint(&m.Question)
		case 3:
			return f.Bool(&m.First)
		case 4:
			return f.Bool(&m.Final)
		case 5:
			return f.set(&m.Pending)
		case 6:
			return f.set(&bu.Set)
		case 7:
			return f.Bool(&bu.Tainted)
		case 8:
			return f.Uint(&bu.Counts.Passed)
		case 9:
			return f.set(&bu.Failed)
		case 10:
			return f.Uint(&bu.Counts.NoResults)
		case 11:
			return f.Fixed(&bu.Rows.Cut)
		case 12:
			return f.row(&bu.Rows, &left, &rows)
		case 13, 14:
			return boxes.take(f, &left)
		case 20:
			return f.Fixed(&check)
		case 21:
			return f.set(&bu.Stopped)
		case 22:
			return f.Uint(&bu.Counts.Outside)
		}
		return nil
	})
	if err == nil && check != rows.check {
		err = errors.New("references mean other rows here than there")
	}
	if err != nil {
		return m, err
	}
	rows.settle()
	if err := boxes.put(bu); err != nil {
		return m, err
	}
	bu.Question = m.Question
	bu.Counts.Errors, bu.Counts.Stopped = uint64(bu.Failed.Len()), uint64(bu.Stopped.Len())
	return m, checkBundle(m.Bundle)
}

// checkBundle refuses what no honest merge can produce.
func checkBundle(b answer.Bundle) error {
	n := uint64(b.Set.Len())
	switch {
	case n == 0 && (len(b.Rows.List) > 0 || b.Tainted || b.Counts != answer.Counts{} || b.Rows.Cut != 0):
		return errors.New("rows of nobody")
	case !b.Failed.Within(b.Set) || !b.Stopped.Within(b.Failed):
		return errors.New("machines that failed are not among those that answered")
	case b.Counts.Outside > n || max(b.Counts.Passed, b.Counts.NoResults, b.Counts.Errors) > n-b.Counts.Outside:
		return fmt.Errorf("counts %+v exceed the %d machines of the set", b.Counts, n)
	case b.Rows.Cut != 0 && len(b.Rows.List) > 0 && b.Rows.List[len(b.Rows.List)-1].Hash >= b.Rows.Cut:
		return errors.New("row above the cut")
	}
	return checkBoxes(b)
}

func appendCells(b []byte, cells []answer.Cell) []byte {
	for _, c := range cells {
		b = appendCell(b, c)
	}
	return b
}

// A cell is its own little message, so that empty cells and empty texts keep
// their places: putBytes would leave them out.
func appendCell(b []byte, c answer.Cell) []byte {
	n := 0
	for _, text := range c {
		n += 1 + varintSize(len(text)) + len(text)
	}
	b = append(b, 3<<3|2)
	b = binary.AppendUvarint(b, uint64(n))
	for _, text := range c {
		b = append(b, 1<<3|2)
		b = binary.AppendUvarint(b, uint64(len(text)))
		b = append(b, text...)
	}
	return b
}

func varintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// row takes one more row. The bytes left are those of answer.ChainLimits: what
// is let in here must fit in a frame again when it is passed on.
func (x value) row(rows *answer.Rows, left *int, through *crossing) error {
	var r answer.Row
	var step uint64
	err := fields(x.B, func(f value) error {
		switch f.Num {
		case 1:
			return f.Fixed(&r.Hash)
		case 2:
			return f.Uint(&r.Count)
		case 3:
			cell, err := decodeCell(f.B)
			if r.Cells == nil {
				r.Cells = make([]answer.Cell, 0, cellsUsual)
			}
			r.Cells = append(r.Cells, cell)
			return errors.Join(err, f.Want(2))
		case 4:
			return f.Uint(&step)
		}
		return nil
	})
	if err == nil && step != 0 {
		err = through.resolve(&r, step)
	}
	list := rows.List
	*left -= r.Size()
	switch {
	case err != nil:
		return err
	case *left < 0:
		return fmt.Errorf("rows of more than %d bytes", answer.ChainLimits.Bytes)
	case r.Count == 0:
		return errors.New("row that nobody gave")
	case len(list) > 0 && list[len(list)-1].Hash >= r.Hash:
		return errors.New("rows out of order")
	case len(list) == answer.ChainLimits.Rows:
		return fmt.Errorf("more than %d rows", answer.ChainLimits.Rows)
	}
	if list == nil {
		list = make([]answer.Row, 0, rowsUsual)
	}
	rows.List = append(list, r)
	if step == 0 {
		through.learn(r)
	}
	return x.Want(2)
}

// Room for so much is made when the first comes: most questions have few columns,
// and most answers few rows.
const (
	cellsUsual = 2
	rowsUsual  = 8
)

func decodeCell(b []byte) (answer.Cell, error) {
	var c answer.Cell
	err := fields(b, func(f value) error {
		if f.Num != 1 {
			return nil
		}
		c = append(c, string(f.B))
		return f.Want(2)
	})
	return c, err
}

// A set is a format byte and the shorter of two forms (docs/protocol.md §5.2):
// the gaps and lengths of its runs as varints, or its bitmap without trailing
// zero bytes. The empty set is no bytes at all.
const (
	setRuns   = 1
	setBitmap = 2
)

func appendSet(b []byte, s answer.Set) []byte {
	if s.Empty() {
		return b
	}
	bits := []byte{setBitmap}
	runs := []byte{setRuns}
	end, from, n := 0, -1, 0 // end of the run before; start and length of the one that grows
	flush := func() {
		if from >= 0 {
			runs = binary.AppendUvarint(runs, uint64(from-end))
			runs = binary.AppendUvarint(runs, uint64(n-1))
			end = from + n
		}
	}
	for slot := range s.All() {
		x := int(slot)
		for len(bits) < 2+x/8 {
			bits = append(bits, 0)
		}
		bits[1+x/8] |= 1 << (x % 8)
		if from >= 0 && x == from+n {
			n++
			continue
		}
		flush()
		from, n = x, 1
	}
	flush()
	if len(runs) <= len(bits) {
		return append(b, runs...)
	}
	return append(b, bits...)
}

func (x value) set(to *answer.Set) error {
	if err := x.Want(2); err != nil {
		return err
	}
	if !to.Empty() {
		// Runs say much in few bytes: a frame full of sets would take minutes.
		return errors.New("set is said twice")
	}
	if len(x.B) == 0 {
		return nil
	}
	switch body := x.B[1:]; x.B[0] {
	case setBitmap:
		if len(body) > answer.SlotMax/8 {
			return fmt.Errorf("bitmap of %d bytes", len(body))
		}
		for i, w := range body {
			for ; w != 0; w &= w - 1 {
				to.Add(answer.Slot(i*8 + lowest(w)))
			}
		}
		return nil
	case setRuns:
		return decodeRuns(to, body)
	default:
		return fmt.Errorf("set has unknown form %d", x.B[0])
	}
}

func lowest(w byte) int {
	n := 0
	for ; w&1 == 0; w >>= 1 {
		n++
	}
	return n
}

func decodeRuns(to *answer.Set, b []byte) error {
	at := uint64(0)
	for len(b) > 0 {
		gap, n := binary.Uvarint(b)
		if n <= 0 || gap > answer.SlotMax {
			return errors.New("broken run")
		}
		b = b[n:]
		more, n := binary.Uvarint(b)
		if n <= 0 || more > answer.SlotMax || at+gap+more >= answer.SlotMax {
			return errors.New("broken run")
		}
		b = b[n:]
		for slot := at + gap; slot <= at+gap+more; slot++ {
			to.Add(answer.Slot(slot))
		}
		at += gap + more + 1
	}
	return nil
}
