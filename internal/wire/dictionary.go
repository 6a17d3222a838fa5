package wire

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"catenary/internal/answer"
	"catenary/internal/field"
)

const (
	// dictionaryMax bounds what a dictionary keeps, in bytes as cost counts
	// them: the 5,000 rows of the largest answer at 60 bytes each. In memory a
	// full one takes up to half as much again: about 0.75 GB of the heap of a
	// server with 1,000 forward leaders, as 100,000 clients have.
	dictionaryMax = 512 << 10
	// keptCost is what a row costs beside its cells, in bytes.
	keptCost = 40
	// keptMax bounds the cells of a row that is kept, in bytes: a larger one
	// would push out many for itself, and hardly comes again unchanged.
	keptMax = 16 << 10
)

// A Dictionary is what both ends of a connection remember of the rows that have
// crossed it in one direction, so that a row's cells cross once and later
// answers refer to them (docs/protocol.md §6.3). The end that writes passes each
// message through Append, the end that reads each frame through Decode, in the
// order of the connection: so both always hold the same rows. The zero
// Dictionary is that of a new connection; a nil one keeps nothing.
type Dictionary struct {
	kept []kept // ascending by hash, all unlike
	size int    // sum of their costs
	hand uint64 // where in the order of hashes forget goes on
}

// kept is a row that has crossed.
type kept struct {
	hash  uint64
	cells string // as appendCells writes them
	state keptState
}

type keptState uint8

const (
	idle    keptState = iota // not referred to since the hand was here
	used                     // referred to since then: the hand passes once
	dropped                  // only inside forget
)

func (k kept) cost() int { return len(k.cells) + keptCost }

// Append appends the frame of m to b. It must be the next frame that the
// connection carries.
func (d *Dictionary) Append(b []byte, m Message) []byte {
	if a, ok := m.(Answer); ok && d != nil {
		m = crossingAnswer{a, d}
	}
	return Append(b, m)
}

// Decode reads the message of a frame, without its length, that is the next
// from the connection. After an error the connection must end.
func (d *Dictionary) Decode(b []byte) (Message, error) {
	if len(b) == 0 || Kind(b[0]) != KindAnswer {
		return Decode(b)
	}
	m, err := decodeCrossing(b[1:], d)
	if err != nil {
		return nil, fmt.Errorf("message of kind %d: %w", KindAnswer, err)
	}
	return m, nil
}

// Clone returns a dictionary that holds the same and goes its own way.
func (d *Dictionary) Clone() *Dictionary {
	if d == nil {
		return nil
	}
	return &Dictionary{slices.Clone(d.kept), d.size, d.hand}
}

// A crossingAnswer is an answer on its way through a dictionary.
type crossingAnswer struct {
	Answer
	through *Dictionary
}

func (m crossingAnswer) append(b []byte) []byte {
	return m.appendCrossing(b, m.through)
}

// A crossing is the rows of one frame on their way through a dictionary. What
// it keeps enters the dictionary at its end, so that references count places
// that do not move.
type crossing struct {
	*Dictionary
	next    int    // place after the one that was last referred to
	check   uint64 // sum of the hashes that were referred to
	fresh   []kept // ascending by hash
	scratch []byte
}

// appendRow writes a row, or how many places it stands beyond the row that was
// referred to before.
func (c *crossing) appendRow(b []byte, r answer.Row) []byte {
	c.scratch = appendCells(c.scratch[:0], r.Cells)
	at, known := c.find(r.Hash)
	if known && c.kept[at].cells == string(c.scratch) {
		step := uint64(at + 1 - c.next)
		c.refer(at)
		return field.AppendUint(field.AppendUint(b, 2, r.Count), 4, step)
	}
	c.keep(r.Hash, at, known)
	b = field.AppendUint(field.AppendFixed(b, 1, r.Hash), 2, r.Count)
	return append(b, c.scratch...)
}

// resolve fills in the row that a reference means.
func (c *crossing) resolve(r *answer.Row, step uint64) error {
	switch {
	case r.Hash != 0 || r.Cells != nil:
		return errors.New("row is said and referred to")
	case c.Dictionary == nil || step > uint64(len(c.kept)-c.next):
		return errors.New("reference to a row that has not crossed this connection")
	}
	at := c.next + int(step) - 1
	r.Hash, r.Cells = c.kept[at].hash, cellsOf(c.kept[at].cells)
	c.refer(at)
	return nil
}

// learn keeps a row that has come with its cells.
func (c *crossing) learn(r answer.Row) {
	if c.Dictionary != nil {
		c.scratch = appendCells(c.scratch[:0], r.Cells)
		at, known := c.find(r.Hash)
		c.keep(r.Hash, at, known)
	}
}

func (c *crossing) find(hash uint64) (at int, known bool) {
	if c.Dictionary == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(c.kept, hash, func(k kept, hash uint64) int { return cmp.Compare(k.hash, hash) })
}

func (c *crossing) refer(at int) {
	c.kept[at].state = used
	c.check += c.kept[at].hash
	c.next = at + 1
}

// keep takes the row whose cells are in scratch. If cells of the same hash are
// known, and so are others, the newer ones hold.
func (c *crossing) keep(hash uint64, at int, known bool) {
	if c.Dictionary == nil || len(c.scratch) > keptMax {
		return
	}
	k := kept{hash: hash, cells: string(c.scratch)} // a copy, that pins no frame
	if known {
		c.size += k.cost() - c.kept[at].cost()
		c.kept[at] = k
		return
	}
	c.fresh = append(c.fresh, k)
}

// settle ends the crossing.
func (c *crossing) settle() {
	if c.Dictionary == nil {
		return
	}
	for _, k := range c.fresh {
		c.size += k.cost()
	}
	c.kept = mergeKept(c.kept, c.fresh)
	c.forget()
}

// mergeKept merges fresh rows into old ones, in the place of the old ones.
func mergeKept(old, fresh []kept) []kept {
	i, j := len(old)-1, len(fresh)-1
	old = slices.Grow(old, len(fresh))[:len(old)+len(fresh)]
	for to := len(old) - 1; j >= 0; to-- {
		if i >= 0 && old[i].hash > fresh[j].hash {
			old[to] = old[i]
			i--
		} else {
			old[to] = fresh[j]
			j--
		}
	}
	return old
}

// forget makes room. The hand goes round in the order of hashes, which is no
// order that anything else has, and drops each row that was not referred to
// since it was last there. Neither the oldest rows nor those longest unused are
// dropped: a question that is asked again and has a few rows too many would
// then find none of them.
func (d *Dictionary) forget() {
	if d.size <= dictionaryMax {
		return
	}
	at, _ := slices.BinarySearchFunc(d.kept, d.hand, func(k kept, hash uint64) int { return cmp.Compare(k.hash, hash) })
	for ; d.size > dictionaryMax; at++ {
		if at == len(d.kept) {
			at = 0
		}
		k := &d.kept[at]
		switch k.state {
		case used:
			k.state = idle
		case idle:
			k.state = dropped
			d.size -= k.cost()
		}
		d.hand = k.hash + 1
	}
	d.kept = slices.DeleteFunc(d.kept, func(k kept) bool { return k.state == dropped })
}

// cellsOf reads what appendCells has written. Nobody else wrote it, so that it
// cannot be wrong.
func cellsOf(s string) []answer.Cell {
	var cells []answer.Cell
	for s != "" {
		var cell answer.Cell
		var in string
		for in, s = partOf(s); in != ""; {
			var text string
			text, in = partOf(in)
			cell = append(cell, text)
		}
		cells = append(cells, cell)
	}
	return cells
}

// partOf splits off a length-delimited field with a number below 16.
func partOf(s string) (in, rest string) {
	head := []byte(s[1:min(len(s), 1+binary.MaxVarintLen32)])
	size, n := binary.Uvarint(head)
	from := 1 + n
	return s[from : from+int(size)], s[from+int(size):]
}
