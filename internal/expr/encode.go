package expr

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"catenary/internal/value"
)

// BytesMax bounds an encoded condition: its texts, and up to 64 bytes of
// framing for each part.
const BytesMax = TextMax + 64*NodesMax

// Field numbers of an encoded condition, which has exactly one of the first
// four, and of a test.
const (
	fieldAnd, fieldOr, fieldNot, fieldTest = 1, 2, 3, 4

	fieldPart = 1 // of And and Or, once per part

	fieldName, fieldOp, fieldValue, fieldType, fieldIgnoreCase, fieldAll = 1, 2, 3, 4, 5, 6
)

// Append appends c's one encoding to b. nil is encoded as nothing.
func Append(b []byte, c Condition) []byte {
	switch c := c.(type) {
	case And:
		return appendBytes(b, fieldAnd, appendParts(c))
	case Or:
		return appendBytes(b, fieldOr, appendParts(c))
	case Not:
		return appendBytes(b, fieldNot, Append(nil, c.Of))
	case Test:
		return appendBytes(b, fieldTest, c.append(nil))
	}
	return b
}

func appendParts(parts []Condition) []byte {
	var b []byte
	for _, c := range parts {
		b = appendBytes(b, fieldPart, Append(nil, c))
	}
	return b
}

func (t Test) append(b []byte) []byte {
	b = appendBytes(b, fieldName, []byte(t.Name))
	b = appendNumber(b, fieldOp, uint64(t.Op))
	b = appendBytes(b, fieldValue, []byte(t.Value))
	b = appendNumber(b, fieldType, uint64(t.Type))
	b = appendNumber(b, fieldIgnoreCase, protowire.EncodeBool(t.IgnoreCase))
	return appendNumber(b, fieldAll, protowire.EncodeBool(t.All))
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

// appendNumber leaves zero out: it is what an absent field means.
func appendNumber(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

// Decode reads what [Append] wrote and nothing else: a condition that [Check]
// accepts, in its one encoding.
func Decode(b []byte) (Condition, error) {
	if len(b) > BytesMax {
		return nil, fmt.Errorf("a condition of %d bytes is longer than %d", len(b), BytesMax)
	}
	if len(b) == 0 {
		return nil, nil
	}
	nodes := 0
	c, err := decode(b, 1, &nodes)
	if err != nil {
		return nil, err
	}
	if err := Check(c); err != nil {
		return nil, err
	}
	if !bytes.Equal(Append(nil, c), b) {
		return nil, errNotCanonical
	}
	return c, nil
}

var errNotCanonical = errors.New("a condition is not in its one encoding")

func decode(b []byte, depth int, nodes *int) (c Condition, err error) {
	if *nodes++; *nodes > NodesMax || depth > DepthMax {
		return nil, fmt.Errorf("a condition has more than %d parts or is nested more than %d deep", NodesMax, DepthMax)
	}
	err = fields(b, func(num protowire.Number, _ uint64, v []byte) error {
		switch num {
		case fieldAnd:
			parts, err := decodeParts(v, depth, nodes)
			c = And(parts)
			return err
		case fieldOr:
			parts, err := decodeParts(v, depth, nodes)
			c = Or(parts)
			return err
		case fieldNot:
			of, err := decode(v, depth+1, nodes)
			c = Not{of}
			return err
		case fieldTest:
			t, err := decodeTest(v)
			c = t
			return err
		}
		return errNotCanonical
	})
	return c, err
}

func decodeParts(b []byte, depth int, nodes *int) (parts []Condition, err error) {
	err = fields(b, func(_ protowire.Number, _ uint64, v []byte) error {
		c, err := decode(v, depth+1, nodes)
		parts = append(parts, c)
		return err
	})
	return parts, err
}

func decodeTest(b []byte) (t Test, err error) {
	err = fields(b, func(num protowire.Number, n uint64, v []byte) error {
		if n > uint64(value.RegexMatch) {
			return errNotCanonical // no number of a test is greater than a type
		}
		switch num {
		case fieldName:
			t.Name = string(v)
		case fieldOp:
			t.Op = Op(n)
		case fieldValue:
			t.Value = string(v)
		case fieldType:
			t.Type = value.Type(n)
		case fieldIgnoreCase:
			t.IgnoreCase = n != 0
		case fieldAll:
			t.All = n != 0
		}
		return nil
	})
	return t, err
}

// fields calls each with every field of an encoded message: its number, and
// its value as a number or as bytes.
func fields(b []byte, each func(num protowire.Number, n uint64, v []byte) error) error {
	for len(b) > 0 {
		num, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		var n uint64
		var v []byte
		switch typ {
		case protowire.VarintType:
			n, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			v, size = protowire.ConsumeBytes(b)
		default:
			return errNotCanonical
		}
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if err := each(num, n, v); err != nil {
			return err
		}
	}
	return nil
}
