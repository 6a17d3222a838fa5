package expr

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"catenary/internal/field"
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
		return field.AppendPart(b, fieldAnd, appendParts(c))
	case Or:
		return field.AppendPart(b, fieldOr, appendParts(c))
	case Not:
		return field.AppendPart(b, fieldNot, Append(nil, c.Of))
	case Test:
		return field.AppendPart(b, fieldTest, c.append(nil))
	}
	return b
}

func appendParts(parts []Condition) []byte {
	var b []byte
	for _, c := range parts {
		b = field.AppendPart(b, fieldPart, Append(nil, c))
	}
	return b
}

func (t Test) append(b []byte) []byte {
	b = field.AppendPart(b, fieldName, []byte(t.Name))
	b = field.AppendUint(b, fieldOp, uint64(t.Op))
	b = field.AppendPart(b, fieldValue, []byte(t.Value))
	b = field.AppendUint(b, fieldType, uint64(t.Type))
	b = field.AppendUint(b, fieldIgnoreCase, protowire.EncodeBool(t.IgnoreCase))
	return field.AppendUint(b, fieldAll, protowire.EncodeBool(t.All))
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
	err = field.Each(b, func(f field.Field) error {
		switch f.Num {
		case fieldAnd:
			parts, err := decodeParts(f.B, depth, nodes)
			c = And(parts)
			return err
		case fieldOr:
			parts, err := decodeParts(f.B, depth, nodes)
			c = Or(parts)
			return err
		case fieldNot:
			of, err := decode(f.B, depth+1, nodes)
			c = Not{of}
			return err
		case fieldTest:
			t, err := decodeTest(f.B)
			c = t
			return err
		}
		return errNotCanonical
	})
	return c, err
}

func decodeParts(b []byte, depth int, nodes *int) (parts []Condition, err error) {
	err = field.Each(b, func(f field.Field) error {
		c, err := decode(f.B, depth+1, nodes)
		parts = append(parts, c)
		return err
	})
	return parts, err
}

func decodeTest(b []byte) (t Test, err error) {
	err = field.Each(b, func(f field.Field) error {
		if f.N > uint64(value.RegexMatch) {
			return errNotCanonical // no number of a test is greater than a type
		}
		switch f.Num {
		case fieldName:
			t.Name = string(f.B)
		case fieldOp:
			t.Op = Op(f.N)
		case fieldValue:
			t.Value = string(f.B)
		case fieldType:
			t.Type = value.Type(f.N)
		case fieldIgnoreCase:
			t.IgnoreCase = f.N != 0
		case fieldAll:
			t.All = f.N != 0
		}
		return nil
	})
	return t, err
}
